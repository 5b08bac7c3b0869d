//! Why something from the network, or something meant for it, went no further.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the reasons with their names in metrics.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal,)*) => {
        /// One documented variant and one counter per reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $($(#[doc = $doc])* $name,)*
        }

        impl DropReason {
            /// Every reason, in order of declaration.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$name,)*];

            /// Its name in metrics.
            pub fn label(self) -> &'static str {
                match self { $(DropReason::$name => $label,)* }
            }
        }
    };
}

reasons! {
    /// A plain listener for trunks heard somebody else.
    NotATrunk = "not_a_trunk",
    /// A datagram or a frame that is no SIP message.
    Malformed = "malformed",
    /// The stream cannot be cut into messages: no usable Content-Length, a
    /// message beyond the limit, or no WebSocket frame. The connection is closed.
    Unframed = "unframed",
    /// A connection brought more malformed messages, or pings, than are put up with.
    Babbling = "babbling",
    /// The source sent more messages than it may; those that are served may
    /// still be answered 503 by the call logic.
    RateMax = "rate_max",
    /// The call logic has as many messages waiting as it may.
    InputQueueFull = "input_queue_full",
    /// As many connections as may be are open.
    ConnectionsMax = "connections_max",
    /// As many connections as one source may have are open.
    ConnectionsPerSourceMax = "connections_per_source_max",
    /// As many connections of our own as may be are open.
    OutboundConnectionsMax = "outbound_connections_max",
    /// Accepting failed, for example for want of descriptors.
    AcceptFailed = "accept_failed",
    /// The handshake failed or took too long.
    HandshakeFailed = "handshake_failed",
    /// A WebSocket was asked for without its subprotocol `sip`.
    NotSip = "not_sip",
    /// A WebSocket was asked for by a page of an origin that is not allowed.
    OriginRefused = "origin_refused",
    /// A message over WebSocket beyond the limit. The connection is closed.
    FrameTooLong = "frame_too_long",
    /// The first message, or the rest of one, did not come in time.
    MessageTimeout = "message_timeout",
    /// Nothing was heard for longer than the idle timeout, or three pings of a WebSocket.
    Idle = "idle",
    /// The peer did not read what was written to it.
    SlowReader = "slow_reader",
    /// A connection could not be opened.
    ConnectFailed = "connect_failed",
    /// The connection a message was meant for is gone.
    FlowGone = "flow_gone",
    /// No listener of that transport and address family can send it.
    NoListener = "no_listener",
    /// The socket's send buffer is full: the datagram is lost as on any network,
    /// and its retransmission is tried later.
    SendBufferFull = "send_buffer_full",
    /// No datagram is as long as the message: its transaction ends by its timer.
    DatagramTooLong = "datagram_too_long",
    /// The kernel refused a datagram: there is no route.
    DatagramRefused = "datagram_refused",
}

/// The counters, one per reason, shared by every task of the transports.
#[derive(Debug)]
pub struct Drops([AtomicU64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Drops {
    pub(crate) fn count(&self, reason: DropReason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
        metrics::counter!("control_sip_drops_total", "reason" => reason.label()).increment(1);
    }

    /// How often `reason` was met since start.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}
