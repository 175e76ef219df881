//! Scalar functions applied element by element. The functions themselves are rows of the table in
//! [`crate::scalar::ScalarFunction`]; this file gives them shapes, broadcasting, gradients and names on [`Tensor`].

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, IntoTensor, Kind, Operator, Tensor};
use crate::scalar::{Builder, NodeId, ScalarFunction, ScalarNode, unary_methods};
use crate::tensor::{DType, TensorType};

/// A scalar function applied to tensors of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elementwise(pub ScalarFunction);

impl Operator for Elementwise {
    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let dtypes: Vec<DType> = inputs.iter().map(|ty| ty.dtype).collect();
        let dtype = self.0.result(&dtypes)?;
        Ok(vec![TensorType::new(dtype, &inputs[0].shape)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        if let ScalarFunction::Cast(_) = self.0 {
            let dtype = gradient.inputs[0].dtype();
            return Some(vec![dtype.is_float().then(|| upstream.cast(dtype))]);
        }
        // The table's derivative is an expression over the arguments and the value; here it becomes graph.
        let count = gradient.inputs.len();
        let mut builder = Builder::new(gradient.outputs[0].dtype());
        let arguments: Vec<NodeId> = gradient
            .inputs
            .iter()
            .chain([&gradient.outputs[0]])
            .enumerate()
            .map(|(input, tensor)| builder.load(input, tensor.dtype(), crate::scalar::Affine::constant(0, 0)))
            .collect();
        let partials = self.0.derivative(&mut builder, &arguments[..count], arguments[count]);
        let mut tensors: Vec<Option<Tensor>> = vec![None; builder.nodes.len()];
        Some(
            partials
                .into_iter()
                .zip(&gradient.inputs)
                .map(|(partial, input)| {
                    if !input.dtype().is_float() {
                        return None;
                    }
                    Some(scaled(&builder, partial?, upstream, gradient, &mut tensors))
                })
                .collect(),
        )
    }
}

impl Expression for Elementwise {
    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId {
        let arguments: Vec<NodeId> = (0..inputs.len()).map(|input| expressing.input(input)).collect();
        let value = expressing.builder().call(self.0, &arguments);
        // 16-bit floats are rounded after every operation, so that fused and unfused programs agree.
        if matches!(output.dtype, DType::F16 | DType::BF16) && !matches!(self.0, ScalarFunction::Cast(_)) {
            return expressing.builder().call(ScalarFunction::Cast(output.dtype), &[value]);
        }
        value
    }
}

/// The upstream gradient times a partial derivative. A choice of derivatives is one of products, so that nothing, not even
/// infinity, comes through where the derivative is 0, as in PyTorch.
fn scaled(
    builder: &Builder,
    partial: NodeId,
    upstream: &Tensor,
    gradient: &Gradient,
    tensors: &mut Vec<Option<Tensor>>,
) -> Tensor {
    match &builder.nodes[partial.index()] {
        ScalarNode::Constant(constant) if constant.value == 1.0 => upstream.clone(),
        ScalarNode::Constant(constant) if constant.value == -1.0 => -upstream,
        ScalarNode::Constant(constant) if constant.value == 0.0 => upstream.zeros_like(),
        ScalarNode::Call { function: ScalarFunction::Select, arguments } => {
            let condition = build(builder, arguments[0], gradient, tensors);
            let a = scaled(builder, arguments[1], upstream, gradient, tensors);
            let b = scaled(builder, arguments[2], upstream, gradient, tensors);
            let select = Op::Elementwise(Elementwise(ScalarFunction::Select));
            upstream.graph().apply1(select, &[&condition, &a, &b])
        }
        _ => upstream * &build(builder, partial, gradient, tensors),
    }
}

/// The tensor that a node of a derivative expression represents.
fn build(builder: &Builder, id: NodeId, gradient: &Gradient, tensors: &mut Vec<Option<Tensor>>) -> Tensor {
    if let Some(tensor) = &tensors[id.index()] {
        return tensor.clone();
    }
    let output = &gradient.outputs[0];
    let tensor = match &builder.nodes[id.index()] {
        ScalarNode::Constant(constant) => {
            // Bare numbers take the tensor's own float type, which may be a 16-bit one.
            let dtype = if constant.dtype.is_float() { output.dtype() } else { constant.dtype };
            output.graph().scalar(dtype, constant.value).broadcast_to(output.shape())
        }
        ScalarNode::Load { input, .. } => gradient.inputs.get(*input).unwrap_or(output).clone(),
        ScalarNode::Call { function, arguments } => {
            let arguments: Vec<Tensor> = arguments.iter().map(|&id| build(builder, id, gradient, tensors)).collect();
            let references: Vec<&Tensor> = arguments.iter().collect();
            output.graph().apply1(Op::Elementwise(Elementwise(*function)), &references)
        }
        _ => output.graph().mistake(&function_name(output), "its derivative is not a plain expression"),
    };
    tensors[id.index()] = Some(tensor.clone());
    tensor
}

fn function_name(output: &Tensor) -> String {
    output.graph().data().nodes[output.id().node()].op.operator().name()
}

impl Tensor {
    /// Applies a scalar function to this tensor and others, broadcast to one shape by NumPy's rule.
    #[track_caller]
    pub fn elementwise(&self, function: ScalarFunction, others: &[&Self]) -> Self {
        let mut shape = self.shape();
        for other in others {
            match shape.broadcast(&other.shape()) {
                Some(common) => shape = common,
                None => {
                    let message = format!("shapes {shape} and {} do not broadcast", other.shape());
                    return self.graph().mistake(function.name(), message);
                }
            }
        }
        if function.arity() != others.len() + 1 {
            let message = format!("takes {} operands, not {}", function.arity(), others.len() + 1);
            return self.graph().mistake(function.name(), message);
        }
        // A loop, not a closure: the user's line does not reach through closures.
        let mut expanded = vec![self.broadcast_to(&shape)];
        for other in others {
            expanded.push(other.broadcast_to(&shape));
        }
        let references: Vec<&Self> = expanded.iter().collect();
        self.graph().apply1(Op::Elementwise(Elementwise(function)), &references)
    }

