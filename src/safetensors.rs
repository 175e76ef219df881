//! Safetensors files: named tensors and a few lines of text, replaced as a whole or not at all.
//!
//! The same content always makes the same bytes, so that two runs can be compared with `cmp`; the `safetensors` crate writes its metadata
//! in a hash map's order, which is why the header is composed here and only reading is left to the crate.
//!
//! Two entries of the metadata are this module's own: a version, and a CRC-32 of the whole file, header included, with
//! zeros for its own digits. A file that has either must have both, so that no single damaged byte can make one look
//! like a file of another program, which has neither and is read as it is.
//!
//! Format: <https://huggingface.co/docs/safetensors/index#format>.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ::safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorInfo, TensorView};
use serde_json::to_string;

use crate::checksum;
use crate::error::{Error, Result};
use crate::file;
use crate::tensor::{DType, TensorData, TensorType};

/// The header's own key for the text, which therefore no tensor can have.
const METADATA: &str = "__metadata__";

/// The key of the checksum: eight hexadecimal digits.
const CHECKSUM: &str = "wgrad.crc32";

/// The key of the version of what this module adds to safetensors, and its value.
const VERSION: (&str, &str) = ("wgrad.file", "1");

/// The tensors of a file by name.
pub type Tensors = BTreeMap<String, TensorData>;

/// The text of a file by key.
pub type Metadata = BTreeMap<String, String>;

/// Writes the file, or leaves what was there as it was.
///
/// The order of `tensors` and `metadata` does not matter: the file orders tensors by element size and name (as
/// safetensors asks, so that each starts aligned) and metadata by key.
///
/// ```
/// use wgrad::tensor::TensorData;
/// use wgrad::safetensors;
/// # let directory = tempfile::tempdir().map_err(|error| wgrad::Error::file("cannot create", "", error))?;
/// # let path = directory.path().join("model.safetensors");
/// let weight = TensorData::from_vec(vec![1.0_f32, 2.0], [1, 2])?;
/// safetensors::write(&path, &[("fc1.weight".into(), weight.clone())], &[("step".into(), "12".into())])?;
/// let (tensors, metadata) = safetensors::read(&path)?;
/// assert_eq!(tensors["fc1.weight"], weight);
/// assert_eq!(metadata["step"], "12");
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] where a name occurs twice; [`Error::File`] where the directory cannot be written or is full.
pub fn write(path: impl AsRef<Path>, tensors: &[(String, TensorData)], metadata: &[(String, String)]) -> Result<()> {
    write_after(path.as_ref(), None, tensors, metadata)
}

/// As [`write`]; what was there before is moved to another path in the same directory, where there is one.
pub(crate) fn write_after(
    path: &Path,
    previous: Option<&Path>,
    tensors: &[(String, TensorData)],
    metadata: &[(String, String)],
) -> Result<()> {
    let (length, header, sorted) = composed(tensors, metadata)?;
    file::replace(path, previous, |file| {
        file.write_all(&length)?;
        file.write_all(&header)?;
        sorted.iter().try_for_each(|(_, tensor)| file.write_all(tensor.bytes()))
    })
    .map_err(|source| Error::file("cannot write", path, source))
}

/// The bytes of such a file.
pub(crate) fn to_bytes(tensors: &[(String, TensorData)], metadata: &[(String, String)]) -> Result<Vec<u8>> {
    let (length, header, sorted) = composed(tensors, metadata)?;
    let mut bytes = [&length[..], &header].concat();
    sorted.iter().for_each(|(_, tensor)| bytes.extend_from_slice(tensor.bytes()));
    Ok(bytes)
}

/// The header with its checksum, the length before it, and the tensors in the file's order.
type Composed<'a> = ([u8; 8], Vec<u8>, Vec<&'a (String, TensorData)>);

fn composed<'a>(tensors: &'a [(String, TensorData)], metadata: &[(String, String)]) -> Result<Composed<'a>> {
    let mut sorted: Vec<&(String, TensorData)> = tensors.iter().collect();
    sorted.sort_by(|(left_name, left), (right_name, right)| {
        right.dtype().size().cmp(&left.dtype().size()).then_with(|| left_name.cmp(right_name))
    });
    let mut header = header(&sorted, metadata)?;
    let length = (header.len() as u64).to_le_bytes();
    let contents = sorted.iter().map(|(_, tensor)| tensor.bytes());
    let digits = checksum::of([&length[..], &header].into_iter().chain(contents));
    if let Some(offset) = checksum::position(&header, &key_of_checksum())
        && let Some(blank) = header.get_mut(offset..offset + digits.len())
    {
        blank.copy_from_slice(digits.as_bytes());
    }
    Ok((length, header, sorted))
}

