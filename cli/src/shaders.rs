//! All WGSL that there is: of every demo's models, every case of `bench` and every case of `check`, composed for adapters of all kinds. Each
//! shader is to be valid, to keep the limits of its adapter, and to have no barrier that some invocations miss. No GPU is needed for it.
//!
//! `WGRAD_SHADERS=FOLDER cargo test --release -p wgrad-cli --lib shaders` writes them to files, for other compilers to read:
//! `tools/browser/tint.mjs` gives them to that of Chrome. Then every kernel that tuning tries for a case of `check`, or a kernel of `bench`, is
//! among them, for more adapters.

#[path = "../../tests/support/uniformity.rs"]
mod uniformity;

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use naga::AddressSpace;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use wgrad::compiler::{Layout, Options, Target, compile};
use wgrad::graph::Graph;
use wgrad::shader::{Adapter, Kernel, Limits};
use wgrad::{Device, bench, check};

use crate::failure::Result;
use crate::train::demo::Source;
use crate::train::demos::DEMOS;
use crate::tune::work;

/// Adapters of all kinds, those that allow the least first; the most different ones alone where not all are wanted.
fn adapters(all: bool) -> Vec<Adapter> {
    let least = Adapter::default();
    let large = Limits {
        storage_buffers: 64,
        binding_bytes: 2 << 30,
        buffer_bytes: 4 << 30,
        workgroup_bytes: 48 << 10,
        workgroup_invocations: 1024,
        ..least.limits.clone()
    };
    let named = |name: &str, of: &Adapter| Adapter { name: name.to_owned(), ..of.clone() };
    let hardware = Adapter { limits: large, ..least.clone() };
    let software = Adapter { is_software: true, ..hardware.clone() };
    let native = |lanes: u32, of: &Adapter| Adapter {
        subgroups: Some((lanes, lanes)),
        subgroup_barriers: true,
        wide_integers: true,
        ..of.clone()
    };
    if !all {
        let software = named("software-8", &native(8, &software));
        let hardware = native(32, &hardware);
        // Browsers have no matrix instructions, so these are not among those that are written for them.
        let matrices = named("matrices", &Adapter { cooperative: Some(16), ..hardware.clone() });
        return vec![named("webgpu", &least), named("hardware-32", &hardware), matrices, software];
    }
    let in_between = Limits { storage_buffers: 10, workgroup_bytes: 32 << 10, ..hardware.limits.clone() };
    vec![
        named("webgpu", &least),
        named("webgpu-bounded", &Adapter { bounded_loops: true, ..least.clone() }),
        named("webgpu-software", &Adapter { is_software: true, ..least.clone() }),
        named("webgpu-subgroups", &Adapter { subgroups: Some((32, 32)), ..least.clone() }),
        named("webgpu-more", &Adapter { limits: in_between, ..least.clone() }),
        named("hardware-16", &native(16, &hardware)),
        named("hardware-32", &native(32, &hardware)),
        named("hardware-64", &native(64, &hardware)),
        named("hardware-8-to-32", &Adapter { subgroups: Some((8, 32)), ..hardware.clone() }),
        named("software-4", &Adapter { subgroups: Some((4, 4)), limits: least.limits, ..software.clone() }),
        named("software-8", &native(8, &software)),
        named("software-8-bounded", &Adapter { bounded_loops: true, ..native(8, &software) }),
        named("software-16", &native(16, &software)),
    ]
}

/// What an adapter lets shaders use.
fn capabilities(adapter: &Adapter) -> Capabilities {
    // Of WebGPU itself: `unpack2x16float`.
    let mut all = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    all.set(Capabilities::SUBGROUP, adapter.subgroups.is_some());
    all.set(Capabilities::SUBGROUP_BARRIER, adapter.subgroup_barriers);
    all.set(Capabilities::SHADER_INT64, adapter.wide_integers);
    all.set(Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16, adapter.cooperative.is_some());
    all
}

