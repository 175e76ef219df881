//! Schedules against values from PyTorch and by hand.

use approx::assert_relative_eq;

use super::*;
use crate::error::Result;

#[test]
fn steps_and_powers() {
    let schedule = Step { every: 3, gamma: 0.5 };
    let rates: Vec<f64> = (0..7).map(|step| schedule.learning_rate(0.8, step)).collect();
    assert_eq!(rates, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]);
    assert_relative_eq!(Exponential { gamma: 0.9 }.learning_rate(1.0, 5), 0.59049, epsilon = 1e-12);
}

#[test]
fn a_cosine_falls_from_base_to_minimum() {
    let schedule = Cosine { steps: 10, minimum: 0.1 };
    assert_relative_eq!(schedule.learning_rate(0.5, 0), 0.5);
    assert_relative_eq!(schedule.learning_rate(0.5, 5), 0.3, epsilon = 1e-12);
    assert_relative_eq!(schedule.learning_rate(0.5, 10), 0.1, epsilon = 1e-12);
}

#[test]
fn after_a_warm_up_the_schedule_begins_at_step_zero() {
    let schedule = Exponential { gamma: 0.5 }.warm_up(4);
    assert_relative_eq!(schedule.learning_rate(3.0, 0), 1.0);
    assert_relative_eq!(schedule.learning_rate(3.0, 2), 2.0, epsilon = 1e-12);
    assert_relative_eq!(schedule.learning_rate(3.0, 4), 3.0);
    assert_relative_eq!(schedule.learning_rate(3.0, 5), 1.5);
    assert_eq!(Constant.warm_up(0).learning_rate(3.0, 0), 3.0);
}

#[test]
fn one_cycle_has_its_top_where_the_rising_phase_ends() {
    let schedule = OneCycle::new(1.0, 100);
    assert_relative_eq!(schedule.learning_rate(9.0, 0), 0.04, epsilon = 1e-12);
    assert_relative_eq!(schedule.learning_rate(9.0, 29), 1.0, epsilon = 1e-12);
    assert_relative_eq!(schedule.learning_rate(9.0, 99), 4e-6, epsilon = 1e-12);
    assert_eq!(schedule.learning_rate(9.0, 1000), schedule.learning_rate(9.0, 99));
    assert!((0..100).all(|step| schedule.learning_rate(9.0, step) <= 1.0));
}

/// Followed by hand through the source of PyTorch's `ReduceLROnPlateau.step`.
#[test]
fn a_plateau_reduces_waits_and_stops_at_the_minimum() -> Result<()> {
    let plateau = ReduceOnPlateau {
        factor: 0.1,
        patience: 1,
        threshold: 0.01,
        absolute: false,
        cooldown: 1,
        minimum: 0.005,
        smallest_change: 1e-8,
        higher_is_better: false,
    };
    let mut scheduler = Scheduler::new(plateau, 1.0)?;
    let metrics = [1.0, 0.995, 0.992, 1.0, 1.0, 1.0, f64::NAN, 1.0, 1.0, 1.0, 1.0];
    let expected = [1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005];
    for (metric, expected) in metrics.into_iter().zip(expected) {
        scheduler.observe(metric);
        assert_relative_eq!(scheduler.learning_rate(0), expected, epsilon = 1e-12);
        let mut restored = Scheduler::new(plateau, 1.0)?;
        restored.restore(&scheduler.state())?;
        assert_eq!(restored.state().map(f64::to_bits), scheduler.state().map(f64::to_bits));
        assert_eq!(restored.learning_rate(0), scheduler.learning_rate(0));
    }
    Ok(())
}

#[test]
fn more_is_better_for_an_accuracy() -> Result<()> {
    let schedule = ReduceOnPlateau { patience: 0, higher_is_better: true, ..ReduceOnPlateau::new() };
    let mut scheduler = Scheduler::new(schedule.warm_up(0), 1.0)?;
    [0.5, 0.6, 0.6].into_iter().for_each(|accuracy| scheduler.observe(accuracy));
    assert_relative_eq!(scheduler.learning_rate(0), 0.1);
    Ok(())
}

#[test]
fn numbers_out_of_range_are_errors() -> Result<()> {
    let bad: [Box<dyn Schedule>; 20] = [
        Box::new(Step { every: 0, gamma: 0.1 }),
        Box::new(Step { every: 1, gamma: f64::NAN }),
        Box::new(Exponential { gamma: 0.0 }),
        Box::new(Cosine { steps: 0, minimum: 0.0 }.warm_up(3)),
        Box::new(Cosine { steps: 1, minimum: -1.0 }),
        Box::new(LinearWarmUp { steps: 1, start_factor: 0.0, then: Arc::new(Constant) }),
        Box::new(OneCycle::new(1.0, 1)),
        Box::new(OneCycle::new(-1.0, 9)),
        Box::new(MultiStep { milestones: vec![3, 2], gamma: 0.5 }),
        Box::new(MultiStep { milestones: vec![], gamma: 0.0 }),
        Box::new(Reduced { steps: 1, factor: 1.5 }),
        Box::new(CosineRestarts { steps: 0, growth: 1, minimum: 0.0 }),
        Box::new(CosineRestarts { steps: 1, growth: 0, minimum: 0.0 }),
        Box::new(Polynomial { steps: 0, power: 1.0 }),
        Box::new(Polynomial { steps: 4, power: -1.0 }),
        Box::new(Cyclic { low: 0.1, high: 1.0, up: 0, down: 1, mode: CycleMode::Halving }),
        Box::new(Cyclic { low: 0.1, high: 1.0, up: 1, down: 1, mode: CycleMode::Exponential(0.0) }),
        Box::new(Sequential { schedules: vec![Arc::new(Constant)], milestones: vec![1] }),
        Box::new(Sequential::new(Constant).then(1, ReduceOnPlateau::new())),
        Box::new(Sequential::new(Constant).then(1, Exponential { gamma: -1.0 })),
    ];
    for schedule in bad {
        assert!(schedule.check().is_err(), "{schedule:?}");
        assert!(!schedule.learning_rate(1.0, 3).is_infinite(), "{schedule:?}");
    }
    assert!(Scheduler::new(Constant, -0.1).is_err());
    let mut scheduler = Scheduler::new(Constant, 0.1)?;
    assert!(scheduler.restore(&[0.1]).is_err());
    assert!(scheduler.restore(&[0.1, 0.0, -1.0, 0.0]).is_err());
    assert!(scheduler.restore(&[f64::NAN, 0.0, 1.0, 0.0]).is_err());
    Ok(())
}
