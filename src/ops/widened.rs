//! Operands of 16 bits in f32, for CPU implementations that compute in it. The compiler widens them for the CPU; what calls an
//! operator itself need not.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// The operand and its memory, in its compute type.
pub(in crate::ops) fn widened<'a>(operand: &'a Operand, bytes: &'a [u8]) -> (Cow<'a, Operand>, Cow<'a, [u8]>) {
    let wide = match operand.ty.dtype {
        DType::F16 => bytemuck::cast_slice::<u8, f16>(bytes).to_f32_vec(),
        DType::BF16 => bytemuck::cast_slice::<u8, bf16>(bytes).to_f32_vec(),
        _ => return (Cow::Borrowed(operand), Cow::Borrowed(bytes)),
    };
    let ty = TensorType::new(DType::F32, operand.ty.shape.clone());
    (Cow::Owned(Operand { ty, at: operand.at.clone() }), Cow::Owned(bytemuck::cast_slice(&wide).to_vec()))
}
