//! States that go from one batch to the next, for texts that are longer than what a step sees.

use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::nn::Mode;
use crate::ops::{Initial, Role, Variable};
use crate::session::Session;
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// The kind of those states in training, which checkpoints keep.
const KIND: &str = "carried";

/// What the names of the others begin with.
const EVALUATION: &str = "carried/evaluation/";

/// A state, f32, that a batch begins with: zeros in the first batch of each pass over the data, and from then on what the model
/// assigns to it with [`Graph::assign`]. Gradients end at it, so this is truncated backpropagation through time. Data whose batches
/// continue where the one before ended comes from [`streams`](crate::data::streams), with
/// [`Fit::shuffle(false)`](super::Fit::shuffle).
///
/// A [`nn::CarriedState`](crate::nn::CarriedState) begins anew in the same way, but is one for all programs.
///
/// Training and evaluation have states of their own: validating in between changes nothing. Evaluation batches must have one size,
/// so [`Trainer::evaluation_batch`](super::Trainer::evaluation_batch) has to divide the examples.
///
/// ```
/// use wgrad::data::streams;
/// use wgrad::graph::{Graph, Tensor};
/// use wgrad::loss::custom;
/// use wgrad::prelude::*;
/// use wgrad::train::carried_state;
/// let data = streams(&[3; 41], 4, 2)?; // a text of threes, for batches of four
/// let model = |g: &Graph, x: &Tensor, mode: Mode| {
///     let sum = carried_state(g, "sum", mode, [x.shape()[0]]);
///     let after = &sum + &x.cast(F32).sum([1]);
///     g.assign(&sum, &after);
///     nn::Linear::new(g, "scale", 1, 1).forward(&after.unsqueeze(-1)) // what is so predicted is of no use
/// };
/// let loss = custom(|prediction, _| prediction.square().mean_all());
/// let mut trainer = Trainer::new(model, &Device::cpu(), SGD::new(1e-6), loss, []).evaluation_batch(4);
/// trainer.fit(&data, Fit::epochs(2).batch_size(4).shuffle(false))?;
/// let session = trainer.session_mut().ok_or(Error::Data("it was trained".into()))?;
/// assert_eq!(session.parameter("sum")?.to_f64_vec(), [30.0; 4]); // of the five batches of the last epoch
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn carried_state(g: &Graph, name: &str, mode: Mode, shape: impl Into<Shape>) -> Tensor {
    let (name, role) = match mode {
        Mode::Training => (name.to_owned(), Role::State(KIND.to_owned())),
        // No checkpoint keeps it: a run that is resumed has not evaluated yet.
        Mode::Evaluation => (format!("{EVALUATION}{name}"), Role::Data),
    };
    let ty = TensorType::new(DType::F32, shape);
    g.variable(Variable { name, ty, role, initial: Initial::Constant(0.0) })
}

/// Sets the states to zero: a pass over the data begins.
pub(super) fn begin_pass(session: &mut Session, mode: Mode) -> Result<()> {
    let carried = session.variables().iter().filter(|variable| match mode {
        Mode::Training => variable.role == Role::State(KIND.to_owned()),
        Mode::Evaluation => variable.role == Role::Data && variable.name.starts_with(EVALUATION),
    });
    let carried: Vec<(String, TensorType)> =
        carried.map(|variable| (variable.name.clone(), variable.ty.clone())).collect();
    for (name, ty) in carried {
        session.set_parameter(&name, &TensorData::zeros(ty.dtype, ty.shape))?;
    }
    Ok(())
}
