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
const SCENE: &str = "
struct Frame { time: f32, number: u32 }
@group(0) @binding(0) var<uniform> frame: Frame;
struct Pictures { @location(0) clean: vec4<f32>, @location(1) noisy: vec4<f32> }

@vertex fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn scene(at: vec2<f32>) -> vec3<f32> {
    var colour = mix(vec3(0.2, 0.4, 0.75), vec3(0.95, 0.8, 0.65), at.y * 1.5);
    if at.y > 0.65 {
        let depth = 0.35 / (at.y - 0.45);
        let tile = vec2<i32>(floor(vec2((at.x - 1.0) * depth * 4.0 + frame.time, depth * 8.0)));
        colour = select(vec3(0.25, 0.2, 0.2), vec3(0.75, 0.7, 0.6), ((tile.x + tile.y) & 1) == 0);
    }
    for (var ball = 0; ball < 3; ball++) {
        let phase = frame.time * (0.7 + 0.2 * f32(ball)) + 2.1 * f32(ball);
        let middle = vec2(1.0 + 0.75 * cos(phase), 0.68 - 0.45 * abs(sin(phase * 1.7)));
        let off = (at - middle) / 0.17;
        let height = 1.0 - dot(off, off);
        if height > 0.0 {
            let light = 0.3 + 0.7 * max(0.0, dot(vec3(off, sqrt(height)), vec3(-0.45, -0.65, 0.61)));
            colour = light * vec3(0.95, 0.3 + 0.3 * f32(ball), 0.2 + 0.7 * f32(ball & 1));
        }
    }
    return colour;
}

fn noise(seed: u32) -> f32 {
    var x = seed * 747796405u + 2891336453u;
    x = ((x >> ((x >> 28u) + 4u)) ^ x) * 277803737u;
    return f32((x >> 22u) ^ x) / 4294967296.0 - 0.5;
}

@fragment fn draw(@builtin(position) position: vec4<f32>) -> Pictures {
    let clean = scene(position.xy / 64.0);
    let seed = (frame.number * 64u + u32(position.y)) * 128u + u32(position.x);
    let grain = vec3(noise(3u * seed), noise(3u * seed + 1u), noise(3u * seed + 2u));
    return Pictures(vec4(clean, 1.0), vec4(clean + 0.6 * grain, 1.0));
}";

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
        let [clean, noisy] = ["clean", "noisy"].map(|name| texture(&device, name, drawn));
        let denoised = texture(&device, "denoised", wgpu::TextureUsages::STORAGE_BINDING);
        let pipeline = pipeline(&device, clean.format());
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

fn texture(device: &wgpu::Device, name: &str, usage: wgpu::TextureUsages) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(name),
        size: wgpu::Extent3d { width: WIDTH, height: HEIGHT, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: usage | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

fn pipeline(device: &wgpu::Device, format: wgpu::TextureFormat) -> wgpu::RenderPipeline {
    let source = wgpu::ShaderSource::Wgsl(SCENE.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("scene"), source });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("scene"),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("corner"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: Default::default(),
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("draw"),
            compilation_options: Default::default(),
            targets: &[Some(format.into()), Some(format.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
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
