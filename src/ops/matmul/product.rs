//! Matrix products on the CPU, by the crates of `gemm`. Their entry points take raw pointers, so this is one of the library's two
//! files with `unsafe`: every address that it can reach is checked against the slices first.
#![allow(unsafe_code, reason = "gemm's interface is raw pointers; see `checked`")]

use gemm_common::Parallelism;

use super::dot_products::{self, Vectors};
use super::{blocks, few_rows, integer};
use crate::ops::widened::widened;
use crate::parallel::each_chunk;
use crate::scalar::{Affine, vectorized};
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// Multiplications from which threads pay.
const PARALLEL_FROM: usize = 1 << 19;

/// A matrix within a slice: address = steps[0] · row + steps[1] · column.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Matrix<'a, T> {
    pub(in crate::ops) elements: &'a [T],
    pub(in crate::ops) rows: usize,
    pub(in crate::ops) columns: usize,
    pub(in crate::ops) steps: [usize; 2],
}

impl<T> Matrix<'_, T> {
    /// True where every element is within the slice.
    fn is_inside(&self) -> bool {
        self.rows > 0
            && self.columns > 0
            && (self.rows - 1) * self.steps[0] + (self.columns - 1) * self.steps[1] < self.elements.len()
    }
}

/// Types that there is a `gemm` of. The crate of that name would bring those of four other types along, half a minute of processor
/// time in a first build.
pub(in crate::ops) trait Gemm: bytemuck::Pod + From<f32> + Send + Sync {
    /// `out = lhs · rhs` of extents m, n, k, or `out += lhs · rhs`. `out` is row-major with the given distance from row to row; the
    /// operands have steps from row to row and from column to column, which may be negative.
    ///
    /// # Safety
    /// Every element that the extents and steps reach must be readable, those of `out` writable and borrowed by nobody else.
    unsafe fn gemm(
        extents: [usize; 3],
        out: (*mut Self, usize, bool),
        lhs: (*const Self, [isize; 2]),
        rhs: (*const Self, [isize; 2]),
        parallelism: Parallelism,
    );
}

macro_rules! gemm {
    ($($float:ty: $function:path),*) => {
        $(impl Gemm for $float {
            unsafe fn gemm(
                [m, n, k]: [usize; 3],
                (out, out_row, add): (*mut Self, usize, bool),
                (lhs, [lhs_row, lhs_column]): (*const Self, [isize; 2]),
                (rhs, [rhs_row, rhs_column]): (*const Self, [isize; 2]),
                parallelism: Parallelism,
            ) {
                // The kernels write columns: of a row-major result, they compute the transpose.
                let ([m, n], mut lhs, [lhs_row, mut lhs_column], mut rhs, [mut rhs_row, rhs_column], [out_row, out_column]) =
                    if out_row > 1 {
                        ([n, m], rhs, [rhs_column, rhs_row], lhs, [lhs_column, lhs_row], [1, out_row as isize])
                    } else {
                        ([m, n], lhs, [lhs_row, lhs_column], rhs, [rhs_row, rhs_column], [out_row as isize, 1])
                    };
                // They read the left operand's columns with ascending steps: where those descend, both inner dimensions turn.
                if lhs_column < 0 && k > 0 {
                    lhs = lhs.wrapping_offset((k - 1) as isize * lhs_column);
                    rhs = rhs.wrapping_offset((k - 1) as isize * rhs_row);
                    (lhs_column, rhs_row) = (-lhs_column, -rhs_row);
                }
                let (alpha, beta) = (if add { 1.0 } else { 0.0 }, 1.0);
                let product = $function();
                // SAFETY: as the caller promised.
                unsafe {
                    product(
                        m, n, k, out, out_column, out_row, add, lhs, lhs_column, lhs_row, rhs, rhs_column, rhs_row, alpha, beta,
                        false, false, false, parallelism,
                    );
                }
            }
        })*
    };
}

gemm!(f32: gemm_f32::gemm::f32::get_gemm_fn, f64: gemm_f64::gemm::f64::get_gemm_fn);

