//! DTLS-SRTP: keys for SRTP from a handshake whose certificates are named in the descriptions (RFC 5763, RFC 5764).
//!
//! Supported: DTLS 1.2 (RFC 6347) and, by dimpl, 1.3 (RFC 9147); both roles;
//! ECDSA certificates, RSA ones of the peer by OpenSSL; fingerprints of SHA-1
//! to SHA-512 (RFC 8122); `a=setup` (RFC 4145), `a=tls-id` (RFC 8842);
//! `use_srtp` with AES-CM and AES-GCM profiles. Not here: DTLS 1.0, MKI,
//! resumption, renegotiation, application data, pre-shared keys, NULL ciphers.
//!
//! An [`Association`] is fed datagrams and time and polled for datagrams and
//! events. It hands out keys only after the peer's certificate was found among
//! the fingerprints. Whoever owns it decides which datagrams it sees: only
//! those from an address that ICE validated or a description named.
//!
//! Two libraries make handshakes ([`Provider`], ADR 3). Both draw randomness
//! from the system; OpenSSL also reads the wall clock for its retransmissions.

mod association;
mod by_dimpl;
mod by_openssl;
mod fingerprint;
mod hello;
mod identity;
mod keys;
mod provider;
mod record;
mod setup;

pub use association::{
    Association, AssociationError, Connected, DatagramDrop, Event, FailReason, HANDSHAKE_MAX, LINGER, Terms,
};
pub use fingerprint::{FINGERPRINTS_MAX, Fingerprint, FingerprintError, Fingerprints, HashFunction};
pub use identity::{Identity, IdentityError};
pub use keys::SrtpKeys;
pub use provider::{DATAGRAM_BYTES_MAX, Provider, ProviderError, Providers};
pub use setup::{Endpoint, Role, Setup, SetupError, TlsId, TlsIdError};
