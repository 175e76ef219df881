//! Tensor values on the host: what goes into a graph as a constant or an input, and what comes out.

use half::{bf16, f16};

use super::{DType, Element, Shape, Storage, TensorType};
use crate::error::{Error, Result};

/// A tensor's values on the host, row-major.
///
/// ```
/// use wgrad::tensor::TensorData;
/// let images = TensorData::from_vec(vec![0.0_f32; 6], [2, 3])?;
/// assert_eq!(images.shape().dims(), [2, 3]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct TensorData {
    ty: TensorType,
    storage: Storage,
}

impl TensorData {
    /// Values of any element type in row-major order.
    ///
    /// # Errors
    /// Where the number of values is not the product of the extents.
    pub fn from_vec<T: Element>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Self> {
        Self::from_slice(&values, shape)
    }

    /// As [`from_vec`](Self::from_vec), from a slice.
    ///
    /// # Errors
    /// Where the number of values is not the product of the extents.
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>) -> Result<Self> {
        let ty = TensorType::new(T::DTYPE, shape);
        if ty.len() != values.len() {
            return Err(Error::Data(format!(
                "shape {} holds {} elements, but {} values were given",
                ty.shape,
                ty.len(),
                values.len()
            )));
        }
        Ok(Self { ty, storage: Storage::copy_of(values) })
    }

    /// Booleans, of the type [`DType::Bool`].
    ///
    /// # Errors
    /// Where the number of values is not the product of the extents.
    pub fn from_bools(values: &[bool], shape: impl Into<Shape>) -> Result<Self> {
        let bytes: Vec<u8> = values.iter().map(|&value| u8::from(value)).collect();
        let mut data = Self::from_vec(bytes, shape)?;
        data.ty.dtype = DType::Bool;
        Ok(data)
    }

    /// A single value, of shape `[]`.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self { ty: TensorType::new(T::DTYPE, []), storage: Storage::copy_of(&[value]) }
    }

    /// All zeros (false).
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Self {
        let ty = TensorType::new(dtype, shape);
        let storage = Storage::zeroed(ty.bytes());
        Self { ty, storage }
    }

    /// Values computed in f64 and converted to `dtype`: rounded to floats; for integers truncated, and saturated where they are out of
    /// range (NaN gives 0); for booleans, all but 0 is true.
    ///
    /// # Errors
    /// Where the number of values is not the product of the extents.
    pub fn from_f64(dtype: DType, values: &[f64], shape: impl Into<Shape>) -> Result<Self> {
        fn convert<T: Element>(values: &[f64], shape: Shape) -> Result<TensorData> {
            TensorData::from_vec(values.iter().map(|&value| T::from_f64(value)).collect(), shape)
        }
        let shape = shape.into();
        match dtype {
            DType::F32 => convert::<f32>(values, shape),
            DType::F64 => convert::<f64>(values, shape),
            DType::F16 => convert::<f16>(values, shape),
            DType::BF16 => convert::<bf16>(values, shape),
            DType::I32 => convert::<i32>(values, shape),
            DType::I64 => convert::<i64>(values, shape),
            DType::U32 => convert::<u32>(values, shape),
            DType::U8 => convert::<u8>(values, shape),
            DType::Bool => Self::from_bools(&values.iter().map(|&value| value != 0.0).collect::<Vec<_>>(), shape),
        }
    }

    /// From a type and raw little-endian bytes, as in a file.
    ///
    /// # Errors
    /// Where the number of bytes does not fit the type.
    pub fn from_bytes(ty: TensorType, bytes: &[u8]) -> Result<Self> {
        if bytes.len() != ty.bytes() {
            return Err(Error::Data(format!("{ty} takes {} bytes, but {} were given", ty.bytes(), bytes.len())));
        }
        if ty.dtype == DType::Bool
            && let Some(byte) = bytes.iter().find(|&&byte| byte > 1)
        {
            return Err(Error::Data(format!("a bool is a byte of 0 or 1, not {byte}")));
        }
        Ok(Self { ty, storage: Storage::copy_of(bytes) })
    }

    /// Element type and shape.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.ty.len()
    }

    /// True where there are no elements.
    pub fn is_empty(&self) -> bool {
        self.ty.is_empty()
    }

    /// The raw bytes, little-endian, row-major.
    pub fn bytes(&self) -> &[u8] {
        self.storage.as_slice()
    }

    /// The memory itself.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The values as a slice of their own type.
    ///
    /// # Errors
    /// Where `T` is not the element type.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        if T::DTYPE != self.ty.dtype {
            return Err(Error::Data(format!("the values are {}, not {}", self.ty.dtype, T::DTYPE)));
        }
        Ok(self.storage.as_slice())
    }

    /// The values as a vector of their own type.
    ///
    /// # Errors
    /// Where `T` is not the element type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        Ok(self.as_slice::<T>()?.to_vec())
    }

    /// All values as f64, whatever their type (true is 1). Values of i64 beyond 2⁵³ are rounded.
    pub fn to_f64_vec(&self) -> Vec<f64> {
        fn widen<T: Element>(storage: &Storage) -> Vec<f64> {
            storage.as_slice::<T>().iter().map(|&value| value.to_f64()).collect()
        }
        match self.ty.dtype {
            DType::F32 => widen::<f32>(&self.storage),
            DType::F64 => widen::<f64>(&self.storage),
            DType::F16 => widen::<f16>(&self.storage),
            DType::BF16 => widen::<bf16>(&self.storage),
            DType::I32 => widen::<i32>(&self.storage),
            DType::I64 => widen::<i64>(&self.storage),
            DType::U32 => widen::<u32>(&self.storage),
            DType::U8 | DType::Bool => widen::<u8>(&self.storage),
        }
    }

    /// The single value of a one-element tensor, as f64.
    ///
    /// # Errors
    /// Where there is not exactly one element.
    pub fn item(&self) -> Result<f64> {
        match self.to_f64_vec()[..] {
            [value] => Ok(value),
            _ => Err(Error::Data(format!("{} is not a single value", self.ty))),
        }
    }

    /// The same values in another element type, as [`from_f64`](Self::from_f64) converts them: integer types truncate and saturate, while
    /// [`Tensor::cast`](crate::graph::Tensor::cast) keeps the lower bits between integers.
    ///
    /// # Errors
    /// Never for a tensor that exists; the signature keeps the call chainable.
    pub fn cast(&self, dtype: DType) -> Result<Self> {
        if dtype == self.ty.dtype {
            return Ok(self.clone());
        }
        if (self.ty.dtype, dtype) == (DType::I64, DType::F32) {
            // Through f64 it would be rounded twice.
            let values = self.as_slice::<i64>()?.iter().map(|&value| value as f32).collect();
            return Self::from_vec::<f32>(values, self.ty.shape.clone());
        }
        Self::from_f64(dtype, &self.to_f64_vec(), self.ty.shape.clone())
    }

    /// With an axis of extent 1 inserted before `axis`, which may be the rank; negative ones count from the end, as for
    /// [`Tensor::unsqueeze`](crate::graph::Tensor::unsqueeze). So an example becomes a batch of one: `example.unsqueeze(0)`.
    ///
    /// # Errors
    /// Where `axis` is out of range.
    pub fn unsqueeze(self, axis: isize) -> Result<Self> {
        let mut dims = self.shape().to_vec();
        let position = if axis < 0 { axis + dims.len() as isize + 1 } else { axis };
        match usize::try_from(position).ok().filter(|&position| position <= dims.len()) {
            Some(position) => {
                dims.insert(position, 1);
                self.reshape(dims)
            }
            None => Err(Error::Argument(format!("axis {axis} is out of range for shape {}", self.ty.shape))),
        }
    }

    /// The same values under another shape.
    ///
    /// # Errors
    /// Where the number of elements differs.
    pub fn reshape(mut self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        if shape.len() != self.len() {
            return Err(Error::Data(format!("{} cannot be reshaped to {shape}", self.ty)));
        }
        self.ty.shape = shape;
        Ok(self)
    }
}
