//! What a call costs the thread that makes it.

use crate::clock::Instant;

use crate::error::Result;

/// Seconds of processor time that the calling thread spends in a call; what it waits for, and what others do meanwhile, is not in
/// it. `None` where the system has no such clock.
pub(super) fn processor_time(work: impl FnOnce() -> Result<()>) -> Result<Option<f64>> {
    let start = thread_seconds();
    work()?;
    Ok(start.zip(thread_seconds()).map(|(start, end)| end - start))
}

/// Seconds that pass in a call.
pub(super) fn wall(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(unix)]
fn thread_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

#[cfg(not(unix))]
fn thread_seconds() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn work_counts_and_waiting_does_not() {
        let waited = processor_time(|| {
            std::thread::sleep(std::time::Duration::from_millis(30));
            Ok(())
        });
        let waited = waited.unwrap().unwrap();
        let mut sum = 0_u64;
        let worked = processor_time(|| {
            let start = Instant::now();
            while start.elapsed().as_millis() < 100 {
                sum = std::hint::black_box(sum + 1);
            }
            Ok(())
        });
        let worked = worked.unwrap().unwrap();
        assert!(worked > 0.0 && waited < 0.02, "{worked} s at work, {waited} s while waiting");
    }
}
