//! The first instant of a test: the standard library makes one only from its clock.

use std::time::Instant;

/// Any instant; tests count from it.
pub(crate) fn start() -> Instant {
    Instant::now()
}
