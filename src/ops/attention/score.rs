//! What attention does with a score before the softmax: an expression of the score, its indices and buffers, with its derivative.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use super::AttentionPass;
use super::known::{ANY, Known, known};
use crate::error::{Error, Result};
use crate::scalar::{Affine, Builder, NodeId, ScalarExpr, ScalarFunction, ScalarNode, Value, Writing, adjoints};
use crate::tensor::DType;

/// What an expression of a score reads. Each is an input of the expression, by its [`index`](Self::index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The scaled product of query and key.
    Score,
    Batch,
    Head,
    Query,
    Key,
    /// The gradient of the new score.
    Upstream,
    Buffer(usize),
}

/// Leaves before the buffers.
const FIXED: [Leaf; 6] = [Leaf::Score, Leaf::Batch, Leaf::Head, Leaf::Query, Leaf::Key, Leaf::Upstream];

impl Leaf {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Buffer(buffer) => FIXED.len() + buffer,
            fixed => FIXED.iter().position(|&other| other == fixed).unwrap_or(0),
        }
    }

    pub(super) fn of(input: usize) -> Self {
        FIXED.get(input).copied().unwrap_or_else(|| Self::Buffer(input - FIXED.len()))
    }

    fn dtype(self, buffers: &[Buffer]) -> DType {
        match self {
            Self::Score | Self::Upstream => DType::F64,
            Self::Batch | Self::Head | Self::Query | Self::Key => DType::I32,
            Self::Buffer(buffer) => match buffers.get(buffer) {
                Some(Buffer { is_integer: true, .. }) => DType::I32,
                _ => DType::F64,
            },
        }
    }
}

/// Values that a score's expression reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Buffer {
    pub(super) name: String,
    pub(super) is_integer: bool,
}

/// How attention changes its scores before the softmax, and which of them it hides: an expression of the score (the scaled product of a
/// query and a key), of the indices of batch, head, query and key, and of buffers. It is computed inside of the attention, with its
/// derivative; no matrix of scores is stored for it where attention has kernels of its own.
///
/// ```
/// use wgrad::ops::{AttentionOptions, Score, ScoreDefinition};
/// use wgrad::prelude::*;
/// // Scores that are held within ±30, of keys that are at most 128 before their query.
/// let capped = ScoreDefinition::new("capped").score(|s| (s.score() / 30.0).tanh() * 30.0)?;
/// let near = ScoreDefinition::new("near").mask(|s| (s.query() - s.key()).less(128))?;
/// let score = Score::causal().and(&near).and(&capped);
///
/// let g = Graph::new();
/// let [q, k, v] = ["q", "k", "v"].map(|name| g.input(name, [2, 8, 512, 64], F32)); // batch, heads, length, head size
/// let y = q.scaled_dot_product_attention(&k, &v, &AttentionOptions { score, ..AttentionOptions::default() });
/// assert_eq!(y.shape(), [2, 8, 512, 64].into());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Score(Arc<Definition>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Definition {
    name: String,
    buffers: Vec<Buffer>,
    /// The new score; −∞ where the pair is hidden.
    forward: ScalarExpr,
    /// The gradient of the score, from that of the new one; then those of the buffers.
    backward: ScalarExpr,
}

impl Score {
    /// Scores as they are.
    pub fn plain() -> Self {
        static SCORE: LazyLock<Score> =
            LazyLock::new(|| built_in(ScoreDefinition::new("plain"), |s| Written::Score(s.score())));
        SCORE.clone()
    }

    /// A query sees the keys up to its own index, as with PyTorch's `is_causal`.
    pub fn causal() -> Self {
        static SCORE: LazyLock<Score> = LazyLock::new(|| {
            built_in(ScoreDefinition::new("causal"), |s| Written::Mask(s.key().less_equal(s.query())))
        });
        SCORE.clone()
    }

    /// The same where query 0 is at position `offset` of the keys: those before it are of earlier steps.
    pub fn causal_from(offset: i32) -> Self {
        built_in(ScoreDefinition::new("causal"), |s| Written::Mask(s.key().less_equal(s.query() + offset)))
    }

    /// A query sees the keys from `before` before its index to `after` behind it.
    pub fn window(before: i32, after: i32) -> Self {
        built_in(ScoreDefinition::new("window"), |s| {
            let distance = s.key() - s.query();
            Written::Mask(distance.greater_equal(-before).and(distance.less_equal(after)))
        })
    }

    /// Every query sees the first `length` keys, and those up to its own index.
    pub fn prefix(length: i32) -> Self {
        built_in(ScoreDefinition::new("prefix"), |s| {
            Written::Mask(s.key().less(length).or(s.key().less_equal(s.query())))
        })
    }

