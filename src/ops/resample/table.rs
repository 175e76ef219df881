//! Which elements each result of a resampled axis is made of, and by what weights.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// How values between elements are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The element at the position, rounded down: PyTorch's `nearest`.
    Nearest,
    /// The element whose middle is nearest: PyTorch's `nearest-exact`.
    NearestExact,
    /// Along each axis, a mean of the two neighbours, weighted by distance: PyTorch's `linear`, `bilinear` and `trilinear`.
    Linear,
    /// Cubic convolution over four neighbours (Keys 1981, a = −0.75): PyTorch's `bicubic`.
    Cubic,
}

impl fmt::Display for Interpolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nearest => "nearest",
            Self::NearestExact => "nearest-exact",
            Self::Linear => "linear",
            Self::Cubic => "cubic",
        })
    }
}

/// A sparse linear map between two extents of an axis, by the parameters that it follows from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AxisMap {
    pub(super) interpolation: Interpolation,
    /// Elements before.
    pub(super) elements: usize,
    /// Elements after.
    pub(super) results: usize,
    /// Whether the middles of the first and last elements stay where they are, instead of the outer edges.
    pub(super) align_corners: bool,
    /// Bits of the factor that the user gave, in f64, where it is not results ÷ elements.
    pub(super) scale: Option<u64>,
    /// True for the gradient: from results to elements.
    pub(super) transposed: bool,
    /// The indices and weights, where they are listed instead.
    pub(super) listed: Option<Arc<Table>>,
}

/// The indices and weights of a map, row by row: entry `k` of a row `o` has `starts[o] ≤ k < starts[o + 1]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) starts: Vec<usize>,
    pub(super) indices: Vec<usize>,
    pub(super) weights: Vec<f64>,
}

/// Weights are finite.
impl Eq for Table {}

impl Hash for Table {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.starts, &self.indices).hash(state);
        self.weights.iter().for_each(|weight| (weight + 0.0).to_bits().hash(state));
    }
}

impl Table {
    fn from_rows(rows: impl Iterator<Item = Vec<(usize, f64)>>) -> Self {
        let mut table = Self { starts: vec![0], indices: Vec::new(), weights: Vec::new() };
        for row in rows {
            for (index, weight) in row {
                table.indices.push(index);
                table.weights.push(weight);
            }
            table.starts.push(table.indices.len());
        }
        table
    }

    fn transposed(&self, columns: usize) -> Self {
        let mut rows = vec![Vec::new(); columns];
        for row in 0..self.starts.len() - 1 {
            for k in self.starts[row]..self.starts[row + 1] {
                rows[self.indices[k]].push((row, self.weights[k]));
            }
        }
        Self::from_rows(rows.into_iter())
    }
}

impl AxisMap {
    /// Extents of the input and the output.
    pub(super) const fn ends(&self) -> (usize, usize) {
        if self.transposed { (self.results, self.elements) } else { (self.elements, self.results) }
    }

