//! Files that are replaced as a whole, or stay as they were.
//!
//! A program may be killed at any moment, so the new file is written beside the old one, synced, and renamed over it: a reader sees the
//! one or the other, never a half.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file: what was there before is replaced as a whole, or stays as it was.
///
/// ```
/// # let directory = tempfile::tempdir().map_err(|error| wgrad::Error::file("cannot create", "", error))?;
/// # let path = directory.path().join("scores.csv");
/// wgrad::file::write(&path, b"epoch,loss\n1,0.25\n")?;
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::File`] where the directory cannot be written or is full.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    replace(path, None, |file| file.write_all(bytes)).map_err(|source| Error::file("cannot write", path, source))
}

/// Replaces the file at `path` by what `fill` writes, in one step that the file system makes whole. What was there before is moved
/// to `previous` in the same directory, where that is wanted.
pub(crate) fn replace(
    path: &Path,
    previous: Option<&Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    // Through a link, it is the file it leads to that is replaced; and a device or a pipe is written to, not replaced.
    let resolved = fs::canonicalize(path);
    let path = resolved.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        let mut writer = io::BufWriter::with_capacity(1 << 20, fs::OpenOptions::new().write(true).open(path)?);
        fill(&mut writer)?;
        return writer.flush();
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".wgrad-").suffix(".partial");
    // A temporary file is private by default; this one has the permissions that any new file would have.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(directory)?;
    {
        let mut writer = io::BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
        fill(&mut writer)?;
        writer.flush()?;
    }
    // What only its owner may read stays so.
    if let Ok(known) = fs::metadata(path) {
        temporary.as_file().set_permissions(known.permissions())?;
    }
    // Without the first sync the name could point to bytes that never reached the disk, without the second the
    // name itself could be the old one after a power cut.
    temporary.as_file().sync_all()?;
    if let Some(previous) = previous {
        keep(path, previous)?;
    }
    temporary.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

/// Gives a file a second name, replacing what had it, so that at no moment there is no file of either name.
fn keep(path: &Path, previous: &Path) -> io::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let staged = previous.with_extension("partial");
    // What a killed process left.
    let _ = fs::remove_file(&staged);
    match fs::hard_link(path, &staged) {
        Ok(()) => fs::rename(&staged, previous).inspect_err(|_| {
            let _ = fs::remove_file(&staged);
        }),
        // File systems without links: for a moment, there is only the previous file.
        Err(_) => fs::rename(path, previous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn who_may_read_a_file_stays_the_same() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("scores.csv");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
