//! Memory: every value that lives within a step gets a slot, and slots are reused when their value is dead. Slots are whole
//! buffers, not ranges of one: wgpu tracks usage by buffer, and refuses one that is read and written in a dispatch.

use std::collections::BTreeMap;
use std::fmt::Write;

use rustc_hash::FxHashMap;

use super::fused::{BufferId, Content, FusedGraph};
use super::layout::{ALIGNMENT, Layout};
use super::lower::{LoweredStep, check, traffic};
use super::program::{BufferKind, BufferPlan, Dispatch, Location, Port, Program, Step, Work};
use super::{Options, Target};
use crate::error::{Error, Result};
use crate::graph::GraphData;
use crate::ops::Op;
use crate::shader::{Bound, Grid, Kernel, Limit};

/// Inputs up to this size share a buffer, which the host writes at once.
const SMALL_INPUT: usize = 1 << 20;

/// A value that needs a slot: how long it lives and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// First step that writes it.
    pub(crate) first: usize,
    /// Last step that reads it.
    pub(crate) last: usize,
    /// Bytes.
    pub(crate) bytes: usize,
}

/// Slots for values, the largest first, each in the smallest fitting slot that is free all its life. Returns each value's
/// slot and the slots' sizes.
pub(crate) fn assign_slots(values: &[Lifetime]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&value| (std::cmp::Reverse(values[value].bytes), values[value].first));
    // For each slot, the first and last steps of those that have it; no two of them overlap.
    let mut slots: Vec<(usize, BTreeMap<usize, usize>)> = Vec::new();
    let mut assigned = vec![0; values.len()];
    for value in order {
        let life = values[value];
        let is_free = |lives: &BTreeMap<usize, usize>| {
            lives.range(..=life.last).next_back().is_none_or(|(_, &last)| last < life.first)
        };
        // Values come by falling size, so every slot is large enough, and the last ones waste least.
        let slot = (0..slots.len()).rev().find(|&slot| is_free(&slots[slot].1));
        let slot = slot.unwrap_or_else(|| {
            slots.push((life.bytes, BTreeMap::new()));
            slots.len() - 1
        });
        slots[slot].1.insert(life.first, life.last);
        assigned[value] = slot;
    }
    (assigned, slots.into_iter().map(|(bytes, _)| bytes).collect())
}

struct Planner<'a> {
    fused: &'a FusedGraph,
    layout: &'a Layout,
    options: Options,
    program: Program,
    /// Where each buffer that has memory is.
    locations: FxHashMap<BufferId, Location>,
    /// The buffer in whose memory another one lives.
    owner: FxHashMap<BufferId, BufferId>,
}

/// The finished program, and the printed form of its memory.
pub(super) fn plan(
    data: &GraphData,
    fused: &FusedGraph,
    steps: Vec<LoweredStep>,
    layout: &Layout,
    target: &Target,
    options: Options,
) -> Result<(Program, String)> {
    let (program, locations, owner) = Default::default();
    let mut planner = Planner { fused, layout, options, program, locations, owner };
    planner.program.buffers = layout
        .buffers
        .iter()
        .enumerate()
        .map(|(k, &bytes)| BufferPlan { bytes, kind: BufferKind::Persistent(k) })
        .collect();
    planner.program.variables = layout.variables.clone();
    planner.program.nodes =
        data.nodes.iter().filter(|node| !matches!(node.op, Op::Input(..) | Op::Variable(_) | Op::Constant(_))).count();
    planner.program.fused_nodes = fused.fused_nodes;
    planner.sources()?;
    planner.owners(&steps);
    let (text, scratch) = planner.slots(&steps);
    let mut kernels: FxHashMap<Kernel, usize> = FxHashMap::default();
    for (index, step) in steps.into_iter().enumerate() {
        let step = planner.step(step, &scratch[index], target, &mut kernels)?;
        planner.program.steps.push(step);
    }
    planner.ports();
    if let Target::Gpu(adapter) = target {
        for buffer in &planner.program.buffers {
            let what = match &buffer.kind {
                BufferKind::Input => "the input",
                BufferKind::Constant(_) => "a constant",
                BufferKind::Persistent(_) => "the memory of variables",
                BufferKind::Slot => "the memory of intermediate results",
            };
            adapter.allows(Limit::BufferBytes, buffer.bytes as u64, what)?;
        }
    }
    Ok((planner.program, text))
}

