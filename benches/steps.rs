//! Whole training steps on the CPU, for comparison between versions: `cargo bench`. The command `wgrad bench` measures any
//! device and single kernels.
#![allow(missing_docs, reason = "criterion's macros make items without documentation")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be built may stop")]

use criterion::{Criterion, criterion_group, criterion_main};
use wgrad::prelude::*;

/// A session that trains a classifier, and its batch.
fn classifier(widths: &[usize], batch: usize, classes: usize) -> (Session, TensorData, TensorData) {
    let g = Graph::new();
    let x = g.input("x", [batch, widths[0]], F32);
    let y = g.input("y", [batch], I32);
    let hidden = widths[1..].iter().fold(Sequential::new([widths[0]]), |model, &width| model.dense(width).relu());
    let loss = CrossEntropy.forward(&hidden.dense(classes).forward(&g, &x, Mode::Training), &y);
    let session = g.minimize(&loss, Adam::new(1e-3)).compile(&Device::cpu()).unwrap();
    let values = (0..batch * widths[0]).map(|k| (k as f32 * 0.618).sin()).collect();
    let labels = (0..batch).map(|k| (k % classes) as i32).collect();
    (session, TensorData::from_vec(values, [batch, widths[0]]).unwrap(), TensorData::from_vec(labels, [batch]).unwrap())
}

fn steps(criterion: &mut Criterion) {
    for (name, widths, batch, classes) in
        [("step/mlp-small", vec![100, 64, 32], 32, 2), ("step/mlp", vec![784, 512, 512], 128, 10)]
    {
        let (mut session, x, y) = classifier(&widths, batch, classes);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| session.step(&[("x", &x), ("y", &y)]).unwrap());
        });
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
