//! What browsers want beside ICE itself: who only answers checks, several sections on one port, and one word for all of it.

use crate::signal::{Ice, Signal, TransportProtocol};

/// Toward whom we say that we only answer checks (`ICE-lite`, RFC 8445 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IceLite {
    /// Whoever reads the offer.
    Forward,
    /// Whoever wrote it.
    Backward,
    /// Both.
    Both,
    /// Nobody.
    Off,
}

impl IceLite {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Backward, Self::Both, Self::Off];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Both => "both",
            Self::Off => "off",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Whether the reader of an offer is told so.
    pub const fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::Both)
    }

    /// Whether its writer is.
    pub const fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::Both)
    }
}

/// Whether sections share a port (`bundle`, RFC 9143).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bundle {
    /// It is offered, whatever the client wrote.
    pub offer: bool,
    /// It is accepted where it was offered.
    pub accept: bool,
    /// It is not.
    pub reject: bool,
}

impl Bundle {
    /// Reads one word; false if it is unknown, or not built.
    pub(crate) fn read(&mut self, word: &str) -> bool {
        match word {
            "offer" => self.offer = true,
            "accept" => self.accept = true,
            "reject" => self.reject = true,
            _ => return false,
        }
        true
    }
}

/// `WebRTC`: everything that a browser demands of what it is shown.
pub(crate) fn shorthand(signal: &mut Signal) {
    signal.transport_protocol = Some(TransportProtocol::UdpTlsRtpSavpf);
    signal.ice = Some(Ice::Force);
    signal.trickle_ice = true;
    signal.rtcp_mux.offer = true;
    signal.rtcp_mux.require = true;
    signal.rtcp_attribute = Some(false);
    signal.sdes.off = true;
    signal.generate_mid = true;
    signal.bundle.offer = true;
}
