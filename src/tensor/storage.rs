//! Bytes on the host, aligned for every element type, so that views of them as values are free and safe.

use bytemuck::Pod;

/// A block of host memory, aligned to eight bytes and padded to a multiple of sixteen, read and written as a slice of any element type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    words: Vec<u64>,
    bytes: usize,
}

impl Storage {
    /// `bytes` bytes of zeros.
    pub fn zeroed(bytes: usize) -> Self {
        Self { words: vec![0; bytes.div_ceil(16) * 2], bytes }
    }

    /// `bytes` bytes of zeros, or nothing where the system has no room for them.
    pub fn try_zeroed(bytes: usize) -> Option<Self> {
        Vec::<u64>::new().try_reserve_exact(bytes.div_ceil(16).checked_mul(2)?).ok()?;
        Some(Self::zeroed(bytes))
    }

    /// A copy of the values.
    pub fn copy_of<T: Pod>(values: &[T]) -> Self {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let mut storage = Self::zeroed(bytes.len());
        storage.as_mut_slice::<u8>().copy_from_slice(bytes);
        storage
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// True where there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The bytes as elements of `T`; a rest that is no complete element is left out.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        bytemuck::cast_slice(&bytes[..self.bytes / size_of::<T>() * size_of::<T>()])
    }

    /// The same, to write.
    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        bytemuck::cast_slice_mut(&mut bytes[..self.bytes / size_of::<T>() * size_of::<T>()])
    }
}
