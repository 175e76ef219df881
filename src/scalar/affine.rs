//! Affine maps from coordinates to addresses: strides and an offset. Every view of a tensor is one.

use std::fmt;
use std::ops::{Deref, DerefMut};

use smallvec::{SmallVec, smallvec};

/// What one step along each coordinate adds to an address. Maps of few coordinates, as nearly all are, need no allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Strides(SmallVec<[i64; 4]>);

impl Strides {
    pub(crate) fn zeros(rank: usize) -> Self {
        Self(smallvec![0; rank])
    }

    pub(crate) fn resize(&mut self, rank: usize, stride: i64) {
        self.0.resize(rank, stride);
    }
}

impl Deref for Strides {
    type Target = [i64];
    #[inline]
    fn deref(&self) -> &[i64] {
        &self.0
    }
}

impl DerefMut for Strides {
    #[inline]
    fn deref_mut(&mut self) -> &mut [i64] {
        &mut self.0
    }
}

impl From<Vec<i64>> for Strides {
    fn from(strides: Vec<i64>) -> Self {
        Self(strides.into())
    }
}

impl From<&[i64]> for Strides {
    fn from(strides: &[i64]) -> Self {
        Self(strides.into())
    }
}

impl<const N: usize> From<[i64; N]> for Strides {
    fn from(strides: [i64; N]) -> Self {
        Self(strides.as_slice().into())
    }
}

impl FromIterator<i64> for Strides {
    fn from_iter<I: IntoIterator<Item = i64>>(strides: I) -> Self {
        Self(strides.into_iter().collect())
    }
}

impl fmt::Debug for Strides {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What the coordinates of the element with this number, in row-major order, add to an address.
pub(crate) fn distance(dims: &[usize], strides: &[i64], mut index: usize) -> i64 {
    let mut address = 0;
    for (&extent, &stride) in dims.iter().zip(strides).rev() {
        address += stride * (index % extent) as i64;
        index /= extent;
    }
    address
}

/// `address = offset + Σ strides[d] · coordinate[d]`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Affine {
    /// The address of the origin.
    pub offset: i64,
    /// What one step along each coordinate adds.
    pub strides: Strides,
}

impl Affine {
    /// The map with an offset and a stride for each coordinate.
    pub fn new(offset: i64, strides: impl Into<Strides>) -> Self {
        Self { offset, strides: strides.into() }
    }

    /// Row-major addresses over a domain.
    pub fn row_major(dims: &[usize]) -> Self {
        let mut strides = Strides(smallvec![1; dims.len()]);
        for axis in (1..dims.len()).rev() {
            strides[axis - 1] = strides[axis] * dims[axis].max(1) as i64;
        }
        Self { offset: 0, strides }
    }

    /// The same address everywhere.
    pub fn constant(offset: i64, rank: usize) -> Self {
        Self { offset, strides: Strides::zeros(rank) }
    }

    /// One coordinate itself.
    pub fn coordinate(axis: usize, rank: usize) -> Self {
        let mut strides = Strides::zeros(rank);
        strides[axis] = 1;
        Self { offset: 0, strides }
    }

    /// The address at the coordinates.
    pub fn at(&self, coordinates: &[usize]) -> i64 {
        self.offset + self.strides.iter().zip(coordinates).map(|(stride, &c)| stride * c as i64).sum::<i64>()
    }

    /// This map applied after others: coordinate d is `maps[d]` of the new coordinates.
    pub(crate) fn after(&self, maps: &[Self], rank: usize) -> Self {
        let mut result = Self::constant(self.offset, rank);
        for (stride, map) in self.strides.iter().zip(maps) {
            result.offset += stride * map.offset;
            for (sum, step) in result.strides.iter_mut().zip(map.strides.iter()) {
                *sum += stride * step;
            }
        }
        result
    }

