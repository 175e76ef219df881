//! Scaled dot-product attention (Vaswani et al. 2017): of each query, the mean of the values, weighted by the softmax of its scores with
//! the keys. What happens to a score before the softmax is an expression (`score`).
//!
//! It is computed in blocks of queries and keys, with a running softmax (Milakov and Gimelshein 2018, Dao et al. 2022), and saves the
//! logarithm of each query's sum, from which the backward pass computes the weights again: memory is linear in the lengths. The CPU's
//! form is `native`, that of GPUs `kernels`. The definition in simpler operators (`definition`), which has a matrix of scores, gives
//! gradients of gradients, those of buffers, and a form for GPUs whose limits are too small.

mod definition;
mod dropout;
mod kernels;
mod known;
mod module;
mod native;
mod score;
#[cfg(test)]
mod tests;

use super::{Op, Permute};
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorType};

use dropout::Dropout;
pub use score::{Score, ScoreDefinition, ScorePair};

/// Forward or backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttentionPass {
    /// Queries `[batch, heads, queries, head size]`, keys `[batch, key heads, keys, head size]`, values `[batch, key heads, keys, value
    /// size]`, then the score's buffers. Returns `[batch, heads, queries, value size]`, and the logarithm of the sum of each query's
    /// exponentials, `[batch, heads, queries]`.
    Forward,
    /// Queries, keys, values, both results as `[batch, heads, queries, …]`, the gradient of the first one, then the buffers. Returns the
    /// gradients of queries, keys and values.
    Backward,
}

/// A pass of attention.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attention {
    /// What happens to scores before the softmax.
    pub score: Score,
    /// The bits of the factor of products of queries and keys.
    scale: u64,
    /// Which weights are left out; then the seed and the step are the last input.
    dropout: Option<Dropout>,
    /// Forward or backward.
    pub pass: AttentionPass,
    /// True where results are `[batch, positions, heads, size]`, as a layer has them, instead of `[batch, heads, positions, size]`.
    positions_first: bool,
}

/// The sizes of an attention.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    head_size: usize,
    value_size: usize,
}

impl Sizes {
    /// From the types of queries, keys and values.
    fn of(types: &[&TensorType]) -> Result<Self, String> {
        let [q, k, v] = types else {
            return Err(format!("takes queries, keys and values, not {} tensors", types.len()));
        };
        let (
            &[batch, heads, queries, head_size],
            &[key_batch, key_heads, keys, key_size],
            &[value_batch, value_heads, values, value_size],
        ) = (q.shape.dims(), k.shape.dims(), v.shape.dims())
        else {
            return Err(format!(
                "takes queries, keys and values of [batch, heads, length, size], not {}, {} and {}",
                q.shape, k.shape, v.shape
            ));
        };
        if q.dtype != k.dtype || q.dtype != v.dtype || !q.dtype.is_float() {
            return Err(format!(
                "takes queries, keys and values of one float type, not {}, {} and {}",
                q.dtype, k.dtype, v.dtype
            ));
        }
        if head_size == 0 {
            return Err("takes heads of a size of 1 or more".into());
        }
        if [key_batch, value_batch] != [batch; 2] {
            return Err(format!(
                "queries are of a batch of {batch}, and keys and values of {key_batch} and {value_batch}"
            ));
        }
        if head_size != key_size {
            return Err(format!("queries have a head size of {head_size}, and keys of {key_size}"));
        }
        if (key_heads, keys) != (value_heads, values) {
            return Err(format!("keys and values have other heads or lengths: {} and {}", k.shape, v.shape));
        }
        if heads != key_heads && (key_heads == 0 || !heads.is_multiple_of(key_heads)) {
            return Err(format!("{heads} heads of queries are no multiple of {key_heads} heads of keys"));
        }
        Ok(Self { batch, heads, key_heads, queries, keys, head_size, value_size })
    }

    /// The shape that buffers are broadcast to.
    fn scores(&self) -> [usize; 4] {
        [self.batch, self.heads, self.queries, self.keys]
    }
}

impl Attention {
    /// The type of a result of `[batch, heads, positions, size]`.
    fn laid_out(&self, ty: &TensorType) -> TensorType {
        match (self.positions_first, ty.shape.dims()) {
            (true, &[batch, heads, positions, size]) => TensorType::new(ty.dtype, [batch, positions, heads, size]),
            _ => ty.clone(),
        }
    }

    /// A result as `[batch, heads, positions, size]`, and such a tensor as a result.
    #[track_caller]
    fn by_heads(&self, result: &Tensor) -> Tensor {
        if self.positions_first { result.transpose(1, 2) } else { result.clone() }
    }

    /// The factor of products of queries and keys.
    pub fn scale(&self) -> f64 {
        f64::from_bits(self.scale)
    }

    /// Inputs before the buffers.
    fn fixed(&self) -> usize {
        match self.pass {
            AttentionPass::Forward => 3,
            AttentionPass::Backward => 6,
        }
    }