/// What is wrong with a kernel.
fn problem(kernel: &Kernel, adapter: &Adapter) -> Option<String> {
    let source = &kernel.source;
    let module = match naga::front::wgsl::parse_str(source) {
        Ok(module) => module,
        Err(error) => return Some(error.emit_to_string(source)),
    };
    if let Err(error) = Validator::new(ValidationFlags::all(), capabilities(adapter)).validate(&module) {
        return Some(error.emit_to_string(source));
    }
    if let Some(problem) = uniformity::problems(&module).pop() {
        return Some(problem);
    }
    let invocations: u32 = module.entry_points.iter().flat_map(|entry| entry.workgroup_size).product();
    let shared = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    let shared = shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16));
    let (bytes, buffers) = (shared.sum::<u32>(), kernel.bindings.len());
    let Limits { storage_buffers, workgroup_bytes, workgroup_invocations, .. } = adapter.limits;
    let is_beyond =
        invocations as usize > workgroup_invocations || bytes as usize > workgroup_bytes || buffers > storage_buffers;
    is_beyond
        .then(|| format!("{invocations} invocations, {bytes} bytes of workgroup memory, {buffers} storage buffers"))
}

/// Shaders, each once.
#[derive(Default)]
struct Shaders {
    adapters: Vec<Adapter>,
    /// Whether those of all variants are wanted.
    all: bool,
    /// Sources, and what they were allowed to use.
    known: HashSet<(Arc<str>, u64)>,
    text: String,
    problems: Vec<String>,
}

impl Shaders {
    /// Those of a graph for all adapters, in one variant or, where all are wanted, in each.
    fn add(&mut self, name: &str, graph: &Graph, options: Options, has_variants: bool) {
        for adapter in self.adapters.clone() {
            let (mut variant, mut variants) = (0, 1);
            while variant < variants {
                let options = Options { variant, candidates: self.all && has_variants, ..options };
                let target = Target::Gpu(adapter.clone());
                match compile(graph, &target, &mut Layout::default(), options) {
                    Ok((program, _)) => {
                        variants = if self.all && has_variants { program.variants } else { 1 };
                        for kernel in &program.kernels {
                            self.kernel(name, kernel, &adapter);
                        }
                    }
                    // What is too large for an adapter is no fault of a shader's.
                    Err(wgrad::Error::Limit(_)) => {}
                    Err(error) => self.problems.push(format!("{name} for {}: {error}", adapter.name)),
                }
                variant += 1;
            }
        }
    }

    fn kernel(&mut self, name: &str, kernel: &Kernel, adapter: &Adapter) {
        if !self.known.insert((Arc::clone(&kernel.source), capabilities(adapter).bits())) {
            return;
        }
        let title = format!("{} / {name} / {}", adapter.name, kernel.label);
        if let Some(problem) = problem(kernel, adapter) {
            self.problems.push(format!("{title}: {problem}"));
        }
        if self.all {
            let _ = writeln!(self.text, "// ---- {title} ----\n{}\n", kernel.source.trim_end());
        }
    }

    /// Writes those that came since the last time.
    fn write(&mut self, folder: Option<&Path>, name: &str) -> Result {
        let text = std::mem::take(&mut self.text);
        if let Some(folder) = folder {
            let path = folder.join(name).with_extension("wgsl");
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
            written.map_err(|error| wgrad::Error::file("write", path, error))?;
        }
        Ok(())
    }
}

#[test]
fn every_shader_is_valid_for_its_adapter_and_has_no_barrier_that_some_miss() -> Result {
    let folder = std::env::var_os("WGRAD_SHADERS");
    let folder = folder.as_deref().map(Path::new);
    let mut shaders = Shaders { adapters: adapters(folder.is_some()), all: folder.is_some(), ..Shaders::default() };
    for case in check::graphs("")? {
        shaders.add(&case.name, &case.graph, case.options, true);
    }
    shaders.write(folder, "check")?;
    for case in bench::cases().iter().chain(&bench::networks()).filter(|case| !case.is_compiling()) {
        shaders.add(case.name(), &case.graph(), Options::default(), !case.is_step());
    }
    shaders.write(folder, "bench")?;
    for demo in DEMOS {
        for choice in demo.models {
            let source = Source { model: choice.name(), ..Source::default() };
            let graph = work::step(demo, choice, &source, None, &Device::cpu())?;
            shaders.add(&format!("{} {}", demo.name, choice.name()), &graph, Options::default(), false);
        }
    }
    shaders.write(folder, "demos")?;
    let (count, problems) = (shaders.known.len(), shaders.problems);
    println!("{count} shaders");
    assert!(count > 500, "{count} shaders");
    assert!(problems.is_empty(), "{} of {count} shaders:\n{}", problems.len(), problems.join("\n"));
    Ok(())
}
