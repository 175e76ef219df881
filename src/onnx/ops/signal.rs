//! Windows, Fourier transforms and mel scales. Their tables follow from sizes alone, so they are computed while importing; a
//! transform is a product with a table.

use std::f64::consts::TAU;

use super::wide::{wide_input, wide_optional};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::onnx::tensor::proto_dtype;
use crate::tensor::{DType, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("BlackmanWindow", |node| window(node, &[0.42, -0.5, 0.08])),
    ("DFT", dft),
    ("HammingWindow", |node| window(node, &[25.0 / 46.0, -21.0 / 46.0])),
    ("HannWindow", |node| window(node, &[0.5, -0.5])),
    ("MelWeightMatrix", mel_weight_matrix),
    ("STFT", stft),
];

/// Elements of the tables.
const MOST_ELEMENTS: usize = 1 << 26;

fn output_type(node: &Node<'_>) -> Result<DType> {
    let number = i32::try_from(node.int("output_datatype", 1)?).unwrap_or_default();
    proto_dtype(number).map_err(|message| node.error(format!("output_datatype: {message}")))
}

/// An integer from 0 on in an input.
fn count(node: &Node<'_>, input: usize) -> Result<usize> {
    let count = node.host_int(input)?;
    usize::try_from(count)
        .ok()
        .filter(|&count| count <= MOST_ELEMENTS)
        .ok_or_else(|| node.error(format!("{count} is not from 0 to {MOST_ELEMENTS}")))
}

/// Σ coefficient · cos(2πk · n / N), with one less for N where it is symmetric.
fn window(node: &Node<'_>, coefficients: &[f64]) -> Result<Vec<Value>> {
    let size = count(node, 0)?;
    let period = if node.flag("periodic", true)? { size } else { size.saturating_sub(1).max(1) } as f64;
    let value = |index: usize| -> f64 {
        let terms = coefficients.iter().enumerate();
        terms.map(|(k, coefficient)| coefficient * (TAU * k as f64 * index as f64 / period).cos()).sum()
    };
    let values: Vec<f64> = (0..size).map(value).collect();
    let data = TensorData::from_f64(DType::F32, &values, [size])?;
    Ok(vec![Value::from(node.graph().constant(data).cast(output_type(node)?))])
}

/// What a transform does.
#[derive(Clone, Copy, Debug)]
struct Transform {
    length: usize,
    inverse: bool,
    onesided: bool,
}

impl Transform {
    /// Cosines and sines `[inputs, wanted]`, scaled.
    fn tables(self, node: &Node<'_>, dtype: DType, inputs: usize, wanted: usize) -> Result<[Tensor; 2]> {
        let Self { length, inverse, .. } = self;
        if inputs.saturating_mul(wanted) > MOST_ELEMENTS {
            return Err(node.error(format!("a transform of {inputs} to {wanted} elements takes too large a table")));
        }
        let scale = if inverse { 1.0 / length as f64 } else { 1.0 };
        let (mut cos, mut sin) = (Vec::with_capacity(inputs * wanted), Vec::with_capacity(inputs * wanted));
        for row in 0..inputs {
            for column in 0..wanted {
                let angle = TAU * ((row * column) % length) as f64 / length as f64;
                cos.push(angle.cos() * scale);
                sin.push(if inverse { angle.sin() } else { -angle.sin() } * scale);
            }
        }
        let constant = |values: &[f64]| -> Result<Tensor> {
            Ok(node.graph().constant(TensorData::from_f64(dtype, values, [inputs, wanted])?))
        };
        Ok([constant(&cos)?, constant(&sin)?])
    }

    /// Of the last axis of a real part and, where there is one, an imaginary one. Gives both parts, in f64 where the device has it:
    /// terms cancel in a transform, and what is left of their rounding is as large as what is asked for.
    fn run(self, node: &Node<'_>, real: &Tensor, imaginary: Option<&Tensor>) -> Result<[Tensor; 2]> {
        let (real, imaginary) = (real.cast(DType::F64), imaginary.map(|imaginary| imaginary.cast(DType::F64)));
        let (real, imaginary) = (&real, imaginary.as_ref());
        let own = real.shape().last().copied().unwrap_or(0);
        let half = self.length / 2 + 1;
        // What is longer than the transform is cut; what is shorter counts as if zeros followed.
        let inputs = own.min(if self.inverse && self.onesided { half } else { self.length });
        let cut = |x: &Tensor| x.slice(-1, 0, inputs);
        let wanted = if self.onesided && !self.inverse { half } else { self.length };
        let [cos, sin] = self.tables(node, real.dtype(), inputs, wanted)?;
        let (real, imaginary) = (cut(real), imaginary.map(cut));
        Ok(match imaginary {
            Some(imaginary) => [real.matmul(&cos) - imaginary.matmul(&sin), real.matmul(&sin) + imaginary.matmul(&cos)],
            None => [real.matmul(&cos), real.matmul(&sin)],
        })
    }

    /// The real signal of which `[…, n / 2 + 1]` is one half of the transform: the other half is its mirror, conjugated.
    fn mirrored(self, node: &Node<'_>, real: &Tensor, imaginary: &Tensor) -> Result<Tensor> {
        let (length, half) = (self.length, self.length / 2 + 1);
        let inputs = real.shape().last().copied().unwrap_or(0).min(half);
        let factors: Vec<f64> = (0..inputs).map(|k| if k == 0 || 2 * k == length { 1.0 } else { 2.0 }).collect();
        let factors = node.graph().constant(TensorData::from_f64(real.dtype(), &factors, [inputs])?);
        let twice = |x: &Tensor| x.slice(-1, 0, inputs) * &factors;
        let [signal, _] = self.run(node, &twice(real), Some(&twice(imaginary)))?;
        Ok(signal)
    }
}

