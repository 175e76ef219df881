//! A small device that runs one plan at a time: the first Vulkan adapter that there is, usually a software one. Shaders
//! run without the driver-independent checks of loops and indices, as in production; `WGRAD_SHADER_CHECKS=1` adds them.
#![allow(unsafe_code, reason = "shaders without checks are wgpu's one unsafe call; tests compare every result")]

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, OnceLock};
use std::time::Instant;

use wgpu::{BufferUsages, PollType};

use crate::shader::{Access, Adapter, Bound, Grid, Kernel, KernelPlan, Limits};

/// Says once in a process that tests which need a GPU are skipped, and why.
///
/// # Panics
/// Where `WGRAD_REQUIRE_GPU` is set: then a test may not be skipped.
pub(crate) fn skipped(reason: &str) {
    static SAID: Once = Once::new();
    assert!(std::env::var_os("WGRAD_REQUIRE_GPU").is_none(), "a GPU is required: {reason}");
    SAID.call_once(|| {
        // Not by `eprintln`, which tests capture: who runs them is to know.
        let _ = writeln!(std::io::stderr(), "GPU tests skipped: {reason}");
    });
}

/// One device for all tests of a process; its lock keeps polling to one thread.
pub(crate) struct Runner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// The device's own adapter.
    pub(crate) adapter: Adapter,
    pipelines: HashMap<Kernel, wgpu::ComputePipeline>,
}

impl Runner {
    /// The device, or nothing and a message where there is no adapter.
    pub(crate) fn lock() -> Option<MutexGuard<'static, Self>> {
        static RUNNER: OnceLock<Option<Mutex<Runner>>> = OnceLock::new();
        let runner = RUNNER.get_or_init(|| Self::new().map(Mutex::new)).as_ref();
        if runner.is_none() {
            skipped("no adapter");
        }
        runner.map(|runner| runner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn new() -> Option<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
            // As the library's own instance has it: what drivers compile once is then the same for both.
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok()?;
        let info = adapter.get_info();
        let subgroups = wgpu::Features::SUBGROUP | wgpu::Features::SUBGROUP_BARRIER;
        let has_subgroups = adapter.features().contains(subgroups);
        let limits = adapter.limits();
        let wide = adapter.features() & wgpu::Features::SHADER_INT64;
        let of_matrices = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16;
        let cooperative = [16, 8].into_iter().find(|size| {
            adapter.cooperative_matrix_properties().iter().any(|matrix| {
                [matrix.m_size, matrix.n_size, matrix.k_size] == [*size; 3]
                    && matrix.ab_type == wgpu::CooperativeScalarType::F16
                    && matrix.cr_type == wgpu::CooperativeScalarType::F32
            })
        });
        // As the library has it: lavapipe has them with 8 lanes alone.
        let lanes = info.subgroup_max_size;
        let cooperative = cooperative
            .filter(|_| has_subgroups && (lanes == 8 || lanes >= 32) && adapter.features().contains(of_matrices));
        let of_matrices = if cooperative.is_some() { of_matrices } else { wgpu::Features::empty() };
        let descriptor = wgpu::DeviceDescriptor {
            // SAFETY: the tests are what finds faults of drivers.
            experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
            required_features: of_matrices | wide | if has_subgroups { subgroups } else { wgpu::Features::empty() },
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).ok()?;
        let adapter = Adapter {
            name: info.name,
            is_software: info.device_type == wgpu::DeviceType::Cpu,
            bounded_loops: false,
            subgroups: has_subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
            subgroup_barriers: has_subgroups,
            cooperative: cooperative.map(|size| size as usize),
            wide_integers: !wide.is_empty(),
            half_arithmetic: false,
            limits: Limits {
                storage_buffers: limits.max_storage_buffers_per_shader_stage as usize,
                binding_bytes: limits.max_storage_buffer_binding_size,
                buffer_bytes: limits.max_buffer_size,
                workgroup_bytes: limits.max_compute_workgroup_storage_size as usize,
                workgroup_invocations: limits.max_compute_invocations_per_workgroup as usize,
                workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
            },
            ..Adapter::default()
        };
        Some(Self { device, queue, adapter, pipelines: HashMap::new() })
    }

    /// True where the device can run the plan as the tests' other adapters chose it.
    pub(crate) fn can_run(&self, plan: &KernelPlan, chosen_for: &Adapter) -> bool {
        let multiplies = |kernel: &Kernel| kernel.source.contains("enable wgpu_cooperative_matrix;");
        let has = |kernel: &Kernel| !multiplies(kernel) || chosen_for.cooperative == self.adapter.cooperative;
        plan.dispatches.iter().all(|dispatch| has(&dispatch.kernel))
            && (plan.dispatches.iter().all(|dispatch| !dispatch.kernel.subgroups)
                || chosen_for.subgroups == self.adapter.subgroups
                    && (self.adapter.wide_integers || !chosen_for.wide_integers))
    }

    /// Runs a plan on the inputs' bytes; returns each output's bytes. Outputs and scratch start as garbage.
    pub(crate) fn run(&mut self, plan: &KernelPlan, inputs: &[&[u8]], outputs: &[usize]) -> Vec<Vec<u8>> {
        self.run_timed(plan, inputs, outputs, 1).0
    }

