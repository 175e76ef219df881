//! Matrix products, batched. Transposes and broadcast batches are views that the kernels read through strides.

pub(in crate::ops) mod choice;
mod kernels;
mod problem;
mod product;
#[cfg(test)]
mod tests;
mod vector;

pub(in crate::ops) use kernels::sum;
pub(in crate::ops) use product::{Matrix, multiply};

use super::Op;
use crate::graph::{Gradient, Meaning, Operator, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{Shape, TensorType};

/// `[batch…, m, k] · [batch…, k, n] = [batch…, m, n]`, with equal batch axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matmul;

impl Operator for Matmul {
    fn name(&self) -> String {
        "matmul".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (lhs, rhs) = (inputs[0], inputs[1]);
        if lhs.dtype != rhs.dtype {
            return Err(format!("operands are {} and {}; cast one of them", lhs.dtype, rhs.dtype));
        }
        if !lhs.dtype.is_float() {
            return Err(format!("wants floats, not {}; cast first", lhs.dtype));
        }
        let rank = lhs.shape.rank();
        if rank < 2 || rhs.shape.rank() != rank || lhs.shape[..rank - 2] != rhs.shape[..rank - 2] {
            return Err(format!("shapes {} and {} have different batch axes", lhs.shape, rhs.shape));
        }
        if lhs.shape[rank - 1] != rhs.shape[rank - 2] {
            return Err(format!(
                "shapes {} and {} do not fit: {} columns meet {} rows",
                lhs.shape,
                rhs.shape,
                lhs.shape[rank - 1],
                rhs.shape[rank - 2]
            ));
        }
        let dims: Shape = lhs.shape[..rank - 1].iter().chain(&rhs.shape[rank - 1..]).copied().collect();
        Ok(vec![TensorType::new(lhs.dtype, dims)])
    }

    fn meaning(&self) -> Meaning {
        Meaning::Routine
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let (lhs, rhs) = (&gradient.inputs[0], &gradient.inputs[1]);
        let product = |a: &Tensor, b: &Tensor| a.graph().apply1(Op::Matmul(Self), &[a, b]);
        Some(vec![Some(product(upstream, &rhs.transpose(-2, -1))), Some(product(&lhs.transpose(-2, -1), upstream))])
    }

    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        product::evaluate(inputs, outputs)
    }

    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(shapes, adapter)
    }

    fn accepts_epilogue(&self) -> bool {
        true
    }

    fn accepts_views(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> RoutineCost {
        let inner = inputs[0].shape.last().copied().unwrap_or(1);
        RoutineCost { flops: 2 * outputs[0].len() as u64 * inner as u64 }
    }
}

impl Tensor {
    /// The matrix product, as in NumPy: the last two axes multiply, axes before them broadcast, and a one-dimensional operand
    /// is a row on the left or a column on the right, whose axis goes.
    #[track_caller]
    #[must_use]
    pub fn matmul(&self, other: &Self) -> Self {
        let (left, right) = (self.shape(), other.shape());
        if left.rank() == 0 || right.rank() == 0 {
            return self.graph().mistake("matmul", format!("a number is no matrix: shapes {left} and {right}"));
        }
        if left.rank() == 1 || right.rank() == 1 {
            let lhs = if left.rank() == 1 { self.unsqueeze(0) } else { self.clone() };
            let rhs = if right.rank() == 1 { other.unsqueeze(1) } else { other.clone() };
            let mut product = lhs.matmul(&rhs);
            if right.rank() == 1 {
                product = product.squeeze(-1);
            }
            if left.rank() == 1 {
                product = product.squeeze(if right.rank() == 1 { -1 } else { -2 });
            }
            return product;
        }
        // One matrix on the right: the batch axes of the left are rows like any others.
        if right.rank() == 2 && left.rank() > 2 {
            let (rows, inner) = left.split_at(left.rank() - 1);
            let dims: Shape = rows.iter().chain(&right[1..]).copied().collect();
            let flat = self.reshape([rows.iter().product(), inner[0]]);
            return self.graph().apply1(Op::Matmul(Matmul), &[&flat, other]).reshape_like(dims);
        }
        let (batch_left, matrix_left) = left.split_at(left.rank() - 2);
        let (batch_right, matrix_right) = right.split_at(right.rank() - 2);
        let Some(batch) = Shape::from(batch_left).broadcast(&Shape::from(batch_right)) else {
            return self
                .graph()
                .mistake("matmul", format!("shapes {left} and {right} have batch axes that do not broadcast"));
        };
        let whole = |matrix: &[usize]| batch.iter().chain(matrix).copied().collect::<Shape>();
        let (lhs, rhs) = (self.broadcast_to(whole(matrix_left)), other.broadcast_to(whole(matrix_right)));
        self.graph().apply1(Op::Matmul(Matmul), &[&lhs, &rhs])
    }

    /// A reshape that leaves placeholders alone.
    #[track_caller]
    fn reshape_like(&self, dims: Shape) -> Self {
        if self.graph().error().is_some() { self.clone() } else { self.reshape(dims) }
    }
}
