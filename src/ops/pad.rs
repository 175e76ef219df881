//! A border of one value around a tensor, and between its elements. The gradient of a slice is one.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, InputAccess, Kind, Operator, Tensor};
use crate::scalar::{Affine, Constant, NodeId, ScalarFunction};
use crate::tensor::{DType, TensorType};

/// `low` values before, `high` after and `between` between the elements of each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pad {
    /// Values before each axis.
    pub low: Vec<usize>,
    /// Values after each axis.
    pub high: Vec<usize>,
    /// Values between neighbours of each axis.
    pub between: Vec<usize>,
    /// The value; its type is the tensor's.
    pub value: Constant,
}

impl Pad {
    /// True where it adds nothing but zeros before and after one axis.
    pub(super) fn is_border_of_zeros(&self, axis: usize) -> bool {
        let plain = |widths: &[usize]| widths.iter().enumerate().all(|(other, &width)| other == axis || width == 0);
        self.value.value == 0.0
            && plain(&self.low)
            && plain(&self.high)
            && self.between.iter().all(|&between| between == 0)
    }
}

impl Operator for Pad {
    fn name(&self) -> String {
        "pad".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let shape = &inputs[0].shape;
        if [self.low.len(), self.high.len(), self.between.len()] != [shape.rank(); 3] {
            return Err(format!("wants a low and a high width for each axis of shape {shape}"));
        }
        let dims: Vec<usize> = (0..shape.rank())
            .map(|axis| {
                let gaps = shape[axis].saturating_sub(1).saturating_mul(self.between[axis]);
                shape[axis].saturating_add(gaps).saturating_add(self.low[axis]).saturating_add(self.high[axis])
            })
            .collect();
        Ok(vec![TensorType::new(inputs[0].dtype, dims)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let shape = gradient.inputs[0].shape();
        if shape.is_empty() {
            return Some(vec![Some(gradient.inputs[0].zeros_like())]);
        }
        let steps: Vec<isize> = self.between.iter().map(|&between| between as isize + 1).collect();
        Some(vec![Some(upstream.slice_steps(&self.low, &shape, &steps))])
    }
}

impl Expression for Pad {
    fn access(&self, _: usize) -> InputAccess {
        InputAccess::Addressed
    }

    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId {
        let shape = &inputs[0].shape;
        let rank = shape.rank();
        let value = expressing.builder().constant(self.value.dtype, self.value.value);
        if inputs[0].is_empty() {
            return value;
        }
        let source = expressing.addresses(0);
        let dense = self.between.iter().all(|&between| between == 0);
        // Inside, where on every axis the coordinate falls on an element; there the address is affine (or needs one division).
        let mut inside: Option<NodeId> = None;
        let mut address = Affine::constant(source.offset, rank);
        let mut parts: Vec<NodeId> = Vec::new();
        for axis in 0..rank {
            let (low, step) = (self.low[axis] as i64, self.between[axis] as i64 + 1);
            address.strides[axis] = source.strides[axis];
            address.offset -= low * source.strides[axis];
            let mut shifted = Affine::coordinate(axis, rank);
            shifted.offset = -low;
            let b = expressing.builder();
            let position = b.index(shifted);
            let mut conditions = Vec::new();
            if self.low[axis] > 0 {
                let zero = b.constant(DType::I32, 0.0);
                conditions.push(b.call(ScalarFunction::GreaterEqual, &[position, zero]));
            }
            if self.high[axis] > 0 || step > 1 {
                let end = b.constant(DType::I32, ((shape[axis] as i64 - 1) * step) as f64);
                conditions.push(b.call(ScalarFunction::LessEqual, &[position, end]));
            }
            if step > 1 {
                let (step_node, zero) = (b.constant(DType::I32, step as f64), b.constant(DType::I32, 0.0));
                let rest = b.call(ScalarFunction::Rem, &[position, step_node]);
                conditions.push(b.call(ScalarFunction::Equal, &[rest, zero]));
            }
            if !dense {
                let (step_node, stride) =
                    (b.constant(DType::I32, step as f64), b.constant(DType::I32, source.strides[axis] as f64));
                let element = b.call(ScalarFunction::Div, &[position, step_node]);
                parts.push(b.call(ScalarFunction::Mul, &[element, stride]));
            }
            for condition in conditions {
                inside = Some(match inside {
                    Some(other) => b.call(ScalarFunction::And, &[other, condition]),
                    None => condition,
                });
            }
        }
        let b = expressing.builder();
        let address = if dense {
            b.index(address)
        } else {
            let offset = b.constant(DType::I32, source.offset as f64);
            parts.into_iter().fold(offset, |sum, part| b.call(ScalarFunction::Add, &[sum, part]))
        };
        let Some(inside) = inside else { return expressing.gather(0, address) };
        let origin = b.constant(DType::I32, source.offset as f64);
        let safe = b.select(inside, address, origin);
        let element = expressing.gather(0, safe);
        let _ = output;
        expressing.builder().select(inside, element, value)
    }
}

impl Tensor {
    /// With a border of one value: `low[k]` elements before and `high[k]` after axis k, from the first axis on (PyTorch's widths begin with
    /// the last). For borders that are reflected, repeated or wrapped around see [`pad_with`](Self::pad_with).
    #[track_caller]
    #[must_use]
    pub fn pad(&self, low: &[usize], high: &[usize], value: f64) -> Self {
        self.pad_between(low, high, &vec![0; low.len()], value)
    }

    /// As [`pad`](Self::pad), and with `between[k]` elements of that value between neighbours along axis k.
    #[track_caller]
    #[must_use]
    pub fn pad_between(&self, low: &[usize], high: &[usize], between: &[usize], value: f64) -> Self {
        let rank = self.rank();
        if [low, high, between].iter().all(|widths| widths.len() == rank && widths.iter().all(|&width| width == 0)) {
            return self.clone();
        }
        if !self.dtype().holds(value) {
            return self.graph().mistake("pad", format!("{value} is no {}", self.dtype()));
        }
        let value = Constant { dtype: self.dtype().compute(), value };
        let pad = Pad { low: low.to_vec(), high: high.to_vec(), between: between.to_vec(), value };
        self.graph().apply1(Op::Pad(pad), &[self])
    }
}
