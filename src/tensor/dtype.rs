//! Element types. Those of 16 bits are for storage; arithmetic on them is done in f32 and rounded when stored.

use std::fmt;

use bytemuck::Pod;
use half::{bf16, f16};

/// One more than the largest i64.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit IEEE float, the default.
    F32,
    /// 16-bit IEEE float; computed in f32.
    F16,
    /// 16-bit brain float; computed in f32.
    BF16,
    /// 64-bit IEEE float, for gradient checks. A GPU computes in f32 instead.
    F64,
    /// 32-bit signed integer: labels and indices.
    I32,
    /// 64-bit signed integer: the indices and shapes of other frameworks. A GPU computes in i32 instead.
    I64,
    /// 32-bit unsigned integer: random bits.
    U32,
    /// 8-bit unsigned integer: pixels. Storage only; cast before computing.
    U8,
    /// Truth value, a byte of 0 or 1.
    Bool,
}

impl DType {
    /// All of them, for tests and tables.
    pub const ALL: [Self; 9] =
        [Self::F32, Self::F16, Self::BF16, Self::F64, Self::I32, Self::I64, Self::U32, Self::U8, Self::Bool];

    /// Bytes an element.
    #[inline]
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::U8 | Self::Bool => 1,
        }
    }

    /// True for the four floating-point types.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }

    /// True for i32, i64, u32 and u8.
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::I32 | Self::I64 | Self::U32 | Self::U8)
    }

    /// The type in which arithmetic on this one is done: f32 for the 16-bit floats, u32 for u8, else itself.
    pub const fn compute(self) -> Self {
        match self {
            Self::F16 | Self::BF16 => Self::F32,
            Self::U8 => Self::U32,
            other => other,
        }
    }

    /// The type in which a GPU computes: i32 instead of i64 and f32 instead of f64, which it does not have; else itself.
    ///
    /// ```
    /// use wgrad::tensor::DType;
    /// assert_eq!([DType::I64, DType::F64, DType::F16].map(DType::narrowed), [DType::I32, DType::F32, DType::F16]);
    /// ```
    #[must_use]
    pub const fn narrowed(self) -> Self {
        match self {
            Self::I64 => Self::I32,
            Self::F64 => Self::F32,
            other => other,
        }
    }

    /// True where a number can be written in this type: any in a float type, rounded; others have no fractions and bounds.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::I32 => f64::from(value as i32) == value,
            // The bound itself is no i64, but what it saturates to rounds back to it.
            Self::I64 => value.fract() == 0.0 && (-TWO_TO_63..TWO_TO_63).contains(&value),
            Self::U32 => f64::from(value as u32) == value,
            Self::U8 => f64::from(value as u8) == value,
            Self::Bool => value == 0.0 || value == 1.0,
            _ => true,
        }
    }

    /// Lower-case name as in NumPy's short forms: `f32`, `bf16`, `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U32 => "u32",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A Rust type that is stored as a tensor element as it is. (`bool` is not among them: use
/// [`TensorData::from_bools`](super::TensorData::from_bools).)
pub trait Element: Pod + Default + PartialEq + fmt::Debug + Send + Sync {
    /// The matching element type.
    const DTYPE: DType;
    /// The value as f64, exact for every type but i64, whose values beyond 2⁵³ are rounded.
    fn to_f64(self) -> f64;
    /// The value in this type: rounded to floats; integers truncate and saturate (NaN gives 0).
    fn from_f64(value: f64) -> Self;
}

macro_rules! element {
    ($($rust:ty => $dtype:ident, $to:expr, $from:expr;)*) => {
        $(impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
            fn to_f64(self) -> f64 { ($to)(self) }
            fn from_f64(value: f64) -> Self { ($from)(value) }
        })*
    };
}

element! {
    f32 => F32, f64::from, |x| x as f32;
    f64 => F64, |x| x, |x| x;
    f16 => F16, |x: f16| x.to_f64(), |x| f16::from_f32(x as f32);
    bf16 => BF16, |x: bf16| x.to_f64(), |x| bf16::from_f32(x as f32);
    i32 => I32, f64::from, |x| x as i32;
    i64 => I64, |x| x as f64, |x| x as i64;
    u32 => U32, f64::from, |x| x as u32;
    u8 => U8, f64::from, |x| x as u8;
}
