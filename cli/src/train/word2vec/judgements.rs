//! Human judgements of how similar two words are, and how well vectors agree with them.

use std::fs;
use std::path::{Path, PathBuf};

use wgrad::data::{Encoding, WordEmbeddings, read_text};
use wgrad::metrics::spearman;

use crate::failure::{Failure, Result};

/// Lines of a file that are looked at to tell what it is.
const LOOKED_AT: usize = 20;

/// A list of pairs with a number each.
#[derive(Debug)]
pub struct Judgements {
    /// The file's name without its ending, in lower case, with underscores.
    pub name: String,
    pairs: Vec<(String, String, f64)>,
}

/// What vectors and people agree on.
pub struct Agreement {
    /// Spearman's correlation; none where it is not defined.
    pub correlation: Option<f64>,
    /// Pairs that were compared, and those of which a word has no vector.
    pub compared: usize,
    pub skipped: usize,
}

impl Judgements {
    /// Reads a file: on each line two words and a number, with spaces or tabs between them.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, Encoding::Utf8)?;
        let mut pairs = Vec::new();
        for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let pair = pair(text).ok_or_else(|| {
                Failure::new(format!("{}: line {}: {text:?} is not two words and a number", path.display(), line + 1))
            })?;
            pairs.push(pair);
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = stem.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        Ok(Self { name, pairs })
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Compares the cosines of vectors with the judgements.
    pub fn compare(&self, embeddings: &WordEmbeddings) -> Agreement {
        let known = self.pairs.iter().filter_map(|(a, b, score)| Some((embeddings.similarity(a, b)?, *score)));
        let known: Vec<(f64, f64)> = known.collect();
        let (compared, skipped) = (known.len(), self.pairs.len() - known.len());
        Agreement { correlation: spearman(known), compared, skipped }
    }
}

fn pair(line: &str) -> Option<(String, String, f64)> {
    let mut fields = line.split_whitespace();
    let (first, second, score) = (fields.next()?, fields.next()?, fields.next()?);
    let score = score.parse::<f64>().ok().filter(|score| score.is_finite())?;
    fields.next().is_none().then(|| (first.to_lowercase(), second.to_lowercase(), score))
}

/// True for a file whose first lines are pairs with a number.
fn is_list(path: &Path) -> bool {
    let Ok(text) = read_text(path, Encoding::Utf8) else { return false };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).take(LOOKED_AT).peekable();
    lines.peek().is_some() && lines.all(|line| pair(line).is_some())
}

/// The files of text in a directory, in the order of their names: lists of judgements, and others.
pub fn sorted(directory: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let wrong = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let ending = super::super::canvas::extension(&path);
        if path.is_file() && matches!(ending.as_str(), "txt" | "gz" | "tsv" | "") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files.into_iter().partition(|path| is_list(path)))
}

/// The lists of a file or a directory.
pub fn read_all(path: &Path) -> Result<Vec<Judgements>> {
    if !path.is_dir() {
        return Ok(vec![Judgements::read(path)?]);
    }
    let (lists, _) = sorted(path)?;
    if lists.is_empty() {
        return Err(Failure::new(format!(
            "{}: no file of it has lines of two words and a number, as human judgements have",
            path.display()
        )));
    }
    lists.iter().map(|path| Judgements::read(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_two_words_and_a_number() {
        assert_eq!(pair("Cat\tdog 7.5"), Some(("cat".into(), "dog".into(), 7.5)));
        for line in ["cat dog", "cat dog x", "cat dog 1 2", "cat dog nan", ""] {
            assert_eq!(pair(line), None, "{line}");
        }
    }
}
