//! `wgrad devices`: every adapter and the CPU.

use wgrad::device::Instructions;

use crate::device;
use crate::failure::Result;
use crate::output::Output;

/// Lists them.
pub fn run(output: &mut Output) -> Result {
    Instructions::from_environment()?;
    let devices = device::list();
    for device in &devices {
        output.event(&device.event)?;
    }
    let rows: Vec<Vec<String>> = devices.into_iter().map(|device| device.cells).collect();
    output.table(&["<device", "<name", "<backend", "<kind", "<driver", "<features", "<limits"], &rows)
}
