//! `--precision`.

use clap::ValueEnum;
use wgrad::nn::Precision;

/// What it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionChoice {
    Auto,
    F32,
    Bf16,
    F16,
}

impl From<PrecisionChoice> for Precision {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::Auto => Self::Auto,
            PrecisionChoice::F32 => Self::F32,
            PrecisionChoice::Bf16 => Self::BF16,
            PrecisionChoice::F16 => Self::F16,
        }
    }
}

impl From<Precision> for PrecisionChoice {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Auto => Self::Auto,
            Precision::F32 => Self::F32,
            Precision::BF16 => Self::Bf16,
            Precision::F16 => Self::F16,
        }
    }
}
