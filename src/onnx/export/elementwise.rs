//! Scalar functions as ONNX's operators, or made of several of them.

use super::writer::{Writer, float, int};
use crate::error::Result;
use crate::graph::{Node, ValueId};
use crate::ops::Op;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, Shape};

/// A function that ONNX has under this name, with the same operands.
const fn plain(function: F) -> Option<&'static str> {
    Some(match function {
        F::Add => "Add",
        F::Sub => "Sub",
        F::Mul => "Mul",
        F::Div => "Div",
        F::Pow => "Pow",
        F::Maximum => "Max",
        F::Minimum => "Min",
        F::Neg => "Neg",
        F::Abs => "Abs",
        F::Sign => "Sign",
        F::Floor => "Floor",
        F::Ceil => "Ceil",
        F::Round => "Round",
        F::Reciprocal => "Reciprocal",
        F::Sqrt => "Sqrt",
        F::Exp => "Exp",
        F::Log => "Log",
        F::Sin => "Sin",
        F::Cos => "Cos",
        F::Tan => "Tan",
        F::Asin => "Asin",
        F::Acos => "Acos",
        F::Atan => "Atan",
        F::Sinh => "Sinh",
        F::Cosh => "Cosh",
        F::Asinh => "Asinh",
        F::Acosh => "Acosh",
        F::Atanh => "Atanh",
        F::Erf => "Erf",
        F::Tanh => "Tanh",
        F::Sigmoid => "Sigmoid",
        F::Relu => "Relu",
        F::Selu => "Selu",
        F::Softplus => "Softplus",
        F::Softsign => "Softsign",
        F::HardSwish => "HardSwish",
        F::LeakyRelu => "PRelu",
        F::Equal => "Equal",
        F::Less => "Less",
        F::LessEqual => "LessOrEqual",
        F::Greater => "Greater",
        F::GreaterEqual => "GreaterOrEqual",
        F::IsNan => "IsNaN",
        F::IsInf => "IsInf",
        F::And => "And",
        F::Or => "Or",
        F::Xor => "Xor",
        F::Not => "Not",
        F::BitAnd => "BitwiseAnd",
        F::BitOr => "BitwiseOr",
        F::BitXor => "BitwiseXor",
        F::Select => "Where",
        _ => return None,
    })
}

