//! Limits, names and timers of the transaction layer.

use super::timers::Timers;
use crate::hop::Transport;
use crate::message::HostPort;

/// What the layer may use and how it names itself.
#[derive(Clone, Debug)]
pub struct LayerConfig {
    /// Timer values.
    pub timers: Timers,
    /// Host and port of our Via over UDP.
    pub sent_by_udp: HostPort,
    /// Host and port of our Via over TCP.
    pub sent_by_tcp: HostPort,
    /// Host and port of our Via over TLS.
    pub sent_by_tls: HostPort,
    /// Host and port of our Via over WebSocket.
    pub sent_by_ws: HostPort,
    /// Host and port of our Via over WebSocket inside TLS.
    pub sent_by_wss: HostPort,
    /// Server transactions at once (about 4 KiB each). Over UDP each lives 32 s
    /// after its answer, so 100 calls a second need 6,400 for their INVITE and BYE.
    pub servers_max: usize,
    /// Server transactions at once from one IP address.
    pub servers_per_source_max: usize,
    /// Client transactions at once (about 4 KiB each).
    pub clients_max: usize,
    /// Retry-After of the 503 sent when a table is full, in seconds.
    pub retry_after_s: u32,
}

impl LayerConfig {
    /// Defaults with one sent-by for all transports.
    #[must_use]
    pub fn new(sent_by: HostPort) -> Self {
        Self {
            timers: Timers::default(),
            sent_by_udp: sent_by.clone(),
            sent_by_tcp: sent_by.clone(),
            sent_by_tls: sent_by.clone(),
            sent_by_ws: sent_by.clone(),
            sent_by_wss: sent_by,
            servers_max: 60_000,
            servers_per_source_max: 30_000,
            clients_max: 60_000,
            retry_after_s: 5,
        }
    }

    pub(super) const fn sent_by(&self, transport: Transport) -> &HostPort {
        match transport {
            Transport::Udp => &self.sent_by_udp,
            Transport::Tcp => &self.sent_by_tcp,
            Transport::Tls => &self.sent_by_tls,
            Transport::Ws => &self.sent_by_ws,
            Transport::Wss => &self.sent_by_wss,
        }
    }
}