/// `out = lhs · rhs`, or `out += lhs · rhs`, with rows of `out` `out_row` elements apart.
///
/// # Errors
/// Matrices that are empty, do not fit each other, or leave their slices.
pub(in crate::ops) fn multiply<T: Gemm>(
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    out: &mut [T],
    out_row: usize,
    add: bool,
    threads: bool,
) -> Result<(), String> {
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    let fits =
        rhs.rows == k && lhs.is_inside() && rhs.is_inside() && n <= out_row && (m - 1) * out_row + n <= out.len();
    if !fits {
        return Err(format!("a product of {m} × {k} and {} × {n} does not fit its memory", rhs.rows));
    }
    let parallelism = if threads && m * n * k >= PARALLEL_FROM { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: `is_inside` proved that every element of both operands is within its slice; rows of `out` are `out_row ≥ n`
    // elements apart and do not overlap, and the last one ends within the slice, which is borrowed exclusively.
    unsafe {
        T::gemm(
            [m, n, k],
            (out.as_mut_ptr(), out_row, add),
            (lhs.elements.as_ptr(), lhs.steps.map(|step| step as isize)),
            (rhs.elements.as_ptr(), rhs.steps.map(|step| step as isize)),
            parallelism,
        );
    }
    Ok(())
}

pub(super) fn evaluate(inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
    let ([(lhs, lhs_bytes), (rhs, rhs_bytes)], [(ty, out), sums @ ..]) = (inputs, outputs) else {
        return Err("matmul takes two operands and returns one product".into());
    };
    let [(lhs, lhs_bytes), (rhs, rhs_bytes)] = [widened(lhs, lhs_bytes), widened(rhs, rhs_bytes)];
    let (lhs, rhs, lhs_bytes, rhs_bytes) = (&*lhs, &*rhs, &*lhs_bytes, &*rhs_bytes);
    let sums = sums.first_mut().map(|(ty, bytes)| &mut bytes[..ty.bytes()]);
    let out = &mut out[..ty.bytes()];
    match lhs.ty.dtype {
        DType::F32 => {
            let (out, mut sums) = (bytemuck::cast_slice_mut(out), sums.map(bytemuck::cast_slice_mut));
            match Product::new((lhs, lhs_bytes), (rhs, rhs_bytes))? {
                Some(product)
                    if by_dot_products(&product, out)
                        || of_few_rows(&product, out)
                        || in_blocks(&product, out, &mut sums) => {}
                Some(product) => by_gemm::<f32>(&product, out),
                None => out.fill(0.0),
            }
            sums.map_or(Ok(()), |sums| row_sums::<f32>(lhs, lhs_bytes, sums))
        }
        DType::F64 => {
            let out = bytemuck::cast_slice_mut(out);
            match Product::new((lhs, lhs_bytes), (rhs, rhs_bytes))? {
                Some(product) => by_gemm::<f64>(&product, out),
                None => out.fill(0.0),
            }
            sums.map_or(Ok(()), |sums| row_sums::<f64>(lhs, lhs_bytes, bytemuck::cast_slice_mut(sums)))
        }
        DType::I32 => integer::product(lhs, rhs, ty, lhs_bytes, rhs_bytes, out, i32::wrapping_mul, i32::wrapping_add),
        DType::U32 => integer::product(lhs, rhs, ty, lhs_bytes, rhs_bytes, out, u32::wrapping_mul, u32::wrapping_add),
        DType::I64 => integer::product(lhs, rhs, ty, lhs_bytes, rhs_bytes, out, i64::wrapping_mul, i64::wrapping_add),
        dtype => Err(format!("matmul does not compute in {dtype}")),
    }
}

/// Two operands within their slices, and the extents of their products: rows, columns, inner indices. None of these is 0.
struct Product<'a, T> {
    left: Matrices<'a, T>,
    right: Matrices<'a, T>,
    extents: [usize; 3],
}

impl<'a, T: bytemuck::Pod> Product<'a, T> {
    /// `None` where there is nothing to multiply.
    fn new(
        (lhs, lhs_bytes): (&'a Operand, &'a [u8]),
        (rhs, rhs_bytes): (&'a Operand, &'a [u8]),
    ) -> Result<Option<Self>, String> {
        if lhs.ty.is_empty() || rhs.ty.is_empty() {
            return Ok(None);
        }
        let rank = lhs.ty.shape.rank();
        let left = Matrices::checked(lhs, bytemuck::cast_slice(lhs_bytes))?;
        let right = Matrices::checked(rhs, bytemuck::cast_slice(rhs_bytes))?;
        let extents = [lhs.ty.shape[rank - 2], rhs.ty.shape[rank - 1], lhs.ty.shape[rank - 1]];
        Ok(Some(Self { left, right, extents }))
    }

    /// The operands of one product of the batch, where no step is negative.
    fn operands(&self, index: usize) -> (Matrix<'a, T>, Matrix<'a, T>) {
        let [m, n, k] = self.extents;
        (self.left.placed(index, m, k), self.right.placed(index, k, n))
    }

    /// Products that a thread takes at a time, where there are enough that each thread gets several; else 0.
    fn group(&self, results: usize) -> usize {
        let [m, n, k] = self.extents;
        let (count, group) = (results / (m * n), (PARALLEL_FROM / (m * n * k)).max(1));
        let is_enough = count >= 4 * rayon::current_num_threads() || group > 1;
        if count > 1 && is_enough { group } else { 0 }
    }

