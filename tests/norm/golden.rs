//! What PyTorch computes, forward and backward, and its running statistics: `tests/golden/norm.json`.

use wgrad::nn::{BatchNormalization, InstanceNormalization, LocalResponseNorm};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::support::golden::{self, Case};

fn reference(case: &Case, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let x = &inputs[0];
    let eps = case.number("eps").unwrap_or_default();
    let (weight, bias) = (inputs.get(1), inputs.get(2));
    let size = |key: &str| case.integer(key).unwrap_or_default() as usize;
    Some(vec![match case.op.as_str() {
        "batch_norm" => x.batch_norm(weight, bias, eps),
        "batch_norm_evaluation" => x.batch_norm_with(&inputs[1], &inputs[2], inputs.get(3), inputs.get(4), eps),
        "instance_norm" => x.instance_norm(weight, bias, eps),
        "layer_norm" => x.layer_norm(size("axes"), weight, bias, eps),
        "rms_norm" => x.rms_norm(size("axes"), weight, case.number("eps")),
        "group_norm" => x.group_norm(size("groups"), weight, bias, eps),
        "local_response_norm" => {
            let number = |key: &str| case.number(key).unwrap_or_default();
            let norm = LocalResponseNorm::new(size("size"));
            norm.alpha(number("alpha")).beta(number("beta")).k(number("k")).forward(x)
        }
        _ => return None,
    }])
}

#[test]
fn values_and_gradients() {
    let cases = golden::read("norm").unwrap();
    let cases: Vec<Case> = cases.into_iter().filter(|case| !case.op.ends_with("_steps")).collect();
    assert!(cases.len() > 60, "there are {} cases", cases.len());
    for device in devices() {
        golden::assert_none(&golden::complaints(&cases, &device, &reference));
    }
}

#[test]
fn running_statistics_after_each_step() {
    let cases = golden::read("norm").unwrap();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.op.ends_with("_steps")).collect();
    assert_eq!(cases.len(), 11);
    let mut complaints = Vec::new();
    for device in devices() {
        for case in cases.iter().map(|case| case.on(&device)) {
            let graph = |mode: Mode| {
                let g = Graph::new();
                let shape = case.inputs[0].shape();
                let x = g.input("x", shape, F32);
                let momentum = case.number("momentum");
                let y = if case.op.starts_with("batch") {
                    let options = BatchNormalization { momentum, ..BatchNormalization::new() };
                    options.build(&g, "norm", shape[1]).forward(&x, mode)
                } else {
                    let options = InstanceNormalization::new().momentum(momentum.unwrap_or_default());
                    options.affine().running_stats().build(&g, "norm", shape[1]).forward(&x, mode)
                };
                g.output("y", &y);
                g
            };
            let mut session = graph(Mode::Training).compile(&device).unwrap();
            let evaluation = session.load(&graph(Mode::Evaluation)).unwrap();
            for step in 0..2 {
                session.step(&[("x", &case.inputs[step])]).unwrap();
                complaints.extend(case.complaint("y", &session.read("y").unwrap(), &case.outputs[step]));
                for name in ["running_mean", "running_var", "num_batches_tracked"] {
                    let right = case.tensor(&case.fields[name][step]).unwrap();
                    let found = session.parameter(&format!("norm.{name}")).unwrap();
                    complaints.extend(case.complaint(&format!("{name} after step {step}"), &found, right));
                }
            }
            let x = case.tensor(&case.fields["evaluated"]).unwrap();
            let found = session.run_with(evaluation, &[("x", x)]).unwrap();
            let right = case.tensor(&case.fields["evaluation"]).unwrap();
            complaints.extend(case.complaint("evaluation", &found["y"], right));
        }
    }
    golden::assert_none(&complaints);
}
