//! The plans of matrix products.

use super::problem::Problem;
use super::vector;
use crate::ops::product::{
    Access, Algorithm, Extents, Family, Product, Source, Staged, Variant, direct, is_read, plan, software,
    software_candidates, tiled, tiled_candidates, variants, widen,
};
use crate::shader::slot::{Blocks, PairConstants, ProductConstants, Staging, Store};
use crate::shader::{Adapter, Composer, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::DType;

/// All plans that the adapter can run, best guess first; for tuning, those that may be the fastest, more of them.
pub(super) fn plans(
    row_sums: bool,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    let ([lhs, rhs], [ty, ..]) = (shapes.inputs, shapes.outputs) else {
        return Err("takes two operands and returns one product".into());
    };
    let dtype = lhs.ty.dtype.compute();
    let is_float = is_read(lhs.ty.dtype) && is_read(rhs.ty.dtype);
    if !is_float && (rhs.ty.dtype != dtype || !matches!(dtype, DType::I32 | DType::U32)) {
        return Err(format!("computes in f32, i32 or u32 on a GPU, not {dtype}"));
    }
    let problem = Problem::new(lhs, rhs)?;
    if shapes.outputs.iter().all(|output| output.is_empty()) {
        return Ok(vec![KernelPlan::default()]);
    }
    if ty.is_empty() {
        return Err("has no columns, but rows to add up".into());
    }
    let epilogue = shapes.last_step();
    if !is_float {
        return vector::integer(&problem, dtype, &epilogue, adapter, tuning);
    }
    let extents = problem.extents;
    let halves = epilogue.stores_less_than_words();
    if halves && !extents.columns.is_multiple_of(4) {
        return Err(format!("does not store 16-bit floats in rows of {} elements", extents.columns));
    }
    let orientations: &[bool] = if row_sums || halves { &[false] } else { &[false, true] };
    let reads_halves = problem.lhs.stored == DType::F16 && problem.rhs.stored == DType::F16;
    let staged = Staged { offsets: [0; 2], has_many_addresses: false, halves: reads_halves };
    let mut chosen = if tuning {
        candidates(extents, orientations, staged, adapter)
    } else {
        variants(extents, orientations, direct([4, 4], THREADS, 32, extents, adapter), false, staged, adapter)
    };
    if halves {
        widen(&mut chosen);
    }
    let sources = [false, true].map(|swapped| Matrices {
        problem: if swapped { problem.swapped() } else { problem.clone() },
        swapped,
        row_sums,
    });
    let mut plans = chosen
        .iter()
        .map(|variant| plan(&sources[usize::from(variant.swapped)], variant, &epilogue, adapter))
        .collect::<Result<Vec<_>, _>>()?;
    let mut vectors =
        if row_sums || halves { Vec::new() } else { vector::plans(&problem, &epilogue, adapter, tuning)? };
    if adapter.is_software {
        plans.append(&mut vectors);
        return Ok(plans);
    }
    vectors.append(&mut plans);
    Ok(vectors)
}

/// Invocations of a workgroup without workgroup memory, along rows and columns.
const THREADS: [usize; 2] = [8, 8];

/// Multiplications up to which tuning tries kernels without subgroups on software drivers that have them.
const SMALL_ON_SOFTWARE: usize = 1 << 20;

/// What may be the fastest, with the same best guess.
fn candidates(extents: Extents, orientations: &[bool], staged: Staged, adapter: &Adapter) -> Vec<Variant> {
    let directs = [([4, 4], 32), ([2, 2], 64), ([4, 2], 64), ([8, 4], 32)]
        .map(|(shape, wanted)| direct(shape, THREADS, wanted, extents, adapter));
    if adapter.is_software {
        // Workgroup memory is slower there than anything else, and loads without subgroups take seconds where there are many.
        let mut found = software_candidates(extents, orientations, adapter);
        if found.is_empty() || extents.len() * extents.inner < SMALL_ON_SOFTWARE {
            found.extend(directs);
        }
        return found;
    }
    let tiles = tiled(extents, staged, adapter).into_iter().chain(tiled_candidates(extents, staged, adapter));
    tiles.chain(directs).chain(software(extents, orientations, adapter)).collect()
}

static FAMILY: Family = Family {
    name: "matmul",
    direct: KernelFile::MatmulDirect,
    software: KernelFile::MatmulSoftware,
    staging: Staging::Matrix,
    blocks: Blocks::Matrix,
    store: [Store::Matrix, Store::MatrixQuads],
};

/// Matrices with any strides.
struct Matrices {
    /// As the kernels see it: transposed where the operands are exchanged.
    problem: Problem,
    swapped: bool,
    row_sums: bool,
}

impl Source for Matrices {
    fn product(&self) -> Product {
        let Problem { extents, lhs, rhs, .. } = self.problem;
        let Extents { batch, rows, columns, .. } = extents;
        Product {
            family: &FAMILY,
            extents,
            inputs: if self.swapped { [1, 0] } else { [0, 1] },
            stored: [lhs.stored, rhs.stored],
            along_inner: [lhs.column.abs() <= lhs.row.abs(), rhs.row.abs() < rhs.column.abs()],
            quads: self.problem.quads(),
            pairs: self.problem.pairs(),
            stores_quads: columns.is_multiple_of(4) && !self.swapped,
            len: extents.len(),
            matrix: if self.swapped { [columns, rows] } else { [rows, columns] },
            row_sums: if self.row_sums { batch * rows } else { 0 },
        }
    }

    fn fill(&self, kernel: Composer, variant: &Variant, access: &Access) -> Composer {
        let batch_axes = self.problem.batch_axes.len();
        let filled = kernel.slot(ProductConstants { batch_axes, swapped: self.swapped });
        if !matches!(variant.algorithm, Algorithm::Software { .. }) {
            return filled;
        }
        filled.slot(PairConstants { pairs: access.pairs.is_some(), along_columns: access.pairs == Some(false) })
    }

    /// As `family/product` has them.
    fn params(&self, [down, across]: [usize; 2], splits: usize, split_length: usize) -> Vec<i64> {
        let Problem { extents: Extents { batch, rows, columns, inner }, lhs, rhs, .. } = self.problem;
        let numbers = [batch, rows, columns, inner, splits, down, across, split_length];
        let mut words = numbers.map(|number| number as i64).to_vec();
        words.extend([lhs.offset, lhs.row, lhs.column, rhs.offset, rhs.row, rhs.column, 0, lhs.last, rhs.last, 0, 0]);
        for &(extent, [lhs, rhs]) in &self.problem.batch_axes {
            words.extend([extent as i64, lhs, rhs, 0]);
        }
        words
    }
}
