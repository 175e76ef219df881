//! Compiled kernels of a device. A kernel is compiled once, whichever programs use it; those that a program still lacks are
//! compiled side by side, because drivers take their time.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::context::{Checks, GpuDevice, lock};
use super::disk_cache::DiskCache;
use super::health::What;
use super::trusted;
use super::warm::Compiling;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::shader::{Access, Kernel};

/// Pipelines beyond this many stay only as long as a program uses them: kernels made for one batch size are of no use to others.
const MOST: usize = 1024;

/// Bytes of a storage buffer without contents: more than an element of any kernel.
const EMPTY_BYTES: u64 = 256;

/// A kernel that is ready to run.
pub(super) struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) recipe: Recipe,
    /// Seconds in which its WGSL became a module, and the module a pipeline.
    pub(super) module_seconds: f64,
    pub(super) pipeline_seconds: f64,
    /// Whether it was dispatched: some drivers compile no earlier.
    pub(super) is_warm: AtomicBool,
}

/// What a pipeline is made of, on any device.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) label: String,
    pub(super) source: Arc<str>,
    bindings: Vec<Access>,
    uniform_bytes: u64,
    is_checked: bool,
}

/// What makes two kernels the same pipeline; their labels do not.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    source: Arc<str>,
    bindings: Vec<Access>,
    uniform_bytes: u64,
    is_trusted: bool,
}

/// All pipelines of a device.
pub(super) struct Pipelines {
    ready: Mutex<HashMap<Key, Arc<Pipeline>>>,
    disk: Option<DiskCache>,
    /// OpenGL has one context, which threads would only take from each other.
    is_serial: bool,
}

impl Pipelines {
    pub(super) fn new(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Self {
        Self {
            ready: Mutex::default(),
            disk: DiskCache::open(device, info),
            is_serial: info.backend == wgpu::Backend::Gl,
        }
    }

    /// The pipeline of each kernel, which comes with the number of bytes of its uniform parameters.
    pub(super) fn of<'a>(&self, device: &GpuDevice, kernels: &[(&'a Kernel, u64)]) -> Result<Vec<Arc<Pipeline>>> {
        let keys: Vec<Key> = kernels
            .iter()
            .map(|(kernel, uniform_bytes)| Key {
                source: Arc::clone(&kernel.source),
                bindings: kernel.bindings.clone(),
                uniform_bytes: *uniform_bytes,
                is_trusted: kernel.is_trusted,
            })
            .collect();
        let known: Vec<Option<Arc<Pipeline>>> = {
            let ready = lock(&self.ready);
            keys.iter().map(|key| ready.get(key).cloned()).collect()
        };
        let pairs = keys.iter().zip(kernels).zip(&known).filter(|(_, known)| known.is_none());
        let missing: HashMap<&Key, &'a Kernel> = pairs.map(|((key, (kernel, _)), _)| (key, *kernel)).collect();
        let mut compiled: HashMap<Key, Arc<Pipeline>> = HashMap::new();
        if !missing.is_empty() {
            let done = AtomicUsize::new(0);
            let compile = |(&key, &kernel): (&&Key, &&Kernel)| {
                let pipeline = Arc::new(self.compile(device, kernel, key.uniform_bytes)?);
                device.tell(Compiling { done: done.fetch_add(1, Ordering::Relaxed) + 1, all: 2 * missing.len() });
                Ok((key.clone(), pipeline))
            };
            compiled = if self.is_serial {
                missing.iter().map(compile).collect::<Result<_>>()?
            } else {
                missing.par_iter().map(compile).collect::<Result<_>>()?
            };
            let mut ready = lock(&self.ready);
            ready.extend(compiled.iter().map(|(key, pipeline)| (key.clone(), Arc::clone(pipeline))));
            if ready.len() > MOST {
                ready.retain(|_, pipeline| Arc::strong_count(pipeline) > 1);
            }
            drop(ready);
            if let Some(disk) = &self.disk {
                disk.grown();
            }
        }
        let all = keys.iter().zip(known).map(|(key, known)| known.or_else(|| compiled.get(key).cloned()));
        let found: Option<Vec<_>> = all.collect();
        found.ok_or_else(|| Error::Device("a kernel is missing after it was compiled".to_owned()))
    }

    /// Number of pipelines that were compiled.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.ready).len()
    }

    fn compile(&self, device: &GpuDevice, kernel: &Kernel, uniform_bytes: u64) -> Result<Pipeline> {
        let recipe = Recipe::of(device, kernel, uniform_bytes);
        let cache = self.disk.as_ref().map(DiskCache::cache);
        device.guarded_as(What::Kernel(&kernel.label), |raw| recipe.pipeline(raw, cache))
    }
}

