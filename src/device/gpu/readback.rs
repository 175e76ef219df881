//! Values that are read back to the host: copied in the submission that computes them into a buffer that the host can map.
//! Those buffers are reused from a small pool, so that reading a loss at each step allocates nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::context::{GpuDevice, lock};
use crate::error::{Error, Result};

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

    /// Begins to map the buffer; to be called when the commands were submitted.
    pub(super) fn into_ticket(self, device: &GpuDevice, submission: wgpu::SubmissionIndex) -> Ticket {
        let arrival = Arc::new(Arrival::default());
        let noted = Arc::clone(&arrival);
        self.buffer.map_async(wgpu::MapMode::Read, .., move |outcome| noted.note(outcome.is_ok()));
        Ticket {
            device: device.clone(),
            buffer: Some(self.buffer),
            pieces: self.pieces,
            submission,
            arrival,
            helped: false,
        }
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

/// Whether the buffer was mapped, told by wgpu's callback to whoever waits.
#[derive(Default)]
struct Arrival {
    state: Mutex<(Option<bool>, Option<Waker>)>,
    changed: Condvar,
}

impl Arrival {
    fn note(&self, is_mapped: bool) {
        let waker = {
            let mut state = lock(&self.state);
            // The first word counts: a helper that fails to wait speaks after the callback.
            state.0.get_or_insert(is_mapped);
            state.1.take()
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn get(&self) -> Option<bool> {
        lock(&self.state).0
    }
}

/// Values that will arrive. [`wait`](Self::wait) blocks for them; as a future it is woken when they are there. Dropping it
/// gives them up.
#[must_use = "the values are lost unless the ticket is waited for"]
pub struct Ticket {
    device: GpuDevice,
    buffer: Option<wgpu::Buffer>,
    pieces: Vec<(u64, usize)>,
    submission: wgpu::SubmissionIndex,
    arrival: Arc<Arrival>,
    helped: bool,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ticket").field("arrived", &self.arrival.get()).finish_non_exhaustive()
    }
}

impl Ticket {
    /// Waits for the values: the bytes of each range, in the order in which they were asked for.
    ///
    /// # Errors
    /// Where the device was lost.
    pub fn wait(mut self) -> Result<Vec<Vec<u8>>> {
        if self.arrival.get().is_none() {
            self.device.wait(&self.submission)?;
        }
        // Where another thread polled, its callback may be about to run.
        while self.arrival.get().is_none() {
            let state = lock(&self.arrival.state);
            if state.0.is_none() {
                drop(
                    self.arrival
                        .changed
                        .wait_timeout(state, Duration::from_millis(5))
                        .unwrap_or_else(PoisonError::into_inner),
                );
                self.device.tidy()?;
            }
        }
        self.collect()
    }

    /// True where [`wait`](Self::wait) would not block, as far as is known.
    pub fn is_ready(&self) -> bool {
        self.arrival.get().is_some()
    }

    fn collect(&mut self) -> Result<Vec<Vec<u8>>> {
        let unread = || Error::Device("a value could not be read".to_owned());
        let buffer = self.buffer.take().ok_or_else(|| Error::Argument("these values were read already".to_owned()))?;
        if self.arrival.get() != Some(true) {
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
        {
            let mut state = lock(&self.arrival.state);
            if state.0.is_none() {
                state.1 = Some(context.waker().clone());
            }
        }
        if self.arrival.get().is_some() {
            return Poll::Ready(self.collect());
        }
        if !self.helped {
            self.helped = true;
            // wgpu's callbacks run only while somebody polls the device, and an executor of the application's does not.
            let (device, submission) = (self.device.clone(), self.submission.clone());
            let arrival = Arc::clone(&self.arrival);
            let helper = std::thread::Builder::new().name("wgrad readback".to_owned()).spawn(move || {
                if device.wait(&submission).is_err() {
                    arrival.note(false);
                }
            });
            if let Err(error) = helper {
                return Poll::Ready(Err(Error::Device(format!("no thread to wait for the GPU: {error}"))));
            }
        }
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // Unmapping cancels what is under way; later copies into the buffer come after this one. An error means that
            // the device is lost, and the buffer with it.
            if self.device.guarded("giving up a value", |_| buffer.unmap()).is_ok() {
                self.device.readbacks().release(buffer);
            }
        }
    }
}
