//! What a kernel choice may depend on: an adapter's limits and features, as plain data.

use super::Tuned;

/// Limits that a program must keep; what breaks one is an error when the program is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Storage buffers that a kernel may bind.
    pub storage_buffers: usize,
    /// Bytes of one binding.
    pub binding_bytes: u64,
    /// Bytes of one buffer.
    pub buffer_bytes: u64,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: usize,
    /// Invocations in a workgroup.
    pub workgroup_invocations: usize,
    /// Workgroups in one dimension of a dispatch.
    pub workgroups_per_dimension: u32,
}

/// An adapter as the compiler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its name, for messages.
    pub name: String,
    /// True for a software driver, which runs workgroups on CPU threads.
    pub is_software: bool,
    /// True where naga bounds every loop by a counter, which drivers then do not unroll.
    pub bounded_loops: bool,
    /// Smallest and largest subgroup, where subgroup operations may be used.
    pub subgroups: Option<(u32, u32)>,
    /// True where there are barriers for a subgroup alone.
    pub subgroup_barriers: bool,
    /// True where shaders may use integers of 64 bits.
    pub wide_integers: bool,
    /// Its limits.
    pub limits: Limits,
    /// The kernels that tuning found to be the fastest.
    pub tuned: Tuned,
}

impl Adapter {
    /// Iterations that all loops of one invocation may take together. Lavapipe silently leaves every loop after 65,535.
    pub(crate) fn most_iterations(&self) -> usize {
        if self.is_software { 1 << 15 } else { 1 << 24 }
    }
}

impl Adapter {
    /// Places that an invocation may sum over at once, in a loop that holds one over so many rows. That one is unrolled, unless naga
    /// bounds it.
    pub(crate) fn most_summed(&self, rows: usize) -> usize {
        if self.is_software && self.bounded_loops { 60_000 / (rows + 1) } else { self.most_iterations() }
    }
}

impl Default for Adapter {
    /// WebGPU's guaranteed limits, without optional features.
    fn default() -> Self {
        Self {
            name: "WebGPU defaults".to_owned(),
            is_software: false,
            bounded_loops: false,
            subgroups: None,
            subgroup_barriers: false,
            wide_integers: false,
            limits: Limits {
                storage_buffers: 8,
                binding_bytes: 128 << 20,
                buffer_bytes: 256 << 20,
                workgroup_bytes: 16 << 10,
                workgroup_invocations: 256,
                workgroups_per_dimension: 65_535,
            },
            tuned: Tuned::default(),
        }
    }
}
