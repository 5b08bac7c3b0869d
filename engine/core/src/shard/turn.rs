//! The shard's seat at its TURN server.

use std::net::SocketAddr;

use super::Shard;
use crate::{
    io::SocketId,
    secure,
    turn::{Context, Handover, Turn, TurnDrop},
};

impl Shard {
    /// Whether a socket is one of the TURN server's.
    pub(super) fn is_of_turn(&self, socket: SocketId) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.has(socket))
    }

    /// Whether a socket of a call may have this number.
    pub fn is_number_of_calls(&self, socket: SocketId) -> bool {
        self.sockets.is_number(socket)
    }

    /// The TURN server, which must be there.
    #[cfg(test)]
    pub(crate) fn turn_server(&self) -> &Turn {
        self.turn.as_ref().expect("a TURN server")
    }

    /// Lets the TURN server do something, if there is one.
    pub(super) fn with_turn(&mut self, work: impl FnOnce(&mut Turn, &mut Context<'_>)) {
        let Self { turn, sockets, outputs, made, counters, chance, tos, now, wall_ms, .. } = self;
        let Some(turn) = turn else { return };
        let counters = &mut counters.turn;
        let mut context =
            Context { sockets, outputs, made, counters, chance, tos: *tos, now: *now, wall_ms: *wall_ms };
        work(turn, &mut context);
        if let Some(handover) = turn.take_for_call() {
            self.on_relayed(handover);
        }
    }

    /// A client's payload for a call, as if it had come from the client's relayed address; dropped unless that is a candidate
    /// of the party that the port is shown to.
    fn on_relayed(&mut self, Handover { from, to, mut payload }: Handover) {
        let socket = self.sockets.at(to).filter(|socket| self.expects_relayed(*socket, from));
        let (Some(socket), Ok(length)) = (socket, u16::try_from(payload.len())) else {
            return self.counters.turn.dropped(TurnDrop::OwnAddress);
        };
        payload.resize(payload.len() + secure::GROWTH_BYTES_MAX, 0);
        // Whoever fails on it now, it is the call's payload and no more the client's.
        self.timed = self.sockets.call(socket);
        self.on_media(socket, from, &mut payload, length, false);
        self.timed = None;
    }

    /// Whether the party that a socket serves has a relayed address among its candidates.
    fn expects_relayed(&self, socket: SocketId, relayed: SocketAddr) -> bool {
        let (Some(path), Some(key)) = (self.sockets.path(socket), self.sockets.call(socket)) else {
            return false;
        };
        let medias =
            self.calls.get(key).into_iter().flat_map(|call| call.parties()).flat_map(|(_, leg)| &leg.medias);
        medias.filter(|media| [media.rtp, media.rtcp].contains(&path)).any(|media| media.ice.lists(relayed))
    }
}
