//! Numbers at the ends of arithmetic, put among a case's usual ones: NaN, infinities and zeros of both signs, subnormal numbers,
//! the largest ones. Every kernel is to make of them what the reference does: NaN and infinity arise in the same elements, and
//! nowhere else.
//!
//! A driver may take subnormal numbers for 0 (WGSL leaves it free to), in inputs and in what it stores. So what is right with them,
//! and what is right with zeros instead, both are.

use super::input::Input;
use crate::error::Result;
use crate::scalar::threefry::HostRandom;
use crate::tensor::{DType, TensorData};

/// What is put among the numbers of a case's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extreme {
    /// Nothing: the numbers are the usual ones.
    None,
    /// Zeros instead of subnormal numbers among the usual ones.
    NoneFlushed,
    /// NaN.
    NotANumber,
    /// Infinities and zeros of both signs.
    Infinite,
    /// Numbers below the smallest normal one.
    Subnormal,
    /// Zeros instead of them.
    Flushed,
    /// The largest numbers, in what only moves and compares numbers: elsewhere it depends on the order what overflows.
    Largest,
}

impl Extreme {
    /// What most kernels meet beside the usual numbers.
    pub(super) const USUAL: &[Self] = &[Self::NotANumber, Self::Infinite, Self::Subnormal];

    /// What those meet that only move and compare numbers.
    pub(super) const WITH_LARGEST: &[Self] = &[Self::NotANumber, Self::Infinite, Self::Subnormal, Self::Largest];

    /// Whose numbers these are right for.
    pub(super) fn stands_for(self) -> Self {
        match self {
            Self::Flushed => Self::Subnormal,
            Self::NoneFlushed => Self::None,
            Self::None | Self::NotANumber | Self::Infinite | Self::Subnormal | Self::Largest => self,
        }
    }

    /// Whether subnormal numbers are 0 in them.
    pub(super) const fn is_flushed(self) -> bool {
        matches!(self, Self::Flushed | Self::NoneFlushed)
    }

    /// As reports say it.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::None | Self::NoneFlushed => "",
            Self::NotANumber => "with NaN among them",
            Self::Infinite => "with infinities among them",
            Self::Subnormal | Self::Flushed => "with subnormal numbers among them",
            Self::Largest => "with the largest numbers among them",
        }
    }

    const fn numbers(self) -> &'static [f64] {
        const TINY: f64 = 1e-40;
        const LARGE: f64 = f32::MAX as f64;
        match self {
            Self::None | Self::NoneFlushed => &[],
            Self::NotANumber => &[f64::NAN, -f64::NAN],
            Self::Infinite => &[f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0],
            Self::Subnormal => &[TINY, -TINY, -0.0],
            Self::Flushed => &[0.0, -0.0, -0.0],
            Self::Largest => &[LARGE, -LARGE],
        }
    }

    /// An input's values, a few of which are other ones. Few, so that it shows what they should leave alone.
    pub(super) fn among(self, usual: &TensorData, input: &Input, mut random: HostRandom) -> Result<TensorData> {
        if self == Self::NoneFlushed && input.has_subnormals() {
            let flushed = |value: f64| if is_subnormal(value) { 0.0_f64.copysign(value) } else { value };
            let values: Vec<f64> = usual.to_f64_vec().into_iter().map(flushed).collect();
            return TensorData::from_f64(usual.dtype(), &values, usual.shape());
        }
        let (numbers, count) = (self.numbers(), usual.len());
        if numbers.is_empty() || count == 0 || !usual.dtype().is_float() || input.is_fixed() {
            return Ok(usual.clone());
        }
        let mut values = usual.to_f64_vec();
        for number in numbers.iter().take(count.div_ceil(4).max(1)) {
            let index = random.below(count as u64) as usize;
            if let Some(value) = values.get_mut(index) {
                *value = match usual.dtype() {
                    DType::F64 => f64::from(*number as f32),
                    _ => *number,
                };
            }
        }
        TensorData::from_f64(usual.dtype(), &values, usual.shape())
    }
}

/// True for what is subnormal in f32.
pub(super) fn is_subnormal(value: f64) -> bool {
    value != 0.0 && value.abs() < f64::from(f32::MIN_POSITIVE)
}
