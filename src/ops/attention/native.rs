//! Attention on the CPU, in blocks of queries and keys. A task has a head of keys with all heads of queries that share it: it lays out keys
//! and values once, as right operands of its products. Blocks of which all pairs are hidden are skipped, and the score's expression is
//! evaluated only in blocks where it may change something. Sums are in the order of the keys, whatever the number of threads.

use std::borrow::Cow;

use super::dropout::Dropout;
use super::known::{ANY, Known, Range, known};
use super::score::{Leaf, Score};
use super::{Attention, AttentionPass, Sizes};
use crate::ops::matmul::{self, Matrix, Panels, Start};
use crate::ops::tasks::{each, lend};
use crate::scalar::{Affine, Builder, NodeId, Real, Source, Tape, map, set_all, strands, vectorized};
use crate::shader::Operand;
use crate::tensor::{DType, Element, TensorType};

/// Queries and keys of a block: their scores are in the nearest cache, and so is a block's part of the keys.
const QUERIES: usize = 32;
const KEYS: usize = 128;

/// Multiplications from which threads pay.
const PARALLEL_FROM: usize = 1 << 17;

/// Floats that attention is computed in.
trait Float: matmul::Float + Element {}

impl Float for f32 {}

impl Float for f64 {}

pub(super) fn evaluate(
    attention: &Attention,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    match inputs.first().map(|(operand, _)| operand.ty.dtype) {
        Some(DType::F32) => typed::<f32>(attention, inputs, outputs),
        Some(DType::F64) => typed::<f64>(attention, inputs, outputs),
        other => Err(format!("attention computes in f32 or f64, not {other:?}")),
    }
}

/// Rows of a tensor `[batch, heads, rows, elements]` as they are in memory: the elements of a row are neighbours.
struct Rows<'a, T: Clone> {
    elements: Cow<'a, [T]>,
    /// Where the first row begins, and the distances of batches, heads and rows.
    offset: usize,
    steps: [usize; 3],
    heads: usize,
    size: usize,
}

impl<'a, T: Float> Rows<'a, T> {
    fn new(&(operand, bytes): &(&Operand, &'a [u8])) -> Self {
        let all: &'a [T] = bytemuck::cast_slice(bytes);
        let dims = operand.ty.shape.dims();
        let (heads, size) = (dims.get(1).copied().unwrap_or(1), dims.get(3).copied().unwrap_or(1));
        let Affine { offset, strides } = &operand.at;
        let step = |axis: usize| strides.get(axis).and_then(|&stride| usize::try_from(stride).ok());
        if let (Some(batch), Some(head), Some(row), Some(1), Ok(offset)) =
            (step(0), step(1), step(2), step(3), usize::try_from(*offset))
        {
            return Self { elements: Cow::Borrowed(all), offset, steps: [batch, head, row], heads, size };
        }
        // Laid out row by row.
        let elements = contiguous(operand, all);
        let rows = dims.get(2).copied().unwrap_or(1);
        let steps = [heads * rows * size, rows * size, size];
        Self { elements: Cow::Owned(elements), offset: 0, steps, heads, size }
    }

    /// From a row of a head on; heads are numbered through all batches.
    fn from(&self, head: usize, row: usize) -> &[T] {
        let [batch_step, head_step, row_step] = self.steps;
        &self.elements[self.offset + head / self.heads * batch_step + head % self.heads * head_step + row * row_step..]
    }

    fn row(&self, head: usize, row: usize) -> &[T] {
        &self.from(head, row)[..self.size]
    }

    /// Some rows as a matrix, or transposed.
    fn matrix(&self, head: usize, first: usize, count: usize, transposed: bool) -> Matrix<'_, T> {
        let ([rows, columns], steps) = if transposed {
            ([self.size, count], [1, self.steps[2]])
        } else {
            ([count, self.size], [self.steps[2], 1])
        };
        Matrix { elements: self.from(head, first), rows, columns, steps }
    }

    /// Some rows one after the other, each element times a factor.
    fn scaled(&self, head: usize, first: usize, factor: T, to: &mut [T]) {
        for (index, to) in to.chunks_exact_mut(self.size).enumerate() {
            let from = self.row(head, first + index);
            vectorized(
                #[inline(always)]
                || to.iter_mut().zip(from).for_each(|(to, &from)| *to = from * factor),
            );
        }
    }
}

