//! Choice of reduction kernels: how many invocations fold one result, and whether the reduced dimension is split into chunks whose
//! results a second dispatch joins. Every choice depends on sizes alone, so that results are the same every time.

use super::slot::{Element, ExtremeConstants, Finish, Fold, Nan, Operand, ReductionConstants, SplitConstants};
use super::{Adapter, Bound, Composer, DispatchPlan, Kernel, KernelFile, KernelPlan};
use crate::scalar::{Affine, Builder, Epilogue, Reduction, ScalarExpr, ScalarNode, emit_operand, is_read_in_fours};
use crate::tensor::DType;

/// Extents of the domain: results are `outer × inner`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) outer: usize,
    pub(super) reduced: usize,
    pub(super) inner: usize,
}

/// Elements that one invocation folds at most: beyond that, more invocations are faster, and lavapipe silently exits all
/// loops after 65,535 iterations.
const LONGEST: usize = 1 << 13;

impl Extents {
    fn lines(self) -> usize {
        self.outer * self.inner
    }
}

/// How a workgroup and the dispatches share the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Variant {
    /// Results of a workgroup.
    pub(super) lines: usize,
    /// Invocations that fold one result; a power of two.
    pub(super) lanes: usize,
    /// True where neighbouring invocations fold one result.
    pub(super) along_lanes: bool,
    /// Splits of the reduced dimension, none empty.
    pub(super) splits: usize,
}

/// Plans for a reduction of an expression over the dimensions between the borders, best guess first. The epilogue is over the dimensions
/// that are retained.
///
/// # Errors
/// A message for the user where an element type cannot be folded or stored.
pub(crate) fn reduce_plans(
    expression: &ScalarExpr,
    borders: [usize; 2],
    reduction: Reduction,
    epilogue: &Epilogue,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    all_plans(expression, borders, reduction, epilogue, adapter, false)
}

/// The same with more plans, for tuning.
///
/// # Errors
/// As of [`reduce_plans`].
pub(crate) fn reduce_candidates(
    expression: &ScalarExpr,
    borders: [usize; 2],
    reduction: Reduction,
    epilogue: &Epilogue,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    all_plans(expression, borders, reduction, epilogue, adapter, true)
}

fn all_plans(
    expression: &ScalarExpr,
    borders: [usize; 2],
    reduction: Reduction,
    epilogue: &Epilogue,
    adapter: &Adapter,
    more: bool,
) -> Result<Vec<KernelPlan>, String> {
    if let Some((_, stored)) = epilogue.expression.outputs.iter().find(|(_, stored)| stored.size() != 4) {
        return Err(format!("a reduction does not store {stored} on a GPU; cast before and after it"));
    }
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    let extents = Extents {
        outer: product(&expression.dims[..borders[0]]),
        reduced: product(&expression.dims[borders[0]..borders[1]]),
        inner: product(&expression.dims[borders[1]..]),
    };
    if extents.lines() == 0 {
        return Ok(vec![KernelPlan::default()]);
    }
    if expression.len() > i32::MAX as usize {
        return Err("the domain is larger than 32-bit addresses reach".into());
    }
    let along_lanes = is_along_range(expression, borders, extents);
    let mut plans = Vec::new();
    // For a software driver, four neighbours cost as much as four loads.
    let in_fours = along_lanes && !adapter.is_software && is_read_in_fours(expression, borders);
    if in_fours {
        let extents = Extents { reduced: extents.reduced / 4, ..extents };
        let source = Source::new(expression, borders, reduction, epilogue, true)?;
        plans.extend(
            all_variants(extents, along_lanes, adapter, more).iter().map(|variant| source.plan(extents, *variant)),
        );
    }
    let source = Source::new(expression, borders, reduction, epilogue, false)?;
    let single = all_variants(extents, along_lanes, adapter, more && !in_fours);
    let most = if in_fours { 1 } else { single.len() };
    plans.extend(single.iter().take(most).map(|variant| source.plan(extents, *variant)));
    plans.into_iter().collect()
}

