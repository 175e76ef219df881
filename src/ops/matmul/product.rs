//! Matrix products on the CPU: operands as they are stored, within their slices, and the algorithm for each.

use std::marker::PhantomData;

use super::dot_products::{self, Vectors};
use super::float::Float;
use super::matrix::Matrix;
use super::stored::{Stored, dense};
use super::{blocks, few_rows, integer};
use crate::ops::tasks::lend;
use crate::parallel::each_chunk;
use crate::scalar::{Affine, distance, set_all, vectorized};
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// Multiplications from which threads pay.
const PARALLEL_FROM: usize = 1 << 19;

pub(super) fn evaluate(inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
    let ([(lhs, lhs_bytes), (rhs, rhs_bytes)], [(ty, out), sums @ ..]) = (inputs, outputs) else {
        return Err("matmul takes two operands and returns one product".into());
    };
    let operands = [(*lhs, *lhs_bytes), (*rhs, *rhs_bytes)];
    let sums = sums.first_mut().map(|(ty, bytes)| &mut bytes[..ty.bytes()]);
    let out = &mut out[..ty.bytes()];
    match lhs.ty.dtype {
        DType::F32 | DType::F16 | DType::BF16 => {
            floats(operands, bytemuck::cast_slice_mut(out), sums.map(bytemuck::cast_slice_mut), |product, out| {
                by_dot_products(product, out) || of_few_rows(product, out)
            })
        }
        DType::F64 => {
            floats::<f64>(operands, bytemuck::cast_slice_mut(out), sums.map(bytemuck::cast_slice_mut), |_, _| false)
        }
        DType::I32 => integer::product(lhs, rhs, ty, lhs_bytes, rhs_bytes, out, i32::wrapping_mul, i32::wrapping_add),
        DType::U32 => integer::product(lhs, rhs, ty, lhs_bytes, rhs_bytes, out, u32::wrapping_mul, u32::wrapping_add),
        DType::I64 => integer::product(lhs, rhs, ty, lhs_bytes, rhs_bytes, out, i64::wrapping_mul, i64::wrapping_add),
        dtype => Err(format!("matmul does not compute in {dtype}")),
    }
}

/// A product of floats; `special` makes those that blocks do not suit, and says whether it did.
fn floats<T: Float>(
    [lhs, rhs]: [(&Operand, &[u8]); 2],
    out: &mut [T],
    sums: Option<&mut [T]>,
    special: impl Fn(&Product<'_, T>, &mut [T]) -> bool,
) -> Result<(), String> {
    let (left, right) = (Ascending::new(lhs.0, lhs.1)?, Ascending::new(rhs.0, rhs.1)?);
    let mut sums = sums;
    match Product::new(left.operand(lhs), right.operand(rhs))? {
        Some(product) if special(&product, out) => {}
        Some(product) => in_blocks(&product, out, &mut sums),
        None => out.fill(T::from(0.0)),
    }
    sums.map_or(Ok(()), |sums| row_sums(left.operand(lhs), sums))
}

/// Two operands within their slices, and the extents of their products: rows, columns, inner indices. None of these is 0.
struct Product<'a, T> {
    left: Matrices<'a, T>,
    right: Matrices<'a, T>,
    extents: [usize; 3],
}

impl<'a, T: Float> Product<'a, T> {
    /// `None` where there is nothing to multiply.
    fn new(
        (lhs, lhs_bytes): (&'a Operand, &'a [u8]),
        (rhs, rhs_bytes): (&'a Operand, &'a [u8]),
    ) -> Result<Option<Self>, String> {
        if lhs.ty.is_empty() || rhs.ty.is_empty() {
            return Ok(None);
        }
        let rank = lhs.ty.shape.rank();
        let (left, right) = (Matrices::checked(lhs, lhs_bytes)?, Matrices::checked(rhs, rhs_bytes)?);
        let extents = [lhs.ty.shape[rank - 2], rhs.ty.shape[rank - 1], lhs.ty.shape[rank - 1]];
        Ok(Some(Self { left, right, extents }))
    }

