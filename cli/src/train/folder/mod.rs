//! `train images`: pictures of one's own, one folder a class.

mod cache;
mod decode;
mod scan;

use std::path::Path;

use rayon::prelude::*;
use wgrad::data::Dataset;
use wgrad::tensor::{DType, TensorData};

use super::convolutional;
use super::demo::{Data, Defaults, Demo, ModelChoice, Picture, Source, Task, dense};
use super::residual;
use crate::failure::{Failure, Result};
use crate::output::{bytes, grouped};
use cache::{Cache, Found};
use scan::{Entry, Scan, scan};

/// The size of pictures that differ in size, where the user says none.
const USUAL_SIZE: usize = 32;

/// The largest size that is taken from the pictures themselves.
const LARGEST_OWN_SIZE: usize = 256;

/// More bytes of decoded pictures than this are refused: they are held in memory, and on the device.
const MOST_BYTES: usize = 8 << 30;

const DEFAULTS: Defaults = Defaults { epochs: 15, batch_size: 64, optimizer: "adam", learning_rate: 1e-3, falls: true };

pub const IMAGES: Demo = Demo {
    name: "images",
    about: "pictures of your own from --data DIR with a folder of PNG or JPEG files for each class",
    models: MODELS,
    defaults: DEFAULTS,
    load,
    blank: Some(blank),
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
    if scan.skipped > 0 {
        notes.push(format!("skipped {} that are no .png or .jpg files", grouped(scan.skipped as u64)));
    }
    let x = pictures(directory, &scan, source.image_size, &mut notes)?;
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
    Ok(Data { notes, ..with_picture(train, test, scan.classes.len(), size)? })
}

/// The decoded pictures of a scan, `[n, 3, size, size]`: from the cache, or decoded and put there.
fn pictures(directory: &Path, scan: &Scan, size: Option<usize>, notes: &mut Vec<String>) -> Result<TensorData> {
    let cache = Cache::new(directory, scan, size);
    match cache.read() {
        Found::Pictures(x) => {
            notes.push(format!("pictures from the cache {}", cache.file().display()));
            return Ok(x);
        }
        Found::Nothing => {}
        Found::Damaged(why) => notes.push(format!("the cache is damaged and made again: {why}")),
    }
    let all: Vec<&Entry> = scan.train.iter().chain(scan.test.iter().flatten()).collect();
    let size = match size {
        Some(size) => size,
        None => own_size(&all)?,
    };
    let x = decode(&all, size)?;
    match cache.write(&x) {
        Ok(()) => notes.push(format!("pictures decoded and kept in the cache {}", cache.file().display())),
        Err(error) => notes.push(format!("no cache, the next run decodes again: {error}")),
    }
    Ok(x)
}

/// The size of the pictures where it is the same for all and not large, else the usual one.
fn own_size(all: &[&Entry]) -> Result<usize> {
    let sizes: Vec<Result<(u32, u32)>> = all.par_iter().map(|entry| decode::size(&entry.path)).collect();
    let sizes = sizes.into_iter().collect::<Result<Vec<(u32, u32)>>>()?;
    Ok(match sizes.split_first() {
        Some((&(width, height), rest)) if rest.iter().all(|size| *size == (width, height)) => {
            let side = width.min(height) as usize;
            if side <= LARGEST_OWN_SIZE { side } else { USUAL_SIZE }
        }
        _ => USUAL_SIZE,
    })
}

fn decode(all: &[&Entry], size: usize) -> Result<TensorData> {
    let row = 3 * size * size;
    let total = row.checked_mul(all.len()).filter(|total| *total <= MOST_BYTES).ok_or_else(|| {
        let wanted = (row as u64).saturating_mul(all.len() as u64);
        Failure::new(format!(
            "{} pictures of {size}x{size} would take {}, and {} are allowed; choose a smaller --image-size",
            grouped(all.len() as u64),
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
    // The first in the order of names, whichever thread met one first.
    done.into_iter().collect::<Result>()?;
    Ok(TensorData::from_vec(x, [all.len(), 3, size, size])?)
}

/// Data with the mean and standard deviation of its training pixels.
fn with_picture(train: Dataset, test: Dataset, classes: usize, size: usize) -> Result<Data> {
    let (mean, std) = statistics(train.column("x")?.as_slice::<u8>()?, size * size);
    let picture = Picture::new([3, size, size], 255.0, &mean, &std)?;
    let prepare = Some(picture.prepare());
    Ok(Data {
        train,
        test,
        task: Task::Classes(classes),
        prepare,
        picture: Some(picture),
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
    })
}

/// Mean and standard deviation of each channel, where white is 1.
fn statistics(x: &[u8], plane: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut sums, mut squares, mut counts) = ([0_u64; 3], [0_u64; 3], [0_u64; 3]);
    for (place, pixels) in x.chunks(plane.max(1)).enumerate() {
        let channel = place % 3;
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
fn blank() -> Result<Data> {
    let x = TensorData::zeros(DType::U8, [64, 3, USUAL_SIZE, USUAL_SIZE]);
    let data = Dataset::new([("x", x), ("y", TensorData::zeros(DType::I32, [64]))])?;
    with_picture(data.clone(), data, 10, USUAL_SIZE)
}

#[cfg(test)]
mod tests {
    use super::statistics;

    #[test]
    fn statistics_are_those_of_each_channel() {
        let (mean, std) = statistics(&[0, 255, 10, 10, 0, 0, 0, 255, 20, 20, 51, 51], 2);
        assert_eq!((mean[0], std[0]), (0.5, 0.5));
        assert!((mean[1] - 15.0 / 255.0).abs() < 1e-12 && (std[1] - 5.0 / 255.0).abs() < 1e-12);
        assert!((mean[2] - 0.1).abs() < 1e-12 && (std[2] - 0.1).abs() < 1e-12);
        assert_eq!(statistics(&[7; 6], 2).1, [1.0; 3]);
    }
}
