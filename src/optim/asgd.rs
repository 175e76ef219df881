//! Averaged SGD.

use super::decay::decay_methods;
use super::{Decay, NON_NEGATIVE, Optimizer, Update, in_range};
use crate::graph::Tensor;

/// SGD with falling rates, and the mean of the parameters on the way (Polyak and Juditsky 1992): PyTorch's `torch.optim.ASGD`.
/// State: `ax`, the mean since step `t0`; before, the parameter itself.
///
/// ```text
/// η = lr/(1 + λ·lr·(t − 1))^α        p·(1 − λ·η) − η·g        ax = ax + (p − ax)/max(1, t − 1 − t0)
/// ```
///
/// ```
/// use wgrad::optim::ASGD;
/// use wgrad::prelude::*;
///
/// let g = Graph::new();
/// let loss = nn::Linear::new(&g, "fc", 4, 1).forward(&g.input("x", [8, 4], F32)).square().mean_all();
/// let mut session = g.minimize(&loss, ASGD::new(0.1).averaging_from(0)).compile(&Device::cpu())?;
/// session.step(&[("x", &TensorData::from_vec(vec![1.0_f32; 32], [8, 4])?)])?;
/// // The mean begins with the first step's result.
/// assert_eq!(session.parameter("fc.weight.ax")?, session.parameter("fc.weight")?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ASGD {
    /// The learning rate, of the first step.
    pub learning_rate: f64,
    /// How fast rates fall, and how much of a parameter each step takes away: λ.
    pub lambda: f64,
    /// The power of the fall: α.
    pub alpha: f64,
    /// The step after which parameters are averaged.
    pub t0: u64,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl ASGD {
    /// With PyTorch's defaults: λ = 1e-4, α = 0.75, means from step 1,000,000 on.
    pub const fn new(learning_rate: f64) -> Self {
        let decay = Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 };
        Self { learning_rate, lambda: 1e-4, alpha: 0.75, t0: 1_000_000, decay }
    }

    /// With another λ.
    #[must_use]
    pub const fn lambda(mut self, lambda: f64) -> Self {
        self.lambda = lambda;
        self
    }

    /// With another α.
    #[must_use]
    pub const fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// With means of what follows this step.
    #[must_use]
    pub const fn averaging_from(mut self, t0: u64) -> Self {
        self.t0 = t0;
        self
    }
}

decay_methods!(ASGD);

impl Optimizer for ASGD {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        in_range(&[("lambda", self.lambda, NON_NEGATIVE), ("alpha", self.alpha, NON_NEGATIVE)])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let Self { lambda, alpha, t0, .. } = *self;
        let rate_at =
            move |rate: f64, step: u64| rate / (1.0 + lambda * rate * step.saturating_sub(1) as f64).powf(alpha);
        let [rate, scale, share] = match update.unknown_step() {
            Some(step) => {
                let (before, rate) = (step - 1.0, update.learning_rate());
                let shrunk = (&rate * update.as_parameter(&before) * lambda + 1.0).pow(alpha);
                let rate = rate / shrunk;
                let share = (before - t0 as f64).maximum(1.0).reciprocal();
                [rate.clone(), 1.0 - rate * lambda, update.as_parameter(&share)]
            }
            None => [
                update.scalar(&format!("asgd.rate({lambda}, {alpha})"), move |step| {
                    rate_at(step.learning_rate, step.step)
                }),
                update.scalar(&format!("asgd.scale({lambda}, {alpha})"), move |step| {
                    1.0 - lambda * rate_at(step.learning_rate, step.step)
                }),
                update.scalar(&format!("asgd.share({t0})"), move |step| {
                    1.0 / step.step.saturating_sub(1).saturating_sub(t0).max(1) as f64
                }),
            ],
        };
        let next = update.parameter() * scale - update.gradient() * rate;
        let mean = update.state("ax", 0.0);
        let sum = &mean + (&next - &mean) * &share;
        // With a share of 1 the difference would lose what is small beside the mean.
        update.set_state(&mean, share.ge(1.0).select(&next, &sum));
        next
    }
}
