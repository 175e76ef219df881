//! The plans of matrix products.

use super::choice::{Variant, direct, software, tiled};
use super::problem::Problem;
use super::vector;
use crate::scalar::Epilogue;
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelPlan, RoutineShapes, constants, module};
use crate::tensor::DType;

/// All plans that the adapter can run, best guess first.
pub(super) fn plans(row_sums: bool, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    let ([lhs, rhs], [ty, ..]) = (shapes.inputs, shapes.outputs) else {
        return Err("takes two operands and gives one product".into());
    };
    let dtype = lhs.ty.dtype;
    if rhs.ty.dtype != dtype || !matches!(dtype, DType::F32 | DType::I32 | DType::U32) {
        return Err(format!("computes in f32, i32 or u32 on a GPU, not {dtype}"));
    }
    let problem = Problem::new(lhs, rhs)?;
    if shapes.outputs.iter().all(|output| output.is_empty()) {
        return Ok(vec![KernelPlan::default()]);
    }
    if ty.is_empty() {
        return Err("has no columns, but rows to add up".into());
    }
    let whole;
    let epilogue = match shapes.epilogue {
        Some(epilogue) => epilogue,
        None => {
            whole = Epilogue::identity(dtype, &[problem.batch, problem.rows, problem.columns], [1, 2]);
            &whole
        }
    };
    if dtype != DType::F32 {
        return vector::whole(&problem, dtype, epilogue, adapter);
    }
    let extents = problem.extents();
    let orientations: &[bool] = if row_sums { &[false] } else { &[false, true] };
    let mut variants = software(extents, orientations, adapter);
    let mut others = tiled(extents, adapter);
    others.push(direct(extents, adapter));
    if adapter.is_software {
        // Where there are no subgroups, the caches of a processor do better than workgroup memory.
        others.rotate_right(1);
        variants.extend(others);
    } else {
        others.append(&mut variants);
        variants = others;
    }
    let mut plans =
        variants.iter().map(|variant| plan(&problem, variant, epilogue, row_sums)).collect::<Result<Vec<_>, _>>()?;
    let mut vectors = if row_sums { Vec::new() } else { vector::plans(&problem, epilogue, adapter)? };
    if adapter.is_software {
        plans.append(&mut vectors);
        return Ok(plans);
    }
    vectors.append(&mut plans);
    Ok(vectors)
}

/// One dispatch, or two where the inner dimension is split.
fn plan(problem: &Problem, variant: &Variant, epilogue: &Epilogue, row_sums: bool) -> Result<KernelPlan, String> {
    let seen = if variant.swapped { problem.swapped() } else { problem.clone() };
    let split = variant.splits > 1;
    let partial = Epilogue::identity(DType::F32, &[1, 1, problem.len()], [1, 2]);
    let finish = if split { &partial } else { epilogue }.emit(3);
    let tile = constants(
        &[
            ("BATCH_AXES", seen.batch_axes.len()),
            ("ROWS", variant.rows),
            ("COLUMNS", variant.columns),
            ("LANES", variant.lanes),
            ("TILE_ROWS", variant.tile[0]),
            ("TILE_COLUMNS", variant.tile[1]),
            ("TILE_INNER", variant.inner),
        ],
        &[
            ("SWAPPED", variant.swapped),
            ("LHS_ALONG_INNER", seen.lhs.column.abs() <= seen.lhs.row.abs()),
            ("RHS_ALONG_INNER", seen.rhs.row.abs() < seen.rhs.column.abs()),
        ],
    );
    let label = format!(
        "{} {}x{}{}{}{}",
        variant.file,
        variant.tile[0],
        variant.tile[1],
        if variant.swapped { " swapped" } else { "" },
        if row_sums { " with row sums" } else { "" },
        if split { " split" } else { "" }
    );
    let outputs = usize::from(row_sums) + if split { 1 } else { epilogue.expression.outputs.len() };
    let mut replaced = vec![("shared/tile", tile.as_str()), ("shared/finish", &finish.module)];
    if row_sums {
        replaced.push(("shared/row_sums", module("shared/row_sums_stored")?));
    }
    let mut kernel = Kernel::composed(label, variant.file, &replaced, 2 + finish.inputs.len(), outputs)?;
    kernel.subgroups = variant.lanes > 0;
    let mut params = seen.params(variant.tile, variant.splits)?;
    params.extend(&finish.params);
    let operands = if variant.swapped { [1, 0] } else { [0, 1] };
    let mut bound: Vec<Bound> = operands.into_iter().map(Bound::Input).collect();
    if split {
        bound.extend((0..outputs).map(Bound::Scratch));
    } else {
        bound.extend(finish.inputs.iter().map(|&input| Bound::Input(2 + input)));
        bound.extend((0..outputs).map(Bound::Output));
    }
    let workgroups = seen.extents().tiles(variant.tile) * variant.splits;
    let mut dispatches = vec![DispatchPlan { kernel, params, bound, workgroups }];
    let mut scratch = Vec::new();
    if split {
        scratch.push(4 * problem.len() * variant.splits);
        let mut second = sum(problem.len(), variant.splits, [problem.rows, problem.columns], epilogue, row_sums)?;
        if row_sums {
            let rows = problem.batch * problem.rows;
            scratch.push(4 * rows * variant.splits);
            second.workgroups = (problem.len() + rows).div_ceil(64);
        }
        dispatches.push(second);
    }
    Ok(KernelPlan { dispatches, scratch })
}

/// The second pass of a split product of so many elements, whose innermost axes are `matrix`. Where there are sums of rows, their
/// parts are the second scratch, and they the second result.
pub(in crate::ops) fn sum(
    len: usize,
    splits: usize,
    matrix: [usize; 2],
    epilogue: &Epilogue,
    row_sums: bool,
) -> Result<DispatchPlan, String> {
    let partials = 1 + usize::from(row_sums);
    let finish = epilogue.emit(1 + partials);
    let outputs = epilogue.expression.outputs.len() + usize::from(row_sums);
    let mut replaced = vec![("shared/finish", finish.module.as_str())];
    if row_sums {
        replaced.push(("shared/joined_rows", module("shared/joined_rows_stored")?));
    }
    let label = if row_sums { "matmul_sum with row sums" } else { "matmul_sum" };
    let kernel = Kernel::composed(label, "matmul_sum", &replaced, partials + finish.inputs.len(), outputs)?;
    let mut params: Vec<u32> =
        [len, splits, matrix[0], matrix[1], 0, 0, 0].into_iter().map(|word| word as u32).collect();
    params.extend(&finish.params);
    let bound = (0..partials)
        .map(Bound::Scratch)
        .chain(finish.inputs.iter().map(|&input| Bound::Input(2 + input)))
        .chain((0..outputs).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups: len.div_ceil(64) })
}
