//! Products on a GPU: rows × columns, summed over an inner dimension, a batch of them. Matrix products and convolutions are products; each
//! says where operands are read and where results are stored ([`Source`]). All else is here: the kernels to choose from (`choice`), how
//! they reach memory (`access`), and the second pass where the inner dimension is split (`sum`).

mod access;
mod choice;
mod sum;

pub(super) use access::{Access, is_read};
pub(super) use choice::{
    Algorithm, Extents, Staged, Variant, direct, software, software_candidates, tiled, tiled_candidates, variants,
    widen,
};

use crate::scalar::Epilogue;
use crate::shader::slot::{
    Blocks, CooperativeConstants, DirectConstants, Finish, Fragment, RowSums, SoftwareConstants, Staging, Store,
    TileConstants,
};
use crate::shader::{Adapter, Bound, Composer, DispatchPlan, Kernel, KernelFile, KernelPlan};
use crate::tensor::DType;

/// The kernels of a kind of product. Those with tiles are the same for all.
#[derive(Debug)]
pub(super) struct Family {
    /// What their labels begin with.
    pub(super) name: &'static str,
    pub(super) direct: KernelFile,
    pub(super) software: KernelFile,
    /// What is loaded into tiles an element at a time.
    pub(super) staging: Staging,
    /// The same for matrix instructions.
    pub(super) blocks: Blocks,
    /// Where results are stored, one at a time and four.
    pub(super) store: [Store; 2],
}

/// A batch of products. Pairs are of the left and the right operand.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) family: &'static Family,
    pub(super) extents: Extents,
    /// Which inputs of the routine the operands are, and their element types in memory: f32, f16 or bf16.
    pub(super) inputs: [usize; 2],
    pub(super) stored: [DType; 2],
    /// Whether neighbours in memory lie along the inner dimension.
    pub(super) along_inner: [bool; 2],
    /// The same where both operands can be read four neighbours at a time, and where the right one can be read two at a time.
    pub(super) quads: Option<[bool; 2]>,
    pub(super) pairs: Option<bool>,
    /// Whether neighbouring columns are neighbours in the result, in whole groups of four.
    pub(super) stores_quads: bool,
    /// Elements of the result, and its last two extents.
    pub(super) len: usize,
    pub(super) matrix: [usize; 2],
    /// Sums of the left operand's rows, which are a second result; 0 where there is none.
    pub(super) row_sums: usize,
}

/// Where a product's operands are read, and where its results are stored.
pub(super) trait Source {
    /// The product, with its operands exchanged where the variant wants that.
    fn product(&self) -> Product;

    /// Fills the slots that only kernels of this source have.
    fn fill(&self, kernel: Composer, variant: &Variant, access: &Access) -> Composer;

    /// The uniform parameters, but for the grid's width and the epilogue's: of these tiles along rows and columns, and of splits of the
    /// inner dimension, all but the last of this length.
    fn params(&self, tiles: [usize; 2], splits: usize, split_length: usize) -> Vec<i64>;
}

/// One dispatch, or two where the inner dimension is split.
///
/// # Errors
/// Where a parameter does not fit 32 bits.
pub(super) fn plan(
    source: &dyn Source,
    variant: &Variant,
    epilogue: &Epilogue,
    adapter: &Adapter,
) -> Result<KernelPlan, String> {
    let product = source.product();
    let &Variant { algorithm, tile, swapped, splits } = variant;
    let (is_split, row_sums) = (splits > 1, product.row_sums > 0);
    let access = Access::new(&product, algorithm, epilogue, adapter);
    let partial = Epilogue::identity(DType::F32, &[1, 1, product.len], [1, 2]);
    let finish = access.finish(if is_split { &partial } else { epilogue }, 3);
    let filled = match algorithm {
        Algorithm::Tiled { inner } | Algorithm::Small { inner } => {
            let is_small = matches!(algorithm, Algorithm::Small { .. });
            let ([rows, columns], [lhs_along_inner, rhs_along_inner]) = (tile, access.along_inner);
            Kernel::of(if is_small { KernelFile::MatmulSmall } else { KernelFile::Matmul })
                .slot(TileConstants { rows, columns, inner, lhs_along_inner, rhs_along_inner })
                .slot(access.load())
                .slot(product.family.staging)
        }
        Algorithm::Cooperative { inner, fragment, lanes, sums } => {
            let ([rows, columns], [lhs_along_inner, rhs_along_inner]) = (tile, access.along_inner);
            Kernel::of(KernelFile::MatmulCooperative)
                .slot(TileConstants { rows, columns, inner, lhs_along_inner, rhs_along_inner })
                .slot(CooperativeConstants { lanes, rows: sums[0], columns: sums[1] })
                .slot(if fragment == 8 { Fragment::Eight } else { Fragment::Sixteen })
                .slot(if access.reads_quads { Blocks::Quads } else { product.family.blocks })
        }
        Algorithm::Direct { rows, columns } => {
            Kernel::of(product.family.direct).slot(DirectConstants { rows, columns })
        }
        Algorithm::Software { rows, columns, lanes } => {
            Kernel::of(product.family.software).slot(SoftwareConstants { rows, columns, lanes })
        }
    };
    let filled = access
        .fill(source.fill(filled, variant, &access))
        .slot(product.family.store[usize::from(access.stores_quads)])
        .slot(Finish(&finish.module))
        .slot(if row_sums { RowSums::Stored } else { RowSums::None });
    let outputs = usize::from(row_sums) + if is_split { 1 } else { epilogue.expression.outputs.len() };
    let label = format!(
        "{}{} {}x{}{}{}{}{}",
        product.family.name,
        algorithm.suffix(),
        tile[0],
        tile[1],
        access.label(),
        if swapped { " swapped" } else { "" },
        if row_sums { " with row sums" } else { "" },
        if is_split { " split" } else { "" }
    );
    let mut kernel = filled.kernel(label, 2 + finish.inputs.len(), outputs)?;
    kernel.subgroups = matches!(algorithm, Algorithm::Software { .. } | Algorithm::Cooperative { .. });
    // Where operands are read in groups, splits of the inner dimension are whole groups of four.
    let Extents { rows, columns, inner, .. } = product.extents;
    let is_grouped = access.reads_quads || access.pairs == Some(true);
    let split_length = inner.div_ceil(splits).next_multiple_of(if is_grouped { 4 } else { 1 });
    let words = source.params([rows.div_ceil(tile[0]), columns.div_ceil(tile[1])], splits, split_length);
    let word =
        |word: i64| i32::try_from(word).map(|word| word as u32).map_err(|_| format!("{word} does not fit 32 bits"));
    let mut params = words.into_iter().map(word).collect::<Result<Vec<u32>, _>>()?;
    params.extend(&finish.params);
    let mut bound = product.inputs.map(Bound::Input).to_vec();
    if is_split {
        bound.extend((0..outputs).map(Bound::Scratch));
    } else {
        bound.extend(finish.inputs.iter().map(|&input| Bound::Input(2 + input)));
        bound.extend((0..outputs).map(Bound::Output));
    }
    let workgroups = product.extents.tiles(tile) * splits;
    let mut plan = KernelPlan::from(DispatchPlan { kernel, params, bound, workgroups });
    if is_split {
        let lengths = [product.len, product.row_sums].into_iter().filter(|&length| length > 0);
        plan.scratch = lengths.map(|length| 4 * length * splits).collect();
        plan.dispatches.push(sum::plan(&product, splits, &access, epilogue)?);
    }
    Ok(plan)
}
