//! The loss's scale in training with 16-bit products.

use super::update::Clock;
use crate::graph::{Graph, Tensor};
use crate::tensor::{DType, TensorType};

/// What the loss is multiplied by, so that the gradients of 16-bit products do not vanish. Gradients are divided by it again, and
/// a step whose gradients are not finite changes no parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossScale {
    /// Always the same.
    Fixed(f64),
    /// As large as gradients allow: PyTorch's `GradScaler`. State: `loss_scale`, and `loss_scale.growth_tracker`, the number of
    /// finite steps since the last change.
    Dynamic {
        /// The first scale.
        initial: f64,
        /// The factor after `interval` finite steps.
        growth: f64,
        /// The factor after a step that was not finite.
        backoff: f64,
        /// Finite steps between growths.
        interval: u32,
    },
}

impl LossScale {
    /// [`Dynamic`](Self::Dynamic) with PyTorch's defaults: from 65,536 on, doubled after 2,000 finite steps in a row, halved after a step
    /// that is not.
    pub const fn dynamic() -> Self {
        Self::Dynamic { initial: 65_536.0, growth: 2.0, backoff: 0.5, interval: 2_000 }
    }

    pub(super) fn check(self) -> Result<(), String> {
        let sound = match self {
            Self::Fixed(scale) => scale.is_finite() && scale > 0.0,
            Self::Dynamic { initial, growth, backoff, interval } => {
                initial.is_finite()
                    && initial > 0.0
                    && growth.is_finite()
                    && growth >= 1.0
                    && (0.0..1.0).contains(&backoff)
                    && interval > 0
            }
        };
        if sound { Ok(()) } else { Err(format!("{self:?} is no loss scale")) }
    }
}

impl From<f64> for LossScale {
    fn from(scale: f64) -> Self {
        Self::Fixed(scale)
    }
}

/// A loss scale in the graph.
pub(super) struct Scale {
    pub(super) value: Tensor,
    rule: LossScale,
    clock: Clock,
}

impl Scale {
    #[track_caller]
    pub(super) fn new(graph: &Graph, rule: LossScale, clock: &Clock) -> Self {
        let value = match rule {
            LossScale::Fixed(scale) => graph.scalar(DType::F32, scale),
            LossScale::Dynamic { initial, .. } => Self::state(graph, clock, "loss_scale", initial),
        };
        Self { value, rule, clock: clock.clone() }
    }

    #[track_caller]
    fn state(graph: &Graph, clock: &Clock, name: &str, initial: f64) -> Tensor {
        clock.state(graph, name, name, TensorType::new(DType::F32, []), initial)
    }

    /// Lets a dynamic scale follow what came of it, in the steps that are the last of an accumulation.
    #[track_caller]
    pub(super) fn adapt(&self, graph: &Graph, finite: &Tensor, last: Option<&Tensor>) {
        let LossScale::Dynamic { growth, backoff, interval, .. } = self.rule else { return };
        let tracker = Self::state(graph, &self.clock, "loss_scale.growth_tracker", 0.0);
        let count = finite.select(&tracker + 1.0, 0.0);
        let grows = count.ge(f64::from(interval));
        let scale = finite.select(grows.select(&self.value * growth, &self.value), &self.value * backoff);
        for (variable, value) in [(&self.value, scale), (&tracker, grows.select(0.0, &count))] {
            match last {
                Some(last) => graph.assign(variable, &last.select(value, variable)),
                None => graph.assign(variable, &value),
            }
        }
    }
}
