//! `train images`: pictures of one's own, one folder a class.

mod ask;
mod cache;
mod decode;
mod jpeg;
mod orientation;
mod scan;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wgrad::data::Dataset;
use wgrad::tensor::{DType, TensorData};

use super::convolutional;
use super::demo::{Data, Defaults, Demo, ModelChoice, Picture, Source, Task, dense};
use super::note::Note;
use super::options::Own;
use super::residual;
use crate::failure::{Failure, Result};
use crate::output::{bytes, counted, grouped};
use cache::{Cache, Decoded, Found};
use scan::{Entry, Scan, scan};

/// The size of pictures that differ in size, where the user says none.
const USUAL_SIZE: usize = 32;

/// The largest size that is taken from the pictures themselves.
const LARGEST_OWN_SIZE: usize = 256;

/// The largest size that can be asked for.
pub const LARGEST_SIZE: usize = 1024;

/// The byte that is white.
const WHITE: f64 = 255.0;

/// More bytes of decoded pictures than this are refused: they are held in memory, and on the device.
const MOST_BYTES: usize = 8 << 30;

const DEFAULTS: Defaults = Defaults { epochs: 15, batch_size: 64, optimizer: "adam", learning_rate: 1e-3, falls: true };

pub const IMAGES: Demo = Demo {
    name: "images",
    about: "pictures of your own from --data DIR with a folder of PNG or JPEG files for each class",
    models: MODELS,
    defaults: DEFAULTS,
    load,
    ask: ask::ask,
    blank: Some(blank),
    own: Own::None,
    pictures: true,
    resizes: true,
};

const MODELS: &[ModelChoice] = &[
    convolutional::textbook(DEFAULTS),
    residual::for_photographs(residual::network(DEFAULTS)),
    ModelChoice::new(&["mlp"], "256 relu, 128 relu, one output a class", |data| dense(data, &[256, 128])),
];

fn load(source: &Source) -> Result<Data> {
    let Some(directory) = &source.path else {
        return Err(Failure::new(
            "images wants --data DIR with a folder of PNG or JPEG files for each class (DIR/cat/1.png, DIR/dog/1.jpg, …), \
             perhaps below DIR/train and DIR/test",
        ));
    };
    let scan = scan(directory)?;
    let mut notes = Vec::new();
    notes.extend(left_aside(&scan.skipped));
    let Decoded { x, damaged } = pictures(directory, &scan, source, &mut notes)?;
    let scan = without(directory, scan, &damaged, &mut notes)?;
    let labels = |entries: &[Entry]| entries.iter().map(|entry| entry.class as i32).collect::<Vec<i32>>();
    let all = [labels(&scan.train), scan.test.as_deref().map(labels).unwrap_or_default()].concat();
    let count = all.len();
    let size = x.shape().last().copied().unwrap_or_default();
    let data = Dataset::new([("x", x), ("y", TensorData::from_vec(all, [count])?)])?.with_class_names(&scan.classes);
    let (train, test) = match scan.test {
        None => data.stratified_split("y", 0.8, source.seed)?,
        Some(_) => {
            let indices: Vec<usize> = (0..count).collect();
            let (train, test) = indices.split_at(scan.train.len());
            (data.take(train)?, data.take(test)?)
        }
    };
    let (mean, std) = statistics(train.column("x")?.as_slice::<u8>()?, size * size);
    Ok(Data { notes, ..with_picture(train, test, scan.classes.len(), size, &mean, &std)? })
}

/// The decoded pictures of a scan, `[n, 3, size, size]`: from the cache, or decoded and put there. Damaged ones are an error, or left out.
fn pictures(directory: &Path, scan: &Scan, source: &Source, notes: &mut Vec<Note>) -> Result<Decoded> {
    let cache = Cache::new(directory, scan, source.image_size);
    match cache.read() {
        Found::Pictures(decoded) => {
            refuse_damaged(&decoded.damaged, source)?;
            notes.push(format!("pictures from the cache {}", cache.file().display()).into());
            return Ok(decoded);
        }
        Found::Nothing => {}
        Found::Damaged(why) => notes.push(format!("the cache is damaged and made again: {why}").into()),
    }
    let all: Vec<&Entry> = scan.train.iter().chain(scan.test.iter().flatten()).collect();
    let size = source.image_size.unwrap_or_else(|| own_size(&all));
    let decoded = decode(&all, size)?;
    refuse_damaged(&decoded.damaged, source)?;
    match cache.write(&decoded) {
        Ok(()) => notes.push(format!("pictures decoded and stored in the cache {}", cache.file().display()).into()),
        Err(error) => notes.push(format!("no cache, the next run decodes again: {error}").into()),
    }
    Ok(decoded)
}

/// The first damaged picture is an error where the user has not said that they be skipped.
fn refuse_damaged(damaged: &[(usize, String)], source: &Source) -> Result {
    match damaged {
        [(_, first), rest @ ..] if !source.skip_damaged => {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more like it", rest.len()) };
            Err(Failure::new(format!("{first}{more} (--skip-damaged leaves damaged pictures out)")))
        }
        _ => Ok(()),
    }
}

/// What is said of files that are not read.
fn left_aside(skipped: &[PathBuf]) -> Vec<Note> {
    let mut notes = vec![Note::Count("skipped", skipped.len())];
    if let Some(first) = skipped.first() {
        notes.push(Note::Warning(format!(
            "skipped {}: only .png, .jpg and .jpeg are read, and links that lead to such; the first: {}",
            counted(skipped.len(), "file"),
            first.display()
        )));
    }
    notes
}

