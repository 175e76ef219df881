//! Keys and values of earlier positions, kept on the device, so that a model that writes token by token computes each position once.

use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Score, ScoreDefinition, Variable};
use crate::tensor::{DType, TensorData, TensorType};

/// The keys and values of a model's attentions at the positions that it has seen: variables of a session, `[batch, heads, capacity, head
/// size]`, two for each attention. What a run is given is appended at a position that is an input of the program, and attends to all that
/// is there: a prompt in one run, then a token a run, each in one submission whose work does not depend on the position.
///
/// The same cache goes on from run to run of all programs of a session that call it by the same name, with the same sizes. A sequence begins
/// anew at position 0: what is behind the present position is never seen. [`CachePosition`] counts positions, and refuses more than there is
/// room for; where a program is given a position that does not fit all the same, its attentions give NaN.
///
/// ```
/// use wgrad::nn::{AttentionInputs, CachePosition, KeyValueCache, Position, PositionLayer, Scope, Transformer};
/// use wgrad::ops::Score;
/// use wgrad::prelude::*;
/// const LONGEST: usize = 32;
/// // The model for some new tokens: of a prompt, or the last one that was written.
/// let model = |new: usize| {
///     let g = Graph::new();
///     let (tokens, position) = (g.input("tokens", [1, new], I32), g.input("position", [1], I32));
///     let cache = KeyValueCache::new(&g, "cache", 1, LONGEST, &position);
///     let words = nn::Embedding::new(&g, "words", 50, 16);
///     let positions = PositionLayer { position: Position::Learned { longest: LONGEST } };
///     let at = Scope::new(&g, "positions", Mode::Evaluation);
///     let x = positions.forward_at(&at, &words.forward(&tokens), &cache.positions(new), LONGEST);
///     let inputs = AttentionInputs { cache: Some(&cache), ..AttentionInputs::default() };
///     let options = Transformer::new(4).feed_forward(32).score(Score::causal());
///     let x = options.build_encoder(&g, "encoder", 16).forward(&x, inputs, Mode::Evaluation);
///     g.output("next", &words.tied("head").forward(&x.slice(1, -1, new)).argmax(2).reshape([1, 1]));
///     g
/// };
/// let device = Device::cpu();
/// let mut session = model(3).compile(&device)?;
/// let one = session.load(&model(1))?;
/// let mut position = CachePosition::new(1, LONGEST);
/// let prompt = TensorData::from_vec(vec![7, 8, 9], [1, 3])?;
/// let mut next = session.run(&[("tokens", &prompt), ("position", &position.advance(3)?)])?["next"].clone();
/// let mut written = Vec::new();
/// for _ in 0..5 {
///     written.push(next.as_slice::<i32>()?[0]);
///     next = session.using(&one).run(&[("tokens", &next), ("position", &position.advance(1)?)])?["next"].clone();
/// }
/// assert_eq!((written.len(), position.filled()), (5, 8));
/// # use wgrad::nn;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyValueCache {
    name: String,
    graph: Graph,
    batch: usize,
    capacity: usize,
    /// Of the first new token of each sequence, i32 `[batch]`.
    position: Tensor,
    /// Whose past each sequence goes on with, i32 `[batch]`.
    parents: Option<Tensor>,
}

