//! What is known of all pairs in a block of queries and keys before their scores are computed, by the ranges of what the score's expression
//! reads: that a mask hides all, or that all stay as they are. On the CPU from numbers; for GPUs as an expression, which a kernel
//! evaluates for each block.

use super::Sizes;
use super::score::{Leaf, Score};
use crate::scalar::{Affine, Builder, NodeId, ScalarExpr, ScalarFunction, ScalarNode};
use crate::tensor::DType;

/// What is known of the scores of some queries and keys before they are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// All are hidden.
    Hidden,
    /// All stay as they are.
    Unchanged,
    Nothing,
}

/// The least and the greatest value; truth values are 0 and 1.
pub(super) type Range = [f64; 2];

/// Of what nothing is known.
pub(super) const ANY: Range = [f64::NEG_INFINITY, f64::INFINITY];

/// What is known of a block of pairs from the least and the greatest value of each leaf.
pub(super) fn known(score: &Score, leaf: &dyn Fn(Leaf) -> Range) -> Known {
    let expression = score.expression();
    let ranges = ranges(expression, leaf);
    expression.outputs.first().map_or(Known::Nothing, |&(id, _)| of_score(expression, &ranges, id))
}

/// The range of each node.
fn ranges(expression: &ScalarExpr, leaf: &dyn Fn(Leaf) -> Range) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::with_capacity(expression.nodes.len());
    for node in &expression.nodes {
        ranges.push(range(node, &ranges, leaf));
    }
    ranges
}

/// What is known of a new score.
fn of_score(expression: &ScalarExpr, ranges: &[Range], id: NodeId) -> Known {
    match &expression.nodes[id.index()] {
        ScalarNode::Call { function: ScalarFunction::Select, arguments } => match ranges[arguments[0].index()] {
            [1.0, _] => of_score(expression, ranges, arguments[1]),
            [_, 0.0] => of_score(expression, ranges, arguments[2]),
            _ => {
                let [a, b] = [1, 2].map(|k| of_score(expression, ranges, arguments[k]));
                if a == b { a } else { Known::Nothing }
            }
        },
        ScalarNode::Constant(constant) if constant.value == f64::NEG_INFINITY => Known::Hidden,
        ScalarNode::Load { input, .. } if Leaf::of(*input) == Leaf::Score => Known::Unchanged,
        _ => Known::Nothing,
    }
}

/// The range of a node. Integers are exact below 2⁵³.
fn range(node: &ScalarNode, known: &[Range], leaf: &dyn Fn(Leaf) -> Range) -> Range {
    use ScalarFunction as F;
    const EITHER: Range = [0.0, 1.0];
    let truth = |always: bool, never: bool| [f64::from(u8::from(always)), f64::from(u8::from(!never))];
    let (function, arguments) = match node {
        ScalarNode::Constant(constant) => return [constant.value; 2],
        ScalarNode::Load { input, .. } => {
            return match Leaf::of(*input) {
                Leaf::Score | Leaf::Upstream => ANY,
                other => leaf(other),
            };
        }
        ScalarNode::Call { function, arguments } => (*function, arguments),
        ScalarNode::Index(_) | ScalarNode::Gather { .. } | ScalarNode::Accumulator(_) => return ANY,
    };
    let of = |k: usize| arguments.get(k).map_or(ANY, |id| known[id.index()]);
    let ([a, b], [c, d]) = (of(0), of(1));
    let found = match function {
        F::Add => [a + c, b + d],
        F::Sub => [a - d, b - c],
        F::Mul => {
            let products = [a * c, a * d, b * c, b * d];
            [
                products.iter().copied().fold(f64::INFINITY, f64::min),
                products.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ]
        }
        F::Abs => [a.max(-b).max(0.0), b.max(-a)],
        F::Neg => [-b, -a],
        F::Minimum => [a.min(c), b.min(d)],
        F::Maximum => [a.max(c), b.max(d)],
        F::Cast(DType::F64) => [a, b],
        F::Less => truth(b < c, a >= d),
        F::LessEqual => truth(b <= c, a > d),
        F::Greater => truth(a > d, b <= c),
        F::GreaterEqual => truth(a >= d, b < c),
        F::Equal => truth(a == b && c == d && a == c, b < c || a > d),
        F::And => [a.min(c), b.min(d)],
        F::Or => [a.max(c), b.max(d)],
        F::Not => [1.0 - b, 1.0 - a],
        F::NotEqual | F::Xor | F::IsNan | F::IsInf => EITHER,
        _ => ANY,
    };
    // i32 wraps beyond its range; and a NaN, which only what has no bounds can be, is in no order.
    if found.iter().all(|value| value.abs() <= f64::from(i32::MAX)) { found } else { ANY }
}

