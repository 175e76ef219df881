//! The plans of recurrences. Where a workgroup has all units of its rows of the batch, it computes the whole sequence in one
//! dispatch; else a dispatch is one step of all units.
//!
//! Where states are shared by workgroup memory, a dispatch before the sequence puts the weight into the order in which it is loaded, four
//! inner indices at once.
//!
//! WebGPU grants a kernel eight storage buffers, so the cell's parameters are behind the bias in one of them. Software drivers leave loops
//! after a number of iterations, so a sequence may take several dispatches. Subgroups that share a workgroup's units have fewer
//! iterations each; but where one subgroup finishes a sequence in as few dispatches, it is a workgroup by itself and needs no barrier
//! beyond its own: lavapipe makes a coroutine of a kernel with any other, and keeps its registers in memory. An iteration does the least
//! with which the sequence fits, since smaller kernels are the faster ones.

use super::module;
use super::{InputIndices, Pass, Recurrent};
use crate::shader::slot::{
    Barrier, Cell, RecurrenceConstants, Rhs, SequenceConstants, StateProduct, StateWeight, StepStore, StoredConstants,
};
use crate::shader::{Adapter, Bound, DispatchPlan, IterationWords, Kernel, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// Hidden units up to which a GPU is better off with a whole sequence in a workgroup than with a dispatch a step.
const WHOLE_UP_TO: usize = 256;

/// Steps from which on a sequence is worth putting its weight into another order.
const ORDERED_FROM: usize = 4;

/// Iterations of all loops after which software drivers leave them, with a little room to spare.
const MOST_ITERATIONS: usize = 65_000;

/// How a kernel is built.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Variant {
    /// Invocations of a workgroup; of a subgroup, where states are shared by shuffles.
    lanes: usize,
    shuffles: bool,
    /// Groups of `lanes` invocations in a workgroup, which share its blocks of units.
    waves: usize,
    /// Rows of the batch that a workgroup has, and blocks of units that an invocation works on at a time. Where sequences are stored in
    /// 16 bits, two of those are neighbouring units.
    rows: usize,
    units: usize,
    /// Inner indices of an iteration of the product's loop; multiples of four where states are shared by workgroup memory.
    unroll: usize,
    /// Elements of an iteration of the loop after the products.
    items: usize,
    /// True where a workgroup has all units.
    whole: bool,
    /// True where a workgroup is one subgroup, which needs no other barrier than its own.
    alone: bool,
}

impl Variant {
    /// Elements of an iteration of the loop after the products: as many as wanted, or as divide the loop into equal iterations.
    fn items(&self) -> usize {
        [4, 2]
            .into_iter()
            .find(|&items| items <= self.items && (self.units * self.rows).is_multiple_of(items))
            .unwrap_or(1)
    }
}

