//! Whose limit it is that a program breaks.

use super::{adapter, open};
use wgrad::prelude::*;

fn large(rows: usize) -> Graph {
    let g = Graph::new();
    g.output("y", &(g.input("x", [rows, 1 << 20], U8).cast(F32).exp() + 1.0));
    g
}

#[test]
fn a_limit_is_blamed_on_whose_it_is() {
    let Some(adapter) = adapter() else { return };
    let allowed = adapter.limits().max_storage_buffer_binding_size;
    let (_keep, device) = open(&adapter, wgpu::Limits::default());
    let own = wgpu::Limits::default().max_storage_buffer_binding_size;
    if own < 256 << 20 && allowed >= 256 << 20 {
        // 256 MB: the adapter could, the application's device may not.
        let error = large(64).compile(&device).err().expect("it is too large").to_string();
        for part in [
            "device limit",
            "the application opened its device with",
            "required_limits",
            "max_storage_buffer_binding_size",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let (_keep, device) = open(&adapter, adapter.limits());
        assert!(large(64).compile(&device).is_ok());
    }
    // More than the adapter can, whatever the application asked for.
    if allowed < 7 << 30 {
        for limits in [wgpu::Limits::default(), adapter.limits()] {
            let (_keep, device) = open(&adapter, limits);
            let error = large(7 << 8).compile(&device).err().expect("it is too large").to_string();
            let part = format!("the adapter {} allows {allowed}", device.name());
            assert!(error.contains(&part) && !error.contains("required_limits"), "{error}");
        }
    }
    // What wgrad itself cannot.
    let g = Graph::new();
    g.output("y", &g.input("x", [1 << 16, 1 << 15], U8).broadcast_to([2, 1 << 16, 1 << 15]));
    let error = g.compile(&device).err().expect("it is too large").to_string();
    assert!(error.contains("wgrad can address"), "{error}");
}
