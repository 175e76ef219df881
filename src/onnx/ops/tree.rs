//! Ensembles of decision trees. All trees are gone down at once, a level at a time: the nodes are tables, and where a tree stands
//! is an index into them. Leaves lead to themselves.

use super::wide::wide_input;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::keepdim;
use crate::scalar::{Reduction, ScalarFunction as F};
use crate::tensor::{DType, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("ai.onnx.ml::TreeEnsemble", tree_ensemble)];

/// How a node compares: the numbers of ONNX's `nodes_modes`.
const MODES: std::ops::RangeInclusive<i64> = 0..=6;
const MEMBER: i64 = 6;

/// Trees as a file lists them; leaves come after the inner nodes.
struct Trees {
    inner: usize,
    leaves: usize,
    /// Where each tree begins.
    roots: Vec<i64>,
    yes: Vec<i64>,
    no: Vec<i64>,
    depth: usize,
}

fn listed<'a>(node: &Node<'a>, name: &str) -> Result<&'a [i64]> {
    node.ints(name)?.ok_or_else(|| node.error(format!("wants the attribute {name:?}")))
}

fn numbers(node: &Node<'_>, name: &str) -> Result<Vec<f64>> {
    let data = node.tensor(name)?.ok_or_else(|| node.error(format!("wants the attribute {name:?}")))?;
    Ok(data.to_f64_vec())
}

impl Trees {
    fn read(node: &Node<'_>, inner: usize, leaves: usize) -> Result<Self> {
        let branch = |ids: &str, leafs: &str| -> Result<Vec<i64>> {
            let (ids, leafs) = (listed(node, ids)?, listed(node, leafs)?);
            if ids.len() != inner || leafs.len() != inner {
                return Err(node.error(format!("{inner} nodes should have as many branches, not {}", ids.len())));
            }
            let index = |(&id, &leaf): (&i64, &i64)| {
                let (first, count) = if leaf != 0 { (inner, leaves) } else { (0, inner) };
                let id = usize::try_from(id).ok().filter(|&id| id < count);
                id.map(|id| (first + id) as i64).ok_or_else(|| node.error("a branch leads to no node and no leaf"))
            };
            ids.iter().zip(leafs).map(index).collect()
        };
        let (yes, no) =
            (branch("nodes_truenodeids", "nodes_trueleafs")?, branch("nodes_falsenodeids", "nodes_falseleafs")?);
        let root = |&root: &i64| {
            let index = usize::try_from(root).ok().filter(|&root| root < inner);
            let index = index.ok_or_else(|| node.error(format!("a tree begins at node {root} of {inner}")))?;
            match (yes.get(index), no.get(index)) {
                // A tree of one leaf.
                (Some(&yes), Some(&no)) if yes == no && yes >= inner as i64 => Ok(yes),
                _ => Ok(root),
            }
        };
        let roots = listed(node, "tree_roots")?.iter().map(root).collect::<Result<Vec<i64>>>()?;
        let mut trees = Self { inner, leaves, roots, yes, no, depth: 0 };
        trees.depth = trees.levels(node)?;
        Ok(trees)
    }

    /// Comparisons from a root to the farthest leaf.
    fn levels(&self, node: &Node<'_>) -> Result<usize> {
        let mut here: Vec<i64> = self.roots.clone();
        let mut levels = 0;
        loop {
            here.retain(|&index| index < self.inner as i64);
            here.sort_unstable();
            here.dedup();
            if here.is_empty() {
                return Ok(levels);
            }
            if levels == self.inner {
                return Err(node.error("a tree has a cycle"));
            }
            levels += 1;
            let below = |&index: &i64| [self.yes.get(index as usize).copied(), self.no.get(index as usize).copied()];
            here = here.iter().flat_map(below).flatten().collect();
        }
    }

    /// A table of the nodes, which leaves only fill up.
    fn table(&self, node: &Node<'_>, dtype: DType, values: impl Iterator<Item = f64>) -> Result<Tensor> {
        let all: Vec<f64> = values.take(self.inner).chain(std::iter::repeat_n(0.0, self.leaves)).collect();
        let count = all.len();
        Ok(node.graph().constant(TensorData::from_f64(dtype, &all, [count])?))
    }

    fn branches(&self, node: &Node<'_>, branch: &[i64]) -> Result<Tensor> {
        let leaves = self.inner..self.inner + self.leaves;
        let all: Vec<i32> = branch.iter().map(|&index| index as i32).chain(leaves.map(|index| index as i32)).collect();
        Ok(node.graph().constant(TensorData::from_slice(&all, [all.len()])?))
    }
}

/// The members that each node compares with, in rows of one length, filled up with NaN; in the file they end with a NaN.
fn members(node: &Node<'_>, trees: &Trees, modes: &[i64]) -> Result<(Vec<f64>, usize)> {
    let listed = node.tensor("membership_values")?.map_or_else(Vec::new, |data| data.to_f64_vec());
    let mut sets = listed.split(|value| value.is_nan());
    let wanted = modes.iter().filter(|&&mode| mode == MEMBER).count();
    if listed.iter().filter(|value| value.is_nan()).count() < wanted {
        return Err(
            node.error(format!("{wanted} nodes compare with members, for which membership_values has too few lists"))
        );
    }
    let rows: Vec<&[f64]> =
        modes.iter().map(|&mode| if mode == MEMBER { sets.next().unwrap_or_default() } else { &[] }).collect();
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0).max(1);
    let filled =
        rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(f64::NAN, width - row.len())));
    Ok((filled.chain(std::iter::repeat_n(f64::NAN, trees.leaves * width)).collect(), width))
}

