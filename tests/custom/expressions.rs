//! Expressions, reshapes and reductions of one's own: what is wrong with them is told, addresses stay within their tensor, and 64 bits are
//! right or refused.

use wgrad::graph::{CustomOperator, Expressing, Expression, InputAccess, Kind, Operator};
use wgrad::prelude::*;
use wgrad::scalar::{Affine, NodeId, Reduction, ScalarFunction};
use wgrad::tensor::TensorType;

use crate::faults::{Outcome, here};
use crate::support::devices::devices;

/// What an expression does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// The element before, and the first one at the start: a load at a computed address.
    Shifted,
    /// The same without holding the address within the tensor.
    Leaving,
    OutOfRange,
    MissingInput,
    NotAddressed,
    OtherType,
    OtherResult,
    TooManyArguments,
    FloatAddress,
    /// 2·x of i64; the flag says that it fits i32.
    Twice(bool),
    /// 2·x, computed in i64 whatever the type is.
    WideInside,
}

#[derive(Clone, Debug)]
struct Expressed(Form);

impl Operator for Expressed {
    fn name(&self) -> String {
        "expressed".into()
    }
    fn infer(&self, inputs: &[&TensorType]) -> Outcome<Vec<TensorType>> {
        Ok(vec![TensorType::clone(inputs[0])])
    }
    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }
}

impl Expression for Expressed {
    fn access(&self, _: usize) -> InputAccess {
        match self.0 {
            Form::Shifted | Form::Leaving | Form::FloatAddress => InputAccess::Addressed,
            _ => InputAccess::Mapped,
        }
    }

