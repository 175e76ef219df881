//! Losses and their gradients as PyTorch computes them: `tests/golden/loss.json`.

mod support;

use support::devices::devices;
use support::golden::{self, Case};
use wgrad::loss::*;
use wgrad::prelude::*;

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

/// A label that is no class, and is not to be ignored, is not silently without loss.
#[test]
fn a_label_that_is_no_class_makes_the_loss_not_a_number() {
    let ignoring = CrossEntropyOptions { ignore_index: Some(-1), ..Default::default() };
    for device in devices() {
        for (options, labels, is_number) in [
            (CrossEntropyOptions::default(), [0, 3], true),
            (CrossEntropyOptions::default(), [0, 4], false),
            (CrossEntropyOptions::default(), [-1, 3], false),
            (ignoring.clone(), [-1, 3], true),
            (ignoring.clone(), [-1, 9], false),
        ] {
            let g = Graph::new();
            let (x, y) = (g.input("x", [2, 4], F32), g.input("y", [2], I32));
            g.output("loss", &x.cross_entropy_with(&y, &options));
            let mut session = g.compile(&device).unwrap();
            let y = TensorData::from_vec(labels.to_vec(), [2]).unwrap();
            let outputs = session.run(&[("x", &TensorData::zeros(F32, [2, 4])), ("y", &y)]).unwrap();
            let loss = outputs["loss"].to_f64_vec()[0];
            assert_eq!(!loss.is_nan(), is_number, "{device:?} {labels:?} {options:?}: {loss}");
            assert!(!is_number || (loss - 4.0_f64.ln()).abs() < 1e-6, "{loss}");
        }
    }
}
