//! What the CPU itself can do, without the engine: multiplications with addition, and memory traffic, on all threads.

use std::hint::black_box;
use std::time::Instant;

/// Independent sums, so that one does not wait for another: more than latency times units of today's processors.
const SUMS: usize = 12;
/// Numbers of a sum: a 512-bit register.
const LANES: usize = 16;

/// Floats of each of the three arrays: beyond any cache.
const LENGTH: usize = 16 << 20;

/// The best of so many attempts is the limit.
const ATTEMPTS: usize = 4;

/// GFLOP/s of fused multiplications and additions in f32.
pub fn gflops_f32(threads: usize) -> f64 {
    const ROUNDS: usize = 400_000;
    let arch = pulp::Arch::new();
    let best = best_of(|| {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || black_box(arch.dispatch(|| multiply(black_box(thread as f32), ROUNDS))));
            }
        });
    });
    (2 * SUMS * LANES * ROUNDS * threads) as f64 / best * 1e-9
}

#[inline(always)]
fn multiply(start: f32, rounds: usize) -> f32 {
    let mut sums = [[start; LANES]; SUMS];
    let (factor, term) = (black_box(0.999_f32), black_box(1e-3_f32));
    for _ in 0..rounds {
        for sum in &mut sums {
            for lane in sum {
                *lane = lane.mul_add(factor, term);
            }
        }
    }
    sums.iter().flatten().sum()
}

/// `GB/s of a[i] = b[i] + s·c[i], counting two reads and a write (McCalpin's STREAM triad).`
pub fn gbytes_per_s(threads: usize) -> f64 {
    let (mut a, b, c) = (vec![0.0_f32; LENGTH], vec![1.0_f32; LENGTH], vec![2.0_f32; LENGTH]);
    let part = LENGTH.div_ceil(threads);
    let scale = black_box(3.0_f32);
    let best = best_of(|| {
        std::thread::scope(|scope| {
            for ((a, b), c) in a.chunks_mut(part).zip(b.chunks(part)).zip(c.chunks(part)) {
                scope.spawn(move || {
                    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                        *a = *b + scale * *c;
                    }
                });
            }
        });
        black_box(&a);
    });
    (3 * LENGTH * size_of::<f32>()) as f64 / best * 1e-9
}

fn best_of(mut work: impl FnMut()) -> f64 {
    work();
    let seconds = (0..ATTEMPTS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}
