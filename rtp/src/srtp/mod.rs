//! SRTP and SRTCP: packets encrypted and authenticated in place (RFC 3711).
//!
//! Supported: AES counter mode with HMAC-SHA1 and keys of 128 bits (RFC 3711),
//! 192 and 256 bits (RFC 6188), AES-GCM with 128 and 256 bits (RFC 7714), master
//! key identifiers, key lifetimes, a change of keys in a running session, and
//! the session parameters of RFC 4568 that switch off encryption or
//! authentication. Not here: AES-f8 and the NULL cipher, which are known by name
//! so that they can be refused by name; a key derivation rate other than 0;
//! encrypted header extensions (RFC 6904); where keys come from.
//!
//! An [`Inbound`] holds what is received under one party's keys, an [`Outbound`]
//! what is sent under ours, each for RTP and RTCP and for every SSRC together.
//! Both are plain values that allocate when they are set up, when keys change
//! and when a further source begins, never for a packet.

mod counter_mode;
mod derivation;
mod error;
mod gcm;
mod hmac;
mod inbound;
mod key;
mod keys;
mod outbound;
mod policy;
mod suite;
mod transform;
mod window;

pub use error::{PolicyError, ProtectError, SuiteError, UnprotectError};
pub use inbound::Inbound;
pub use key::{KEY_BYTES_MAX, MasterKey, Mki, SALT_BYTES_MAX};
pub use outbound::Outbound;
pub use policy::{KeyParameters, Policy, SessionParameters};
pub use suite::{DtlsProfile, Suite};

/// Most master keys of one policy.
pub const KEYS_MAX: usize = 4;
/// Most sources remembered in one direction, those of RTP and of RTCP together.
///
/// One more that is received and authentic takes the place of the one heard longest ago; one more
/// that would be sent is refused, for a source that was forgotten must not start over under the same key.
pub const SOURCES_MAX: usize = 64;
/// Packets behind the highest index of a source that are still told apart ([RFC 3711 §3.3.2] asks for 64).
///
/// [RFC 3711 §3.3.2]: https://www.rfc-editor.org/rfc/rfc3711#section-3.3.2
pub const WINDOW_PACKETS: u64 = 128;
/// Most bytes that protection adds to an RTP packet, without a master key identifier.
pub const RTP_OVERHEAD_BYTES_MAX: usize = 16;
/// Most bytes that protection adds to an RTCP packet, without a master key identifier.
pub const RTCP_OVERHEAD_BYTES_MAX: usize = 20;

#[cfg(test)]
mod tests;
