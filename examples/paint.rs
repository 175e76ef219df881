//! A network paints on the device that shows the painting. It is asked for the colour at a point, and learns a picture from points drawn
//! at random, a part of a step in each frame. Both pictures are buffers of the application, and never leave the GPU: the picture to learn is
//! the network's input, its output is what the screen draws. Run it with `cargo run --release --example paint -- paint.png`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

mod picture;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use picture::Screen;
use wgrad::nn::Dense;
use wgrad::prelude::*;
use wgrad::wgpu;

const WIDTH: usize = 128;
const HEIGHT: usize = 96;
const POINTS: usize = 1024;

/// A sunset behind hills: red, green and blue from 0 to 1, at x and y from 0 to 1.
fn sunset(x: f32, y: f32) -> [f32; 3] {
    let mix = |a: [f32; 3], b: [f32; 3], share: f32| [0, 1, 2].map(|k| a[k] + (b[k] - a[k]) * share.clamp(0.0, 1.0));
    let distance = ((x - 0.62) * WIDTH as f32 / HEIGHT as f32).hypot(y - 0.5);
    let sky = mix([0.15, 0.18, 0.45], [0.98, 0.55, 0.25], y * 1.7);
    let mut colour = mix([1.0, 0.85, 0.45], sky, distance * 2.4);
    colour = mix([1.0, 0.96, 0.75], colour, (distance - 0.12) * 90.0);
    let hills = [(0.60, 0.05, 7.0, 0.3), (0.70, 0.06, 5.0, 2.0), (0.82, 0.05, 9.0, 4.0)];
    for (number, (height, bend, frequency, shift)) in hills.into_iter().enumerate() {
        let ridge = height + bend * (x * frequency + shift).sin() + 0.02 * (x * 31.0 + shift).sin();
        let shade = mix([0.55, 0.25, 0.40], [0.06, 0.05, 0.14], number as f32 / 2.0);
        colour = mix(colour, shade, (y - ridge) * 90.0);
    }
    colour
}

/// Colours `[n, 3]` of points `[n, 2]` from −1 to 1: layers of sines (Sitzmann et al. 2020).
fn network(g: &Graph, points: &Tensor) -> Tensor {
    let mut x = points.clone();
    for (number, (inputs, bound, frequency)) in [(2, 0.5, 24.0), (64, 0.3, 1.0), (64, 0.3, 1.0)].into_iter().enumerate()
    {
        let dense = Dense::new(64).initializer(Initializer::Uniform { low: -bound, high: bound });
        x = (dense.build(g, &format!("sines{number}"), inputs).forward(&x) * frequency).sin();
    }
    nn::Linear::new(g, "colour", 64, 3).forward(&x).sigmoid()
}

/// The points of all pixels, `[HEIGHT · WIDTH, 2]`. A kernel that needs them computes them.
fn grid(g: &Graph) -> Tensor {
    let along = |axis, extent| (g.coordinate([HEIGHT, WIDTH], axis).cast(F32) + 0.5) * (2.0 / extent as f64) - 1.0;
    along(1, WIDTH).stack(&[&along(0, HEIGHT)], 2).reshape([HEIGHT * WIDTH, 2])
}

/// Trains for some steps, shows the painting after each of them that is listed, beside the picture to learn, and returns the last loss.
pub fn run(adapter: &wgpu::Adapter, shown: &[u64], path: &Path) -> Result<f64, Box<dyn Error>> {
    // What an application has: a device, a screen, and a picture.
    let clock = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
    let descriptor = wgpu::DeviceDescriptor { required_features: clock, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let panel = [WIDTH as u32, HEIGHT as u32];
    let screen = Screen::new(&device, &queue, panel, 1 + shown.len() as u32);
    let (picture, painting) = (picture::colours(&device, panel), picture::colours(&device, panel));
    let pixel = |index: usize| sunset((index % WIDTH) as f32 / WIDTH as f32, (index / WIDTH) as f32 / HEIGHT as f32);
    let pixels: Vec<f32> = (0..HEIGHT * WIDTH).flat_map(pixel).collect();
    queue.write_buffer(&picture, 0, bytemuck::cast_slice(&pixels));

    // Two programs on the same weights: one learns, one paints.
    let ours = Device::from_wgpu(adapter, device.clone(), queue.clone())?;
    let g = Graph::new();
    let index = g.random_uniform([POINTS], 0.0, (HEIGHT * WIDTH) as f64).cast(I32);
    let colours = g.input("picture", [HEIGHT * WIDTH, 3], F32).take(0, &index);
    let loss = network(&g, &grid(&g).take(0, &index)).mse(&colours);
    let mut session = g.minimize(&loss, Adam::new(2e-3)).compile(&ours)?;
    session.bind_input("picture", picture.clone())?;
    let g = Graph::new();
    g.output("painting", &network(&g, &grid(&g)));
    let paint = session.load(&g)?;
    session.using(&paint).bind_output("painting", painting.clone())?;

    let mut frames = 0;
    for (number, &steps) in (1..).zip(shown) {
        while session.steps() < steps {
            // A frame, with as much of a step as fits into 4 ms of the GPU's time.
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            if !session.is_step_in_progress() {
                session.begin_step(&[])?;
            }
            session.record_some(&mut encoder, Duration::from_millis(4))?;
            queue.submit([encoder.finish()]);
            device.poll(wgpu::PollType::wait_indefinitely())?; // where a window would show the frame
            frames += 1;
        }
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        session.using(&paint).record(&mut encoder, &[])?;
        screen.draw(&mut encoder, &picture, 0);
        screen.draw(&mut encoder, &painting, number);
        queue.submit([encoder.finish()]);
        println!("{steps} steps in {frames} frames: loss {:.5}", session.read("loss")?.item()?);
    }
    screen.save(path)?;
    Ok(session.read("loss")?.item()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/pictures/paint.png".into());
    let Ok(adapter) = pollster::block_on(wgpu::Instance::default().request_adapter(&Default::default())) else {
        println!("there is no GPU here, not even one in software");
        return Ok(());
    };
    println!("on {}", adapter.get_info().name);
    run(&adapter, &[10, 50, 250, 1000], Path::new(&path))?;
    println!("{path}: the picture, and what was painted after 10, 50, 250 and 1000 steps");
    Ok(())
}
