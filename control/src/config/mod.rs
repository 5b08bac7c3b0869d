//! Configuration: what an operator writes, and the checked limits the code sees.
//!
//! [`ConfigSource`] gathers a TOML file, environment variables and flags;
//! [`Config::load`] checks them once and names file, line, key and remedy of
//! every mistake; [`Config::check`] also looks at the files that it names.

mod check;
mod error;
mod raw;
mod settings;
mod source;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sip::Transport;

pub use error::{ConfigError, ConfigErrors, Origin};
pub use settings::{ENVIRONMENT_PREFIX, Kind, SETTINGS, Setting, reference};
pub use source::ConfigSource;

/// Everything the control process was told, checked and immutable.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name under which calls are owned on the engines.
    pub node_id: String,
    /// Host part of the subscribers' addresses, and the digest realm.
    pub domain: String,
    /// The SQLite database.
    pub store_path: PathBuf,
    /// The JSON Lines file of finished calls.
    pub cdr_path: PathBuf,
    /// Whether log lines show numbers in full.
    pub show_numbers: bool,
    /// SIP listeners, at least one; the order numbers their flows.
    pub listeners: Vec<Listener>,
    /// Media engines in order of preference.
    pub engines: Vec<Engine>,
    /// TLS toward trunks and bounds of handshakes.
    pub tls: Tls,
    /// Bounds of the transports.
    pub limits: Limits,
    /// Bounds and times of calls.
    pub call: Call,
    /// Times that SIP names.
    pub sip: Sip,
    /// The seat at the engines.
    pub media: Media,
}

/// One address on which SIP is heard.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where it binds; port 0 takes any free one.
    pub address: SocketAddr,
    /// Host, and port if it differs, for Via and Contact. Absent: the bound address.
    pub advertised: Option<String>,
    /// What is spoken there.
    pub kind: ListenerKind,
    /// True where only addresses of configured trunks are served.
    pub trunks_only: bool,
}

/// The transport of a listener and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerKind {
    /// Datagrams ([RFC 3261 §18](https://www.rfc-editor.org/rfc/rfc3261#section-18)).
    Udp,
    /// Plain connections.
    Tcp,
    /// TLS 1.2 or 1.3 with authenticated ciphers.
    Tls {
        /// PEM file: the server's certificate first, then its issuers.
        certificate: PathBuf,
        /// PEM file with its private key.
        key: PathBuf,
    },
    /// WebSocket ([RFC 7118](https://www.rfc-editor.org/rfc/rfc7118)), for loopback or behind a proxy where TLS ends.
    Ws {
        /// Whose pages may connect.
        origins: Origins,
    },
    /// WebSocket inside TLS, as browsers reach it.
    Wss {
        /// Whose pages may connect.
        origins: Origins,
        /// PEM file: the server's certificate first, then its issuers.
        certificate: PathBuf,
        /// PEM file with its private key.
        key: PathBuf,
    },
}

impl ListenerKind {
    /// The transport as SIP names it.
    pub fn transport(&self) -> Transport {
        match self {
            ListenerKind::Udp => Transport::Udp,
            ListenerKind::Tcp => Transport::Tcp,
            ListenerKind::Tls { .. } => Transport::Tls,
            ListenerKind::Ws { .. } => Transport::Ws,
            ListenerKind::Wss { .. } => Transport::Wss,
        }
    }

    /// The files of its certificate and key, where it has them.
    pub fn certificate(&self) -> Option<(&Path, &Path)> {
        match self {
            ListenerKind::Tls { certificate, key } | ListenerKind::Wss { certificate, key, .. } => {
                Some((certificate, key))
            }
            _ => None,
        }
    }

    /// Whose pages may connect, where pages do.
    pub fn origins(&self) -> Option<&Origins> {
        match self {
            ListenerKind::Ws { origins } | ListenerKind::Wss { origins, .. } => Some(origins),
            _ => None,
        }
    }
}

/// Whose pages a browser may connect for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Anybody's.
    Any,
    /// Those of these origins ([RFC 6454](https://www.rfc-editor.org/rfc/rfc6454#section-6.2)): scheme, host, and port if it is not the scheme's.
    Listed(Vec<String>),
}

impl Origins {
    /// Whether a page of `origin`, as a browser writes it, may connect.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::Listed(list) => list.iter().any(|known| known.eq_ignore_ascii_case(origin)),
        }
    }
}

/// One media engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its name in the log.
    pub name: Arc<str>,
    /// Its NG port (UDP).
    pub address: SocketAddr,
}

/// TLS settings; see the table of settings for units and ranges.
#[derive(Debug, Clone)]
pub struct Tls {
    /// PEM file of authorities for connections to trunks.
    pub trust_roots: PathBuf,
    /// Whether the operator named that file, so that its absence is a mistake.
    pub trust_roots_named: bool,
    /// Longest handshake.
    pub handshake_timeout: Duration,
    /// Inbound handshakes at once.
    pub handshakes_max: usize,
}

/// Bounds of the transports; see the table of settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Inbound connections at once.
    pub connections_max: usize,
    /// The same for one remote address.
    pub connections_per_source_max: usize,
    /// Connections opened by this process at once.
    pub outbound_connections_max: usize,
    /// Largest body of a message.
    pub body_bytes_max: usize,
    /// Bytes waiting for one connection.
    pub write_queue_bytes_max: usize,
    /// Received messages waiting for the call logic.
    pub input_queue_max: usize,
    /// Longest wait for a TCP connection.
    pub connect_timeout: Duration,
    /// Longest time without a byte taken while something waits.
    pub write_timeout: Duration,
    /// Longest wait for the first message of a connection, and for the rest of any.
    pub first_message_timeout: Duration,
    /// Longest silence on a connection.
    pub idle_timeout: Duration,
    /// Time between two pings to a WebSocket.
    pub websocket_ping: Duration,
    /// Messages served per source and second.
    pub messages_per_source_per_s: u32,
}

/// Bounds and times of calls; see the table of settings.
#[derive(Debug, Clone)]
pub struct Call {
    /// Digits put before national numbers.
    pub country_code: Option<String>,
    /// Simultaneous calls.
    pub calls_max: usize,
    /// New requests per second and source.
    pub requests_per_second: u32,
    /// New requests of a source at once.
    pub requests_burst: u32,
    /// Carriers tried for one call.
    pub attempts_max: usize,
    /// Longest wait for a phone's first sign of life.
    pub setup_timeout: Duration,
    /// Longest ringing.
    pub ringing_timeout: Duration,
    /// Longest free call between phones.
    pub local_call_max: Duration,
    /// Longest registration.
    pub registration_max: Duration,
    /// Retry-After of a 503.
    pub retry_after: Duration,
}

/// Times that SIP itself names; see the table of settings.
#[derive(Debug, Clone)]
pub struct Sip {
    /// Estimate of the round trip ([RFC 3261 §17.1.1.1](https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.1)).
    pub t1: Duration,
}

/// The seat at the engines; see the table of settings.
#[derive(Debug, Clone)]
pub struct Media {
    /// Time between two pings.
    pub ping_interval: Duration,
    /// How long an engine may hold back its events.
    pub events_wait: Duration,
    /// Unanswered requests to one engine.
    pub requests_max: usize,
}
