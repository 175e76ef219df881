//! Tells on a terminal that kernels are being compiled, which takes software drivers a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use wgrad::Device;

/// What takes no longer is not worth a line.
const PATIENCE: Duration = Duration::from_millis(300);

/// A compilation under way.
#[derive(Default)]
struct Shown {
    begun: Option<Instant>,
    is_shown: bool,
}

/// A handle to the device that keeps a line on stderr up to date while it compiles; where stderr is no terminal, the device as it is.
pub fn shown(device: &Device) -> Device {
    let terminal = Term::stderr();
    if !terminal.is_term() {
        return device.clone();
    }
    let shown = Mutex::new(Shown::default());
    device.on_compiling(move |compiling| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = *shown.begun.get_or_insert_with(Instant::now);
        let is_done = compiling.done >= compiling.all;
        if shown.is_shown {
            // A terminal that went away is no reason to stop.
            let _ = terminal.clear_line();
        }
        if is_done {
            *shown = Shown::default();
        } else if begun.elapsed() > PATIENCE {
            let share = 100 * compiling.done / compiling.all.max(1);
            shown.is_shown = terminal.write_str(&format!("compiling kernels: {share} %")).is_ok();
        }
    })
}
