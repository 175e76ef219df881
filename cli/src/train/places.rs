//! Whether files can be written where the user wants them: asked before a long run, not after it.

use std::fs::{self, OpenOptions};
use std::path::Path;

use wgrad::Error;

use crate::failure::{Failure, Result};

/// Makes the directory, and a file in it that goes away again.
pub fn can_write_directory(directory: &Path) -> Result {
    fs::create_dir_all(directory).map_err(|source| Error::file("cannot make the directory", directory, source))?;
    let probe = directory.join(format!(".wgrad-probe-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)
        .map_err(|source| Error::file("cannot write into", directory, source))?;
    // What was just made can be removed; if not, an empty hidden file is no harm.
    let _ = fs::remove_file(probe);
    Ok(())
}

/// The same for the directory that a file is to be in, which must be there.
pub fn can_write_file(path: &Path) -> Result {
    if path.is_dir() {
        return Err(Failure::new(format!("cannot write {}: it is a directory", path.display())));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(Failure::new(format!(
            "cannot write {}: there is no directory {}",
            path.display(),
            directory.display()
        )));
    }
    can_write_directory(directory)
}
