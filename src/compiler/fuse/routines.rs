//! What routines read and give: operands as they are in memory, as views, or widened; results in their compute types.

use super::{Fuser, LazyValue, include, is_half};
use crate::compiler::fused::{BufferId, Content, FusedKernel, Head, Tail};
use crate::graph::{Routine, ValueId};
use crate::scalar::{Affine, Builder, ScalarFunction};
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

impl Fuser<'_> {
    pub(super) fn routine(&mut self, index: usize, routine: Routine<'_>) {
        let node = &self.data.nodes[index];
        self.widened.routines += 1;
        let (mut operands, mut inputs) = (Vec::new(), Vec::new());
        for (position, &input) in node.inputs.iter().enumerate() {
            let ty = self.data.ty(input).clone();
            let compute = TensorType::new(ty.dtype.compute(), ty.shape.clone());
            let view = self.lazy[&input].as_view().map(|(buffer, at)| (buffer, at.clone()));
            let fits = view.filter(|(buffer, at)| {
                let stored = &self.fused.buffers[buffer.0].ty;
                let whole = at.offset == 0 && at.is_row_major(&ty.shape) && stored.len() == ty.len();
                // Widened as it is loaded, where the value is that in f32.
                let readable = routine.reads_stored(position, self.on_cpu)
                    && is_half(stored.dtype)
                    && (stored.dtype == ty.dtype || ty.dtype == DType::F32);
                (stored.dtype == compute.dtype || readable) && (routine.accepts_views || whole)
            });
            let stored = routine.reads_stored(position, self.on_cpu) && self.read_stored.contains(&input);
            let (buffer, at) = match fits {
                Some(view) => view,
                None if stored => (self.stored(input), Affine::row_major(&ty.shape)),
                None => (self.in_compute_type(input, &compute), Affine::row_major(&ty.shape)),
            };
            operands.push(Operand { ty: TensorType::new(self.fused.buffers[buffer.0].ty.dtype, ty.shape), at });
            inputs.push(buffer);
        }
        // What the graph says to be of 16 bits, a routine either stores so, or what reads it is rounded.
        let halves = routine.stores_half(&node.outputs, self.on_cpu);
        let stored = |(index, ty): (usize, &TensorType)| {
            let dtype = if halves.contains(&index) { ty.dtype } else { ty.dtype.compute() };
            TensorType::new(dtype, ty.shape.clone())
        };
        let outputs: Vec<TensorType> = node.outputs.iter().enumerate().map(stored).collect();
        let values: Vec<ValueId> =
            (0..outputs.len()).map(|output| ValueId { node: index as u32, output: output as u32 }).collect();
        let buffers: Vec<BufferId> = outputs
            .iter()
            .zip(&values)
            .map(|(ty, &value)| self.fused.add_buffer(ty.clone(), Content::Kernel, Some(value)))
            .collect();
        let tail = routine.accepts_epilogue.then(|| identity_tail(outputs[0].shape.to_vec(), outputs[0].dtype));
        let names = vec![node.op.operator().name().into()];
        let head = Head::Routine { op: node.op.clone(), operands, inputs, outputs: outputs.clone() };
        self.push(FusedKernel::new(head, tail, buffers.clone(), names, node.origin));
        for ((value, buffer), ty) in values.into_iter().zip(buffers).zip(outputs) {
            if is_half(ty.dtype) {
                self.note_half(buffer);
            }
            self.insert_raw(value, buffer, ty.dtype);
        }
    }

    /// Records the lazy value of a raw result: rounded, where the value's type is a 16-bit one.
    pub(super) fn insert_raw(&mut self, value: ValueId, buffer: BufferId, compute: DType) {
        let ty = self.data.ty(value).clone();
        let mut lazy = LazyValue::buffer(buffer, compute, &ty.shape);
        if ty.dtype != compute {
            let mut builder = Builder::new(compute);
            let ids = include(&mut builder, &lazy.expression, |input| input);
            let value = builder.call(ScalarFunction::Cast(ty.dtype), &[ids[0]]);
            lazy.expression = builder.finish(ty.shape.to_vec(), vec![compute], vec![(value, ty.dtype)]);
            lazy.names.push("cast".into());
        }
        let store = self.read_stored.contains(&value) || self.is_stored_half(value);
        self.lazy.insert(value, lazy);
        if store {
            self.stored(value);
        }
    }

    /// A row-major buffer of a value in its compute type.
    fn in_compute_type(&mut self, value: ValueId, ty: &TensorType) -> BufferId {
        if let Some(half) = self.widens(value) {
            return self.widened_for_routine(value, half, ty);
        }
        if ty.dtype == self.data.ty(value).dtype {
            return self.stored(value);
        }
        if let Some(&buffer) = self.computed.get(&value) {
            return buffer;
        }
        let lazy = self.lazy[&value].clone();
        let buffer = self.map_kernel(value, ty, lazy);
        self.computed.insert(value, buffer);
        buffer
    }
}

/// The tail that stores the head's result.
pub(super) fn identity_tail(dims: Vec<usize>, dtype: DType) -> Tail {
    let mut builder = Builder::new(dtype);
    let node = builder.accumulator(dtype);
    Tail { expression: builder.finish(dims, Vec::new(), vec![(node, dtype)]), inputs: Vec::new() }
}
