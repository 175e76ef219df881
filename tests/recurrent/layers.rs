//! Layers: their parameters, and what they compute against cells, step by step.

use wgrad::nn::{GRU, GRUCell, LSTM, LSTMCell, RNN, RNNCell, Recurrent, RecurrentInputs};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{distance, message, numbers};

#[test]
fn parameters_are_named_shaped_and_drawn_as_in_torch() {
    let g = Graph::new();
    let options = Recurrent::new().num_layers(2).bidirectional();
    let x = g.input("x", [3, 2, 7], F32);
    let found = LSTM::with(&g, "lstm", 7, 5, options).forward(&x, Mode::Training);
    let _ = GRU::with(&g, "gru", 10, 4, Recurrent::new().bias(false)).forward(&found, Mode::Training);
    let _ = RNN::new(&g, "rnn", 10, 400).forward(&found, Mode::Training);
    let names: Vec<(String, Vec<usize>)> =
        g.parameters().into_iter().map(|(name, tensor)| (name, tensor.shape().to_vec())).collect();
    let mut expected = Vec::new();
    for (suffix, inputs) in [("l0", 7), ("l0_reverse", 7), ("l1", 10), ("l1_reverse", 10)] {
        expected.push((format!("lstm.weight_ih_{suffix}"), vec![20, inputs]));
        expected.push((format!("lstm.weight_hh_{suffix}"), vec![20, 5]));
        expected.push((format!("lstm.bias_ih_{suffix}"), vec![20]));
        expected.push((format!("lstm.bias_hh_{suffix}"), vec![20]));
    }
    expected.push(("gru.weight_ih_l0".into(), vec![12, 10]));
    expected.push(("gru.weight_hh_l0".into(), vec![12, 4]));
    for (name, shape) in [("weight_ih", vec![400, 10]), ("weight_hh", vec![400, 400])] {
        expected.push((format!("rnn.{name}_l0"), shape));
    }
    expected.extend(["bias_ih", "bias_hh"].map(|name| (format!("rnn.{name}_l0"), vec![400])));
    assert_eq!((names, message(&g)), (expected, String::new()));
    g.output("y", &found);
    // A program has the variables that it needs; all are uniform within ± 1/√hidden.
    let session = g.compile(&Device::cpu()).unwrap();
    let weight = session.parameter("lstm.weight_hh_l1").unwrap().to_f64_vec();
    let largest = weight.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    assert!(largest <= 0.2_f64.sqrt() && largest > 0.4, "{largest}");
}

#[test]
fn other_first_values() {
    let g = Graph::new();
    let x = g.input("x", [2, 3, 4], F32);
    let lstm = LSTM::new(&g, "lstm", 4, 6)
        .initializer(Initializer::XavierUniform { gain: 1.0 })
        .hidden_initializer(Initializer::Orthogonal { gain: 1.0 })
        .bias_initializer(Initializer::Zeros);
    g.output("y", &lstm.forward(&x, Mode::Evaluation));
    let session = g.compile(&Device::cpu()).unwrap();
    assert!(session.parameter("lstm.bias_hh_l0").unwrap().to_f64_vec().iter().all(|&value| value == 0.0));
    let weight = session.parameter("lstm.weight_hh_l0").unwrap().to_f64_vec();
    for (a, b) in [(0, 0), (0, 5), (3, 2)] {
        let dot: f64 = (0..24).map(|row| weight[row * 6 + a] * weight[row * 6 + b]).sum();
        assert!((dot - f64::from(u8::from(a == b))).abs() < 1e-5);
    }
}

/// A layer's outputs and last states of `[steps, batch, 4]` by its cells, one step after another: `[steps, batch, hidden]`, and the last.
fn by_cells(g: &Graph, x: &Tensor, steps: usize, mut step: impl FnMut(&Tensor) -> Tensor) -> Tensor {
    let outputs: Vec<Tensor> = (0..steps).map(|k| step(&x.at(0, k))).collect();
    g.stack(&outputs.iter().collect::<Vec<_>>(), 0)
}

