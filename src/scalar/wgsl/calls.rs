//! WGSL of constants and of functions of scalars or of four lanes.

use super::Emitter;
use crate::scalar::expression::{Constant, NodeId};
use crate::scalar::function::{ScalarFunction as F, Signature};
use crate::tensor::DType;

impl Emitter<'_> {
    pub(super) fn literal(&mut self, constant: Constant) -> String {
        let lanes = |alias: &str, text: String| format!("{alias}({text})");
        match constant.dtype {
            DType::I32 if constant.value == f64::from(i32::MIN) => lanes("IntLanes", "-2147483647 - 1".into()),
            DType::I32 => lanes("IntLanes", format!("{}", constant.value as i32)),
            DType::U32 => lanes("UintLanes", format!("{}u", constant.value as u32)),
            DType::Bool => lanes("BoolLanes", format!("{}", constant.value != 0.0)),
            _ => {
                let value = constant.value as f32;
                if value.is_finite() {
                    return lanes("Lanes", format!("{value:?}f"));
                }
                // WGSL has no literal for what is not finite; a parameter carries its bits past constant folding.
                let word = self.param(i64::from(value.to_bits() as i32));
                lanes("Lanes", format!("bitcast<f32>({word})"))
            }
        }
    }

    pub(super) fn call(&mut self, function: F, arguments: &[NodeId]) -> String {
        let name = |k: usize| arguments.get(k).map_or("", |id| self.names[id.index()].as_str());
        let (a, b, c) = (name(0), name(1), name(2));
        let dtype = |k: usize| self.expression.types[arguments[k].index()];
        match function.signature() {
            Signature::Float | Signature::Number => {
                if function == F::Sign && dtype(0) == DType::U32 {
                    return format!("min({a}, UintLanes(1u))");
                }
                if matches!(function, F::Div | F::Rem) && !dtype(0).is_float() {
                    return integer_quotient(function, dtype(0), a, b);
                }
                let template = function.numeric_wgsl().unwrap_or("{a}");
                template.replace("{a}", a).replace("{b}", b).replace("{c}", c)
            }
            Signature::Comparison => {
                let symbol = match function {
                    F::Equal => "==",
                    F::NotEqual => "!=",
                    F::Less => "<",
                    F::LessEqual => "<=",
                    F::Greater => ">",
                    _ => ">=",
                };
                if dtype(0) == DType::Bool && !matches!(function, F::Equal | F::NotEqual) {
                    return format!("(UintLanes({a}) {symbol} UintLanes({b}))");
                }
                if function == F::NotEqual && dtype(0).is_float() {
                    // A NaN is not equal to anything; drivers' own comparison may say otherwise.
                    return format!("(!({a} == {b}))");
                }
                format!("({a} {symbol} {b})")
            }
            Signature::Classification => {
                // By the bits: drivers may assume that there is nothing but numbers.
                let symbol = if function == F::IsNan { ">" } else { "==" };
                format!("((bitcast<UintLanes>({a}) & UintLanes(0x7fffffffu)) {symbol} UintLanes(0x7f800000u))")
            }
            Signature::Logic => match function {
                F::And => format!("({a} & {b})"),
                F::Or => format!("({a} | {b})"),
                F::Xor => format!("({a} != {b})"),
                _ => format!("(!{a})"),
            },
            Signature::Bits => match function {
                F::BitAnd => format!("({a} & {b})"),
                F::BitOr => format!("({a} | {b})"),
                F::BitXor => format!("({a} ^ {b})"),
                F::ShiftLeft => format!("({a} << (UintLanes({b}) & UintLanes(31u)))"),
                _ => format!("({a} >> (UintLanes({b}) & UintLanes(31u)))"),
            },
            Signature::Select => format!("select({c}, {b}, {a})"),
            Signature::Cast(to) => self.cast(dtype(0), to, a),
            Signature::BitCast(to) => self.bit_cast(to, a),
            Signature::RandomBits => {
                let word = if function == F::Threefry(0) { 0 } else { 1 };
                format!("threefry({word}u, {a}, {b}, {c}, {})", name(3))
            }
        }
    }

    /// Floats of a value, each converted for itself.
    fn per_lane(&self, value: &str, convert: &dyn Fn(&str) -> String) -> String {
        if self.is_lanes() {
            let parts: Vec<String> =
                ["x", "y", "z", "w"].iter().map(|lane| convert(&format!("{value}.{lane}"))).collect();
            format!("vec4<f32>({})", parts.join(", "))
        } else {
            convert(value)
        }
    }

    /// Bits as another type. Floats of 16 bits are computed with as f32, and whichever is not the target is the source.
    fn bit_cast(&self, to: DType, value: &str) -> String {
        match to {
            DType::F16 => self.per_lane(value, &|lane| format!("f16_to_f32(f32_to_bf16({lane}))")),
            DType::BF16 => self.per_lane(value, &|lane| format!("bf16_to_f32(f32_to_f16({lane}))")),
            DType::I32 => format!("bitcast<IntLanes>({value})"),
            DType::U32 => format!("bitcast<UintLanes>({value})"),
            _ => format!("bitcast<Lanes>({value})"),
        }
    }

    fn cast(&self, from: DType, to: DType, value: &str) -> String {
        let per_lane = |convert: &dyn Fn(&str) -> String| self.per_lane(value, convert);
        match to {
            DType::F16 => per_lane(&|lane| format!("f16_to_f32(f32_to_f16(f32({lane})))")),
            DType::BF16 => per_lane(&|lane| format!("bf16_to_f32(f32_to_bf16(f32({lane})))")),
            DType::I32 if from == DType::F32 => {
                // The largest f32 below 2³¹ is 2³¹ − 128; what is above saturates at 2³¹ − 1.
                let inside = format!("IntLanes(clamp({value}, Lanes(-2147483648.0), Lanes(2147483520.0)))");
                format!("select({inside}, IntLanes(2147483647), {value} >= Lanes(2147483648.0))")
            }
            DType::I32 => format!("IntLanes({value})"),
            DType::U32 if from == DType::F32 => {
                let inside = format!("UintLanes(clamp({value}, Lanes(0.0), Lanes(4294967040.0)))");
                format!("select({inside}, UintLanes(4294967295u), {value} >= Lanes(4294967296.0))")
            }
            DType::U32 => format!("UintLanes({value})"),
            DType::U8 if from == DType::F32 => format!("UintLanes(clamp({value}, Lanes(0.0), Lanes(255.0)))"),
            DType::U8 => format!("(UintLanes({value}) & UintLanes(255u))"),
            DType::Bool if from == DType::F32 => format!("(!({value} == Lanes(0.0)))"),
            DType::Bool if from == DType::I32 => format!("({value} != IntLanes(0))"),
            DType::Bool if from == DType::U32 => format!("({value} != UintLanes(0u))"),
            DType::Bool => value.to_owned(),
            _ => format!("Lanes({value})"),
        }
    }
}

/// a / b, or its rest with the sign of a. GLSL leaves dividing by 0 and `%` of negative numbers open; here a / 0 is a, and its
/// rest 0, as in WGSL.
fn integer_quotient(function: F, dtype: DType, a: &str, b: &str) -> String {
    let lanes = if dtype == DType::U32 { "UintLanes" } else { "IntLanes" };
    let divisor = format!("select({b}, {lanes}(1), {b} == {lanes}(0))");
    match function {
        F::Div => format!("({a} / {divisor})"),
        _ => format!("({a} - ({a} / {divisor}) * {divisor})"),
    }
}
