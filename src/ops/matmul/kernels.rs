//! Choice of matmul kernels: which tile, which orientation, how many splits of the inner dimension.

use super::problem::Problem;
use super::vector;
use crate::scalar::Epilogue;
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelPlan, RoutineShapes, constants};
use crate::tensor::DType;

/// A kernel file with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Variant {
    file: &'static str,
    /// Rows and columns of the product that a workgroup computes.
    tile: [usize; 2],
    /// Inner places that are in workgroup memory at once; 0 where the kernel does without.
    inner: usize,
    /// Elements that an invocation computes, where the kernel does not fix them.
    rows: usize,
    columns: usize,
    /// Invocations of a subgroup that the kernel relies on; 0 where it relies on none.
    lanes: usize,
    /// True where the operands are exchanged, so that the product's rows are the kernel's columns.
    swapped: bool,
    /// Stretches of the inner dimension.
    splits: usize,
}

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
    let mut variants = software(&problem, adapter);
    let mut others = tiled(&problem, adapter);
    others.push(direct(&problem, adapter));
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

/// Without workgroup memory.
fn direct(problem: &Problem, adapter: &Adapter) -> Variant {
    let tile = [32, 32];
    let splits = splits(problem, tile, 32, 64, adapter);
    Variant { file: "matmul_direct", tile, inner: 0, rows: 4, columns: 4, lanes: 0, swapped: false, splits }
}

/// The kernels with tiles in workgroup memory, by a rough model of a GPU: so many workgroups at a time, each as fast as its
/// tile's reuse allows.
fn tiled(problem: &Problem, adapter: &Adapter) -> Vec<Variant> {
    // Tile, inner places, speed of a full GPU relative to the largest tile, workgroups that fill one.
    const TILES: [(&str, usize, usize, f64, usize); 3] =
        [("matmul", 128, 16, 1.0, 128), ("matmul", 64, 8, 0.75, 256), ("matmul_small", 32, 16, 0.4, 512)];
    // Multiplications in whose time a second pass is dispatched, and an element of a partial product written and read.
    const SECOND_PASS: f64 = 2.0e7;
    const PARTIAL: f64 = 40.0;
    let mut candidates = Vec::new();
    for (file, extent, inner, speed, full) in TILES {
        let fits = adapter.limits.workgroup_bytes >= 8 * extent * inner && adapter.limits.workgroup_invocations >= 256;
        if !fits {
            continue;
        }
        let tile = [extent, extent];
        let tiles = problem.tiles(tile);
        let mut choices = vec![splits(problem, tile, 0, 1, adapter), splits(problem, tile, full, 128, adapter)];
        choices.dedup();
        for splits in choices {
            let stretch = problem.inner.div_ceil(splits) + 2 * inner;
            let waves = (tiles * splits).div_ceil(full) * full;
            let mut cost = (waves * extent * extent * stretch) as f64 / speed;
            if splits > 1 {
                cost += SECOND_PASS + PARTIAL * (problem.len() * splits) as f64;
            }
            let variant = Variant { file, tile, inner, rows: 0, columns: 0, lanes: 0, swapped: false, splits };
            candidates.push((cost, variant));
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    candidates.into_iter().map(|(_, variant)| variant).collect()
}

/// Stretches of the inner dimension that make about `wanted` workgroups, none shorter than `shortest`.
fn splits(problem: &Problem, tile: [usize; 2], wanted: usize, shortest: usize, adapter: &Adapter) -> usize {
    let tiles = problem.tiles(tile);
    let least = problem.inner.div_ceil(adapter.most_iterations()).max(1);
    if tiles * 2 > wanted {
        return least;
    }
    // Partial products must fit a binding.
    let most = usize::try_from(adapter.limits.binding_bytes).unwrap_or(usize::MAX) / (4 * problem.len());
    wanted.div_ceil(tiles).min(problem.inner / shortest).min(most).max(least)
}

/// The kernel for software drivers, by what its parts cost there (nanoseconds for a vector of lanes, measured on lavapipe).
fn software(problem: &Problem, adapter: &Adapter) -> Vec<Variant> {
    const LOAD: f64 = 9.0;
    const MULTIPLY: f64 = 0.45;
    const SHUFFLE: f64 = 0.6;
    const WORKGROUP: f64 = 600.0;
    // Threads that the work should be spread over, without knowing how many there are.
    const THREADS: usize = 8;
    // The largest tile takes the driver a second to compile; it must have something to win.
    const LARGE_FROM: usize = 1 << 26;
    let Some((smallest, largest)) = adapter.subgroups else { return Vec::new() };
    if smallest != largest || largest > 64 {
        return Vec::new();
    }
    let lanes = largest as usize;
    let mut candidates = Vec::new();
    for swapped in [false, true] {
        let seen = if swapped { problem.swapped() } else { problem.clone() };
        for (rows, columns) in [(32, 8), (32, 4), (16, 4), (8, 4), (4, 4), (2, 4), (1, 4), (1, 1)] {
            let tile = [rows, lanes * columns];
            let tiles = seen.tiles(tile);
            if rows * columns > 128 && problem.batch * problem.rows * problem.columns * problem.inner < LARGE_FROM {
                continue;
            }
            let splits = splits(&seen, tile, THREADS, 128, adapter);
            let step = (columns as f64 + rows as f64 / lanes as f64) * LOAD
                + rows as f64 * (SHUFFLE + columns as f64 * MULTIPLY);
            let workgroup = WORKGROUP + seen.inner.div_ceil(splits) as f64 * step;
            // A second pass costs a dispatch.
            let second = if splits > 1 { 30_000.0 } else { 0.0 };
            let cost = (tiles * splits).div_ceil(THREADS) as f64 * workgroup + second;
            candidates.push((
                cost,
                Variant { file: "matmul_software", tile, inner: 0, rows, columns, lanes, swapped, splits },
            ));
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut chosen: Vec<Variant> = candidates.iter().take(1).map(|(_, variant)| *variant).collect();
    // For tuning and checks: the best of the other orientation, and one that is not split or is.
    if let Some(first) = chosen.first().copied() {
        let others: [&dyn Fn(&Variant) -> bool; 2] =
            [&|other| other.swapped != first.swapped, &|other| (other.splits > 1) != (first.splits > 1)];
        for wanted in others {
            chosen.extend(candidates.iter().map(|(_, variant)| variant).find(|variant| wanted(variant)));
        }
        chosen.dedup();
    }
    chosen
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
    let workgroups = seen.tiles(variant.tile) * variant.splits;
    let mut dispatches = vec![DispatchPlan { kernel, params, bound, workgroups }];
    let mut scratch = Vec::new();
    if split {
        scratch.push(4 * problem.len() * variant.splits);
        dispatches.push(sum(problem, variant.splits, epilogue)?);
    }
    Ok(KernelPlan { dispatches, scratch })
}

/// The second pass of a split product.
fn sum(problem: &Problem, splits: usize, epilogue: &Epilogue) -> Result<DispatchPlan, String> {
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
        [problem.len(), splits, problem.rows, problem.columns, 0, 0, 0].into_iter().map(|word| word as u32).collect();
    params.extend(&finish.params);
    let bound = std::iter::once(Bound::Scratch(0))
        .chain(finish.inputs.iter().map(|&input| Bound::Input(2 + input)))
        .chain((0..outputs).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups: problem.len().div_ceil(64) })
}
