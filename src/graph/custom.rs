//! Operators from other crates: how they come into a graph, and what is asked of them there.

use std::any::Any;
use std::sync::Arc;

use super::expression::{expressed, written_out};
use super::{Gradient, Graph, Kind, Operator, Tensor};
use crate::ops::Op;
use crate::tensor::TensorType;

/// An operator from another crate. It is an [`Operator`] with the trait of its kind, as wgrad's own are; what is special about it is here,
/// and all of it may be left as it is.
///
/// What it gets:
/// - An [expression](super::Expression) fuses with its neighbours on every device. Where it has no gradient and no decomposition, and reads
///   its inputs at the output's own coordinates, both follow from the expression. Addresses at which it gathers are clamped to the tensor.
/// - A [routine](super::Routine) gets values of compute types: 16-bit floats as f32, unless its kernels
///   [read them as they are stored](super::GpuRoutine::reads_stored). Where it lacks a form for a device, its decomposition is compiled
///   instead; its gradient, too, is the decomposition's where it has none of its own.
/// - A GPU has no 64 bits. An f64 is an f32 there. An operator with an i64 among its inputs or outputs must say that it
///   [fits](Self::fits_i32), else its decomposition is compiled for a GPU.
/// - An output without elements is not computed; an input without elements is passed as it is.
/// - Its kernels run with all of naga's checks: an index out of range reads or writes another element of the same buffer.
/// - Nodes with equal inputs are computed once only where [`identity`](Self::identity) says that they are the same.
///
/// ```
/// use wgrad::graph::{CustomOperator, Expressing, Expression, Kind, Operator};
/// use wgrad::prelude::*;
/// use wgrad::scalar::{NodeId, ScalarFunction};
/// use wgrad::tensor::TensorType;
///
/// /// x·e^(−x²)
/// #[derive(Debug)]
/// struct Ripple;
///
/// impl Operator for Ripple {
///     fn name(&self) -> String {
///         "ripple".into()
///     }
///     fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
///         match inputs {
///             [x] if x.dtype.is_float() => Ok(vec![TensorType::clone(x)]),
///             _ => Err("wants one tensor of floats".into()),
///         }
///     }
///     fn kind(&self) -> Kind<'_> {
///         Kind::Expression(self)
///     }
/// }
///
/// impl Expression for Ripple {
///     fn express(&self, e: &mut Expressing<'_>, _: &[&TensorType], _: &TensorType) -> NodeId {
///         let x = e.input(0);
///         let b = e.builder();
///         let square = b.mul(x, x);
///         let negative = b.neg(square);
///         let bell = b.call(ScalarFunction::Exp, &[negative]);
///         b.mul(x, bell)
///     }
/// }
///
/// impl CustomOperator for Ripple {}
///
/// let g = Graph::new();
/// let x = g.input("x", [2], F32);
/// let y = g.custom1(Ripple, &[&x]);
/// g.output("slope", &g.gradients(&y.sum_all(), &[&x])[0]);
/// let x = TensorData::from_vec(vec![0.0_f32, 0.5], [2])?;
/// let slope = g.compile(&Device::cpu())?.run(&[("x", &x)])?["slope"].to_f64_vec();
/// assert!((slope[0] - 1.0).abs() < 1e-6 && (slope[1] - 0.5 * (-0.25_f64).exp()).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait CustomOperator: Operator + Any + Send + Sync {
    /// What makes two operators of this type the same: nodes of operators with equal identities and equal inputs are computed once.
    /// `None`, the default, keeps every node apart.
    fn identity(&self) -> Option<String> {
        None
    }

    /// What kernels depend on beside the name and the types of inputs and outputs: under it, tuning saves the fastest kernel. It must be
    /// the same in every process. By default what `Debug` prints.
    fn tuning_key(&self) -> String {
        format!("{self:?}")
    }

    /// True where every i64 of the operator, results and what it computes in between, fits i32 wherever its inputs do: then it runs on
    /// GPUs, which compute in i32 instead. Nothing checks that it is so.
    fn fits_i32(&self) -> bool {
        false
    }
}

impl Graph {
    /// Applies an operator of one's own and returns its outputs in order; a mistake returns placeholders, and [`compile`](Self::compile)
    /// returns it with this line. For one with a single output see [`custom1`](Self::custom1).
    #[track_caller]
    pub fn custom(&self, operator: impl CustomOperator, inputs: &[&Tensor]) -> Vec<Tensor> {
        self.apply(Op::Custom(Arc::new(operator)), inputs)
    }

