//! The signalling and money process: sockets, store and clock around the calls.
#![forbid(unsafe_code)]

pub mod cdr;
pub mod config;
pub mod media;
pub mod store;
pub mod transport;
