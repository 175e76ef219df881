//! A render loop that trains: each frame draws, and gives what is left of it, 4 ms of the GPU's time, to a network. A step that takes longer
//! is done over several frames, and no frame waits for it. There is no window here; a texture takes its place. Run it with
//! `cargo run --release --example frame_budget`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::time::{Duration, Instant};

use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::session::Capture;
use wgrad::wgpu;

const BUDGET: Duration = Duration::from_millis(4);
const BATCH: usize = 16;
const SIDE: usize = 16;

/// Lines in noise: do they stand, or lie?
fn batch(random: &mut HostRandom) -> Result<[TensorData; 2]> {
    let (mut pixels, mut labels) = (Vec::with_capacity(BATCH * SIDE * SIDE), Vec::with_capacity(BATCH));
    for _ in 0..BATCH {
        let (stands, line) = (random.below(2) == 1, random.below(SIDE as u64) as usize);
        for index in 0..SIDE * SIDE {
            let across = if stands { index % SIDE } else { index / SIDE };
            pixels.push(random.normal() as f32 + if across == line { 3.0 } else { 0.0 });
        }
        labels.push(i32::from(stands));
    }
    Ok([TensorData::from_vec(pixels, [BATCH, 1, SIDE, SIDE])?, TensorData::from_vec(labels, [BATCH])?])
}

fn training() -> Graph {
    let g = Graph::new();
    let (x, y) = (g.input("x", [BATCH, 1, SIDE, SIDE], F32), g.input("y", [BATCH], I32));
    let model = Sequential::new([1, SIDE, SIDE]).conv2d(8, 5).batch_norm().relu().max_pool2d(2).flatten().dense(2);
    let loss = model.forward(&g, &x, Mode::Training).cross_entropy(&y);
    g.minimize(&loss, Adam::new(3e-3)).build();
    g
}

/// What an application draws in a frame: here, one colour that changes.
fn draw(encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView, frame: usize) {
    let clear = wgpu::Color { r: (frame % 100) as f64 / 100.0, g: 0.3, b: 0.6, a: 1.0 };
    drop(encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load: wgpu::LoadOp::Clear(clear), store: wgpu::StoreOp::Store },
        })],
        ..Default::default()
    }));
}

/// Draws some frames, and returns the number of steps that were done beside them.
pub fn run(adapter: &wgpu::Adapter, frames: usize) -> std::result::Result<u64, Box<dyn std::error::Error>> {
    // With the GPU's clock, parts of steps are measured, and the next ones fit the budget.
    let clock = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
    let descriptor = wgpu::DeviceDescriptor { required_features: clock, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let window = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("in place of a window"),
        size: wgpu::Extent3d { width: 640, height: 360, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    });
    let view = window.create_view(&wgpu::TextureViewDescriptor::default());

    let ours = Device::from_wgpu(adapter, device.clone(), queue.clone())?;
    let mut session = training().compile(&ours)?;
    let mut random = HostRandom::new(1);
    let (mut host, mut parts) = (Vec::new(), Vec::new());
    let (mut arriving, mut losses): (Option<Capture>, Vec<f64>) = (None, Vec::new());
    for frame in 0..frames {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        draw(&mut encoder, &view, frame);
        let begun = Instant::now();
        if !session.is_step_in_progress() {
            let [x, y] = batch(&mut random)?;
            session.begin_step(&[("x", &x), ("y", &y)])?;
        }
        let is_complete = session.record_some(&mut encoder, BUDGET)?.is_complete;
        host.push(begun.elapsed());
        queue.submit([encoder.finish()]);
        // A loss is on its way while frames go on; another one is asked for when it is here.
        if let Some(capture) = arriving.take_if(|capture| capture.is_ready().unwrap_or(true)) {
            losses.push(capture.wait()?[0].item()?);
        }
        if is_complete && arriving.is_none() {
            arriving = Some(session.start_read(&["loss"])?);
        }
        device.poll(wgpu::PollType::wait_indefinitely())?; // where a window would show the frame
        parts.extend(session.latest_part()?);
    }

    host.sort_unstable();
    parts.sort_unstable();
    let middle = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    println!("{} steps in {frames} frames, {} kernels a step", session.steps(), session.program().dispatches());
    println!(
        "the host's time for a frame's part: {:.2?} (median), {:.2?} at the most",
        middle(&host),
        host[frames - 1]
    );
    match parts.last() {
        Some(longest) => println!("the GPU's time for it: {:.2?} (median), {longest:.2?} at the most", middle(&parts)),
        None => println!("the device has no clock: parts are as long as a careful guess allows"),
    }
    let quarter = losses.len().div_ceil(4);
    println!("loss {:.3} at first, {:.3} at last", mean(&losses[..quarter]), mean(&losses[losses.len() - quarter..]));
    Ok(session.steps())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Ok(adapter) = pollster::block_on(wgpu::Instance::default().request_adapter(&Default::default())) else {
        println!("there is no GPU here, not even one in software");
        return Ok(());
    };
    println!("on {}", adapter.get_info().name);
    run(&adapter, 600)?;
    Ok(())
}
