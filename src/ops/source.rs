//! Values that nothing computes: inputs, variables, constants. And the identity that stops gradients.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, Kind, Operator, Tensor};
use crate::scalar::NodeId;
use crate::tensor::{TensorData, TensorType};

/// What a variable is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Trained: optimizers update it, checkpoints and `save` include it.
    Parameter,
    /// Saved with the model but not trained, as running statistics are.
    Buffer,
    /// An optimizer's or trainer's state, of the named kind (`exp_avg`); checkpoints include it.
    State(String),
    /// Data that lives on the device, as a data set does; not saved in checkpoints.
    Data,
}

/// Where a variable's first value comes from. Random ones are drawn on the host from the session's seed and the
/// variable's name, so they do not depend on the device or on other variables.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// These values.
    Values(TensorData),
    /// The same number everywhere.
    Constant(f64),
    /// Uniform between two bounds.
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Zeros in one row, as an embedding's padding has; the others as the rest says.
    ZeroRow {
        /// The row of zeros.
        row: usize,
        /// What all others are, and the whole is drawn as.
        others: Box<Self>,
    },
    /// Rows or columns orthonormal, times a gain (Saxe et al. 2013); the trailing axes count as one.
    Orthogonal {
        /// The gain.
        gain: f64,
    },
}

/// A value that lives on the device from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name, unique in the graph, as in PyTorch: `fc1.weight`.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// What it is for.
    pub role: Role,
    /// Its first value.
    pub initial: Initial,
}

impl Variable {
    /// A trainable parameter.
    pub fn parameter(name: impl Into<String>, ty: TensorType, initial: Initial) -> Self {
        Self { name: name.into(), ty, role: Role::Parameter, initial }
    }
}

/// What [`Op::StopGradient`] computes.
struct Identity;

impl Expression for Identity {
    fn express(&self, expressing: &mut Expressing<'_>, _: &[&TensorType], _: &TensorType) -> NodeId {
        expressing.input(0)
    }
}

impl Operator for Op {
    fn name(&self) -> String {
        match self {
            Self::Input(name, _) => format!("input {name:?}"),
            Self::Variable(variable) => format!("variable {:?}", variable.name),
            Self::Constant(_) => "constant".into(),
            Self::StopGradient => "stop_gradient".into(),
            Self::Placeholder => "placeholder".into(),
            other => other.operator().name(),
        }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match self {
            Self::Input(_, ty) => Ok(vec![ty.clone()]),
            Self::Variable(variable) => match &variable.initial {
                Initial::Values(data) if *data.ty() != variable.ty => {
                    Err(format!("it is {}, its initial values are {}", variable.ty, data.ty()))
                }
                _ => Ok(vec![variable.ty.clone()]),
            },
            Self::Constant(data) => Ok(vec![data.ty().clone()]),
            _ => Ok(inputs.iter().map(|&ty| ty.clone()).collect()),
        }
    }

    fn kind(&self) -> Kind<'_> {
        match self {
            Self::StopGradient => Kind::Expression(&Identity),
            Self::Placeholder | Self::Input(..) | Self::Variable(_) | Self::Constant(_) => Kind::Source,
            other => other.operator().kind(),
        }
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        Some(vec![None; gradient.inputs.len()])
    }
}

impl Tensor {
    /// The same values, through which no gradient flows.
    #[track_caller]
    #[must_use]
    pub fn stop_gradient(&self) -> Self {
        self.graph().apply1(Op::StopGradient, &[self])
    }
}