/// Variants to choose from, best guess first; more of them for tuning.
fn all_variants(extents: Extents, along_lanes: bool, adapter: &Adapter, more: bool) -> Vec<Variant> {
    let mut found = variants(extents, along_lanes, adapter);
    if more {
        for other in neighbours(found[0], extents, adapter) {
            if !found.contains(&other) {
                found.push(other);
            }
        }
    }
    found
}

/// Variants near the best guess: fewer and more lanes, lines and splits.
pub(super) fn neighbours(chosen: Variant, extents: Extents, adapter: &Adapter) -> Vec<Variant> {
    let largest = if adapter.limits.workgroup_invocations >= 256 { 256 } else { 64 };
    let reduced = extents.reduced.max(1);
    let with = |lines: usize, lanes: usize, splits: usize| {
        // No split longer than an invocation may fold, none empty.
        let least = reduced.div_ceil(lanes * LONGEST);
        let chunk = reduced.div_ceil(splits.clamp(least, reduced.max(least)));
        Variant { lines, lanes, splits: reduced.div_ceil(chunk), ..chosen }
    };
    let Variant { lines, lanes, splits, .. } = chosen;
    let others = [
        (lines, lanes, splits * 2),
        (lines, lanes, splits * 4),
        (lines, lanes, splits / 2),
        (lines, lanes * 4, splits),
        (lines, lanes / 4, splits),
        (lines * 4, lanes, splits),
        (lines / 4, lanes, splits),
        (lines * 4, lanes / 4, splits),
        (lines / 4, lanes * 4, splits),
    ];
    let fits = |&(lines, lanes, _): &(usize, usize, usize)| {
        lines * lanes > 0 && lines * lanes <= largest && lanes <= reduced.next_power_of_two()
    };
    others.into_iter().filter(fits).map(|(lines, lanes, splits)| with(lines, lanes, splits)).collect()
}

/// The sum of each chunk of the lines of a row-major tensor `outer × length × inner`, for passes over long lines: reads
/// input 0, writes `Scratch(0)`, where the sums of a chunk are neighbours. No chunk may be empty.
///
/// # Errors
/// Where the element type has no sum.
pub(crate) fn chunk_sums(
    dtype: DType,
    dims: [usize; 3],
    splits: usize,
    adapter: &Adapter,
) -> Result<DispatchPlan, String> {
    let extents = Extents { outer: dims[0], reduced: dims[1], inner: dims[2] };
    let mut builder = Builder::new(dtype);
    let value = builder.load(0, dtype, Affine::row_major(&dims));
    let expression = builder.finish(dims.to_vec(), vec![dtype], vec![(value, dtype)]);
    let epilogue = Epilogue::identity(dtype, &[dims[0], dims[2]], [1, 1]);
    let along_lanes = dims[2] == 1 && !adapter.is_software;
    let (lines, lanes) = if along_lanes { (1, 64) } else { (extents.lines().next_power_of_two().min(64), 1) };
    let source = Source::new(&expression, [1, 2], Reduction::Sum, &epilogue, false)?;
    let plan = source.plan(extents, Variant { lines, lanes, along_lanes, splits })?;
    plan.dispatches.into_iter().next().ok_or_else(|| "no dispatch".into())
}

/// True where a step along the reduced range is nearer in memory than one from a result to the next, for most loads.
fn is_along_range(expression: &ScalarExpr, borders: [usize; 2], extents: Extents) -> bool {
    let rank = expression.dims.len();
    let line_axis = if borders[1] < rank { rank.checked_sub(1) } else { borders[0].checked_sub(1) };
    let range_axis = (borders[1] > borders[0]).then(|| borders[1] - 1);
    let (Some(line_axis), Some(range_axis)) = (line_axis, range_axis) else { return extents.reduced > 1 };
    let mut votes = 0_i64;
    for node in &expression.nodes {
        if let ScalarNode::Load { at, .. } = node {
            let distance = |axis: usize| match at.strides[axis].unsigned_abs() {
                0 => u64::MAX,
                stride => stride,
            };
            votes += (distance(line_axis) as i128 - distance(range_axis) as i128).signum() as i64;
        }
    }
    votes > 0 || (votes == 0 && extents.inner == 1)
}

