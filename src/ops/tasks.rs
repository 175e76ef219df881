//! Tasks of a CPU implementation that know nothing of each other.

use rayon::prelude::*;

/// Runs tasks in parallel where that pays.
pub(in crate::ops) fn each<T: Send>(
    tasks: Vec<T>,
    parallel: bool,
    run: impl Fn(T) -> Result<(), String> + Send + Sync,
) -> Result<(), String> {
    if parallel { tasks.into_par_iter().try_for_each(run) } else { tasks.into_iter().try_for_each(run) }
}
