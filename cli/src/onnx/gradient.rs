//! `wgrad grad`: what a model's inputs and initializers have to do with its outputs, as a vector-Jacobian product.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;
use wgrad::Device;
use wgrad::graph::Tensor;
use wgrad::onnx::Imported;
use wgrad::safetensors::{self, Tensors};
use wgrad::session::Session;
use wgrad::tensor::TensorData;

use super::jobs;
use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// What `grad` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The model
    #[arg(value_name = "MODEL.onnx", required_unless_present = "jobs", conflicts_with = "jobs")]
    model: Option<PathBuf>,
    /// Its inputs by name
    #[arg(long, value_name = "IN.safetensors", requires = "model")]
    inputs: Option<PathBuf>,
    /// What the outputs' elements weigh, by the outputs' names; those that are left out weigh nothing
    #[arg(long, value_name = "UP.safetensors", requires = "model", required_unless_present = "jobs")]
    upstream: Option<PathBuf>,
    /// Where the gradients go, as grad.NAME for each float input and initializer
    #[arg(long, value_name = "OUT.safetensors", requires = "model", required_unless_present = "jobs")]
    outputs: Option<PathBuf>,
    /// Many jobs instead: a JSON object {"name", "model", "inputs", "upstream", "outputs"} a line
    #[arg(long, value_name = "JOBS.jsonl")]
    jobs: Option<PathBuf>,
}

/// Differentiates a model, or many.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let device = device::open(&everywhere.device)?.device;
    if let Some(path) = &arguments.jobs {
        return jobs::all("grad", path, output, |job| {
            let (model, inputs) = (job.path("model")?, job.path("inputs")?);
            let (upstream, outputs) = (job.path("upstream")?, job.path("outputs")?);
            differentiate(&model, Some(&inputs), &upstream, &outputs, &device, everywhere.seed)
        });
    }
    let (Some(model), Some(upstream), Some(outputs)) = (&arguments.model, &arguments.upstream, &arguments.outputs)
    else {
        return Err(Failure::new("a model, its outputs' upstream gradients and a file for the results are needed"));
    };
    let name = model.file_stem().unwrap_or_default().to_string_lossy();
    jobs::single("grad", &name, output, || {
        differentiate(model, arguments.inputs.as_deref(), upstream, outputs, &device, everywhere.seed)
    })
}

/// One model from file to file.
fn differentiate(
    model: &Path,
    inputs: Option<&Path>,
    upstream: &Path,
    outputs: &Path,
    device: &Device,
    seed: u64,
) -> Result {
    jobs::files(model, &[("--inputs", inputs), ("--upstream", Some(upstream))], outputs).check()?;
    let model = jobs::load(model, outputs)?;
    let (inputs, import) = jobs::read_inputs(inputs)?;
    let upstream = safetensors::read(upstream)?.0;
    let imported = model.import(&import)?;
    let seeds = seeds(&imported, &upstream)?;
    let graph = &imported.graph;
    let sources = sources(&imported);
    let all_sources: Vec<&Tensor> = sources.iter().flat_map(|(_, tensors)| tensors).collect();
    let pairs: Vec<(&Tensor, &Tensor)> = seeds.iter().map(|(tensor, seed, _)| (*tensor, seed)).collect();
    let mut gradients = graph.gradients_from(&pairs, &all_sources).into_iter();
    for (name, tensors) in &sources {
        let own = gradients.by_ref().take(tensors.len()).reduce(|sum, gradient| sum + gradient);
        if let Some(gradient) = own {
            graph.output(&format!("grad.{name}"), &gradient);
        }
    }
    let mut session = Session::new(graph, device, seed)?;
    let mut given: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
    let names: Vec<(String, &TensorData)> = seeds.iter().map(|(_, _, (name, data))| (name.clone(), *data)).collect();
    given.extend(names.iter().map(|(name, data)| (name.as_str(), *data)));
    let mut results = session.run(&given)?;
    let mut tensors: Vec<(String, TensorData)> = sources
        .iter()
        .filter_map(|(name, _)| {
            let name = format!("grad.{name}");
            let data = results.take(&name)?;
            Some((name, data))
        })
        .collect();
    // What the graph has no use for, as it only steers shapes or nothing takes it, changes no output.
    for (name, data) in &imported.initializers {
        let name = format!("grad.{name}");
        if !tensors.iter().any(|(known, _)| *known == name) {
            tensors.push((name, TensorData::zeros(data.dtype(), data.shape())));
        }
    }
    Ok(safetensors::write(outputs, &tensors, &[])?)
}

/// A seed is an input of its own, so that it reaches the device in its own type.
type Seed<'a> = (&'a Tensor, Tensor, (String, &'a TensorData));

/// Inputs for the upstream gradients, beside the outputs that they belong to.
fn seeds<'a>(imported: &'a Imported, upstream: &'a Tensors) -> Result<Vec<Seed<'a>>> {
    let mut seeds = Vec::new();
    for (name, data) in upstream {
        let Some((_, tensor)) = imported.outputs.iter().find(|(known, _)| known == name) else {
            let names: Vec<&str> = imported.outputs.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Failure::new(format!("upstream {name:?} is no output of the model; there are {names:?}")));
        };
        let ty = tensor.ty();
        if !ty.dtype.is_float() {
            return Err(Failure::new(format!("output {name:?} is {ty}, which has no gradient; only floats have")));
        }
        if ty != *data.ty() {
            return Err(Failure::new(format!("upstream {name:?} is {}, but the output is {ty}", data.ty())));
        }
        let graph = &imported.graph;
        let mut own = format!("upstream.{name}");
        while graph.find(&own).is_some() {
            own.push('\'');
        }
        seeds.push((tensor, graph.input(&own, ty.shape, ty.dtype), (own, data)));
    }
    if seeds.is_empty() {
        return Err(Failure::new("there are no upstream gradients: one output's at least is needed"));
    }
    Ok(seeds)
}

/// The float inputs, and the float initializers, each with the variables that hold it: running statistics have their own. Then what
/// graphs within the graph have of their own.
fn sources(imported: &Imported) -> Vec<(String, Vec<Tensor>)> {
    let floats = imported.inputs.iter().filter(|(_, tensor)| tensor.dtype().is_float());
    let mut sources: Vec<(String, Vec<Tensor>)> =
        floats.map(|(name, tensor)| (name.clone(), vec![tensor.clone()])).collect();
    sources.extend(imported.variables.iter().filter(|(_, tensors)| !tensors.is_empty()).cloned());
    let known: HashSet<_> = sources.iter().flat_map(|(_, tensors)| tensors).map(Tensor::id).collect();
    let rest = imported.parameters.iter().filter(|(_, tensor)| !known.contains(&tensor.id()));
    sources.extend(rest.map(|(name, tensor)| (name.clone(), vec![tensor.clone()])));
    sources
}
