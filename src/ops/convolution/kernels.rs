//! The plans of convolutions: the tiles of matrix products, with operands that are read through windows.

use super::problem::{Problem, Space, volume};
use super::{Convolution, Direction};
use crate::graph::GpuRoutine;
use crate::ops::matmul::access::{Access, is_read};
use crate::ops::matmul::choice::{Extents, Variant, software, software_candidates, splits, tiled, tiled_candidates};
use crate::ops::matmul::sum;
use crate::scalar::Epilogue;
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelPlan, Operand, RoutineShapes, constants, module};
use crate::tensor::DType;

/// All plans that the adapter can run, best guess first; for tuning, those that may be the fastest, more of them.
pub(super) fn plans(
    convolution: &Convolution,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    let ([first, second], [ty]) = (shapes.inputs, shapes.outputs) else {
        return Err("takes two operands and returns one result".into());
    };
    if !is_read(first.ty.dtype) || !is_read(second.ty.dtype) {
        return Err(format!("computes in f32 on a GPU, not {}", first.ty.dtype));
    }
    for operand in [first, second] {
        if !operand.ty.is_empty() && operand.at.range(operand.ty.shape.dims()).1 > i64::from(i32::MAX) {
            return Err(format!("operand {} is larger than 32-bit addresses reach", operand.ty));
        }
    }
    if ty.len() > i32::MAX as usize {
        return Err("the result is larger than 32-bit addresses reach".into());
    }
    if ty.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let operands: [&Operand; 2] = [first, second];
    let problem = Problem::new(convolution, &operands, ty)?;
    let rank = ty.shape.rank();
    let identity;
    let epilogue = match shapes.epilogue {
        Some(epilogue) => epilogue,
        None => {
            identity = Epilogue::identity(DType::F32, &ty.shape, [rank - 2, rank - 1]);
            &identity
        }
    };
    let stores_quads = convolution.stores_quads(ty);
    if epilogue.stores_halves() && !stores_quads {
        return Err(format!("does not store 16-bit floats of a result {}", ty.shape));
    }
    let work = Work {
        problem: &problem,
        stores_quads,
        len: ty.len(),
        matrix: [ty.shape[rank - 2], ty.shape[rank - 1]],
        epilogue,
    };
    let extents = work.extents();
    let mut variants = if tuning { candidates(extents, adapter) } else { variants(extents, adapter) };
    if epilogue.stores_halves() {
        variants.iter_mut().for_each(Variant::widen);
        variants.dedup();
    }
    variants.iter().map(|variant| work.plan(variant)).collect()
}

/// What fits, best guess first.
fn variants(extents: Extents, adapter: &Adapter) -> Vec<Variant> {
    let direct = direct(extents, adapter);
    let tiles: Vec<Variant> = tiled(extents, adapter);
    let mut variants = on_software(software(extents, &[false], adapter));
    if adapter.is_software {
        variants.push(direct);
        variants.extend(tiles);
        return variants;
    }
    // A tile's rows are wasted on groups of few channels.
    let few = extents.rows < 16;
    let mut others = tiles;
    others.insert(if few { 0 } else { others.len() }, direct);
    others.append(&mut variants);
    others
}

/// What may be the fastest, with the same best guess.
fn candidates(extents: Extents, adapter: &Adapter) -> Vec<Variant> {
    let best = variants(extents, adapter).into_iter().take(1);
    let directs = [[1, 1], [1, 2], [2, 2], [4, 1], [4, 2], [8, 2]];
    let directs = directs
        .into_iter()
        .filter(|[rows, _]| *rows < 2 * extents.rows)
        .map(|shape| direct_of(shape, extents, adapter))
        .chain([direct(extents, adapter)]);
    let mut found = on_software(software_candidates(extents, &[false], adapter));
    if !adapter.is_software {
        found = tiled_candidates(extents, adapter).into_iter().chain(found.into_iter().take(2)).collect();
    }
    best.chain(found).chain(directs).collect()
}

