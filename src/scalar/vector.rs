//! Loops compiled for the best vector instructions that the processor has.

/// Runs work within a function that may use them. The closure must be marked `#[inline(always)]`, and so must what it calls, down
/// to the loops.
///
/// [`pulp::Arch::dispatch`] takes closures too, but calls them as `FnOnce`: one that could be called more often gets there through a
/// shim, which is not inlined where it is large, and its loops are then compiled for the oldest processor of the architecture.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnMut() -> R) -> R {
    struct Work<F>(F);

    impl<R, F: FnMut() -> R> pulp::WithSimd for Work<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }

    pulp::Arch::new().dispatch(Work(work))
}
