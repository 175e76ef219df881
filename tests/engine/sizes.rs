//! Sizes that a kernel meets seldom: nothing, one, many axes, more than a row of workgroups; and the same bits every time.

use wgrad::compiler::Options;
use wgrad::prelude::*;

use super::support::devices::devices;
use super::tensor;

fn both(device: &Device, g: &Graph, inputs: &[(String, TensorData)], check: impl Fn(&wgrad::session::Outputs)) {
    for fuse in [true, false] {
        let mut session = Session::with_options(g, device, 0, Options { fuse, ..Options::default() }).unwrap();
        check(&super::run(&mut session, inputs));
    }
}

#[test]
fn nothing_is_a_size() {
    for device in devices() {
        let g = Graph::new();
        let (x, row, n) = (g.input("x", [0, 3], F32), g.input("row", [3], F32), g.input("n", [0], I32));
        let maps = (&x * &row + 1.0).exp();
        g.output("map", &maps);
        g.output("transposed", &maps.transpose(0, 1));
        g.output("sum", &x.sum([0]));
        g.output("product", &x.product([0]));
        g.output("log_sum_exp", &x.log_sum_exp([0]));
        g.output("max", &x.max([1]));
        g.output("softmax", &x.softmax(1));
        g.output("joined", &g.concat(&[&x, &row.unsqueeze(0), &x], 0));
        g.output("padded", &x.pad(&[1, 0], &[1, 0], 4.0));
        g.output("rows", &row.unsqueeze(0).take(0, &n));
        g.output("added", &row.unsqueeze(0).index_add(0, &n, &x));
        g.output("sorted", &x.sort(0, wgrad::ops::Order::Ascending).0);
        g.output("running", &x.cumulative_sum(0));
        g.output("inner", &x.transpose(0, 1).matmul(&x));
        g.output("outer", &x.matmul(&row.unsqueeze(1)));
        g.output("hot", &n.one_hot(4, F32));
        g.output("gradient", &g.gradients(&(x.matmul(&row).sum_all() + (&x * &row).sum_all()), &[&row])[0]);
        let inputs = [
            ("x".to_owned(), TensorData::zeros(F32, [0, 3])),
            ("row".to_owned(), TensorData::from_vec(vec![1.0_f32, 2.0, 3.0], [3]).unwrap()),
            ("n".to_owned(), TensorData::zeros(I32, [0])),
        ];
        both(&device, &g, &inputs, |found| {
            let values = |name: &str| (found[name].shape().to_vec(), found[name].to_f64_vec());
            let none = |shape: &[usize]| (shape.to_vec(), Vec::new());
            assert_eq!(values("map"), none(&[0, 3]));
            assert_eq!(values("transposed"), none(&[3, 0]));
            assert_eq!(values("sum"), (vec![3], vec![0.0; 3]));
            assert_eq!(values("product"), (vec![3], vec![1.0; 3]));
            assert_eq!(values("log_sum_exp"), (vec![3], vec![f64::NEG_INFINITY; 3]));
            assert_eq!(values("max"), none(&[0]));
            assert_eq!(values("softmax"), none(&[0, 3]));
            assert_eq!(values("joined"), (vec![1, 3], vec![1.0, 2.0, 3.0]));
            assert_eq!(values("padded"), (vec![2, 3], vec![4.0; 6]));
            assert_eq!(values("rows"), none(&[0, 3]));
            assert_eq!(values("added"), (vec![1, 3], vec![1.0, 2.0, 3.0]));
            assert_eq!(values("sorted"), none(&[0, 3]));
            assert_eq!(values("running"), none(&[0, 3]));
            assert_eq!(values("inner"), (vec![3, 3], vec![0.0; 9]));
            assert_eq!(values("outer"), none(&[0, 1]));
            assert_eq!(values("hot"), none(&[0, 4]));
            assert_eq!(values("gradient"), (vec![3], vec![0.0; 3]));
        });
    }
}

#[test]
fn a_graph_of_nothing_but_empty_tensors_runs() {
    for device in devices() {
        let g = Graph::new();
        g.output("y", &g.scalar(F32, 2.0).broadcast_to([0]));
        let found = g.compile(&device).unwrap().run(&[]).unwrap();
        assert_eq!(found["y"], TensorData::zeros(F32, [0]));
    }
}