    fn is_parallel(&self) -> bool {
        self.extents.iter().product::<usize>() >= PARALLEL_FROM
    }

    /// Steps of the rows and columns of both operands.
    const fn steps(&self) -> [isize; 4] {
        [self.left.rows, self.left.columns, self.right.rows, self.right.columns]
    }
}

/// Calls `one` for each product of a batch, with its number, its part of `out`, and whether threads pay within it: where there are many
/// products, each is a thread's own.
fn each_product<T: Gemm>(product: &Product<'_, T>, out: &mut [T], one: impl Fn(usize, &mut [T], bool) + Sync) {
    let [m, n, _] = product.extents;
    match product.group(out.len()) {
        0 => out.chunks_mut(m * n).enumerate().for_each(|(index, out)| one(index, out, product.is_parallel())),
        group => each_chunk(out, m * n * group, true, |chunk, out| {
            out.chunks_mut(m * n).enumerate().for_each(|(index, out)| one(chunk * group + index, out, false));
        }),
    }
}

/// A product of few rows or columns over an inner dimension along which both operands are contiguous; false where it is another one.
fn by_dot_products(product: &Product<'_, f32>, out: &mut [f32]) -> bool {
    let [m, n, k] = product.extents;
    let [left, 1, 1, right] = product.steps() else { return false };
    let suits = dot_products::suits(m, n, k) && left >= 0 && right >= 0;
    if suits {
        each_product(product, out, |index, out, parallel| {
            let (lhs, rhs) = product.operands(index);
            let lhs = Vectors { elements: lhs.elements, step: lhs.steps[0] };
            let rhs = Vectors { elements: rhs.elements, step: rhs.steps[1] };
            dot_products::multiply(lhs, rhs, n, k, out, parallel);
        });
    }
    suits
}

/// A product of few rows with a right operand whose rows are consecutive; false where it is another one.
fn of_few_rows(product: &Product<'_, f32>, out: &mut [f32]) -> bool {
    let ([m, n, k], steps) = (product.extents, product.steps());
    let suits = few_rows::suits(m, n, k) && steps[3] == 1 && steps.iter().all(|&step| step >= 0);
    if suits {
        each_product(product, out, |index, out, parallel| {
            let (lhs, rhs) = product.operands(index);
            few_rows::multiply(lhs, rhs, out, parallel);
        });
    }
    suits
}

/// A product in blocks, which takes the sums of the left operand's rows where these are read fast; false where it is another one.
fn in_blocks(product: &Product<'_, f32>, out: &mut [f32], sums: &mut Option<&mut [f32]>) -> bool {
    let [m, n, k] = product.extents;
    let suits = (blocks::suits(m, n, k) || sums.is_some() && n >= 16) && blocks::reads(product.steps());
    if !suits {
        return false;
    }
    match if product.left.rows == 1 { sums.take() } else { None } {
        Some(sums) => {
            for (index, (out, sums)) in out.chunks_mut(m * n).zip(sums.chunks_mut(m)).enumerate() {
                let (lhs, rhs) = product.operands(index);
                blocks::multiply(lhs, rhs, out, None, Some(sums), product.is_parallel(), |_, _| {});
            }
        }
        None => each_product(product, out, |index, out, parallel| {
            let (lhs, rhs) = product.operands(index);
            blocks::multiply(lhs, rhs, out, None, None, parallel, |_, _| {});
        }),
    }
    true
}

/// A product in blocks, of which some rows at a time are finished in a cache; false where it is another one.
pub(super) fn in_chunks(
    inputs: &[(&Operand, &[u8])],
    (ty, out): (&TensorType, &mut [u8]),
    bias: Option<&[f32]>,
    finish: &(dyn Fn(usize, &mut [u8]) + Sync),
) -> Result<bool, String> {
    let &[lhs, rhs] = inputs else {
        return Err("matmul takes two operands".into());
    };
    if lhs.0.ty.dtype != DType::F32 || rhs.0.ty.dtype != DType::F32 {
        return Ok(false);
    }
    let Some(product) = Product::<f32>::new(lhs, rhs)? else { return Ok(false) };
    let [m, n, k] = product.extents;
    if !blocks::suits(m, n, k) || !blocks::reads(product.steps()) {
        return Ok(false);
    }
    let out: &mut [f32] = bytemuck::cast_slice_mut(&mut out[..ty.bytes()]);
    for (index, out) in out.chunks_mut(m * n).enumerate() {
        let (lhs, rhs) = product.operands(index);
        let finish = |first: usize, out: &mut [f32]| finish(index * m * n + first, bytemuck::cast_slice_mut(out));
        blocks::multiply(lhs, rhs, out, bias, None, product.is_parallel(), finish);
    }
    Ok(true)
}

