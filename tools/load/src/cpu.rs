//! What a process, and the machine, have burnt: user and system time of all threads, from /proc.

use std::time::Duration;

use anyhow::Context;

/// The kernel's clock ticks per second in /proc: fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// User plus system time of all threads of process `pid` since its start.
///
/// # Errors
/// If there is no such process.
pub fn process(pid: u32) -> anyhow::Result<Duration> {
    // schedstat counts in nanoseconds, stat in ticks of 10 ms; the threads that have ended are in stat alone.
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let fields = stat.rsplit_once(')').context("/proc/PID/stat has a name in brackets")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> anyhow::Result<u64> { Ok(fields.get(index).context("a field")?.parse()?) };
    let total = ticks(11)? + ticks(12)?;
    Ok(Duration::from_millis(total * 1000 / TICKS_PER_SECOND))
}

/// Busy time of the whole machine since its start: everything but idle and waiting for the disk.
///
/// # Errors
/// If /proc cannot be read.
pub fn machine() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat has a first line")?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, v)| v).sum();
    Ok(Duration::from_millis(busy * 1000 / TICKS_PER_SECOND))
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
