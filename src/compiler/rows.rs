//! Kernels over rows. A reduction along rows, what reads its result at every element of them, and other reductions of the same rows become
//! one kernel, so that a row is read from memory once: the sums of a norm and what they normalize, a softmax, and their gradients.

use super::Target;
use super::fuse::compacted;
use super::fused::{BufferId, FusedKernel, Head};
use crate::scalar::{Affine, Builder, NodeId, Reduction, ScalarExpr, ScalarNode};
use crate::tensor::DType;

/// The number of rows from which each is processed as one, and the longest.
const FEWEST: usize = 64;
const LONGEST: usize = 1 << 15;

/// An expression longer than this is not made longer.
const MOST_NODES: usize = 240;

/// The number of totals of a row on a GPU, where they are one vector.
const MOST_TOTALS: usize = 4;

/// Passes over a row on a GPU that fold it. Totals of the second may need those of the first.
const MOST_PASSES: usize = 2;

/// Work on rows that needs totals of each.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// Over the rows and their elements. Its outputs are first what is folded, a number for each fold; then what is stored for each row,
    /// which is the same at all of its elements; then what is stored for each element. `Accumulator(k)` is the total of fold k.
    pub(crate) expression: ScalarExpr,
    pub(crate) inputs: Vec<BufferId>,
    /// Where in the dimensions a row's begin.
    pub(crate) border: usize,
    /// How each fold's values become a total. A fold may need totals of those before it.
    pub(crate) folds: Vec<Reduction>,
    /// How many of the outputs are stored for each row.
    pub(crate) of_rows: usize,
}

impl Rows {
    /// The number of rows, and their length.
    fn extents(&self) -> [usize; 2] {
        let (rows, row) = self.expression.dims.split_at(self.border);
        [rows.iter().product(), row.iter().product()]
    }

    /// A kernel as work on rows, where it is such.
    fn of(kernel: &FusedKernel) -> Option<Self> {
        match &kernel.head {
            Head::Rows(rows) => Some(rows.clone()),
            Head::Reduce { expression, inputs, borders, reduction } => {
                let tail = kernel.tail.as_ref()?;
                let (value, _) = expression.outputs[0];
                let (dims, inner) = expression.dims.split_at(borders[1]);
                let is_number = expression.types[value.index()] == DType::F32
                    && tail.expression.outputs.iter().all(|&(_, stored)| stored == DType::F32);
                if !is_number || inner.iter().any(|&extent| extent != 1) || !can_fold(*reduction) {
                    return None;
                }
                let border = borders[0];
                let folded = expression.reshaped(dims)?;
                // What is stored for a row, at each of its elements.
                let of_row = tail.expression.reshaped(&dims[..border])?;
                let maps: Vec<Affine> = (0..border).map(|axis| Affine::coordinate(axis, dims.len())).collect();
                let of_row = of_row.viewed(dims, &maps);
                let mut all = Joined::new(dims.to_vec());
                let values = all.include(&folded, inputs, |_, _| None);
                let stored = all.include(&of_row, &tail.inputs, |_, _| None);
                let outputs = [folded.outputs.as_slice(), &of_row.outputs];
                let outputs = outputs.into_iter().zip([&values, &stored]).flat_map(|(outputs, ids)| {
                    outputs.iter().map(|&(id, dtype)| (ids[id.index()], dtype)).collect::<Vec<_>>()
                });
                let (expression, inputs) = all.finish(outputs.collect());
                let of_rows = tail.expression.outputs.len();
                let rows = Self { expression, inputs, border, folds: vec![*reduction], of_rows };
                let [count, length] = rows.extents();
                (count >= FEWEST && (2..=LONGEST).contains(&length)).then_some(rows)
            }
            Head::Map | Head::Routine { .. } => None,
        }
    }

    /// For each node, the number of passes over a row that must be over before it is known.
    fn passes(&self) -> Vec<usize> {
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
        passes
    }

