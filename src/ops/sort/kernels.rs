//! Choice of sort kernels: short lines by counting, lines that fit workgroup memory in one dispatch, those of some such blocks in
//! two, longer ones by passes of a sorting network over blocks.

use crate::shader::slot::{Element, SortConstants, SortKey};
use crate::shader::{Access, Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::DType;

/// Elements of a line up to which counting is tried.
const COUNTED: usize = 256;

/// Blocks of a line up to which they are joined by searching all of them for each element.
const JOINED: usize = 64;

/// What is sorted, where it is read and where it is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Lines {
    pub(in crate::ops) dtype: DType,
    pub(in crate::ops) lines: usize,
    pub(in crate::ops) length: usize,
    pub(in crate::ops) descending: bool,
    /// Of indices, the last position that they may name: they are sorted as if clamped.
    pub(in crate::ops) top: Option<usize>,
    pub(in crate::ops) source: Bound,
    pub(in crate::ops) values: Bound,
    pub(in crate::ops) indices: Bound,
}

pub(super) fn plans(
    descending: bool,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    let ty = &shapes.inputs[0].ty;
    if ty.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let length = ty.shape.last().copied().unwrap_or(1);
    let sorted = Lines {
        dtype: ty.dtype,
        lines: ty.len() / length,
        length,
        descending,
        top: None,
        source: Bound::Input(0),
        values: Bound::Output(0),
        indices: Bound::Output(1),
    };
    let block = largest_block(adapter);
    let mut plans = Vec::new();
    if length <= COUNTED {
        plans.push(KernelPlan { dispatches: vec![sorted.count()?], scratch: Vec::new() });
    }
    if length <= block {
        plans.push(KernelPlan {
            dispatches: vec![sorted.in_workgroup(length.next_power_of_two().max(2))?],
            scratch: Vec::new(),
        });
    }
    // Counting takes time by the square; from here on, the network is faster.
    if plans.len() == 2 && length > 64 && !adapter.is_software {
        plans.swap(0, 1);
    }
    if plans.is_empty() || length > 128 {
        let scratch = vec![sorted.pairs_bytes()];
        // Shorter blocks than the largest are there to test the passes.
        let block = if plans.is_empty() { block } else { 64 };
        if length <= JOINED * block {
            plans.push(KernelPlan { dispatches: sorted.joined(block, Bound::Scratch(0))?, scratch: scratch.clone() });
        }
        plans.push(KernelPlan { dispatches: sorted.passes(block, Bound::Scratch(0))?, scratch });
    }
    Ok(plans)
}

/// Elements that a workgroup sorts at most.
fn largest_block(adapter: &Adapter) -> usize {
    if adapter.limits.workgroup_bytes >= 16 << 10 { 1024 } else { 512 }
}

impl Lines {
    /// Dispatches that sort, with scratch memory for [`pairs_bytes`](Self::pairs_bytes) where lines are long.
    pub(in crate::ops) fn best(&self, pairs: Bound, adapter: &Adapter) -> Result<Vec<DispatchPlan>, String> {
        let block = largest_block(adapter);
        if self.length <= 64 {
            return Ok(vec![self.count()?]);
        }
        if self.length <= block {
            return Ok(vec![self.in_workgroup(self.length.next_power_of_two())?]);
        }
        if self.length <= JOINED * block { self.joined(block, pairs) } else { self.passes(block, pairs) }
    }

    /// Bytes of a pair of key and index for each element.
    pub(in crate::ops) fn pairs_bytes(&self) -> usize {
        8 * self.lines * self.length
    }

    fn dispatch(
        &self,
        file: KernelFile,
        size: usize,
        step: [usize; 2],
        bound: &[(Bound, Access)],
        workgroups: usize,
    ) -> Result<DispatchPlan, String> {
        let key = match self.dtype {
            DType::I32 if self.top.is_some() => SortKey::Position,
            DType::I32 => SortKey::I32,
            DType::U32 => SortKey::U32,
            _ => SortKey::F32,
        };
        let mut kernel = Kernel::of(file).slot(key).slot(Element::of(self.dtype)?);
        if !matches!(file, KernelFile::SortRank | KernelFile::SortGather) {
            kernel = kernel.slot(SortConstants { size, threads: (size / 2).min(256) });
        }
        let mut kernel = kernel.kernel(file.name(), 0, 0)?;
        kernel.bindings = bound.iter().map(|(_, access)| *access).collect();
        let blocks = self.length.div_ceil(size);
        let words =
            [self.lines, self.length, usize::from(self.descending), blocks, step[0], step[1], self.top.unwrap_or(0)];
        Ok(DispatchPlan {
            kernel,
            params: words.map(|word| word as u32).to_vec(),
            bound: bound.iter().map(|(bound, _)| *bound).collect(),
            workgroups,
        })
    }

    fn ends(&self) -> [(Bound, Access); 3] {
        [(self.source, Access::Read), (self.values, Access::ReadWrite), (self.indices, Access::ReadWrite)]
    }

    fn count(&self) -> Result<DispatchPlan, String> {
        self.dispatch(KernelFile::SortRank, 64, [0, 0], &self.ends(), (self.lines * self.length).div_ceil(64))
    }

    fn in_workgroup(&self, size: usize) -> Result<DispatchPlan, String> {
        self.dispatch(KernelFile::Sort, size, [0, 0], &self.ends(), self.lines)
    }

    fn joined(&self, size: usize, pairs: Bound) -> Result<Vec<DispatchPlan>, String> {
        let [source, values, indices] = self.ends();
        let blocks = self.lines * self.length.div_ceil(size);
        let write = (pairs, Access::ReadWrite);
        let all = [source, (pairs, Access::Read), values, indices];
        let workgroups = (self.lines * self.length).div_ceil(64);
        Ok(vec![
            self.dispatch(KernelFile::SortBlocks, size, [0, 0], &[source, write], blocks)?,
            self.dispatch(KernelFile::SortJoin, size, [0, 0], &all, workgroups)?,
        ])
    }

    fn passes(&self, size: usize, pairs: Bound) -> Result<Vec<DispatchPlan>, String> {
        let (read, write) = ((pairs, Access::Read), (pairs, Access::ReadWrite));
        let [source, values, indices] = self.ends();
        let blocks = self.lines * self.length.div_ceil(size);
        let threads = (size / 2).min(256);
        let mut dispatches = vec![self.dispatch(KernelFile::SortBlocks, size, [0, 0], &[source, write], blocks)?];
        let mut half = size;
        while half < self.length {
            let mut distance = half;
            while distance >= size {
                let exchanges = self.length.div_ceil(2 * distance) * distance;
                let workgroups = (self.lines * exchanges).div_ceil(threads);
                let step = [distance, usize::from(distance == half)];
                dispatches.push(self.dispatch(KernelFile::SortStep, size, step, &[write], workgroups)?);
                distance /= 2;
            }
            dispatches.push(self.dispatch(KernelFile::SortMerge, size, [0, 0], &[write], blocks)?);
            half *= 2;
        }
        let workgroups = (self.lines * self.length).div_ceil(64);
        dispatches.push(self.dispatch(
            KernelFile::SortGather,
            size,
            [0, 0],
            &[source, read, values, indices],
            workgroups,
        )?);
        Ok(dispatches)
    }
}
