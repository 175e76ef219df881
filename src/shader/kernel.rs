//! Kernels and plans: what to bind, what to dispatch.

use std::borrow::Cow;
use std::sync::Arc;

use super::Adapter;
use crate::scalar::{Affine, Epilogue};
use crate::tensor::{DType, TensorType};

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// A compute shader, complete. Binding 0 of group 0 is the uniform parameters, bindings 1, 2, … are storage buffers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// What a profile calls it: family and variant.
    pub label: String,
    /// Composed WGSL with the entry point `main`.
    pub source: Arc<str>,
    /// Access of each storage binding, from binding 1 on.
    pub bindings: Vec<Access>,
    /// True where it needs subgroup operations.
    pub subgroups: bool,
    /// True where it unfolds its workgroup's number, so that its grid may have several rows.
    pub folds: bool,
    /// Where its parameters say which steps of a sequence a dispatch computes, if it can be divided.
    pub(crate) iterations: Option<IterationWords>,
    /// True for a kernel of wgrad's own: its indices are right, and need not be clamped when it runs.
    pub(crate) is_trusted: bool,
}

/// The uniform parameters that say with which iteration of a loop a dispatch begins, and how many it does. What an iteration leaves for
/// the next is in memory, so that several dispatches do the same as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IterationWords {
    /// The word of the first iteration.
    pub(crate) first: usize,
    /// The word of their number.
    pub(crate) count: usize,
}

impl IterationWords {
    /// The parameters of dispatches that do the same as one, of nearly as many iterations each; none where there is nothing to divide.
    pub(crate) fn divide(self, params: &[u32], pieces: usize) -> Vec<Vec<u32>> {
        let (Some(&first), Some(&count)) = (params.get(self.first), params.get(self.count)) else { return Vec::new() };
        let pieces = pieces.min(count as usize);
        if pieces < 2 {
            return Vec::new();
        }
        let each = count.div_ceil(pieces as u32);
        let begins = (0..count).step_by(each as usize);
        let piece = |begin: u32| {
            let mut params = params.to_vec();
            params[self.first] = first + begin;
            params[self.count] = each.min(count - begin);
            params
        };
        begins.map(piece).collect()
    }
}

/// What a binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// An input of the routine.
    Input(usize),
    /// An output of the routine.
    Output(usize),
    /// Memory between the dispatches of one plan.
    Scratch(usize),
}

/// One dispatch of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchPlan {
    /// What runs.
    pub kernel: Kernel,
    /// Words of the uniform parameters after the first, which is the grid's width and precedes them.
    pub params: Vec<u32>,
    /// What the kernel's storage bindings are.
    pub bound: Vec<Bound>,
    /// Workgroups in all; the grid folds them.
    pub workgroups: usize,
}

/// The dispatches that do a routine's work.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct KernelPlan {
    /// In order.
    pub dispatches: Vec<DispatchPlan>,
    /// Bytes of each scratch memory.
    pub scratch: Vec<usize>,
}

impl KernelPlan {
    /// Storage buffers that its widest kernel binds.
    pub(crate) fn bindings(&self) -> usize {
        self.dispatches.iter().map(|dispatch| dispatch.kernel.bindings.len()).max().unwrap_or(0)
    }

