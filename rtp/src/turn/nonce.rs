//! Nonces that nobody remembers: each is a tag over when it was made and for whom.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use crate::units::Instant;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = COOKIE.len() + TAG_CHARS;

/// Whom a nonce is for: an address and the way it came, so that it is of no use to anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// From where.
    pub address: SocketAddr,
    /// On which socket or connection.
    pub way: u64,
}

/// Makes nonces and knows them again.
///
/// A nonce begins with the cookie of RFC 8489 §9.2, by which a client knows that MESSAGE-INTEGRITY-SHA256 is understood,
/// and no further feature is offered. It is part of what is compared, so that nobody on the way can take it away.
#[derive(Debug)]
pub struct Nonces {
    key: Key,
}

impl Nonces {
    /// How long a nonce is good at least; at most it is twice as long.
    pub const LIFETIME: Duration = Duration::from_secs(LIFETIME_S);

    /// Under a secret that nobody else knows.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { key: Key::new(HMAC_SHA256, &secret) }
    }

    /// One for this client.
    pub fn issue(&self, now: Instant, client: Client) -> [u8; NONCE_BYTES] {
        self.of(epoch(now), client)
    }

    /// Whether it was made for this client, in this or the last [`LIFETIME`](Self::LIFETIME). Compared in constant time.
    pub fn check(&self, now: Instant, client: Client, nonce: &[u8]) -> bool {
        let epoch = epoch(now);
        let [now, before] = [Some(epoch), epoch.checked_sub(1)]
            .map(|epoch| epoch.is_some_and(|epoch| self.of(epoch, client)[..].ct_eq(nonce).into()));
        now || before
    }

    fn of(&self, epoch: u64, client: Client) -> [u8; NONCE_BYTES] {
        let mut made_of = [0; 34];
        made_of[..8].copy_from_slice(&epoch.to_be_bytes());
        made_of[8..16].copy_from_slice(&client.way.to_be_bytes());
        made_of[16..32].copy_from_slice(&match client.address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        });
        made_of[32..].copy_from_slice(&client.address.port().to_be_bytes());
        let tag = sign(&self.key, &made_of);
        let mut nonce = [0; NONCE_BYTES];
        nonce[..COOKIE.len()].copy_from_slice(COOKIE);
        BASE64_URL_SAFE_NO_PAD
            .encode_slice(&tag.as_ref()[..TAG_BYTES], &mut nonce[COOKIE.len()..])
            .expect("nine bytes are twelve characters");
        nonce
    }
}

fn epoch(now: Instant) -> u64 {
    now.as_nanos() / NANOS_PER_SECOND / LIFETIME_S
}

const LIFETIME_S: u64 = 600;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The nonce cookie, and 24 bits of security features of which none is set.
const COOKIE: &[u8; 13] = b"obMatJos2AAAA";

/// Bytes of the tag: 72 bits, which nobody guesses and which keep the answer to a stranger short.
const TAG_BYTES: usize = 9;
const TAG_CHARS: usize = 12;
