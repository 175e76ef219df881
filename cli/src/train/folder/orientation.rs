//! How the camera was held: the orientation that a picture's EXIF data gives.
//!
//! EXIF 2.32 (CIPA DC-008-2019): the header and the directory of fields in 4.5.2, the orientation (tag 274) in 4.6.4.

/// What is to be done with the picture that a file stores, by EXIF's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Orientation {
    Upright = 1,
    Mirrored,
    UpsideDown,
    MirroredUpsideDown,
    Transposed,
    /// The scene's right side is the first row; to be turned by 90° clockwise.
    TurnedLeft,
    Transversed,
    /// The scene's left side is the first row; to be turned by 90° counterclockwise.
    TurnedRight,
}

impl Orientation {
    /// From EXIF data, which begins with the byte order. What cannot be read, or says nothing, is upright.
    pub fn read(exif: &[u8]) -> Self {
        Self::find(exif).unwrap_or(Self::Upright)
    }

    fn find(exif: &[u8]) -> Option<Self> {
        let little_endian = match *exif.first_chunk()? {
            [b'I', b'I', 42, 0] => true,
            [b'M', b'M', 0, 42] => false,
            _ => return None,
        };
        let short = |bytes| if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
        let long = |bytes| if little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
        let offset = usize::try_from(long(*exif.get(4..)?.first_chunk()?)).ok()?;
        let directory = exif.get(offset..)?;
        let count = usize::from(short(*directory.first_chunk()?));
        // A field has its tag, type (3: of 16 bits), number of values, and the value or where it is.
        let field = |field: &&[u8; 12]| {
            let &&[tag0, tag1, type0, type1, count0, count1, count2, count3, ..] = field;
            short([tag0, tag1]) == 274 && short([type0, type1]) == 3 && long([count0, count1, count2, count3]) == 1
        };
        let fields = directory.get(2..)?.as_chunks::<12>().0;
        let &[.., high, low, _, _] = fields.iter().take(count).find(field)?;
        Self::numbered(short([high, low]))
    }

    const fn numbered(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Upright,
            2 => Self::Mirrored,
            3 => Self::UpsideDown,
            4 => Self::MirroredUpsideDown,
            5 => Self::Transposed,
            6 => Self::TurnedLeft,
            7 => Self::Transversed,
            8 => Self::TurnedRight,
            _ => return None,
        })
    }

    /// The size of the upright picture that is stored in another one.
    pub const fn upright_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::Upright | Self::Mirrored | Self::UpsideDown | Self::MirroredUpsideDown => (width, height),
            Self::Transposed | Self::TurnedLeft | Self::Transversed | Self::TurnedRight => (height, width),
        }
    }

    /// Where a picture of a size stores a pixel of the upright one.
    pub const fn stored(self, (width, height): (u32, u32), (x, y): (u32, u32)) -> (u32, u32) {
        let (right, bottom) = (width - 1, height - 1);
        match self {
            Self::Upright => (x, y),
            Self::Mirrored => (right - x, y),
            Self::UpsideDown => (right - x, bottom - y),
            Self::MirroredUpsideDown => (x, bottom - y),
            Self::Transposed => (y, x),
            Self::TurnedLeft => (y, bottom - x),
            Self::Transversed => (right - y, bottom - x),
            Self::TurnedRight => (right - y, x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: &[u8] = b"MM\0*\0\0\0\x08\0\x02\x01\x0f\0\x02\0\0\0\x04cam\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    const LITTLE: &[u8] = b"II*\0\x0a\0\0\0??\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";

    #[test]
    fn both_byte_orders_and_any_offset_are_read() {
        assert_eq!([BIG, LITTLE].map(Orientation::read), [Orientation::TurnedLeft; 2]);
        for number in 0..=9 {
            let mut exif = LITTLE.to_vec();
            exif[20] = number;
            let expected = if (1..=8).contains(&number) { number } else { 1 };
            assert_eq!(Orientation::read(&exif) as u8, expected);
        }
    }

    #[test]
    fn what_is_truncated_or_wrong_is_upright() {
        for (exif, end) in [(BIG, 34), (LITTLE, 24)] {
            for length in 0..end {
                assert_eq!(Orientation::read(&exif[..length]), Orientation::Upright, "{length}");
            }
            assert_eq!(Orientation::read(&exif[..end]), Orientation::TurnedLeft);
        }
        // The byte order, an offset beyond the end, the number of fields, the type, the number of values, the value's high byte.
        for (index, byte) in [(0, b'X'), (2, 0), (7, 0xff), (10, 0), (14, 4), (16, 2), (21, 1)] {
            let mut exif = LITTLE.to_vec();
            exif[index] = byte;
            assert_eq!(Orientation::read(&exif), Orientation::Upright, "byte {index}");
        }
    }

    #[test]
    fn every_pixel_is_stored_once() {
        let size = (3, 2);
        for orientation in (1..=8).filter_map(Orientation::numbered) {
            let (width, height) = orientation.upright_size(size);
            let mut all: Vec<_> =
                (0..width * height).map(|index| orientation.stored(size, (index % width, index / width))).collect();
            all.sort_unstable();
            assert_eq!(all, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
        }
    }
}
