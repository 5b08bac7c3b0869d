//! The table of every setting: its key, unit, default, range and meaning.
//!
//! The table is the only place where a default or a range is written. The
//! checks, the environment variables, the overrides and the printed reference
//! are all read from it.

use std::fmt::Write as _;

/// One key of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Dotted path in the file, for example `limits.connections_max`.
    pub key: &'static str,
    /// What values it takes, and which one holds when nothing is said.
    pub kind: Kind,
    /// What it does, and what a wrong value costs.
    pub doc: &'static str,
}

/// The values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string; `None` means there is no default.
    Text {
        /// Taken when nothing is said.
        default: Option<&'static str>,
    },
    /// A whole number within `min..=max`.
    Number {
        /// What is counted.
        unit: &'static str,
        /// Taken when nothing is said.
        default: u64,
        /// Smallest value accepted.
        min: u64,
        /// Largest value accepted.
        max: u64,
    },
    /// `true` or `false`.
    Flag {
        /// Taken when nothing is said.
        default: bool,
    },
    /// A list of tables or strings, written as a TOML value when it is overridden.
    List,
}

impl Setting {
    /// The environment variable that overrides this setting:
    /// `limits.connections_max` is `TOLLGATE_CONTROL_LIMITS_CONNECTIONS_MAX`.
    pub fn environment_name(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The setting called `key`, if there is one.
    pub fn find(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

/// What every environment variable of the control process starts with.
pub const ENVIRONMENT_PREFIX: &str = "TOLLGATE_CONTROL_";

/// Every setting as text, one paragraph each, for `--help`-like output.
pub fn reference() -> String {
    let mut text = String::new();
    for setting in SETTINGS {
        let values = match setting.kind {
            Kind::Text { default: None } => "text, no default".to_owned(),
            Kind::Text { default: Some(default) } => format!("text, default {default:?}"),
            Kind::Number { unit, default, min, max } => format!("{unit}, default {default}, {min} to {max}"),
            Kind::Flag { default } => format!("true or false, default {default}"),
            Kind::List => "list".to_owned(),
        };
        let _ = writeln!(
            text,
            "{} ({values})\n    {}\n    {}",
            setting.key,
            setting.doc,
            setting.environment_name()
        );
    }
    text
}

const fn text(key: &'static str, default: Option<&'static str>, doc: &'static str) -> Setting {
    Setting { key, kind: Kind::Text { default }, doc }
}

const fn number(
    key: &'static str,
    unit: &'static str,
    default: u64,
    min: u64,
    max: u64,
    doc: &'static str,
) -> Setting {
    Setting { key, kind: Kind::Number { unit, default, min, max }, doc }
}

const fn flag(key: &'static str, default: bool, doc: &'static str) -> Setting {
    Setting { key, kind: Kind::Flag { default }, doc }
}

const fn list(key: &'static str, doc: &'static str) -> Setting {
    Setting { key, kind: Kind::List, doc }
}

/// Every setting, in the order of the example file.
pub const SETTINGS: &[Setting] = &[
    text(
        "node.id",
        Some("control-1"),
        "Name under which this process owns calls on the engines; two processes that share an engine \
         need two names. Letters, digits, '-', '_' and '.', at most 64.",
    ),
    text(
        "node.domain",
        None,
        "SIP domain of the subscribers: the host of their addresses and the digest realm. A host name \
         or an address.",
    ),
    text(
        "store.path",
        Some("/var/lib/tollgate/control.db"),
        "SQLite database of accounts, rates, trunks, holds, journal and call records. Its folder must be \
         on a local disk that honours fsync.",
    ),
    text(
        "cdr.path",
        Some("/var/lib/tollgate/cdr.jsonl"),
        "JSON Lines file that gets one line per finished call.",
    ),
    flag(
        "log.show_numbers",
        false,
        "Whether log lines carry callers' and callees' numbers in full. false shows the last two \
         characters only.",
    ),
    list(
        "listener",
        "One table per SIP listener: transport (udp, tcp, tls, ws or wss), address (IP:port), advertised (host or \
         host:port written into Via and Contact, default address), plain (\"trunk\": a udp or tcp listener \
         outside loopback, which serves the addresses of configured trunks only; \"proxied\": a ws listener outside \
         loopback, which a proxy reaches where TLS ended), certificate and key (PEM files, tls and wss only), \
         origins (ws and wss only: the origins whose pages may connect, such as \"https://phone.example.net\", or \
         \"*\" for any). At least one.",
    ),
    list(
        "engine",
        "One table per media engine: name and address (IP:port of its NG port, UDP). Without one every \
         call is refused with 503.",
    ),
    text(
        "tls.trust_roots",
        Some("/etc/ssl/certs/ca-certificates.crt"),
        "PEM file of the certificate authorities that may vouch for a trunk. A trunk by TLS whose \
         certificate does not verify is not spoken to.",
    ),
    number(
        "tls.handshake_timeout_ms",
        "milliseconds",
        5_000,
        100,
        60_000,
        "A TLS handshake that takes longer is ended, in both directions.",
    ),
    number(
        "tls.handshakes_max",
        "handshakes",
        1_024,
        1,
        4_096,
        "Inbound handshakes in progress at once, counted from the peer's first message; further ones wait within \
         the same timeout. Well above limits.connections_per_source_max, or one source can hold all of them.",
    ),
    number(
        "limits.connections_max",
        "connections",
        4_096,
        1,
        1_000_000,
        "Inbound connections at once, of every kind; the next one is closed at accept. A TLS connection costs \
         about 40 KiB.",
    ),
    number(
        "limits.connections_per_source_max",
        "connections",
        64,
        1,
        1_000_000,
        "The same, per remote IP address (per /64 for IPv6). Raise it for an office behind one NAT.",
    ),
    number(
        "limits.outbound_connections_max",
        "connections",
        256,
        1,
        65_536,
        "Connections opened by this process at once.",
    ),
    number(
        "limits.body_bytes_max",
        "bytes",
        65_535,
        2_048,
        1_048_576,
        "Largest body of a SIP message; a larger one ends its connection or is dropped with its datagram. Headers \
         have a bound of their own, 16 KiB; over WebSocket a message is bounded by the sum of both.",
    ),
    number(
        "limits.write_queue_bytes_max",
        "bytes",
        262_144,
        65_536,
        16_777_216,
        "Bytes waiting for one connection; a reader so slow that more would wait is disconnected.",
    ),
    number(
        "limits.input_queue_max",
        "messages",
        1_024,
        16,
        65_536,
        "Received messages waiting for the call logic. When full, datagrams are dropped and counted, and \
         connections are not read.",
    ),
    number(
        "limits.connect_timeout_ms",
        "milliseconds",
        4_000,
        100,
        60_000,
        "A TCP connection to a trunk not up by then has failed, and the next target is tried.",
    ),
    number(
        "limits.write_timeout_ms",
        "milliseconds",
        10_000,
        100,
        300_000,
        "A connection that takes no byte for so long while something waits is closed.",
    ),
    number(
        "limits.first_message_timeout_ms",
        "milliseconds",
        15_000,
        1_000,
        300_000,
        "An inbound connection must have brought its first whole message by then. Also the longest time \
         from the first to the last byte of one message.",
    ),
    number(
        "limits.idle_timeout_s",
        "seconds",
        3_700,
        30,
        86_400,
        "A connection without a byte for so long is closed; CRLF keep-alives count. Keep it above the \
         registration expiry, or phones that send no keep-alive become unreachable.",
    ),
    number(
        "limits.websocket_ping_s",
        "seconds",
        30,
        1,
        3_600,
        "How often a WebSocket is pinged. One that shows no sign of life for three times as long is closed, \
         and its registrations are not called any more. Keep it below the idle timeouts of proxies and NATs.",
    ),
    number(
        "limits.messages_per_source_per_s",
        "messages per second",
        1_000,
        1,
        1_000_000,
        "Sustained rate of SIP messages read per remote IP address (per /64 for IPv6), twice that in a \
         burst; what is beyond is dropped unread. Configured trunks are exempt. Polite refusal begins \
         earlier, with call.requests_per_second.",
    ),
    text(
        "call.country_code",
        None,
        "Digits put before numbers that are dialled in national form, such as \"49\". Without it such \
         numbers are refused as unrated.",
    ),
    number(
        "call.calls_max",
        "calls",
        10_000,
        1,
        1_000_000,
        "Simultaneous calls; the next INVITE is answered 503 with Retry-After.",
    ),
    number(
        "call.requests_per_second",
        "requests per second",
        50,
        1,
        1_000_000,
        "Sustained rate of new requests served per source address; beyond it 503 with Retry-After.",
    ),
    number(
        "call.requests_burst",
        "requests",
        200,
        1,
        1_000_000,
        "New requests a source may send at once before that rate holds.",
    ),
    number("call.attempts_max", "attempts", 5, 1, 32, "Carriers tried for one call."),
    number(
        "call.setup_timeout_s",
        "seconds",
        20,
        1,
        180,
        "Longest wait for the first 18x or answer of a registered phone; trunks have their own.",
    ),
    number(
        "call.ringing_timeout_s",
        "seconds",
        180,
        5,
        3_600,
        "Longest ringing after the first 18x; then the caller hears 480-class refusal.",
    ),
    number("call.local_call_max_s", "seconds", 14_400, 60, 86_400, "Longest free call between two phones."),
    number(
        "call.registration_max_s",
        "seconds",
        3_600,
        60,
        86_400,
        "A registration lasts at most this long.",
    ),
    number("call.retry_after_s", "seconds", 10, 1, 3_600, "What a 503 says in Retry-After."),
    number(
        "sip.t1_ms",
        "milliseconds",
        500,
        20,
        4_000,
        "T1 of RFC 3261: the estimate of the round trip. The first repeat over UDP comes after it, and who is \
         silent for 64 of it is given up. Below 500 on closed networks of short trips only.",
    ),
    number(
        "media.ping_interval_ms",
        "milliseconds",
        700,
        100,
        60_000,
        "How often each engine is asked whether it lives. Two unanswered in a row, or 1.5 s of refused \
         datagrams, and its calls are ended: the default finds a dead engine within 2.1 s.",
    ),
    number(
        "media.events_wait_ms",
        "milliseconds",
        2_000,
        100,
        30_000,
        "How long an engine may hold back its answer to a request for events.",
    ),
    number(
        "media.requests_max",
        "requests",
        4_096,
        16,
        65_536,
        "Unanswered requests to one engine; beyond it a call is refused with 503.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_in_its_range_and_every_key_is_there_once() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            if let Kind::Number { default, min, max, .. } = setting.kind {
                assert!(min <= default && default <= max, "{}", setting.key);
            }
            assert!(!SETTINGS[..index].iter().any(|other| other.key == setting.key), "{}", setting.key);
            assert!(!SETTINGS[..index].iter().any(|o| o.environment_name() == setting.environment_name()));
        }
    }

    #[test]
    fn reference_names_every_setting_with_its_environment_variable() {
        let text = reference();
        for setting in SETTINGS {
            assert!(text.contains(setting.key) && text.contains(&setting.environment_name()));
        }
    }
}
