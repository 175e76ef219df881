//! Tensors one after the other along an axis.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, Graph, InputAccess, Kind, Operator, Tensor};
use crate::scalar::{Affine, NodeId, ScalarFunction};
use crate::tensor::{DType, TensorType};

/// Joins tensors along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn name(&self) -> String {
        "concat".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let Some(first) = inputs.first() else { return Err("wants at least one tensor".into()) };
        if self.axis >= first.shape.rank() {
            return Err(format!("axis {} does not exist in shape {}", self.axis, first.shape));
        }
        let mut dims = first.shape.to_vec();
        dims[self.axis] = 0;
        for ty in inputs {
            if ty.dtype != first.dtype {
                return Err(format!("operands are {} and {}; cast one of them", first.dtype, ty.dtype));
            }
            let fits = ty.shape.rank() == first.shape.rank()
                && (0..dims.len()).all(|axis| axis == self.axis || ty.shape[axis] == first.shape[axis]);
            if !fits {
                return Err(format!("shapes {} and {} differ beside axis {}", first.shape, ty.shape, self.axis));
            }
            dims[self.axis] += ty.shape[self.axis];
        }
        Ok(vec![TensorType::new(first.dtype, dims)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    /// Pairs of pairs, for devices that bind few buffers.
    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let mut level = inputs.to_vec();
        if level.len() < 3 {
            return None;
        }
        while level.len() > 1 {
            let mut joined = Vec::with_capacity(level.len().div_ceil(2));
            for pair in level.chunks(2) {
                joined.push(match pair {
                    [left, right] => left.graph().apply1(Op::Concat(self.clone()), &[left, right]),
                    rest => rest[0].clone(),
                });
            }
            level = joined;
        }
        Some(level)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        // Where only a slice of the result was used, its gradient is that slice's with zeros around it: no part needs those zeros.
        let bordered = match upstream.origin() {
            (Op::Pad(pad), mut inputs) if pad.is_border_of_zeros(self.axis) => inputs.pop().map(|inner| (pad, inner)),
            _ => None,
        };
        let axis = self.axis as isize;
        let mut start = 0;
        Some(
            gradient
                .inputs
                .iter()
                .map(|input| {
                    let (from, to) = (start, start + input.shape()[self.axis]);
                    start = to;
                    if let Some((pad, inner)) = &bordered {
                        let (low, high) = (pad.low[self.axis], pad.low[self.axis] + inner.shape()[self.axis]);
                        if to <= low || from >= high {
                            return None;
                        }
                        if low <= from && to <= high {
                            return Some(inner.slice(axis, from - low, to - low));
                        }
                    }
                    Some(upstream.slice(axis, from, to))
                })
                .collect(),
        )
    }
}

impl Expression for Concat {
    fn access(&self, _: usize) -> InputAccess {
        InputAccess::Addressed
    }

    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId {
        let rank = output.shape.rank();
        let position = expressing.coordinate(self.axis);
        let mut value: Option<NodeId> = None;
        let mut start = 0_i64;
        for (input, ty) in inputs.iter().enumerate() {
            let extent = ty.shape[self.axis] as i64;
            if ty.is_empty() {
                continue;
            }
            let source = expressing.addresses(input);
            let mut address = Affine { offset: source.offset, strides: source.strides.clone() };
            address.offset -= start * source.strides[self.axis];
            assert_eq!(address.strides.len(), rank);
            let b = expressing.builder();
            let (first, end) = (b.constant(DType::I32, start as f64), b.constant(DType::I32, (start + extent) as f64));
            let (after, before) = (
                b.call(ScalarFunction::GreaterEqual, &[position, first]),
                b.call(ScalarFunction::Less, &[position, end]),
            );
            let inside = b.call(ScalarFunction::And, &[after, before]);
            let address = b.index(address);
            let origin = b.constant(DType::I32, source.offset as f64);
            let safe = b.select(inside, address, origin);
            let element = expressing.gather(input, safe);
            value = Some(match value {
                // Earlier parts keep their positions: each later one only takes its own.
                Some(other) => expressing.builder().select(inside, element, other),
                None => element,
            });
            start += extent;
        }
        value.unwrap_or_else(|| expressing.builder().constant(output.dtype, 0.0))
    }
}

/// Inputs of one concatenation: each costs a binding, so longer lists are joined in a tree.
const FAN_IN: usize = 6;

impl Graph {
    /// Joins one tensor or more along an axis; all other extents are equal. [`Tensor::concat`] is the same as a method.
    #[track_caller]
    pub fn concat(&self, tensors: &[&Tensor], axis: isize) -> Tensor {
        let Some(first) = tensors.first() else { return self.mistake("concat", "wants at least one tensor") };
        if tensors.iter().any(|tensor| !tensor.graph().is_same(self)) {
            return self.mistake("concat", "a tensor belongs to another graph");
        }
        let Some(resolved) = first.resolve_axis("concat", axis) else { return (*first).clone() };
        let mut level: Vec<Tensor> = tensors.iter().map(|&tensor| tensor.clone()).collect();
        // Loops, not closures: the user's line does not reach through closures. The same below.
        while level.len() > 1 {
            let mut joined = Vec::with_capacity(level.len().div_ceil(FAN_IN));
            for group in level.chunks(FAN_IN) {
                joined.push(match group {
                    [only] => only.clone(),
                    several => self.apply1(Op::Concat(Concat { axis: resolved }), &several.iter().collect::<Vec<_>>()),
                });
            }
            level = joined;
        }
        level.swap_remove(0)
    }

    /// Joins tensors of one shape along a new axis, which is put before `axis` as [`Tensor::unsqueeze`] does it.
    #[track_caller]
    pub fn stack(&self, tensors: &[&Tensor], axis: isize) -> Tensor {
        let mut raised = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            raised.push(tensor.unsqueeze(axis));
        }
        self.concat(&raised.iter().collect::<Vec<_>>(), axis)
    }
}
