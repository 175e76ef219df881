//! The plans of matrix products.

use super::choice::{Variant, direct, software, tiled};
use super::problem::Problem;
use super::vector;
use crate::scalar::Epilogue;
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelPlan, RoutineShapes, constants};
use crate::tensor::DType;

/// All plans that the adapter can run, best guess first.
pub(super) fn plans(shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    let ([lhs, rhs], [ty]) = (shapes.inputs, shapes.outputs) else {
        return Err("takes two operands and gives one product".into());
    };
    if lhs.ty.dtype != DType::F32 || rhs.ty.dtype != DType::F32 {
        return Err(format!("computes in f32 on a GPU, not {}", lhs.ty.dtype));
    }
    let problem = Problem::new(lhs, rhs)?;
    if ty.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let whole;
    let epilogue = match shapes.epilogue {
        Some(epilogue) => epilogue,
        None => {
            whole = Epilogue::identity(DType::F32, &[problem.batch, problem.rows, problem.columns], [1, 2]);
            &whole
        }
    };
    let extents = problem.extents();
    let mut variants = software(extents, &[false, true], adapter);
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
    let mut plans = variants.iter().map(|variant| plan(&problem, variant, epilogue)).collect::<Result<Vec<_>, _>>()?;
    let mut vectors = vector::plans(&problem, epilogue, adapter)?;
    if adapter.is_software {
        plans.append(&mut vectors);
        return Ok(plans);
    }
    vectors.append(&mut plans);
    Ok(vectors)
}

/// One dispatch, or two where the inner dimension is split.
fn plan(problem: &Problem, variant: &Variant, epilogue: &Epilogue) -> Result<KernelPlan, String> {
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
        "{} {}x{}{}{}",
        variant.file,
        variant.tile[0],
        variant.tile[1],
        if variant.swapped { " swapped" } else { "" },
        if split { " split" } else { "" }
    );
    let outputs = if split { 1 } else { epilogue.expression.outputs.len() };
    let replaced = [("shared/tile", tile.as_str()), ("shared/finish", &finish.module)];
    let mut kernel = Kernel::composed(label, variant.file, &replaced, 2 + finish.inputs.len(), outputs)?;
    kernel.subgroups = variant.lanes > 0;
    let mut params = seen.params(variant.tile, variant.splits)?;
    params.extend(&finish.params);
    let operands = if variant.swapped { [1, 0] } else { [0, 1] };
    let mut bound: Vec<Bound> = operands.into_iter().map(Bound::Input).collect();
    if split {
        bound.push(Bound::Scratch(0));
    } else {
        bound.extend(finish.inputs.iter().map(|&input| Bound::Input(2 + input)));
        bound.extend((0..outputs).map(Bound::Output));
    }
    let workgroups = seen.extents().tiles(variant.tile) * variant.splits;
    let mut dispatches = vec![DispatchPlan { kernel, params, bound, workgroups }];
    let mut scratch = Vec::new();
    if split {
        scratch.push(4 * problem.len() * variant.splits);
        dispatches.push(sum(problem.len(), variant.splits, [problem.rows, problem.columns], epilogue)?);
    }
    Ok(KernelPlan { dispatches, scratch })
}

/// The second pass of a split product of so many elements, whose innermost axes are `matrix`.
pub(in crate::ops) fn sum(
    len: usize,
    splits: usize,
    matrix: [usize; 2],
    epilogue: &Epilogue,
) -> Result<DispatchPlan, String> {
    let finish = epilogue.emit(2);
    let outputs = epilogue.expression.outputs.len();
    let kernel = Kernel::composed(
        "matmul_sum",
        "matmul_sum",
        &[("shared/finish", &finish.module)],
        1 + finish.inputs.len(),
        outputs,
    )?;
    let mut params: Vec<u32> =
        [len, splits, matrix[0], matrix[1], 0, 0, 0].into_iter().map(|word| word as u32).collect();
    params.extend(&finish.params);
    let bound = std::iter::once(Bound::Scratch(0))
        .chain(finish.inputs.iter().map(|&input| Bound::Input(2 + input)))
        .chain((0..outputs).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups: len.div_ceil(64) })
}
