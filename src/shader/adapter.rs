//! What a kernel choice may depend on: an adapter's limits and features, as plain data.

use super::{Chip, Tuned};
use crate::error::{Error, Result};

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

/// Which limit is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    StorageBuffers,
    BindingBytes,
    BufferBytes,
    WorkgroupsPerDimension,
}

impl Limit {
    fn of(self, limits: &Limits) -> u64 {
        match self {
            Self::StorageBuffers => limits.storage_buffers as u64,
            Self::BindingBytes => limits.binding_bytes,
            Self::BufferBytes => limits.buffer_bytes,
            Self::WorkgroupsPerDimension => u64::from(limits.workgroups_per_dimension),
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::StorageBuffers => "storage buffers in a kernel",
            Self::BindingBytes => "bytes in a tensor that a kernel reads or writes",
            Self::BufferBytes => "bytes in a buffer",
            Self::WorkgroupsPerDimension => "workgroups in a dimension",
        }
    }

    /// Its name in `wgpu::Limits`.
    const fn field(self) -> &'static str {
        match self {
            Self::StorageBuffers => "max_storage_buffers_per_shader_stage",
            Self::BindingBytes => "max_storage_buffer_binding_size",
            Self::BufferBytes => "max_buffer_size",
            Self::WorkgroupsPerDimension => "max_compute_workgroups_per_dimension",
        }
    }
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
    /// What it has inside, as far as that can be guessed.
    pub chip: Chip,
    /// Smallest and largest subgroup, where subgroup operations may be used.
    pub subgroups: Option<(u32, u32)>,
    /// Rows, columns and inner dimension of matrices of f16 that a subgroup multiplies with one instruction (8 or 16), with sums in f32;
    /// `None` where that may not be used.
    pub cooperative: Option<usize>,
    /// True where there are barriers for a subgroup alone.
    pub subgroup_barriers: bool,
    /// True where shaders may use integers of 64 bits.
    pub wide_integers: bool,
    /// True where the adapter computes in floats of 16 bits.
    pub half_arithmetic: bool,
    /// The limits of the device.
    pub limits: Limits,
    /// What the adapter itself allows, where an application opened its device with other limits.
    pub of_adapter: Option<Limits>,
    /// The kernels that tuning found to be the fastest.
    pub tuned: Tuned,
}

impl Adapter {
    /// An error where `what` needs more than a limit allows, which says whose limit it is.
    pub(crate) fn allows(&self, limit: Limit, needed: u64, what: &str) -> Result<()> {
        let (unit, name, allowed) = (limit.unit(), &self.name, limit.of(&self.limits));
        if needed <= allowed {
            return Ok(());
        }
        let whose = match self.of_adapter.as_ref().map(|adapter| limit.of(adapter)) {
            Some(adapter) if needed <= adapter => format!(
                "the application opened its device with {allowed}, where the adapter {name} allows {adapter}: ask for more in \
                 `required_limits` ({})",
                limit.field()
            ),
            Some(adapter) => format!("the adapter {name} allows {adapter}"),
            None => format!("the adapter {name} allows {allowed}"),
        };
        Err(Error::Limit(format!("{what} needs {needed} {unit}; {whose}")))
    }

    /// The number of iterations that all loops of one invocation may take together. Lavapipe silently exits every loop after 65,535.
    pub(crate) fn most_iterations(&self) -> usize {
        if self.is_software { 1 << 15 } else { 1 << 24 }
    }
}

impl Adapter {
    /// The number of positions that an invocation may sum over at once, in a loop with an inner loop over `rows` rows. The inner loop is
    /// unrolled, unless naga bounds it.
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
            chip: Chip::new(Chip::UNKNOWN, (0, 0)),
            cooperative: None,
            subgroup_barriers: false,
            wide_integers: false,
            half_arithmetic: false,
            limits: Limits {
                storage_buffers: 8,
                binding_bytes: 128 << 20,
                buffer_bytes: 256 << 20,
                workgroup_bytes: 16 << 10,
                workgroup_invocations: 256,
                workgroups_per_dimension: 65_535,
            },
            of_adapter: None,
            tuned: Tuned::default(),
        }
    }
}
