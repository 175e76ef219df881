//! State that stays on the device from one batch to the next, as truncated backpropagation through time wants it.

use super::RecurrentInputs;
use super::stack::Stack;
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Variable};
use crate::session::Session;
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// A recurrent layer's state as variables `NAME.carried_h` and, of an LSTM, `NAME.carried_c`, each
/// `[layers · directions, batch, hidden]`; of a cell with more states, also `NAME.carried_2` and so on.
///
/// A step reads them as its first state and leaves its last one in them, so that a long text can be learnt in pieces
/// (Williams and Peng 1990). They begin as zeros, and checkpoints keep them.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let (x, y) = (g.input("x", [5, 2, 3], F32), g.input("y", [5, 2, 8], F32));
/// let lstm = nn::LSTM::new(&g, "lstm", 3, 8);
/// let state = lstm.carried(2);
/// let found = lstm.forward_carried(&x, &state, None, Mode::Training);
/// let mut session = g.minimize(&found.outputs.mse(&y), SGD::new(0.1)).compile(&Device::cpu())?;
/// let piece = TensorData::from_vec(vec![0.5_f32; 30], [5, 2, 3])?;
/// session.step(&[("x", &piece), ("y", &TensorData::zeros(F32, [5, 2, 8]))])?;
/// assert!(session.parameter("lstm.carried_c")?.to_f64_vec().iter().any(|&value| value != 0.0));
/// state.reset(&mut session)?; // another text begins
/// assert!(session.parameter("lstm.carried_c")?.to_f64_vec().iter().all(|&value| value == 0.0));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CarriedState {
    /// Names and values before the step: hidden and, of an LSTM, cell.
    states: Vec<(String, Tensor)>,
}

impl CarriedState {
    #[track_caller]
    pub(super) fn of(stack: &Stack, batch: usize) -> Self {
        let dtype = stack.weights.first().map_or(DType::F32, |weights| weights.input.dtype());
        let ty = TensorType::new(dtype, [stack.directed_layers(), batch, stack.hidden]);
        let mut states = Vec::new();
        for index in 0..stack.cell().states() {
            let name = match index {
                0 => format!("{}.carried_h", stack.name),
                1 => format!("{}.carried_c", stack.name),
                other => format!("{}.carried_{other}", stack.name),
            };
            states.push((name.clone(), variable(&stack.graph, name, ty.clone())));
        }
        Self { states }
    }

    /// What the step of an RNN, LSTM or GRU begins with.
    pub fn inputs<'a>(&'a self, lengths: Option<&'a Tensor>) -> RecurrentInputs<'a> {
        let state = |index: usize| self.states.get(index).map(|(_, tensor)| tensor);
        RecurrentInputs { hidden: state(0), cell: state(1), lengths }
    }

    /// At the end of the step, the state is this, through which no gradient flows: hidden and, of an LSTM, cell.
    #[track_caller]
    pub fn carry(&self, last: &[&Tensor]) {
        for ((_, variable), last) in self.states.iter().zip(last) {
            variable.graph().assign(variable, &last.stop_gradient());
        }
    }

    /// The variables: hidden and, of an LSTM, cell.
    pub fn variables(&self) -> impl Iterator<Item = &Tensor> {
        self.states.iter().map(|(_, tensor)| tensor)
    }

    /// Zeros for all rows, before a sequence that does not continue the last one.
    ///
    /// # Errors
    /// A session that has no such variables; a device that fails.
    pub fn reset(&self, session: &mut Session) -> Result<()> {
        for (name, tensor) in &self.states {
            let ty = tensor.ty();
            session.set_parameter(name, &TensorData::zeros(ty.dtype, Shape::clone(&ty.shape)))?;
        }
        Ok(())
    }
}

#[track_caller]
fn variable(g: &Graph, name: String, ty: TensorType) -> Tensor {
    g.variable(Variable { name, ty, role: Role::State("carried".to_owned()), initial: Initial::Constant(0.0) })
}
