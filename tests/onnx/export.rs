//! What an export makes of graphs: it is read again and gives the same values. With `WGRAD_EXPORT` set to a folder, models are left there
//! with their inputs and outputs, for `export.py` to run them elsewhere.

use wgrad::nn::{CustomRNN, GRU, LSTM, Linear, RNN, Recurrent, RecurrentInputs};
use wgrad::onnx::{Export, Import, Model};
use wgrad::ops::keepdim;
use wgrad::ops::{
    AvgPool, AxisMap, Cell, CellDefinition, Combine, ConvOptions, ConvTransposeOptions, Interpolate, Interpolation,
    MaxPool, PaddingMode, RecurrentOptions,
};
use wgrad::ops::{Order, Running};
use wgrad::prelude::*;
use wgrad::safetensors;
use wgrad::scalar::threefry::HostRandom;
use wgrad::scalar::{NUMERIC, Reduction, ScalarFunction as F};

use crate::snake::snake;
use crate::sparsemax::sparsemax;

/// A graph under test: its inputs are drawn at random.
struct Case {
    g: Graph,
    inputs: Vec<(String, TensorData)>,
    random: HostRandom,
}

impl Case {
    fn new() -> Self {
        Self { g: Graph::new(), inputs: Vec::new(), random: HostRandom::new(7) }
    }

    fn add(&mut self, data: TensorData) -> Tensor {
        let name = format!("x{}", self.inputs.len());
        let tensor = self.g.input(&name, data.shape(), data.dtype());
        self.inputs.push((name, data));
        tensor
    }

