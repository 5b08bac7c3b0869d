//! The configuration file as it is written: every value optional, every value
//! with its place in the text, unknown keys refused.

use serde::Deserialize;
use toml::Spanned;

/// A value that may be absent, with the bytes it came from.
pub(super) type Field<T> = Option<Spanned<T>>;

/// Declares a table of optional values and how a second document overrides it.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $(pub(super) $field: Field<$kind>,)*
        }

        impl $name {
            fn overlay(&mut self, over: Self) {
                $(if over.$field.is_some() { self.$field = over.$field; })*
            }
        }
    };
}

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) node: Node,
    pub(super) store: Store,
    pub(super) cdr: Cdr,
    pub(super) log: Log,
    pub(super) listener: Field<Vec<Spanned<Listener>>>,
    pub(super) engine: Field<Vec<Spanned<Engine>>>,
    pub(super) tls: Tls,
    pub(super) limits: Limits,
    pub(super) call: Call,
    pub(super) sip: Sip,
    pub(super) media: Media,
}

impl Raw {
    /// Takes every value that `over` has; lists are replaced whole.
    pub(super) fn overlay(&mut self, over: Self) {
        self.node.overlay(over.node);
        self.store.overlay(over.store);
        self.cdr.overlay(over.cdr);
        self.log.overlay(over.log);
        self.tls.overlay(over.tls);
        self.limits.overlay(over.limits);
        self.call.overlay(over.call);
        self.sip.overlay(over.sip);
        self.media.overlay(over.media);
        if over.listener.is_some() {
            self.listener = over.listener;
        }
        if over.engine.is_some() {
            self.engine = over.engine;
        }
    }
}

table!(Node { id: String, domain: String });
table!(Store { path: String });
table!(Cdr { path: String });
table!(Log { show_numbers: bool });
table!(Tls { trust_roots: String, handshake_timeout_ms: u64, handshakes_max: u64 });
table!(Limits {
    connections_max: u64,
    connections_per_source_max: u64,
    outbound_connections_max: u64,
    body_bytes_max: u64,
    write_queue_bytes_max: u64,
    input_queue_max: u64,
    connect_timeout_ms: u64,
    write_timeout_ms: u64,
    first_message_timeout_ms: u64,
    idle_timeout_s: u64,
    websocket_ping_s: u64,
    messages_per_source_per_s: u64,
});
table!(Call {
    country_code: String,
    calls_max: u64,
    requests_per_second: u64,
    requests_burst: u64,
    attempts_max: u64,
    setup_timeout_s: u64,
    ringing_timeout_s: u64,
    local_call_max_s: u64,
    registration_max_s: u64,
    retry_after_s: u64,
});
table!(Sip { t1_ms: u64 });
table!(Media { ping_interval_ms: u64, events_wait_ms: u64, requests_max: u64 });

/// One `[[listener]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) transport: Spanned<String>,
    pub(super) address: Spanned<String>,
    pub(super) advertised: Field<String>,
    pub(super) plain: Field<String>,
    pub(super) origins: Field<Vec<Spanned<String>>>,
    pub(super) certificate: Field<String>,
    pub(super) key: Field<String>,
}

/// One `[[engine]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) name: Spanned<String>,
    pub(super) address: Spanned<String>,
}
