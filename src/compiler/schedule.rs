//! The order of kernels: each after what it needs, updates after everything that reads the old values, and among those
//! that could run, the one that leaves the least memory live.

use std::collections::BTreeSet;

use super::fused::{BufferId, Content, FusedGraph, FusedKernel, distinct};
use super::layout::Layout;

/// Orders the kernels, and decides which assignments are written in place.
pub(super) fn schedule(fused: &mut FusedGraph, layout: &Layout) {
    let producers = fused.producers();
    let assignments: Vec<(BufferId, BufferId)> = fused.assignments().collect();
    for &(variable, value) in &assignments {
        let kernel = producers[value.0].map(|index| &fused.kernels[index]);
        let is_direct = kernel.is_some_and(|kernel| may_be_direct(fused, kernel, layout, variable, value));
        fused.buffers[value.0].is_direct = is_direct;
    }
    loop {
        match order(fused, &producers) {
            Ok(order) => {
                let mut kernels: Vec<Option<FusedKernel>> =
                    std::mem::take(&mut fused.kernels).into_iter().map(Some).collect();
                fused.kernels = order.into_iter().filter_map(|index| kernels[index].take()).collect();
                return;
            }
            // Two updates that read each other's old value: one of them goes through a copy.
            Err(stuck) => {
                let is_stuck = |value: BufferId| producers[value.0].is_some_and(|index| stuck[index]);
                match assignments.iter().find(|&&(_, value)| fused.buffers[value.0].is_direct && is_stuck(value)) {
                    Some(&(_, value)) => fused.buffers[value.0].is_direct = false,
                    None => return,
                }
            }
        }
    }
}

/// True where a kernel may write a variable's new value over the old one.
fn may_be_direct(
    fused: &FusedGraph,
    kernel: &FusedKernel,
    layout: &Layout,
    variable: BufferId,
    value: BufferId,
) -> bool {
    if fused.buffers[value.0].part_of.is_some() || !kernel.reads_in_place(variable) {
        return false;
    }
    // A GPU refuses a dispatch that reads and writes one buffer, whatever the ranges: the kernel's other operands must live in
    // other buffers of the store.
    let store = |buffer: BufferId| {
        // A new value may itself be written directly into its variable's memory.
        let buffer = fused.assigned_to(buffer).unwrap_or(buffer);
        match &fused.buffers[buffer.0].content {
            Content::Variable(variable) => layout.find(&variable.name).map(|known| known.location.buffer),
            Content::Range(range) => Some(range.location().buffer),
            Content::Kernel | Content::Input(_) | Content::Constant(_) | Content::Joined(_) => None,
        }
    };
    let own = store(variable);
    let others_read = kernel.reads().any(|read| read != variable && own.is_some() && store(read) == own);
    let others_written = kernel.outputs.iter().any(|&output| {
        output != value && fused.assigned_to(output).is_some_and(|other| own.is_some() && store(other) == own)
    });
    !others_read && !others_written
}