    /// Which inputs are the score's buffers.
    fn buffers(&self) -> std::ops::Range<usize> {
        self.fixed()..self.fixed() + self.score.declared().len()
    }

    fn sizes(&self, inputs: &[&TensorType]) -> Result<Sizes, String> {
        let buffers = self.buffers();
        let wanted = buffers.end + usize::from(self.dropout.is_some());
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, not {}", inputs.len()));
        }
        let sizes = Sizes::of(&inputs[..3])?;
        for (buffer, ty) in self.score.declared().iter().zip(&inputs[buffers]) {
            let dtype = if buffer.is_integer { DType::I32 } else { inputs[0].dtype };
            if ty.dtype != dtype {
                return Err(format!("the score's buffer {:?} is {}, and should be {dtype}", buffer.name, ty.dtype));
            }
            let fits = |(&extent, whole): (&usize, usize)| extent == whole || extent == 1;
            if ty.shape.rank() != 4 || !ty.shape.iter().zip(sizes.scores()).all(fits) {
                let all = Shape::from(sizes.scores());
                return Err(format!(
                    "the score's buffer {:?} is {}, which cannot be broadcast to {all}: batch, heads, queries, keys",
                    buffer.name, ty.shape
                ));
            }
        }
        Ok(sizes)
    }
}

impl Operator for Attention {
    fn name(&self) -> String {
        match self.pass {
            AttentionPass::Forward => "attention".into(),
            AttentionPass::Backward => "attention_gradient".into(),
        }
    }

    fn output_count(&self) -> usize {
        match self.pass {
            AttentionPass::Forward => 2,
            AttentionPass::Backward => 3,
        }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let Sizes { batch, heads, queries, value_size, .. } = self.sizes(inputs)?;
        let dtype = inputs[0].dtype;
        let result = TensorType::new(dtype, [batch, heads, queries, value_size]);
        let sums = TensorType::new(dtype, [batch, heads, queries]);
        match self.pass {
            AttentionPass::Forward => Ok(vec![self.laid_out(&result), sums]),
            AttentionPass::Backward => {
                let fits = [inputs[3], inputs[4], inputs[5]] == [&result, &sums, &result];
                if fits {
                    Ok(inputs[..3].iter().map(|ty| self.laid_out(ty)).collect())
                } else {
                    Err("results do not fit".into())
                }
            }
        }
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self).accepts_views(true))
    }

    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let mut found = match self.pass {
            AttentionPass::Forward => definition::forward(self, inputs)?,
            AttentionPass::Backward => definition::backward(self, inputs)?,
        };
        for result in found.iter_mut().filter(|result| result.rank() == 4) {
            *result = self.by_heads(result);
        }
        Some(found)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        // A buffer's gradient, that of the sums, and gradients of gradients are those of the definition.
        let has_float = self.score.declared().iter().any(|buffer| !buffer.is_integer);
        let (AttentionPass::Forward, [Some(upstream), None], false) =
            (self.pass, gradient.upstream.as_slice(), has_float)
        else {
            return None;
        };
        let [result, sums] = gradient.outputs.as_slice() else { return None };
        let (result, upstream) = (self.by_heads(result), self.by_heads(upstream));
        let mut inputs: Vec<&Tensor> = gradient.inputs[..3].iter().collect();
        inputs.extend([&result, sums, &upstream]);
        inputs.extend(&gradient.inputs[3..]);
        let backward = Self { pass: AttentionPass::Backward, ..self.clone() };
        let found = upstream.graph().apply(Op::Attention(backward), &inputs);
        let mut parts: Vec<Option<Tensor>> = found.iter().take(3).map(|part| Some(self.by_heads(part))).collect();
        parts.resize(gradient.inputs.len(), None);
        Some(parts)
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        let Ok(sizes) = self.sizes(inputs) else { return RoutineCost::default() };
        let pairs = sizes.scores().iter().product::<usize>() as u64;
        let (head, value) = (sizes.head_size as u64, sizes.value_size as u64);
        RoutineCost {
            flops: match self.pass {
                AttentionPass::Forward => pairs * (2 * head + 2 * value + 5),
                AttentionPass::Backward => pairs * (6 * head + 4 * value + 8),
            },
        }
    }
}

impl CpuRoutine for Attention {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        native::evaluate(self, inputs, outputs)
    }
}

impl GpuRoutine for Attention {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter, false)
    }

    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter, true)
    }

    fn reads_stored(&self, input: usize) -> bool {
        match self.pass {
            AttentionPass::Forward => input < 3,
            AttentionPass::Backward => input < 6 && input != 4,
        }
    }

    fn obstacle(&self, inputs: &[&TensorType], adapter: &Adapter) -> Option<String> {
        kernels::obstacle(self, inputs, adapter)
    }
}

