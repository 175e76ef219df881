//! What a kernel does with rows.

use super::affine::Affine;
use super::expression::{NodeId, ScalarExpr, ScalarNode};
use super::reduction::Reduction;
use crate::tensor::DType;

/// Totals of rows, and what is stored of them: sums of a norm with what they normalize, for example. Each row is read from memory once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowWork {
    /// Over `rows… row…`. Its outputs are first what is folded, an f32 for each fold; then what is stored for each row, which is the same at
    /// all of its elements; then what is stored for each element. Its accumulator k is the total of fold k, and its input k is read k.
    pub expression: ScalarExpr,
    /// Where the dimensions of a row begin.
    pub border: usize,
    /// How each fold's values become a total. A fold may need totals of those before it.
    pub folds: Vec<Reduction>,
    /// How many of the outputs are stored for each row.
    pub of_rows: usize,
}

impl RowWork {
    /// The number of rows, and their length.
    pub(crate) fn extents(&self) -> [usize; 2] {
        let (rows, row) = self.expression.dims.split_at(self.border);
        [rows.iter().product(), row.iter().product()]
    }

    /// For each fold, the pass over the row that makes its total: those of pass 0 need no total.
    pub(crate) fn pass_of_folds(&self) -> Vec<usize> {
        let mut passes: Vec<usize> = Vec::with_capacity(self.expression.nodes.len());
        // A fold's pass is known when its value is, which comes before its total.
        for node in &self.expression.nodes {
            let of_operands = ScalarExpr::operands(node).iter().map(|id| passes[id.index()]).max();
            passes.push(match node {
                ScalarNode::Accumulator(number) => {
                    let value = self.expression.outputs.get(*number).map_or(0, |(id, _)| id.index());
                    passes.get(value).map_or(usize::MAX / 2, |pass| pass + 1)
                }
                _ => of_operands.unwrap_or(0),
            });
        }
        self.expression.outputs[..self.folds.len()].iter().map(|(id, _)| passes[id.index()]).collect()
    }

    /// The expression of some of the outputs alone, without what they do not need.
    pub(crate) fn part(&self, outputs: impl IntoIterator<Item = usize>) -> ScalarExpr {
        let outputs = outputs.into_iter().map(|output| self.expression.outputs[output]).collect();
        ScalarExpr { outputs, ..self.expression.clone() }.pruned()
    }
}

/// A part of the work, and what it needs that is the same at all elements of a row.
#[derive(Clone, Debug)]
pub(crate) struct Hoisted {
    /// The part. Behind the accumulators that are totals, it has one for each value of a row.
    pub(crate) part: ScalarExpr,
    /// Those values, over the rows; none where all are totals or elements of tensors.
    pub(crate) of_rows: Option<ScalarExpr>,
}

impl RowWork {
    /// Some of the outputs, with what is computed once for a row.
    pub(crate) fn hoisted(&self, outputs: std::ops::Range<usize>) -> Hoisted {
        let part = self.part(outputs);
        let is_same = |at: &Affine| at.strides[self.border..].iter().all(|&stride| stride == 0);
        let mut same: Vec<bool> = Vec::with_capacity(part.nodes.len());
        for node in &part.nodes {
            same.push(match node {
                ScalarNode::Constant(_) | ScalarNode::Accumulator(_) => true,
                ScalarNode::Load { at, .. } | ScalarNode::Index(at) => is_same(at),
                ScalarNode::Gather { .. } | ScalarNode::Call { .. } => {
                    ScalarExpr::operands(node).iter().all(|id| same[id.index()])
                }
            });
        }
        // What something else needs at each element, and is more than an element or a total.
        let mut is_needed = vec![false; part.nodes.len()];
        for (node, _) in part.nodes.iter().zip(&same).filter(|(_, same)| !**same) {
            ScalarExpr::operands(node).iter().for_each(|id| is_needed[id.index()] = true);
        }
        part.outputs.iter().for_each(|(id, _)| is_needed[id.index()] = true);
        let values: Vec<NodeId> = (0..part.nodes.len())
            .filter(|&index| {
                let is_work = matches!(part.nodes[index], ScalarNode::Call { .. } | ScalarNode::Gather { .. });
                same[index] && is_needed[index] && is_work && part.types[index] == DType::F32
            })
            .map(|index| NodeId(index as u32))
            .collect();
        if values.is_empty() {
            return Hoisted { part, of_rows: None };
        }
        let outputs = values.iter().map(|&id| (id, DType::F32)).collect();
        let of_rows = self.over_rows(&ScalarExpr { outputs, ..part.clone() }.pruned());
        let mut rest = part;
        for (number, id) in values.iter().enumerate() {
            rest.nodes[id.index()] = ScalarNode::Accumulator(self.folds.len() + number);
        }
        Hoisted { part: rest.pruned(), of_rows: Some(of_rows) }
    }

    /// An expression that is the same at all elements of a row, over the rows.
    pub(crate) fn over_rows(&self, part: &ScalarExpr) -> ScalarExpr {
        part.at_origins(self.border)
    }
}

