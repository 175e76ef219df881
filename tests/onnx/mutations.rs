//! Files that are almost models: bytes flipped, cut, spliced and blown up, and messages whose numbers and names were changed. Whatever they
//! are, an import ends soon, in a graph or an error, without a panic and without much memory.
//!
//! A few thousand run with the ordinary tests. For a million, with optimised code:
//! `WGRAD_MUTATIONS=1000000 cargo test --release --features onnx --test onnx mutations -- --ignored`. With `WGRAD_SEEDS` set to a
//! folder, its .onnx files are mutated too, as those that `backend.py --keep FOLDER` leaves there.

use prost::Message;
use wgrad::compiler::{Layout, Options, Step, Target, Work, compile};
use wgrad::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_type, data_type};
use wgrad::onnx::{Dimension, Export, Import, Model};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

use super::support::mutated_files::{index, many, mutate_bytes, survive};
use super::{declared, floats, graph, int, ints, model, node, subgraph, with};

/// Programs that need no more bytes and operations are run.
const SMALL: usize = 16 << 20;
const SHORT: u64 = 10_000_000;

fn list(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: attribute_type::INTS,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn loop_over(body: GraphProto) -> NodeProto {
    with(node("Loop", "trips _ x", "y"), subgraph("body", body))
}

/// Models that reach different parts of the importer.
fn seeds() -> Vec<ModelProto> {
    let x = || [declared("x", data_type::FLOAT, &[2, 3, 8, 8])];
    let w = floats("w", &[4, 3, 3, 3], &[0.1; 108]);
    let conv = with(with(node("Conv", "x w b", "c"), list("pads", &[1, 1, 1, 1])), list("kernel_shape", &[3, 3]));
    let pool = with(with(node("MaxPool", "r", "p"), list("kernel_shape", &[2, 2])), list("strides", &[2, 2]));
    let cnn = graph(
        [
            conv,
            node("Relu", "c", "r"),
            pool,
            with(node("Flatten", "p", "f"), int("axis", 1)),
            with(node("Gemm", "f m", "y"), int("transB", 1)),
        ],
        x(),
        &["y"],
        [w, floats("b", &[4], &[0.0; 4]), floats("m", &[5, 64], &[0.0; 320])],
    );
    let shapes = graph(
        [
            node("Shape", "x", "s"),
            with(node("Gather", "s zero", "n"), int("axis", 0)),
            with(node("Concat", "n rest", "wanted"), int("axis", 0)),
            node("Reshape", "x wanted", "a"),
            node("Expand", "a big", "e"),
            node("Slice", "e starts ends", "l"),
            node("Tile", "l times", "t"),
            with(node("ReduceSum", "t axes", "y"), int("keepdims", 0)),
        ],
        x(),
        &["y"],
        [
            ints("zero", &[0]),
            ints("rest", &[-1]),
            ints("big", &[3, 2, 192]),
            ints("starts", &[0, 0]),
            ints("ends", &[2, 9]),
            ints("times", &[1, 2, 1]),
            ints("axes", &[-1]),
        ],
    );
    let more = graph(
        [
            with(
                node("Pad", "x pads", "p"),
                AttributeProto {
                    name: "mode".into(),
                    r#type: attribute_type::STRING,
                    s: Some(b"reflect".to_vec()),
                    ..AttributeProto::default()
                },
            ),
            with(node("Softmax", "p", "s"), int("axis", -1)),
            with(node("TopK", "s k", "v i"), int("axis", -1)),
            with(node("OneHot", "i depth values", "o"), int("axis", -1)),
            node("Range", "zero depth one", "r"),
            node("ConstantOfShape", "shape", "z"),
            node("Resize", "x _ scales", "u"),
            node("NonZero", "shape", "nz"),
            node("CumSum", "u zero", "cs"),
            with(node("Split", "x parts", "q1 q2"), int("axis", 1)),
            node("Where", "b q1 q1", "w"),
            node("Greater", "q1 q1", "b"),
        ],
        x(),
        &["v", "o", "r", "z", "u", "w", "cs"],
        [
            ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]),
            ints("k", &[2]),
            scalar("depth", 5),
            floats("values", &[2], &[0.0, 1.0]),
            scalar("zero", 0),
            scalar("one", 1),
            ints("shape", &[2, 3]),
            floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0]),
            ints("parts", &[1, 2]),
        ],
    );
    let sequence = [declared("x", data_type::FLOAT, &[3, 2, 4])];
    let lstm = graph(
        [
            with(node("LSTM", "x W R", "h hn cn"), int("hidden_size", 2)),
            with(node("Squeeze", "h one", "q"), int("axis", 1)),
            with(
                node("Einsum", "q q", "y"),
                AttributeProto {
                    name: "equation".into(),
                    r#type: attribute_type::STRING,
                    s: Some(b"tbh,tbk->bhk".to_vec()),
                    ..AttributeProto::default()
                },
            ),
        ],
        sequence.clone(),
        &["y", "hn"],
        [floats("W", &[1, 8, 4], &[0.1; 32]), floats("R", &[1, 8, 2], &[0.1; 16]), ints("one", &[1])],
    );
    let body = graph(
        [node("Mul", "v v", "vv"), node("Identity", "go", "on")],
        [
            declared("i", data_type::INT64, &[]),
            declared("go", data_type::BOOL, &[]),
            declared("v", data_type::FLOAT, &[3, 2, 4]),
        ],
        &["on", "vv"],
        [],
    );
    let repeated = graph([loop_over(body)], sequence, &["y"], [scalar("trips", 3)]);
    // What the engine itself writes.
    let g = Graph::new();
    let input = g.input("x", [2, 5], F32);
    let hidden = nn::Linear::new(&g, "fc", 5, 4).forward(&input).gelu();
    g.output("y", &hidden.layer_norm(1, None, None, 1e-5).softmax(-1).cumulative_sum(1));
    let own = Export::new(&g).to_proto().unwrap();
    let mut all: Vec<ModelProto> = [cnn, shapes, more, lstm, repeated].into_iter().map(model).collect();
    all.push(own);
    for seed in &all {
        let whole = Model::from_proto(seed.clone(), None).and_then(|model| model.import(&Import::new().symbol("n", 2)));
        whole.unwrap_or_else(|error| panic!("a seed is no good model: {error}"));
    }
    if let Some(folder) = std::env::var_os("WGRAD_SEEDS") {
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let files = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "onnx"));
        all.extend(files.filter_map(|path| ModelProto::decode(&*std::fs::read(path).unwrap()).ok()));
    }
    all
}

