//! Numbers below the smallest normal one, where something is divided by them. Their reciprocals are beyond the range, and a driver may take
//! them for 0: so they are lifted by a power of two first, which changes none of their bits, and the result is lowered again. Where a driver
//! took one for 0, the lifted one is 0, and no test says otherwise.

use crate::graph::Tensor;
use crate::tensor::DType;

/// A number as one to divide by: in the normal range, infinite, NaN or 0.
pub(crate) struct Lifted {
    /// The number; where it is subnormal, times [`factor`](Self::factor).
    pub(crate) value: Tensor,
    /// True where it was lifted, and where it is 0.
    pub(crate) is_small: Tensor,
    /// A power of four.
    pub(crate) factor: f64,
}

impl Lifted {
    /// The factor where the number was lifted, else 1.
    #[track_caller]
    pub(super) fn factors(&self) -> Tensor {
        self.is_small.select(self.value.filled_like(self.factor), 1.0)
    }
}

impl Tensor {
    /// Floats as numbers to divide by.
    #[track_caller]
    pub(crate) fn lifted(&self) -> Lifted {
        // By as many bits as the type's fraction has, or one more: the smallest subnormal number becomes a normal one.
        let (smallest_normal, bits) = match self.dtype() {
            DType::F16 => (2.0_f64.powi(-14), 10),
            DType::BF16 => (f64::from(f32::MIN_POSITIVE), 8),
            DType::F64 => (f64::MIN_POSITIVE, 52),
            _ => (f64::from(f32::MIN_POSITIVE), 24),
        };
        let factor = 2.0_f64.powi(bits);
        let is_small = self.abs().lt(smallest_normal);
        Lifted { value: is_small.select(self * factor, self), is_small, factor }
    }
}

/// What a subnormal factor and a zero add to the weights of a product. Three subnormal factors leave nothing, whatever the others are.
const SUBNORMAL: f64 = 1.0;
const ZERO: f64 = 3.0;

/// Factors of a product, of which each is to know the product of the others: that of all of them, divided by it.
pub(super) struct Factors {
    lifted: Lifted,
    /// The factors, lifted where they are subnormal, and 1 where they are 0: multiplied.
    pub(super) safe: Tensor,
    /// How often the product was lifted by a factor, or whether that is 0: added.
    pub(super) weight: Tensor,
    /// The factors that are 0, and 0 for the others, so that the product of the others has a slope there: added.
    pub(super) zero: Tensor,
}

impl Factors {
    #[track_caller]
    pub(super) fn of(x: &Tensor) -> Self {
        let lifted = x.lifted();
        let is_zero = lifted.value.eq(0.0);
        let subnormal = lifted.is_small.select(x.filled_like(SUBNORMAL), 0.0);
        Self {
            safe: is_zero.select(1.0, &lifted.value),
            weight: is_zero.select(ZERO, &subnormal),
            zero: is_zero.select(x, 0.0),
            lifted,
        }
    }

    /// The product of the others for each factor, where the product of all safe ones, and the sums of the others, are these.
    #[track_caller]
    pub(super) fn others(&self, product: &Tensor, weights: &Tensor, zeros: &Tensor) -> Tensor {
        let rest = product / &self.safe;
        let weights = weights - &self.weight;
        let lowered = |times: i32| &rest * self.lifted.factor.powi(-times);
        let at_one_zero = weights.eq(ZERO).select(&rest * &(zeros - &self.zero), 0.0);
        let at_two = weights.eq(2.0 * SUBNORMAL).select(lowered(2), at_one_zero);
        weights.eq(0.0).select(&rest, weights.eq(SUBNORMAL).select(lowered(1), at_two))
    }
}

#[cfg(test)]
mod tests {
    use super::DType;
    use crate::device::Device;
    use crate::error::Result;
    use crate::graph::{Graph, Tensor};
    use crate::ops::Combine;
    use crate::tensor::TensorData;