/// The elements of a view, row-major.
fn contiguous<T: Copy>(operand: &Operand, all: &[T]) -> Vec<T> {
    let mut elements = Vec::with_capacity(operand.ty.len());
    let dims = operand.ty.shape.dims();
    let mut at = vec![0; dims.len()];
    for _ in 0..operand.ty.len() {
        elements.push(all[operand.at.at(&at) as usize]);
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            if at[axis] < dims[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    elements
}

/// The rows of a result by heads, which are numbered through all batches.
fn rows_by_head<'r, T>(
    elements: &'r mut [T],
    [batch, heads, rows, size]: [usize; 4],
    positions_first: bool,
) -> Vec<Vec<&'r mut [T]>> {
    let mut found: Vec<Vec<&'r mut [T]>> = (0..batch * heads).map(|_| Vec::with_capacity(rows)).collect();
    for (number, row) in elements.chunks_exact_mut(size).enumerate() {
        let head = if positions_first { number / (rows * heads) * heads + number % heads } else { number / rows };
        found[head].push(row);
    }
    found
}

/// A pass with its inputs.
struct Problem<'a, T: Clone> {
    sizes: Sizes,
    scale: T,
    q: Rows<'a, T>,
    k: Rows<'a, T>,
    v: Rows<'a, T>,
    scoring: Scoring<'a>,
}

fn typed<T: Float>(
    attention: &Attention,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let types: Vec<&TensorType> = inputs.iter().map(|(operand, _)| &operand.ty).collect();
    let sizes = attention.sizes(&types)?;
    let mut results: Vec<&mut [T]> =
        outputs.iter_mut().map(|(ty, bytes)| &mut bytemuck::cast_slice_mut(bytes)[..ty.len()]).collect();
    let pairs = sizes.scores().iter().product::<usize>();
    let parallel = pairs * (sizes.head_size + sizes.value_size) >= PARALLEL_FROM;
    if pairs == 0 || sizes.value_size == 0 {
        // Nothing is seen, or there is nothing to see: zeros, of sums of nothing.
        let sum = T::real(if pairs == 0 { f64::NEG_INFINITY } else { 0.0 });
        let zero = T::real(0.0);
        for (index, result) in results.iter_mut().enumerate() {
            let is_sums = index == 1 && attention.pass == AttentionPass::Forward;
            result.fill(if is_sums { sum } else { zero });
        }
        return Ok(());
    }
    let extents = sizes.scores();
    let buffers =
        inputs[attention.buffers()].iter().map(|&(operand, bytes)| Buffer::new(operand, bytes, extents)).collect();
    let random = match inputs.get(attention.buffers().end) {
        Some(&(operand, bytes)) => contiguous(operand, bytemuck::cast_slice::<u8, u32>(bytes)),
        None => Vec::new(),
    };
    let scoring = Scoring::new(attention, T::DTYPE, &sizes, buffers, random);
    let [q, k, v] = [0, 1, 2].map(|index| Rows::new(&inputs[index]));
    let problem = Problem { sizes, scale: T::real(attention.scale()), q, k, v, scoring };
    let Sizes { batch, heads, key_heads, queries, keys, head_size, value_size } = sizes;
    let group = heads / key_heads;
    let first = attention.positions_first;
    match (attention.pass, results.as_mut_slice()) {
        (AttentionPass::Forward, [result, sums]) => {
            let rows = rows_by_head(result, [batch, heads, queries, value_size], first);
            let mut tasks: Vec<Task<'_, T>> = Vec::with_capacity(batch * key_heads);
            for (index, (rows, sums)) in rows.into_iter().zip(sums.chunks_mut(queries)).enumerate() {
                if index % group == 0 {
                    tasks.push(Task { key_head: index / group, heads: Vec::with_capacity(group) });
                }
                if let Some(task) = tasks.last_mut() {
                    task.heads.push((rows, sums));
                }
            }
            each(tasks, parallel, |task| problem.forward(task))
        }
        (AttentionPass::Backward, [q, k, v]) => {
            let (operand, bytes) = inputs[4];
            let sums = contiguous_or_borrowed(operand, bytemuck::cast_slice(bytes));
            let saved = Saved { result: Rows::new(&inputs[3]), sums, upstream: Rows::new(&inputs[5]) };
            let mut d_q = rows_by_head(q, [batch, heads, queries, head_size], first).into_iter();
            let d_k = rows_by_head(k, [batch, key_heads, keys, head_size], first);
            let d_v = rows_by_head(v, [batch, key_heads, keys, value_size], first);
            let tasks: Vec<_> = d_k
                .into_iter()
                .zip(d_v)
                .enumerate()
                .map(|(key_head, (d_k, d_v))| (key_head, d_q.by_ref().take(group).collect::<Vec<_>>(), d_k, d_v))
                .collect();
            each(tasks, parallel, |(key_head, d_q, d_k, d_v)| problem.backward(key_head, &saved, d_q, d_k, d_v))
        }
        _ => Err("attention has other results".into()),
    }
}

