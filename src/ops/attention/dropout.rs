//! Which weights of an attention are left out: those of a dropout by the counter-based generator, whose counter is the pair's index.

use super::Sizes;
use super::score::Leaf;
use crate::graph::Tensor;
use crate::ops::random::bernoulli_of;
use crate::scalar::{Builder, NodeId, ScalarFunction as F};
use crate::tensor::DType;

/// A dropout of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Dropout {
    /// The bits of the probability to be left out.
    probability: u64,
    /// The stream that the random numbers are drawn from.
    stream: u32,
}

/// 2⁻²⁴, of as many bits.
const UNIT: f64 = 1.0 / 16_777_216.0;

impl Dropout {
    pub(super) fn new(probability: f64, stream: u32) -> Self {
        Self { probability: probability.to_bits(), stream }
    }

    /// What stays is scaled by this; where nothing stays, by 0.
    fn factor(self) -> f64 {
        let rest = 1.0 - f64::from_bits(self.probability);
        if rest > 0.0 { 1.0 / rest } else { 0.0 }
    }

    /// The factor of a pair's weight, from its leaves and from seed and step.
    pub(super) fn express(
        self,
        builder: &mut Builder,
        float: DType,
        sizes: &Sizes,
        leaf: &mut dyn FnMut(&mut Builder, Leaf) -> NodeId,
        [seed, step]: [NodeId; 2],
    ) -> NodeId {
        let mut counter = builder.constant(DType::U32, 0.0);
        for (axis, extent) in [Leaf::Batch, Leaf::Head, Leaf::Query, Leaf::Key].into_iter().zip(sizes.scores()) {
            let (extent, index) = (builder.constant(DType::U32, extent as f64), leaf(builder, axis));
            let index = builder.call(F::Cast(DType::U32), &[index]);
            counter = builder.mul(counter, extent);
            counter = builder.add(counter, index);
        }
        let stream = builder.constant(DType::U32, f64::from(self.stream));
        let bits = builder.call(F::Threefry(0), &[seed, stream, counter, step]);
        let eight = builder.constant(DType::U32, 8.0);
        let bits = builder.call(F::ShiftRight, &[bits, eight]);
        let number = builder.call(F::Cast(DType::F32), &[bits]);
        let unit = builder.constant(DType::F32, UNIT);
        let number = builder.mul(number, unit);
        let rest = builder.constant(DType::F32, 1.0 - f64::from_bits(self.probability));
        let stays = builder.call(F::Less, &[number, rest]);
        let (factor, zero) = (builder.constant(float, self.factor()), builder.constant(float, 0.0));
        builder.select(stays, factor, zero)
    }

    /// The factors of all weights, from seed and step.
    #[track_caller]
    pub(super) fn factors(self, sizes: &Sizes, state: &Tensor, dtype: DType) -> Tensor {
        let shape = sizes.scores();
        let stays = bernoulli_of(state, self.stream, &shape.into(), 1.0 - f64::from_bits(self.probability));
        let factor = |value: f64| state.graph().scalar(dtype, value);
        stays.select(factor(self.factor()), factor(0.0)).broadcast_to(shape)
    }
}