pub(super) fn variants(extents: Extents, along_lanes: bool, adapter: &Adapter) -> Vec<Variant> {
    let largest = if adapter.limits.workgroup_invocations >= 256 { 256 } else { 64 };
    let reduced = extents.reduced.max(1);
    let variant = |lines: usize, lanes: usize, wanted: usize, shortest: usize| {
        let groups = extents.lines().div_ceil(lines);
        let most = (reduced / shortest.max(lanes)).max(1);
        let splits = if groups * 2 > wanted { 1 } else { wanted.div_ceil(groups).min(most) };
        let least = reduced.div_ceil(lanes * LONGEST);
        let chunk = reduced.div_ceil(splits.max(least));
        Variant { lines, lanes, along_lanes, splits: reduced.div_ceil(chunk) }
    };
    // Workgroups that leave no unit of a GPU idle.
    let full = 2 * adapter.chip.units();
    let simple = variant(64, 1, 0, 1);
    let chosen = match (adapter.is_software, along_lanes) {
        // A lane a result: no barrier, and what is loaded together does not matter there.
        (true, true) if extents.lines() < 64 => variant(1, 8, 8, 1024),
        (true, _) => {
            // Long strides: a chunk should stay within the pages that the processor can look up at once.
            let chunks = if extents.inner >= 512 { reduced / 512 } else { 1 };
            let lines = extents.lines().next_power_of_two().min(64);
            let wanted = if chunks > 2 { extents.lines().div_ceil(lines) * chunks } else { 8 };
            variant(lines, 1, wanted, 256)
        }
        (false, true) => {
            let lanes = (reduced.next_power_of_two() / 4).clamp(1, largest);
            variant((64 / lanes).max(1), lanes, full, 4 * lanes)
        }
        (false, false) if extents.lines() >= 1 << 14 => variant(64, 1, full, 64),
        (false, false) => {
            let lines = extents.lines().next_power_of_two().min(32);
            let lanes = (largest / lines).min((reduced.next_power_of_two() / 4).max(1));
            variant(lines, lanes, full, 8 * lanes)
        }
    };
    let mut variants = vec![chosen];
    // For tuning and checks.
    for other in [
        variant(chosen.lines, chosen.lanes, 0, 1),
        Variant { along_lanes: !along_lanes, ..variant(8, 8, 0, 1) },
        simple,
    ] {
        if !variants.contains(&other) {
            variants.push(other);
        }
    }
    variants
}

/// The generated text that all variants share.
struct Source<'a> {
    epilogue: &'a Epilogue,
    operand: crate::scalar::Emitted,
    /// True where the reduced range is counted in fours.
    in_fours: bool,
    element: Element,
    fold: Fold,
    nan: Nan,
    smallest: bool,
    /// Bytes of a partial result.
    partial: usize,
    inputs: usize,
    label: &'static str,
}

impl<'a> Source<'a> {
    fn new(
        expression: &ScalarExpr,
        borders: [usize; 2],
        reduction: Reduction,
        epilogue: &'a Epilogue,
        in_fours: bool,
    ) -> Result<Self, String> {
        let (id, _) = expression.outputs[0];
        let value = expression.types[id.index()];
        let element = reduction.result(value);
        let (fold, partial) = match reduction {
            Reduction::Sum => (Fold::Sum, 4),
            Reduction::Product => (Fold::Product, 4),
            Reduction::Max | Reduction::Min => (Fold::Extreme, 4),
            Reduction::ArgMax | Reduction::ArgMin => (Fold::Index, 8),
            Reduction::LogSumExp => (Fold::LogSumExp, 8),
        };
        Ok(Self {
            epilogue,
            operand: emit_operand(expression, borders, in_fours),
            in_fours,
            element: Element::new(value, element).map_err(|reason| format!("{} {reason}", reduction.name()))?,
            fold,
            nan: if value == DType::F32 { Nan::Floats } else { Nan::Integers },
            smallest: matches!(reduction, Reduction::Min | Reduction::ArgMin),
            partial,
            inputs: expression.inputs.len(),
            label: reduction.name(),
        })
    }

