//! What the CPU itself can do, without the engine: multiplications with addition, and memory traffic, on all threads.

use crate::clock::Instant;
use std::hint::black_box;

use crate::parallel::each_chunk;
use crate::scalar::dispatch;

/// Registers of independent sums, so that one does not wait for another: more than latency times units of today's processors.
const SUMS: usize = 12;
/// Times that all sums are continued in a sample: some milliseconds.
const ROUNDS: usize = 1_500_000;

/// Floats of each of the three arrays: beyond any cache.
const LENGTH: usize = 16 << 20;

/// The number of attempts, of which the best counts.
const ATTEMPTS: usize = 3;

/// All threads of a processor: those that the CPU device uses, as new ones would first have to find a core each.
pub(super) struct Processor {
    threads: usize,
    arrays: [Vec<f32>; 3],
}

impl Processor {
    pub(super) fn new() -> Self {
        let array = |value: f32| vec![value; LENGTH];
        Self { threads: rayon::current_num_threads(), arrays: [array(0.0), array(1.0), array(2.0)] }
    }

    /// GFLOP/s of fused multiplications and additions in f32.
    pub(super) fn gflops_f32(&self) -> f64 {
        let mut lanes = 0;
        let best = best_of(|| {
            let counts = rayon::broadcast(|context| dispatch(Multiply(black_box(context.index() as f32))));
            lanes = counts.first().copied().unwrap_or_default();
        });
        (2 * SUMS * lanes * ROUNDS * self.threads) as f64 / best * 1e-9
    }

    /// GB/s of `a[i] = b[i] + s·c[i]`, counting two reads and a write (McCalpin's STREAM triad).
    pub(super) fn gbytes_per_s(&mut self) -> f64 {
        let part = LENGTH.div_ceil(self.threads.max(1));
        let scale = black_box(3.0_f32);
        let [a, b, c] = &mut self.arrays;
        let best = best_of(|| {
            each_chunk(a, part, true, |number, a| {
                let (b, c) = (&b[number * part..], &c[number * part..]);
                for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                    *a = *b + scale * *c;
                }
            });
            black_box(&a);
        });
        (3 * LENGTH * size_of::<f32>()) as f64 / best * 1e-9
    }
}

/// The chain of multiplications with addition, in the widest registers that the processor has; returns how many values one holds.
struct Multiply(f32);

impl pulp::WithSimd for Multiply {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> usize {
        let mut sums = [simd.splat_f32s(self.0); SUMS];
        let (factor, term) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(1e-3)));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        black_box(sums);
        S::F32_LANES
    }
}

fn best_of(mut work: impl FnMut()) -> f64 {
    let seconds = (0..ATTEMPTS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}
