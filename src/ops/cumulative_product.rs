//! Running products along an axis, composed of shifts and products: after k rounds each element is the product of the 2ᵏ before it.
//! The gradient follows from that, right where elements are zero, too.

use super::cumulative_sum::Running;
use crate::graph::Tensor;

impl Tensor {
    /// The running product along an axis, or as [`Running`] says.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [4], F32);
    /// g.output("y", &x.cumulative_product(0));
    /// let x = TensorData::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0], [4])?;
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &x)])?;
    /// assert_eq!(run["y"].to_f64_vec(), [1.0, 2.0, 6.0, 24.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    #[doc(alias = "cumprod")]
    pub fn cumulative_product(&self, running: impl Into<Running>) -> Self {
        let Running { axis, reverse, exclusive } = running.into();
        let Some(resolved) = self.resolve_axis("cumulative_product", axis) else { return self.clone() };
        let extent = self.shape()[resolved];
        let mut product = if exclusive { self.shifted(resolved, 1.min(extent), reverse) } else { self.clone() };
        let mut distance = 1;
        while distance < extent && self.graph().error().is_none() {
            product = &product * product.shifted(resolved, distance, reverse);
            distance *= 2;
        }
        product
    }

    /// Moved along an axis (towards the front where `reverse`), with ones where it leaves a gap.
    #[track_caller]
    fn shifted(&self, axis: usize, distance: usize, reverse: bool) -> Self {
        let shape = self.shape();
        let (mut near, far) = (vec![0; shape.rank()], vec![0; shape.rank()]);
        near[axis] = distance;
        let (start, end) = if reverse { (distance, shape[axis]) } else { (0, shape[axis] - distance) };
        let remaining = self.slice(axis as isize, start, end);
        let (low, high) = if reverse { (far, near) } else { (near, far) };
        remaining.pad(&low, &high, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Running;
    use crate::device::Device;
    use crate::graph::Graph;
    use crate::tensor::{DType, TensorData};

    fn run(values: &[f64], reverse: bool, exclusive: bool) -> (Vec<f64>, Vec<f64>) {
        let g = Graph::new();
        let x = g.input("x", [values.len()], DType::F64);
        let y = x.cumulative_product(Running { axis: 0, reverse, exclusive });
        let gradient = g.gradients(&y, &[&x]).swap_remove(0);
        g.output("y", &y);
        g.output("gradient", &gradient);
        let x = TensorData::from_slice(values, [values.len()]).unwrap();
        let run = g.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap();
        (run["y"].to_f64_vec(), run["gradient"].to_f64_vec())
    }

    #[test]
    fn products_run_in_both_directions() {
        assert_eq!(run(&[1.0, 2.0, 3.0, 4.0, 5.0], false, false).0, [1.0, 2.0, 6.0, 24.0, 120.0]);
        assert_eq!(run(&[1.0, 2.0, 3.0], false, true).0, [1.0, 1.0, 2.0]);
        assert_eq!(run(&[1.0, 2.0, 3.0], true, false).0, [6.0, 6.0, 3.0]);
        assert_eq!(run(&[1.0, 2.0, 3.0], true, true).0, [6.0, 3.0, 1.0]);
        assert_eq!(run(&[7.0], false, true).0, [1.0]);
        assert!(run(&[], false, true).0.is_empty());
    }

    #[test]
    fn zeros_have_gradients() {
        // y = a, ab, abc: at a = 2, b = 0, c = 3 the slopes are 1 + b + bc, a + ac and ab.
        assert_eq!(run(&[2.0, 0.0, 3.0], false, false).1, [1.0, 8.0, 0.0]);
    }
}
