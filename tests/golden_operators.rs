//! Operators and their gradients as PyTorch computes them, on every device, fused and not.
//!
//! Each operator stands mid-graph: its inputs pass through a multiplication and an addition whose numbers the compiler does
//! not know, its outputs through another one, and what arrives from above is random.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod support;

use std::collections::BTreeSet;
use wgrad::ops::{Axes, Order, Running};

use support::devices::{devices, lacks_kernel, slack};
use support::golden::{self, Case};
use wgrad::compiler::Options;
use wgrad::ops::{AttentionOptions, ConvOptions, ConvTransposeOptions, Padding, PaddingMode, Score};
use wgrad::prelude::*;
use wgrad::scalar::{NUMERIC, Reduction, ScalarFunction};

#[test]
fn unary() {
    run("unary", 90);
}

#[test]
fn binary() {
    run("binary", 150);
}

#[test]
fn reduce() {
    run("reduce", 170);
}

#[test]
fn movement() {
    run("movement", 130);
}

#[test]
fn matmul() {
    run("matmul", 30);
}

#[test]
fn attention() {
    run("attention", 20);
}

#[test]
fn convolution() {
    run("convolution", 60);
}

#[test]
fn pool() {
    run("pool", 80);
}

/// Queries, keys and values, and the score's buffers.
fn attend(case: &Case, inputs: &[Tensor]) -> Tensor {
    let integer = |name: &str| case.integer(name).unwrap() as i32;
    let mut options = AttentionOptions { scale: case.number("scale"), ..AttentionOptions::default() };
    let buffers: Vec<&Tensor> = inputs[3..].iter().collect();
    options.score = match case.text("score") {
        "plain" => Score::plain(),
        "causal" => Score::causal(),
        "causal_from" => Score::causal_from(integer("offset")),
        "window" => Score::window(integer("before"), integer("after")),
        "prefix" => Score::prefix(integer("length")),
        "soft_cap" => Score::soft_cap(case.number("limit").unwrap()),
        "alibi" => Score::alibi(),
        "documents" => Score::documents(),
        "lengths" => {
            options.lengths = Some(buffers[0]);
            return inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options);
        }
        "bias" => {
            options.bias = Some(buffers[0]);
            return inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options);
        }
        other => panic!("no score {other}"),
    };
    options.buffers = &buffers;
    inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options)
}

/// All cases of a family.
fn run(family: &str, at_least: usize) {
    let cases = golden::read(family).unwrap();
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let mut complaints = BTreeSet::new();
    for device in devices() {
        // Every unfused kernel on a software driver would take long; `engine` compares those with fused ones.
        let variants: &[bool] = if device.is_cpu() { &[true, false] } else { &[true] };
        for &fuse in variants {
            for case in &cases {
                if let Err(problem) = check(case, &device, fuse, &mut complaints)
                    && !lacks_kernel(&problem)
                {
                    complaints.insert(format!("{} on {}, fuse {fuse}: {problem}", case.name, device.name()));
                }
            }
        }
    }
    golden::assert_none(&Vec::from_iter(complaints));
}

fn check(case: &Case, device: &Device, fuse: bool, complaints: &mut BTreeSet<String>) -> Result<()> {
    let g = Graph::new();
    let (one, zero) = (g.input("one", [], F32), g.input("zero", [], F32));
    let opaque = |tensor: &Tensor| if tensor.dtype() == F32 { tensor * &one + &zero } else { tensor.clone() };
    let mut given =
        vec![("one".to_owned(), TensorData::scalar(1.0_f32)), ("zero".to_owned(), TensorData::scalar(0.0_f32))];
    let mut sources = Vec::new();
    for (k, data) in case.inputs.iter().enumerate() {
        let name = format!("input{k}");
        sources.push(g.input(&name, data.shape(), data.dtype()));
        given.push((name, data.clone()));
    }
    let inputs: Vec<Tensor> = sources.iter().map(opaque).collect();
    let outputs = apply(case, &g, &inputs);
    assert_eq!(outputs.len(), case.outputs.len(), "{}", case.name);
    let mut pairs = Vec::new();
    for (k, (output, upstream)) in outputs.iter().zip(&case.upstream).enumerate() {
        g.output(&format!("output{k}"), output);
        if let Some(upstream) = upstream {
            let name = format!("upstream{k}");
            pairs.push((opaque(output), g.input(&name, upstream.shape(), F32)));
            given.push((name, upstream.clone()));
        }
    }
    let pairs: Vec<(&Tensor, &Tensor)> = pairs.iter().map(|(output, upstream)| (output, upstream)).collect();
    let wanted: Vec<usize> = (0..sources.len()).filter(|&k| case.gradients[k].is_some()).collect();
    let with_respect_to: Vec<&Tensor> = wanted.iter().map(|&k| &sources[k]).collect();
    for (k, gradient) in wanted.iter().zip(g.gradients_from(&pairs, &with_respect_to)) {
        g.output(&format!("gradient{k}"), &gradient);
    }
    let mut session = Session::with_options(&g, device, 0, Options { fuse, ..Options::default() })?;
    let known: Vec<&str> = session.program().inputs.iter().map(|port| port.name.as_str()).collect();
    let given: Vec<(&str, &TensorData)> =
        given.iter().map(|(name, data)| (name.as_str(), data)).filter(|(name, _)| known.contains(name)).collect();
    let found = session.run(&given)?;
    let tolerance = case.tolerance.times(slack(device));
    let mut compare = |what: String, right: &TensorData| {
        if let Some(difference) = golden::difference(&found[what.as_str()], right, tolerance) {
            complaints.insert(format!("{} {what} on {}, fuse {fuse}: {difference}", case.name, device.name()));
        }
    };
    case.outputs.iter().enumerate().for_each(|(k, right)| compare(format!("output{k}"), right));
    wanted.iter().for_each(|&k| compare(format!("gradient{k}"), case.gradients[k].as_ref().unwrap()));
    Ok(())
}

