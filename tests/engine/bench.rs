//! The benchmarks' cases: those that are small enough for a test are right, and timed by a clock that moves.

use wgrad::Device;
use wgrad::bench::{Case, Clock, Effort, Input, cases};
use wgrad::prelude::*;

use super::support::devices::devices;

/// One sample, of one run.
const ONCE: Effort = Effort { sample: 0.0, total: 0.0, least: 1, block: 0.0, limits: 0.0 };

#[test]
fn small_cases_are_right_on_every_device() {
    let small = ["matmul/f32/256x256x256", "matmul/f32/batch512/32x32x32", "step/mlp-tiny", "step/mlp-tiny/synced"];
    for device in devices() {
        for case in cases().iter().filter(|case| small.contains(&case.name())) {
            let mut prepared = case.prepare(&device, 0).unwrap();
            assert!(prepared.is_right(), "{} on {device:?}: {:e}", case.name(), prepared.max_error());
            let outcome = prepared.measure(ONCE).unwrap();
            assert!(outcome.timing.min > 0.0 && outcome.timing.min <= outcome.timing.max, "{outcome:?}");
            assert_eq!(outcome.host.is_some(), case.is_step());
            assert!(!case.is_step() || outcome.clock == Clock::Wall, "a step is what a user waits for");
        }
    }
}

#[test]
fn what_a_case_computes_and_moves_is_counted() {
    let case = Case::kernel("product", [Input::uniform(F32, [8, 16]), Input::uniform(F32, [16, 4])], |inputs| {
        vec![inputs[0].matmul(&inputs[1])]
    });
    let outcome = case.prepare(&Device::cpu(), 0).and_then(|mut prepared| prepared.measure(ONCE)).unwrap();
    assert_eq!(outcome.flops, 2 * 8 * 16 * 4);
    assert_eq!(outcome.bytes, 4 * (8 * 16 + 16 * 4 + 8 * 4));
}
