//! Determinants by Gaussian elimination with pivots, composed of gathers and products: each row's elimination is a few kernels over
//! all matrices. The gradient follows from that.

use crate::graph::Tensor;

/// Rows of the largest matrix: each costs nodes of the graph.
const MOST_ROWS: usize = 256;

impl Tensor {
    /// The determinant of each matrix: `[…, n, n]` to `[…]`.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [2, 2], F32);
    /// g.output("y", &x.determinant());
    /// let x = TensorData::from_vec(vec![0.0_f32, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[("x", &x)])?["y"].item()?, -6.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn determinant(&self) -> Self {
        let shape = self.shape();
        let (batch, matrix) = shape.split_at(shape.rank().saturating_sub(2));
        let (&[n, columns], true) = (matrix, self.dtype().is_float()) else {
            return self.graph().mistake("determinant", format!("wants matrices of floats, not {}", self.ty()));
        };
        if n != columns || n > MOST_ROWS {
            let message = format!("wants matrices of as many rows as columns, at most {MOST_ROWS}, not {shape}");
            return self.graph().mistake("determinant", message);
        }
        let count: usize = batch.iter().product();
        let mut value = self.graph().scalar(self.dtype(), 1.0).broadcast_to([count]);
        let mut rest = self.reshape([count, n, n]);
        for m in (1..=n).rev() {
            // The row whose first element is the largest is swapped with the first one.
            let row = rest.slice(2, 0, 1).abs().argmax(1).reshape([count, 1, 1]);
            let pivots = rest.gather(1, &row.broadcast_to([count, 1, m]));
            let pivot = pivots.slice(2, 0, 1);
            let sign = row.eq(0).select(pivot.ones_like(), -pivot.ones_like());
            value = value * (&pivot * sign).reshape([count]);
            if m == 1 || self.graph().error().is_some() {
                break;
            }
            let chosen = self.graph().coordinate([count, m, 1], 1).eq(&row);
            let lower = chosen.select(rest.slice(1, 0, 1), &rest).slice(1, 1, m);
            let lifted = pivot.lifted();
            let divisor = lifted.value.eq(0.0).select(1.0, &lifted.value);
            let factors = lower.slice(2, 0, 1) * lifted.factors() / divisor;
            rest = lower.slice(2, 1, m) - factors * pivots.slice(2, 1, m);
        }
        value.reshape(batch)
    }
}

#[cfg(test)]
mod tests {
    use crate::device::Device;
    use crate::graph::Graph;
    use crate::tensor::{DType, TensorData};

    fn run(values: &[f64], shape: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let g = Graph::new();
        let x = g.input("x", shape, DType::F64);
        let y = x.determinant();
        g.output("y", &y);
        g.output("gradient", &g.gradients(&y, &[&x]).swap_remove(0));
        let x = TensorData::from_slice(values, shape).unwrap();
        let run = g.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap();
        (run["y"].to_f64_vec(), run["gradient"].to_f64_vec())
    }

    #[test]
    fn batches_of_matrices_have_theirs() {
        let matrices = [0.0, 1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 4.0];
        let (y, gradient) = run(&matrices, &[2, 3, 3]);
        assert!((y[0] - 56.0).abs() < 1e-12 && (y[1] - 24.0).abs() < 1e-12, "{y:?}");
        // The cofactors.
        let expected =
            [-24.0, 20.0, 18.0, 12.0, -10.0, 5.0, 4.0, 6.0, -3.0, 12.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 6.0];
        for (found, expected) in gradient.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{gradient:?}");
        }
    }

    #[test]
    fn singular_ones_are_zero() {
        assert_eq!(run(&[1.0, 2.0, 2.0, 4.0], &[2, 2]), (vec![0.0], vec![4.0, -2.0, -2.0, 1.0]));
        assert_eq!(run(&[0.0, 0.0, 0.0, 0.0], &[2, 2]).0, [0.0]);
        assert_eq!(run(&[], &[0, 0]).0, [1.0]);
    }

    #[test]
    fn other_shapes_are_refused() {
        let g = Graph::new();
        let _ = g.input("x", [2, 3], DType::F32).determinant();
        let message = g.error().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("as many rows as columns"), "{message}");
    }
}
