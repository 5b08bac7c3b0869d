//! Who may call, at what price, and over which carriers: an immutable snapshot.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use ledger::{Currency, Exchanges, Tariff};

use crate::{AccountId, TariffId, TrunkId};

/// Accounts, tariffs and trunks at one instant; replaced as a whole when the store changes.
///
/// A call keeps the prices it was authorised with; a new directory touches only calls that begin after it.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Every account by its name.
    pub accounts: HashMap<AccountId, Account>,
    /// Every tariff by its name.
    pub tariffs: HashMap<TariffId, Tariff>,
    /// What currencies are worth in each other.
    pub exchanges: Exchanges,
    /// Trunks in the order they are tried.
    pub trunks: Vec<Trunk>,
}

impl Directory {
    /// The account whose SIP user part is `user`. Linear in nothing: accounts are named by their user.
    pub fn by_user(&self, user: &str) -> Option<&Account> {
        self.accounts.get(&AccountId(user.to_owned()))
    }

    /// The account that trusts calls from `address` without a digest.
    ///
    /// # Cost
    /// Linear in the accounts; asked only for requests that carry no credentials.
    pub fn by_address(&self, address: IpAddr) -> Option<&Account> {
        self.accounts.values().find(|account| account.trusted.contains(&address))
    }

    /// The trunk with this name.
    pub fn trunk(&self, id: &TrunkId) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.id == *id)
    }
}

/// Somebody who may register and call. Its name is also its SIP user part and digest username.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub id: AccountId,
    /// May register and call at all.
    pub enabled: bool,
    /// The digest secrets, in the order challenges are offered; empty when only addresses are trusted.
    pub secrets: Vec<DigestSecret>,
    /// MD5 may be used outside TLS.
    pub md5_in_clear: bool,
    /// Source addresses whose calls need no digest.
    pub trusted: Vec<IpAddr>,
    /// The price list of its calls; none: it may call registered phones only.
    pub tariff: Option<TariffId>,
    /// Prices of its own: where its longest prefix of a number is not shorter than that of `tariff`, it wins.
    pub overrides: Option<TariffId>,
    /// It has an allowance and has bought nothing: only numbers whose rate is marked for trials, or costs nothing.
    pub on_trial: bool,
    /// The currency of its balance.
    pub currency: Currency,
    /// The number shown to carriers; none: the account's name.
    pub caller_number: Option<String>,
    /// What its phone speaks when it is called.
    pub media: PhoneMedia,
    /// Upper bound of one call, in seconds.
    pub max_call_seconds: u32,
    /// Upper bound of its simultaneous calls.
    pub max_calls: u32,
    /// How long media may go on beyond the held time when nobody drives the call, in seconds.
    pub grace_seconds: u32,
}

/// What a phone speaks. When it calls it says so itself; this is what it is offered when it is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhoneMedia {
    /// Over WebSocket as a browser; else what the caller speaks, and where that is DTLS plain RTP, with SRTP as best effort
    /// (RFC 8643) if the phone is registered over TLS.
    #[default]
    Auto,
    /// `RTP/AVP`.
    Plain,
    /// SDES: `RTP/SAVP`.
    Srtp,
    /// `UDP/TLS/RTP/SAVP`.
    Dtls,
    /// `UDP/TLS/RTP/SAVPF` with ICE and rtcp-mux.
    Webrtc,
}

impl PhoneMedia {
    /// Every value, for tables.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Plain, Self::Srtp, Self::Dtls, Self::Webrtc];

    /// As an operator writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Plain => "plain",
            Self::Srtp => "srtp",
            Self::Dtls => "dtls",
            Self::Webrtc => "webrtc",
        }
    }
}

/// What a digest is checked against: H(user:realm:password) as lower-case hexadecimal (RFC 7616 §3.4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct DigestSecret {
    /// The hash it was made with.
    pub algorithm: DigestAlgorithm,
    /// H(A1), 64 or 32 hexadecimal digits.
    pub ha1: String,
}

impl std::fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestSecret").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A hash of digest authentication (RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// SHA-256, the default.
    Sha256,
    /// MD5, for peers that know nothing else.
    Md5,
}

/// A way to a carrier.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// Calls may be sent over it.
    pub enabled: bool,
    /// How the carrier is reached.
    pub transport: TrunkTransport,
    /// Where the carrier is reached.
    pub address: SocketAddr,
    /// Host of the request URI, and the name its certificate must carry.
    pub domain: String,
    /// Put before the E.164 digits of the called number, in place of nothing (`""`) or `+`.
    pub number_prefix: String,
    /// The answer to the carrier's digest challenge.
    pub credentials: Option<TrunkCredentials>,
    /// Encryption of its media.
    pub media: TrunkMedia,
    /// What the carrier takes; none: what calls over it cost is not known.
    pub buy_tariff: Option<TariffId>,
    /// Upper bound of simultaneous calls.
    pub max_calls: u32,
    /// Time from the INVITE to the first 18x or final answer, in seconds, before the next trunk is tried.
    pub setup_timeout_seconds: u32,
}

impl Trunk {
    /// Whether its media can be had as it is to be: the keys of SRTP go where nobody reads the signalling.
    pub fn is_served(&self) -> bool {
        self.media == TrunkMedia::Plain || self.transport == TrunkTransport::Tls
    }
}

/// How a carrier is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// User and password for a carrier's digest challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct TrunkCredentials {
    /// Digest username.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for TrunkCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrunkCredentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Encryption of a carrier's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkMedia {
    /// SDES: `RTP/SAVP`.
    Srtp,
    /// `RTP/AVP`.
    Plain,
}
