//! What demos take that learn vectors of words.

use std::path::PathBuf;

use clap::Args;

use super::Own;
use crate::failure::{Failure, Result};
use crate::train::canvas;
use crate::train::demo::Demo;

/// How vectors of words are learned, and what becomes of them.
#[derive(Args, Clone, Debug, Default)]
pub struct Vectors {
    /// Numbers of a word's vector [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub width: Option<u64>,
    /// Words drawn for each pair, from which the model tells the one that was there [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub negatives: Option<u64>,
    /// Leave out words that occur less often [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub min_count: Option<u64>,
    /// The share of the text from which a word is left out now and then, the more the more frequent it is; 0 leaves none out
    /// [default: 0.001]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = share)]
    pub subsample: Option<f64>,
    /// Human judgements of how similar words are, a file or a directory of files: lines of two words and a number
    #[arg(long, value_name = "PATH")]
    pub similarity: Option<PathBuf>,
    /// Write the vectors in word2vec's text format, which gensim reads
    #[arg(long, value_name = "FILE.txt")]
    pub vectors: Option<PathBuf>,
    /// Draw a map of common words
    #[arg(long, value_name = "FILE.png")]
    pub map: Option<PathBuf>,
}

impl Vectors {
    /// Finds before a run what would keep it from being drawn, or has no meaning.
    pub fn check(&self, demo: &Demo) -> Result {
        let given = [
            ("width", self.width.is_some()),
            ("negatives", self.negatives.is_some()),
            ("min-count", self.min_count.is_some()),
            ("subsample", self.subsample.is_some()),
            ("similarity", self.similarity.is_some()),
            ("vectors", self.vectors.is_some()),
            ("map", self.map.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given && demo.own != Own::Vectors) {
            return Err(Failure::new(format!("--{option} is for vectors of words, and {} learns none", demo.name)));
        }
        match &self.map {
            Some(path) => canvas::check_name(path, "pictures", &["png"]),
            None => Ok(()),
        }
    }
}

fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("a share is a number of at least 0".to_owned()),
    }
}
