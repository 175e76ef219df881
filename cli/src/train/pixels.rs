//! Pictures in memory: rows of pixels, other sizes of them, and PNG.

/// A channel of a pixel, which is computed with as f32.
pub trait Sample: Copy + Default + Into<f32> {
    /// The nearest value that a channel can have.
    fn nearest(value: f32) -> Self;
}

/// From 0 to 255.
impl Sample for u8 {
    fn nearest(value: f32) -> Self {
        value.round() as Self
    }
}

/// From 0 to 1.
impl Sample for f32 {
    fn nearest(value: f32) -> Self {
        value.clamp(0.0, 1.0)
    }
}

/// A picture of `C` channels, by default red, green and blue in bytes. Its rows go from top to bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels<T = u8, const C: usize = 3> {
    width: u32,
    height: u32,
    pixels: Vec<[T; C]>,
}

/// How a picture gets another size.
#[derive(Clone, Copy, Debug)]
pub enum Filter {
    /// The pixel over which the new one's centre is.
    Nearest,
    /// The mean of pixels, with weights that fall linearly with the distance.
    Triangle,
    /// A cubic spline through the pixels (Catmull and Rom 1974), sharper than the triangle.
    CatmullRom,
}

impl<T: Sample, const C: usize> Pixels<T, C> {
    /// One pixel everywhere.
    pub fn from_pixel(width: u32, height: u32, pixel: [T; C]) -> Self {
        Self { width, height, pixels: vec![pixel; width as usize * height as usize] }
    }

    /// A pixel for each `x` and `y`.
    pub fn from_fn(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [T; C]) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, pixels }
    }

    /// Of pixels row by row; none where they are not width × height.
    pub fn from_vec(width: u32, height: u32, pixels: Vec<[T; C]>) -> Option<Self> {
        (pixels.len() as u64 == u64::from(width) * u64::from(height)).then_some(Self { width, height, pixels })
    }

    /// Width and height.
    pub const fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn index(&self, x: u32, y: u32) -> Option<usize> {
        (x < self.width && y < self.height).then_some(y as usize * self.width as usize + x as usize)
    }

    /// A pixel, 0 outside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> [T; C] {
        self.index(x, y).and_then(|index| self.pixels.get(index).copied()).unwrap_or([T::default(); C])
    }

    /// Changes a pixel, if it is in the picture.
    pub fn put_pixel(&mut self, x: u32, y: u32, pixel: [T; C]) {
        if let Some(target) = self.index(x, y).and_then(|index| self.pixels.get_mut(index)) {
            *target = pixel;
        }
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[[T; C]] {
        &self.pixels
    }

    /// All channels of all pixels.
    pub fn samples_mut(&mut self) -> &mut [T] {
        self.pixels.as_flattened_mut()
    }

    /// Puts another picture on this one with its left upper corner at a position. What is beyond the edges is cut off.
    pub fn paste(&mut self, other: &Self, (x, y): (u32, u32)) {
        for (row, pixels) in (y..self.height).zip(other.pixels.chunks(other.width.max(1) as usize)) {
            let target = self.index(x, row).and_then(|index| self.pixels.get_mut(index..));
            let width = self.width.saturating_sub(x) as usize;
            target.into_iter().flatten().take(width).zip(pixels).for_each(|(target, pixel)| *target = *pixel);
        }
    }

    /// The picture at another size: a weighted mean of pixels for each new one, down the columns, then along the rows.
    pub fn resized(&self, width: u32, height: u32, filter: Filter) -> Self {
        if (width, height) == self.dimensions() {
            return self.clone();
        }
        if self.pixels.is_empty() {
            return Self::from_pixel(width, height, [T::default(); C]);
        }
        let stride = self.width as usize;
        let columns = filter.windows(self.height, height);
        let rows = filter.windows(self.width, width);
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        let mut sums = vec![[0.0_f32; C]; stride];
        for (top, weights) in columns {
            sums.fill([0.0; C]);
            for (weight, line) in weights.iter().zip(self.pixels.chunks_exact(stride).skip(top)) {
                sums.iter_mut().zip(line).for_each(|(sum, pixel)| add(sum, pixel.map(Into::into), *weight));
            }
            for (left, weights) in &rows {
                let mut sum = [0.0; C];
                weights.iter().zip(sums.iter().skip(*left)).for_each(|(weight, pixel)| add(&mut sum, *pixel, *weight));
                pixels.push(sum.map(T::nearest));
            }
        }
        Self { width, height, pixels }
    }
}

