//! The shard's seat at its TURN server.

use super::Shard;
use crate::{
    io::SocketId,
    turn::{Context, Turn},
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
    }
}
