//! WGSL of constants and of functions of scalars or of four lanes.

use super::{Emitter, Style};
use crate::scalar::expression::{Constant, NodeId};
use crate::scalar::function::{ScalarFunction as F, Signature};
use crate::tensor::DType;

/// Bits of a mantissa that are 0 in numbers which people write into formulas as such: halves, small integers, powers of two.
const PLAIN: u32 = 0xfff;

/// True for a number that is a part of the formula. Others are learned or measured, or settings: as parameters, they do not make two kernels
/// of one that a network's layers share, and a driver's cache knows the kernel when they change.
fn is_plain(value: f32) -> bool {
    value.to_bits() & PLAIN == 0
}

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
                if value.is_finite() && (self.style == Style::Function || is_plain(value)) {
                    return lanes("Lanes", format!("{value:?}f"));
                }
                self.param_literal(value)
            }
        }
    }

    /// A number in a parameter: WGSL has no literal for what is not finite, and compilers do not calculate with what they do not know.
    pub(super) fn param_literal(&mut self, value: f32) -> String {
        let word = self.param(i64::from(value.to_bits() as i32));
        format!("Lanes(bitcast<f32>({word}))")
    }

    /// Arithmetic of floats.
    fn float(&mut self, function: F, arguments: &[NodeId]) -> String {
        let mut names: Vec<String> = arguments.iter().map(|id| self.names[id.index()].clone()).collect();
        if matches!(function, F::Mul | F::Div) {
            names = self.factors(arguments);
        }
        if self.cancels(function, arguments) {
            names[1] = self.hidden(&names[1]);
        }
        match (function, arguments) {
            (F::Square, &[a]) if self.is_root(a) => return format!("({} * {})", names[0], self.hidden(&names[0])),
            (F::Maximum | F::Minimum, &[a, b]) if self.is_number(a) || self.is_number(b) => {
                if self.is_number(a) {
                    names.swap(0, 1);
                }
                let name = if function == F::Maximum { "at_least" } else { "at_most" };
                return format!("{name}({}, {})", names[0], names[1]);
            }
            (F::Clamp, &[_, low, high]) if self.is_number(low) && self.is_number(high) => {
                return format!("clamped({})", names.join(", "));
            }
            _ => {}
        }
        let template = function.numeric_wgsl().unwrap_or("{a}");
        let name = |k: usize| names.get(k).map_or("", String::as_str);
        template.replace("{a}", name(0)).replace("{b}", name(1)).replace("{c}", name(2))
    }

    pub(super) fn call(&mut self, function: F, arguments: &[NodeId]) -> String {
        let names: Vec<String> = arguments.iter().map(|id| self.names[id.index()].clone()).collect();
        let name = |k: usize| names.get(k).map_or("", String::as_str);
        let (a, b, c) = (name(0), name(1), name(2));
        let expression = self.expression;
        let dtype = |k: usize| expression.types[arguments[k].index()];
        match function.signature() {
            Signature::Float | Signature::Number => {
                if dtype(0).is_float() {
                    return self.float(function, arguments);
                }
                match function {
                    F::Div | F::Rem => integer_quotient(function, dtype(0), a, b),
                    F::Maximum => format!("max({a}, {b})"),
                    F::Minimum => format!("min({a}, {b})"),
                    F::Sign if dtype(0) == DType::U32 => format!("min({a}, UintLanes(1u))"),
                    F::Sign => format!("sign({a})"),
                    _ => function.numeric_wgsl().unwrap_or("{a}").replace("{a}", a).replace("{b}", b),
                }
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
                if !dtype(0).is_float() {
                    return format!("({a} {symbol} {b})");
                }
                let b = if self.cancels(function, arguments) { self.hidden(b) } else { b.to_owned() };
                // A NaN is not equal to anything; drivers' own comparison may say otherwise.
                if function == F::NotEqual { format!("(!({a} == {b}))") } else { format!("({a} {symbol} {b})") }
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
                _ => self.negated(arguments[0]),
            },
            Signature::Bits => match function {
                F::BitAnd => format!("({a} & {b})"),
                F::BitOr => format!("({a} | {b})"),
                F::BitXor => format!("({a} ^ {b})"),
                F::ShiftLeft => format!("({a} << (UintLanes({b}) & UintLanes(31u)))"),
                _ => format!("({a} >> (UintLanes({b}) & UintLanes(31u)))"),
            },
            Signature::Select => format!("select({c}, {b}, {})", self.condition(arguments[0], &arguments[1..])),
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
                let above = format!("select({inside}, IntLanes(2147483647), {value} >= Lanes(2147483648.0))");
                format!("select({above}, IntLanes(0), no_number({value}))")
            }
            DType::I32 => format!("IntLanes({value})"),
            DType::U32 if from == DType::F32 => {
                let inside = format!("UintLanes(clamp({value}, Lanes(0.0), Lanes(4294967040.0)))");
                let above = format!("select({inside}, UintLanes(4294967295u), {value} >= Lanes(4294967296.0))");
                format!("select({above}, UintLanes(0u), no_number({value}))")
            }
            DType::U32 => format!("UintLanes({value})"),
            DType::U8 if from == DType::F32 => {
                let inside = format!("UintLanes(clamp({value}, Lanes(0.0), Lanes(255.0)))");
                format!("select({inside}, UintLanes(0u), no_number({value}))")
            }
            DType::U8 => format!("(UintLanes({value}) & UintLanes(255u))"),
            // By the bits: a subnormal is not 0, and neither is what is no number.
            DType::Bool if from == DType::F32 => {
                format!("((bitcast<UintLanes>({value}) & UintLanes(0x7fffffffu)) != UintLanes(0u))")
            }
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

/// Functions that are not WGSL's, and the modules that they stand in.
const MODULES: [(&str, &str); 30] = [
    ("no_number", "shared/numbers"),
    ("larger", "shared/numbers"),
    ("smaller", "shared/numbers"),
    ("at_least", "shared/numbers"),
    ("at_most", "shared/numbers"),
    ("clamped", "shared/numbers"),
    ("rectified", "shared/numbers"),
    ("sign_of", "shared/numbers"),
    ("exponential", "shared/exponential"),
    ("exp_minus_one", "shared/exponential"),
    ("hyperbolic_sine", "shared/exponential"),
    ("hyperbolic_cosine", "shared/exponential"),
    ("natural_logarithm", "shared/logarithm"),
    ("log_one_plus", "shared/logarithm"),
    ("inverse_hyperbolic_sine", "shared/logarithm"),
    ("inverse_hyperbolic_cosine", "shared/logarithm"),
    ("inverse_hyperbolic_tangent", "shared/logarithm"),
    ("sine", "shared/trigonometry"),
    ("cosine", "shared/trigonometry"),
    ("tangent", "shared/trigonometry"),
    ("arctangent", "shared/arctangent"),
    ("arcsine", "shared/arctangent"),
    ("arccosine", "shared/arctangent"),
    ("power", "shared/power"),
    ("remainder", "shared/remainder"),
    ("sigmoid", "shared/functions"),
    ("hyperbolic_tangent", "shared/functions"),
    ("soft_plus", "shared/activations"),
    ("error_function", "shared/activations"),
    ("threefry", "shared/random"),
];

/// What generated text may import, for tests of the files.
#[cfg(test)]
pub(crate) fn generated_imports() -> impl Iterator<Item = &'static str> {
    let others = ["shared/half", "element/f32", "lanes/one", "lanes/four"];
    MODULES.iter().map(|(_, module)| *module).chain(others)
}