/// What stands before the digits in a header. Quotes within names and values are escaped, so it is nowhere else.
fn key_of_checksum() -> String {
    format!("\"{CHECKSUM}\":\"")
}

/// Takes this module's own entries out of the metadata and compares the checksum; false where there is none.
fn verify(bytes: &[u8], metadata: &mut Metadata) -> Result<bool, String> {
    let (version, checksum) = (metadata.remove(VERSION.0), metadata.remove(CHECKSUM));
    match (version.as_deref(), checksum) {
        (None, None) => return Ok(false),
        (Some(version), _) if version != VERSION.1 => {
            let own = VERSION.1;
            return Err(format!("damaged, or of another version of wgrad: its version is {version:?}, not {own:?}"));
        }
        (Some(_), Some(_)) => {}
        (Some(_), None) | (None, Some(_)) => return Err("damaged: its checksum is not there".into()),
    }
    match checksum::compare(bytes, &key_of_checksum()) {
        Some((found, saved)) if found == saved => Ok(true),
        Some((found, saved)) => Err(format!("damaged: its checksum is {saved}, but that of its content is {found}")),
        None => Err("damaged: its checksum is not where it should be".into()),
    }
}

/// Reads a safetensors file, written here or elsewhere.
///
/// Integers of 16 and 8 signed bits, which the engine does not have, become i32. A file that was written here has a checksum, which is
/// compared; others are read without.
///
/// # Errors
/// [`Error::File`] where it cannot be read; [`Error::Format`] where it is truncated, damaged, or holds a tensor of an
/// element type that the engine does not have.
pub fn read(path: impl AsRef<Path>) -> Result<(Tensors, Metadata)> {
    let (tensors, metadata, _) = read_verified(path.as_ref())?;
    Ok((tensors, metadata))
}

/// As [`read`], and whether there was a checksum.
pub(crate) fn read_verified(path: &Path) -> Result<(Tensors, Metadata, bool)> {
    let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    parsed(&bytes).map_err(|message| Error::format(path, message))
}

/// As [`read`], of the bytes of a file.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<(Tensors, Metadata)> {
    let (tensors, metadata, _) = from_bytes_verified(bytes, Path::new("parameters in memory"))?;
    Ok((tensors, metadata))
}

/// As [`read_verified`], of the bytes of a file; `name` is what messages call it.
pub(crate) fn from_bytes_verified(bytes: &[u8], name: &Path) -> Result<(Tensors, Metadata, bool)> {
    parsed(bytes).map_err(|message| Error::format(name, message))
}

fn parsed(bytes: &[u8]) -> Result<(Tensors, Metadata, bool), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(explain)?;
    let mut metadata: Metadata =
        header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let verified = verify(bytes, &mut metadata)?;
    let file = SafeTensors::deserialize(bytes).map_err(explain)?;
    let tensors = file
        .iter()
        .map(|(name, view)| match convert(&view) {
            Ok(tensor) => Ok((name.to_owned(), tensor)),
            Err(message) => Err(format!("tensor '{name}': {message}")),
        })
        .collect::<Result<_, _>>()?;
    Ok((tensors, metadata, verified))
}

fn convert(view: &TensorView<'_>) -> Result<TensorData, String> {
    let shape = view.shape();
    let bytes = view.data();
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F64 => DType::F64,
        Dtype::I32 => DType::I32,
        Dtype::I64 => DType::I64,
        Dtype::U32 => DType::U32,
        Dtype::U8 => DType::U8,
        Dtype::BOOL if bytes.iter().all(|&byte| byte <= 1) => DType::Bool,
        Dtype::BOOL => return Err("a truth value is neither 0 nor 1".into()),
        Dtype::I16 => return widened(bytes.as_chunks().0.iter().map(|&word| i16::from_le_bytes(word).into()), shape),
        Dtype::I8 => return widened(bytes.as_chunks().0.iter().map(|&word| i8::from_le_bytes(word).into()), shape),
        other => return Err(format!("element type {other} is not supported")),
    };
    TensorData::from_bytes(TensorType::new(dtype, shape), bytes).map_err(|error| error.to_string())
}

fn widened(values: impl Iterator<Item = i32>, shape: &[usize]) -> Result<TensorData, String> {
    TensorData::from_vec(values.collect(), shape).map_err(|error| error.to_string())
}

