//! What wgpu reports of a call: at once where it runs in this process, later in a browser.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use super::context::lock;
use super::health::What;
use crate::error::{Error, Result};

/// A report that has not come yet.
type Report = Pin<Box<dyn Future<Output = Option<Error>> + Send>>;

/// Reports that are on their way.
#[derive(Default)]
pub(super) struct Reports(Mutex<Vec<Report>>);

/// Catches what is reported of the calls that are made while it is open.
pub(super) struct Scopes([wgpu::ErrorScopeGuard; 3]);

impl Scopes {
    pub(super) fn open(device: &wgpu::Device) -> Self {
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        Self([memory, internal, device.push_error_scope(wgpu::ErrorFilter::Validation)])
    }

    /// The first error, if it is known; else it is told by [`Reports::all`].
    pub(super) fn close(self, reports: &Reports, what: What<'_>, device: &str) -> Option<Error> {
        let [memory, internal, validation] = self.0;
        let (validation, internal, memory) = (validation.pop(), internal.pop(), memory.pop());
        // A buffer that could not be allocated is invalid to use: its lack of memory is the cause of the rest.
        let all = async move {
            let later = [validation.await, internal.await];
            memory.await.or_else(|| later.into_iter().flatten().next_back())
        };
        if cfg!(not(target_family = "wasm")) {
            // Outside of browsers they are there at once.
            return pollster::block_on(all).map(|error| what.failed(&error, device));
        }
        let (what, device) = (what.into_owned(), device.to_owned());
        lock(&reports.0).push(Box::pin(async move { all.await.map(|error| what.of().failed(&error, &device)) }));
        None
    }
}

impl Reports {
    /// Waits for all reports so far.
    pub(super) async fn all(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *lock(&self.0));
        let mut first = None;
        for report in waiting {
            let error = report.await;
            first = first.or(error);
        }
        first.map_or(Ok(()), Err)
    }
}