fn tree_ensemble(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let &[batch, features] = x.shape().dims() else {
        return Err(node.error(format!("takes [rows, features], not {}", x.shape())));
    };
    let splits = numbers(node, "nodes_splits")?;
    let weights = numbers(node, "leaf_weights")?;
    let modes: Vec<i64> = numbers(node, "nodes_modes")?.into_iter().map(|mode| mode as i64).collect();
    let (own, targets) = (listed(node, "nodes_featureids")?, listed(node, "leaf_targetids")?);
    let count = usize::try_from(node.int("n_targets", 0)?).unwrap_or(0);
    let sound = modes.len() == splits.len() && own.len() == splits.len() && targets.len() == weights.len();
    let within = |ids: &[i64], count: usize| ids.iter().all(|&id| usize::try_from(id).is_ok_and(|id| id < count));
    if !sound || !within(own, features) || !within(targets, count) || modes.iter().any(|mode| !MODES.contains(mode)) {
        return Err(node.error(format!(
            "{} splits, {} modes, {} features below {features}; {} weights, {} targets below {count}: they do not fit",
            splits.len(),
            modes.len(),
            own.len(),
            weights.len(),
            targets.len()
        )));
    }
    let trees = Trees::read(node, splits.len(), weights.len())?;
    let graph = node.graph();
    let at = |table: &Tensor, index: &Tensor| table.take(0, index);
    let (features, modes_table) = (
        trees.table(node, DType::I32, own.iter().map(|&id| id as f64))?,
        trees.table(node, DType::I32, modes.iter().map(|&mode| mode as f64))?,
    );
    let splits = trees.table(node, x.dtype(), splits.into_iter())?;
    let (yes, no) = (trees.branches(node, &trees.yes)?, trees.branches(node, &trees.no)?);
    let missing = match node.ints("nodes_missing_value_tracks_true")? {
        Some(tracks) if tracks.iter().any(|&track| track != 0) => {
            Some(trees.table(node, DType::I32, tracks.iter().map(|&track| track as f64))?)
        }
        _ => None,
    };
    let sets = if modes.contains(&MEMBER) {
        let (values, width) = members(node, &trees, &modes)?;
        Some(graph.constant(TensorData::from_f64(x.dtype(), &values, [trees.inner + trees.leaves, width])?))
    } else {
        None
    };
    let roots: Vec<i32> = trees.roots.iter().map(|&root| root as i32).collect();
    let total = roots.len();
    let mut index = graph.constant(TensorData::from_vec(roots, [1, total])?).broadcast_to([batch, total]);
    for _ in 0..trees.depth {
        let value = x.gather(1, &at(&features, &index));
        let (split, mode) = (at(&splits, &index), at(&modes_table, &index));
        let mut taken = value.le(&split);
        for other in modes.iter().copied().filter(|&mode| mode != 0).collect::<std::collections::BTreeSet<i64>>() {
            let compared = match (other, &sets) {
                (1, _) => value.lt(&split),
                (2, _) => value.ge(&split),
                (3, _) => value.gt(&split),
                (4, _) => value.eq(&split),
                (5, _) => value.ne(&split),
                (_, Some(sets)) => {
                    let equal = at(sets, &index).eq(value.unsqueeze(-1)).cast(DType::I32);
                    equal.max([-1]).gt(0)
                }
                (_, None) => continue,
            };
            taken = mode.eq(other as f64).select(&compared, &taken);
        }
        if let Some(missing) = &missing {
            taken = taken.logical_or(value.elementwise(F::IsNan, &[]).logical_and(at(missing, &index).ne(0)));
        }
        index = taken.select(at(&yes, &index), at(&no, &index));
        node.check()?;
    }
    let leaf = index - trees.inner as i32;
    let leaf_weights = graph.constant(TensorData::from_f64(x.dtype(), &weights, [weights.len()])?);
    let targets: Vec<i32> = targets.iter().map(|&target| target as i32).collect();
    let leaf_targets = graph.constant(TensorData::from_slice(&targets, [targets.len()])?);
    // What each tree gives each target: `[rows, trees, targets]`.
    let hot = at(&leaf_targets, &leaf).one_hot(count, DType::Bool);
    let each = at(&leaf_weights, &leaf).unsqueeze(-1).broadcast_to([batch, total, count]);
    let among = |other: f64, reduction: Reduction| hot.select(&each, each.filled_like(other)).reduce(reduction, [1]);
    let most = if x.dtype() == DType::F64 { f64::MAX } else { f32::MAX.into() };
    let scores = match node.int("aggregate_function", 1)? {
        0 => among(0.0, Reduction::Sum) * (1.0 / total.max(1) as f64),
        1 => among(0.0, Reduction::Sum),
        2 => among(most, Reduction::Min),
        3 => among(-most, Reduction::Max),
        other => return Err(node.error(format!("aggregate_function should be 0 to 3, not {other}"))),
    };
    let result = match node.int("post_transform", 0)? {
        0 => scores,
        1 => scores.softmax(-1),
        2 => scores.sigmoid(),
        3 => {
            // Scores of 0 stay what they are.
            let some = scores.ne(0.0);
            let powers = some.select((&scores - scores.max(keepdim([-1]))).exp(), scores.zeros_like());
            &powers / powers.sum(keepdim([-1]))
        }
        other => return Err(node.error(format!("post_transform {other} is not supported"))),
    };
    Ok(vec![result.cast(dtype).into()])
}
