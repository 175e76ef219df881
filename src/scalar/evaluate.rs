//! Running expressions and reductions over whole tensors on the CPU's threads.
//!
//! The work is cut into pieces whose bounds depend on sizes alone, never on the number of threads, and partial results
//! are combined in order: the same bits every time.

use std::cell::RefCell;

use rayon::prelude::*;

use super::apply::lanes;
use super::expression::{ScalarExpr, ScalarNode};
use super::real::Real;
use super::reduction::Reduction;
use super::rows::{row_unit, sum_unit};
use super::tape::{BLOCK, Block, Scratch, Source, Tape, Views};
use super::vector::{strands, vectorized};
use crate::tensor::DType;

/// Points that one thread takes at a time.
pub(crate) const PIECE: usize = 8 * BLOCK;

/// Elements that are folded into each partial result, where there are many results.
const FOLDED: usize = 64;

/// Points times instructions from which threads pay: some tens of microseconds.
const PARALLEL_FROM: usize = 1 << 19;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Passes the thread's registers to `work`.
fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => work(&mut scratch),
        // Only where rayon runs another piece inside this one's wait.
        Err(_) => work(&mut Scratch::default()),
    })
}

/// Evaluates the `len` points from `start` on, one block after the other, and passes `work` the first output's elements of each, with the
/// number of points done before and in the block.
#[inline(always)]
pub(super) fn each_block(
    tape: &Tape,
    inputs: &[Source<'_>],
    start: usize,
    len: usize,
    mut work: impl FnMut(&[u8], usize, usize),
) {
    with_scratch(|scratch| {
        tape.prepare(scratch, inputs, len);
        let mut views = Views::default();
        let mut done = 0;
        while done < len {
            let n = BLOCK.min(len - done);
            let start = start + done;
            Block { tape, scratch, views: &mut views, inputs, outputs: &mut [], offset: 0, start, n }.run();
            work(tape.output(scratch, &views, 0), done, n);
            done += n;
        }
    });
}

/// Evaluates an expression at every point of its domain and writes each output, row-major.
pub(crate) fn map(tape: &Tape, inputs: &[Source<'_>], outputs: &mut [&mut [u8]]) {
    let len = tape.len();
    if len == 0 {
        return;
    }
    if len <= PIECE {
        map_piece(tape, inputs, outputs, 0, len);
        return;
    }
    let bytes = tape.output_dtypes().map(|dtype| PIECE * dtype.size());
    let pieces = divided(outputs, bytes, len.div_ceil(PIECE));
    each_piece(pieces.into_iter().enumerate().collect(), len * tape.instructions(), |(index, mut parts)| {
        let start = index * PIECE;
        map_piece(tape, inputs, &mut parts, start, PIECE.min(len - start));
    });
}

/// The parts of each of some pieces of outputs, of which a piece has so many bytes of each.
pub(crate) fn divided<'a>(
    outputs: &'a mut [&mut [u8]],
    bytes: impl Iterator<Item = usize>,
    count: usize,
) -> Vec<Vec<&'a mut [u8]>> {
    let mut pieces: Vec<Vec<&mut [u8]>> = (0..count).map(|_| Vec::with_capacity(outputs.len())).collect();
    for (output, bytes) in outputs.iter_mut().zip(bytes) {
        pieces.iter_mut().zip(output.chunks_mut(bytes)).for_each(|(piece, part)| piece.push(part));
    }
    pieces
}

/// Works on pieces, in parallel where all together are as much work, in points times instructions, as pays.
pub(crate) fn each_piece<T: Send>(pieces: Vec<T>, work: usize, run: impl Fn(T) + Sync + Send) {
    if work < PARALLEL_FROM {
        pieces.into_iter().for_each(run);
    } else {
        pieces.into_par_iter().for_each(run);
    }
}

/// The same for `len` points from `start` on, whose outputs are all of these slices.
pub(crate) fn map_piece(tape: &Tape, inputs: &[Source<'_>], outputs: &mut [&mut [u8]], start: usize, len: usize) {
    with_scratch(|scratch| {
        tape.prepare(scratch, inputs, len);
        let mut views = Views::default();
        let mut done = 0;
        while done < len {
            let n = BLOCK.min(len - done);
            Block { tape, scratch, views: &mut views, inputs, outputs, offset: done, start: start + done, n }.run();
            done += n;
        }
    });
}

/// Extents of a reduction's domain: `outer × reduced × inner`, where outer and inner are retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReduceDims {
    pub(crate) outer: usize,
    pub(crate) reduced: usize,
    pub(crate) inner: usize,
}