/// Integers of buffers beyond this are not reckoned with: sums of two stay in 32 bits.
const MOST: f64 = 536_870_912.0;

/// The least and the greatest value of a node as expressions; of truth values, whether it is always and whether it may be true.
type Ends = [NodeId; 2];

/// What is known of a block, as a number of `family/attention`: 0 for nothing, 1 where all stay as they are, 2 where all are hidden. Its
/// inputs are the least and the greatest value of each leaf, at twice the leaf's index and behind it. Leaves of which these cannot be
/// had have none in `has_range`.
pub(super) fn expressed(score: &Score, sizes: &Sizes, has_range: &dyn Fn(Leaf) -> bool) -> ScalarExpr {
    let expression = score.expression();
    let span = |extent: usize| [0.0, extent.saturating_sub(1) as f64];
    let all = ranges(expression, &|leaf| match leaf {
        Leaf::Batch => span(sizes.batch),
        Leaf::Head => span(sizes.heads),
        Leaf::Query => span(sizes.queries),
        Leaf::Key => span(sizes.keys),
        Leaf::Buffer(_) if has_range(leaf) => [-MOST, MOST],
        Leaf::Buffer(_) | Leaf::Score | Leaf::Upstream => ANY,
    });
    let mut block = Block { builder: Builder::new(DType::F32), ends: Vec::new(), fits: None };
    for (node, range) in expression.nodes.iter().zip(&all) {
        let ends = block.ends_of(node, *range != ANY, has_range);
        block.ends.push(ends);
    }
    let [hidden, unchanged] = match expression.outputs.first() {
        Some(&(id, _)) => block.known(expression, id),
        None => [false; 2].map(|value| block.truth(value)),
    };
    let Block { mut builder, fits, .. } = block;
    let [nothing, one, two] = [0.0, 1.0, 2.0].map(|code| builder.constant(DType::U32, code));
    let code = builder.select(unchanged, one, nothing);
    let mut code = builder.select(hidden, two, code);
    if let Some(fits) = fits {
        code = builder.select(fits, code, nothing);
    }
    let last = score.declared().len();
    let inputs = vec![DType::I32; 2 * Leaf::Buffer(last).index()];
    builder.finish(Vec::new(), inputs, vec![(code, DType::U32)])
}

struct Block {
    builder: Builder,
    /// Of each node of the score, where they are known.
    ends: Vec<Option<Ends>>,
    /// Whether all integers that were read are small.
    fits: Option<NodeId>,
}

impl Block {
    fn truth(&mut self, value: bool) -> NodeId {
        self.builder.constant(DType::Bool, f64::from(u8::from(value)))
    }

    fn call(&mut self, function: ScalarFunction, arguments: &[NodeId]) -> NodeId {
        self.builder.call(function, arguments)
    }