/// A topological order with few live bytes; where the updates' order makes a cycle, which kernels are left over.
fn order(fused: &FusedGraph, producers: &[Option<usize>]) -> Result<Vec<usize>, Vec<bool>> {
    let count = fused.kernels.len();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    // For each buffer, the kernels that read it, alone or as a part of a joined one.
    let mut read_by: Vec<Vec<usize>> = vec![Vec::new(); fused.buffers.len()];
    for (index, kernel) in fused.kernels.iter().enumerate() {
        for read in kernel.reads() {
            fused.parts(&read).iter().for_each(|part| read_by[part.0].push(index));
        }
    }
    for (source, readers) in producers.iter().zip(&read_by).filter_map(|(source, readers)| Some(((*source)?, readers)))
    {
        after[source].extend(readers.iter().copied().filter(|&reader| reader != source));
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
    // What is late comes after all else that its first reader needs. No kernel before that one needs it, so there is no circle.
    for (index, kernel) in fused.kernels.iter().enumerate().filter(|(_, kernel)| kernel.is_late) {
        let first = kernel.outputs.iter().flat_map(|output| &read_by[output.0]).min();
        let Some(&first) = first else { continue };
        for read in fused.kernels[first].reads() {
            for part in fused.parts(&read) {
                if let Some(other) = producers[part.0].filter(|&other| !fused.kernels[other].is_late && other != index)
                {
                    after[other].push(index);
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
    let mut live = Live::new(fused);
    // The kernels that could come next, by what they add to the live bytes; on a tie, in the order in which the user wrote them.
    let mut ready: BTreeSet<(i64, usize)> =
        (0..count).filter(|&kernel| waiting[kernel] == 0).map(|kernel| live.rank(kernel)).collect();
    let mut order = Vec::with_capacity(count);
    while let Some((_, kernel)) = ready.pop_first() {
        order.push(kernel);
        for (reader, before) in live.run(kernel) {
            if ready.remove(&before) {
                ready.insert(live.rank(reader));
            }
        }
        for &user in &after[kernel] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.insert(live.rank(user));
            }
        }
    }
    if order.len() == count { Ok(order) } else { Err(waiting.iter().map(|&missing| missing > 0).collect()) }
}

/// What each kernel would add to the bytes that a step holds, while kernels run.
struct Live<'a> {
    fused: &'a FusedGraph,
    /// For each kernel, what it reads, each once.
    reads: Vec<Vec<BufferId>>,
    /// For each buffer, the kernels that read it.
    readers: Vec<Vec<usize>>,
    /// For each buffer, how many of them have not run yet.
    left: Vec<usize>,
    has_run: Vec<bool>,
    /// For each kernel, the bytes that it makes, less those that nobody needs after it.
    growth: Vec<i64>,
}

impl<'a> Live<'a> {
    fn new(fused: &'a FusedGraph) -> Self {
        let mut readers = vec![Vec::new(); fused.buffers.len()];
        let mut reads = Vec::with_capacity(fused.kernels.len());
        for (index, kernel) in fused.kernels.iter().enumerate() {
            let distinct = distinct(kernel.reads());
            distinct.iter().for_each(|read| readers[read.0].push(index));
            reads.push(distinct.into_vec());
        }
        let left = readers.iter().map(Vec::len).collect();
        let count = reads.len();
        let mut live = Self { fused, reads, readers, left, has_run: vec![false; count], growth: vec![0; count] };
        for (index, kernel) in fused.kernels.iter().enumerate() {
            let is_made = |output: &&BufferId| {
                fused.direct_target(**output).is_none() && fused.buffers[output.0].part_of.is_none()
            };
            let made: i64 = kernel.outputs.iter().filter(is_made).map(|&output| live.bytes(output)).sum();
            let freed: i64 =
                live.reads[index].iter().filter(|read| live.left[read.0] == 1).map(|&read| live.freed(read)).sum();
            live.growth[index] = made - freed;
        }
        live
    }

    /// Bytes of a buffer that the step itself holds.
    fn bytes(&self, buffer: BufferId) -> i64 {
        match self.fused.buffers[buffer.0].content {
            Content::Kernel | Content::Joined(_) => self.fused.buffers[buffer.0].ty.bytes() as i64,
            Content::Input(_) | Content::Variable(_) | Content::Constant(_) | Content::Range(_) => 0,
        }
    }

    /// Bytes that are free once a buffer has no more readers.
    fn freed(&self, buffer: BufferId) -> i64 {
        if self.fused.is_root(buffer) { 0 } else { self.bytes(buffer) }
    }

    /// The sort key of a kernel among those that are ready.
    fn rank(&self, kernel: usize) -> (i64, usize) {
        (self.growth[kernel].max(0), kernel)
    }

    /// Marks a kernel as run. Returns the kernels that are now the last readers of something, with their ranks before.
    fn run(&mut self, kernel: usize) -> Vec<(usize, (i64, usize))> {
        self.has_run[kernel] = true;
        let mut changed = Vec::new();
        for index in 0..self.reads[kernel].len() {
            let read = self.reads[kernel][index];
            self.left[read.0] -= 1;
            if self.left[read.0] == 1
                && let Some(&last) = self.readers[read.0].iter().find(|&&reader| !self.has_run[reader])
            {
                changed.push((last, self.rank(last)));
                self.growth[last] -= self.freed(read);
            }
        }
        changed
    }
}