#[test]
fn every_rank_up_to_five() {
    let extents = [2, 3, 1, 2, 3];
    for device in devices() {
        for rank in 0..=5 {
            let shape = &extents[..rank];
            let g = Graph::new();
            let x = g.input("x", shape, F32);
            let reversed: Vec<usize> = (0..rank).rev().collect();
            let moved = (x.permute(&reversed) * 2.0).permute(&reversed);
            g.output("moved", &moved);
            g.output("sum", &x.sum_all());
            g.output("wide", &(&x + &x.unsqueeze(0)).sum([0]));
            let loss = (&x * &moved).sin().sum_all();
            g.output("gradient", &g.gradients(&loss, &[&x])[0]);
            let data = tensor(rank as u64, F32, shape, -1.0, 1.0);
            let values = data.to_f64_vec();
            both(&device, &g, &[("x".to_owned(), data.clone())], |found| {
                let close = |name: &str, wanted: Vec<f64>| {
                    let found = found[name].to_f64_vec();
                    assert_eq!(found.len(), wanted.len());
                    found
                        .iter()
                        .zip(wanted)
                        .for_each(|(a, b)| assert!((a - b).abs() < 2e-5, "{name}, rank {rank}: {a}, {b}"));
                };
                close("moved", values.iter().map(|x| 2.0 * x).collect());
                close("sum", vec![values.iter().sum()]);
                close("wide", values.iter().map(|x| 2.0 * x).collect());
                close("gradient", values.iter().map(|x| 4.0 * x * (2.0 * x * x).cos()).collect());
            });
        }
    }
}

/// More elements than one row of workgroups covers, and a tail that fills no vector.
#[test]
fn more_than_a_row_of_workgroups() {
    const COUNT: usize = 65_535 * 256 + 3;
    let g = Graph::new();
    let index = g.arange(COUNT).bitwise_and(1023);
    g.output("wrong", &(&index * &index).ne((&index + 1) * (&index - 1) + 1).cast(I32).sum_all());
    g.output("sum", &index.sum_all());
    for device in devices() {
        let found = g.compile(&device).unwrap().run(&[]).unwrap();
        assert_eq!(found["wrong"].item().unwrap(), 0.0, "{device:?}");
        let wanted = (0..COUNT as i64).map(|k| k & 1023).fold(0_i32, |sum, k| sum.wrapping_add(k as i32));
        assert_eq!(found["sum"].item().unwrap(), f64::from(wanted), "{device:?}");
    }
}

#[test]
fn sums_and_products_of_integers_wrap() {
    let g = Graph::new();
    let x = g.input("x", [3, 1000], I32);
    let words = x.cast(U32);
    for (name, y) in [("i32", &x), ("u32", &words)] {
        for axis in [0, 1] {
            g.output(&format!("{name} sum {axis}"), &y.sum([axis]));
            g.output(&format!("{name} product {axis}"), &y.product([axis]));
        }
    }
    let values: Vec<i32> = (0..3000_i32).map(|k| k.wrapping_mul(1_640_531_527) | 1).collect();
    let data = TensorData::from_vec(values.clone(), [3, 1000]).unwrap();
    let line = |axis: usize, index: usize| -> Vec<i32> {
        if axis == 1 {
            values[index * 1000..][..1000].to_vec()
        } else {
            values[index..].iter().step_by(1000).copied().collect()
        }
    };
    for device in devices() {
        both(&device, &g, &[("x".to_owned(), data.clone())], |found| {
            for axis in [0, 1] {
                for index in 0..3 {
                    let sum = line(axis, index).into_iter().fold(0, i32::wrapping_add);
                    let product = line(axis, index).into_iter().fold(1, i32::wrapping_mul);
                    let at = |name: &str| found[format!("{name} {axis}").as_str()].to_f64_vec()[index];
                    assert_eq!((at("i32 sum"), at("i32 product")), (f64::from(sum), f64::from(product)), "{device:?}");
                    assert_eq!(
                        (at("u32 sum"), at("u32 product")),
                        (f64::from(sum as u32), f64::from(product as u32)),
                        "{device:?}"
                    );
                }
            }
        });
    }
}

/// Two runs, and runs on other numbers of threads, give the same bits.
#[test]
fn the_same_bits_every_time() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [300, 257], F32), g.input("w", [257, 190], F32));
    let hidden = x.matmul(&w).gelu();
    let loss = hidden.softmax(1).log_sum_exp([0]).square().sum_all()
        + x.variance([0], 1).mean_all()
        + x.cumulative_sum(1).mean_all();
    g.output("loss", &loss);
    for (k, gradient) in g.gradients(&loss, &[&x, &w]).iter().enumerate() {
        g.output(&format!("gradient{k}"), gradient);
    }
    let inputs = [
        ("x".to_owned(), tensor(1, F32, &[300, 257], -1.0, 1.0)),
        ("w".to_owned(), tensor(2, F32, &[257, 190], -0.2, 0.2)),
    ];
    for device in devices() {
        let mut session = g.compile(&device).unwrap();
        let first = super::run(&mut session, &inputs);
        assert_eq!(super::run(&mut session, &inputs), first, "{device:?}");
        for threads in [1, 3, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(
                pool.install(|| super::run(&mut g.compile(&device).unwrap(), &inputs)),
                first,
                "{threads} threads, {device:?}"
            );
        }
    }
}