    /// `fits` says that the node's integers stay in 32 bits.
    fn ends_of(&mut self, node: &ScalarNode, fits: bool, has_range: &dyn Fn(Leaf) -> bool) -> Option<Ends> {
        use ScalarFunction as F;
        let (function, arguments) = match node {
            ScalarNode::Constant(constant) if constant.dtype == DType::Bool || constant.dtype == DType::I32 => {
                return Some([self.builder.constant(constant.dtype, constant.value); 2]);
            }
            ScalarNode::Load { input, .. } => return self.read(Leaf::of(*input), has_range),
            ScalarNode::Call { function, arguments } => (*function, arguments),
            ScalarNode::Constant(_) | ScalarNode::Index(_) | ScalarNode::Gather { .. } | ScalarNode::Accumulator(_) => {
                return None;
            }
        };
        let of = |block: &Self, k: usize| arguments.get(k).and_then(|id| block.ends[id.index()]);
        let [a, b] = of(self, 0)?;
        if function == F::Not {
            return Some([self.call(F::Not, &[b]), self.call(F::Not, &[a])]);
        }
        if matches!(function, F::Neg | F::Abs) {
            // −b and −a.
            let [low, high] = [b, a].map(|end| self.call(F::Neg, &[end]));
            if function == F::Neg {
                return fits.then_some([low, high]);
            }
            let zero = self.builder.constant(DType::I32, 0.0);
            let least = self.call(F::Maximum, &[a, low]);
            let ends = [self.call(F::Maximum, &[least, zero]), self.call(F::Maximum, &[b, high])];
            return fits.then_some(ends);
        }
        let [c, d] = of(self, 1)?;
        let [low, high] = match function {
            F::Add => [self.builder.add(a, c), self.builder.add(b, d)],
            F::Sub => [self.builder.sub(a, d), self.builder.sub(b, c)],
            F::Minimum | F::Maximum => [self.call(function, &[a, c]), self.call(function, &[b, d])],
            F::Mul => {
                let products = [[a, c], [a, d], [b, c], [b, d]].map(|[x, y]| self.builder.mul(x, y));
                [F::Minimum, F::Maximum].map(|extreme| {
                    let [first, second] = [0, 2].map(|k| self.call(extreme, &[products[k], products[k + 1]]));
                    self.call(extreme, &[first, second])
                })
            }
            F::And | F::Or => return Some([self.call(function, &[a, c]), self.call(function, &[b, d])]),
            F::Less | F::LessEqual => return Some([self.call(function, &[b, c]), self.call(function, &[a, d])]),
            F::Greater | F::GreaterEqual => return Some([self.call(function, &[a, d]), self.call(function, &[b, c])]),
            F::Equal => {
                let [one, other, same] = [[a, b], [c, d], [a, c]].map(|pair| self.call(F::Equal, &pair));
                let both = self.call(F::And, &[one, other]);
                let always = self.call(F::And, &[both, same]);
                let [below, above] = [[a, d], [c, b]].map(|pair| self.call(F::LessEqual, &pair));
                return Some([always, self.call(F::And, &[below, above])]);
            }
            _ => return None,
        };
        fits.then_some([low, high])
    }

    fn read(&mut self, leaf: Leaf, has_range: &dyn Fn(Leaf) -> bool) -> Option<Ends> {
        if matches!(leaf, Leaf::Score | Leaf::Upstream) || !has_range(leaf) {
            return None;
        }
        let ends = [0, 1].map(|end| self.builder.load(2 * leaf.index() + end, DType::I32, Affine::constant(0, 0)));
        if matches!(leaf, Leaf::Buffer(_)) {
            let [least, most] = [-MOST, MOST].map(|value| self.builder.constant(DType::I32, value));
            let above = self.call(ScalarFunction::GreaterEqual, &[ends[0], least]);
            let below = self.call(ScalarFunction::LessEqual, &[ends[1], most]);
            let fits = self.call(ScalarFunction::And, &[above, below]);
            self.fits = Some(self.fits.map_or(fits, |others| self.builder.call(ScalarFunction::And, &[others, fits])));
        }
        Some(ends)
    }

    /// Whether all pairs are hidden, and whether all stay as they are.
    fn known(&mut self, expression: &ScalarExpr, id: NodeId) -> [NodeId; 2] {
        use ScalarFunction as F;
        match &expression.nodes[id.index()] {
            ScalarNode::Call { function: F::Select, arguments } => {
                let [first, second] = [arguments[1], arguments[2]].map(|id| self.known(expression, id));
                let both: Vec<NodeId> = first.iter().zip(second).map(|(&a, b)| self.call(F::And, &[a, b])).collect();
                let Some([always, possible]) = self.ends[arguments[0].index()] else { return [both[0], both[1]] };
                let never = self.call(F::Not, &[possible]);
                [0, 1].map(|k| {
                    let chosen = self.call(F::And, &[always, first[k]]);
                    let other = self.call(F::And, &[never, second[k]]);
                    let either = self.call(F::Or, &[chosen, other]);
                    self.call(F::Or, &[either, both[k]])
                })
            }
            ScalarNode::Constant(constant) if constant.value == f64::NEG_INFINITY => {
                [true, false].map(|v| self.truth(v))
            }
            ScalarNode::Load { input, .. } if Leaf::of(*input) == Leaf::Score => [false, true].map(|v| self.truth(v)),
            _ => [false; 2].map(|v| self.truth(v)),
        }
    }
}
