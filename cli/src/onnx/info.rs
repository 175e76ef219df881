//! `wgrad info`: what a model is made of, and what it costs.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use wgrad::compiler::{self, Layout, Options, Target};
use wgrad::onnx::{Declared, Dimension, Import, Imported, Model};

use crate::failure::Result;
use crate::output::{Output, counted, grouped};

/// What `info` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The model
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// An input's shape, where the model leaves it open or for another size: NAME=2,3,224,224
    #[arg(long = "shape", value_name = "NAME=SHAPE", value_parser = shape)]
    shapes: Vec<(String, Vec<usize>)>,
}

/// An input's name with a shape: `NAME=2,3,224,224`.
pub fn shape(text: &str) -> std::result::Result<(String, Vec<usize>), String> {
    // Names may have a `=` in them; extents may not.
    let (name, dims) = text.rsplit_once('=').ok_or("a shape is NAME=2,3,224,224")?;
    let dims = dims.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let dims = dims.map(|extent| extent.parse().map_err(|_| format!("{extent:?} is no extent")));
    Ok((name.to_owned(), dims.collect::<std::result::Result<_, _>>()?))
}

/// The graph for the shapes, or why there is none.
fn imported(model: &Model, shapes: &[(String, Vec<usize>)]) -> std::result::Result<Imported, String> {
    let import = shapes.iter().fold(Import::new(), |import, (name, dims)| import.shape(name, dims.as_slice()));
    model.import(&import).map_err(|error| error.to_string())
}

/// FLOPs and bytes of one run, or why they are not known.
fn cost(imported: &Imported) -> std::result::Result<(u64, u64), String> {
    let compiled = compiler::compile(&imported.graph, &Target::Cpu, &mut Layout::default(), Options::default());
    let (program, _) = compiled.map_err(|error| error.to_string())?;
    Ok((program.flops(), program.bytes()))
}

/// Prints what a model says of itself.
pub fn run(arguments: &Arguments, output: &mut Output) -> Result {
    let model = Model::load(&arguments.model)?;
    let (operators, missing) = (model.operators(), model.missing());
    let imported = imported(&model, &arguments.shapes);
    // An import also finds weights that the file has as constants.
    let sizes: Vec<usize> = match &imported {
        Ok(imported) => imported.initializers.iter().map(|(_, data)| data.len()).collect(),
        Err(_) => model.parameters().iter().map(|(_, ty)| ty.len()).collect(),
    };
    let count: u64 = sizes.iter().map(|&size| size as u64).sum();
    let cost = imported.and_then(|imported| cost(&imported));
    // A shape that was asked for has to fit.
    if let (Err(message), false, true) = (&cost, arguments.shapes.is_empty(), missing.is_empty()) {
        return Err(crate::failure::Failure::new(message.clone()));
    }
    let (flops, bytes) = cost.as_ref().map_or((None, None), |&(flops, bytes)| (Some(flops), Some(bytes)));
    output.event(&json!({
        "event": "info", "opset": model.opset(), "producer": model.proto().producer_name,
        "inputs": model.inputs().iter().map(declared).collect::<Vec<_>>(),
        "outputs": model.outputs().iter().map(declared).collect::<Vec<_>>(),
        "operators": counts(&operators), "missing": counts(&missing),
        "parameters": count, "initializers": sizes.len(), "flops": flops, "bytes": bytes,
    }))?;
    if output.is_json() {
        return Ok(());
    }
    output.text(format!("opset {}, made by {}", model.opset(), model.proto().producer_name))?;
    for (title, values) in [("inputs", model.inputs()), ("outputs", model.outputs())] {
        output.text(format!("{title}:"))?;
        for value in values {
            output.text(format!("  {value}"))?;
        }
    }
    let mut rows: Vec<Vec<String>> = operators
        .iter()
        .map(|(name, count)| {
            let note = if missing.contains_key(name) { "not supported" } else { "" };
            vec![name.clone(), count.to_string(), note.to_owned()]
        })
        .collect();
    rows.sort_by_key(|row| row.get(2).is_some_and(String::is_empty));
    output.table(&["<operator", ">count", "<"], &rows)?;
    output.text(format!("{} in {}", counted(count as usize, "parameter"), counted(sizes.len(), "initializer")))?;
    match cost {
        Ok((flops, bytes)) => {
            output.text(format!("{} FLOPs and {} bytes moved by one run", grouped(flops), grouped(bytes)))
        }
        Err(message) => output.text(format!("cost of a run: {message}")),
    }
}

fn counts(counts: &std::collections::BTreeMap<String, usize>) -> Value {
    counts.iter().map(|(name, &count)| (name.clone(), Value::from(count))).collect::<Map<_, _>>().into()
}

fn declared(value: &Declared) -> Value {
    let dims = value.dims.as_ref().map(|dims| {
        let dims = dims.iter().map(|dim| match dim {
            Dimension::Extent(extent) => Value::from(*extent),
            Dimension::Symbol(symbol) => Value::from(symbol.clone()),
            Dimension::Unknown => Value::Null,
        });
        dims.collect::<Vec<Value>>()
    });
    json!({"name": value.name, "type": value.kind, "shape": dims})
}
