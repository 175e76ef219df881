//! The second pass of a product whose inner dimension is split: the splits' partial results are added in order.

use super::{Access, Product};
use crate::scalar::Epilogue;
use crate::shader::slot::{Finish, JoinedRows};
use crate::shader::{Bound, DispatchPlan, Kernel, KernelFile};

/// Where there are sums of rows, their parts are the second scratch, and they are the second result.
pub(super) fn plan(
    product: &Product,
    splits: usize,
    access: &Access,
    epilogue: &Epilogue,
) -> Result<DispatchPlan, String> {
    let &Product { len, matrix: [rows, columns], row_sums, .. } = product;
    let partials = 1 + usize::from(row_sums > 0);
    let finish = access.finish(epilogue, 1 + partials);
    let outputs = epilogue.expression.outputs.len() + usize::from(row_sums > 0);
    let (file, lanes) = if access.stores_quads { (KernelFile::MatmulSumQuads, 4) } else { (KernelFile::MatmulSum, 1) };
    let (joined, more) = if row_sums > 0 { (JoinedRows::Stored, " with row sums") } else { (JoinedRows::None, "") };
    let filled = Kernel::of(file).slot(access.lanes()).slot(Finish(&finish.module)).slot(joined);
    let kernel = filled.kernel(format!("{}{more}", file.name()), partials + finish.inputs.len(), outputs)?;
    // Of rows that are no whole groups, the epilogue asks for no coordinates.
    let words = [len / lanes, splits, rows, (columns / lanes).max(1), 0, 0, 0];
    let params = words.into_iter().map(|word| word as u32).chain(finish.params).collect();
    let bound = (0..partials)
        .map(Bound::Scratch)
        .chain(finish.inputs.iter().map(|&input| Bound::Input(2 + input)))
        .chain((0..outputs).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups: (len / lanes + row_sums).div_ceil(64) })
}
