//! Counter-based random numbers: Threefry-2x32 with 20 rounds, and a host stream made of it.
//!
//! A counter-based generator is a pure function from (key, counter) to 64 random bits. There is no state to carry from
//! one number to the next, so a GPU's thousand threads and the host compute the same numbers in any order, and a
//! checkpoint keeps a position in sixteen bytes. `shaders/shared/random.wgsl` is this file's twin.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), and their library
//! Random123, whose known answers the tests below repeat.

use std::f64::consts::TAU;

/// Bits by which the second word is rotated to the left in each round; the eight repeat.
pub const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];

/// The Skein key schedule's parity word: it keeps an all-zero key from giving an all-zero schedule.
pub const KEY_PARITY: u32 = 0x1BD1_1BDA;

/// 64 random bits for `counter` under `key`: Threefry-2x32 with 20 rounds, as `threefry2x32` in Random123.
///
/// ```
/// use wgrad::scalar::threefry::threefry2x32;
/// assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
/// ```
pub const fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let schedule = [key[0], key[1], KEY_PARITY ^ key[0] ^ key[1]];
    let mut low = counter[0].wrapping_add(schedule[0]);
    let mut high = counter[1].wrapping_add(schedule[1]);
    let mut group = 0;
    while group < 5 {
        let mut round = 0;
        while round < 4 {
            low = low.wrapping_add(high);
            high = high.rotate_left(ROTATIONS[(group % 2) * 4 + round]) ^ low;
            round += 1;
        }
        // After every four rounds the next two words of the schedule go in, with the number of the injection.
        group += 1;
        low = low.wrapping_add(schedule[group % 3]);
        high = high.wrapping_add(schedule[(group + 1) % 3]).wrapping_add(group as u32);
    }
    [low, high]
}

/// The key of a sub-stream: as unrelated to `key`, and to those of other `data`, as the generator can make it.
///
/// One seed thus serves many purposes (initial weights, order of epoch 7, dropout of layer 3) without overlap.
pub const fn fold(key: [u32; 2], data: u32) -> [u32; 2] {
    // The second word marks the counter as one of derivation: a stream's own counters begin at 0 and never get there.
    threefry2x32(key, [data, u32::MAX])
}

/// The key of a seed.
pub const fn key_of_seed(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The 24 high bits as a number in [0, 1): multiples of 2^-24, each of which f32 holds exactly.
pub const fn unit_f32(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A stream of random numbers on the host. The same key gives the same stream on every machine.
///
/// ```
/// use wgrad::scalar::threefry::HostRandom;
/// let mut random = HostRandom::new(42);
/// let order = random.permutation(5);
/// assert_eq!(HostRandom::new(42).permutation(5), order);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRandom {
    key: [u32; 2],
    /// Number of the next word of 32 bits; every block of the generator gives two.
    counter: u64,
}

impl HostRandom {
    /// The stream of a seed, at its beginning.
    pub const fn new(seed: u64) -> Self {
        Self::from_key(key_of_seed(seed))
    }

    /// The stream of a key, at its beginning.
    pub const fn from_key(key: [u32; 2]) -> Self {
        Self { key, counter: 0 }
    }

    /// The sub-stream for `data`, at its beginning. It depends on the key alone, not on how far this stream has gone.
    pub const fn fold(&self, data: u32) -> Self {
        Self::from_key(fold(self.key, data))
    }

    /// The key.
    pub const fn key(&self) -> [u32; 2] {
        self.key
    }

    /// Key and position, for a checkpoint.
    pub const fn state(&self) -> [u32; 4] {
        [self.key[0], self.key[1], self.counter as u32, (self.counter >> 32) as u32]
    }

    /// The stream that [`state`](Self::state) described, at the same position.
    pub const fn from_state(state: [u32; 4]) -> Self {
        Self { key: [state[0], state[1]], counter: state[2] as u64 | (state[3] as u64) << 32 }
    }

    /// 32 random bits.
    pub const fn u32(&mut self) -> u32 {
        let block = self.counter / 2;
        let words = threefry2x32(self.key, [block as u32, (block >> 32) as u32]);
        let word = words[(self.counter % 2) as usize];
        self.counter = self.counter.wrapping_add(1);
        word
    }

    /// 64 random bits: the next two words, the first of them the low one.
    pub const fn u64(&mut self) -> u64 {
        let low = self.u32() as u64;
        low | (self.u32() as u64) << 32
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    pub const fn uniform_f32(&mut self) -> f32 {
        unit_f32(self.u32())
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub const fn uniform_f64(&mut self) -> f64 {
        (self.u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Normal with mean 0 and standard deviation 1, by Box and Muller (1958).
    ///
    /// The second number of each pair is dropped, so that the state stays a key and a position.
    pub fn normal(&mut self) -> f64 {
        // 1 - u is in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform_f64()).ln()).sqrt();
        radius * (TAU * self.uniform_f64()).cos()
    }

    /// Uniform among 0 … n-1 without bias; 0 where `n` is 0.
    ///
    /// Method: Lemire, "Fast Random Integer Generation in an Interval" (2019): the high half of a product,
    /// drawn again in the few cases that would favour some values.
    pub const fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let unfair = n.wrapping_neg() % n;
        loop {
            let product = self.u64() as u128 * n as u128;
            if product as u64 >= unfair {
                return (product >> 64) as u64;
            }
        }
    }

    /// The values in random order (Fisher and Yates, as Durstenfeld's in-place form).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// The numbers 0 … n-1 in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `threefry 2x32 20` of Random123's kat_vectors: counter, key, answer.
    #[test]
    fn known_answers() {
        let pi_counter = [0x243f_6a88, 0x85a3_08d3];
        let pi_key = [0x1319_8a2e, 0x0370_7344];
        assert_eq!(threefry2x32([0; 2], [0; 2]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry2x32([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry2x32(pi_key, pi_counter), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn uniforms_stay_below_one_and_have_the_right_mean() {
        assert_eq!(unit_f32(u32::MAX), 1.0 - f32::EPSILON / 2.0);
        let mut random = HostRandom::new(1);
        let count = 100_000;
        let mean = (0..count).map(|_| f64::from(random.uniform_f32())).sum::<f64>() / f64::from(count);
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((0..count).map(|_| random.uniform_f64()).all(|value| (0.0..1.0).contains(&value)));
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let mut random = HostRandom::new(2);
        let values: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let moment = |power: i32| values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64;
        assert!(moment(1).abs() < 0.01, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.15, "{}", moment(4));
    }

    #[test]
    fn below_is_in_range_and_even() {
        let mut random = HostRandom::new(3);
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|_| counts[random.below(7) as usize] += 1);
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }

    #[test]
    fn a_permutation_holds_each_number_once() {
        let mut random = HostRandom::new(4);
        let mut order = random.permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        assert!(random.permutation(0).is_empty());
    }

    #[test]
    fn the_state_continues_the_stream_and_sub_streams_differ() {
        let mut random = HostRandom::new(0x1234_5678_9abc_def0);
        (0..5).for_each(|_| {
            random.u32();
        });
        let mut restored = HostRandom::from_state(random.state());
        assert_eq!(
            (0..9).map(|_| random.u32()).collect::<Vec<_>>(),
            (0..9).map(|_| restored.u32()).collect::<Vec<_>>()
        );
        assert_ne!(random.fold(0), random.fold(1));
        assert_eq!(random.fold(7), HostRandom::new(0x1234_5678_9abc_def0).fold(7));
    }
}
