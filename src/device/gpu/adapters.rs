//! What GPUs there are, on all backends, in an order that stays the same from call to call.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use super::context::Checks;
use super::requirements::Requirements;
use super::trusted;
use crate::error::{Error, Result};
use crate::shader::{Adapter, Chip, Limits, Tuned};

/// What kind of device an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// A driver that runs shaders on the processor: lavapipe, SwiftShader, WARP.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "other",
            Self::Software => "software",
        })
    }
}

impl From<wgpu::DeviceType> for AdapterKind {
    fn from(kind: wgpu::DeviceType) -> Self {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Cpu => Self::Software,
            wgpu::DeviceType::Other => Self::Other,
        }
    }
}

/// A product of small matrices that an adapter computes with one instruction: `m×k` times `k×n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CooperativeMatrix {
    /// Rows of the result.
    pub m: u32,
    /// Columns of the result.
    pub n: u32,
    /// Columns of the left operand.
    pub k: u32,
    /// Element type of the operands: `f32`, `f16`, `i32` or `u32`.
    pub operands: &'static str,
    /// Element type of the result.
    pub result: &'static str,
}

impl fmt::Display for CooperativeMatrix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}x{} {}->{}", self.m, self.n, self.k, self.operands, self.result)
    }
}

/// Optional features of an adapter that the engine knows how to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuFeatures {
    /// Arithmetic in 16 bits.
    pub f16: bool,
    /// Subgroup operations, with the smallest and the largest subgroup.
    pub subgroups: Option<(u32, u32)>,
    /// Products of small matrices in hardware.
    pub cooperative_matrices: Vec<CooperativeMatrix>,
    /// Times measured by the GPU itself.
    pub timestamps: bool,
    /// Compiled kernels can be stored on disk.
    pub pipeline_cache: bool,
}

/// An adapter, as `wgrad devices` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInfo {
    /// Its index in the list.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// How it is reached: `vulkan`, `metal`, `dx12`, `gl` or `webgpu`.
    pub backend: &'static str,
    /// What it is.
    pub kind: AdapterKind,
    /// The driver's name and version.
    pub driver: String,
    /// The limits that the compiler keeps.
    pub limits: Limits,
    /// Features that the engine uses.
    pub features: GpuFeatures,
}

impl GpuInfo {
    pub(super) fn of(index: usize, adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let features = adapter.features();
        let driver = [info.driver.as_str(), info.driver_info.as_str()];
        let driver: Vec<&str> = driver.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            index,
            backend: backend_name(info.backend),
            kind: info.device_type.into(),
            driver: driver.join(" "),
            limits: compiler_limits(&adapter.limits()),
            features: GpuFeatures {
                f16: features.contains(wgpu::Features::SHADER_F16),
                subgroups: subgroups(features, &info),
                cooperative_matrices: cooperative_matrices(adapter),
                timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
                pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            },
            name: info.name,
        }
    }
}

/// Which adapter to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// The first that is hardware.
    #[default]
    Hardware,
    /// The first of the list, which is a software driver where there is no hardware. OpenGL in software has to be asked for by number or
    /// name: it has one context for all threads, and wgpu gives up with a panic where a kernel holds it for long.
    Any,
    /// By its index in the list.
    Index(usize),
    /// The first whose name, or backend and name, contains this text, whatever the case: `nvidia`, `vulkan intel`.
    Name(String),
}

/// All adapters that can run kernels: hardware first, each device once a backend, but not on OpenGL where another
/// backend has it. Empty where there is no driver. They are looked for once; the list stays the same until the process ends.
pub fn adapters() -> Vec<GpuInfo> {
    ranked().iter().enumerate().map(|(index, adapter)| GpuInfo::of(index, adapter)).collect()
}

/// The adapter that is meant.
pub(super) fn select(selection: &Selection) -> Result<(usize, wgpu::Adapter)> {
    let adapters = ranked();
    let is_hardware = |adapter: &wgpu::Adapter| adapter.get_info().device_type != wgpu::DeviceType::Cpu;
    let found = match selection {
        Selection::Hardware => adapters.iter().position(is_hardware),
        Selection::Any => {
            adapters.iter().position(|adapter| is_hardware(adapter) || adapter.get_info().backend != wgpu::Backend::Gl)
        }
        Selection::Index(index) => Some(*index),
        Selection::Name(text) => adapters.iter().position(|adapter| {
            let info = adapter.get_info();
            let full_name = format!("{} {}", backend_name(info.backend), info.name).to_lowercase();
            // Every word, in any order, so that "intel vulkan" works as well.
            text.to_lowercase().split_whitespace().all(|word| full_name.contains(word)) && !text.trim().is_empty()
        }),
    };
    found.and_then(|index| Some((index, adapters.get(index)?.clone()))).ok_or_else(|| {
        let names: Vec<String> = adapters
            .iter()
            .enumerate()
            .map(|(index, adapter)| format!("{index}: {}", adapter.get_info().name))
            .collect();
        let there = match (names.is_empty(), selection) {
            (true, _) => "no GPU adapter was found; is a Vulkan, Metal or DX12 driver installed?".to_owned(),
            (false, _) => format!("there is {}", names.join(", ")),
        };
        Error::Device(match selection {
            Selection::Hardware => format!("no hardware GPU; {there}"),
            Selection::Any if !names.is_empty() => format!("no GPU adapter but OpenGL in software; {there}"),
            Selection::Any => there,
            Selection::Index(index) => format!("no adapter number {index}; {there}"),
            Selection::Name(name) => format!("no adapter is called {name:?}; {there}"),
        })
    })
}