/// All plans that the adapter can run, best guess first; with `tuning`, more that may be the fastest.
pub(super) fn plans(
    recurrent: &Recurrent,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    let types: Vec<&TensorType> = shapes.inputs.iter().map(|operand| &operand.ty).collect();
    let [steps, batch, hidden] = recurrent.extents(&types)?;
    if types.iter().any(|ty| ty.dtype == DType::F64) {
        return Err("computes in f32 on a GPU, not f64".into());
    }
    if types.iter().copied().chain(shapes.outputs).any(|ty| ty.len() > i32::MAX as usize) {
        return Err("is larger than 32-bit addresses reach".into());
    }
    if steps * batch * hidden == 0 {
        return Ok(vec![KernelPlan::default()]);
    }
    let inputs = recurrent.input_indices();
    let (reads, stores) = match recurrent.pass {
        Pass::Forward { .. } => (types[0].dtype, shapes.outputs[2].dtype),
        Pass::Backward { .. } => {
            (inputs.outputs.map_or(DType::F32, |index| types[index].dtype), shapes.outputs[0].dtype)
        }
    };
    let sequence = Sequence { recurrent, inputs, saved: types[1].dtype, reads, stores, steps, batch, hidden };
    let in_pairs = sequence.is_in_pairs();
    // Of pairs, a tile has one at least.
    let least = if in_pairs { 2 } else { 1 };
    let mut variants = Vec::new();
    let by_size = |variants: &mut Vec<Variant>, variant: Variant, whole_first: bool| {
        for whole in [whole_first, !whole_first] {
            // A sequence that software drivers would not complete takes a dispatch a step.
            if !whole || sequence.iterations_at_once(&Variant { whole, ..variant }, adapter) > 0 {
                variants.push(Variant { whole, ..variant });
            }
        }
    };
    let tile = |most: usize| if adapter.bounded_loops { 1 } else { most };
    let fitting = |most: usize| (0..).map(|power| 1 << power).take_while(|&rows| rows <= most && rows <= batch).last();
    if let Some((lanes, _)) =
        adapter.subgroups.filter(|(smallest, largest)| smallest == largest && (4..=64).contains(largest))
    {
        let lanes = lanes as usize;
        let blocks = hidden.div_ceil(lanes);
        let units = match recurrent.pass {
            Pass::Forward { .. } => tile(if hidden > 64 { 4 } else { 2 }),
            Pass::Backward { .. } => tile(4),
        };
        let rows = fitting(tile(16)).unwrap_or(1);
        // Rows for at least two workgroups, where there are enough.
        let rows = rows.min(fitting(batch.div_ceil(2)).unwrap_or(1));
        let units = units.min(blocks).next_multiple_of(least);
        // Blocks side by side: each invocation's loops are shorter, and so get further before the driver leaves them.
        let waves = blocks.div_ceil(units).min(8).min(adapter.limits.workgroup_invocations / lanes);
        let variant =
            Variant { lanes, shuffles: true, waves, rows, units, unroll: 4, items: least, whole: true, alone: false };
        if adapter.is_software && adapter.subgroup_barriers {
            // The more units and elements an iteration, the fewer iterations; but the fastest have about as many sums as registers
            // hold.
            let width = sequence.width();
            let fastest = tile(if width > 3 { 1 } else { 4 / width.div_ceil(2) });
            let sizes = [(1, 2), (1, 4), (2, 2), (2, 4), (4, 4)];
            let candidates = sizes.into_iter().map(|(times, items)| {
                let units = tile(times * fastest).min(8).min(blocks).next_multiple_of(least);
                let items = tile(items).max(least);
                Variant { waves: 1, units, unroll: lanes.min(8), items, alone: true, ..variant }
            });
            // A sequence is not to be cut into more dispatches for it.
            let most = sequence.dispatches(&variant, adapter);
            let fits = |alone: &Variant| width * alone.units <= 16 && sequence.dispatches(alone, adapter) <= most;
            variants.extend(candidates.into_iter().find(fits));
        }
        by_size(&mut variants, variant, true);
    }
    let lanes = [64, 128, 256].into_iter().find(|&lanes| lanes * least >= hidden).unwrap_or(256);
    let lanes = lanes.min(adapter.limits.workgroup_invocations);
    let rows = fitting(tile(4)).unwrap_or(1);
    // The more sums an invocation has, the fewer inner indices keep it busy.
    let unroll = if sequence.width() > 1 { 8 } else { 16 };
    let mut others = Vec::new();
    by_size(
        &mut others,
        Variant {
            lanes,
            shuffles: false,
            waves: 1,
            rows,
            units: least,
            unroll,
            items: least,
            whole: true,
            alone: false,
        },
        hidden <= WHOLE_UP_TO,
    );
    if adapter.is_software {
        variants.append(&mut others);
    } else {
        others.append(&mut variants);
        variants = others;
    }
    if tuning {
        let others = sequence.neighbours(&variants, adapter);
        variants.extend(others);
    }
    variants.iter().map(|variant| sequence.plan(variant, adapter)).collect()
}

struct Sequence<'a> {
    recurrent: &'a Recurrent,
    inputs: InputIndices,
    /// Of the backward pass, the type in which its second input is stored.
    saved: DType,
    /// The type in which the gates are stored, or the gradients of the outputs; and that in which sequences are to be.
    reads: DType,
    stores: DType,
    steps: usize,
    batch: usize,
    hidden: usize,
}