/// The file for convolutions instead of that for products.
fn on_software(mut variants: Vec<Variant>) -> Vec<Variant> {
    for variant in &mut variants {
        variant.file = "convolution_software";
    }
    variants
}

/// Without workgroup memory: a few rows, and columns along the invocations.
fn direct(extents: Extents, adapter: &Adapter) -> Variant {
    let rows = [1, 2, 4].into_iter().find(|&rows| rows >= extents.rows).unwrap_or(8);
    let columns = if extents.columns > 64 { 2 } else { 1 };
    direct_of([rows, columns], extents, adapter)
}

/// With these rows and columns an invocation.
fn direct_of([rows, columns]: [usize; 2], extents: Extents, adapter: &Adapter) -> Variant {
    let tile = [rows, 64 * columns];
    let splits = splits(extents, tile, rows, 64, 64, adapter);
    Variant { file: "convolution_direct", tile, inner: 0, rows, columns, lanes: 0, swapped: false, splits }
}

struct Work<'a> {
    problem: &'a Problem,
    /// Neighbouring columns are neighbours in the result, which has whole groups of four of them.
    stores_quads: bool,
    /// Elements of the result.
    len: usize,
    /// Its last two extents.
    matrix: [usize; 2],
    epilogue: &'a Epilogue,
}

