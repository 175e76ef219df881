//! Tensors from numbers.

use crate::graph::{Graph, Tensor};
use crate::tensor::{DType, Shape};

impl Graph {
    /// A tensor with one value everywhere. It takes no memory.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// g.output("x", &g.full([2, 2], F32, 0.5));
    /// g.output("points", &g.linspace(0.0, 1.0, 5));
    /// let run = g.compile(&Device::cpu())?.run(&[])?;
    /// assert_eq!(run["x"].to_f64_vec(), [0.5; 4]);
    /// assert_eq!(run["points"].to_f64_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn full(&self, shape: impl Into<Shape>, dtype: DType, value: f64) -> Tensor {
        self.scalar(dtype, value).broadcast_to(shape)
    }

    /// Zeros.
    #[track_caller]
    pub fn zeros(&self, shape: impl Into<Shape>, dtype: DType) -> Tensor {
        self.full(shape, dtype, 0.0)
    }

    /// Ones.
    #[track_caller]
    pub fn ones(&self, shape: impl Into<Shape>, dtype: DType) -> Tensor {
        self.full(shape, dtype, 1.0)
    }

    /// `n` f32 numbers at equal distances from `start` to `end`, both of which are among them (one number is `start`).
    #[track_caller]
    pub fn linspace(&self, start: f64, end: f64, n: usize) -> Tensor {
        let step = (end - start) / (n.max(2) - 1) as f64;
        let index = self.arange(n);
        let from_start = index.cast(DType::F32) * step + start;
        // The end itself, not what rounding makes of it.
        let last = index.eq(n as i64 - 1);
        if n > 1 { last.select(self.scalar(DType::F32, end), from_start) } else { from_start }
    }
}
