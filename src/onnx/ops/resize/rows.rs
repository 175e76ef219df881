//! The weights of one axis: for each result, which elements it is made of. Formulas are those of ONNX's specification of Resize.

/// Where a result is among the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// TensorFlow's for nearest neighbours, in opset 11 alone.
    HalfPixelForNearest,
    /// Within a region, beyond which there is one value.
    CropAndResize,
}

/// The nearest element, where it is not clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// How values between elements are found. Antialiasing makes kernels wider where an axis shrinks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Method {
    Nearest(Nearest),
    Linear { antialias: bool },
    Cubic { a: f64, antialias: bool },
}

/// What a result is made of; nothing where it is outside of the region.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row(Vec<(usize, f64)>);

impl Row {
    pub(super) fn is_outside(&self) -> bool {
        self.0.is_empty()
    }

    /// The first element.
    pub(super) fn first(&self) -> Option<usize> {
        self.0.first().map(|&(index, _)| index)
    }

    pub(super) fn into_weights(self) -> Vec<(usize, f64)> {
        self.0
    }
}

/// An axis that is resized.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) elements: usize,
    pub(super) results: usize,
    pub(super) scale: f64,
    /// The extent that the scale asks for, which may be a fraction.
    pub(super) length: f64,
    /// Beginning and end of the region, as parts of the axis.
    pub(super) region: (f64, f64),
    pub(super) coordinates: Coordinates,
}

impl Axis {
    /// Where a result is. In f32 where `single`, as ties of nearest neighbours are found: 3 / 0.6 is 5 there.
    fn position(&self, result: usize, single: bool) -> f64 {
        let r = |x: f64| if single { f64::from(x as f32) } else { x };
        let (x, last, scale) = (result as f64, self.elements as f64 - 1.0, r(self.scale));
        let middle = r(r((x + 0.5) / scale) - 0.5);
        match self.coordinates {
            Coordinates::HalfPixel => middle,
            Coordinates::HalfPixelSymmetric => {
                let center = self.elements as f64 / 2.0;
                let adjustment = r(self.results as f64 / (scale * self.elements as f64));
                r(r(center * (1.0 - adjustment)) + middle)
            }
            Coordinates::PytorchHalfPixel if self.length > 1.0 => middle,
            Coordinates::PytorchHalfPixel => 0.0,
            Coordinates::AlignCorners if self.length == 1.0 => 0.0,
            Coordinates::AlignCorners => r(r(x * last) / r(self.length - 1.0)),
            Coordinates::Asymmetric => r(x / scale),
            Coordinates::HalfPixelForNearest => r((x + 0.5) / scale),
            Coordinates::CropAndResize => {
                let (start, end) = self.region;
                if self.length == 1.0 {
                    // The middle of the region.
                    0.5 * (start + end) * last
                } else {
                    start * last + x * (end - start) * last / (self.length - 1.0)
                }
            }
        }
    }

    /// The factor by which kernels are wider.
    fn shrink(&self, antialias: bool) -> f64 {
        if antialias { self.scale.min(1.0) } else { 1.0 }
    }

    /// Elements that a kernel reaches to one side, and to the other.
    fn reach(&self, method: Method) -> usize {
        let reach = match method {
            Method::Nearest(_) => 1.0,
            Method::Linear { antialias } => (1.0 / self.shrink(antialias)).ceil(),
            Method::Cubic { antialias, .. } => (2.0 / self.shrink(antialias)).ceil(),
        };
        reach as usize
    }

    /// Elements that a kernel reaches.
    pub(super) fn footprint(&self, method: Method) -> usize {
        self.reach(method).saturating_mul(2).min(self.elements.saturating_add(1))
    }

    /// A row for each result.
    pub(super) fn rows(&self, method: Method, exclude_outside: bool) -> Vec<Row> {
        (0..self.results).map(|result| self.row(result, method, exclude_outside)).collect()
    }

    fn row(&self, result: usize, method: Method, exclude_outside: bool) -> Row {
        let single = matches!(method, Method::Nearest(_));
        let (at, last) = (self.position(result, single), self.elements as f64 - 1.0);
        if self.coordinates == Coordinates::CropAndResize && !(0.0..=last).contains(&at) {
            return Row(Vec::new());
        }
        let within = |position: f64| position.clamp(0.0, last) as usize;
        if let Method::Nearest(nearest) = method {
            let (floor, rest) = (at.floor(), at - at.floor());
            let up = match nearest {
                Nearest::PreferFloor => rest > 0.5,
                Nearest::PreferCeil => rest >= 0.5,
                Nearest::Floor => false,
                Nearest::Ceil => rest > 0.0,
            };
            return Row(vec![(within(floor + f64::from(u8::from(up))), 1.0)]);
        }
        let reach = self.reach(method) as i64;
        let floor = at.floor();
        let mut weights: Vec<(usize, f64)> = Vec::new();
        // What is beyond the edges has the values of the edges.
        for step in 1 - reach..=reach {
            let position = floor + step as f64;
            let weight = match method {
                Method::Linear { antialias } => (1.0 - ((position - at) * self.shrink(antialias)).abs()).max(0.0),
                Method::Cubic { a, antialias } => cubic((position - at) * self.shrink(antialias), a),
                Method::Nearest(_) => 0.0,
            };
            if weight == 0.0 || exclude_outside && !(0.0..=last).contains(&position) {
                continue;
            }
            let index = within(position);
            match weights.last_mut() {
                Some((earlier, sum)) if *earlier == index => *sum += weight,
                _ => weights.push((index, weight)),
            }
        }
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        Row(weights)
    }
}

/// The kernel of cubic convolution (Keys 1981).
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * a - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(elements: usize, results: usize, coordinates: Coordinates) -> Axis {
        let (scale, length) = (results as f64 / elements as f64, results as f64);
        Axis { elements, results, scale, length, region: (0.0, 1.0), coordinates }
    }

    #[test]
    fn weights_sum_to_one() {
        let methods = [
            Method::Nearest(Nearest::PreferFloor),
            Method::Linear { antialias: false },
            Method::Linear { antialias: true },
            Method::Cubic { a: -0.5, antialias: false },
            Method::Cubic { a: -0.75, antialias: true },
        ];
        for (elements, results) in [(1, 1), (1, 3), (3, 1), (4, 7), (7, 4), (9, 2)] {
            for method in methods {
                for exclude in [false, true] {
                    for row in axis(elements, results, Coordinates::HalfPixel).rows(method, exclude) {
                        let sum: f64 = row.0.iter().map(|(_, weight)| weight).sum();
                        assert!((sum - 1.0).abs() < 1e-9, "{method:?} {elements} to {results}: {row:?}");
                        assert!(row.0.iter().all(|&(index, _)| index < elements));
                    }
                }
            }
        }
    }

    #[test]
    fn halves_go_where_the_mode_says() {
        let first = |nearest: Nearest| {
            let rows = axis(4, 2, Coordinates::HalfPixel).rows(Method::Nearest(nearest), false);
            rows.iter().filter_map(Row::first).collect::<Vec<_>>()
        };
        assert_eq!(first(Nearest::PreferFloor), [0, 2]);
        assert_eq!(first(Nearest::PreferCeil), [1, 3]);
        assert_eq!(first(Nearest::Floor), [0, 2]);
        assert_eq!(first(Nearest::Ceil), [1, 3]);
    }
}
