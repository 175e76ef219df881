//! A recurrence on the CPU: slices of the batch, each through the whole sequence by a thread of its own, with gemm for the products.
//! How the batch is cut depends on its size alone.

use super::step::{Row, RowBack};
use super::{Cell, Pass, Recurrent};
use crate::ops::matmul::{Matrix, multiply};
use crate::ops::tasks::each;
use crate::scalar::Real;
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// Multiplications of all steps from which threads pay.
const PARALLEL_FROM: usize = 1 << 17;

/// Rows of a slice of the batch, at most: more of them share a pass over the weight, fewer keep more threads busy.
const ROWS: usize = 16;

/// What the arithmetic is in.
trait Float: Real + From<f32> + Send + Sync {}
impl Float for f32 {}
impl Float for f64 {}

pub(super) fn evaluate(
    recurrent: &Recurrent,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    match inputs[0].0.ty.dtype {
        DType::F32 => typed::<f32>(recurrent, inputs, outputs),
        DType::F64 => typed::<f64>(recurrent, inputs, outputs),
        dtype => Err(format!("recurrences compute in f32 or f64, not {dtype}")),
    }
}

/// A pass with its extents and its inputs as numbers.
struct Problem<'a, T> {
    cell: Cell,
    reverse: bool,
    steps: usize,
    batch: usize,
    hidden: usize,
    /// Rows of a slice of the batch.
    rows: usize,
    first: &'a [T],
    second: &'a [T],
    bias: Option<&'a [T]>,
    initial: Option<&'a [T]>,
    outputs: Option<&'a [T]>,
    last: Option<&'a [T]>,
    lengths: Option<&'a [i32]>,
}

fn typed<T: Float>(
    recurrent: &Recurrent,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let types: Vec<&TensorType> = inputs.iter().map(|(operand, _)| &operand.ty).collect();
    let [steps, batch, hidden] = recurrent.extents(&types)?;
    let places = recurrent.places();
    fn numbers<'a, T: bytemuck::Pod>(inputs: &[(&Operand, &'a [u8])], place: usize) -> &'a [T] {
        let (operand, bytes) = inputs[place];
        &bytemuck::cast_slice(bytes)[..operand.ty.len()]
    }
    let some = |place: Option<usize>| place.map(|place| numbers::<T>(inputs, place));
    let problem = Problem {
        cell: recurrent.cell,
        reverse: recurrent.reverse,
        steps,
        batch,
        hidden,
        rows: batch.div_ceil(2).clamp(1, ROWS),
        first: numbers(inputs, 0),
        second: numbers(inputs, 1),
        bias: some(places.bias),
        initial: some(places.initial),
        outputs: some(places.outputs),
        last: some(places.last),
        lengths: places.lengths.map(|place| numbers::<i32>(inputs, place)),
    };
    let mut results: Vec<&mut [T]> =
        outputs.iter_mut().map(|(ty, bytes)| &mut bytemuck::cast_slice_mut(bytes)[..ty.len()]).collect();
    if results.iter().any(|result| result.is_empty()) {
        return Ok(());
    }
    let work = recurrent.cell.gates() * steps * batch * hidden * hidden;
    match (recurrent.pass, results.as_mut_slice()) {
        (Pass::Forward { .. }, [outputs, last, kept]) => {
            let slices = problem.slices(&mut [outputs, kept], last);
            each(slices, work >= PARALLEL_FROM, |slice| problem.forward(slice))
        }
        (Pass::Back { .. }, [gates, initial]) => {
            let slices = problem.slices(&mut [gates], initial);
            each(slices, work >= PARALLEL_FROM, |slice| problem.back(slice))
        }
        _ => Err("a recurrence has other results".into()),
    }
}

/// A slice of the batch: its rows of each step of the results, and of each state.
struct Slice<'a, T> {
    first_row: usize,
    rows: usize,
    steps: Vec<Vec<&'a mut [T]>>,
    state: Vec<&'a mut [T]>,
}

