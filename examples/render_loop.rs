//! An application in the style of a game engine: a state, and systems that run in each frame. `update` moves the scene; `render` draws it
//! with noise and without, records a part of a training step, and has the network clean the noisy picture. Textures are the network's
//! inputs and its output. Run it with `cargo run --release --example render_loop -- denoised.png`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

mod picture;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use picture::Screen;
use wgrad::prelude::*;
use wgrad::session::{PixelLayout, Program};
use wgrad::wgpu;

const WIDTH: u32 = 128;
const HEIGHT: u32 = 64;

/// Balls that jump over a floor of tiles, into two pictures at once.
const SCENE: &str = include_str!("picture/scene.wgsl");

/// What is to be taken away from a noisy picture `[1, 3, height, width]` is the noise.
fn network(g: &Graph, noisy: &Tensor, mode: Mode) -> Tensor {
    let (height, width) = (HEIGHT as usize, WIDTH as usize);
    let model = Sequential::new([3, height, width]).conv2d(12, 5).padding(2).relu().conv2d(12, 3).padding(1).relu();
    noisy - model.conv2d(3, 3).padding(1).initializer(Initializer::Zeros).forward(g, noisy, mode)
}

/// The application's state.
struct App {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::RenderPipeline,
    group: wgpu::BindGroup,
    frame: wgpu::Buffer,
    number: u32,
    clean: wgpu::Texture,
    noisy: wgpu::Texture,
    denoised: wgpu::Texture,
    session: Session,
    denoise: Program,
}

impl App {
    fn new(adapter: &wgpu::Adapter) -> Result<Self, Box<dyn Error>> {
        let clock = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor { required_features: clock, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        let drawn = wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING;
        let [clean, noisy] = ["clean", "noisy"].map(|name| picture::texture(&device, name, [WIDTH, HEIGHT], drawn));
        let denoised = picture::texture(&device, "denoised", [WIDTH, HEIGHT], wgpu::TextureUsages::STORAGE_BINDING);
        let pipeline = picture::pipeline(&device, SCENE, 2);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: Some("frame"), size: 8, usage, mapped_at_creation: false };
        let frame = device.create_buffer(&descriptor);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("frame"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: frame.as_entire_binding() }],
        });

        let ours = Device::from_wgpu(adapter, device.clone(), queue.clone())?;
        let shape = [1, 3, HEIGHT as usize, WIDTH as usize];
        let g = Graph::new();
        let (from, to) = (g.input("noisy", shape, F32), g.input("clean", shape, F32));
        g.output("noise", &from.mse(&to));
        g.minimize(&network(&g, &from, Mode::Training).mse(&to), Adam::new(5e-3)).build();
        let mut session = g.compile(&ours)?;
        session.bind_input_texture("noisy", &noisy, PixelLayout::ChannelsFirst)?;
        session.bind_input_texture("clean", &clean, PixelLayout::ChannelsFirst)?;
        let g = Graph::new();
        g.output("denoised", &network(&g, &g.input("noisy", shape, F32), Mode::Evaluation));
        let denoise = session.load(&g)?;
        session.using(&denoise).bind_input_texture("noisy", &noisy, PixelLayout::ChannelsFirst)?;
        session.using(&denoise).bind_output_texture("denoised", &denoised, PixelLayout::ChannelsFirst)?;
        Ok(Self { device, queue, pipeline, group, frame, number: 0, clean, noisy, denoised, session, denoise })
    }

    /// Moves the scene.
    fn update(&mut self) {
        self.number += 1;
        let time = self.number as f32 / 20.0;
        self.queue.write_buffer(&self.frame, 0, bytemuck::bytes_of(&[time.to_bits(), self.number]));
    }

    /// Draws a frame, and learns for 4 ms of the GPU's time.
    fn render(&mut self) -> Result<(), Box<dyn Error>> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let views = [&self.clean, &self.noisy].map(|texture| texture.create_view(&Default::default()));
        let target = |view| {
            let ops = wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store };
            Some(wgpu::RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops })
        };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[target(&views[0]), target(&views[1])],
            ..Default::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..3, 0..1);
        drop(pass);
        if !self.session.is_step_in_progress() {
            // Between two steps, the picture is cleaned with what is learnt so far.
            self.session.using(&self.denoise).record(&mut encoder, &[])?;
            self.session.begin_step(&[])?;
        }
        self.session.record_some(&mut encoder, Duration::from_millis(4))?;
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely())?; // where a window would show the frame
        Ok(())
    }
}

/// Runs until some steps are done. Returns the mean squared errors of the noisy picture and of the cleaned one.
pub fn run(adapter: &wgpu::Adapter, steps: u64, path: &Path) -> Result<[f64; 2], Box<dyn Error>> {
    let mut app = App::new(adapter)?;
    while app.session.steps() < steps {
        app.update();
        app.render()?;
    }
    let read = |session: &mut Session, name| session.read(name)?.item();
    let errors = [read(&mut app.session, "noise")?, read(&mut app.session, "loss")?];
    println!(
        "{steps} steps in {} frames: mean squared error {:.4} with noise, {:.4} without",
        app.number, errors[0], errors[1]
    );
    // The next frame, as it is drawn, cleaned, and meant.
    app.update();
    app.render()?;
    let screen = Screen::new(&app.device, &app.queue, [WIDTH, HEIGHT], 3);
    let mut encoder = app.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    for (number, texture) in [&app.noisy, &app.denoised, &app.clean].into_iter().enumerate() {
        screen.copy(&mut encoder, texture, number as u32);
    }
    app.queue.submit([encoder.finish()]);
    screen.save(path)?;
    Ok(errors)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/pictures/render_loop.png".into());
    let Ok(adapter) = pollster::block_on(wgpu::Instance::default().request_adapter(&Default::default())) else {
        println!("there is no GPU here, not even one in software");
        return Ok(());
    };
    println!("on {}", adapter.get_info().name);
    run(&adapter, 600, Path::new(&path))?;
    println!("{path}: a frame with noise, cleaned, and as it is meant");
    Ok(())
}
