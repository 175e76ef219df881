//! `wgrad run`: a model's outputs for given inputs.

use std::path::{Path, PathBuf};

use clap::Args;
use wgrad::Device;
use wgrad::safetensors;
use wgrad::session::Session;
use wgrad::tensor::TensorData;

use super::jobs;
use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// What `run` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The model
    #[arg(value_name = "MODEL.onnx", required_unless_present = "jobs", conflicts_with = "jobs")]
    model: Option<PathBuf>,
    /// Its inputs by name
    #[arg(long, value_name = "IN.safetensors", requires = "model")]
    inputs: Option<PathBuf>,
    /// Where its outputs go, by name
    #[arg(long, value_name = "OUT.safetensors", requires = "model", required_unless_present = "jobs")]
    outputs: Option<PathBuf>,
    /// Many jobs instead: a JSON object {"name", "model", "inputs", "outputs"} a line
    #[arg(long, value_name = "JOBS.jsonl")]
    jobs: Option<PathBuf>,
}

/// Runs a model, or many.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let device = device::open(&everywhere.device)?.device;
    if let Some(path) = &arguments.jobs {
        return jobs::all("run", path, output, |job| {
            infer(&job.path("model")?, Some(&job.path("inputs")?), &job.path("outputs")?, &device, everywhere.seed)
        });
    }
    let (Some(model), Some(outputs)) = (&arguments.model, &arguments.outputs) else {
        return Err(Failure::new("a model and a file for its outputs are needed"));
    };
    let name = model.file_stem().unwrap_or_default().to_string_lossy();
    jobs::single("run", &name, output, || infer(model, arguments.inputs.as_deref(), outputs, &device, everywhere.seed))
}

/// One model from file to file.
fn infer(model: &Path, inputs: Option<&Path>, outputs: &Path, device: &Device, seed: u64) -> Result {
    jobs::files(model, &[("--inputs", inputs)], outputs).check()?;
    let model = jobs::load(model, outputs)?;
    let (inputs, import) = jobs::read_inputs(inputs)?;
    let imported = model.import(&import)?;
    let mut session = Session::new(&imported.graph, device, seed)?;
    let given: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
    let mut results = session.run(&given)?;
    let tensors = imported.outputs.iter().filter_map(|(name, _)| Some((name.clone(), results.take(name)?)));
    Ok(safetensors::write(outputs, &tensors.collect::<Vec<_>>(), &[])?)
}
