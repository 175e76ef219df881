//! Pictures for a saved model: one, a folder of them, or folders whose names are their classes.

use std::path::{Path, PathBuf};

use wgrad::tensor::{DType, TensorData};
use wgrad::train::ModelFile;

use super::scan::{self, Entry};
use super::{LARGEST_SIZE, blamed, refuse_damaged, with_picture};
use crate::failure::{Failure, Result};
use crate::train::demo::{Asked, Names, Picture, Source};
use crate::train::saved;

pub fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let picture = Picture::restored(file, 3, super::WHITE, LARGEST_SIZE)?;
    let [_, size, width] = picture.shape();
    if size != width {
        return Err(file.wrong(format!("its pictures are {size}x{width} and no squares")).into());
    }
    let train = saved::blank(file, DType::U8, &[3, size, size])?;
    let classes = file.words("classes")?;
    if classes.len() < 2 {
        return Err(file.wrong("it has fewer than two classes").into());
    }
    let path = saved::asked(source, "a picture, or a directory with pictures or with a folder of them for each class")?;
    let found = find(path, &classes)?;
    let decoded = super::decode(&found.entries.iter().collect::<Vec<_>>(), size)?;
    refuse_damaged(&decoded.damaged, source)?;
    let mut notes = Vec::new();
    notes.extend(super::left_aside(&found.skipped));
    notes.extend(blamed(&decoded.damaged));
    let whole =
        found.entries.iter().enumerate().filter(|(index, _)| !decoded.damaged.iter().any(|(other, _)| other == index));
    let whole: Vec<&Entry> = whole.map(|(_, entry)| entry).collect();
    if whole.is_empty() {
        return Err(Failure::new(format!("{}: no picture in it is whole", path.display())));
    }
    let labels: Vec<i32> = whole.iter().map(|entry| entry.class as i32).collect();
    let y = found.labelled.then(|| TensorData::from_vec(labels, [whole.len()])).transpose()?;
    let test = saved::questions(decoded.x, y, &classes)?;
    let names = whole.iter().map(|entry| entry.path.display().to_string()).collect();
    let mut data = with_picture(train, test, classes.len(), size, &file.numbers("mean")?, &file.numbers("std")?)?;
    data.notes = notes;
    Ok(Asked { names: Some(Names { of: "file", names }), ..Asked::new(data) })
}

struct Found {
    entries: Vec<Entry>,
    /// The folders' names are the classes.
    labelled: bool,
    skipped: Vec<PathBuf>,
}

fn find(path: &Path, classes: &[String]) -> Result<Found> {
    if !path.exists() {
        return Err(Failure::new(format!("{}: there is no such file or directory", path.display())));
    }
    if path.is_file() {
        return Ok(Found { entries: vec![scan::entry(path.to_owned(), 0)?], labelled: false, skipped: Vec::new() });
    }
    let part = |name: &str| Some(path.join(name)).filter(|part| part.is_dir());
    let root = part("test").or_else(|| part("val")).unwrap_or_else(|| path.to_owned());
    let listed = scan::listed(&root)?;
    let folders: Vec<&(String, PathBuf)> = listed.iter().filter(|(_, path)| path.is_dir()).collect();
    let mut found = Found { entries: Vec::new(), labelled: !folders.is_empty(), skipped: Vec::new() };
    if folders.is_empty() {
        found.entries = scan::pictures(&root, 0, &mut found.skipped)?;
    } else {
        found.skipped.extend(listed.iter().map(|(_, path)| path.clone()).filter(|path| !path.is_dir()));
        for (name, folder) in folders {
            let class = classes.iter().position(|class| class == name).ok_or_else(|| {
                Failure::new(format!(
                    "{}: the model knows no class {name:?}; it knows {}",
                    folder.display(),
                    classes.join(", ")
                ))
            })?;
            found.entries.extend(scan::pictures(folder, class, &mut found.skipped)?);
        }
    }
    if found.entries.is_empty() {
        return Err(Failure::new(format!("{}: there are no pictures (.png, .jpg or .jpeg) in it", root.display())));
    }
    Ok(found)
}
