//! Random tensors, drawn from Threefry-2x32: a function of the seed, the draw's index in the graph, the element and the step.
//! The same bits on every device, in any order, and again after a resume.

use crate::graph::{Graph, Tensor};
use crate::scalar::ScalarFunction;
use crate::tensor::{DType, Shape};

/// The hidden input that the session writes at each step: seed and step number.
pub(crate) const RANDOM_STATE: &str = "@random";

impl Graph {
    /// The seed and the step, u32 `[2]`, and the number of a stream of random numbers that nothing else draws from.
    #[track_caller]
    pub(crate) fn random_stream(&self) -> (Tensor, u32) {
        // No closures: the user's line does not reach through them.
        let state = match self.find(RANDOM_STATE) {
            Some(state) => state,
            None => self.input(RANDOM_STATE, [2], DType::U32),
        };
        (state, self.next_random_stream())
    }

    /// Two words of random bits for each element, u32, anew at each step.
    #[track_caller]
    fn random_words(&self, shape: &Shape) -> [Tensor; 2] {
        let (state, stream) = self.random_stream();
        words_of(&state, stream, shape)
    }

    /// Random bits, u32, drawn anew at each step. They are a function of the session's seed, the step, the draw's position in the graph and
    /// the element (Threefry-2x32), so they are the same on every device, and again after a resume.
    #[track_caller]
    pub fn random_bits(&self, shape: impl Into<Shape>) -> Tensor {
        let [word, _] = self.random_words(&shape.into());
        word
    }

    /// Uniform between two bounds, f32: `low ≤ x < high`, of 24 [random bits](Self::random_bits) each.
    #[track_caller]
    pub fn random_uniform(&self, shape: impl Into<Shape>, low: f64, high: f64) -> Tensor {
        let value = unit(&self.random_bits(shape)) * (high - low) + low;
        // Adding may round up to the upper bound, which is not to be met.
        if low == 0.0 { value } else { value.minimum(f64::from((high as f32).next_down())) }
    }

    /// Normal with a mean and a standard deviation, f32, by Box and Muller's transform of [random bits](Self::random_bits).
    #[track_caller]
    pub fn random_normal(&self, shape: impl Into<Shape>, mean: f64, std: f64) -> Tensor {
        let [radius, angle] = self.random_words(&shape.into());
        // 1 − u is never 0, so the logarithm is finite.
        let radius = (-2.0 * (1.0 - unit(&radius)).log()).sqrt();
        let angle = unit(&angle) * std::f64::consts::TAU;
        radius * angle.cos() * std + mean
    }

    /// Booleans that are true with a probability, of 24 [random bits](Self::random_bits) each.
    #[track_caller]
    pub fn random_bernoulli(&self, shape: impl Into<Shape>, probability: f64) -> Tensor {
        unit(&self.random_bits(shape)).lt(probability)
    }
}

/// Two words of random bits for each element, from seed and step, in a stream.
#[track_caller]
pub(super) fn words_of(state: &Tensor, stream: u32, shape: &Shape) -> [Tensor; 2] {
    let graph = state.graph();
    let stream = graph.scalar(DType::U32, f64::from(stream));
    let counter = graph.coordinate([shape.len()], 0).cast(DType::U32).reshape(shape);
    let (seed, step) = (state.at(0, 0), state.at(0, 1));
    let others = [&stream, &counter, &step];
    [seed.elementwise(ScalarFunction::Threefry(0), &others), seed.elementwise(ScalarFunction::Threefry(1), &others)]
}

/// Booleans that are true with a probability, from seed and step, in a stream.
#[track_caller]
pub(super) fn bernoulli_of(state: &Tensor, stream: u32, shape: &Shape, probability: f64) -> Tensor {
    let [word, _] = words_of(state, stream, shape);
    unit(&word).lt(probability)
}

/// 24 bits as a float in [0, 1).
#[track_caller]
fn unit(bits: &Tensor) -> Tensor {
    bits.shift_right(8).cast(DType::F32) * (1.0 / 16_777_216.0)
}
