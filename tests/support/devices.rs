//! The devices that a suite runs on: the CPU, and a GPU with all checks where there is an adapter, be it a software driver.

use std::io::Write;
use std::sync::OnceLock;

use wgrad::device::gpu::{Checks, Selection};
use wgrad::{Device, Error};

/// Every device that is there. The GPU is opened once for the whole test binary.
///
/// # Panics
/// Where no GPU opens and `WGRAD_REQUIRE_GPU` is set.
pub fn devices() -> Vec<Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let gpu = GPU.get_or_init(|| match Device::open(&Selection::Any, Checks::All) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("WGRAD_REQUIRE_GPU").is_none(), "a GPU is required: {error}");
            // Not by `eprintln`, which tests capture: who runs them is to know.
            let _ = writeln!(std::io::stderr(), "GPU tests skipped: {error}");
            None
        }
    });
    std::iter::once(Device::cpu()).chain(gpu.clone()).collect()
}

/// How many times a case's tolerance a device may use up: WGSL allows its functions more than the CPU's take.
pub fn slack(device: &Device) -> f64 {
    if device.is_cpu() { 1.0 } else { 8.0 }
}

/// True where the only trouble is that an operator cannot run on a GPU yet.
pub fn lacks_kernel(error: &Error) -> bool {
    error.to_string().contains("no GPU kernel")
}
