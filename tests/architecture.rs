//! The floors of ARCHITECTURE.md: a module imports only floors below its own (or beside it, in the same one), and only the GPU
//! device knows wgpu. The sources themselves are read, so a new file is held to it too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first. A module imports floors below its own and nothing else: those of one floor stand apart. A folder may have
/// parts on floors of their own, which are its longer paths.
const FLOORS: [&[&str]; 18] = [
    &["error"],
    &["checksum", "clock", "file", "parallel", "waiting"],
    &["tensor"],
    &["safetensors", "scalar"],
    &["shader"],
    // A tensor has operators as methods, and an operator builds graphs.
    &["graph+ops"],
    &["compiler"],
    &["device/table"],
    &["device/cpu", "device/gpu"],
    &["device"],
    &["session"],
    &["data", "nn", "optim"],
    &["loss"],
    &["metrics"],
    &["train"],
    &["bench", "check"],
    &["onnx"],
    // The list of what most programs need: it is above everything.
    &["guide", "lib"],
];

/// The floor of a module, and its name there: of the longest path in the table that it is in.
fn floor(module: &Path) -> Option<(usize, &'static str)> {
    let stands = |name: &str| name.split('+').any(|part| module.starts_with(part));
    let found = FLOORS.iter().enumerate().flat_map(|(floor, names)| names.iter().map(move |name| (floor, *name)));
    found.filter(|(_, name)| stands(name)).max_by_key(|(_, name)| name.matches('/').count())
}

/// All sources of the library, with their path below `src/`.
fn sources() -> Vec<(PathBuf, String)> {
    sources_of("src")
}

/// All sources below a folder, with their path below it, but for what is for tests alone.
fn sources_of(folder: &str) -> Vec<(PathBuf, String)> {
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
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

/// The modules that a text names by `crate::…`, also in lists in braces, each as its first two names.
fn imported(code: &str) -> Vec<PathBuf> {
    let mut modules = Vec::new();
    for (offset, _) in code.match_indices("crate::") {
        // `$crate::` in a macro and `wgrad_crate::` are something else.
        if code[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        for path in paths(&code[offset + "crate::".len()..]) {
            modules.push(path.split("::").take(2).collect());
        }
    }
    modules
}

/// The paths at the beginning of a text: one, or those of a list in braces, which may have lists in it.
fn paths(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let Some(list) = rest.strip_prefix('{').filter(|_| path.is_empty() || path.ends_with("::")) else {
        return vec![path.to_owned()];
    };
    let mut items = vec![String::new()];
    let mut depth = 0;
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => {
                items.push(String::new());
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        items.last_mut().unwrap().push(c);
    }
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.flat_map(paths).map(|item| format!("{path}{item}")).collect()
}

/// A file as the module that it is.
fn module_of(path: &Path) -> PathBuf {
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        return path.parent().unwrap().to_owned();
    }
    path.with_extension("")
}

#[test]
fn a_module_imports_only_floors_below() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let own = module_of(&path);
        let Some((own_floor, own_name)) = floor(&own) else {
            panic!("{} stands on no floor: put it into the table", path.display())
        };
        for module in imported(&shipped(&text)) {
            // Names at the root are `Error`, `Result` and `Device`, which stand for their modules.
            let module = match module.iter().next().and_then(|first| first.to_str()) {
                Some("Error" | "Result") => PathBuf::from("error"),
                Some("Device") => PathBuf::from("device"),
                _ => module,
            };
            match floor(&module) {
                Some((floor, name)) if name == own_name || floor < own_floor => {}
                Some((_, name)) => wrong.push(format!("{} ({own_name}) imports {name}", path.display())),
                None => {
                    wrong.push(format!("{} imports {}, which stands on no floor", path.display(), module.display()))
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_gpu_device_knows_wgpu() {
    let (device, _) = floor(Path::new("device")).unwrap();
    let mut found = Vec::new();
    for (path, text) in sources() {
        let (floor, name) = floor(&module_of(&path)).unwrap();
        if shipped(&text).contains("wgpu::") && floor < device && name != "device/gpu" {
            found.push(path.display().to_string());
        }
    }
    assert!(found.is_empty(), "these know wgpu: {found:?}");
}

/// The modules that a module's code names by `crate::…` or `super::…`, from the root; the last name may be that of an item.
fn named(module: &Path, code: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (offset, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = &code[..offset];
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') || before.ends_with("super::") {
            continue;
        }
        for path in paths(&code[offset..]) {
            let mut absolute = module.to_owned();
            for name in path.split("::") {
                match name {
                    "crate" => absolute.clear(),
                    "super" => {
                        absolute.pop();
                    }
                    name => absolute.push(name),
                }
            }
            found.push(absolute);
        }
    }
    found
}

/// What each module of a folder imports of the others there, itself or by what is in it.
type Siblings = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

fn siblings(sources: &[(PathBuf, String)]) -> BTreeMap<PathBuf, Siblings> {
    let modules: BTreeSet<PathBuf> = sources.iter().map(|(path, _)| module_of(path)).collect();
    let mut folders: BTreeMap<PathBuf, Siblings> = BTreeMap::new();
    for (path, text) in sources {
        let own = module_of(path);
        for other in named(&own, &shipped(text)) {
            let common: PathBuf =
                own.iter().zip(other.iter()).take_while(|(own, other)| own == other).map(|(own, _)| own).collect();
            let child = |path: &Path| path.iter().nth(common.iter().count()).map(|name| common.join(name));
            if let (Some(from), Some(to)) = (child(&own), child(&other).filter(|child| modules.contains(child))) {
                folders.entry(common).or_default().entry(from).or_default().insert(to);
            }
        }
    }
    folders
}

/// Those that import each other in a circle, or are between circles.
fn circle(mut siblings: Siblings) -> Vec<PathBuf> {
    loop {
        let before = siblings.len();
        let importing: BTreeSet<PathBuf> = siblings.keys().cloned().collect();
        siblings.retain(|_, imported| imported.iter().any(|module| importing.contains(module)));
        let imported: BTreeSet<PathBuf> = siblings.values().flatten().cloned().collect();
        siblings.retain(|module, _| imported.contains(module));
        if siblings.len() == before {
            return siblings.into_keys().collect();
        }
    }
}

#[test]
fn no_folders_import_each_other_in_a_circle() {
    let mut wrong = Vec::new();
    for root in ["src", "cli/src"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        for (_, siblings) in siblings(&sources_of(root)) {
            let mut circle = circle(siblings);
            circle.retain(|module| path.join(module).is_dir());
            // The floors' table has the reason for this one.
            if circle.len() > 1 && circle != ["graph", "ops"].map(PathBuf::from) {
                wrong.push(format!("in {root}: {circle:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lists_of_imports_are_read() {
    let code = "use crate::{error::Error, tensor::{DType, Shape}, graph};\nuse crate::ops::Op;\nlet x = crate::scalar::f();\n\
                use crate::device::{cpu::run, table};";
    let found: Vec<String> = imported(code).iter().map(|path| path.display().to_string()).collect();
    let expected =
        ["error/Error", "tensor/DType", "tensor/Shape", "graph", "ops/Op", "scalar/f", "device/cpu", "device/table"];
    assert_eq!(found, expected);
    assert_eq!(
        shipped("use crate::a;\n// crate::b\n#[cfg(test)]\nmod tests {\nuse crate::c;\n}").matches("crate::").count(),
        1
    );
}
