//! Which files a command reads and which it writes. Each command declares them before it does anything else, so that none of what it
//! reads is lost under what it writes, no two results go to one file, and what cannot be written is told before a long run.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata, OpenOptions};
use std::path::{Path, PathBuf};

use wgrad::Error;

use crate::failure::{Failure, Result};

/// Directories within directories beyond this hold no data: `DIR/train/CLASS` is two below `DIR`.
const DEEPEST: usize = 4;

/// A file, whatever path leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// Device and number of one that is there; links of both kinds have those of what they lead to.
    #[cfg(unix)]
    Node(u64, u64),
    Path(PathBuf),
}

/// Names of files for messages, by what they are: `--data t.csv`.
type Known = HashMap<Identity, String>;

/// What is read.
struct Input {
    name: String,
    path: PathBuf,
    /// Which files of a directory may be read.
    holds: fn(&Path) -> bool,
}

/// What a command reads and writes.
#[derive(Default)]
pub struct Files {
    inputs: Vec<Input>,
    /// Options and paths.
    outputs: Vec<(String, PathBuf)>,
    /// Directories to be made.
    directories: Vec<PathBuf>,
}

impl Files {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that is read, or a directory with all that is in it; nothing where there is no path.
    pub fn reads(self, name: impl Into<String>, path: Option<&Path>) -> Self {
        self.reads_some(name, path, |_| true)
    }

    /// As [`reads`](Self::reads); of a directory, only files that `holds` is true of.
    pub fn reads_some(mut self, name: impl Into<String>, path: Option<&Path>, holds: fn(&Path) -> bool) -> Self {
        self.inputs.extend(path.map(|path| Input { name: name.into(), path: path.to_owned(), holds }));
        self
    }

    /// A file that is written; nothing where there is no path.
    pub fn writes(mut self, name: impl Into<String>, path: Option<&Path>) -> Self {
        self.outputs.extend(path.map(|path| (name.into(), path.to_owned())));
        self
    }

    /// Files that are written into a directory, which is made where it is not there.
    pub fn writes_into(mut self, name: &str, directory: Option<&Path>, files: &[PathBuf]) -> Self {
        let Some(directory) = directory else { return self };
        self.directories.push(directory.to_owned());
        self.outputs.extend(files.iter().map(|file| (name.to_owned(), file.clone())));
        self
    }

    /// Refuses outputs that would replace an input or each other, and those that cannot be written. Makes directories.
    pub fn check(&self) -> Result {
        // Directories are looked through only if there is something to be replaced.
        let replaces = self.outputs.iter().any(|(_, path)| path.is_file());
        Before(self.inputs(replaces)).refuse(self)?;
        let mut known: HashMap<Identity, (&str, &Path)> = HashMap::new();
        for (name, path) in &self.outputs {
            let Some(identity) = identity(path) else { continue };
            // A run that was killed may have left one checkpoint under both of its names.
            if let Some((other, first)) = known.insert(identity, (name, path)).filter(|(other, _)| other != name) {
                let [first, own] = [first.display(), path.display()];
                return Err(Failure::new(format!(
                    "{other} {first} and {name} {own} are one file: give each a path of its own"
                )));
            }
        }
        let in_directory = |path: &Path| self.directories.iter().any(|directory| path.parent() == Some(directory));
        for (_, path) in self.outputs.iter().filter(|(_, path)| !in_directory(path)) {
            can_write_file(path)?;
        }
        self.directories.iter().try_for_each(|directory| can_write_directory(directory))
    }

    /// The files that are read, with those in directories if they are wanted.
    fn inputs(&self, in_directories: bool) -> Known {
        let mut known = Known::new();
        for Input { name, path, holds } in &self.inputs {
            let own = format!("{name} {}", path.display());
            if path.is_dir() {
                if in_directories {
                    list(path, &own, *holds, 0, &mut HashSet::new(), &mut known);
                }
            } else if let Some(identity) = identity(path) {
                known.insert(identity, format!("that is {own}"));
            }
        }
        known
    }
}

/// What other commands of the same process have read.
pub struct Before(Known);

impl Before {
    /// The inputs of a command.
    pub fn reading(files: &Files) -> Self {
        Self(files.inputs(true))
    }

    /// Adds what a command that was done has read. What it wrote may be written again, as by commands of their own.
    pub fn extend(&mut self, files: &Files) {
        self.0.extend(files.inputs(true));
    }

    /// Refuses outputs that would replace any of them.
    pub fn refuse(&self, files: &Files) -> Result {
        for (name, path) in &files.outputs {
            if let Some(what) = identity(path).and_then(|identity| self.0.get(&identity)) {
                let path = path.display();
                return Err(Failure::new(format!("cannot write {name} {path}: {what}, which would be lost")));
            }
        }
        Ok(())
    }
}

/// True where two paths lead to one file.
pub fn are_same(left: &Path, right: &Path) -> bool {
    identity(left).is_some_and(|left| Some(left) == identity(right))
}