    /// The pass that makes each total.
    pub(crate) fn pass_of_folds(&self) -> Vec<usize> {
        let passes = self.passes();
        self.expression.outputs[..self.folds.len()].iter().map(|(id, _)| passes[id.index()]).collect()
    }

    /// True where a device has a kernel for it.
    fn fits(&self, target: &Target) -> bool {
        let Target::Gpu(_) = target else { return true };
        let is_vector = self.folds.len() == 1 || self.folds.iter().all(|fold| *fold == Reduction::Sum);
        let passes = self.pass_of_folds().into_iter().max().unwrap_or(0) + 1;
        is_vector && self.folds.len() <= MOST_TOTALS && passes <= MOST_PASSES
    }
}

/// True for reductions whose total is a number that does not depend on where in the row its values are.
fn can_fold(reduction: Reduction) -> bool {
    match reduction {
        Reduction::Sum | Reduction::Product | Reduction::Max | Reduction::Min | Reduction::LogSumExp => true,
        Reduction::ArgMax | Reduction::ArgMin => false,
    }
}

/// Expressions over one domain that become one.
struct Joined {
    builder: Builder,
    dims: Vec<usize>,
    inputs: Vec<BufferId>,
    stored: Vec<DType>,
}

impl Joined {
    fn new(dims: Vec<usize>) -> Self {
        Self { builder: Builder::new(DType::F32), dims, inputs: Vec::new(), stored: Vec::new() }
    }

    /// Adds an expression, and gives its nodes. Those that read a buffer may be known already.
    fn include(
        &mut self,
        expression: &ScalarExpr,
        inputs: &[BufferId],
        known: impl Fn(BufferId, &ScalarNode) -> Option<NodeId>,
    ) -> Vec<NodeId> {
        let mut expression = expression.clone();
        // Renumbered before they are copied: else one would be taken for another that reads by the same number.
        for node in &mut expression.nodes {
            if let ScalarNode::Load { input, .. } | ScalarNode::Gather { input, .. } = node {
                let (buffer, stored) = (inputs[*input], expression.inputs[*input]);
                *input = self.inputs.iter().position(|&other| other == buffer).unwrap_or_else(|| {
                    self.inputs.push(buffer);
                    self.stored.push(stored);
                    self.inputs.len() - 1
                });
            }
        }
        let bound = &self.inputs;
        self.builder.include(&expression, |_, node, _| match node {
            ScalarNode::Load { input, .. } | ScalarNode::Gather { input, .. } => known(bound[*input], node),
            ScalarNode::Constant(_) | ScalarNode::Index(_) | ScalarNode::Accumulator(_) | ScalarNode::Call { .. } => {
                None
            }
        })
    }

    fn finish(self, outputs: Vec<(NodeId, DType)>) -> (ScalarExpr, Vec<BufferId>) {
        compacted(self.builder.finish(self.dims, self.stored, outputs), self.inputs)
    }
}

