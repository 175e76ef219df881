//! The floors of ARCHITECTURE.md: a module imports only floors below its own (or beside it, in the same one), and only the GPU
//! device knows wgpu. The sources themselves are read, so a new file is held to it too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

use std::fs;
use std::path::{Path, PathBuf};

/// Which floor each top-level module is on.
const FLOORS: [(&str, u32); 21] = [
    ("error", 0),
    ("checksum", 0),
    ("parallel", 0),
    ("tensor", 0),
    ("scalar", 1),
    ("shader", 1),
    ("graph", 2),
    ("ops", 2),
    ("compiler", 3),
    ("device", 4),
    ("session", 5),
    ("nn", 6),
    ("loss", 6),
    ("optim", 6),
    ("metrics", 6),
    ("data", 6),
    ("train", 6),
    ("check", 6),
    ("bench", 6),
    ("onnx", 7),
    // The list of what most programs need: it is above everything.
    ("prelude", 8),
];

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|&(_, floor)| floor)
}

/// All sources, with their path below `src/`.
fn sources() -> Vec<(PathBuf, String)> {
    fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let mut files = Vec::new();
    let mut for_tests = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let inner = path.strip_prefix(&root).unwrap().to_owned();
        for_tests.extend(test_modules(&inner, &text));
        files.push((inner, text));
    }
    files.retain(|(path, _)| {
        !for_tests.iter().any(|module| path.starts_with(module) || *path == module.with_extension("rs"))
    });
    files
}

/// Files without their ending, or folders, of modules that a source declares for tests alone.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap().to_string_lossy();
    let folder =
        if stem == "mod" || stem == "lib" { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
        let name = pair[1].strip_suffix(';')?.rsplit_once("mod ")?.1;
        Some(folder.join(name))
    });
    declared.collect()
}

/// Code without comments and without what follows the first `#[cfg(test)]` module, which by habit ends the file.
fn shipped(text: &str) -> String {
    let mut lines = Vec::new();
    let mut source = text.lines().peekable();
    while let Some(line) = source.next() {
        let ends =
            line.trim() == "#[cfg(test)]" && source.peek().is_some_and(|next| next.trim_start().starts_with("mod "));
        if ends && source.peek().is_some_and(|next| next.contains('{')) {
            break;
        }
        lines.push(line.split("//").next().unwrap_or(line));
    }
    lines.join("\n")
}

/// The top-level modules that a text names by `crate::…`, also in a list in braces.
fn imported(code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (offset, _) in code.match_indices("crate::") {
        // `$crate::` in a macro and `wgrad_crate::` are something else.
        if code[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[offset + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => modules.push(std::mem::take(&mut item)),
                    c if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            modules.push(item);
        } else {
            modules.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    let first = |path: String| path.trim().split("::").next().unwrap_or_default().to_owned();
    modules.into_iter().map(first).filter(|module| !module.is_empty()).collect()
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn a_floor_imports_only_floors_below() {
    let mut upward = Vec::new();
    for (path, text) in sources() {
        let own = module_of(&path);
        if own == "lib" {
            continue;
        }
        let Some(floor_of_own) = floor(&own) else {
            panic!("{} stands on no floor: put it into the table", path.display())
        };
        for module in imported(&shipped(&text)) {
            // Names at the root are `Error`, `Result` and `Device`, which stand for their modules.
            let module = match module.as_str() {
                "Error" | "Result" => "error",
                "Device" => "device",
                other => other,
            };
            match floor(module) {
                Some(floor) if floor <= floor_of_own => {}
                Some(floor) => {
                    upward.push(format!("{} (floor {floor_of_own}) imports {module} (floor {floor})", path.display()));
                }
                None => upward.push(format!("{} imports {module}, which stands on no floor", path.display())),
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn only_the_gpu_device_knows_wgpu() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let floor = floor(&module_of(&path)).unwrap_or(u32::MAX);
        let knows = shipped(&text).contains("wgpu::");
        let below = floor < 4 || path.starts_with("device/cpu");
        if knows && below {
            found.push(path.display().to_string());
        }
    }
    assert!(found.is_empty(), "these know wgpu: {found:?}");
}

#[test]
fn lists_of_imports_are_read() {
    let code =
        "use crate::{error::Error, tensor::{DType, Shape}, graph};\nuse crate::ops::Op;\nlet x = crate::scalar::f();";
    assert_eq!(imported(code), ["error", "tensor", "graph", "ops", "scalar"]);
    assert_eq!(
        shipped("use crate::a;\n// crate::b\n#[cfg(test)]\nmod tests {\nuse crate::c;\n}").matches("crate::").count(),
        1
    );
}
