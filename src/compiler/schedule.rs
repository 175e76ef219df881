//! The order of kernels: each after what it needs, updates after everything that reads the old values, and among those
//! that could run, the one that leaves the least memory live.

use super::fused::{BufferId, FusedGraph, FusedKernel, Origin};
use super::layout::Layout;

/// Orders the kernels, and decides which assignments are written in place.
pub(super) fn schedule(fused: &mut FusedGraph, layout: &Layout) {
    fused.direct =
        fused.assignments.iter().map(|&(variable, value)| may_be_direct(fused, layout, variable, value)).collect();
    loop {
        match order(fused) {
            Ok(order) => {
                let mut kernels: Vec<Option<FusedKernel>> =
                    std::mem::take(&mut fused.kernels).into_iter().map(Some).collect();
                fused.kernels = order.into_iter().filter_map(|index| kernels[index].take()).collect();
                return;
            }
            // Two updates that read each other's old value: one of them goes through a copy.
            Err(stuck) => match fused.direct.iter().position(|&direct| direct && stuck) {
                Some(place) => fused.direct[place] = false,
                None => return,
            },
        }
    }
}

/// True where a kernel may write a variable's new value over the old one.
fn may_be_direct(fused: &FusedGraph, layout: &Layout, variable: BufferId, value: BufferId) -> bool {
    let Some(kernel) = fused.producer(value).map(|index| &fused.kernels[index]) else { return false };
    if fused.buffers[value.0].part_of.is_some() || !kernel.reads_in_place(variable) {
        return false;
    }
    // A GPU refuses a dispatch that reads and writes one buffer, whatever the ranges: the kernel's other operands must live in
    // other buffers of the store.
    let store = |buffer: BufferId| {
        // A new value may itself be written straight into its variable's memory.
        let buffer = fused.assigned_to(buffer).unwrap_or(buffer);
        match &fused.buffers[buffer.0].origin {
            Origin::Variable(variable) => layout.find(&variable.name).map(|known| known.location.buffer),
            Origin::Range(range) => Some(range.location().buffer),
            Origin::Kernel | Origin::Input(_) | Origin::Constant(_) | Origin::Joined(_) => None,
        }
    };
    let own = store(variable);
    let others_read = kernel.reads().iter().any(|&read| read != variable && own.is_some() && store(read) == own);
    let others_written = kernel.outputs.iter().any(|&output| {
        output != value && fused.assigned_to(output).is_some_and(|other| own.is_some() && store(other) == own)
    });
    !others_read && !others_written
}

/// A topological order with few live bytes; an error where the updates' order makes a cycle.
fn order(fused: &FusedGraph) -> Result<Vec<usize>, bool> {
    let count = fused.kernels.len();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut producer = vec![None; fused.buffers.len()];
    // For each buffer that is no joined one, the kernels that read it, alone or as a part.
    let mut read_by: Vec<Vec<usize>> = vec![Vec::new(); fused.buffers.len()];
    for (index, kernel) in fused.kernels.iter().enumerate() {
        kernel.outputs.iter().for_each(|output| producer[output.0] = Some(index));
        for read in kernel.reads() {
            fused.parts(&read).iter().for_each(|part| read_by[part.0].push(index));
        }
    }
    for (buffer, readers) in read_by.iter().enumerate() {
        if let Some(source) = producer[buffer] {
            after[source].extend(readers.iter().copied().filter(|&reader| reader != source));
        }
    }
    // Readers of an old value come before its update.
    for (index, kernel) in fused.kernels.iter().enumerate() {
        for &output in &kernel.outputs {
            let Some(variable) = fused.direct_target(output) else { continue };
            for part in fused.parts(&variable) {
                for &reader in read_by[part.0].iter().filter(|&&reader| reader != index) {
                    after[reader].push(index);
                }
            }
        }
    }
    let mut waiting = vec![0; count];
    for users in &mut after {
        users.sort_unstable();
        users.dedup();
        users.iter().for_each(|&user| waiting[user] += 1);
    }
    // Bytes of a buffer that the step itself holds, and how many kernels have yet to read it.
    let bytes = |buffer: BufferId| match fused.buffers[buffer.0].origin {
        Origin::Kernel | Origin::Joined(_) => fused.buffers[buffer.0].ty.bytes() as i64,
        Origin::Input(_) | Origin::Variable(_) | Origin::Constant(_) | Origin::Range(_) => 0,
    };
    let mut readers = vec![0_usize; fused.buffers.len()];
    let distinct_reads: Vec<Vec<BufferId>> = fused
        .kernels
        .iter()
        .map(|kernel| {
            let mut reads = kernel.reads();
            reads.sort_unstable();
            reads.dedup();
            reads
        })
        .collect();
    distinct_reads.iter().flatten().for_each(|read| readers[read.0] += 1);
    let mut ready: Vec<usize> = (0..count).filter(|&kernel| waiting[kernel] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while !ready.is_empty() {
        let growth = |kernel: usize| {
            let made: i64 = fused.kernels[kernel]
                .outputs
                .iter()
                .filter(|&&output| fused.direct_target(output).is_none() && fused.buffers[output.0].part_of.is_none())
                .map(|&output| bytes(output))
                .sum();
            let freed: i64 = distinct_reads[kernel]
                .iter()
                .filter(|read| readers[read.0] == 1 && !fused.is_root(**read))
                .map(|&read| bytes(read))
                .sum();
            made - freed
        };
        // On a tie, the order in which the user wrote it.
        let best = (0..ready.len()).min_by_key(|&place| (growth(ready[place]).max(0), ready[place])).unwrap_or(0);
        let kernel = ready.swap_remove(best);
        order.push(kernel);
        distinct_reads[kernel].iter().for_each(|read| readers[read.0] -= 1);
        for &user in &after[kernel] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.push(user);
            }
        }
    }
    if order.len() == count { Ok(order) } else { Err(true) }
}
