//! State that goes from one batch to the next.

use wgrad::nn::{GRU, LSTM, Recurrent, RecurrentInputs};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{distance, numbers};

const PIECE: [usize; 3] = [3, 2, 4];

/// A piece of a sequence, from the first axis.
fn piece(x: &TensorData, number: usize) -> TensorData {
    let values: Vec<f32> = x.to_vec().unwrap();
    TensorData::from_slice(&values[number * 24..(number + 1) * 24], PIECE).unwrap()
}

#[test]
fn a_sequence_in_pieces_is_the_whole() {
    let x = numbers(1, &[9, 2, 4]);
    let options = Recurrent::new().num_layers(2);
    for device in devices() {
        let g = Graph::new();
        let lstm = LSTM::with(&g, "lstm", 4, 5, options);
        let state = lstm.carried(2);
        let found = lstm.forward_carried(&g.input("x", PIECE, F32), &state, None, Mode::Evaluation);
        g.output("y", &found.outputs);
        let mut session = g.compile(&device).unwrap();
        let whole = Graph::new();
        let lstm = LSTM::with(&whole, "lstm", 4, 5, options);
        let found = lstm.forward_with(&whole.input("x", [9, 2, 4], F32), &RecurrentInputs::new(), Mode::Evaluation);
        for (name, tensor) in [("y", &found.outputs), ("h", &found.h_n), ("c", &found.c_n)] {
            whole.output(name, tensor);
        }
        let id = session.load(&whole).unwrap();
        let wanted = session.using(&id).run(&[("x", &x)]).unwrap();
        for _ in 0..2 {
            for number in 0..3 {
                let y = session.run(&[("x", &piece(&x, number))]).unwrap()["y"].clone();
                let right: Vec<f32> = wanted["y"].to_vec().unwrap();
                let right = TensorData::from_slice(&right[number * 30..(number + 1) * 30], [3, 2, 5]).unwrap();
                assert!(distance(&y, &right) < 1e-6, "piece {number} on {}", device.name());
            }
            for (name, key) in [("lstm.carried_h", "h"), ("lstm.carried_c", "c")] {
                assert!(distance(&session.parameter(name).unwrap(), &wanted[key]) < 1e-6);
            }
            // A second text begins as the first did.
            state.reset(&mut session).unwrap();
        }
    }
}

#[test]
fn a_gradient_ends_where_a_piece_begins() {
    let (x, y) = (numbers(2, &[6, 2, 4]), numbers(3, &[3, 2, 5]));
    for device in devices() {
        let train = |carried: bool| {
            let g = Graph::new();
            let input = g.input("x", PIECE, F32);
            let gru = GRU::new(&g, "gru", 4, 5);
            let outputs = if carried {
                gru.forward_carried(&input, &gru.carried(2), None, Mode::Training).outputs
            } else {
                let first = g.input("h", [1, 2, 5], F32);
                gru.forward_with(&input, &RecurrentInputs::new().hidden(&first), Mode::Training).outputs
            };
            g.minimize(&outputs.mse(&g.input("y", [3, 2, 5], F32)), SGD::new(0.5)).compile(&device).unwrap()
        };
        // The same as passing the state as data, through which no gradient can flow.
        let mut carried = train(true);
        carried.step(&[("x", &piece(&x, 0)), ("y", &y)]).unwrap();
        let state = carried.parameter("gru.carried_h").unwrap();
        let mut given = train(false);
        given.step(&[("x", &piece(&x, 0)), ("y", &y), ("h", &TensorData::zeros(F32, [1, 2, 5]))]).unwrap();
        for session in [&mut carried, &mut given] {
            let inputs = [("x", &piece(&x, 1)), ("y", &y), ("h", &state)];
            let known = session.program().inputs.iter().any(|port| port.name == "h");
            session.step(if known { &inputs } else { &inputs[..2] }).unwrap();
        }
        for name in ["gru.weight_ih_l0", "gru.weight_hh_l0", "gru.bias_ih_l0", "gru.bias_hh_l0"] {
            let error = distance(&carried.parameter(name).unwrap(), &given.parameter(name).unwrap());
            assert!(error < 1e-6, "{name} on {}: {error}", device.name());
        }
    }
}

#[test]
fn rows_that_end_keep_their_state() {
    let x = numbers(4, &PIECE);
    for device in devices() {
        let g = Graph::new();
        let gru = GRU::new(&g, "gru", 4, 5);
        let lengths = g.input("lengths", [2], I32);
        let found = gru.forward_carried(&g.input("x", PIECE, F32), &gru.carried(2), Some(&lengths), Mode::Evaluation);
        g.output("y", &found.outputs);
        let mut session = g.compile(&device).unwrap();
        let lengths = TensorData::from_slice(&[1, 3], [2]).unwrap();
        let y = session.run(&[("x", &x), ("lengths", &lengths)]).unwrap()["y"].to_f64_vec();
        let state = session.parameter("gru.carried_h").unwrap().to_f64_vec();
        assert_eq!((&state[..5], &state[5..]), (&y[..5], &y[25..30]));
    }
}
