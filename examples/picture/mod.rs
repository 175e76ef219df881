//! The screen of the examples that show a picture, and no part of wgrad: a texture in place of a window, a shader that draws a buffer of
//! colours into it, and the texture's way into a PNG file.
#![allow(dead_code, reason = "each example uses a part")]

use std::error::Error;
use std::path::Path;

use wgrad::wgpu;

const SHADER: &str = "
@group(0) @binding(0) var<storage, read> colours: array<f32>;
@group(0) @binding(1) var<uniform> size: vec2<u32>;

// One triangle that covers everything.
@vertex fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment fn colour(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let pixel = 3u * (u32(position.y) * size.x + u32(position.x) % size.x);
    return vec4<f32>(colours[pixel], colours[pixel + 1u], colours[pixel + 2u], 1.0);
}";

/// Panels of one size beside each other.
pub struct Screen {
    device: wgpu::Device,
    queue: wgpu::Queue,
    texture: wgpu::Texture,
    pipeline: wgpu::RenderPipeline,
    size: wgpu::Buffer,
    panel: [u32; 2],
}

impl Screen {
    /// A panel's width is a multiple of 64: a row of pixels is a multiple of 256 bytes when it is copied.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, panel: [u32; 2], panels: u32) -> Self {
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("the screen"),
            size: wgpu::Extent3d { width: panel[0] * panels, height: panel[1], depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT
                | wgpu::TextureUsages::COPY_SRC
                | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("the screen's shader"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("the screen's pipeline"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("colour"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(texture.format().into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let descriptor =
            wgpu::BufferDescriptor { label: Some("a panel's size"), size: 8, usage, mapped_at_creation: false };
        let size = device.create_buffer(&descriptor);
        queue.write_buffer(&size, 0, bytemuck::bytes_of(&panel));
        Self { device: device.clone(), queue: queue.clone(), texture, pipeline, size, panel }
    }

    /// Draws colours (red, green, blue from 0 to 1, row by row) as the panel of that number.
    pub fn draw(&self, encoder: &mut wgpu::CommandEncoder, colours: &wgpu::Buffer, number: u32) {
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("a panel"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: colours.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: self.size.as_entire_binding() },
            ],
        });
        let view = self.texture.create_view(&wgpu::TextureViewDescriptor::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("a panel"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        let [width, height] = self.panel;
        pass.set_viewport((number * width) as f32, 0.0, width as f32, height as f32, 0.0, 1.0);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
    }

    /// Copies a texture of a panel's size and format, as the panel of that number.
    pub fn copy(&self, encoder: &mut wgpu::CommandEncoder, texture: &wgpu::Texture, number: u32) {
        let mut panel = self.texture.as_image_copy();
        panel.origin.x = number * self.panel[0];
        encoder.copy_texture_to_texture(texture.as_image_copy(), panel, texture.size());
    }

    /// All panels: red, green, blue and opacity of each pixel.
    pub fn pixels(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        let size = self.texture.size();
        let copy = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("the screen's copy"),
            size: u64::from(4 * size.width * size.height),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * size.width), rows_per_image: None };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_texture_to_buffer(
            self.texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &copy, layout },
            size,
        );
        encoder.map_buffer_on_submit(&copy, wgpu::MapMode::Read, .., |_| ());
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(copy.get_mapped_range(..)?.to_vec())
    }

    /// Writes all panels as a PNG file, and the folders that it is in.
    pub fn save(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let size = self.texture.size();
        let mut encoder = png::Encoder::new(std::fs::File::create(path)?, size.width, size.height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header()?.write_image_data(&self.pixels()?)?;
        Ok(())
    }
}

/// Memory for a picture's colours, which wgrad may read and write.
pub fn colours(device: &wgpu::Device, panel: [u32; 2]) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("colours"),
        size: u64::from(12 * panel[0] * panel[1]),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
