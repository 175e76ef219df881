//! Residual blocks: values, names, counts, summaries, and mistakes in nested ones.

use wgrad::nn::Residual;
use wgrad::prelude::*;

use super::layers::numbers;
use super::support::devices::devices;

fn model() -> Sequential {
    Sequential::new([6])
        .dense(8)
        .residual(|block| block.dense(8).layer_norm().relu().residual(|inner| inner.dense(8).tanh()))
        .residual_with(|block| block.dense(3).relu(), |shortcut| shortcut.dense(3).without_bias())
}

#[test]
fn a_block_is_added_to_what_goes_around_it() {
    let given: Vec<(&str, TensorData)> = vec![
        ("0.weight", numbers(1, &[8, 6])),
        ("1.block.0.weight", numbers(2, &[8, 8])),
        ("1.block.3.block.0.weight", numbers(3, &[8, 8])),
        ("2.block.0.weight", numbers(4, &[3, 8])),
        ("2.shortcut.0.weight", numbers(5, &[3, 8])),
    ];
    let x = numbers(6, &[5, 6]);
    for device in devices() {
        let g = Graph::new();
        let input = g.input("x", [5, 6], F32);
        g.output("model", &model().forward(&g, &input, Mode::Training));
        let p = |name: &str| g.find(name).unwrap_or_else(|| panic!("no {name}"));
        let dense = |x: &Tensor, name: &str| {
            x.matmul(&p(&format!("{name}.weight")).transpose(0, 1)) + p(&format!("{name}.bias"))
        };
        let first = dense(&input, "0");
        let inner = dense(&first, "1.block.0").layer_norm(1, Some(&p("1.block.1.weight")), None, 1e-5).relu();
        let inner = dense(&inner, "1.block.3.block.0").tanh() + &inner;
        let second = inner + first;
        let around = second.matmul(&p("2.shortcut.0.weight").transpose(0, 1));
        g.output("by hand", &(dense(&second, "2.block.0").relu() + around));
        let mut session = g.compile(&device).unwrap();
        for (name, data) in &given {
            session.set_parameter(name, data).unwrap();
        }
        let found = session.run(&[("x", &x)]).unwrap();
        for (model, hand) in found["model"].to_f64_vec().into_iter().zip(found["by hand"].to_f64_vec()) {
            assert!((model - hand).abs() < 1e-4 * (1.0 + hand.abs()), "{model} {hand}");
        }
    }
}

#[test]
fn counts_and_summary_go_through_nesting() {
    let model = model();
    assert_eq!(model.parameter_count().unwrap(), 56 + 72 + 16 + 72 + 27 + 24);
    let table = "
                  layer       output  parameters
                  input       [6]              0
0                 dense(8)    [8]             56
1                 residual    [8]              0
1.block.0         dense(8)    [8]             72
1.block.1         layer_norm  [8]             16
1.block.2         relu        [8]              0
1.block.3         residual    [8]              0
1.block.3.block.0 dense(8)    [8]             72
";
    let words = |text: &str| -> Vec<Vec<String>> {
        text.trim().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let summary = model.summary();
    let found = words(&summary);
    for (found, wanted) in found.iter().zip(words(table)) {
        assert_eq!(*found, wanted, "{summary}");
    }
    assert!(summary.contains("2.shortcut.0"), "{summary}");
    assert!(summary.trim_end().ends_with("267"), "{summary}");
    let g = Graph::new();
    let _ = model.clone().named("net").forward(&g, &g.input("x", [2, 6], F32), Mode::Training);
    assert!(g.error().is_none() && g.find("net.1.block.3.block.0.weight").is_some());
    let last = model.layers().last().and_then(|layer| layer.downcast_ref::<Residual>());
    let Some(residual) = last else { panic!("no residual") };
    assert_eq!(
        (residual.block().layers().len(), residual.shortcut().map(|shortcut| shortcut.layers().len())),
        (2, Some(1))
    );
}

#[test]
fn mistakes_are_told_through_nesting() {
    for (model, wanted) in [
        (
            Sequential::new([6]).residual(|block| block.dense(8)),
            "layer 0, residual: the block makes [8] of [6], and the shortcut [6]; give it a shortcut of layers",
        ),
        (
            Sequential::new([6]).residual_with(|block| block.dense(8), |shortcut| shortcut.dense(7)),
            "layer 0, residual: the block makes [8] of [6], and the shortcut [7]; let both make the same",
        ),
        (
            Sequential::new([6]).relu().residual(|block| block.residual(|inner| inner.dense(0))),
            "layer 1, residual: in the block, layer 0, residual: in the block, layer 0, dense(0): needs one unit or more",
        ),
        (
            Sequential::new([6]).residual_with(|block| block, |shortcut| shortcut.group_norm(4)),
            "layer 0, residual: in the shortcut, layer 0, group_norm(4): 6 channels cannot be divided into 4 groups",
        ),
        (
            Sequential::new([6]).residual(|block| block.without_bias()),
            "layer 0, residual: in the block, without_bias is for layers with a bias, but it follows nothing",
        ),
        (
            Sequential::new([6]).dense(5).layer(Residual::new(Sequential::new([6]).relu(), None)),
            "layer 1, residual: the block is for [6], but comes after [5]",
        ),
        (Sequential::new([6]).dense(0).residual(|block| block.dense(0)), "layer 0, dense(0): needs one unit or more"),
    ] {
        let found = model.output_shape().unwrap_err().to_string().replace("sequential: ", "");
        assert!(found.starts_with(wanted), "{found:?}, wanted {wanted:?}");
        assert!(model.summary().contains(wanted));
        let g = Graph::new();
        let _ = model.forward(&g, &g.input("x", [2, 6], F32), Mode::Training);
        assert!(g.error().unwrap().to_string().starts_with("sequential: layer"));
    }
}