/// Two kernels over the same rows as one, which stores what both do but for what is not kept. The second may read what the first stores, at
/// the same row, or at the same element where it folds nothing itself. `None` where they are not such, or no kernel does both.
pub(super) fn join(
    first: &FusedKernel,
    second: &FusedKernel,
    is_kept: &dyn Fn(BufferId) -> bool,
    target: &Target,
) -> Option<FusedKernel> {
    let rows = Rows::of(first)?;
    let dims = rows.expression.dims.clone();
    let mut other = match (&second.head, &second.tail) {
        (Head::Map, Some(tail)) => Rows {
            expression: tail.expression.reshaped(&dims)?,
            inputs: tail.inputs.clone(),
            border: rows.border,
            folds: Vec::new(),
            of_rows: 0,
        },
        _ => {
            let other = Rows::of(second)?;
            let is_alike = other.extents() == rows.extents();
            Rows { expression: other.expression.reshaped(&dims).filter(|_| is_alike)?, border: rows.border, ..other }
        }
    };
    let linked = |input: usize| first.outputs.iter().position(|&output| output == other.inputs[input]);
    let reads_the_same = other.expression.nodes.iter().all(|node| match node {
        ScalarNode::Load { input, at } => match linked(*input) {
            Some(output) if output < rows.of_rows => is_of_rows(at, &dims, rows.border),
            Some(_) => other.folds.is_empty() && at.offset == 0 && at.is_row_major(&dims),
            None => true,
        },
        ScalarNode::Gather { input, .. } => linked(*input).is_none(),
        ScalarNode::Constant(_) | ScalarNode::Index(_) | ScalarNode::Accumulator(_) | ScalarNode::Call { .. } => true,
    });
    if !reads_the_same || rows.expression.nodes.len().max(other.expression.nodes.len()) > MOST_NODES {
        return None;
    }
    other.expression.nodes.iter_mut().for_each(|node| {
        if let ScalarNode::Accumulator(number) = node {
            *number += rows.folds.len();
        }
    });
    let mut all = Joined::new(dims);
    let own = all.include(&rows.expression, &rows.inputs, |_, _| None);
    let of_first = |output: usize| own[rows.expression.outputs[rows.folds.len() + output].0.index()];
    let added = all.include(&other.expression, &other.inputs, |buffer, node| match node {
        ScalarNode::Load { .. } => first.outputs.iter().position(|&output| output == buffer).map(of_first),
        _ => None,
    });
    // Of each of the two: what is folded, what is stored for rows, and what is stored for elements.
    let parts = |rows: &Rows, ids: &[NodeId], outputs: &[BufferId]| {
        let all = rows.expression.outputs.iter().map(|&(id, dtype)| (ids[id.index()], dtype));
        let (folded, stored): (Vec<_>, Vec<_>) = all.enumerate().partition(|(index, _)| *index < rows.folds.len());
        let stored = stored.into_iter().zip(outputs).filter(|(_, output)| is_kept(**output));
        let stored = stored.map(|((index, stored), &output)| (index - rows.folds.len() < rows.of_rows, stored, output));
        let (of_rows, of_elements): (Vec<_>, Vec<_>) = stored.partition(|&(is_of_row, ..)| is_of_row);
        [folded.into_iter().map(|(_, value)| (false, value, BufferId(0))).collect(), of_rows, of_elements]
    };
    let both = parts(&rows, &own, &first.outputs).into_iter().zip(parts(&other, &added, &second.outputs));
    let [folded, of_rows, of_elements]: [Vec<_>; 3] =
        both.map(|(a, b)| a.into_iter().chain(b).collect()).collect::<Vec<Vec<_>>>().try_into().ok()?;
    let outputs: Vec<BufferId> = of_rows.iter().chain(&of_elements).map(|&(.., output)| output).collect();
    let count = of_rows.len();
    let values = folded.into_iter().chain(of_rows).chain(of_elements).map(|(_, value, _)| value).collect();
    let (expression, inputs) = all.finish(values);
    let folds = rows.folds.iter().chain(&other.folds).copied().collect();
    let rows = Rows { expression, inputs, border: rows.border, folds, of_rows: count };
    let stores_words = matches!(target, Target::Cpu) || rows.expression.outputs.iter().all(|(_, ty)| ty.size() == 4);
    if rows.expression.nodes.len() > MOST_NODES || outputs.is_empty() || !stores_words || !rows.fits(target) {
        return None;
    }
    let names = first.names.iter().chain(&second.names).cloned().collect();
    Some(FusedKernel { head: Head::Rows(rows), tail: None, outputs, names, origin: second.origin })
}

/// True for a map of rows, row-major, that is the same at all elements of each.
fn is_of_rows(at: &Affine, dims: &[usize], border: usize) -> bool {
    let (rows, row) = at.strides.split_at(border);
    let is_same = row.iter().zip(&dims[border..]).all(|(&stride, &extent)| stride == 0 || extent == 1);
    at.offset == 0 && is_same && Affine::new(0, rows).is_row_major(&dims[..border])
}
