//! Sequences of a recurrence in the CPU's memory: in what the arithmetic is in, or in floats of 16 bits, which are widened and rounded a
//! step at a time.

use half::{bf16, f16};

use super::native::Float;
use crate::tensor::{DType, TensorType};

/// What is read.
#[derive(Clone, Copy)]
pub(super) enum Values<'a, T> {
    Computed(&'a [T]),
    F16(&'a [f16]),
    BF16(&'a [bf16]),
}

impl<'a, T: Float> Values<'a, T> {
    /// Those of a tensor.
    pub(super) fn of(ty: &TensorType, bytes: &'a [u8]) -> Self {
        match ty.dtype {
            DType::F16 => Self::F16(&bytemuck::cast_slice(bytes)[..ty.len()]),
            DType::BF16 => Self::BF16(&bytemuck::cast_slice(bytes)[..ty.len()]),
            _ => Self::Computed(&bytemuck::cast_slice(bytes)[..ty.len()]),
        }
    }

    /// Some of them in what the arithmetic is in; `room` takes those that are widened.
    pub(super) fn range<'r>(self, range: std::ops::Range<usize>, room: &'r mut Vec<T>) -> &'r [T]
    where
        'a: 'r,
    {
        room.clear();
        match self {
            Self::Computed(values) => return &values[range],
            Self::F16(values) => room.extend(values[range].iter().map(|value| T::from(value.to_f32()))),
            Self::BF16(values) => room.extend(values[range].iter().map(|value| T::from(value.to_f32()))),
        }
        room
    }

    /// All of them, where they are what the arithmetic is in.
    pub(super) fn all(self) -> &'a [T] {
        match self {
            Self::Computed(values) => values,
            Self::F16(_) | Self::BF16(_) => &[],
        }
    }
}

/// What is computed.
pub(super) enum Results<'a, T> {
    Computed(&'a mut [T]),
    F16(&'a mut [f16]),
    BF16(&'a mut [bf16]),
}

impl<'a, T: Float> Results<'a, T> {
    /// Those of a tensor.
    pub(super) fn of(ty: &TensorType, bytes: &'a mut [u8]) -> Self {
        match ty.dtype {
            DType::F16 => Self::F16(&mut bytemuck::cast_slice_mut(bytes)[..ty.len()]),
            DType::BF16 => Self::BF16(&mut bytemuck::cast_slice_mut(bytes)[..ty.len()]),
            _ => Self::Computed(&mut bytemuck::cast_slice_mut(bytes)[..ty.len()]),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Computed(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::BF16(values) => values.len(),
        }
    }

    /// All of them; none are left.
    pub(super) fn take(&mut self) -> Self {
        let len = self.len();
        self.split_first(len)
    }

    /// The first of them, which are not left.
    pub(super) fn split_first(&mut self, count: usize) -> Self {
        fn split<'a, E>(values: &mut &'a mut [E], count: usize) -> &'a mut [E] {
            let (first, rest) = std::mem::take(values).split_at_mut(count);
            *values = rest;
            first
        }
        match self {
            Self::Computed(values) => Self::Computed(split(values, count)),
            Self::F16(values) => Self::F16(split(values, count)),
            Self::BF16(values) => Self::BF16(split(values, count)),
        }
    }

    /// Memory for them in what the arithmetic is in: their own, or `room`, from which [`end`](Self::end) takes them.
    pub(super) fn begin<'r>(&'r mut self, room: &'r mut Vec<T>) -> &'r mut [T] {
        let len = self.len();
        match self {
            Self::Computed(values) => values,
            Self::F16(_) | Self::BF16(_) => {
                room.resize(len, T::real(0.0));
                room
            }
        }
    }

    /// Rounds what is in `room`.
    pub(super) fn end(&mut self, room: &[T]) {
        match self {
            Self::Computed(_) => {}
            Self::F16(values) => {
                values.iter_mut().zip(room).for_each(|(value, &wide)| *value = f16::from_f32(wide.to_f32()))
            }
            Self::BF16(values) => {
                values.iter_mut().zip(room).for_each(|(value, &wide)| *value = bf16::from_f32(wide.to_f32()))
            }
        }
    }
}

/// Rounds f32 to what a type of 16 bits holds.
pub(super) fn round<T: Float>(dtype: DType, values: &mut [T]) {
    match dtype {
        DType::F16 => values.iter_mut().for_each(|value| *value = T::from(f16::from_f32(value.to_f32()).to_f32())),
        DType::BF16 => values.iter_mut().for_each(|value| *value = T::from(bf16::from_f32(value.to_f32()).to_f32())),
        _ => {}
    }
}
