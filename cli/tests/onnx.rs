//! `wgrad grad` and `wgrad fit` on the CNN of the library's example.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::path::{Path, PathBuf};

use support::{events, fail, of_kind, text};
use wgrad::prelude::*;
use wgrad::safetensors::{read, write};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/digits_cnn.onnx")
}

fn images(count: usize, level: f64) -> TensorData {
    let values: Vec<f64> = (0..count * 64).map(|index| level * (index % 7) as f64 / 7.0).collect();
    TensorData::from_f64(F32, &values, [count, 1, 8, 8]).unwrap()
}

#[test]
fn gradients_of_every_float() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(at("in"), &[("image".into(), images(2, 1.0))], &[]).unwrap();
    write(at("up"), &[("logits".into(), TensorData::from_f64(F32, &[1.0; 20], [2, 10]).unwrap())], &[]).unwrap();
    let (model, inputs, upstream, outputs) = (model(), at("in"), at("up"), at("out"));
    let arguments =
        ["grad", text(&model), "--inputs", text(&inputs), "--upstream", text(&upstream), "--outputs", text(&outputs)];
    let events = events(&arguments);
    let done = of_kind(&events, "grad");
    assert!(done.len() == 1 && done[0]["ok"] == true && done[0]["name"] == "digits_cnn", "{done:?}");
    let found = read(&outputs).unwrap().0;
    assert_eq!(found["grad.image"].shape().dims(), [2, 1, 8, 8]);
    // Each logit of both examples has a slope of 1 in its bias.
    assert_eq!(found["grad.fc2.bias"].to_f64_vec(), [2.0; 10]);
    assert_eq!(found.len(), 9);

    write(at("up"), &[("scores".into(), TensorData::zeros(F32, [2, 10]))], &[]).unwrap();
    assert!(fail(&arguments).contains("\"scores\" is no output of the model; there are [\"logits\"]"));
    write(at("up"), &[("logits".into(), TensorData::zeros(F32, [10]))], &[]).unwrap();
    assert!(fail(&arguments).contains("f32[10], but the output is f32[2, 10]"));
}

