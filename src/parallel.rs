//! Loops over chunks on the processor's threads.
//!
//! rayon compiles its whole machinery for every closure. Here it is compiled once, for chunks of bytes: the closure is called through a
//! pointer, once a chunk.

use bytemuck::Pod;
use rayon::prelude::*;

type Task<'a> = &'a (dyn Fn(usize, &mut [u8]) + Sync);
type TaskOfTwo<'a> = &'a (dyn Fn(usize, &mut [u8], &mut [u8]) + Sync);

/// Calls `task` with the number of each chunk of `len` elements and the chunk, of which the last may be shorter; where that pays, as the
/// caller knows, in parallel.
pub(crate) fn each_chunk<T: Pod>(
    elements: &mut [T],
    len: usize,
    parallel: bool,
    task: impl Fn(usize, &mut [T]) + Sync,
) {
    let task = |number: usize, chunk: &mut [u8]| task(number, bytemuck::cast_slice_mut(chunk));
    chunks(bytemuck::cast_slice_mut(elements), len * size_of::<T>(), parallel, &task);
}

fn chunks(bytes: &mut [u8], len: usize, parallel: bool, task: Task<'_>) {
    if parallel {
        bytes.par_chunks_mut(len).enumerate().for_each(|(number, chunk)| task(number, chunk));
    } else {
        bytes.chunks_mut(len).enumerate().for_each(|(number, chunk)| task(number, chunk));
    }
}

/// The same for two slices at a time, each with the length of its chunks; as many as both have.
pub(crate) fn each_chunk_of_two<A: Pod, B: Pod>(
    (first, first_len): (&mut [A], usize),
    (second, second_len): (&mut [B], usize),
    parallel: bool,
    task: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let task = |number: usize, first: &mut [u8], second: &mut [u8]| {
        task(number, bytemuck::cast_slice_mut(first), bytemuck::cast_slice_mut(second));
    };
    let first = (bytemuck::cast_slice_mut(first), first_len * size_of::<A>());
    chunks_of_two(first, (bytemuck::cast_slice_mut(second), second_len * size_of::<B>()), parallel, &task);
}

fn chunks_of_two(
    (first, first_len): (&mut [u8], usize),
    (second, second_len): (&mut [u8], usize),
    parallel: bool,
    task: TaskOfTwo<'_>,
) {
    if parallel {
        let chunks = first.par_chunks_mut(first_len).zip(second.par_chunks_mut(second_len));
        chunks.enumerate().for_each(|(number, (first, second))| task(number, first, second));
    } else {
        let chunks = first.chunks_mut(first_len).zip(second.chunks_mut(second_len));
        chunks.enumerate().for_each(|(number, (first, second))| task(number, first, second));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_is_met_once_with_its_number() {
        for parallel in [false, true] {
            let mut elements = [0_u16; 10];
            each_chunk(&mut elements, 4, parallel, |number, chunk| {
                assert_eq!(chunk.len(), if number == 2 { 2 } else { 4 });
                chunk.iter_mut().for_each(|element| *element += 1 + number as u16);
            });
            assert_eq!(elements, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
            let mut halves = [0_i64; 3];
            each_chunk_of_two((&mut elements, 4), (&mut halves, 1), parallel, |number, chunk, half| {
                half[0] = chunk.iter().map(|&element| i64::from(element)).sum::<i64>() * (number as i64 + 1);
            });
            assert_eq!(halves, [4, 16, 18]);
        }
    }
}
