//! What a training step of recurrent layers consists of.

use wgrad::nn::{GRU, LSTM, Linear, Recurrent, RecurrentInputs};
use wgrad::prelude::*;

/// Dispatches and planned bytes of a training step.
fn plan(steps: usize, build: fn(&Graph, usize) -> Tensor) -> Result<(usize, usize)> {
    let g = Graph::new();
    let loss = build(&g, steps);
    let session = g.minimize(&loss, Adam::new(1e-3)).compile(&Device::cpu())?;
    Ok((session.program().dispatches(), session.program().planned_bytes()))
}

/// Two layers of 64 units, batch 64; the last state to one logit.
fn lstm(g: &Graph, steps: usize) -> Tensor {
    let (x, y) = (g.input("x", [steps, 64, 100], F32), g.input("y", [64, 1], F32));
    let layer = LSTM::with(g, "lstm", 100, 64, Recurrent::new().num_layers(2));
    let last = layer.forward_with(&x, &RecurrentInputs::new(), Mode::Training).h_n.at(0, 1);
    Linear::new(g, "fc", 64, 1).forward(&last).binary_cross_entropy_with_logits(&y)
}

/// 256 units, batch 32; the last state to ten classes.
fn gru(g: &Graph, steps: usize) -> Tensor {
    let (x, y) = (g.input("x", [steps, 32, 128], F32), g.input("y", [32], I32));
    let last = GRU::new(g, "gru", 128, 256).forward_with(&x, &RecurrentInputs::new(), Mode::Training).h_n.at(0, 0);
    Linear::new(g, "fc", 256, 10).forward(&last).cross_entropy(&y)
}

#[test]
fn dispatches_stay_and_memory_is_linear_in_the_steps() -> Result<()> {
    for (build, short, most) in [(lstm as fn(&Graph, usize) -> Tensor, 50, 30), (gru, 64, 20)] {
        let ((first, bytes), (second, twice), (_, four_times)) =
            (plan(short, build)?, plan(2 * short, build)?, plan(4 * short, build)?);
        assert_eq!(first, second);
        assert!(first <= most, "{first} dispatches");
        let (growth, more) = ((twice - bytes) as f64, (four_times - twice) as f64);
        assert!((more / growth - 2.0).abs() < 0.05, "{bytes}, {twice} and {four_times} bytes");
    }
    Ok(())
}

/// On a GPU, products that are summed in parts take two dispatches, which a longer sum may be where a shorter one is not; but for that,
/// their number does not grow with the sequence either.
#[test]
fn a_gpu_takes_as_many_dispatches_for_any_sequence() -> Result<()> {
    use wgrad::compiler::{Layout, Options, Target, compile};
    use wgrad::shader::Adapter;
    let software =
        Adapter { is_software: true, subgroups: Some((8, 8)), name: "software".into(), ..Adapter::default() };
    for adapter in [Adapter::default(), software] {
        for (build, short, most) in [(lstm as fn(&Graph, usize) -> Tensor, 50, 30), (gru, 64, 20)] {
            let count = |steps: usize| -> Result<usize> {
                let g = Graph::new();
                g.minimize(&build(&g, steps), Adam::new(1e-3)).build();
                let target = Target::Gpu(adapter.clone());
                Ok(compile(&g, &target, &mut Layout::default(), Options::default())?.0.dispatches())
            };
            let found = [short, 2 * short, 4 * short].map(count);
            for dispatches in found {
                let dispatches = dispatches?;
                assert!(dispatches <= most, "{}: {dispatches} dispatches", adapter.name);
            }
        }
    }
    Ok(())
}
