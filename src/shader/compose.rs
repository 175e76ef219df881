//! Composing WGSL: `#import path` lines are replaced by the module of that path, once each.
//!
//! The files under `shaders/` are plain WGSL but for those lines. A path in a slot's folder names the variant that stands there as long as
//! nothing else fills the slot, so that what an editor shows is real code. `#mirror path` imports a module that is written for the left
//! operand of a product as one for the right operand. What modules `enable` comes first, as WGSL wants it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;
use std::sync::LazyLock;

use super::files::{File, KernelFile, Slot, all_modules};
use super::kernel::{Access, Kernel};

/// A kernel of a file under `shaders/kernels/`, while its slots are filled. What is wrong is told when it is composed.
#[derive(Debug)]
#[must_use]
pub(crate) struct Composer {
    file: KernelFile,
    filled: Vec<(&'static str, Cow<'static, str>)>,
}

impl Kernel {
    /// A kernel of wgrad's own.
    pub(crate) const fn of(file: KernelFile) -> Composer {
        Composer { file, filled: Vec::new() }
    }
}

impl Composer {
    /// Fills a slot, which some variant of the kernel has.
    pub(crate) fn slot<S: Slot>(mut self, slot: S) -> Self {
        self.filled.push((S::NAME, slot.text()));
        self
    }

    /// The kernel, which reads the first of its storage bindings and writes the last.
    ///
    /// # Errors
    /// Where the kernel has not a slot that was filled, or constants that were not; where an import does not exist.
    pub(crate) fn kernel(self, label: impl Into<String>, reads: usize, writes: usize) -> Result<Kernel, String> {
        let name = self.file.name();
        for (index, (slot, _)) in self.filled.iter().enumerate() {
            if !SLOTS.get(&self.file).is_some_and(|slots| slots.contains(slot)) {
                return Err(format!("the kernel {name} has no slot {slot}"));
            }
            if self.filled[..index].iter().any(|(other, _)| other == slot) {
                return Err(format!("the slot {slot} of the kernel {name} is filled twice"));
            }
        }
        let mut text = Text { filled: &self.filled, ..Text::default() };
        text.add(self.file.file().text)?;
        if let Some(problem) = text.left_open() {
            return Err(format!("the kernel {name} {problem}"));
        }
        let bindings = repeat_n(Access::Read, reads).chain(repeat_n(Access::ReadWrite, writes)).collect();
        Ok(Kernel {
            label: label.into(),
            source: text.text.into(),
            bindings,
            subgroups: false,
            folds: true,
            iterations: None,
            is_trusted: true,
        })
    }
}

/// The complete WGSL of a source of one's own. It imports modules of [`files`](super::files), which other texts may replace, and
/// modules of its own.
///
/// # Errors
/// Where an imported module does not exist, or nothing imports a module that has a text here.
pub(crate) fn compose_source(source: &str, by_path: &[(&str, Cow<'_, str>)]) -> Result<String, String> {
    let mut text = Text { by_path, ..Text::default() };
    text.add(source)?;
    match by_path.iter().find(|(path, _)| !text.included.iter().any(|(included, _)| included == path)) {
        Some((path, _)) => Err(format!("nothing imports {path:?}")),
        None => Ok(text.text),
    }
}

/// What is imported by a line.
pub(super) enum Import<'a> {
    Module(&'a str),
    /// A module of the left operand, for the right one.
    Mirrored(&'a str),
}

impl<'a> Import<'a> {
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let module = line.strip_prefix("#import ").map(|path| Self::Module(path.trim()));
        module.or_else(|| line.strip_prefix("#mirror ").map(|path| Self::Mirrored(path.trim())))
    }
}

fn find(path: &str) -> Result<&'static File, String> {
    all_modules().find(|file| file.path == path).ok_or_else(|| format!("no shader module {path:?}"))
}

/// The slots that each kernel has, with whatever fills them.
static SLOTS: LazyLock<BTreeMap<KernelFile, BTreeSet<&'static str>>> = LazyLock::new(|| {
    let slots = |&kernel: &KernelFile| (kernel, reached(kernel).into_iter().filter_map(|file| file.slot).collect());
    KernelFile::ALL.iter().map(slots).collect()
});

/// The modules that some variant of a kernel has.
pub(super) fn reached(kernel: KernelFile) -> Vec<&'static File> {
    let mut found: Vec<&'static File> = Vec::new();
    let mut texts = vec![kernel.file().text];
    while let Some(text) = texts.pop() {
        for import in text.lines().filter_map(Import::of) {
            let (Import::Module(path) | Import::Mirrored(path)) = import;
            let Ok(imported) = find(path) else { continue };
            let variants = all_modules().filter(|file| match import {
                Import::Module(_) if imported.slot.is_some() => file.slot == imported.slot,
                Import::Module(_) | Import::Mirrored(_) => file.path == path,
            });
            for file in variants {
                if !found.iter().any(|other| other.path == file.path) {
                    found.push(file);
                    texts.push(file.text);
                }
            }
        }
    }
    found
}

/// A text that is composed.
#[derive(Default)]
pub(super) struct Text<'a> {
    /// Texts by slots, and by paths.
    filled: &'a [(&'static str, Cow<'static, str>)],
    by_path: &'a [(&'a str, Cow<'a, str>)],
    /// Paths, with the slot that a path is of.
    included: Vec<(String, Option<&'static str>)>,
    pub(super) text: String,
}

