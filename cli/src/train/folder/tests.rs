//! Damaged pictures are refused, whole ones are what Pillow says they are. The files under `tests/golden` are Pillow's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::Path;

use wgrad::scalar::threefry::HostRandom;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::checkpoint_file;

use super::cache::{Cache, Decoded, Found};
use super::scan::scan;
use super::{decode, jpeg, statistics};
use crate::mutated_files::{index, many, mutate_bytes, mutate_text, survive};

macro_rules! golden {
    ($($name:literal),*) => { [$(($name, include_bytes!(concat!("../../../tests/golden/", $name)).as_slice())),*] };
}

pub const JPEGS: [(&str, &[u8]); 7] = golden!(
    "baseline.jpg",
    "progressive.jpg",
    "restarts.jpg",
    "progressive-restarts.jpg",
    "grey.jpg",
    "cmyk.jpg",
    "turned.jpg"
);

pub const PNGS: [(&str, &[u8]); 4] = golden!("cmyk.png", "palette.png", "sixteen-bits.png", "transparent.png");

/// The picture in a small square, or what is wrong with it.
pub fn decoded(file: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut target = vec![0; 3 * size * size];
    match decode::from_bytes(Path::new("the file"), file, size, &mut target) {
        Ok(()) => Ok(target),
        Err(crate::failure::Failure::Message(message)) => Err(message),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_picture_cut_anywhere_is_refused() {
    for (name, file) in JPEGS {
        let whole = decoded(file, 9).unwrap();
        for length in 0..file.len() {
            let error = decoded(&file[..length], 9).unwrap_err();
            assert!(error.starts_with("the file: "), "{error}");
            // The scans of a picture that was cut are not made whole by an end.
            let ended = [&file[..length], b"\xff\xd9"].concat();
            if length + 2 < file.len() {
                assert!(decoded(&ended, 9).is_err_and(|error| error.lines().count() == 1), "{name} ended at {length}");
            }
        }
        assert_eq!(
            decoded(&[file, b"and more"].concat(), 9).unwrap(),
            whole,
            "{name}: what follows the end is no matter"
        );
        let padded = [&file[..file.len() - 2], b"\0\0\xff\xff\xd9"].concat();
        assert_eq!(decoded(&padded, 9).unwrap(), whole, "{name}: nor is padding before it");
    }
    for (name, file) in PNGS {
        let whole = decoded(file, 9).unwrap();
        for length in 0..file.len() {
            // The last chunk is empty: without it, the picture is there.
            let cut = decoded(&file[..length], 9);
            assert!(
                cut.is_err() || (length + 12 >= file.len() && cut.as_ref() == Ok(&whole)),
                "{name} cut at {length}"
            );
        }
    }
}

#[test]
fn a_wrong_byte_in_a_png_is_noticed() {
    for (name, file) in PNGS {
        let whole = decoded(file, 9).unwrap();
        for offset in 0..file.len() {
            let mut wrong = file.to_vec();
            wrong[offset] ^= 1 << (offset % 8);
            let found = decoded(&wrong, 9);
            assert!(found.is_err() || found == Ok(whole.clone()), "{name}, byte {offset}");
        }
    }
}

#[test]
fn a_jpeg_that_loses_or_gains_bytes_is_noticed_or_whole() {
    // Between two restart markers, every loss of data is noticed; elsewhere, decoders may find other codes in what is left.
    let restarts = JPEGS.iter().find(|(name, _)| *name == "restarts.jpg").unwrap().1;
    let start = restarts.windows(2).position(|pair| pair == b"\xff\xda").unwrap() + 14;
    let markers: Vec<usize> = (start..restarts.len() - 1)
        .filter(|&offset| restarts[offset] == 0xff && (0xd0..=0xd7).contains(&restarts[offset + 1]))
        .collect();
    assert!(markers.len() > 1);
    for pair in markers.windows(2) {
        let without = [&restarts[..pair[0]], &restarts[pair[1]..]].concat();
        assert!(jpeg::check(&without).unwrap_err().contains("corrupt"));
    }
}

#[test]
fn pictures_without_pixels_and_unknown_kinds_are_refused() {
    let baseline = JPEGS[0].1;
    let frame = baseline.windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
    for (offset, value) in [(frame + 5, 0), (frame + 6, 0), (frame + 7, 0), (frame + 8, 0)] {
        let mut wrong = baseline.to_vec();
        wrong[offset] = value;
        if [frame + 5, frame + 7].contains(&offset) {
            wrong[offset + 1] = 0;
        }
        assert!(decoded(&wrong, 9).is_err() || wrong == baseline, "{offset}");
    }
    let mut arithmetic = baseline.to_vec();
    arithmetic[frame + 1] = 0xc9;
    assert!(decoded(&arithmetic, 9).is_err());
    assert!(jpeg::check(&arithmetic).unwrap_err().contains("not supported"));
}

/// A JPEG of one grey block whose tables have a single code each, with a number of components.
fn grey_block(components: u8) -> Vec<u8> {
    let segment =
        |marker: u8, content: &[u8]| [&[0xff, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat();
    let table = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    let frame: Vec<u8> = (1..=components).flat_map(|id| [id, 0x11, 0]).collect();
    let scan: Vec<u8> = (1..=components).flat_map(|id| [id, 0]).collect();
    [
        b"\xff\xd8".to_vec(),
        segment(0xdb, &[&[0][..], &[16; 64]].concat()),
        segment(0xc0, &[&[8, 0, 8, 0, 8, components][..], &frame].concat()),
        segment(0xc4, &table(0)),
        segment(0xc4, &table(0x10)),
        segment(0xda, &[&[components][..], &scan, &[0, 63, 0]].concat()),
        vec![0xff >> (2 * components), 0xff, 0xd9],
    ]
    .concat()
}

#[test]
fn two_components_are_no_colours() {
    assert_eq!(decoded(&grey_block(1), 8), Ok(vec![128; 192]));
    assert!(decoded(&grey_block(3), 8).is_ok());
    assert_eq!(
        decoded(&grey_block(2), 8).unwrap_err(),
        "the file: the picture is a JPEG of a kind that is not supported (2 components)"
    );
}

/// Mean difference of two pictures' bytes.
fn difference(left: &[u8], right: &[u8]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| f64::from(left.abs_diff(*right))).sum::<f64>() / left.len() as f64
}

#[test]
fn colours_depths_and_orientations_are_pillows() {
    let find = |name: &str| JPEGS.iter().chain(&PNGS).find(|(known, _)| *known == name).unwrap().1;
    let [size, plane] = [26, 26 * 26];
    assert!(difference(&decoded(find("cmyk.jpg"), size).unwrap(), &decoded(find("cmyk.png"), size).unwrap()) < 2.0);
    assert!(
        difference(&decoded(find("progressive.jpg"), size).unwrap(), &decoded(find("baseline.jpg"), size).unwrap())
            < 1.0
    );
    // The camera was held so that the picture has to be turned right: a row from the left becomes a column from the top.
    let (upright, turned) = (decoded(find("baseline.jpg"), size).unwrap(), decoded(find("turned.jpg"), size).unwrap());
    let expected: Vec<u8> = (0..3 * plane)
        .map(|index| {
            let (channel, row, column) = (index / plane, index % plane / size, index % size);
            upright[channel * plane + (size - 1 - column) * size + row]
        })
        .collect();
    assert!(difference(&turned, &expected) < 2.0);
    // Greys of 16 bits, 2400 a step to the right or down; the square begins one step from the left.
    let grey = decoded(find("sixteen-bits.png"), 12).unwrap();
    for (pixel, level) in grey.iter().enumerate() {
        let steps = 1 + pixel % 12 + pixel % 144 / 12;
        assert_eq!(*level, (steps as f64 * 2400.0 / 257.0).round() as u8, "{pixel}");
    }
}

/// Pictures of every kind, decoded and, where their names say so, scaled by the crate `image` 0.25.
#[test]
fn every_kind_of_picture_has_its_pixels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures");
    let (expected, _) = checkpoint_file::read(folder.join("decoded.safetensors")).unwrap();
    let mut kinds = 0;
    for (name, expected) in &expected {
        let (file, _) = name.split_once(" at ").unwrap_or((name, ""));
        let size = expected.shape().last().copied().unwrap();
        let found = decoded(&std::fs::read(folder.join(file)).unwrap(), size).unwrap();
        // The inverse cosine transform is rounded differently with and without vectors.
        let tolerance = if file.ends_with(".jpg") { 2 } else { 0 };
        let difference = found.iter().zip(expected.as_slice::<u8>().unwrap()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(difference <= Some(tolerance), "{name} differs by {difference:?}");
        kinds += usize::from(file == name);
    }
    assert_eq!(kinds + 1, std::fs::read_dir(&folder).unwrap().count(), "a picture has no expected pixels");
}

/// `turned.jpg` and `rgb-8-turned.png` with each orientation, against the same picture upright.
#[test]
fn pictures_are_rotated_as_their_camera_was_held() {
    let turned = JPEGS.iter().find(|(name, _)| *name == "turned.jpg").unwrap().1;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures");
    let png = std::fs::read(folder.join("rgb-8-turned.png")).unwrap();
    for (file, size, width) in [(turned, 26, 35), (&png, 9, 11)] {
        let entry = file.windows(4).position(|bytes| bytes == [1, 0x12, 0, 3]).unwrap();
        let oriented = |orientation: u8| {
            let mut file = file.to_vec();
            file[entry + 9] = orientation;
            if file[0] == 0x89 {
                with_checksums(&mut file);
            }
            decoded(&file, size).unwrap()
        };
        let upright = oriented(1);
        assert_eq!([oriented(0), oriented(9)], [upright.clone(), upright.clone()], "no orientation is upright");
        // The square is cut from the middle of the upright picture, and begins a pixel apart where an odd width is mirrored.
        let (right, bottom) = (size - 1 + (width - size) % 2, size - 1);
        for orientation in 1..=8 {
            for (index, found) in oriented(orientation).into_iter().enumerate() {
                let (channel, y, x) = (index / (size * size), index / size % size, index % size);
                // EXIF 2.32, tag 274: which sides of the scene the first row and column of what is stored are.
                let (stored_x, stored_y) = match orientation {
                    1 => (x, y),
                    2 => (right - x, y),
                    3 => (right - x, bottom - y),
                    4 => (x, bottom - y),
                    5 => (y, x),
                    6 => (y, bottom - x),
                    7 => (right - y, bottom - x),
                    _ => (right - y, x),
                };
                let expected = upright[channel * size * size + stored_y * size..][..size].get(stored_x);
                assert!(expected.is_none_or(|expected| *expected == found), "{orientation}: {x}, {y}");
            }
        }
    }
}

#[test]
fn statistics_are_those_of_each_channel() {
    let (mean, std) = statistics(&[0, 255, 10, 10, 0, 0, 0, 255, 20, 20, 51, 51], 2);
    assert_eq!((mean[0], std[0]), (0.5, 0.5));
    assert!((mean[1] - 15.0 / 255.0).abs() < 1e-12 && (std[1] - 5.0 / 255.0).abs() < 1e-12);
    assert!((mean[2] - 0.1).abs() < 1e-12 && (std[2] - 0.1).abs() < 1e-12);
    assert_eq!(statistics(&[7; 6], 2).1, [1.0; 3]);
}

/// A PNG whose chunks have the right checksums, whatever else is in them.
fn with_checksums(png: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = png.get(at..at + 4).map(|word| u32::from_be_bytes(word.try_into().unwrap()) as usize) {
        let Some(chunk) = at.checked_add(8).and_then(|start| png.get(start - 4..start.checked_add(length)?)) else {
            return;
        };
        let crc = chunk.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
        });
        let end = at + 8 + length;
        let Some(checksum) = png.get_mut(end..end + 4) else { return };
        checksum.copy_from_slice(&(!crc).to_be_bytes());
        at = end + 4;
    }
}

fn pictures(count: u64) {
    let make = |random: &mut HostRandom| {
        let all = [&JPEGS[..], &PNGS].concat();
        let (name, file) = all[index(random, all.len())];
        let mut bytes = file.to_vec();
        mutate_bytes(&mut bytes, all[index(random, all.len())].1, random);
        if name.ends_with(".png") && random.below(4) > 0 {
            with_checksums(&mut bytes);
        }
        bytes
    };
    survive("pictures", count, make, |bytes, _| decoded(bytes, 9).map(|_| ()));
}

fn caches(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir_all(directory.path().join(class)).unwrap();
        for (name, file) in &JPEGS[..3] {
            std::fs::write(directory.path().join(class).join(name), file).unwrap();
        }
    }
    let scan = scan(directory.path()).unwrap();
    let cache = Cache::new(directory.path(), &scan, Some(4));
    let x = TensorData::zeros(DType::U8, [5, 3, 4, 4]);
    cache.write(&Decoded { x, damaged: vec![(2, "it is cut".to_owned())] }).unwrap();
    let whole = std::fs::read(cache.file()).unwrap();
    let (tensors, metadata) = checkpoint_file::read(cache.file()).unwrap();
    let tensors: Vec<(String, TensorData)> = tensors.into_iter().collect();
    let make = |random: &mut HostRandom| {
        if random.below(2) == 0 {
            let mut bytes = whole.clone();
            if random.below(8) > 0 {
                mutate_bytes(&mut bytes, &whole, random);
            }
            return bytes;
        }
        let mut metadata: Vec<(String, String)> = metadata.clone().into_iter().collect();
        let entry = index(random, metadata.len());
        let mut value = metadata[entry].1.clone().into_bytes();
        mutate_text(&mut value, b"[[0,", random);
        metadata[entry].1 = String::from_utf8_lossy(&value).into_owned();
        checkpoint_file::write(cache.file(), &tensors, &metadata).unwrap();
        std::fs::read(cache.file()).unwrap()
    };
    survive("caches", count, make, |bytes, _| {
        std::fs::write(cache.file(), bytes).unwrap();
        match cache.read() {
            Found::Pictures(decoded) => {
                assert_eq!(decoded.x.shape().dims(), [5, 3, 4, 4]);
                Ok(())
            }
            Found::Nothing | Found::Damaged(_) => Err(()),
        }
    });
}

#[test]
fn mutated_pictures() {
    pictures(2_000);
}

#[test]
fn mutated_caches() {
    caches(500);
}

#[test]
#[ignore = "takes minutes; tests/support/mutated_files.rs says how to run it"]
fn many_mutated_pictures() {
    pictures(many(100_000));
}

#[test]
#[ignore = "takes minutes; tests/support/mutated_files.rs says how to run it"]
fn many_mutated_caches() {
    caches(many(100_000));
}
