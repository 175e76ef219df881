//! Ctrl-C: the first asks the run to end cleanly, the second ends it at once.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The status of a program that a signal ended, as shells give it for SIGINT.
const INTERRUPTED: i32 = 130;

/// A flag that the first Ctrl-C (or SIGTERM) sets.
pub fn flag() -> Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&flag);
        let handler = move || {
            if shared.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            eprintln!("warning: Ctrl-C will end the run at once: {error}");
        }
        flag
    });
    Arc::clone(flag)
}
