//! The plans of matrix products.

use super::access::{Access, is_read};
use super::choice::{
    Extents, Variant, direct, direct_candidates, software, software_candidates, tiled, tiled_candidates,
};
use super::problem::Problem;
use super::vector;
use crate::scalar::Epilogue;
use crate::shader::slot::{
    DirectConstants, Finish, JoinedRows, PairConstants, ProductConstants, RowSums, SoftwareConstants, Staging, Store,
};
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::DType;

/// All plans that the adapter can run, best guess first; for tuning, those that may be the fastest, more of them.
pub(super) fn plans(
    row_sums: bool,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    let ([lhs, rhs], [ty, ..]) = (shapes.inputs, shapes.outputs) else {
        return Err("takes two operands and returns one product".into());
    };
    let dtype = lhs.ty.dtype.compute();
    let is_float = is_read(lhs.ty.dtype) && is_read(rhs.ty.dtype);
    if !is_float && (rhs.ty.dtype != dtype || !matches!(dtype, DType::I32 | DType::U32)) {
        return Err(format!("computes in f32, i32 or u32 on a GPU, not {dtype}"));
    }
    let problem = Problem::new(lhs, rhs)?;
    if shapes.outputs.iter().all(|output| output.is_empty()) {
        return Ok(vec![KernelPlan::default()]);
    }
    if ty.is_empty() {
        return Err("has no columns, but rows to add up".into());
    }
    let identity;
    let epilogue = match shapes.epilogue {
        Some(epilogue) => epilogue,
        None => {
            identity = Epilogue::identity(dtype, &[problem.batch, problem.rows, problem.columns], [1, 2]);
            &identity
        }
    };
    if !is_float {
        return vector::integer(&problem, dtype, epilogue, adapter, tuning);
    }
    let extents = problem.extents();
    let halves = epilogue.stores_halves();
    if halves && !problem.columns.is_multiple_of(4) {
        return Err(format!("does not store 16-bit floats in rows of {} elements", problem.columns));
    }
    let orientations: &[bool] = if row_sums || halves { &[false] } else { &[false, true] };
    let mut variants =
        if tuning { candidates(extents, orientations, adapter) } else { variants(extents, orientations, adapter) };
    if halves {
        variants.iter_mut().for_each(Variant::widen);
        variants.dedup();
    }
    let mut plans = variants
        .iter()
        .map(|variant| plan(&problem, variant, epilogue, row_sums, adapter))
        .collect::<Result<Vec<_>, _>>()?;
    let mut vectors = if row_sums || halves { Vec::new() } else { vector::plans(&problem, epilogue, adapter, tuning)? };
    if adapter.is_software {
        plans.append(&mut vectors);
        return Ok(plans);
    }
    vectors.append(&mut plans);
    Ok(vectors)
}

/// What fits, best guess first.
fn variants(extents: Extents, orientations: &[bool], adapter: &Adapter) -> Vec<Variant> {
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
    variants
}

/// Multiplications up to which tuning tries kernels without subgroups on software drivers that have them.
const SMALL_ON_SOFTWARE: usize = 1 << 20;

/// What may be the fastest, with the same best guess.
fn candidates(extents: Extents, orientations: &[bool], adapter: &Adapter) -> Vec<Variant> {
    let directs = direct_candidates(extents, adapter);
    if adapter.is_software {
        // Workgroup memory is slower there than anything else, and loads without subgroups take seconds where there are many.
        let mut found = software_candidates(extents, orientations, adapter);
        if found.is_empty() || extents.len() * extents.inner < SMALL_ON_SOFTWARE {
            found.extend(directs);
        }
        return found;
    }
    let tiles = tiled(extents, adapter).into_iter().chain(tiled_candidates(extents, adapter));
    tiles.chain(directs).chain(software(extents, orientations, adapter)).collect()
}