fn contiguous_or_borrowed<'a, T: Copy>(operand: &Operand, all: &'a [T]) -> Cow<'a, [T]> {
    if operand.at.offset == 0 && operand.at.is_row_major(operand.ty.shape.dims()) {
        Cow::Borrowed(&all[..operand.ty.len()])
    } else {
        Cow::Owned(contiguous(operand, all))
    }
}

/// What the forward pass gave, and the gradient of its result.
struct Saved<'a, T: Clone> {
    result: Rows<'a, T>,
    sums: Cow<'a, [T]>,
    upstream: Rows<'a, T>,
}

/// A head of keys, and of each head of queries that shares it the rows of the results.
struct Task<'a, T> {
    key_head: usize,
    heads: Vec<(Vec<&'a mut [T]>, &'a mut [T])>,
}

impl<T: Float> Problem<'_, T> {
    /// The first keys of blocks.
    fn key_blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let keys = self.sizes.keys;
        (0..keys).step_by(KEYS).map(move |first| (first, KEYS.min(keys - first)))
    }

    fn query_blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let queries = self.sizes.queries;
        (0..queries).step_by(QUERIES).map(move |first| (first, QUERIES.min(queries - first)))
    }

    /// Lays out the rows of keys of each block, or transposed, one after the other, as right operands.
    fn laid_out<'m>(
        &self,
        memory: &mut &'m mut [T],
        rows: &'m Rows<'_, T>,
        head: usize,
        transposed: bool,
    ) -> Vec<Panels<'m, T>> {
        let lay_out = |(first, count)| {
            let matrix = rows.matrix(head, first, count, transposed);
            let (part, rest) = std::mem::take(memory).split_at_mut(Panels::<T>::size(matrix.rows, matrix.columns));
            *memory = rest;
            Panels::lay_out(matrix, part)
        };
        self.key_blocks().map(lay_out).collect()
    }

    fn forward(&self, task: Task<'_, T>) -> Result<(), String> {
        let Sizes { head_size, value_size, heads, key_heads, .. } = self.sizes;
        let (key_head, group) = (task.key_head, heads / key_heads);
        let blocks: Vec<_> = self.key_blocks().collect();
        let panels: usize = blocks
            .iter()
            .map(|&(_, count)| Panels::<T>::size(head_size, count) + Panels::<T>::size(count, value_size))
            .sum();
        let size = panels + QUERIES * (head_size + value_size + 3 * KEYS);
        lend(size, |memory: &mut [T]| {
            let (mut panels, rest) = memory.split_at_mut(panels);
            let (scaled, rest) = rest.split_at_mut(QUERIES * head_size);
            let (out, rest) = rest.split_at_mut(QUERIES * value_size);
            let (scores, rest) = rest.split_at_mut(QUERIES * KEYS);
            let (weights, factors) = rest.split_at_mut(QUERIES * KEYS);
            let transposed = self.laid_out(&mut panels, &self.k, key_head, true);
            let values = self.laid_out(&mut panels, &self.v, key_head, false);
            for (local, (mut result, sums)) in task.heads.into_iter().enumerate() {
                let head = key_head * group + local;
                for (first, rows) in self.query_blocks() {
                    self.q.scaled(head, first, self.scale, &mut scaled[..rows * head_size]);
                    let lhs = Matrix { elements: &*scaled, rows, columns: head_size, steps: [head_size, 1] };
                    let out = &mut out[..rows * value_size];
                    let sums = &mut sums[first..][..rows];
                    out.fill(T::real(0.0));
                    let mut running = [Running::start(); QUERIES];
                    for (block, &(first_key, count)) in blocks.iter().enumerate() {
                        let at = [[first, rows], [first_key, count]];
                        let known = self.scoring.known(head, at);
                        if known == Known::Hidden {
                            continue;
                        }
                        let scores = &mut scores[..rows * count];
                        transposed[block].multiply_matrix(lhs, scores, count, Start::Zero);
                        let weights = &mut weights[..rows * count];
                        let changed = match known {
                            Known::Unchanged => scores,
                            Known::Hidden | Known::Nothing => {
                                self.scoring.run(Work::Forward, head, at, scores, &[], weights);
                                weights
                            }
                        };
                        add_block(changed, out, &mut running[..rows], [count, value_size]);
                        self.scoring.drop(head, at, changed, factors);
                        let weights = Matrix { elements: &*changed, rows, columns: count, steps: [count, 1] };
                        values[block].multiply_matrix(weights, out, value_size, Start::Sums);
                    }
                    finish(out, sums, &running[..rows], value_size);
                    store(out, &mut result[first..]);
                }
            }
            Ok(())
        })
    }

    /// Gradients of the queries of all heads that share a head of keys, and of its keys and values.
    fn backward(
        &self,
        key_head: usize,
        saved: &Saved<'_, T>,
        d_q: Vec<Vec<&mut [T]>>,
        mut d_k_rows: Vec<&mut [T]>,
        mut d_v_rows: Vec<&mut [T]>,
    ) -> Result<(), String> {
        let Sizes { queries, keys, head_size, value_size, heads, key_heads, .. } = self.sizes;
        let group = heads / key_heads;
        let blocks: Vec<_> = self.key_blocks().collect();
        let of_block = |count: usize| {
            Panels::<T>::size(head_size, count)
                + Panels::<T>::size(count, head_size)
                + Panels::<T>::size(value_size, count)
        };
        let panels: usize = blocks.iter().map(|&(_, count)| of_block(count)).sum();
        let of_queries = [Panels::<T>::size(QUERIES, head_size), Panels::<T>::size(QUERIES, value_size)];
        let of_keys = [keys * head_size, keys * value_size];
        let size = panels
            + of_queries.iter().chain(&of_keys).sum::<usize>()
            + QUERIES * (2 * head_size + value_size + 4 * KEYS + 1);
        lend(size, |memory: &mut [T]| {
            let (mut panels, rest) = memory.split_at_mut(panels);
            let (query_panels, rest) = rest.split_at_mut(of_queries[0]);
            let (upstream_panels, rest) = rest.split_at_mut(of_queries[1]);
            let (d_k, rest) = rest.split_at_mut(of_keys[0]);
            let (d_v, rest) = rest.split_at_mut(of_keys[1]);
            let (scaled, rest) = rest.split_at_mut(QUERIES * head_size);
            let (of_q, rest) = rest.split_at_mut(QUERIES * head_size);
            let (of_result, rest) = rest.split_at_mut(QUERIES * value_size);
            let (scores, rest) = rest.split_at_mut(QUERIES * KEYS);
            let (changed, rest) = rest.split_at_mut(QUERIES * KEYS);
            let (of_weights, rest) = rest.split_at_mut(QUERIES * KEYS);
            let (of_products, means) = rest.split_at_mut(QUERIES * KEYS);
            let transposed = self.laid_out(&mut panels, &self.k, key_head, true);
            let by_rows = self.laid_out(&mut panels, &self.k, key_head, false);
            let values = self.laid_out(&mut panels, &self.v, key_head, true);
            d_k.fill(T::real(0.0));
            d_v.fill(T::real(0.0));
            for (local, mut d_q_rows) in d_q.into_iter().enumerate() {
                let head = key_head * group + local;
                for (first, rows) in self.query_blocks() {
                    self.q.scaled(head, first, self.scale, &mut scaled[..rows * head_size]);
                    let upstream = &mut of_result[..rows * value_size];
                    saved.upstream.scaled(head, first, T::real(1.0), upstream);
                    let upstream = &*upstream;
                    let sums = &saved.sums[head * queries + first..][..rows];
                    means_of(&mut means[..rows], &saved.result, upstream, head, first);
                    let lhs = Matrix {
                        elements: &scaled[..rows * head_size],
                        rows,
                        columns: head_size,
                        steps: [head_size, 1],
                    };
                    let right = Matrix { elements: upstream, rows, columns: value_size, steps: [value_size, 1] };
                    let queries_right = Panels::lay_out(lhs, query_panels);
                    let upstream_right = Panels::lay_out(right, upstream_panels);
                    let d_q = &mut of_q[..rows * head_size];
                    d_q.fill(T::real(0.0));
                    for (block, &(first_key, count)) in blocks.iter().enumerate() {
                        let at = [[first, rows], [first_key, count]];
                        let known = self.scoring.known(head, at);
                        if known == Known::Hidden {
                            continue;
                        }
                        let area = rows * count;
                        let scores = &mut scores[..area];
                        transposed[block].multiply_matrix(lhs, scores, count, Start::Zero);
                        let weights = &mut changed[..area];
                        if known == Known::Unchanged {
                            weights.copy_from_slice(scores);
                        } else {
                            self.scoring.run(Work::Forward, head, at, scores, &[], weights);
                        }
                        let of_weights = &mut of_weights[..area];
                        values[block].multiply_matrix(right, of_weights, count, Start::Zero);
                        let of_products = &mut of_products[..area];
                        self.scoring.drop(head, at, of_weights, of_products);
                        // The gradients of new scores take the place of those of weights.
                        weights_and_gradients(weights, of_weights, sums, means, count);
                        self.scoring.drop(head, at, weights, of_products);
                        let of_products: &[T] = if known == Known::Unchanged {
                            of_weights
                        } else {
                            self.scoring.run(Work::Backward, head, at, scores, of_weights, of_products);
                            of_products
                        };
                        let transposed_lhs =
                            |elements| Matrix { elements, rows: count, columns: rows, steps: [1, count] };
                        let d_v = &mut d_v[first_key * value_size..][..count * value_size];
                        upstream_right.multiply_matrix(transposed_lhs(&*weights), d_v, value_size, Start::Sums);
                        let d_k = &mut d_k[first_key * head_size..][..count * head_size];
                        queries_right.multiply_matrix(transposed_lhs(of_products), d_k, head_size, Start::Sums);
                        let lhs = Matrix { elements: of_products, rows, columns: count, steps: [count, 1] };
                        by_rows[block].multiply_matrix(lhs, d_q, head_size, Start::Sums);
                    }
                    let scale = self.scale;
                    vectorized(
                        #[inline(always)]
                        || d_q.iter_mut().for_each(|value| *value = *value * scale),
                    );
                    store(d_q, &mut d_q_rows[first..]);
                }
            }
            store(d_k, &mut d_k_rows);
            store(d_v, &mut d_v_rows);
            Ok(())
        })
    }
}

