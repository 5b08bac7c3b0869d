//! The signalling and money process: sockets, store and clock around the calls.
#![forbid(unsafe_code)]

pub mod config;
pub mod transport;
