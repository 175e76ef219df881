//! The operators, one a file. This is the list of them.

mod attention;
mod axes;
mod broadcast;
mod compare;
mod concat;
mod convolution;
mod coordinate;
mod create;
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
mod product;
mod random;
mod random_choice;
mod rearrange;
mod recurrent;
mod reduce;
mod resample;
mod reshape;
mod scatter;
mod scatter_add;
mod search_sorted;
mod slice;
mod sort;
mod source;
mod standardize;
mod subnormal;
mod tasks;
mod triangle;
mod widened;
mod window;

use std::any::{Any, TypeId};
use std::sync::Arc;

use crate::graph::{CustomOperator, Operator, Routine};
use crate::scalar::ScalarFunction;
use crate::tensor::{TensorData, TensorType};

pub use attention::{Attention, AttentionOptions, AttentionPass, Score, ScoreDefinition, ScorePair};
pub use axes::{Axes, keepdim};
pub use broadcast::Broadcast;
pub use concat::Concat;
pub use convolution::{ConvOptions, ConvTransposeOptions, Convolution, Direction};
pub use coordinate::Coordinate;
pub use cumulative_sum::{CumulativeSum, Running};
pub use elementwise::Elementwise;
pub use gather::{Gather, Take};
pub use matmul::Matmul;
pub use pad::Pad;
pub use padding_mode::PaddingMode;
pub use permute::Permute;
pub(crate) use pool::adaptive_axes;
pub use pool::{AvgPool, LpPool, MaxPool, Pool, PoolAxis, PoolKind, Steps};
pub(crate) use random::RANDOM_STATE;
pub use recurrent::{Cell, CellDefinition, CellStep, Pass, Recurrence, Recurrent, RecurrentOptions};
pub use reduce::Reduce;
pub use resample::{AxisMap, Interpolate, Interpolation, Resample};
pub use reshape::Reshape;
pub use scatter::{Combine, Scatter};
pub use scatter_add::{ScatterAdd, ScatterRows};
pub use search_sorted::SearchSorted;
pub use slice::Slice;
pub use sort::{Order, Sort};
pub use source::{Initial, Role, Variable};
pub use standardize::Standardize;
pub(crate) use standardize::Standardized;
pub use window::{Padding, Rounding, Sizes, WindowAxis, window_axes};

/// Makes the list: a variant each for the operators that are structures of this folder.
macro_rules! operators {
    ($($operator:ident)*) => {
        /// An operator of the graph: one variant each, so that nodes can be matched.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "each variant is documented at its operator")]
        pub enum Op {
            /// What could not be built; the graph stores the reason.
            Placeholder,
            Input(String, TensorType),
            Variable(Arc<Variable>),
            Constant(Arc<TensorData>),
            /// The identity, through which no gradient flows.
            StopGradient,
            $($operator($operator),)*
            /// An embedder's own operator.
            Custom(Arc<dyn CustomOperator>),
        }

        /// What makes two operators the same: nodes with equal ones and equal inputs have equal values.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Identity {
            Constant(TensorType, Vec<u8>),
            StopGradient,
            $($operator($operator),)*
            /// The type, and what it says of itself.
            Custom(TypeId, String),
        }

        impl Op {
            /// The operator behind the variant.
            pub fn operator(&self) -> &dyn Operator {
                match self {
                    Self::Placeholder | Self::Input(..) | Self::Variable(_) | Self::Constant(_) | Self::StopGradient => self,
                    $(Self::$operator(operator) => operator,)*
                    Self::Custom(operator) => operator.as_ref() as &dyn Operator,
                }
            }

            /// For finding common subexpressions; `None` where nodes must stay apart, and for large constants, which would be
            /// compared byte by byte.
            pub(crate) fn identity(&self) -> Option<Identity> {
                match self {
                    Self::Placeholder | Self::Input(..) | Self::Variable(_) => None,
                    Self::Custom(operator) => {
                        let operator = operator.as_ref();
                        Some(Identity::Custom((operator as &dyn Any).type_id(), operator.identity()?))
                    }
                    Self::Constant(data) if data.bytes().len() > COMPARED_CONSTANT => None,
                    Self::Constant(data) => Some(Identity::Constant(data.ty().clone(), data.bytes().to_vec())),
                    Self::StopGradient => Some(Identity::StopGradient),
                    $(Self::$operator(operator) => Some(Identity::$operator(operator.clone())),)*
                }
            }
        }
    };
}

operators! {
    Elementwise
    Coordinate
    Reshape
    Permute
    Broadcast
    Slice
    Pad
    Concat
    Gather
    Take
    Reduce
    Matmul
    Convolution
    Recurrent
    CumulativeSum
    Sort
    Standardize
    Scatter
    ScatterAdd
    ScatterRows
    Pool
    Resample
    SearchSorted
    Attention
}

/// Bytes of a constant up to which equal ones become one.
const COMPARED_CONSTANT: usize = 64;

impl Op {
    /// What the operator has, where it is a routine.
    pub(crate) fn routine(&self) -> Option<Routine<'_>> {
        self.operator().kind().routine()
    }

    /// The scalar function, where it is one applied element by element.
    pub fn function(&self) -> Option<ScalarFunction> {
        match self {
            Self::Elementwise(Elementwise(function)) => Some(*function),
            _ => None,
        }
    }
}