/// The greatest score of a query so far, and the sum of exponentials relative to it.
#[derive(Clone, Copy)]
struct Running<T> {
    greatest: T,
    sum: T,
}

impl<T: Float> Running<T> {
    fn start() -> Self {
        Self { greatest: T::real(f64::NEG_INFINITY), sum: T::real(0.0) }
    }
}

/// Makes a block's scores weights, relative to the greatest so far; what was summed with the one before is made relative to it too.
fn add_block<T: Float>(scores: &mut [T], out: &mut [T], running: &mut [Running<T>], [count, value_size]: [usize; 2]) {
    let (zero, hidden) = (T::real(0.0), T::real(f64::NEG_INFINITY));
    let rows = scores.chunks_exact_mut(count).zip(out.chunks_exact_mut(value_size)).zip(running);
    for ((scores, out), running) in rows {
        vectorized(
            #[inline(always)]
            || {
                let greatest = running.greatest.larger(joined(scores, hidden, |a, b| b.larger(a)));
                if greatest == hidden {
                    // Nothing is seen yet.
                    set_all(scores, zero);
                    return;
                }
                if running.greatest != hidden && (greatest > running.greatest || greatest.is_nan()) {
                    let factor = Real::exp(running.greatest - greatest);
                    running.sum = running.sum * factor;
                    out.iter_mut().for_each(|value| *value = *value * factor);
                }
                running.greatest = greatest;
                for score in scores.iter_mut() {
                    *score = Real::exp(*score - greatest);
                }
                running.sum += joined(scores, zero, |a, b| a + b);
            },
        );
    }
}

