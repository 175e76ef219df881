//! Sentences and their translations: files with a sentence a line, in the layout of Multi30k.

use std::path::{Path, PathBuf};

use wgrad::data::{Encoding, read_text};

use crate::failure::{Failure, Result};

/// The language that is translated into.
pub const INTO: &str = "en";

/// The parts by which a model learns, is watched and is tested.
pub const PARTS: [&str; 3] = ["train", "val", "test_2016_flickr"];

/// Sentences with their translations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    pub sources: Vec<String>,
    pub targets: Vec<String>,
}

impl Pairs {
    pub const fn len(&self) -> usize {
        self.sources.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(String::as_str).zip(self.targets.iter().map(String::as_str))
    }

    /// A part of a corpus, from a language: `DIR/PART.LANGUAGE` and `DIR/PART.en`, each with `.gz` or without.
    pub fn read(directory: &Path, part: &str, from: &str) -> Result<Self> {
        let [source, target] = [from, INTO].map(|language| find(directory, part, language));
        let (source, target) = (source?, target?);
        let (sources, targets) = (sentences(&source)?, sentences(&target)?);
        if sources.len() != targets.len() {
            return Err(Failure::new(format!(
                "{} has {} sentences and {} has {}: each should be the translation of the one in the same line",
                source.display(),
                sources.len(),
                target.display(),
                targets.len()
            )));
        }
        Ok(Self { sources, targets })
    }
}

/// The file of a part in a language.
fn find(directory: &Path, part: &str, language: &str) -> Result<PathBuf> {
    let name = format!("{part}.{language}");
    let plain = directory.join(&name);
    let packed = directory.join(format!("{name}.gz"));
    [plain, packed].into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(format!(
            "{} has neither {name} nor {name}.gz; translate wants {}, each in {language} and the other language, a sentence a line, as \
             Multi30k has them: https://github.com/multi30k/dataset (data/task1/raw)",
            directory.display(),
            PARTS.join(", ")
        ))
    })
}

/// The lines of a file, of which none is empty.
pub fn sentences(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path, Encoding::Utf8)?;
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    match lines.iter().position(String::is_empty) {
        Some(index) => Err(Failure::new(format!(
            "{}, line {}: there is no text, and each line should be a sentence",
            path.display(),
            index + 1
        ))),
        None if lines.is_empty() => Err(Failure::new(format!("{}: there is no sentence in it", path.display()))),
        None => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::fs;

    use super::*;

    #[test]
    fn files_must_agree_line_by_line() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let message = || match Pairs::read(directory.path(), "val", "de") {
            Err(Failure::Message(message)) => message,
            other => format!("{other:?}"),
        };
        assert!(message().contains("has neither val.de nor val.de.gz"));
        write("val.de", "ein Haus\nzwei Häuser\n");
        assert!(message().contains("has neither val.en nor val.en.gz"));
        write("val.en", "a house\n");
        assert!(
            message().contains("val.de has 2 sentences and") && message().contains("val.en has 1:"),
            "{}",
            message()
        );
        write("val.en", "a house\n  \n");
        assert!(message().contains("val.en, line 2: there is no text"), "{}", message());
        write("val.en", "\n");
        assert!(message().contains("val.en, line 1: there is no text"), "{}", message());
        write("val.en", "a house\ntwo houses");
        let pairs = Pairs::read(directory.path(), "val", "de").unwrap();
        assert_eq!(pairs.iter().last(), Some(("zwei Häuser", "two houses")));
    }
}
