//! The only unsafe code of the GPU device: shaders without the run-time checks that wgpu adds, pipeline caches from disk, and
//! leave to use matrix instructions.
#![allow(
    unsafe_code,
    reason = "the calls are unsafe in wgpu because they trust their input or a driver; the comments say why those may be trusted"
)]

use std::borrow::Cow;

/// A module whose loops are not counted and whose indices are not clamped, which costs 17–40 % of a kernel's time.
/// Integer division stays checked: its divisor can be a user's value, and the CPU gives WGSL's answer as well.
pub(super) fn unchecked_module(device: &wgpu::Device, label: &str, source: &str) -> wgpu::ShaderModule {
    let mut checks = wgpu::ShaderRuntimeChecks::unchecked();
    checks.int_div_checks = true;
    // SAFETY: The source is a kernel of this engine (`Kernel::is_trusted`); a custom operator's has all checks. Kernels
    // compare their index with the number of elements before each access, and bound their loops by values of the plan;
    // tests run each of them with all checks on, where an access out of bounds changes the result.
    unsafe { device.create_shader_module_trusted(descriptor(label, source), checks) }
}

/// Leave to open a device with an experimental feature: matrix instructions.
pub(super) fn matrix_instructions() -> wgpu::ExperimentalFeatures {
    // SAFETY: wgpu asks to be told that drivers may have faults there. Of what shaders can get wrong with cooperative matrices, the kernels
    // do nothing: their tiles are whole, all lanes of a subgroup reach each operation, and only sizes and types are used that the adapter
    // lists. Tests run them with all checks on, and `wgrad check` compares their results.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// A module with all checks.
pub(super) fn checked_module(device: &wgpu::Device, label: &str, source: &str) -> wgpu::ShaderModule {
    device.create_shader_module(descriptor(label, source))
}

fn descriptor<'a>(label: &'a str, source: &'a str) -> wgpu::ShaderModuleDescriptor<'a> {
    wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(Cow::Borrowed(source)) }
}

/// A pipeline cache, filled from `data` where there is some. The device must have `Features::PIPELINE_CACHE`.
pub(super) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    // SAFETY: `data` is what `PipelineCache::get_data` gave to an earlier run for the same adapter: `disk_cache` compares
    // a checksum of it, and wgpu its header with the driver's version. A driver may refuse it; then the cache is empty.
    unsafe {
        device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor { label: Some("wgrad"), data, fallback: true })
    }
}
