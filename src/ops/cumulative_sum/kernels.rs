//! Choice of scan kernels: an invocation a line where there are many, a workgroup a line where there are few; long lines
//! are cut into chunks, whose sums are made and scanned first.

use super::CumulativeSum;
use crate::shader::slot::{Carry, Element};
use crate::shader::{Access, Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, RoutineShapes, chunk_sums};
use crate::tensor::DType;

/// Elements of a line that one pass takes.
const LONGEST: usize = 1 << 14;

struct Scan<'a> {
    op: &'a CumulativeSum,
    dtype: DType,
    element: Element,
    /// Outer, length, inner.
    dims: [usize; 3],
    adapter: &'a Adapter,
}

pub(super) fn plans(
    op: &CumulativeSum,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    let ty = &shapes.inputs[0].ty;
    if ty.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    let dims = [product(&ty.shape[..op.axis]), ty.shape[op.axis], product(&ty.shape[op.axis + 1..])];
    let scan = Scan { op, dtype: ty.dtype, element: Element::of(ty.dtype)?, dims, adapter };
    let (lines, length) = (dims[0] * dims[2], dims[1]);
    let least = length.div_ceil(LONGEST);
    // Chunks so that there is work for every invocation, none shorter than 64.
    let wanted: usize = if adapter.is_software { 8 * 64 } else { 1 << 13 };
    let many = wanted.div_ceil(lines).min(length / 64).max(least);
    let by_workgroups = dims[2] == 1 && !adapter.is_software && length >= 256;
    let mut choices =
        vec![(KernelFile::Scan, if lines >= wanted / 8 { least } else { many }), (KernelFile::ScanBlocks, least)];
    if by_workgroups {
        choices.swap(0, 1);
    }
    choices.extend([(KernelFile::Scan, many), (KernelFile::ScanBlocks, many)]);
    choices.dedup();
    choices.into_iter().map(|(file, chunks)| scan.plan(file, chunks)).collect()
}

impl Scan<'_> {
    fn plan(&self, file: KernelFile, chunks: usize) -> Result<KernelPlan, String> {
        let [outer, length, inner] = self.dims;
        let lines = outer * inner;
        let chunk_length = length.div_ceil(chunks);
        let chunks = length.div_ceil(chunk_length);
        let carry = if chunks > 1 { Carry::Chunks } else { Carry::Nothing };
        let mut kernel = Kernel::of(file).slot(self.element).slot(carry).kernel(file.name(), 1, 1)?;
        let flags = [self.op.reverse, self.op.exclusive].map(u32::from);
        let mut params: Vec<u32> = [lines, length, inner, chunks, chunk_length].map(|word| word as u32).to_vec();
        params.extend(flags);
        let mut bound = vec![Bound::Input(0), Bound::Output(0)];
        let (mut dispatches, mut scratch) = (Vec::new(), Vec::new());
        if chunks > 1 {
            kernel.bindings.push(Access::Read);
            bound.push(Bound::Scratch(0));
            scratch.push(4 * lines * chunks);
            dispatches.push(chunk_sums(self.dtype, self.dims, chunks, self.adapter)?);
            dispatches.push(DispatchPlan {
                kernel: Kernel::of(KernelFile::ScanCarries).slot(self.element).kernel("scan_carries", 0, 1)?,
                params: vec![lines as u32, chunks as u32, flags[0]],
                bound: vec![Bound::Scratch(0)],
                workgroups: lines.div_ceil(64),
            });
        }
        let workgroups = if file == KernelFile::Scan { (lines * chunks).div_ceil(64) } else { lines * chunks };
        dispatches.push(DispatchPlan { kernel, params, bound, workgroups });
        Ok(KernelPlan { dispatches, scratch })
    }
}
