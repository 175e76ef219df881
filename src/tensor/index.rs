//! Indices along an axis, as in Python: from 0 on, or from the end where they are negative.

use std::fmt;

mod sealed {
    pub trait Sealed {}
}

/// An integer that is an index along an axis, or the number of an axis: −1 is the last one.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [2, 3], F32);
/// g.output("last", &x.at(1, -1));
/// g.output("but the last", &x.slice(1, 0, -1).permute(&[-1, 0]));
/// let x = TensorData::from_vec(vec![0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0], [2, 3])?;
/// let found = g.compile(&Device::cpu())?.run(&[("x", &x)])?;
/// assert_eq!(found["last"].to_f64_vec(), [2.0, 5.0]);
/// assert_eq!(found["but the last"].to_f64_vec(), [0.0, 3.0, 1.0, 4.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait AxisIndex: Copy + fmt::Display + sealed::Sealed {
    /// The index within `extent`, counted from 0; `None` where it is out of range.
    fn within(self, extent: usize) -> Option<usize>;

    /// As [`within`](Self::within), where the end itself is included: a bound of a slice.
    fn bound(self, extent: usize) -> Option<usize>;
}

macro_rules! indices {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for $number {}

        impl AxisIndex for $number {
            fn within(self, extent: usize) -> Option<usize> {
                self.bound(extent).filter(|&index| index < extent)
            }

            #[allow(unused_comparisons, reason = "unsigned numbers are never negative")]
            fn bound(self, extent: usize) -> Option<usize> {
                let index = self as i128 + if self < 0 { extent as i128 } else { 0 };
                usize::try_from(index).ok().filter(|&index| index <= extent)
            }
        }
    )*};
}

indices!(usize, isize, i32, i64, u32, u64);

#[cfg(test)]
mod tests {
    use super::AxisIndex;

    #[test]
    fn indices_are_as_in_python() {
        assert_eq!([(-3).within(3), (-1).within(3), 0.within(3), 2.within(3)], [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!([(-4).within(3), 3.within(3), (-1).within(0)], [None; 3]);
        assert_eq!([3.bound(3), (-3).bound(3), (-4).bound(3), 4.bound(3)], [Some(3), Some(0), None, None]);
        assert_eq!([usize::MAX.within(3), (isize::MIN as usize).bound(3)], [None; 2]);
        assert_eq!([i64::MIN.within(3), i64::MAX.within(3)], [None; 2]);
        assert_eq!([isize::MIN.within(3), isize::MAX.bound(usize::MAX)], [None, Some(isize::MAX as usize)]);
    }
}