/// Adds the files of a directory. What cannot be listed is left to whoever reads it.
fn list(
    directory: &Path,
    whole: &str,
    holds: fn(&Path) -> bool,
    depth: usize,
    seen: &mut HashSet<Identity>,
    known: &mut Known,
) {
    let is_new = identity(directory).is_some_and(|identity| seen.insert(identity));
    if !is_new || depth > DEEPEST {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, whole, holds, depth + 1, seen, known);
        } else if path.is_file() && holds(&path) {
            known.extend(identity(&path).map(|identity| (identity, format!("that is a file of {whole}"))));
        }
    }
}

/// What a path leads to; nothing for devices and pipes, which nothing replaces.
fn identity(path: &Path) -> Option<Identity> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => None,
        Ok(found) => Some(of_existing(path, &found)),
        Err(_) => Some(Identity::Path(resolved(path))),
    }
}

#[cfg(unix)]
fn of_existing(_: &Path, found: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity::Node(found.dev(), found.ino())
}

#[cfg(not(unix))]
fn of_existing(path: &Path, _: &Metadata) -> Identity {
    Identity::Path(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

/// The path of a file that is not there, by the nearest directory that is.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path };
    match fs::canonicalize(parent) {
        Ok(parent) if ignores_case(&parent) => parent.join(name.to_string_lossy().to_lowercase()),
        Ok(parent) => parent.join(name),
        Err(_) => resolved(parent).join(name),
    }
}

/// Whether a directory's file system takes `A` and `a` for one name: then the directory has such a second name itself.
fn ignores_case(directory: &Path) -> bool {
    let Some(name) = directory.file_name().and_then(|name| name.to_str()) else { return false };
    let swap = |letter: char| {
        if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    let other: String = name.chars().map(swap).collect();
    let other = directory.with_file_name(&other);
    other != directory && fs::metadata(&other).is_ok() && identity(&other) == identity(directory)
}

/// Makes the directory, and a file in it that goes away again.
fn can_write_directory(directory: &Path) -> Result {
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

/// The same for the directory that a file is to be in, which must be there. A file that is there must not be protected, though it would be
/// replaced and not written to.
fn can_write_file(path: &Path) -> Result {
    let wrong = |why: String| Err(Failure::new(format!("cannot write {}: {why}", path.display())));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return wrong("it is a directory".to_owned()),
        // A device or a pipe.
        Ok(found) if !found.is_file() => return Ok(()),
        Ok(found) if found.permissions().readonly() => return wrong("it is read-only".to_owned()),
        Ok(_) | Err(_) => {}
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return wrong(format!("there is no directory {}", directory.display()));
    }
    can_write_directory(directory)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn refused(files: &Files) -> String {
        match files.check() {
            Err(Failure::Message(message)) => message,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_known_by_any_of_its_paths() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("data/cat")).unwrap();
        for file in ["t.csv", "data/cat/0.png", "data/m.safetensors"] {
            fs::write(path(file), b"x").unwrap();
        }
        let mut names = vec![path("t.csv"), path("data/../t.csv"), path("./t.csv")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("t.csv"), path("link.csv")).unwrap();
            fs::hard_link(path("t.csv"), path("hard.csv")).unwrap();
            names.extend([path("link.csv"), path("hard.csv")]);
        }
        for name in &names {
            let message = refused(&Files::new().reads("--data", Some(&path("t.csv"))).writes("--out", Some(name)));
            assert!(message.contains("--out") && message.contains("that is --data"), "{message}");
            assert!(are_same(name, &path("t.csv")));
        }
        let data = || Files::new().reads_some("--data", Some(&path("data")), |path| path.ends_with("0.png"));
        let message = refused(&data().writes("--plot", Some(&path("data/cat/0.png"))));
        assert!(message.contains("that is a file of --data"), "{message}");
        assert!(data().writes("--plot", Some(&path("data/cat/1.png"))).check().is_ok());
        assert!(data().writes("--save", Some(&path("data/m.safetensors"))).check().is_ok());
    }

    #[test]
    fn two_outputs_are_two_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let both =
            |first: &Path, second: &Path| Files::new().writes("--plot", Some(first)).writes("--save", Some(second));
        fs::create_dir(path("sub")).unwrap();
        let message = refused(&both(&path("s.png"), &path("sub/../s.png")));
        assert!(message.contains("--plot") && message.contains("are one file"), "{message}");
        assert!(both(&path("s.png"), &path("t.png")).check().is_ok());
        let run = path("run");
        let saving = |file: PathBuf| {
            Files::new().writes_into("--checkpoint", Some(&run), &[run.join("c")]).writes("--save", Some(&file))
        };
        assert!(refused(&saving(run.join("c"))).contains("are one file"));
        assert!(!run.exists());
        fs::write(path("one"), b"x").unwrap();
        if fs::hard_link(path("one"), path("two")).is_ok() {
            let both = Files::new().writes_into("--checkpoint", Some(directory.path()), &[path("one"), path("two")]);
            assert!(both.check().is_ok());
        }
        assert!(saving(path("c")).check().is_ok() && run.exists());
        if Path::new("/dev/null").exists() {
            assert!(both(Path::new("/dev/null"), Path::new("/dev/null")).check().is_ok());
        }
    }

    #[test]
    fn what_is_protected_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("out");
        fs::write(&file, b"x").unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        assert!(refused(&Files::new().writes("--out", Some(&file))).contains("read-only"));
    }
}
