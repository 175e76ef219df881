//! Maps whose expression is another one in each of some ranges along an axis.

use super::Few;
use crate::scalar::{PIECE, ScalarExpr, Segment, Source, Tape, divided, each_piece, map_piece, segments};

/// A map in parts.
pub(super) struct SegmentTapes {
    parts: Vec<Part>,
    /// Points before the axis, and points of all parts for each.
    outer: usize,
    row: usize,
    /// Of all outputs.
    sizes: Few<usize>,
}

/// A range of a row.
struct Part {
    first: usize,
    count: usize,
    tape: Tape,
}

/// Some rows, or some points of one part of a row, with their parts of the outputs.
struct Task<'a> {
    /// Of a whole row, there is no one part.
    part: Option<usize>,
    first: usize,
    count: usize,
    outputs: Vec<&'a mut [u8]>,
}

impl SegmentTapes {
    /// `None` where an expression is the same everywhere.
    pub(super) fn new(expression: &ScalarExpr) -> Option<Self> {
        let (axis, parts) = segments(expression)?;
        let inner: usize = expression.dims[axis + 1..].iter().product();
        let part = |Segment { first, count, expression }: &Segment| Part {
            first: first * inner,
            count: count * inner,
            tape: Tape::new(expression),
        };
        Some(Self {
            parts: parts.iter().map(part).collect(),
            outer: expression.dims[..axis].iter().product(),
            row: expression.dims[axis] * inner,
            sizes: expression.outputs.iter().map(|(_, stored)| stored.size()).collect(),
        })
    }

