//! Every kernel file is valid as it is on disk, with the modules that it imports as their defaults.

use super::reflect::{validate, write};
use crate::scalar::{Affine, Builder, Epilogue, NUMERIC, NodeId, QUAD_LANES, ScalarExpr, emit_element, emit_map};
use crate::shader::{compose, files};
use crate::tensor::DType::F32;

#[test]
fn every_file_is_a_kernel_by_itself() {
    for (name, _) in files().iter().filter(|(name, _)| !name.starts_with("shared/")) {
        let source = compose(name, &[]).unwrap();
        let (module, _) = validate(name, &source);
        assert_eq!(module.entry_points.len(), 1, "{name}");
        assert_eq!(module.entry_points[0].name, "main", "{name}");
    }
}

#[test]
fn every_file_of_the_folder_is_listed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for (folder, prefix) in [(root.clone(), ""), (root.join("shared"), "shared/")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            if let Some(name) = file.strip_suffix(".wgsl") {
                let name = format!("{prefix}{name}");
                assert!(files().iter().any(|(listed, _)| *listed == name), "{name} is not listed");
            }
        }
    }
}

/// A function of three inputs, over 8 elements.
fn expression(build: impl Fn(&mut Builder, [NodeId; 3]) -> NodeId) -> ScalarExpr {
    let mut builder = Builder::new(F32);
    let inputs = [0, 1, 2].map(|input| builder.load(input, F32, Affine::row_major(&[8])));
    let value = build(&mut builder, inputs);
    builder.finish(vec![8], vec![F32; 3], vec![(value, F32)])
}

/// Valid, and text for every back end, of four elements and of one.
fn check_expression(label: &str, expression: &ScalarExpr) {
    let map = emit_map(expression, &[None]);
    let element = emit_element(expression, [0, 1]);
    let finish = Epilogue::identity(F32, &[8], [0, 1]).emit(1 + element.inputs.len());
    for (kernel, replaced) in [
        ("map", vec![("shared/expression", map.module.as_str()), ("shared/lanes", QUAD_LANES)]),
        ("reduce", vec![("shared/operand", element.module.as_str()), ("shared/finish", finish.module.as_str())]),
    ] {
        let source = compose(kernel, &replaced).unwrap();
        let (module, info) = validate(label, &source);
        write(&module, &info, label);
    }
}

#[test]
fn functions_are_valid_of_anything_and_of_constants_that_have_no_literal() {
    for &function in NUMERIC {
        check_expression(function.name(), &expression(|b, inputs| b.call(function, &inputs[..function.arity()])));
        for constant in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, 1e-40, 3e38, 1e300] {
            for index in 0..function.arity() {
                let label = format!("{} with {constant}", function.name());
                check_expression(
                    &label,
                    &expression(|b, mut inputs| {
                        inputs[index] = b.number(constant);
                        let value = b.call(function, &inputs[..function.arity()]);
                        b.mul(value, inputs[2])
                    }),
                );
            }
        }
    }
}