/// The adapter of a browser's page, which is whatever is asked for but software by its kind.
pub(super) async fn of_page(selection: &Selection) -> Result<(usize, wgpu::Adapter)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let found = instance.request_adapter(&options).await;
    let adapter = found.map_err(|error| Error::Device(format!("this browser has no WebGPU adapter: {error}")))?;
    match selection {
        Selection::Index(index) if *index > 0 => {
            Err(Error::Device(format!("no adapter number {index}; a page has number 0 alone")))
        }
        Selection::Name(text) if !adapter.get_info().name.to_lowercase().contains(&text.to_lowercase()) => {
            Err(Error::Device(format!("no adapter is called {text:?}; there is {}", adapter.get_info().name)))
        }
        _ => Ok((0, adapter)),
    }
}

/// The adapters, found once for the process. Making an instance loads every driver, some of which print when they are
/// loaded; and OpenGL, which has one context for all, does not bear being listed again while a device is at work.
fn ranked() -> &'static [wgpu::Adapter] {
    static ADAPTERS: OnceLock<Vec<wgpu::Adapter>> = OnceLock::new();
    // Where the driver tells what memory there is, more is refused before it fails, or takes what other programs have.
    ADAPTERS.get_or_init(|| found(Some(95)))
}

/// The adapter of that number, whatever its driver tells of the memory that is left.
pub(super) fn without_budget(index: usize) -> Option<wgpu::Adapter> {
    found(None).into_iter().nth(index)
}

/// All adapters, whose devices take no more than these per cent of the memory that their driver tells of.
fn found(budget: Option<u8>) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // WGPU_BACKEND restricts the list, and WGPU_VALIDATION=1 turns the drivers' own validation on.
    descriptor.backends = wgpu::Backends::all().with_env();
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    descriptor.memory_budget_thresholds.for_resource_creation = budget;
    let instance = wgpu::Instance::new(descriptor);
    // A driver that breaks while it is asked hides only its own backend.
    let found = wgpu::Backends::all().iter().flat_map(|backend| {
        catch_unwind(AssertUnwindSafe(|| pollster::block_on(instance.enumerate_adapters(backend)))).unwrap_or_default()
    });
    rank(found.collect())
}

fn rank(found: Vec<wgpu::Adapter>) -> Vec<wgpu::Adapter> {
    let mut adapters: Vec<(wgpu::AdapterInfo, wgpu::Adapter)> =
        found.into_iter().filter(can_compute).map(|adapter| (adapter.get_info(), adapter)).collect();
    let elsewhere: Vec<String> = adapters
        .iter()
        .filter(|(info, _)| info.backend != wgpu::Backend::Gl)
        .map(|(info, _)| info.name.clone())
        .collect();
    adapters.retain(|(info, _)| {
        info.backend != wgpu::Backend::Gl || !elsewhere.iter().any(|name| same_device(name, &info.name))
    });
    // A stable sort: devices of one kind and backend stay in the driver's order.
    adapters.sort_by_key(|(info, _)| (AdapterKind::from(info.device_type), backend_rank(info.backend)));
    adapters.into_iter().map(|(_, adapter)| adapter).collect()
}

/// OpenGL puts words around the name that other backends give: "NVIDIA GeForce RTX 3090/PCIe/SSE2", "Mesa Intel(R) UHD …".
fn same_device(name: &str, gl_name: &str) -> bool {
    !name.is_empty() && (gl_name.contains(name) || name.contains(gl_name))
}

/// Old OpenGL has no compute shaders; and with fewer buffers than kernels bind on most devices, much would run in small parts.
fn can_compute(adapter: &wgpu::Adapter) -> bool {
    let limits = adapter.limits();
    adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        && limits.max_compute_invocations_per_workgroup >= 256
        && limits.max_storage_buffers_per_shader_stage >= 8
}

fn backend_rank(backend: wgpu::Backend) -> u8 {
    match backend {
        wgpu::Backend::Metal => 0,
        wgpu::Backend::Vulkan => 1,
        wgpu::Backend::Dx12 => 2,
        wgpu::Backend::BrowserWebGpu => 3,
        wgpu::Backend::Gl => 4,
        wgpu::Backend::Noop => 5,
    }
}