/// A running result: the value, and what else the reduction carries (a scaled sum, an index).
#[derive(Clone, Copy, Debug)]
pub(super) struct Partial {
    pub(super) value: f64,
    pub(super) extra: f64,
}

impl Partial {
    pub(super) fn start(reduction: Reduction) -> Self {
        let value = match reduction {
            Reduction::Sum => 0.0,
            Reduction::Product => 1.0,
            Reduction::Max | Reduction::ArgMax | Reduction::LogSumExp => f64::NEG_INFINITY,
            Reduction::Min | Reduction::ArgMin => f64::INFINITY,
        };
        Self { value, extra: 0.0 }
    }

    /// Joins what comes later in order; on equal values the earlier index stays.
    #[inline(always)]
    pub(super) fn join(&mut self, reduction: Reduction, later: Self) {
        match reduction {
            Reduction::Sum => self.value += later.value,
            Reduction::Product => self.value *= later.value,
            Reduction::Max => self.value = self.value.larger(later.value),
            Reduction::Min => self.value = self.value.smaller(later.value),
            Reduction::ArgMax if later.value > self.value || (later.value.is_nan() && !self.value.is_nan()) => {
                *self = later
            }
            Reduction::ArgMin if later.value < self.value || (later.value.is_nan() && !self.value.is_nan()) => {
                *self = later
            }
            Reduction::ArgMax | Reduction::ArgMin => {}
            Reduction::LogSumExp => {
                let top = self.value.larger(later.value);
                // Where all are −∞ (or one is +∞), the difference would be NaN.
                let scale =
                    |part: Self| if part.value == top { part.extra } else { part.extra * (part.value - top).exp() };
                *self = Self { value: top, extra: scale(*self) + scale(later) };
            }
        }
    }

    pub(super) fn finish(self, reduction: Reduction) -> f64 {
        match reduction {
            Reduction::ArgMax | Reduction::ArgMin => self.extra,
            Reduction::LogSumExp => self.value + self.extra.ln(),
            Reduction::Sum | Reduction::Product | Reduction::Max | Reduction::Min => self.value,
        }
    }
}

