//! The table of scalar functions. A function is one row: its name, its value, its WGSL and its derivative; the CPU,
//! the shaders, the gradients and the tests all derive from that row.
//!
//! In a row, `a`, `b`, `c` are the arguments and `y` the value. The derivative lists the partial derivative to each
//! argument, written with the same functions, so that differentiation is closed under itself.

use super::builder::Builder;
use super::expression::NodeId;
use super::real::Real;
use crate::tensor::DType;

/// How a function treats element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Floats to the same float type.
    Float,
    /// Floats, or integers of 32 or 64 bits, to the same type.
    Number,
    /// Two numbers of one type to a truth value.
    Comparison,
    /// A float to a truth value.
    Classification,
    /// Truth values to a truth value.
    Logic,
    /// Integers of 32 or 64 bits to the same type.
    Bits,
    /// A truth value and two of any one type, to that type.
    Select,
    /// Anything to the named type.
    Cast(DType),
    /// A type's bits as another type of as many.
    BitCast(DType),
    /// Two key words and two counter words, u32, to a word of random bits.
    RandomBits,
}

/// √(2/π), of the tanh form of GELU.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
/// The cubic coefficient of the tanh form of GELU.
const GELU_CUBIC: f64 = 0.044_715;
/// 2/√π, the slope of erf at 0.
const ERF_SLOPE: f64 = std::f64::consts::FRAC_2_SQRT_PI;
/// SELU's constants (Klambauer et al. 2017).
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

