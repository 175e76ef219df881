//! Which pictures a folder has: one subfolder a class, perhaps below `train` and `test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wgrad::Error;

use crate::failure::{Failure, Result};

/// Endings of the pictures that can be read, in lower case.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// A picture's file, with what tells it from an older one of the same name.
pub struct Entry {
    pub path: PathBuf,
    pub class: usize,
    pub bytes: u64,
    pub modified: Option<SystemTime>,
}

/// A folder's pictures, in the order of classes and names.
pub struct Scan {
    pub classes: Vec<String>,
    pub train: Vec<Entry>,
    /// The test part; none where the folder is not divided.
    pub test: Option<Vec<Entry>>,
    /// What is not read: files that are no pictures by their names, and links that lead nowhere.
    pub skipped: Vec<PathBuf>,
}

/// Looks at the folder.
pub fn scan(directory: &Path) -> Result<Scan> {
    if !directory.exists() {
        return Err(Failure::new(format!("{}: there is no such directory", directory.display())));
    }
    if !directory.is_dir() {
        return Err(Failure::new(format!("{}: it is a file, not a directory with pictures", directory.display())));
    }
    let mut skipped = Vec::new();
    let part = |names: &[&str]| names.iter().map(|name| directory.join(name)).find(|path| path.is_dir());
    let (root, test) = match (part(&["train"]), part(&["test", "val"])) {
        (Some(train), test) => (train, test),
        (None, _) => (directory.to_owned(), None),
    };
    let classes = classes(&root, &mut skipped)?;
    let train = entries(&root, &classes, &mut skipped)?;
    let test = match test {
        None => None,
        Some(path) => {
            let others = self::classes(&path, &mut skipped)?;
            if let Some(missing) = classes.iter().find(|class| !others.contains(class)) {
                let [train, test] = [root.display(), path.display()];
                return Err(Failure::new(format!("{test} has no class folder {missing:?}, which {train} has")));
            }
            if let Some(strange) = others.iter().find(|class| !classes.contains(class)) {
                let [train, test] = [root.display(), path.display()];
                return Err(Failure::new(format!("{test} has a class folder {strange:?}, which {train} has not")));
            }
            Some(entries(&path, &classes, &mut skipped)?)
        }
    };
    if test.is_none() {
        for (class, name) in classes.iter().enumerate() {
            if train.iter().filter(|entry| entry.class == class).count() < 2 {
                return Err(Failure::new(format!(
                    "{}: class {name:?} has a single picture; two or more are needed to train on some and test with others",
                    root.display()
                )));
            }
        }
    }
    Ok(Scan { classes, train, test, skipped })
}

/// What is in a directory but for hidden files, by name.
pub fn listed(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let wrong = |source| Error::file("cannot list", directory, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The names of the class folders, sorted.
fn classes(root: &Path, skipped: &mut Vec<PathBuf>) -> Result<Vec<String>> {
    let all = listed(root)?;
    let classes: Vec<String> = all.iter().filter(|(_, path)| path.is_dir()).map(|(name, _)| name.clone()).collect();
    skipped.extend(all.into_iter().map(|(_, path)| path).filter(|path| !path.is_dir()));
    match classes.as_slice() {
        [] => Err(Failure::new(format!(
            "{}: there are no class folders; each class wants a folder of its own with .png or .jpg files",
            root.display()
        ))),
        [single] => Err(Failure::new(format!(
            "{}: there is only one class, {single:?}; a classifier wants two or more",
            root.display()
        ))),
        _ => Ok(classes),
    }
}

fn entries(root: &Path, classes: &[String], skipped: &mut Vec<PathBuf>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let folder = root.join(name);
        let own = pictures(&folder, class, skipped)?;
        if own.is_empty() {
            return Err(Failure::new(format!("{}: the class has no pictures (.png, .jpg or .jpeg)", folder.display())));
        }
        entries.extend(own);
    }
    Ok(entries)
}

/// The pictures in a directory, by name.
pub fn pictures(folder: &Path, class: usize, skipped: &mut Vec<PathBuf>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (_, path) in listed(folder)? {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        if ENDINGS.contains(&ending.as_str()) && path.is_file() {
            entries.push(entry(path, class)?);
        } else {
            skipped.push(path);
        }
    }
    Ok(entries)
}

/// A picture's file.
pub fn entry(path: PathBuf, class: usize) -> Result<Entry> {
    let about = fs::metadata(&path).map_err(|source| Error::file("cannot read", &path, source))?;
    Ok(Entry { path, class, bytes: about.len(), modified: about.modified().ok() })
}
