//! Convolutions and pools.

use super::writer::{Writer, int, ints};
use crate::graph::{Node, ValueId};
use crate::ops::{Convolution, Direction, Pool, PoolAxis, PoolKind, Steps, WindowAxis};
use crate::tensor::{DType, TensorData};

/// Slices that a pool of unequal windows is made of, at most.
const MOST_SLICES: usize = 4096;

impl Writer<'_> {
    /// A convolution or a transposed one.
    ///
    /// # Errors
    /// The gradient of a weight.
    pub(super) fn convolution(
        &mut self,
        convolution: &Convolution,
        node: &Node,
        x: &str,
        weight: &str,
    ) -> Result<String, String> {
        let axes = &convolution.axes;
        let mut attributes = vec![
            ints("dilations", axes.iter().map(|axis| axis.dilation)),
            ints("strides", axes.iter().map(|axis| axis.stride)),
            ints("kernel_shape", axes.iter().map(|axis| axis.kernel)),
            int("group", convolution.groups as i64),
        ];
        match convolution.direction {
            Direction::Forward => {
                let low = axes.iter().map(|axis| axis.low);
                attributes.push(ints("pads", low.chain(axes.iter().map(|axis| axis.high))));
                Ok(self.add("Conv", &[x, weight], attributes))
            }
            Direction::Input => {
                let windows = self.input_type(node, 0).map_err(|error| error.to_string())?.shape;
                // How much of what all windows span is cut off behind the result, or lacks there.
                let rest = axes.iter().zip(&convolution.extents).enumerate().map(|(k, (axis, &extent))| {
                    let count = windows.get(k + 2).copied().unwrap_or(1) as i64;
                    (count - 1) * axis.stride as i64 + axis.span() as i64 - axis.low as i64 - extent as i64
                });
                let rest: Vec<i64> = rest.collect();
                let ends = rest.iter().map(|&rest| rest.max(0) as usize);
                attributes.push(ints("pads", axes.iter().map(|axis| axis.low).chain(ends)));
                let y = self.add("ConvTranspose", &[x, weight], attributes);
                if rest.iter().all(|&rest| rest >= 0) {
                    return Ok(y);
                }
                let high: Vec<usize> =
                    [0, 0].into_iter().chain(rest.iter().map(|&rest| (-rest).max(0) as usize)).collect();
                let dtype = node.outputs.first().map_or(DType::F32, |ty| ty.dtype);
                let zero = self.scalar(dtype, 0.0).map_err(|error| error.to_string())?;
                Ok(self.pad(&y, &vec![0; high.len()], &high, &zero))
            }
            Direction::Weight => Err("it only occurs in gradients, which are not exported".into()),
        }
    }

    /// The largest or the sum of each window, and the indices of the largest where they are read.
    ///
    /// # Errors
    /// Indices in windows for which ONNX does not return them; too many unequal windows.
    pub(super) fn pool(&mut self, pool: &Pool, index: usize, node: &Node, x: &str) -> Result<Vec<String>, String> {
        let ty = self.input_type(node, 0).map_err(|error| error.to_string())?;
        let indices = self.read.contains(&ValueId { node: index as u32, output: 1 });
        let regular: Option<Vec<WindowAxis>> = pool.axes.iter().map(closed).collect();
        let Some(windows) = regular else {
            if indices {
                return Err("its windows are of unequal widths, for which ONNX returns no indices".into());
            }
            return Ok(vec![self.unequal(pool, x)?]);
        };
        let reach = |axis: &WindowAxis| axis.low.max(axis.high);
        let lowest = if pool.kind == PoolKind::Max { f64::NEG_INFINITY } else { 0.0 };
        let value = self.scalar(ty.dtype, lowest).map_err(|error| error.to_string())?;
        let border = |writer: &mut Self| {
            let ends = |end: fn(&WindowAxis) -> usize| -> Vec<usize> {
                [0, 0].into_iter().chain(windows.iter().map(end)).collect()
            };
            let (low, high) = (ends(|axis| axis.low), ends(|axis| axis.high));
            if windows.iter().any(|axis| reach(axis) > 0) { writer.pad(x, &low, &high, &value) } else { x.to_owned() }
        };
        let mut attributes = vec![
            ints("kernel_shape", windows.iter().map(|axis| axis.kernel)),
            ints("strides", windows.iter().map(|axis| axis.stride)),
        ];
        if pool.kind == PoolKind::Sum {
            let padded = border(self);
            return Ok(vec![self.sums(&windows, attributes, &padded, &ty.shape, ty.dtype)?]);
        }
        attributes.push(ints("dilations", windows.iter().map(|axis| axis.dilation)));
        // A border is part of the operator where it is narrower than the windows.
        let narrow = windows.iter().all(|axis| reach(axis) < axis.kernel);
        if !narrow && indices {
            return Err("its padding is as wide as its windows, for which ONNX returns no indices".into());
        }
        let input = if narrow {
            let low = windows.iter().map(|axis| axis.low);
            attributes.push(ints("pads", low.chain(windows.iter().map(|axis| axis.high))));
            x.to_owned()
        } else {
            border(self)
        };
        let mut outputs = self.add_many("MaxPool", &[&input], &[true, indices], attributes);
        if let Some(found) = outputs.get_mut(1).filter(|name| !name.is_empty()) {
            // ONNX counts over the whole tensor, the engine within a plane.
            let plane: usize = pool.axes.iter().map(|axis| axis.extent).product();
            let plane = self.scalar(DType::I64, plane as f64).map_err(|error| error.to_string())?;
            let within = self.call("Mod", &[found, &plane]);
            *found = self.cast(&within, DType::I32);
        }
        Ok(outputs)
    }

    /// Sums of windows as means times their width; those of dilated ones by a convolution with ones.
    fn sums(
        &mut self,
        windows: &[WindowAxis],
        attributes: Vec<crate::onnx::proto::AttributeProto>,
        x: &str,
        shape: &[usize],
        dtype: DType,
    ) -> Result<String, String> {
        let count: usize = windows.iter().map(|axis| axis.kernel).product();
        let message = |error: crate::error::Error| error.to_string();
        if windows.iter().all(|axis| axis.dilation == 1) {
            let means = self.add("AveragePool", &[x], attributes);
            let count = self.scalar(dtype, count as f64).map_err(message)?;
            return Ok(self.call("Mul", &[&means, &count]));
        }
        let channels = shape.get(1).copied().unwrap_or(1);
        let dims: Vec<usize> = [channels, 1].into_iter().chain(windows.iter().map(|axis| axis.kernel)).collect();
        let ones = TensorData::from_f64(dtype, &vec![1.0; channels * count], dims).map_err(message)?;
        let ones = self.constant(&ones);
        let mut attributes = attributes;
        attributes.push(ints("dilations", windows.iter().map(|axis| axis.dilation)));
        attributes.push(int("group", channels as i64));
        Ok(self.add("Conv", &[x, &ones], attributes))
    }

    /// Windows of unequal widths, an axis after the other: a slice and a reduction for each.
    fn unequal(&mut self, pool: &Pool, x: &str) -> Result<String, String> {
        let count: usize = pool.axes.iter().map(|axis| axis.windows).sum();
        if count > MOST_SLICES
            || pool.axes.iter().any(|axis| closed(axis).is_some_and(|window| window.low + window.high > 0))
        {
            return Err(format!("{count} windows of unequal widths are more than can be written"));
        }
        let reduction = if pool.kind == PoolKind::Max { "ReduceMax" } else { "ReduceSum" };
        let mut value = x.to_owned();
        for (index, axis) in pool.axes.iter().enumerate() {
            let along = index + 2;
            let axes = self.list([along as i64]);
            let parts: Vec<String> = (0..axis.windows)
                .map(|window| {
                    let (start, end) = match axis.steps {
                        Steps::Regular(regular) => (window * regular.stride, window * regular.stride + regular.kernel),
                        Steps::Adaptive => {
                            (window * axis.extent / axis.windows, ((window + 1) * axis.extent).div_ceil(axis.windows))
                        }
                    };
                    let part = self.slice(&value, along, start as i64, end as i64);
                    self.call(reduction, &[&part, &axes])
                })
                .collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            value = self.add("Concat", &parts, [int("axis", along as i64)]);
        }
        Ok(value)
    }
}

/// Regular windows with an end border for which their number follows by division, as no mode of rounding is needed then.
fn closed(axis: &PoolAxis) -> Option<WindowAxis> {
    let Steps::Regular(window) = axis.steps else { return None };
    let reach = axis.windows.saturating_sub(1) * window.stride + window.span();
    Some(WindowAxis { high: reach.saturating_sub(axis.extent + window.low), ..window })
}
