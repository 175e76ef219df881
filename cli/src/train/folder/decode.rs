//! One picture from its file to a square of bytes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::Path;

use png::DecodingError;
use wgrad::Error;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::jpeg;
use super::orientation::Orientation;
use crate::failure::{Failure, Result};
use crate::train::pixels::{Filter, Pixels};

/// A picture of more pixels than this is refused before memory is taken for it.
const MOST_PIXELS: u64 = 64_000_000;

/// Bytes of the largest pixel that PNG has: four channels of 16 bits.
const PIXEL_BYTES: usize = 8;

/// Width and height, from the file's head.
pub fn size(path: &Path) -> Result<(u32, u32)> {
    let file = File::open(path).map_err(|source| Error::file("cannot read", path, source))?;
    Ok(open(path, BufReader::new(file))?.1)
}

/// The picture's central square, scaled to `size` and written channel by channel: red, green, blue. Transparency is dropped, 16 bits
/// become 8, CMYK becomes RGB, and a photo is rotated as its camera was held (EXIF).
///
/// # Errors
/// A file that is no picture, is damaged or is truncated: a picture is decoded as a whole, or refused.
pub fn square(path: &Path, size: usize, target: &mut [u8]) -> Result {
    let file = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    from_bytes(path, &file, size, target)
}

/// The same from a file's bytes.
pub fn from_bytes(path: &Path, file: &[u8], size: usize, target: &mut [u8]) -> Result {
    let (decoder, stored_size) = open(path, Cursor::new(file))?;
    let wrong = |what: String| Failure::new(format!("{}: {what}", path.display()));
    if let Decoder::Jpeg(_) = decoder {
        // The decoder would fill what is missing with grey.
        jpeg::check(file).map_err(wrong)?;
    }
    let orientation = decoder.orientation();
    let stored = decoder.decode(stored_size).map_err(wrong)?;
    let (width, height) = orientation.upright_size(stored_size);
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    // Cut first: a long strip scaled whole would be as long as it is thin.
    let square = Pixels::from_fn(side, side, |x, y| stored.pixel(orientation.stored(stored_size, (left + x, top + y))));
    let pixels = square.resized(size as u32, size as u32, Filter::Triangle);
    for (channel, plane) in target.chunks_mut((size * size).max(1)).enumerate() {
        for (byte, pixel) in plane.iter_mut().zip(pixels.pixels()) {
            *byte = pixel.get(channel).copied().unwrap_or_default();
        }
    }
    Ok(())
}

/// A file whose head has been read.
enum Decoder<R: BufRead + Seek> {
    Png(Box<png::Reader<R>>),
    Jpeg(Box<JpegDecoder<R>>),
}

/// A file's samples as they are decoded, row by row.
struct Stored {
    width: u32,
    /// 1 or 2 of a grey picture, 3 or 4 of a coloured one: the second and fourth are transparency.
    channels: usize,
    /// 1, or 2 with the higher byte first.
    sample_bytes: usize,
    bytes: Vec<u8>,
}

impl Stored {
    /// A pixel in bytes of red, green and blue.
    fn pixel(&self, (x, y): (u32, u32)) -> [u8; 3] {
        let pixel = y as usize * self.width as usize + x as usize;
        let sample = |channel: usize| {
            let at = (pixel * self.channels + channel) * self.sample_bytes;
            match self.bytes.get(at..at + self.sample_bytes) {
                Some(&[byte]) => byte,
                Some(&[high, low]) => ((u32::from(u16::from_be_bytes([high, low])) + 128) / 257) as u8,
                _ => 0,
            }
        };
        if self.channels < 3 { [sample(0); 3] } else { [0, 1, 2].map(sample) }
    }
}

impl<R: BufRead + Seek> Decoder<R> {
    fn orientation(&self) -> Orientation {
        let exif = match self {
            Self::Png(reader) => reader.info().exif_metadata.as_deref(),
            Self::Jpeg(decoder) => decoder.exif().map(Vec::as_slice),
        };
        exif.map_or(Orientation::Upright, Orientation::read)
    }

    fn decode(self, (width, height): (u32, u32)) -> std::result::Result<Stored, String> {
        match self {
            Self::Png(mut reader) => {
                let (colour, depth) = reader.output_color_type();
                let size = reader.output_buffer_size().ok_or(DecodingError::LimitsExceeded).map_err(png_failure)?;
                let mut bytes = vec![0; size];
                reader.next_frame(&mut bytes).map_err(png_failure)?;
                let sample_bytes = if depth == png::BitDepth::Sixteen { 2 } else { 1 };
                Ok(Stored { width, channels: colour.samples(), sample_bytes, bytes })
            }
            Self::Jpeg(mut decoder) => {
                // The decoder would write two components as if they were three.
                if decoder.info().is_some_and(|info| info.components == 2) {
                    return Err("the picture is a JPEG of a kind that is not supported (2 components)".to_owned());
                }
                let mut bytes = vec![0; 3 * width as usize * height as usize];
                decoder.decode_into(&mut bytes).map_err(jpeg_failure)?;
                Ok(Stored { width, channels: 3, sample_bytes: 1, bytes })
            }
        }
    }
}

