//! What this process took of memory and of the processor, as the kernel counts it.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Processor time of this thread. A busy machine makes a process wait; this clock does not tick
/// then.
///
/// # Errors
/// The kernel's clock is beyond counting.
pub(crate) fn thread_time() -> Result<Duration, Failure> {
    time_of(ClockId::ThreadCPUTime)
}

/// Processor time of all threads.
///
/// # Errors
/// The kernel's clock is beyond counting.
pub(crate) fn process_time() -> Result<Duration, Failure> {
    time_of(ClockId::ProcessCPUTime)
}

fn time_of(clock: ClockId) -> Result<Duration, Failure> {
    let time = clock_gettime(clock);
    Ok(Duration::new(
        u64::try_from(time.tv_sec)?,
        u32::try_from(time.tv_nsec)?,
    ))
}

/// Forgets the peak, so that [`peak_kib`] says what came after.
///
/// # Errors
/// The kernel does not let us.
pub(crate) fn forget_peak() -> Result<(), Failure> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// Resident memory now, in KiB.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn resident_kib() -> Result<u64, Failure> {
    status("VmRSS:")
}

/// The most there was since [`forget_peak`], in KiB.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn peak_kib() -> Result<u64, Failure> {
    status("VmHWM:")
}

fn status(name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no such line in /proc/self/status")?.parse()?)
}
