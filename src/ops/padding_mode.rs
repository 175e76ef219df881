//! Borders that come from the tensor itself: reflected, repeated or wrapped around from the other end.

use crate::graph::Tensor;

/// What is beyond the edges of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The elements within, mirrored at the outermost one, which is not repeated: `c b | a b c | b a`.
    Reflect,
    /// The outermost element: `a a | a b c | c c`.
    Replicate,
    /// The elements from the other end: `b c | a b c | a b`.
    Circular,
}

impl Tensor {
    /// With a border as the mode says: `low[k]` elements before and `high[k]` after axis k. PyTorch's `pad`, whose widths begin with the
    /// last axis. See [`pad`](Self::pad) for a border of any one value.
    ///
    /// ```
    /// use wgrad::ops::PaddingMode;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [3], F32);
    /// g.output("y", &x.pad_with(&[2], &[1], PaddingMode::Reflect));
    /// let x = TensorData::from_vec(vec![1.0_f32, 2.0, 3.0], [3])?;
    /// let y = g.compile(&Device::cpu())?.run(&[("x", &x)])?["y"].to_f64_vec();
    /// assert_eq!(y, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn pad_with(&self, low: &[usize], high: &[usize], mode: PaddingMode) -> Self {
        let shape = self.shape();
        if mode == PaddingMode::Zeros || self.graph().error().is_some() {
            return self.pad(low, high, 0.0);
        }
        if [low.len(), high.len()] != [shape.rank(); 2] {
            let message = format!("wants a low and a high width for each axis of shape {shape}");
            return self.graph().mistake("pad", message);
        }
        let mut padded = self.clone();
        for axis in 0..shape.rank() {
            let (extent, low, high) = (shape[axis], low[axis], high[axis]);
            let most = match mode {
                PaddingMode::Reflect => extent.saturating_sub(1),
                PaddingMode::Circular => extent,
                PaddingMode::Zeros | PaddingMode::Replicate if extent > 0 => usize::MAX,
                PaddingMode::Zeros | PaddingMode::Replicate => 0,
            };
            if low.max(high) > most {
                let message =
                    format!("{mode:?} padding of {low} + {high} is too much for {extent} elements along axis {axis}");
                return self.graph().mistake("pad", message);
            }
            padded = padded.pad_axis(axis as isize, extent, [low, high], mode);
        }
        padded
    }

    #[track_caller]
    fn pad_axis(&self, axis: isize, extent: usize, [low, high]: [usize; 2], mode: PaddingMode) -> Self {
        let part = |start: usize, end: usize| match mode {
            PaddingMode::Reflect => self.slice(axis, start, end).flip(&[axis]),
            _ => self.slice(axis, start, end),
        };
        let repeated = |index: usize, count: usize| {
            let mut shape = self.shape().to_vec();
            shape[axis as usize] = count;
            self.slice(axis, index, index + 1).broadcast_to(shape)
        };
        let mut parts = Vec::new();
        if low > 0 {
            parts.push(match mode {
                PaddingMode::Reflect => part(1, low + 1),
                PaddingMode::Circular => part(extent - low, extent),
                PaddingMode::Replicate | PaddingMode::Zeros => repeated(0, low),
            });
        }
        parts.push(self.clone());
        if high > 0 {
            parts.push(match mode {
                PaddingMode::Reflect => part(extent - 1 - high, extent - 1),
                PaddingMode::Circular => part(0, high),
                PaddingMode::Replicate | PaddingMode::Zeros => repeated(extent - 1, high),
            });
        }
        if parts.len() == 1 {
            return self.clone();
        }
        self.graph().concat(&parts.iter().collect::<Vec<_>>(), axis)
    }
}
