//! `Precision::Auto`: a device decides.

use wgrad::compiler::Target;
use wgrad::data::Dataset;
use wgrad::loss::Mse;
use wgrad::prelude::*;

use super::support::devices::devices;

/// f16 where hardware computes in it, else bf16.
fn expected(device: &Device) -> Precision {
    match device.target() {
        Target::Gpu(adapter) if adapter.half_arithmetic && !adapter.is_software => Precision::F16,
        Target::Gpu(_) | Target::Cpu => Precision::BF16,
    }
}

#[test]
fn a_device_decides() {
    for device in devices() {
        assert_eq!(Precision::Auto.on(&device), expected(&device), "{device:?}");
        for precision in [Precision::F32, Precision::BF16, Precision::F16] {
            assert_eq!(precision.on(&device), precision);
        }
    }
}

#[test]
fn a_graph_knows_no_device() {
    let g = Graph::new();
    g.set_precision(Precision::Auto);
    let line = line!() - 1;
    let text = g.error().unwrap().to_string();
    assert!(text.contains("Precision::Auto.on(&device)") && text.contains(&format!("auto.rs:{line}")), "{text}");
    let g = Graph::new();
    let layer = nn::Dense::new(2).precision(Precision::Auto).build(&g, "fc", 3);
    let _ = layer.forward(&g.input("x", [1, 3], F32));
    let text = g.error().unwrap().to_string();
    assert!(text.starts_with("linear \"fc\"") && text.contains(".on(&device)"), "{text}");
}

fn data() -> Dataset {
    let x = TensorData::from_f64(F32, &super::numbers(1, 64 * 4), [64, 4]).unwrap();
    let y = TensorData::from_f64(F32, &super::numbers(2, 64), [64, 1]).unwrap();
    Dataset::new([("x", x), ("y", y)]).unwrap()
}

fn trained(device: &Device, precision: Precision) -> Trainer {
    let model = Sequential::new([4]).dense(16).relu().dense(1);
    let mut trainer = model.compile(device, Adam::new(1e-2), Mse, []).unwrap().precision(precision).seed(1);
    trainer.fit(&data(), Fit::epochs(2).batch_size(16)).unwrap();
    trainer
}

/// With f16, and only with it, a trainer scales the loss by itself.
#[test]
fn f16_has_a_loss_scale() {
    for device in devices() {
        for precision in [Precision::Auto, Precision::F32, Precision::BF16, Precision::F16] {
            let trainer = trained(&device, precision);
            let has_scale = trainer.session().unwrap().parameter("loss_scale").is_ok();
            assert_eq!(has_scale, precision.on(&device) == Precision::F16, "{precision:?} on {device:?}");
        }
        let model = Sequential::new([4]).dense(1);
        let trainer = model.compile(&device, Adam::new(1e-2), Mse, []).unwrap().precision(Precision::F16);
        let mut trainer = trainer.loss_scale(2.0);
        trainer.fit(&data(), Fit::epochs(1).batch_size(16)).unwrap();
        assert!(trainer.session().unwrap().parameter("loss_scale").is_err());
    }
}

/// Parameters are f32, and so is what the model says in the end: numbers that 16 bits do not hold.
#[test]
fn parameters_and_predictions_are_f32() {
    let is_narrow = |value: &f64| (*value as f32).to_bits() & 0xffff == 0;
    for device in devices() {
        let mut trainer = trained(&device, Precision::BF16);
        let weight = trainer.session().unwrap().parameter("0.weight").unwrap();
        assert_eq!(weight.dtype(), F32);
        assert!(!weight.to_f64_vec().iter().all(is_narrow));
        let predicted = trainer.predict(&data()).unwrap().to_f64_vec();
        assert!(!predicted.iter().all(is_narrow), "{predicted:?}");
    }
}
