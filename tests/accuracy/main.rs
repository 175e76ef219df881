//! Scalar functions over their whole domain: every exponent of f32, both signs, several mantissas, infinities, zeros, subnormals and NaN, on
//! every device, against f64.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]
#![allow(
    clippy::eq_op,
    clippy::approx_constant,
    reason = "that x − x is computed is what is tested; values are PyTorch's"
)]

mod cases;
mod kinks;
mod rules;
mod specials;
#[path = "../support/mod.rs"]
mod support;
mod walk;

use wgrad::prelude::*;

/// A vector of f32.
pub fn vector(values: &[f32]) -> TensorData {
    TensorData::from_slice(values, [values.len()]).unwrap()
}

/// Equal, or both no number.
pub fn same(a: f32, b: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// The values of `build`'s outputs for vectors of f32, on a device.
pub fn evaluate(device: &Device, inputs: &[&[f32]], build: impl Fn(&[Tensor]) -> Vec<Tensor>) -> Vec<Vec<f32>> {
    let g = Graph::new();
    let names: Vec<String> = (0..inputs.len()).map(|index| format!("x{index}")).collect();
    let tensors: Vec<Tensor> = names.iter().zip(inputs).map(|(name, data)| g.input(name, [data.len()], F32)).collect();
    let outputs = build(&tensors);
    for (index, output) in outputs.iter().enumerate() {
        g.output(&format!("y{index}"), &output.cast(F32));
    }
    let mut session = g.compile(device).unwrap();
    let data: Vec<TensorData> = inputs.iter().map(|values| vector(values)).collect();
    // What no output depends on is no input of the program.
    let needed: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
    let given: Vec<(&str, &TensorData)> = names
        .iter()
        .map(String::as_str)
        .zip(&data)
        .filter(|(name, _)| needed.iter().any(|port| port == name))
        .collect();
    let found = session.run(&given).unwrap();
    (0..outputs.len()).map(|index| found[&format!("y{index}")].to_vec().unwrap()).collect()
}
