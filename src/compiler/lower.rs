//! From kernels to work: which output overwrites which input, and for a GPU, which dispatches with which parameters.

use super::fused::{BufferId, Content, FusedGraph, FusedKernel, Head};
use super::program::Work;
use super::{Options, Target, choice};
use crate::error::{Error, Origin, Result};
use crate::scalar::{Epilogue, RowWork, ScalarExpr, emit_map};
use crate::shader::slot::{Expression, Lanes};
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, Limit};
use crate::tensor::TensorType;

/// A step before its memory is planned.
#[derive(Clone, Debug)]
pub(super) struct LoweredStep {
    pub(super) work: Work,
    pub(super) label: String,
    pub(super) origin: Origin,
    pub(super) reads: Vec<BufferId>,
    pub(super) writes: Vec<BufferId>,
    pub(super) plan: Option<KernelPlan>,
    pub(super) flops: u64,
}

/// Work for every kernel that has any, in order, and copies for assignments that were not written in place. With it, the
/// largest number of variants that one step has: what [`Options::variant`] can choose from.
pub(super) fn lower(fused: &FusedGraph, target: &Target, options: Options) -> Result<(Vec<LoweredStep>, usize)> {
    let mut variants = 1;
    let mut last_read = vec![0; fused.buffers.len()];
    for (index, kernel) in fused.kernels.iter().enumerate() {
        kernel.reads().for_each(|read| last_read[read.0] = index);
    }
    let mut steps = Vec::new();
    for (index, kernel) in fused.kernels.iter().enumerate() {
        if kernel.outputs.iter().all(|output| fused.buffers[output.0].ty.is_empty()) {
            continue;
        }
        let mut choose = |work: &Work, adapter: &Adapter| {
            let (plan, count) = choice::choose(work, adapter, options)?;
            variants = variants.max(count);
            Ok(plan)
        };
        steps.push(step(fused, kernel, index, &last_read, target, &mut choose)?);
    }
    let producers = fused.producers();
    for (variable, value) in fused.assignments() {
        if fused.direct_target(value).is_some() || fused.buffers[value.0].ty.is_empty() {
            continue;
        }
        let producer = producers[value.0].map(|index| fused.kernels[index].origin);
        steps.push(LoweredStep {
            work: Work::Copy,
            label: "assign".to_owned(),
            origin: producer.unwrap_or_else(Origin::caller),
            reads: vec![value],
            writes: vec![variable],
            plan: None,
            flops: 0,
        });
    }
    Ok((steps, variants))
}

/// Takes one of the plans that fit.
type Choose<'a> = dyn FnMut(&Work, &Adapter) -> Result<KernelPlan, String> + 'a;

fn step(
    fused: &FusedGraph,
    kernel: &FusedKernel,
    index: usize,
    last_read: &[usize],
    target: &Target,
    choose: &mut Choose<'_>,
) -> Result<LoweredStep> {
    let refuse = |message: String| Error::graph(kernel.label(), message, kernel.origin);
    let adapter = match target {
        Target::Gpu(adapter) => Some(adapter),
        Target::Cpu => None,
    };
    let reads: Vec<BufferId> = kernel.reads().collect();
    let (work, plan, flops) = match (&kernel.head, &kernel.tail) {
        (Head::Map, Some(tail)) => {
            let (expression, _) = tail.expression.collapsed(&[]);
            let in_place = overwritten(fused, kernel, index, last_read);
            let flops = expression.flops() * expression.len() as u64;
            let plan = adapter.map(|_| map_plan(&expression, &in_place)).transpose().map_err(refuse)?;
            (Work::Map { expression, in_place }, plan, flops)
        }
        (Head::Reduce { expression, borders, reduction, .. }, Some(tail)) => {
            let flops = (expression.flops() + 1) * expression.len() as u64
                + tail.expression.flops() * tail.expression.len() as u64;
            let (collapsed, ends) = tail.expression.collapsed(&[borders[0], borders[0]]);
            let epilogue = Epilogue { expression: collapsed, borders: [ends[0], ends[1]] };
            let (expression, ends) = expression.collapsed(borders);
            let borders = [ends[0], ends[1]];
            let work = Work::Reduce { expression, borders, reduction: *reduction, epilogue };
            let plan = adapter.map(|adapter| choose(&work, adapter)).transpose().map_err(refuse)?;
            (work, plan, flops)
        }
        (Head::Rows(rows), None) => {
            let RowWork { expression, border, folds, .. } = &rows.work;
            let flops = (expression.flops() + folds.len() as u64) * expression.len() as u64;
            let (expression, ends) = expression.collapsed(&[*border]);
            let work = Work::Rows(RowWork { expression, border: ends[0], ..rows.work.clone() });
            let plan = adapter.map(|adapter| choose(&work, adapter)).transpose().map_err(refuse)?;
            (work, plan, flops)
        }
        (Head::Routine { op, operands, outputs, .. }, tail) => {
            let operator = op.operator();
            let epilogue = tail.as_ref().map(|tail| routine_epilogue(&tail.expression));
            let input_types: Vec<&TensorType> = operands.iter().map(|operand| &operand.ty).collect();
            let output_types: Vec<&TensorType> = outputs.iter().collect();
            let tail_flops = tail.as_ref().map_or(0, |tail| tail.expression.flops() * tail.expression.len() as u64);
            let flops = operator.cost(&input_types, &output_types).flops + tail_flops;
            let in_place = updates_in_place(fused, kernel, index, last_read);
            let (op, operands, outputs) = (op.clone(), operands.clone(), outputs.clone());
            let work = Work::Routine { op, operands, outputs, epilogue, in_place };
            let plan = adapter.map(|adapter| choose(&work, adapter)).transpose().map_err(refuse)?;
            (work, plan, flops)
        }
        _ => return Err(refuse("a kernel without a tail".into())),
    };
    Ok(LoweredStep {
        work,
        label: kernel.label(),
        origin: kernel.origin,
        reads,
        writes: kernel.outputs.clone(),
        plan,
        flops,
    })
}

