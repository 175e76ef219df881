//! The first thing that went wrong with a device. wgpu reports some errors where no caller waits for them: a device that
//! is lost, a submission that the driver refuses. They are kept, and each later call returns them.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

/// A device's state of health, shared with wgpu's callbacks.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    first: Arc<OnceLock<String>>,
}

impl Health {
    /// Keeps the first message; what follows from it is noise.
    pub(super) fn record(&self, message: String) {
        // An error means that one is kept already.
        let _ = self.first.set(message);
    }

    /// An error where one was recorded.
    pub(super) fn check(&self) -> Result<()> {
        match self.first.get() {
            Some(message) => Err(Error::Device(message.clone())),
            None => Ok(()),
        }
    }

    /// Has wgpu report here what it would otherwise panic with, and the loss of the device. Only for devices that the
    /// engine opened: an embedder's device keeps the embedder's callbacks.
    pub(super) fn watch(&self, device: &wgpu::Device) {
        let health = self.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| health.record(describe(&error))));
        let health = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            let reason = match reason {
                wgpu::DeviceLostReason::Destroyed => "it was destroyed",
                wgpu::DeviceLostReason::Unknown => "the driver gave it up",
            };
            let colon = if message.is_empty() { "" } else { ": " };
            health.record(format!("the GPU was lost; {reason}{colon}{message}"));
        });
    }
}

/// A message of wgpu's, whole: its causes follow on lines of their own.
pub(super) fn describe(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { .. } => "out of GPU memory".to_owned(),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            description.trim_end().to_owned()
        }
    }
}
