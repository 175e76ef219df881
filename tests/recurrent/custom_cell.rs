//! Cells that are defined outside the crate: PyTorch's values and gradients, training on every device, layers, and what is wrong
//! with a definition.

use super::support::devices::devices;
use super::support::golden;
use super::{distance, message, numbers};
use wgrad::nn::{CustomRNN, CustomRNNInputs, LSTM, Linear, Recurrent, RecurrentInputs, RecurrentWeights};
use wgrad::ops::{Cell, CellDefinition, RecurrentOptions};
use wgrad::prelude::*;
use wgrad::scalar::ScalarFunction;

/// An LSTM whose gates see the cell's state (Gers and Schmidhuber 2000).
fn peephole_lstm() -> Cell {
    let cell = CellDefinition::new("peephole_lstm", 4).parameters(["weight_ci", "weight_cf", "weight_co"]).step(|s| {
        let c = s.state(1);
        let i = (s.gate(0) + s.parameter("weight_ci") * c).sigmoid();
        let f = (s.gate(1) + s.parameter("weight_cf") * c).sigmoid();
        let c = f * c + i * s.gate(2).tanh();
        let o = (s.gate(3) + s.parameter("weight_co") * c).sigmoid();
        [o * c.tanh(), c]
    });
    cell.unwrap()
}

/// The minimal gated unit (Zhou et al. 2016), whose gate is applied before the second product.
fn mgu() -> Cell {
    let cell = CellDefinition::new("mgu", 2).step(|s| {
        let (f, h) = (s.gate(0).sigmoid(), s.state(0));
        s.second_product(1, f * h);
        [(1.0 - f) * h + f * s.gate(1).tanh()]
    });
    cell.unwrap()
}

/// The arithmetic of the built-in LSTM under another name.
fn lstm_again() -> Cell {
    let cell = CellDefinition::new("lstm_again", 4).step(|s| {
        let (i, f, g, o) = (s.gate(0).sigmoid(), s.gate(1).sigmoid(), s.gate(2).tanh(), s.gate(3).sigmoid());
        let c = f * s.state(1) + i * g;
        [o * c.tanh(), c]
    });
    cell.unwrap()
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let cases = golden::read("custom_cell").unwrap();
    assert_eq!(cases.len(), 24);
    for device in devices() {
        golden::assert_none(&golden::complaints(&cases, &device, &|case, inputs| {
            let cell = if case.op == "mgu" { mgu() } else { peephole_lstm() };
            let [x, rest @ ..] = inputs else { return None };
            let (states, rest) = rest.split_at(cell.states());
            let [w_ih, w_hh, b_ih, b_hh, rest @ ..] = rest else { return None };
            let (parameters, lengths) = rest.split_at(cell.parameters().len());
            let g = x.graph();
            let initial = g.stack(&states.iter().collect::<Vec<_>>(), 0);
            let dims = x.shape();
            let gates = x.reshape([dims[0] * dims[1], dims[2]]).matmul(&w_ih.transpose(0, 1)) + b_ih;
            let options = RecurrentOptions {
                reverse: case.flag("reverse"),
                bias: Some(b_hh),
                parameters,
                initial: Some(&initial),
                lengths: lengths.first(),
                ..RecurrentOptions::new(cell.clone())
            };
            let found = gates.reshape([dims[0], dims[1], w_ih.shape()[0]]).recurrent(w_hh, &options);
            let mut all = vec![found.outputs];
            all.extend((0..cell.states()).map(|state| found.last.at(0, state)));
            Some(all)
        }));
    }
}

/// The first number of a sequence is to be told from its last state: is the marked one above 0?
fn batch(seed: u64) -> (TensorData, TensorData) {
    const STEPS: usize = 6;
    let noise = numbers(seed, &[STEPS, 32, 1]).to_f64_vec();
    let mut x = Vec::new();
    let y: Vec<f64> = noise[..32].iter().map(|&value| if value > 0.0 { 1.0 } else { 0.0 }).collect();
    for (index, value) in noise.iter().enumerate() {
        // A value, and whether it is the one to remember.
        x.extend([*value, if index < 32 { 1.0 } else { 0.0 }]);
    }
    (TensorData::from_f64(F32, &x, [STEPS, 32, 2]).unwrap(), TensorData::from_f64(F32, &y, [32, 1]).unwrap())
}