impl Writer<'_> {
    /// A scalar function.
    ///
    /// # Errors
    /// A message that names what ONNX has not.
    pub(super) fn elementwise(&mut self, function: F, node: &Node, shape: &Shape) -> Result<String, String> {
        let message = |error: crate::error::Error| error.to_string();
        let operands = self.operands(node, shape).map_err(message)?;
        let inputs: Vec<&str> = operands.iter().map(String::as_str).collect();
        let dtype = self.input_type(node, 0).map_err(message)?.dtype;
        if let Some(alpha) = node.inputs.get(1).and_then(|&value| self.uniform(value)) {
            let name = match function {
                F::LeakyRelu => "LeakyRelu",
                F::Elu => "Elu",
                F::Celu if dtype == DType::F32 => "Celu",
                _ => "",
            };
            if !name.is_empty() {
                return Ok(self.add(name, &inputs[..1], [float("alpha", alpha)]));
            }
        }
        if let (F::Clamp, &[_, low, high]) = (function, node.inputs.as_slice())
            && let (Some(low), Some(high)) = (self.uniform(low), self.uniform(high))
        {
            let low = self.scalar(dtype, low).map_err(message)?;
            let high = self.scalar(dtype, high).map_err(message)?;
            return Ok(self.call("Clip", &[inputs[0], &low, &high]));
        }
        if let Some(name) = plain(function) {
            return Ok(self.call(name, &inputs));
        }
        match function {
            F::Cast(to) => Ok(self.cast(inputs[0], to)),
            F::Rem => Ok(self.add("Mod", &inputs, [int("fmod", 1)])),
            F::HardSigmoid => Ok(self.add("HardSigmoid", &inputs, [float("alpha", 1.0 / 6.0), float("beta", 0.5)])),
            F::NotEqual => {
                let equal = self.call("Equal", &inputs);
                Ok(self.call("Not", &[&equal]))
            }
            F::ShiftLeft | F::ShiftRight if dtype == DType::U32 => {
                let direction = if function == F::ShiftLeft { "LEFT" } else { "RIGHT" };
                Ok(self.add("BitShift", &inputs, [super::writer::string("direction", direction)]))
            }
            F::ShiftLeft | F::ShiftRight => {
                Err(format!("ONNX shifts the bits of unsigned integers alone, not of {dtype}"))
            }
            F::Threefry(_) => Err("random numbers are not exported".into()),
            _ => self.composed(function, &inputs, dtype).map_err(message),
        }
    }

    /// Functions that ONNX has not.
    fn composed(&mut self, function: F, inputs: &[&str], dtype: DType) -> Result<String> {
        let x = inputs.first().copied().unwrap_or_default();
        let b = inputs.get(1).copied().unwrap_or_default();
        let (one, half) =
            (self.scalar(dtype, 1.0)?, if dtype.is_float() { self.scalar(dtype, 0.5)? } else { String::new() });
        Ok(match function {
            F::Square => self.call("Mul", &[x, x]),
            F::Rsqrt => {
                let root = self.call("Sqrt", &[x]);
                self.call("Reciprocal", &[&root])
            }
            F::Trunc => {
                let (sign, size) = (self.call("Sign", &[x]), self.call("Abs", &[x]));
                let whole = self.call("Floor", &[&size]);
                self.call("Mul", &[&sign, &whole])
            }
            F::Expm1 => self.expm1(x, &one, &half),
            F::Log1p => {
                // log(y)·x ÷ (y − 1) of y = 1 + x, in which the rounding of y cancels.
                let y = self.call("Add", &[x, &one]);
                let (log, rest, flat) =
                    (self.call("Log", &[&y]), self.call("Sub", &[&y, &one]), self.call("Equal", &[&y, &one]));
                let product = self.call("Mul", &[&log, x]);
                let quotient = self.call("Div", &[&product, &rest]);
                self.call("Where", &[&flat, x, &quotient])
            }
            F::Elu | F::Celu => {
                let zero = self.scalar(dtype, 0.0)?;
                let positive = self.call("Greater", &[x, &zero]);
                let inner = if function == F::Celu { self.call("Div", &[x, b]) } else { x.to_owned() };
                let low = self.expm1(&inner, &one, &half);
                let low = self.call("Mul", &[b, &low]);
                self.call("Where", &[&positive, x, &low])
            }
            F::Gelu => {
                let root = self.scalar(dtype, std::f64::consts::FRAC_1_SQRT_2)?;
                let scaled = self.call("Mul", &[x, &root]);
                let error = self.call("Erf", &[&scaled]);
                self.half_of(x, &error, &one, &half)
            }
            F::GeluTanh => {
                let (cubic, scale) = (self.scalar(dtype, 0.044_715)?, self.scalar(dtype, 0.797_884_560_802_865_4)?);
                let square = self.call("Mul", &[x, x]);
                let small = self.call("Mul", &[&square, &cubic]);
                let sum = self.call("Add", &[&small, &one]);
                let inner = self.call("Mul", &[&sum, x]);
                let inner = self.call("Mul", &[&inner, &scale]);
                let tanh = self.call("Tanh", &[&inner]);
                self.half_of(x, &tanh, &one, &half)
            }
            F::Silu => {
                let sigmoid = self.call("Sigmoid", &[x]);
                self.call("Mul", &[x, &sigmoid])
            }
            F::LogSigmoid => {
                let negative = self.call("Neg", &[x]);
                let soft = self.call("Softplus", &[&negative]);
                self.call("Neg", &[&soft])
            }
            F::Mish => {
                let soft = self.call("Softplus", &[x]);
                let tanh = self.call("Tanh", &[&soft]);
                self.call("Mul", &[x, &tanh])
            }
            F::Clamp => {
                let above = self.call("Max", &[x, b]);
                self.call("Min", &[&above, inputs.get(2).copied().unwrap_or_default()])
            }
            F::Atan2 => self.atan2(x, b, dtype)?,
            other => return Err(crate::error::Error::Data(format!("ONNX has nothing for {}", other.name()))),
        })
    }

    /// e^x − 1 = tanh(x/2)·(e^x + 1), which loses no digits near 0.
    fn expm1(&mut self, x: &str, one: &str, half: &str) -> String {
        let halved = self.call("Mul", &[x, half]);
        let tanh = self.call("Tanh", &[&halved]);
        let power = self.call("Exp", &[x]);
        let sum = self.call("Add", &[&power, one]);
        self.call("Mul", &[&tanh, &sum])
    }

    /// x·(1 + y)/2
    fn half_of(&mut self, x: &str, y: &str, one: &str, half: &str) -> String {
        let sum = self.call("Add", &[y, one]);
        let product = self.call("Mul", &[x, &sum]);
        self.call("Mul", &[&product, half])
    }

    /// The angle of (b, a): that of a/b, plus or minus π where b is negative.
    fn atan2(&mut self, a: &str, b: &str, dtype: DType) -> Result<String> {
        let (zero, pi) = (self.scalar(dtype, 0.0)?, self.scalar(dtype, std::f64::consts::PI)?);
        let (right, minus) =
            (self.scalar(dtype, std::f64::consts::FRAC_PI_2)?, self.scalar(dtype, -std::f64::consts::PI)?);
        let quotient = self.call("Div", &[a, b]);
        let angle = self.call("Atan", &[&quotient]);
        let (left, lower) = (self.call("Less", &[b, &zero]), self.call("Less", &[a, &zero]));
        let correction = self.call("Where", &[&lower, &minus, &pi]);
        let correction = self.call("Where", &[&left, &correction, &zero]);
        let angle = self.call("Add", &[&angle, &correction]);
        let (upright, sign) = (self.call("Equal", &[b, &zero]), self.call("Sign", &[a]));
        let upright_angle = self.call("Mul", &[&sign, &right]);
        Ok(self.call("Where", &[&upright, &upright_angle, &angle]))
    }

    /// The operands' names. ONNX broadcasts by itself, so what the engine has expanded is passed unexpanded where the result's
    /// shape still follows.
    fn operands(&self, node: &Node, shape: &Shape) -> Result<Vec<String>> {
        let small: Vec<Option<&(String, Shape)>> = node.inputs.iter().map(|input| self.expanded.get(input)).collect();
        let common = node.inputs.iter().zip(&small).try_fold(Shape::default(), |common, (&input, small)| {
            let own = small.map_or_else(|| self.ty(input).shape, |(_, own)| own.clone());
            common.broadcast(&own)
        });
        if common.as_ref() != Some(shape) {
            return self.inputs(node);
        }
        node.inputs
            .iter()
            .zip(small)
            .map(|(&input, small)| small.map_or_else(|| self.name(input), |(name, _)| Ok(name.clone())))
            .collect()
    }

    /// The value of a constant that is one value everywhere.
    pub(super) fn uniform(&self, value: ValueId) -> Option<f64> {
        let node = self.source(value)?;
        match &node.op {
            Op::Broadcast(_) | Op::Reshape(_) | Op::StopGradient => self.uniform(*node.inputs.first()?),
            Op::Constant(data) if data.len() == 1 => data.to_f64_vec().first().copied(),
            _ => None,
        }
    }
}