/// One dispatch, or two where the inner dimension is split.
fn plan(
    problem: &Problem,
    variant: &Variant,
    epilogue: &Epilogue,
    row_sums: bool,
    adapter: &Adapter,
) -> Result<KernelPlan, String> {
    let oriented = if variant.swapped { problem.swapped() } else { problem.clone() };
    let split = variant.splits > 1;
    let partial = Epilogue::identity(DType::F32, &[1, 1, problem.len()], [1, 2]);
    // Tiles are for real GPUs, where four neighbours cost no more to load than one.
    let is_tiled = variant.inner > 0;
    let quads = oriented.quads().filter(|_| is_tiled);
    // For a software driver the load is what costs, and one of 64 bits costs as much as one of 32.
    let pairs = oriented.pairs().filter(|&along_inner| {
        adapter.is_software
            && adapter.wide_integers
            && variant.lanes > 0
            && (along_inner || variant.columns.is_multiple_of(2))
    });
    let access = Access {
        stored: [oriented.lhs.stored, oriented.rhs.stored],
        along_inner: quads.unwrap_or([
            oriented.lhs.column.abs() <= oriented.lhs.row.abs(),
            pairs.unwrap_or(oriented.rhs.row.abs() < oriented.rhs.column.abs()),
        ]),
        reads_quads: quads.is_some(),
        reads_pairs: pairs.is_some(),
        stores_quads: (is_tiled || epilogue.stores_halves()) && problem.columns.is_multiple_of(4) && !variant.swapped,
    };
    let finish = access.finish(if split { &partial } else { epilogue }, 3);
    let label = format!(
        "{} {}x{}{}{}{}{}",
        variant.file.name(),
        variant.tile[0],
        variant.tile[1],
        access.label(),
        if variant.swapped { " swapped" } else { "" },
        if row_sums { " with row sums" } else { "" },
        if split { " split" } else { "" }
    );
    let outputs = usize::from(row_sums) + if split { 1 } else { epilogue.expression.outputs.len() };
    let constants = ProductConstants { batch_axes: oriented.batch_axes.len(), swapped: variant.swapped };
    let filled = Kernel::of(variant.file)
        .slot(constants)
        .slot(Finish(&finish.module))
        .slot(if access.stores_quads { Store::MatrixQuads } else { Store::Matrix })
        .slot(if row_sums { RowSums::Stored } else { RowSums::None });
    let filled = match variant.file {
        KernelFile::MatmulDirect => filled.slot(DirectConstants { rows: variant.rows, columns: variant.columns }),
        KernelFile::MatmulSoftware => {
            let Variant { rows, columns, lanes, .. } = *variant;
            filled
                .slot(SoftwareConstants { rows, columns, lanes })
                .slot(PairConstants { pairs: pairs.is_some(), along_columns: pairs == Some(false) })
        }
        _ => filled.slot(access.tiles(variant)).slot(access.load()).slot(Staging::Matrix),
    };
    let mut kernel = access.fill(filled).kernel(label, 2 + finish.inputs.len(), outputs)?;
    kernel.subgroups = variant.lanes > 0;
    let mut params = oriented.params(variant.tile, variant.splits, access.reads_quads || pairs == Some(true))?;
    params.extend(&finish.params);
    let operands = if variant.swapped { [1, 0] } else { [0, 1] };
    let mut bound: Vec<Bound> = operands.into_iter().map(Bound::Input).collect();
    if split {
        bound.extend((0..outputs).map(Bound::Scratch));
    } else {
        bound.extend(finish.inputs.iter().map(|&input| Bound::Input(2 + input)));
        bound.extend((0..outputs).map(Bound::Output));
    }
    let workgroups = oriented.extents().tiles(variant.tile) * variant.splits;
    let mut dispatches = vec![DispatchPlan { kernel, params, bound, workgroups }];
    let mut scratch = Vec::new();
    if split {
        scratch.push(4 * problem.len() * variant.splits);
        let rows = if row_sums { problem.batch * problem.rows } else { 0 };
        if row_sums {
            scratch.push(4 * rows * variant.splits);
        }
        let matrix = [problem.rows, problem.columns];
        dispatches.push(sum(problem.len(), variant.splits, matrix, rows, &access, epilogue)?);
    }
    Ok(KernelPlan { dispatches, scratch })
}

/// The second pass of a split product of `len` elements, whose innermost axes are `matrix`. Where there are sums of rows
/// (`row_sums` of them), their parts are the second scratch, and they are the second result.
pub(in crate::ops) fn sum(
    len: usize,
    splits: usize,
    matrix: [usize; 2],
    row_sums: usize,
    access: &Access,
    epilogue: &Epilogue,
) -> Result<DispatchPlan, String> {
    let partials = 1 + usize::from(row_sums > 0);
    let finish = access.finish(epilogue, 1 + partials);
    let outputs = epilogue.expression.outputs.len() + usize::from(row_sums > 0);
    let (file, lanes) = if access.stores_quads { (KernelFile::MatmulSumQuads, 4) } else { (KernelFile::MatmulSum, 1) };
    let filled = Kernel::of(file).slot(access.lanes()).slot(Finish(&finish.module)).slot(if row_sums > 0 {
        JoinedRows::Stored
    } else {
        JoinedRows::None
    });
    let name = file.name();
    let label = if row_sums > 0 { format!("{name} with row sums") } else { name.to_owned() };
    let kernel = filled.kernel(label, partials + finish.inputs.len(), outputs)?;
    let mut params: Vec<u32> =
        [len / lanes, splits, matrix[0], matrix[1] / lanes, 0, 0, 0].into_iter().map(|word| word as u32).collect();
    params.extend(&finish.params);
    let bound = (0..partials)
        .map(Bound::Scratch)
        .chain(finish.inputs.iter().map(|&input| Bound::Input(2 + input)))
        .chain((0..outputs).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups: (len / lanes + row_sums).div_ceil(64) })
}
