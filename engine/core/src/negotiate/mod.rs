//! Offer and answer: which parties they join, which ports each side is shown, what the SDP becomes.
//!
//! An exchange has two halves. [`dialogue`] and the pairs are settled when the command arrives;
//! [`Exchange`] then waits until every new socket is open, and only then are addresses, routes and
//! the reply made. A socket that cannot be opened leaves the call as it was.

pub(crate) mod bundle;
pub(crate) mod codec;
pub(crate) mod dialogue;
pub(crate) mod dtls;
pub(crate) mod ice;
pub(crate) mod keys;
pub(crate) mod own;
pub(crate) mod reason;
pub(crate) mod refuse;
pub(crate) mod rewrite;
pub(crate) mod sdes;

use std::net::SocketAddr;

use ng::{Signal, TransportProtocol};
use rtp::sdp::{Crypto, Direction, Sdp};

use crate::{
    media::{Asked, Media, Transport},
    path::Paths,
    socket::PairId,
};

/// Whether a description offers or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Offer,
    Answer,
}

/// An offer or answer whose sockets are opening.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: Kind,
    pub(crate) signal: Box<Signal>,
    pub(crate) sdp: Sdp,
    /// Index of the party whose description this is.
    pub(crate) sender: usize,
    /// Index of the party that it is for.
    pub(crate) receiver: usize,
    /// By section.
    pub(crate) sections: Vec<SectionPlan>,
}

/// What was settled about a section when its command arrived.
#[derive(Debug)]
pub(crate) struct SectionPlan {
    pub(crate) transport: Transport,
    /// Where the sender said it is, trust applied.
    pub(crate) endpoint: SocketAddr,
    /// The same for RTCP; `None` if there is none.
    pub(crate) rtcp_endpoint: Option<SocketAddr>,
    /// Its lines of SRTP keys that can be used.
    pub(crate) keys: Vec<Crypto>,
    /// What it says of ICE.
    pub(crate) ice: Option<ice::Said>,
    /// What it says of a handshake.
    pub(crate) handshake: Option<dtls::Said>,
    /// What the sender is shown; `None` for a section that is refused or foreign.
    pub(crate) sender_pair: Option<PairId>,
    /// What the receiver is shown.
    pub(crate) receiver_pair: Option<PairId>,
}

impl Exchange {
    /// Every pair that was planned.
    pub(crate) fn pairs_mut(&mut self) -> impl Iterator<Item = &mut PairId> {
        self.sections.iter_mut().flat_map(|plan| [&mut plan.sender_pair, &mut plan.receiver_pair]).flatten()
    }
}

/// The sender's part of a section, taken over into its media.
pub(crate) fn describe(media: &mut Media, index: usize, exchange: &Exchange, paths: &mut Paths) {
    let plan = &exchange.sections[index];
    let section = &exchange.sdp.media[index];
    media.kind.clone_from(&section.media().kind);
    media.become_transport(plan.transport, paths);
    media.endpoint = Some(plan.endpoint);
    media.payload_types = codec::payload_type_set(section);
    let port = match section.section.rtcp() {
        Some(rtcp) => rtcp.port,
        None => plan.endpoint.port().saturating_add(1),
    };
    let beside = SocketAddr::new(plan.endpoint.ip(), port);
    media.rtcp_endpoint = Some(plan.rtcp_endpoint.unwrap_or(beside));
    media.refused = section.media().port == 0;
    if !media.refused {
        let signal = &exchange.signal;
        media.asked = Asked {
            strict_source: signal.strict_source,
            media_handover: signal.media_handover,
            asymmetric: signal.asymmetric,
            unidirectional: signal.unidirectional,
        };
    }
    media.direction = direction(&exchange.sdp, index);
    media.direction_told = media.direction;
}

/// The direction of a section, hold by the unspecified address included; unless that leaves it to ICE.
pub(crate) fn direction(sdp: &Sdp, index: usize) -> Direction {
    let said = sdp.direction(index);
    let nowhere =
        sdp.connection(index).and_then(|connection| connection.ip()).is_some_and(|ip| ip.is_unspecified());
    if nowhere && !ice::is_elsewhere(sdp, index) && sdp.media[index].media().port != 0 {
        Direction::from_flags(said.sends(), false)
    } else {
        said
    }
}

/// What was said about rtcp-mux, brought together; returns whether it is written into the
/// description that goes out, and whether RTCP shares its port there.
///
/// What was offered to a party once is offered again, and how the offerer is answered is settled by the options of the
/// offer. A party that was not offered it and writes it into its answer is not heard.
pub(crate) fn multiplex(
    kind: Kind,
    signal: &Signal,
    written: bool,
    sender: &mut Media,
    receiver: &mut Media,
) -> (bool, bool) {
    let asked = signal.rtcp_mux;
    match kind {
        Kind::Offer => {
            let again = receiver.mux.said || asked.offer || asked.require;
            let offered = again || (written && !asked.demux);
            let refused = written && asked.reject;
            sender.mux.said = written && !refused;
            receiver.mux.settled = refused || written != offered || (written && asked.accept);
            receiver.mux.said = offered;
            receiver.mux.offered = offered;
            receiver.mux.active |= asked.require;
            (offered, offered && receiver.mux.active)
        }
        Kind::Answer => {
            sender.mux.said = written;
            sender.mux.active = written && sender.mux.offered;
            if !sender.mux.settled {
                receiver.mux.said = sender.mux.active;
            }
            receiver.mux.active = receiver.mux.said;
            (receiver.mux.active, receiver.mux.active)
        }
    }
}

/// The profiles of both sides of a section. What a client asked for towards one side stays until
/// the other side offers another profile, or the client asks anew.
pub(crate) fn protocols(
    kind: Kind,
    signal: &Signal,
    sent: &str,
    transport: Transport,
    from: &mut Media,
    to: &mut Media,
) {
    if from.protocol != sent {
        sent.clone_into(&mut from.protocol);
        let accepted = signal.transport_protocol == Some(TransportProtocol::Accept);
        if kind == Kind::Offer || accepted || to.transport != transport {
            sent.clone_into(&mut to.protocol);
        }
    }
    let asked = signal.transport_protocol.filter(|asked| *asked != TransportProtocol::Accept);
    if let (Transport::Rtp, Some(asked)) = (transport, asked.map(TransportProtocol::as_str))
        // Whoever offered with keys is answered with keys, and nobody else is.
        && (kind == Kind::Offer || speaks_as(asked) == speaks_as(&to.protocol))
    {
        asked.clone_into(&mut to.protocol);
    }
}

/// What a profile demands: keys, and a handshake for them.
fn speaks_as(protocol: &str) -> (bool, bool) {
    (sdes::is_secure(protocol), dtls::is_demanded(protocol))
}

/// `mid` of both sides (RFC 5888): an answer bears what its offer bore, a side that was told one keeps it.
pub(crate) fn name(
    kind: Kind,
    signal: &Signal,
    index: usize,
    section: &rtp::sdp::MediaSection,
    from: &mut Media,
    to: &mut Media,
) {
    if kind == Kind::Answer {
        return;
    }
    let written = section.section.attribute("mid").and_then(|attribute| attribute.value);
    if let Some(mid) = written {
        from.mid = Some(mid.to_owned());
    }
    if to.mid.is_none() {
        to.mid = from.mid.clone().or_else(|| signal.generate_mid.then(|| (index + 1).to_string()));
    }
}
