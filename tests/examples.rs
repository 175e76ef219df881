//! The examples of applications run, with small settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says where")]
#![allow(dead_code, reason = "each example has a `main`, too")]
#![allow(clippy::duplicate_mod, reason = "examples share a screen")]

#[path = "../examples/device_lost.rs"]
mod device_lost;
#[path = "../examples/frame_budget.rs"]
mod frame_budget;
#[path = "../examples/from_pytorch.rs"]
mod from_pytorch;
#[path = "../examples/inference_thread.rs"]
mod inference_thread;
#[path = "../examples/own_device.rs"]
mod own_device;
#[path = "../examples/paint.rs"]
mod paint;
#[path = "../examples/render_loop.rs"]
mod render_loop;
mod support;

use std::path::Path;

use wgrad::wgpu;

/// The first adapter, as an application asks for it.
fn adapter() -> Option<wgpu::Adapter> {
    let instance = wgpu::Instance::default();
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok();
    if adapter.is_none() {
        // It says that GPU tests are skipped, or fails where a GPU is required.
        support::devices::devices();
    }
    adapter
}

/// Where pictures go.
fn picture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn a_picture_is_painted() {
    let Some(adapter) = adapter() else { return };
    let loss = paint::run(&adapter, &[2, 60], &picture("paint.png")).unwrap();
    assert!(loss < 0.03, "{loss}");
    assert!(picture("paint.png").exists());
}

#[test]
fn a_device_of_ones_own_trains_beside_ones_own_work() {
    let Some(adapter) = adapter() else { return };
    let [first, last] = own_device::run(&adapter, 200).unwrap();
    assert!(last < first / 4.0, "{first} {last}");
}

#[test]
fn training_fits_beside_frames() {
    let Some(adapter) = adapter() else { return };
    let steps = frame_budget::run(&adapter, 100).unwrap();
    assert!(steps > 5, "{steps} steps");
}

#[test]
fn a_network_of_pytorch_gives_what_it_gave_there() {
    for device in support::devices::devices() {
        let difference = from_pytorch::run(&device).unwrap();
        assert!(difference < 1e-5, "{device:?}: {difference}");
    }
}

#[test]
fn a_lost_device_changes_nothing() {
    let Some(adapter) = adapter() else { return };
    assert_eq!(device_lost::run(&adapter, 90, &[33, 60, 89]).unwrap(), 3);
}

#[test]
fn questions_are_answered_while_a_network_learns() {
    for device in support::devices::devices() {
        let errors = inference_thread::run(&device, 6).unwrap();
        let (first, last) = (errors[0], errors[errors.len() - 1]);
        assert!(last < 0.3 && last <= first, "{device:?}: {errors:?}");
    }
}

#[test]
fn a_network_cleans_what_is_rendered() {
    let Some(adapter) = adapter() else { return };
    let [noise, left] = render_loop::run(&adapter, 50, &picture("render_loop.png")).unwrap();
    assert!(left < noise * 0.75, "{noise} {left}");
    assert!(picture("render_loop.png").exists());
}
