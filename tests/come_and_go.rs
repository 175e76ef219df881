//! Sessions and programs that come and go leave nothing behind. In a process of its own, whose memory no other test changes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

use wgrad::prelude::*;
use wgrad::wgpu;

fn training() -> Graph {
    let g = Graph::new();
    let x = g.input("x", [3, 4], F32);
    let model = Sequential::new([4]).dense(5).tanh().dropout(0.3).dense(1);
    g.minimize(&model.forward(&g, &x, Mode::Training).square().mean_all(), Adam::new(0.05)).build();
    g
}

#[test]
fn a_thousand_sessions_and_programs_come_and_go() {
    let instance = wgpu::Instance::default();
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())) else {
        assert!(std::env::var_os("WGRAD_REQUIRE_GPU").is_none(), "a GPU is required");
        println!("skipped: no adapter");
        return;
    };
    let (raw, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let device = Device::from_wgpu(&adapter, raw.clone(), queue).unwrap();
    let memory = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
    };
    let buffers = || raw.get_internal_counters().hal.buffers.read();
    let x = TensorData::from_f64(F32, &[0.5; 12], [3, 4]).unwrap();
    let inputs = [("x", &x)];
    let mut seen = Vec::new();
    for round in 0..1000 {
        let mut session = training().compile(&device).unwrap();
        session.step(&inputs).unwrap();
        if round % 100 == 50 {
            session.read("loss").unwrap();
        }
        drop(session);
        if round % 250 == 249 {
            device.wait_idle().unwrap();
            seen.push((buffers(), memory()));
        }
    }
    let mut session = training().compile(&device).unwrap();
    for round in 0..1000 {
        let program = session.load(&training()).unwrap();
        session.using(&program).step(&inputs).unwrap();
        session.unload(&program).unwrap();
        if round % 250 == 249 {
            device.wait_idle().unwrap();
            seen.push((buffers(), memory()));
        }
    }
    println!("{seen:?}");
    assert_eq!(session.memory().programs, 1);
    for part in seen.chunks(4) {
        assert_eq!(part[0].0, part[3].0, "buffers: {seen:?}");
        assert!(part[3].1 < part[0].1 + (16 << 20), "memory: {seen:?}");
    }
}
