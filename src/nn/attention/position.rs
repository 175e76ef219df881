//! Where a position is in its sequence: attention by itself does not know.

use crate::graph::{Graph, Tensor};
use crate::nn::{Initializer, Layer, Scope, Sequential};
use crate::tensor::{Shape, TensorData};

/// Vaswani et al. 2017: `[length, width]`, f32; position p has sin(p / 10000^(2i/width)) at 2i and the cosine at 2i + 1.
///
/// ```
/// let table = wgrad::nn::sinusoidal_positions(3, 4);
/// assert_eq!(table.as_slice::<f32>()?[..4], [0.0, 1.0, 0.0, 1.0]);
/// assert_eq!(table.as_slice::<f32>()?[4], 1.0_f32.sin());
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn sinusoidal_positions(length: usize, width: usize) -> TensorData {
    let value = |index: usize| {
        let (position, feature) = (index / width, index % width);
        let angle = position as f64 / 10_000_f64.powf((feature / 2 * 2) as f64 / width as f64);
        (if feature.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    let values: Vec<f32> = (0..length * width).map(value).collect();
    TensorData::from_vec(values, [length, width]).unwrap_or_else(|_| TensorData::scalar(0.0_f32))
}

/// What is added to an input for its positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// [`sinusoidal_positions`].
    Sinusoidal,
    /// A parameter `NAME.weight`, `[longest, width]`, that begins normal with σ = 0.02.
    Learned {
        /// The longest sequence that it is for.
        longest: usize,
    },
}

/// Adds its positions to an input, `[batch, length, width]`; as data.
///
/// ```
/// use wgrad::nn::Position;
/// use wgrad::prelude::*;
/// let model = Sequential::new([64]).embedding(1000, 32).positions(Position::Sinusoidal);
/// assert_eq!(model.output_shape()?, [64, 32].into());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionLayer {
    /// Which.
    pub position: Position,
}

impl Layer for PositionLayer {
    fn describe(&self) -> String {
        match self.position {
            Position::Sinusoidal => "positions(sinusoidal)".into(),
            Position::Learned { longest } => format!("positions({longest} learned)"),
        }
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        match (input.dims(), self.position) {
            (&[length, _], Position::Learned { longest }) if length > longest => {
                Err(format!("has {longest} positions, and a sequence has {length}"))
            }
            ([_, _], _) => Ok(input.clone()),
            _ => Err(format!("takes examples of [length, width], not {input}")),
        }
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let shape = x.shape();
        x + self.table(scope, shape[1], shape[2]).slice(0, 0, shape[1])
    }
}

impl PositionLayer {
    /// Adds the positions that are given to an input `[batch, length, width]`: integers `[length]` or `[batch, length]`, below `longest`, as of
    /// tokens that come one by one ([`KeyValueCache`](super::KeyValueCache)) or of several sequences in one row. Others count as the nearest one.
    #[track_caller]
    pub fn forward_at(&self, scope: &Scope<'_>, x: &Tensor, positions: &Tensor, longest: usize) -> Tensor {
        let shape = x.shape();
        if scope.graph().error().is_some() {
            return x.clone();
        }
        let of_batch = positions.shape().dims() == shape.get(..2).unwrap_or_default();
        let of_one = shape.rank() == 3 && positions.shape().dims() == [shape[1]];
        if shape.rank() != 3 || !(of_batch || of_one) {
            return scope.mistake(
                "positions",
                format!(
                    "takes [batch, length, width] with positions of its tokens, not {shape} and {}",
                    positions.ty()
                ),
            );
        }
        if let Position::Learned { longest: own } = self.position
            && longest > own
        {
            return scope.mistake("positions", format!("has {own} positions, and {longest} are asked for"));
        }
        x + self.table(scope, longest, shape[2]).take(0, positions)
    }

    /// Of `length` positions or more.
    #[track_caller]
    fn table(&self, scope: &Scope<'_>, length: usize, width: usize) -> Tensor {
        match self.position {
            Position::Sinusoidal => scope.graph().constant(sinusoidal_positions(length, width)),
            Position::Learned { longest } => {
                let initializer = Initializer::Normal { mean: 0.0, std: 0.02 };
                scope.parameter("weight", [longest, width], initializer)
            }
        }
    }
}