/// What is said of damaged pictures that were left out, where there are any.
fn blamed(damaged: &[(usize, String)]) -> Vec<Note> {
    let Some((_, first)) = damaged.first() else { return Vec::new() };
    let text = format!("skipped {} damaged, the first: {first}", grouped(damaged.len() as u64));
    vec![Note::Count("damaged", damaged.len()), Note::Text(text)]
}

/// The scan without its damaged pictures, which must leave enough of each class.
fn without(directory: &Path, scan: Scan, damaged: &[(usize, String)], notes: &mut Vec<Note>) -> Result<Scan> {
    let Some((_, first)) = damaged.first() else { return Ok(scan) };
    notes.extend(blamed(damaged));
    let mut index = 0;
    let mut whole = |entries: Vec<Entry>| -> Vec<Entry> {
        let left = entries.into_iter().filter(|_| {
            index += 1;
            !damaged.iter().any(|(damaged, _)| damaged + 1 == index)
        });
        left.collect()
    };
    let scan = Scan { train: whole(scan.train), test: scan.test.map(&mut whole), ..scan };
    let fewest = if scan.test.is_some() { 1 } else { 2 };
    for part in [Some(&scan.train), scan.test.as_ref()].into_iter().flatten() {
        for (class, name) in scan.classes.iter().enumerate() {
            if part.iter().filter(|entry| entry.class == class).count() < fewest {
                return Err(Failure::new(format!(
                    "{}: without the damaged pictures, too few of class {name:?} are left; the first damaged one: {first}",
                    directory.display()
                )));
            }
        }
    }
    Ok(scan)
}

/// The size of the pictures where it is the same for all and not large, else the usual one. Those that cannot be read have no say.
fn own_size(all: &[&Entry]) -> usize {
    let sizes: Vec<(u32, u32)> = all.par_iter().filter_map(|entry| decode::size(&entry.path).ok()).collect();
    match sizes.split_first() {
        Some((&(width, height), rest)) if rest.iter().all(|size| *size == (width, height)) => {
            let side = width.min(height) as usize;
            if side <= LARGEST_OWN_SIZE { side } else { USUAL_SIZE }
        }
        _ => USUAL_SIZE,
    }
}

fn decode(all: &[&Entry], size: usize) -> Result<Decoded> {
    let row = 3 * size * size;
    let total = row.checked_mul(all.len()).filter(|total| *total <= MOST_BYTES).ok_or_else(|| {
        let wanted = (row as u64).saturating_mul(all.len() as u64);
        Failure::new(format!(
            "{} of {size}x{size} would take {}, and {} are allowed; choose a smaller --image-size",
            counted(all.len(), "picture"),
            bytes(wanted),
            bytes(MOST_BYTES as u64)
        ))
    })?;
    let mut x = vec![0_u8; total];
    let done: Vec<Result> = x
        .par_chunks_mut(row.max(1))
        .zip(all)
        .map(|(target, entry)| decode::square(&entry.path, size, target))
        .collect();
    // In the order of names, whichever thread met one first.
    let mut damaged = Vec::new();
    let mut whole = 0;
    for (index, done) in done.into_iter().enumerate() {
        match done {
            Ok(()) => {
                x.copy_within(index * row..(index + 1) * row, whole * row);
                whole += 1;
            }
            Err(Failure::Message(message)) => damaged.push((index, message)),
            Err(other) => return Err(other),
        }
    }
    x.truncate(whole * row);
    Ok(Decoded { x: TensorData::from_vec(x, [whole, 3, size, size])?, damaged })
}

/// Data with the mean and standard deviation of the training pixels.
fn with_picture(train: Dataset, test: Dataset, classes: usize, size: usize, mean: &[f64], std: &[f64]) -> Result<Data> {
    let shape = [3, size, size];
    let picture = Picture::new(shape, WHITE, mean, std)?;
    let settings = Picture::settings(IMAGES.name, shape, mean, std);
    let prepare = Some(picture.prepare());
    Ok(Data {
        train,
        test,
        validation: None,
        task: Task::Classes(classes),
        prepare,
        picture: Some(picture),
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
        settings,
    })
}

/// Mean and standard deviation of each channel, where white is 1.
fn statistics(x: &[u8], plane: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut sums, mut squares, mut counts) = ([0_u64; 3], [0_u64; 3], [0_u64; 3]);
    for (index, pixels) in x.chunks(plane.max(1)).enumerate() {
        let channel = index % 3;
        sums[channel] += pixels.iter().map(|&value| u64::from(value)).sum::<u64>();
        squares[channel] += pixels.iter().map(|&value| u64::from(value) * u64::from(value)).sum::<u64>();
        counts[channel] += pixels.len() as u64;
    }
    let channels = sums.into_iter().zip(squares).zip(counts).map(|((sum, square), count)| {
        let count = count.max(1) as f64;
        let mean = sum as f64 / count;
        // A channel of one value everywhere is only shifted.
        let variance = (square as f64 / count - mean * mean).max(0.0);
        (mean / 255.0, if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 })
    });
    channels.unzip()
}

/// Black pictures, for looking at programs.
fn blank(_: &str) -> Result<Data> {
    let x = TensorData::zeros(DType::U8, [64, 3, USUAL_SIZE, USUAL_SIZE]);
    let data = Dataset::new([("x", x), ("y", TensorData::zeros(DType::I32, [64]))])?;
    with_picture(data.clone(), data, 10, USUAL_SIZE, &[0.0; 3], &[1.0; 3])
}
