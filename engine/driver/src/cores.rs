//! Binding a worker to a core.

use std::io;
use std::mem;

/// Binds the calling thread to one core.
///
/// # Errors
/// The kernel's, when the core does not exist or the process may not use it.
pub fn pin_to(core: usize) -> io::Result<()> {
    if core >= CORES_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: a cpu_set_t is a plain array of bits, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `core` is below the number of bits in the set, checked above.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set lives across the call and its true size is given; 0 means the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cores this thread may run on, in ascending order.
///
/// # Errors
/// The kernel's; not expected.
pub fn available_cores() -> io::Result<Vec<usize>> {
    // SAFETY: as in `pin_to`.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the set lives across the call and its true size is given.
    let result = unsafe { libc::sched_getaffinity(0, mem::size_of::<libc::cpu_set_t>(), &mut set) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every index asked for is below the number of bits in the set.
    Ok((0..CORES_MAX).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect())
}

/// Bits of a `cpu_set_t`.
const CORES_MAX: usize = mem::size_of::<libc::cpu_set_t>() * 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core() {
        let cores = available_cores().expect("the kernel answers");
        let core = *cores.first().expect("there is a core");
        let seen = std::thread::spawn(move || pin_to(core).and_then(|()| available_cores()));
        assert_eq!(seen.join().expect("no panic").expect("pinned"), [core]);
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused() {
        assert!(pin_to(CORES_MAX).is_err());
        assert!(pin_to(CORES_MAX - 1).is_err());
    }
}
