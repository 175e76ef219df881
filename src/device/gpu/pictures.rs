//! Textures of an application as inputs and outputs: a small kernel before or after the program's own.

use super::bindings::bound_bytes;
use super::program::{GpuProgram, entry as entry_of, port_of};
use super::trusted;
use crate::compiler::{Location, Port};
use crate::error::{Error, Result};
use crate::shader::slot::Texel;
use crate::shader::{Grid, Kernel, KernelFile};
use crate::tensor::DType;

/// How a picture's elements follow each other in a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelLayout {
    /// `[height, width, channels]`, as pictures are in memory; with one channel also `[height, width]`. Leading axes of extent 1 do not
    /// matter.
    #[default]
    ChannelsLast,
    /// `[channels, height, width]`, as convolutions take them. Leading axes of extent 1 do not matter.
    ChannelsFirst,
}

/// A texture that an input is read from, or an output is drawn to.
pub(super) struct Picture {
    port: usize,
    /// What it was made of, to make it anew where the tensor moves.
    texture: wgpu::Texture,
    extents: [usize; 3],
    layout: PixelLayout,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: Grid,
}

impl Picture {
    /// Of which port.
    pub(super) const fn port(&self) -> usize {
        self.port
    }

    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.grid.width, self.grid.height, 1);
    }
}

/// Which way pixels go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Input,
    Output,
}

impl Way {
    const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// Height, width, channels of a tensor.
fn extents(port: &Port, layout: PixelLayout) -> Option<[usize; 3]> {
    let dims = port.ty.shape.dims();
    let leading = dims.iter().take(dims.len().saturating_sub(3)).all(|&extent| extent == 1);
    match (dims, layout) {
        ([height, width], _) => Some([*height, *width, 1]),
        ([.., height, width, channels], PixelLayout::ChannelsLast) if leading => Some([*height, *width, *channels]),
        ([.., channels, height, width], PixelLayout::ChannelsFirst) if leading => Some([*height, *width, *channels]),
        _ => None,
    }
}

/// What is said of a texture that cannot be bound, or the extents of its tensor.
fn checked(port: &Port, texture: &wgpu::Texture, layout: PixelLayout, way: Way) -> Result<[usize; 3]> {
    let (what, name) = (way.word(), &port.name);
    let wrong =
        |message: String| Err(Error::Argument(format!("the texture of {what} {name:?} ({}) {message}", port.ty)));
    if port.ty.dtype != DType::F32 {
        return wrong("can only stand for f32".into());
    }
    let Some([height, width, channels]) = extents(port, layout).filter(|[_, _, channels]| (1..=4).contains(channels))
    else {
        return wrong(format!("needs a tensor of height, width and 1 to 4 channels ({layout:?})"));
    };
    let components = texture.format().components();
    if channels > usize::from(components) {
        return wrong(format!("has {channels} channels, and {:?} has {components}", texture.format()));
    }
    let (needed, found) = ((width as u32, height as u32), (texture.width(), texture.height()));
    if needed != found || texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
        let message =
            format!("is {}×{} pixels, and {}×{} in two dimensions are needed", found.0, found.1, needed.0, needed.1);
        return wrong(message);
    }
    let usage = match way {
        Way::Input => wgpu::TextureUsages::TEXTURE_BINDING,
        Way::Output => wgpu::TextureUsages::STORAGE_BINDING,
    };
    if !texture.usage().contains(usage) {
        return wrong(format!("needs the usage {usage:?}, and has {:?}", texture.usage()));
    }
    Ok([height, width, channels])
}

/// The format of a texture that kernels can store to.
const fn texel(format: wgpu::TextureFormat) -> Option<Texel> {
    use wgpu::TextureFormat as F;
    Some(match format {
        F::Rgba8Unorm => Texel::Rgba8Unorm,
        F::Rgba8Snorm => Texel::Rgba8Snorm,
        F::Bgra8Unorm => Texel::Bgra8Unorm,
        F::Rgba16Float => Texel::Rgba16Float,
        F::R32Float => Texel::R32Float,
        F::Rg32Float => Texel::Rg32Float,
        F::Rgba32Float => Texel::Rgba32Float,
        _ => return None,
    })
}

impl GpuProgram {
    /// Reads an input from a texture of the application's at the beginning of each run.
    ///
    /// # Errors
    /// An input that is no picture of f32, or of another size; a texture of other dimensions, usages or of a format without floats.
    pub fn bind_input_texture(&mut self, number: usize, texture: &wgpu::Texture, layout: PixelLayout) -> Result<()> {
        let port = port_of(&self.program.inputs, number, "input")?.clone();
        let extents = checked(&port, texture, layout, Way::Input)?;
        let format = texture.format();
        let is_float = matches!(format.sample_type(None, None), Some(wgpu::TextureSampleType::Float { .. }));
        if !is_float {
            let message = format!("the texture of input {:?} is {format:?}, which has no floats", port.name);
            return Err(Error::Argument(message));
        }
        self.unbind_input(number)?;
        let picture = self.picture(number, port.location, texture.clone(), (extents, layout), Way::Input)?;
        self.input_pictures.push(picture);
        Ok(())
    }