impl Text<'_> {
    /// A text with all that it imports.
    pub(super) fn add(&mut self, source: &str) -> Result<(), String> {
        for line in source.lines() {
            match Import::of(line) {
                Some(Import::Module(path)) => self.import(path)?,
                Some(Import::Mirrored(path)) => self.mirror(path)?,
                None if line.starts_with("enable ") => self.enable(line),
                None => {
                    self.text.push_str(line);
                    self.text.push('\n');
                }
            }
        }
        Ok(())
    }

    /// Puts a directive before all else, once.
    fn enable(&mut self, line: &str) {
        if !self.text.lines().any(|other| other == line) {
            self.text.insert_str(0, &format!("{line}\n"));
        }
    }

    fn import(&mut self, path: &str) -> Result<(), String> {
        if self.included.iter().any(|(included, _)| included == path) {
            return Ok(());
        }
        if let Some((_, text)) = self.by_path.iter().find(|(other, _)| *other == path) {
            self.included.push((path.to_owned(), None));
            return self.add(text);
        }
        let file = find(path)?;
        let is_there = |(_, slot): &(String, Option<&str>)| slot.is_some() && *slot == file.slot;
        let is_included = self.included.iter().any(is_there);
        self.included.push((path.to_owned(), file.slot));
        if is_included {
            return Ok(());
        }
        let filled = self.filled.iter().find(|(slot, _)| Some(*slot) == file.slot);
        match filled {
            Some((_, text)) => self.add(text),
            None => self.add(file.text),
        }
    }

    fn mirror(&mut self, path: &str) -> Result<(), String> {
        let key = format!("{path}, mirrored");
        if self.included.iter().any(|(included, _)| *included == key) {
            return Ok(());
        }
        self.included.push((key, None));
        let mirrored: Vec<String> = find(path)?.text.lines().map(mirrored).collect();
        self.add(&mirrored.join("\n"))
    }

    /// Constants that are missing, and slots that two variants stand for.
    fn left_open(&self) -> Option<String> {
        let open = |slot: &str| !self.filled.iter().any(|(filled, _)| *filled == slot);
        self.included.iter().enumerate().find_map(|(index, (path, slot))| {
            let slot = slot.filter(|slot| open(slot))?;
            if path.starts_with("constants/") {
                return Some(format!("needs {path}"));
            }
            let (other, _) = self.included[..index].iter().find(|(_, earlier)| *earlier == Some(slot))?;
            Some(format!("imports {other} and {path}, and nothing fills the slot"))
        })
    }
}

/// A line about the left operand as one about the right operand: parts of names are exchanged.
fn mirrored(line: &str) -> String {
    const PARTS: [(&str, &str); 6] = [
        ("lhs", "rhs"),
        ("LHS", "RHS"),
        ("row", "column"),
        ("rows", "columns"),
        ("ROWS", "COLUMNS"),
        ("left", "right"),
    ];
    if Import::of(line).is_some() {
        return line.to_owned();
    }
    let is_part = |character: char| character.is_ascii_alphabetic();
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character| is_part(character) != is_part(first)).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        let exchanged = PARTS.iter().find(|(left, _)| *left == part);
        text.push_str(exchanged.map_or(part, |(_, right)| right));
        rest = behind;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::slot::{Element, Expression, Fold, Lanes, SortConstants};
    use crate::tensor::DType;

    #[test]
    fn a_slot_takes_one_of_its_variants() {
        let carries = |composer: Composer| composer.kernel("scan", 1, 1).map(|kernel| kernel.source);
        let element = || Kernel::of(KernelFile::ScanCarries).slot(Element::of(DType::I32).unwrap());
        let source = carries(element()).unwrap();
        assert!(source.contains("alias Element = i32;") && !source.contains("alias Element = f32;"), "{source}");
        let complaint = |composer: Composer| carries(composer).unwrap_err();
        assert_eq!(complaint(element().slot(Fold::Sum)), "the kernel scan_carries has no slot fold");
        let twice = element().slot(Element::of(DType::F32).unwrap());
        assert_eq!(complaint(twice), "the slot element of the kernel scan_carries is filled twice");
        assert_eq!(complaint(Kernel::of(KernelFile::Sort)), "the kernel sort needs constants/sort");
        let sort = Kernel::of(KernelFile::Sort).slot(SortConstants { size: 64, threads: 32 });
        let source = carries(sort).unwrap();
        assert!(source.contains("const SIZE = 64u;\nconst THREADS = 32u;\n"), "{source}");
    }

    #[test]
    fn two_variants_of_one_slot_are_a_mistake() {
        let both = || Kernel::of(KernelFile::Map).slot(Expression("#import lanes/four\n#import lanes/one\n"));
        let complaint = both().kernel("map", 1, 1).unwrap_err();
        assert_eq!(complaint, "the kernel map imports lanes/four and lanes/one, and nothing fills the slot");
        assert!(both().slot(Lanes::Four).kernel("map", 1, 1).is_ok());
    }

    #[test]
    fn what_is_mirrored_is_about_the_right_operand() {
        let line = "let row = min(first_row(work), params.rows - 1u) + LHS_QUADS + TILE_ROWS + lhs[narrow]; // left";
        let want = "let column = min(first_column(work), params.columns - 1u) + RHS_QUADS + TILE_COLUMNS + rhs[narrow]; // right";
        assert_eq!(mirrored(line), want);
        assert_eq!(mirrored("#import lhs/elements"), "#import lhs/elements");
    }
}