#[test]
fn a_layer_is_its_cells_one_step_after_another() {
    const STEPS: usize = 5;
    let x = numbers(1, &[STEPS, 3, 4]);
    for device in devices() {
        for kind in ["rnn", "relu", "lstm", "gru", "gru before"] {
            let g = Graph::new();
            let input = g.input("x", x.shape(), F32);
            let two = Recurrent::new().num_layers(2);
            let (whole, steps) = match kind {
                "rnn" | "relu" => {
                    let layer = RNN::with(&g, "layer", 4, 6, if kind == "relu" { two.relu() } else { two });
                    let (mut first, mut second) = (None, None);
                    let steps = by_cells(&g, &input, STEPS, |x| {
                        let h = layer.cell(0).forward(x, first.as_ref());
                        let y = layer.cell(1).forward(&h, second.as_ref());
                        (first, second) = (Some(h), Some(y.clone()));
                        y
                    });
                    (layer.forward(&input, Mode::Training), steps)
                }
                "lstm" => {
                    let layer = LSTM::with(&g, "layer", 4, 6, two);
                    let (mut first, mut second) = (None::<(Tensor, Tensor)>, None::<(Tensor, Tensor)>);
                    let steps = by_cells(&g, &input, STEPS, |x| {
                        let h = layer.cell(0).forward(x, first.as_ref().map(|(h, c)| (h, c)));
                        let y = layer.cell(1).forward(&h.0, second.as_ref().map(|(h, c)| (h, c)));
                        let output = y.0.clone();
                        (first, second) = (Some(h), Some(y));
                        output
                    });
                    (layer.forward(&input, Mode::Training), steps)
                }
                _ => {
                    let layer = GRU::with(&g, "layer", 4, 6, two.reset_after(kind == "gru"));
                    let (mut first, mut second) = (None, None);
                    let steps = by_cells(&g, &input, STEPS, |x| {
                        let h = layer.cell(0).forward(x, first.as_ref());
                        let y = layer.cell(1).forward(&h, second.as_ref());
                        (first, second) = (Some(h), Some(y.clone()));
                        y
                    });
                    (layer.forward(&input, Mode::Training), steps)
                }
            };
            g.output("whole", &whole);
            g.output("steps", &steps);
            let mut session = Session::new(&g, &device, 3).unwrap();
            let found = session.run(&[("x", &x)]).unwrap();
            let error = distance(&found["whole"], &found["steps"]);
            assert!(error < 2e-6, "{kind} on {}: {error}", device.name());
        }
    }
}

#[test]
fn cells_alone_have_names_of_their_own() {
    let g = Graph::new();
    let x = g.input("x", [2, 3], F32);
    let h = RNNCell::with(&g, "a", 3, 4, Recurrent::new().relu()).forward(&x, None);
    let h = GRUCell::with(&g, "b", 4, 4, Recurrent::new().bias(false)).forward(&h, Some(&h));
    let (h, c) = LSTMCell::new(&g, "c", 4, 5).forward(&h, None);
    assert_eq!((h.shape(), c.shape(), message(&g)), ([2, 5].into(), [2, 5].into(), String::new()));
    let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
    let mut expected = vec!["a.weight_ih", "a.weight_hh", "a.bias_ih", "a.bias_hh", "b.weight_ih", "b.weight_hh"];
    expected.extend(["c.weight_ih", "c.weight_hh", "c.bias_ih", "c.bias_hh"]);
    assert_eq!(names, expected);
}

#[test]
fn dropout_is_between_layers_while_training() {
    let x = numbers(2, &[3, 2, 4]);
    let run = |layers: usize, probability: f64, mode: Mode| {
        let g = Graph::new();
        let input = g.input("x", [3, 2, 4], F32);
        let options = Recurrent::new().num_layers(layers).dropout(probability);
        g.output("y", &GRU::with(&g, "gru", 4, 6, options).forward(&input, mode));
        g.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap()["y"].clone()
    };
    assert_eq!(run(2, 0.5, Mode::Evaluation), run(2, 0.0, Mode::Training));
    assert_ne!(run(2, 0.5, Mode::Training), run(2, 0.0, Mode::Training));
    // Not after the last.
    assert_eq!(run(1, 0.5, Mode::Training), run(1, 0.0, Mode::Training));
}

#[test]
fn a_batch_first_is_a_batch_second_transposed() {
    let x = numbers(3, &[4, 3, 2]);
    for device in devices() {
        let g = Graph::new();
        let (input, lengths) = (g.input("x", [4, 3, 2], F32), g.input("lengths", [3], I32));
        let options = Recurrent::new().bidirectional();
        let plain = LSTM::with(&g, "lstm", 2, 5, options);
        let weights = plain.weights().to_vec();
        let transposed = LSTM::with_weights(&g, "transposed", options.batch_first(true), weights);
        let inputs = RecurrentInputs::new().lengths(&lengths);
        let one = plain.forward_with(&input, &inputs, Mode::Training);
        let other = transposed.forward_with(&input.transpose(0, 1), &inputs, Mode::Training);
        for (name, tensor) in [("a", &one.outputs), ("b", &other.outputs.transpose(0, 1))] {
            g.output(name, tensor);
        }
        g.output("c", &one.c_n);
        g.output("d", &other.c_n);
        let lengths = TensorData::from_slice(&[4, 1, 2], [3]).unwrap();
        let found = g.compile(&device).unwrap().run(&[("x", &x), ("lengths", &lengths)]).unwrap();
        assert_eq!((&found["a"], &found["c"]), (&found["b"], &found["d"]));
        // Beyond a row's length there is nothing.
        let outputs = found["a"].to_f64_vec();
        assert!(outputs[(3 * 3 + 1) * 10..(3 * 3 + 2) * 10].iter().all(|&value| value == 0.0));
    }
}

#[test]
fn narrow_products_end_in_f32() {
    let x = numbers(4, &[4, 3, 16]);
    let run = |precision: Precision| {
        let g = Graph::new();
        g.set_precision(precision);
        let y = GRU::new(&g, "gru", 16, 8).forward(&g.input("x", [4, 3, 16], F32), Mode::Training);
        g.output("y", &y);
        g.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap()["y"].clone()
    };
    let error = distance(&run(Precision::F32), &run(Precision::BF16));
    assert!(error > 0.0 && error < 2e-2, "{error}");
}
