//! One picture from its file to a square of bytes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use wgrad::Error;

use super::jpeg;
use crate::failure::{Failure, Result};

/// A picture of more pixels than this is refused before memory is taken for it.
const MOST_PIXELS: u64 = 64_000_000;

/// Bytes of the largest pixel that PNG has: four channels of 16 bits.
const PIXEL_BYTES: u64 = 8;

/// Width and height, from the file's head.
pub fn size(path: &Path) -> Result<(u32, u32)> {
    let file = File::open(path).map_err(|source| Error::file("cannot read", path, source))?;
    Ok(open(path, BufReader::new(file))?.0.dimensions())
}

/// The picture's central square, scaled to `size` and written channel by channel: red, green, blue. Transparency is dropped, 16 bits
/// become 8, CMYK becomes RGB, and a photo is turned as its camera was held (EXIF).
///
/// # Errors
/// A file that is no picture, is damaged or is truncated: a picture is decoded as a whole, or refused.
pub fn square(path: &Path, size: usize, target: &mut [u8]) -> Result {
    let file = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    from_bytes(path, &file, size, target)
}

/// The same from a file's bytes.
pub fn from_bytes(path: &Path, file: &[u8], size: usize, target: &mut [u8]) -> Result {
    // The reader wants to own what it reads.
    let (mut decoder, format) = open(path, Cursor::new(Arc::<[u8]>::from(file)))?;
    if format == ImageFormat::Jpeg {
        // The decoder would fill what is missing with grey.
        jpeg::check(file).map_err(|what| Failure::new(format!("{}: {what}", path.display())))?;
    }
    let wrong = |error| failure(path, &error);
    let orientation = decoder.orientation().map_err(wrong)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    picture.apply_orientation(orientation);
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    // Cut first: a long strip scaled whole would be as long as it is thin.
    let mut pixels = picture.crop_imm(left, top, side, side).to_rgb8();
    if side as usize != size {
        pixels = imageops::resize(&pixels, size as u32, size as u32, FilterType::Triangle);
    }
    let plane = size * size;
    for (place, pixel) in pixels.pixels().enumerate() {
        for (channel, value) in pixel.0.into_iter().enumerate() {
            if let Some(byte) = target.get_mut(channel * plane + place) {
                *byte = value;
            }
        }
    }
    Ok(())
}

fn open<R: BufRead + Seek + 'static>(path: &Path, file: R) -> Result<(impl ImageDecoder + use<R>, ImageFormat)> {
    // What a file is stands in its first bytes; names lie.
    let reader = ImageReader::new(file).with_guessed_format();
    let mut reader = reader.map_err(|source| Error::file("cannot read", path, source))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_PIXELS * PIXEL_BYTES);
    reader.limits(limits);
    let Some(format) = reader.format() else {
        return Err(Failure::new(format!("{}: the file is no picture in PNG or JPEG format", path.display())));
    };
    let decoder = reader.into_decoder().map_err(|error| failure(path, &error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Failure::new(format!("{}: the picture has no pixels, {width}x{height}", path.display())));
    }
    if pixels > MOST_PIXELS {
        return Err(Failure::new(format!(
            "{}: the picture is enormous, {width}x{height} pixels; {} million are allowed",
            path.display(),
            MOST_PIXELS / 1_000_000
        )));
    }
    Ok((decoder, format))
}

fn failure(path: &Path, error: &ImageError) -> Failure {
    let what = match error {
        ImageError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the picture is truncated".to_owned()
        }
        ImageError::Limits(_) => format!("the picture is too large: {error}"),
        ImageError::Unsupported(_) => format!("the file is no picture in PNG or JPEG format: {error}"),
        _ => format!("the picture is corrupt: {error}"),
    };
    Failure::new(format!("{}: {what}", path.display()))
}
