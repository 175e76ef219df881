//! Updates of some rows of a variable: written in place, with nothing of the size of the variable beside it, and the same values as a
//! new variable would have, on every device.

use wgrad::compiler::{Options, Work};
use wgrad::ops::{Combine, Initial, Role, Variable};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

use super::support::devices::devices;
use super::{numbers, tensor};

const ROWS: usize = 5000;
const WIDTH: usize = 8;

fn variable(g: &Graph, name: &str, shape: &[usize], seed: u64) -> Tensor {
    let initial = Initial::Values(tensor(seed, F32, shape, -1.0, 1.0));
    g.variable(Variable::parameter(name, TensorType::new(F32, shape), initial))
}

fn indices(values: &[i32]) -> TensorData {
    TensorData::from_vec(values.to_vec(), [values.len()]).unwrap()
}

/// Sessions on every device, fused and not.
fn everywhere(graph: &Graph, check: impl Fn(&mut Session)) {
    for device in devices() {
        for fuse in [true, false] {
            check(&mut Session::with_options(graph, &device, 0, Options { fuse, ..Options::default() }).unwrap());
        }
    }
}

/// How many routines of a program work in place; neither its memory nor what it moves is of the size of a table.
#[track_caller]
fn updates(session: &Session, table_bytes: usize) -> usize {
    let program = session.program();
    assert!(program.planned_bytes() < table_bytes, "{} planned bytes:\n{}", program.planned_bytes(), **program);
    assert!(program.bytes() < table_bytes as u64, "{} bytes are moved:\n{}", program.bytes(), **program);
    program.steps.iter().filter(|step| matches!(step.work, Work::Routine { in_place: true, .. })).count()
}

fn close(found: &TensorData, wanted: &TensorData) {
    let (found, wanted) = (found.to_f64_vec(), wanted.to_f64_vec());
    assert_eq!(found.len(), wanted.len());
    for (k, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!((found - wanted).abs() <= 1e-6 * (1.0 + wanted.abs()), "element {k}: {found}, and not {wanted}");
    }
}

/// A loss of rows of a table that are picked by two inputs, of which the second has two axes.
fn loss(g: &Graph, table: &Tensor) -> Tensor {
    let (first, second) = (g.input("first", [7], I32), g.input("second", [3, 2], I32));
    let picked = table.take(0, &first).square().sum_all() + table.take(0, &second).sin().sum_all();
    picked * 0.5
}

