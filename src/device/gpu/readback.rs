//! Values that are read back to the host: copied in the submission that computes them into a buffer that the host can map.
//! Those buffers are reused from a small pool, so that reading a loss at each step allocates nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use super::context::{GpuDevice, lock};
use super::submission::Submitted;
use crate::error::{Error, Result};
use crate::waiting::{Signal, block_on, may_wait};

/// The number of free buffers to retain for later reads.
const RETAINED: usize = 4;

/// Buffers for reading that are free.
#[derive(Default)]
pub(super) struct ReadbackPool {
    free: Mutex<Vec<wgpu::Buffer>>,
}

impl ReadbackPool {
    /// The smallest free buffer that is large enough, else a new one.
    fn take(&self, device: &GpuDevice, bytes: u64) -> Result<wgpu::Buffer> {
        {
            let mut free = lock(&self.free);
            let fitting = free.iter().enumerate().filter(|(_, buffer)| buffer.size() >= bytes);
            if let Some(index) = fitting.min_by_key(|(_, buffer)| buffer.size()).map(|(index, _)| index) {
                return Ok(free.swap_remove(index));
            }
        }
        // Powers of two, so that there are few sizes.
        let limit = device.adapter().limits.buffer_bytes;
        let size = bytes.checked_next_power_of_two().map_or(bytes, |power| power.clamp(4096, limit.max(bytes)));
        device.buffer("values for the host", size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    fn release(&self, buffer: wgpu::Buffer) {
        let mut free = lock(&self.free);
        free.push(buffer);
        if free.len() > RETAINED {
            // The largest is freed: one big read should not hold its memory for ever.
            let largest = free.iter().enumerate().max_by_key(|(_, buffer)| buffer.size()).map(|(index, _)| index);
            if let Some(index) = largest {
                free.swap_remove(index);
            }
        }
    }
}

/// What is read: a range of a buffer, its offset a multiple of four.
pub(super) struct Source<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

/// A read that is to be recorded with other commands.
pub(super) struct Readback {
    buffer: wgpu::Buffer,
    pieces: Vec<(u64, usize)>,
}

impl Readback {
    /// Room for ranges of these sizes in bytes.
    pub(super) fn new(device: &GpuDevice, sizes: impl Iterator<Item = usize>) -> Result<Self> {
        let mut end = 0;
        let mut pieces = Vec::new();
        for bytes in sizes {
            pieces.push((end, bytes));
            end += (bytes as u64).next_multiple_of(16);
        }
        Ok(Self { buffer: device.readbacks().take(device, end.max(16))?, pieces })
    }

    /// Copies the ranges, in the order of `sizes` in [`new`](Self::new).
    pub(super) fn record(&self, encoder: &mut wgpu::CommandEncoder, sources: &[Source<'_>]) {
        for (source, &(offset, bytes)) in sources.iter().zip(&self.pieces) {
            if bytes > 0 {
                let words = (bytes as u64).next_multiple_of(4);
                encoder.copy_buffer_to_buffer(source.buffer, source.offset, &self.buffer, offset, words);
            }
        }
    }

    /// Has the buffer mapped when an application submits the commands.
    pub(super) fn into_recorded(self, device: &GpuDevice, encoder: &wgpu::CommandEncoder) -> Ticket {
        let submission = Submitted::recorded();
        let arrival = GivenUp(Arc::clone(&submission.done));
        encoder.map_buffer_on_submit(&self.buffer, wgpu::MapMode::Read, .., move |outcome| {
            arrival.0.give(outcome.is_ok());
        });
        Ticket { device: device.clone(), buffer: Some(self.buffer), pieces: self.pieces, submission, attended: false }
    }

    /// Begins to map the buffer; to be called when the commands were submitted.
    pub(super) fn into_ticket(self, device: &GpuDevice, index: wgpu::SubmissionIndex) -> Ticket {
        let submission = Submitted::new(index);
        let arrival = Arc::clone(&submission.done);
        self.buffer.map_async(wgpu::MapMode::Read, .., move |outcome| arrival.give(outcome.is_ok()));
        Ticket { device: device.clone(), buffer: Some(self.buffer), pieces: self.pieces, submission, attended: false }
    }
}

/// Says no where nothing was said before it is dropped: the encoder was, without being submitted.
struct GivenUp(Arc<Signal>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.give(false);
    }
}

/// Reads in a submission of its own.
pub(super) fn read_back(device: &GpuDevice, sources: &[Source<'_>]) -> Result<Ticket> {
    let readback = Readback::new(device, sources.iter().map(|source| source.bytes))?;
    let ticket = device.guarded("reading buffers", |raw| {
        let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("readback") });
        readback.record(&mut encoder, sources);
        let submission = device.submit_unguarded(vec![encoder.finish()]);
        readback.into_ticket(device, submission)
    })?;
    device.tidy()?;
    Ok(ticket)
}

/// Values that will arrive. [`wait`](Self::wait) blocks for them; as a future it is woken when they are there. Dropping it
/// gives them up.
#[must_use = "the values are lost unless the ticket is waited for"]
pub struct Ticket {
    device: GpuDevice,
    buffer: Option<wgpu::Buffer>,
    pieces: Vec<(u64, usize)>,
    /// Its signal says whether the buffer was mapped.
    submission: Submitted,
    attended: bool,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ticket").field("arrived", &self.submission.done.outcome()).finish_non_exhaustive()
    }
}