/// Any product, by gemm.
fn by_gemm<T: Gemm>(product: &Product<'_, T>, out: &mut [T]) {
    let ([m, n, k], Product { left, right, .. }) = (product.extents, product);
    each_product(product, out, |index, out, parallel| {
        let (a, b) = (left.matrix(index), right.matrix(index));
        let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
        // SAFETY: `checked` proved that every element of each batch's matrices is within its slice; `out` is an
        // exclusive, row-major m × n matrix, and m, n, k are the extents that were checked.
        unsafe {
            let (a, b) = ((a, [left.rows, left.columns]), (b, [right.rows, right.columns]));
            T::gemm([m, n, k], (out.as_mut_ptr(), n, false), a, b, parallelism);
        }
    });
}

/// Sums of the rows of a batch of matrices, in chunks of the inner dimension that are joined in order: the chunks depend on the
/// extents alone.
fn row_sums<T>(operand: &Operand, bytes: &[u8], sums: &mut [T]) -> Result<(), String>
where
    T: bytemuck::Pod + From<f32> + Send + Sync + std::ops::AddAssign,
{
    /// Inner indices of a chunk, and elements from which threads pay.
    const CHUNK: usize = 256;
    const PARALLEL: usize = 1 << 16;
    let rank = operand.ty.shape.rank();
    let (rows, inner) = (operand.ty.shape[rank - 2], operand.ty.shape[rank - 1]);
    sums.fill(T::from(0.0));
    if operand.ty.is_empty() {
        return Ok(());
    }
    let matrices = Matrices::<T>::checked(operand, bytemuck::cast_slice(bytes))?;
    for (index, sums) in sums.chunks_mut(rows).enumerate() {
        let start = matrices.start(index);
        let element = |row: usize, k: usize| start + row as isize * matrices.rows + k as isize * matrices.columns;
        let mut parts = vec![T::from(0.0); inner.div_ceil(CHUNK) * rows];
        each_chunk(&mut parts, rows, rows * inner >= PARALLEL, |chunk, part| {
            let range = chunk * CHUNK..inner.min((chunk + 1) * CHUNK);
            vectorized(
                #[inline(always)]
                || {
                    for k in range.clone() {
                        let first = element(0, k) as usize;
                        if matrices.rows == 1 {
                            let (sums, column) = (&mut part[..rows], &matrices.elements[first..first + rows]);
                            for row in 0..rows {
                                sums[row] += column[row];
                            }
                        } else {
                            for (row, sum) in part.iter_mut().enumerate() {
                                *sum += matrices.elements[element(row, k) as usize];
                            }
                        }
                    }
                },
            );
        });
        for part in parts.chunks(rows) {
            sums.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
        }
    }
    Ok(())
}

/// A batch of strided matrices within a slice.
struct Matrices<'a, T> {
    elements: &'a [T],
    at: &'a Affine,
    batch: &'a [usize],
    rows: isize,
    columns: isize,
}

impl<'a, T> Matrices<'a, T> {
    /// Refuses maps that leave the slice, so that every pointer passed to gemm is in range.
    fn checked(operand: &'a Operand, elements: &'a [T]) -> Result<Self, String> {
        let dims = operand.ty.shape.dims();
        let (low, high) = operand.at.range(dims);
        if operand.at.strides.len() != dims.len() || low < 0 || high >= elements.len() as i64 {
            return Err(format!("operand {} reaches from {low} to {high} of {} elements", operand.ty, elements.len()));
        }
        let rank = dims.len();
        Ok(Self {
            elements,
            at: &operand.at,
            batch: &dims[..rank - 2],
            rows: operand.at.strides[rank - 2] as isize,
            columns: operand.at.strides[rank - 1] as isize,
        })
    }

    /// Pointer to the first element of one batch's matrix.
    fn matrix(&self, index: usize) -> *const T {
        self.elements[self.start(index) as usize..].as_ptr()
    }

    /// One batch's matrix, where none of its steps is negative.
    fn placed(&self, index: usize, rows: usize, columns: usize) -> Matrix<'a, T> {
        let elements = &self.elements[self.start(index) as usize..];
        Matrix { elements, rows, columns, steps: [self.rows as usize, self.columns as usize] }
    }

    /// Address of the first element of one batch's matrix.
    fn start(&self, mut index: usize) -> isize {
        let mut address = self.at.offset;
        for (axis, &extent) in self.batch.iter().enumerate().rev() {
            address += self.at.strides[axis] * (index % extent) as i64;
            index /= extent;
        }
        address as isize
    }
}