/// The file with its head read, and the size that it says.
fn open<R: BufRead + Seek>(path: &Path, mut file: R) -> Result<(Decoder<R>, (u32, u32))> {
    let wrong = |what: String| Failure::new(format!("{}: {what}", path.display()));
    let mut head = Vec::new();
    let read = file.by_ref().take(16).read_to_end(&mut head).and_then(|_| file.rewind());
    read.map_err(|source| Error::file("cannot read", path, source))?;
    // What a file is stands in its first bytes; names lie.
    let (decoder, (width, height)) = match head.as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => {
            open_png(file).map_err(|error| wrong(png_failure(error)))?
        }
        [0xff, 0xd8, 0xff, ..] => open_jpeg(file).map_err(|error| wrong(jpeg_failure(error)))?,
        other => return Err(wrong(no_picture(other))),
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(wrong(format!("the picture has no pixels, {width}x{height}")));
    }
    if pixels > MOST_PIXELS {
        return Err(wrong(format!(
            "the picture is enormous, {width}x{height} pixels; {} million are allowed",
            MOST_PIXELS / 1_000_000
        )));
    }
    Ok((decoder, (width, height)))
}

fn open_png<R: BufRead + Seek>(file: R) -> std::result::Result<(Decoder<R>, (u32, u32)), DecodingError> {
    let limits = png::Limits { bytes: MOST_PIXELS as usize * PIXEL_BYTES };
    let mut decoder = png::Decoder::new_with_limits(file, limits);
    // Palettes become colours, and fewer than eight bits eight.
    decoder.set_transformations(png::Transformations::EXPAND);
    let reader = decoder.read_info()?;
    let size = reader.info().size();
    Ok((Decoder::Png(Box::new(reader)), size))
}

fn open_jpeg<R: BufRead + Seek>(file: R) -> std::result::Result<(Decoder<R>, (u32, u32)), DecodeErrors> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(file, options);
    decoder.decode_headers()?;
    let size = decoder.info().map_or((0, 0), |info| (u32::from(info.width), u32::from(info.height)));
    Ok((Decoder::Jpeg(Box::new(decoder)), size))
}

fn png_failure(error: DecodingError) -> String {
    match error {
        DecodingError::IoError(source) if source.kind() == ErrorKind::UnexpectedEof => {
            "the picture is truncated".to_owned()
        }
        DecodingError::LimitsExceeded => "the picture is too large: Memory limit exceeded".to_owned(),
        DecodingError::IoError(_) => format!("the picture is corrupt: {error}"),
        DecodingError::Format(_) => format!("the picture is corrupt: Format error decoding Png: {error}"),
        DecodingError::Parameter(_) => format!("the picture is corrupt: The parameter is malformed: {error}"),
    }
}

fn jpeg_failure(error: DecodeErrors) -> String {
    match error {
        DecodeErrors::Unsupported(scheme) => format!(
            "the file is no picture in PNG or JPEG format: The decoder for Jpeg does not support the format features {scheme:?}"
        ),
        DecodeErrors::LargeDimensions(_) => "the picture is too large: Image size exceeds limit".to_owned(),
        other => format!("the picture is corrupt: Format error decoding Jpeg: {other}"),
    }
}

/// What is said of a file with other first bytes, with the format that they are of.
fn no_picture(head: &[u8]) -> String {
    let format = match head {
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "Gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "WebP",
        [0, 0, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => "Avif",
        [b'M', b'M', 0, b'*', ..] | [b'I', b'I', b'*', 0, ..] => "Tiff",
        [b'B', b'M', ..] => "Bmp",
        [0, 0, 1, 0, ..] => "Ico",
        [b'P', b'1'..=b'7', ..] => "Pnm",
        [b'D', b'D', b'S', b' ', ..] => "Dds",
        [b'#', b'?', b'R', b'A', b'D', b'I', b'A', b'N', b'C', b'E', ..] => "Hdr",
        [0x76, 0x2f, 0x31, 0x01, ..] => "OpenExr",
        [b'q', b'o', b'i', b'f', ..] => "Qoi",
        [b'f', b'a', b'r', b'b', b'f', b'e', b'l', b'd', ..] => "Farbfeld",
        _ => return "the file is no picture in PNG or JPEG format".to_owned(),
    };
    format!("the file is no picture in PNG or JPEG format: The image format {format} is not supported")
}