    fn express(&self, e: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId {
        use ScalarFunction as F;
        match self.0 {
            Form::Shifted | Form::Leaving => {
                let at = e.addresses(0);
                let b = e.builder();
                let (address, step) = (b.index(at.clone()), b.constant(I32, at.strides[0] as f64));
                let before = b.sub(address, step);
                let first = b.constant(I32, at.offset as f64);
                let address = if self.0 == Form::Shifted { b.call(F::Maximum, &[before, first]) } else { before };
                e.gather(0, address)
            }
            Form::FloatAddress => {
                let address = e.builder().number(1.0);
                e.gather(0, address)
            }
            Form::OutOfRange => {
                let map = Affine::new(1, [1]);
                e.input_at(0, &[map])
            }
            Form::MissingInput => e.input(1),
            Form::NotAddressed => {
                let zero = e.builder().constant(I32, 0.0);
                e.gather(0, zero)
            }
            Form::OtherType => {
                let x = e.input(0);
                let one = e.builder().constant(U32, 1.0);
                e.builder().add(x, one)
            }
            Form::OtherResult => e.coordinate(0),
            Form::TooManyArguments => {
                let x = e.input(0);
                e.builder().call(F::Abs, &[x, x])
            }
            Form::Twice(_) => {
                let x = e.input(0);
                assert_eq!(inputs[0].dtype, output.dtype);
                let two = e.builder().constant(output.dtype, 2.0);
                e.builder().mul(x, two)
            }
            Form::WideInside => {
                let x = e.input(0);
                let b = e.builder();
                let (wide, two) = (b.call(F::Cast(I64), &[x]), b.constant(I64, 2.0));
                let twice = b.mul(wide, two);
                b.call(F::Cast(output.dtype), &[twice])
            }
        }
    }
}

impl CustomOperator for Expressed {
    fn fits_i32(&self) -> bool {
        self.0 == Form::Twice(true) || self.0 == Form::WideInside
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_told() {
    for device in devices() {
        for (form, part) in [
            (Form::OutOfRange, "reads coordinates 1 to 4 along axis 0 of input 0, f32[4]"),
            (Form::MissingInput, "reads input 1, and there are 1"),
            (Form::NotAddressed, "its access is not `Addressed`"),
            (Form::OtherType, "add: operands are f32 and u32"),
            (Form::OtherResult, "its expression is i32, and its output f32"),
            (Form::TooManyArguments, "abs takes 1 arguments, not 2"),
            (Form::FloatAddress, "an address is an i32"),
        ] {
            let g = Graph::new();
            g.output("y", &here(&g, Expressed(form), &g.input("x", [4], F32)));
            let text = g.compile(&device).map(|_| ()).unwrap_err().to_string();
            assert!(
                text.contains(part) && text.contains("expressed") && text.contains("expressions.rs"),
                "{form:?}: {text}"
            );
        }
    }
}

#[test]
fn computed_addresses_stay_within_the_tensor() {
    for device in devices() {
        for form in [Form::Shifted, Form::Leaving] {
            let g = Graph::new();
            let x = g.input("x", [6], F32).slice_steps(&[5], &[3], &[-2]);
            g.output("y", &(g.custom1(Expressed(form), &[&x]) + 0.5));
            let x = TensorData::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], [6]).unwrap();
            let y = g.compile(&device).unwrap().run(&[("x", &x)]).unwrap()["y"].to_f64_vec();
            let expected = if form == Form::Shifted { None } else { Some([6.5, 6.5, 4.5]) };
            assert!(
                y.iter().all(|y| y.is_finite()) && expected.is_none_or(|expected| y == expected),
                "{form:?}: {y:?}"
            );
        }
    }
}

#[test]
fn sixty_four_bits_are_right_or_refused() {
    let x = TensorData::from_vec(vec![3_i64, -4, 1 << 29], [3]).unwrap();
    for device in devices() {
        let run = |form: Form, x: &TensorData| -> Result<Vec<f64>> {
            let g = Graph::new();
            g.output("y", &here(&g, Expressed(form), &g.input("x", [3], I64)));
            Ok(g.compile(&device)?.run(&[("x", x)])?["y"].to_f64_vec())
        };
        let doubled = [6.0, -8.0, f64::from(1 << 30)];
        assert_eq!(run(Form::Twice(true), &x).unwrap(), doubled);
        // It does not say that it fits: its decomposition, which follows from the expression, is watched.
        assert_eq!(run(Form::Twice(false), &x).unwrap(), doubled);
        let large = TensorData::from_vec(vec![3_i64, -4, 1 << 30], [3]).unwrap();
        if device.is_cpu() {
            assert_eq!(run(Form::WideInside, &x).unwrap(), doubled);
            assert_eq!(run(Form::Twice(false), &large).unwrap()[2], f64::from(1_u32 << 31));
        } else {
            let error = run(Form::Twice(false), &large).unwrap_err().to_string();
            assert!(error.contains("mul") && error.contains("expressions.rs"), "{error}");
            let error = run(Form::WideInside, &x).unwrap_err().to_string();
            assert!(error.contains("computes in i64") && error.contains("expressed"), "{error}");
            let error = run(Form::Shifted, &x).unwrap_err().to_string();
            let parts = ["fits_i32", "no decomposition", "expressed", "expressions.rs"];
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}

/// A kind that wgrad has by itself.
#[derive(Clone, Debug)]
enum Plain {
    Flat,
    Total(Vec<usize>),
    Source,
}

impl Operator for Plain {
    fn name(&self) -> String {
        "plain".into()
    }
    fn infer(&self, inputs: &[&TensorType]) -> Outcome<Vec<TensorType>> {
        let ty = inputs[0];
        Ok(vec![match self {
            Self::Flat | Self::Source => TensorType::new(ty.dtype, [ty.len()]),
            Self::Total(_) => TensorType::new(ty.dtype, [ty.shape[0]]),
        }])
    }
    fn kind(&self) -> Kind<'_> {
        match self {
            Self::Flat => Kind::Reshape,
            Self::Total(axes) => Kind::Reduction { reduction: Reduction::Sum, axes },
            Self::Source => Kind::Source,
        }
    }
}

impl CustomOperator for Plain {}

#[test]
fn reshapes_and_reductions_of_ones_own() {
    for device in devices() {
        let run = |operator: Plain| -> Result<Vec<f64>> {
            let g = Graph::new();
            g.output("y", &(here(&g, operator, &(g.input("x", [2, 3], F32) + 1.0)) * 2.0));
            let x = TensorData::from_vec(vec![0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0], [2, 3])?;
            Ok(g.compile(&device)?.run(&[("x", &x)])?["y"].to_f64_vec())
        };
        assert_eq!(run(Plain::Flat).unwrap(), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(run(Plain::Total(vec![1])).unwrap(), [12.0, 30.0]);
        for (operator, part) in [
            (Plain::Total(vec![0]), "is not what sum gives"),
            (Plain::Total(vec![2]), "no ascending axes"),
            (Plain::Source, "is a source"),
        ] {
            let error = run(operator).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("plain") && error.contains("expressions.rs"), "{error}");
        }
    }
}
