//! From one client to another: what is sent to an address of ours never leaves the process.

use std::{net::SocketAddr, ops::Range};

use super::{Context, Handover, Packet, Turn, TurnDrop, TurnOutput};
use crate::io::Output;

impl Turn {
    /// Sends a payload from a relayed address to an address of ours.
    pub(super) fn send_own(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        to: SocketAddr,
        packet: Packet<'_>,
        payload: Range<usize>,
    ) -> Result<(), TurnDrop> {
        match self.shards.shard_of(to.port()) {
            None => Err(TurnDrop::OwnAddress),
            Some(shard) if shard == self.shards.own() => self.at_own(cx, from, to, packet, payload),
            Some(shard) => {
                let payload = packet.bytes[payload].to_vec();
                let handover = Box::new(Handover { from, to, payload });
                cx.outputs.push_back(Output::Turn(TurnOutput::Handover { shard, handover }));
                Ok(())
            }
        }
    }

    /// The same, from a client of another shard.
    pub(super) fn on_handover(&mut self, cx: &mut Context<'_>, handover: Handover) -> Result<(), TurnDrop> {
        let Handover { from, to, mut payload } = handover;
        let length = payload.len();
        let packet = Packet { bytes: &mut payload, length, in_slot: false };
        self.at_own(cx, from, to, packet, 0..length)
    }

    /// A payload has come to an address of ours: a client's, who must have permitted the sender, or one of a call, which says
    /// whom it expects.
    fn at_own(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        to: SocketAddr,
        packet: Packet<'_>,
        payload: Range<usize>,
    ) -> Result<(), TurnDrop> {
        let Some(relay) = self.relays.by_address(to) else {
            cx.sockets.at(to).ok_or(TurnDrop::OwnAddress)?;
            self.for_call = Some(Handover { from, to, payload: packet.bytes[payload].to_vec() });
            return Ok(());
        };
        self.send_client(cx, relay, from, packet, payload)
    }
}