functions! {
    /// a + b
    Add "add" Number (a, b) = a + b; wgsl "({a} + {b})"; derivative |e, y| [e.number(1.0), e.number(1.0)];
    /// a − b
    Sub "sub" Number (a, b) = a - b; wgsl "({a} - {b})"; derivative |e, y| [e.number(1.0), e.number(-1.0)];
    /// a · b
    Mul "mul" Number (a, b) = a * b; wgsl "({a} * {b})"; derivative |e, y| [b, a];
    /// a / b
    Div "div" Number (a, b) = a / b; wgsl "({a} / {b})"; derivative |e, y| [e.reciprocal(b), {
        let ratio = e.div(y, b); e.neg(ratio) }];
    /// The remainder of a / b with the sign of a, as C's fmod.
    Rem "rem" Number (a, b) = a % b; wgsl "remainder({a}, {b})"; derivative |e, y| [e.number(1.0), {
        let quotient = e.div(a, b); let integer = e.call(ScalarFunction::Trunc, &[quotient]); e.neg(integer) }];
    /// a to the power b
    Pow "pow" Float (a, b) = a.pow(b); wgsl "power({a}, {b})"; derivative |e, y| [{
        // b·a^(b−1), and 0 where b is 0 whatever a is.
        let one = e.number(1.0); let less = e.sub(b, one); let power = e.call(ScalarFunction::Pow, &[a, less]);
        let slope = e.mul(b, power); let zero = e.number(0.0);
        let flat = e.call(ScalarFunction::Equal, &[b, zero]); e.select(flat, zero, slope)
    }, {
        // y·log a, and 0 where a is 0 and b not below 0, as in PyTorch.
        let zero = e.number(0.0); let logarithm = e.call(ScalarFunction::Log, &[a]); let slope = e.mul(y, logarithm);
        let empty = e.call(ScalarFunction::Equal, &[a, zero]); let grows = e.call(ScalarFunction::GreaterEqual, &[b, zero]);
        let flat = e.call(ScalarFunction::And, &[empty, grows]); e.select(flat, zero, slope)
    }];
    /// The larger; where equal, each side gets half of the gradient, as in PyTorch.
    Maximum "maximum" Number (a, b) = a.larger(b); wgsl "larger({a}, {b})"; derivative |e, y| [e.preference(a, b), e.preference(b, a)];
    /// The smaller; where equal, each side gets half of the gradient, as in PyTorch.
    Minimum "minimum" Number (a, b) = a.smaller(b); wgsl "smaller({a}, {b})"; derivative |e, y| [e.preference(b, a), e.preference(a, b)];
    /// a clamped to b and c; at a bound, the gradient is 0, as in PyTorch
    Clamp "clamp" Float (a, b, c) = a.larger(b).smaller(c); wgsl "smaller(larger({a}, {b}), {c})"; derivative |e, y| [{
        let above = e.call(ScalarFunction::Greater, &[a, b]); let below = e.call(ScalarFunction::Less, &[a, c]);
        let inside = e.call(ScalarFunction::And, &[above, below]); let (one, zero) = (e.number(1.0), e.number(0.0)); e.select(inside, one, zero)
    }, {
        let low = e.call(ScalarFunction::LessEqual, &[a, b]); let (one, zero) = (e.number(1.0), e.number(0.0)); e.select(low, one, zero)
    }, {
        let high = e.call(ScalarFunction::GreaterEqual, &[a, c]); let (one, zero) = (e.number(1.0), e.number(0.0)); e.select(high, one, zero)
    }];
    /// The angle of the point (b, a)
    Atan2 "atan2" Float (a, b) = a.atan2(b); wgsl "arctangent({a}, {b})"; derivative |e, y| [e.angle_slope(b, a), {
        let slope = e.angle_slope(a, b); e.neg(slope) }];
    /// −a
    Neg "neg" Number (a) = -a; wgsl "(-{a})"; derivative |e, y| [e.number(-1.0)];
    /// |a|
    Abs "abs" Number (a) = a.abs(); wgsl "abs({a})"; derivative |e, y| [e.call(ScalarFunction::Sign, &[a])];
    /// −1, 0 or 1
    Sign "sign" Number (a) = a.sign(); wgsl "sign_of({a})"; derivative |e, y| [None];
    /// Largest integer not above a
    Floor "floor" Float (a) = a.floor(); wgsl "floor({a})"; derivative |e, y| [None];
    /// Smallest integer not below a
    Ceil "ceil" Float (a) = a.ceil(); wgsl "ceil({a})"; derivative |e, y| [None];
    /// Nearest integer, halves to even
    Round "round" Float (a) = a.round_ties_even(); wgsl "round({a})"; derivative |e, y| [None];
    /// The integer part
    Trunc "trunc" Float (a) = a.trunc(); wgsl "trunc({a})"; derivative |e, y| [None];
    /// 1 / a
    Reciprocal "reciprocal" Float (a) = T::real(1.0) / a; wgsl "(Lanes(1.0) / {a})"; derivative |e, y| [{
        let square = e.mul(y, y); e.neg(square) }];
    /// a²
    Square "square" Number (a) = a * a; wgsl "({a} * {a})"; derivative |e, y| [{ let two = e.number(2.0); e.mul(two, a) }];
    /// √a
    Sqrt "sqrt" Float (a) = Real::sqrt(a); wgsl "sqrt({a})"; derivative |e, y| [{ let half = e.number(0.5); e.div(half, y) }];
    /// 1 / √a
    Rsqrt "rsqrt" Float (a) = T::real(1.0) / Real::sqrt(a); wgsl "inverseSqrt({a})"; derivative |e, y| [{
        let half = e.number(-0.5); let ratio = e.div(y, a); e.mul(half, ratio) }];
    /// e^a
    Exp "exp" Float (a) = Real::exp(a); wgsl "exponential({a})"; derivative |e, y| [y];
    /// e^a − 1, also where a is small
    Expm1 "expm1" Float (a) = a.exp_m1(); wgsl "exp_minus_one({a})"; derivative |e, y| [{ let one = e.number(1.0); e.add(y, one) }];
    /// Natural logarithm
    Log "log" Float (a) = a.ln(); wgsl "natural_logarithm({a})"; derivative |e, y| [e.reciprocal(a)];
    /// log(1 + a), also where a is small
    Log1p "log1p" Float (a) = a.ln_1p(); wgsl "log_one_plus({a})"; derivative |e, y| [{
        let one = e.number(1.0); let sum = e.add(a, one); e.reciprocal(sum) }];
    /// Sine
    Sin "sin" Float (a) = Real::sin(a); wgsl "sine({a})"; derivative |e, y| [e.call(ScalarFunction::Cos, &[a])];
    /// Cosine
    Cos "cos" Float (a) = Real::cos(a); wgsl "cosine({a})"; derivative |e, y| [{ let sine = e.call(ScalarFunction::Sin, &[a]); e.neg(sine) }];
    /// Tangent
    Tan "tan" Float (a) = Real::tan(a); wgsl "tangent({a})"; derivative |e, y| [{
        let one = e.number(1.0); let square = e.mul(y, y); e.add(one, square) }];
    /// Arcsine, NaN beyond ±1
    Asin "asin" Float (a) = Real::asin(a); wgsl "arcsine({a})"; derivative |e, y| [e.across_slope(a)];
    /// Arccosine, NaN beyond ±1
    Acos "acos" Float (a) = Real::acos(a); wgsl "arccosine({a})"; derivative |e, y| [{ let slope = e.across_slope(a); e.neg(slope) }];
    /// Arctangent
    Atan "atan" Float (a) = Real::atan(a); wgsl "arctangent({a}, Lanes(1.0))"; derivative |e, y| [{
        let one = e.number(1.0); let square = e.mul(a, a); let sum = e.add(square, one); e.reciprocal(sum) }];
    /// Hyperbolic sine
    Sinh "sinh" Float (a) = Real::sinh(a); wgsl "hyperbolic_sine({a})"; derivative |e, y| [e.call(ScalarFunction::Cosh, &[a])];
    /// Hyperbolic cosine
    Cosh "cosh" Float (a) = Real::cosh(a); wgsl "hyperbolic_cosine({a})"; derivative |e, y| [e.call(ScalarFunction::Sinh, &[a])];
    /// Inverse of the hyperbolic sine
    Asinh "asinh" Float (a) = Real::asinh(a); wgsl "inverse_hyperbolic_sine({a})"; derivative |e, y| [{
        let one = e.number(1.0); let square = e.mul(a, a); let sum = e.add(square, one); e.call(ScalarFunction::Rsqrt, &[sum]) }];
    /// Inverse of the hyperbolic cosine, NaN below 1
    Acosh "acosh" Float (a) = Real::acosh(a); wgsl "inverse_hyperbolic_cosine({a})"; derivative |e, y| [{
        // In two roots, whose product stays in range.
        let one = e.number(1.0); let (less, more) = (e.sub(a, one), e.add(a, one));
        let (less, more) = (e.call(ScalarFunction::Rsqrt, &[less]), e.call(ScalarFunction::Rsqrt, &[more])); e.mul(less, more) }];
    /// Inverse of the hyperbolic tangent, NaN beyond ±1
    Atanh "atanh" Float (a) = Real::atanh(a); wgsl "inverse_hyperbolic_tangent({a})"; derivative |e, y| [{
        let one = e.number(1.0); let (less, more) = (e.sub(one, a), e.add(one, a)); let product = e.mul(less, more); e.reciprocal(product) }];
    /// The error function
    Erf "erf" Float (a) = a.erf(); wgsl "error_function({a})"; derivative |e, y| [{
        let slope = e.number(ERF_SLOPE); let bell = e.bell(a, 1.0); e.mul(slope, bell) }];
    /// Hyperbolic tangent
    Tanh "tanh" Float (a) = Real::tanh(a); wgsl "hyperbolic_tangent({a})"; derivative |e, y| [{
        let one = e.number(1.0); let square = e.mul(y, y); e.sub(one, square) }];
    /// 1 / (1 + e^−a)
    Sigmoid "sigmoid" Float (a) = a.sigmoid(); wgsl "sigmoid({a})"; derivative |e, y| [{
        let one = e.number(1.0); let rest = e.sub(one, y); e.mul(y, rest) }];
    /// max(a, 0)
    Relu "relu" Float (a) = a.larger(T::real(0.0)); wgsl "rectified({a})"; derivative |e, y| [{
        let (zero, one) = (e.number(0.0), e.number(1.0)); let flat = e.call(ScalarFunction::LessEqual, &[y, zero]); e.select(flat, zero, one) }];
    /// a, or b·a where a is negative
    LeakyRelu "leaky_relu" Float (a, b) = if a >= T::real(0.0) { a } else { a * b }; wgsl "select({a} * {b}, {a}, {a} >= Lanes(0.0))"; derivative |e, y| [{
        let zero = e.number(0.0); let one = e.number(1.0);
        let positive = e.call(ScalarFunction::Greater, &[a, zero]); e.select(positive, one, b)
    }, { let zero = e.number(0.0); e.call(ScalarFunction::Minimum, &[a, zero]) }];
    /// a, or b·(e^a − 1) where a is negative
    Elu "elu" Float (a, b) = if a > T::real(0.0) { a } else { b * a.exp_m1() }; wgsl "select({b} * exp_minus_one({a}), {a}, {a} > Lanes(0.0))"; derivative |e, y| [{
        let zero = e.number(0.0); let one = e.number(1.0); let sum = e.add(y, b);
        let positive = e.call(ScalarFunction::Greater, &[a, zero]); e.select(positive, one, sum)
    }, { let zero = e.number(0.0); let low = e.call(ScalarFunction::Minimum, &[a, zero]); e.call(ScalarFunction::Expm1, &[low]) }];
    /// The self-normalising ELU: 1.0507·elu(a, 1.6733) (Klambauer et al. 2017)
    Selu "selu" Float (a) = T::real(SELU_SCALE) * if a > T::real(0.0) { a } else { T::real(SELU_ALPHA) * a.exp_m1() };
        wgsl "select(Lanes(1.7580993408473766) * exp_minus_one({a}), Lanes(1.0507009873554805) * {a}, {a} > Lanes(0.0))"; derivative |e, y| [{
        let zero = e.number(0.0); let scale = e.number(SELU_SCALE); let limit = e.number(SELU_SCALE * SELU_ALPHA); let sum = e.add(y, limit);
        let positive = e.call(ScalarFunction::Greater, &[a, zero]); e.select(positive, scale, sum)
    }];
    /// a, or b·(e^(a/b) − 1) where a is negative (Barron 2017)
    Celu "celu" Float (a, b) = if a > T::real(0.0) { a } else { b * (a / b).exp_m1() }; wgsl "select({b} * exp_minus_one({a} / {b}), {a}, {a} > Lanes(0.0))"; derivative |e, y| [{
        let zero = e.number(0.0); let one = e.number(1.0); let ratio = e.div(y, b); let sum = e.add(ratio, one);
        let positive = e.call(ScalarFunction::Greater, &[a, zero]); e.select(positive, one, sum)
    }, {
        // For a < 0: (e^(a/b) − 1) − (a/b)·e^(a/b), and 0 at a = 0.
        let zero = e.number(0.0); let low = e.call(ScalarFunction::Minimum, &[a, zero]); let ratio = e.div(low, b);
        let power = e.call(ScalarFunction::Exp, &[ratio]); let less = e.call(ScalarFunction::Expm1, &[ratio]);
        let product = e.mul(ratio, power); e.sub(less, product)
    }];
    /// a·Φ(a), with the error function (Hendrycks and Gimpel 2016)
    Gelu "gelu" Float (a) = T::real(0.5) * a * (T::real(1.0) + (a * T::real(std::f64::consts::FRAC_1_SQRT_2)).erf());
        wgsl "(Lanes(0.5) * {a} * (Lanes(1.0) + error_function({a} * Lanes(0.7071067811865476))))"; derivative |e, y| [{
        let root = e.number(std::f64::consts::FRAC_1_SQRT_2); let scaled = e.mul(a, root); let error = e.call(ScalarFunction::Erf, &[scaled]);
        let one = e.number(1.0); let half = e.number(0.5); let sum = e.add(one, error); let distribution = e.mul(half, sum);
        let bell = e.bell(a, 0.5); let scale = e.number(0.398_942_280_401_432_7); let density = e.mul(scale, bell);
        let product = e.mul(a, density); e.add(distribution, product)
    }];
    /// GELU in its tanh approximation
    GeluTanh "gelu_tanh" Float (a) = T::real(0.5) * a * (T::real(1.0) + Real::tanh(T::real(GELU_SCALE) * (a + T::real(GELU_CUBIC) * a * a * a)));
        wgsl "(Lanes(0.5) * {a} * (Lanes(1.0) + hyperbolic_tangent(Lanes(0.7978845608028654) * ({a} + Lanes(0.044715) * {a} * {a} * {a}))))"; derivative |e, y| [{
        let square = e.mul(a, a); let cubic = e.number(GELU_CUBIC); let scale = e.number(GELU_SCALE); let one = e.number(1.0); let half = e.number(0.5);
        let inner = e.mul(cubic, square); let inner = e.add(one, inner); let inner = e.mul(a, inner); let inner = e.mul(scale, inner);
        let tanh = e.call(ScalarFunction::Tanh, &[inner]);
        let three = e.number(3.0 * GELU_CUBIC); let slope = e.mul(three, square); let slope = e.add(one, slope); let slope = e.mul(scale, slope);
        let tanh_square = e.mul(tanh, tanh); let rest = e.sub(one, tanh_square); let right = e.mul(rest, slope); let right = e.mul(a, right);
        let left = e.add(one, tanh); let sum = e.add(left, right); e.mul(half, sum)
    }];
    /// a·sigmoid(a), also called swish
    Silu "silu" Float (a) = a * a.sigmoid(); wgsl "({a} * sigmoid({a}))"; derivative |e, y| [{
        let sigmoid = e.call(ScalarFunction::Sigmoid, &[a]); let one = e.number(1.0); let rest = e.sub(one, sigmoid);
        let product = e.mul(a, rest); let sum = e.add(one, product); e.mul(sigmoid, sum)
    }];
    /// a·tanh(softplus(a)) (Misra 2019)
    Mish "mish" Float (a) = a * Real::tanh(a.softplus()); wgsl "({a} * hyperbolic_tangent(soft_plus({a})))"; derivative |e, y| [{
        let soft = e.call(ScalarFunction::Softplus, &[a]); let tanh = e.call(ScalarFunction::Tanh, &[soft]);
        let sigmoid = e.call(ScalarFunction::Sigmoid, &[a]); let one = e.number(1.0); let square = e.mul(tanh, tanh); let rest = e.sub(one, square);
        let product = e.mul(sigmoid, rest); let product = e.mul(a, product); e.add(tanh, product)
    }];
    /// log(1 + e^a)
    Softplus "softplus" Float (a) = a.softplus(); wgsl "soft_plus({a})"; derivative |e, y| [e.call(ScalarFunction::Sigmoid, &[a])];
    /// log(sigmoid(a)) = −log(1 + e^−a)
    LogSigmoid "log_sigmoid" Float (a) = -(-a).softplus(); wgsl "(-soft_plus(-({a})))"; derivative |e, y| [{
        let negative = e.call(ScalarFunction::Neg, &[a]); e.call(ScalarFunction::Sigmoid, &[negative]) }];
    /// a / (1 + |a|)
    Softsign "softsign" Float (a) = a / (T::real(1.0) + a.abs()); wgsl "({a} / (Lanes(1.0) + abs({a})))"; derivative |e, y| [{
        let one = e.number(1.0); let magnitude = e.call(ScalarFunction::Abs, &[a]); let sum = e.add(one, magnitude);
        let square = e.mul(sum, sum); e.reciprocal(square)
    }];
    /// a/6 + 1/2, clamped to 0 and 1
    HardSigmoid "hard_sigmoid" Float (a) = (a / T::real(6.0) + T::real(0.5)).larger(T::real(0.0)).smaller(T::real(1.0));
        wgsl "clamped({a} / Lanes(6.0) + Lanes(0.5), Lanes(0.0), Lanes(1.0))"; derivative |e, y| [{
        let three = e.number(3.0); let sixth = e.number(1.0 / 6.0); let zero = e.number(0.0); let magnitude = e.call(ScalarFunction::Abs, &[a]);
        let inside = e.call(ScalarFunction::Less, &[magnitude, three]); e.select(inside, sixth, zero)
    }];
    /// a·hard_sigmoid(a)
    HardSwish "hard_swish" Float (a) = a * (a / T::real(6.0) + T::real(0.5)).larger(T::real(0.0)).smaller(T::real(1.0));
        wgsl "({a} * clamped({a} / Lanes(6.0) + Lanes(0.5), Lanes(0.0), Lanes(1.0)))"; derivative |e, y| [{
        let three = e.number(3.0); let low = e.number(-3.0); let zero = e.number(0.0); let one = e.number(1.0); let half = e.number(0.5);
        let third = e.div(a, three); let slope = e.add(third, half);
        let below = e.call(ScalarFunction::LessEqual, &[a, low]); let above = e.call(ScalarFunction::GreaterEqual, &[a, three]);
        let upper = e.select(above, one, slope); e.select(below, zero, upper)
    }];
}

