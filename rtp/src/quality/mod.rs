//! What a listener would say of a stream: lost packets and how they cluster, packets that come too
//! late to be played, the E-model, and its opinion score.
//!
//! Supported: burst ratio (ITU-T G.107 §3.5), the narrow-band E-model with its default values
//! (G.107), the scale of the wide-band one (G.107.1), impairments of codecs (G.113 Appendix I), how all this went
//! over the time of a stream, in constant memory.
//! Not here: echo that was measured, noise, full-band scores (G.107.2).

pub mod emodel;
pub mod encoding;
mod history;
mod playout;
mod runs;

pub use emodel::{Conditions, Mos};
pub use encoding::{Encoding, Sound};
pub use history::{History, INTERVAL_S, JITTER_BOUNDS_MS, MOS_BOUNDS, Sample};
pub use playout::{BUFFER_MS, Playout};
pub use runs::{LossRuns, Losses};
