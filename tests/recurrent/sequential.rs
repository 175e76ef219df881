//! Recurrent layers of a `Sequential`: shapes, counts, what they compute, training.

use wgrad::data::Dataset;
use wgrad::nn::{LSTM, Recurrent, RecurrentInputs};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{distance, message, numbers};

#[test]
fn shapes_and_counts_are_what_the_graph_has() {
    let models = [
        (Sequential::new([7, 5]).lstm(6), vec![6]),
        (Sequential::new([7, 5]).gru(6).bidirectional(), vec![12]),
        (Sequential::new([7, 5]).rnn(6).return_sequences(true).num_layers(3), vec![7, 6]),
        (
            Sequential::new([7, 5]).lstm(6).bidirectional().num_layers(2).return_sequences(true).without_bias(),
            vec![7, 12],
        ),
        (Sequential::new([1, 1]).gru(1), vec![1]),
        (Sequential::new([7]).embedding(30, 5).lstm(3).return_sequences(true).gru(4).dense(2), vec![2]),
    ];
    for (model, expected) in models {
        assert_eq!(model.output_shape().unwrap(), Shape::from(expected.clone()), "{model:?}");
        let g = Graph::new();
        let dims: Vec<usize> = std::iter::once(2).chain(model.input_shape().to_vec()).collect();
        let dtype = if dims.len() == 2 { I32 } else { F32 };
        let y = model.forward(&g, &g.input("x", dims, dtype), Mode::Training);
        let whole: Vec<usize> = std::iter::once(2).chain(expected).collect();
        assert_eq!((y.shape(), message(&g)), (whole.into(), String::new()));
        let count: usize = g.parameters().iter().map(|(_, tensor)| tensor.shape().len()).sum();
        assert_eq!(model.parameter_count().unwrap(), count, "{model:?}");
    }
}

#[test]
fn a_summary_says_what_there_is() {
    let model = Sequential::new([12]).embedding(100, 8).lstm(16).bidirectional().num_layers(2).dense(1);
    let table = "
     layer                               output   parameters
     input                               [12]              0
  0  embedding(100, 8)                   [12, 8]         800
  1  lstm(16, 2 layers, bidirectional)   [32]          9,728
  2  dense(1)                            [1]              33
     total                                            10,561
";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&model.summary()), squeezed(table));
}

#[test]
fn the_last_output_is_that_of_each_direction() {
    let x = numbers(1, &[3, 5, 4]);
    for device in devices() {
        let g = Graph::new();
        let input = g.input("x", [3, 5, 4], F32);
        let model = Sequential::new([5, 4]).lstm(6).bidirectional().num_layers(2);
        let all = model.clone().return_sequences(true).forward(&g, &input, Mode::Evaluation);
        let last = model.forward(&g, &input, Mode::Evaluation);
        // Forward the last step's, backward the first's, which is where it ends.
        let expected = g.concat(&[&all.at(1, 4).slice(1, 0, 6), &all.at(1, 0).slice(1, 6, 12)], 1);
        g.output("last", &last);
        g.output("expected", &expected);
        let options = Recurrent::new().num_layers(2).bidirectional().batch_first(true);
        let weights: Vec<nn::RecurrentWeights> = ["l0", "l0_reverse", "l1", "l1_reverse"]
            .map(|suffix| {
                let find = |name: &str| g.find(&format!("0.{name}_{suffix}")).unwrap();
                let biases = Some((find("bias_ih"), find("bias_hh")));
                let (input, hidden) = (find("weight_ih"), find("weight_hh"));
                nn::RecurrentWeights { input, hidden, biases, parameters: Vec::new() }
            })
            .to_vec();
        let lstm = LSTM::with_weights(&g, "lstm", options, weights);
        g.output("h", &lstm.forward_with(&input, &RecurrentInputs::new(), Mode::Evaluation).h_n);
        let found = g.compile(&device).unwrap().run(&[("x", &x)]).unwrap();
        assert!(distance(&found["last"], &found["expected"]) < 1e-6);
        let (last, h) = (found["last"].to_f64_vec(), found["h"].to_f64_vec());
        assert!((last[12 + 2] - h[2 * 18 + 6 + 2]).abs() < 1e-6 && (last[24 + 8] - h[3 * 18 + 12 + 2]).abs() < 1e-6);
    }
}

/// Which of two halves of a text has the word 7? One has to remember.
#[test]
fn models_of_words_learn() {
    const STEPS: usize = 12;
    let mut words = Vec::new();
    let mut labels = Vec::new();
    let noise = numbers(5, &[256 * STEPS]).to_f64_vec();
    for example in 0..256 {
        let mut text: Vec<i32> = (0..STEPS).map(|k| ((noise[example * STEPS + k] + 1.0) * 3.5) as i32).collect();
        let position = (noise[example] * 1000.0).abs() as usize % STEPS;
        text[position] = 7;
        words.extend(text);
        labels.push(f32::from(u8::from(position >= STEPS / 2)));
    }
    let data = Dataset::new([
        ("x", TensorData::from_vec(words, [256, STEPS]).unwrap()),
        ("y", TensorData::from_vec(labels, [256, 1]).unwrap()),
    ])
    .unwrap();
    for device in devices() {
        for model in [
            Sequential::new([STEPS]).embedding(8, 6).gru(12).dense(1).sigmoid(),
            Sequential::new([STEPS]).embedding(8, 6).lstm(8).bidirectional().dense(1).sigmoid(),
        ] {
            let table = model.summary();
            let mut trainer = model.compile(&device, Adam::new(0.02), BinaryCrossEntropy, [Accuracy]).unwrap();
            let history = trainer.fit(&data, Fit::epochs(12).batch_size(32)).unwrap();
            let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.train_loss).collect();
            assert!(losses[losses.len() - 1] < 0.2, "{table} on {}: {losses:?}", device.name());
        }
    }
}