impl ScalarFunction {
    /// True where it costs about as much as a multiplication, so that computing it twice is cheaper than storing it.
    pub(crate) fn is_cheap(self) -> bool {
        use ScalarFunction as F;
        !matches!(
            self,
            F::Pow
                | F::Atan2
                | F::Asin
                | F::Acos
                | F::Atan
                | F::Sinh
                | F::Cosh
                | F::Asinh
                | F::Acosh
                | F::Atanh
                | F::Rem
                | F::Exp
                | F::Expm1
                | F::Log
                | F::Log1p
                | F::Sin
                | F::Cos
                | F::Tan
                | F::Erf
                | F::Tanh
                | F::Sigmoid
                | F::Elu
                | F::Selu
                | F::Celu
                | F::Gelu
                | F::GeluTanh
                | F::Silu
                | F::Mish
                | F::Softplus
                | F::LogSigmoid
                | F::Threefry(_)
        )
    }

    /// The type of the value for the arguments' compute types; an explanation where they do not fit.
    pub(crate) fn result(self, arguments: &[DType]) -> Result<DType, String> {
        let first = arguments.first().copied().unwrap_or(DType::F32);
        let same = |dtypes: &[DType]| {
            dtypes
                .iter()
                .find(|&&dtype| dtype != dtypes[0])
                .map_or(Ok(dtypes[0]), |other| Err(format!("operands are {} and {other}; cast one of them", dtypes[0])))
        };
        match self.signature() {
            Signature::Float => {
                let dtype = same(arguments)?;
                if dtype.is_float() { Ok(dtype) } else { Err(format!("wants floats, not {dtype}; cast first")) }
            }
            Signature::Number => {
                let dtype = same(arguments)?;
                match (dtype, self) {
                    (DType::Bool | DType::U8, _) => {
                        Err(format!("wants numbers to compute with, not {dtype}; cast first"))
                    }
                    (DType::U32, Self::Neg) => Err("u32 has no negative values; cast to i32".into()),
                    _ => Ok(dtype),
                }
            }
            Signature::Comparison => {
                let dtype = same(arguments)?;
                if dtype == DType::U8 { Err("u8 is for storage; cast first".into()) } else { Ok(DType::Bool) }
            }
            Signature::Classification if first.is_float() => Ok(DType::Bool),
            Signature::Classification => Err(format!("wants floats, not {first}; cast first")),
            Signature::Logic => match same(arguments)? {
                DType::Bool => Ok(DType::Bool),
                dtype => Err(format!("wants truth values, not {dtype}")),
            },
            Signature::Bits => match same(arguments)? {
                dtype @ (DType::I32 | DType::I64 | DType::U32) => Ok(dtype),
                dtype => Err(format!("wants i32, i64 or u32, not {dtype}")),
            },
            Signature::Select => {
                if first != DType::Bool {
                    return Err(format!("the condition must be bool, not {first}"));
                }
                match same(&arguments[1..])? {
                    DType::U8 => Err("u8 is for storage; cast first".into()),
                    dtype => Ok(dtype),
                }
            }
            Signature::Cast(dtype) => Ok(dtype),
            Signature::BitCast(dtype) => match (first, dtype) {
                (from, to) if from == to => Ok(to),
                (DType::Bool | DType::U8, _) | (_, DType::Bool | DType::U8) => {
                    Err(format!("reads the bits of {first} as no other type; cast"))
                }
                (from, to) if from.size() == to.size() => Ok(to),
                (from, to) => Err(format!("{from} has {} bits, {to} has {}", 8 * from.size(), 8 * to.size())),
            },
            Signature::RandomBits => match same(arguments)? {
                DType::U32 => Ok(DType::U32),
                dtype => Err(format!("wants u32 words, not {dtype}")),
            },
        }
    }
}
/// The functions of one operand as methods, for whatever has them: name, function, documentation.
macro_rules! unary_methods {
    ($methods:ident) => {
        $methods! { unary
            abs Abs "The magnitude.";
            sign Sign "−1, 0 or 1.";
            floor Floor "The largest integer not above.";
            ceil Ceil "The smallest integer not below.";
            round Round "The nearest integer, halves to even.";
            trunc Trunc "The integer part.";
            reciprocal Reciprocal "1 / x";
            square Square "x²";
            sqrt Sqrt "The square root.";
            rsqrt Rsqrt "1 / √x";
            exp Exp "e^x";
            expm1 Expm1 "e^x − 1, also where x is small.";
            log Log "The natural logarithm.";
            log1p Log1p "log(1 + x), also where x is small.";
            sin Sin "The sine.";
            cos Cos "The cosine.";
            tan Tan "The tangent.";
            asin Asin "The arcsine, from −π/2 to π/2; NaN beyond ±1.";
            acos Acos "The arccosine, from 0 to π; NaN beyond ±1.";
            atan Atan "The arctangent, from −π/2 to π/2.";
            sinh Sinh "The hyperbolic sine.";
            cosh Cosh "The hyperbolic cosine.";
            asinh Asinh "The inverse of the hyperbolic sine.";
            acosh Acosh "The inverse of the hyperbolic cosine, 0 and up; NaN below 1.";
            atanh Atanh "The inverse of the hyperbolic tangent; infinite at ±1, NaN beyond.";
            erf Erf "The error function.";
            tanh Tanh "The hyperbolic tangent.";
            sigmoid Sigmoid "1 / (1 + e^−x)";
            relu Relu "max(x, 0)";
            selu Selu "The self-normalising exponential linear unit (Klambauer et al. 2017).";
            gelu Gelu "x·Φ(x), with the error function.";
            gelu_tanh GeluTanh "GELU in its tanh approximation.";
            silu Silu "x·sigmoid(x), also called swish.";
            mish Mish "x·tanh(softplus(x))";
            softplus Softplus "log(1 + e^x)";
            log_sigmoid LogSigmoid "log(sigmoid(x)) = −log(1 + e^−x), without overflow";
            softsign Softsign "x / (1 + |x|)";
            hard_sigmoid HardSigmoid "x/6 + 1/2, clamped to 0 and 1.";
            hard_swish HardSwish "x·hard_sigmoid(x)";
            logical_not Not "True where this is false.";
            is_nan IsNan "True where this is NaN.";
            is_inf IsInf "True where this is infinite, on either side.";
        }
    };
}
pub(crate) use unary_methods;