/// Partial results that a vector of any processor has room for.
const LANES: usize = 16;

/// Joins all values, in an order that suits vectors: few of them are joined one after the other.
#[inline(always)]
fn joined<T: Float>(values: &[T], start: T, join: impl Fn(T, T) -> T) -> T {
    let (mut lanes, rest) = strands::<_, _, LANES>(values, start, &join);
    for index in 0..rest.len() {
        lanes[index] = join(lanes[index], rest[index]);
    }
    across(lanes, join)
}

/// Joins lanes by halves.
#[inline(always)]
fn across<T: Float>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}

/// The sum of products.
#[inline(always)]
fn dot<T: Float>(left: &[T], right: &[T]) -> T {
    let mut lanes = [T::real(0.0); LANES];
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for index in 0..left.len() {
        for lane in 0..LANES {
            lanes[lane] += left[index][lane] * right[index][lane];
        }
    }
    for index in 0..left_rest.len() {
        lanes[index] += left_rest[index] * right_rest[index];
    }
    across(lanes, |a, b| a + b)
}

/// Divides by the sums, and stores their logarithms. A query that saw nothing has zeros and −∞.
fn finish<T: Float>(out: &mut [T], sums: &mut [T], running: &[Running<T>], value_size: usize) {
    for ((out, sums), running) in out.chunks_exact_mut(value_size).zip(sums).zip(running) {
        if running.sum == T::real(0.0) {
            *sums = T::real(f64::NEG_INFINITY);
            continue;
        }
        *sums = running.greatest + Real::ln(running.sum);
        let factor = T::real(1.0) / running.sum;
        out.iter_mut().for_each(|value| *value = *value * factor);
    }
}

