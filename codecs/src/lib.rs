//! Samples in, samples out: G.711, and tones to tell one stream of samples from another.
//!
//! Samples are `i16` of full scale; nothing here knows of packets or time.
#![forbid(unsafe_code)]

pub mod g711;
pub mod tone;
