//! Losses and their gradients as PyTorch computes them: `tests/golden/loss.json`.

mod support;

use support::devices::devices;
use support::golden::{self, Case};
use wgrad::Result;
use wgrad::graph::Tensor;
use wgrad::loss::*;

fn reduction(case: &Case) -> Option<Reduction> {
    [Reduction::Mean, Reduction::Sum, Reduction::None, Reduction::BatchMean]
        .into_iter()
        .find(|reduction| reduction.name() == case.text("reduction"))
}

fn reference(case: &Case, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let weights = |flag: &str| case.flag(flag).then(|| case.inputs[2].to_f64_vec());
    let options = || CrossEntropyOptions {
        class_weights: weights("class_weights"),
        label_smoothing: case.number("label_smoothing").unwrap_or_default(),
        ignore_index: case.integer("ignore_index").map(|label| label as i32),
        class_axis: 1,
    };
    let loss: Box<dyn Loss> = match case.op.as_str() {
        "mse" => Box::new(Mse),
        "l1" => Box::new(L1),
        "huber" => Box::new(Huber { delta: case.number("delta")? }),
        "binary_cross_entropy" => Box::new(BinaryCrossEntropy),
        "binary_cross_entropy_with_logits" => match weights("pos_weight") {
            Some(weights) => Box::new(BinaryCrossEntropyWithPositiveWeight(weights)),
            None => Box::new(BinaryCrossEntropyWithLogits),
        },
        "cross_entropy" => Box::new(CrossEntropyWith(options())),
        "nll" => Box::new(NllWith(options())),
        "kl_div" if case.flag("log_target") => Box::new(KlDivLogTarget),
        "kl_div" => Box::new(KlDiv),
        "hinge" => Box::new(Hinge),
        "negative_sampling" => Box::new(NegativeSampling::new()),
        "cosine_embedding" => {
            let margin = case.number("margin")?;
            return Some(vec![cosine_embedding(&inputs[0], &inputs[1], &inputs[2], margin, reduction(case)?)]);
        }
        _ => return None,
    };
    Some(vec![loss.reduced(&inputs[0], &inputs[1], reduction(case)?)])
}

#[test]
fn losses_are_torchs() -> Result<()> {
    let mut cases = golden::read("loss")?;
    for case in cases.iter_mut().filter(|case| case.name.starts_with("cross_entropy_extremes")) {
        // The gradient is e^(x − lse), where lse has the digits that f32 leaves beside logits of 1000: 3e-5.
        case.tolerance.relative = 4e-5;
    }
    assert!(cases.len() > 150, "there are {} cases", cases.len());
    for device in devices() {
        golden::assert_none(&golden::complaints(&cases, &device, &reference));
    }
    Ok(())
}
