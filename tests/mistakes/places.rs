//! Every node carries the line of the user's code that built it, also where a method builds several.

use wgrad::prelude::*;
use wgrad::session::ProgramId;

#[test]
fn every_node_carries_the_users_line() {
    let g = Graph::new();
    let (x, n) = (g.input("x", [2, 3], F32), g.input("n", [2, 3], I32));
    let row = g.input("row", [3], I32);
    let mut results = vec![
        x.clone() + 1.0 - 2.0 * &x,
        x.matmul(&x.transpose(0, 1)),
        x.broadcast_to([4, 2, 3]).matmul(&x.transpose(0, 1)),
        x.broadcast_to([4, 2, 3]).matmul(&x.transpose(0, 1).broadcast_to([5, 4, 3, 2])),
        x.at(0, 0).matmul(&x.at(0, 1)),
        g.concat(&[&x; 20], 0),
        g.stack(&[&x, &x], -1),
        x.scatter_add(1, &n.slice(0, 0, 1), &x),
        x.scatter_add(1, &n, &x),
        x.index_add(1, &row, &x),
        x.gather(1, &n),
        x.take(1, &row),
        x.softmax(-1),
        x.variance(&[0], 1),
        x.mean_all(),
        x.clamp(0.0, 1.0),
        n.one_hot(4, F32),
        x.sort(0, true).0,
        x.top_k(2, 1).0,
        x.flip(&[0]),
        x.pad(&[1, 1], &[0, 0], 2.0),
        x.cumulative_sum_with(0, true, true),
        x.gt(0.0).select(&x, 1.0),
        g.random_uniform([2], 1.0, 2.0),
        g.random_normal([2], 0.0, 1.0),
        g.random_bernoulli([2], 0.5).cast(F32),
        &x * g.host_scalar("rate", |_| 1.0),
    ];
    results.extend(x.split(1, &[1, 2]));
    let loss = results.iter().fold(x.sum_all(), |sum, part| sum + part.sum_all());
    let first = g.gradients(&loss.sin(), &[&x]).swap_remove(0);
    let second = g.gradients(&first.square().sum_all(), &[&x]).swap_remove(0);
    g.output("second", &second);
    let session = g.compile(&Device::cpu()).unwrap();
    let printed = &session.stages(ProgramId::FIRST).graph;
    let strangers: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with('%') && !line.contains("// tests/mistakes/places.rs:"))
        .collect();
    assert!(printed.lines().count() > 200);
    assert!(strangers.is_empty(), "{} of {}:\n{}", strangers.len(), printed.lines().count(), strangers.join("\n"));
}
