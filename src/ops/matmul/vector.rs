//! Products of a matrix and a vector: reductions of products of elements, which is what their kernels are.

use super::problem::Problem;
use crate::scalar::{Affine, Builder, Epilogue, Reduction};
use crate::shader::{Adapter, KernelPlan, reduce_candidates, reduce_plans};
use crate::tensor::DType;

/// Plans where one side is a vector; none elsewhere.
pub(super) fn plans(
    problem: &Problem,
    epilogue: &Epilogue,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    let is_row = problem.extents.rows == 1;
    if (!is_row && problem.extents.columns != 1) || problem.extents.inner == 0 {
        return Ok(Vec::new());
    }
    // Results are outside the reduced range where they are rows, inside where they are columns.
    let mut dims: Vec<usize> = problem.batch_axes.iter().map(|&(extent, _)| extent).collect();
    let batch = dims.len();
    let borders = if is_row {
        dims.extend([problem.extents.inner, problem.extents.columns]);
        [batch, batch + 1]
    } else {
        dims.extend([problem.extents.rows, problem.extents.inner]);
        [batch + 1, batch + 2]
    };
    let at = |side: usize| {
        let matrices = if side == 0 { problem.lhs } else { problem.rhs };
        let mut strides: Vec<i64> = problem.batch_axes.iter().map(|(_, strides)| strides[side]).collect();
        strides.extend(match (is_row, side) {
            (true, 0) => [matrices.column, 0],
            (true, _) | (false, 0) => [matrices.row, matrices.column],
            (false, _) => [0, matrices.row],
        });
        Affine::new(matrices.offset, strides)
    };
    let mut builder = Builder::new(DType::F32);
    let stored = vec![problem.lhs.stored, problem.rhs.stored];
    let (lhs, rhs) = (builder.load(0, stored[0], at(0)), builder.load(1, stored[1], at(1)));
    let product = builder.mul(lhs, rhs);
    let expression = builder.finish(dims, stored, vec![(product, DType::F32)]);
    let (expression, borders) = expression.collapsed(&borders);
    // The reduction's indices are outer and inner ones: rows count to the former, columns to the latter.
    let [rows, columns] = epilogue.borders;
    let epilogue = Epilogue {
        expression: epilogue.expression.clone(),
        borders: if is_row { [rows, columns] } else { [columns, columns] },
    };
    let plans = if tuning { reduce_candidates } else { reduce_plans };
    plans(&expression, [borders[0], borders[1]], Reduction::Sum, &epilogue, adapter)
}

/// Plans of a product of integers: the same reduction whatever the extents, over rows and columns at once.
pub(super) fn integer(
    problem: &Problem,
    dtype: DType,
    epilogue: &Epilogue,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    let mut dims: Vec<usize> = problem.batch_axes.iter().map(|&(extent, _)| extent).collect();
    let batch = dims.len();
    dims.extend([problem.extents.rows, problem.extents.inner, problem.extents.columns]);
    let at = |side: usize| {
        let matrices = if side == 0 { problem.lhs } else { problem.rhs };
        let mut strides: Vec<i64> = problem.batch_axes.iter().map(|(_, strides)| strides[side]).collect();
        strides.extend(if side == 0 { [matrices.row, matrices.column, 0] } else { [0, matrices.row, matrices.column] });
        Affine::new(matrices.offset, strides)
    };
    let mut builder = Builder::new(DType::F32);
    let (lhs, rhs) = (builder.load(0, dtype, at(0)), builder.load(1, dtype, at(1)));
    let product = builder.mul(lhs, rhs);
    let expression = builder.finish(dims, vec![dtype; 2], vec![(product, dtype)]);
    let (expression, borders) = expression.collapsed(&[batch + 1, batch + 2]);
    let columns = epilogue.borders[1];
    let epilogue = Epilogue { expression: epilogue.expression.clone(), borders: [columns, columns] };
    let plans = if tuning { reduce_candidates } else { reduce_plans };
    plans(&expression, [borders[0], borders[1]], Reduction::Sum, &epilogue, adapter)
}
