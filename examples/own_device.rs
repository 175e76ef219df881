//! An application opens its device so that wgrad runs well on it, and trains beside its own work: its kernel simulates pendulums, a network
//! learns what they do next. Both are in one command buffer, on the same memory; nothing goes through the host but the loss. Run it with
//! `cargo run --release --example own_device`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::device::gpu::Requirements;
use wgrad::prelude::*;
use wgrad::wgpu;

const PENDULUMS: usize = 256;

/// A quarter of a second of each pendulum: angle and speed, before and after.
const SIMULATION: &str = "
@group(0) @binding(0) var<storage, read_write> before: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> after: array<vec2<f32>>;

@compute @workgroup_size(64)
fn simulate(@builtin(global_invocation_id) id: vec3<u32>) {
    var state = after[id.x];
    if all(state == vec2<f32>(0.0)) {
        state.x = 0.1 + 2.4 * f32(id.x) / 256.0; // how far each is pulled aside at first
    }
    before[id.x] = state;
    for (var tick = 0; tick < 25; tick++) {
        state.y -= 0.01 * 9.81 * sin(state.x);
        state.x += 0.01 * state.y;
    }
    after[id.x] = state;
}";

/// A network that is to say what is after from what is before, and its training step.
fn training() -> Graph {
    let g = Graph::new();
    let (before, after) = (g.input("before", [PENDULUMS, 2], F32), g.input("after", [PENDULUMS, 2], F32));
    let model = Sequential::new([2]).dense(48).tanh().dense(48).tanh().dense(2);
    let loss = (&before + model.forward(&g, &before, Mode::Training)).mse(&after);
    g.minimize(&loss, Adam::new(3e-3)).build();
    g
}

/// Trains for some frames, and returns the first loss and the last.
pub fn run(adapter: &wgpu::Adapter, frames: usize) -> std::result::Result<[f64; 2], Box<dyn std::error::Error>> {
    // What the training asks of the device, known before it is opened. The application adds what it needs itself.
    let graph = training();
    let requirements = Requirements::of(&graph)?;
    print!("{requirements}");
    let mut descriptor = requirements.descriptor(adapter)?;
    descriptor.label = Some("the application's device");
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;

    // The application's own work.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("pendulums"),
        source: wgpu::ShaderSource::Wgsl(SIMULATION.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("pendulums"),
        layout: None,
        module: &module,
        entry_point: Some("simulate"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let [before, after] = ["before", "after"].map(|label| {
        let (size, usage) = (PENDULUMS as u64 * 8, wgpu::BufferUsages::STORAGE);
        device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("pendulums"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: before.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: after.as_entire_binding() },
        ],
    });

    // wgrad on the same device: the simulation's buffers are the training's inputs.
    let ours = Device::from_wgpu(adapter, device.clone(), queue.clone())?;
    let mut session = graph.compile(&ours)?;
    session.bind_input("before", before)?;
    session.bind_input("after", after)?;
    let mut losses = Vec::new();
    for frame in 0..frames {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(PENDULUMS as u32 / 64, 1, 1);
        drop(pass);
        session.record(&mut encoder, &[])?;
        queue.submit([encoder.finish()]);
        if frame % (frames / 5) == 0 || frame + 1 == frames {
            losses.push(session.read("loss")?.item()?);
            println!("frame {frame:4}: mean squared error {:.5}", losses[losses.len() - 1]);
        }
    }
    Ok([losses[0], losses[losses.len() - 1]])
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Ok(adapter) = pollster::block_on(wgpu::Instance::default().request_adapter(&Default::default())) else {
        println!("there is no GPU here, not even one in software");
        return Ok(());
    };
    println!("on {}", adapter.get_info().name);
    run(&adapter, 2000)?;
    Ok(())
}
