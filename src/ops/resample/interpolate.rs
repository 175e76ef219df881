//! Interpolation of the spatial axes: PyTorch's `interpolate` and `Upsample`.

use std::fmt;

use super::{AxisMap, Interpolation, Resample};
use crate::graph::Tensor;
use crate::ops::Sizes;

/// What the extents become.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    Size(Sizes),
    /// One factor for all axes, or one for each.
    Scale(Vec<f64>),
}

/// A description of an interpolation, under PyTorch's names. See [`Tensor::interpolate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Interpolate {
    target: Target,
    interpolation: Interpolation,
    align_corners: bool,
}

impl Interpolate {
    /// To these extents, by nearest neighbours. A single number stands for all axes.
    pub fn size(size: impl Into<Sizes>) -> Self {
        Self { target: Target::Size(size.into()), interpolation: Interpolation::Nearest, align_corners: false }
    }

    /// By a factor, by nearest neighbours. Extents are rounded down; positions follow from the factor itself, as PyTorch has them
    /// unless told to recompute it.
    pub fn scale_factor(factor: f64) -> Self {
        Self::scale_factors(vec![factor])
    }

    /// By a factor for each axis.
    pub fn scale_factors(factors: impl Into<Vec<f64>>) -> Self {
        Self { target: Target::Scale(factors.into()), interpolation: Interpolation::Nearest, align_corners: false }
    }

    /// How values between elements are found.
    #[must_use]
    pub const fn mode(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Whether the middles of corner elements stay where they are, instead of the outer edges. Not of nearest neighbours.
    #[must_use]
    pub const fn align_corners(mut self, align: bool) -> Self {
        self.align_corners = align;
        self
    }

    /// The map along each axis.
    ///
    /// # Errors
    /// A message for the user where a number is invalid.
    pub fn maps(&self, extents: &[usize]) -> Result<Vec<AxisMap>, String> {
        let nearest = matches!(self.interpolation, Interpolation::Nearest | Interpolation::NearestExact);
        if nearest && self.align_corners {
            return Err(format!("align_corners is not for {}", self.interpolation));
        }
        if self.interpolation == Interpolation::Cubic && extents.len() != 2 {
            return Err(format!("cubic is for two spatial axes, not {}", extents.len()));
        }
        let wanted: Vec<(usize, Option<u64>)> = match &self.target {
            Target::Size(sizes) => sizes.along(extents.len(), "size")?.into_iter().map(|size| (size, None)).collect(),
            Target::Scale(factors) => {
                if factors.len() != 1 && factors.len() != extents.len() {
                    return Err(format!("scale_factor is {factors:?}, and must be one number or {}", extents.len()));
                }
                if let Some(factor) = factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
                    return Err(format!("scale_factor is {factor}, and must be a number above 0"));
                }
                let factors = factors.iter().cycle();
                let scaled = extents.iter().zip(factors);
                scaled
                    .map(|(&extent, factor)| ((extent as f64 * factor).floor() as usize, Some(factor.to_bits())))
                    .collect()
            }
        };
        let longest = i32::MAX as usize / 16;
        wanted
            .into_iter()
            .zip(extents)
            .map(|((results, scale), &elements)| {
                if results == 0 || elements == 0 || results > longest || elements > longest {
                    return Err(format!("cannot make {results} elements of {elements}"));
                }
                let (interpolation, align_corners) = (self.interpolation, self.align_corners);
                Ok(AxisMap { interpolation, elements, results, align_corners, scale, transposed: false, listed: None })
            })
            .collect()
    }
}

impl Interpolate {
    /// The extents of what comes out.
    ///
    /// # Errors
    /// As [`maps`](Self::maps).
    pub fn output_extents(&self, extents: &[usize]) -> Result<Vec<usize>, String> {
        Ok(self.maps(extents)?.iter().map(|map| map.results).collect())
    }
}

impl fmt::Display for Interpolate {
    /// The size or the factors, and the mode.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Size(size) => write!(formatter, "{size}")?,
            Target::Scale(factors) => match factors.as_slice() {
                [factor] => write!(formatter, "{factor}")?,
                factors => write!(formatter, "{factors:?}")?,
            },
        }
        write!(formatter, ", {}", self.interpolation)
    }
}

impl Tensor {
    /// The spatial axes of `[batch, channels, spatial…]`, of which there are one to three, enlarged or reduced: PyTorch's
    /// `interpolate`, without antialiasing. (Its `area` mode is [`adaptive_avg_pool`](Self::adaptive_avg_pool).)
    ///
    /// ```
    /// use wgrad::ops::{Interpolate, Interpolation};
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [1, 1, 2], F32);
    /// g.output("nearest", &x.interpolate(&Interpolate::scale_factor(2.0)));
    /// g.output("linear", &x.interpolate(&Interpolate::size(4).mode(Interpolation::Linear)));
    /// let x = TensorData::from_vec(vec![1.0_f32, 5.0], [1, 1, 2])?;
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &x)])?;
    /// assert_eq!(run["nearest"].to_f64_vec(), [1.0, 1.0, 5.0, 5.0]);
    /// assert_eq!(run["linear"].to_f64_vec(), [1.0, 2.0, 4.0, 5.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn interpolate(&self, interpolate: &Interpolate) -> Self {
        let Some(extents) = self.spatial("interpolate") else { return self.clone() };
        if !self.dtype().is_float() {
            return self.graph().mistake("interpolate", format!("wants floats, not {}; cast first", self.dtype()));
        }
        let maps = match interpolate.maps(&extents) {
            Ok(maps) => maps,
            Err(message) => return self.graph().mistake("interpolate", message),
        };
        if let Some(repeated) = self.repeated(&maps) {
            return repeated;
        }
        // The axis that shrinks most comes first, so that the others have less to do.
        let mut order: Vec<(usize, AxisMap)> = maps.into_iter().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| (a.results * b.elements).cmp(&(b.results * a.elements)));
        let mut value = self.clone();
        for (axis, map) in order {
            if !map.is_identity() {
                value = Resample { axis: axis + 2, map }.apply(&value);
            }
        }
        value
    }

    /// Nearest neighbours by integer factors: each element is repeated, along all axes at once.
    #[track_caller]
    fn repeated(&self, maps: &[AxisMap]) -> Option<Self> {
        let integer_factor = |map: &AxisMap| {
            let factor = map.results / map.elements;
            let exact = map.results.is_multiple_of(map.elements)
                && map.scale.is_none_or(|scale| f64::from_bits(scale) == factor as f64);
            let nearest = matches!(map.interpolation, Interpolation::Nearest | Interpolation::NearestExact);
            // Beyond that, f32 does not find each index exactly.
            (exact && nearest && map.results < 1 << 20).then_some(factor)
        };
        let factors: Vec<usize> = maps.iter().map(integer_factor).collect::<Option<_>>()?;
        let shape = self.shape();
        let (mut split, mut expanded, mut dims) = (shape[..2].to_vec(), shape[..2].to_vec(), shape[..2].to_vec());
        for (map, &factor) in maps.iter().zip(&factors) {
            split.extend([map.elements, 1]);
            expanded.extend([map.elements, factor]);
            dims.push(map.results);
        }
        let expanded = self.reshape(split).broadcast_to(expanded);
        Some(if self.graph().error().is_some() { expanded } else { expanded.reshape(dims) })
    }
}