    /// Sequences that are packed in one: a query sees the keys of its own. Takes two integer buffers: the sequence's number of each
    /// query, `[batch, 1, queries, 1]`, and of each key, `[batch, 1, 1, keys]`.
    pub fn documents() -> Self {
        let definition = ScoreDefinition::new("documents").integers(["document_of_query", "document_of_key"]);
        built_in(definition, |s| Written::Mask(s.buffer("document_of_query").equal(s.buffer("document_of_key"))))
    }

    /// A slope for each head times the distance to the key (Press et al. 2022), in a buffer `[1, heads, 1, 1]`.
    pub fn alibi() -> Self {
        built_in(ScoreDefinition::new("alibi").floats(["slopes"]), |s| {
            Written::Score(s.score() + s.buffer("slopes") * (s.key() - s.query()).to_float())
        })
    }

    /// Scores within ±`limit`: limit · tanh(score / limit).
    pub fn soft_cap(limit: f64) -> Self {
        built_in(ScoreDefinition::new("soft_cap"), |s| Written::Score((s.score() / limit).tanh() * limit))
    }

    /// A buffer of floats that is added, broadcast to `[batch, heads, queries, keys]`.
    pub(super) fn bias() -> Self {
        static SCORE: LazyLock<Score> = LazyLock::new(|| {
            let definition = ScoreDefinition::new("bias").floats(["bias"]);
            built_in(definition, |s| Written::Score(s.score() + s.buffer("bias")))
        });
        SCORE.clone()
    }

    /// Keys up to each sequence's length, `[batch, 1, 1, 1]`.
    pub(super) fn lengths() -> Self {
        static SCORE: LazyLock<Score> = LazyLock::new(|| {
            let definition = ScoreDefinition::new("lengths").integers(["lengths"]);
            built_in(definition, |s| Written::Mask(s.key().less(s.buffer("lengths"))))
        });
        SCORE.clone()
    }

    /// This, and then another on what it gives: a pair is seen where both show it. The other's buffers come after this one's.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if self.is_plain() || other.is_plain() {
            return if self.is_plain() { other.clone() } else { self.clone() };
        }
        let buffers: Vec<Buffer> = self.0.buffers.iter().chain(&other.0.buffers).cloned().collect();
        let mut builder = Builder::new(DType::F64);
        let first = copy(&mut builder, &self.0.forward, DType::F64, &mut |builder, leaf| load(builder, leaf, &buffers));
        let count = self.0.buffers.len();
        let both = copy(&mut builder, &other.0.forward, DType::F64, &mut |builder, leaf| match leaf {
            Leaf::Score => first[0],
            Leaf::Buffer(buffer) => load(builder, Leaf::Buffer(count + buffer), &buffers),
            leaf => load(builder, leaf, &buffers),
        });
        let name = format!("{}+{}", self.0.name, other.0.name);
        // Both were differentiated by themselves.
        derived(name, buffers, builder, both[0]).unwrap_or_else(|_| self.clone())
    }

    /// The same score of queries whose indices begin at a position instead of 0, as those of tokens that follow earlier ones do: a buffer of
    /// integers behind its own ones, broadcast to `[batch, heads, queries, keys]`.
    #[must_use]
    pub fn from_position(&self) -> Self {
        let position = Buffer { name: "position".into(), is_integer: true };
        let buffers: Vec<Buffer> = self.0.buffers.iter().cloned().chain([position]).collect();
        let mut builder = Builder::new(DType::F64);
        let outputs = copy(&mut builder, &self.0.forward, DType::F64, &mut |builder, leaf| match leaf {
            Leaf::Query => {
                let [query, position] =
                    [Leaf::Query, Leaf::Buffer(buffers.len() - 1)].map(|leaf| load(builder, leaf, &buffers));
                builder.call(ScalarFunction::Add, &[query, position])
            }
            leaf => load(builder, leaf, &buffers),
        });
        // It was differentiated before, and indices have no derivative.
        derived(format!("{}@position", self.0.name), buffers.clone(), builder, outputs[0])
            .unwrap_or_else(|_| self.clone())
    }

    /// True where scores stay as they are.
    pub fn is_plain(&self) -> bool {
        known(self, &|_| ANY) == Known::Unchanged
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Names of its buffers, in their order.
    pub fn buffers(&self) -> impl Iterator<Item = &str> {
        self.0.buffers.iter().map(|buffer| buffer.name.as_str())
    }

    pub(super) fn declared(&self) -> &[Buffer] {
        &self.0.buffers
    }

    /// The new score, or in the backward pass the gradients of the score and of the buffers, in a float type: what each leaf is, is for
    /// the caller to say.
    pub(super) fn written(
        &self,
        pass: AttentionPass,
        float: DType,
        leaf: &mut dyn FnMut(&mut Builder, Leaf) -> NodeId,
    ) -> (Builder, Vec<NodeId>) {
        let expression = match pass {
            AttentionPass::Forward => &self.0.forward,
            AttentionPass::Backward => &self.0.backward,
        };
        let mut builder = Builder::new(float);
        let outputs = copy(&mut builder, expression, float, leaf);
        (builder, outputs)
    }

    /// The type of a leaf, where floats are of this type.
    pub(super) fn dtype(&self, leaf: Leaf, float: DType) -> DType {
        let dtype = leaf.dtype(&self.0.buffers);
        if dtype.is_float() { float } else { dtype }
    }

    /// The new score as an expression of the leaves.
    pub(super) fn expression(&self) -> &ScalarExpr {
        &self.0.forward
    }
}

