//! Decoded pictures in one file beside them, so that the next run need not decode them again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde_json::json;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::checkpoint_file;

use super::scan::{Entry, Scan};

/// The cache's directory within the data's.
const DIRECTORY: &str = ".wgrad-cache";

/// Other versions of the file are replaced: the first one held truncated pictures with grey instead of what was missing.
const FORMAT: &str = "wgrad-pictures-2";

/// A cache's file, and what its content has to be of.
pub struct Cache {
    file: PathBuf,
    key: String,
    examples: usize,
}

/// What the files of a scan hold.
pub struct Decoded {
    /// The whole pictures, in the order of the scan.
    pub x: TensorData,
    /// The others: which of the scan, and what is wrong with it.
    pub damaged: Vec<(usize, String)>,
}

/// What was found where a cache would be.
pub enum Found {
    /// The pictures.
    Pictures(Decoded),
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
        let damaged = about.get("damaged").and_then(|text| serde_json::from_str::<Vec<(usize, String)>>(text).ok());
        let (Some(x), Some(damaged)) = (tensors.remove("x"), damaged) else {
            return Found::Damaged(format!("{}: it is not whole", self.file.display()));
        };
        let decoded = Decoded { x, damaged };
        if !self.fits(&decoded) {
            return Found::Damaged(format!("{}: it holds {}", self.file.display(), decoded.x.ty()));
        }
        if about.get("checksum") != Some(&checksum(&decoded)) {
            return Found::Damaged(format!("{}: its content is not what was written", self.file.display()));
        }
        Found::Pictures(decoded)
    }

    fn fits(&self, Decoded { x, damaged }: &Decoded) -> bool {
        let whole = self.examples.checked_sub(damaged.len());
        matches!(*x.shape().dims(), [count, 3, height, width] if Some(count) == whole && height == width && height > 0)
            && x.dtype() == DType::U8
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, decoded: &Decoded) -> wgrad::Result<()> {
        if let Some(directory) = self.file.parent() {
            fs::create_dir_all(directory)
                .map_err(|source| wgrad::Error::file("cannot make the directory", directory, source))?;
        }
        let about = [
            ("key".to_owned(), self.key.clone()),
            ("checksum".to_owned(), checksum(decoded)),
            ("damaged".to_owned(), json!(decoded.damaged).to_string()),
        ];
        checkpoint_file::write(&self.file, &[("x".to_owned(), decoded.x.clone())], &about)
    }
}

fn checksum(decoded: &Decoded) -> String {
    let mut hasher = DefaultHasher::new();
    decoded.x.bytes().hash(&mut hasher);
    decoded.damaged.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
