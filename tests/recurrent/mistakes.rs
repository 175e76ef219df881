//! Mistakes name the layer, what was expected, and the line.

use wgrad::nn::{
    Embedding, EmbeddingLayer, GRU, GRUCell, LSTM, LSTMCell, RNN, Recurrent, RecurrentInputs, RecurrentWeights,
    check_lengths,
};
use wgrad::prelude::*;

use super::message;

fn expect(wanted: &str, build: impl FnOnce(&Graph)) {
    let g = Graph::new();
    build(&g);
    let found = message(&g);
    assert!(found.starts_with(wanted), "{found:?}, wanted {wanted:?}");
    assert!(found.contains("recurrent/mistakes.rs"), "{found:?} names no line of the caller");
}

fn x(g: &Graph, shape: &[usize]) -> Tensor {
    g.input("x", shape, F32)
}

#[test]
fn of_layers() {
    let plain = Recurrent::new();
    let train = Mode::Training;
    expect("lstm \"a\": takes [steps, batch, 4], but its input is [3, 2, 5]", |g| {
        LSTM::new(g, "a", 4, 6).forward(&x(g, &[3, 2, 5]), train);
    });
    expect(
        "gru \"a\": the input has no batch axis: expected [batch, steps, 4], got [3, 4]; add it with unsqueeze(0)",
        |g| {
            GRU::with(g, "a", 4, 6, plain.batch_first(true)).forward(&x(g, &[3, 4]), train);
        },
    );
    expect("rnn \"a\": its input [0, 2, 4] ([steps, batch, in]) has no steps", |g| {
        RNN::new(g, "a", 4, 6).forward(&x(g, &[0, 2, 4]), train);
    });
    expect("rnn \"a\": its input [0, 2, 4] ([batch, steps, in]) has no rows", |g| {
        RNN::with(g, "a", 4, 6, plain.batch_first(true)).forward(&x(g, &[0, 2, 4]), train);
    });
    expect("lstm \"a\": takes f32, but its input is i32; cast it", |g| {
        LSTM::new(g, "a", 4, 6).forward(&g.input("x", [3, 2, 4], I32), train);
    });
    expect("lstm \"a\": the name is used already; clone a layer to share its parameters", |g| {
        let _ = LSTM::new(g, "a", 4, 6);
        let _ = LSTM::new(g, "a", 4, 6);
    });
    expect("lstm \"a\": needs one unit or more", |g| {
        LSTM::new(g, "a", 4, 0).forward(&x(g, &[3, 2, 4]), train);
    });
    expect("gru \"a\": needs one layer or more", |g| drop(GRU::with(g, "a", 4, 6, plain.num_layers(0))));
    expect("gru \"a\": has gates of its own and takes no relu", |g| drop(GRU::with(g, "a", 4, 6, plain.relu())));
    expect("lstm \"a\": has no reset gate", |g| drop(LSTM::with(g, "a", 4, 6, plain.reset_after(false))));
    expect("rnn \"a\": dropout between layers: the probability is 1.5", |g| {
        drop(RNN::with(g, "a", 4, 6, plain.dropout(1.5)));
    });
    expect("lstm \"a\": has no layer 2; there are 2, counted from 0", |g| {
        drop(LSTM::with(g, "a", 4, 6, plain.num_layers(2).bidirectional()).cell(2));
    });
    expect("lstm \"a\": kaiming_uniform takes a weight of two dimensions", |g| {
        drop(LSTM::new(g, "a", 4, 6).bias_initializer(Initializer::HeUniform));
    });
}

#[test]
fn of_states_and_lengths() {
    let train = Mode::Training;
    expect("lstm \"a\": the first cell state should be f32 of shape [1, 2, 6]", |g| {
        let (h, c) = (g.input("h", [1, 2, 6], F32), g.input("c", [2, 2, 6], F32));
        LSTM::new(g, "a", 4, 6).forward_with(&x(g, &[3, 2, 4]), &RecurrentInputs::new().hidden(&h).cell(&c), train);
    });
    expect("gru \"a\": has no cell state; that is for an lstm", |g| {
        let c = g.input("c", [1, 2, 6], F32);
        GRU::new(g, "a", 4, 6).forward_with(&x(g, &[3, 2, 4]), &RecurrentInputs::new().cell(&c), train);
    });
    expect("gru \"a\": lengths should be i32 or i64 of shape [2], and are i32[3]", |g| {
        let lengths = g.input("lengths", [3], I32);
        GRU::new(g, "a", 4, 6).forward_with(&x(g, &[3, 2, 4]), &RecurrentInputs::new().lengths(&lengths), train);
    });
    expect("lstm \"a\": the first hidden state should be f32 of shape [1, 3, 6]", |g| {
        let lstm = LSTM::new(g, "a", 4, 6);
        lstm.forward_carried(&x(g, &[5, 3, 4]), &lstm.carried(2), None, train);
    });
    for (values, wanted) in [
        (vec![3, 0, 9], "row 1 has a length of 0, and must have from 1 to 5 steps"),
        (vec![5, 1, 6], "row 2 has a length of 6, and must have from 1 to 5 steps"),
        (vec![-1, 1, 6], "row 0 has a length of -1, and must have from 1 to 5 steps"),
    ] {
        let lengths = TensorData::from_vec(values, [3]).unwrap();
        assert_eq!(check_lengths(&lengths, 5).unwrap_err().to_string(), wanted);
    }
    let wrong = check_lengths(&TensorData::zeros(F32, [3]), 5).unwrap_err().to_string();
    assert_eq!(wrong, "lengths should be i32 or i64 of shape [batch], and are f32[3]");
}

