//! Tensors of ONNX files as host values: element types, the formats in which values are stored, and data in other files.
//!
//! Everything is counted before memory is asked for, so a small file cannot ask for much of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::proto::{EXTERNAL, TensorProto, data_type};
use crate::tensor::{DType, Element, Shape, TensorData, TensorType};

/// More dimensions than any model has; kernels are made for few.
const MOST_DIMENSIONS: usize = 64;

/// The engine's element type for ONNX's number.
///
/// # Errors
/// A type that the engine has not.
pub(super) fn proto_dtype(number: i32) -> Result<DType, String> {
    Ok(match number {
        data_type::FLOAT => DType::F32,
        data_type::FLOAT16 => DType::F16,
        data_type::BFLOAT16 => DType::BF16,
        data_type::DOUBLE => DType::F64,
        data_type::INT32 => DType::I32,
        data_type::INT64 => DType::I64,
        data_type::UINT8 => DType::U8,
        data_type::UINT32 => DType::U32,
        data_type::BOOL => DType::Bool,
        other => {
            return Err(format!(
                "it is of {}; the engine has float, float16, bfloat16, double, int32, int64, uint8, uint32 and bool",
                data_type::name(other)
            ));
        }
    })
}

/// A tensor of int64.
///
/// # Errors
/// Where the number of values is not that of the shape.
pub(super) fn int64(values: &[i64], shape: impl Into<Shape>) -> Result<TensorData, String> {
    TensorData::from_slice(values, shape).map_err(|error| error.to_string())
}

/// The values of an integer tensor.
///
/// # Errors
/// Where it holds no integers.
pub(super) fn integers(data: &TensorData) -> Result<Vec<i64>, String> {
    if !data.dtype().is_integer() && data.dtype() != DType::Bool {
        return Err(format!("integers are expected, not {}", data.ty()));
    }
    data.cast(DType::I64).and_then(|data| data.to_vec()).map_err(|error| error.to_string())
}

/// Extents from a file's numbers.
///
/// # Errors
/// A negative one, or more elements than can be addressed.
pub(super) fn extents(dims: &[i64]) -> Result<Shape, String> {
    if dims.len() > MOST_DIMENSIONS {
        return Err(format!("{} dimensions are more than {MOST_DIMENSIONS}", dims.len()));
    }
    let shape = dims
        .iter()
        .map(|&extent| usize::try_from(extent).map_err(|_| format!("shape {dims:?} has a negative extent")))
        .collect::<Result<Shape, String>>()?;
    if shape.is_addressable() {
        Ok(shape)
    } else {
        Err(format!("shape {dims:?} has more elements than the 2³¹ − 1 that can be addressed"))
    }
}

/// Checks that the values are as many as the shape says, without reading them. Types that the engine has not pass here: whoever
/// needs the values is told then.
///
/// # Errors
/// What is wrong with shape or values.
pub(super) fn check(proto: &TensorProto, folder: Option<&Path>) -> Result<(), String> {
    let Ok(dtype) = proto_dtype(proto.data_type) else { return Ok(()) };
    let ty = TensorType::new(dtype, extents(&proto.dims)?);
    let bytes = ty.len().saturating_mul(ty.dtype.size());
    if proto.data_location == EXTERNAL {
        return External::of(proto, bytes)?.open(folder).map(|_| ());
    }
    let (found, expected, unit) = match &proto.raw_data {
        Some(raw) if !raw.is_empty() || bytes == 0 => (raw.len(), bytes, "bytes"),
        _ => (listed(proto), ty.len(), "values"),
    };
    if found == expected {
        Ok(())
    } else {
        Err(format!("its shape {} takes {expected} {unit}, but there are {found}", ty.shape))
    }
}

/// How many values stand in the list for the tensor's type.
fn listed(proto: &TensorProto) -> usize {
    match proto.data_type {
        data_type::FLOAT => proto.float_data.len(),
        data_type::DOUBLE => proto.double_data.len(),
        data_type::INT64 => proto.int64_data.len(),
        data_type::UINT32 => proto.uint64_data.len(),
        _ => proto.int32_data.len(),
    }
}

/// The values.
///
/// # Errors
/// As for [`check`], and a file that cannot be read.
pub(super) fn decode(proto: &TensorProto, folder: Option<&Path>) -> Result<TensorData, String> {
    let ty = TensorType::new(proto_dtype(proto.data_type)?, extents(&proto.dims)?);
    check(proto, folder)?;
    if proto.data_location == EXTERNAL {
        let bytes = ty.len().saturating_mul(ty.dtype.size());
        let raw = External::of(proto, bytes)?.read(folder)?;
        return from_raw(ty, &raw);
    }
    match &proto.raw_data {
        Some(raw) if !raw.is_empty() || ty.is_empty() => from_raw(ty, raw),
        _ => from_lists(proto, ty),
    }
}

