//! `wgrad inspect DEMO|MODEL.onnx`: what the compiler makes of a model's training step, or of an ONNX model.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use wgrad::compiler::Location;
use wgrad::onnx::{Declared, Dimension, Import, Model};
use wgrad::session::{Program, Session};

use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::onnx::info;
use crate::output::Output;
use crate::train::demo::{Data, Demo, Source};
use crate::train::demos::{self, DEMOS};
use crate::train::precision::PrecisionChoice;
use crate::train::{optimizer, trainer};

/// What `inspect` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Whose model: a demo, for its training step, or an ONNX file, for a run of it
    #[arg(value_name = "DEMO|MODEL.onnx", value_parser = subject)]
    demo: String,
    /// The shape of an ONNX model's input, where the file leaves it open or for another size: NAME=2,3,224,224
    #[arg(long = "shape", value_name = "NAME=SHAPE", value_parser = info::shape)]
    shapes: Vec<(String, Vec<usize>)>,
    /// Which of the demo's models
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What to show
    #[arg(long, value_enum, default_value_t = Stage::Program)]
    stage: Stage,
    /// The program's steps and the values between them as a graph for Graphviz
    #[arg(long)]
    dot: bool,
    /// Examples in a step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: Option<u64>,
    /// Type in which layers multiply, as of `train` [default: f32]
    #[arg(long, value_enum)]
    precision: Option<PrecisionChoice>,
    /// The data, where shapes depend on it
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The column to be learned, of a table
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Width and height that pictures are resized to
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    image_size: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Stage {
    /// Nodes with shapes and the lines that built them, after simplification
    Graph,
    /// Kernels with their expressions
    Fused,
    /// Steps with what they read and write, and their dispatches
    Program,
    /// Slots of memory with the lifetimes of what is in them
    Memory,
    /// The composed shaders
    Wgsl,
    /// Where the time goes until the program is ready to run, and what each kernel takes of it
    Startup,
}