/// How attention is computed.
#[derive(Clone, Debug)]
pub struct AttentionOptions<'a> {
    /// The factor of products of queries and keys; 1/√(head size) where there is none.
    pub scale: Option<f64>,
    /// What happens to scores before the softmax.
    pub score: Score,
    /// The score's buffers, in its order: each is broadcast to `[batch, heads, queries, keys]`.
    pub buffers: &'a [&'a Tensor],
    /// Added to the scores after that, broadcast likewise; −∞ hides a pair.
    pub bias: Option<&'a Tensor>,
    /// The number of keys that each sequence of the batch has, integers `[batch]`; those behind it are hidden.
    pub lengths: Option<&'a Tensor>,
    /// The probability of a weight to be left out, while the others are scaled by 1/(1 − p), anew at each step; for training only.
    pub dropout: f64,
}

impl Default for AttentionOptions<'_> {
    fn default() -> Self {
        Self { scale: None, score: Score::plain(), buffers: &[], bias: None, lengths: None, dropout: 0.0 }
    }
}

impl Tensor {
    /// Attention of these queries, `[batch, heads, queries, head size]`, to keys `[batch, key heads, keys, head size]` with values
    /// `[batch, key heads, keys, value size]`; gives `[batch, heads, queries, value size]`.
    ///
    /// softmax(score(scale · q·kᵀ))·v. Where there are fewer key heads, each is that of as many heads of queries that follow each other
    /// (grouped queries; one for all is multi-query attention). A query that sees no key gives zeros, and its gradients are zeros. What
    /// is hidden counts as if it were not there, but for NaN and infinities in its keys and values, which may or may not come through.
    ///
    /// ```
    /// use wgrad::ops::{AttentionOptions, Score};
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let q = g.input("q", [2, 8, 100, 64], F32); // batch, heads, length, head size
    /// let (k, v) = (g.input("k", [2, 2, 100, 64], F32), g.input("v", [2, 2, 100, 64], F32)); // four heads share a key's
    /// let lengths = g.input("lengths", [2], I32);
    /// let options = AttentionOptions { score: Score::causal(), lengths: Some(&lengths), ..AttentionOptions::default() };
    /// let y = q.scaled_dot_product_attention(&k, &v, &options);
    /// assert_eq!(y.shape(), [2, 8, 100, 64].into());
    /// ```
    #[track_caller]
    pub fn scaled_dot_product_attention(&self, keys: &Self, values: &Self, options: &AttentionOptions<'_>) -> Self {
        let graph = self.graph();
        let mut score = options.score.clone();
        let declared = score.declared().len();
        if declared != options.buffers.len() && graph.error().is_none() {
            let message = format!(
                "score {:?} takes {declared} buffers ({}), not {}",
                score.name(),
                score.buffers().collect::<Vec<_>>().join(", "),
                options.buffers.len()
            );
            return graph.mistake("attention", message);
        }
        let mut inputs = vec![self.clone(), keys.clone(), values.clone()];
        inputs.extend(options.buffers.iter().map(|&buffer| buffer.clone()));
        if let Some(bias) = options.bias {
            score = score.and(&Score::bias());
            inputs.push(bias.clone());
        }
        if let Some(lengths) = options.lengths {
            if lengths.rank() != 1 && graph.error().is_none() {
                return graph.mistake("attention", format!("lengths are [batch], not {}", lengths.shape()));
            }
            score = score.and(&Score::lengths());
            inputs.push(lengths.i32_indices().reshape([lengths.shape().first().copied().unwrap_or(0), 1, 1, 1]));
        }
        // Those of lower ranks have the last axes, as everywhere.
        for buffer in &mut inputs[3..] {
            while buffer.rank() < 4 && graph.error().is_none() {
                *buffer = buffer.unsqueeze(0);
            }
        }
        let head_size = self.shape().last().copied().unwrap_or(1).max(1);
        let scale = options.scale.unwrap_or_else(|| (head_size as f64).sqrt().recip());
        if !(0.0..=1.0).contains(&options.dropout) {
            return graph.mistake("attention", format!("the dropout is {}, and must be from 0 to 1", options.dropout));
        }
        let mut dropout = None;
        if options.dropout > 0.0 && graph.error().is_none() {
            let (state, stream) = graph.random_stream();
            inputs.push(state);
            dropout = Some(Dropout::new(options.dropout, stream));
        }
        // The result lies in memory as the queries do: heads of a layer are a view of rows that have all of them.
        let positions_first = matches!(self.origin().0, Op::Permute(Permute(axes)) if axes == [0, 2, 1, 3]);
        let pass = AttentionPass::Forward;
        let attention = Attention { score, scale: scale.to_bits(), dropout, pass, positions_first };
        let inputs: Vec<&Self> = inputs.iter().collect();
        let result = graph.saved(&graph.apply(Op::Attention(attention), &inputs).swap_remove(0));
        if positions_first && graph.error().is_none() { result.transpose(1, 2) } else { result }
    }
}
