//! Schedules that go up and down.

use std::f64::consts::PI;

use super::Schedule;
use super::check::{at_least, ensure, gamma, non_negative, positive};

/// The course from one rate to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// Half a cosine.
    Cosine,
    /// A straight line.
    Linear,
}

impl Anneal {
    /// The rate after a fraction of the phase.
    fn between(self, start: f64, end: f64, share: f64) -> f64 {
        match self {
            Self::Cosine => end + (start - end) / 2.0 * (1.0 + (PI * share).cos()),
            Self::Linear => start + (end - start) * share,
        }
    }
}

/// Up to `max` and down again (`OneCycleLR`; Smith and Topin 2017). The base rate plays no part: the cycle begins at
/// `max / div_factor`. After the last step the rate stays where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub max: f64,
    /// Steps of the cycle; at least 2.
    pub steps: u64,
    /// The share of steps that go up, in [0, 1].
    pub pct_start: f64,
    /// `max` over the first rate.
    pub div_factor: f64,
    /// The first rate over the last.
    pub final_div_factor: f64,
    /// The shape of each phase.
    pub anneal: Anneal,
    /// Whether the phase down to the first rate mirrors the phase up, and a third phase continues to the last rate.
    pub three_phase: bool,
}

impl OneCycle {
    /// With PyTorch's defaults: 30% up, from max / 25, down to a 10,000th of that.
    pub const fn new(max: f64, steps: u64) -> Self {
        Self {
            max,
            steps,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Cosine,
            three_phase: false,
        }
    }
}

impl Schedule for OneCycle {
    fn learning_rate(&self, _: f64, step: u64) -> f64 {
        let first = self.max / self.div_factor;
        let last = first / self.final_div_factor;
        let end = self.steps.saturating_sub(1) as f64;
        // Where the rising phase is no whole step long, PyTorch starts the falling phase from just beside the top.
        let top = self.pct_start * self.steps as f64 - 1.0;
        let down = (2.0 * top, first);
        let phases = [(top, self.max), if self.three_phase { down } else { (end, last) }, (end, last)];
        let now = (step as f64).min(end);
        let (mut begin, mut rate) = (0.0, first);
        for (phase, (until, target)) in phases.into_iter().enumerate() {
            if now <= until || phase == 2 {
                return self.anneal.between(rate, target, share(now - begin, until - begin));
            }
            (begin, rate) = (until, target);
        }
        last
    }

    fn check(&self) -> Result<(), String> {
        let &Self { max, steps, pct_start, div_factor, final_div_factor, .. } = self;
        at_least(steps, 2, "one-cycle")?;
        ensure((0.0..=1.0).contains(&pct_start), || {
            format!("a cycle's share of steps that go up is {pct_start}, and must be between 0 and 1")
        })?;
        ensure([max, div_factor, final_div_factor].into_iter().all(positive), || {
            format!(
                "a cycle's highest rate and factors are {max}, {div_factor} and {final_div_factor}, and must be above 0"
            )
        })
    }
}

/// The fraction of a phase that is done; all of a phase that has no length.
fn share(done: f64, whole: f64) -> f64 {
    if whole > 0.0 { done / whole } else { 1.0 }
}

/// How the height of a [`Cyclic`] changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CycleMode {
    /// It stays.
    Triangular,
    /// Half of it after each cycle (`triangular2`).
    Halving,
    /// Times a factor after each step (`exp_range`).
    Exponential(f64),
}

/// Up and down again and again along straight lines (`CyclicLR`; Smith 2015). The base rate plays no part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cyclic {
    /// The rate at the beginning of each cycle (`base_lr`).
    pub low: f64,
    /// The rate at its top (`max_lr`).
    pub high: f64,
    /// Steps up (`step_size_up`); at least 1.
    pub up: u64,
    /// Steps down (`step_size_down`); at least 1.
    pub down: u64,
    /// How the height changes.
    pub mode: CycleMode,
}

impl Schedule for Cyclic {
    fn learning_rate(&self, _: f64, step: u64) -> f64 {
        let (up, whole) = (self.up as f64, self.up as f64 + self.down as f64);
        let (cycles, now) = if whole > 0.0 { ((step as f64 / whole).floor(), step as f64 % whole) } else { (0.0, 0.0) };
        let height = if now <= up { share(now, up) } else { share(whole - now, whole - up) };
        let scale = match self.mode {
            CycleMode::Triangular => 1.0,
            CycleMode::Halving => (-cycles).exp2(),
            CycleMode::Exponential(gamma) => gamma.powf(step as f64),
        };
        self.low + (self.high - self.low) * height * scale
    }

    fn check(&self) -> Result<(), String> {
        let &Self { low, high, up, down, mode } = self;
        at_least(up.min(down), 1, "cyclic")?;
        ensure(non_negative(low) && non_negative(high), || {
            format!("a cycle's rates are {low} and {high}, and must not be below 0")
        })?;
        match mode {
            CycleMode::Exponential(factor) => gamma(factor),
            CycleMode::Triangular | CycleMode::Halving => Ok(()),
        }
    }
}