impl KeyValueCache {
    /// A cache for `batch` sequences of up to `capacity` positions. The position of the first new token is an integer tensor, `[batch]` or
    /// one for all, `[]` or `[1]`. The name is put before those of the variables, `NAME/LAYER.key` and `.value`.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, batch: usize, capacity: usize, position: &Tensor) -> Self {
        if g.error().is_none() && capacity == 0 {
            g.mistake(&label(name), "needs room for a position or more");
        }
        let position = Self::of_sequences(g, name, batch, "the position", position);
        Self { name: name.to_owned(), graph: g.clone(), batch, capacity, position, parents: None }
    }

    /// Each sequence goes on with the past of one of the sequences, by its index, integers `[batch]`: what a beam search does when it drops
    /// some and splits others. The same run appends to it.
    #[must_use]
    #[track_caller]
    pub fn reordered(self, parents: &Tensor) -> Self {
        let parents = Self::of_sequences(&self.graph, &self.name, self.batch, "the order", parents);
        Self { parents: Some(parents), ..self }
    }

    #[track_caller]
    fn of_sequences(g: &Graph, name: &str, batch: usize, what: &str, given: &Tensor) -> Tensor {
        if g.error().is_some() {
            return given.clone();
        }
        let fits = matches!(given.shape().dims(), [] | [1]) || given.shape().dims() == [batch];
        if !fits || !matches!(given.dtype(), DType::I32 | DType::I64) {
            let message = format!("{what} is integers [{batch}] or one for all, not {}", given.ty());
            return g.mistake(&label(name), message);
        }
        given.i32_indices().reshape([given.shape().len()]).broadcast_to([batch])
    }

    /// Positions of `new` tokens, i32 `[batch, new]`: for [`PositionLayer::forward_at`](super::PositionLayer::forward_at).
    #[track_caller]
    pub fn positions(&self, new: usize) -> Tensor {
        let Self { graph, batch, position, .. } = self;
        if graph.error().is_some() {
            return position.clone();
        }
        position.reshape([*batch, 1]) + graph.arange(new).reshape([1, new])
    }

    /// The room for positions.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// For a layer, what new queries attend to: all keys and values, with the score and its buffers. Keys and values are new ones, `[batch,
    /// heads, new, size]`, and are appended.
    #[track_caller]
    pub(super) fn extend(&self, layer: &str, [keys, values]: [&Tensor; 2], score: &Score) -> Result<Extended, String> {
        let (keys_shape, new) = (keys.shape(), keys.shape()[2]);
        if keys_shape[0] != self.batch {
            return Err(format!("the cache is for a batch of {}, not of {}", self.batch, keys_shape[0]));
        }
        if new > self.capacity {
            return Err(format!("{new} new positions do not fit into a cache of {}", self.capacity));
        }
        let stored = [("key", keys), ("value", values)].map(|(kind, rows)| {
            let shape = rows.shape();
            let stored = self.variable(layer, kind, [shape[0], shape[1], self.capacity, shape[3]], rows.dtype());
            let before = self.parents.as_ref().map_or_else(|| stored.clone(), |parents| stored.take(0, parents));
            let after = written(&before, rows, &self.position);
            self.graph.assign(&stored, &after);
            after
        });
        // Queries are at the new positions, and nothing is behind them yet.
        let mut buffers = vec![self.position.reshape([self.batch, 1, 1, 1])];
        let mut from_position = score.from_position();
        if *score != Score::causal() {
            let filled = ScoreDefinition::new("filled").integers(["filled"]);
            let filled = filled.mask(|s| s.key().less(s.buffer("filled"))).map_err(|error| error.to_string())?;
            from_position = from_position.and(&filled);
            buffers.push((&self.position + new as f64).reshape([self.batch, 1, 1, 1]));
        }
        let last = (self.capacity - new) as f64;
        let fits = self.position.ge(0).logical_and(self.position.le(last)).reshape([self.batch, 1, 1, 1]);
        Ok(Extended { stored, score: from_position, buffers, fits })
    }

    /// Keeps a layer's keys and values of a memory, as they are.
    #[track_caller]
    pub(super) fn remember(&self, layer: &str, keys_and_values: [&Tensor; 2]) {
        for (kind, rows) in ["memory_key", "memory_value"].iter().zip(keys_and_values) {
            if self.graph.error().is_some() {
                return;
            }
            let dims: [usize; 4] = [0, 1, 2, 3].map(|axis| rows.shape()[axis]);
            self.graph.assign(&self.variable(layer, kind, dims, rows.dtype()), rows);
        }
    }

    /// A layer's keys and values of a memory: `[heads, length, size]` for each of the sequences.
    #[track_caller]
    pub(super) fn recall(&self, layer: &str, [heads, length, size]: [usize; 3], dtype: DType) -> [Tensor; 2] {
        ["memory_key", "memory_value"].map(|kind| self.variable(layer, kind, [self.batch, heads, length, size], dtype))
    }

    #[track_caller]
    fn variable(&self, layer: &str, kind: &str, shape: [usize; 4], dtype: DType) -> Tensor {
        let name = format!("{}/{layer}.{kind}", self.name);
        let ty = TensorType::new(dtype, shape);
        self.graph.variable(Variable { name, ty, role: Role::Data, initial: Initial::Constant(0.0) })
    }
}

/// What new queries attend to.
pub(super) struct Extended {
    pub stored: [Tensor; 2],
    pub score: Score,
    /// The score's, behind those that it had.
    pub buffers: Vec<Tensor>,
    /// Whether there is room, `[batch, 1, 1, 1]`.
    pub fits: Tensor,
}

/// Rows `[batch, heads, new, size]` at each sequence's position, in place of what is there. The one function that says how a cache is
/// written.
#[track_caller]
fn written(stored: &Tensor, rows: &Tensor, position: &Tensor) -> Tensor {
    let (shape, new) = (stored.shape(), rows.shape()[2]);
    let slots = stored.graph().arange(shape[2]).reshape([1, 1, shape[2], 1]);
    let offset = slots - position.reshape([shape[0], 1, 1, 1]);
    let is_new = offset.ge(0).logical_and(offset.lt(new as f64));
    let rows = if new == 1 {
        rows.broadcast_to(&shape)
    } else {
        rows.gather(2, &offset.clamp(0.0, new as f64 - 1.0).broadcast_to(&shape))
    };
    is_new.select(rows, stored)
}

/// How far a [`KeyValueCache`] is filled, on the host: what a run's position is. One for all sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePosition {
    batch: usize,
    capacity: usize,
    filled: usize,
}

impl CachePosition {
    /// Of an empty cache.
    pub const fn new(batch: usize, capacity: usize) -> Self {
        Self { batch, capacity, filled: 0 }
    }

    /// The position of `new` tokens, i32 `[batch]`, which then count as filled.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no room for so many; it is then as it was.
    pub fn advance(&mut self, new: usize) -> Result<TensorData> {
        if new > self.capacity - self.filled {
            return Err(Error::Argument(format!(
                "a cache of {} positions has {} filled: {new} more do not fit",
                self.capacity, self.filled
            )));
        }
        let position = TensorData::from_vec(vec![self.filled as i32; self.batch], [self.batch])?;
        self.filled += new;
        Ok(position)
    }

    /// Positions that are filled.
    pub const fn filled(&self) -> usize {
        self.filled
    }

    /// Begins anew.
    pub const fn clear(&mut self) {
        self.filled = 0;
    }
}

/// The cache as mistakes name it.
fn label(name: &str) -> String {
    format!("cache {name:?}")
}
