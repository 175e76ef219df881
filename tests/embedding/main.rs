//! Sessions on a device that is an application's: recorded among its commands, within its limits, without waiting, and when it goes away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says where")]

#[path = "../support/mod.rs"]
mod support;

mod awaited;
mod frames;
mod limits;
mod lost;
mod moved;
mod recorded;
mod waiting;

use wgrad::device::gpu::{Checks, GpuDevice};
use wgrad::prelude::*;

/// An adapter that is not this library's, if there is any.
fn adapter() -> Option<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok();
    assert!(adapter.is_some() || std::env::var_os("WGRAD_REQUIRE_GPU").is_none(), "a GPU is required");
    adapter
}

/// A device as an application opens it.
fn open(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> (wgpu::Device, Device) {
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    (device.clone(), Device::from_wgpu(adapter, device, queue).unwrap())
}

/// The GPU of the other tests, if there is any.
fn gpus() -> Vec<Device> {
    support::devices::devices().into_iter().filter(|device| !device.is_cpu()).collect()
}

fn of(device: &Device) -> &GpuDevice {
    let gpu = device.as_gpu().unwrap();
    assert_eq!(gpu.checks(), Checks::All);
    gpu
}

/// Rows of numbers that differ from batch to batch.
fn batch(number: usize, shape: [usize; 2]) -> TensorData {
    let numbers: Vec<f64> = (0..shape[0] * shape[1]).map(|k| ((k * 31 + number * 7) % 19) as f64 / 9.0 - 1.0).collect();
    TensorData::from_f64(F32, &numbers, shape).unwrap()
}

/// A small network with dropout that learns from `x` where `mask` (bytes, not a whole number of words) says so.
fn training() -> Graph {
    let g = Graph::new();
    let (x, mask) = (g.input("x", [3, 4], F32), g.input("mask", [3], U8));
    let model = Sequential::new([4]).dense(5).tanh().dropout(0.3).dense(1);
    let error = model.forward(&g, &x, Mode::Training).squeeze(1).square();
    let loss = (error * mask.cast(F32)).mean_all();
    g.minimize(&loss, Adam::new(0.05)).schedule(schedule::Exponential { gamma: 0.9 }).build();
    g
}

fn mask(number: usize) -> TensorData {
    TensorData::from_vec(vec![1_u8, (number % 2) as u8, 1], [3]).unwrap()
}

/// All variables by name.
fn variables(session: &Session) -> Vec<(String, TensorData)> {
    let names = session.variables().iter().map(|variable| variable.name.clone());
    names.map(|name| (name.clone(), session.parameter(&name).unwrap())).collect()
}
