//! NPY, NumPy's file of one array: versions 1 to 3, read and written.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::fs;
use std::path::Path;

use super::checked_len;
use crate::error::{Error, Result};
use crate::file;
use crate::tensor::{DType, TensorData, TensorType};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads an NPY file.
///
/// Floats of 16, 32 and 64 bits, i4, i8, u1, u4 and bool stay what they are; the other integers become i32, with an error
/// for a value that does not fit. Fortran order is turned into row-major, big-endian into little-endian.
///
/// # Errors
/// [`Error::File`] where the file cannot be read; [`Error::Format`] where it is no NPY file, is truncated, has bytes
/// left over, or holds elements that the engine does not have.
pub fn read(path: impl AsRef<Path>) -> Result<TensorData> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    from_bytes(&bytes, path)
}

/// As [`read`], from bytes in memory; `origin` is the name under which errors speak of them.
///
/// # Errors
/// [`Error::Format`], as for [`read`].
pub fn from_bytes(bytes: &[u8], origin: impl AsRef<Path>) -> Result<TensorData> {
    parse(bytes).map_err(|message| Error::format(origin.as_ref(), message))
}

/// Writes an NPY file, version 1.0, row-major and little-endian. A file that is there is replaced as a whole or not at all.
///
/// # Errors
/// [`Error::File`] where the file cannot be written; [`Error::Argument`] for bf16, which NumPy does not have.
pub fn write(path: impl AsRef<Path>, tensor: &TensorData) -> Result<()> {
    file::write(path, &to_bytes(tensor)?)
}

/// As [`write()`], to bytes in memory.
///
/// ```
/// use wgrad::{data::npy, tensor::TensorData};
/// let tensor = TensorData::from_vec(vec![1.0_f32, 2.0], [2, 1])?;
/// assert_eq!(npy::from_bytes(&npy::to_bytes(&tensor)?, "memory")?, tensor);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for bf16, which NumPy does not have.
pub fn to_bytes(tensor: &TensorData) -> Result<Vec<u8>> {
    let descr = match tensor.dtype() {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::F16 => "<f2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U32 => "<u4",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
        DType::BF16 => return Err(Error::Argument("NPY has no bf16; cast to f32 before writing".into())),
    };
    let shape = match tensor.shape().dims() {
        [single] => format!("({single},)"),
        dims => format!("({})", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}").into_bytes();
    // Spaces and a line feed align the values to a multiple of 64 bytes, as NumPy does it.
    let prefix = MAGIC.len() + 4;
    header.resize((prefix + header.len() + 1).next_multiple_of(64) - prefix - 1, b' ');
    header.push(b'\n');
    let length = u16::try_from(header.len())
        .map_err(|_| Error::Argument(format!("a shape of {} dimensions is too long for NPY", tensor.shape().rank())))?;
    Ok([MAGIC, &[1, 0], &length.to_le_bytes(), &header, tensor.bytes()].concat())
}

fn parse(bytes: &[u8]) -> Result<TensorData, String> {
    let (header, values) = split_header(bytes)?;
    let Header { descr, fortran_order, shape } = Header::parse(header)?;
    let (big_endian, code) = match descr.split_at_checked(1) {
        Some((">", code)) => (true, code),
        Some(("<" | "|" | "=", code)) => (false, code),
        _ => return Err(format!("element type '{descr}' is not supported")),
    };
    let size = match code.split_at_checked(1) {
        Some(("f", "2" | "4" | "8") | ("i" | "u", "1" | "2" | "4" | "8") | ("b", "1")) => {
            code.get(1..).and_then(|size| size.parse::<usize>().ok()).unwrap_or(1)
        }
        _ => return Err(format!("element type '{descr}' is not supported")),
    };
    let expected = checked_len(&shape)
        .and_then(|len| len.checked_mul(size))
        .ok_or_else(|| format!("corrupt: shape {shape:?} is beyond any memory"))?;
    if values.len() != expected {
        let word = if values.len() < expected { "truncated" } else { "bytes are left over" };
        return Err(format!("{word}: {shape:?} of '{descr}' takes {expected} bytes, but there are {}", values.len()));
    }

    let mut values = values.to_vec();
    if big_endian {
        values.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    if fortran_order {
        values = row_major(&values, &shape, size);
    }
    convert(code, &values, shape)
}

fn convert(code: &str, values: &[u8], shape: Vec<usize>) -> Result<TensorData, String> {
    let stored = |dtype| {
        TensorData::from_bytes(TensorType::new(dtype, shape.as_slice()), values).map_err(|error| error.to_string())
    };
    let narrowed = |wide: &mut dyn Iterator<Item = i128>| {
        let fitting = wide
            .map(|value| i32::try_from(value).map_err(|_| format!("{value} does not fit a 32-bit integer")))
            .collect::<Result<Vec<i32>, _>>()?;
        TensorData::from_vec(fitting, shape.as_slice()).map_err(|error| error.to_string())
    };
    match code {
        "f2" => stored(DType::F16),
        "f4" => stored(DType::F32),
        "f8" => stored(DType::F64),
        "i4" => stored(DType::I32),
        "i8" => stored(DType::I64),
        "u4" => stored(DType::U32),
        "u1" => stored(DType::U8),
        "b1" if values.iter().any(|&byte| byte > 1) => Err("corrupt: a truth value is neither 0 nor 1".into()),
        "b1" => stored(DType::Bool),
        "i1" => narrowed(&mut values.iter().map(|&byte| (byte as i8).into())),
        "i2" => narrowed(&mut values.as_chunks().0.iter().map(|&word| i16::from_le_bytes(word).into())),
        "u2" => narrowed(&mut values.as_chunks().0.iter().map(|&word| u16::from_le_bytes(word).into())),
        "u8" => narrowed(&mut values.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word).into())),
        other => Err(format!("element type '{other}' is not supported")),
    }
}

