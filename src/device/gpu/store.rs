//! Buffers that outlive programs: parameters, optimizer state, data sets. Programs of one store share them.

use super::context::GpuDevice;
use super::readback::{Readback, Source, Ticket, read_back};
use crate::error::{Error, Result};

/// What a buffer that kernels and copies use must allow.
pub(super) const USAGES: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// Buffers on a device, by index; a clone has the same buffers. Adding and writing never waits for the GPU; reading does.
#[derive(Clone, Debug)]
pub struct GpuStore {
    device: GpuDevice,
    buffers: Vec<wgpu::Buffer>,
    /// What replaces all that were cleared.
    empty: Option<wgpu::Buffer>,
}

impl GpuStore {
    /// A store without buffers.
    pub fn new(device: &GpuDevice) -> Self {
        Self { device: device.clone(), buffers: Vec::new(), empty: None }
    }

    /// A buffer of zeros, its size rounded up to sixteen bytes; returns its index.
    ///
    /// # Errors
    /// Where the device does not allow that size, or has no memory left.
    pub fn add(&mut self, bytes: usize) -> Result<usize> {
        let buffer = self.device.buffer("variables", bytes as u64, USAGES)?;
        self.buffers.push(buffer);
        Ok(self.buffers.len() - 1)
    }

    /// A buffer of the application's; returns its index. It must belong to the same device.
    ///
    /// # Errors
    /// Where it lacks one of the usages `STORAGE`, `COPY_SRC` and `COPY_DST`.
    pub fn add_external(&mut self, buffer: wgpu::Buffer) -> Result<usize> {
        require(&buffer, "the buffer", USAGES, 0)?;
        self.buffers.push(buffer);
        Ok(self.buffers.len() - 1)
    }

    /// Removes the buffers from an index on.
    pub fn truncate(&mut self, buffers: usize) {
        self.buffers.truncate(buffers);
    }

    /// Frees a buffer's memory, once nothing that was submitted needs it; its index stays.
    ///
    /// # Errors
    /// Where there is none of that index, or the device was lost.
    pub fn clear(&mut self, index: usize) -> Result<()> {
        self.buffer(index)?;
        let empty = match self.empty.take() {
            Some(empty) => empty,
            None => self.device.buffer("empty", 0, USAGES)?,
        };
        if let Some(buffer) = self.buffers.get_mut(index) {
            *buffer = empty.clone();
        }
        self.empty = Some(empty);
        Ok(())
    }

    /// Number of buffers.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// A buffer, to be used by other work on the same device.
    ///
    /// # Errors
    /// Where there is none of that index.
    pub fn buffer(&self, index: usize) -> Result<&wgpu::Buffer> {
        let count = self.buffers.len();
        self.buffers
            .get(index)
            .ok_or_else(|| Error::Argument(format!("the store has {count} buffers, but number {index} was asked for")))
    }

    /// Writes after everything that was submitted before. `offset` is a multiple of four; where the number of bytes is
    /// none, the rest of the last word becomes zero.
    ///
    /// # Errors
    /// Where the bytes do not fit, or the device was lost.
    pub fn write(&self, index: usize, offset: usize, bytes: &[u8]) -> Result<()> {
        let buffer = self.buffer(index)?;
        within(buffer, offset, bytes.len())?;
        self.device.write(buffer, offset as u64, bytes)
    }

    /// Reads what everything submitted before leaves, and waits for it.
    ///
    /// # Errors
    /// Where the range is not within its buffer, or the device was lost.
    pub fn read(&self, index: usize, offset: usize, bytes: usize) -> Result<Vec<u8>> {
        let mut values = self.start_read(&[(index, offset, bytes)])?.wait()?;
        Ok(values.pop().unwrap_or_default())
    }

    /// Begins to read several ranges, each a buffer, an offset and a number of bytes. The ticket can be awaited.
    ///
    /// # Errors
    /// Where the range is not within its buffer, or the device was lost.
    pub fn start_read(&self, ranges: &[(usize, usize, usize)]) -> Result<Ticket> {
        read_back(&self.device, &self.sources(ranges)?)
    }

    /// The same, of what the commands before it in an application's encoder leave. The values arrive once that was submitted.
    ///
    /// # Errors
    /// As of [`start_read`](Self::start_read).
    pub(crate) fn record_read(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        ranges: &[(usize, usize, usize)],
    ) -> Result<Ticket> {
        let sources = self.sources(ranges)?;
        let readback = Readback::new(&self.device, sources.iter().map(|source| source.bytes))?;
        readback.record(encoder, &sources);
        Ok(readback.into_recorded(&self.device, encoder))
    }

    fn sources(&self, ranges: &[(usize, usize, usize)]) -> Result<Vec<Source<'_>>> {
        let source = |&(index, offset, bytes): &(usize, usize, usize)| {
            let buffer = self.buffer(index)?;
            within(buffer, offset, bytes)?;
            Ok(Source { buffer, offset: offset as u64, bytes })
        };
        ranges.iter().map(source).collect()
    }
}

/// Checks a range of a buffer.
fn within(buffer: &wgpu::Buffer, offset: usize, bytes: usize) -> Result<()> {
    // Whole words are copied.
    let end = offset.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(4));
    if !offset.is_multiple_of(4) || end.is_none_or(|end| end as u64 > buffer.size()) {
        return Err(Error::Argument(format!(
            "{bytes} bytes at offset {offset} are not within a buffer of {} bytes at a multiple of four",
            buffer.size()
        )));
    }
    Ok(())
}

/// Checks that an application's buffer can be used for a purpose.
pub(super) fn require(buffer: &wgpu::Buffer, what: &str, usages: wgpu::BufferUsages, bytes: u64) -> Result<()> {
    let missing = usages - buffer.usage();
    if !missing.is_empty() {
        return Err(Error::Argument(format!("{what} needs the usages {usages:?}, but lacks {missing:?}")));
    }
    if buffer.size() < bytes {
        return Err(Error::Argument(format!("{what} needs {bytes} bytes, but has {}", buffer.size())));
    }
    Ok(())
}
