//! Matrix products, batched. Transposes and broadcast batches are views that the kernels read through strides.
//!
//! On the CPU, products of floats are made in `blocks`, of which some rows at a time may be finished in a cache. These lay out the right
//! operand in `panels`, which convolutions, recurrences and attention use too: they read one many times; 16 bits are widened then
//! (`stored`). `tile` is the inner loop of all. Where one operand has few vectors, laying out would take longer than the product:
//! `dot_products` has those whose operands are both contiguous along the inner dimension, `few_rows` those with rows of the right one.
//! `integer` has the integers.
//! On a GPU, `vector` makes products with a vector reductions.

mod blocks;
mod columns;
mod dot_products;
mod few_rows;
mod float;
mod integer;
mod kernels;
mod matrix;
mod panels;
mod problem;
mod product;
mod stored;
#[cfg(test)]
mod tests;
mod tile;
mod vector;

pub(in crate::ops) use blocks::multiply;
pub(in crate::ops) use columns::each_columns;
pub(in crate::ops) use float::{Float, lanes};
pub(in crate::ops) use matrix::Matrix;
pub(in crate::ops) use panels::{Columns, Panels, Start, WIDEST, copy_row};
pub(in crate::ops) use stored::{Stored, dense};
pub(in crate::ops) use tile::{Left, Order, unrolled};

use super::Op;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorType};

/// Vectors of an operand that are too few to pay for laying out the other one, on the CPU.
const FEW: usize = 8;

/// `[batch…, m, k] · [batch…, k, n] = [batch…, m, n]`, with equal batch axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Matmul {
    /// Returns a second result, `[batch…, m]`: the sums of the left operand's rows, which cost little while it is read. The
    /// compiler asks for it where a bias's gradient is such a sum.
    pub row_sums: bool,
}

impl Matmul {
    /// The product alone.
    pub const PLAIN: Self = Self { row_sums: false };
}

impl Operator for Matmul {
    fn name(&self) -> String {
        if self.row_sums { "matmul, row sums" } else { "matmul" }.into()
    }

    fn output_count(&self) -> usize {
        1 + usize::from(self.row_sums)
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (lhs, rhs) = (inputs[0], inputs[1]);
        if lhs.dtype != rhs.dtype {
            return Err(format!("operands are {} and {}; cast one of them", lhs.dtype, rhs.dtype));
        }
        if matches!(lhs.dtype, DType::Bool | DType::U8) {
            return Err(format!("wants numbers to compute with, not {}; cast first", lhs.dtype));
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
        let mut types = vec![TensorType::new(lhs.dtype, dims)];
        if self.row_sums {
            types.push(TensorType::new(lhs.dtype, lhs.shape[..rank - 1].to_vec()));
        }
        Ok(types)
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self).accepts_epilogue(!self.row_sums).accepts_views(true))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let (lhs, rhs) = (&gradient.inputs[0], &gradient.inputs[1]);
        let product = |a: &Tensor, b: &Tensor| a.graph().apply1(Op::Matmul(Self::PLAIN), &[a, b]);
        let of_product = gradient.upstream[0].as_ref();
        let of_sums = gradient.upstream.get(1).and_then(Option::as_ref);
        let through_product = of_product.map(|upstream| product(upstream, &rhs.transpose(-2, -1)));
        let through_sums = of_sums.map(|upstream| upstream.unsqueeze(-1).broadcast_to(lhs.shape()));
        let of_lhs = match (through_product, through_sums) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Some(vec![of_lhs, of_product.map(|upstream| product(&lhs.transpose(-2, -1), upstream))])
    }

    fn cost(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> RoutineCost {
        let inner = inputs[0].shape.last().copied().unwrap_or(1);
        RoutineCost { flops: 2 * outputs[0].len() as u64 * inner as u64 }
    }
}

impl CpuRoutine for Matmul {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        product::evaluate(inputs, outputs)
    }

    fn evaluate_in_chunks(
        &self,
        inputs: &[(&Operand, &[u8])],
        output: (&TensorType, &mut [u8]),
        bias: Option<&[f32]>,
        finish: &(dyn Fn(usize, &mut [u8]) + Sync),
    ) -> Result<bool, String> {
        product::in_chunks(inputs, output, bias, finish)
    }

    fn reads_stored(&self, _input: usize) -> bool {
        true
    }
}

impl GpuRoutine for Matmul {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self.row_sums, shapes, adapter, false)
    }

    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self.row_sums, shapes, adapter, true)
    }

    fn reads_stored(&self, _input: usize) -> bool {
        true
    }

    fn stores_quads(&self, output: &TensorType) -> bool {
        // Products with a vector are reductions, which store an element an invocation, as those of integers do.
        output.dtype == DType::F32
            && matches!(output.shape[..], [.., rows, columns] if rows > 1 && columns.is_multiple_of(4))
    }
}

impl Tensor {
    /// The matrix product, as in NumPy, of floats or of i32, i64 or u32, whose products and sums wrap: the last two axes multiply,
    /// axes before them broadcast, and a one-dimensional operand is a row on the left or a column on the right, whose axis is
    /// removed.
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
            return self.graph().apply1(Op::Matmul(Matmul::PLAIN), &[&flat, other]).reshape_like(dims);
        }
        let (batch_left, matrix_left) = left.split_at(left.rank() - 2);
        let (batch_right, matrix_right) = right.split_at(right.rank() - 2);
        let Some(batch) = Shape::from(batch_left).broadcast(&Shape::from(batch_right)) else {
            return self
                .graph()
                .mistake("matmul", format!("shapes {left} and {right} have batch axes that do not broadcast"));
        };
        let full = |matrix: &[usize]| batch.iter().chain(matrix).copied().collect::<Shape>();
        let (lhs, rhs) = (self.broadcast_to(full(matrix_left)), other.broadcast_to(full(matrix_right)));
        self.graph().apply1(Op::Matmul(Matmul::PLAIN), &[&lhs, &rhs])
    }

    /// A reshape that leaves placeholders alone.
    #[track_caller]
    fn reshape_like(&self, dims: Shape) -> Self {
        if self.graph().error().is_some() { self.clone() } else { self.reshape(dims) }
    }
}
