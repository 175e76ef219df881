//! Variables: all assignments and outputs see the values from before the step.

use wgrad::compiler::Options;
use wgrad::ops::{Initial, Variable};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

use super::support::devices::devices;

fn variable(g: &Graph, name: &str, shape: &[usize], value: f64) -> Tensor {
    g.variable(Variable::parameter(name, TensorType::new(F32, shape), Initial::Constant(value)))
}

/// Runs a check for every device, fused and not.
fn everywhere(graph: &Graph, check: impl Fn(&mut Session)) {
    for device in devices() {
        for fuse in [true, false] {
            check(&mut Session::with_options(graph, &device, 0, Options { fuse, ..Options::default() }).unwrap());
        }
    }
}

fn values(session: &Session, name: &str) -> Vec<f64> {
    session.parameter(name).unwrap().to_f64_vec()
}

#[test]
fn a_single_number_counts() {
    let g = Graph::new();
    for shape in [&[][..], &[1], &[1, 1]] {
        let w = variable(&g, &format!("w{}", shape.len()), shape, 10.0);
        g.assign(&w, &(&w - 0.5));
    }
    everywhere(&g, |session| {
        (0..3).for_each(|_| session.step(&[]).unwrap());
        for name in ["w0", "w1", "w2"] {
            assert_eq!(values(session, name), [8.5]);
        }
    });
}

#[test]
fn two_variables_swap_values() {
    let g = Graph::new();
    let (a, b) = (variable(&g, "a", &[3], 1.0), variable(&g, "b", &[3], 2.0));
    g.assign(&a, &b);
    g.assign(&b, &a);
    everywhere(&g, |session| {
        session.step(&[]).unwrap();
        assert_eq!((values(session, "a"), values(session, "b")), (vec![2.0; 3], vec![1.0; 3]));
    });
}

#[test]
fn updates_that_read_each_other_see_old_values() {
    let g = Graph::new();
    let (a, b) = (variable(&g, "a", &[4], 1.0), variable(&g, "b", &[4], 10.0));
    g.assign(&a, &(&a + &b));
    g.assign(&b, &(&b - &a));
    everywhere(&g, |session| {
        session.step(&[]).unwrap();
        session.step(&[]).unwrap();
        assert_eq!((values(session, "a"), values(session, "b")), (vec![20.0; 4], vec![-2.0; 4]));
    });
}

#[test]
fn outputs_are_values_from_before_the_step() {
    let g = Graph::new();
    let w = variable(&g, "w", &[2, 2], 1.0);
    g.assign(&w, &(&w * 3.0));
    g.output("w", &w);
    g.output("flat", &w.reshape([4]));
    g.output("transposed", &w.transpose(0, 1));
    g.output("twice", &(&w * 2.0));
    everywhere(&g, |session| {
        for step in 0..3 {
            let old = 3.0_f64.powi(step);
            session.step(&[]).unwrap();
            for (name, wanted) in [("w", old), ("flat", old), ("transposed", old), ("twice", 2.0 * old)] {
                assert_eq!(session.read(name).unwrap().to_f64_vec(), [wanted; 4], "{name} in step {step}");
            }
            assert_eq!(values(session, "w"), [3.0 * old; 4]);
        }
    });
}

#[test]
fn a_value_may_go_to_several_variables_and_outputs() {
    let g = Graph::new();
    let x = g.input("x", [3], F32);
    let value = x.exp();
    let (a, b) = (variable(&g, "a", &[3], 0.0), variable(&g, "b", &[3], 0.0));
    g.assign(&a, &value);
    g.assign(&b, &value);
    g.output("value", &value);
    g.output("again", &value);
    g.output("x", &x);
    everywhere(&g, |session| {
        let x = TensorData::from_vec(vec![0.0_f32; 3], [3]).unwrap();
        session.step(&[("x", &x)]).unwrap();
        for name in ["value", "again"] {
            assert_eq!(session.read(name).unwrap().to_f64_vec(), [1.0; 3]);
        }
        assert_eq!((values(session, "a"), values(session, "b")), (vec![1.0; 3], vec![1.0; 3]));
        assert_eq!(session.read("x").unwrap(), x);
    });
}

#[test]
fn a_variable_that_is_moved_around_is_updated_whole() {
    let g = Graph::new();
    let w = g.variable(Variable::parameter(
        "w",
        TensorType::new(F32, [2, 3]),
        Initial::Values(TensorData::from_vec(vec![0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0], [2, 3]).unwrap()),
    ));
    g.assign(&w, &w.flip(&[0, 1]));
    everywhere(&g, |session| {
        session.step(&[]).unwrap();
        assert_eq!(values(session, "w"), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
    });
}

/// Parameters in f32 whose gradients come in 16 bits: one update kernel must not read them as f32.
#[test]
fn updates_from_half_precision_gradients() {
    let g = Graph::new();
    let mut losses = Vec::new();
    let names = ["a", "b", "c"];
    let parameters: Vec<Tensor> =
        names.iter().enumerate().map(|(k, name)| variable(&g, name, &[40 + 3 * k], 0.5)).collect();
    for parameter in &parameters {
        let x = parameter.cast(F16);
        losses.push((x.exp() * x.sin()).sum_all().cast(F32));
    }
    let loss = &losses[0] + &losses[1] + &losses[2];
    let references: Vec<&Tensor> = parameters.iter().collect();
    for (parameter, gradient) in parameters.iter().zip(g.gradients(&loss, &references)) {
        g.assign(parameter, &(parameter - gradient * 0.125));
    }
    everywhere(&g, |session| {
        session.step(&[]).unwrap();
        let wanted = 0.5 - 0.125 * 0.5_f64.exp() * (0.5_f64.sin() + 0.5_f64.cos());
        for name in names {
            values(session, name)
                .iter()
                .for_each(|found| assert!((found - wanted).abs() < 2e-3, "{name}: {found}, {wanted}"));
        }
    });
}
