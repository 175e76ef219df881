//! Convolutions of integers, exact on every device: windows are gathered by computed indices and multiplied as a matrix is. They
//! come with quantised models, and are composed of other operators, since nothing trains through them.

use super::Convolution;
use crate::graph::Tensor;
use crate::tensor::{DType, Shape};

impl Convolution {
    /// The result for an input and a weight of one integer type, which the convolution's own rule has checked.
    #[track_caller]
    pub(super) fn of_integers(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        let graph = x.graph();
        let result = match self.result(&x.shape(), &weight.shape()) {
            Ok(result) => result,
            Err(message) => return graph.mistake("convolution", message),
        };
        if x.dtype() != weight.dtype() || matches!(x.dtype(), DType::Bool | DType::U8) {
            let message =
                format!("wants numbers of one type to compute with, not {} and {}", x.dtype(), weight.dtype());
            return graph.mistake("convolution", message);
        }
        let ends = |end: fn(&super::WindowAxis) -> usize| -> Vec<usize> {
            [0, 0].into_iter().chain(self.axes.iter().map(end)).collect()
        };
        let padded = x.pad(&ends(|axis| axis.low), &ends(|axis| axis.high), 0.0);
        let extents = padded.shape();
        if graph.error().is_some() {
            return padded;
        }
        let strides = extents.strides();
        // For each tap of the kernel and each window, the index of the element.
        let windows = Shape::from(&result[2..]);
        let kernel = Shape::from(self.kernel());
        let count = self.axes.len();
        let both: Shape = kernel.iter().chain(windows.iter()).copied().collect();
        let mut indices = graph.scalar(DType::I32, 0.0).broadcast_to(&both);
        for (axis, window) in self.axes.iter().enumerate() {
            let stride = strides[2 + axis] as f64;
            let inside = graph.coordinate(&both, axis) * (window.dilation as f64 * stride);
            indices = indices + inside + graph.coordinate(&both, count + axis) * (window.stride as f64 * stride);
        }
        let flat = padded.reshape([extents[0], extents[1], extents[2..].iter().product()]);
        let inner = weight.shape()[1..].iter().product::<usize>();
        let columns = flat.take(2, &indices).reshape([extents[0], self.groups, inner, windows.len()]);
        let rows = weight.reshape([1, self.groups, weight.shape()[0] / self.groups.max(1), inner]);
        rows.matmul(&columns).reshape(result)
    }
}