impl<T: Float> Problem<'_, T> {
    fn slices<'b>(&self, sequences: &mut [&'b mut [T]], state: &'b mut [T]) -> Vec<Slice<'b, T>> {
        let count = self.batch.div_ceil(self.rows);
        let mut slices: Vec<Slice<'b, T>> = (0..count)
            .map(|slice| Slice {
                first_row: slice * self.rows,
                rows: self.rows.min(self.batch - slice * self.rows),
                steps: sequences.iter().map(|_| Vec::with_capacity(self.steps)).collect(),
                state: Vec::new(),
            })
            .collect();
        for (place, sequence) in sequences.iter_mut().enumerate() {
            let sequence = std::mem::take(sequence);
            let width = sequence.len() / (self.steps * self.batch);
            for step in sequence.chunks_mut(self.batch * width) {
                for (slice, part) in slices.iter_mut().zip(step.chunks_mut(self.rows * width)) {
                    slice.steps[place].push(part);
                }
            }
        }
        for state in state.chunks_mut(self.batch * self.hidden) {
            for (slice, part) in slices.iter_mut().zip(state.chunks_mut(self.rows * self.hidden)) {
                slice.state.push(part);
            }
        }
        slices
    }

    /// Rows of a state, or zeros.
    fn state(&self, source: Option<&[T]>, state: usize, slice: &Slice<'_, T>) -> Vec<T> {
        let count = slice.rows * self.hidden;
        match source {
            Some(source) if state < self.cell.states() => {
                let start = (state * self.batch + slice.first_row) * self.hidden;
                source[start..start + count].to_vec()
            }
            _ => vec![T::real(0.0); count],
        }
    }

    fn is_active(&self, row: usize, step: usize) -> bool {
        self.lengths.is_none_or(|lengths| (step as i64) < i64::from(lengths[row]))
    }

    fn order(&self) -> Vec<usize> {
        if self.reverse { (0..self.steps).rev().collect() } else { (0..self.steps).collect() }
    }

    /// Gates and the turned weight to outputs, last state and what is kept.
    fn forward(&self, mut slice: Slice<'_, T>) -> Result<(), String> {
        let (hidden, rows, first_row) = (self.hidden, slice.rows, slice.first_row);
        let (width, slots) = (self.cell.gates() * hidden, self.cell.slots() * hidden);
        let mut h = self.state(self.initial, 0, &slice);
        let mut c = self.state(self.initial, 1, &slice);
        let mut product = vec![T::real(0.0); rows * width];
        let [outputs, all_kept] = slice.steps.as_mut_slice() else {
            return Err("a recurrence has other results".into());
        };
        let resets = self.cell == Cell::GruResetBefore;
        // The columns of the weight that the state before is multiplied by, and those of the reset state.
        let columns = if resets { 2 * hidden } else { width };
        let weight = |from: usize, columns: usize| Matrix {
            elements: &self.second[from..],
            rows: hidden,
            columns,
            steps: [width, 1],
        };
        for step in self.order() {
            let states = Matrix { elements: &h, rows, columns: hidden, steps: [hidden, 1] };
            multiply(states, weight(0, columns), &mut product, width, false, false)?;
            if let Some(bias) = self.bias {
                for row in product.chunks_mut(width) {
                    row.iter_mut().zip(bias).take(columns).for_each(|(sum, &bias)| *sum = *sum + bias);
                }
            }
            let x = |row: usize| {
                let start = (step * self.batch + first_row + row) * width;
                &self.first[start..start + width]
            };
            let kept = &mut *all_kept[step];
            for (row, kept) in kept.chunks_mut(slots).enumerate() {
                let span = row * hidden..(row + 1) * hidden;
                kept[slots - hidden..].copy_from_slice(&h[span.clone()]);
                if self.cell.states() > 1 {
                    kept[slots - 2 * hidden..slots - hidden].copy_from_slice(&c[span]);
                }
            }
            fn row_of<'r, T>(
                (row, hidden, width): (usize, usize, usize),
                x: &'r [T],
                product: &'r [T],
                (h, c): (&'r mut [T], &'r mut [T]),
                kept: &'r mut [T],
            ) -> Row<'r, T> {
                let span = row * hidden..(row + 1) * hidden;
                let product = &product[row * width..(row + 1) * width];
                Row { x, product, h: &mut h[span.clone()], c: &mut c[span], kept }
            }
            if resets {
                for (row, kept) in kept.chunks_mut(slots).enumerate() {
                    row_of((row, hidden, width), x(row), &product, (&mut h, &mut c), kept).reset();
                }
                let reset = Matrix { elements: &kept[3 * hidden..], rows, columns: hidden, steps: [slots, 1] };
                multiply(reset, weight(2 * hidden, hidden), &mut product[2 * hidden..], width, false, false)?;
                if let Some(bias) = self.bias {
                    for row in product.chunks_mut(width) {
                        let sums = row[2 * hidden..].iter_mut().zip(&bias[2 * hidden..]);
                        sums.for_each(|(sum, &bias)| *sum = *sum + bias);
                    }
                }
            }
            let output = &mut *outputs[step];
            for (row, kept) in kept.chunks_mut(slots).enumerate() {
                let span = row * hidden..(row + 1) * hidden;
                let active = self.is_active(first_row + row, step);
                let before = (!active).then(|| (h[span.clone()].to_vec(), c[span.clone()].to_vec()));
                let all = row_of((row, hidden, width), x(row), &product, (&mut h, &mut c), kept);
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || all.advance(self.cell),
                );
                match before {
                    None => output[span.clone()].copy_from_slice(&h[span]),
                    Some((before_h, before_c)) => {
                        h[span.clone()].copy_from_slice(&before_h);
                        c[span.clone()].copy_from_slice(&before_c);
                        output[span].fill(T::real(0.0));
                    }
                }
            }
        }
        for (state, values) in slice.state.iter_mut().zip([h, c]) {
            state.copy_from_slice(&values);
        }
        Ok(())
    }

    /// The weight and what was kept to the gradients of the gates and of the initial state.
    fn back(&self, mut slice: Slice<'_, T>) -> Result<(), String> {
        let (hidden, rows) = (self.hidden, slice.rows);
        let (slots, width) = (self.cell.slots() * hidden, self.cell.gradients() * hidden);
        let mut dh = self.state(self.last, 0, &slice);
        let mut dc = self.state(self.last, 1, &slice);
        let weight = |from: usize, count: usize| Matrix {
            elements: &self.first[from * hidden * hidden..],
            rows: count * hidden,
            columns: hidden,
            steps: [hidden, 1],
        };
        let mut reset = vec![T::real(0.0); if self.cell == Cell::GruResetBefore { rows * hidden } else { 0 }];
        for step in self.order().into_iter().rev() {
            let gates = &mut *slice.steps[0][step];
            let kept = |row: usize| {
                let start = (step * self.batch + slice.first_row + row) * slots;
                &self.second[start..start + slots]
            };
            let output = |row: usize| {
                let start = (step * self.batch + slice.first_row + row) * hidden;
                self.outputs.map(|outputs| &outputs[start..start + hidden])
            };
            let active = |row: usize| self.is_active(slice.first_row + row, step);
            for (row, gates) in gates.chunks_mut(width).enumerate() {
                if !active(row) {
                    gates.fill(T::real(0.0));
                    continue;
                }
                let span = row * hidden..(row + 1) * hidden;
                let (dh, dc) = (&mut dh[span.clone()], &mut dc[span]);
                let back = RowBack { kept: kept(row), output: output(row), dh, dc, gates };
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || back.advance(self.cell),
                );
            }
            if self.cell == Cell::GruResetBefore {
                let new = Matrix { elements: &gates[2 * hidden..], rows, columns: hidden, steps: [width, 1] };
                multiply(new, weight(2, 1), &mut reset, hidden, false, false)?;
                for (row, gates) in gates.chunks_mut(width).enumerate().filter(|(row, _)| active(*row)) {
                    let span = row * hidden..(row + 1) * hidden;
                    let (dh, dc) = (&mut dh[span.clone()], &mut dc[span.clone()]);
                    RowBack { kept: kept(row), output: None, dh, dc, gates }.reset(&reset[span]);
                }
            }
            // What the state before was multiplied by.
            let parts: &[(usize, usize, usize)] = match self.cell {
                Cell::Tanh | Cell::Relu => &[(0, 0, 1)],
                Cell::Lstm => &[(0, 0, 4)],
                Cell::Gru => &[(3, 0, 3)],
                Cell::GruResetBefore => &[(0, 0, 2)],
            };
            for &(slot, from, count) in parts {
                let lhs =
                    Matrix { elements: &gates[slot * hidden..], rows, columns: count * hidden, steps: [width, 1] };
                multiply(lhs, weight(from, count), &mut dh, hidden, true, false)?;
            }
        }
        for (state, values) in slice.state.iter_mut().zip([dh, dc]) {
            state.copy_from_slice(&values);
        }
        Ok(())
    }
}
