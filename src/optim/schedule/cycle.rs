//! Schedules that go up and down.

use std::f64::consts::PI;

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

/// How the height of [`Schedule::Cyclic`](super::Schedule::Cyclic) changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CycleMode {
    /// It stays.
    Triangular,
    /// Half of it after each cycle (`triangular2`).
    Halving,
    /// Times a factor after each step (`exp_range`).
    Exponential(f64),
}

/// The fraction of a phase that is done; all of a phase that has no length.
fn share(done: f64, whole: f64) -> f64 {
    if whole > 0.0 { done / whole } else { 1.0 }
}

/// The rate of `OneCycleLR` that begins with the first of the rates, rises to the second and ends with the third.
pub(super) fn one_cycle(
    [first, max, last]: [f64; 3],
    steps: u64,
    pct_start: f64,
    anneal: Anneal,
    three_phase: bool,
    step: u64,
) -> f64 {
    let end = steps.saturating_sub(1) as f64;
    // Where the rising phase is no whole step long, PyTorch starts the falling phase from just beside the top.
    let top = pct_start * steps as f64 - 1.0;
    let down = (2.0 * top, first);
    let phases = [(top, max), if three_phase { down } else { (end, last) }, (end, last)];
    let now = (step as f64).min(end);
    let (mut begin, mut rate) = (0.0, first);
    for (phase, (until, target)) in phases.into_iter().enumerate() {
        if now <= until || phase == 2 {
            return anneal.between(rate, target, share(now - begin, until - begin));
        }
        (begin, rate) = (until, target);
    }
    last
}

/// The rate of `CyclicLR`.
pub(super) fn cyclic(low: f64, high: f64, (up, down): (u64, u64), mode: CycleMode, step: u64) -> f64 {
    let (up, whole) = (up as f64, up as f64 + down as f64);
    let (cycles, now) = if whole > 0.0 { ((step as f64 / whole).floor(), step as f64 % whole) } else { (0.0, 0.0) };
    let height = if now <= up { share(now, up) } else { share(whole - now, whole - up) };
    let scale = match mode {
        CycleMode::Triangular => 1.0,
        CycleMode::Halving => (-cycles).exp2(),
        CycleMode::Exponential(gamma) => gamma.powf(step as f64),
    };
    low + (high - low) * height * scale
}

/// The steps since the last restart, and the length of the period in which the step is.
pub(super) fn period(steps: u64, growth: u64, step: u64) -> (u64, u64) {
    let (mut left, mut period) = (step, steps.max(1));
    if growth <= 1 {
        return (left % period, period);
    }
    while left >= period {
        left -= period;
        period = period.saturating_mul(growth);
    }
    (left, period)
}
