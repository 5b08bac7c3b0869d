//! The wall clock that OpenSSL reads, made to follow the test's virtual time.
//!
//! OpenSSL's own retransmission asks `gettimeofday`. The dynamic linker takes
//! the function of the program before that of the C library, so that this one
//! answers; nothing else in these tests asks it.

use std::cell::Cell;

use rtp::units::Instant;

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::ZERO) };
}

/// Sets the wall clock of this thread.
pub(crate) fn set(now: Instant) {
    NOW.set(now);
}

/// As the C library has it: seconds and microseconds.
#[repr(C)]
struct TimeVal {
    seconds: i64,
    micros: i64,
}

// SAFETY: it has the name and the arguments of the C library's function, and does what that does: every caller passes
// a place for the time, or none, and ignores the second argument.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut TimeVal, _zone: *mut std::ffi::c_void) -> i32 {
    const EPOCH_SECONDS: u64 = 1_700_000_000;
    let nanos = NOW.with(Cell::get).as_nanos();
    let seconds = i64::try_from(EPOCH_SECONDS + nanos / 1_000_000_000).expect("a test takes no centuries");
    let micros = i64::try_from(nanos % 1_000_000_000 / 1000).expect("less than a million");
    // SAFETY: see above; a null place is left alone.
    if let Some(time) = unsafe { time.as_mut() } {
        *time = TimeVal { seconds, micros };
    }
    0
}