    /// Applies an operator of one's own that has one output.
    #[track_caller]
    pub fn custom1(&self, operator: impl CustomOperator, inputs: &[&Tensor]) -> Tensor {
        let (name, count) = (operator.name(), operator.output_count());
        if count != 1 {
            return self.mistake(&name, format!("has {count} outputs; `Graph::custom` returns them"));
        }
        self.apply1(Op::Custom(Arc::new(operator)), inputs)
    }
}

/// What a custom operator says of its outputs, where its kind can compute them.
///
/// # Errors
/// What does not fit together.
pub(super) fn inferred(
    operator: &dyn CustomOperator,
    inputs: &[&TensorType],
    outputs: Vec<TensorType>,
) -> Result<Vec<TensorType>, String> {
    let count = operator.output_count();
    if outputs.len() != count {
        return Err(format!("infers {} outputs, and says that it has {count}", outputs.len()));
    }
    let one = |kind: &str| match (inputs, outputs.as_slice()) {
        ([input], [output]) => Ok((TensorType::clone(input), output.clone())),
        _ => Err(format!("{kind} takes one input and has one output, not {} and {count}", inputs.len())),
    };
    match operator.kind() {
        Kind::Source => Err("is a source, which only inputs, variables and constants are".into()),
        Kind::Expression(_) if count != 1 => Err(format!("an expression has one output, not {count}")),
        Kind::Expression(_) | Kind::Routine(_) if count == 0 => Err("it has no output".into()),
        Kind::Routine(routine) if routine.accepts_epilogue && count != 1 => {
            Err(format!("an epilogue needs one output, not {count}"))
        }
        Kind::Expression(_) | Kind::Routine(_) => Ok(outputs),
        Kind::Reshape => {
            let (input, output) = one("a reshape")?;
            let fits = input.len() == output.len() && input.dtype == output.dtype;
            if fits { Ok(outputs) } else { Err(format!("{output} is no other shape of {input}")) }
        }
        Kind::Reduction { reduction, axes } => {
            let (input, output) = one("a reduction")?;
            let rank = input.shape.rank();
            if axes.windows(2).any(|pair| pair[0] >= pair[1]) || axes.last().is_some_and(|&axis| axis >= rank) {
                return Err(format!("{axes:?} are no ascending axes of {input}"));
            }
            let own = crate::ops::Reduce { reduction, axes: axes.to_vec(), keep: false }.infer(inputs)?;
            let fits = own.iter().all(|own| own.dtype == output.dtype && own.len() == output.len());
            if fits { Ok(outputs) } else { Err(format!("{output} is not what {} gives", reduction.name())) }
        }
    }
}

/// What is wrong with a custom operator's gradient, if something is.
pub(super) fn wrong_gradient(parts: &[Option<Tensor>], gradient: &Gradient) -> Option<String> {
    let inputs = &gradient.inputs;
    if parts.len() != inputs.len() {
        return Some(format!("its gradient has {} parts for {} inputs", parts.len(), inputs.len()));
    }
    let graph = inputs.first()?.graph();
    if graph.error().is_some() {
        return None; // whatever follows from a mistake is none of its own
    }
    parts.iter().zip(inputs).enumerate().find_map(|(index, (part, input))| {
        let part = part.as_ref()?;
        if !part.graph().is_same(graph) {
            return Some(format!("its gradient of input {index} belongs to another graph"));
        }
        let (part, input) = (part.ty(), input.ty());
        (part != input).then(|| format!("its gradient of input {index} is {part}, not {input}"))
    })
}

impl Op {
    /// The operator's definition in terms of simpler ones: its own, or what its expression says.
    pub(crate) fn decomposition(&self, inputs: &[Tensor], outputs: &[TensorType]) -> Option<Vec<Tensor>> {
        let operator = self.operator();
        operator.decompose(inputs).or_else(|| match (self, operator.kind(), outputs) {
            (Self::Custom(_), Kind::Expression(expression), [output]) => {
                let types: Vec<TensorType> = inputs.iter().map(Tensor::ty).collect();
                let types: Vec<&TensorType> = types.iter().collect();
                let expression = expressed(expression, &types, output).ok()?;
                Some(vec![written_out(&expression, inputs, output)?])
            }
            _ => None,
        })
    }
}

/// What is wrong with a decomposition, if something is.
pub(crate) fn wrong_decomposition(found: &[Tensor], outputs: &[TensorType]) -> Option<String> {
    let list = |types: &[TensorType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let types: Vec<TensorType> = found.iter().map(Tensor::ty).collect();
    let is_wrong = types != outputs && found.first().is_none_or(|tensor| tensor.graph().error().is_none());
    is_wrong.then(|| format!("its decomposition gives {}, not {}", list(&types), list(outputs)))
}
