//! Embeddings: first values, padding, gradients, training.

use wgrad::nn::{Embedding, EmbeddingLayer, check_indices};
use wgrad::prelude::*;

use super::support::devices::devices;

#[test]
fn a_padding_row_begins_as_zeros_and_stays_so() {
    for device in devices() {
        let g = Graph::new();
        let words = g.input("words", [2, 3], I32);
        let table = EmbeddingLayer::new(6, 4).padding_idx(2).build(&g, "table");
        let y = table.forward(&words);
        g.output("y", &y);
        let mut session = g.minimize(&(&y * &y + &y).mean_all(), SGD::new(0.5)).compile(&device).unwrap();
        let before = session.parameter("table.weight").unwrap().to_f64_vec();
        let indices = TensorData::from_slice(&[2, 5, 0, 2, 5, 2], [2, 3]).unwrap();
        session.step(&[("words", &indices)]).unwrap();
        let after = session.parameter("table.weight").unwrap().to_f64_vec();
        for row in 0..6 {
            let (before, after) = (&before[row * 4..row * 4 + 4], &after[row * 4..row * 4 + 4]);
            assert_eq!(before == [0.0; 4], row == 2, "row {row}");
            assert_eq!(before == after, ![0, 5].contains(&row), "row {row}");
        }
        // Other padding than zeros, as a file may have it, is looked up like any row.
        session.set_parameter("table.weight", &TensorData::from_vec(vec![3.0_f32; 24], [6, 4]).unwrap()).unwrap();
        session.run(&[("words", &indices)]).unwrap();
        assert!(session.read("y").unwrap().to_f64_vec().iter().all(|&value| value == 3.0));
    }
}

#[test]
fn first_values_are_normal_or_what_is_asked_for() {
    let g = Graph::new();
    let words = g.input("words", [1], I32);
    g.output("a", &Embedding::new(&g, "a", 200, 50).forward(&words));
    let flat = Initializer::Uniform { low: -0.1, high: 0.1 };
    g.output("b", &EmbeddingLayer::new(9, 5).padding_idx(8).initializer(flat).build(&g, "b").forward(&words));
    let session = g.compile(&Device::cpu()).unwrap();
    let values = session.parameter("a.weight").unwrap().to_f64_vec();
    let mean = values.iter().sum::<f64>() / 1e4;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
    assert!(mean.abs() < 0.04 && (deviation - 1.0).abs() < 0.03, "{mean} {deviation}");
    let values = session.parameter("b.weight").unwrap().to_f64_vec();
    assert!(values[..40].iter().all(|value| value.abs() <= 0.1 && *value != 0.0));
    assert_eq!(values[40..], [0.0; 5]);
}

#[test]
fn indices_beyond_the_table_are_found() {
    let data = |values: &[i32], shape: &[usize]| TensorData::from_slice(values, shape).unwrap();
    assert!(check_indices(&data(&[0, 4, 2], &[3]), 5).is_ok());
    assert!(check_indices(&data(&[], &[0, 3]), 5).is_ok());
    for (values, shape, wanted) in [
        (vec![0, 1, 5, 2], vec![2, 2], "index 5 at [1, 0] is none of 5 rows, which count from 0"),
        (vec![0, -1], vec![2], "index -1 at [1] is none of 5 rows, which count from 0"),
        (vec![7], vec![], "index 7 at [] is none of 5 rows, which count from 0"),
    ] {
        assert_eq!(check_indices(&data(&values, &shape), 5).unwrap_err().to_string(), wanted);
    }
    let floats = TensorData::zeros(F32, [2]);
    assert_eq!(check_indices(&floats, 5).unwrap_err().to_string(), "indices should be i32 or i64, and are f32[2]");
}

#[test]
fn a_sequential_layer_takes_padding_and_first_values() {
    let mut layer = EmbeddingLayer::new(5, 3);
    layer.padding_idx = Some(1);
    let model = Sequential::new([4]).layer(layer).initializer(Initializer::Ones);
    let g = Graph::new();
    g.output("y", &model.forward(&g, &g.input("x", [1, 4], I32), Mode::Evaluation));
    let indices = TensorData::from_slice(&[0, 1, 4, 9], [1, 4]).unwrap();
    for device in devices() {
        let y = g.compile(&device).unwrap().run(&[("x", &indices)]).unwrap()["y"].clone();
        // The index beyond the table reads its last row.
        assert_eq!(y.to_f64_vec(), [1., 1., 1., 0., 0., 0., 1., 1., 1., 1., 1., 1.]);
    }
}