/// The case's operator in terms of the library.
fn apply(case: &Case, g: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    let x = &inputs[0];
    if let Some(outputs) = support::pool::apply(case, x) {
        return outputs;
    }
    let sizes = |key: &str| -> Vec<usize> { case.integers(key).iter().map(|&size| size as usize).collect() };
    let signed = |key: &str| -> Vec<isize> { case.integers(key).iter().map(|&size| size as isize).collect() };
    let axis = || case.integer("axis").unwrap() as isize;
    let references: Vec<&Tensor> = inputs.iter().collect();
    let keep = case.flag("keep");
    let one = match case.op.as_str() {
        "eq" => x.eq(&inputs[1]),
        "ne" => x.ne(&inputs[1]),
        "lt" => x.lt(&inputs[1]),
        "le" => x.le(&inputs[1]),
        "gt" => x.gt(&inputs[1]),
        "ge" => x.ge(&inputs[1]),
        "select" | "where" => x.select(&inputs[1], &inputs[2]),
        "leaky_relu" => x.leaky_relu(case.number("alpha").unwrap()),
        "elu" => x.elu(case.number("alpha").unwrap()),
        "celu" => x.celu(case.number("alpha").unwrap()),
        "mean" => x.mean(Axes::from(signed("axes")).keepdim(keep)),
        "variance" => {
            let axes = Axes::from(signed("axes")).keepdim(keep);
            x.variance(axes, case.integer("correction").unwrap() as usize)
        }
        "argmax" => x.argmax(Axes::from(axis()).keepdim(keep)),
        "argmin" => x.argmin(Axes::from(axis()).keepdim(keep)),
        "cumulative_sum" => {
            let mut running = Running::along(axis());
            if case.flag("reverse") {
                running = running.reverse();
            }
            if case.flag("exclusive") {
                running = running.exclusive();
            }
            x.cumulative_sum(running)
        }
        "softmax" => x.softmax(axis()),
        "log_softmax" => x.log_softmax(axis()),
        "reshape" => x.reshape(sizes("shape")),
        "permute" => x.permute(&sizes("axes")),
        "broadcast_to" => x.broadcast_to(sizes("shape")),
        "flip" => x.flip(&signed("axes")),
        "slice" => x.slice_steps(&sizes("starts"), &sizes("lengths"), &signed("steps")),
        "pad" => x.pad(&sizes("low"), &sizes("high"), case.number("value").unwrap()),
        "concat" => g.concat(&references, axis()),
        "stack" => g.stack(&references, axis()),
        "split" => return x.split(axis(), &sizes("sizes")),
        "gather" => x.gather(axis(), &inputs[1]),
        "index_select" => x.index_select(axis(), &inputs[1]),
        "one_hot" => x.one_hot(case.integer("classes").unwrap() as usize, I32),
        "scatter_add" => x.scatter_add(axis(), &inputs[1], &inputs[2]),
        "index_add" => x.index_add(axis(), &inputs[1], &inputs[2]),
        "index_copy" => x.index_copy(axis(), &inputs[1], &inputs[2]),
        "top_k" => {
            let (values, indices) = x.top_k(case.integer("k").unwrap() as usize, axis());
            return vec![values, indices];
        }
        "sort" => {
            let (values, indices) =
                x.sort(axis(), if case.flag("descending") { Order::Descending } else { Order::Ascending });
            return vec![values, indices];
        }
        "matmul" => x.matmul(&inputs[1]),
        "attention" => attend(case, inputs),
        "conv" => x.conv(&inputs[1], &conv_options(case)),
        "conv_transpose" => {
            let options = ConvTransposeOptions::new()
                .stride(sizes("stride"))
                .padding(Padding::Symmetric(sizes("padding").into()))
                .output_padding(sizes("output_padding"))
                .dilation(sizes("dilation"))
                .groups(case.integer("groups").unwrap() as usize);
            x.conv_transpose(&inputs[1], &options)
        }
        "linear" => x.matmul(&inputs[1].transpose(0, 1)) + &inputs[2],
        other => match Reduction::ALL.iter().find(|reduction| reduction.name() == other) {
            Some(&reduction) => x.reduce(reduction, Axes::from(signed("axes")).keepdim(keep)),
            None => x.elementwise(numeric(other), &references[1..]),
        },
    };
    vec![one]
}

fn conv_options(case: &Case) -> ConvOptions {
    let sizes = |key: &str| -> Vec<usize> { case.integers(key).iter().map(|&size| size as usize).collect() };
    let pads = case.attribute("pads").as_array().map(|pairs| {
        let size = |pair: &serde_json::Value, end: usize| pair[end].as_u64().unwrap() as usize;
        Padding::Explicit(pairs.iter().map(|pair| [size(pair, 0), size(pair, 1)]).collect())
    });
    let padding = match pads {
        Some(pads) => pads,
        None if case.flag("same") => Padding::Same,
        None => Padding::Symmetric(sizes("padding").into()),
    };
    let mode = match case.text("mode") {
        "reflect" => PaddingMode::Reflect,
        "replicate" => PaddingMode::Replicate,
        "circular" => PaddingMode::Circular,
        _ => PaddingMode::Zeros,
    };
    ConvOptions::new()
        .stride(sizes("stride"))
        .padding(padding)
        .padding_mode(mode)
        .dilation(sizes("dilation"))
        .groups(case.integer("groups").unwrap() as usize)
}

fn numeric(name: &str) -> ScalarFunction {
    *NUMERIC.iter().find(|function| function.name() == name).unwrap_or_else(|| panic!("there is no function {name:?}"))
}
