//! Pools in a program: what joins their kernels, and that large windows cost no more than their sides.

use wgrad::ops::{AvgPool, MaxPool};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::tensor;

#[test]
fn the_mask_of_a_relu_joins_the_gradient_of_a_pool() {
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [2, 3, 8, 6], F32);
        let w = g.input("w", [2, 3, 4, 3], F32);
        let loss = (x.relu().max_pool(&MaxPool::new(2)) * &w).sum_all();
        g.output("gradient", &g.gradients(&loss, &[&x])[0]);
        let mut session = g.compile(&device).unwrap();
        // The relu, the pool, and the scatter with the mask; the upstream gradient is w itself.
        let labels: Vec<&str> = session.program().steps.iter().map(|step| step.label.as_str()).collect();
        assert_eq!(labels.len(), 3, "{labels:?}\n{}", session.program().stages().fused);
        let data = [("x", tensor(1, F32, &[2, 3, 8, 6], -2.0, 1.0)), ("w", tensor(2, F32, &[2, 3, 4, 3], 0.5, 1.0))];
        let given = [("x", &data[0].1), ("w", &data[1].1)];
        let found = session.run(&given).unwrap()["gradient"].to_f64_vec();
        let (x, w) = (data[0].1.to_f64_vec(), data[1].1.to_f64_vec());
        let mut want = vec![0.0; x.len()];
        for (o, weight) in w.iter().enumerate() {
            let (plane, row, column) = (o / 12, o / 3 % 4, o % 3);
            let indices = [0, 1, 6, 7].map(|step| plane * 48 + row * 12 + column * 2 + step);
            // The first of equals, among which is all that a relu makes 0.
            let best = indices.iter().map(|&index| x[index].max(0.0)).fold(0.0, f64::max);
            let first = indices.into_iter().find(|&index| x[index].max(0.0) == best).unwrap();
            if x[first] > 0.0 {
                want[first] += weight;
            }
        }
        assert_eq!(found, want, "{}", device.name());
    }
}

#[test]
fn a_large_window_is_pooled_an_axis_at_a_time() {
    for device in devices() {
        let g = Graph::new();
        // More positions than a software driver's loops iterate over.
        let x = g.input("x", [1, 1, 300, 300], F32);
        g.output("average", &x.avg_pool(&AvgPool::new(290).stride(5)));
        let (values, indices) = x.max_pool_with_indices(&MaxPool::new(290).stride(5));
        g.output("values", &values);
        g.output("indices", &indices);
        g.output("gradient", &g.gradients(&values, &[&x])[0]);
        let mut session = g.compile(&device).unwrap();
        let data = tensor(3, F32, &[1, 1, 300, 300], -1.0, 1.0);
        let found = session.run(&[("x", &data)]).unwrap();
        let x = data.to_f64_vec();
        let mut gradient = vec![0.0; x.len()];
        for o in 0..9 {
            let (top, left) = (o / 3 * 5, o % 3 * 5);
            let window = (top..top + 290).flat_map(|row| (left..left + 290).map(move |column| row * 300 + column));
            let best = window.clone().reduce(|best, index| if x[index] > x[best] { index } else { best }).unwrap();
            gradient[best] += 1.0;
            let sum: f64 = window.map(|index| x[index]).sum();
            assert_eq!(found["values"].to_f64_vec()[o], x[best]);
            assert_eq!(found["indices"].to_f64_vec()[o], best as f64);
            assert!((found["average"].to_f64_vec()[o] - sum / 84_100.0).abs() < 1e-6);
        }
        assert_eq!(found["gradient"].to_f64_vec(), gradient, "{}", device.name());
    }
}