/// Groups of a product's output: batch, row, column.
fn routine_epilogue(expression: &ScalarExpr) -> Epilogue {
    let rank = expression.dims.len();
    let (collapsed, borders) = expression.collapsed(&[rank.saturating_sub(2), rank.saturating_sub(1)]);
    Epilogue { expression: collapsed, borders: [borders[0], borders[1]] }
}

/// For each output of a map, the read that it overwrites: the variable that it is the new value of, or a value of the same
/// size that nobody reads afterwards.
fn overwritten(fused: &FusedGraph, kernel: &FusedKernel, index: usize, last_read: &[usize]) -> Vec<Option<usize>> {
    let reads: Vec<BufferId> = kernel.reads().collect();
    let mut taken: Vec<usize> = Vec::new();
    kernel
        .outputs
        .iter()
        .map(|&output| {
            let ty = &fused.buffers[output.0].ty;
            let position = match fused.direct_target(output) {
                Some(variable) => reads.iter().position(|&read| read == variable),
                None if fused.buffers[output.0].part_of.is_some() || ty.dtype.size() != 4 => None,
                None => reads.iter().enumerate().position(|(k, &read)| {
                    let buffer = &fused.buffers[read.0];
                    !taken.contains(&k)
                        && matches!(buffer.content, Content::Kernel)
                        && buffer.part_of.is_none()
                        && !fused.is_root(read)
                        && last_read[read.0] == index
                        && buffer.ty.len() == ty.len()
                        && buffer.ty.dtype == ty.dtype
                        && kernel.reads_in_place(read)
                }),
            };
            taken.extend(position);
            position.filter(|_| ty.dtype.size() == 4 || fused.direct_target(output).is_some())
        })
        .collect()
}

/// True where a routine computes its output in the memory of its first input: in the variable that the output is the new value of, or in
/// that of a value which nobody reads afterwards.
fn updates_in_place(fused: &FusedGraph, kernel: &FusedKernel, index: usize, last_read: &[usize]) -> bool {
    let (Some(read), &[output]) = (kernel.updated_in_place(), kernel.outputs.as_slice()) else { return false };
    let buffer = &fused.buffers[read.0];
    match fused.direct_target(output) {
        Some(variable) => variable == read,
        None => {
            matches!(buffer.content, Content::Kernel)
                && buffer.part_of.is_none()
                && fused.buffers[output.0].part_of.is_none()
                && !fused.is_root(read)
                && last_read[read.0] == index
        }
    }
}

/// The one dispatch of a map.
fn map_plan(expression: &ScalarExpr, in_place: &[Option<usize>]) -> Result<KernelPlan, String> {
    let emitted = emit_map(expression, in_place);
    let quads = expression.len().div_ceil(4);
    let mut params =
        vec![u32::try_from(quads).map_err(|_| "more elements than 32-bit addresses reach".to_owned())?, 0, 0];
    params.extend(&emitted.params);
    let bound =
        emitted.inputs.iter().map(|&input| Bound::Input(input)).chain((0..expression.outputs.len()).map(Bound::Output));
    let kernel = Kernel::of(KernelFile::Map).slot(Lanes::Four).slot(Expression(&emitted.module));
    let kernel = kernel.kernel("map", emitted.inputs.len(), expression.outputs.len())?;
    let dispatch = DispatchPlan { kernel, params, bound: bound.collect(), workgroups: quads.div_ceil(64) };
    Ok(KernelPlan { dispatches: vec![dispatch], scratch: Vec::new() })
}

/// Bytes that a step must at least read and write: each distinct buffer once.
pub(super) fn traffic(fused: &FusedGraph, step: &LoweredStep) -> u64 {
    let mut buffers: Vec<BufferId> = step.reads.clone();
    buffers.sort_unstable();
    buffers.dedup();
    if let Work::Routine { in_place: true, .. } = step.work {
        // Of what it updates, at most as much as the last operand has, which it reads, changes and writes.
        let bytes = |buffer: &BufferId| fused.buffers[buffer.0].ty.bytes() as u64;
        let touched = step.reads.last().map_or(0, bytes).min(step.reads.first().map_or(0, bytes));
        let first = step.reads.first().copied();
        return 2 * touched + buffers.iter().filter(|&&buffer| Some(buffer) != first).map(bytes).sum::<u64>();
    }
    // A gather reads at most what it writes, not the whole table.
    let written: u64 = step.writes.iter().map(|output| fused.buffers[output.0].ty.bytes() as u64).sum();
    let read: u64 = buffers
        .iter()
        .map(|read| {
            let whole = fused.buffers[read.0].ty.bytes() as u64;
            match &step.work {
                Work::Map { expression, .. } => {
                    let position = step.reads.iter().position(|other| other == read).unwrap_or(0);
                    if expression.gathers(position) { whole.min(written) } else { whole }
                }
                _ => whole,
            }
        })
        .sum();
    read + written
}

/// Checks the adapter's limits for one dispatch.
pub(super) fn check(dispatch: &DispatchPlan, adapter: &Adapter, label: &str, origin: Origin) -> Result<()> {
    let needed = dispatch.kernel.bindings.len() as u64;
    adapter.allows(Limit::StorageBuffers, needed, &format!("{label} at {origin}"))
}
