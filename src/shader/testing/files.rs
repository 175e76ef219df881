//! The files under `shaders/`: each kernel is valid as it is on disk, with the modules that it imports; each module says who uses it.

use std::collections::{BTreeMap, BTreeSet};

use super::reflect::{validate, write};
use crate::scalar::{
    Affine, Builder, Epilogue, NUMERIC, NodeId, ScalarExpr, emit_map, emit_operand, generated_imports,
};
use crate::shader::Kernel;
use crate::shader::compose::{Import, Text, reached};
use crate::shader::files::{CONSTANT_NAMES, KernelFile, all_modules, files};
use crate::shader::slot::{
    Element, Expression, ExtremeConstants, Finish, Fold, Lanes, Nan, Operand, ReductionConstants,
};
use crate::tensor::DType::F32;

#[test]
fn every_kernel_is_valid_by_itself() {
    for kernel in KernelFile::ALL {
        let mut text = Text::default();
        text.add(kernel.file().text).unwrap();
        let (module, _) = validate(kernel.name(), &text.text);
        assert_eq!(module.entry_points.len(), 1, "{kernel:?}");
        assert_eq!(module.entry_points[0].name, "main", "{kernel:?}");
    }
}

#[test]
fn every_file_of_the_folders_is_declared() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut on_disk = BTreeSet::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            on_disk.insert(format!("{name}/{}", file.strip_suffix(".wgsl").unwrap_or(&file)));
        }
    }
    let declared: BTreeSet<String> = files().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(on_disk, declared);
}

/// Who imports a module: kernels, modules (of a slot, the slot), and generated expressions.
fn users() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut add = |path: &'static str, user: &'static str| {
        let imported = all_modules().find(|file| file.path == path);
        let imported = imported.unwrap_or_else(|| panic!("{user} imports {path:?}, which is not there"));
        users.entry(imported.slot.unwrap_or(imported.path)).or_default().insert(user);
    };
    let kernels = KernelFile::ALL.iter().map(|kernel| (kernel.name(), kernel.file().text));
    let modules = all_modules().map(|file| (file.slot.unwrap_or(file.path), file.text));
    for (user, text) in kernels.chain(modules) {
        for import in text.lines().filter_map(Import::of) {
            let (Import::Module(path) | Import::Mirrored(path)) = import;
            add(path, user);
        }
    }
    for path in generated_imports() {
        add(path, "expressions");
    }
    users
}

#[test]
fn every_module_says_first_who_uses_it() {
    let users = users();
    for file in all_modules() {
        let list = users.get(file.slot.unwrap_or(file.path)).unwrap_or_else(|| panic!("nothing uses {}", file.path));
        let list = list.iter().copied().collect::<Vec<_>>().join(", ");
        let want = match file.slot {
            Some(slot) => format!("// Slot {slot}, used by {list}."),
            None => format!("// Used by {list}."),
        };
        assert_eq!(file.text.lines().next(), Some(want.as_str()), "{}", file.path);
    }
}

#[test]
fn every_module_is_of_a_kernel() {
    let mut found: BTreeSet<&str> = generated_imports().collect();
    for &kernel in KernelFile::ALL {
        found.extend(reached(kernel).iter().map(|file| file.path));
    }
    for file in all_modules() {
        assert!(found.contains(file.path), "no kernel has {}", file.path);
    }
}

/// A constant that a family has not, or that nobody reads, is a mistake.
#[test]
fn constants_are_those_of_their_file_and_are_read() {
    let names = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("const "));
        lines.filter_map(|line| line.split([' ', ':']).next()).map(str::to_owned).collect()
    };
    for (path, declared) in CONSTANT_NAMES {
        let file = all_modules().find(|file| file.path == *path).unwrap();
        assert_eq!(names(file.text), declared.iter().map(|&name| name.to_owned()).collect(), "{path}");
        let mut read: BTreeSet<&str> = BTreeSet::new();
        for &kernel in KernelFile::ALL {
            let modules = reached(kernel);
            if modules.iter().any(|module| module.path == *path) {
                let texts = modules.iter().filter(|module| module.path != *path).map(|module| module.text);
                for text in texts.chain([kernel.file().text]) {
                    read.extend(text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
                }
            }
        }
        for name in *declared {
            // Mirrored modules read constants of the right operand by the names of the left one's.
            let is_read = read.contains(name) || read.contains(name.replace("RHS", "LHS").as_str());
            assert!(is_read, "no kernel that has the constant {name} of {path} reads it");
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
    let element = emit_operand(expression, [0, 1], false);
    let finish = Epilogue::identity(F32, &[8], [0, 1]).emit(1 + element.inputs.len());
    let of_map = Kernel::of(KernelFile::Map).slot(Expression(&map.module)).slot(Lanes::Four);
    let of_reduction = Kernel::of(KernelFile::Reduce)
        .slot(Operand(&element.module))
        .slot(Finish(&finish.module))
        .slot(Element::of(F32).unwrap())
        .slot(ReductionConstants { lines: 8, lanes: 8, along_lanes: true })
        .slot(ExtremeConstants { smallest: false })
        .slot(Fold::Sum)
        .slot(Nan::Floats);
    for composer in [of_map, of_reduction] {
        let kernel = composer.kernel(label, 0, 0).unwrap();
        let (module, info) = validate(label, &kernel.source);
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
