//! Scatters with every way of combining, against loops, on every device; their gradients by differences.

use wgrad::ops::Combine;
use wgrad::prelude::*;

use super::finite_differences::check;
use super::support::devices::devices;

const ALL: [Combine; 5] = [Combine::Sum, Combine::Product, Combine::Max, Combine::Min, Combine::Last];

fn joined(combine: Combine, a: f64, b: f64) -> f64 {
    match combine {
        Combine::Sum => a + b,
        Combine::Product => a * b,
        Combine::Max => a.max(b),
        Combine::Min => a.min(b),
        Combine::Last => b,
    }
}

/// Small integers, so that every order of arithmetic gives the same.
fn integers(seed: u64, count: usize, low: f64, high: f64) -> Vec<f64> {
    super::numbers(seed, count, low, high).into_iter().map(f64::floor).collect()
}

#[test]
fn elements_are_joined_in_the_order_of_the_source() {
    // Base and index along axis 1; in the last case the index is smaller beside the axis too.
    for (base, index) in [([2, 5, 3], [2, 4, 3]), ([1, 3, 1], [1, 300, 1]), ([3, 4, 2], [2, 3, 1])] {
        let (len, count) = (base.iter().product(), index.iter().product());
        let start = integers(1, len, -3.0, 4.0);
        let source = integers(2, count, -2.0, 3.0);
        let targets = integers(3, count, 0.0, base[1] as f64);
        for dtype in [F32, I32, I64] {
            let g = Graph::new();
            let (x, y) = (g.input("x", base, dtype), g.input("y", index, dtype));
            let at = g.input("at", index, I64);
            ALL.iter().for_each(|&combine| g.output(&format!("{combine:?}"), &x.scatter(1, &at, &y, combine)));
            let data = |dtype, values: &[f64], shape: [usize; 3]| TensorData::from_f64(dtype, values, shape).unwrap();
            let inputs = [
                ("x", &data(dtype, &start, base)),
                ("y", &data(dtype, &source, index)),
                ("at", &data(I64, &targets, index)),
            ];
            for device in devices() {
                let found = g.compile(&device).unwrap().run(&inputs).unwrap();
                for combine in ALL {
                    // The product of hundreds wraps or overflows; that of a few does not.
                    if combine == Combine::Product && count > 100 {
                        continue;
                    }
                    let mut wanted = start.clone();
                    for outer in 0..index[0] {
                        for k in 0..index[1] {
                            for inner in 0..index[2] {
                                let from = (outer * index[1] + k) * index[2] + inner;
                                let to = (outer * base[1] + targets[from] as usize) * base[2] + inner;
                                wanted[to] = joined(combine, wanted[to], source[from]);
                            }
                        }
                    }
                    let name = format!("{combine:?}");
                    assert_eq!(found[name.as_str()].to_f64_vec(), wanted, "{name} of {dtype}{base:?} on {device:?}");
                }
            }
        }
    }
}

#[test]
fn slices_are_joined_and_gathered() {
    let g = Graph::new();
    let x = g.input("x", [2, 3, 2], F32);
    let at = g.constant(TensorData::from_vec(vec![0_i64, 2, 1, -1, 0, -1], [3, 2]).unwrap());
    let y = g.input("y", [3, 2], F32);
    ALL.iter().for_each(|&combine| g.output(&format!("{combine:?}"), &x.scatter_nd(&at, &y, combine)));
    g.output("bool", &x.gt(5.0).scatter_nd(&at, &y.gt(0.0), Combine::Last));
    g.output("gathered", &x.gather_nd(&at));
    g.output("whole", &x.gather_nd(&at.slice(1, 0, 1)));
    let start: Vec<f64> = (0..12).map(f64::from).collect();
    let source = [10.0, 20.0, -1.0, -2.0, 3.0, 40.0];
    let inputs = [
        ("x", &TensorData::from_f64(F32, &start, [2, 3, 2]).unwrap()),
        ("y", &TensorData::from_f64(F32, &source, [3, 2]).unwrap()),
    ];
    let rows = [2, 5, 2];
    for device in devices() {
        let found = g.compile(&device).unwrap().run(&inputs).unwrap();
        for combine in ALL {
            let mut wanted = start.clone();
            for (k, row) in rows.iter().enumerate() {
                for column in 0..2 {
                    let at = row * 2 + column;
                    wanted[at] = joined(combine, wanted[at], source[k * 2 + column]);
                }
            }
            assert_eq!(found[format!("{combine:?}").as_str()].to_f64_vec(), wanted, "{combine:?} on {device:?}");
        }
        let truth = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
        assert_eq!(found["bool"].to_f64_vec(), truth);
        assert_eq!(found["gathered"].to_f64_vec(), [4.0, 5.0, 10.0, 11.0, 4.0, 5.0]);
        assert_eq!(found["whole"].to_f64_vec(), [&start[..6], &start[6..], &start[..6]].concat());
    }
}