    /// Checks a plan that another crate made.
    ///
    /// # Errors
    /// What is bound and is not there, or not as it is said; an output or an epilogue that nothing stores; what the device has not.
    pub(crate) fn check(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<(), String> {
        let expression = shapes.epilogue.map(|epilogue| &epilogue.expression);
        let inputs = shapes.inputs.len() + expression.map_or(0, |expression| expression.inputs.len());
        let outputs = expression.map_or(shapes.outputs.len(), |expression| expression.outputs.len());
        let mut is_written = vec![shapes.outputs.iter().all(TensorType::is_empty); outputs];
        for DispatchPlan { kernel, bound, .. } in &self.dispatches {
            let wrong = |message: String| Err(format!("kernel {}: {message}", kernel.label));
            if kernel.bindings.len() != bound.len() {
                return wrong(format!("it has {} bindings, and {} are bound", kernel.bindings.len(), bound.len()));
            }
            if kernel.subgroups && adapter.subgroups.is_none() {
                return wrong(format!("it needs subgroups, which {} has not", adapter.name));
            }
            for (access, bound) in kernel.bindings.iter().zip(bound) {
                let (what, index, count) = match *bound {
                    Bound::Input(index) => ("input", index, inputs),
                    Bound::Output(index) => ("output", index, outputs),
                    Bound::Scratch(index) => ("scratch memory", index, self.scratch.len()),
                };
                if index >= count {
                    return wrong(format!("it binds {what} {index}, and there are {count}"));
                }
                match (bound, access) {
                    (Bound::Input(_), Access::ReadWrite) => {
                        return wrong(format!("it binds input {index} for writing, and inputs are only read"));
                    }
                    (Bound::Output(output), Access::ReadWrite) => is_written[*output] = true,
                    (Bound::Input(_) | Bound::Output(_) | Bound::Scratch(_), _) => {}
                }
            }
        }
        if let Some(output) = is_written.iter().position(|is_written| !is_written) {
            return Err(format!("none of its kernels writes output {output}"));
        }
        let finishes = |dispatch: &DispatchPlan| dispatch.kernel.source.contains("fn finish(");
        if expression.is_some() && !self.dispatches.is_empty() && !self.dispatches.iter().any(finishes) {
            return Err("it accepts an epilogue, and none of its kernels finishes its results \
                 (`DispatchBuilder::finishes`)"
                .into());
        }
        Ok(())
    }
}

/// An input of a routine: its type and how its coordinates map to addresses (in elements).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Element type (as stored) and shape.
    pub ty: TensorType,
    /// Addresses; row-major unless the operator accepts views.
    pub at: Affine,
}

impl Operand {
    /// The last address that a kernel may read: of fewer than four elements, what is bound beyond them may be read, too.
    pub(crate) fn last(&self) -> i64 {
        if self.ty.is_empty() { 3 } else { self.at.range(self.ty.shape.dims()).1.max(3) }
    }
}

/// What a routine's kernels are chosen by.
pub struct RoutineShapes<'a> {
    /// The operator's inputs, in order. Their element types are compute types (f32, i32 or u32), or f16 and bf16 where the operator
    /// reads such an input [as it is stored](crate::graph::GpuRoutine::reads_stored).
    pub inputs: &'a [Operand],
    /// The operator's outputs as the operator states them (compute types), or f16 and bf16 where the operator
    /// [stores such outputs](crate::graph::GpuRoutine::stores_half).
    pub outputs: &'a [TensorType],
    /// The generated epilogue, for operators that accept one. Its extra inputs come after the operator's own in
    /// [`Bound::Input`], and its outputs replace the operator's.
    pub epilogue: Option<&'a Epilogue>,
}

impl RoutineShapes<'_> {
    /// The epilogue, or the one that stores the first output as it is: over its batch, rows and columns.
    pub(crate) fn last_step(&self) -> Cow<'_, Epilogue> {
        if let Some(epilogue) = self.epilogue {
            return Cow::Borrowed(epilogue);
        }
        let (dtype, dims) = self.outputs.first().map_or((DType::F32, &[][..]), |ty| (ty.dtype, ty.shape.dims()));
        let (rows, columns) = match *dims {
            [.., rows, columns] => (rows, columns),
            [columns] => (1, columns),
            [] => (1, 1),
        };
        let batch = dims.iter().product::<usize>() / (rows * columns).max(1);
        Cow::Owned(Epilogue::identity(dtype, &[batch, rows, columns], [1, 2]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divided_dispatches_do_all_iterations_once() {
        let words = IterationWords { first: 1, count: 2 };
        let divide = |count, pieces| {
            let params = words.divide(&[7, 3, count, 9], pieces);
            assert!(params.iter().all(|params| (params[0], params[3]) == (7, 9)));
            params.iter().map(|params| (params[1], params[2])).collect::<Vec<_>>()
        };
        assert_eq!(divide(8, 3), [(3, 3), (6, 3), (9, 2)]);
        assert_eq!(divide(4, 100), [(3, 1), (4, 1), (5, 1), (6, 1)]);
        assert_eq!((divide(1, 5), divide(5, 1), divide(0, 3), divide(5, 0)), (vec![], vec![], vec![], vec![]));
        assert_eq!(words.divide(&[1, 2], 3), Vec::<Vec<u32>>::new());
    }
}
