//! The signalling and money process: sockets, store and clock around the calls.
//!
//! [`run`] is the whole process. The README of this room says where things are.
#![forbid(unsafe_code)]

pub mod cdr;
pub mod config;
mod exchange;
pub mod media;
mod progress;
mod run;
pub mod store;
pub mod transport;

pub use run::{Order, RunError, run, serve};
