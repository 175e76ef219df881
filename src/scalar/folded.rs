//! Functions of constants alone, computed when an expression is built: by the CPU's own loops, so that both devices get its values, and no
//! compiler of shaders meets a constant expression that overflows or divides by 0, which WGSL forbids.

use super::apply::apply_one;
use super::expression::Constant;
use super::function::ScalarFunction;
use crate::tensor::DType;

/// The value, of a compute type; `None` where an f64 does not hold it.
pub(super) fn folded(function: ScalarFunction, arguments: &[Constant], result: DType) -> Option<f64> {
    let word = |constant: &Constant| match constant.dtype {
        DType::F64 => constant.value.to_bits(),
        DType::I64 => constant.value as i64 as u64,
        DType::I32 => u64::from(constant.value as i32 as u32),
        DType::U32 | DType::Bool | DType::U8 => u64::from(constant.value as u32),
        _ => u64::from((constant.value as f32).to_bits()),
    };
    let mut words = [0; 4];
    words.iter_mut().zip(arguments).for_each(|(out, constant)| *out = word(constant));
    let word = apply_one(function, arguments.last()?.dtype, words);
    let low = word as u32;
    Some(match result {
        DType::F64 => f64::from_bits(word),
        DType::I64 => {
            // Beyond 2⁵³, an f64 no longer tells integers apart.
            let value = word as i64;
            return (value.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS).then_some(value as f64);
        }
        DType::I32 => f64::from(low as i32),
        DType::U32 | DType::Bool | DType::U8 => f64::from(low),
        _ => f64::from(f32::from_bits(low)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::ScalarFunction as F;

    fn fold(function: F, dtype: DType, arguments: &[f64], result: DType) -> Option<f64> {
        let constants: Vec<Constant> = arguments.iter().map(|&value| Constant { dtype, value }).collect();
        folded(function, &constants, result)
    }

    #[test]
    fn constants_fold_as_the_cpu_computes() {
        let f32s = |function, arguments: &[f64]| fold(function, DType::F32, arguments, DType::F32).unwrap_or(f64::NAN);
        assert_eq!(f32s(F::Div, &[1.0, 0.0]), f64::INFINITY);
        assert_eq!(f32s(F::Div, &[-1.0, 0.0]), f64::NEG_INFINITY);
        assert!(f32s(F::Log, &[-1.0]).is_nan());
        assert_eq!(f32s(F::Add, &[0.1, 0.2]), f64::from(0.1_f32 + 0.2_f32));
        assert_eq!(fold(F::Div, DType::F64, &[1.0, 3.0], DType::F64), Some(1.0 / 3.0));
        assert_eq!(fold(F::Add, DType::I32, &[2_147_483_647.0, 1.0], DType::I32), Some(-2_147_483_648.0));
        assert_eq!(fold(F::Div, DType::I32, &[7.0, 0.0], DType::I32), Some(7.0));
        assert_eq!(fold(F::Sub, DType::U32, &[0.0, 1.0], DType::U32), Some(4_294_967_295.0));
        assert_eq!(fold(F::Mul, DType::I64, &[3e9, 3e9], DType::I64), None);
        assert_eq!(fold(F::Cast(DType::I32), DType::F32, &[f64::NAN], DType::I32), Some(0.0));
        assert_eq!(fold(F::Less, DType::F32, &[1.0, f64::NAN], DType::Bool), Some(0.0));
        assert_eq!(fold(F::Maximum, DType::F32, &[2.0, 3.0], DType::F32), Some(3.0));
    }
}
