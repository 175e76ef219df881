//! wgpu's errors as this library's.

use crate::error::Error;

/// So that an application's function that returns [`Result`] can open its own adapter and device with `?`.
macro_rules! from_wgpu {
    ($($error:ident),*) => {
        $(
            impl From<wgpu::$error> for Error {
                fn from(error: wgpu::$error) -> Self {
                    Self::Device(error.to_string())
                }
            }
        )*
    };
}

from_wgpu!(RequestAdapterError, RequestDeviceError, CreateSurfaceError, BufferAsyncError, PollError);

impl From<wgpu::Error> for Error {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Self::OutOfMemory(source.to_string()),
            other => Self::Device(other.to_string()),
        }
    }
}
