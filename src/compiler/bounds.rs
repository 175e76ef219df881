//! What is known of a graph's values before it runs: the least and the largest that each can be. Integers that a
//! program computes from shapes, coordinates, comparisons and positions are bounded, and need no checks on a device of 32 bits.

use crate::graph::{GraphData, Node, ValueId};
use crate::ops::{Combine, Elementwise, Op};
use crate::scalar::{Reduction, ScalarFunction as F};
use crate::tensor::{DType, TensorType};

/// The ends of i32, in which a GPU computes instead of i64.
const I32: Range = Range { low: -2_147_483_648.0, high: 2_147_483_647.0 };

/// The least and the largest number that a value can be; floats may also be NaN. Beyond 2⁵³ the ends are rounded, which is far from
/// those of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// All that a type holds; an i64 is within i32 on a GPU, or has been detected.
    const fn of_type(dtype: DType) -> Self {
        match dtype {
            DType::Bool => Self::new(0.0, 1.0),
            DType::U8 => Self::new(0.0, 255.0),
            DType::I32 | DType::I64 => I32,
            DType::U32 => Self::new(0.0, 4_294_967_295.0),
            DType::F32 | DType::F16 | DType::BF16 | DType::F64 => Self::ALL,
        }
    }

    /// True where every number is one of the other's.
    fn within(self, other: Self) -> bool {
        other.low <= self.low && self.high <= other.high
    }

    /// True where every number is an i32.
    pub(super) fn fits(self) -> bool {
        self.within(I32)
    }

    /// The larger magnitude of both ends.
    pub(super) fn magnitude(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    fn union(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    fn add(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high)
    }

    fn neg(self) -> Self {
        Self::new(-self.high, -self.low)
    }

    /// The range of a function that is monotone in each argument, from its values at the corners.
    fn corners(self, other: Self, function: impl Fn(f64, f64) -> f64) -> Self {
        let (a, b) = ([self.low, self.high], [other.low, other.high]);
        let values = a.iter().flat_map(|&a| b.iter().map(move |&b| (a, b))).map(|(a, b)| {
            let value = function(a, b);
            // 0 · ∞: what is multiplied by an unbounded number is unbounded.
            if value.is_nan() { f64::INFINITY } else { value }
        });
        let all =
            values.fold(Self::new(f64::INFINITY, f64::NEG_INFINITY), |all, value| all.union(Self::new(value, value)));
        if all.high == f64::INFINITY { Self::ALL } else { all }
    }

    fn mul(self, other: Self) -> Self {
        self.corners(other, |a, b| a * b)
    }

    fn map(self, function: impl Fn(f64) -> f64) -> Self {
        Self::new(function(self.low), function(self.high))
    }

    /// The sum of `count` of them.
    fn times(self, count: f64) -> Self {
        self.mul(Self::new(count, count))
    }

    fn with_zero(self) -> Self {
        self.union(Self::new(0.0, 0.0))
    }
}

/// The range of each value of a graph, as far as it can be told; and for i64 also the result in unbounded integers, before
/// it is held in 32 bits.
pub(super) struct Bounds {
    /// For each node and output, what the value is.
    values: Vec<Vec<Range>>,
    /// What the first output would be if its type had no ends.
    exact: Vec<Range>,
}

impl Bounds {
    pub(super) fn of(data: &GraphData) -> Self {
        let mut bounds = Self { values: Vec::new(), exact: Vec::new() };
        for node in &data.nodes {
            let input = |index: usize| node.inputs.get(index).map_or(I32, |&id| bounds.value(id));
            let types: Vec<&TensorType> = node.inputs.iter().map(|&id| data.ty(id)).collect();
            let results = results(node, &input, &types);
            bounds.exact.push(results.first().copied().unwrap_or(I32));
            let held = node.outputs.iter().enumerate().map(|(output, ty)| {
                let all = Range::of_type(ty.dtype);
                match results.get(output) {
                    Some(range) if range.within(all) => *range,
                    // What leaves i64's 32 bits is detected; the rest is within.
                    Some(range) if ty.dtype == DType::I64 => {
                        let inside = Range::new(range.low.max(all.low), range.high.min(all.high));
                        if inside.low <= inside.high { inside } else { all }
                    }
                    _ => all,
                }
            });
            bounds.values.push(held.collect());
        }
        bounds
    }

    /// What a value can be.
    pub(super) fn value(&self, id: ValueId) -> Range {
        let known = self.values.get(id.node()).and_then(|outputs| outputs.get(id.output as usize));
        known.copied().unwrap_or(Range::ALL)
    }

    /// What a node's first output would be in a type without ends.
    pub(super) fn exact(&self, node: usize) -> Range {
        self.exact.get(node).copied().unwrap_or(Range::ALL)
    }
}