fn dft(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let rank = x.rank();
    let axis = if node.opset() < 20 {
        node.int("axis", 1)?
    } else if node.has(2) {
        node.host_int(2)?
    } else {
        -2
    };
    let axis = node.axis(axis, rank)?;
    let parts = x.shape().last().copied().unwrap_or(0);
    if axis + 1 >= rank || !(1..=2).contains(&parts) {
        return Err(
            node.error(format!("takes [n, …, 1 or 2] and an axis before the last, not {} and {axis}", x.shape()))
        );
    }
    let (inverse, onesided) = (node.flag("inverse", false)?, node.flag("onesided", false)?);
    let own = x.shape().get(axis).copied().unwrap_or(0);
    let length = match node.has(1) {
        true => count(node, 1)?,
        false if inverse && onesided => 2 * own.saturating_sub(1),
        false => own,
    };
    if length == 0 || own == 0 {
        return Err(node.error("a transform of no elements"));
    }
    let transform = Transform { length, inverse, onesided };
    // The axis last, without that of the parts.
    let last = rank as isize - 2;
    let part = |index: usize| x.at(-1, index).transpose(axis as isize, last);
    let (real, imaginary) = (part(0), (parts == 2).then(|| part(1)));
    let found = if inverse && onesided {
        let imaginary = imaginary.unwrap_or_else(|| real.zeros_like());
        vec![transform.mirrored(node, &real, &imaginary)?]
    } else {
        transform.run(node, &real, imaginary.as_ref())?.to_vec()
    };
    node.check()?;
    let found: Vec<Tensor> = found.iter().map(|part| part.transpose(axis as isize, last)).collect();
    Ok(vec![node.graph().stack(&found.iter().collect::<Vec<_>>(), -1).cast(dtype).into()])
}

/// Transforms of windows that move over a signal: `[batch, length, 1 or 2]` to `[batch, frames, bins, 2]`.
fn stft(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let shape = x.shape();
    let (batch, own, parts) = match *shape.dims() {
        [batch, own] => (batch, own, 1),
        [batch, own, parts @ (1 | 2)] => (batch, own, parts),
        _ => return Err(node.error(format!("takes [batch, length, 1 or 2], not {shape}"))),
    };
    let step = count(node, 1)?;
    let window = wide_optional(node, 2)?;
    let length = match &window {
        _ if node.has(3) => count(node, 3)?,
        Some(window) => window.shape().len(),
        None => own,
    };
    if step == 0 || length == 0 || length > own {
        return Err(node.error(format!("frames of {length} by steps of {step} do not fit a signal of {own}")));
    }
    if window.as_ref().is_some_and(|window| window.shape().dims() != [length]) {
        return Err(node.error(format!("the window should have the {length} elements of a frame")));
    }
    let frames = 1 + (own - length) / step;
    if frames.saturating_mul(length) > MOST_ELEMENTS {
        return Err(node.error(format!("{frames} frames of {length} are too many")));
    }
    let positions: Vec<i32> =
        (0..frames).flat_map(|frame| (0..length).map(move |k| (frame * step + k) as i32)).collect();
    let positions = node.graph().constant(TensorData::from_vec(positions, [frames, length])?);
    let signal = x.reshape([batch, own, parts]);
    let part = |index: usize| {
        let framed = signal.at(2, index).take(1, &positions);
        if let Some(window) = &window { framed * window } else { framed }
    };
    let transform = Transform { length, inverse: false, onesided: node.flag("onesided", true)? };
    let found = transform.run(node, &part(0), (parts == 2).then(|| part(1)).as_ref())?;
    node.check()?;
    Ok(vec![node.graph().stack(&[&found[0], &found[1]], -1).cast(dtype).into()])
}

/// Triangles over the bins of a spectrum, whose corners are equally far apart on the mel scale.
fn mel_weight_matrix(node: &Node<'_>) -> Result<Vec<Value>> {
    let (bins, length) = (count(node, 0)?, count(node, 1)?);
    let (rate, low, high) = (node.host_float(2)?, node.host_float(3)?, node.host_float(4)?);
    let rows = length / 2 + 1;
    if bins.saturating_mul(rows) > MOST_ELEMENTS || !(rate > 0.0 && low >= 0.0 && high >= low) {
        return Err(node.error(format!("{bins} bins of {length} at {rate} Hz from {low} to {high} Hz make no matrix")));
    }
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let hertz = |mel: f64| 700.0 * (10_f64.powf(mel / 2595.0) - 1.0);
    let step = (mel(high) - mel(low)) / (bins + 2) as f64;
    let corner = |index: usize| ((length + 1) as f64 * hertz(index as f64 * step + mel(low)) / rate).floor() as usize;
    let mut weights = vec![0.0; rows * bins];
    for bin in 0..bins {
        let (left, middle, right) = (corner(bin), corner(bin + 1), corner(bin + 2));
        let mut set = |row: usize, weight: f64| match weights.get_mut(row * bins + bin) {
            Some(entry) if row < rows => {
                *entry = weight;
                Ok(())
            }
            _ => Err(node.error(format!("{high} Hz are beyond the spectrum at {rate} Hz"))),
        };
        if middle == left {
            set(middle, 1.0)?;
        }
        for row in left..=middle {
            if middle > left {
                set(row, (row - left) as f64 / (middle - left) as f64)?;
            }
        }
        for row in middle..right {
            set(row, (right - row) as f64 / (right - middle) as f64)?;
        }
    }
    let data = TensorData::from_f64(DType::F32, &weights, [rows, bins])?;
    Ok(vec![Value::from(node.graph().constant(data).cast(output_type(node)?))])
}
