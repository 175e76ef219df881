//! Values less their mean, over their standard deviation: the middle of every normalisation.
//!
//! Mean and deviation are inputs, so that two reductions make them and everything else fuses into one map. They are taken to be
//! those of the values themselves: the gradient is the total one, through both statistics, in the form that costs two sums
//! instead of the four that differentiating step by step would (Ioffe and Szegedy 2015, section 3):
//!
//! ```text
//! x̂ = (x − μ)·r·w + b        r = 1 / √(σ² + ε)
//! ∂w = Σ u·(x − μ)·r         ∂b = Σ u         ∂x = w·r·(u − ∂b / n − (x − μ)·r·∂w / n)
//! ```

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, InputAccess, Kind, Operator, Tensor};
use crate::scalar::{Affine, NodeId, Reduction, ScalarFunction};
use crate::tensor::{Shape, TensorType};

/// `(x − mean)·deviation`, or `x·deviation`; then perhaps `·weight + bias`. All but the values have an extent of 1 at the axes.
///
/// Inputs: the values, the mean where they are `centred`, the reciprocal deviation, and weight and bias where it is `affine`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Standardize {
    /// The axes that the statistics are taken over, ascending.
    pub axes: Vec<usize>,
    /// Whether there is a mean.
    pub centred: bool,
    /// Whether there are weight and bias.
    pub affine: bool,
}

impl Standardize {
    /// The index of the deviation among the inputs; those of weight and bias follow.
    const fn deviation(&self) -> usize {
        1 + self.centred as usize
    }

    fn statistics(&self, shape: &Shape) -> Shape {
        shape.iter().enumerate().map(|(axis, &extent)| if self.axes.contains(&axis) { 1 } else { extent }).collect()
    }
}

impl Operator for Standardize {
    fn name(&self) -> String {
        "standardize".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let values = inputs[0];
        if !values.dtype.is_float() {
            return Err(format!("wants floats, not {}; cast first", values.dtype));
        }
        let wanted = TensorType::new(values.dtype, self.statistics(&values.shape));
        match inputs[1..].iter().find(|ty| ***ty != wanted) {
            Some(ty) => Err(format!("wants {wanted} beside {values}, not {ty}")),
            None => Ok(vec![values.clone()]),
        }
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    /// Step by step, for devices that bind few buffers.
    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let [x, statistics @ ..] = inputs else { return None };
        let (mean, rest) = if self.centred { (statistics.first(), statistics.get(1..)?) } else { (None, statistics) };
        let mut value = mean.map_or_else(|| x.clone(), |mean| x - mean) * rest.first()?;
        if let (true, [_, weight, bias]) = (self.affine, rest) {
            value = value * weight + bias;
        }
        Some(vec![value])
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let x = &gradient.inputs[0];
        let deviation = &gradient.inputs[self.deviation()];
        // Without weight and bias; a node of its own, so that it is differentiated by this very rule again.
        let plain = Self { affine: false, ..self.clone() };
        let inputs: Vec<&Tensor> = gradient.inputs[..=self.deviation()].iter().collect();
        let standardized = x.graph().apply1(Op::Standardize(plain), &inputs);
        let statistics = self.statistics(&x.shape());
        let count = (x.shape().len() / statistics.len().max(1)).max(1) as f64;
        let along = (upstream * &standardized).reduce_axes(Reduction::Sum, &self.axes).reshape(&statistics);
        let sum = upstream.reduce_axes(Reduction::Sum, &self.axes).reshape(&statistics);
        let mut part = upstream - &(&standardized * &(&along * (1.0 / count)));
        if self.centred {
            part = part - &sum * (1.0 / count);
        }
        let scale = if self.affine { deviation * &gradient.inputs[self.deviation() + 1] } else { deviation.clone() };
        let mut parts = vec![None; gradient.inputs.len()];
        parts[0] = Some(part * scale);
        if self.affine {
            parts[self.deviation() + 1] = Some(along);
            parts[self.deviation() + 2] = Some(sum);
        }
        Some(parts)
    }
}

impl Expression for Standardize {
    fn access(&self, input: usize) -> InputAccess {
        // Statistics are computed once, where they are made, and not again for each value.
        if (1..=self.deviation()).contains(&input) { InputAccess::Addressed } else { InputAccess::Mapped }
    }

    fn express(&self, expressing: &mut Expressing<'_>, _: &[&TensorType], output: &TensorType) -> NodeId {
        use ScalarFunction as F;
        let rank = output.shape.rank();
        let maps: Vec<Affine> = (0..rank)
            .map(
                |axis| {
                    if self.axes.contains(&axis) { Affine::constant(0, rank) } else { Affine::coordinate(axis, rank) }
                },
            )
            .collect();
        let mut value = expressing.input(0);
        if self.centred {
            let mean = expressing.input_at(1, &maps);
            value = expressing.builder().call(F::Sub, &[value, mean]);
        }
        let deviation = expressing.input_at(self.deviation(), &maps);
        value = expressing.builder().call(F::Mul, &[value, deviation]);
        if self.affine {
            let weight = expressing.input_at(self.deviation() + 1, &maps);
            let bias = expressing.input_at(self.deviation() + 2, &maps);
            let b = expressing.builder();
            let scaled = b.call(F::Mul, &[value, weight]);
            value = b.call(F::Add, &[scaled, bias]);
        }
        value
    }
}

/// What [`Tensor::standardized`] makes.
pub(crate) struct Standardized {
    /// The values less their mean, over their deviation.
    pub(crate) values: Tensor,
    /// The mean; zeros where nothing is centred. As `variance`, with an extent of 1 at the axes.
    pub(crate) mean: Tensor,
    /// The sum of squared distances from the mean.
    pub(crate) squares: Tensor,
}

impl Tensor {
    /// Values less their mean over axes (ascending, resolved), over √(variance + ε): the variance is the mean squared distance
    /// from the mean, in two passes. With an affine pair, times its first plus its second, both with an extent of 1 at the axes.
    #[track_caller]
    pub(crate) fn standardized(
        &self,
        axes: &[usize],
        eps: f64,
        centred: bool,
        affine: Option<(&Self, &Self)>,
    ) -> Standardized {
        let shape = self.shape();
        let operator = Standardize { axes: axes.to_vec(), centred, affine: affine.is_some() };
        let statistics = operator.statistics(&shape);
        let count = (shape.len() / statistics.len().max(1)).max(1) as f64;
        let (mean, distance) = if centred {
            let mean = self.reduce_axes(Reduction::Sum, axes).reshape(&statistics) * (1.0 / count);
            let distance = self - &mean;
            (mean, distance)
        } else {
            (self.graph().scalar(self.dtype(), 0.0).broadcast_to(&statistics), self.clone())
        };
        let squares = distance.square().reduce_axes(Reduction::Sum, axes).reshape(&statistics);
        let deviation = (&squares * (1.0 / count) + eps).rsqrt();
        let mut inputs = vec![self];
        if centred {
            inputs.push(&mean);
        }
        inputs.push(&deviation);
        if let Some((weight, bias)) = affine {
            inputs.extend([weight, bias]);
        }
        let values = self.graph().apply1(Op::Standardize(operator), &inputs);
        Standardized { values, mean, squares }
    }
}