    #[track_caller]
    fn binary(&self, function: ScalarFunction, other: impl IntoTensor) -> Self {
        let other = other.into_tensor(self.graph(), self.dtype());
        self.elementwise(function, &[&other])
    }

    /// Converts to another element type. Floats to integers truncate and saturate (NaN gives 0); integers to smaller ones keep
    /// the lower bits, as in NumPy.
    #[track_caller]
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype() {
            return self.clone();
        }
        self.elementwise(ScalarFunction::Cast(dtype), &[])
    }

    /// The same bits, read as another type of as many: f32, i32 and u32 among themselves, f64 and i64 (on a CPU), f16 and bf16.
    ///
    /// ```
    /// # use wgrad::prelude::*;
    /// # let g = Graph::new();
    /// let x = g.scalar(DType::F32, 1.0);
    /// g.output("bits", &x.bit_cast(DType::I32));
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[])?["bits"].to_f64_vec(), [f64::from(0x3f80_0000)]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn bit_cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype() {
            return self.clone();
        }
        self.elementwise(ScalarFunction::BitCast(dtype), &[])
    }

    /// The remainder of a division, with the sign of the divisor: Python's and NumPy's `%` (Rust's is [`rem`](Self::rem)). That of an
    /// integer by 0 is 0.
    #[track_caller]
    #[must_use]
    pub fn floor_rem(&self, other: impl IntoTensor) -> Self {
        let other = other.into_tensor(self.graph(), self.dtype());
        let rest = self % &other;
        let differs = rest.ne(0).logical_and(rest.lt(0).logical_xor(other.lt(0)));
        differs.select(&rest + &other, &rest)
    }

    /// Elements of `a` where this tensor of booleans is true, of `b` elsewhere: PyTorch's `where`. A bare number has the type of the other;
    /// two are f32.
    #[track_caller]
    #[must_use]
    #[doc(alias = "where")]
    pub fn select(&self, a: impl IntoTensor, b: impl IntoTensor) -> Self {
        let dtype = a.own_dtype().or_else(|| b.own_dtype()).unwrap_or(DType::F32);
        let (a, b) = (a.into_tensor(self.graph(), dtype), b.into_tensor(self.graph(), dtype));
        self.elementwise(ScalarFunction::Select, &[&a, &b])
    }

    /// The value clamped to two bounds. Where it is at one of them, no gradient flows, as in PyTorch.
    #[track_caller]
    #[must_use]
    pub fn clamp(&self, low: f64, high: f64) -> Self {
        if !self.dtype().is_float() {
            return self.maximum(low).minimum(high);
        }
        let low = low.into_tensor(self.graph(), self.dtype());
        let high = high.into_tensor(self.graph(), self.dtype());
        self.elementwise(ScalarFunction::Clamp, &[&low, &high])
    }
}

