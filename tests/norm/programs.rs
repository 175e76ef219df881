//! What becomes of a normalisation: the kernels of a step, counted.

use wgrad::prelude::*;

use super::support::devices::devices;

/// Dispatches of a graph.
fn dispatches(graph: &Graph, device: &Device) -> usize {
    let session = graph.compile(device).unwrap();
    let stages = session.stages(session_id());
    println!("{}\n{:?}\n", stages.fused, device);
    session.program().steps.len()
}

fn session_id() -> wgrad::session::ProgramId {
    wgrad::session::ProgramId::FIRST
}

#[test]
fn batch_norm_is_three_kernels_each_way() {
    for device in devices() {
        let build = |backward: bool| {
            let g = Graph::new();
            let x = g.input("x", [4, 3, 5, 5], F32);
            let norm = nn::BatchNorm::new(&g, "bn", 3);
            let y = norm.forward(&x, Mode::Training).relu();
            g.output("y", &y);
            if backward {
                let upstream = g.input("upstream", [4, 3, 5, 5], F32);
                let wanted = [&x, norm.weight().unwrap(), norm.bias().unwrap()];
                for (k, gradient) in g.gradients_from(&[(&y, &upstream)], &wanted).iter().enumerate() {
                    g.output(&format!("gradient{k}"), gradient);
                }
            }
            g
        };
        let (forward, both) = (dispatches(&build(false), &device), dispatches(&build(true), &device));
        println!("batch_norm: {forward}, {both}");
    }
}

#[test]
fn layer_norm() {
    for device in devices() {
        let build = |backward: bool| {
            let g = Graph::new();
            let x = g.input("x", [40, 64], F32);
            let norm = nn::LayerNorm::new(&g, "ln", [64]);
            let y = norm.forward(&x).relu();
            g.output("y", &y);
            if backward {
                let upstream = g.input("upstream", [40, 64], F32);
                let wanted = [&x, norm.weight().unwrap(), norm.bias().unwrap()];
                for (k, gradient) in g.gradients_from(&[(&y, &upstream)], &wanted).iter().enumerate() {
                    g.output(&format!("gradient{k}"), gradient);
                }
            }
            g
        };
        let (forward, both) = (dispatches(&build(false), &device), dispatches(&build(true), &device));
        println!("layer_norm: {forward}, {both}");
    }
}