/// Imports a file, with values for the inputs that may steer shapes; compiles what comes of it, and runs what is small.
fn go(bytes: &[u8], random: &mut HostRandom) -> Result<()> {
    let model = Model::parse(bytes, None)?;
    let _ = (model.operators(), model.parameters(), model.inputs());
    let mut import = Import::new().symbol("n", 2);
    for input in model.inputs() {
        let extent = |dim: &Dimension| if let Dimension::Extent(extent) = dim { Some(*extent) } else { None };
        let dims: Option<Vec<usize>> = input.dims.iter().flatten().map(extent).collect();
        let (Some(dims), Some(dtype)) = (dims, input.dtype) else { continue };
        let count = dims.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent));
        let Some(count) = count.filter(|&count| count <= 16 && !dtype.is_float()) else { continue };
        let odd = random.below(3) == 0;
        let values = (0..count).map(|_| if odd { strange(random) as f64 } else { random.below(4) as f64 });
        import = import.value(&input.name, TensorData::from_f64(dtype, &values.collect::<Vec<f64>>(), dims)?);
    }
    let imported = model.import(&import)?;
    let (program, _) = compile(&imported.graph, &Target::Cpu, &mut Layout::default(), Options::default())?;
    if program.planned_bytes() > SMALL || program.flops() > SHORT || program.steps.iter().any(is_long) {
        return Ok(());
    }
    let given = imported.inputs.iter().map(|(name, tensor)| (name, TensorData::zeros(tensor.dtype(), tensor.shape())));
    let given: Vec<(&String, TensorData)> = given.filter(|(_, data)| data.len() < 1 << 20).collect();
    let given: Vec<(&str, &TensorData)> = given.iter().map(|(name, data)| (name.as_str(), data)).collect();
    imported.graph.compile(&Device::cpu())?.run(&given).map(|_| ())
}

/// True where an operator looks at more positions than it multiplies: a window that is far larger than what it iterates over.
fn is_long(step: &Step) -> bool {
    let Work::Routine { operands, outputs, .. } = &step.work else { return false };
    let results: usize = outputs.iter().map(|ty| ty.len()).sum();
    let largest = operands.iter().map(|operand| operand.ty.len()).max().unwrap_or(0);
    results.saturating_mul(largest) > 1 << 33
}

fn scalar(name: &str, value: i64) -> TensorProto {
    TensorProto { dims: Vec::new(), ..ints(name, &[value]) }
}

/// A number that something may not be ready for.
fn strange(random: &mut HostRandom) -> i64 {
    const STRANGE: [i64; 16] = [
        i64::MIN,
        i64::MIN + 1,
        -4_294_967_297,
        -65_536,
        -3,
        -2,
        -1,
        0,
        1,
        2,
        3,
        7,
        64,
        65_536,
        2_147_483_647,
        i64::MAX,
    ];
    STRANGE[index(random, STRANGE.len())]
}