#[test]
fn batches_may_differ_in_shape() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (number, count) in [(0, 3), (1, 2)] {
        let labels = TensorData::from_vec((0..count).collect::<Vec<i32>>(), [count as usize]).unwrap();
        let batch = [("image".to_owned(), images(count as usize, 0.5)), ("target".to_owned(), labels)];
        write(at(&format!("{number}.safetensors")), &batch, &[]).unwrap();
    }
    let (model, outputs) = (model(), at("out"));
    let start = ["fit", text(&model), "--batches", text(folder.path()), "--outputs", text(&outputs)];
    let with = |loss: &str, optimizer: &str, steps: &str| {
        let rest = ["--loss", loss, "--optimizer", optimizer, "--steps", steps, "--freeze", "conv1.weight"];
        start.iter().copied().chain(rest).map(str::to_owned).collect::<Vec<String>>()
    };
    let good = with("cross_entropy", r#"{"name":"adam","lr":0.01}"#, "40");
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    assert!(of_kind(&events(&good), "fit")[0]["ok"] == true);
    let found = read(&outputs).unwrap().0;
    let losses = found["loss"].to_f64_vec();
    assert!(losses.len() == 40 && losses[39] < 0.5 * losses[1], "{losses:?}");
    assert_eq!(found.len(), 9);
    for (loss, optimizer, steps, expected) in [
        ("crossentropy", r#"{"name":"sgd"}"#, "1", "there is no loss \"crossentropy\"; there are mse"),
        ("mse", r#"{"name":"sgd","rate":1}"#, "1", "has no \"rate\""),
        ("mse", r#"{"name":"sgd"}"#, "1", "0.safetensors: mse: the prediction is [3, 10], the target [3]"),
        ("mse", r#"{"name":"sgd"}"#, "0", "from 1 on"),
    ] {
        let arguments = with(loss, optimizer, steps);
        let message = fail(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(message.contains(expected), "{message}");
    }
    let labels = TensorData::from_vec(vec![0_i32, 1, 10], [3]).unwrap();
    write(at("0.safetensors"), &[("image".into(), images(3, 0.5)), ("target".into(), labels)], &[]).unwrap();
    assert!(fail(&good).contains("label 10 of example 2 is out of range: with 10 classes, labels are 0 to 9"));
    write(at("0.safetensors"), &[("image".into(), images(3, 0.5))], &[]).unwrap();
    assert!(fail(&good).contains("has no tensor \"target\""));
    std::fs::remove_file(at("0.safetensors")).unwrap();
    assert!(fail(&good).contains("there is no 0.safetensors"));
}

/// Losses of twelve steps with batches of three and two alternately, as PyTorch has them in f64.
#[test]
fn optimizers_clipping_and_schedules_follow_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (number, count) in [(0, 3), (1, 2)] {
        let labels = TensorData::from_vec((0..count).collect::<Vec<i32>>(), [count as usize]).unwrap();
        let batch = [("image".to_owned(), images(count as usize, 0.5)), ("target".to_owned(), labels)];
        write(at(&format!("{number}.safetensors")), &batch, &[]).unwrap();
    }
    let (model, outputs) = (model(), at("out"));
    let cases: [(&str, [f64; 12]); 8] = [
        (
            r#"{"name":"adamax","lr":0.01}"#,
            [
                4.135441, 5.687318, 2.657428, 1.973187, 0.6588155, 0.64022, 0.6995885, 0.6837051, 0.8185059, 0.5890057,
                0.7692697, 0.4336909,
            ],
        ),
        (
            r#"{"name":"radam","lr":0.01,"betas":[0.8,0.9]}"#,
            [
                4.135441, 4.935828, 2.716409, 1.854824, 2.397672, 2.208507, 1.618035, 1.071793, 0.6724002, 1.020567,
                0.6766005, 0.6476873,
            ],
        ),
        (
            r#"{"name":"rprop","lr":0.0001}"#,
            [
                4.135441, 3.750043, 3.940221, 3.55568, 3.681189, 3.289621, 3.339398, 2.945445, 2.911871, 2.532256,
                2.413152, 2.09928,
            ],
        ),
        (
            r#"{"name":"sgd","lr":0.1,"momentum":0.9,"clip_grad_norm":0.5}"#,
            [
                4.135441, 3.124193, 2.013349, 2.996832, 1.890405, 1.769792, 1.751489, 1.669909, 1.504565, 1.342886,
                1.349546, 0.7774842,
            ],
        ),
        (
            r#"{"name":"sgd","lr":0.1,"clip_grad_value":0.01}"#,
            [
                4.135441, 3.214391, 2.744651, 2.202007, 1.885176, 1.66239, 1.431571, 1.32444, 1.167858, 1.089662,
                0.9908867, 0.929633,
            ],
        ),
        (
            r#"{"name":"adam","lr":0.01,"lr_scheduler":{"name":"StepLR","step_size":3,"gamma":0.5}}"#,
            [
                4.135441, 5.687318, 2.474994, 1.304981, 0.6185491, 0.6565288, 0.6204521, 0.6373777, 0.6488845,
                0.5788512, 0.6211267, 0.5271479,
            ],
        ),
        (
            r#"{"name":"sgd","lr":0.1,"lr_scheduler":{"name":"OneCycleLR","max_lr":0.2,"total_steps":13,"cycle_momentum":false}}"#,
            [
                4.135441, 3.991878, 26.81651, 2.463932, 1.815727, 0.924676, 3.379679, 2.15257, 2.168654, 2.079127,
                2.118653, 2.043977,
            ],
        ),
        (
            r#"{"name":"sgd","lr":0.2,"lr_scheduler":{"name":"ReduceLROnPlateau","patience":0,"factor":0.5,"threshold":0.2}}"#,
            [
                4.135441, 52.62273, 12.1297, 3.346521, 2.243978, 2.218854, 2.23017, 2.204792, 2.2246, 2.201297,
                2.223214, 2.200425,
            ],
        ),
    ];
    for (optimizer, expected) in &cases {
        let arguments = [
            "fit",
            text(&model),
            "--batches",
            text(folder.path()),
            "--outputs",
            text(&outputs),
            "--loss",
            "cross_entropy",
            "--optimizer",
            optimizer,
            "--steps",
            "12",
        ];
        assert!(of_kind(&events(&arguments), "fit")[0]["ok"] == true);
        let losses = read(&outputs).unwrap().0["loss"].to_f64_vec();
        let close = |(found, right): (&f64, &f64)| (found - right).abs() <= 1e-4 * right;
        assert!(losses.len() == 12 && losses.iter().zip(expected).all(close), "{optimizer}: {losses:?}");
    }
}
