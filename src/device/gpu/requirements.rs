//! What an application asks for when it opens a device that it shares with this library.

use std::fmt;

use super::bindings::bound_bytes;
use crate::compiler::{self, BufferKind, Layout, Options, Target};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::shader::{Adapter, Limits};

/// A feature or limit, and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// Its name in wgpu.
    pub name: &'static str,
    /// The value of a limit; `None` for a feature.
    pub value: Option<u64>,
    /// Whether programs are refused without it. What is not needed makes them faster.
    pub is_needed: bool,
    /// What it is for.
    pub reason: String,
}

/// Limits and features for an application's `request_device`, with what each is for. The default is for any program of common size; that
/// [`of`](Self::of) a graph is for one program.
///
/// Matrix instructions, which products of f16 use, are not among them: wgpu calls `EXPERIMENTAL_COOPERATIVE_MATRIX` experimental and wants
/// `experimental_features` for it, which is `unsafe`. An application adds it, and `SHADER_F16`, where
/// [`GpuFeatures::cooperative_matrices`](super::GpuFeatures::cooperative_matrices) lists a matrix of f16 with sums in f32.
///
/// ```
/// use wgrad::device::gpu::Requirements;
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [64, 784], F32);
/// g.output("y", &nn::Linear::new(&g, "fc", 784, 10).forward(&x).softmax(-1));
/// let requirements = Requirements::of(&g)?;
/// println!("{requirements}");
/// let descriptor = wgrad::wgpu::DeviceDescriptor {
///     required_features: requirements.needed_features(), // and of `optional_features` what the adapter has
///     required_limits: requirements.limits(),
///     ..Default::default()
/// };
/// # assert!(descriptor.required_features.is_empty());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Requirements {
    limits: wgpu::Limits,
    all: Vec<Requirement>,
}

/// Features that are used where they are there.
fn optional() -> [(wgpu::Features, &'static str, &'static str); 5] {
    [
        (
            wgpu::Features::SUBGROUP,
            "SUBGROUP",
            "sums and extremes within a subgroup, for reductions, sorting and recurrent layers",
        ),
        (
            wgpu::Features::SUBGROUP_BARRIER,
            "SUBGROUP_BARRIER",
            "recurrent layers whose steps wait for a subgroup alone",
        ),
        (wgpu::Features::SHADER_INT64, "SHADER_INT64", "exact remainders of large numbers"),
        (
            wgpu::Features::TIMESTAMP_QUERY,
            "TIMESTAMP_QUERY",
            "the GPU's own clock: for parts of steps beside frames (`record_some`), profiles, and tuning",
        ),
        (
            wgpu::Features::PIPELINE_CACHE,
            "PIPELINE_CACHE",
            "compiled kernels that are stored on disk for the next start",
        ),
    ]
}

impl Default for Requirements {
    fn default() -> Self {
        let features = optional().into_iter().map(|(_, name, reason)| Requirement {
            name,
            value: None,
            is_needed: false,
            reason: reason.to_owned(),
        });
        Self { limits: wgpu::Limits::default(), all: features.collect() }
    }
}