    fn floats(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random.normal() as f32).collect();
        self.add(TensorData::from_vec(values, shape).unwrap())
    }

    fn positive(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random.normal().abs() as f32 * 0.4 + 0.1).collect();
        self.add(TensorData::from_vec(values, shape).unwrap())
    }

    fn ints(&mut self, below: u32, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<i32> = (0..count).map(|_| self.random.below(u64::from(below)) as i32).collect();
        self.add(TensorData::from_vec(values, shape).unwrap())
    }

    fn bools(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<bool> = (0..count).map(|_| self.random.below(2) == 1).collect();
        self.add(TensorData::from_bools(&values, shape).unwrap())
    }

    /// Compares with what is read again.
    fn check(self, name: &str, outputs: &[&Tensor]) {
        for (index, output) in outputs.iter().enumerate() {
            self.g.output(&format!("y{index}"), output);
        }
        let inputs: Vec<(&str, &TensorData)> = self.inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
        let mut session = self.g.compile(&Device::cpu()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = session.run(&inputs).unwrap();
        let bytes = Export::new(&self.g).values_of(&session).to_bytes();
        let bytes = bytes.unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(folder) = std::env::var_os("WGRAD_EXPORT") {
            let path = std::path::Path::new(&folder).join(name.replace(' ', "_"));
            std::fs::write(path.with_extension("onnx"), &bytes).unwrap();
            safetensors::write(path.with_extension("inputs"), &self.inputs, &[]).unwrap();
            let expected: Vec<_> = expected.iter().map(|(name, data)| (name.to_owned(), data.clone())).collect();
            safetensors::write(path.with_extension("outputs"), &expected, &[]).unwrap();
        }
        let model = Model::parse(&bytes, None).unwrap();
        let again = model.import(&Import::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = again.graph.compile(&Device::cpu()).unwrap().run(&inputs).unwrap();
        for (output, value) in expected.iter() {
            assert_eq!(found[output].ty(), value.ty(), "{name}: {output}");
            let pairs = found[output].to_f64_vec().into_iter().zip(value.to_f64_vec());
            for (index, (a, b)) in pairs.enumerate() {
                let close = (a - b).abs() <= 1e-5 + 1e-4 * b.abs() || a == b || a.is_nan() && b.is_nan();
                assert!(close, "{name}: {output}[{index}] is {a}, not {b}");
            }
        }
    }
}

#[test]
fn scalar_functions() {
    for &function in NUMERIC {
        let mut case = Case::new();
        // Each within its domain.
        let first = match function {
            F::Log | F::Sqrt | F::Rsqrt | F::Pow | F::Log1p => case.positive(&[3, 4]),
            _ => case.floats(&[3, 4]),
        };
        let others: Vec<Tensor> = (1..function.arity()).map(|_| case.positive(&[4])).collect();
        let others: Vec<&Tensor> = others.iter().collect();
        let y = first.elementwise(function, &others);
        case.check(&format!("function {}", function.name()), &[&y]);
    }
    let mut case = Case::new();
    let (a, b) = (case.floats(&[3, 4]), case.floats(&[3, 1]));
    let (p, q) = (a.gt(&b), a.lt(0.5));
    let outputs = [
        a.atan2(&b),
        a.leaky_relu(0.1),
        a.elementwise(F::Elu, &[&case.g.scalar(F32, 0.7).broadcast_to([3, 4])]),
        p.select(&a, &b),
        p.elementwise(F::And, &[&q]),
        p.elementwise(F::Xor, &[&q]),
        a.ne(&b),
        a.cast(I32),
        q.cast(F32),
        a.elementwise(F::IsNan, &[]),
        (a.cast(I32) * 3).cast(F32),
        a.clamp(-0.5, 0.5),
        a.asinh(),
        a.atanh().is_nan(),
    ];
    case.check("functions of several operands", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn movement() {
    let mut case = Case::new();
    let x = case.floats(&[2, 3, 4]);
    let b = case.bools(&[2, 3]);
    let outputs = [
        x.reshape([4, 6]),
        x.permute(&[2, 0, 1]),
        x.slice(1, 1, 3),
        x.slice_steps(&[1, 2, 3], &[2, 2, 2], &[-1, -1, -2]),
        x.slice_steps(&[0, 0, 0], &[2, 3, 0], &[1, 1, 1]),
        x.flip(&[0, 2]),
        x.pad(&[0, 1, 2], &[1, 0, 0], 0.5),
        x.pad_between(&[1, 0, 0], &[0, 0, 1], &[0, 1, 2], -1.0),
        case.g.concat(&[&x, &x], 1),
        case.g.stack(&[&x, &x], 0),
        x.unsqueeze(0).broadcast_to([5, 2, 3, 4]),
        case.g.coordinate([3, 2], 1).cast(F32),
        x.pad_with(&[0, 0, 2], &[0, 0, 2], PaddingMode::Reflect),
        b.reshape([6]),
        b.unsqueeze(-1).broadcast_to([2, 3, 4]),
        &x + &case.g.coordinate([2, 3, 4], 2).cast(F32),
        x.stop_gradient() * 2.0,
    ];
    case.check("movement", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn reductions_products_and_order() {
    let mut case = Case::new();
    let x = case.floats(&[2, 3, 4]);
    let mut outputs: Vec<Tensor> = Vec::new();
    for reduction in Reduction::ALL {
        outputs.push(x.reduce(reduction, [1]));
        outputs.push(x.reduce(reduction, keepdim([0, 2])));
        outputs.push(x.reduce(reduction, [0, 1, 2]));
    }
    let b = x.gt(0.0);
    outputs.extend([b.max([1]), b.min(keepdim([2]))]);
    outputs.extend([x.softmax(-1), x.log_softmax(1), x.mean_all(), x.variance([0], 1)]);
    outputs.extend([x.cumulative_sum(1), x.cumulative_sum(Running::along(2).reverse().exclusive())]);
    let (sorted, indices) = x.sort(1, Order::Ascending);
    let (largest, where_largest) = x.top_k(2, -1);
    outputs.extend([sorted, indices, largest, where_largest]);
    let in_order = |x: &Tensor| x.sort(-1, Order::Ascending).0;
    outputs.extend([in_order(&x).search_sorted(&x), in_order(&x.reshape([24])).search_sorted_right(&x)]);
    outputs.push(x.matmul(&x.transpose(1, 2)));
    outputs.push(x.matmul(&case.floats(&[4, 5])));
    case.check("reductions", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn picking_and_putting() {
    let mut case = Case::new();
    let (x, i, source) = (case.floats(&[4, 3]), case.ints(4, &[2, 3]), case.floats(&[2, 3]));
    let (rows, row_source) = (case.ints(4, &[5]), case.floats(&[5, 3]));
    let mut outputs =
        vec![x.gather(0, &i), x.take(0, &rows), x.scatter_add(0, &i, &source), x.scatter_rows(&rows, &row_source)];
    outputs.push(rows.one_hot(4, F32));
    for combine in [Combine::Product, Combine::Max, Combine::Min] {
        outputs.push(x.scatter(0, &i, &source, combine));
    }
    case.check("picking", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn convolutions() {
    let mut case = Case::new();
    let x = case.floats(&[2, 4, 7, 6]);
    let w = case.floats(&[6, 2, 3, 2]);
    let t = case.floats(&[4, 3, 3, 2]);
    let line = case.floats(&[2, 3, 9]);
    let v = case.floats(&[5, 3, 3]);
    let outputs = [
        x.conv(&w, &ConvOptions::new().groups(2).stride([2, 1]).padding([1, 0])),
        x.conv(&w, &ConvOptions::new().groups(2).dilation([2, 1]).padding([[2, 1], [0, 1]])),
        x.conv(&w, &ConvOptions::new().groups(2).padding(1).padding_mode(PaddingMode::Reflect)),
        x.conv_transpose(&t, &ConvTransposeOptions::new().stride(2).padding([1, 0]).output_padding(1)),
        x.conv_transpose(&w.slice(0, 0, 4), &ConvTransposeOptions::new().stride(3).groups(2)),
        line.conv(&v, &ConvOptions::new().padding(1)),
        line.conv_transpose(&v.slice(0, 0, 3), &ConvTransposeOptions::new().stride(2).output_padding(1)),
    ];
    case.check("convolutions", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn pools_and_interpolation() {
    let mut case = Case::new();
    let x = case.floats(&[2, 3, 7, 6]);
    let (largest, indices) = x.max_pool_with_indices(&MaxPool::new(2));
    let outputs = [
        x.max_pool(&MaxPool::new(3).stride(2).padding(1)),
        x.max_pool(&MaxPool::new(2).ceil_mode(true)),
        x.max_pool(&MaxPool::new(2).dilation(2)),
        largest,
        indices,
        x.avg_pool(&AvgPool::new(2)),
        x.avg_pool(&AvgPool::new(3).stride(2).padding(1)),
        x.avg_pool(&AvgPool::new(3).padding(1).count_include_pad(false)),
        x.avg_pool(&AvgPool::new(2).ceil_mode(true)),
        x.global_avg_pool(),
        x.adaptive_avg_pool([3, 4]),
        x.adaptive_max_pool(4),
        x.interpolate(&Interpolate::scale_factor(2.0)),
        x.interpolate(&Interpolate::size([5, 9]).mode(Interpolation::Linear)),
        x.interpolate(&Interpolate::scale_factor(1.5).mode(Interpolation::Cubic)),
        x.resample(1, &AxisMap::from_rows(3, vec![vec![(0, 0.5), (2, 2.0)], vec![(1, 1.0)]]).unwrap()),
    ];
    case.check("pools", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn normalisations() {
    let mut case = Case::new();
    let x = case.floats(&[2, 4, 3, 3]);
    let (w, b) = (case.floats(&[4]), case.floats(&[4]));
    let outputs = [
        x.batch_norm(Some(&w), Some(&b), 1e-5),
        x.group_norm(2, Some(&w), Some(&b), 1e-5),
        x.instance_norm(None, None, 1e-5),
        x.permute(&[0, 2, 3, 1]).layer_norm(1, Some(&w), Some(&b), 1e-5),
        x.rms_norm(2, None, None),
    ];
    case.check("normalisations", &outputs.iter().collect::<Vec<_>>());
}

#[test]
fn recurrences() {
    for (name, options) in [
        ("plain", Recurrent::new()),
        ("two layers in two directions", Recurrent::new().num_layers(2).bidirectional()),
        ("no bias, batch first", Recurrent::new().bias(false).batch_first(true)),
    ] {
        let mut case = Case::new();
        let x = case.floats(&[5, 5, 3]);
        let lengths = case.add(TensorData::from_vec(vec![5_i32, 1, 3, 4, 2], [5]).unwrap());
        let given = RecurrentInputs::new().lengths(&lengths);
        let rnn = RNN::with(&case.g, "rnn", 3, 4, options.relu()).forward_with(&x, &given, Mode::Evaluation);
        let lstm = LSTM::with(&case.g, "lstm", 3, 4, options).forward_with(&x, &given, Mode::Evaluation);
        let gru = GRU::with(&case.g, "gru", 3, 4, options.reset_after(false)).forward(&x, Mode::Evaluation);
        case.check(name, &[&rnn.outputs, &lstm.outputs, &lstm.h_n, &lstm.c_n, &gru]);
    }
    for cell in Cell::all() {
        let mut case = Case::new();
        let gates = case.floats(&[4, 2, cell.gates() * 3]);
        let (weight, bias) = (case.floats(&[cell.gates() * 3, 3]), case.floats(&[cell.gates() * 3]));
        let initial = case.floats(&[cell.states(), 2, 3]);
        let options = RecurrentOptions {
            bias: Some(&bias),
            initial: Some(&initial),
            reverse: true,
            ..RecurrentOptions::new(cell.clone())
        };
        let found = gates.recurrent(&weight, &options);
        case.check(&format!("gates of {}", cell.name()), &[&found.outputs, &found.last]);
    }
}

/// A cell that computes what a built-in one does is exported as that; for others ONNX has no operator.
#[test]
fn recurrences_of_ones_own() {
    let again = CellDefinition::new("my_gru", 3).step(|s| {
        let (r, z) = (s.gate(0).sigmoid(), s.gate(1).sigmoid());
        let n = (s.input(2) + r * s.product(2)).tanh();
        [n + z * (s.state(0) - n)]
    });
    let mut case = Case::new();
    let x = case.floats(&[4, 2, 3]);
    let y = CustomRNN::new(&case.g, "layer", &again.unwrap(), 3, 5).forward(&x, Mode::Evaluation);
    case.check("a gru of one's own", &[&y]);

    let leaky = CellDefinition::new("leaky", 1).step(|s| [s.state(0) * 0.9 + s.gate(0).tanh() * 0.1]);
    let g = Graph::new();
    let y = CustomRNN::new(&g, "layer", &leaky.unwrap(), 3, 5).forward(&g.input("x", [4, 2, 3], F32), Mode::Evaluation);
    g.output("y", &y);
    let error = Export::new(&g).to_proto().unwrap_err().to_string();
    assert!(error.contains("\"leaky\" is a cell of one's own, for which ONNX has no operator"), "{error}");
    assert!(error.contains("onnx/export.rs"), "{error}");
}

#[test]
fn variables_keep_their_names_and_values() {
    let g = Graph::new();
    let (x, y) = (g.input("x", [4, 3], F32), g.input("y", [4, 2], F32));
    let prediction = Linear::new(&g, "fc", 3, 2).forward(&x);
    g.output("prediction", &prediction);
    let mut session = g.minimize(&prediction.mse(&y), SGD::new(0.1)).compile(&Device::cpu()).unwrap();
    let data = (TensorData::from_f64(F32, &[0.5; 12], [4, 3]).unwrap(), TensorData::zeros(F32, [4, 2]));
    session.step(&[("x", &data.0), ("y", &data.1)]).unwrap();
    let model = Export::new(&g).values_of(&session).outputs(["prediction"]).to_proto().unwrap();
    let model = Model::from_proto(model, None).unwrap();
    let inputs: Vec<String> = model.inputs().into_iter().map(|input| input.name).collect();
    assert_eq!(inputs, ["x"]);
    let imported = model.import(&Import::new()).unwrap();
    let names: Vec<&str> = imported.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fc.weight", "fc.bias"]);
    assert_eq!(imported.initializers[0].1, session.parameter("fc.weight").unwrap());
    // What trains is no inference.
    let error = Export::new(&g).outputs(["nothing"]).to_proto().unwrap_err().to_string();
    assert!(error.contains("\"nothing\"") && error.contains("prediction"), "{error}");
}

#[test]
fn what_onnx_has_not_is_named() {
    let g = Graph::new();
    let x = g.input("x", [4], F32);
    g.output("y", &(&x + &g.random_uniform([4], 0.0, 1.0)));
    let error = Export::new(&g).to_proto().unwrap_err().to_string();
    assert!(error.contains("random") && error.contains("export.rs"), "{error}");
    let g = Graph::new();
    let (x, w) = (g.input("x", [1, 1, 5], F32), g.input("w", [1, 1, 3], F32));
    let gradient = g.gradients(&x.conv(&w, &ConvOptions::new()), &[&w]).swap_remove(0);
    g.output("gradient", &gradient);
    let error = Export::new(&g).to_proto().unwrap_err().to_string();
    assert!(error.contains("convolution_weight") && error.contains("gradients"), "{error}");
    assert!(Export::new(&Graph::new()).to_proto().unwrap_err().to_string().contains("no outputs"));
}

#[test]
fn a_list_of_layers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let model =
        Sequential::new([1, 8, 8]).conv2d(4, 3).relu().max_pool2d(2).batch_norm().flatten().dropout(0.5).dense(3);
    model.export_onnx(&path, 2, None).unwrap();
    let read = Model::load(&path).unwrap();
    assert!(read.missing().is_empty());
    let imported = read.import(&Import::new()).unwrap();
    let x = TensorData::from_f64(F32, &[0.25; 128], [2, 1, 8, 8]).unwrap();
    let found = imported.graph.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap();
    assert_eq!(found["prediction"].shape().dims(), [2, 3]);
}

#[test]
fn an_operator_of_ones_own_is_exported_as_its_decomposition() {
    let mut case = Case::new();
    let scores = case.floats(&[3, 7]);
    let frequencies = case.positive(&[3, 7]);
    let g = case.g.clone();
    let (attention, waves) = (sparsemax(&g, &scores), snake(&g, &scores, &frequencies));
    case.check("custom operators", &[&attention, &waves]);
}
