//! IDX, the format of MNIST and its kin: a magic number, the extents, the values, all big-endian; often in gzip.
//!
//! Format: the foot of Yann LeCun's MNIST page, archived at
//! <https://github.com/cvdfoundation/mnist#file-format>.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{Dataset, checked_len};
use crate::error::{Error, Result, counted};
use crate::tensor::{DType, Element, TensorData};

/// Reads an IDX file, whether in gzip or not.
///
/// Bytes stay [`DType::U8`]; signed bytes, 16- and 32-bit integers become i32; floats and doubles stay what they are.
///
/// # Errors
/// [`Error::File`] where the file cannot be read; [`Error::Format`] where it is no IDX file, is truncated, or has
/// bytes left over.
pub fn read(path: impl AsRef<Path>) -> Result<TensorData> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    from_bytes(&bytes, path)
}

/// As [`read`], from bytes in memory; `origin` is the name under which errors speak of them.
///
/// ```
/// use wgrad::data::idx;
/// let labels = idx::from_bytes(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1], "labels")?;
/// assert_eq!(labels.as_slice::<u8>()?, [7, 2, 1]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Format`], as for [`read`].
pub fn from_bytes(bytes: &[u8], origin: impl AsRef<Path>) -> Result<TensorData> {
    let parsed = if bytes.starts_with(&[0x1f, 0x8b]) { parse(MultiGzDecoder::new(bytes)) } else { parse(bytes) };
    parsed.map_err(|message| Error::format(origin.as_ref(), message))
}

/// Images and labels of one part of MNIST, Fashion-MNIST or their like: columns `x` (u8, `[n, height, width]`) and `y`
/// (i32, `[n]`).
///
/// `part` is the file names' beginning, `train` or `t10k`: the files are `{part}-images-idx3-ubyte` and
/// `{part}-labels-idx1-ubyte`, with `.gz` or without.
///
/// # Errors
/// As for [`read`]; [`Error::Data`] where a file is missing or the two are of different lengths.
pub fn read_images_and_labels(directory: impl AsRef<Path>, part: &str) -> Result<Dataset> {
    let directory = directory.as_ref();
    let find = |stem: String| {
        let plain = directory.join(&stem);
        let packed = directory.join(format!("{stem}.gz"));
        [plain, packed]
            .into_iter()
            .find(|path| path.exists())
            .ok_or_else(|| Error::Data(format!("{}: there is neither {stem} nor {stem}.gz", directory.display())))
    };
    let images = read(find(format!("{part}-images-idx3-ubyte"))?)?;
    let labels = read(find(format!("{part}-labels-idx1-ubyte"))?)?.cast(DType::I32)?;
    Dataset::new([("x", images), ("y", labels)])
}

fn parse(mut reader: impl Read) -> Result<TensorData, String> {
    let magic = take(&mut reader, 4)?;
    let &[0, 0, code, rank] = magic.as_slice() else {
        return Err(match magic.len() {
            4 => format!("not an IDX file: the first bytes are {magic:02x?}, and the first two must be 0"),
            length => format!("truncated: {}, and the magic number alone takes 4", counted(length, "byte")),
        });
    };
    let size = match code {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        other => return Err(format!("not an IDX file, or one of an unknown element type: 0x{other:02x}")),
    };
    let extents = take(&mut reader, 4 * usize::from(rank))?;
    if extents.len() < 4 * usize::from(rank) {
        return Err(format!("truncated: {rank} extents are announced, but the file ends among them"));
    }
    let dims: Vec<usize> = extents.as_chunks().0.iter().map(|&word| u32::from_be_bytes(word) as usize).collect();
    let bytes = checked_len(&dims)
        .and_then(|len| len.checked_mul(size))
        .ok_or_else(|| format!("corrupt: extents {dims:?} are beyond any memory"))?;
    // One byte more than announced, to see whether there is any. Memory grows only with what is really there.
    let values = take(&mut reader, bytes.saturating_add(1))?;
    if values.len() < bytes {
        return Err(format!(
            "truncated: {dims:?} takes {} of values, but there are {}",
            counted(bytes, "byte"),
            values.len()
        ));
    }
    if values.len() > bytes {
        return Err(format!("bytes are left over after the {bytes} that {dims:?} takes"));
    }
    match code {
        0x08 => tensor(values, dims),
        0x09 => tensor(values.iter().map(|&byte| i32::from(byte as i8)).collect(), dims),
        0x0b => tensor(values.as_chunks().0.iter().map(|&word| i32::from(i16::from_be_bytes(word))).collect(), dims),
        0x0c => tensor(values.as_chunks().0.iter().map(|&word| i32::from_be_bytes(word)).collect(), dims),
        0x0d => tensor(values.as_chunks().0.iter().map(|&word| f32::from_be_bytes(word)).collect(), dims),
        _ => tensor(values.as_chunks().0.iter().map(|&word| f64::from_be_bytes(word)).collect(), dims),
    }
}

