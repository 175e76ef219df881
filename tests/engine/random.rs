//! Random tensors: the published vectors, the same bits on every device, anew at each step, and again after a resume.

use wgrad::prelude::*;
use wgrad::scalar::ScalarFunction;

use super::support::devices::devices;

/// Key, counter and words of Threefry-2x32 with 20 rounds, from Random123's known answers.
const KNOWN: [[u32; 6]; 3] = [
    [0, 0, 0, 0, 0x6b20_0159, 0x99ba_4efe],
    [u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x1cb9_96fc, 0xbb00_2be7],
    [0x1319_8a2e, 0x0370_7344, 0x243f_6a88, 0x85a3_08d3, 0xc492_3a9c, 0x483d_f7a0],
];

#[test]
fn threefry_gives_the_published_words_on_every_device() {
    for device in devices() {
        let g = Graph::new();
        let parts: Vec<Tensor> = (0..4).map(|k| g.input(&format!("part{k}"), [3], U32)).collect();
        for word in 0..2 {
            let value = parts[0].elementwise(ScalarFunction::Threefry(word), &[&parts[1], &parts[2], &parts[3]]);
            g.output(&format!("word{word}"), &value);
        }
        let column = |k: usize| TensorData::from_vec(KNOWN.iter().map(|row| row[k]).collect(), [3]).unwrap();
        let inputs: Vec<(String, TensorData)> = (0..4).map(|k| (format!("part{k}"), column(k))).collect();
        let found = super::run(&mut g.compile(&device).unwrap(), &inputs);
        assert_eq!(found["word0"], column(4), "{device:?}");
        assert_eq!(found["word1"], column(5), "{device:?}");
    }
}

fn draws() -> Graph {
    let g = Graph::new();
    g.output("bits", &g.random_bits([7, 11]));
    g.output("uniform", &g.random_uniform([1000], -2.0, 3.0));
    g.output("coin", &g.random_bernoulli([33, 5], 0.3));
    g.output("normal", &g.random_normal([1001], 1.0, 2.0));
    g.output("number", &g.random_uniform([], 0.0, 1.0));
    g.output("none", &g.random_normal([0, 3], 0.0, 1.0));
    g
}

/// The outputs of three steps.
fn steps(device: &Device, seed: u64) -> Vec<Vec<(String, TensorData)>> {
    let mut session = Session::new(&draws(), device, seed).unwrap();
    (0..3)
        .map(|_| {
            session.step(&[]).unwrap();
            let names = ["bits", "uniform", "coin", "normal", "number", "none"];
            names.map(|name| (name.to_owned(), session.read(name).unwrap())).to_vec()
        })
        .collect()
}

#[test]
fn every_step_draws_anew_and_every_device_the_same() {
    let right = steps(&Device::cpu(), 5);
    for step in 1..3 {
        for ((name, before), (_, after)) in right[step - 1].iter().zip(&right[step]).take(5) {
            assert_ne!(before, after, "{name}");
        }
    }
    let other = steps(&Device::cpu(), 6);
    assert!(right[0].iter().zip(&other[0]).take(5).all(|(a, b)| a.1 != b.1), "another seed draws something else");
    for device in devices() {
        for (right, found) in right.iter().zip(steps(&device, 5)) {
            for ((name, right), (_, found)) in right.iter().zip(&found) {
                if name == "normal" {
                    let pairs = right.to_f64_vec().into_iter().zip(found.to_f64_vec());
                    pairs.for_each(|(a, b)| {
                        assert!((a - b).abs() < 1e-5 * (1.0 + a.abs()), "{name}: {a} and {b} on {device:?}")
                    });
                } else {
                    assert_eq!(right, found, "{name} on {device:?}");
                }
            }
        }
    }
}

#[test]
fn a_resumed_session_goes_on_with_the_same_draws() {
    for device in devices() {
        let right = steps(&device, 8);
        let mut session = Session::new(&draws(), &device, 8).unwrap();
        session.set_steps(2);
        session.step(&[]).unwrap();
        assert_eq!(session.read("uniform").unwrap(), right[2][1].1);
    }
}

#[test]
fn two_draws_of_one_graph_differ_and_uses_of_one_draw_agree() {
    let g = Graph::new();
    let (a, b) = (g.random_uniform([100], 0.0, 1.0), g.random_uniform([100], 0.0, 1.0));
    g.output("apart", &(&a - &b).abs().min([0]));
    g.output("same", &(&a - (a.reshape([10, 10]).transpose(0, 1).transpose(0, 1).reshape([100]) + 0.0)).abs().max([0]));
    g.output("sorted", &(a.sort(0, wgrad::ops::Order::Ascending).0.sum_all() - a.sum_all()).abs());
    for device in devices() {
        let found = g.compile(&device).unwrap().run(&[]).unwrap();
        assert!(found["apart"].item().unwrap() > 0.0);
        assert_eq!(found["same"].item().unwrap(), 0.0);
        assert!(found["sorted"].item().unwrap() < 1e-4);
    }
}

#[test]
fn moments_and_bounds() {
    const COUNT: usize = 1 << 16;
    let g = Graph::new();
    let uniform = g.random_uniform([COUNT], 10.0, 11.0);
    let normal = g.random_normal([COUNT], -1.0, 3.0);
    g.output("low", &uniform.min([0]));
    g.output("high", &uniform.max([0]));
    g.output("uniform", &uniform.mean_all());
    g.output("uniform_variance", &uniform.variance([0], 0));
    g.output("normal", &normal.mean_all());
    g.output("normal_variance", &normal.variance([0], 0));
    g.output("coin", &g.random_bernoulli([COUNT], 0.3).cast(F32).mean_all());
    g.output("never", &g.random_bernoulli([COUNT], 0.0).cast(F32).sum_all());
    g.output("always", &g.random_bernoulli([COUNT], 1.0).cast(F32).mean_all());
    let found = Session::new(&g, &Device::cpu(), 3).unwrap().run(&[]).unwrap();
    let near = |name: &str, wanted: f64, bound: f64| {
        let value = found[name].item().unwrap();
        assert!((value - wanted).abs() <= bound, "{name} is {value}, wanted {wanted}");
    };
    assert!(found["low"].item().unwrap() >= 10.0 && found["high"].item().unwrap() < 11.0);
    near("uniform", 10.5, 0.005);
    near("uniform_variance", 1.0 / 12.0, 0.001);
    near("normal", -1.0, 0.05);
    near("normal_variance", 9.0, 0.2);
    near("coin", 0.3, 0.01);
    near("never", 0.0, 0.0);
    near("always", 1.0, 0.0);
}
