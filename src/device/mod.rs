//! Floor 4: devices. The CPU, and GPUs through wgpu; both run the same kind of [`Program`](crate::compiler::Program).

pub(crate) mod cpu;

use std::fmt;

use crate::compiler::Target;
use crate::error::Result;

/// What programs run on. Cloning makes another handle to the same device.
#[derive(Clone)]
pub struct Device(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Cpu,
}

impl fmt::Debug for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())
    }
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        Self(Kind::Cpu)
    }

    /// The hardware GPU that is there, else the CPU.
    ///
    /// # Errors
    /// Where a GPU is there but refuses to open.
    pub fn auto() -> Result<Self> {
        Ok(Self::cpu())
    }

    /// The name, for people.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Cpu => "CPU".to_owned(),
        }
    }

    /// The API behind it: `cpu`, `vulkan`, `metal`, `dx12`, `gl`.
    pub fn backend(&self) -> &'static str {
        match &self.0 {
            Kind::Cpu => "cpu",
        }
    }

    /// What programs for this device are compiled for.
    pub fn target(&self) -> Target {
        match &self.0 {
            Kind::Cpu => Target::Cpu,
        }
    }
}