impl Ticket {
    /// Waits for the values: the bytes of each range, in the order in which they were asked for.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn wait(self) -> Result<Vec<Vec<u8>>> {
        block_on(self)
    }

    /// Holds this thread up until the values are there.
    fn wait_here(&self) -> Result<()> {
        if let (false, Some(index)) = (self.is_ready(), &self.submission.index) {
            self.device.wait(index)?;
        }
        // Where another thread polled, its callback may be about to run.
        while !self.is_ready() {
            self.submission.done.wait_briefly(Duration::from_millis(5));
            self.device.tidy()?;
        }
        Ok(())
    }

    /// True where [`wait`](Self::wait) would not block, as far as is known.
    pub fn is_ready(&self) -> bool {
        self.submission.done.outcome().is_some()
    }

    /// The same, and asks the device first, without waiting.
    pub(crate) fn is_ready_now(&self) -> Result<bool> {
        if !self.is_ready() {
            self.device.tidy()?;
        }
        Ok(self.is_ready())
    }

    fn collect(&mut self) -> Result<Vec<Vec<u8>>> {
        let unread = || Error::Device("a value could not be read".to_owned());
        let buffer = self.buffer.take().ok_or_else(|| Error::Argument("these values were read already".to_owned()))?;
        if self.submission.done.outcome() != Some(true) {
            self.device.check()?;
            return Err(unread());
        }
        let values = self.device.guarded("reading a value", |_| {
            let view = buffer.get_mapped_range(..).ok()?;
            let piece = |&(offset, bytes): &(u64, usize)| {
                let piece = view.get(offset as usize..)?.get(..bytes)?;
                Some(piece.to_vec())
            };
            let values = self.pieces.iter().map(piece).collect::<Option<Vec<Vec<u8>>>>();
            drop(view);
            buffer.unmap();
            values
        })?;
        self.device.readbacks().release(buffer);
        values.ok_or_else(unread)
    }
}

impl Future for Ticket {
    type Output = Result<Vec<Vec<u8>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if may_wait() {
            self.wait_here()?;
        } else if self.submission.done.poll(context).is_pending() {
            if !self.attended {
                self.attended = true;
                self.device.poller().attend(&self.device, &self.submission)?;
            }
            return Poll::Pending;
        }
        Poll::Ready(self.collect())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            if self.submission.index.is_none() && !self.is_ready() {
                // An application may still submit the commands that map it: nobody else is to have it.
                return;
            }
            // Unmapping cancels what is under way; later copies into the buffer come after this one. An error means that
            // the device is lost, and the buffer with it.
            if self.device.guarded("giving up a value", |_| buffer.unmap()).is_ok() {
                self.device.readbacks().release(buffer);
            }
        }
    }
}
