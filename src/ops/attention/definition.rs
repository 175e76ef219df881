//! What attention is, in simpler operators, and its gradient. It has a matrix of scores.

use super::score::Leaf;
use super::{Attention, AttentionPass, Sizes};
use crate::graph::{Tensor, as_nodes};
use crate::scalar::{Affine, ScalarNode};
use crate::tensor::TensorType;

/// The tensors of a pass.
struct Scores<'a> {
    attention: &'a Attention,
    sizes: Sizes,
    q: &'a Tensor,
    k: &'a Tensor,
    v: &'a Tensor,
    buffers: &'a [Tensor],
    /// Seed and step, where weights are left out.
    random: Option<&'a Tensor>,
}

impl<'a> Scores<'a> {
    fn new(attention: &'a Attention, inputs: &'a [Tensor]) -> Option<Self> {
        let types: Vec<TensorType> = inputs.iter().map(Tensor::ty).collect();
        let sizes = attention.sizes(&types.iter().collect::<Vec<_>>()).ok()?;
        let [q, k, v, ..] = inputs else { return None };
        let buffers = &inputs[attention.buffers()];
        Some(Self { attention, sizes, q, k, v, buffers, random: inputs.get(attention.buffers().end) })
    }

    /// `[batch, heads, …]` as `[batch, key heads, …]`: the rows of heads that share keys one after the other.
    #[track_caller]
    fn grouped(&self, tensor: &Tensor) -> Tensor {
        let Sizes { batch, heads, key_heads, queries, .. } = self.sizes;
        let last = tensor.shape()[3];
        tensor.reshape([batch, key_heads, heads / key_heads.max(1) * queries, last])
    }

    /// Back again.
    #[track_caller]
    fn by_heads(&self, tensor: &Tensor) -> Tensor {
        let Sizes { batch, heads, queries, .. } = self.sizes;
        tensor.reshape([batch, heads, queries, tensor.shape()[3]])
    }

    /// `lhs · rhs` for each head of queries, where rhs is that of a head of keys.
    #[track_caller]
    fn product(&self, lhs: &Tensor, rhs: &Tensor) -> Tensor {
        self.by_heads(&self.grouped(lhs).matmul(rhs))
    }

    /// `lhsᵀ · rhs` for each head of keys, summed over the heads of queries that share it.
    #[track_caller]
    fn sum_of_products(&self, lhs: &Tensor, rhs: &Tensor) -> Tensor {
        self.grouped(lhs).transpose(2, 3).matmul(&self.grouped(rhs))
    }

    /// The scaled products.
    #[track_caller]
    fn scores(&self) -> Tensor {
        self.product(self.q, &self.k.transpose(2, 3)) * self.attention.scale()
    }

    /// The indices along an axis of the scores.
    #[track_caller]
    fn index(&self, axis: usize) -> Tensor {
        let extent = self.sizes.scores()[axis];
        let mut shape = [1; 4];
        shape[axis] = extent;
        self.q.graph().arange(extent).reshape(shape)
    }

    /// Values of the score's expression or of its derivative, for all pairs.
    #[track_caller]
    fn values(&self, pass: AttentionPass, scores: &Tensor, upstream: Option<&Tensor>) -> Option<Tensor> {
        let (graph, dtype) = (self.q.graph(), self.q.dtype());
        let score = &self.attention.score;
        let (builder, outputs) = score.written(pass, dtype, &mut |builder, leaf| {
            builder.load(leaf.index(), score.dtype(leaf, dtype), Affine::constant(0, 0))
        });
        let count = Leaf::Buffer(score.declared().len()).index();
        let inputs = (0..count).map(|input| score.dtype(Leaf::of(input), dtype)).collect();
        let expression = builder.finish(Vec::new(), inputs, vec![(*outputs.first()?, dtype)]);
        let leaf = |node: &ScalarNode| match node {
            ScalarNode::Constant(constant) => Some(graph.scalar(constant.dtype, constant.value)),
            ScalarNode::Load { input, .. } => Some(match Leaf::of(*input) {
                Leaf::Score => scores.clone(),
                Leaf::Batch => self.index(0),
                Leaf::Head => self.index(1),
                Leaf::Query => self.index(2),
                Leaf::Key => self.index(3),
                Leaf::Upstream => upstream?.clone(),
                Leaf::Buffer(buffer) => self.buffers.get(buffer)?.clone(),
            }),
            ScalarNode::Call { .. } | ScalarNode::Index(_) | ScalarNode::Gather { .. } | ScalarNode::Accumulator(_) => {
                None
            }
        };
        Some(as_nodes(&expression, &leaf)?.first()?.broadcast_to(self.sizes.scores()))
    }

    /// The new scores, −∞ where a pair is hidden.
    #[track_caller]
    fn new_scores(&self, scores: &Tensor) -> Option<Tensor> {
        self.values(AttentionPass::Forward, scores, None)
    }

    /// Each query's weights, from its sum's logarithm.
    #[track_caller]
    fn weights(&self, scores: &Tensor, sums: &Tensor) -> Tensor {
        let hidden = scores.eq(f64::NEG_INFINITY);
        hidden.select(0.0, (scores - sums.unsqueeze(3)).exp())
    }
}

impl Scores<'_> {
    /// Values for all pairs, without those that a dropout leaves out.
    #[track_caller]
    fn dropped(&self, values: Tensor) -> Tensor {
        match (self.attention.dropout, self.random) {
            (Some(dropout), Some(state)) => values * dropout.factors(&self.sizes, state, self.q.dtype()),
            _ => values,
        }
    }
}

/// The result, and the logarithms of sums.
#[track_caller]
pub(super) fn forward(attention: &Attention, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let all = Scores::new(attention, inputs)?;
    let scores = all.new_scores(&all.scores())?;
    // The softmax of an infinite score is NaN for all, as exp(∞ − ∞) is.
    let sums = scores.log_sum_exp([3]);
    let sums = sums.eq(f64::INFINITY).select(f64::NAN, &sums);
    let weights = all.weights(&scores, &sums);
    Some(vec![all.product(&all.dropped(weights), all.v), sums])
}

/// Gradients of queries, keys and values.
#[track_caller]
pub(super) fn backward(attention: &Attention, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
    let all = Scores::new(attention, inputs)?;
    let [_, _, _, result, sums, upstream, ..] = inputs else { return None };
    let before = all.scores();
    let scores = all.new_scores(&before)?;
    let weights = all.weights(&scores, sums);
    let mean = (result * upstream).sum(crate::ops::keepdim([3]));
    let of_weights = all.dropped(all.product(upstream, &all.v.transpose(2, 3)));
    // Where a pair is hidden, nothing comes through, be it infinite.
    let hidden = scores.eq(f64::NEG_INFINITY);
    let of_scores = hidden.select(0.0, &weights * (of_weights - mean));
    let of_products = all.values(AttentionPass::Backward, &before, Some(&of_scores))?;
    let of_products = of_products * attention.scale();
    Some(vec![
        all.product(&of_products, all.k),
        all.sum_of_products(&of_products, all.q),
        all.sum_of_products(&all.dropped(weights), upstream),
    ])
}