/// Stores rows that lie one after the other.
fn store<T: Copy>(from: &[T], to: &mut [&mut [T]]) {
    if let Some(size) = to.first().map(|row| row.len()) {
        from.chunks_exact(size).zip(to).for_each(|(from, to)| to.copy_from_slice(from));
    }
}

/// Of each query, the sum of products of its result and that's gradient.
fn means_of<T: Float>(means: &mut [T], result: &Rows<'_, T>, upstream: &[T], head: usize, first: usize) {
    vectorized(
        #[inline(always)]
        || {
            for index in 0..means.len() {
                let upstream = &upstream[index * result.size..(index + 1) * result.size];
                means[index] = dot(result.row(head, first + index), upstream);
            }
        },
    );
}

/// Makes new scores weights, and the gradients of weights those of new scores.
fn weights_and_gradients<T: Float>(weights: &mut [T], gradients: &mut [T], sums: &[T], means: &[T], count: usize) {
    let (zero, hidden) = (T::real(0.0), T::real(f64::NEG_INFINITY));
    vectorized(
        #[inline(always)]
        || {
            for row in 0..weights.len() / count {
                let (sum, mean) = (sums[row], means[row]);
                let weights = &mut weights[row * count..(row + 1) * count];
                let gradients = &mut gradients[row * count..(row + 1) * count];
                for column in 0..count {
                    let (score, gradient) = (weights[column], gradients[column]);
                    let is_hidden = score == hidden;
                    let value = Real::exp(score - sum);
                    let slope = value * (gradient - mean);
                    weights[column] = if is_hidden { zero } else { value };
                    gradients[column] = if is_hidden { zero } else { slope };
                }
            }
        },
    );
}

/// A buffer of the score, broadcast by strides of 0.
struct Buffer<'a> {
    bytes: Cow<'a, [u8]>,
    dtype: DType,
    offset: usize,
    strides: [usize; 4],
}

