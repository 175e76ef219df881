//! Choice of kernels for work on rows: how many invocations share a row, and whether they take four elements at a time.

use super::reduce::{Extents, Variant, neighbours, variants};
use super::slot::{Element, ExtremeConstants, Fold, Lanes, Nan, ReductionConstants, RowFunctions};
use super::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan};
use crate::scalar::{Emitted, Reduction, RowWork, emit_rows};
use crate::tensor::DType;

/// Steps that one invocation takes at most, where others can share them: sums of more would lose digits.
const LONGEST: usize = 1 << 10;

/// Plans for work on rows, best guess first.
///
/// # Errors
/// A message for the user where a type cannot be stored, or the tensor is larger than 32-bit addresses reach.
pub(crate) fn row_plans(work: &RowWork, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    all_plans(work, adapter, false)
}

/// The same with more plans, for tuning.
///
/// # Errors
/// As of [`row_plans`].
pub(crate) fn row_candidates(work: &RowWork, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    all_plans(work, adapter, true)
}

fn all_plans(work: &RowWork, adapter: &Adapter, more: bool) -> Result<Vec<KernelPlan>, String> {
    if let Some((_, stored)) = work.expression.outputs.iter().find(|(_, stored)| stored.size() != 4) {
        return Err(format!("work on rows does not store {stored} on a GPU"));
    }
    if work.expression.len() > i32::MAX as usize {
        return Err("the domain is larger than 32-bit addresses reach".into());
    }
    let in_fours = work.expression.dims.last().is_some_and(|inner| inner.is_multiple_of(4));
    let mut plans: Vec<KernelPlan> = Vec::new();
    for quads in [true, false].into_iter().filter(|&quads| in_fours || !quads) {
        let source = Source { work, quads, emitted: emit_rows(work, quads) };
        for variant in source.variants(adapter, more) {
            let plan = source.plan(variant)?;
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
    }
    Ok(plans)
}

struct Source<'a> {
    work: &'a RowWork,
    quads: bool,
    emitted: Emitted,
}

impl Source<'_> {
    /// Rows, and the steps in which each is taken.
    fn extents(&self) -> Extents {
        let [rows, length] = self.work.extents();
        Extents { outer: rows, reduced: if self.quads { length / 4 } else { length }, inner: 1 }
    }

    /// How invocations share rows. A row is one workgroup's.
    fn variants(&self, adapter: &Adapter, more: bool) -> Vec<Variant> {
        let extents = self.extents();
        let mut all = variants(extents, true, adapter);
        if more {
            all.extend(neighbours(all[0], extents, adapter));
        }
        let mut unsplit: Vec<Variant> = Vec::new();
        for variant in all {
            let variant = Variant { splits: 1, ..variant };
            if !unsplit.contains(&variant) {
                unsplit.push(variant);
            }
        }
        // Longer rows are shared by as many lanes as can be.
        let most = unsplit.iter().map(|variant| variant.lanes).max().unwrap_or(1);
        unsplit.retain(|variant| variant.lanes == most || extents.reduced <= variant.lanes * LONGEST);
        unsplit
    }

    fn plan(&self, variant: Variant) -> Result<KernelPlan, String> {
        let Variant { lines, lanes, along_lanes, .. } = variant;
        let Self { work, quads, emitted } = self;
        let (reduction, count) = (work.folds[0], work.folds.len());
        let names: Vec<&str> = work.folds.iter().map(|fold| fold.name()).collect();
        let along = if along_lanes { "lanes" } else { "lines" };
        let label =
            format!("rows {} {lines}x{lanes} along {along}{}", names.join("+"), if *quads { " quads" } else { "" });
        let fold = match reduction {
            Reduction::Product => Fold::Product,
            Reduction::Max | Reduction::Min => Fold::Extreme,
            Reduction::LogSumExp => Fold::LogSumExp,
            Reduction::Sum | Reduction::ArgMax | Reduction::ArgMin => Fold::Sum,
        };
        let element = if count == 1 { Element::of(DType::F32)? } else { Element::vector(count) };
        let kernel = Kernel::of(KernelFile::Rows)
            .slot(RowFunctions(&emitted.module))
            .slot(if *quads { Lanes::Four } else { Lanes::One })
            .slot(element)
            .slot(fold)
            .slot(Nan::Floats)
            .slot(ExtremeConstants { smallest: reduction == Reduction::Min })
            .slot(ReductionConstants { lines, lanes, along_lanes });
        let outputs = work.expression.outputs.len() - count;
        let kernel = kernel.kernel(label, emitted.inputs.len(), outputs)?;
        let extents = self.extents();
        let mut params = vec![extents.outer as u32, extents.reduced as u32, 0];
        params.extend(&emitted.params);
        let inputs = emitted.inputs.iter().map(|&input| Bound::Input(input));
        let bound = inputs.chain((0..outputs).map(Bound::Output)).collect();
        let workgroups = extents.outer.div_ceil(lines);
        Ok(KernelPlan { dispatches: vec![DispatchPlan { kernel, params, bound, workgroups }], scratch: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::samples::{SIZES, samples};
    use crate::shader::testing::{Runner, adapters, assert_close, check, numbers};

    #[test]
    fn every_plan_makes_the_same_of_rows() {
        for (rows, row) in SIZES {
            let count = rows[0] * rows[1] * row[0] * row[1];
            let (x, y) = (numbers(count, 1), numbers(count, 2));
            for sample in samples(rows, row, &x, &y) {
                let inputs: [&[u8]; 2] = [bytemuck::cast_slice(&x), bytemuck::cast_slice(&y)];
                let mut visited: Vec<KernelPlan> = Vec::new();
                for adapter in adapters() {
                    // All candidates of one size, as compiling them takes time.
                    let plans = if rows == [5, 13] { row_candidates } else { row_plans };
                    for plan in plans(&sample.work, &adapter).unwrap() {
                        check(&plan, &adapter);
                        let Some(mut runner) = Runner::lock() else { continue };
                        if visited.contains(&plan) {
                            continue;
                        }
                        let got = runner.run(&plan, &inputs, &[4 * rows[0] * rows[1], 4 * count]);
                        for (got, want) in got.iter().zip(&sample.wanted) {
                            let label = format!("{} {}", sample.label, plan.dispatches[0].kernel.label);
                            assert_close(&label, bytemuck::cast_slice(got), want, 3e-5);
                        }
                        visited.push(plan);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_a_multiple_of_four_are_taken_in_fours() {
        let x = numbers(8 * 64, 1);
        let labels = |row: [usize; 2]| {
            let sample = &samples([1, 8], row, &x, &x)[0];
            let plans = row_plans(&sample.work, &Adapter::default()).unwrap();
            plans.iter().map(|plan| plan.dispatches[0].kernel.label.ends_with("quads")).collect::<Vec<_>>()
        };
        assert!(labels([1, 64])[0] && !labels([1, 64]).last().unwrap());
        assert!(labels([1, 63]).iter().all(|quads| !quads));
    }
}
