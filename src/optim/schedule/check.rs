//! Whether a schedule's numbers are in their ranges.

pub(super) fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

pub(super) fn non_negative(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

pub(super) fn rising(milestones: &[u64]) -> Result<(), String> {
    if milestones.is_sorted() { Ok(()) } else { Err(format!("milestones {milestones:?} should be in rising order")) }
}

pub(super) fn ensure(sound: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if sound { Ok(()) } else { Err(message()) }
}

pub(super) fn at_least(steps: u64, least: u64, kind: &str) -> Result<(), String> {
    ensure(steps >= least, || {
        format!("a {kind} schedule needs at least {least} step{}", if least == 1 { "" } else { "s" })
    })
}

pub(super) fn gamma(value: f64) -> Result<(), String> {
    ensure(positive(value), || format!("gamma is {value}, and must be above 0"))
}

pub(super) fn lowest(minimum: f64) -> Result<(), String> {
    ensure(non_negative(minimum), || format!("the lowest learning rate is {minimum}, and must not be below 0"))
}
