//! Independent tasks of a CPU implementation.

use std::cell::RefCell;

use bytemuck::Pod;
use rayon::prelude::*;

use crate::tensor::Storage;

/// Bytes that a thread retains at most.
const RETAINED: usize = 8 << 20;

thread_local! {
    static MEMORY: RefCell<Storage> = RefCell::default();
}

/// Lends a task memory that its thread retains, with whatever is in it: fresh zeros for each task would be most of a short one's
/// time.
pub(in crate::ops) fn lend<T: Pod, R>(count: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    let bytes = count * size_of::<T>();
    MEMORY.with(|memory| match memory.try_borrow_mut() {
        Ok(mut memory) if bytes <= RETAINED => {
            if memory.len() < bytes {
                *memory = Storage::zeroed(bytes);
            }
            work(&mut memory.as_mut_slice()[..count])
        }
        // More than a thread should retain; or rayon runs this within another task's wait.
        _ => work(Storage::zeroed(bytes).as_mut_slice()),
    })
}

/// Runs tasks in parallel where that pays.
pub(in crate::ops) fn each<T: Send>(
    tasks: Vec<T>,
    parallel: bool,
    run: impl Fn(T) -> Result<(), String> + Send + Sync,
) -> Result<(), String> {
    if parallel { tasks.into_par_iter().try_for_each(run) } else { tasks.into_iter().try_for_each(run) }
}
