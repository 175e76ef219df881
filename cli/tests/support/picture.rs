//! Pictures in files, for tests.

use std::fs::File;
use std::io::{BufReader, BufWriter, Error, Result};
use std::path::Path;

/// Pixels of red, green and blue, row by row.
pub struct Picture {
    width: u32,
    height: u32,
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A pixel for each `x` and `y`.
    pub fn from_fn(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Self {
        let pixels = (0..width * height).map(|index| pixel(index % width, index / width)).collect();
        Self { width, height, pixels }
    }

    /// Width and height.
    pub fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// A pixel.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        self.pixels[(y * self.width + x) as usize]
    }

    /// Writes a PNG, or a JPEG where the name says so.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.pixels.as_flattened();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jpg")) {
            let mut encoder = jpeg_encoder::Encoder::new_file(path, 75).map_err(Error::other)?;
            encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
            let (width, height) = (self.width as u16, self.height as u16);
            return encoder.encode(bytes, width, height, jpeg_encoder::ColorType::Rgb).map_err(Error::other);
        }
        save_png(path, self.dimensions(), png::ColorType::Rgb, bytes)
    }

    /// Reads a PNG of bytes without transparency.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
        assert_eq!(reader.output_color_type(), (png::ColorType::Rgb, png::BitDepth::Eight));
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes)?;
        let (width, height) = reader.info().size();
        Ok(Self { width, height, pixels: bytes.as_chunks().0.to_vec() })
    }
}

/// Writes a PNG of one level of grey.
pub fn save_grey(path: impl AsRef<Path>, (width, height): (u32, u32), level: u8) -> Result<()> {
    save_png(path.as_ref(), (width, height), png::ColorType::Grayscale, &vec![level; (width * height) as usize])
}

fn save_png(path: &Path, (width, height): (u32, u32), colour: png::ColorType, bytes: &[u8]) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    Ok(writer.finish()?)
}