/// Changes one thing of a graph, or of a graph within it.
fn mutate_graph(graph: &mut GraphProto, random: &mut HostRandom) {
    let names: Vec<String> =
        graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output)).cloned().collect();
    let types: Vec<String> = graph.node.iter().map(|node| node.op_type.clone()).collect();
    let name = |random: &mut HostRandom| names.get(index(random, names.len())).cloned().unwrap_or_default();
    let (nodes, initializers, inputs) = (graph.node.len(), graph.initializer.len(), graph.input.len());
    match random.below(10) {
        0..=2 => {
            // Values that steer shapes.
            let Some(initializer) = graph.initializer.get_mut(index(random, initializers)) else { return };
            let count = initializer.dims.iter().product::<i64>().clamp(0, 1024) as usize;
            if initializer.data_type == data_type::INT64 {
                let mut values: Vec<i64> = (0..count).map(|_| strange(random)).collect();
                if random.below(2) == 0 {
                    values.iter_mut().skip(1).for_each(|value| *value = 1);
                }
                initializer.raw_data = Some(values.iter().flat_map(|value| value.to_le_bytes()).collect());
            } else if let Some(value) = initializer.float_data.first_mut() {
                *value = [f32::NAN, f32::INFINITY, -1.0, 0.0, 1e30, 1e-30][index(random, 6)];
            }
        }
        3 | 4 => {
            let Some(node) = graph.node.get_mut(index(random, nodes)) else { return };
            let attributes = node.attribute.len();
            match node.attribute.get_mut(index(random, attributes)) {
                Some(attribute) if attribute.g.is_some() && random.below(4) > 0 => {
                    attribute.g.iter_mut().for_each(|inner| mutate_graph(inner, random));
                }
                Some(attribute) if !attribute.ints.is_empty() => {
                    let at = index(random, attribute.ints.len());
                    attribute.ints[at] = strange(random);
                    if random.below(3) == 0 {
                        attribute.ints.push(strange(random));
                    }
                }
                Some(attribute) => attribute.i = Some(strange(random)),
                None => node.attribute.push(int("axis", strange(random))),
            }
        }
        5 => {
            let Some(node) = graph.node.get_mut(index(random, nodes)) else { return };
            node.op_type = types.get(index(random, types.len())).cloned().unwrap_or_default();
        }
        6 => {
            let swapped = name(random);
            let Some(node) = graph.node.get_mut(index(random, nodes)) else { return };
            let at = index(random, node.input.len());
            match node.input.get_mut(at) {
                Some(input) if random.below(4) > 0 => *input = swapped,
                _ => node.input.push(swapped),
            }
        }
        7 => {
            let Some(input) = graph.input.get_mut(index(random, inputs)) else { return };
            let shape = input.r#type.as_mut().and_then(|ty| ty.tensor_type.as_mut()).and_then(|ty| ty.shape.as_mut());
            let Some(shape) = shape else { return };
            let dims = shape.dim.len();
            if let Some(dim) = shape.dim.get_mut(index(random, dims)) {
                dim.dim_value = Some(strange(random));
            }
        }
        8 => {
            let Some(initializer) = graph.initializer.get_mut(index(random, initializers)) else { return };
            initializer.data_type = random.below(24) as i32;
        }
        _ => {
            if nodes > 0 {
                let removed = index(random, nodes);
                let node = graph.node.remove(removed);
                let at = index(random, nodes);
                graph.node.insert(at.min(graph.node.len()), node.clone());
                if random.below(3) == 0 {
                    graph.node.push(node);
                }
            }
        }
    }
}

/// Imports mutated models.
fn import(count: u64) {
    let seeds = seeds();
    let files: Vec<Vec<u8>> = seeds.iter().map(Message::encode_to_vec).collect();
    let make = |random: &mut HostRandom| {
        let chosen = index(random, seeds.len());
        let mut bytes = if random.below(2) == 0 {
            files[chosen].clone()
        } else {
            let mut proto = seeds[chosen].clone();
            for _ in 0..=random.below(3) {
                proto.graph.iter_mut().for_each(|graph| mutate_graph(graph, random));
            }
            proto.encode_to_vec()
        };
        if random.below(2) == 0 {
            let other = index(random, files.len());
            mutate_bytes(&mut bytes, &files[other], random);
        }
        bytes
    };
    survive("onnx", count, make, go);
}

#[test]
fn mutated_models_are_imported_or_refused() {
    import(4_000);
}

#[test]
#[ignore = "takes many minutes; the module says how to run it"]
fn a_million_mutated_models() {
    import(many(1_000_000));
}
