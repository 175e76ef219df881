//! Choice of scatter kernels: each element looks through all indices where there are few, or finds its own among sorted
//! ones. Either way it joins its contributions in the order of the source. Where the base's memory is the result's, an invocation stands
//! for a contribution instead, and elements that no index names are not looked at.

use super::super::scatter::Combine;
use super::super::sort::kernels::Lines;
use crate::shader::slot::{Element, ExtremeConstants, Fold, Nan};
use crate::shader::{Access, Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::DType;

/// Contributions that a dispatch looks at for one element; more take several.
const LONGEST: usize = 1 << 14;

/// Contributions up to which looking through them beats sorting.
const FEW: usize = 64;

struct Scatter {
    element: Element,
    combine: Combine,
    nan: Nan,
    outer: usize,
    length: usize,
    inner: usize,
    /// Contributions to a line.
    count: usize,
    /// True where one index stands for all inner indices.
    rows: bool,
}

pub(in crate::ops) fn plans(
    axis: usize,
    rows: bool,
    combine: Combine,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    if shapes.inputs[0].ty.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let scatter = Scatter::new(axis, rows, combine, shapes)?;
    let mut plans = vec![scatter.look_through()?];
    if scatter.sorts() {
        plans.push(scatter.sorted(adapter)?);
        if scatter.count > FEW {
            plans.swap(0, 1);
        }
    }
    Ok(plans)
}

/// The same in place: output 0 has the base already.
pub(in crate::ops) fn update_plans(
    axis: usize,
    rows: bool,
    combine: Combine,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    if shapes.inputs[0].ty.is_empty() || shapes.inputs[2].ty.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let scatter = Scatter::new(axis, rows, combine, shapes)?;
    let reads = vec![Bound::Input(1), Bound::Input(2)];
    let dispatches = scatter.dispatches(KernelFile::ScatterUpdate, reads, None)?;
    let mut plans = vec![KernelPlan { dispatches, scratch: Vec::new() }];
    if scatter.sorts() {
        let (mut dispatches, scratch) = scatter.sort(adapter)?;
        let reads = vec![Bound::Scratch(0), Bound::Input(2)];
        dispatches.extend(scatter.dispatches(KernelFile::ScatterUpdateSorted, reads, Some(Bound::Scratch(1)))?);
        plans.push(KernelPlan { dispatches, scratch });
        if scatter.count > FEW {
            plans.swap(0, 1);
        }
    }
    Ok(plans)
}

impl Scatter {
    fn new(axis: usize, rows: bool, combine: Combine, shapes: &RoutineShapes<'_>) -> Result<Self, String> {
        let (base, source) = (&shapes.inputs[0].ty, &shapes.inputs[2].ty);
        let product = |dims: &[usize]| dims.iter().product::<usize>();
        Ok(Self {
            element: Element::of(base.dtype)?,
            combine,
            nan: if base.dtype == DType::F32 { Nan::Floats } else { Nan::Integers },
            outer: product(&base.shape[..axis]),
            length: base.shape[axis],
            inner: product(&base.shape[axis + 1..]),
            count: source.shape[axis],
            rows,
        })
    }

    /// True where there are indices to sort, each line's of its own or one line for all.
    const fn sorts(&self) -> bool {
        self.count > 1 && (self.rows || self.inner == 1)
    }

    fn dispatches(
        &self,
        file: KernelFile,
        reads: Vec<Bound>,
        order: Option<Bound>,
    ) -> Result<Vec<DispatchPlan>, String> {
        let fold = match self.combine {
            Combine::Sum => Fold::Sum,
            Combine::Product => Fold::Product,
            Combine::Max | Combine::Min => Fold::Extreme,
            Combine::Last => Fold::Last,
        };
        let extreme = ExtremeConstants { smallest: self.combine == Combine::Min };
        let kernel = Kernel::of(file).slot(self.element).slot(fold).slot(self.nan).slot(extreme);
        let mut kernel = kernel.kernel(file.name(), reads.len(), 1)?;
        let mut bound = reads;
        bound.push(Bound::Output(0));
        if let Some(order) = order {
            kernel.bindings.push(Access::Read);
            bound.push(order);
        }
        // Steps of the indices.
        let steps = if self.rows { [0, 1, 0] } else { [self.count * self.inner, self.inner, 1] };
        (0..self.count.div_ceil(LONGEST).max(1))
            .map(|pass| {
                let along = match file {
                    KernelFile::ScatterUpdate => (self.count - pass * LONGEST).min(LONGEST),
                    KernelFile::ScatterUpdateSorted => self.count,
                    _ => self.length,
                };
                let words = [self.outer, self.length, self.inner, self.count, pass * LONGEST, LONGEST];
                Ok(DispatchPlan {
                    kernel: kernel.clone(),
                    params: words.iter().chain(&steps).chain(&[0, 0]).map(|&word| word as u32).collect(),
                    bound: bound.clone(),
                    workgroups: (self.outer * along * self.inner).div_ceil(64),
                })
            })
            .collect()
    }

    fn look_through(&self) -> Result<KernelPlan, String> {
        let reads = vec![Bound::Input(0), Bound::Input(1), Bound::Input(2)];
        Ok(KernelPlan { dispatches: self.dispatches(KernelFile::Scatter, reads, None)?, scratch: Vec::new() })
    }

    fn sorted(&self, adapter: &Adapter) -> Result<KernelPlan, String> {
        let (mut dispatches, scratch) = self.sort(adapter)?;
        let reads = vec![Bound::Input(0), Bound::Scratch(0), Bound::Input(2)];
        dispatches.extend(self.dispatches(KernelFile::ScatterSorted, reads, Some(Bound::Scratch(1)))?);
        Ok(KernelPlan { dispatches, scratch })
    }

    /// Sorts the indices: into the first scratch memory, and into the second where each was before.
    fn sort(&self, adapter: &Adapter) -> Result<(Vec<DispatchPlan>, Vec<usize>), String> {
        let lines = if self.rows { 1 } else { self.outer };
        let indices = Lines {
            dtype: DType::I32,
            lines,
            length: self.count,
            descending: false,
            top: Some(self.length - 1),
            source: Bound::Input(1),
            values: Bound::Scratch(0),
            indices: Bound::Scratch(1),
        };
        let dispatches = indices.best(Bound::Scratch(2), adapter)?;
        let mut scratch = vec![4 * lines * self.count; 2];
        if dispatches.len() > 1 {
            scratch.push(indices.pairs_bytes());
        }
        Ok((dispatches, scratch))
    }
}