impl Recipe {
    pub(super) fn of(device: &GpuDevice, kernel: &Kernel, uniform_bytes: u64) -> Self {
        Self {
            label: kernel.label.clone(),
            source: Arc::clone(&kernel.source),
            bindings: kernel.bindings.clone(),
            uniform_bytes,
            is_checked: device.checks() == Checks::All || !kernel.is_trusted,
        }
    }

    fn pipeline(&self, raw: &wgpu::Device, cache: Option<&wgpu::PipelineCache>) -> Pipeline {
        let label = self.label.as_str();
        let storage = |access: &Access| wgpu::BufferBindingType::Storage { read_only: *access == Access::Read };
        let uniform = (wgpu::BufferBindingType::Uniform, NonZeroU64::new(self.uniform_bytes));
        let entries: Vec<wgpu::BindGroupLayoutEntry> = std::iter::once(uniform)
            .chain(self.bindings.iter().map(|access| (storage(access), None)))
            .zip(0..)
            .map(|((ty, min_binding_size), binding)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size },
                count: None,
            })
            .collect();
        let begun = Instant::now();
        let module = if self.is_checked {
            trusted::checked_module(raw, label, &self.source)
        } else {
            trusted::unchecked_module(raw, label, &self.source)
        };
        let module_seconds = begun.elapsed().as_secs_f64();
        let layout =
            raw.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries });
        let pipeline_layout = raw.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Kernels never read workgroup memory that they did not write.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache,
        });
        let pipeline_seconds = begun.elapsed().as_secs_f64() - module_seconds;
        Pipeline {
            raw: pipeline,
            layout,
            recipe: self.clone(),
            module_seconds,
            pipeline_seconds,
            is_warm: AtomicBool::new(false),
        }
    }

    /// A dispatch with no workgroups, of buffers that hold nothing, on any device.
    pub(super) fn empty_dispatch(&self, raw: &wgpu::Device) -> wgpu::CommandBuffer {
        let pipeline = self.pipeline(raw, None);
        let buffer = |size, usage| {
            raw.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let uniforms = std::iter::once(buffer(self.uniform_bytes.max(16), wgpu::BufferUsages::UNIFORM));
        // Each has its own, since one that is written must not be read.
        let storage = self.bindings.iter().map(|_| buffer(EMPTY_BYTES, wgpu::BufferUsages::STORAGE));
        let buffers: Vec<wgpu::Buffer> = uniforms.chain(storage).collect();
        let entries: Vec<wgpu::BindGroupEntry> = buffers
            .iter()
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = raw.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        empty_dispatches(raw, [(&pipeline, &group)])
    }
}

/// Dispatches with no workgroups.
pub(super) fn empty_dispatches<'a>(
    raw: &wgpu::Device,
    kernels: impl IntoIterator<Item = (&'a Pipeline, &'a wgpu::BindGroup)>,
) -> wgpu::CommandBuffer {
    let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("warm-up") });
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for (pipeline, group) in kernels {
        pass.set_pipeline(&pipeline.raw);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(0, 1, 1);
    }
    drop(pass);
    encoder.finish()
}
