//! Reductions of i64, which f64 does not hold: exact, and wrapping where a sum or product leaves the type.

use super::apply::lanes;
use super::evaluate::{ReduceDims, each_block, fold};
use super::reduction::Reduction;
use super::tape::{Source, Tape};

/// A running result: the value, and the index that it came from.
#[derive(Clone, Copy, Debug)]
struct Partial {
    value: i64,
    /// `None` before the first value.
    index: Option<i32>,
}

impl Partial {
    fn start(reduction: Reduction) -> Self {
        let value = match reduction {
            Reduction::Product => 1,
            Reduction::Max | Reduction::ArgMax => i64::MIN,
            Reduction::Min | Reduction::ArgMin => i64::MAX,
            // The last is for floats alone.
            Reduction::Sum | Reduction::LogSumExp => 0,
        };
        Self { value, index: None }
    }

    /// Joins what comes later in order; on equal values the earlier index stays.
    #[inline(always)]
    fn join(&mut self, reduction: Reduction, later: Self) {
        let first = self.index.is_none();
        match reduction {
            Reduction::Sum | Reduction::LogSumExp => self.value = self.value.wrapping_add(later.value),
            Reduction::Product => self.value = self.value.wrapping_mul(later.value),
            Reduction::Max => self.value = self.value.max(later.value),
            Reduction::Min => self.value = self.value.min(later.value),
            Reduction::ArgMax if first || later.value > self.value => *self = later,
            Reduction::ArgMin if first || later.value < self.value => *self = later,
            Reduction::ArgMax | Reduction::ArgMin => {}
        }
    }
}

/// As [`super::evaluate::reduce`], for values of i64.
pub(super) fn reduce(tape: &Tape, inputs: &[Source<'_>], reduction: Reduction, dims: ReduceDims) -> Vec<u64> {
    let inner = dims.inner;
    let unit = |outer: usize, first: usize, count: usize, partials: &mut [Partial]| {
        let len = count * inner;
        let start = (outer * dims.reduced + first) * inner;
        each_block(tape, inputs, start, len, |register, done, n| {
            for (k, &value) in lanes::<i64>(register, n).iter().enumerate() {
                let (row, column) = ((done + k) / inner, (done + k) % inner);
                partials[column].join(reduction, Partial { value, index: Some((first + row) as i32) });
            }
        });
    };
    let totals = fold(dims, Partial::start(reduction), unit, |total, later| total.join(reduction, later));
    let mut words = vec![0_u64; totals.len()];
    if matches!(reduction, Reduction::ArgMax | Reduction::ArgMin) {
        let indices = bytemuck::cast_slice_mut::<u64, i32>(&mut words).iter_mut();
        indices.zip(&totals).for_each(|(out, total)| *out = total.index.unwrap_or(0));
    } else {
        words.iter_mut().zip(&totals).for_each(|(out, total)| *out = total.value as u64);
    }
    words
}
