//! What is to be tuned, from what the user names: cases of the benchmarks, shapes, demos, ONNX models.

use std::path::Path;

use wgrad::Device;
use wgrad::bench::{Case, cases};
use wgrad::compiler::{self, Layout, Options, Program};
use wgrad::graph::Graph;
use wgrad::onnx::{Import, Model};

use super::Arguments;
use crate::failure::{Failure, Result};
use crate::train::demo::{Demo, ModelChoice, Source};
use crate::train::demos::DEMOS;
use crate::train::{optimizer, trainer};

/// A program with the name that the user knows it by.
pub struct Work {
    pub name: String,
    pub program: Program,
}

impl Work {
    fn compile(name: &str, graph: &Graph, device: &Device) -> Result<Self> {
        let target = device.without_tuning().target();
        let compiled = compiler::compile(graph, &target, &mut Layout::default(), Options::default());
        let (program, _) = compiled.map_err(|error| Failure::new(format!("{name}: {error}")))?;
        Ok(Self { name: name.to_owned(), program })
    }
}

/// All that is named; every case where nothing is.
pub fn named(arguments: &Arguments, seed: u64, device: &Device) -> Result<Vec<Work>> {
    let mut found: Vec<Work> = Vec::new();
    let everything = [String::new()];
    let what = if arguments.what.is_empty() { &everything[..] } else { &arguments.what };
    for text in what {
        for work in one(text, arguments, seed, device)? {
            if found.iter().all(|other| other.name != work.name) {
                found.push(work);
            }
        }
    }
    Ok(found)
}

fn one(text: &str, arguments: &Arguments, seed: u64, device: &Device) -> Result<Vec<Work>> {
    if text.ends_with(".onnx") {
        let graph = Model::load(Path::new(text))?.import(&Import::new())?.graph;
        return Ok(vec![Work::compile(text, &graph, device)?]);
    }
    // A step whose loss is read each time is the same program.
    let mut cases = wgrad::check::select(cases(), text.trim_end_matches("/synced"), Case::name);
    cases.extend(wgrad::bench::networks_named(text));
    cases.retain(|case| !case.name().ends_with("/synced") && !case.is_compiling());
    if !cases.is_empty() {
        return cases.iter().map(|case| Work::compile(case.name(), &case.graph(), device)).collect();
    }
    if let Some(case) = wgrad::bench::case_of_shape(text) {
        return Ok(vec![Work::compile(text, &case.graph(), device)?]);
    }
    if let Some(demo) = DEMOS.iter().find(|demo| demo.name == text) {
        return Ok(vec![self::demo(demo, arguments, seed, device)?]);
    }
    let demos: Vec<&str> = DEMOS.iter().map(|demo| demo.name).collect();
    Err(Failure::new(format!(
        "{text:?} names nothing to tune: no case of `wgrad bench --list` has it in its name, and it is no shape as in matmul/f32/300x700x64 \
         or conv2d/f32/n8c64h56w56k64r3, no demo ({}) and no model.onnx",
        demos.join(", ")
    )))
}

/// The training step of a demo's model.
fn demo(demo: &Demo, arguments: &Arguments, seed: u64, device: &Device) -> Result<Work> {
    let choice = demo.model(arguments.model.as_deref())?;
    let source = Source { path: arguments.data.clone(), seed, model: choice.name(), ..Source::default() };
    let batch = arguments.batch_size.map(|size| size as usize);
    Work::compile(&format!("{} {}", demo.name, choice.name()), &step(demo, choice, &source, batch, device)?, device)
}

/// The training step of a demo's model as a graph; without data from the user, of blanks where nothing is bundled.
pub fn step(
    demo: &Demo,
    choice: &ModelChoice,
    source: &Source,
    batch: Option<usize>,
    device: &Device,
) -> Result<Graph> {
    let mut data = match (demo.blank, &source.path) {
        (Some(blank), None) => blank(choice.name())?,
        _ => (demo.load)(source)?,
    };
    let model = choice.fit_to(&mut data);
    let defaults = demo.defaults(choice);
    let optimizer = optimizer::make(defaults.optimizer, defaults.learning_rate)?;
    let batch = batch.unwrap_or(defaults.batch_size.min(data.train.len()));
    Ok(trainer(&model, &data, device, optimizer)?.training_graph(&data.train, batch)?)
}