/// Ranges of a node's outputs in arithmetic without ends; what is not said is all of its type.
fn results(node: &Node, input: &impl Fn(usize) -> Range, types: &[&TensorType]) -> Vec<Range> {
    let unknown = || node.outputs.iter().map(|ty| Range::of_type(ty.dtype)).collect();
    let length = |index: usize| types.get(index).map_or(0.0, |ty| ty.shape.len() as f64);
    let extent = |axis: usize| types.first().and_then(|ty| ty.shape.get(axis)).copied().unwrap_or(0) as f64;
    let indices = |count: f64| Range::new(0.0, (count - 1.0).max(0.0));
    match &node.op {
        Op::Constant(data) if data.is_empty() => vec![Range::new(0.0, 0.0)],
        Op::Constant(data) => {
            let ends = data.to_f64_vec().into_iter().fold(None, |ends: Option<Range>, value| {
                let value = if value.is_nan() { 0.0 } else { value };
                let one = Range::new(value, value);
                Some(ends.map_or(one, |ends| ends.union(one)))
            });
            ends.map_or_else(unknown, |ends| vec![ends])
        }
        Op::Coordinate(coordinate) => {
            vec![indices(coordinate.shape.get(coordinate.axis).copied().unwrap_or(0) as f64)]
        }
        Op::StopGradient
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Broadcast(_)
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::Take(_) => vec![input(0)],
        Op::Pad(pad) => vec![input(0).union(Range::new(pad.value.value, pad.value.value))],
        Op::Concat(_) => {
            let parts = (0..node.inputs.len()).map(input);
            vec![parts.reduce(Range::union).unwrap_or(Range::new(0.0, 0.0))]
        }
        Op::Sort(_) => {
            vec![input(0), indices(types.first().and_then(|ty| ty.shape.last()).copied().unwrap_or(0) as f64)]
        }
        Op::Reduce(reduce) => {
            let count: f64 = reduce.axes.iter().map(|&axis| extent(axis)).product();
            match reduce.reduction {
                Reduction::Sum => vec![input(0).times(count)],
                Reduction::Product => {
                    let most = input(0).magnitude().max(1.0).powf(count);
                    let low = if input(0).low >= 0.0 { 0.0 } else { -most };
                    vec![Range::new(low, most)]
                }
                Reduction::Max | Reduction::Min => vec![input(0)],
                Reduction::ArgMax | Reduction::ArgMin => vec![indices(count)],
                Reduction::LogSumExp => unknown(),
            }
        }
        Op::CumulativeSum(sum) => vec![input(0).with_zero().times(extent(sum.axis))],
        Op::Matmul(_) => {
            let inner = types.first().and_then(|ty| ty.shape.last()).copied().unwrap_or(0) as f64;
            vec![input(0).mul(input(1)).times(inner)]
        }
        Op::ScatterAdd(_) | Op::ScatterRows(_) => vec![input(0).add(input(2).with_zero().times(length(1)))],
        Op::Elementwise(Elementwise(function)) => {
            let is_integer = node.outputs.first().is_some_and(|ty| !ty.dtype.is_float());
            vec![elementwise(*function, is_integer, input, types).unwrap_or(Range::ALL)]
        }
        Op::Scatter(scatter) if scatter.combine == Combine::Product => vec![Range::ALL],
        Op::Scatter(_) => vec![input(0).union(input(2))],
        // What has values of its own, and is within its type: a custom operator on a GPU says so.
        Op::Placeholder | Op::Input(..) | Op::Variable(_) | Op::Custom(_) => unknown(),
        // Nothing is known of others; an i64 of theirs is refused for a GPU, unless it is listed here and among the checks.
        _ => node
            .outputs
            .iter()
            .map(|ty| if ty.dtype == DType::I64 { Range::ALL } else { Range::of_type(ty.dtype) })
            .collect(),
    }
}

