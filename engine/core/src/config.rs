//! What a shard is told at its start, and what of it may change later.

use std::time::Duration;

use rtp::dtls::Providers;

use crate::{
    interface::Interfaces,
    networks::MediaNetworks,
    ports::PortRange,
    turn::{TurnConfig, TurnLive},
};

/// Everything a shard is told at its start.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Named addresses of media sockets.
    pub interfaces: Interfaces,
    /// This shard's part of the port range, on each address.
    pub ports: PortRange,
    /// What marks our descriptions where a client asks for `loop-protect`; the same for all shards of an engine, and no
    /// other engine's.
    pub marker: String,
    /// DSCP byte of outgoing packets where a call names none.
    pub tos: u8,
    /// Where media of the parties on an interface may come from besides their descriptions.
    pub media_networks: MediaNetworks,
    /// A party of whom only a private address is known is not looked for elsewhere.
    pub learn_strict: bool,
    /// Our certificate for handshakes (DTLS), the same for all shards of an engine; without one they are refused by name.
    pub providers: Option<Providers>,
    /// Counts and times.
    pub limits: Limits,
    /// The moment that the shard's clock calls [`Instant::ZERO`](rtp::units::Instant::ZERO): libraries inside count in
    /// the standard library's instants. The same for all shards of an engine.
    pub base: std::time::Instant,
    /// The TURN server, if there is to be one.
    pub turn: Option<Box<TurnConfig>>,
}

impl ShardConfig {
    /// These interfaces and ports, everything else at its default.
    pub fn new(interfaces: Interfaces, ports: PortRange, base: std::time::Instant) -> Self {
        Self {
            interfaces,
            ports,
            marker: "tollgate".to_owned(),
            tos: 0,
            media_networks: MediaNetworks::default(),
            learn_strict: false,
            providers: None,
            limits: Limits::default(),
            base,
            turn: None,
        }
    }
}

/// What may change while calls go on.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// Where new socket pairs are opened. Those that are open stay, on an interface that went too.
    pub interfaces: Interfaces,
    /// DSCP byte of what new sockets send where a call names none.
    pub tos: u8,
    /// See [`ShardConfig::media_networks`]: for what is offered or answered from now on.
    pub media_networks: MediaNetworks,
    /// See [`ShardConfig::learn_strict`]: likewise.
    pub learn_strict: bool,
    /// See [`ShardConfig::providers`]: for calls that begin from now on.
    pub providers: Option<Providers>,
    /// Counts and times, for calls that are there too; those of owners and reports stay as they were.
    pub limits: Limits,
    /// Of the TURN server, where there is one; otherwise it stays as it is.
    pub turn: Option<Box<TurnLive>>,
}

/// Counts and times of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Live calls. One more is refused with `Parallel session limit reached`.
    pub calls_max: usize,
    /// Parties of one call. Each costs a socket pair per media section.
    pub legs_max: usize,
    /// Media sections of one description.
    pub medias_max: usize,
    /// Port pairs kept per media section for endpoints that a party may go back to.
    pub pairs_max: usize,
    /// Commands that wait while a call's sockets open.
    pub waiting_max: usize,
    /// Kept final reports. One more pushes out the oldest.
    pub reports_max: usize,
    /// How long a final report is kept if nobody acknowledges it.
    pub report_lifetime: Duration,
    /// Owners whose epochs are remembered. One more pushes out one without calls.
    pub owners_max: usize,
    /// A call in which no packet arrives for so long ends.
    pub media_timeout: Duration,
    /// The same while every party is on hold.
    pub silent_timeout: Duration,
    /// The same while nobody has answered.
    pub offer_timeout: Duration,
    /// A call ends after so long whatever it does.
    pub final_timeout: Option<Duration>,
    /// How long a deleted call without an owner can be revived by a new offer.
    pub delete_delay: Duration,
    /// A lease is cut to this.
    pub lease_max: Duration,
    /// Recordings at once; 0 if there is nobody to keep them. One more is refused.
    pub recordings_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 20_000,
            legs_max: 32,
            medias_max: 16,
            pairs_max: 8,
            waiting_max: 16,
            reports_max: 10_000,
            report_lifetime: Duration::from_secs(24 * 3600),
            owners_max: 256,
            media_timeout: Duration::from_secs(60),
            silent_timeout: Duration::from_secs(3600),
            offer_timeout: Duration::from_secs(3600),
            final_timeout: None,
            delete_delay: Duration::from_secs(30),
            lease_max: Duration::from_secs(24 * 3600),
            recordings_max: 0,
        }
    }
}
