//! The end of what was submitted, for those who await it.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::context::{GpuDevice, lock};
use crate::error::{Error, Result};
use crate::waiting::Signal;

/// Work that the GPU has, or had.
#[derive(Clone)]
pub(super) struct Submitted {
    /// Its number; none where an application submits it.
    pub(super) index: Option<wgpu::SubmissionIndex>,
    /// Given when it is done; with a no where that will never be.
    pub(super) done: Arc<Signal>,
}

impl Submitted {
    pub(super) fn new(index: wgpu::SubmissionIndex) -> Self {
        Self { index: Some(index), done: Arc::default() }
    }

    /// Work of which the application decides when it is submitted.
    pub(super) fn recorded() -> Self {
        Self { index: None, done: Arc::default() }
    }
}

/// wgpu's callbacks run only while somebody polls the device, and an executor of an application's does not. So a thread does, once there
/// is something to look after, until the device is gone. A browser calls back on its own.
#[derive(Default)]
pub(super) struct Poller(Mutex<Option<Sender<(GpuDevice, Submitted)>>>);

impl Poller {
    /// Sees to it that the signal of a submission is given.
    pub(super) fn attend(&self, device: &GpuDevice, submitted: &Submitted) -> Result<()> {
        if cfg!(target_family = "wasm") {
            return Ok(());
        }
        let mut sender = lock(&self.0);
        let task = (device.clone(), submitted.clone());
        let task = match sender.as_ref().map(|sender| sender.send(task.clone())) {
            Some(Ok(())) => return Ok(()),
            _ => task,
        };
        let (fresh, tasks) = channel::<(GpuDevice, Submitted)>();
        let poll = move || {
            for (device, submitted) in tasks {
                let waits = submitted.index.as_ref().filter(|_| submitted.done.outcome().is_none());
                if waits.is_some_and(|index| device.wait(index).is_err()) {
                    submitted.done.give(false);
                }
            }
        };
        let thread = thread::Builder::new().name("wgrad-poll".to_owned()).spawn(poll);
        thread.map_err(|error| Error::Device(format!("no thread to wait for the GPU: {error}")))?;
        // The thread was just started, and listens.
        let _ = fresh.send(task);
        *sender = Some(fresh);
        Ok(())
    }
}
