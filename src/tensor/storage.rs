//! Bytes on the host, aligned for every element type, so that views of them as values are free and safe.

use bytemuck::Pod;

/// Bytes that a block is aligned to: a cache line, and the widest vectors that processors have. One that crosses lines is read as two.
const ALIGNMENT: usize = 64;

/// A block of host memory, aligned to 64 bytes, read and written as a slice of any element type.
#[derive(Debug, Default)]
pub struct Storage {
    words: Vec<u64>,
    /// The first word that is aligned. Systems give zeros for less than aligned zeros, so the words before it are left unused.
    first: usize,
    bytes: usize,
}

impl Storage {
    /// `bytes` bytes of zeros.
    pub fn zeroed(bytes: usize) -> Self {
        if bytes == 0 {
            return Self::default();
        }
        let words = vec![0_u64; Self::words(bytes)];
        // Where an address cannot be told, any will do.
        let first = words.as_ptr().align_offset(ALIGNMENT);
        let first = if first < ALIGNMENT / size_of::<u64>() { first } else { 0 };
        Self { words, first, bytes }
    }

    /// Words that have room for as many aligned bytes.
    const fn words(bytes: usize) -> usize {
        bytes.div_ceil(size_of::<u64>()).saturating_add(ALIGNMENT / size_of::<u64>() - 1)
    }

    /// `bytes` bytes of zeros, or nothing where the system has no room for them.
    pub fn try_zeroed(bytes: usize) -> Option<Self> {
        Vec::<u64>::new().try_reserve_exact(Self::words(bytes)).ok()?;
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
        let bytes: &[u8] = bytemuck::cast_slice(&self.words[self.first..]);
        bytemuck::cast_slice(&bytes[..self.bytes / size_of::<T>() * size_of::<T>()])
    }

    /// The same, to write.
    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words[self.first..]);
        bytemuck::cast_slice_mut(&mut bytes[..self.bytes / size_of::<T>() * size_of::<T>()])
    }
}

impl Clone for Storage {
    fn clone(&self) -> Self {
        Self::copy_of(self.as_slice::<u8>())
    }
}

impl PartialEq for Storage {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice::<u8>() == other.as_slice::<u8>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_aligned_and_a_copy_is_equal() {
        for bytes in [0, 1, 7, 8, 16, 63, 64, 65, 1000, 1 << 20] {
            let mut storage = Storage::zeroed(bytes);
            assert_eq!(storage.as_slice::<u8>(), vec![0; bytes]);
            storage.as_mut_slice::<u8>().iter_mut().zip(1..).for_each(|(byte, value): (_, u32)| *byte = value as u8);
            let copy = storage.clone();
            assert_eq!((copy.len(), &copy), (bytes, &storage));
            assert_eq!(copy.as_slice::<f64>().len(), bytes / 8);
            for block in [&storage, &copy].into_iter().filter(|block| !block.is_empty()) {
                assert_eq!(block.as_slice::<u8>().as_ptr().align_offset(ALIGNMENT), 0);
            }
            if let Some(last) = storage.as_mut_slice::<u8>().last_mut() {
                *last = last.wrapping_add(1);
                assert_ne!(copy, storage);
            }
        }
        assert!(Storage::try_zeroed(usize::MAX / 2).is_none());
    }
}
