//! What memory the host has: for the CPU device, and for GPUs that are software.

use crate::error::{Error, Result};

/// Checks that the host could hold a program and its variables, if it held nothing else. Systems promise more than they have, and end the
/// process that takes it.
///
/// # Errors
/// [`Error::OutOfMemory`] where it could not.
pub(super) fn check_host(planned: usize, variables: usize) -> Result<()> {
    match of_host() {
        Some(there) if planned.saturating_add(variables) as u64 > there => Err(Error::OutOfMemory(format!(
            "the program plans {planned} bytes of its own, beside {variables} of variables, and the host has {there}; a smaller batch \
             needs less"
        ))),
        _ => Ok(()),
    }
}

/// Bytes of memory that this process could have, where the system tells.
#[cfg(target_os = "linux")]
fn of_host() -> Option<u64> {
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    let machine = (info.totalram as u64).saturating_add(info.totalswap as u64).saturating_mul(unit);
    // A container may have less.
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    Some(container.fold(machine, u64::min))
}

#[cfg(not(target_os = "linux"))]
fn of_host() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_host_has_is_refused() {
        check_host(1000, 1000).unwrap();
        let error = check_host(usize::MAX, 1);
        assert_eq!(error.is_err(), cfg!(target_os = "linux"));
    }
}