macro_rules! methods {
    (unary $($name:ident $variant:ident $doc:literal;)*) => {
        impl Tensor {
            $(#[doc = $doc]
            #[track_caller]
            #[must_use]
            pub fn $name(&self) -> Self {
                self.elementwise(ScalarFunction::$variant, &[])
            })*
        }
    };
    (binary $($name:ident $variant:ident $doc:literal;)*) => {
        impl Tensor {
            $(#[doc = $doc]
            #[track_caller]
            #[must_use]
            pub fn $name(&self, other: impl IntoTensor) -> Self {
                self.binary(ScalarFunction::$variant, other)
            })*
        }
    };
}

unary_methods!(methods);

methods! { binary
    pow Pow "This to the power `other`.";
    rem Rem "The remainder of a division, with the sign of the dividend, as Rust's `%`. See [`floor_rem`](Self::floor_rem) for Python's.";
    maximum Maximum "The larger of two, element by element; NaN where one is. [`max`](Self::max) is over axes.";
    minimum Minimum "The smaller of two, element by element; NaN where one is. [`min`](Self::min) is over axes.";
    atan2 Atan2 "The angle of the point (other, self), from −π to π.";
    leaky_relu LeakyRelu "x, or slope·x where x is negative; `other` is the slope.";
    elu Elu "x, or α·(e^x − 1) where x is negative; `other` is α.";
    celu Celu "x, or α·(e^(x/α) − 1) where x is negative; `other` is α.";
    eq Equal "True where equal.";
    ne NotEqual "True where not equal.";
    lt Less "True where less.";
    le LessEqual "True where less or equal.";
    gt Greater "True where greater.";
    ge GreaterEqual "True where greater or equal.";
    logical_and And "True where both are.";
    logical_or Or "True where at least one is.";
    logical_xor Xor "True where exactly one is.";
    bitwise_and BitAnd "The bitwise and of two integers.";
    bitwise_or BitOr "The bitwise or of two integers.";
    bitwise_xor BitXor "The bitwise exclusive or of two integers.";
    shift_left ShiftLeft "Bits moved up.";
    shift_right ShiftRight "Bits moved down; arithmetic for i32.";
}

// A number on the left is an f64 or an i32, which are what literals are. With an f32 beside the f64, the type of `2.0` in
// `(2.0 * &x).exp()` could not be inferred.
macro_rules! arithmetic {
    (number $trait:ident $method:ident $variant:ident $number:ty) => {
        impl std::ops::$trait<&Tensor> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                self.into_tensor(other.graph(), other.dtype()).binary(ScalarFunction::$variant, other)
            }
        }
        impl std::ops::$trait<Tensor> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                self.$method(&other)
            }
        }
    };
    ($($trait:ident $method:ident $variant:ident;)*) => {
        $(
            impl<R: IntoTensor> std::ops::$trait<R> for &Tensor {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, other: R) -> Tensor {
                    self.binary(ScalarFunction::$variant, other)
                }
            }
            impl<R: IntoTensor> std::ops::$trait<R> for Tensor {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, other: R) -> Tensor {
                    self.binary(ScalarFunction::$variant, other)
                }
            }
            arithmetic!(number $trait $method $variant f64);
            arithmetic!(number $trait $method $variant i32);
        )*
    };
}

arithmetic! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
    Rem rem Rem;
}

impl std::ops::Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        self.elementwise(ScalarFunction::Neg, &[])
    }
}

impl std::ops::Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        -&self
    }
}
