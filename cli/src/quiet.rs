//! Keeps drivers from writing to stderr, where one line of ours is the contract.

/// Mesa's layer for choosing a device looks for a Wayland display whenever adapters are listed, and complains on stderr
/// where there is no session to have one, as in a container. The engine ranks adapters itself and can do without.
#[allow(unsafe_code, reason = "no other thread runs yet that could read the environment meanwhile")]
pub fn hush_drivers() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: called first thing in `main`, before there is a second thread.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
