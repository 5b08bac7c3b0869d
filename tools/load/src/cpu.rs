//! What a process, and the machine, have burnt: user and system time of all threads, from the scheduler
//! (`benches/adr/0002-cpu-is-of-all-threads.md`).

use std::time::Duration;

use anyhow::Context;

/// User plus system time of all living threads of process `pid` since its start.
///
/// # Errors
/// If there is no such process.
pub fn process(pid: u32) -> anyhow::Result<Duration> {
    // schedstat counts the scheduler's nanoseconds; /proc/PID/stat rounds them to ticks of 10 ms.
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))? {
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        total += text.split_whitespace().next().context("a first field")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// What every process of the machine, the kernel's own threads among them, has spent since its start.
///
/// The `cpu` line of /proc/stat samples at the timer's tick, and misses work that is itself woken by a timer: measured
/// here, five sixths of a paced load.
///
/// # Errors
/// If /proc cannot be read.
pub fn machine() -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // A process that ended since the listing has no time any more.
        total += pid.and_then(|pid| process(pid).ok()).unwrap_or_default();
    }
    Ok(total)
}

/// Lets process `pid` (0 is this thread) run on core `core` alone.
///
/// # Errors
/// The kernel's refusal.
pub fn pin(pid: u32, core: usize) -> anyhow::Result<()> {
    // SAFETY: cpu_set_t is a plain bit set for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid, and CPU_SET ignores a core beyond the set's size.
    unsafe { libc::CPU_SET(core, &mut set) };
    let pid = libc::pid_t::try_from(pid).context("a process id")?;
    // SAFETY: the pointer and the size are those of `set`, which outlives the call.
    let result = unsafe { libc::sched_setaffinity(pid, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()).context(format!("core {core}")) }
}