    /// The same, several times; also returns the least seconds, and the least seconds of processor time of all threads
    /// where the system tells (a software driver's work, whatever else the machine does).
    pub(crate) fn run_timed(
        &mut self,
        plan: &KernelPlan,
        inputs: &[&[u8]],
        outputs: &[usize],
        times: usize,
    ) -> (Vec<Vec<u8>>, [f64; 2]) {
        let garbage: Vec<Vec<u8>> = outputs.iter().map(|&bytes| vec![0xcd; bytes]).collect();
        self.run_from(plan, inputs, &garbage.iter().map(Vec::as_slice).collect::<Vec<_>>(), times)
    }

    /// The same, with what the outputs hold before.
    pub(crate) fn run_from(
        &mut self,
        plan: &KernelPlan,
        inputs: &[&[u8]],
        outputs: &[&[u8]],
        times: usize,
    ) -> (Vec<Vec<u8>>, [f64; 2]) {
        let buffer = |bytes: usize, usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: bytes.next_multiple_of(16).max(16) as u64,
                usage: usage | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let filled = |data: &[u8], usage| {
            let buffer = buffer(data.len(), usage);
            let mut padded = data.to_vec();
            padded.resize(data.len().next_multiple_of(16), 0xcd);
            self.queue.write_buffer(&buffer, 0, &padded);
            buffer
        };
        let garbage = |bytes: usize| filled(&vec![0xcd; bytes.next_multiple_of(16)], BufferUsages::STORAGE);
        let inputs: Vec<_> = inputs.iter().map(|data| filled(data, BufferUsages::STORAGE)).collect();
        let results: Vec<_> = outputs.iter().map(|data| filled(data, BufferUsages::STORAGE)).collect();
        let scratch: Vec<_> = plan.scratch.iter().map(|&bytes| garbage(bytes)).collect();
        let mut ready = Vec::new();
        for dispatch in &plan.dispatches {
            let grid = Grid::line(dispatch.workgroups, self.adapter.limits.workgroups_per_dimension).unwrap();
            let words: Vec<u32> = std::iter::once(grid.width).chain(dispatch.params.iter().copied()).collect();
            let pipeline = self
                .pipelines
                .entry(dispatch.kernel.clone())
                .or_insert_with(|| pipeline(&self.device, &dispatch.kernel));
            let uniform = filled(bytemuck::cast_slice(&words), BufferUsages::UNIFORM);
            let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }];
            for (slot, bound) in dispatch.bound.iter().enumerate() {
                let buffer = match bound {
                    Bound::Input(index) => &inputs[*index],
                    Bound::Output(index) => &results[*index],
                    Bound::Scratch(index) => &scratch[*index],
                };
                entries.push(wgpu::BindGroupEntry { binding: slot as u32 + 1, resource: buffer.as_entire_binding() });
            }
            let layout = pipeline.get_bind_group_layout(0);
            let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &layout,
                entries: &entries,
            });
            ready.push((pipeline.clone(), group, grid));
        }
        let mut least = [f64::MAX; 2];
        for _ in 0..times {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for (pipeline, group, grid) in &ready {
                    pass.set_pipeline(pipeline);
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(grid.width, grid.height, 1);
                }
            }
            let (start, processor) = (Instant::now(), processor_seconds());
            self.queue.submit([encoder.finish()]);
            self.device.poll(PollType::wait_indefinitely()).unwrap();
            least[0] = least[0].min(start.elapsed().as_secs_f64());
            least[1] = least[1].min(processor_seconds() - processor);
        }
        (results.iter().zip(outputs).map(|(buffer, data)| self.read(buffer, data.len())).collect(), least)
    }

    fn read(&self, buffer: &wgpu::Buffer, bytes: usize) -> Vec<u8> {
        let copy = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &copy, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        copy.slice(..).map_async(wgpu::MapMode::Read, |result| result.unwrap());
        self.device.poll(PollType::wait_indefinitely()).unwrap();
        copy.slice(..).get_mapped_range().unwrap()[..bytes].to_vec()
    }
}

/// Processor time of all threads so far; 0 where the system does not tell.
fn processor_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = |task: std::fs::DirEntry| -> Option<u64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    tasks.filter_map(|task| nanoseconds(task.ok()?)).sum::<u64>() as f64 * 1e-9
}

fn pipeline(device: &wgpu::Device, kernel: &Kernel) -> wgpu::ComputePipeline {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(&kernel.label),
        source: wgpu::ShaderSource::Wgsl(kernel.source.as_ref().into()),
    };
    let module = if std::env::var_os("WGRAD_SHADER_CHECKS").is_some() {
        device.create_shader_module(descriptor)
    } else {
        // SAFETY: kernels stay within their bindings by the plans' own arithmetic, which these tests exist to prove.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    let entry = |binding: u32, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
    for (index, access) in kernel.bindings.iter().enumerate() {
        let read_only = *access == Access::Read;
        entries.push(entry(index as u32 + 1, wgpu::BufferBindingType::Storage { read_only }));
    }
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&kernel.label),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    })
}
