//! wgrad beside an application's own work: the application's device, its buffers as input and output, its command encoder.
//! Run it with `cargo run --example embed`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgpu::util::DeviceExt;
use wgrad::prelude::*;

fn main() -> Result<()> {
    // What an application has already.
    let instance = wgpu::Instance::default();
    let options = wgpu::RequestAdapterOptions::default();
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&options)) else {
        println!("there is no adapter here, so there is nothing to embed into");
        return Ok(());
    };
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) =
        pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| Error::Device(error.to_string()))?;
    let pixels: Vec<f32> = (0..64 * 64).map(|k| (k % 64) as f32 / 64.0).collect();
    let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let frame = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: Some("the application's frame"),
        contents: bytemuck::cast_slice(&pixels),
        usage: storage,
    });
    let graded = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the graded frame"),
        size: frame.size(),
        usage: storage,
        mapped_at_creation: false,
    });

    // A program on that device, between those buffers.
    let ours = Device::from_wgpu(&adapter, device.clone(), queue.clone())?;
    let g = Graph::new();
    let image = g.input("image", [64, 64], F32);
    g.output("graded", &((&image - 0.5) * 1.5 + 0.5).clamp(0.0, 1.0));
    let mut session = g.compile(&ours)?;
    session.bind_input("image", frame)?;
    session.bind_output("graded", graded)?;

    // The application records it where it likes, and submits when it likes.
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    session.record(&mut encoder, &[])?;
    queue.submit([encoder.finish()]);
    let row = session.read("graded")?.to_vec::<f32>()?;
    println!("on {}: {:?}", ours.name(), &row[..64].iter().step_by(9).collect::<Vec<_>>());
    Ok(())
}
