//! Values of an expression while it is written: Rust's operators and the table's functions instead of calls of a [`Builder`].

use std::cell::RefCell;

use super::builder::Builder;
use super::expression::NodeId;
use super::function::{ScalarFunction, unary_methods};
use crate::tensor::DType;

/// A builder that several values share, with the first error of what they were asked for.
#[derive(Debug)]
pub(crate) struct Writing {
    builder: RefCell<Builder>,
    error: RefCell<Option<String>>,
}

impl Writing {
    /// An empty one, whose bare numbers are of this float type.
    pub(crate) fn new(float: DType) -> Self {
        Self { builder: RefCell::new(Builder::new(float)), error: RefCell::new(None) }
    }

    /// A value of what is built.
    pub(crate) fn build(&self, build: impl FnOnce(&mut Builder) -> NodeId) -> Value<'_> {
        Value { writing: self, id: build(&mut self.builder.borrow_mut()) }
    }

    /// The first error stays.
    pub(crate) fn fail(&self, message: String) {
        self.error.borrow_mut().get_or_insert(message);
    }

    /// What was built, or the first error.
    pub(crate) fn finish(self) -> Result<Builder, String> {
        match self.error.into_inner() {
            Some(message) => Err(message),
            None => Ok(self.builder.into_inner()),
        }
    }
}

/// A scalar of an expression that is being written: a leaf, or a function of others. Copies are the same value.
///
/// Arithmetic takes other values and numbers; [`call`](Self::call) takes any function of the table.
#[derive(Clone, Copy, Debug)]
pub struct Value<'b> {
    writing: &'b Writing,
    id: NodeId,
}

impl<'b> Value<'b> {
    /// Its node in the builder.
    pub(crate) fn id(self) -> NodeId {
        self.id
    }

    /// A function of this value and others, in the order of its arguments. Types that do not fit are an error of what is written.
    #[must_use]
    pub fn call(self, function: ScalarFunction, others: &[Self]) -> Self {
        let mut arguments = vec![self.id];
        arguments.extend(others.iter().map(|other| other.id));
        let mut builder = self.writing.builder.borrow_mut();
        let dtypes: Vec<DType> = arguments.iter().map(|&id| builder.dtype(id)).collect();
        let name = function.name();
        let fits = if function.arity() == arguments.len() {
            function.result(&dtypes)
        } else {
            Err(format!("takes {} arguments, not {}", function.arity(), arguments.len()))
        };
        match fits {
            Ok(_) => Self { writing: self.writing, id: builder.call(function, &arguments) },
            Err(message) => {
                self.writing.fail(format!("{name}: {message}"));
                self
            }
        }
    }

    /// A number, as a value of the same expression.
    #[must_use]
    pub fn number(self, value: f64) -> Self {
        self.writing.build(|builder| builder.number(value))
    }

    /// An integer or a truth value as a float of the expression's type.
    #[must_use]
    pub fn to_float(self) -> Self {
        self.call(ScalarFunction::Cast(DType::F64), &[])
    }

    /// True where this is false.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "beside `and` and `or`, which are no operators")]
    pub fn not(self) -> Self {
        self.call(ScalarFunction::Not, &[])
    }

    /// Where this is true, `a`, else `b`.
    #[must_use]
    pub fn select(self, a: impl IntoValue<'b>, b: impl IntoValue<'b>) -> Self {
        self.call(ScalarFunction::Select, &[a.into_value(self), b.into_value(self)])
    }
}

/// What can stand beside a [`Value`]: another one, or a number.
pub trait IntoValue<'b> {
    /// As a value of the expression that `beside` belongs to.
    fn into_value(self, beside: Value<'b>) -> Value<'b>;
}

impl<'b> IntoValue<'b> for Value<'b> {
    fn into_value(self, _: Value<'b>) -> Self {
        self
    }
}

impl<'b> IntoValue<'b> for f64 {
    fn into_value(self, beside: Value<'b>) -> Value<'b> {
        beside.number(self)
    }
}

impl<'b> IntoValue<'b> for i32 {
    fn into_value(self, beside: Value<'b>) -> Value<'b> {
        beside.writing.build(|builder| builder.constant(DType::I32, f64::from(self)))
    }
}

macro_rules! methods {
    (unary $($name:ident $variant:ident $doc:literal;)*) => {
        impl Value<'_> {
            $(#[doc = $doc]
            #[must_use]
            pub fn $name(self) -> Self {
                self.call(ScalarFunction::$variant, &[])
            })*
        }
    };
    (binary $($name:ident $variant:ident $doc:literal;)*) => {
        impl<'b> Value<'b> {
            $(#[doc = $doc]
            #[must_use]
            pub fn $name(self, other: impl IntoValue<'b>) -> Self {
                self.call(ScalarFunction::$variant, &[other.into_value(self)])
            })*
        }
    };
    (operators $($trait:ident $method:ident $variant:ident;)*) => {
        $(
            impl<'b, R: IntoValue<'b>> std::ops::$trait<R> for Value<'b> {
                type Output = Value<'b>;
                fn $method(self, other: R) -> Value<'b> {
                    self.call(ScalarFunction::$variant, &[other.into_value(self)])
                }
            }
            impl<'b> std::ops::$trait<Value<'b>> for f64 {
                type Output = Value<'b>;
                fn $method(self, other: Value<'b>) -> Value<'b> {
                    other.number(self).call(ScalarFunction::$variant, &[other])
                }
            }
        )*
    };
}

unary_methods!(methods);

methods! { binary
    maximum Maximum "The larger of two.";
    minimum Minimum "The smaller of two.";
    pow Pow "This to a power.";
    leaky_relu LeakyRelu "a, or b·a where a is negative.";
    less Less "True where this is less.";
    less_equal LessEqual "True where this is less or equal.";
    greater Greater "True where this is greater.";
    greater_equal GreaterEqual "True where this is greater or equal.";
    equal Equal "True where both are equal.";
    not_equal NotEqual "True where both differ.";
    and And "True where both are true.";
    or Or "True where one or both are true.";
}

methods! { operators
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
}

impl std::ops::Neg for Value<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.call(ScalarFunction::Neg, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::Affine;

    #[test]
    fn values_are_written_as_arithmetic() {
        let writing = Writing::new(DType::F64);
        let a = writing.build(|builder| builder.load(0, DType::F64, Affine::constant(0, 0)));
        let y = (1.0 - a.sigmoid()) * 2.0 + a.less(0.0).select(a, -a);
        let id = y.id();
        let builder = writing.finish().unwrap();
        let expression = builder.finish(Vec::new(), vec![DType::F64], vec![(id, DType::F64)]);
        let text = expression.to_string();
        assert!(text.contains("mul(sub(1, sigmoid(#0)), 2)"), "{text}");
        assert!(text.contains("select(lt(#0, 0), #0, neg(#0))"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = |write: for<'b> fn(Value<'b>) -> Value<'b>| {
            let writing = Writing::new(DType::F64);
            let _ = write(writing.build(|builder| builder.load(0, DType::F64, Affine::constant(0, 0))));
            writing.finish().unwrap_err()
        };
        assert_eq!(error(|a| a.call(ScalarFunction::Add, &[])), "add: takes 2 arguments, not 1");
        assert_eq!(error(|a| a.select(a, a)), "select: the condition must be bool, not f64");
        assert!(error(|a| a.less(2.0) + 1.0).starts_with("add: operands are bool and f64"));
    }
}
