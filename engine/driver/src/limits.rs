//! The descriptor limit: every media takes two sockets, and the usual limit is 1024.

use std::io;

/// What the descriptor limit was and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// The soft limit before.
    pub before: u64,
    /// The soft limit now.
    pub now: u64,
    /// The limit that only a privileged process may pass.
    pub hard: u64,
}

/// Raises the process's descriptor limit to `wanted`, or as far as it may.
///
/// The hard limit is tried first: a privileged process may pass it. The limit
/// is never lowered.
///
/// # Errors
/// The kernel's, when the limit cannot even be read.
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<DescriptorLimit> {
    let found = read()?;
    let before = found.rlim_cur;
    if before >= wanted {
        return Ok(DescriptorLimit { before, now: before, hard: found.rlim_max });
    }
    let beyond = libc::rlimit { rlim_cur: wanted, rlim_max: found.rlim_max.max(wanted) };
    if write(beyond).is_err() {
        let within = libc::rlimit { rlim_cur: wanted.min(found.rlim_max), rlim_max: found.rlim_max };
        // A refusal shows as a limit that is still too low, which is what the caller looks at.
        let _refused = write(within);
    }
    let reached = read()?;
    Ok(DescriptorLimit { before, now: reached.rlim_cur, hard: reached.rlim_max })
}

/// The limits in force.
fn read() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, which lives across the call.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if result == 0 { Ok(limit) } else { Err(io::Error::last_os_error()) }
}

/// Sets both limits.
fn write(limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: the kernel reads one rlimit, which lives across the call.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_lowered() {
        let limit = raise_descriptor_limit(1).expect("the kernel answers");
        assert_eq!(limit.now, limit.before);
    }

    #[test]
    fn the_limit_reaches_what_is_allowed() {
        let hard = raise_descriptor_limit(0).expect("the kernel answers").hard;
        let limit = raise_descriptor_limit(hard).expect("the kernel answers");
        assert_eq!(limit.now, hard);
    }
}