    /// The gradient of a scalar function of a vector.
    fn gradient(values: &[f64], dtype: DType, of: impl Fn(&Tensor) -> Tensor) -> Result<Vec<f64>> {
        let g = Graph::new();
        let x = g.input("x", [values.len()], dtype);
        g.output("gradient", &g.gradients(&of(&x), &[&x]).swap_remove(0));
        let x = TensorData::from_f64(dtype, values, [values.len()])?;
        Ok(g.compile(&Device::cpu())?.run(&[("x", &x)])?["gradient"].to_f64_vec())
    }

    /// The product of all, and the same by scattering all but the first onto the first.
    fn products() -> [fn(&Tensor) -> Tensor; 2] {
        [
            |x| x.product(..),
            |x| {
                let n = x.shape().len();
                let index = x.graph().scalar(DType::I32, 0.0).broadcast_to([n - 1]);
                x.slice(0, 0, 1).scatter(0, &index, &x.slice(0, 1, n), Combine::Product).sum(..)
            },
        ]
    }

    #[test]
    fn factors_know_the_product_of_the_others() -> Result<()> {
        // What PyTorch 2.15 gives for `prod`, which has fewer digits in between.
        let cases: [(&[f64], &[f64]); 8] = [
            (&[2.0, 3.0, 1e-40], &[3e-40, 2e-40, 6.0]),
            (&[1e30, 1e-40, 1e5], &[1e-35, 1e35, 1e-10]),
            (&[2.0, 1e-40, 0.0], &[0.0, 0.0, 2e-40]),
            (&[1e38, 1e-40, 3e-40], &[0.0, 3e-2, 1e-2]),
            (&[1e-40, 1e-40, 1e-40, 1e38], &[0.0; 4]),
            (&[2.0, 0.0, 0.0], &[0.0; 3]),
            (&[2.0, 0.0, 3.0], &[0.0, 6.0, 0.0]),
            (&[f64::INFINITY, 1e-40, 3.0], &[f64::NAN, f64::INFINITY, f64::INFINITY]),
        ];
        for product in products() {
            for (values, expected) in cases {
                let found = gradient(values, DType::F32, product)?;
                for (&found, &expected) in found.iter().zip(expected) {
                    // As far as a subnormal number has digits.
                    let near = (found - expected).abs() <= 1e-5 * expected.abs() + 3e-45;
                    assert!(
                        near || found == expected || found.is_nan() && expected.is_nan(),
                        "{values:?}: {found:e}, not {expected:e}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn each_type_has_its_own_subnormal_numbers() -> Result<()> {
        let cases = [(DType::F64, 1e-310, 1e-6), (DType::F16, 1e-6, 1e-2), (DType::BF16, 1e-39, 2e-2)];
        for (dtype, tiny, tolerance) in cases {
            let found = gradient(&[2.0, tiny, 3.0], dtype, |x| x.product(..))?;
            let stored = TensorData::from_f64(dtype, &[tiny], [])?.item()?;
            for (found, expected) in found.iter().zip([3.0 * stored, 6.0, 2.0 * stored]) {
                assert!((found / expected - 1.0).abs() < tolerance, "{dtype}: {found:e}, not {expected:e}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_product_has_second_slopes_at_zeros() -> Result<()> {
        for product in products() {
            for values in [[2.0, 5.0, 3.0], [2.0, 0.0, 3.0], [0.0, 0.0, 3.0]] {
                for row in 0..3 {
                    let slopes =
                        gradient(&values, DType::F64, |x| x.graph().gradients(&product(x), &[x])[0].at(0, row))?;
                    for (column, slope) in slopes.into_iter().enumerate() {
                        let expected = if row == column { 0.0 } else { values[3 - row - column] };
                        assert!((slope - expected).abs() < 1e-12, "{values:?} {row} {column}: {slope}");
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn norms_and_determinants_have_slopes_where_squares_and_pivots_are_subnormal() -> Result<()> {
        let norm = gradient(&[3e-21, 4e-21], DType::F32, |x| x.norm(..))?;
        assert!((norm[0] - 0.6).abs() < 1e-4 && (norm[1] - 0.8).abs() < 1e-4, "{norm:?}");
        let determinant = gradient(&[0.0, 2.0, 1e-40, 4.0], DType::F32, |x| x.reshape([2, 2]).determinant())?;
        assert_eq!(determinant[..2], [4.0, -f64::from(1e-40_f32)]);
        Ok(())
    }
}
