//! A run in mixed precision that is resumed ends with the same bits, skipped steps among its own included.

use std::path::Path;

use wgrad::data::Dataset;
use wgrad::optim::LossScale;
use wgrad::prelude::*;

use super::support::devices::devices;

fn data() -> Dataset {
    let x = TensorData::from_f64(F32, &super::numbers(1, 48 * 6), [48, 6]).unwrap();
    let y = TensorData::from_vec((0..48).map(|k| k % 3).collect::<Vec<i32>>(), [48]).unwrap();
    Dataset::new([("x", x), ("y", y)]).unwrap()
}

fn run(device: &Device, precision: Precision, epochs: u64, directory: Option<&Path>) -> Vec<(String, TensorData)> {
    let model = Sequential::new([6]).dense(16).batch_norm().relu().dropout(0.2).dense(3);
    let mut trainer = model.compile(device, Adam::new(0.01), CrossEntropy, []).unwrap().precision(precision).seed(4);
    if precision == Precision::F16 {
        let initial = 2.0_f64.powi(127);
        trainer =
            trainer.loss_scale(LossScale::Dynamic { initial, growth: 4.0, backoff: 2.0_f64.powi(-60), interval: 5 });
    }
    let mut fit = Fit::epochs(epochs).batch_size(8);
    if let Some(directory) = directory {
        fit = fit.checkpoints(Checkpoints::new(directory).resume(true));
    }
    trainer.fit(&data(), fit).unwrap();
    let session = trainer.session().unwrap();
    if precision == Precision::F16 {
        assert!(session.parameter("loss_scale.skipped").unwrap().item().unwrap() >= 1.0);
    }
    let saved = session.variables().iter().filter(|variable| !matches!(variable.role, wgrad::ops::Role::Data));
    saved.map(|variable| (variable.name.clone(), session.parameter(&variable.name).unwrap())).collect()
}

#[test]
fn a_run_in_parts_is_the_same_as_one() {
    for device in devices() {
        for precision in [Precision::Auto, Precision::BF16, Precision::F16] {
            let directory = tempfile::tempdir().unwrap();
            let whole = run(&device, precision, 4, None);
            run(&device, precision, 2, Some(directory.path()));
            let parts = run(&device, precision, 4, Some(directory.path()));
            assert_eq!(parts, whole, "{precision:?} on {device:?}");
        }
    }
}