fn tensor<T: Element>(values: Vec<T>, dims: Vec<usize>) -> Result<TensorData, String> {
    TensorData::from_vec(values, dims).map_err(|error| error.to_string())
}

/// Up to `count` bytes; fewer at the end of the file.
fn take(reader: &mut impl Read, count: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(count as u64).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => "truncated: the gzip data ends early".into(),
        _ => format!("corrupt gzip data: {error}"),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn file(code: u8, dims: &[u32], values: &[u8]) -> Vec<u8> {
        let extents: Vec<u8> = dims.iter().flat_map(|dim| dim.to_be_bytes()).collect();
        [&[0, 0, code, dims.len() as u8], extents.as_slice(), values].concat()
    }

    fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|error| Error::file("cannot pack", "", error))
    }

    fn message(bytes: &[u8]) -> String {
        from_bytes(bytes, "f").err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn every_element_type_is_read() -> Result<()> {
        let cases: [(u8, Vec<u8>, DType); 6] = [
            (0x08, vec![1, 254], DType::U8),
            (0x09, vec![1, 0xfe], DType::I32),
            (0x0b, [1_i16, -2].iter().flat_map(|value| value.to_be_bytes()).collect(), DType::I32),
            (0x0c, [1_i32, -2].iter().flat_map(|value| value.to_be_bytes()).collect(), DType::I32),
            (0x0d, [1_f32, -2.0].iter().flat_map(|value| value.to_be_bytes()).collect(), DType::F32),
            (0x0e, [1_f64, -2.0].iter().flat_map(|value| value.to_be_bytes()).collect(), DType::F64),
        ];
        for (code, values, dtype) in cases {
            let bytes = file(code, &[2, 1], &values);
            let plain = from_bytes(&bytes, "f")?;
            assert_eq!((plain.dtype(), plain.shape().dims()), (dtype, [2, 1].as_slice()));
            assert_eq!(plain.to_f64_vec(), if code == 0x08 { [1.0, 254.0] } else { [1.0, -2.0] });
            assert_eq!(from_bytes(&packed(&bytes)?, "f")?, plain);
        }
        Ok(())
    }

    #[test]
    fn cut_anywhere_it_is_an_error() -> Result<()> {
        let whole = file(0x0b, &[2, 3], &[0; 12]);
        let zipped = packed(&whole)?;
        for length in 0..whole.len() {
            assert!(message(&whole[..length]).contains("truncated"), "{length}: {}", message(&whole[..length]));
        }
        for length in 0..zipped.len() {
            assert!(from_bytes(&zipped[..length], "f").is_err(), "{length}");
        }
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            message(b"\x89PNG...."),
            "f: not an IDX file: the first bytes are [89, 50, 4e, 47], and the first two must be 0"
        );
        assert_eq!(message(&file(0x0a, &[1], &[0])), "f: not an IDX file, or one of an unknown element type: 0x0a");
        assert_eq!(message(&file(0x08, &[2], &[0; 3])), "f: bytes are left over after the 2 that [2] takes");
        assert_eq!(
            message(&file(0x08, &[u32::MAX; 4], &[0; 9])),
            "f: corrupt: extents [4294967295, 4294967295, 4294967295, 4294967295] are beyond any memory"
        );
        assert!(message(&file(0x08, &[u32::MAX, 100], &[0; 9])).contains("but there are 9"));
        assert!(message(&file(0x08, &[0, u32::MAX, u32::MAX, u32::MAX], &[])).contains("beyond any memory"));
    }
}