#[test]
fn cells_train_on_every_device() {
    for cell in [peephole_lstm(), mgu()] {
        let mut first_losses: Vec<Vec<f64>> = Vec::new();
        for device in devices() {
            let g = Graph::new();
            let (x, y) = (g.input("x", [6, 32, 2], F32), g.input("y", [32, 1], F32));
            let layer = CustomRNN::new(&g, "layer", &cell, 2, 16);
            let found = layer.forward_with(&x, &CustomRNNInputs::new(), Mode::Training);
            let logits = Linear::new(&g, "fc", 16, 1).forward(&found.last[0].at(0, 0));
            let loss = logits.binary_cross_entropy_with_logits(&y);
            g.minimize(&loss, Adam::new(1e-2)).clip_norm(1.0).build();
            let mut session = Session::new(&g, &device, 5).unwrap();
            let mut losses = Vec::new();
            for step in 0..400 {
                let (x, y) = batch(step);
                session.step(&[("x", &x), ("y", &y)]).unwrap();
                losses.push(session.read("loss").unwrap().item().unwrap());
            }
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
            let (first, last) = (mean(&losses[..10]), mean(&losses[360..]));
            assert!(first > 0.6 && last < 0.25, "{} on {}: from {first} to {last}", cell.name(), device.name());
            first_losses.push(losses[..20].to_vec());
        }
        // Later, rounding has led each device its own way.
        for losses in &first_losses {
            assert!(losses.iter().zip(&first_losses[0]).all(|(a, b)| (a - b).abs() < 1e-4), "{first_losses:?}");
        }
    }
}

#[test]
fn a_cell_of_the_lstms_arithmetic_is_the_lstm() {
    let x = numbers(3, &[6, 3, 4]);
    for device in devices() {
        let run = |custom: bool| {
            let g = Graph::new();
            let (input, lengths) = (g.input("x", [6, 3, 4], F32), g.input("lengths", [3], I32));
            let options = Recurrent::new().num_layers(2).bidirectional();
            let (outputs, h_n, c_n) = if custom {
                let layer = CustomRNN::with(&g, "layer", &lstm_again(), 4, 5, options);
                let found = layer.forward_with(&input, &CustomRNNInputs::new().lengths(&lengths), Mode::Training);
                (found.outputs, found.last[0].clone(), found.last[1].clone())
            } else {
                let layer = LSTM::with(&g, "layer", 4, 5, options);
                let found = layer.forward_with(&input, &RecurrentInputs::new().lengths(&lengths), Mode::Training);
                (found.outputs, found.h_n, found.c_n)
            };
            let loss = outputs.square().sum_all() + h_n.sum_all() + c_n.square().sum_all();
            let parameters = g.parameters();
            let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| tensor).collect();
            for ((name, _), gradient) in parameters.iter().zip(g.gradients(&loss, &tensors)) {
                g.output(&format!("gradient of {name}"), &gradient);
            }
            g.output("outputs", &outputs);
            let mut session = Session::new(&g, &device, 8).unwrap();
            let lengths = TensorData::from_slice(&[6, 2, 5], [3]).unwrap();
            (session.run(&[("x", &x), ("lengths", &lengths)]).unwrap(), session.program().planned_bytes())
        };
        let ((custom, bytes), (built_in, built_in_bytes)) = (run(true), run(false));
        assert_eq!(bytes, built_in_bytes);
        for (name, data) in built_in.iter() {
            assert_eq!(data, &custom[name], "{name} on {}", device.name());
        }
    }
}

#[test]
fn a_layer_has_layers_directions_states_and_steps() {
    let cell = peephole_lstm();
    let x = numbers(4, &[4, 3, 2]);
    for device in devices() {
        let g = Graph::new();
        let input = g.input("x", [4, 3, 2], F32);
        let layer = CustomRNN::with(&g, "layer", &cell, 2, 5, Recurrent::new().num_layers(2));
        g.output("whole", &layer.forward(&input, Mode::Training));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let steps: Vec<Tensor> = (0..4)
            .map(|step| {
                first = layer.cell(0).forward(&input.at(0, step), &first.iter().collect::<Vec<_>>());
                second = layer.cell(1).forward(&first[0], &second.iter().collect::<Vec<_>>());
                second[0].clone()
            })
            .collect();
        g.output("steps", &g.stack(&steps.iter().collect::<Vec<_>>(), 0));
        let mut session = Session::new(&g, &device, 1).unwrap();
        let found = session.run(&[("x", &x)]).unwrap();
        let error = distance(&found["whole"], &found["steps"]);
        assert!(error < 2e-6, "on {}: {error}", device.name());
    }
    let g = Graph::new();
    let input = g.input("x", [3, 4, 2], F32);
    let options = Recurrent::new().bidirectional().batch_first(true);
    let layer = CustomRNN::with(&g, "layer", &cell, 2, 5, options).parameter_initializer(Initializer::Zeros);
    let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
    let mut expected = Vec::new();
    for suffix in ["l0", "l0_reverse"] {
        for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ci", "weight_cf", "weight_co"] {
            expected.push(format!("layer.{name}_{suffix}"));
        }
    }
    assert_eq!(names, expected);
    let h = g.input("h", [2, 3, 5], F32);
    let found = layer.forward_with(&input, &CustomRNNInputs::new().states([&h]), Mode::Training);
    assert_eq!((found.outputs.shape(), found.last[1].shape()), ([3, 4, 10].into(), [2, 3, 5].into()));
    assert_eq!(message(&g), "");
    // Without peepholes and biases at 0 it is an LSTM.
    let weights = layer.weights()[0].clone();
    let lstm = LSTM::with_weights(
        &g,
        "lstm",
        Recurrent::new().batch_first(true),
        vec![RecurrentWeights { parameters: Vec::new(), ..weights.clone() }],
    );
    let custom = CustomRNN::with_weights(&g, "custom", &cell, Recurrent::new().batch_first(true), vec![weights]);
    g.output("lstm", &lstm.forward(&input, Mode::Training));
    g.output("custom", &custom.forward(&input, Mode::Training));
    let x = numbers(5, &[3, 4, 2]);
    let mut session = g.compile(&Device::cpu()).unwrap();
    let found = session.run(&[("x", &x)]).unwrap();
    assert!(distance(&found["lstm"], &found["custom"]) < 1e-6);
}