#[test]
fn of_given_weights_and_cells() {
    expect("gru \"a\": takes weights for 2 layers and directions, not 1", |g| {
        let (input, hidden) = (g.input("i", [18, 4], F32), g.input("h", [18, 6], F32));
        let weights = vec![RecurrentWeights { input, hidden, biases: None, parameters: Vec::new() }];
        drop(GRU::with_weights(g, "a", Recurrent::new().bidirectional().bias(false), weights));
    });
    expect("lstm \"a\": weights 0: weight_ih should be f32 of shape [24, 4], and is f32[18, 4]", |g| {
        let (input, hidden) = (g.input("i", [18, 4], F32), g.input("h", [24, 6], F32));
        drop(LSTM::with_weights(
            g,
            "a",
            Recurrent::new().bias(false),
            vec![RecurrentWeights { input, hidden, biases: None, parameters: Vec::new() }],
        ));
    });
    expect("lstm \"a\": needs one unit or more", |g| drop(LSTM::with_weights(g, "a", Recurrent::new(), vec![])));
    expect("gru_cell \"a\": takes [batch, 4], but its input is [2, 5]", |g| {
        GRUCell::new(g, "a", 4, 6).forward(&x(g, &[2, 5]), None);
    });
    expect("lstm_cell \"a\": the state should be f32 of shape [2, 6], and is f32[2, 5]", |g| {
        let h = g.input("h", [2, 5], F32);
        let _ = LSTMCell::new(g, "a", 4, 6).forward(&x(g, &[2, 4]), Some((&h, &h)));
    });
    expect("gru_cell \"a\": is one layer in one direction", |g| {
        drop(GRUCell::with(g, "a", 4, 6, Recurrent::new().num_layers(2)));
    });
    expect("gru_cell \"a\": needs one unit or more", |g| {
        GRUCell::new(g, "a", 4, 0).forward(&x(g, &[2, 4]), None);
    });
}

#[test]
fn of_embeddings() {
    expect("embedding \"a\": takes i32 or i64 indices, but its input is f32[2]", |g| {
        Embedding::new(g, "a", 5, 3).forward(&x(g, &[2]));
    });
    expect("embedding \"a\": padding index 5 is none of 5 rows", |g| {
        drop(EmbeddingLayer::new(5, 3).padding_idx(5).build(g, "a"))
    });
    expect("embedding \"a\": the largest norm is -1, and must be above 0", |g| {
        drop(EmbeddingLayer::new(5, 3).max_norm(-1.0).build(g, "a"));
    });
    expect("embedding \"a\": needs one row and column or more, not [0, 3]", |g| {
        Embedding::new(g, "a", 0, 3).forward(&g.input("x", [2], I32));
    });
    expect("embedding \"a\": takes a table [num, dim] of floats, not f32[5]", |g| {
        drop(Embedding::from_weight(g, "a", &x(g, &[5])));
    });
    expect("embedding \"a\": the name is used already", |g| {
        let _ = Embedding::new(g, "a", 5, 3);
        let _ = Embedding::new(g, "a", 5, 3);
    });
}

#[test]
fn of_models_name_the_layer() {
    let cases = [
        (Sequential::new([5]).lstm(4), "layer 0, lstm(4): takes examples of [steps, features], not [5]"),
        (Sequential::new([5, 2]).gru(4).lstm(3), "layer 1, lstm(3): takes examples of [steps, features], not [4]"),
        (Sequential::new([5, 2]).rnn(0), "layer 0, rnn(0): needs one unit or more"),
        (Sequential::new([0, 2]).rnn(3), "layer 0, rnn(3): takes one step and feature or more, not [0, 2]"),
        (Sequential::new([5, 2]).lstm(3).num_layers(0), "layer 0, lstm(3, 0 layers): needs one layer or more"),
        (Sequential::new([5, 2]).relu().bidirectional(), "bidirectional is for a recurrent layer, but it follows relu"),
        (
            Sequential::new([5, 2]).dense(2).return_sequences(true),
            "return_sequences is for a recurrent layer, but it follows dense(2)",
        ),
        (Sequential::new([5]).embedding(0, 3), "layer 0, embedding(0, 3): needs one row and column or more"),
        (
            Sequential::new([5]).embedding(4, 3).padding_idx(4),
            "layer 0, embedding(4, 3): padding index 4 is none of 4 rows",
        ),
        (Sequential::new([5, 2]).rnn(3).padding_idx(4), "padding_idx is for an embedding, but it follows rnn(3)"),
    ];
    for (model, expected) in cases {
        let message = model.output_shape().unwrap_err().to_string().replace("sequential: ", "");
        assert!(message.starts_with(expected), "{message}");
    }
    expect("embedding \"0\": takes i32 or i64 indices, but its input is f32[2, 5]", |g| {
        Sequential::new([5]).embedding(4, 3).forward(g, &x(g, &[2, 5]), Mode::Training);
    });
}
