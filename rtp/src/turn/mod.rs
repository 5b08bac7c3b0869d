//! TURN on the wire: a relay that lends a client an address (RFC 8656).
//!
//! Supported: numbers of attributes and methods, ChannelData read where it lies and written before a payload, frames of a
//! stream, long-term keys, time-limited passwords, nonces without a table. Not here: what a server decides of a request
//! (the engine's core), the client's side, TCP toward peers (RFC 6062), mobility (RFC 8016).

mod attribute;
mod channel;
mod credentials;
mod indication;
mod nonce;
mod stream;

pub use attribute::{Family, UDP};
pub use channel::{CHANNELS, ChannelData, Peeked, peek};
pub use credentials::{LongTermKey, TimedUsername, long_term_key, timed_password};
pub use indication::{DATA_HEADER_BYTES_MAX, data_header};
pub use nonce::{Client, NONCE_BYTES, Nonces};
pub use stream::{Frame, FrameError, frame};

#[cfg(test)]
mod tests;
