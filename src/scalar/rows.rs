//! Reductions of f32 that need no f64 for each value: sums, and the extremes and sums of exponentials of rows. In interleaved strands,
//! which a vector unit keeps apart; where a row is an input as it is stored, directly from there.

use super::apply::lanes;
use super::evaluate::{Partial, ReduceDims, each_block};
use super::real::Real;
use super::reduction::Reduction;
use super::tape::{Source, Tape};
use super::vector::{strands, vectorized};

/// Adds `count` elements of the reduced dimension from `first` on to the sums of all inner indices, for one outer index.
pub(super) fn sum_unit(
    tape: &Tape,
    inputs: &[Source<'_>],
    dims: ReduceDims,
    outer: usize,
    first: usize,
    count: usize,
    partials: &mut [f64],
) {
    let inner = dims.inner;
    let len = count * inner;
    let start = (outer * dims.reduced + first) * inner;
    if inner == 1
        && let Some(values) = tape.plain::<f32>(inputs, start, len)
    {
        partials[0] += vectorized(
            #[inline(always)]
            || sum(values),
        );
        return;
    }
    each_block(tape, inputs, start, len, |register, done, n| {
        let values = lanes::<f32>(register, n);
        vectorized(
            #[inline(always)]
            || {
                if inner == 1 {
                    partials[0] += sum(values);
                    return;
                }
                let mut k = 0;
                while k < n {
                    let column = (done + k) % inner;
                    let run = (inner - column).min(n - k);
                    let row = partials[column..column + run].iter_mut().zip(&values[k..k + run]);
                    row.for_each(|(partial, &value)| *partial += f64::from(value));
                    k += run;
                }
            },
        );
    });
}

/// The totals of rows of `length` points, from the point `start` on, where a row begins: one for each of `totals`.
pub(crate) fn fold_rows(
    tape: &Tape,
    inputs: &[Source<'_>],
    reduction: Reduction,
    start: usize,
    length: usize,
    totals: &mut [f32],
) {
    let mut row = 0;
    let mut column = 0;
    let mut total = Partial::start(reduction);
    each_block(tape, inputs, start, totals.len() * length, |register, _, n| {
        let values = lanes::<f32>(register, n);
        let mut done = 0;
        while done < n {
            let run = (length - column).min(n - done);
            let part = row_part(reduction, &values[done..done + run]);
            // A whole row is nobody's later part.
            if run == length {
                total = part
            } else {
                total.join(reduction, part)
            }
            done += run;
            column += run;
            if column == length {
                totals[row] = total.finish(reduction) as f32;
                (row, column, total) = (row + 1, 0, Partial::start(reduction));
            }
        }
    });
}

/// The sum of some of a row, in strands that a vector unit keeps apart.
#[inline(always)]
fn sum(values: &[f32]) -> f64 {
    let (sums, rest) = strands::<_, _, 32>(values, 0.0_f64, |sum, value| sum + f64::from(value));
    let rest: f64 = rest.iter().map(|&value| f64::from(value)).sum();
    sums.iter().sum::<f64>() + rest
}

/// The extreme, or the sum of exponentials, of the `len` points of a row from `start` on.
pub(super) fn row_unit(tape: &Tape, inputs: &[Source<'_>], reduction: Reduction, start: usize, len: usize) -> Partial {
    let mut total = Partial::start(reduction);
    if reduction != Reduction::LogSumExp
        && let Some(values) = tape.plain::<f32>(inputs, start, len)
    {
        total.join(reduction, row_part(reduction, values));
        return total;
    }
    each_block(tape, inputs, start, len, |register, _, n| {
        total.join(reduction, row_part(reduction, lanes::<f32>(register, n)));
    });
    total
}

fn row_part(reduction: Reduction, values: &[f32]) -> Partial {
    let single = |value: f64| Partial { value, extra: 0.0 };
    let extreme = |value: f32| single(f64::from(value));
    vectorized(
        #[inline(always)]
        || match reduction {
            Reduction::LogSumExp => log_sum_exp_block(values),
            Reduction::Max => extreme(folded(values, f32::NEG_INFINITY, Real::larger)),
            Reduction::Min => extreme(folded(values, f32::INFINITY, Real::smaller)),
            Reduction::Sum => single(sum(values)),
            Reduction::Product | Reduction::ArgMax | Reduction::ArgMin => {
                values.iter().fold(Partial::start(reduction), |mut total, &value| {
                    total.join(reduction, extreme(value));
                    total
                })
            }
        },
    )
}

/// The extreme of a block, in strands that a vector unit keeps apart: it is the same in any order.
#[inline(always)]
fn folded(values: &[f32], start: f32, pick: impl Fn(f32, f32) -> f32 + Copy) -> f32 {
    let (extremes, rest) = strands::<_, _, 32>(values, start, pick);
    let rest = rest.iter().fold(start, |a, &b| pick(a, b));
    extremes.into_iter().fold(rest, pick)
}

/// The largest value of a block, and the sum of exponentials relative to it.
#[inline(always)]
fn log_sum_exp_block(values: &[f32]) -> Partial {
    let top = folded(values, f32::NEG_INFINITY, Real::larger);
    let shift = if top.abs() == f32::INFINITY { 0.0 } else { top };
    if top == f32::NEG_INFINITY {
        return Partial { value: f64::NEG_INFINITY, extra: 0.0 };
    }
    let (sums, rest) = strands::<_, _, 32>(values, 0.0_f32, |sum, value| sum + Real::exp(value - shift));
    let rest: f32 = rest.iter().map(|&value| Real::exp(value - shift)).sum();
    let sum = sums.iter().sum::<f32>() + rest;
    Partial { value: f64::from(top), extra: f64::from(if top == f32::INFINITY { 1.0 } else { sum }) }
}