impl Requirements {
    /// What a graph's program needs: the default limits of wgpu, and higher ones where its tensors are larger.
    ///
    /// # Errors
    /// The first mistake made while building the graph.
    pub fn of(graph: &Graph) -> Result<Self> {
        let common = Adapter::default();
        let limits = Limits { binding_bytes: u64::MAX >> 1, buffer_bytes: u64::MAX >> 1, ..common.limits.clone() };
        let adapter = Adapter { name: "an adapter without limits of size".to_owned(), limits, ..common };
        let mut layout = Layout::default();
        let (program, _) = compiler::compile(graph, &Target::Gpu(adapter), &mut layout, Options::default())?;
        let mut found = Self::default();
        let steps = program.steps.iter().flat_map(|step| step.dispatches.iter().map(move |dispatch| (step, dispatch)));
        let binding = steps.clone().flat_map(|(step, dispatch)| {
            dispatch
                .bindings
                .iter()
                .map(move |location| (bound_bytes(location), format!("{} (at {})", step.label, step.origin)))
        });
        if let Some((bytes, reason)) = binding.max_by_key(|(bytes, _)| *bytes) {
            let default = found.limits.max_storage_buffer_binding_size;
            found.raise("max_storage_buffer_binding_size", bytes, default, reason);
            found.limits.max_storage_buffer_binding_size = default.max(bytes);
        }
        let own = program.buffers.iter().map(|buffer| {
            let reason = match buffer.kind {
                BufferKind::Persistent(_) => "variables",
                BufferKind::Input => "inputs",
                BufferKind::Constant(_) => "a constant",
                BufferKind::Slot => "intermediate results",
            };
            (buffer.bytes as u64, reason)
        });
        if let Some((bytes, reason)) = own.max_by_key(|(bytes, _)| *bytes) {
            let default = found.limits.max_buffer_size;
            found.raise("max_buffer_size", bytes, default, reason.to_owned());
            found.limits.max_buffer_size = default.max(bytes);
        }
        if let Some((count, step)) =
            steps.map(|(step, dispatch)| (dispatch.bindings.len() as u64, step)).max_by_key(|pair| pair.0)
        {
            // With fewer, smaller kernels take their place.
            let reason = format!("{} (at {}); with fewer, its parts run one by one", step.label, step.origin);
            found.all.push(Requirement {
                name: "max_storage_buffers_per_shader_stage",
                value: Some(count),
                is_needed: false,
                reason,
            });
        }
        Ok(found)
    }

    /// A limit that has to be higher than wgpu's default, if it has.
    fn raise(&mut self, name: &'static str, value: u64, default: u64, reason: String) {
        if value > default {
            self.all.push(Requirement { name, value: Some(value), is_needed: true, reason });
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Requirement] {
        &self.all
    }

    /// The limits to ask for: at least wgpu's defaults. An adapter that has less refuses them.
    pub fn limits(&self) -> wgpu::Limits {
        self.limits.clone()
    }

    /// Features without which programs are refused: none as yet.
    pub fn needed_features(&self) -> wgpu::Features {
        wgpu::Features::empty()
    }

    /// Features that make programs faster, to be asked for where the adapter has them.
    pub fn optional_features(&self) -> wgpu::Features {
        optional().into_iter().fold(wgpu::Features::empty(), |all, (feature, _, _)| all | feature)
    }

    /// A descriptor for an adapter: the limits, and of the features those that it has. What the application needs itself is added to it.
    ///
    /// # Errors
    /// A limit that the adapter does not reach.
    pub fn descriptor(&self, adapter: &wgpu::Adapter) -> Result<wgpu::DeviceDescriptor<'static>> {
        let theirs = adapter.limits();
        let checks = [
            (
                "max_storage_buffer_binding_size",
                self.limits.max_storage_buffer_binding_size,
                theirs.max_storage_buffer_binding_size,
            ),
            ("max_buffer_size", self.limits.max_buffer_size, theirs.max_buffer_size),
        ];
        for (name, needed, allowed) in checks {
            let reason = self.all.iter().find(|requirement| requirement.name == name);
            if let Some(Requirement { is_needed: true, reason, .. }) = reason
                && needed > allowed
            {
                let whose = adapter.get_info().name;
                return Err(Error::Limit(format!(
                    "{reason} needs {name} {needed}; the adapter {whose} allows {allowed}"
                )));
            }
        }
        Ok(wgpu::DeviceDescriptor {
            required_features: self.optional_features() & adapter.features(),
            // What an adapter has less of than wgpu's defaults, programs do without.
            required_limits: self.limits.clone().or_worse_values_from(&theirs),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        })
    }
}

/// A line for each.
impl fmt::Display for Requirements {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Requirement { name, value, is_needed, reason } in &self.all {
            let value = value.map_or_else(String::new, |value| format!(" {value}"));
            let need = if *is_needed { "needed" } else { "good to have" };
            writeln!(formatter, "{name}{value} ({need}): {reason}")?;
        }
        Ok(())
    }
}