    /// One dispatch, or two where the reduced dimension is split.
    fn plan(&self, extents: Extents, variant: Variant) -> Result<KernelPlan, String> {
        let split = variant.splits > 1;
        let along = if variant.along_lanes { "lanes" } else { "lines" };
        let label = format!(
            "{} {}x{} along {along}{}{}",
            self.label,
            variant.lines,
            variant.lanes,
            if self.in_fours { " quads" } else { "" },
            if split { " split" } else { "" }
        );
        let reads = self.operand.inputs.len();
        let mut bound: Vec<Bound> = self.operand.inputs.iter().map(|&input| Bound::Input(input)).collect();
        let groups = extents.lines().div_ceil(variant.lines);
        let words = |values: &[usize]| values.iter().map(|&value| value as u32).collect::<Vec<u32>>();
        let mut params = words(&[extents.lines(), extents.inner, extents.reduced]);
        if split {
            let partials = SplitConstants { partials: reads + 1 };
            let kernel = self.first(KernelFile::ReduceSplit, variant).slot(partials).kernel(label, reads, 1)?;
            params.extend(words(&[variant.splits, extents.reduced.div_ceil(variant.splits), 0, 0]));
            params.extend(&self.operand.params);
            bound.push(Bound::Scratch(0));
            let first = DispatchPlan { kernel, params, bound, workgroups: groups * variant.splits };
            let second = self.join(extents, variant.splits)?;
            let scratch = vec![self.partial * extents.lines() * variant.splits];
            return Ok(KernelPlan { dispatches: vec![first, second], scratch });
        }
        let finish = self.epilogue.emit(1 + reads);
        let outputs = self.epilogue.expression.outputs.len();
        let kernel = self.first(KernelFile::Reduce, variant).slot(Finish(&finish.module));
        let kernel = kernel.kernel(label, reads + finish.inputs.len(), outputs)?;
        params.extend(&self.operand.params);
        params.extend(&finish.params);
        self.bind_epilogue(&finish.inputs, &mut bound);
        Ok(KernelPlan {
            dispatches: vec![DispatchPlan { kernel, params, bound, workgroups: groups }],
            scratch: Vec::new(),
        })
    }

    /// The second dispatch.
    fn join(&self, extents: Extents, splits: usize) -> Result<DispatchPlan, String> {
        let finish = self.epilogue.emit(2);
        let outputs = self.epilogue.expression.outputs.len();
        let label = format!("{} join", self.label);
        let kernel = self.folding(KernelFile::ReducePartials).slot(Finish(&finish.module));
        let kernel = kernel.kernel(label, 1 + finish.inputs.len(), outputs)?;
        let mut params = vec![extents.lines() as u32, extents.inner as u32, splits as u32];
        params.extend(&finish.params);
        let mut bound = vec![Bound::Scratch(0)];
        self.bind_epilogue(&finish.inputs, &mut bound);
        Ok(DispatchPlan { kernel, params, bound, workgroups: extents.lines().div_ceil(64) })
    }

    fn bind_epilogue(&self, inputs: &[usize], bound: &mut Vec<Bound>) {
        bound.extend(inputs.iter().map(|&input| Bound::Input(self.inputs + input)));
        bound.extend((0..self.epilogue.expression.outputs.len()).map(Bound::Output));
    }

    /// A kernel that folds, but for its ends.
    fn folding(&self, file: KernelFile) -> Composer {
        let extreme = ExtremeConstants { smallest: self.smallest };
        Kernel::of(file).slot(self.element).slot(self.fold).slot(self.nan).slot(extreme)
    }

    /// One that reads the operand.
    fn first(&self, file: KernelFile, variant: Variant) -> Composer {
        let Variant { lines, lanes, along_lanes, .. } = variant;
        let constants = ReductionConstants { lines, lanes, along_lanes };
        self.folding(file).slot(Operand(&self.operand.module)).slot(constants)
    }
}

#[cfg(test)]
mod tests;
