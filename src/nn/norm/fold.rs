//! Batch normalisation as part of the layer before it, for models that no longer train.

use crate::error::{Error, Result};
use crate::tensor::TensorData;

/// Weight and bias of a convolution or linear layer that does what it and the evaluation-mode batch normalisation after it did:
/// `w' = w·γ/√(σ² + ε)` for each output, `b' = (b − μ)·γ/√(σ² + ε) + β`.
///
/// The weight is `[out, …]`; everything else is `[out]`. What is missing is 0 (bias, β) or 1 (γ). It computes in f64, and returns
/// the weight's element type.
///
/// ```
/// use wgrad::nn::fold_batch_norm;
/// use wgrad::tensor::TensorData;
/// let weight = TensorData::from_vec(vec![1.0_f32, 2.0], [1, 2])?;
/// let one = |value: f32| TensorData::from_vec(vec![value], [1]);
/// let (weight, bias) = fold_batch_norm(&weight, None, &one(3.0)?, &one(4.0)?, None, Some(&one(1.0)?), 0.0)?;
/// assert_eq!(weight.to_f64_vec(), [0.5, 1.0]);
/// assert_eq!(bias.to_f64_vec(), [-0.5]); // (0 − 3) / √4 + 1
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Shapes that do not belong together; a variance that leaves nothing to divide by.
pub fn fold_batch_norm(
    weight: &TensorData,
    bias: Option<&TensorData>,
    running_mean: &TensorData,
    running_var: &TensorData,
    gamma: Option<&TensorData>,
    beta: Option<&TensorData>,
    eps: f64,
) -> Result<(TensorData, TensorData)> {
    let Some(&outputs) = weight.shape().first() else {
        return Err(Error::Argument("fold_batch_norm: the weight is a scalar, not [out, …]".into()));
    };
    let named = [
        ("bias", bias),
        ("running_mean", Some(running_mean)),
        ("running_var", Some(running_var)),
        ("gamma", gamma),
        ("beta", beta),
    ];
    for (name, data) in named {
        if let Some(data) = data.filter(|data| data.shape().dims() != [outputs]) {
            let message = format!(
                "fold_batch_norm: the weight {} has {outputs} outputs, but {name} is {}",
                weight.shape(),
                data.shape()
            );
            return Err(Error::Argument(message));
        }
    }
    let values = |data: Option<&TensorData>, missing: f64| match data {
        Some(data) => data.to_f64_vec(),
        None => vec![missing; outputs],
    };
    let variance = running_var.to_f64_vec();
    if let Some(wrong) = variance.iter().find(|&&variance| variance + eps <= 0.0 || !variance.is_finite()) {
        return Err(Error::Argument(format!(
            "fold_batch_norm: the variance {wrong} with eps {eps} has no square root"
        )));
    }
    let scale: Vec<f64> =
        values(gamma, 1.0).iter().zip(&variance).map(|(gamma, variance)| gamma / (variance + eps).sqrt()).collect();
    let rows = (weight.len() / outputs.max(1)).max(1);
    let numbers = weight.to_f64_vec();
    let folded: Vec<f64> = numbers
        .chunks(rows)
        .zip(&scale)
        .flat_map(|(row, scale)| row.iter().map(move |weight| weight * scale))
        .collect();
    let shifted: Vec<f64> = values(bias, 0.0)
        .iter()
        .zip(running_mean.to_f64_vec())
        .zip(scale.iter().zip(values(beta, 0.0)))
        .map(|((bias, mean), (scale, beta))| (bias - mean) * scale + beta)
        .collect();
    Ok((
        TensorData::from_f64(weight.dtype(), &folded, weight.shape().clone())?,
        TensorData::from_f64(weight.dtype(), &shifted, [outputs])?,
    ))
}