    /// A map by its weights: for each result, the indices of the elements that it is made of, with their weights.
    ///
    /// # Errors
    /// A message for the user where an index is not one of the elements, a weight is not finite, or there are too many weights.
    ///
    /// ```
    /// use wgrad::ops::AxisMap;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [3], F32);
    /// let means = AxisMap::from_rows(3, vec![vec![(0, 0.5), (1, 0.5)], vec![(1, 0.5), (2, 0.5)]]);
    /// g.output("y", &x.resample(0, &means.map_err(wgrad::Error::Argument)?));
    /// let x = TensorData::from_vec(vec![1.0_f32, 3.0, 4.0], [3])?;
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[("x", &x)])?["y"].to_f64_vec(), [2.0, 3.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_rows(elements: usize, rows: Vec<Vec<(usize, f64)>>) -> Result<Self, String> {
        let results = rows.len();
        if let Some((index, _)) = rows.iter().flatten().find(|(index, _)| *index >= elements) {
            return Err(format!("element {index} is not one of {elements}"));
        }
        if rows.iter().flatten().any(|(_, weight)| !weight.is_finite()) {
            return Err("a weight is not finite".into());
        }
        let entries: usize = rows.iter().map(Vec::len).sum();
        if entries.max(elements).max(results) > i32::MAX as usize / 16 {
            return Err(format!("{entries} weights from {elements} to {results} elements are too many"));
        }
        let listed = Some(Arc::new(Table::from_rows(rows.into_iter())));
        let interpolation = Interpolation::Nearest;
        Ok(Self { interpolation, elements, results, align_corners: false, scale: None, transposed: false, listed })
    }

    /// The number of elements that the map reads, and for each result the indices and weights that it is made of.
    #[cfg(feature = "onnx")]
    pub(crate) fn rows(&self) -> (usize, Vec<Vec<(usize, f64)>>) {
        let table = self.table();
        let entries: Vec<(usize, f64)> = table.indices.iter().copied().zip(table.weights.iter().copied()).collect();
        let row = |ends: &[usize]| match ends {
            [start, end] => entries.get(*start..*end).unwrap_or_default().to_vec(),
            _ => Vec::new(),
        };
        (self.ends().0, table.starts.windows(2).map(row).collect())
    }

    /// The map of the gradient.
    pub(super) fn transpose(&self) -> Self {
        Self { transposed: !self.transposed, ..self.clone() }
    }

    /// True where every result is its own element.
    pub(super) fn is_identity(&self) -> bool {
        let table = self.table();
        self.elements == self.results
            && table.indices.iter().copied().eq(0..self.elements)
            && table.weights.iter().all(|&weight| weight == 1.0)
    }

    /// Elements of the axis from one result to the next.
    fn step(&self) -> f64 {
        if self.align_corners {
            return if self.results > 1 { (self.elements - 1) as f64 / (self.results - 1) as f64 } else { 0.0 };
        }
        self.scale.map_or(self.elements as f64 / self.results as f64, |scale| 1.0 / f64::from_bits(scale))
    }

    /// The nearest is found in f32, as PyTorch finds it.
    fn nearest(&self, result: usize, shift: f32) -> usize {
        let step =
            self.scale.map_or(self.elements as f32 / self.results as f32, |scale| (1.0 / f64::from_bits(scale)) as f32);
        (((result as f32 + shift) * step).floor() as usize).min(self.elements.saturating_sub(1))
    }

    pub(super) fn table(&self) -> Table {
        if let Some(listed) = &self.listed {
            return if self.transposed { listed.transposed(self.elements) } else { Table::clone(listed) };
        }
        let step = self.step();
        let last = self.elements.saturating_sub(1);
        let forward = Table::from_rows((0..self.results).map(|o| match self.interpolation {
            Interpolation::Nearest => vec![(self.nearest(o, 0.0), 1.0)],
            Interpolation::NearestExact => vec![(self.nearest(o, 0.5), 1.0)],
            Interpolation::Linear => {
                let at = self.position(o, step).max(0.0);
                let low = (at.floor() as usize).min(last);
                let share = (at - low as f64).clamp(0.0, 1.0);
                let row = [(low, 1.0 - share), ((low + 1).min(last), share)];
                joined(row.into_iter().filter(|&(_, weight)| weight != 0.0))
            }
            Interpolation::Cubic => {
                let at = self.position(o, step);
                let (low, share) = (at.floor(), at - at.floor());
                joined(cubic(share).into_iter().enumerate().map(|(k, weight)| {
                    let index = (low + k as f64 - 1.0).clamp(0.0, last as f64);
                    (index as usize, weight)
                }))
            }
        }));
        if self.transposed { forward.transposed(self.elements) } else { forward }
    }

    /// The position of a result among the elements.
    fn position(&self, result: usize, step: f64) -> f64 {
        if self.align_corners { result as f64 * step } else { (result as f64 + 0.5) * step - 0.5 }
    }
}

/// Weights of four neighbours, of which the second is `share` before the position.
fn cubic(share: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(share + 1.0), near(share), near(1.0 - share), far(2.0 - share)]
}

/// A row in which each index occurs once.
fn joined(row: impl Iterator<Item = (usize, f64)>) -> Vec<(usize, f64)> {
    row.fold(Vec::new(), |mut row, (index, weight)| {
        match row.iter_mut().find(|(other, _)| *other == index) {
            Some((_, sum)) => *sum += weight,
            None => row.push((index, weight)),
        }
        row
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(interpolation: Interpolation, elements: usize, results: usize, align_corners: bool) -> AxisMap {
        AxisMap { interpolation, elements, results, align_corners, scale: None, transposed: false, listed: None }
    }

    #[test]
    fn rows_of_weights_sum_to_one() {
        for interpolation in
            [Interpolation::Nearest, Interpolation::NearestExact, Interpolation::Linear, Interpolation::Cubic]
        {
            for (elements, results) in [(1, 1), (1, 4), (4, 1), (3, 7), (7, 3), (5, 5), (2, 9)] {
                for align in [false, true] {
                    let map = map(interpolation, elements, results, align);
                    let (table, backward) = (map.table(), map.transpose().table());
                    assert_eq!((table.starts.len(), backward.starts.len()), (results + 1, elements + 1));
                    assert!(table.indices.iter().all(|&index| index < elements));
                    assert!(backward.indices.iter().all(|&index| index < results));
                    for row in table.starts.windows(2) {
                        let sum: f64 = table.weights[row[0]..row[1]].iter().sum();
                        assert!((sum - 1.0).abs() < 1e-12, "{map:?}: {sum}");
                    }
                    assert_eq!(table.weights.len(), backward.weights.len());
                }
            }
        }
    }

    #[test]
    fn halves_are_between_neighbours() {
        let table = map(Interpolation::Linear, 2, 4, false).table();
        assert_eq!(table.indices, [0, 0, 1, 0, 1, 1]);
        assert_eq!(table.weights, [1.0, 0.75, 0.25, 0.25, 0.75, 1.0]);
        assert_eq!(map(Interpolation::Nearest, 3, 5, false).table().indices, [0, 0, 1, 1, 2]);
        assert!(map(Interpolation::Linear, 5, 5, false).is_identity());
        assert!(!map(Interpolation::Linear, 5, 4, false).is_identity());
    }
}
