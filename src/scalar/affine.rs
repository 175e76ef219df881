//! Affine maps from coordinates to addresses: strides and an offset. Every view of a tensor is one.

use std::fmt;

/// `address = offset + Σ strides[d] · coordinate[d]`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Affine {
    /// The address of the origin.
    pub offset: i64,
    /// What one step along each coordinate adds.
    pub strides: Vec<i64>,
}

impl Affine {
    /// Row-major addresses over a domain.
    pub fn row_major(dims: &[usize]) -> Self {
        let mut strides = vec![1; dims.len()];
        for axis in (1..dims.len()).rev() {
            strides[axis - 1] = strides[axis] * dims[axis].max(1) as i64;
        }
        Self { offset: 0, strides }
    }

    /// The same address everywhere.
    pub fn constant(offset: i64, rank: usize) -> Self {
        Self { offset, strides: vec![0; rank] }
    }

    /// One coordinate itself.
    pub fn coordinate(axis: usize, rank: usize) -> Self {
        let mut strides = vec![0; rank];
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
            for (sum, step) in result.strides.iter_mut().zip(&map.strides) {
                *sum += stride * step;
            }
        }
        result
    }

    /// The same addresses in the same order over a domain of another shape, if they are affine there too.
    pub(crate) fn reshaped(&self, old: &[usize], new: &[usize]) -> Option<Self> {
        let mut strides = vec![0; new.len()];
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
        for (&extent, &stride) in dims.iter().zip(&self.strides).rev() {
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
        self.strides.iter().zip(dims).fold((self.offset, self.offset), |(low, high), (&stride, &extent)| {
            let span = stride * (extent as i64 - 1);
            (low + span.min(0), high + span.max(0))
        })
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
            for strides in [Affine::row_major(old).strides, vec![0; old.len()], vec![5; old.len()]] {
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
        assert_eq!(Affine { offset: 0, strides: vec![1, 4] }.reshaped(&[4, 6], &[24]), None);
    }

    #[test]
    fn a_range_covers_negative_strides() {
        assert_eq!(Affine { offset: 5, strides: vec![-1] }.range(&[6]), (0, 5));
    }
}
