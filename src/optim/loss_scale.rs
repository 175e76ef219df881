//! The loss's scale in training with 16-bit products.

use super::update::Clock;
use crate::graph::{Graph, Tensor};
use crate::tensor::{DType, TensorType};

/// What the loss is multiplied by, so that the gradients of 16-bit products do not vanish. Gradients are divided by it again, and
/// a step whose gradients are not finite changes nothing but the scale: no parameter, no state of the optimizer, and no other variable
/// that the graph assigned before [`build`](super::Minimize::build), as a batch norm's running statistics. With
/// [`Dynamic`](Self::Dynamic), it does not count as a step of the optimizer either.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossScale {
    /// Always the same.
    Fixed(f64),
    /// As large as gradients allow: PyTorch's `GradScaler`. States: `loss_scale`; `loss_scale.growth_tracker`, the number of
    /// finite steps since the last change; `loss_scale.skipped`, the number of updates that were skipped so far.
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

    /// The number of updates that were skipped so far, where that is counted.
    #[track_caller]
    pub(super) fn skipped(&self, graph: &Graph) -> Option<Tensor> {
        match self.rule {
            LossScale::Fixed(_) => None,
            LossScale::Dynamic { .. } => Some(Self::state(graph, &self.clock, "loss_scale.skipped", 0.0)),
        }
    }

    /// Lets a dynamic scale follow what came of it, in the steps that are the last of an accumulation.
    #[track_caller]
    pub(super) fn adapt(&self, graph: &Graph, finite: &Tensor, last: Option<&Tensor>) {
        let LossScale::Dynamic { growth, backoff, interval, .. } = self.rule else { return };
        let tracker = Self::state(graph, &self.clock, "loss_scale.growth_tracker", 0.0);
        let count = finite.select(&tracker + 1.0, 0.0);
        let grows = count.ge(f64::from(interval));
        let scale = finite.select(grows.select(&self.value * growth, &self.value), &self.value * backoff);
        let skipped = Self::state(graph, &self.clock, "loss_scale.skipped", 0.0);
        let more = finite.select(&skipped, &skipped + 1.0);
        for (variable, value) in [(&self.value, scale), (&tracker, grows.select(0.0, &count)), (&skipped, more)] {
            match last {
                Some(last) => graph.assign(variable, &last.select(value, variable)),
                None => graph.assign(variable, &value),
            }
        }
    }
}
