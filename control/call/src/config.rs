//! What an exchange is told at its start.

use std::time::Duration;

use sip::Transport;
use sip::message::HostPort;

/// Everything an exchange is told at its start; immutable.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// Names this control process towards engines. The same after a restart.
    pub owner: String,
    /// Incarnation of this owner: greater after every restart, or engines refuse it.
    pub epoch: u64,
    /// Realm of digest challenges, and host of our own addresses of record.
    pub realm: String,
    /// Key of nonces; any random bytes. Nonces of another key are stale.
    pub nonce_key: [u8; 32],
    /// What peers can reach us by, per transport: Via and Contact.
    pub locals: Vec<Local>,
    /// How many engines there are: ids 0 to this.
    pub engines: u16,
    /// Country code put before national numbers, such as `49`; none: they are refused as unrated.
    pub country_code: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub times: Times,
}

/// Our own address on one transport, as peers see it.
#[derive(Clone, Debug)]
pub struct Local {
    /// The transport.
    pub transport: Transport,
    /// Host and port that peers can reach.
    pub address: HostPort,
}

/// Bounds of every table.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Simultaneous calls (default 10 000); beyond them INVITE gets 503.
    pub calls_max: usize,
    /// New requests per second and source address (default 50).
    pub requests_per_second: u32,
    /// New requests a source may send at once (default 200).
    pub requests_burst: u32,
    /// Sources watched (default 65 536); when the table is full, strangers share one budget.
    pub sources_max: usize,
    /// Carriers tried for one call (default 5).
    pub attempts_max: usize,
    /// Media commands of one call waiting for the engine (default 16).
    pub media_queue_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 10_000,
            requests_per_second: 50,
            requests_burst: 200,
            sources_max: 65_536,
            attempts_max: 5,
            media_queue_max: 16,
        }
    }
}

/// Times of a call that no RFC names.
#[derive(Clone, Debug)]
pub struct Times {
    /// Longest ringing after the first 18x (default 180 s).
    pub ringing: Duration,
    /// First 18x or answer of a registered phone (default 20 s); trunks have their own.
    pub setup: Duration,
    /// Longest wait for the store before a call is refused (default 5 s).
    pub store: Duration,
    /// Longest wait for an engine (default 2 s).
    pub media: Duration,
    /// First repeat of a settlement that failed (default 1 s); doubles up to 30 s.
    pub settle_retry: Duration,
    /// How long calls of an earlier process wait for their engine (default 10 s).
    pub recovery: Duration,
    /// Longest free call between phones (default 4 h).
    pub local_call: Duration,
    /// Bindings of REGISTER last at most this long (default 1 h).
    pub registration_max: Duration,
    /// What 503 says in Retry-After (default 10 s).
    pub retry_after: Duration,
    /// SIP's own.
    pub t1: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            ringing: s(180),
            setup: s(20),
            store: s(5),
            media: s(2),
            settle_retry: s(1),
            recovery: s(10),
            local_call: s(4 * 3600),
            registration_max: s(3600),
            retry_after: s(10),
            t1: Duration::from_millis(500),
        }
    }
}