/// Reduces an expression over the middle of its domain; returns the results as bytes of the reduction's result type.
pub(crate) fn reduce(
    tape: &Tape,
    inputs: &[Source<'_>],
    dtype: DType,
    reduction: Reduction,
    dims: ReduceDims,
) -> Vec<u64> {
    if dtype == DType::I64 {
        return super::integer::reduce(tape, inputs, reduction, dims);
    }
    if dtype == DType::F32 && reduction == Reduction::Sum {
        let totals = fold(
            dims,
            0.0,
            |outer, first, count, partials: &mut [f64]| sum_unit(tape, inputs, dims, outer, first, count, partials),
            |total, later| *total += later,
        );
        let mut words = vec![0_u64; totals.len().div_ceil(2)];
        fill(&mut words, &totals, |value| value as f32);
        return words;
    }
    let totals = fold(
        dims,
        Partial::start(reduction),
        |outer, first, count, partials: &mut [Partial]| {
            reduce_unit(tape, inputs, dtype, reduction, dims, outer, first, count, partials);
        },
        |total, later| {
            if wraps(reduction, dtype) {
                total.value = wrapped(reduction, total.value, later.value as u32);
            } else {
                total.join(reduction, later);
            }
        },
    );
    let values: Vec<f64> = totals.into_iter().map(|total| total.finish(reduction)).collect();
    let mut words = vec![0_u64; values.len()];
    match reduction.result(dtype) {
        DType::F64 => bytemuck::cast_slice_mut(&mut words).copy_from_slice(&values),
        DType::I32 => fill(&mut words, &values, |value| value as i64 as i32),
        DType::U32 => fill(&mut words, &values, |value| value as i64 as u32),
        DType::Bool | DType::U8 => fill(&mut words, &values, |value| value as u8),
        _ => fill(&mut words, &values, |value| value as f32),
    }
    words
}

/// The running results of all outputs. `unit` folds a range of the reduced dimension (outer index, first, count) into those of the
/// inner indices, which begin as `start`; `join` adds what comes later in order.
pub(super) fn fold<P: Copy + Send + Sync>(
    dims: ReduceDims,
    start: P,
    unit: impl Fn(usize, usize, usize, &mut [P]) + Sync,
    join: impl Fn(&mut P, P),
) -> Vec<P> {
    let ReduceDims { outer, reduced, inner } = dims;
    // A unit is a chunk of the reduced dimension for one outer index; its bounds depend on sizes alone.
    // Long rows of results would leave more partial results than elements are folded into each.
    let chunk = (PIECE * 4 / inner.max(1)).max(FOLDED.min(reduced / 8)).clamp(1, reduced.max(1));
    let chunks = reduced.div_ceil(chunk).max(1);
    let units = outer * chunks;
    let run_unit = |index: usize, partials: &mut [P]| {
        let (outer, first) = (index / chunks, (index % chunks) * chunk);
        unit(outer, first, chunk.min(reduced - first.min(reduced)), partials);
    };
    let mut partials = vec![start; units * inner];
    if inner > 0 {
        let group = (PIECE / (chunk * inner).max(1)).max(1);
        if units <= group {
            partials.chunks_mut(inner).enumerate().for_each(|(unit, out)| run_unit(unit, out));
        } else {
            partials.par_chunks_mut(inner * group).enumerate().for_each(|(index, out)| {
                out.chunks_mut(inner).enumerate().for_each(|(k, out)| run_unit(index * group + k, out));
            });
        }
    }
    if chunks == 1 {
        return partials;
    }
    let mut totals = Vec::with_capacity(outer * inner);
    for index in 0..outer {
        let of_index = &partials[index * chunks * inner..(index + 1) * chunks * inner];
        let (first, later) = of_index.split_at(inner);
        totals.extend_from_slice(first);
        let begin = totals.len() - inner;
        for row in later.chunks(inner.max(1)) {
            totals[begin..].iter_mut().zip(row).for_each(|(total, &later)| join(total, later));
        }
    }
    totals
}

/// True for sums and products of integers, which wrap as a GPU's do. Their partial values are words, held as f64.
fn wraps(reduction: Reduction, dtype: DType) -> bool {
    matches!(reduction, Reduction::Sum | Reduction::Product) && matches!(dtype, DType::I32 | DType::U32)
}

#[inline(always)]
fn wrapped(reduction: Reduction, total: f64, word: u32) -> f64 {
    let total = total as u32;
    f64::from(if reduction == Reduction::Sum { total.wrapping_add(word) } else { total.wrapping_mul(word) })
}

fn fill<T: bytemuck::Pod>(words: &mut [u64], values: &[f64], convert: impl Fn(f64) -> T) {
    for (out, &value) in bytemuck::cast_slice_mut::<u64, T>(words).iter_mut().zip(values) {
        *out = convert(value);
    }
}

/// Reduces `count` elements of the reduced dimension from `first` on, for one outer index and all inner ones.
#[allow(clippy::too_many_arguments, reason = "one call, from the function above")]
fn reduce_unit(
    tape: &Tape,
    inputs: &[Source<'_>],
    dtype: DType,
    reduction: Reduction,
    dims: ReduceDims,
    outer: usize,
    first: usize,
    count: usize,
    partials: &mut [Partial],
) {
    let inner = dims.inner;
    let len = count * inner;
    let start = (outer * dims.reduced + first) * inner;
    let row = matches!(reduction, Reduction::LogSumExp | Reduction::Max | Reduction::Min);
    if row && inner == 1 && dtype == DType::F32 {
        partials[0].join(reduction, row_unit(tape, inputs, reduction, start, len));
        return;
    }
    let mut wide = [0.0_f64; BLOCK];
    each_block(tape, inputs, start, len, |register, done, n| {
        vectorized(
            #[inline(always)]
            || {
                if wraps(reduction, dtype) {
                    for (k, &word) in lanes::<u32>(register, n).iter().enumerate() {
                        let partial = &mut partials[(done + k) % inner];
                        partial.value = wrapped(reduction, partial.value, word);
                    }
                    return;
                }
                let values = &mut wide[..n];
                match dtype {
                    DType::F64 => values.copy_from_slice(lanes(register, n)),
                    DType::I32 => widen::<i32>(values, register, f64::from),
                    DType::U32 | DType::Bool | DType::U8 => widen::<u32>(values, register, f64::from),
                    _ => widen::<f32>(values, register, f64::from),
                }
                if inner == 1 {
                    partials[0].join(reduction, row_block(reduction, values, first + done));
                    return;
                }
                let mut k = 0;
                while k < n {
                    let column = (done + k) % inner;
                    let run = (inner - column).min(n - k);
                    let index = (first + (done + k) / inner) as f64;
                    columns(reduction, &mut partials[column..column + run], &values[k..k + run], index);
                    k += run;
                }
            },
        );
    });
}

#[inline(always)]
fn widen<T: bytemuck::Pod>(values: &mut [f64], register: &[u8], convert: impl Fn(T) -> f64) {
    let n = values.len();
    for (out, &value) in values.iter_mut().zip(lanes::<T>(register, n)) {
        *out = convert(value);
    }
}

/// One block of a row, in eight interleaved strands that a vector unit keeps apart.
#[inline(always)]
fn row_block(reduction: Reduction, values: &[f64], first: usize) -> Partial {
    let mut total = Partial::start(reduction);
    match reduction {
        Reduction::Sum => {
            let (sums, rest) = strands::<_, _, 8>(values, 0.0, |sum, value| sum + value);
            total.value = sums.iter().sum::<f64>() + rest.iter().sum::<f64>();
        }
        Reduction::ArgMax | Reduction::ArgMin => {
            for (k, &value) in values.iter().enumerate() {
                // The first element always wins over the start value, also where it is the same infinity.
                let part = Partial { value, extra: (first + k) as f64 };
                if k == 0 {
                    total = part;
                } else {
                    total.join(reduction, part);
                }
            }
        }
        Reduction::LogSumExp => {
            values.iter().for_each(|&value| total.join(reduction, Partial { value, extra: 1.0 }));
        }
        Reduction::Product | Reduction::Max | Reduction::Min => {
            values.iter().for_each(|&value| total.join(reduction, Partial { value, extra: 0.0 }));
        }
    }
    total
}

/// One row of a column reduction: each value joins its column.
#[inline(always)]
fn columns(reduction: Reduction, partials: &mut [Partial], values: &[f64], index: f64) {
    match reduction {
        Reduction::Sum => partials.iter_mut().zip(values).for_each(|(partial, value)| partial.value += value),
        Reduction::ArgMax | Reduction::ArgMin => {
            for (partial, &value) in partials.iter_mut().zip(values) {
                partial.join(reduction, Partial { value, extra: index });
            }
        }
        Reduction::Product | Reduction::Max | Reduction::Min | Reduction::LogSumExp => {
            for (partial, &value) in partials.iter_mut().zip(values) {
                partial.join(reduction, Partial { value, extra: 1.0 });
            }
        }
    }
}

/// An epilogue as an expression of its own: the accumulator becomes one more input, read row-major along the first `rank`
/// dimensions and broadcast along the others.
pub(crate) fn accumulator_as_input(epilogue: &ScalarExpr, dtype: DType, rank: usize) -> ScalarExpr {
    accumulators_as_inputs(epilogue, &[dtype], rank)
}

/// The same of several accumulators, of these types.
pub(crate) fn accumulators_as_inputs(epilogue: &ScalarExpr, types: &[DType], rank: usize) -> ScalarExpr {
    let mut expression = epilogue.clone();
    let first = expression.inputs.len();
    expression.inputs.extend(types);
    let mut at = super::affine::Affine::row_major(&expression.dims[..rank]);
    at.strides.resize(expression.dims.len(), 0);
    for node in &mut expression.nodes {
        if let ScalarNode::Accumulator(number) = node {
            *node = ScalarNode::Load { input: first + *number, at: at.clone() };
        }
    }
    expression
}
