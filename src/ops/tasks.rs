//! Independent tasks of a CPU implementation.

use std::cell::RefCell;

use bytemuck::Pod;
use rayon::prelude::*;

use crate::tensor::Storage;

/// Bytes that a thread retains at most.
const RETAINED: usize = 8 << 20;

thread_local! {
    /// A storage for each task within another, as where a task waits for its parts and works on some of them meanwhile.
    static MEMORY: RefCell<Vec<Storage>> = RefCell::default();
}

/// Lends a task memory that its thread retains, with whatever is in it: fresh zeros for each task would be most of a short one's
/// time.
pub(in crate::ops) fn lend<T: Pod, R>(count: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    let bytes = count * size_of::<T>();
    if bytes > RETAINED {
        return work(Storage::zeroed(bytes).as_mut_slice());
    }
    let mut storage = MEMORY.with(|memory| memory.borrow_mut().pop()).unwrap_or_default();
    if storage.len() < bytes {
        storage = Storage::zeroed(bytes);
    }
    let result = work(&mut storage.as_mut_slice()[..count]);
    MEMORY.with(|memory| memory.borrow_mut().push(storage));
    result
}

/// Runs tasks in parallel where that pays.
pub(in crate::ops) fn each<T: Send>(
    tasks: Vec<T>,
    parallel: bool,
    run: impl Fn(T) -> Result<(), String> + Send + Sync,
) -> Result<(), String> {
    if parallel { tasks.into_par_iter().try_for_each(run) } else { tasks.into_iter().try_for_each(run) }
}
