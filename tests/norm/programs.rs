//! What becomes of a normalisation: the kernels of a step, counted.

use wgrad::prelude::*;

use super::support::devices::devices;

/// The number of kernels that a layer and the relu behind it take, forward alone, and forward with all gradients.
fn kernels(device: &Device, shape: &[usize], build: impl Fn(&Graph, &Tensor) -> Tensor) -> [usize; 2] {
    [false, true].map(|backward| {
        let g = Graph::new();
        let x = g.input("x", shape, F32);
        let y = build(&g, &x).relu();
        g.output("y", &y);
        if backward {
            let upstream = g.input("upstream", shape, F32);
            let parameters = g.parameters();
            let wanted: Vec<&Tensor> = std::iter::once(&x).chain(parameters.iter().map(|(_, tensor)| tensor)).collect();
            for (k, gradient) in g.gradients_from(&[(&y, &upstream)], &wanted).iter().enumerate() {
                g.output(&format!("gradient{k}"), gradient);
            }
        }
        g.compile(device).unwrap().program().steps.len()
    })
}

/// Two sums and a map forward; two sums and a map backward.
#[test]
fn batch_norm_takes_three_kernels_each_way() {
    for device in devices() {
        let plain = nn::BatchNormalization::new().without_running_stats();
        let found = kernels(&device, &[4, 3, 5, 5], |g, x| plain.build(g, "n", 3).forward(x, Mode::Training));
        assert_eq!(found, [3, 6], "{device:?}");
        let found = kernels(&device, &[4, 3, 5, 5], |g, x| nn::BatchNorm::new(g, "n", 3).forward(x, Mode::Evaluation));
        assert_eq!(found[0], 1, "{device:?}");
    }
}

#[test]
fn the_others() {
    for device in devices() {
        // Sums of weight and bias go over other axes than those of the values.
        let found = kernels(&device, &[40, 64], |g, x| nn::LayerNorm::new(g, "n", [64]).forward(x));
        assert_eq!(found, [3, 8], "{device:?}");
        let found = kernels(&device, &[40, 64], |g, x| nn::RmsNorm::new(g, "n", [64]).forward(x));
        assert_eq!(found, [2, 5], "{device:?}");
        let found = kernels(&device, &[4, 6, 5, 5], |g, x| nn::GroupNorm::new(g, "n", 2, 6).forward(x));
        assert!(found[0] == 3 && found[1] <= 9, "{found:?} {device:?}");
        let found = kernels(&device, &[4, 6, 5, 5], |_, x| x.instance_norm(None, None, 1e-5));
        assert_eq!(found, [3, 6], "{device:?}");
    }
}

/// Means, variances and counters of all layers are updated by a kernel each, for the whole model.
#[test]
fn running_statistics_of_many_layers_take_three_kernels() {
    for device in devices() {
        let updates = |layers: usize| {
            let mut model = Sequential::new([6]);
            for _ in 0..layers {
                model = model.dense(5 + layers).batch_norm().relu();
            }
            let count = |mode: Mode| {
                let g = Graph::new();
                g.output("y", &model.forward(&g, &g.input("x", [9, 6], F32), mode));
                g.compile(&device).unwrap().program().steps.len()
            };
            // A product with its epilogue, two sums and a map in training; in evaluation everything is the product's epilogue.
            assert_eq!(count(Mode::Evaluation), layers, "{device:?}");
            count(Mode::Training) - 4 * layers
        };
        assert_eq!([1, 2, 4].map(updates), [3, 3, 3], "{device:?}");
    }
}

/// What `wgrad check` runs, here on every device that is there.
#[test]
fn the_check_table_is_right_everywhere() {
    for device in devices() {
        for filter in ["norm/", "augment/"] {
            let mut problems = Vec::new();
            let ok = wgrad::check::check(&device, filter, &mut |report| {
                problems.extend(report.problem.clone().map(|problem| format!("{}: {problem}", report.name)));
            });
            assert!(ok.unwrap() && problems.is_empty(), "{device:?}: {problems:#?}");
        }
    }
}
