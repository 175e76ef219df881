//! Snake: x + sin²(a·x)/a, which lets a network continue what is periodic (Ziyin, Hartwig and Ueda 2020). An operator that is an
//! expression: it fuses with its neighbours, and its gradient follows from it.

use wgrad::graph::{CustomOperator, Expressing, Expression, Graph, Kind, Operator, Tensor};
use wgrad::scalar::{NodeId, ScalarFunction};
use wgrad::tensor::TensorType;

/// Of x and the frequency a, which have one shape.
#[derive(Clone, Debug)]
pub struct Snake;

impl Operator for Snake {
    fn name(&self) -> String {
        "snake".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs {
            [x, a] if x == a && x.dtype.is_float() => Ok(vec![TensorType::clone(x)]),
            _ => Err("wants two tensors of floats of one shape".into()),
        }
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }
}

impl Expression for Snake {
    fn express(&self, e: &mut Expressing<'_>, _: &[&TensorType], _: &TensorType) -> NodeId {
        let (x, a) = (e.input(0), e.input(1));
        let b = e.builder();
        let phase = b.mul(a, x);
        let sine = b.call(ScalarFunction::Sin, &[phase]);
        let square = b.mul(sine, sine);
        let ripple = b.div(square, a);
        b.add(x, ripple)
    }
}

impl CustomOperator for Snake {
    fn identity(&self) -> Option<String> {
        Some("snake".into())
    }
}

/// Snake with one frequency for each element of the last axis.
#[track_caller]
pub fn snake(g: &Graph, x: &Tensor, frequencies: &Tensor) -> Tensor {
    g.custom1(Snake, &[x, &frequencies.broadcast_to(x.shape())])
}
