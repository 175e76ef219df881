//! Maps that only move elements: whole rows from anywhere, as a table's, or another order of the axes. Bytes are copied, whatever they are.

use bytemuck::Pod;

use crate::parallel::each_chunk;
use crate::scalar::{
    Affine, NodeId, PIECE, SHORTEST_ROW, ScalarExpr, ScalarNode, Source, Tape, distance, map_piece, steps,
};
use crate::tensor::DType;

/// Bytes that are copied by one thread without another's help.
const PARALLEL_FROM: usize = 1 << 18;

/// Extents of a tile of what is transposed: a line of a cache of what is read for each of some lines of what is written.
const READ: usize = 16;
const WRITTEN: usize = 64;

/// A map that moves elements of one input.
pub(super) enum Copies {
    Rows(Rows),
    Transposed(Transposed),
}

/// Rows whose addresses are computed.
pub(super) struct Rows {
    input: usize,
    /// Of each row's first element, an i32 over the rows.
    addresses: Tape,
    length: usize,
    size: usize,
}

/// Another axis than the last one is the input's innermost.
pub(super) struct Transposed {
    input: usize,
    at: Affine,
    dims: Vec<usize>,
    /// The axis whose neighbours are neighbours in the input.
    axis: usize,
    size: usize,
}

impl Copies {
    /// `None` where an expression is not just a copy, or one element after the other is as good.
    pub(super) fn new(expression: &ScalarExpr) -> Option<Self> {
        let (expression, _) = expression.collapsed(&[]);
        let &[(id, stored)] = expression.outputs.as_slice() else { return None };
        match &expression.nodes[id.index()] {
            ScalarNode::Gather { input, address } if expression.inputs[*input] == stored => {
                Rows::new(&expression, *input, *address, stored).map(Self::Rows)
            }
            ScalarNode::Load { input, at } if expression.inputs[*input] == stored => {
                Transposed::new(&expression.dims, *input, at, stored).map(Self::Transposed)
            }
            _ => None,
        }
    }

    pub(super) fn run(&self, inputs: &[Source<'_>], output: &mut [u8]) {
        if output.is_empty() {
            return;
        }
        match self {
            Self::Rows(rows) => rows.run(inputs, output),
            Self::Transposed(transposed) => transposed.run(inputs, output),
        }
    }
}

impl Rows {
    fn new(expression: &ScalarExpr, input: usize, address: NodeId, stored: DType) -> Option<Self> {
        let (&length, rows) = expression.dims.split_last()?;
        let is_row = steps(expression)[address.index()] == Some(1);
        if length < SHORTEST_ROW || !is_row || expression.types[address.index()] != DType::I32 {
            return None;
        }
        let addresses = ScalarExpr { outputs: vec![(address, DType::I32)], ..expression.clone() }.pruned();
        let addresses = Tape::new(&addresses.at_origins(rows.len()));
        Some(Self { input, addresses, length, size: stored.size() })
    }

    fn run(&self, inputs: &[Source<'_>], output: &mut [u8]) {
        let Source::Bytes(source) = inputs[self.input] else { return };
        let bytes = self.length * self.size;
        let rows = (PIECE / self.length).max(1);
        let parallel = output.len() >= PARALLEL_FROM;
        each_chunk(output, rows * bytes, parallel, |number, output| {
            let mut addresses = [0_i32; PIECE / SHORTEST_ROW];
            let count = output.len() / bytes;
            map_piece(
                &self.addresses,
                inputs,
                &mut [bytemuck::cast_slice_mut(&mut addresses[..count])],
                number * rows,
                count,
            );
            for (row, &address) in output.chunks_exact_mut(bytes).zip(&addresses) {
                // Operators keep addresses inside: this only guards against a broken one.
                let start = usize::try_from(address).ok().and_then(|address| address.checked_mul(self.size));
                match start.and_then(|start| source.get(start..start.checked_add(bytes)?)) {
                    Some(from) => row.copy_from_slice(from),
                    None => row.fill(0),
                }
            }
        });
    }
}

impl Transposed {
    fn new(dims: &[usize], input: usize, at: &Affine, stored: DType) -> Option<Self> {
        let last = dims.len().checked_sub(1)?;
        let axis = (0..last).find(|&axis| at.strides[axis] == 1 && dims[axis] >= READ)?;
        if dims[last] < READ || at.strides[last].abs() <= 1 {
            return None;
        }
        Some(Self { input, at: at.clone(), dims: dims.to_vec(), axis, size: stored.size() })
    }