/// What the crate found wrong, in terms of the file.
fn explain(error: SafeTensorError) -> String {
    match error {
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            "not a safetensors file, or a truncated one: the header is not all there".into()
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            "truncated or corrupt: the size of the data is not what the header says".into()
        }
        other => format!("not a safetensors file, or a corrupt one: {other}"),
    }
}

const fn safetensors_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F64 => Dtype::F64,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U32 => Dtype::U32,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// The JSON header, padded with spaces to a multiple of eight bytes.
fn header(sorted: &[&(String, TensorData)], metadata: &[(String, String)]) -> Result<Vec<u8>> {
    let own = [VERSION, (CHECKSUM, checksum::BLANK)];
    let text: BTreeMap<&str, &str> =
        metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(own).collect();
    if text.len() != metadata.len() + own.len() {
        return Err(Error::Argument("a file of safetensors cannot hold two metadata entries of one key".into()));
    }
    let mut names: Vec<&str> = sorted.iter().map(|(name, _)| name.as_str()).chain([METADATA]).collect();
    names.sort_unstable();
    if let Some(name) = names.iter().zip(names.iter().skip(1)).find_map(|(left, right)| (left == right).then_some(left))
    {
        return Err(Error::Argument(format!("a file of safetensors cannot hold two entries named '{name}'")));
    }

    let mut entries = Vec::with_capacity(sorted.len() + 1);
    entries.push(format!("\"{METADATA}\":{}", to_string(&text).map_err(not_json)?));
    let mut offset = 0;
    for (name, tensor) in sorted {
        let end = offset + tensor.bytes().len();
        let info = TensorInfo {
            dtype: safetensors_dtype(tensor.dtype()),
            shape: tensor.shape().to_vec(),
            data_offsets: (offset, end),
        };
        let name = to_string(name).map_err(not_json)?;
        entries.push(format!("{name}:{}", to_string(&info).map_err(not_json)?));
        offset = end;
    }
    let mut header = format!("{{{}}}", entries.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

fn not_json(error: serde_json::Error) -> Error {
    Error::Data(format!("cannot be written as JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        use std::os::unix::fs::FileTypeExt;

        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("real.safetensors"), directory.path().join("link.safetensors"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, &[], &[]).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(read(&file).is_ok());
        if Path::new("/dev/full").exists() {
            let error = write("/dev/full", &[], &[]).unwrap_err().to_string();
            assert!(error.contains("/dev/full"), "{error}");
            assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        }
    }

    fn every_dtype() -> Result<Vec<(String, TensorData)>> {
        DType::ALL
            .iter()
            .map(|&dtype| Ok((format!("a.{dtype}"), TensorData::from_f64(dtype, &[0.0, 1.0, 1.0], [3, 1])?)))
            .chain([Ok(("scalar".into(), TensorData::scalar(2.5_f32)))])
            .chain([Ok(("empty".into(), TensorData::zeros(DType::F32, [0, 4])))])
            .collect()
    }

    fn entry(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    fn temporary_directory() -> Result<tempfile::TempDir> {
        tempfile::tempdir().map_err(|source| Error::file("cannot create", "", source))
    }

    #[test]
    fn what_was_written_is_read_and_the_order_given_leaves_no_trace() -> Result<()> {
        let directory = temporary_directory()?;
        let path = directory.path().join("model.safetensors");
        let mut tensors = every_dtype()?;
        let mut text = vec![entry("step", "7"), entry("b", "\"quoted\"\n"), entry("a", "ü")];
        write(&path, &tensors, &text)?;
        let first = fs::read(&path).map_err(|source| Error::file("cannot read", &path, source))?;
        let (read_tensors, read_text) = read(&path)?;
        assert_eq!(read_tensors, tensors.iter().cloned().collect());
        assert_eq!(read_text, text.iter().cloned().collect());

        tensors.reverse();
        text.reverse();
        write(&path, &tensors, &text)?;
        assert_eq!(fs::read(&path).ok(), Some(first));
        assert_eq!(fs::read_dir(directory.path()).map(Iterator::count).ok(), Some(1), "temporary files were left");
        Ok(())
    }

    #[test]
    fn a_file_cut_anywhere_or_with_bytes_added_is_an_error() -> Result<()> {
        let directory = temporary_directory()?;
        let path = directory.path().join("model.safetensors");
        write(&path, &every_dtype()?, &[entry("step", "7")])?;
        let mut whole = fs::read(&path).map_err(|source| Error::file("cannot read", &path, source))?;
        for length in 0..whole.len() {
            assert!(parsed(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
        whole.push(0);
        assert!(parsed(&whole).is_err());
        Ok(())
    }

    #[test]
    fn no_single_wrong_byte_or_bit_goes_unnoticed() -> Result<()> {
        let directory = temporary_directory()?;
        let path = directory.path().join("model.safetensors");
        write(&path, &every_dtype()?, &[entry("step", "7")])?;
        let whole = fs::read(&path).map_err(|source| Error::file("cannot read", &path, source))?;
        assert!(parsed(&whole).is_ok_and(|(_, _, verified)| verified));
        for position in 0..whole.len() {
            let byte = whole[position];
            for wrong in [0, b'9', b'"', 0xff].into_iter().chain((0..8).map(|bit| byte ^ (1 << bit))) {
                let mut bytes = whole.clone();
                bytes[position] = wrong;
                assert_eq!(parsed(&bytes).is_err(), wrong != byte, "byte {position}: {byte} became {wrong}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_written_leaves_both_files_as_they_were() -> Result<()> {
        let directory = temporary_directory()?;
        let [path, previous] = ["model", "previous"].map(|name| directory.path().join(name));
        let number = |value: f32| [("w".to_owned(), TensorData::scalar(value))];
        for value in [1.0, 2.0, 3.0] {
            write_after(&path, Some(&previous), &number(value), &[])?;
        }
        let values = || -> Result<[f64; 2]> { Ok([read(&path)?.0["w"].item()?, read(&previous)?.0["w"].item()?]) };
        assert_eq!(values()?, [3.0, 2.0]);
        let full = |file: &mut dyn std::io::Write| {
            file.write_all(&[0; 100])?;
            Err(std::io::ErrorKind::StorageFull.into())
        };
        assert!(file::replace(&path, Some(&previous), full).is_err());
        assert_eq!(values()?, [3.0, 2.0]);
        // The older file cannot be replaced: the newer one is not, either.
        let blocked = directory.path().join("blocked");
        fs::create_dir_all(blocked.join("full")).map_err(|source| Error::file("cannot make", &blocked, source))?;
        assert!(matches!(write_after(&path, Some(&blocked), &number(4.0), &[]), Err(Error::File { .. })));
        assert_eq!(values()?, [3.0, 2.0]);
        let left = fs::read_dir(directory.path()).map(Iterator::count).ok();
        assert_eq!(left, Some(3), "temporary files were left");
        Ok(())
    }

    fn foreign(dtype: &str, data: &[u8], shape: usize) -> Result<(Tensors, Metadata, bool), String> {
        let header = format!(r#"{{"t":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[0,{}]}}}}"#, data.len());
        parsed(&[&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
    }

    #[test]
    fn foreign_integers_are_retained_or_widened_or_refused() {
        let value = (1_i64 << 60) + 1;
        let read = foreign("I64", &value.to_le_bytes(), 1).map(|(tensors, ..)| tensors["t"].to_vec::<i64>().ok());
        assert_eq!(read, Ok(Some(vec![value])));
        let read = foreign("I16", &(-5_i16).to_le_bytes(), 1).map(|(tensors, ..)| tensors["t"].to_vec::<i32>().ok());
        assert_eq!(read, Ok(Some(vec![-5])));
        let error = foreign("U64", &[0; 8], 1).err().unwrap_or_default();
        assert_eq!(error, "tensor 't': element type U64 is not supported");
        assert!(foreign("BOOL", &[2], 1).is_err());
    }

    #[test]
    fn names_that_clash_and_directories_that_are_missing_are_errors() -> Result<()> {
        let directory = temporary_directory()?;
        let path = directory.path().join("model.safetensors");
        let one = TensorData::scalar(1.0_f32);
        let twice = [("w".to_owned(), one.clone()), ("w".to_owned(), one.clone())];
        assert!(matches!(write(&path, &twice, &[]), Err(Error::Argument(_))));
        assert!(matches!(write(&path, &[(METADATA.into(), one)], &[]), Err(Error::Argument(_))));
        assert!(matches!(write(&path, &[], &[entry("k", "1"), entry("k", "2")]), Err(Error::Argument(_))));
        assert!(matches!(write(&path, &[], &[entry(CHECKSUM, "1")]), Err(Error::Argument(_))));
        assert!(!path.exists());
        assert!(matches!(write(directory.path().join("no/such.file"), &[], &[]), Err(Error::File { .. })));
        assert!(matches!(read(&path), Err(Error::File { .. })));
        Ok(())
    }
}
