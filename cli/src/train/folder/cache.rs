//! Decoded pictures in one file beside them, so that the next run need not decode them again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use wgrad::tensor::{DType, TensorData};
use wgrad::train::checkpoint_file;

use super::scan::{Entry, Scan};

/// The cache's directory within the data's.
const DIRECTORY: &str = ".wgrad-cache";

/// Other versions of the file are made anew.
const FORMAT: &str = "wgrad-pictures-1";

/// A cache's file, and what its content has to be of.
pub struct Cache {
    file: PathBuf,
    key: String,
    examples: usize,
}

/// What was found in the place of a cache.
pub enum Found {
    /// The pictures.
    Pictures(TensorData),
    /// Nothing, or what was made of other pictures.
    Nothing,
    /// A file that cannot be used, and why.
    Damaged(String),
}

impl Cache {
    /// For pictures of a folder at a size, or at whatever size they have.
    pub fn new(directory: &Path, scan: &Scan, size: Option<usize>) -> Self {
        let mut hasher = DefaultHasher::new();
        let all: Vec<&Entry> = scan.train.iter().chain(scan.test.iter().flatten()).collect();
        for entry in &all {
            entry.path.strip_prefix(directory).unwrap_or(&entry.path).hash(&mut hasher);
            (entry.bytes, entry.modified).hash(&mut hasher);
        }
        let name = size.map_or("own-size".to_owned(), |size| size.to_string());
        Self {
            file: directory.join(DIRECTORY).join(format!("{name}.safetensors")),
            key: format!("{FORMAT} {:016x}", hasher.finish()),
            examples: all.len(),
        }
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads it, if it is of the same pictures.
    pub fn read(&self) -> Found {
        if !self.file.exists() {
            return Found::Nothing;
        }
        let (mut tensors, about) = match checkpoint_file::read(&self.file) {
            Ok(content) => content,
            Err(error) => return Found::Damaged(error.to_string()),
        };
        if about.get("key") != Some(&self.key) {
            return Found::Nothing;
        }
        match tensors.remove("x") {
            Some(x) if !self.fits(&x) => Found::Damaged(format!("{}: it holds {}", self.file.display(), x.ty())),
            Some(x) if about.get("checksum") == Some(&checksum(&x)) => Found::Pictures(x),
            _ => Found::Damaged(format!("{}: its content is not what was written", self.file.display())),
        }
    }

    fn fits(&self, x: &TensorData) -> bool {
        matches!(*x.shape().dims(), [count, 3, height, width] if count == self.examples && height == width && height > 0)
            && x.dtype() == DType::U8
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, x: &TensorData) -> wgrad::Result<()> {
        if let Some(directory) = self.file.parent() {
            fs::create_dir_all(directory)
                .map_err(|source| wgrad::Error::file("cannot make the directory", directory, source))?;
        }
        let about = [("key".to_owned(), self.key.clone()), ("checksum".to_owned(), checksum(x))];
        checkpoint_file::write(&self.file, &[("x".to_owned(), x.clone())], &about)
    }
}

fn checksum(x: &TensorData) -> String {
    let mut hasher = DefaultHasher::new();
    x.bytes().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
