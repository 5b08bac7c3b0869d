//! One media section of one party, and the socket pairs it was shown.

use std::net::SocketAddr;

use rtp::sdp::Direction;

use crate::{
    negotiate::{dtls::Dtls, ice::Ice, sdes::Keying},
    path::{PathId, PathKind, Paths},
    sim::{self, Way},
    socket::PairId,
};

/// One media section of one party.
#[derive(Debug)]
pub(crate) struct Media {
    /// `audio`, `video` …
    pub(crate) kind: String,
    /// The profile this party speaks.
    pub(crate) protocol: String,
    pub(crate) transport: Transport,
    /// Where this party said it is; `None` before its first description.
    pub(crate) endpoint: Option<SocketAddr>,
    /// The same for RTCP.
    pub(crate) rtcp_endpoint: Option<SocketAddr>,
    /// Whether it is shown IPv4 addresses; `None` before anybody knows.
    pub(crate) ipv4: Option<bool>,
    pub(crate) direction: Direction,
    /// What the last offer or answer left of it, of either side.
    pub(crate) direction_told: Direction,
    /// Its name in descriptions that go to this party (RFC 5888).
    pub(crate) mid: Option<String>,
    /// What was said of SRTP keys, if anything was.
    pub(crate) keying: Option<Box<Keying>>,
    /// What was said of ICE.
    pub(crate) ice: Ice,
    /// What was said of a handshake for them, if anything was.
    pub(crate) dtls: Option<Box<Dtls>>,
    /// Payload types of its last description, a bit for each.
    pub(crate) payload_types: u128,
    /// Port 0: refused by this party.
    pub(crate) refused: bool,
    /// The last offer or answer left it no port on this side.
    pub(crate) closed: bool,
    pub(crate) mux: Mux,
    pub(crate) rtp: PathId,
    pub(crate) rtcp: PathId,
    /// What it asked for with its last description.
    pub(crate) asked: Asked,
    /// Every pair this party was shown, by the other side's endpoint.
    pub(crate) pairs: Vec<ShownPair>,
    /// The one it is shown now.
    pub(crate) selected: Option<PairId>,
}

/// What a section's datagrams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// RTP and RTCP.
    Rtp,
    /// UDP that is relayed unread.
    Opaque,
    /// Not UDP: left as it is.
    Foreign,
}

/// What was said about rtcp-mux (RFC 5761 §5.1).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mux {
    /// This party does it, or is offered it, by the last offer or answer.
    pub(crate) said: bool,
    /// It was offered it.
    pub(crate) offered: bool,
    /// Whatever it answers, what the other side is told was settled by the offer.
    pub(crate) settled: bool,
    /// In use.
    pub(crate) active: bool,
}

/// Flags of a party's last description that are shown with its media.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) strict_source: bool,
    pub(crate) media_handover: bool,
    pub(crate) asymmetric: bool,
    pub(crate) unidirectional: bool,
}

/// A pair and the endpoint of the other side for which it was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownPair {
    pub(crate) pair: PairId,
    pub(crate) interface: usize,
    /// `None` until the other side is known: the first endpoint takes it.
    pub(crate) peer: Option<SocketAddr>,
}

impl Media {
    pub(crate) fn new(kind: &str, protocol: &str, transport: Transport, paths: &mut Paths) -> Self {
        let (first, second) = match transport {
            Transport::Rtp => (PathKind::Rtp, PathKind::Rtcp),
            Transport::Opaque | Transport::Foreign => (PathKind::Opaque, PathKind::Opaque),
        };
        Self {
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            transport,
            endpoint: None,
            rtcp_endpoint: None,
            ipv4: None,
            direction: Direction::SendRecv,
            direction_told: Direction::SendRecv,
            mid: None,
            keying: None,
            ice: Ice::default(),
            dtls: None,
            payload_types: 0,
            refused: false,
            closed: false,
            mux: Mux::default(),
            asked: Asked::default(),
            rtp: paths.insert(first),
            rtcp: paths.insert(second),
            pairs: Vec::new(),
            selected: None,
        }
    }

    /// The suite of SRTP in which this party and we speak; `None` where packets are plain, and until a handshake is done.
    pub(crate) fn suite(&self) -> Option<&str> {
        match &self.dtls {
            Some(dtls) if dtls.is_agreed() => dtls.suite().map(rtp::srtp::Suite::name),
            _ => self.keying.as_ref()?.suite(),
        }
    }

    /// A section may change its nature in a re-offer, as audio does that becomes T.38.
    pub(crate) fn become_transport(&mut self, transport: Transport, paths: &mut Paths) {
        if self.transport == transport {
            return;
        }
        sim::seen(Way::MediaChanged);
        self.transport = transport;
        // Keys and checks were for what it was.
        (self.keying, self.dtls) = (None, None);
        self.ice.forget();
        let (first, second) = match transport {
            Transport::Rtp => (PathKind::Rtp, PathKind::Rtcp),
            Transport::Opaque | Transport::Foreign => (PathKind::Opaque, PathKind::Opaque),
        };
        paths[self.rtp].kind = first;
        paths[self.rtcp].kind = second;
    }

    /// The pair that this party is shown while the other side is at `peer`, if it has one.
    ///
    /// The same endpoint finds the same pair; an unspecified address (hold) finds the pair of
    /// its port, the newest if there are several; a pair without endpoint is taken by the first one that asks.
    pub(crate) fn pair_for(&mut self, peer: Option<SocketAddr>, interface: usize) -> Option<PairId> {
        let here = |shown: &&mut ShownPair| shown.interface == interface;
        for shown in self.pairs.iter_mut().rev().filter(here) {
            match (shown.peer, peer) {
                (None, _) => {
                    shown.peer = peer;
                    return Some(shown.pair);
                }
                (Some(before), Some(wanted)) => {
                    let unspecified = before.ip().is_unspecified() || wanted.ip().is_unspecified();
                    if before == wanted || (unspecified && before.port() == wanted.port()) {
                        if before.ip().is_unspecified() {
                            shown.peer = Some(wanted);
                        }
                        return Some(shown.pair);
                    }
                }
                (Some(_), None) => {}
            }
        }
        if peer.is_none() { self.selected } else { None }
    }

    /// The interface of the pair that this party is shown now.
    pub(crate) fn selected_interface(&self) -> Option<usize> {
        let selected = self.pairs.iter().find(|shown| Some(shown.pair) == self.selected)?;
        Some(selected.interface)
    }

    /// The pair that this party is shown now, whatever the other side's endpoint has become, unless it lies on another
    /// interface than is wanted.
    pub(crate) fn latched_pair(&mut self, peer: Option<SocketAddr>, interface: usize) -> Option<PairId> {
        let selected = self.selected?;
        let shown =
            self.pairs.iter_mut().find(|shown| shown.pair == selected && shown.interface == interface)?;
        shown.peer = shown.peer.or(peer);
        Some(selected)
    }

    /// Forgets the oldest pair that is not in use, if there are as many as there may be.
    pub(crate) fn oldest_surplus(
        &mut self,
        pairs_max: usize,
        needed: impl Fn(PairId) -> bool,
    ) -> Option<PairId> {
        if self.pairs.len() < pairs_max {
            return None;
        }
        let spare = |shown: &ShownPair| Some(shown.pair) != self.selected && !needed(shown.pair);
        let index = self.pairs.iter().position(spare)?;
        Some(self.pairs.remove(index).pair)
    }
}
