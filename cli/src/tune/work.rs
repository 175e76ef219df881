//! What is to be tuned, from what the user names: cases of the benchmarks, shapes, demos, ONNX models.

use std::path::Path;

use wgrad::Device;
use wgrad::bench::{Case, cases};
use wgrad::compiler::{self, Layout, Options, Program};
use wgrad::graph::Graph;
use wgrad::onnx::{Import, Model};
use wgrad::ops::{ConvOptions, ConvTransposeOptions};
use wgrad::tensor::{DType, TensorData};

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
    if let Some(graph) = shape(text) {
        return Ok(vec![Work::compile(text, &graph, device)?]);
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

/// A graph for a shape in the benchmarks' notation: rows × inner × columns of a product; images, channels, height, width, kernels, their extent
/// and groups of a convolution with as much padding as keeps the extents, and which direction.
fn shape(text: &str) -> Option<Graph> {
    let mut parts = text.split('/');
    match (parts.next()?, parts.next()?, parts.next()?, parts.next(), parts.next()) {
        ("matmul", "f32", extents, None, None) => {
            let extents: Vec<usize> = extents
                .split('x')
                .map(|extent| extent.parse().ok().filter(|extent| *extent > 0))
                .collect::<Option<_>>()?;
            let [rows, inner, columns] = extents[..] else { return None };
            let g = Graph::new();
            let (lhs, rhs) = (g.input("lhs", [rows, inner], DType::F32), g.input("rhs", [inner, columns], DType::F32));
            g.output("out", &lhs.matmul(&rhs));
            Some(g)
        }
        ("conv2d", "f32", extents, direction, None) => convolution(extents, direction.unwrap_or("forward")),
        _ => None,
    }
}

fn convolution(extents: &str, direction: &str) -> Option<Graph> {
    let number = |letter: char| -> Option<usize> {
        let rest = &extents[extents.find(letter)? + 1..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|number| *number > 0)
    };
    // Nothing but the letters that are known, each with a number.
    let is_known = |c: char| c.is_ascii_digit() || "nchwkrg".contains(c);
    if !extents.chars().all(is_known) {
        return None;
    }
    let [n, c, h, w, k, r] = ['n', 'c', 'h', 'w', 'k', 'r'].map(number);
    let (n, c, h, w, k, r) = (n?, c?, h?, w?, k?, r?);
    let groups = if extents.contains('g') { number('g')? } else { 1 };
    if c % groups != 0 || k % groups != 0 {
        return None;
    }
    let g = Graph::new();
    let input = |name: &str, shape: [usize; 4]| g.input(name, shape, DType::F32);
    let (x, weight) = ([n, c, h, w], [k, c / groups, r, r]);
    let options = ConvOptions::new().padding(r / 2).groups(groups);
    let result = [n, k, h + 2 * (r / 2) + 1 - r, w + 2 * (r / 2) + 1 - r];
    let out = match direction {
        "forward" => input("x", x).conv(&input("weight", weight), &options),
        "input_gradient" => {
            let options = ConvTransposeOptions::new().padding(r / 2).groups(groups);
            input("upstream", result).conv_transpose(&input("weight", weight), &options)
        }
        "weight_gradient" => {
            let start = g.constant(TensorData::zeros(DType::F32, weight));
            let convolved = input("x", x).conv(&start, &options);
            g.gradients_from(&[(&convolved, &input("upstream", result))], &[&start]).pop()?
        }
        _ => return None,
    };
    g.output("out", &out);
    Some(g)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_in_the_benchmarks_notation() -> Result {
        let device = Device::cpu();
        let mut read = 0;
        for case in cases() {
            let Some(graph) = shape(case.name()) else { continue };
            let steps = |graph: &Graph| -> Result<Vec<_>> {
                Ok(Work::compile("", graph, &device)?.program.steps.iter().map(|step| step.work.key()).collect())
            };
            assert_eq!(steps(&graph)?, steps(&case.graph())?, "{}", case.name());
            read += 1;
        }
        assert!(read >= 12, "{read} cases");
        Ok(())
    }

    #[test]
    fn what_is_no_shape_is_none() {
        for text in [
            "matmul",
            "matmul/f32/3x4",
            "matmul/f32/3x4x0",
            "matmul/f32/3x4xq",
            "conv2d/f32/n1c2",
            "conv2d/f32/n1c2h3w4k5r1/sideways",
            "conv2d/f32/n1c2h3w4k5r1g4",
            "conv2d/f32/n1c2h3w4k5r1z9",
            "step/none",
        ] {
            assert!(shape(text).is_none(), "{text}");
        }
    }
}
