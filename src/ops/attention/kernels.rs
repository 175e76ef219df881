//! The plans of attention: a dispatch for the forward pass, and two for the backward pass, one of which has the gradients of queries and
//! the other those of keys and values. Software drivers leave loops after a number of iterations, so that there a long row of keys takes
//! several dispatches, each of which continues with what the one before has stored.

use super::{Attention, AttentionPass, Sizes, module};
use crate::scalar::Affine;
use crate::shader::slot::{self, AttentionConstants, AttentionSoftwareConstants, Score, Words};
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// The largest heads that the kernel for hardware has sums for.
const MOST_ELEMENTS: usize = 256;

/// Rows and columns that the kernel for hardware has at a time, its invocations and its workgroup memory.
const TILE: usize = 64;
const INVOCATIONS: usize = 256;
const WORKGROUP_BYTES: usize = 12 << 10;

/// Iterations of all loops after which software drivers leave them, with some room to spare.
const MOST_ITERATIONS: usize = 60_000;

/// Where `family/attention` has the layouts of tensors.
const TENSORS: usize = 9;

/// Multiplications of scores from which software drivers get large tiles.
const LARGE_FROM: usize = 1 << 22;

/// Elements of a sum that an invocation of the kernel for software drivers has at most.
const MOST_SUMS: usize = 128;

/// How a kernel is built.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
    Hardware,
    Software { rows: usize, columns: usize, lanes: usize },
}

impl Variant {
    const fn rows(self) -> usize {
        match self {
            Self::Hardware => TILE,
            Self::Software { rows, .. } => rows,
        }
    }

    const fn columns(self) -> usize {
        match self {
            Self::Hardware => TILE,
            Self::Software { columns, lanes, .. } => columns * lanes,
        }
    }
}

/// What a dispatch computes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Forward,
    Queries,
    Keys,
}

impl Step {
    const fn slot(self) -> slot::AttentionPass {
        match self {
            Self::Forward => slot::AttentionPass::Forward,
            Self::Queries => slot::AttentionPass::Queries,
            Self::Keys => slot::AttentionPass::Keys,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Forward => "attention",
            Self::Queries => "attention_d_queries",
            Self::Keys => "attention_d_keys_values",
        }
    }

    /// What it reads before the score's buffers, and what it writes.
    fn bound(self) -> (Vec<Bound>, [Bound; 2]) {
        let inputs = |indices: &[usize]| indices.iter().map(|&index| Bound::Input(index)).collect::<Vec<_>>();
        match self {
            Self::Forward => (inputs(&[0, 1, 2]), [Bound::Output(0), Bound::Output(1)]),
            Self::Queries => (inputs(&[0, 1, 2, 5, 3, 4]), [Bound::Output(0), Bound::Scratch(0)]),
            Self::Keys => {
                let mut reads = inputs(&[0, 1, 2, 5, 4]);
                reads.push(Bound::Scratch(0));
                (reads, [Bound::Output(1), Bound::Output(2)])
            }
        }
    }

    fn of(pass: AttentionPass) -> &'static [Self] {
        match pass {
            AttentionPass::Forward => &[Self::Forward],
            AttentionPass::Backward => &[Self::Queries, Self::Keys],
        }
    }
}

/// Why there are no kernels for inputs of these types; nothing where there are.
pub(super) fn obstacle(attention: &Attention, types: &[&TensorType], adapter: &Adapter) -> Option<String> {
    let sizes = attention.sizes(types).ok()?;
    let buffers = types.len() - attention.fixed();
    let most = adapter.limits.storage_buffers;
    let bound = |step: &Step| step.bound().0.len() + buffers + 2;
    let needed = Step::of(attention.pass).iter().map(bound).max().unwrap_or(0);
    if needed > most {
        return Some(format!("its kernel binds {needed} buffers, and {} allows {most}", adapter.name));
    }
    if sizes.value_size == 0 || sizes.head_size.max(sizes.value_size) > MOST_ELEMENTS {
        return Some(format!("its kernels are for heads of 1 to {MOST_ELEMENTS} elements"));
    }
    if adapter.limits.workgroup_invocations < INVOCATIONS || adapter.limits.workgroup_bytes < WORKGROUP_BYTES {
        return Some(format!("its kernels have workgroups of {INVOCATIONS} invocations"));
    }
    None
}

