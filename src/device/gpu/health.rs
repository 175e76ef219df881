//! What went wrong with a device for good. Losing it is one state: whoever meets it first records it, and every later call returns it.
//! wgpu also reports some errors where no caller waits for them, which are stored in the same way.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

/// A device's state of health, shared with wgpu's callbacks.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    lost: Arc<OnceLock<String>>,
    first: Arc<OnceLock<Error>>,
}

impl Health {
    /// Keeps the first error; what follows from it is noise.
    fn record(&self, error: Error) {
        // An error means that one is stored already.
        let _ = self.first.set(error);
    }

    /// The device is gone. The first to say so tells why.
    pub(super) fn lose(&self, why: &str) -> Error {
        Error::DeviceLost(self.lost.get_or_init(|| why.to_owned()).clone())
    }

    /// An error where one was recorded.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(why) = self.lost.get() {
            return Err(Error::DeviceLost(why.clone()));
        }
        self.first.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Has wgpu report here what it would otherwise panic with, and the loss of the device. Only for devices that the
    /// engine opened: an embedder's device keeps the embedder's callbacks.
    pub(super) fn watch(&self, device: &wgpu::Device, name: &str) {
        let (health, owner) = (self.clone(), name.to_owned());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            health.record(What::Task("a task").failed(&error, &owner))
        }));
        let (health, owner) = (self.clone(), name.to_owned());
        device.set_device_lost_callback(move |reason, message| {
            let reason = match reason {
                wgpu::DeviceLostReason::Destroyed => "it was destroyed",
                wgpu::DeviceLostReason::Unknown => "the driver gave it up",
            };
            let colon = if message.is_empty() { "" } else { ": " };
            health.lose(&format!("{owner}; {reason}{colon}{message}"));
        });
    }
}

/// What was being done.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Task(&'a str),
    /// A kernel of this name was being compiled.
    Kernel(&'a str),
}

impl What<'_> {
    /// An error of wgpu's in the engine's terms.
    pub(super) fn failed(self, error: &wgpu::Error, device: &str) -> Error {
        match (error, self) {
            (wgpu::Error::OutOfMemory { .. }, Self::Task(what)) => Error::OutOfMemory(format!("{what}, on {device}")),
            (wgpu::Error::OutOfMemory { .. }, Self::Kernel(name)) => {
                Error::OutOfMemory(format!("kernel {name}, on {device}"))
            }
            (wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. }, what) => {
                let message = in_short(description);
                match what {
                    Self::Task(what) => Error::Device(format!("{what}: {message}")),
                    Self::Kernel(kernel) => {
                        Error::Shader { kernel: kernel.to_owned(), device: device.to_owned(), message }
                    }
                }
            }
        }
    }

    /// For a report that comes later.
    pub(super) fn into_owned(self) -> Owned {
        match self {
            Self::Task(what) => Owned(what.to_owned(), false),
            Self::Kernel(name) => Owned(name.to_owned(), true),
        }
    }
}

/// A [`What`] of its own; whether it is a kernel.
pub(super) struct Owned(String, bool);

impl Owned {
    pub(super) fn of(&self) -> What<'_> {
        if self.1 { What::Kernel(&self.0) } else { What::Task(&self.0) }
    }
}

/// What a message of wgpu's says of the matter: without the function that was called, and without the names of buffers inside the engine.
pub(super) fn in_short(description: &str) -> String {
    let lines = description.lines().map(str::trim_end).filter(|line| {
        let line = line.trim_start();
        let is_frame = ["Validation Error", "Internal Error", "Caused by:"].contains(&line)
            || ["In Device::", "In Queue::", "In a ", "In CommandEncoder::"]
                .iter()
                .any(|start| line.starts_with(start));
        !line.is_empty() && !is_frame
    });
    without_labels(lines.collect::<Vec<_>>().join("\n").trim())
}

/// `Buffer with 'x' label` is a buffer 'x'.
fn without_labels(text: &str) -> String {
    let mut parts = text.split("with '");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("' label") {
            Some((name, rest)) => all.extend(["'", name, "'", rest]),
            None => all.extend(["with '", part]),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_stays_lost_for_one_reason() {
        let health = Health::default();
        assert!(health.check().is_ok());
        health.record(Error::Device("something".into()));
        assert!(matches!(health.check(), Err(Error::Device(_))));
        let first = health.clone().lose("A; it was destroyed").to_string();
        assert_eq!(health.lose("later").to_string(), first);
        assert!(health.check().is_err_and(|error| matches!(error, Error::DeviceLost(_)) && error.to_string() == first));
    }

    #[test]
    fn messages_leave_out_what_is_wgpus() {
        let text = "Validation Error\n\nCaused by:\n  In Queue::submit\n    Buffer with 'readback' label is invalid\n";
        assert_eq!(in_short(text), "Buffer 'readback' is invalid");
    }
}