    /// The operands of one product of the batch.
    fn operands(&self, index: usize) -> (Stored<'a, T>, Stored<'a, T>) {
        let [m, n, k] = self.extents;
        (self.left.placed(index, m, k), self.right.placed(index, k, n))
    }

    /// The same, where both are stored in the type that is computed in.
    fn computed(&self, index: usize) -> Option<(Matrix<'a, T>, Matrix<'a, T>)> {
        match self.operands(index) {
            (Stored::Computed(lhs), Stored::Computed(rhs)) => Some((lhs, rhs)),
            _ => None,
        }
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
    const fn steps(&self) -> [usize; 4] {
        [self.left.rows, self.left.columns, self.right.rows, self.right.columns]
    }
}

/// Calls `one` for each product of a batch, with its number, its part of `out`, and whether threads pay within it: where there are many
/// products, each is a thread's own.
fn each_product<T: Float>(product: &Product<'_, T>, out: &mut [T], one: impl Fn(usize, &mut [T], bool) + Sync) {
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
    let [_, 1, 1, _] = product.steps() else { return false };
    let suits = dot_products::suits(m, n, k) && product.computed(0).is_some();
    if suits {
        each_product(product, out, |index, out, parallel| {
            let Some((lhs, rhs)) = product.computed(index) else { return };
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
    let suits = few_rows::suits(m, n, k) && steps[3] == 1 && product.computed(0).is_some();
    if suits {
        each_product(product, out, |index, out, parallel| {
            let Some((lhs, rhs)) = product.computed(index) else { return };
            few_rows::multiply(lhs, rhs, out, parallel);
        });
    }
    suits
}

/// A product in blocks, which takes the sums of the left operand's rows where these are read fast.
fn in_blocks<T: Float>(product: &Product<'_, T>, out: &mut [T], sums: &mut Option<&mut [T]>) {
    let [m, n, _] = product.extents;
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
    if lhs.0.ty.dtype == DType::F64 || !lhs.0.ty.dtype.is_float() {
        return Ok(false);
    }
    let (left, right) = (Ascending::new(lhs.0, lhs.1)?, Ascending::new(rhs.0, rhs.1)?);
    let Some(product) = Product::<f32>::new(left.operand(lhs), right.operand(rhs))? else { return Ok(false) };
    let [m, n, k] = product.extents;
    if !blocks::suits(m, n, k) {
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

/// Sums of the rows of a batch of matrices, in chunks of the inner dimension that are joined in order: the chunks depend on the
/// extents alone.
fn row_sums<T: Float>((operand, bytes): (&Operand, &[u8]), sums: &mut [T]) -> Result<(), String> {
    /// Inner indices of a chunk, and elements from which threads pay.
    const CHUNK: usize = 256;
    const PARALLEL: usize = 1 << 16;
    let rank = operand.ty.shape.rank();
    let (rows, inner) = (operand.ty.shape[rank - 2], operand.ty.shape[rank - 1]);
    sums.fill(T::from(0.0));
    if operand.ty.is_empty() {
        return Ok(());
    }
    let matrices = Matrices::<T>::checked(operand, bytes)?;
    for (index, sums) in sums.chunks_mut(rows).enumerate() {
        let matrix = matrices.placed(index, rows, inner);
        lend(inner.div_ceil(CHUNK) * rows, |parts: &mut [T]| {
            each_chunk(parts, rows, rows * inner >= PARALLEL, |chunk, part| {
                let columns = CHUNK.min(inner - chunk * CHUNK);
                match matrix.part([0, chunk * CHUNK], [rows, columns]) {
                    Stored::Computed(matrix) => add_rows(matrix, part),
                    other => lend(rows * columns, |memory| add_rows(other.copied(memory), part)),
                }
            });
            for part in parts.chunks(rows) {
                sums.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
            }
        });
    }
    Ok(())
}

/// The sums of a matrix's rows.
fn add_rows<T: Float>(matrix: Matrix<'_, T>, sums: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            set_all(sums, T::from(0.0));
            for k in 0..matrix.columns {
                let column = &matrix.elements[k * matrix.steps[1]..];
                if matrix.steps[0] == 1 {
                    let column = &column[..sums.len()];
                    for row in 0..sums.len() {
                        sums[row] += column[row];
                    }
                } else {
                    for row in 0..sums.len() {
                        sums[row] += column[row * matrix.steps[0]];
                    }
                }
            }
        },
    );
}

/// An operand whose rows and columns go on in memory: where its own go back, a copy.
struct Ascending(Option<(Operand, Vec<u8>)>);

impl Ascending {
    fn new(operand: &Operand, bytes: &[u8]) -> Result<Self, String> {
        let goes_back = operand.at.strides.iter().rev().take(2).any(|&stride| stride < 0);
        if !goes_back || operand.ty.is_empty() {
            return Ok(Self(None));
        }
        let copy = match operand.ty.dtype.size() {
            2 => bytemuck::cast_slice(&dense::<u16>(operand, bytemuck::cast_slice(bytes))?).to_vec(),
            4 => bytemuck::cast_slice(&dense::<u32>(operand, bytemuck::cast_slice(bytes))?).to_vec(),
            _ => bytemuck::cast_slice(&dense::<u64>(operand, bytemuck::cast_slice(bytes))?).to_vec(),
        };
        let at = Affine::row_major(operand.ty.shape.dims());
        Ok(Self(Some((Operand { ty: operand.ty.clone(), at }, copy))))
    }

    fn operand<'a>(&'a self, own: (&'a Operand, &'a [u8])) -> (&'a Operand, &'a [u8]) {
        self.0.as_ref().map_or(own, |(operand, bytes)| (operand, bytes))
    }
}

/// A batch of strided matrices within a slice.
struct Matrices<'a, T> {
    bytes: &'a [u8],
    stored: DType,
    at: &'a Affine,
    batch: &'a [usize],
    rows: usize,
    columns: usize,
    computed: PhantomData<T>,
}

impl<'a, T: Float> Matrices<'a, T> {
    /// Refuses maps that leave the slice, or whose rows or columns go back.
    fn checked(operand: &'a Operand, bytes: &'a [u8]) -> Result<Self, String> {
        let dims = operand.ty.shape.dims();
        let (low, high) = operand.at.range(dims);
        let count = bytes.len() / operand.ty.dtype.size();
        if operand.at.strides.len() != dims.len() || low < 0 || high >= count as i64 {
            return Err(format!("operand {} reaches from {low} to {high} of {count} elements", operand.ty));
        }
        let rank = dims.len();
        let step = |axis: usize| match (dims[axis], usize::try_from(operand.at.strides[axis])) {
            (_, Ok(step)) => Ok(step),
            (1, Err(_)) => Ok(0),
            _ => Err(format!("operand {} goes back along axis {axis}", operand.ty)),
        };
        let (rows, columns) = (step(rank - 2)?, step(rank - 1)?);
        let (at, batch) = (&operand.at, &dims[..rank - 2]);
        Ok(Self { bytes, stored: operand.ty.dtype, at, batch, rows, columns, computed: PhantomData })
    }

    /// One batch's matrix.
    fn placed(&self, index: usize, rows: usize, columns: usize) -> Stored<'a, T> {
        let start = self.start(index);
        let steps = [self.rows, self.columns];
        match self.stored {
            DType::F16 => Stored::F16(matrix(self.bytes, start, [rows, columns], steps)),
            DType::BF16 => Stored::Bf16(matrix(self.bytes, start, [rows, columns], steps)),
            _ => Stored::Computed(matrix(self.bytes, start, [rows, columns], steps)),
        }
    }

    /// Address of the first element of one batch's matrix.
    fn start(&self, index: usize) -> usize {
        (self.at.offset + distance(self.batch, &self.at.strides, index)) as usize
    }
}

fn matrix<N: bytemuck::Pod>(
    bytes: &[u8],
    start: usize,
    [rows, columns]: [usize; 2],
    steps: [usize; 2],
) -> Matrix<'_, N> {
    Matrix { elements: &bytemuck::cast_slice(bytes)[start..], rows, columns, steps }
}