#[test]
fn a_nan_wins_an_extreme() {
    let g = Graph::new();
    let x = g.input("x", [3], F32);
    let at = g.constant(TensorData::from_vec(vec![0, 0, 1, 2], [4]).unwrap());
    let y = g.constant(TensorData::from_vec(vec![f32::NAN, 1.0, 5.0, 7.0], [4]).unwrap());
    g.output("max", &x.scatter(0, &at, &y, Combine::Max));
    g.output("min", &x.scatter(0, &at, &y, Combine::Min));
    for device in devices() {
        let data = TensorData::from_vec(vec![2.0_f32, f32::NAN, 9.0], [3]).unwrap();
        let found = g.compile(&device).unwrap().run(&[("x", &data)]).unwrap();
        for (name, last) in [("max", 9.0), ("min", 7.0)] {
            let values = found[name].to_f64_vec();
            assert!(values[0].is_nan() && values[1].is_nan() && values[2] == last, "{name}: {values:?} on {device:?}");
        }
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for combine in ALL {
        let at = |g: &Graph| g.constant(TensorData::from_vec(vec![0, 2, 2, 1, 0, 0], [2, 3]).unwrap());
        check(&format!("scatter {combine:?}"), &[(&[2, 4], 0.5, 1.5), (&[2, 3], 0.4, 1.6)], |g, x| {
            x[0].scatter(1, &at(g), &x[1], combine)
        });
        let rows = |g: &Graph| g.constant(TensorData::from_vec(vec![1, -1, 0, -1, 1], [5, 1]).unwrap());
        check(&format!("scatter_nd {combine:?}"), &[(&[3, 2], 0.5, 1.5), (&[5, 2], 0.4, 1.6)], |g, x| {
            x[0].scatter_nd(&rows(g), &x[1], combine)
        });
    }
    check("gather_nd", &[(&[3, 2], 0.5, 1.5)], |g, x| {
        x[0].gather_nd(&g.constant(TensorData::from_vec(vec![1, 1, -1, 0], [2, 2]).unwrap()))
    });
    // One zero leaves the product of the others at its index.
    let g = Graph::new();
    let (x, y) = (g.input("x", [2], F32), g.input("y", [3], F32));
    let at = g.constant(TensorData::from_vec(vec![0, 0, 1], [3]).unwrap());
    let product = x.scatter(0, &at, &y, Combine::Product);
    for (name, gradient) in ["x", "y"].iter().zip(g.gradients(&product, &[&x, &y])) {
        g.output(name, &gradient);
    }
    for device in devices() {
        let data = |values: &[f32]| TensorData::from_slice(values, [values.len()]).unwrap();
        let found =
            g.compile(&device).unwrap().run(&[("x", &data(&[2.0, 0.0])), ("y", &data(&[0.0, 3.0, 0.0]))]).unwrap();
        assert_eq!(found["x"].to_f64_vec(), [0.0, 0.0]);
        assert_eq!(found["y"].to_f64_vec(), [6.0, 0.0, 0.0]);
    }
}

#[test]
fn what_does_not_fit_is_a_mistake() {
    let refused = |build: fn(&Tensor, &Tensor) -> Tensor, part: &str| {
        let g = Graph::new();
        let _ = build(&g.input("x", [2, 3], F32), &g.input("at", [2, 3], I64));
        let error = g.error().map_or_else(String::new, |error| error.to_string());
        assert!(error.contains(part) && error.contains("scatter.rs"), "{error}");
    };
    refused(|x, at| x.scatter(2, at, x, Combine::Max), "axis 2");
    refused(|x, at| x.scatter(0, at, &x.at(0, 0), Combine::Max), "do not fit base [2, 3]");
    refused(|x, at| x.scatter(0, at, &at.cast(F64), Combine::Last), "cast one of them");
    refused(|x, at| x.scatter(0, &at.cast(F32), x, Combine::Last), "wants i32 or i64 indices");
    refused(|x, at| x.scatter_nd(at, x, Combine::Last), "do not fit base [2, 3]");
    refused(|x, _| x.gather_nd(x), "gather_nd");
}