/// Header text and values.
fn split_header(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let truncated = || "truncated: the file ends in its header".to_owned();
    if !bytes.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(bytes) {
            truncated()
        } else {
            "not an NPY file: it must begin with \\x93NUMPY".into()
        });
    }
    let (major, rest) = match bytes.get(MAGIC.len()..) {
        Some([major, _minor, rest @ ..]) => (*major, rest),
        _ => return Err(truncated()),
    };
    let (length, rest) = match (major, rest) {
        (1, [a, b, rest @ ..]) => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        (2 | 3, [a, b, c, d, rest @ ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        (1..=3, _) => return Err(truncated()),
        _ => return Err(format!("NPY version {major} is not supported")),
    };
    let (header, values) = rest.split_at_checked(length).ok_or_else(truncated)?;
    let header = std::str::from_utf8(header).map_err(|_| "corrupt: the header is no text".to_owned())?;
    Ok((header, values))
}

/// The header's Python dictionary.
#[derive(Debug)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, String> {
        let corrupt = || format!("corrupt: the header is {:?}", text.trim_end());
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{').ok_or_else(corrupt)?.trim_start();
        while !rest.starts_with('}') {
            let (key, after) = quoted(rest).ok_or_else(corrupt)?;
            let value = after.trim_start().strip_prefix(':').ok_or_else(corrupt)?.trim_start();
            let after = match key {
                "descr" if value.starts_with('[') => return Err("arrays of records are not supported".into()),
                "descr" => {
                    let (name, after) = quoted(value).ok_or_else(corrupt)?;
                    descr = Some(name.to_owned());
                    after
                }
                "fortran_order" => {
                    fortran_order = Some(value.starts_with("True"));
                    value.strip_prefix("True").or_else(|| value.strip_prefix("False")).ok_or_else(corrupt)?
                }
                "shape" => {
                    let (inside, after) =
                        value.strip_prefix('(').and_then(|inside| inside.split_once(')')).ok_or_else(corrupt)?;
                    // Python 2 wrote long integers with an L.
                    let extents = inside.split(',').map(|extent| extent.trim().trim_end_matches('L'));
                    let extents = extents.filter(|extent| !extent.is_empty()).map(str::parse).collect::<Result<_, _>>();
                    shape = Some(extents.map_err(|_| corrupt())?);
                    after
                }
                _ => return Err(corrupt()),
            };
            let after = after.trim_start();
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self { descr, fortran_order, shape }),
            _ => Err(corrupt()),
        }
    }
}

/// A quoted string at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|&first| first == '\'' || first == '"')?;
    text.strip_prefix(quote)?.split_once(quote)
}