/// All plans that the adapter can run, best guess first.
pub(super) fn plans(
    attention: &Attention,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
    tuning: bool,
) -> Result<Vec<KernelPlan>, String> {
    // Tensors of 16 bits are widened as they are loaded.
    let computed: Vec<TensorType> = shapes
        .inputs
        .iter()
        .map(|operand| TensorType::new(operand.ty.dtype.compute(), operand.ty.shape.clone()))
        .collect();
    let types: Vec<&TensorType> = computed.iter().collect();
    let sizes = attention.sizes(&types)?;
    if shapes.outputs.iter().any(|ty| ty.dtype != DType::F32) {
        return Err(format!("computes in f32 on a GPU, not {}", types[0].dtype));
    }
    if types.iter().copied().chain(shapes.outputs).any(|ty| ty.len() > i32::MAX as usize) {
        return Err("is larger than 32-bit addresses reach".into());
    }
    if let Some(obstacle) = obstacle(attention, &types, adapter) {
        return Err(obstacle);
    }
    let problem = Problem { attention, shapes, sizes, adapter };
    let mut variants = problem.software(tuning);
    variants.insert(if adapter.is_software { variants.len() } else { 0 }, Variant::Hardware);
    variants.into_iter().map(|variant| problem.plan(variant)).collect()
}

struct Problem<'a> {
    attention: &'a Attention,
    shapes: &'a RoutineShapes<'a>,
    sizes: Sizes,
    adapter: &'a Adapter,
}

