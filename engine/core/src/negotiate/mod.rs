//! Offer and answer: which parties they join, which ports each side is shown, what the SDP becomes.
//!
//! An exchange has two halves. [`dialogue`] and the pairs are settled when the command arrives;
//! [`Exchange`] then waits until every new socket is open, and only then are addresses, routes and
//! the reply made. A socket that cannot be opened leaves the call as it was.

pub(crate) mod codec;
pub(crate) mod dialogue;
pub(crate) mod refuse;
pub(crate) mod rewrite;

use std::net::SocketAddr;

use ng::{Signal, TransportProtocol};
use rtp::sdp::{Direction, Sdp};

use crate::{
    media::{Media, Transport},
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
    /// Of the command.
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) signal: Box<Signal>,
    pub(crate) sdp: Sdp,
    /// Index of the party whose description this is.
    pub(crate) sender: usize,
    /// Index of the party that it is for.
    pub(crate) receiver: usize,
    /// By section.
    pub(crate) sections: Vec<SectionPlan>,
    /// Pairs that were asked for and are not open yet.
    pub(crate) opening: Vec<PairId>,
    /// How often another port may still be tried.
    pub(crate) attempts_left: u8,
}

/// What was settled about a section when its command arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SectionPlan {
    pub(crate) transport: Transport,
    /// Where the sender said it is, trust applied.
    pub(crate) endpoint: SocketAddr,
    /// The same for RTCP; `None` if there is none.
    pub(crate) rtcp_endpoint: Option<SocketAddr>,
    /// What the sender is shown; `None` for a section that is refused or foreign.
    pub(crate) sender_pair: Option<PairId>,
    /// What the receiver is shown.
    pub(crate) receiver_pair: Option<PairId>,
}

impl Exchange {
    /// Puts `new` wherever `old` was planned.
    pub(crate) fn replace_pair(&mut self, old: PairId, new: PairId) {
        let everywhere = self
            .sections
            .iter_mut()
            .flat_map(|plan| [&mut plan.sender_pair, &mut plan.receiver_pair])
            .flatten();
        for pair in everywhere.chain(self.opening.iter_mut()) {
            if *pair == old {
                *pair = new;
            }
        }
    }
}

/// The sender's part of a section, taken over into its media.
pub(crate) fn describe(media: &mut Media, index: usize, exchange: &Exchange, paths: &mut Paths) {
    let plan = exchange.sections[index];
    let section = &exchange.sdp.media[index];
    media.kind.clone_from(&section.media().kind);
    media.protocol.clone_from(&section.media().proto);
    media.become_transport(plan.transport, paths);
    media.endpoint = Some(plan.endpoint);
    media.refused = section.media().port == 0;
    media.direction = direction(&exchange.sdp, index);
}

/// The direction of a section, hold by the unspecified address included.
pub(crate) fn direction(sdp: &Sdp, index: usize) -> Direction {
    let said = sdp.direction(index);
    let nowhere =
        sdp.connection(index).and_then(|connection| connection.ip()).is_some_and(|ip| ip.is_unspecified());
    if nowhere { Direction::from_flags(said.sends(), false) } else { said }
}

/// What was said about rtcp-mux, brought together; returns whether it is written into the
/// description that goes out, and whether RTCP shares its port there.
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
            sender.mux.offered_by = written;
            sender.mux.accept = asked.accept || asked.demux;
            sender.mux.reject = asked.reject;
            let offered = asked.offer || asked.require || (written && !asked.demux);
            receiver.mux.offered_to = offered;
            if asked.require {
                receiver.mux.active = true;
            }
            (offered, asked.require || (offered && receiver.mux.active))
        }
        Kind::Answer => {
            sender.mux.active = written && sender.mux.offered_to;
            let accept = receiver.mux.accept || asked.accept || asked.demux;
            let reject = receiver.mux.reject || asked.reject;
            receiver.mux.active =
                receiver.mux.offered_by && !reject && (accept || (written && sender.mux.offered_to));
            (receiver.mux.active, receiver.mux.active)
        }
    }
}

/// The profile of a section that goes out.
pub(crate) fn protocol(kind: Kind, signal: &Signal, sent: &str, receiver: &Media) -> String {
    match (kind, signal.transport_protocol) {
        (Kind::Offer, Some(TransportProtocol::RtpAvp)) => "RTP/AVP".to_owned(),
        (Kind::Offer, Some(TransportProtocol::RtpAvpf)) => "RTP/AVPF".to_owned(),
        (Kind::Answer, Some(TransportProtocol::Accept)) | (Kind::Offer, _) => sent.to_owned(),
        (Kind::Answer, _) => receiver.protocol.clone(),
    }
}