impl Planner<'_> {
    fn add(&mut self, bytes: usize, kind: BufferKind) -> usize {
        self.program.buffers.push(BufferPlan { bytes: bytes.div_ceil(16).max(1) * 16, kind });
        self.program.buffers.len() - 1
    }

    /// Inputs, variables, ranges of them, and constants.
    fn sources(&mut self) -> Result<()> {
        let mut shared: Option<usize> = None;
        for (index, buffer) in self.fused.buffers.iter().enumerate() {
            let bytes = buffer.ty.bytes();
            let location = match &buffer.content {
                Content::Variable(variable) => match self.layout.find(&variable.name) {
                    Some(known) => known.location,
                    None => return Err(Error::Argument(format!("variable {:?} was not allocated", variable.name))),
                },
                Content::Input(_) if bytes <= SMALL_INPUT => {
                    let shared_buffer = match shared {
                        Some(known) => known,
                        None => self.add(0, BufferKind::Input),
                    };
                    let offset = if shared.is_some() { self.program.buffers[shared_buffer].bytes } else { 0 };
                    shared = Some(shared_buffer);
                    self.program.buffers[shared_buffer].bytes = offset + bytes.div_ceil(ALIGNMENT).max(1) * ALIGNMENT;
                    Location { buffer: shared_buffer, offset, bytes }
                }
                Content::Input(_) => Location { buffer: self.add(bytes, BufferKind::Input), offset: 0, bytes },
                Content::Constant(data) => {
                    Location { buffer: self.add(bytes, BufferKind::Constant(data.clone())), offset: 0, bytes }
                }
                Content::Range(range) => range.location(),
                Content::Kernel | Content::Joined(_) => continue,
            };
            self.locations.insert(BufferId(index), location);
        }
        Ok(())
    }

    /// Which buffers live in others: new values in their variables, parts in groups, outputs in overwritten inputs.
    fn owners(&mut self, steps: &[LoweredStep]) {
        for step in steps {
            for (output, &buffer) in step.writes.iter().enumerate() {
                if let Some(variable) = self.fused.direct_target(buffer) {
                    self.owner.insert(buffer, variable);
                    continue;
                }
                let overwritten = match &step.work {
                    Work::Map { in_place, .. } => in_place[output],
                    Work::Routine { in_place, .. } => in_place.then_some(0),
                    Work::Reduce { .. } | Work::Rows(_) | Work::Copy => None,
                };
                if let Some(read) = overwritten {
                    // Straight to the end of a long chain.
                    let read = step.reads[read];
                    let (root, offset) = self.root(read);
                    self.owner.insert(buffer, if offset == 0 { root } else { read });
                }
            }
        }
    }

    /// The buffer that has the memory, and the offset in it.
    fn root(&self, mut buffer: BufferId) -> (BufferId, usize) {
        let mut offset = 0;
        loop {
            if self.locations.contains_key(&buffer) {
                return (buffer, offset);
            }
            if let Some(&owner) = self.owner.get(&buffer) {
                buffer = owner;
            } else if let Some((parent, start)) = self.fused.buffers[buffer.0].part_of {
                offset += start;
                buffer = parent;
            } else {
                return (buffer, offset);
            }
        }
    }

    /// Slots for all values within the step and for scratch memory. Returns the printed form and each step's scratch.
    fn slots(&mut self, steps: &[LoweredStep]) -> (String, Vec<Vec<Location>>) {
        let mut lives: Vec<(Option<BufferId>, Lifetime)> = Vec::new();
        let mut index_of: FxHashMap<BufferId, usize> = FxHashMap::default();
        for (index, step) in steps.iter().enumerate() {
            for &buffer in step.writes.iter().chain(&step.reads) {
                let (root, _) = self.root(buffer);
                if self.locations.contains_key(&root) {
                    continue;
                }
                let bytes = self.fused.buffers[root.0].ty.bytes().div_ceil(16) * 16;
                let life = *index_of.entry(root).or_insert_with(|| {
                    lives.push((Some(root), Lifetime { first: index, last: index, bytes }));
                    lives.len() - 1
                });
                lives[life].1.last = index;
            }
        }
        for (_, _, buffer) in &self.fused.outputs {
            if let Some(&life) = index_of.get(&self.root(*buffer).0) {
                lives[life].1.last = usize::MAX;
            }
        }
        let mut scratch: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
        for (index, step) in steps.iter().enumerate() {
            for &bytes in step.plan.iter().flat_map(|plan| &plan.scratch) {
                scratch[index].push(lives.len());
                lives.push((None, Lifetime { first: index, last: index, bytes: bytes.div_ceil(16) * 16 }));
            }
        }
        let times: Vec<Lifetime> = lives.iter().map(|(_, life)| *life).collect();
        let (slots, sizes) = assign_slots(&times);
        let buffers: Vec<usize> = sizes.iter().map(|&bytes| self.add(bytes, BufferKind::Slot)).collect();
        let mut text = String::new();
        let held: usize = times.iter().map(|life| life.bytes).sum();
        let _ =
            writeln!(text, "{} slots, {} bytes for {held} bytes of values", sizes.len(), sizes.iter().sum::<usize>());
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); sizes.len()];
        slots.iter().enumerate().for_each(|(value, &slot)| members[slot].push(value));
        for (slot, bytes) in sizes.iter().enumerate() {
            let _ = write!(text, "slot {slot} ({bytes} bytes):");
            for &value in &members[slot] {
                let (buffer, life) = &lives[value];
                let name = buffer.map_or_else(
                    || format!("scratch {value}"),
                    |buffer| format!("b{} {}", buffer.0, self.fused.buffers[buffer.0].ty),
                );
                let end = if life.last == usize::MAX { "end".to_owned() } else { life.last.to_string() };
                let _ = write!(text, "  [{}–{end}] {name}", life.first);
            }
            text.push('\n');
        }
        for (value, (buffer, _)) in lives.iter().enumerate() {
            if let Some(buffer) = buffer {
                let bytes = self.fused.buffers[buffer.0].ty.bytes();
                self.locations.insert(*buffer, Location { buffer: buffers[slots[value]], offset: 0, bytes });
            }
        }
        let location =
            |&value: &usize| Location { buffer: buffers[slots[value]], offset: 0, bytes: times[value].bytes };
        (text, scratch.iter().map(|values| values.iter().map(location).collect()).collect())
    }

    fn location(&self, buffer: BufferId) -> Location {
        let (root, offset) = self.root(buffer);
        let bytes = self.fused.buffers[buffer.0].ty.bytes();
        self.locations.get(&root).map_or(Location { buffer: 0, offset: 0, bytes: 0 }, |root| Location {
            buffer: root.buffer,
            offset: root.offset + offset,
            bytes,
        })
    }

    fn step(
        &mut self,
        lowered: LoweredStep,
        scratch: &[Location],
        target: &Target,
        kernels: &mut FxHashMap<Kernel, usize>,
    ) -> Result<Step> {
        let bytes = traffic(self.fused, &lowered);
        let reads: Vec<Location> = lowered.reads.iter().map(|&read| self.location(read)).collect();
        let writes: Vec<Location> = lowered.writes.iter().map(|&write| self.location(write)).collect();
        let types = lowered.writes.iter().map(|write| self.fused.buffers[write.0].ty.clone()).collect();
        let mut dispatches = Vec::new();
        if let (Target::Gpu(adapter), Some(plan)) = (target, lowered.plan) {
            for planned in plan.dispatches {
                check(&planned, adapter, &lowered.label, lowered.origin)?;
                let most = adapter.limits.workgroups_per_dimension;
                let folded = planned.workgroups.div_ceil(2).max(2) as u32;
                let limit = if self.options.fold && planned.kernel.folds { folded.min(most) } else { most };
                let what = || format!("{} at {}", lowered.label, lowered.origin);
                let Some(grid) = Grid::line(planned.workgroups, limit) else {
                    let needed = planned.workgroups.div_ceil(limit as usize);
                    adapter.allows(Limit::WorkgroupsPerDimension, needed as u64, &what())?;
                    let message = format!("{} has no grid of {} workgroups", what(), planned.workgroups);
                    return Err(Error::Limit(message));
                };
                if grid.height > 1 && !planned.kernel.folds {
                    let message = format!(
                        "{} needs {} workgroups, more than a line of {limit} has, and its kernel {} does not unfold them",
                        what(),
                        planned.workgroups,
                        planned.kernel.label
                    );
                    return Err(Error::Limit(message));
                }
                let bindings: Vec<Location> = planned
                    .bound
                    .iter()
                    .map(|bound| match *bound {
                        Bound::Input(input) => reads[input],
                        Bound::Output(output) => writes[output],
                        Bound::Scratch(index) => scratch[index],
                    })
                    .collect();
                let largest = bindings.iter().map(|location| location.bytes).max().unwrap_or(0);
                adapter.allows(Limit::BindingBytes, largest as u64, &what())?;
                let count = kernels.len();
                let kernel = *kernels.entry(planned.kernel.clone()).or_insert_with(|| {
                    self.program.kernels.push(planned.kernel.clone());
                    count
                });
                let mut params = vec![grid.width];
                params.extend(&planned.params);
                while params.len() % 4 != 0 {
                    params.push(0);
                }
                dispatches.push(Dispatch { kernel, params, grid, bindings });
            }
        }
        Ok(Step {
            work: lowered.work,
            label: lowered.label,
            origin: lowered.origin,
            reads,
            writes,
            types,
            dispatches,
            flops: lowered.flops,
            bytes,
        })
    }

    fn ports(&mut self) {
        // Where nothing is computed, as of empty tensors alone, there is still a buffer to read them from.
        if self.program.buffers.is_empty() {
            self.add(0, BufferKind::Slot);
        }
        for (index, buffer) in self.fused.buffers.iter().enumerate() {
            if let Content::Input(name) = &buffer.content {
                let location = self.location(BufferId(index));
                self.program.inputs.push(Port {
                    name: name.clone(),
                    ty: buffer.ty.clone(),
                    stored: buffer.ty.dtype,
                    location,
                });
            }
        }
        for (name, ty, buffer) in &self.fused.outputs {
            let location = self.location(*buffer);
            self.program.outputs.push(Port { name: name.clone(), ty: ty.clone(), stored: ty.dtype, location });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_that_live_together_never_share_a_slot(
            lives in prop::collection::vec((0_usize..50, 0_usize..20, 1_usize..1000), 0..80)
        ) {
            let values: Vec<Lifetime> = lives
                .iter()
                .map(|&(first, length, bytes)| Lifetime { first, last: first + length, bytes: bytes * 16 })
                .collect();
            let (slots, sizes) = assign_slots(&values);
            for (a, life) in values.iter().enumerate() {
                prop_assert!(sizes[slots[a]] >= life.bytes);
                for b in 0..a {
                    let together = values[b].first <= life.last && life.first <= values[b].last;
                    prop_assert!(!together || slots[a] != slots[b]);
                }
            }
        }
    }
}