/// Elements of `size` bytes whose first index runs fastest, rearranged so that the last one does.
fn row_major(values: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut rearranged = Vec::with_capacity(values.len());
    let mut index = vec![0; shape.len()];
    while rearranged.len() < values.len() {
        let position = index.iter().zip(shape).rev().fold(0, |position, (&at, &extent)| position * extent + at);
        rearranged.extend_from_slice(values.get(position * size..(position + 1) * size).unwrap_or_default());
        for (at, &extent) in index.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < extent {
                break;
            }
            *at = 0;
        }
    }
    rearranged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
        let length = header.len() as u32;
        let length = if version == 1 { (length as u16).to_le_bytes().to_vec() } else { length.to_le_bytes().to_vec() };
        [MAGIC, &[version, 0], &length, header.as_bytes(), values].concat()
    }

    fn read_values(version: u8, header: &str, values: &[u8]) -> Result<Vec<f64>, String> {
        parse(&file(version, header, values)).map(|tensor| tensor.to_f64_vec())
    }

    #[test]
    fn the_bytes_are_numpys() -> Result<()> {
        // numpy.save of numpy.array([1.5, -2], dtype=numpy.float32)
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        let header = format!("{header:<117}\n");
        let expected = [
            b"\x93NUMPY\x01\x00\x76\x00".as_slice(),
            header.as_bytes(),
            &1.5_f32.to_le_bytes(),
            &(-2.0_f32).to_le_bytes(),
        ];
        let tensor = TensorData::from_vec(vec![1.5_f32, -2.0], [2])?;
        assert_eq!(to_bytes(&tensor)?, expected.concat());
        Ok(())
    }

    #[test]
    fn orders_versions_and_widths() {
        let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
        let fortran: Vec<u8> = [0_i16, 3, 1, 4, 2, -5].iter().flat_map(|value| value.to_be_bytes()).collect();
        for version in 1..=3 {
            assert_eq!(read_values(version, header, &fortran), Ok(vec![0.0, 1.0, 2.0, 3.0, 4.0, -5.0]));
        }
        let header = "{\"shape\": (2L,), \"descr\": \"<i8\", \"fortran_order\": False}";
        let values: Vec<u8> = [7_i64, -9].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(read_values(1, header, &values), Ok(vec![7.0, -9.0]));
        let values: Vec<u8> = [7_u64, 1 << 31].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(
            read_values(1, &header.replace("i8", "u8"), &values),
            Err("2147483648 does not fit a 32-bit integer".into())
        );
        assert_eq!(read_values(1, "{'descr': '|b1', 'fortran_order': False, 'shape': ()}", &[1]), Ok(vec![1.0]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with =
            |descr: &str, shape: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
        let error = |header: &str, values: &[u8]| read_values(1, header, values).err().unwrap_or_default();
        assert!(error(&with("'<c8'", "(1,)"), &[0; 8]).contains("'<c8' is not supported"));
        assert!(error(&with("'|O'", "(1,)"), &[0; 8]).contains("is not supported"));
        assert!(error(&with("[('a', '<f4')]", "(1,)"), &[0; 4]).contains("records"));
        assert!(error(&with("'<f4'", "(2,)"), &[0; 9]).contains("left over"));
        assert!(error(&with("'<f4'", "(99999999999, 99999999999)"), &[0; 4]).contains("beyond any memory"));
        assert!(error(&with("'<f4'", "(-1,)"), &[]).contains("corrupt"));
        assert!(error("{'descr': '<f4'}", &[]).contains("corrupt"));
        assert!(error("{{{", &[]).contains("corrupt"));
        assert!(parse(b"PK\x03\x04").is_err_and(|message| message.contains("not an NPY")));
        assert!(parse(&file(9, "{}", &[])).is_err_and(|message| message.contains("version 9")));
        assert!(matches!(to_bytes(&TensorData::zeros(DType::BF16, [1])), Err(Error::Argument(_))));
    }

    #[test]
    fn cut_anywhere_it_is_an_error() -> Result<()> {
        let whole = to_bytes(&TensorData::from_vec(vec![1_i32, 2, 3], [3, 1])?)?;
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err_and(|message| message.contains("truncated")), "{length}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(dims in prop::collection::vec(0_usize..5, 0..5), dtype in 0..DType::ALL.len()) {
            let dtype = DType::ALL[dtype];
            let values: Vec<f64> = (0..dims.iter().product()).map(|value: usize| (value % 200) as f64).collect();
            let tensor = TensorData::from_f64(dtype, &values, dims).map_err(|error| TestCaseError::fail(error.to_string()))?;
            match to_bytes(&tensor) {
                Ok(bytes) => prop_assert_eq!(parse(&bytes), Ok(tensor)),
                Err(_) => prop_assert_eq!(dtype, DType::BF16),
            }
        }

        #[test]
        fn no_bytes_panic(header in ".{0,80}", values in prop::collection::vec(any::<u8>(), 0..40), version in 0_u8..5) {
            let _ = parse(&file(version, &header, &values));
            let _ = parse(&values);
        }
    }
}