pub(super) fn backend_name(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Dx12 => "dx12",
        wgpu::Backend::BrowserWebGpu => "webgpu",
        wgpu::Backend::Gl => "gl",
        wgpu::Backend::Noop => "noop",
    }
}

/// The compiler's view of a device that was opened with these features and limits.
pub(super) fn compiler_adapter(
    info: &wgpu::AdapterInfo,
    device: &wgpu::Device,
    listed: &GpuFeatures,
    of_adapter: &wgpu::Limits,
    checks: Checks,
) -> Adapter {
    let features = device.features();
    let (limits, of_adapter) = (compiler_limits(&device.limits()), compiler_limits(of_adapter));
    let for_matrices =
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    Adapter {
        name: info.name.clone(),
        is_software: info.device_type == wgpu::DeviceType::Cpu,
        bounded_loops: checks == Checks::All,
        chip: chip(info),
        subgroups: subgroups(features, info),
        cooperative: matrix_size(listed).filter(|_| features.contains(for_matrices)),
        subgroup_barriers: features.contains(wgpu::Features::SUBGROUP_BARRIER),
        wide_integers: features.contains(wgpu::Features::SHADER_INT64),
        half_arithmetic: features.contains(wgpu::Features::SHADER_F16),
        of_adapter: (limits != of_adapter).then_some(of_adapter),
        limits,
        tuned: Tuned::default(),
    }
}

/// What a driver's words let one guess of the chip.
fn chip(info: &wgpu::AdapterInfo) -> Chip {
    let units = match info.device_type {
        wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => Chip::DISCRETE,
        wgpu::DeviceType::IntegratedGpu => Chip::INTEGRATED,
        wgpu::DeviceType::Other | wgpu::DeviceType::Cpu => Chip::UNKNOWN,
    };
    Chip::new(units, (info.subgroup_min_size, info.subgroup_max_size))
}

fn compiler_limits(limits: &wgpu::Limits) -> Limits {
    Limits {
        // A kernel's buffers and its parameters are bound as one group.
        storage_buffers: limits
            .max_storage_buffers_per_shader_stage
            .min(limits.max_bindings_per_bind_group.saturating_sub(1)) as usize,
        binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        workgroup_bytes: limits.max_compute_workgroup_storage_size as usize,
        // Kernels lay their invocations out along x.
        workgroup_invocations: limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x)
            as usize,
        workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
    }
}

fn subgroups(features: wgpu::Features, info: &wgpu::AdapterInfo) -> Option<(u32, u32)> {
    features.contains(wgpu::Features::SUBGROUP).then_some((info.subgroup_min_size, info.subgroup_max_size))
}

/// What the engine uses where an adapter has it, and leave to use what is experimental of that.
pub(super) fn wanted_features(
    adapter: &wgpu::Adapter,
    listed: &GpuFeatures,
    matrices: bool,
) -> (wgpu::Features, wgpu::ExperimentalFeatures) {
    let wanted = Requirements::default().optional_features() | wgpu::Features::SHADER_F16;
    if !matrices || matrix_size(listed).is_none() {
        return (adapter.features() & wanted, wgpu::ExperimentalFeatures::disabled());
    }
    let wanted = wanted | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
    (adapter.features() & wanted, trusted::matrix_instructions())
}

/// The largest size of the square matrices of f16 that kernels can multiply into sums of f32. Lavapipe lists them with subgroups of 4 lanes
/// too, and has them not; with 16, it breaks.
fn matrix_size(listed: &GpuFeatures) -> Option<usize> {
    let (_, lanes) = listed.subgroups?;
    if lanes != 8 && lanes < 32 {
        return None;
    }
    let is_listed = |&size: &u32| {
        listed.cooperative_matrices.iter().any(|matrix| {
            [matrix.m, matrix.n, matrix.k] == [size; 3] && matrix.operands == "f16" && matrix.result == "f32"
        })
    };
    [16, 8].into_iter().find(is_listed).map(|size| size as usize)
}

fn cooperative_matrices(adapter: &wgpu::Adapter) -> Vec<CooperativeMatrix> {
    let name = |ty| match ty {
        wgpu::CooperativeScalarType::F32 => "f32",
        wgpu::CooperativeScalarType::F16 => "f16",
        wgpu::CooperativeScalarType::I32 => "i32",
        wgpu::CooperativeScalarType::U32 => "u32",
    };
    adapter
        .cooperative_matrix_properties()
        .into_iter()
        .map(|matrix| CooperativeMatrix {
            m: matrix.m_size,
            n: matrix.n_size,
            k: matrix.k_size,
            operands: name(matrix.ab_type),
            result: name(matrix.cr_type),
        })
        .collect()
}
