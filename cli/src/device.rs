//! From `--device` to a device, and from devices to what `devices` prints.

use serde_json::{Value, json};
use wgrad::Device;
use wgrad::device::Instructions;
use wgrad::device::gpu::{AdapterKind, CooperativeMatrix, GpuInfo};

use crate::compiling;
use crate::failure::Result;
use crate::output::bytes;

/// The device that a run uses, and why it is this one.
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// Why, for people.
    pub reason: String,
}

impl Chosen {
    /// Name, backend and reason.
    pub fn describe(&self) -> String {
        let what = if self.device.is_cpu() {
            format!("{} threads, {}", threads(), Instructions::in_use())
        } else {
            self.device.backend().to_owned()
        };
        format!("{} ({what}; {})", self.device.name(), self.reason)
    }
}

/// Opens what `--device` names: `auto`, `cpu`, `gpu`, a number of the list, or part of an adapter's name.
pub fn open(choice: &str) -> Result<Chosen> {
    Instructions::from_environment()?;
    let device = Device::named(choice)?;
    if let Some(problem) = device.tuning_problem() {
        eprintln!("warning: what `wgrad tune` found is ignored: {}", problem.replace('\n', " "));
    }
    let reason = match (choice.trim().to_lowercase().as_str(), device.is_cpu()) {
        ("auto", true) => match Device::list().first() {
            Some(gpu) => format!("chosen, as the only GPU, {}, is a software driver", gpu.name),
            None => "chosen, as there is no GPU".to_owned(),
        },
        ("auto", false) => "chosen, as it is the first hardware GPU".to_owned(),
        _ => "asked for".to_owned(),
    };
    Ok(Chosen { device: compiling::shown(&device), reason })
}

/// A device of the list: a line for people, and the same as JSON.
pub struct Listed {
    /// Cells: number, name, backend, kind, driver, features, limits.
    pub cells: Vec<String>,
    /// The event.
    pub event: Value,
}

/// Every adapter, and the CPU.
pub fn list() -> Vec<Listed> {
    Device::list().iter().map(gpu).chain([cpu()]).collect()
}

fn gpu(info: &GpuInfo) -> Listed {
    let features = &info.features;
    let subgroups = features.subgroups.map(|(smallest, largest)| json!({"min": smallest, "max": largest}));
    let matrix = |matrix: &CooperativeMatrix| json!({"m": matrix.m, "n": matrix.n, "k": matrix.k, "operands": matrix.operands, "result": matrix.result});
    let limits = &info.limits;
    let event = json!({
        "event": "device", "index": info.index, "name": info.name, "backend": info.backend, "kind": info.kind.to_string(),
        "driver": info.driver, "hardware": info.kind != AdapterKind::Software,
        "limits": {
            "buffer_bytes": limits.buffer_bytes, "binding_bytes": limits.binding_bytes,
            "storage_buffers": limits.storage_buffers, "workgroup_bytes": limits.workgroup_bytes,
            "workgroup_invocations": limits.workgroup_invocations,
            "workgroups_per_dimension": limits.workgroups_per_dimension,
        },
        "features": {
            "f16": features.f16, "subgroups": subgroups,
            "cooperative_matrices": features.cooperative_matrices.iter().map(matrix).collect::<Vec<Value>>(),
            "timestamps": features.timestamps, "pipeline_cache": features.pipeline_cache,
        },
    });
    let mut has = Vec::new();
    has.extend(features.f16.then(|| "f16".to_owned()));
    has.extend(features.subgroups.map(|(smallest, largest)| match smallest == largest {
        true => format!("subgroups {smallest}"),
        false => format!("subgroups {smallest}-{largest}"),
    }));
    has.extend((!features.cooperative_matrices.is_empty()).then(|| "cooperative matrices".to_owned()));
    has.extend(features.timestamps.then(|| "timestamps".to_owned()));
    has.extend(features.pipeline_cache.then(|| "pipeline cache".to_owned()));
    let room = format!("buffer {}, binding {}", bytes(limits.buffer_bytes), bytes(limits.binding_bytes));
    let workgroup = format!("workgroup {} x {}", limits.workgroup_invocations, bytes(limits.workgroup_bytes as u64));
    let cells = vec![
        info.index.to_string(),
        info.name.clone(),
        info.backend.to_owned(),
        info.kind.to_string(),
        info.driver.clone(),
        has.join(", "),
        format!("{room}, {workgroup}"),
    ];
    Listed { cells, event }
}

/// The CPU as a device of the list.
fn cpu() -> Listed {
    let name = Device::cpu().name();
    let instructions = Instructions::in_use().to_string();
    let event = json!({
        "event": "device", "index": Value::Null, "name": name, "backend": "cpu", "kind": "cpu", "driver": "",
        "hardware": true, "limits": {"threads": threads()},
        "features": {
            "instructions": instructions,
            "f16": false, "subgroups": Value::Null, "cooperative_matrices": [], "timestamps": true, "pipeline_cache": false,
        },
    });
    let cells = ["cpu", &name, "cpu", "cpu", "", &format!("f64, {instructions}"), &format!("{} threads", threads())];
    Listed { cells: cells.map(str::to_owned).to_vec(), event }
}

/// Threads that the CPU device uses.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
