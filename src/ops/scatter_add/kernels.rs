//! Choice of scatter kernels: each element looks through all indices where there are few, or finds its own among sorted
//! ones. Either way it joins its contributions in the order of the source.

use super::super::scatter::Combine;
use super::super::sort::kernels::Lines;
use crate::shader::slot::{Element, ExtremeConstants, Fold, Nan};
use crate::shader::{Access, Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::DType;

/// Contributions that a dispatch looks at for one element; more take several.
const LONGEST: usize = 1 << 14;

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
    let (base, source) = (&shapes.inputs[0].ty, &shapes.inputs[2].ty);
    if base.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    let scatter = Scatter {
        element: Element::of(base.dtype)?,
        combine,
        nan: if base.dtype == DType::F32 { Nan::Floats } else { Nan::Integers },
        outer: product(&base.shape[..axis]),
        length: base.shape[axis],
        inner: product(&base.shape[axis + 1..]),
        count: source.shape[axis],
        rows,
    };
    let mut plans = vec![scatter.look_through()?];
    if scatter.count > 1 && (rows || scatter.inner == 1) {
        plans.push(scatter.sorted(adapter)?);
        if scatter.count > 64 {
            plans.swap(0, 1);
        }
    }
    Ok(plans)
}

impl Scatter {
    fn dispatches(
        &self,
        file: KernelFile,
        reads: [Bound; 3],
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
        let mut kernel = kernel.kernel(file.name(), 3, 1)?;
        let mut bound = reads.to_vec();
        bound.push(Bound::Output(0));
        if let Some(order) = order {
            kernel.bindings.push(Access::Read);
            bound.push(order);
        }
        // Steps of the indices.
        let steps = if self.rows { [0, 1, 0] } else { [self.count * self.inner, self.inner, 1] };
        (0..self.count.div_ceil(LONGEST).max(1))
            .map(|pass| {
                let words = [self.outer, self.length, self.inner, self.count, pass * LONGEST, LONGEST];
                Ok(DispatchPlan {
                    kernel: kernel.clone(),
                    params: words.iter().chain(&steps).chain(&[0, 0]).map(|&word| word as u32).collect(),
                    bound: bound.clone(),
                    workgroups: (self.outer * self.length * self.inner).div_ceil(64),
                })
            })
            .collect()
    }

    fn look_through(&self) -> Result<KernelPlan, String> {
        let reads = [Bound::Input(0), Bound::Input(1), Bound::Input(2)];
        Ok(KernelPlan { dispatches: self.dispatches(KernelFile::Scatter, reads, None)?, scratch: Vec::new() })
    }

    fn sorted(&self, adapter: &Adapter) -> Result<KernelPlan, String> {
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
        let mut dispatches = indices.best(Bound::Scratch(2), adapter)?;
        let mut scratch = vec![4 * lines * self.count; 2];
        if dispatches.len() > 1 {
            scratch.push(indices.pairs_bytes());
        }
        let reads = [Bound::Input(0), Bound::Scratch(0), Bound::Input(2)];
        dispatches.extend(self.dispatches(KernelFile::ScatterSorted, reads, Some(Bound::Scratch(1)))?);
        Ok(KernelPlan { dispatches, scratch })
    }
}