impl Stage {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// A demo or an ONNX file.
fn subject(text: &str) -> std::result::Result<String, String> {
    if is_onnx(text) || DEMOS.iter().any(|demo| demo.name == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = DEMOS.iter().map(|demo| demo.name).collect();
    Err(format!("it is no file MODEL.onnx and none of the demos {}", names.join(", ")))
}

fn is_onnx(text: &str) -> bool {
    Path::new(text).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// Prints a stage.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    if is_onnx(&arguments.demo) {
        return onnx(arguments, everywhere, output);
    }
    if !arguments.shapes.is_empty() {
        return Err(Failure::new("--shape is for ONNX files; a demo has the shapes of its data"));
    }
    let demo = demos::find(&arguments.demo)?;
    let choice = demo.model(arguments.model.as_deref())?;
    demo.check_image_size(arguments.image_size)?;
    let mut data = data(demo, choice.name(), arguments, everywhere.seed)?;
    let model = choice.fit_to(&mut data);
    let defaults = demo.defaults(choice);
    let device = device::open(&everywhere.device)?.device;
    let optimizer = optimizer::make(defaults.optimizer, defaults.learning_rate)?;
    let precision = arguments.precision.unwrap_or(PrecisionChoice::F32);
    let mut trainer = trainer(&model, &data, &device, optimizer)?.precision(precision.into());
    let batch = arguments.batch_size.map_or(defaults.batch_size.min(data.train.len()), |size| size as usize);
    let program = trainer.compile_training(&data.train, batch)?;
    stage(arguments, &program, output)
}

/// An ONNX model, compiled for one run.
fn onnx(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let options = [
        ("model", arguments.model.is_some()),
        ("batch-size", arguments.batch_size.is_some()),
        ("precision", arguments.precision.is_some()),
        ("data", arguments.data.is_some()),
        ("target", arguments.target.is_some()),
        ("image-size", arguments.image_size.is_some()),
    ];
    if let Some((option, _)) = options.iter().find(|(_, given)| *given) {
        return Err(Failure::new(format!("--{option} is for demos, and {} is an ONNX file", arguments.demo)));
    }
    let model = Model::load(&arguments.demo)?;
    let mut import =
        arguments.shapes.iter().fold(Import::new(), |import, (name, dims)| import.shape(name, dims.as_slice()));
    for input in model.inputs().iter().filter(|input| !arguments.shapes.iter().any(|(name, _)| *name == input.name)) {
        if let Some(shape) = assumed(input) {
            eprintln!("note: input {input} is open, and is taken as {shape:?}; --shape {}=… gives another", input.name);
            import = import.shape(&input.name, shape);
        }
    }
    let imported = model.import(&import)?;
    let device = device::open(&everywhere.device)?.device;
    let session = Session::new(&imported.graph, &device, everywhere.seed)?;
    stage(arguments, session.program(), output)
}

/// A shape for an input that leaves its own open: 1 for what could be anything.
fn assumed(input: &Declared) -> Option<Vec<usize>> {
    let dims = input.dims.as_ref()?;
    let is_open = dims.iter().any(|dim| !matches!(dim, Dimension::Extent(_)));
    is_open.then(|| dims.iter().map(|dim| if let Dimension::Extent(extent) = dim { *extent } else { 1 }).collect())
}

/// Prints what was asked for of a program.
fn stage(arguments: &Arguments, program: &Program, output: &mut Output) -> Result {
    if arguments.dot {
        return show("dot", &dot(program, &arguments.demo), output);
    }
    let stages = program.stages();
    let text = match arguments.stage {
        Stage::Graph => stages.graph.clone(),
        Stage::Fused => stages.fused.clone(),
        Stage::Memory => stages.memory.clone(),
        Stage::Program => program.to_string(),
        Stage::Wgsl if program.kernels.is_empty() => {
            return Err(Failure::new("a program for the CPU has no shaders; ask for --device gpu"));
        }
        Stage::Wgsl => wgsl(program),
        Stage::Startup => program.startup().to_string(),
    };
    show(&arguments.stage.name(), &text, output)
}

fn show(stage: &str, text: &str, output: &mut Output) -> Result {
    output.event(&json!({"event": "stage", "stage": stage, "text": text}))?;
    output.text(text.trim_end())
}

/// The demo's data; where the user has to provide it and has not, blanks of the same shapes.
fn data(demo: &Demo, model: &'static str, arguments: &Arguments, seed: u64) -> Result<Data> {
    match (demo.blank, &arguments.data) {
        (Some(blank), None) => blank(model),
        _ => (demo.load)(&Source {
            path: arguments.data.clone(),
            target: arguments.target.clone(),
            image_size: arguments.image_size.map(|size| size as usize),
            seed,
            model,
            batch_size: arguments.batch_size.map(|size| size as usize),
            ..Source::default()
        }),
    }
}

/// All kernels, each once.
fn wgsl(program: &Program) -> String {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for kernel in program.kernels.iter().filter(|kernel| seen.insert(kernel.source.to_string())) {
        let _ = writeln!(text, "// ---- {} ----\n{}\n", kernel.label, kernel.source.trim_end());
    }
    text
}

/// Steps as boxes; an arrow for each value that goes from one step to a later one, with its size.
fn dot(program: &Program, name: &str) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text =
        format!("digraph \"{}\" {{\n  rankdir=TB;\n  node [shape=box, fontname=\"monospace\"];\n", quoted(name));
    for (number, input) in program.inputs.iter().enumerate() {
        let label = format!("{}\\n{}", quoted(&input.name), input.ty);
        let _ = writeln!(text, "  input{number} [shape=ellipse, label=\"{label}\"];");
    }
    let overlap = |a: &Location, b: &Location| {
        a.buffer == b.buffer && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
    };
    for (number, step) in program.steps.iter().enumerate() {
        let types: Vec<String> = step.types.iter().map(ToString::to_string).collect();
        let label =
            format!("{number}: {}\\n{}\\n{}", quoted(&step.label), types.join(", "), quoted(&step.origin.to_string()));
        let _ = writeln!(text, "  step{number} [label=\"{label}\"];");
        let mut arrows = BTreeSet::new();
        for read in &step.reads {
            let before = program.steps.iter().enumerate().take(number).rev();
            let writer = before
                .map(|(index, step)| (index, &step.writes))
                .find(|(_, writes)| writes.iter().any(|write| overlap(write, read)));
            if let Some((index, _)) = writer {
                arrows.insert(format!(
                    "step{index} -> step{number} [label=\"{}\"]",
                    crate::output::bytes(read.bytes as u64)
                ));
            } else if let Some(index) = program.inputs.iter().position(|input| overlap(&input.location, read)) {
                arrows.insert(format!("input{index} -> step{number}"));
            }
        }
        for arrow in arrows {
            let _ = writeln!(text, "  {arrow};");
        }
    }
    for (number, port) in program.outputs.iter().enumerate() {
        let _ = writeln!(text, "  output{number} [shape=ellipse, label=\"{}\\n{}\"];", quoted(&port.name), port.ty);
        let last =
            program.steps.iter().rposition(|step| step.writes.iter().any(|write| overlap(write, &port.location)));
        if let Some(index) = last {
            let _ = writeln!(text, "  step{index} -> output{number};");
        }
    }
    text.push_str("}\n");
    text
}