    pub(super) fn run(&self, inputs: &[Source<'_>], outputs: &mut [&mut [u8]]) {
        // Bounds depend on sizes alone.
        let tasks = if self.row < PIECE { self.rows(outputs) } else { self.ranges(outputs) };
        let instructions: usize = self.parts.iter().map(|part| 1 + part.tape.instructions()).sum();
        let work = self.outer * self.row * instructions / self.parts.len();
        each_piece(tasks, work, |task| self.task(inputs, task));
    }

    /// Some whole rows a task.
    fn rows<'a>(&self, outputs: &'a mut [&mut [u8]]) -> Vec<Task<'a>> {
        let step = PIECE / self.row;
        let bytes = self.sizes.iter().map(|size| step * self.row * size);
        let pieces = divided(outputs, bytes, self.outer.div_ceil(step)).into_iter().enumerate();
        let task = |(number, outputs): (usize, _)| {
            let first = number * step;
            Task { part: None, first, count: step.min(self.outer - first), outputs }
        };
        pieces.map(task).collect()
    }

    /// Some points of a part of a row a task.
    fn ranges<'a>(&self, outputs: &'a mut [&mut [u8]]) -> Vec<Task<'a>> {
        let mut tasks: Vec<Task<'a>> = Vec::new();
        for row in 0..self.outer {
            for (number, part) in self.parts.iter().enumerate() {
                for start in (0..part.count).step_by(PIECE) {
                    let count = PIECE.min(part.count - start);
                    let first = row * part.count + start;
                    tasks.push(Task {
                        part: Some(number),
                        first,
                        count,
                        outputs: Vec::with_capacity(self.sizes.len()),
                    });
                }
            }
        }
        for (output, size) in outputs.iter_mut().zip(&self.sizes) {
            let mut rest: &mut [u8] = output;
            for task in &mut tasks {
                let (chunk, behind) = rest.split_at_mut(task.count * size);
                task.outputs.push(chunk);
                rest = behind;
            }
        }
        tasks
    }

    fn task(&self, inputs: &[Source<'_>], task: Task<'_>) {
        let Task { part, first, count, mut outputs } = task;
        if let Some(part) = part {
            return map_piece(&self.parts[part].tape, inputs, &mut outputs, first, count);
        }
        for part in &self.parts {
            let points = count * part.count;
            let mut rooms: Few<Vec<u64>> = self.sizes.iter().map(|size| vec![0; (points * size).div_ceil(8)]).collect();
            let mut found: Few<&mut [u8]> = rooms.iter_mut().map(|room| bytemuck::cast_slice_mut(room)).collect();
            map_piece(&part.tape, inputs, &mut found, first * part.count, points);
            for ((found, output), size) in found.iter().zip(&mut outputs).zip(&self.sizes) {
                let (from, length) = (part.first * size, part.count * size);
                let rows = output.chunks_exact_mut(self.row * size).zip(found.chunks_exact(length));
                rows.for_each(|(row, found)| row[from..from + length].copy_from_slice(found));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::scalar::{Affine, Builder, map};
    use crate::shader::testing::numbers;
    use crate::tensor::{DType, TensorData};

    /// Tensors side by side, along each axis and of few and very many points, are what their elements are.
    #[test]
    fn parts_are_where_they_belong() {
        for (axis, dims) in
            [(0, [3, 5, 40]), (1, [700, 3, 33]), (2, [200, 7, 40]), (0, [40, 300, 7]), (2, [2, 1, 9000])]
        {
            let g = Graph::new();
            let names = ["a", "b", "c"];
            let inputs = names.map(|name| g.input(name, dims, DType::F32));
            let joined = g.concat(&inputs.each_ref(), axis as isize);
            g.output("joined", &(joined.pad(&[1, 2, 3], &[3, 0, 1], 7.0) * 2.0));
            let mut session = g.compile(&crate::device::Device::cpu()).unwrap();
            let len = dims.iter().product();
            let values = [1, 2, 3].map(|seed| numbers(len, seed));
            let tensors = values.each_ref().map(|values| TensorData::from_slice(values, dims).unwrap());
            let given: Vec<(&str, &TensorData)> = names.into_iter().zip(&tensors).collect();
            let got = session.run(&given).unwrap()["joined"].to_vec::<f32>().unwrap();
            let mut extents = dims;
            extents[axis] *= 3;
            let padded = [extents[0] + 4, extents[1] + 2, extents[2] + 4];
            for (index, &got) in got.iter().enumerate() {
                let at = [index / (padded[1] * padded[2]), index / padded[2] % padded[1], index % padded[2]];
                let inside: Vec<Option<usize>> = at
                    .iter()
                    .zip([1, 2, 3])
                    .zip(extents)
                    .map(|((at, low), extent)| at.checked_sub(low).filter(|at| *at < extent))
                    .collect();
                let want = match inside[..] {
                    [Some(x), Some(y), Some(z)] => {
                        let mut at = [x, y, z];
                        let which = at[axis] / dims[axis];
                        at[axis] %= dims[axis];
                        values[which][(at[0] * dims[1] + at[1]) * dims[2] + at[2]]
                    }
                    _ => 7.0,
                };
                assert_eq!(got, want * 2.0, "{dims:?} along {axis}, {at:?}");
            }
        }
    }

    /// The same bits as of the whole expression, for two outputs of different types.
    #[test]
    fn parts_are_the_whole() {
        use crate::scalar::ScalarFunction as F;
        for (outer, extent) in [(1, 20_000), (37, 300), (3, 64)] {
            let mut b = Builder::new(DType::F32);
            let x = b.load(0, DType::F32, Affine::row_major(&[outer, extent]));
            let mut reversed = Affine::row_major(&[outer, extent]);
            reversed.offset = extent as i64 - 1;
            reversed.strides[1] = -1;
            let y = b.load(0, DType::F32, reversed);
            let position = b.index(Affine::coordinate(1, 2));
            let border = b.constant(DType::I32, 50.0);
            let is_behind = b.call(F::Greater, &[border, position]);
            let value = b.select(is_behind, x, y);
            let whole = b.call(F::Cast(DType::I32), &[value]);
            let outputs = vec![(value, DType::F16), (whole, DType::I32)];
            let expression = b.finish(vec![outer, extent], vec![DType::F32], outputs);
            let x = numbers(outer * extent, 1);
            let inputs = [Source::Bytes(bytemuck::cast_slice(&x))];
            let run = |work: &dyn Fn(&mut [&mut [u8]])| {
                let (mut halves, mut words) = (vec![0_u16; x.len()], vec![0_i32; x.len()]);
                work(&mut [bytemuck::cast_slice_mut(&mut halves), bytemuck::cast_slice_mut(&mut words)]);
                (halves, words)
            };
            let tapes = SegmentTapes::new(&expression).unwrap();
            assert_eq!(run(&|out| tapes.run(&inputs, out)), run(&|out| map(&Tape::new(&expression), &inputs, out)));
        }
    }
}