/// Copies an expression whose floats become of another type. Returns its outputs.
fn copy(
    builder: &mut Builder,
    expression: &ScalarExpr,
    float: DType,
    leaf: &mut dyn FnMut(&mut Builder, Leaf) -> NodeId,
) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = Vec::with_capacity(expression.nodes.len());
    for (node, dtype) in expression.nodes.iter().zip(&expression.types) {
        let id = match node {
            ScalarNode::Constant(constant) => {
                builder.constant(if dtype.is_float() { float } else { *dtype }, constant.value)
            }
            ScalarNode::Load { input, .. } => leaf(builder, Leaf::of(*input)),
            ScalarNode::Call { function, arguments } => {
                let arguments: Vec<NodeId> = arguments.iter().map(|id| ids[id.index()]).collect();
                let function = match function {
                    ScalarFunction::Cast(DType::F64) => ScalarFunction::Cast(float),
                    other => *other,
                };
                builder.call(function, &arguments)
            }
            // Of no score.
            ScalarNode::Index(_) | ScalarNode::Gather { .. } | ScalarNode::Accumulator(_) => builder.number(0.0),
        };
        ids.push(id);
    }
    expression.outputs.iter().map(|(id, _)| ids[id.index()]).collect()
}

fn load(builder: &mut Builder, leaf: Leaf, buffers: &[Buffer]) -> NodeId {
    builder.load(leaf.index(), leaf.dtype(buffers), Affine::constant(0, 0))
}

/// A score with its derivatives.
fn derived(name: String, buffers: Vec<Buffer>, mut builder: Builder, score: NodeId) -> Result<Score, String> {
    if let Some(problem) = builder.problem.take() {
        return Err(problem);
    }
    let inputs: Vec<DType> = (0..FIXED.len() + buffers.len()).map(|input| Leaf::of(input).dtype(&buffers)).collect();
    let forward = builder.clone().finish(Vec::new(), inputs.clone(), vec![(score, DType::F64)]);
    let leaves: Vec<NodeId> = std::iter::once(Leaf::Score)
        .chain((0..buffers.len()).map(Leaf::Buffer))
        .map(|leaf| load(&mut builder, leaf, &buffers))
        .collect();
    let upstream = load(&mut builder, Leaf::Upstream, &buffers);
    let found = adjoints(&mut builder, &[(score, upstream)])
        .map_err(|function| format!("{function} has no derivative, and a gradient would have to pass it"))?;
    let zero = builder.number(0.0);
    let gradient = |id: NodeId| found.get(id.index()).copied().flatten().unwrap_or(zero);
    let outputs = leaves.into_iter().map(|leaf| (gradient(leaf), DType::F64)).collect();
    let backward = builder.finish(Vec::new(), inputs, outputs);
    Ok(Score(Arc::new(Definition { name, buffers, forward, backward })))
}

