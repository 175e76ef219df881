//! The functions that fold many values into one.

use crate::tensor::DType;

/// A reduction along axes. The order of folding is fixed by the sizes, so that results are the same every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Σ x
    Sum,
    /// Π x
    Product,
    /// The largest; NaN where there is one
    Max,
    /// The smallest; NaN where there is one
    Min,
    /// The index of the largest; the first of equals
    ArgMax,
    /// The index of the smallest; the first of equals
    ArgMin,
    /// log Σ e^x, without overflow
    LogSumExp,
}

impl Reduction {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Sum, Self::Product, Self::Max, Self::Min, Self::ArgMax, Self::ArgMin, Self::LogSumExp];

    /// The name, as users know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Product => "product",
            Self::Max => "max",
            Self::Min => "min",
            Self::ArgMax => "argmax",
            Self::ArgMin => "argmin",
            Self::LogSumExp => "log_sum_exp",
        }
    }

    /// The compute type of the result: i32 for indices, else the values' own.
    pub fn result(self, values: DType) -> DType {
        match self {
            Self::ArgMax | Self::ArgMin => DType::I32,
            Self::Sum | Self::Product | Self::Max | Self::Min | Self::LogSumExp => values.compute(),
        }
    }

    /// True where reducing nothing has a value: 0 for sums, 1 for products, −∞ for log-sum-exp.
    pub fn has_identity(self) -> bool {
        matches!(self, Self::Sum | Self::Product | Self::LogSumExp)
    }
}