impl Problem<'_> {
    /// Variants of the kernel for software drivers.
    fn software(&self, tuning: bool) -> Vec<Variant> {
        let fixed = self.adapter.subgroups.filter(|(smallest, largest)| smallest == largest);
        let Some((lanes, _)) = fixed.filter(|(_, largest)| self.adapter.is_software && (4..=64).contains(largest))
        else {
            return Vec::new();
        };
        let Sizes { queries, keys, head_size, value_size, .. } = self.sizes;
        let lanes = lanes as usize;
        let vectors = head_size.max(value_size).div_ceil(2 * lanes) * 2;
        // In the backward pass rows are queries, and then keys.
        let is_backward = self.attention.pass == AttentionPass::Backward;
        let extent = if is_backward { queries.max(keys) } else { queries };
        // A large tile takes the driver seconds to compile; it must have something to win.
        let pairs = self.sizes.scores().iter().product::<usize>();
        let (most_rows, most_at_once) = if pairs * head_size < LARGE_FROM { (4, 2) } else { (16, 4) };
        let rows = |most: usize| {
            let fits = |rows: &usize| rows * vectors <= MOST_SUMS && *rows < 2 * extent.max(1);
            [16, 8, 4, 2].into_iter().filter(|&rows| rows <= most).find(fits).unwrap_or(1)
        };
        let most_columns = if is_backward { extent } else { keys }.div_ceil(lanes).max(1);
        let columns = |most: usize| [4, 2].into_iter().find(|&columns| columns <= most.min(most_columns)).unwrap_or(1);
        // Where loops are bounded, all that they do counts.
        if self.adapter.bounded_loops {
            return vec![Variant::Software { rows: 1, columns: 1, lanes }];
        }
        let mut found = vec![Variant::Software { rows: rows(most_rows), columns: columns(most_at_once), lanes }];
        if tuning {
            for other in [
                Variant::Software { rows: rows(16), columns: columns(4), lanes },
                Variant::Software { rows: rows(16), columns: columns(2), lanes },
                Variant::Software { rows: rows(8), columns: columns(4), lanes },
                Variant::Software { rows: rows(4), columns: columns(4), lanes },
            ] {
                if !found.contains(&other) {
                    found.push(other);
                }
            }
        }
        found
    }

    fn plan(&self, variant: Variant) -> Result<KernelPlan, String> {
        let Sizes { batch, heads, queries, .. } = self.sizes;
        let mut plan = KernelPlan::default();
        for &step in Step::of(self.attention.pass) {
            self.add(step, variant, &mut plan.dispatches)?;
        }
        if self.attention.pass == AttentionPass::Backward {
            plan.scratch.push(4 * (batch * heads * queries).max(1));
        }
        Ok(plan)
    }

    fn add(&self, step: Step, variant: Variant, dispatches: &mut Vec<DispatchPlan>) -> Result<(), String> {
        let Sizes { batch, heads, key_heads, queries, keys, .. } = self.sizes;
        let (rows, columns, row_heads) =
            if step == Step::Keys { (keys, queries, key_heads) } else { (queries, keys, heads) };
        let row_blocks = rows.div_ceil(variant.rows());
        let workgroups = batch * row_heads * row_blocks;
        if workgroups == 0 {
            return Ok(());
        }
        let kernel = self.kernel(step, variant)?;
        let buffers = self.attention.fixed()..self.shapes.inputs.len();
        let (mut bound, written) = step.bound();
        bound.extend(buffers.map(Bound::Input));
        bound.extend(written);
        let at_once = self.columns_at_once(step, variant).min(columns.max(1));
        let group = if heads == 0 { 1 } else { heads / key_heads };
        for first in (0..columns.max(1)).step_by(at_once) {
            let end = (first + at_once).min(columns);
            let words = [batch, heads, group, queries, keys, row_blocks, first, end, usize::from(first > 0)];
            let mut params: Vec<u32> = words.iter().map(|&word| word as u32).collect();
            params.extend([(self.attention.scale() as f32).to_bits(), 0]);
            params.extend(self.layouts());
            dispatches.push(DispatchPlan { kernel: kernel.clone(), params, bound: bound.clone(), workgroups });
        }
        Ok(())
    }

    fn kernel(&self, step: Step, variant: Variant) -> Result<Kernel, String> {
        let buffers: Vec<&Operand> = self.shapes.inputs[self.attention.fixed()..].iter().collect();
        let reads = step.bound().0.len();
        let constants = AttentionConstants {
            head_size: self.sizes.head_size,
            value_size: self.sizes.value_size,
            buffers: buffers.len(),
            drops: self.attention.dropout.is_some(),
            first_written: 1 + reads + buffers.len(),
            f16_tensors: self.stored_as(DType::F16),
            bf16_tensors: self.stored_as(DType::BF16),
        };
        let functions = module::functions(self.attention, &self.sizes, &buffers, 1 + reads);
        let file = match variant {
            Variant::Hardware => KernelFile::Attention,
            Variant::Software { .. } => KernelFile::AttentionSoftware,
        };
        let kernel = Kernel::of(file).slot(step.slot()).slot(constants).slot(Score(&functions));
        let (label, kernel) = match variant {
            Variant::Hardware => (String::new(), kernel),
            Variant::Software { rows, columns, lanes } => {
                let label = format!(" {rows}x{}", columns * lanes);
                (label, kernel.slot(AttentionSoftwareConstants { rows, columns, lanes }))
            }
        };
        let words = self.words(variant);
        let label = label
            + match words {
                Words::Elements => "",
                Words::Pairs => " pairs",
                Words::Halves => " halves",
                Words::Stored => " stored",
            };
        let kernel = kernel.slot(words);
        let label = format!("{}{label} {}", step.name(), self.attention.score.name());
        let kernel = kernel.kernel(label, reads + buffers.len(), 2)?;
        Ok(Kernel { subgroups: matches!(variant, Variant::Software { .. }), ..kernel })
    }

    /// How tensors are read.
    fn words(&self, variant: Variant) -> Words {
        let is_software = matches!(variant, Variant::Software { .. });
        let [f16, bf16] = [DType::F16, DType::BF16].map(|dtype| self.stored_as(dtype));
        let all: usize = self.tensors().iter().map(|&(_, tensor)| 1 << tensor).sum();
        if f16 == 0 && bf16 == 0 {
            let pairs = is_software && self.adapter.wide_integers && self.has_pairs();
            if pairs { Words::Pairs } else { Words::Elements }
        } else if (f16 == all || bf16 == all) && self.has_pairs() {
            Words::Halves
        } else {
            Words::Stored
        }
    }

    /// The inputs that have rows of heads, and their numbers in `family/attention`.
    const fn tensors(&self) -> &'static [(usize, usize)] {
        match self.attention.pass {
            AttentionPass::Forward => &[(0, 0), (1, 1), (2, 2)],
            AttentionPass::Backward => &[(0, 0), (1, 1), (2, 2), (3, 3), (5, 4)],
        }
    }

    /// A bit for each of them that is stored in a type.
    fn stored_as(&self, dtype: DType) -> usize {
        let is_it = |index: usize| self.shapes.inputs[index].ty.dtype == dtype;
        self.tensors().iter().filter(|(index, _)| is_it(*index)).map(|&(_, tensor)| 1 << tensor).sum()
    }

    /// Whether rows of all tensors begin at even addresses.
    fn has_pairs(&self) -> bool {
        let Sizes { head_size, value_size, .. } = self.sizes;
        let is_even = |number: i64| number % 2 == 0;
        head_size.is_multiple_of(2)
            && value_size.is_multiple_of(2)
            && self.tensors().iter().all(|&(index, _)| {
                let Affine { offset, strides } = &self.shapes.inputs[index].at;
                is_even(*offset) && strides[3] == 1 && strides[..3].iter().all(|&stride| is_even(stride))
            })
    }

    /// Columns that a dispatch can have before the driver leaves its loops.
    fn columns_at_once(&self, step: Step, variant: Variant) -> usize {
        if !self.adapter.is_software {
            return usize::MAX;
        }
        let Sizes { heads, key_heads, head_size, value_size, .. } = self.sizes;
        // Loops over a tile are written out, but where they are bounded.
        let tile = |count: usize, inside: usize| if self.adapter.bounded_loops { 1 + count * (1 + inside) } else { 0 };
        let loops = |count: usize, inside: usize| 1 + count * (1 + inside);
        let sizes = match step {
            Step::Forward => &[head_size][..],
            Step::Queries | Step::Keys => &[head_size, value_size],
        };
        let depths = match step {
            Step::Forward => &[value_size][..],
            Step::Queries => &[head_size],
            Step::Keys => &[value_size, head_size],
        };
        let block: usize = match variant {
            Variant::Software { rows, columns, lanes } => {
                let product = |&size: &usize| {
                    let inner = loops(lanes, tile(columns, 0) + tile(rows, tile(columns, 0)));
                    loops(size.div_ceil(2 * lanes), tile(rows, 0) + inner)
                };
                let sum = |&depth: &usize| {
                    let vectors = depth.div_ceil(2 * lanes) * 2;
                    columns * (loops(lanes, tile(vectors, 0) + tile(rows, tile(vectors, 0))) + tile(rows, 0))
                };
                let pairs = 4 * tile(rows, 4 * tile(columns, 0) + tile(16, 0)) + 4 * tile(columns, tile(rows, 0));
                sizes.iter().map(product).sum::<usize>() + depths.iter().map(sum).sum::<usize>() + pairs
            }
            Variant::Hardware => {
                let product = |&size: &usize| loops(size.div_ceil(16), loops(16, 0));
                let sum = |&depth: &usize| depth.div_ceil(TILE) * loops(4, loops(16, 0));
                let reduced = loops(16, 0);
                sizes.iter().map(product).sum::<usize>() + depths.iter().map(sum).sum::<usize>() + reduced
            }
        };
        // The range of a buffer is found by reading it.
        let ranges = self.attention.score.declared().len() * loops(variant.rows().max(variant.columns()), 0);
        let members = if step == Step::Keys { heads / key_heads } else { 1 };
        let each = members * (1 + block + ranges);
        variant.columns() * (MOST_ITERATIONS / each.max(1)).max(1)
    }

    /// What `family/attention` knows of tensors' memory: four strides and an offset each.
    fn layouts(&self) -> Vec<u32> {
        let input = |index: usize| Some(&self.shapes.inputs[index].at);
        let Sizes { batch, heads, key_heads, queries, keys, head_size, value_size } = self.sizes;
        // Results lie row by row, by heads or by positions.
        let own = |heads: usize, rows: usize, size: usize| {
            let (heads, rows, size) = (heads as i64, rows as i64, size as i64);
            let strides = if self.attention.positions_first {
                [rows * heads * size, size, heads * size, 1]
            } else {
                [heads * rows * size, rows * size, size, 1]
            };
            Affine::new(0, strides)
        };
        let of_queries = |size: usize| own(heads, queries, size);
        let of_keys = |size: usize| own(key_heads, keys, size);
        let (result, d_q, d_k, d_v) =
            (of_queries(value_size), of_queries(head_size), of_keys(head_size), of_keys(value_size));
        let tensors: [Option<&Affine>; TENSORS] = match self.attention.pass {
            AttentionPass::Forward => [input(0), input(1), input(2), Some(&result), None, None, None, None, None],
            AttentionPass::Backward => {
                [input(0), input(1), input(2), input(3), input(5), Some(&d_q), Some(&d_k), Some(&d_v), input(4)]
            }
        };
        let mut words = Vec::new();
        let mut add = |strides: [i64; 4], offset: i64| {
            words.extend(strides.iter().chain(&[offset, 0, 0, 0]).map(|&word| word as i32 as u32));
        };
        for tensor in tensors {
            let strides =
                tensor.map_or([0; 4], |at| std::array::from_fn(|axis| at.strides.get(axis).copied().unwrap_or(0)));
            add(strides, tensor.map_or(0, |at| at.offset));
        }
        let extents = [batch, heads, queries, keys];
        for operand in &self.shapes.inputs[self.attention.fixed()..] {
            let is_broadcast = |axis: usize| operand.ty.shape.rank() == 4 && operand.ty.shape[axis] != extents[axis];
            let stride = |axis: usize| operand.at.strides.get(axis).copied().unwrap_or(0);
            let strides = std::array::from_fn(|axis| if is_broadcast(axis) { 0 } else { stride(axis) });
            add(strides, operand.at.offset);
        }
        words
    }
}