impl Sequence<'_> {
    const fn is_backward(&self) -> bool {
        matches!(self.recurrent.pass, Pass::Backward { .. })
    }

    /// True where an invocation has two neighbouring units at a time, to store both in one word.
    fn is_in_pairs(&self) -> bool {
        self.stores != DType::F32
    }

    /// Iterations of the whole sequence.
    const fn iterations(&self) -> usize {
        self.steps + if self.is_backward() { 1 } else { 0 }
    }

    /// Dispatches of the whole sequence, each of as many iterations as the driver completes.
    fn dispatches(&self, variant: &Variant, adapter: &Adapter) -> usize {
        let at_once = self.iterations_at_once(variant, adapter);
        if at_once == 0 { usize::MAX } else { self.iterations().div_ceil(at_once) }
    }

    /// Sums of a unit.
    fn width(&self) -> usize {
        if self.is_backward() { 1 } else { self.recurrent.cell.gates() }
    }

    fn halves(&self) -> usize {
        if self.recurrent.cell.derived().inner.is_some() { 2 } else { 1 }
    }

    /// Half and double the rows and units of each variant, and half the groups of invocations, where that is something else.
    fn neighbours(&self, variants: &[Variant], adapter: &Adapter) -> Vec<Variant> {
        // Where naga bounds loops, larger tiles are never faster.
        if adapter.bounded_loops {
            return Vec::new();
        }
        let mut found: Vec<Variant> = Vec::new();
        for &variant in variants {
            let Variant { lanes, rows, units, waves, .. } = variant;
            let others = [
                Variant { rows: rows / 2, ..variant },
                Variant { rows: (2 * rows).min(16), ..variant },
                Variant { units: units / 2, ..variant },
                Variant { units: (2 * units).min(4), ..variant },
                Variant { waves: waves / 2, ..variant },
            ];
            let fits = |other: &Variant| {
                other.rows > 0
                    && other.units > 0
                    && other.waves > 0
                    && other.rows <= self.batch
                    && (other.units == 1 || other.units * lanes <= self.hidden)
                    && !(self.is_in_pairs() && other.units % 2 == 1)
                    && (!other.whole || self.iterations_at_once(other, adapter) > 0)
            };
            for other in others.into_iter().filter(fits) {
                if !variants.contains(&other) && !found.contains(&other) {
                    found.push(other);
                }
            }
        }
        found
    }

    /// Groups of four inner indices, those that fill up the last iteration among them.
    const fn quads(&self, variant: &Variant) -> usize {
        self.hidden.div_ceil(variant.unroll) * variant.unroll / 4
    }

    /// True where the weight is put into an order of its own.
    const fn is_ordered(&self, variant: &Variant) -> bool {
        !variant.shuffles && self.steps >= ORDERED_FROM
    }

    /// The dispatch that does that, and the bytes of the result.
    fn order_weight(&self, variant: &Variant) -> Result<(DispatchPlan, usize), String> {
        let gates = self.recurrent.cell.gates();
        // In the backward pass, each gate's rows are a block.
        let [blocks, columns] = if self.is_backward() { [gates, self.hidden] } else { [1, gates * self.hidden] };
        let quads = self.quads(variant);
        let count = blocks * quads * columns;
        let kernel = Kernel::of(KernelFile::RecurrenceWeights).slot(StateWeight::Words);
        let kernel = kernel.kernel("recurrence_weights", 1, 1)?;
        let words = [count, self.hidden, quads, columns, 0, 0, 0];
        let params = words.iter().map(|&word| word as u32).collect();
        let bound = vec![Bound::Input(if self.is_backward() { 0 } else { 1 }), Bound::Scratch(0)];
        Ok((DispatchPlan { kernel, params, bound, workgroups: count.div_ceil(64) }, count * 16))
    }

    /// Blocks of units in all, and of a workgroup.
    const fn blocks(&self, variant: &Variant) -> [usize; 2] {
        let all = self.hidden.div_ceil(variant.lanes * variant.units);
        [all, if variant.whole { all } else { variant.waves }]
    }

    /// Iterations that an invocation can run before the driver leaves its loops; 0 where not even one.
    fn iterations_at_once(&self, variant: &Variant, adapter: &Adapter) -> usize {
        if !adapter.is_software {
            return usize::MAX;
        }
        /// What a loop adds up to: its iterations with the loops inside, and one more to see that it is over.
        const fn iterations(count: usize, inside: usize) -> usize {
            count * (1 + inside) + 1
        }
        // Loops over a tile are written out, but where they are bounded.
        let tile = |count: usize, inside: usize| if adapter.bounded_loops { iterations(count, inside) } else { 0 };
        let width = self.width();
        let products = if self.is_backward() { self.recurrent.cell.gates() } else { 1 };
        let rows = tile(variant.rows, 0);
        let sums = tile(width, tile(variant.units, rows));
        let product = if variant.shuffles {
            let unrolled = variant.unroll * (rows + sums);
            // Where an iteration covers all of the lanes' inner indices, there is no loop.
            let lanes = if variant.unroll < variant.lanes {
                iterations(variant.lanes.div_ceil(variant.unroll), unrolled)
            } else {
                unrolled
            };
            iterations(self.hidden.div_ceil(variant.lanes), rows + lanes)
        } else {
            let loading = iterations((16 * variant.rows).div_ceil(variant.lanes), 0);
            let unrolled = variant.unroll / 4 * (rows + sums);
            let turns = self.quads(variant).min(16).div_ceil(variant.unroll / 4);
            iterations(self.quads(variant).div_ceil(16), loading + iterations(turns, unrolled))
        };
        let cell = &self.recurrent.cell;
        let longest = cell.saved().max(cell.gradients()).max(cell.parameters().len());
        let unit = 8 * tile(longest, 0);
        let items = variant.items();
        let after = iterations(variant.units * variant.rows / items, items * unit);
        // Measured: a few more than can be accounted for, in each block where subgroups share a workgroup.
        let more = if variant.alone { 1 } else { 16 };
        let block = more + iterations(products, product + rows) + 2 * sums + after;
        let blocks = 16 + iterations(self.blocks(variant)[1].div_ceil(variant.waves), block);
        MOST_ITERATIONS / (1 + iterations(self.halves(), blocks))
    }

    fn plan(&self, variant: &Variant, adapter: &Adapter) -> Result<KernelPlan, String> {
        let kernel = self.kernel(variant)?;
        let [unit_blocks, blocks_each] = self.blocks(variant);
        let row_blocks = self.batch.div_ceil(variant.rows);
        let iterations = self.iterations();
        // Dispatches: a number of iterations, and the halves of each.
        let at_once = if variant.whole { self.iterations_at_once(variant, adapter).clamp(1, iterations) } else { 1 };
        let halves: &[[usize; 2]] = match (self.halves(), variant.whole) {
            (1, _) => &[[0, 1]],
            (_, true) => &[[0, 2]],
            (_, false) => &[[0, 1], [1, 2]],
        };
        let (mut dispatches, mut scratch) = (Vec::new(), Vec::new());
        if self.is_ordered(variant) {
            let (dispatch, bytes) = self.order_weight(variant)?;
            dispatches.push(dispatch);
            scratch.push(bytes);
        }
        for first in (0..iterations).step_by(at_once) {
            let count = at_once.min(iterations - first);
            for &[first_half, end_half] in halves {
                let words = [
                    self.steps,
                    self.batch,
                    self.hidden,
                    first,
                    count,
                    first_half,
                    end_half,
                    row_blocks,
                    unit_blocks,
                    blocks_each,
                    0,
                ];
                dispatches.push(DispatchPlan {
                    kernel: kernel.clone(),
                    params: words.iter().map(|&word| word as u32).collect(),
                    bound: self.bound(variant),
                    workgroups: row_blocks * unit_blocks.div_ceil(blocks_each),
                });
            }
        }
        Ok(KernelPlan { dispatches, scratch })
    }

    fn bound(&self, variant: &Variant) -> Vec<Bound> {
        let inputs = &self.inputs;
        let weight = |index| if self.is_ordered(variant) { Bound::Scratch(0) } else { Bound::Input(index) };
        // What is not there is not read; something must be bound all the same.
        let optional = |index: Option<usize>| Bound::Input(index.unwrap_or(0));
        match self.recurrent.pass {
            Pass::Forward { .. } => vec![
                Bound::Input(0),
                weight(1),
                optional(inputs.vectors),
                optional(inputs.initial),
                optional(inputs.lengths),
                Bound::Output(0),
                Bound::Output(1),
                Bound::Output(2),
            ],
            Pass::Backward { .. } => vec![
                weight(0),
                Bound::Input(1),
                optional(inputs.outputs),
                optional(inputs.last),
                optional(inputs.lengths),
                optional(inputs.vectors),
                Bound::Output(0),
                Bound::Output(1),
            ],
        }
    }

    fn kernel(&self, variant: &Variant) -> Result<Kernel, String> {
        let inputs = &self.inputs;
        let file = if self.is_backward() { KernelFile::RecurrenceBackward } else { KernelFile::Recurrence };
        let cell = &self.recurrent.cell;
        let has_bias = matches!(self.recurrent.pass, Pass::Forward { bias: true, .. });
        let sizes = RecurrenceConstants {
            rows: variant.rows,
            lanes: variant.lanes,
            waves: variant.waves,
            units: variant.units,
            unroll: variant.unroll,
            items: variant.items(),
        };
        let sequence = SequenceConstants {
            reverse: self.recurrent.reverse,
            has_bias,
            first_parameter: if has_bias { cell.gates() } else { 0 },
            has_initial: inputs.initial.is_some(),
            has_lengths: inputs.lengths.is_some(),
            is_ragged: !self.hidden.is_multiple_of(if variant.shuffles { variant.lanes } else { variant.unroll }),
            has_outputs: inputs.outputs.is_some(),
            has_last: inputs.last.is_some(),
            reads_f16: self.reads == DType::F16,
            reads_bf16: self.reads == DType::BF16,
            stores_bf16: self.stores == DType::BF16,
        };
        let kernel = Kernel::of(file)
            .slot(sizes)
            .slot(sequence)
            .slot(module::constants(cell))
            .slot(Cell(&module::functions(cell)))
            .slot(if variant.shuffles { StateProduct::Lanes } else { StateProduct::Pieces })
            .slot(if variant.alone { Barrier::Subgroup } else { Barrier::Storage })
            .slot(if self.is_in_pairs() { StepStore::Pairs } else { StepStore::Words });
        let kernel = if self.is_backward() {
            let is = |dtype: DType| self.saved == dtype;
            let (rhs_f16, rhs_bf16) = (is(DType::F16), is(DType::BF16));
            kernel.slot(StoredConstants { lhs_f16: false, lhs_bf16: false, rhs_f16, rhs_bf16 }).slot(Rhs::Elements)
        } else {
            kernel
        };
        let kernel = match (variant.shuffles, self.is_ordered(variant)) {
            (true, _) => kernel,
            (_, true) => kernel.slot(StateWeight::Quads),
            (_, false) => kernel.slot(StateWeight::Words),
        };
        let (reads, writes) = if self.is_backward() { (6, 2) } else { (5, 3) };
        let label = format!(
            "{}{} {}x{}{}{}{}",
            cell.operator_name(),
            if self.is_backward() { " backward" } else { "" },
            variant.rows,
            variant.lanes * variant.units,
            if variant.shuffles { " lanes" } else { "" },
            match (variant.alone, variant.whole) {
                (true, _) => " alone",
                (false, true) => "",
                (false, false) => " stepwise",
            },
            match self.stores {
                DType::F16 => " f16",
                DType::BF16 => " bf16",
                _ => "",
            }
        );
        // After the grid's width, the number of steps, the batch and the units.
        let iterations = variant.whole.then_some(IterationWords { first: 4, count: 5 });
        Ok(Kernel { subgroups: variant.shuffles, iterations, ..kernel.kernel(label, reads, writes)? })
    }
}
