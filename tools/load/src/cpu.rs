//! What a process, and the machine, have burnt: user and system time of all threads, from the scheduler
//! (`benches/adr/0002-cpu-is-of-all-threads.md`).

use std::time::{Duration, Instant};

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

/// A moment from which the whole machine is watched.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    at: Instant,
    idle: Duration,
}

impl Machine {
    /// Now.
    ///
    /// # Errors
    /// If /proc cannot be read.
    pub fn watch() -> anyhow::Result<Machine> {
        Ok(Machine { at: Instant::now(), idle: cores()?.1 })
    }

    /// For how long cores have been busy since then, added up, whoever kept them so: the kernel too.
    ///
    /// # Errors
    /// If /proc cannot be read.
    pub fn busy(&self) -> anyhow::Result<Duration> {
        let (count, idle) = cores()?;
        Ok((self.at.elapsed() * count).saturating_sub(idle.saturating_sub(self.idle)))
    }
}

/// How many cores there are, and how long they have idled since the machine started, added up.
///
/// Idling is measured from interrupt to interrupt, unlike the rest of the `cpu` line of /proc/stat, which samples at the
/// timer's tick and misses work that is itself woken by a timer: five sixths of a paced load.
fn cores() -> anyhow::Result<(u32, Duration)> {
    let text = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let cores = text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).context("a line for all cores")?;
    let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let (idle, waiting) = (fields.get(3).context("an idle field")?, fields.get(4).unwrap_or(&0));
    Ok((u32::try_from(cores)?, Duration::from_millis((idle + waiting) * TICK_MS)))
}

/// The unit of /proc/stat.
const TICK_MS: u64 = 10;

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