impl Work<'_> {
    /// Elements of one phase, or windows.
    fn pixels(&self) -> Space {
        match self.problem.direction {
            Direction::Input => {
                std::array::from_fn(|axis| self.problem.input[axis].div_ceil(self.problem.stride[axis]))
            }
            Direction::Forward | Direction::Weight => self.problem.windows,
        }
    }

    fn extents(&self) -> Extents {
        let problem = self.problem;
        let pixels = problem.batch * volume(self.pixels());
        let taps: Space = std::array::from_fn(|axis| problem.kernel[axis].div_ceil(problem.tap_every()[axis]));
        let (columns, inner) = match problem.direction {
            Direction::Forward => (pixels, problem.in_channels * volume(taps)),
            Direction::Input => (pixels, problem.out_channels * volume(taps)),
            Direction::Weight => (problem.in_channels * volume(problem.kernel), pixels),
        };
        Extents { batch: problem.groups * volume(problem.phases()), rows: problem.rows(), columns, inner }
    }

    /// One dispatch, or two where the inner dimension is split.
    fn plan(&self, variant: &Variant) -> Result<KernelPlan, String> {
        let problem = self.problem;
        let split = variant.splits > 1;
        let partial = Epilogue::identity(DType::F32, &[1, 1, self.len], [1, 2]);
        let is_tiled = variant.inner > 0;
        let quads = problem.quads().filter(|_| is_tiled);
        let [source, other] = problem.operands;
        // Neighbours in memory: of a weight, taps of the kernel; of activations, pixels.
        let neighbours = [problem.direction != Direction::Input, problem.direction == Direction::Weight];
        let access = Access {
            stored: [other.stored, source.stored],
            along_inner: quads.unwrap_or(neighbours),
            reads_quads: quads.is_some(),
            reads_pairs: false,
            stores_quads: self.stores_quads && (is_tiled || self.epilogue.stores_halves()),
        };
        let finish = access.finish(if split { &partial } else { self.epilogue }, 3);
        let tile = constants(
            &[
                ("ROWS", variant.rows),
                ("COLUMNS", variant.columns),
                ("LANES", variant.lanes),
                ("TILE_ROWS", variant.tile[0]),
                ("TILE_COLUMNS", variant.tile[1]),
                ("TILE_INNER", variant.inner),
            ],
            &access.flags(),
        );
        let window = constants(
            &[("AXES", problem.axes)],
            &[
                ("TOWARD_INPUT", problem.direction == Direction::Input),
                ("TOWARD_WEIGHT", problem.direction == Direction::Weight),
                ("CHECKED", !problem.is_inside()),
                ("POINT", problem.is_point()),
            ],
        );
        let file = variant.file;
        let storing = module(if access.stores_quads {
            "shared/convolution_storing_quads"
        } else {
            "shared/convolution_storing"
        })?;
        let mut replaced = vec![
            ("shared/tile", tile.as_str()),
            ("shared/window", &window),
            ("shared/finish", &finish.module),
            ("shared/convolution_storing", storing),
            ("shared/storing", storing),
        ];
        replaced.extend(access.modules()?);
        if is_tiled {
            replaced.push(("shared/staging", module("shared/convolution_staging")?));
        }
        let label = format!(
            "{} {}x{}{}{}",
            file.replace("matmul", "convolution"),
            variant.tile[0],
            variant.tile[1],
            access.label(),
            if split { " split" } else { "" }
        );
        let outputs = if split { 1 } else { self.epilogue.expression.outputs.len() };
        let mut kernel = Kernel::composed(label, file, &replaced, 2 + finish.inputs.len(), outputs)?;
        kernel.subgroups = variant.lanes > 0;
        let mut params = self.params(variant, access.reads_quads)?;
        params.extend(&finish.params);
        let mut bound = vec![Bound::Input(1), Bound::Input(0)];
        if split {
            bound.push(Bound::Scratch(0));
        } else {
            bound.extend(finish.inputs.iter().map(|&input| Bound::Input(2 + input)));
            bound.extend((0..outputs).map(Bound::Output));
        }
        let workgroups = self.extents().tiles(variant.tile) * variant.splits;
        let mut dispatches = vec![DispatchPlan { kernel, params, bound, workgroups }];
        let mut scratch = Vec::new();
        if split {
            scratch.push(4 * self.len * variant.splits);
            dispatches.push(sum(self.len, variant.splits, self.matrix, 0, &access, self.epilogue)?);
        }
        Ok(KernelPlan { dispatches, scratch })
    }

    /// The parameters of `shared/convolution`, but for the grid's width and the epilogue's.
    fn params(&self, variant: &Variant, quads: bool) -> Result<Vec<u32>, String> {
        let (problem, extents) = (self.problem, self.extents());
        let [source, other] = problem.operands;
        // The left operand's addresses: by row, and by what is summed over beside the kernel's taps or the pixels.
        let (lhs_group, lhs_row, lhs_outer) = match problem.direction {
            Direction::Forward => (other.major * problem.out_channels as i64, other.major, other.minor),
            Direction::Input => (other.major * problem.out_channels as i64, other.minor, other.major),
            Direction::Weight => (other.minor * problem.out_channels as i64, other.minor, other.major),
        };
        let (outer, minor, channels) = match problem.direction {
            Direction::Forward => (problem.in_channels, problem.groups * problem.out_channels, problem.in_channels),
            Direction::Input => (problem.out_channels, problem.groups * problem.in_channels, problem.out_channels),
            Direction::Weight => (problem.batch, problem.in_channels, problem.in_channels),
        };
        let split_length = extents.inner.div_ceil(variant.splits);
        let mut words: Vec<i64> = [
            problem.groups,
            variant.splits,
            if quads { split_length.next_multiple_of(4) } else { split_length },
            extents.rows,
            extents.columns,
            outer,
            minor,
            extents.rows.div_ceil(variant.tile[0]),
            extents.columns.div_ceil(variant.tile[1]),
            self.len,
            0,
        ]
        .map(|word| word as i64)
        .to_vec();
        words.extend([other.offset, lhs_group, lhs_row, lhs_outer]);
        words.extend([source.offset, source.minor * channels as i64, source.major, source.minor]);
        for steps in [other.space, source.space] {
            words.extend(steps);
            words.push(0);
        }
        let spaces = [
            problem.stride,
            problem.dilation,
            problem.low,
            problem.kernel,
            problem.source(),
            self.pixels(),
            problem.result(),
            problem.phases(),
            problem.tap_every(),
        ];
        for space in spaces {
            words.extend(space.map(|number| number as i64));
            words.push(0);
        }
        words
            .into_iter()
            .map(|word| i32::try_from(word).map(|word| word as u32).map_err(|_| format!("{word} does not fit 32 bits")))
            .collect()
    }
}