fn from_raw(ty: TensorType, raw: &[u8]) -> Result<TensorData, String> {
    TensorData::from_bytes(ty, raw).map_err(|error| error.to_string())
}

fn from_lists(proto: &TensorProto, ty: TensorType) -> Result<TensorData, String> {
    fn tensor<T: Element>(values: Vec<T>, shape: Shape) -> Result<TensorData, String> {
        TensorData::from_vec(values, shape).map_err(|error| error.to_string())
    }
    let halves = || proto.int32_data.iter().map(|&bits| bits as u16);
    match ty.dtype {
        DType::I64 => int64(&proto.int64_data, ty.shape),
        DType::F32 => tensor(proto.float_data.clone(), ty.shape),
        DType::F64 => tensor(proto.double_data.clone(), ty.shape),
        DType::F16 => tensor(halves().map(half::f16::from_bits).collect(), ty.shape),
        DType::BF16 => tensor(halves().map(half::bf16::from_bits).collect(), ty.shape),
        DType::U32 => tensor(proto.uint64_data.iter().map(|&value| value as u32).collect(), ty.shape),
        DType::U8 => tensor(proto.int32_data.iter().map(|&value| value as u8).collect(), ty.shape),
        DType::Bool => {
            let values: Vec<bool> = proto.int32_data.iter().map(|&value| value != 0).collect();
            TensorData::from_bools(&values, ty.shape).map_err(|error| error.to_string())
        }
        _ => tensor(proto.int32_data.clone(), ty.shape),
    }
}

/// The file in which a tensor's values are stored, relative to the model's folder, where that is not the model's own.
pub(super) fn external_location(proto: &TensorProto) -> Option<&str> {
    let mut entries = proto.external_data.iter().filter(|_| proto.data_location == EXTERNAL);
    entries.find(|entry| entry.key == "location").map(|entry| &*entry.value)
}

/// Where values are in another file, as `external_data` says.
struct External<'a> {
    location: &'a str,
    offset: u64,
    bytes: usize,
}

impl<'a> External<'a> {
    fn of(proto: &'a TensorProto, bytes: usize) -> Result<Self, String> {
        let entry = |key: &str| proto.external_data.iter().find(|entry| entry.key == key).map(|entry| &*entry.value);
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("external {key} {text:?} is no number")),
        };
        let location = entry("location").ok_or("its data is external, but no location is named")?;
        if let Some(length) = number("length")?
            && length != bytes as u64
        {
            return Err(format!("its type takes {bytes} bytes, but {length} are said to be in {location:?}"));
        }
        Ok(Self { location, offset: number("offset")?.unwrap_or(0), bytes })
    }

    /// The file, in the model's folder and nowhere else, with enough bytes in it.
    fn open(&self, folder: Option<&Path>) -> Result<File, String> {
        let Self { location, offset, bytes } = self;
        let Some(folder) = folder else {
            return Err(format!("its data is in the file {location:?}, but the model has no folder"));
        };
        let relative = Path::new(location);
        let inside = !location.is_empty()
            && relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(format!("its data is in {location:?}, which is not inside the model's folder"));
        }
        let unreadable = |error: std::io::Error| format!("its data is in {location:?}, which cannot be read: {error}");
        let resolved: PathBuf = folder.join(relative).canonicalize().map_err(unreadable)?;
        if !resolved.starts_with(folder.canonicalize().map_err(unreadable)?) {
            return Err(format!("its data is in {location:?}, which leads out of the model's folder"));
        }
        // Asked before it is opened: opening a pipe would wait.
        let metadata = std::fs::metadata(&resolved).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(format!("its data is in {location:?}, which is no file"));
        }
        if offset.checked_add(*bytes as u64).is_none_or(|end| end > metadata.len()) {
            let length = metadata.len();
            return Err(format!(
                "its {bytes} bytes from {offset} on are not in {location:?}, which has {length} bytes"
            ));
        }
        File::open(&resolved).map_err(unreadable)
    }

    fn read(&self, folder: Option<&Path>) -> Result<Vec<u8>, String> {
        let mut file = self.open(folder)?;
        let mut values = vec![0; self.bytes];
        file.seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.read_exact(&mut values))
            .map_err(|error| format!("its data in {:?} cannot be read: {error}", self.location))?;
        Ok(values)
    }
}