fn add<const C: usize>(sum: &mut [f32; C], pixel: [f32; C], weight: f32) {
    sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value * weight);
}

impl Filter {
    /// Pixels from the centre to where the weights end.
    const fn support(self) -> f32 {
        match self {
            Self::Nearest => 0.0,
            Self::Triangle => 1.0,
            Self::CatmullRom => 2.0,
        }
    }

    fn weight(self, distance: f32) -> f32 {
        let distance = distance.abs();
        match self {
            Self::Nearest => 1.0,
            Self::Triangle => (1.0 - distance).max(0.0),
            Self::CatmullRom if distance < 1.0 => (9.0 * distance.powi(3) - 15.0 * distance.powi(2) + 6.0) / 6.0,
            Self::CatmullRom if distance < 2.0 => {
                (-3.0 * distance.powi(3) + 15.0 * distance.powi(2) - 24.0 * distance + 12.0) / 6.0
            }
            Self::CatmullRom => 0.0,
        }
    }

    /// For each of the outputs along an axis, the first input that it is made of, and the weights of that one and the next ones.
    /// Where outputs are fewer, the filter is wider by the ratio. Weights sum to 1, also where an edge cuts them.
    fn windows(self, inputs: u32, outputs: u32) -> Vec<(usize, Vec<f32>)> {
        let ratio = inputs as f32 / outputs as f32;
        let scale = ratio.max(1.0);
        let reach = self.support() * scale;
        let window = |output: u32| {
            let centre = (output as f32 + 0.5) * ratio;
            let first = ((centre - reach).floor() as i64).clamp(0, i64::from(inputs) - 1);
            let end = ((centre + reach).ceil() as i64).clamp(first + 1, i64::from(inputs));
            // An input's own centre is half a pixel from its edge.
            let mut weights: Vec<f32> =
                (first..end).map(|input| self.weight((input as f32 - (centre - 0.5)) / scale)).collect();
            let sum: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
            (first as usize, weights)
        };
        (0..outputs).map(window).collect()
    }
}

impl Pixels {
    /// The luminance of ITU-R BT.709, of the bytes as they are.
    pub fn grey(&self) -> Pixels<u8, 1> {
        let luminance = |&[r, g, b]: &[u8; 3]| {
            let sum = 2126 * u32::from(r) + 7152 * u32::from(g) + 722 * u32::from(b);
            [(sum / 10_000) as u8]
        };
        Pixels { width: self.width, height: self.height, pixels: self.pixels.iter().map(luminance).collect() }
    }