fn picks() -> [(&'static str, TensorData); 2] {
    let second = TensorData::from_vec(vec![9, 4999, 0, 17, 9, 1], [3, 2]).unwrap();
    // Duplicates within and between, and one beyond each end, which are clamped.
    [("first", indices(&[9, 3, 9, 6000, -5, 9, 42])), ("second", second)]
}

#[test]
fn descent_writes_the_rows_that_were_picked() {
    let g = Graph::new();
    let table = variable(&g, "table", &[ROWS, WIDTH], 1);
    g.minimize(&loss(&g, &table), SGD::new(0.25)).build();
    // The same with the gradient as a tensor, which is wanted as a whole.
    let dense = Graph::new();
    let whole = variable(&dense, "table", &[ROWS, WIDTH], 1);
    let objective = loss(&dense, &whole);
    let gradient = dense.gradients(&objective, &[&whole]).swap_remove(0);
    dense.output("gradient", &gradient);
    dense.assign(&whole, &(&whole - &gradient * 0.25));
    let picks = picks();
    let inputs: Vec<(&str, &TensorData)> = picks.iter().map(|(name, data)| (*name, data)).collect();
    let mut reference = dense.compile(&Device::cpu()).unwrap();
    (0..3).for_each(|_| reference.step(&inputs).unwrap());
    let wanted = reference.parameter("table").unwrap();
    let mut bits: Option<Vec<f32>> = None;
    everywhere(&g, |session| {
        assert_eq!(updates(session, ROWS * WIDTH * 4), 1, "{}", **session.program());
        (0..3).for_each(|_| session.step(&inputs).unwrap());
        close(&session.parameter("table").unwrap(), &wanted);
    });
    for _ in 0..2 {
        let mut session = g.compile(&Device::cpu()).unwrap();
        (0..3).for_each(|_| session.step(&inputs).unwrap());
        let found = session.parameter("table").unwrap().to_vec::<f32>().unwrap();
        assert_eq!(bits.get_or_insert_with(|| found.clone()), &found);
    }
}

/// What an optimizer does with the whole gradient, it still does: momentum, decay, a common norm, sums over steps.
#[test]
fn whole_gradients_stay_whole() {
    type Minimizing = fn(&Graph, &Tensor) -> wgrad::optim::Minimize;
    let ways: [(&str, Minimizing); 4] = [
        ("momentum", |g, loss| g.minimize(loss, SGD::new(0.1).momentum(0.9))),
        ("decay", |g, loss| g.minimize(loss, SGD::new(0.1).weight_decay(0.1))),
        ("norm", |g, loss| g.minimize(loss, SGD::new(0.1)).clip_norm(0.5)),
        ("sums", |g, loss| g.minimize(loss, SGD::new(0.1)).accumulate(2)),
    ];
    let picks = picks();
    let inputs: Vec<(&str, &TensorData)> = picks.iter().map(|(name, data)| (*name, data)).collect();
    for (name, minimize) in ways {
        let found: Vec<TensorData> = [false, true]
            .map(|is_wanted| {
                let g = Graph::new();
                let table = variable(&g, "table", &[ROWS, WIDTH], 1);
                let objective = loss(&g, &table);
                if is_wanted {
                    g.output("gradient", &g.gradients(&objective, &[&table])[0]);
                }
                minimize(&g, &objective).build();
                let mut session = g.compile(&Device::cpu()).unwrap();
                (0..4).for_each(|_| session.step(&inputs).unwrap());
                session.parameter("table").unwrap()
            })
            .into();
        let moved =
            found[0].to_f64_vec().iter().zip(numbers(1, ROWS * WIDTH, -1.0, 1.0)).any(|(a, b)| *a != b as f32 as f64);
        assert!(moved, "{name}");
        close(&found[0], &found[1]);
    }
}

/// A table that has hardly more rows than are picked is updated as a whole: the sums of its rows are fewer.
#[test]
fn small_tables_are_updated_whole() {
    let g = Graph::new();
    let table = variable(&g, "table", &[13, WIDTH], 1);
    g.minimize(&loss(&g, &table), SGD::new(0.25)).build();
    let session = g.compile(&Device::cpu()).unwrap();
    let scatters_in_place = session.program().steps.iter().any(|step| {
        let variables = session.program().variables.iter().map(|variable| variable.location);
        matches!(step.work, Work::Routine { in_place: true, .. })
            && variables.into_iter().any(|location| step.writes.contains(&location))
    });
    assert!(!scatters_in_place, "{}", **session.program());
}

/// A cache `[heads, positions, width]`: what is written at one position is read from there on, and nothing else moves.
#[test]
fn positions_of_a_cache() {
    let g = Graph::new();
    let (ty, initial) = (TensorType::new(F32, [2, ROWS, 3]), Initial::Constant(-1.0));
    let cache = g.variable(Variable { name: "cache".into(), ty, role: Role::Buffer, initial });
    let (position, key) = (g.input("position", [2], I32), g.input("key", [2, 2, 3], F32));
    let filled = cache.index_copy(1, &position, &key);
    g.assign(&cache, &filled);
    g.output("there", &filled.take(1, &position));
    g.output("before", &cache.take(1, &position));
    everywhere(&g, |session| {
        assert_eq!(updates(session, 2 * ROWS * 3 * 4), 1, "{}", **session.program());
        let mut wanted = vec![-1.0; 2 * ROWS * 3];
        // Two positions at a time; of one that is named twice, the last stays.
        for (step, positions) in [[0, 1], [7, 7], [4999, 3], [5000, -1], [1, 0]].into_iter().enumerate() {
            let values = numbers(step as u64, 12, -1.0, 1.0);
            let key = TensorData::from_f64(F32, &values, [2, 2, 3]).unwrap();
            session.step(&[("position", &indices(&positions)), ("key", &key)]).unwrap();
            let at = |head: usize, k: usize| (head * ROWS + positions[k].clamp(0, ROWS as i32 - 1) as usize) * 3;
            let picked = |wanted: &[f64]| -> Vec<f64> {
                let rows = [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter();
                rows.flat_map(|(head, k)| wanted[at(head, k)..at(head, k) + 3].to_vec()).collect()
            };
            assert_eq!(session.read("before").unwrap().to_f64_vec(), picked(&wanted));
            for head in 0..2 {
                for k in 0..2 {
                    let from = (head * 2 + k) * 3;
                    let stored = values[from..from + 3].iter().map(|&x| f64::from(x as f32));
                    wanted.splice(at(head, k)..at(head, k) + 3, stored);
                }
            }
            assert_eq!(session.read("there").unwrap().to_f64_vec(), picked(&wanted));
        }
        assert_eq!(session.parameter("cache").unwrap().to_f64_vec(), wanted);
    });
}

/// Rows along the axis in front, between and behind; sums in the order of the source; none at all.
#[test]
fn rows_of_every_axis() {
    for (shape, axis) in [([40, 3, 5], 0), ([3, 40, 5], 1), ([3, 5, 40], 2)] {
        for (count, combine) in [(6, Combine::Sum), (100, Combine::Sum), (100, Combine::Last), (0, Combine::Sum)] {
            let mut given = shape;
            given[axis] = count;
            let g = Graph::new();
            let w = variable(&g, "w", &shape, 1);
            let (index, rows) = (g.input("index", [count], I32), g.input("rows", given, F32));
            let next = match combine {
                Combine::Sum => w.index_add(axis as isize, &index, &rows),
                _ => w.index_copy(axis as isize, &index, &rows),
            };
            g.assign(&w, &next);
            let picked: Vec<i32> = numbers(2, count, -3.0, 44.0).iter().map(|&x| x as i32).collect();
            let values = tensor(3, F32, &given, -1.0, 1.0);
            let mut wanted = tensor(1, F32, &shape, -1.0, 1.0).to_vec::<f32>().unwrap();
            let (outer, inner) = (shape[..axis].iter().product::<usize>(), shape[axis + 1..].iter().product::<usize>());
            let source = values.to_vec::<f32>().unwrap();
            for (from, value) in source.iter().enumerate() {
                let (o, k, i) = (from / (count * inner), from / inner % count, from % inner);
                let to = (o * 40 + picked[k].clamp(0, 39) as usize) * inner + i;
                assert!(o < outer);
                wanted[to] = if combine == Combine::Sum { wanted[to] + value } else { *value };
            }
            everywhere(&g, |session| {
                let plan = session.program().to_string();
                let in_place = session
                    .program()
                    .steps
                    .iter()
                    .any(|step| matches!(step.work, Work::Routine { in_place: true, .. }));
                assert!(in_place, "{plan}");
                session.step(&[("index", &indices(&picked)), ("rows", &values)]).unwrap();
                assert_eq!(session.parameter("w").unwrap().to_vec::<f32>().unwrap(), wanted, "{plan}");
            });
        }
    }
}

/// The old value as a whole, beside the new one and together with it: then something must be copied, and nothing may be mixed up.
#[test]
fn old_and_new_values_in_one_step() {
    let g = Graph::new();
    let w = variable(&g, "w", &[50, 2], 1);
    let (index, rows) = (g.input("index", [3], I32), g.input("rows", [3, 2], F32));
    let next = w.index_add(0, &index, &rows);
    g.assign(&w, &next);
    g.output("old", &w);
    g.output("new", &next);
    g.output("difference", &(&next - &w).sum([0]));
    let other = variable(&g, "other", &[50, 2], 2);
    g.assign(&other, &other.index_add(0, &index, &w.take(0, &index)));
    let start = [1, 2].map(|seed| tensor(seed, F32, &[50, 2], -1.0, 1.0).to_vec::<f32>().unwrap());
    let rows = TensorData::from_vec(vec![1.0_f32, 2.0, 4.0, 8.0, 16.0, 32.0], [3, 2]).unwrap();
    everywhere(&g, |session| {
        session.step(&[("index", &indices(&[4, 30, 4])), ("rows", &rows)]).unwrap();
        let mut wanted = start[0].clone();
        for (k, row) in [(0, 4), (1, 30), (2, 4)] {
            (0..2).for_each(|i| wanted[row * 2 + i] += [1.0, 2.0, 4.0, 8.0, 16.0, 32.0][k * 2 + i]);
        }
        let [old, new, difference] =
            ["old", "new", "difference"].map(|name| session.read(name).unwrap().to_vec::<f32>().unwrap());
        assert_eq!((old, new), (start[0].clone(), wanted.clone()));
        assert_eq!(session.parameter("w").unwrap().to_vec::<f32>().unwrap(), wanted);
        for (found, wanted) in difference.iter().zip([21.0, 42.0]) {
            assert!((found - wanted).abs() < 1e-4, "{found}");
        }
        // The other variable was given rows of the old values.
        let mut wanted = start[1].clone();
        for row in [4, 30, 4] {
            (0..2).for_each(|i| wanted[row * 2 + i] += start[0][row * 2 + i]);
        }
        assert_eq!(session.parameter("other").unwrap().to_vec::<f32>().unwrap(), wanted);
    });
}

/// Several updates one after another are one, or are done one after another; a swap of rows reads before it writes.
#[test]
fn one_after_another() {
    let g = Graph::new();
    let w = variable(&g, "w", &[600, 2], 1);
    let v = variable(&g, "v", &[600, 2], 2);
    let u = variable(&g, "u", &[600, 2], 3);
    let (i, j) = (g.constant(indices(&[1, 5])), g.constant(indices(&[5, 1])));
    let rows = g.constant(TensorData::from_vec(vec![1.0_f32, 2.0, 4.0, 8.0], [2, 2]).unwrap());
    g.assign(&w, &w.index_add(0, &i, &rows).index_add(0, &j, &(&rows * 2.0)));
    g.assign(&v, &v.index_add(0, &i, &rows).index_copy(0, &j, &v.take(0, &i)));
    g.assign(&u, &u.index_copy(0, &i, &u.take(0, &j)));
    let start = [1, 2, 3].map(|seed| tensor(seed, F32, &[600, 2], -1.0, 1.0).to_vec::<f32>().unwrap());
    everywhere(&g, |session| {
        let of_w = session.program().steps.iter().filter(|step| step.label.contains("scatter_rows")).count();
        assert_eq!(of_w, 2, "{}", **session.program());
        session.step(&[]).unwrap();
        let mut wanted = start.clone();
        for (at, value) in [(2, 1.0), (3, 2.0), (10, 4.0), (11, 8.0), (10, 2.0), (11, 4.0), (2, 8.0), (3, 16.0)] {
            wanted[0][at] += value;
        }
        for row in [1, 5] {
            for i in 0..2 {
                wanted[1][row * 2 + i] = start[1][(6 - row) * 2 + i];
                wanted[2][row * 2 + i] = start[2][(6 - row) * 2 + i];
            }
        }
        for (name, wanted) in ["w", "v", "u"].iter().zip(wanted) {
            assert_eq!(session.parameter(name).unwrap().to_vec::<f32>().unwrap(), wanted, "{name}");
        }
    });
}

#[test]
fn programs_share_the_variable() {
    let build = |scale: f64| {
        let g = Graph::new();
        let w = variable(&g, "w", &[ROWS, WIDTH], 1);
        let rows = g.scalar(F32, scale).broadcast_to([2, WIDTH]);
        g.assign(&w, &w.index_add(0, &g.input("index", [2], I32), &rows));
        g
    };
    for device in devices() {
        let mut session = build(1.0).compile(&device).unwrap();
        let tens = session.load(&build(10.0)).unwrap();
        for index in [[3, 4], [4, 4999]] {
            session.step(&[("index", &indices(&index))]).unwrap();
            session.using(&tens).step(&[("index", &indices(&index))]).unwrap();
        }
        let mut wanted = tensor(1, F32, &[ROWS, WIDTH], -1.0, 1.0).to_vec::<f32>().unwrap();
        for row in [3, 4, 4, 4999] {
            wanted[row * WIDTH..(row + 1) * WIDTH].iter_mut().for_each(|x| *x = *x + 1.0 + 10.0);
        }
        close(&session.parameter("w").unwrap(), &TensorData::from_vec(wanted, [ROWS, WIDTH]).unwrap());
    }
}

/// Types that a device computes as others: 64-bit integers, and floats of 16 bits, which are widened as a whole.
#[test]
fn other_types() {
    for dtype in [I32, I64, F16, BF16] {
        let g = Graph::new();
        let initial = Initial::Constant(3.0);
        let w =
            g.variable(Variable { name: "w".into(), ty: TensorType::new(dtype, [40, 2]), role: Role::Buffer, initial });
        let (index, rows) = (g.constant(indices(&[7, 9, 7])), g.input("rows", [3, 2], F32).cast(dtype));
        g.assign(&w, &w.index_add(0, &index, &rows));
        let rows = TensorData::from_vec(vec![1.0_f32, 2.0, 4.0, 8.0, 16.0, 32.0], [3, 2]).unwrap();
        everywhere(&g, |session| {
            session.step(&[("rows", &rows)]).unwrap();
            let mut wanted = vec![3.0; 80];
            wanted.splice(14..16, [20.0, 37.0]);
            wanted.splice(18..20, [7.0, 11.0]);
            assert_eq!(session.parameter("w").unwrap().to_f64_vec(), wanted, "{dtype}");
        });
    }
}
