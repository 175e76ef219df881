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

/// Instructions that tests compile vectors for: the best ones, those of an older processor, and none.
#[cfg(test)]
pub(crate) mod processors {
    use pulp::WithSimd;

    /// One of them.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) enum Processor {
        Best,
        Avx2,
        Scalar,
    }

    pub(crate) const ALL: [Processor; 3] = [Processor::Best, Processor::Avx2, Processor::Scalar];

    impl Processor {
        /// Runs work with its instructions, or with the best ones where this processor lacks them.
        pub(crate) fn run<W: WithSimd>(self, work: W) -> W::Output {
            match self {
                Self::Best => pulp::Arch::new().dispatch(work),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => match pulp::x86::V3::try_new() {
                    Some(simd) => pulp::Simd::vectorize(simd, work),
                    None => pulp::Arch::new().dispatch(work),
                },
                #[cfg(not(target_arch = "x86_64"))]
                Self::Avx2 => pulp::Arch::new().dispatch(work),
                Self::Scalar => work.with_simd(pulp::Scalar::new()),
            }
        }
    }
}
