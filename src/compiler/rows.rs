//! Kernels over rows. A reduction along rows, what reads its result at every element of them, and other reductions of the same rows become
//! one kernel, so that a row is read from memory once: the sums of a norm and what they normalize, a softmax, and their gradients.

use super::Target;
use super::fuse::compacted;
use super::fused::{BufferId, FusedKernel, Head};
use crate::scalar::{Affine, Builder, NodeId, Reduction, RowWork, ScalarExpr, ScalarNode};
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

/// Work on rows, and the buffers that its expression reads.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) work: RowWork,
    pub(crate) inputs: Vec<BufferId>,
}

impl Rows {
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
                let outputs = outputs_of(&folded, &values).chain(outputs_of(&of_row, &stored)).collect();
                let (expression, inputs) = all.finish(outputs);
                let of_rows = tail.expression.outputs.len();
                let work = RowWork { expression, border, folds: vec![*reduction], of_rows };
                let [count, length] = work.extents();
                (count >= FEWEST && (2..=LONGEST).contains(&length)).then_some(Self { work, inputs })
            }
            Head::Map | Head::Routine { .. } => None,
        }
    }

    /// True where a device has a kernel for it.
    fn fits(&self, target: &Target) -> bool {
        let Target::Gpu(_) = target else { return true };
        let RowWork { folds, .. } = &self.work;
        let is_vector = folds.len() == 1 || folds.iter().all(|fold| *fold == Reduction::Sum);
        let passes = self.work.pass_of_folds().into_iter().max().unwrap_or(0) + 1;
        is_vector && folds.len() <= MOST_TOTALS && passes <= MOST_PASSES
    }
}

/// True for reductions whose total is a number that does not depend on where in the row its values are.
fn can_fold(reduction: Reduction) -> bool {
    match reduction {
        Reduction::Sum | Reduction::Product | Reduction::Max | Reduction::Min | Reduction::LogSumExp => true,
        Reduction::ArgMax | Reduction::ArgMin => false,
    }
}

/// An expression's outputs, where its nodes are these.
fn outputs_of(expression: &ScalarExpr, ids: &[NodeId]) -> impl Iterator<Item = (NodeId, DType)> {
    expression.outputs.iter().map(|&(id, dtype)| (ids[id.index()], dtype))
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

/// Two kernels over the same rows as one, which stores what both do where it is needed. The second may read what the first stores, at the same
/// row, or at the same element where it folds nothing itself. `None` where they are not such, or no kernel does both.
pub(super) fn join(
    first: &FusedKernel,
    second: &FusedKernel,
    is_needed: &dyn Fn(BufferId) -> bool,
    target: &Target,
) -> Option<FusedKernel> {
    let Rows { work: rows, inputs } = Rows::of(first)?;
    let (dims, border) = (rows.expression.dims.clone(), rows.border);
    let (mut other, other_inputs) = match (&second.head, &second.tail) {
        (Head::Map, Some(tail)) => {
            let expression = tail.expression.reshaped(&dims)?;
            (RowWork { expression, border, folds: Vec::new(), of_rows: 0 }, tail.inputs.clone())
        }
        _ => {
            let Rows { work, inputs } = Rows::of(second)?;
            let is_alike = work.extents() == rows.extents();
            let expression = work.expression.reshaped(&dims).filter(|_| is_alike)?;
            (RowWork { expression, border, ..work }, inputs)
        }
    };
    let linked = |input: usize| first.outputs.iter().position(|&output| output == other_inputs[input]);
    let reads_the_same = other.expression.nodes.iter().all(|node| match node {
        ScalarNode::Load { input, at } => match linked(*input) {
            Some(output) if output < rows.of_rows => is_of_rows(at, &dims, border),
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
    let own = all.include(&rows.expression, &inputs, |_, _| None);
    let of_first = |output: usize| own[rows.expression.outputs[rows.folds.len() + output].0.index()];
    let added = all.include(&other.expression, &other_inputs, |buffer, node| match node {
        ScalarNode::Load { .. } => first.outputs.iter().position(|&output| output == buffer).map(of_first),
        _ => None,
    });
    let (mut folded, mut of_rows, mut of_elements) = (Vec::new(), Vec::new(), Vec::new());
    for (work, ids, outputs) in [(&rows, &own, &first.outputs), (&other, &added, &second.outputs)] {
        let mut values = outputs_of(&work.expression, ids);
        folded.extend(values.by_ref().take(work.folds.len()));
        for (number, (value, &output)) in values.zip(outputs).enumerate().filter(|(_, (_, output))| is_needed(**output))
        {
            let stored = if number < work.of_rows { &mut of_rows } else { &mut of_elements };
            stored.push((value, output));
        }
    }
    let count = of_rows.len();
    let (stored, outputs): (Vec<_>, Vec<BufferId>) = of_rows.into_iter().chain(of_elements).unzip();
    let (expression, inputs) = all.finish(folded.into_iter().chain(stored).collect());
    let folds = rows.folds.iter().chain(&other.folds).copied().collect();
    let rows = Rows { work: RowWork { expression, border, folds, of_rows: count }, inputs };
    let expression = &rows.work.expression;
    let stores_words = matches!(target, Target::Cpu) || expression.outputs.iter().all(|(_, ty)| ty.size() == 4);
    if expression.nodes.len() > MOST_NODES || outputs.is_empty() || !stores_words || !rows.fits(target) {
        return None;
    }
    let names = first.names.iter().chain(&second.names).cloned().collect();
    Some(FusedKernel::new(Head::Rows(rows), None, outputs, names, second.origin))
}

/// True for a map of rows, row-major, that is the same at all elements of each.
fn is_of_rows(at: &Affine, dims: &[usize], border: usize) -> bool {
    let (rows, row) = at.strides.split_at(border);
    let is_same = row.iter().zip(&dims[border..]).all(|(&stride, &extent)| stride == 0 || extent == 1);
    at.offset == 0 && is_same && Affine::new(0, rows).is_row_major(&dims[..border])
}