    /// Draws an output to a texture of the application's at the end of each run.
    ///
    /// # Errors
    /// An output that is no picture of f32, or of another size; a texture of other dimensions, usages or of a format that kernels cannot
    /// store to.
    pub fn bind_output_texture(&mut self, number: usize, texture: &wgpu::Texture, layout: PixelLayout) -> Result<()> {
        let port = port_of(&self.program.outputs, number, "output")?.clone();
        let extents = checked(&port, texture, layout, Way::Output)?;
        let picture = self.picture(number, port.location, texture.clone(), (extents, layout), Way::Output)?;
        self.output_pictures.retain(|other| other.port() != number);
        self.output_pictures.push(picture);
        Ok(())
    }

    fn picture(
        &self,
        port: usize,
        location: Location,
        texture: wgpu::Texture,
        (extents, layout): ([usize; 3], PixelLayout),
        way: Way,
    ) -> Result<Picture> {
        let [height, width, channels] = extents;
        let [row, pixel, channel] = match layout {
            PixelLayout::ChannelsLast => [width * channels, channels, 1],
            PixelLayout::ChannelsFirst => [width, 1, height * width],
        };
        let memory = self.bindings.resolve(&location);
        let memory = memory.ok_or_else(|| Error::Argument("the program has no such buffer".to_owned()))?;
        let (kernel, view) = match way {
            Way::Input => (
                Kernel::of(KernelFile::PictureRead).kernel("picture", 0, 1),
                wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Float { filterable: false },
                    view_dimension: wgpu::TextureViewDimension::D2,
                    multisampled: false,
                },
            ),
            Way::Output => {
                let Some(slot) = texel(texture.format()) else {
                    let format = texture.format();
                    return Err(Error::Argument(format!(
                        "an output cannot be drawn to a texture of {format:?}; use rgba8unorm, rgba16float, r32float or rgba32float"
                    )));
                };
                let storage = wgpu::BindingType::StorageTexture {
                    access: wgpu::StorageTextureAccess::WriteOnly,
                    format: texture.format(),
                    view_dimension: wgpu::TextureViewDimension::D2,
                };
                (Kernel::of(KernelFile::PictureWrite).slot(slot).kernel("picture", 1, 0), storage)
            }
        };
        let kernel = kernel.map_err(Error::Device)?;
        let limit = self.device.adapter().limits.workgroups_per_dimension;
        let grid = Grid::covering(height * width, 64, limit);
        let grid = grid.ok_or_else(|| Error::Limit(format!("a picture of {width}×{height} pixels is too large")))?;
        let words = [grid.width as usize, width, height * width, channels, row, pixel, channel];
        let params: Vec<u32> = words.iter().map(|&word| word as u32).collect();
        let uniform =
            self.device.buffer("a picture", 32, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)?;
        self.device.write(&uniform, 0, bytemuck::cast_slice(&params))?;
        let (pipeline, group) = self.device.guarded("binding a texture", |raw| {
            let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty,
                count: None,
            };
            let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
            let group_layout = raw.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("picture"),
                entries: &[
                    entry(0, buffer(wgpu::BufferBindingType::Uniform)),
                    entry(1, buffer(wgpu::BufferBindingType::Storage { read_only: way == Way::Output })),
                    entry(2, view),
                ],
            });
            let pipeline_layout = raw.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some("picture"),
                bind_group_layouts: &[Some(&group_layout)],
                immediate_size: 0,
            });
            let pipeline = raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("picture"),
                layout: Some(&pipeline_layout),
                module: &trusted::checked_module(raw, "picture", &kernel.source),
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            let group = raw.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("picture"),
                layout: &group_layout,
                entries: &[
                    wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
                    entry_of(1, memory.buffer, memory.offset, bound_bytes(&location)),
                    wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(&view) },
                ],
            });
            (pipeline, group)
        })?;
        Ok(Picture { port, texture, extents, layout, pipeline, group, grid })
    }

    /// Makes the pictures of outputs anew that are at a location, whose memory is another now.
    pub(super) fn redraw(&mut self, location: Location) -> Result<()> {
        for index in 0..self.output_pictures.len() {
            let Picture { port, extents, layout, .. } = self.output_pictures[index];
            let own = port_of(&self.program.outputs, port, "output")?.location;
            if own.buffer == location.buffer {
                let texture = self.output_pictures[index].texture.clone();
                self.output_pictures[index] = self.picture(port, own, texture, (extents, layout), Way::Output)?;
            }
        }
        Ok(())
    }
}