#[test]
fn states_are_carried_and_models_saved() {
    let g = Graph::new();
    let x = g.input("x", [3, 2, 4], F32);
    let layer = CustomRNN::new(&g, "layer", &peephole_lstm(), 4, 6);
    let state = layer.carried(2);
    let found = layer.forward_carried(&x, &state, None, Mode::Training);
    let loss = found.outputs.square().mean_all();
    let mut session = g.minimize(&loss, SGD::new(0.1)).compile(&Device::cpu()).unwrap();
    session.step(&[("x", &numbers(1, &[3, 2, 4]))]).unwrap();
    for name in ["layer.carried_h", "layer.carried_c"] {
        assert!(session.parameter(name).unwrap().to_f64_vec().iter().any(|&value| value != 0.0), "{name}");
    }
    let model = Sequential::new([5, 3])
        .recurrent(&mgu(), 8)
        .bidirectional()
        .return_sequences(true)
        .recurrent(&peephole_lstm(), 4)
        .dense(1);
    assert_eq!(model.output_shape().unwrap(), [1].into());
    let g = Graph::new();
    let y = model.forward(&g, &g.input("x", [2, 5, 3], F32), Mode::Training);
    assert_eq!((y.shape(), message(&g)), ([2, 1].into(), String::new()));
    let count: usize = g.parameters().iter().map(|(_, tensor)| tensor.shape().len()).sum();
    assert_eq!(model.parameter_count().unwrap(), count);
}

/// What a definition, or the graph that it is used in, says.
fn mistake(cell: Result<Cell>) -> String {
    cell.map(|cell| format!("{cell:?} is right")).unwrap_or_else(|error| error.to_string())
}

