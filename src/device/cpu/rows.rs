//! Work on rows: some of them at a time go through all passes, so that they are read from memory once, and from a cache after that.

use super::Few;
use crate::scalar::{
    PIECE, Reduction, RowWork, Source, Tape, accumulators_as_inputs, divided, each_piece, fold_rows, map_piece,
};
use crate::tensor::DType;

/// What is computed for rows, each part a tape.
pub(super) struct RowTapes {
    /// In the order in which they need each other's totals.
    folds: Vec<(Part, Reduction)>,
    /// Over the rows.
    of_rows: Option<Tape>,
    of_elements: Option<Part>,
    /// Of all outputs.
    sizes: Vec<usize>,
    rows: usize,
    length: usize,
}

/// What is computed at each element.
struct Part {
    tape: Tape,
    /// Values that it needs of each row, over the rows.
    of_rows: Option<Tape>,
}

/// Some rows, and their parts of the outputs.
struct Piece<'a> {
    first: usize,
    rows: usize,
    outputs: Vec<&'a mut [u8]>,
}

/// Numbers of some rows.
type Numbers = Few<Vec<f32>>;

impl Part {
    fn new(work: &RowWork, outputs: std::ops::Range<usize>) -> Self {
        let hoisted = work.hoisted(outputs);
        let values = hoisted.of_rows.as_ref().map_or(0, |values| values.outputs.len());
        let types = vec![DType::F32; work.folds.len() + values];
        let of_rows = hoisted
            .of_rows
            .map(|values| Tape::new(&accumulators_as_inputs(&values, &types[values.outputs.len()..], work.border)));
        Self { tape: Tape::new(&accumulators_as_inputs(&hoisted.part, &types, work.border)), of_rows }
    }

    /// Its values of some rows; `totals` are those of all folds.
    fn values(&self, inputs: &[Source<'_>], totals: &Numbers, first: usize, rows: usize) -> Numbers {
        let Some(tape) = &self.of_rows else { return Numbers::new() };
        let mut values: Numbers = tape.output_dtypes().map(|_| vec![0.0; rows]).collect();
        {
            let mut outputs: Few<&mut [u8]> = values.iter_mut().map(|out| bytemuck::cast_slice_mut(out)).collect();
            map_piece(tape, &sources(inputs, totals, &[], first), &mut outputs, first, rows);
        }
        values
    }
}

impl RowTapes {
    pub(super) fn new(work: &RowWork) -> Self {
        let RowWork { expression, border, folds, of_rows, .. } = work;
        let (count, all) = (folds.len(), expression.outputs.len());
        let end = count + of_rows;
        let over_rows = || {
            let part = work.over_rows(&work.part(count..end));
            Tape::new(&accumulators_as_inputs(&part, &vec![DType::F32; count], *border))
        };
        let [rows, length] = work.extents();
        Self {
            folds: folds.iter().enumerate().map(|(k, &fold)| (Part::new(work, k..k + 1), fold)).collect(),
            of_rows: (*of_rows > 0).then(over_rows),
            of_elements: (end < all).then(|| Part::new(work, end..all)),
            sizes: expression.outputs[count..].iter().map(|(_, stored)| stored.size()).collect(),
            rows,
            length,
        }
    }

    /// Computes all outputs: first those of rows, then those of elements.
    pub(super) fn run(&self, inputs: &[Source<'_>], outputs: &mut [&mut [u8]]) {
        let of_rows = self.of_rows.as_ref().map_or(0, |tape| tape.output_dtypes().count());
        // Bounds depend on sizes alone.
        let step = (PIECE / self.length.max(1)).max(1);
        let bytes = self.sizes.iter().enumerate().map(|(number, size)| {
            let points = if number < of_rows { step } else { step * self.length };
            points * size
        });
        let pieces = divided(outputs, bytes, self.rows.div_ceil(step));
        let pieces = pieces.into_iter().enumerate().map(|(piece, outputs)| {
            let first = piece * step;
            Piece { first, rows: step.min(self.rows - first), outputs }
        });
        let parts = self.folds.iter().map(|(part, _)| part).chain(&self.of_elements);
        let instructions: usize = parts.map(|part| 1 + part.tape.instructions()).sum();
        let work = self.rows * self.length * instructions;
        each_piece(pieces.collect(), work, |piece| self.piece(inputs, piece, of_rows));
    }

    fn piece(&self, inputs: &[Source<'_>], piece: Piece<'_>, of_rows: usize) {
        let Piece { first, rows, mut outputs } = piece;
        let mut totals: Numbers = self.folds.iter().map(|_| vec![0.0; rows]).collect();
        for (number, (part, reduction)) in self.folds.iter().enumerate() {
            let mut found = std::mem::take(&mut totals[number]);
            let values = part.values(inputs, &totals, first, rows);
            let start = first * self.length;
            fold_rows(
                &part.tape,
                &sources(inputs, &totals, &values, first),
                *reduction,
                start,
                self.length,
                &mut found,
            );
            totals[number] = found;
        }
        let (for_rows, for_elements) = outputs.split_at_mut(of_rows);
        if let Some(tape) = &self.of_rows {
            map_piece(tape, &sources(inputs, &totals, &[], first), for_rows, first, rows);
        }
        if let Some(part) = &self.of_elements {
            let values = part.values(inputs, &totals, first, rows);
            let sources = sources(inputs, &totals, &values, first);
            map_piece(&part.tape, &sources, for_elements, first * self.length, rows * self.length);
        }
    }
}

/// The inputs, and behind them numbers of the rows from `first` on.
fn sources<'a>(inputs: &[Source<'a>], totals: &'a [Vec<f32>], values: &'a [Vec<f32>], first: usize) -> Few<Source<'a>> {
    let numbers = totals.iter().chain(values);
    let numbers = numbers.map(|numbers| Source::From(bytemuck::cast_slice(numbers), first as i64));
    inputs.iter().copied().chain(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::samples::{SIZES, samples};
    use crate::shader::testing::{assert_close, numbers};

    #[test]
    fn rows_go_through_all_passes() {
        for (rows, row) in SIZES.into_iter().chain([([4, 500], [1, 100]), ([1, 2], [5, 5000])]) {
            let [count, length] = [rows[0] * rows[1], row[0] * row[1]];
            let (x, y) = (numbers(count * length, 1), numbers(count * length, 2));
            for sample in samples(rows, row, &x, &y) {
                let inputs = [&x, &y].map(|values| Source::Bytes(bytemuck::cast_slice(values)));
                let mut got = [vec![0.0_f32; count], vec![0.0_f32; count * length]];
                let mut outputs: Few<&mut [u8]> = got.iter_mut().map(|out| bytemuck::cast_slice_mut(out)).collect();
                RowTapes::new(&sample.work).run(&inputs, &mut outputs);
                drop(outputs);
                for (got, want) in got.iter().zip(&sample.wanted) {
                    assert_close(&sample.label, got, want, 3e-5);
                }
            }
        }
    }
}