    /// The picture smaller by an integer factor: each pixel is the mean of a square.
    pub fn thumbnail(&self, factor: u32) -> Self {
        let factor = factor.max(1);
        let area = factor * factor;
        Self::from_fn(self.width / factor, self.height / factor, |x, y| {
            let mut sums = [area / 2; 3];
            for row in 0..factor {
                for column in 0..factor {
                    let pixel = self.pixel(x * factor + column, y * factor + row);
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(value));
                }
            }
            sums.map(|sum| (sum / area) as u8)
        })
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// A picture without pixels, or with more than a PNG can have.
    pub fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Adaptive);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        Ok(file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn level(x: u32, y: u32) -> u8 {
        (x * 53 + y * 87) as u8
    }

    fn samples<T: Sample, const C: usize>(pixels: &Pixels<T, C>) -> &[T] {
        pixels.pixels().as_flattened()
    }

    /// Values of the crate `image` 0.25; those of Pillow's bilinear filter are within one level of the triangle's.
    #[test]
    fn other_sizes_are_those_of_image() {
        let picture = Pixels::from_fn(5, 3, |x, y| [level(x, y)]);
        let resized = |width, height, filter| samples(&picture.resized(width, height, filter)).to_vec();
        assert_eq!(resized(3, 2, Filter::Triangle), [55, 139, 167, 164, 123, 116]);
        let larger = [
            [0, 30, 68, 106, 144, 182, 212],
            [54, 85, 123, 160, 198, 168, 106],
            [120, 150, 160, 130, 167, 137, 76],
            [174, 204, 169, 24, 62, 100, 130],
        ];
        assert_eq!(resized(7, 4, Filter::Triangle), larger.as_flattened());
        assert_eq!(resized(7, 2, Filter::Nearest), [0, 53, 53, 106, 159, 159, 212, 174, 227, 227, 24, 77, 77, 130]);
        assert_eq!(resized(3, 4, Filter::CatmullRom), [14, 101, 197, 67, 175, 156, 147, 163, 116, 206, 71, 102]);
        let floats = Pixels::from_fn(3, 2, |x, y| [f32::from(level(x, y)) / 255.0]);
        let expected = [
            [0.0, 0.041_147_873, 0.185_397_3, 0.329_646_65, 0.408_926_73],
            [0.154_901_94, 0.234_181_97, 0.378_431_38, 0.522_680_76, 0.601_960_8],
            [0.347_935_94, 0.427_215_96, 0.571_465_43, 0.715_714_75, 0.794_994_9],
        ];
        assert_eq!(samples(&floats.resized(5, 3, Filter::CatmullRom)), expected.as_flattened());
    }

    #[test]
    fn sizes_of_nothing_have_nothing() {
        let picture = Pixels::from_pixel(4, 3, [7]);
        assert_eq!(picture.resized(4, 3, Filter::Triangle), picture);
        assert_eq!(picture.resized(0, 5, Filter::Triangle).pixels(), &[] as &[[u8; 1]]);
        assert_eq!(Pixels::from_pixel(0, 3, [7]).resized(2, 1, Filter::Triangle), Pixels::from_pixel(2, 1, [0]));
        assert_eq!(Pixels::from_vec(2, 3, vec![[0_u8]; 5]), None);
        assert_eq!(Pixels::from_vec(u32::MAX, u32::MAX, vec![[0_u8]]), None);
    }

    #[test]
    fn greys_and_thumbnails_are_those_of_image() {
        let picture = Pixels::from_fn(6, 3, |x, y| [level(x, y), level(y, x), (x * x * y) as u8]);
        assert_eq!(samples(&picture.thumbnail(3)), [112, 112, 2, 128, 117, 17]);
        let grey = [[0, 73, 146, 37, 110, 129], [56, 129, 203, 94, 114, 188], [112, 186, 22, 97, 171, 63]];
        assert_eq!(samples(&picture.grey()), grey.as_flattened());
    }

    #[test]
    fn what_is_pasted_beyond_an_edge_is_cut_off() {
        let stamp = Pixels::from_fn(2, 2, |x, y| [1 + x as u8 + 2 * y as u8]);
        let pasted = |position| {
            let mut sheet = Pixels::from_pixel(3, 2, [0]);
            sheet.paste(&stamp, position);
            samples(&sheet).to_vec()
        };
        assert_eq!(pasted((0, 0)), [1, 2, 0, 3, 4, 0]);
        assert_eq!(pasted((2, 1)), [0, 0, 0, 0, 0, 1]);
        assert_eq!([pasted((3, 0)), pasted((0, 2))], [[0; 6], [0; 6]]);
        let mut sheet = Pixels::from_pixel(3, 2, [0]);
        [(2, 1), (3, 0), (0, 2)].into_iter().for_each(|(x, y)| sheet.put_pixel(x, y, [9]));
        assert_eq!(samples(&sheet), [0, 0, 0, 0, 0, 9]);
        assert_eq!([sheet.pixel(2, 1), sheet.pixel(3, 0)], [[9], [0]]);
    }

    #[test]
    fn a_png_has_the_same_pixels() {
        let picture = Pixels::from_fn(7, 5, |x, y| [level(x, y), level(y, x), 255]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(picture.png().unwrap())).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!((reader.info().size(), bytes.as_slice()), (picture.dimensions(), samples(&picture)));
        assert!(Pixels::from_pixel(0, 1, [0; 3]).png().is_err());
    }
}