/// The import lines of what a text calls.
pub(super) fn imports(text: &str) -> String {
    let is_letter = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut lines: Vec<String> = text
        .match_indices('(')
        .map(|(end, _)| text[..end].rsplit(|character| !is_letter(character)).next().unwrap_or_default())
        .filter_map(|called| MODULES.iter().find(|(name, _)| *name == called))
        .map(|(_, module)| format!("#import {module}\n"))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use crate::scalar::wgsl::{Emitted, Epilogue, emit_map};
    use crate::scalar::{Affine, Builder, ScalarFunction};
    use crate::tensor::DType::F32;

    /// A value times a number, as a map and as the last step of a routine.
    fn scaled(number: f64) -> [Emitted; 2] {
        let mut builder = Builder::new(F32);
        let (value, number) = (builder.load(0, F32, Affine::row_major(&[8])), builder.constant(F32, number));
        let product = builder.call(ScalarFunction::Mul, &[value, number]);
        let expression = builder.finish(vec![8], vec![F32], vec![(product, F32)]);
        [emit_map(&expression, &[None]), Epilogue { expression, borders: [0, 1] }.emit(1)]
    }

    #[test]
    fn numbers_with_many_digits_are_parameters() {
        for (one, other) in scaled(0.943_169_06).into_iter().zip(scaled(2.728_159_7)) {
            assert_eq!(one.module, other.module, "layers share a kernel");
            assert!(one.params.contains(&0.943_169_06_f32.to_bits()), "{:?}", one.params);
            assert!(other.params.contains(&2.728_159_7_f32.to_bits()), "{:?}", other.params);
        }
        for (number, text) in [(0.5, "Lanes(0.5f)"), (-3.0, "Lanes(-3.0f)"), (6.0, "Lanes(6.0f)")] {
            for emitted in scaled(number) {
                assert!(emitted.module.contains(text), "a driver may simplify it: {}", emitted.module);
            }
        }
    }
}