#[test]
fn definitions_with_mistakes_say_which() {
    let two = |name: &str| CellDefinition::new(name, 2);
    let cases = [
        (two("a").step(|s| [s.gate(0).tanh()]), "cell \"a\": gate 1 is never used; there are 2, counted from 0"),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0).tanh() * s.state(1), s.state(1)]),
            "cell \"a\": state 1 is never written: the step returns it as it was",
        ),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0).call(ScalarFunction::Round, &[])]),
            "cell \"a\": round has no derivative, and a gradient would have to pass it",
        ),
        (two("a").step(|s| [s.gate(2).tanh()]), "cell \"a\": has no gate 2; there are 2, counted from 0"),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0) + s.state(1)]),
            "cell \"a\": has no state 1; there are 1, counted from 0",
        ),
        (
            CellDefinition::new("a", 1).parameters(["p"]).step(|s| [s.gate(0) * s.parameter("q")]),
            "cell \"a\": has no parameter \"q\"; there are [\"p\"]",
        ),
        (
            CellDefinition::new("a", 1).parameters(["p"]).step(|s| [s.gate(0).tanh()]),
            "cell \"a\": parameter \"p\" is never used",
        ),
        (
            CellDefinition::new("a", 1).parameters(["p", "p"]).step(|s| [s.gate(0).tanh()]),
            "cell \"a\": two parameters are called \"p\"",
        ),
        (
            CellDefinition::new("a", 1).parameters(["bias_hh"]).step(|s| [s.gate(0) * s.parameter("bias_hh")]),
            "cell \"a\": a parameter cannot be called \"bias_hh\": every layer has those",
        ),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0).call(ScalarFunction::Add, &[])]),
            "cell \"a\": add: takes 2 arguments, not 1",
        ),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0).less(0.0) + 1.0]),
            "cell \"a\": add: operands are bool and f64; cast one of them",
        ),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0).call(ScalarFunction::Cast(I32), &[])]),
            "cell \"a\": computes in i32; a cell's values are floats of its inputs' type, and truth values",
        ),
        (
            CellDefinition::new("a", 1).step(|s| [s.gate(0).less(0.0)]),
            "cell \"a\": state 0 becomes a truth value, and should be a number",
        ),
        (
            two("a").step(|s| {
                s.second_product(1, s.gate(1).sigmoid());
                [s.gate(0) + s.gate(1)]
            }),
            "cell \"a\": the state of the second product depends on that product: on one of gates 1 to 1",
        ),
        (
            two("a").step(|s| {
                s.second_product(2, s.gate(0));
                [s.gate(0) + s.gate(1)]
            }),
            "cell \"a\": a second product begins at gate 2, and should at one from 1 to 1",
        ),
        (
            two("a").step(|s| {
                s.second_product(1, s.gate(0));
                s.second_product(1, s.gate(0));
                [s.gate(0) + s.gate(1)]
            }),
            "cell \"a\": a step has two products at most",
        ),
        (
            two("a").step(|s| {
                s.second_product(1, s.gate(0));
                [s.gate(0) + s.input(1)]
            }),
            "cell \"a\": the second product is never used",
        ),
        (
            CellDefinition::new("a", 0).step(|s| [s.state(0) * 0.5]),
            "cell \"a\": needs one gate and one state or more, and has 0 and 1",
        ),
        (
            CellDefinition::new("a b", 1).step(|s| [s.gate(0)]),
            "cell \"a b\": the name should be of letters, digits, '_', '-' and '.'",
        ),
    ];
    for (cell, expected) in cases {
        let found = mistake(cell);
        assert!(found.starts_with(expected), "{found:?}, wanted {expected:?}");
    }
}

#[test]
fn what_is_wrong_with_a_layer_names_it() {
    let cell = peephole_lstm();
    let expect = |wanted: &str, build: &dyn Fn(&Graph)| {
        let g = Graph::new();
        build(&g);
        let found = message(&g);
        assert!(found.starts_with(wanted), "{found:?}, wanted {wanted:?}");
        assert!(found.contains("recurrent/custom_cell.rs"), "{found:?} names no line of the caller");
    };
    expect("peephole_lstm \"a\": takes [steps, batch, 4], but its input is [3, 2, 5]", &|g| {
        CustomRNN::new(g, "a", &cell, 4, 6).forward(&g.input("x", [3, 2, 5], F32), Mode::Training);
    });
    expect("peephole_lstm \"a\": the first state 1 should be f32 of shape [1, 2, 6]", &|g| {
        let (x, h, c) = (g.input("x", [3, 2, 4], F32), g.input("h", [1, 2, 6], F32), g.input("c", [2, 2, 6], F32));
        let states = CustomRNNInputs::new().states([&h, &c]);
        CustomRNN::new(g, "a", &cell, 4, 6).forward_with(&x, &states, Mode::Training);
    });
    expect("mgu \"a\": has no state 1; there are 1, counted from 0", &|g| {
        let (x, h) = (g.input("x", [3, 2, 4], F32), g.input("h", [1, 2, 6], F32));
        let states = CustomRNNInputs::new().states([&h, &h]);
        CustomRNN::new(g, "a", &mgu(), 4, 6).forward_with(&x, &states, Mode::Training);
    });
    expect("mgu \"a\": has no reset gate; reset_after is for a gru", &|g| {
        drop(CustomRNN::with(g, "a", &mgu(), 4, 6, Recurrent::new().reset_after(false)));
    });
    expect(
        "peephole_lstm \"a\": weights 0: takes [\"weight_ci\", \"weight_cf\", \"weight_co\"] beside its weights",
        &|g| {
            let weights = LSTM::new(g, "lstm", 4, 6).weights().to_vec();
            drop(CustomRNN::with_weights(g, "a", &cell, Recurrent::new(), weights));
        },
    );
    expect("peephole_lstm_sequence: takes 3 parameters of", &|g| {
        let (x, w) = (g.input("x", [3, 2, 24], F32), g.input("w", [24, 6], F32));
        let _ = x.recurrent(&w, &RecurrentOptions::new(cell.clone()));
    });
}

#[test]
fn programs_list_cells_by_their_names() {
    let g = Graph::new();
    let layer = CustomRNN::new(&g, "layer", &mgu(), 3, 4);
    g.output("y", &layer.forward(&g.input("x", [5, 2, 3], F32), Mode::Training));
    let session = g.compile(&Device::cpu()).unwrap();
    let text = session.program().to_string();
    assert!(text.contains("mgu_sequence"), "{text}");
}
