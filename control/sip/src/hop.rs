//! Where a message came from or goes to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// Messages of a WebSocket ([RFC 7118](https://www.rfc-editor.org/rfc/rfc7118)); only ever opened by the other end.
    Ws,
    /// The same inside TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself delivers or fails.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether nobody between the two ends reads it.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether its connections are opened by the other end alone: there is no listener where a browser is.
    #[must_use]
    pub const fn is_inbound_only(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// The name as it stands in Via.
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The transport that Via calls so.
    #[must_use]
    pub fn from_via(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss].into_iter().find(|known| known.via() == name)
    }

    /// The value of the `transport` parameter of a URI. RFC 7118 §5.2.2 knows one for both kinds of WebSocket.
    #[must_use]
    pub const fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// The port meant when none is written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via())
    }
}

/// One connection, or one UDP socket; never reused in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowId(pub u64);

/// The next or the last hop of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The transport.
    pub transport: Transport,
    /// The other end.
    pub remote: SocketAddr,
    /// The connection or socket; `None` is any connection to `remote`, opened when there is none.
    pub flow: Option<FlowId>,
    /// The name a TLS certificate of `remote` must prove, when we open the connection.
    #[serde(with = "server_name", default)]
    pub server_name: Option<Arc<str>>,
}

impl Hop {
    /// A hop over any connection to `remote`.
    #[must_use]
    pub const fn new(transport: Transport, remote: SocketAddr) -> Self {
        Self { transport, remote, flow: None, server_name: None }
    }

    /// A hop over this very connection or socket.
    #[must_use]
    pub const fn over(transport: Transport, remote: SocketAddr, flow: FlowId) -> Self {
        Self { transport, remote, flow: Some(flow), server_name: None }
    }

    /// Whether a failure of `failed` is a failure of this hop.
    #[must_use]
    pub fn is_hit_by(&self, failed: &Self) -> bool {
        match (self.flow, failed.flow) {
            (Some(mine), Some(theirs)) if self.transport.is_reliable() => mine == theirs,
            _ => self.transport == failed.transport && self.remote == failed.remote,
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport, self.remote)
    }
}

/// Serde has no `Arc<str>` without its `rc` feature.
mod server_name {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        name: &Option<Arc<str>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        name.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Arc::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_connection_hits_only_hops_over_it() {
        let remote = "192.0.2.1:5061".parse().expect("address");
        let first = Hop::over(Transport::Tls, remote, FlowId(1));
        let second = Hop::over(Transport::Tls, remote, FlowId(2));
        assert!(first.is_hit_by(&first));
        assert!(!second.is_hit_by(&first));
        assert!(Hop::new(Transport::Tls, remote).is_hit_by(&first));
        assert!(!Hop::new(Transport::Tcp, remote).is_hit_by(&first));
    }
}