/// The range of a scalar function; `None` where it may be anything.
fn elementwise(function: F, is_integer: bool, input: &impl Fn(usize) -> Range, types: &[&TensorType]) -> Option<Range> {
    let (a, b) = (input(0), input(1));
    let shifts = (0.0..32.0).contains(&b.low) && (0.0..32.0).contains(&b.high);
    Some(match function {
        F::Add => a.add(b),
        F::Sub => a.add(b.neg()),
        F::Mul => a.mul(b),
        F::Neg => a.neg(),
        F::Abs if a.low >= 0.0 => a,
        F::Abs => Range::new(0.0, a.magnitude()),
        F::Square => Range::new(0.0, a.magnitude() * a.magnitude()),
        // A divisor of 0 leaves the dividend, and no other one makes it larger; that of a float may be small.
        F::Div if is_integer => Range::new(if a.low >= 0.0 && b.low >= 0.0 { 0.0 } else { -a.magnitude() }, {
            if a.high <= 0.0 && b.low >= 0.0 {
                0.0
            } else if b.low >= 0.0 {
                a.high
            } else {
                a.magnitude()
            }
        }),
        F::Rem if is_integer => {
            let most = a.magnitude().min((b.magnitude() - 1.0).max(0.0));
            Range::new(if a.low >= 0.0 { 0.0 } else { -most }, if a.high <= 0.0 { 0.0 } else { most })
        }
        F::Maximum => Range::new(a.low.max(b.low), a.high.max(b.high)),
        F::Minimum => Range::new(a.low.min(b.low), a.high.min(b.high)),
        F::Sign => Range::new(-1.0, 1.0),
        F::Floor => a.map(f64::floor),
        F::Ceil => a.map(f64::ceil),
        F::Round => a.map(f64::round_ties_even),
        F::Trunc => a.map(f64::trunc),
        F::Sigmoid | F::HardSigmoid => Range::new(0.0, 1.0),
        F::Tanh | F::Erf | F::Sin | F::Cos => Range::new(-1.0, 1.0),
        F::Relu => a.map(|end| end.max(0.0)),
        F::BitAnd if a.low >= 0.0 && b.low >= 0.0 => Range::new(0.0, a.high.min(b.high)),
        F::BitAnd if a.low >= 0.0 => Range::new(0.0, a.high),
        F::BitAnd if b.low >= 0.0 => Range::new(0.0, b.high),
        F::BitOr | F::BitXor if a.low >= 0.0 && b.low >= 0.0 => {
            Range::new(0.0, (a.high.max(b.high) + 1.0).log2().ceil().exp2() - 1.0)
        }
        F::ShiftLeft if shifts => a.corners(b, |a, b| a * b.exp2()),
        F::ShiftRight if shifts => a.corners(b, |a, b| (a * (-b).exp2()).floor()),
        F::Select => input(1).union(input(2)),
        F::Cast(to) => cast(a, types.first().map_or(to, |ty| ty.dtype), to)?,
        F::Equal
        | F::NotEqual
        | F::Less
        | F::LessEqual
        | F::Greater
        | F::GreaterEqual
        | F::IsNan
        | F::IsInf
        | F::And
        | F::Or
        | F::Xor
        | F::Not => Range::new(0.0, 1.0),
        _ => return None,
    })
}

/// What a number becomes in another type, before the ends of that type.
fn cast(range: Range, from: DType, to: DType) -> Option<Range> {
    if to == DType::Bool {
        return Some(Range::new(0.0, 1.0));
    }
    if from.is_float() {
        // Bounds are those of exact arithmetic: floats of 16 bits may be a little beyond, and NaN becomes 0.
        let slack = |end: f64| end.abs() * 0.1;
        let wide = Range::new(range.low - slack(range.low), range.high + slack(range.high));
        return Some(if to.is_float() { wide } else { wide.map(f64::trunc).with_zero() });
    }
    if to.is_float() {
        return Some(range);
    }
    // Integers keep their lower bits: as they are where they fit.
    Some(range).filter(|range| to == DType::I64 || range.within(Range::of_type(to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, Tensor};

    /// The range of a value built from an i64 input of three rows.
    fn range(build: impl Fn(&Graph, &Tensor) -> Tensor) -> Range {
        let g = Graph::new();
        let y = build(&g, &g.input("x", [3, 5], DType::I64));
        let data = g.snapshot().unwrap();
        Bounds::of(&data).exact(y.id().node())
    }

    #[test]
    fn integers_of_shapes_and_comparisons_are_bounded() {
        let ends = |build: fn(&Graph, &Tensor) -> Tensor| {
            let Range { low, high } = range(build);
            (low, high)
        };
        assert_eq!(ends(|g, _| g.coordinate([7, 4], 0).cast(DType::I64) * 10 + 3), (3.0, 63.0));
        assert_eq!(ends(|_, x| x.gt(0).cast(DType::I64).sum([1])), (0.0, 5.0));
        assert_eq!(ends(|_, x| x.argmax(1).cast(DType::I64) - 2), (-2.0, 2.0));
        assert_eq!(ends(|_, x| x.bitwise_and(255).shift_left(8)), (0.0, 65_280.0));
        assert_eq!(ends(|_, x| x % 7), (-6.0, 6.0));
        assert_eq!(ends(|_, x| x.maximum(0).minimum(9).cumulative_sum(1)), (0.0, 45.0));
        assert_eq!(ends(|_, x| x.sort(1, crate::ops::Order::Ascending).1.cast(DType::I64)), (0.0, 4.0));
        assert_eq!(ends(|_, x| x.cast(DType::F32).sigmoid().cast(DType::I64)), (0.0, 1.0));
        assert_eq!(ends(|_, x| x.minimum(100).maximum(-50) / 7), (-100.0, 100.0));
    }

    #[test]
    fn what_can_leave_32_bits_is_told() {
        let cases: [fn(&Graph, &Tensor) -> Tensor; 8] = [
            |_, x| x + 1,
            |_, x| -x,
            |_, x| x * x,
            |_, x| x.sum([1]),
            |_, x| x.cast(DType::F32).cast(DType::I64),
            |_, x| x / -1,
            |_, x| x.shift_left(1),
            |g, _| g.coordinate([70_000], 0).cast(DType::I64).square(),
        ];
        for (number, build) in cases.into_iter().enumerate() {
            assert!(!range(build).fits(), "case {number}: {:?}", range(build));
        }
        assert!(range(|g, _| g.coordinate([40_000], 0).cast(DType::I64).square()).fits());
    }
}