    /// The same addresses in the same order over a domain of another shape, if they are affine there too.
    pub(crate) fn reshaped(&self, old: &[usize], new: &[usize]) -> Option<Self> {
        let mut strides = Strides::zeros(new.len());
        if old.contains(&0) || self.strides.iter().all(|&stride| stride == 0) {
            return Some(Self { offset: self.offset, strides });
        }
        // Walk both shapes, matching the smallest groups of axes with equal products.
        let old_axes: Vec<(usize, i64)> =
            old.iter().copied().zip(self.strides.iter().copied()).filter(|&(extent, _)| extent != 1).collect();
        let (mut i, mut j) = (0, 0);
        while i < old_axes.len() {
            while j < new.len() && new[j] == 1 {
                j += 1;
            }
            let (start, first) = (i, j);
            let (mut left, mut right) = (old_axes[i].0, *new.get(j)?);
            i += 1;
            j += 1;
            while left != right {
                if left < right {
                    left *= old_axes.get(i)?.0;
                    i += 1;
                } else {
                    right *= *new.get(j)?;
                    j += 1;
                }
            }
            // The old axes of the group must be one run of equal steps.
            let group = &old_axes[start..i];
            if group.windows(2).any(|pair| pair[0].1 != pair[1].1 * pair[1].0 as i64) {
                return None;
            }
            let mut step = group.last()?.1;
            for axis in (first..j).rev() {
                strides[axis] = step;
                step *= new[axis] as i64;
            }
        }
        Some(Self { offset: self.offset, strides })
    }

    /// True where the addresses over the domain are 0, 1, 2, … from the offset on.
    pub fn is_row_major(&self, dims: &[usize]) -> bool {
        let mut step = 1;
        for (&extent, &stride) in dims.iter().zip(self.strides.iter()).rev() {
            if extent != 1 && stride != step {
                return false;
            }
            step *= extent as i64;
        }
        true
    }

    /// True where the address is the same at every coordinate.
    pub fn is_constant(&self) -> bool {
        self.strides.iter().all(|&stride| stride == 0)
    }

    /// Lowest and highest address over a domain that is not empty.
    pub fn range(&self, dims: &[usize]) -> (i64, i64) {
        let (mut low, mut high) = (self.offset, self.offset);
        for (axis, &stride) in self.strides.iter().enumerate().take(dims.len()) {
            let span = stride * (dims[axis] as i64 - 1);
            (low, high) = (low + span.min(0), high + span.max(0));
        }
        (low, high)
    }
}

impl fmt::Display for Affine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strides: Vec<String> = self.strides.iter().map(i64::to_string).collect();
        write!(formatter, "[{}", strides.join(","))?;
        if self.offset != 0 {
            write!(formatter, "{:+}", self.offset)?;
        }
        formatter.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All addresses of a map over a domain, in order.
    fn addresses(map: &Affine, dims: &[usize]) -> Vec<i64> {
        (0..dims.iter().product())
            .map(|mut point: usize| {
                let mut coordinates = vec![0; dims.len()];
                for axis in (0..dims.len()).rev() {
                    coordinates[axis] = point % dims[axis];
                    point /= dims[axis];
                }
                map.at(&coordinates)
            })
            .collect()
    }

    #[test]
    fn reshaping_keeps_the_order_of_addresses() {
        let shapes: [&[usize]; 7] = [&[24], &[4, 6], &[2, 2, 6], &[2, 3, 4], &[1, 24, 1], &[6, 4], &[2, 12]];
        for old in shapes {
            for strides in [Affine::row_major(old).strides, vec![0; old.len()].into(), vec![5; old.len()].into()] {
                let map = Affine { offset: 3, strides };
                for new in shapes {
                    if let Some(other) = map.reshaped(old, new) {
                        assert_eq!(addresses(&map, old), addresses(&other, new), "{old:?} to {new:?}");
                    } else {
                        assert!(!map.is_row_major(old), "row-major always reshapes: {old:?} to {new:?}");
                    }
                }
            }
        }
        // A transpose cannot be flattened.
        assert_eq!(Affine::new(0, [1, 4]).reshaped(&[4, 6], &[24]), None);
    }

    #[test]
    fn a_range_covers_negative_strides() {
        assert_eq!(Affine::new(5, [-1]).range(&[6]), (0, 5));
    }
}