impl<'a> Buffer<'a> {
    /// `extents` are those of the scores.
    fn new(operand: &Operand, bytes: &'a [u8], extents: [usize; 4]) -> Self {
        let ty = &operand.ty;
        let dims: [usize; 4] = std::array::from_fn(|axis| ty.shape[axis]);
        let size = ty.dtype.size();
        let given: Option<Vec<usize>> = operand.at.strides.iter().map(|&stride| usize::try_from(stride).ok()).collect();
        let (bytes, offset, given) = match (given, usize::try_from(operand.at.offset)) {
            (Some(strides), Ok(offset)) => (Cow::Borrowed(bytes), offset, strides),
            _ => {
                let words: Vec<&[u8]> = bytes.chunks_exact(size).collect();
                let strides = Affine::row_major(&dims).strides.iter().map(|&stride| stride as usize).collect();
                (Cow::Owned(contiguous(operand, &words).concat()), 0, strides)
            }
        };
        let stride = |axis: usize| if dims[axis] == extents[axis] { given[axis] } else { 0 };
        Self { bytes, dtype: ty.dtype, offset, strides: std::array::from_fn(stride) }
    }

    /// From an element on.
    fn from(&self, at: [usize; 4]) -> &[u8] {
        let element: usize = self.strides.iter().zip(at).map(|(stride, index)| stride * index).sum();
        &self.bytes[(self.offset + element) * self.dtype.size()..]
    }

    /// The least and the greatest value in a block, of buffers that vary along one of its sides at most: more are not worth the time.
    fn range(&self, [batch, head]: [usize; 2], [query, rows]: [usize; 2], [key, columns]: [usize; 2]) -> Range {
        let (count, step) = match [self.strides[2], self.strides[3]] {
            [0, 0] => (1, 1),
            [step, 0] => (rows, step),
            [0, step] => (columns, step),
            _ => return ANY,
        };
        let bytes = self.from([batch, head, query, key]);
        match self.dtype {
            DType::I32 => extremes::<i32>(bytes, count, step),
            DType::F32 => extremes::<f32>(bytes, count, step),
            DType::F64 => extremes::<f64>(bytes, count, step),
            _ => ANY,
        }
    }
}

/// The least and the greatest of some elements; of nothing that is no number, anything.
fn extremes<E: bytemuck::Pod + Into<f64>>(bytes: &[u8], count: usize, step: usize) -> Range {
    let elements = bytemuck::cast_slice::<u8, E>(bytes).iter().step_by(step).take(count);
    elements.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, greatest], &value| {
        let value: f64 = value.into();
        if value.is_nan() { ANY } else { [least.min(value), greatest.max(value)] }
    })
}

/// The score's expression and its derivative, over the pairs of a block.
struct Scoring<'a> {
    score: Score,
    dropout: Option<Dropout>,
    sizes: Sizes,
    buffers: Vec<Buffer<'a>>,
    /// Seed and step, where weights are left out.
    random: Vec<u32>,
    /// 0, 1, …
    indices: Vec<i32>,
    /// For each number of queries and keys that a block has, those of [`Work`].
    tapes: Vec<([usize; 2], [Option<Tape>; 3])>,
}

/// What is computed for the pairs of a block.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// New scores.
    Forward,
    /// Gradients of scores, from those of new ones.
    Backward,
    /// Factors of weights, by which some are left out.
    Factors,
}

impl<'a> Scoring<'a> {
    fn new(attention: &Attention, float: DType, sizes: &Sizes, buffers: Vec<Buffer<'a>>, random: Vec<u32>) -> Self {
        let longest = sizes.scores().into_iter().max().unwrap_or(0);
        let mut found = Self {
            score: attention.score.clone(),
            dropout: attention.dropout,
            sizes: *sizes,
            buffers,
            random,
            indices: (0..longest as i32).collect(),
            tapes: Vec::new(),
        };
        if found.score.is_plain() && found.dropout.is_none() {
            return found;
        }
        let lengths = |whole: usize, block: usize| {
            let (full, rest) = ((whole >= block).then_some(block), whole % block);
            full.into_iter().chain((rest > 0).then_some(rest))
        };
        for rows in lengths(sizes.queries, QUERIES) {
            for count in lengths(sizes.keys, KEYS) {
                let all = [Work::Forward, Work::Backward, Work::Factors];
                found.tapes.push(([rows, count], all.map(|work| found.tape(float, [rows, count], work))));
            }
        }
        found
    }

