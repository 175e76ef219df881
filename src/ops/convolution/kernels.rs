//! The plans of convolutions: products whose operands are read through windows.

use super::problem::{Problem, Space, volume};
use super::{Convolution, Direction};
use crate::graph::GpuRoutine;
use crate::ops::product::{
    Access, Algorithm, Extents, Family, Product, Source, Staged, Variant, direct, is_read, plan, software_candidates,
    tiled_candidates, variants, widen,
};
use crate::scalar::Epilogue;
use crate::shader::slot::{Blocks, ConvolutionConstants, Staging, Store};
use crate::shader::{Adapter, Composer, KernelFile, KernelPlan, Operand, RoutineShapes};
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
    if epilogue.stores_less_than_words() && !stores_quads {
        return Err(format!("does not store 16-bit floats of a result {}", ty.shape));
    }
    let matrix = [ty.shape[rank - 2], ty.shape[rank - 1]];
    let windows = Windows { problem: &problem, stores_quads, len: ty.len(), matrix };
    let extents = windows.extents();
    let halves = problem.operands.iter().all(|operand| operand.stored == DType::F16);
    let staged = Staged { offsets: OFFSETS, has_many_addresses: problem.quads().is_none(), halves };
    let mut chosen = if tuning { candidates(extents, staged, adapter) } else { guesses(extents, staged, adapter) };
    if epilogue.stores_less_than_words() {
        widen(&mut chosen);
    }
    chosen.iter().map(|variant| plan(&windows, variant, epilogue, adapter)).collect()
}

/// Invocations of a workgroup without workgroup memory, along rows and columns.
const THREADS: [usize; 2] = [1, 64];

/// Bytes of workgroup memory that say what an inner index adds to addresses, and where a column is.
const OFFSETS: [usize; 2] = [36, 16];

/// What fits, best guess first. Without workgroup memory an invocation has a few rows.
fn guesses(extents: Extents, staged: Staged, adapter: &Adapter) -> Vec<Variant> {
    let rows = [1, 2, 4].into_iter().find(|&rows| rows >= extents.rows).unwrap_or(8);
    let columns = if extents.columns > 64 { 2 } else { 1 };
    let direct = direct([rows, columns], THREADS, 64, extents, adapter);
    // A tile's rows are wasted on groups of few channels.
    variants(extents, &[false], direct, extents.rows < 16, staged, adapter)
}

/// What may be the fastest, with the same best guess.
fn candidates(extents: Extents, staged: Staged, adapter: &Adapter) -> Vec<Variant> {
    let guesses = guesses(extents, staged, adapter);
    let is_direct = |variant: &&Variant| matches!(variant.algorithm, Algorithm::Direct { .. });
    let directs = [[1, 1], [1, 2], [2, 2], [4, 1], [4, 2], [8, 2]]
        .into_iter()
        .filter(|[rows, _]| *rows < 2 * extents.rows)
        .map(|shape| direct(shape, THREADS, 64, extents, adapter))
        .chain(guesses.iter().find(is_direct).copied());
    let mut found = software_candidates(extents, &[false], adapter);
    if !adapter.is_software {
        found = tiled_candidates(extents, staged, adapter).into_iter().chain(found.into_iter().take(2)).collect();
    }
    guesses.iter().take(1).copied().chain(found).chain(directs).collect()
}

/// A weight, or the gradient of a result, and a source that is read through windows.
struct Windows<'a> {
    problem: &'a Problem,
    stores_quads: bool,
    /// Elements of the result.
    len: usize,
    /// Its last two extents.
    matrix: [usize; 2],
}

impl Windows<'_> {
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
}

static FAMILY: Family = Family {
    name: "convolution",
    direct: KernelFile::ConvolutionDirect,
    software: KernelFile::ConvolutionSoftware,
    staging: Staging::Convolution,
    blocks: Blocks::Convolution,
    store: [Store::Convolution, Store::ConvolutionQuads],
};

impl Source for Windows<'_> {
    fn product(&self) -> Product {
        let problem = self.problem;
        let [source, other] = problem.operands;
        Product {
            family: &FAMILY,
            extents: self.extents(),
            inputs: [1, 0],
            stored: [other.stored, source.stored],
            // Neighbours in memory: of a weight, taps of the kernel; of activations, pixels.
            along_inner: [problem.direction != Direction::Input, problem.direction == Direction::Weight],
            quads: problem.quads(),
            pairs: None,
            stores_quads: self.stores_quads,
            len: self.len,
            matrix: self.matrix,
            row_sums: 0,
        }
    }

    fn fill(&self, kernel: Composer, _: &Variant, _: &Access) -> Composer {
        let problem = self.problem;
        kernel.slot(ConvolutionConstants {
            axes: problem.axes,
            toward_input: problem.direction == Direction::Input,
            toward_weight: problem.direction == Direction::Weight,
            checked: !problem.is_inside(),
            point: problem.is_point(),
        })
    }

    /// As `family/convolution` has them.
    fn params(&self, [down, across]: [usize; 2], splits: usize, split_length: usize) -> Vec<i64> {
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
        let counts = [problem.groups, splits, split_length, extents.rows, extents.columns];
        let others = [outer, minor, down, across, self.len, 0];
        let mut words: Vec<i64> = counts.iter().chain(&others).map(|&word| word as i64).collect();
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
        words.extend([other.last, source.last, source.minor, 0]);
        words
    }
}
