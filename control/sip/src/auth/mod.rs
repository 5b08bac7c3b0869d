//! Digest authentication, both ends ([RFC 7616], RFC 8760, RFC 2617).
//!
//! Supported: MD5, SHA-256 and their `-sess` forms, `qop=auth` on both ends,
//! `auth-int` as client, several challenges, stale nonces, nonce counts. Not
//! supported: `userhash`, `username*`, SHA-512-256, `Authentication-Info`,
//! answers without `qop` as server.
//!
//! [RFC 7616]: https://www.rfc-editor.org/rfc/rfc7616

mod challenge;
mod client;
mod hash;
mod nonce;
mod server;

pub use challenge::{Challenge, Credentials};
pub use client::{DigestClient, DigestError};
pub use hash::{Algorithm, Qop, Secret, ha1};
pub use server::{AuthError, DigestConfig, DigestServer};