    fn tape(&self, float: DType, extents: [usize; 2], work: Work) -> Option<Tape> {
        let [_, count] = extents;
        let at = |strides: [usize; 2], offset: i64| Affine {
            offset,
            strides: strides.iter().map(|&stride| stride as i64).collect(),
        };
        let mut load = |builder: &mut Builder, leaf: Leaf| -> NodeId {
            let strides: [usize; 2] = match leaf {
                Leaf::Score | Leaf::Upstream => [count, 1],
                Leaf::Batch | Leaf::Head => [0, 0],
                Leaf::Query => [1, 0],
                Leaf::Key => [0, 1],
                Leaf::Buffer(buffer) => {
                    self.buffers.get(buffer).map_or([0, 0], |buffer| [buffer.strides[2], buffer.strides[3]])
                }
            };
            builder.load(leaf.index(), self.score.dtype(leaf, float), at(strides, 0))
        };
        // Seed and step are behind all leaves.
        let last = Leaf::Buffer(self.buffers.len()).index();
        let (builder, output) = match work {
            Work::Forward => self.score.written(AttentionPass::Forward, float, &mut load),
            Work::Backward => self.score.written(AttentionPass::Backward, float, &mut load),
            Work::Factors => {
                let mut builder = Builder::new(float);
                let state = [0, 1].map(|word| builder.load(last, DType::U32, at([0, 0], word)));
                let factor = self.dropout?.express(&mut builder, float, &self.sizes, &mut load, state);
                (builder, vec![factor])
            }
        };
        let inputs = (0..last).map(|input| self.score.dtype(Leaf::of(input), float)).chain([DType::U32]).collect();
        let output = *output.first()?;
        Some(Tape::new(&builder.finish(extents.to_vec(), inputs, vec![(output, float)])))
    }

    /// What is known of a block, of queries and keys each from a first one on.
    fn known(&self, head: usize, [queries, keys]: [[usize; 2]; 2]) -> Known {
        let (batch, head) = (head / self.sizes.heads, head % self.sizes.heads);
        let span = |[first, count]: [usize; 2]| [first as f64, (first + count - 1) as f64];
        known(&self.score, &|leaf| match leaf {
            Leaf::Batch => [batch as f64; 2],
            Leaf::Head => [head as f64; 2],
            Leaf::Query => span(queries),
            Leaf::Key => span(keys),
            Leaf::Buffer(buffer) => {
                self.buffers.get(buffer).map_or(ANY, |buffer| buffer.range([batch, head], queries, keys))
            }
            Leaf::Score | Leaf::Upstream => ANY,
        })
    }

    fn run<T: Float>(
        &self,
        work: Work,
        head: usize,
        [queries, keys]: [[usize; 2]; 2],
        scores: &[T],
        upstream: &[T],
        out: &mut [T],
    ) {
        let extents = [queries[1], keys[1]];
        let tapes = self.tapes.iter().find(|(known, _)| *known == extents);
        let Some(Some(tape)) = tapes.map(|(_, tapes)| &tapes[work as usize]) else { return };
        let (batch, head) = (head / self.sizes.heads, head % self.sizes.heads);
        let index = |first: usize| Source::Bytes(bytemuck::cast_slice(&self.indices[first..]));
        let mut sources: Vec<Source<'_>> = vec![
            Source::Bytes(bytemuck::cast_slice(scores)),
            index(batch),
            index(head),
            index(queries[0]),
            index(keys[0]),
            Source::Bytes(bytemuck::cast_slice(upstream)),
        ];
        let at = [batch, head, queries[0], keys[0]];
        sources.extend(self.buffers.iter().map(|buffer| Source::Bytes(buffer.from(at))));
        sources.push(Source::Bytes(bytemuck::cast_slice(&self.random)));
        map(tape, &sources, &mut [bytemuck::cast_slice_mut(out)]);
    }

    /// Multiplies a block's values by the factors of its weights, in memory for those.
    fn drop<T: Float>(&self, head: usize, block: [[usize; 2]; 2], values: &mut [T], factors: &mut [T]) {
        if self.dropout.is_none() {
            return;
        }
        let factors = &mut factors[..values.len()];
        self.run(Work::Factors, head, block, &[], &[], factors);
        vectorized(
            #[inline(always)]
            || values.iter_mut().zip(&*factors).for_each(|(value, &factor)| *value = *value * factor),
        );
    }
}
