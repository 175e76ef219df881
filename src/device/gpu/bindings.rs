//! What a program's buffers are on the device: memory of its own, the store's, or an application's instead.

use super::readback::Source;
use crate::compiler::Location;

/// A range that an application's buffer replaces.
#[derive(Clone)]
struct Replacement {
    location: Location,
    buffer: wgpu::Buffer,
}

/// Where each location is found.
#[derive(Clone)]
pub(super) struct Bindings {
    buffers: Vec<wgpu::Buffer>,
    replaced: Vec<Replacement>,
}

/// Bytes that a binding of a location covers: kernels may load vectors of four words, and an empty binding is not allowed.
pub(super) fn bound_bytes(location: &Location) -> u64 {
    (location.bytes as u64).max(1).next_multiple_of(16)
}

/// True where all of `inner` is within `outer`, its padding included.
fn contains(outer: &Location, inner: &Location) -> bool {
    outer.buffer == inner.buffer
        && outer.offset <= inner.offset
        && inner.offset as u64 + bound_bytes(inner) <= outer.offset as u64 + bound_bytes(outer)
}

/// True where two locations share a byte.
pub(super) fn overlap(left: &Location, right: &Location) -> bool {
    left.buffer == right.buffer
        && (left.offset as u64) < right.offset as u64 + bound_bytes(right)
        && (right.offset as u64) < left.offset as u64 + bound_bytes(left)
}

/// True where a range can be taken out of its buffer: whatever touches it stays within it.
pub(super) fn is_separate<'a>(range: &Location, mut all: impl Iterator<Item = &'a Location>) -> bool {
    all.all(|location| !overlap(range, location) || contains(range, location))
}

impl Bindings {
    pub(super) fn new(buffers: Vec<wgpu::Buffer>) -> Self {
        Self { buffers, replaced: Vec::new() }
    }

    /// The buffer of that index, whatever replaces parts of it.
    pub(super) fn buffer(&self, index: usize) -> Option<&wgpu::Buffer> {
        self.buffers.get(index)
    }

    /// Where a location is. `None` for a buffer that the program does not have.
    pub(super) fn resolve(&self, location: &Location) -> Option<Source<'_>> {
        let replacement = self.replaced.iter().find(|replacement| contains(&replacement.location, location));
        let (buffer, offset) = match replacement {
            Some(replacement) => (&replacement.buffer, location.offset - replacement.location.offset),
            None => (self.buffers.get(location.buffer)?, location.offset),
        };
        Some(Source { buffer, offset: offset as u64, bytes: location.bytes })
    }

    /// True where a buffer replaces some range.
    pub(super) fn holds(&self, buffer: &wgpu::Buffer) -> bool {
        self.replaced.iter().any(|replacement| replacement.buffer == *buffer)
    }

    /// Undoes the replacement of a range; false where there was none.
    pub(super) fn restore(&mut self, location: Location) -> bool {
        let before = self.replaced.len();
        self.replaced.retain(|replacement| replacement.location != location);
        self.replaced.len() < before
    }

    /// Replaces a range by a buffer.
    pub(super) fn replace(&mut self, location: Location, buffer: wgpu::Buffer) {
        self.replaced.retain(|replacement| replacement.location != location);
        self.replaced.push(Replacement { location, buffer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_separate_where_nothing_reaches_over_its_ends() {
        let at = |buffer, offset, bytes| Location { buffer, offset, bytes };
        let range = at(1, 256, 100);
        let separate = |others: &[Location]| is_separate(&range, others.iter());
        assert!(separate(&[at(1, 256, 100), at(1, 256, 4), at(1, 512, 4000), at(1, 0, 256), at(0, 0, 4096)]));
        assert!(separate(&[at(1, 256, 112)]), "padding belongs to the range");
        assert!(!separate(&[at(1, 256, 113)]));
        assert!(!separate(&[at(1, 0, 257)]));
    }
}