/// Work to try kernels and tapes with, and what it comes to.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::scalar::{Builder, ScalarFunction as F};

    /// Work on two tensors, of which the second lies in memory with its axes in the opposite order.
    pub(crate) struct Sample {
        pub(crate) label: String,
        pub(crate) work: RowWork,
        /// A result for each of the rows, and for each element.
        pub(crate) wanted: [Vec<f32>; 2],
    }

    /// Folds of rows `x` and `y`: how many values, and each in f64 from an element of both and the totals before.
    struct Folds {
        reductions: &'static [Reduction],
        pass_of_folds: &'static [usize],
        values: fn(&mut Builder, NodeId, NodeId, &[NodeId]) -> Vec<NodeId>,
        value: fn(usize, f64, f64, &[f64]) -> f64,
    }

    const FOLDS: [Folds; 8] = {
        const fn plain(reductions: &'static [Reduction]) -> Folds {
            Folds { reductions, pass_of_folds: &[0], values: |_, x, _, _| vec![x], value: |_, x, _, _| x }
        }
        let [sum, max, min] = [&[Reduction::Sum], &[Reduction::Max], &[Reduction::Min]];
        let (product, log_sum_exp) = (&[Reduction::Product], &[Reduction::LogSumExp]);
        [
            plain(sum),
            plain(max),
            plain(min),
            plain(product),
            plain(log_sum_exp),
            // Side by side, as the gradient of a norm has them.
            Folds {
                reductions: &[Reduction::Sum; 2],
                pass_of_folds: &[0, 0],
                values: |b, x, y, _| vec![x, b.mul(x, y)],
                value: |k, x, y, _| if k == 0 { x } else { x * y },
            },
            // The second of the first's total, as a norm has them.
            Folds {
                reductions: &[Reduction::Sum; 2],
                pass_of_folds: &[0, 1],
                values: |b, x, _, totals| {
                    let difference = b.sub(x, totals[0]);
                    vec![x, b.mul(difference, difference)]
                },
                value: |k, x, _, totals| if k == 0 { x } else { (x - totals[0]) * (x - totals[0]) },
            },
            Folds {
                reductions: &[Reduction::Sum; 3],
                pass_of_folds: &[0, 0, 1],
                values: |b, x, y, totals| {
                    let sum = b.add(totals[0], totals[1]);
                    vec![x, y, b.mul(y, sum)]
                },
                value: |k, x, y, totals| [x, y, y * (totals.iter().take(2).sum::<f64>())][k],
            },
        ]
    };

    fn folded(reduction: Reduction, values: &[f64]) -> f64 {
        match reduction {
            Reduction::Sum => values.iter().sum(),
            Reduction::Product => values.iter().product(),
            Reduction::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Reduction::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            _ => values.iter().map(|value| value.exp()).sum::<f64>().ln(),
        }
    }

    /// All folds of `outer × rows` rows, of which each has `row.0 × row.1` elements.
    pub(crate) fn samples([outer, rows]: [usize; 2], row: [usize; 2], x: &[f32], y: &[f32]) -> Vec<Sample> {
        let dims = [outer, rows, row[0], row[1]];
        let length = row[0] * row[1];
        let mut strides = [0; 4];
        (0..4).for_each(|axis| strides[axis] = dims[..axis].iter().product::<usize>() as i64);
        let reversed = Affine::new(0, strides);
        let y_at = |index: usize| {
            let mut rest = index;
            let mut coordinates = [0; 4];
            for axis in (0..4).rev() {
                coordinates[axis] = rest % dims[axis];
                rest /= dims[axis];
            }
            f64::from(y[reversed.at(&coordinates) as usize])
        };
        FOLDS
            .iter()
            .map(|folds| {
                let count = folds.reductions.len();
                let mut b = Builder::new(DType::F32);
                let x_load = b.load(0, DType::F32, Affine::row_major(&dims));
                let y_load = b.load(1, DType::F32, reversed.clone());
                // A total comes after the value that it is of.
                let mut totals: Vec<NodeId> = Vec::new();
                let mut values: Vec<NodeId> = Vec::new();
                for k in 0..count {
                    let missing = b.number(0.0);
                    let known: Vec<NodeId> = (0..count).map(|j| totals.get(j).copied().unwrap_or(missing)).collect();
                    values.push((folds.values)(&mut b, x_load, y_load, &known)[k]);
                    totals.push(b.total(k, DType::F32));
                }
                let sum = totals.iter().copied().reduce(|a, t| b.add(a, t)).unwrap_or(x_load);
                let of_row = b.call(F::Tanh, &[sum]);
                let scaled = b.mul(of_row, x_load);
                let of_element = b.sub(scaled, y_load);
                let outputs = values.iter().copied().chain([of_row, of_element]).map(|id| (id, DType::F32)).collect();
                let expression = b.finish(dims.to_vec(), vec![DType::F32; 2], outputs);
                let (expression, borders) = expression.collapsed(&[2]);
                let work = RowWork { expression, border: borders[0], folds: folds.reductions.to_vec(), of_rows: 1 };
                assert_eq!(work.pass_of_folds(), folds.pass_of_folds);
                let mut wanted = [Vec::new(), Vec::new()];
                for row in 0..outer * rows {
                    let points = row * length..(row + 1) * length;
                    let mut totals = Vec::new();
                    for (k, &reduction) in folds.reductions.iter().enumerate() {
                        let value = |point: usize| (folds.value)(k, f64::from(x[point]), y_at(point), &totals);
                        totals.push(folded(reduction, &points.clone().map(value).collect::<Vec<_>>()));
                    }
                    let of_row = totals.iter().sum::<f64>().tanh();
                    wanted[0].push(of_row as f32);
                    wanted[1].extend(points.map(|point| (of_row * f64::from(x[point]) - y_at(point)) as f32));
                }
                let names: Vec<&str> = folds.reductions.iter().map(|reduction| reduction.name()).collect();
                Sample { label: format!("{dims:?} {}", names.join("+")), work, wanted }
            })
            .collect()
    }

    /// Sizes of few and many rows, short and long ones, of multiples of four and others.
    pub(crate) const SIZES: [([usize; 2], [usize; 2]); 7] = [
        ([1, 3], [5, 10]),
        ([2, 40], [7, 1]),
        ([3, 1], [1, 1000]),
        ([1, 70], [1, 2]),
        ([5, 13], [3, 4]),
        ([1, 130], [1, 64]),
        ([2, 3], [1, 4097]),
    ];
}
