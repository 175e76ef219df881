//! Loops compiled for the best vector instructions that the processor has.
//!
//! Such a loop must not depend on how a crate is divided into units of code, and whether those are optimised across each other: an
//! embedder decides that. So it goes over indices, or one slice; nested `zip`s, `fill`, and `map` and `from_fn` of arrays are generic
//! functions of their own, of one unit, and may stay calls from all others. Sums that should stay in registers are arrays of which every
//! index is a constant once loops over them are unrolled.

use super::instructions::dispatch;

/// Runs work within a function that may use them. The closure must be marked `#[inline(always)]`, and so must what it calls, down
/// to the loops.
///
/// [`pulp::Arch::dispatch`] takes closures too, but calls them as `FnOnce`: one that could be called more often gets there through a
/// shim, which is not inlined where it is large, and its loops are then compiled for the oldest processor of the architecture.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnMut() -> R) -> R {
    dispatch(Work(work))
}

/// The same with instructions that were chosen before: work that is called often, and by such work, would pay for choosing again.
#[inline(always)]
pub(crate) fn vectorized_by<S: pulp::Simd, R>(simd: S, work: impl FnMut() -> R) -> R {
    simd.vectorize(Work(work))
}

struct Work<F>(F);

impl<R, F: FnMut() -> R> pulp::WithSimd for Work<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}

/// Folds each chunk of `N` values into `N` strands, which a vector unit keeps apart; with the values that are left over.
///
/// Chunks are arrays, so that the compiler knows their length and keeps the strands in registers, however the crate is divided into
/// units of code.
#[inline(always)]
pub(crate) fn strands<T: Copy, A: Copy, const N: usize>(
    values: &[T],
    start: A,
    step: impl Fn(A, T) -> A,
) -> ([A; N], &[T]) {
    let (chunks, rest) = values.as_chunks::<N>();
    let mut strands = [start; N];
    for chunk in chunks {
        for lane in 0..N {
            strands[lane] = step(strands[lane], chunk[lane]);
        }
    }
    (strands, rest)
}

/// An array of at least one element, of each index: as `std::array::from_fn`, whose calls of the closure may stay calls.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "iterators may stay calls")]
pub(crate) fn array_of<T: Copy, const N: usize>(mut element: impl FnMut(usize) -> T) -> [T; N] {
    let mut elements = [element(0); N];
    for k in 1..N {
        elements[k] = element(k);
    }
    elements
}

/// Sets all elements to a value, as `slice::fill`, which is a function of its own, compiled for the oldest processor.
#[inline(always)]
pub(crate) fn set_all<T: Copy>(elements: &mut [T], value: T) {
    for element in elements {
        *element = value;
    }
}

/// Instructions that tests compile vectors for: those in use, those of an older processor, and none.
#[cfg(test)]
pub(crate) mod processors {
    use pulp::WithSimd;

    use super::super::instructions::Instructions;

    /// One of them.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) enum Processor {
        Best,
        Avx2,
        Scalar,
    }

    pub(crate) const ALL: [Processor; 3] = [Processor::Best, Processor::Avx2, Processor::Scalar];

    impl Processor {
        /// Runs work with its instructions, or fewer where this processor lacks them.
        pub(crate) fn run<W: WithSimd>(self, work: W) -> W::Output {
            match self {
                Self::Best => super::dispatch(work),
                Self::Avx2 => Instructions::Avx2.or_less().dispatch(work),
                Self::Scalar => Instructions::Scalar.or_less().dispatch(work),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strands_hold_every_full_chunk_and_leave_the_rest() {
        for len in [0, 1, 3, 4, 5, 11, 12] {
            let values: Vec<i32> = (1..=len).collect();
            let (sums, rest) = strands::<_, _, 4>(&values, 0, |sum, value| sum + value);
            let full = len / 4 * 4;
            let of = |lane: i32| (1..=full).filter(|value| (value - 1) % 4 == lane).sum::<i32>();
            assert_eq!((sums, rest.to_vec()), ([of(0), of(1), of(2), of(3)], (full + 1..=len).collect()), "{len}");
        }
    }

    #[test]
    fn an_array_has_the_element_of_each_index() {
        assert_eq!(array_of::<_, 1>(|k| k + 5), [5]);
        assert_eq!(array_of::<_, 4>(|k| k * k), [0, 1, 4, 9]);
    }
}