    fn run(&self, inputs: &[Source<'_>], output: &mut [u8]) {
        let Source::Bytes(source) = inputs[self.input] else { return };
        match self.size {
            1 => self.typed::<u8>(source, output),
            2 => self.typed::<u16>(source, output),
            4 => self.typed::<u32>(source, output),
            _ => self.typed::<u64>(source, output),
        }
    }

    fn typed<T: Pod + Sync>(&self, source: &[u8], output: &mut [u8]) {
        let source: &[T] = bytemuck::cast_slice(&source[..source.len() / self.size * self.size]);
        let output: &mut [T] = bytemuck::cast_slice_mut(output);
        let (axis, last) = (self.axis, self.dims.len() - 1);
        let length = self.dims[last];
        // Elements of the output from one index of the axis to the next, and in all of them.
        let step: usize = self.dims[axis + 1..].iter().product();
        let block = self.dims[axis] * step;
        let parallel = size_of_val(output) >= PARALLEL_FROM;
        // A task is some indices of the axis, with all that is inside of them.
        let reads = READ.max(PIECE / step / READ * READ).min(self.dims[axis]);
        let per_block = self.dims[axis].div_ceil(reads);
        if per_block * reads == self.dims[axis] {
            each_chunk(output, reads * step, parallel, |number, output| {
                self.task(source, output, [number / per_block, number % per_block * reads, reads], step, length);
            });
        } else {
            // The last task of a block is shorter: a block at a time.
            for (outer, output) in output.chunks_mut(block).enumerate() {
                each_chunk(output, reads * step, parallel, |number, output| {
                    let first = number * reads;
                    self.task(source, output, [outer, first, reads.min(self.dims[axis] - first)], step, length);
                });
            }
        }
    }

    /// `count` indices of the axis from `first` on, for one index of all axes before it.
    #[allow(clippy::needless_range_loop, reason = "a tile is written by its columns")]
    fn task<T: Pod>(
        &self,
        source: &[T],
        output: &mut [T],
        [outer, first, count]: [usize; 3],
        step: usize,
        length: usize,
    ) {
        let axis = self.axis;
        let start = self.at.offset + distance(&self.dims[..axis], &self.at.strides[..axis], outer) + first as i64;
        let between = axis + 1..self.dims.len() - 1;
        let lines: usize = self.dims[between.clone()].iter().product();
        let stride = self.at.strides[self.dims.len() - 1];
        let mut tile = [[T::zeroed(); WRITTEN]; READ];
        for line in 0..lines {
            let start = start + distance(&self.dims[between.clone()], &self.at.strides[between.clone()], line);
            for column in (0..length).step_by(WRITTEN) {
                let columns = WRITTEN.min(length - column);
                for row in (0..count).step_by(READ) {
                    let rows = READ.min(count - row);
                    for k in 0..columns {
                        let address = start + stride * (column + k) as i64 + row as i64;
                        let from = usize::try_from(address).ok().and_then(|address| source.get(address..));
                        match from.and_then(|from| from.first_chunk::<READ>()) {
                            Some(from) => {
                                for r in 0..READ {
                                    tile[r][k] = from[r];
                                }
                            }
                            None => {
                                let from = from.unwrap_or_default();
                                for r in 0..rows {
                                    tile[r][k] = from.get(r).copied().unwrap_or(T::zeroed());
                                }
                            }
                        }
                    }
                    for r in 0..rows {
                        let to = &mut output[(row + r) * step + line * length + column..][..columns];
                        to.copy_from_slice(&tile[r][..columns]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Builder, map};

    /// Runs a copy, and its expression by the element.
    fn both(expression: &ScalarExpr, inputs: &[&[u8]]) -> Option<[Vec<u8>; 2]> {
        let sources: Vec<Source<'_>> = inputs.iter().map(|bytes| Source::Bytes(bytes)).collect();
        let bytes = expression.len() * expression.outputs[0].1.size();
        // What is in memory before stays nowhere.
        let (mut got, mut wanted) = (vec![77; bytes], vec![0; bytes]);
        Copies::new(expression)?.run(&sources, &mut got);
        map(&Tape::new(expression), &sources, &mut [&mut wanted]);
        Some([got, wanted])
    }

    #[test]
    fn axes_in_another_order() {
        let shapes: [(&[usize], &[usize]); 8] = [
            (&[16, 16], &[1, 0]),
            (&[17, 100], &[1, 0]),
            (&[130, 67], &[1, 0]),
            (&[3, 20, 33], &[0, 2, 1]),
            (&[21, 3, 18], &[2, 1, 0]),
            (&[5, 19, 2, 65], &[0, 3, 2, 1]),
            (&[40, 2, 3, 16], &[3, 1, 2, 0]),
            (&[700, 300], &[1, 0]),
        ];
        for (dims, order) in shapes {
            let strides: Vec<i64> =
                (0..dims.len()).map(|axis| dims[axis + 1..].iter().product::<usize>() as i64).collect();
            for dtype in [DType::U8, DType::BF16, DType::F32, DType::I64] {
                let mut builder = Builder::new(DType::F32);
                let at = Affine::new(0, order.iter().map(|&axis| strides[axis]).collect::<Vec<i64>>());
                let load = builder.load(0, dtype, at);
                let result: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
                let expression = builder.finish(result, vec![dtype], vec![(load, dtype)]);
                let bytes = dims.iter().product::<usize>() * dtype.size();
                let input: Vec<u8> = (0..bytes).map(|k| (k * 7 + k / 251) as u8 & 0x3f).collect();
                let [got, wanted] = both(&expression, &[&input]).expect("a copy");
                assert!(got == wanted, "{dims:?} as {order:?} of {dtype}");
            }
        }
    }

    #[test]
    fn rows_of_a_table() {
        for (rows, length) in [(1, 8), (40, 9), (3, 5000), (2000, 128)] {
            let table: Vec<f32> = (0..50 * length).map(|k| k as f32).collect();
            // Some leave the table: those are zeros.
            let chosen: Vec<i32> = (0..rows as i32).map(|row| row * 7 % 53 - 1).collect();
            let mut builder = Builder::new(DType::F32);
            let row = builder.load(0, DType::I32, Affine::new(0, vec![1, 0]));
            let column = builder.index(Affine::new(0, vec![0, 1]));
            let width = builder.constant(DType::I32, length as f64);
            let start = builder.mul(row, width);
            let address = builder.add(column, start);
            let element = builder.gather(1, DType::F32, address);
            let types = vec![DType::I32, DType::F32];
            let expression = builder.finish(vec![rows, length], types, vec![(element, DType::F32)]);
            let inputs: [&[u8]; 2] = [bytemuck::cast_slice(&chosen), bytemuck::cast_slice(&table)];
            let [got, wanted] = both(&expression, &inputs).expect("rows");
            assert!(got == wanted, "{rows} rows of {length}");
        }
    }

    #[test]
    fn other_maps_are_none() {
        let row_major = |dims: &[usize]| {
            let mut builder = Builder::new(DType::F32);
            let load = builder.load(0, DType::F32, Affine::row_major(dims));
            builder.finish(dims.to_vec(), vec![DType::F32], vec![(load, DType::F32)])
        };
        assert!(Copies::new(&row_major(&[64, 64])).is_none());
        let mut builder = Builder::new(DType::F32);
        let load = builder.load(0, DType::F32, Affine::new(0, vec![1, 64]));
        let twice = builder.add(load, load);
        let expression = builder.finish(vec![64, 64], vec![DType::F32], vec![(twice, DType::F32)]);
        assert!(Copies::new(&expression).is_none());
    }
}