impl Sequential {
    /// What tells positions apart is added to the input, `[length, width]`.
    #[must_use]
    #[track_caller]
    pub fn positions(self, position: Position) -> Self {
        self.layer(PositionLayer { position })
    }
}

/// Rotary positions (Su et al. 2021): each pair of a head's features is turned by an angle that grows with the position, so that a
/// product of query and key depends on their distance. The tables of sines and cosines are computed in f64 on the host.
///
/// ```
/// use wgrad::nn::Rotary;
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let q = g.input("q", [8, 4, 100, 64], F32); // batch, heads, length, head size
/// let rotary = Rotary::new(&g, 64, 2048);
/// assert_eq!(rotary.forward(&q, None).shape(), q.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Rotary {
    /// `[longest, size / 2]`.
    cosines: Tensor,
    sines: Tensor,
    size: usize,
    longest: usize,
    interleaved: bool,
}

impl Rotary {
    /// For heads of this (even) size and sequences up to this length, with angles of 10000^(−2i/size) a position, between the halves of
    /// a head's features, as Llama has them.
    #[track_caller]
    pub fn new(g: &Graph, size: usize, longest: usize) -> Self {
        Self::with_base(g, size, longest, 10_000.0)
    }

    /// The same with another base than 10000.
    #[track_caller]
    pub fn with_base(g: &Graph, size: usize, longest: usize, base: f64) -> Self {
        if !size.is_multiple_of(2) {
            g.mistake("rotary positions", format!("turn pairs of features, and a head has {size}"));
        }
        let half = size / 2;
        let table = |function: fn(f64) -> f64| {
            let value = |index: usize| {
                let (position, pair) = (index / half.max(1), index % half.max(1));
                function(position as f64 * base.powf(-2.0 * pair as f64 / size as f64)) as f32
            };
            let values: Vec<f32> = (0..longest * half).map(value).collect();
            g.constant(TensorData::from_vec(values, [longest, half]).unwrap_or_else(|_| TensorData::scalar(0.0_f32)))
        };
        Self { cosines: table(f64::cos), sines: table(f64::sin), size, longest, interleaved: false }
    }

    /// Between neighbouring features, as GPT-J has them.
    #[must_use]
    pub fn interleaved(self) -> Self {
        Self { interleaved: true, ..self }
    }

    /// Turns queries or keys, `[batch, heads, length, size]`. Positions are 0, 1, … unless given, as integers `[length]` or `[batch, length]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, positions: Option<&Tensor>) -> Tensor {
        let (graph, shape) = (self.cosines.graph(), x.shape());
        if graph.error().is_some() {
            return x.clone();
        }
        if shape.rank() != 4 || shape[3] != self.size || (positions.is_none() && shape[2] > self.longest) {
            let message = format!("take [batch, heads, length up to {}, {}], not {shape}", self.longest, self.size);
            return graph.mistake("rotary positions", message);
        }
        if let Some(positions) = positions
            && ![&shape[2..3], &[shape[0], shape[2]]].contains(&positions.shape().dims())
        {
            let message = format!("take positions of [{}] or [{}, {0}], not {}", shape[2], shape[0], positions.ty());
            return graph.mistake("rotary positions", message);
        }
        let half = self.size / 2;
        let [cosines, sines] = [&self.cosines, &self.sines].map(|table| match positions {
            Some(positions) if positions.shape().rank() == 2 => {
                table.take(0, positions).reshape([shape[0], 1, shape[2], half])
            }
            Some(positions) => table.take(0, positions),
            None => table.slice(0, 0, shape[2]),
        });
        let (first, second) = if self.interleaved {
            let pairs = x.reshape([shape[0], shape[1], shape[2], half, 2]);
            (pairs.at(4, 0), pairs.at(4, 1))
        } else {
            (x.slice(3, 0, half), x.slice(3, half, self.size))
        };
        let turned = [&first * &cosines - &second * &sines, &second * &cosines + &first * &sines];
        let [a, b] = &turned;
        if self.interleaved { graph.stack(&[a, b], 4).reshape(&shape) } else { graph.concat(&[a, b], 3) }
    }
}
