//! Floor 2: the operators, one a file. This is the list of them.

mod broadcast;
mod concat;
mod convolution;
mod coordinate;
mod cumulative_product;
mod cumulative_sum;
mod determinant;
#[cfg(test)]
mod device_tests;
mod einsum;
mod elementwise;
mod gather;
mod matmul;
mod pad;
mod padding_mode;
mod permute;
mod pool;
mod random;
mod recurrent;
mod reduce;
mod resample;
mod reshape;
mod scatter;
mod scatter_add;
mod slice;
mod sort;
mod source;
mod standardize;
mod tasks;
mod widened;
mod window;

use std::sync::Arc;

use crate::graph::{CustomOperator, Operator};
use crate::scalar::ScalarFunction;
use crate::tensor::{TensorData, TensorType};

pub use broadcast::Broadcast;
pub use concat::Concat;
pub use convolution::{ConvOptions, ConvTransposeOptions, Convolution, Direction};
pub use coordinate::Coordinate;
pub use cumulative_sum::CumulativeSum;
pub use elementwise::Elementwise;
pub use gather::{Gather, Take};
pub use matmul::Matmul;
pub use pad::Pad;
pub use padding_mode::PaddingMode;
pub use permute::Permute;
pub(crate) use pool::adaptive_axes;
pub use pool::{AvgPool, LpPool, MaxPool, Pool, PoolAxis, PoolKind, Steps};
pub(crate) use random::RANDOM_STATE;
pub use recurrent::{Cell, Pass, Recurrence, Recurrent, RecurrentOptions};
pub use reduce::Reduce;
pub use resample::{AxisMap, Interpolate, Interpolation, Resample};
pub use reshape::Reshape;
pub use scatter::{Combine, Scatter};
pub use scatter_add::{ScatterAdd, ScatterRows};
pub use slice::Slice;
pub use sort::Sort;
pub use source::{Initial, Role, Variable};
pub use standardize::Standardize;
pub(crate) use standardize::Standardized;
pub use window::{Padding, Sizes, WindowAxis, window_axes};

/// An operator of the graph: one variant each, so that nodes can be compared, hashed and matched.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each variant is documented at its operator")]
pub enum Op {
    /// What could not be built; the graph keeps the reason.
    Placeholder,
    Input(String, TensorType),
    Variable(Arc<Variable>),
    Constant(Arc<TensorData>),
    /// The identity, through which no gradient flows.
    StopGradient,
    Elementwise(Elementwise),
    Coordinate(Coordinate),
    Reshape(Reshape),
    Permute(Permute),
    Broadcast(Broadcast),
    Slice(Slice),
    Pad(Pad),
    Concat(Concat),
    Gather(Gather),
    Take(Take),
    Reduce(Reduce),
    Matmul(Matmul),
    Convolution(Convolution),
    Recurrent(Recurrent),
    CumulativeSum(CumulativeSum),
    Sort(Sort),
    Standardize(Standardize),
    Scatter(Scatter),
    ScatterAdd(ScatterAdd),
    ScatterRows(ScatterRows),
    Pool(Pool),
    Resample(Resample),
    /// An embedder's own operator.
    Custom(Arc<dyn CustomOperator>),
}

impl Op {
    /// The operator behind the variant.
    pub fn operator(&self) -> &dyn Operator {
        match self {
            Self::Placeholder | Self::Input(..) | Self::Variable(_) | Self::Constant(_) | Self::StopGradient => self,
            Self::Elementwise(operator) => operator,
            Self::Coordinate(operator) => operator,
            Self::Reshape(operator) => operator,
            Self::Permute(operator) => operator,
            Self::Broadcast(operator) => operator,
            Self::Slice(operator) => operator,
            Self::Pad(operator) => operator,
            Self::Concat(operator) => operator,
            Self::Gather(operator) => operator,
            Self::Take(operator) => operator,
            Self::Reduce(operator) => operator,
            Self::Matmul(operator) => operator,
            Self::Convolution(operator) => operator,
            Self::Recurrent(operator) => operator,
            Self::CumulativeSum(operator) => operator,
            Self::Sort(operator) => operator,
            Self::Standardize(operator) => operator,
            Self::Scatter(operator) => operator,
            Self::ScatterAdd(operator) => operator,
            Self::ScatterRows(operator) => operator,
            Self::Pool(operator) => operator,
            Self::Resample(operator) => operator,
            Self::Custom(operator) => operator.as_ref() as &dyn Operator,
        }
    }

    /// The scalar function, where it is one applied element by element.
    pub fn function(&self) -> Option<ScalarFunction> {
        match self {
            Self::Elementwise(Elementwise(function)) => Some(*function),
            _ => None,
        }
    }

    /// A text that is equal for equal operators, for finding common subexpressions; `None` where nodes must stay apart.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Placeholder | Self::Input(..) | Self::Variable(_) | Self::Custom(_) => None,
            Self::Constant(data) if data.bytes().len() > 64 => None,
            Self::Constant(data) => Some(format!("{} {:?}", data.ty(), data.bytes())),
            other => Some(format!("{other:?}")),
        }
    }
}