/// What a definition gives.
enum Written<'b> {
    Score(Value<'b>),
    Mask(Value<'b>),
}

/// A score of one's own, while it is defined: its name, then its buffers, then its expression. See [`Score`].
#[derive(Clone, Debug)]
pub struct ScoreDefinition {
    name: String,
    buffers: Vec<Buffer>,
}

impl ScoreDefinition {
    /// A score with this name, which is for messages, printed programs and profiles.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), buffers: Vec::new() }
    }

    /// Buffers of floats, by the names that the expression calls them: each a tensor that is broadcast to `[batch, heads, queries, keys]`.
    #[must_use]
    pub fn floats<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.declare(names, false)
    }

    /// Buffers of i32, likewise.
    #[must_use]
    pub fn integers<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.declare(names, true)
    }

    fn declare<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>, is_integer: bool) -> Self {
        self.buffers.extend(names.into_iter().map(|name| Buffer { name: name.into(), is_integer }));
        self
    }

    /// The new score. The function is called once, with scalars that stand for those of any pair of query and key.
    ///
    /// # Errors
    /// [`Error::Argument`] that names what is wrong: a function that has no derivative or other operands, a buffer that was not declared.
    pub fn score(self, write: impl for<'b> FnOnce(&ScorePair<'b>) -> Value<'b>) -> Result<Score> {
        self.define(|s| Written::Score(write(s)))
    }

    /// A condition: pairs for which it is false are hidden.
    ///
    /// # Errors
    /// As of [`score`](Self::score).
    pub fn mask(self, write: impl for<'b> FnOnce(&ScorePair<'b>) -> Value<'b>) -> Result<Score> {
        self.define(|s| Written::Mask(write(s)))
    }

    fn define(self, write: impl for<'b> FnOnce(&ScorePair<'b>) -> Written<'b>) -> Result<Score> {
        let name = self.name.clone();
        self.written(write).map_err(|message| Error::Argument(format!("score {name:?}: {message}")))
    }

    fn written(self, write: impl for<'b> FnOnce(&ScorePair<'b>) -> Written<'b>) -> Result<Score, String> {
        let Self { name, buffers } = self;
        if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter)) {
            return Err("the name should be of letters, digits, '_', '-' and '.'".into());
        }
        if let Some((index, buffer)) = buffers
            .iter()
            .enumerate()
            .find(|(index, buffer)| buffers[..*index].iter().any(|other| other.name == buffer.name))
        {
            return Err(format!("buffers {} and before are both called {:?}", index, buffer.name));
        }
        let writing = Writing::new(DType::F64);
        let pair = ScorePair { writing: &writing, buffers: &buffers };
        let (id, is_mask) = match write(&pair) {
            Written::Score(value) => (value.id(), false),
            Written::Mask(value) => (value.id(), true),
        };
        let mut builder = writing.finish()?;
        let (dtype, wanted) = (builder.dtype(id), if is_mask { DType::Bool } else { DType::F64 });
        if dtype != wanted {
            let wanted = if is_mask { "a condition" } else { "a float" };
            return Err(format!("is {dtype}, and should be {wanted}"));
        }
        let score = if is_mask {
            let (score, hidden) = (load(&mut builder, Leaf::Score, &buffers), builder.number(f64::NEG_INFINITY));
            builder.select(id, score, hidden)
        } else {
            id
        };
        derived(name, buffers, builder, score)
    }
}

/// What the expression of a [`Score`] is written with: scalars that stand for those of any pair of a query and a key. Indices are i32.
#[derive(Debug)]
pub struct ScorePair<'b> {
    writing: &'b Writing,
    buffers: &'b [Buffer],
}

impl<'b> ScorePair<'b> {
    /// The scaled product of query and key.
    pub fn score(&self) -> Value<'b> {
        self.leaf(Leaf::Score)
    }

    /// The index in the batch.
    pub fn batch(&self) -> Value<'b> {
        self.leaf(Leaf::Batch)
    }

    /// The head's index, among those of the queries.
    pub fn head(&self) -> Value<'b> {
        self.leaf(Leaf::Head)
    }

    /// The query's index.
    pub fn query(&self) -> Value<'b> {
        self.leaf(Leaf::Query)
    }

    /// The key's index.
    pub fn key(&self) -> Value<'b> {
        self.leaf(Leaf::Key)
    }

    /// The pair's value of a buffer.
    pub fn buffer(&self, name: &str) -> Value<'b> {
        if let Some(index) = self.buffers.iter().position(|buffer| buffer.name == name) {
            return self.leaf(Leaf::Buffer(index));
        }
        let known: Vec<&str> = self.buffers.iter().map(|buffer| buffer.name.as_str()).collect();
        self.writing.fail(format!("has no buffer {name:?}; there are {known:?}"));
        self.number(0.0)
    }

    /// A number.
    pub fn number(&self, value: f64) -> Value<'b> {
        self.writing.build(|builder| builder.number(value))
    }

    fn leaf(&self, leaf: Leaf) -> Value<'b> {
        self.writing.build(|builder| load(builder, leaf, self.buffers))
    }
}

/// A definition of ours, which a test holds to be right.
fn built_in(definition: ScoreDefinition, write: impl for<'b> FnOnce(&ScorePair<'b>) -> Written<'b>) -> Score {
    let name = definition.name.clone();
    definition.written(write).unwrap_or_else(|message| {
        let nothing = ScalarExpr::nothing();
        let (forward, backward) = (nothing.clone(), nothing);
        Score(Arc::new(Definition { name: format!("{name}: {message}"), buffers: Vec::new(), forward, backward }))
    })
}

impl Default for Score {
    fn default() -> Self {
        Self::plain()
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Score {}

impl Hash for Score {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0.name, &self.0.forward).hash(state);
    }
}

/// The name and what it computes, by which tuning tells it from others of its name.
impl fmt::Debug for Score {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} <{}>", self.0.name, self.0.forward)
    }
}
