//! STUN messages: read where they lie, and written into a buffer (RFC 8489).
//!
//! Supported: all four classes and any method; attributes as bytes, and those of Binding, ICE (RFC 8445 §16.1) and
//! errors as values; MESSAGE-INTEGRITY with SHA-1 and SHA-256, FINGERPRINT. Not here: the classic STUN of RFC 3489
//! without a magic cookie, retransmission and transactions, what a server answers, and where keys come from.

mod attribute;
mod integrity;
mod message;
mod write;

pub use attribute::{Attribute, AttributeKind, Attributes};
pub use integrity::Check;
pub use message::{Class, Method, StunError, StunMessage, TransactionId};
pub use write::{NoRoom, StunWriter};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 20;
/// What every message carries behind its length (RFC 8489 §5).
pub const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

#[cfg(test)]
mod tests;
