//! Parameters that are trained differently from the others.

use std::fmt;
use std::sync::Arc;

use super::Decay;
use crate::tensor::Shape;

/// Says of a name and a shape whether it is meant.
type Test = Arc<dyn Fn(&str, &Shape) -> bool + Send + Sync>;

/// Some of the parameters, with a learning rate or a decay of their own: PyTorch's parameter groups. Of several groups that a
/// parameter is in, the first counts; what a group leaves open stays the optimizer's.
///
/// ```
/// use wgrad::optim::{AdamW, Group};
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [8, 4], F32);
/// let features = nn::Linear::new(&g, "encoder.fc", 4, 16).forward(&x).relu();
/// let loss = nn::Linear::new(&g, "head", 16, 1).forward(&features).square().mean_all();
/// let session = g
///     .minimize(&loss, AdamW::new(1e-3))
///     .group(Group::matching(|name, _| name.ends_with(".bias")).without_decay())
///     .group(Group::named("encoder.").learning_rate(1e-4))
///     .compile(&Device::cpu())?;
/// # let _ = session;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Group {
    test: Test,
    /// How the user told it, for messages.
    described: String,
    pub(super) rate: Rate,
    pub(super) decay: Option<Decay>,
}

/// A group's learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// This factor times the optimizer's.
    Factor(f64),
    /// This, where the optimizer's own is meant to be as it was given; a schedule changes both alike.
    Base(f64),
    /// None at all.
    Frozen,
}

impl fmt::Debug for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Group({}, {:?}, {:?})", self.described, self.rate, self.decay)
    }
}

impl Group {
    /// The parameters whose names begin with this: `encoder.` for all of a part, `fc1.weight` for one.
    pub fn named(prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        let described = format!("{prefix:?}");
        Self { described, ..Self::matching(move |name, _| name.starts_with(&prefix)) }
    }

    /// The parameters whose name and shape pass a test.
    pub fn matching(test: impl Fn(&str, &Shape) -> bool + Send + Sync + 'static) -> Self {
        Self { test: Arc::new(test), described: "of a test".to_owned(), rate: Rate::Factor(1.0), decay: None }
    }

    /// With a learning rate of their own. A schedule changes it as it changes the optimizer's.
    #[must_use]
    pub const fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.rate = Rate::Base(learning_rate);
        self
    }

    /// With `factor` times the optimizer's learning rate.
    #[must_use]
    pub const fn learning_rate_factor(mut self, factor: f64) -> Self {
        self.rate = Rate::Factor(factor);
        self
    }

    /// They stay as they are, and no gradient of them is computed: for fine-tuning a part of a model.
    #[must_use]
    pub const fn frozen(mut self) -> Self {
        self.rate = Rate::Frozen;
        self
    }

    /// With this instead of the optimizer's decay.
    #[must_use]
    pub const fn decay(mut self, decay: Decay) -> Self {
        self.decay = Some(decay);
        self
    }

    /// Without the optimizer's decay.
    #[must_use]
    pub const fn without_decay(self) -> Self {
        self.decay(Decay::NONE)
    }

    pub(super) fn contains(&self, name: &str, shape: &Shape) -> bool {
        (self.test)(name, shape)
    }

    /// What the optimizer's learning rate is multiplied by; none for parameters that stay as they are.
    pub(super) fn factor(&self, learning_rate: f64) -> Option<f64> {
        match self.rate {
            Rate::Factor(factor) => Some(factor),
            Rate::Base(rate) => Some(rate / learning_rate),
            Rate::Frozen => None,
        }
    }

    /// What is wrong with its numbers, or with it among these parameters.
    pub(super) fn check(&self, learning_rate: f64, parameters: &[(String, Shape)]) -> Result<(), String> {
        let wrong = |message: String| Err(format!("group {}: {message}", self.described));
        match self.rate {
            Rate::Base(_) if learning_rate == 0.0 => {
                return wrong(
                    "it has a learning rate, but the optimizer's is 0, so that a schedule could not change both".into(),
                );
            }
            Rate::Base(number) | Rate::Factor(number) if !(number.is_finite() && number >= 0.0) => {
                return wrong(format!("its learning rate is {number:?}, and must be a number of at least 0"));
            }
            Rate::Base(_) | Rate::Factor(_) | Rate::Frozen => {}
        }
        if let Err(message) = self.decay.unwrap_or(Decay::NONE).check() {
            return wrong(message);
        }
        if !parameters.iter().any(|(name, shape)| self.contains(name, shape)) {
            let names: Vec<&str> = parameters.iter().take(12).map(|(name, _)| name.as_str()).collect();
            return wrong(format!("no parameter is in it; there are {names:?}"));
        }
        Ok(())
    }
}
