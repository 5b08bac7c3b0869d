//! What goes between clients and peers. On datagrams it is sent from where it lies: in front of a payload four bytes are cut
//! off, or it is moved a little to make room for them.

use std::{net::SocketAddr, ops::Range};

use rand::RngExt;
use rtp::{
    stun::TransactionId,
    turn::{ChannelData, Client, DATA_HEADER_BYTES_MAX, Family, data_header},
};

use super::{
    Context, Packet, Turn, TurnDrop,
    allocation::{AllocationKey, RelayId},
    flow_of,
    request::Send,
};
use crate::io::{Output, SocketId};

impl Turn {
    /// ChannelData of a client (RFC 8656 §12.7).
    pub(super) fn on_channel_data(
        &mut self,
        cx: &mut Context<'_>,
        client: Client,
        packet: Packet<'_>,
    ) -> Result<(), TurnDrop> {
        let data = ChannelData::parse(packet.whole()).ok_or(TurnDrop::Malformed)?;
        let key = *self.clients.get(&client).ok_or(TurnDrop::NoAllocation)?;
        let allocation = self.allocations.get(key).ok_or(TurnDrop::NoAllocation)?;
        let channel = allocation.channel(data.number, cx.now).ok_or(TurnDrop::NoChannel)?;
        self.send_peer(cx, key, (channel.peer, channel.own), packet, data.payload())
    }

    /// A Send indication (RFC 8656 §11.3).
    pub(super) fn on_send(
        &mut self,
        cx: &mut Context<'_>,
        client: Client,
        send: Send,
        packet: Packet<'_>,
    ) -> Result<(), TurnDrop> {
        let Send { peer, payload } = send;
        let key = *self.clients.get(&client).ok_or(TurnDrop::NoAllocation)?;
        let allocation = self.allocations.get(key).filter(|allocation| allocation.is_ready());
        let allocation = allocation.ok_or(TurnDrop::NoAllocation)?;
        // Who has a permission was allowed one, so that no address is looked at again here.
        if peer.port() == 0 || !allocation.permits(peer.ip(), cx.now) {
            return Err(TurnDrop::NoPermission);
        }
        let own = self.lent.contains(&peer.ip());
        self.send_peer(cx, key, (peer, own), packet, payload)
    }

    /// Sends a payload from a relayed address.
    fn send_peer(
        &mut self,
        cx: &mut Context<'_>,
        key: AllocationKey,
        (peer, own): (SocketAddr, bool),
        packet: Packet<'_>,
        payload: Range<usize>,
    ) -> Result<(), TurnDrop> {
        let allocation = self.allocations.get_mut(key).ok_or(TurnDrop::NoAllocation)?;
        let relay = allocation.relay(Family::of(peer.ip())).ok_or(TurnDrop::Family)?;
        let rate = self.live.limits.user_bytes_per_second_max;
        if !self.users.get_mut(allocation.user).to_peers.take(cx.now, rate, payload.len()) {
            return Err(TurnDrop::Bandwidth);
        }
        let bytes = payload.len();
        if own {
            let from = self.relays.address(relay).ok_or(TurnDrop::NoSocket)?;
            self.send_own(cx, from, peer, packet, payload)?;
        } else {
            self.transmit(cx, self.relays.socket(relay), peer, packet, payload)?;
        }
        cx.counters.to_peers.add(bytes);
        if let Some(allocation) = self.allocations.get_mut(key) {
            allocation.to_peers.add(bytes);
        }
        Ok(())
    }

    /// A datagram on a relayed socket (RFC 8656 §11.4, §12.6).
    pub(super) fn on_peer(
        &mut self,
        cx: &mut Context<'_>,
        socket: SocketId,
        peer: SocketAddr,
        packet: Packet<'_>,
    ) -> Result<(), TurnDrop> {
        let relay = self.relays.of(socket).ok_or(TurnDrop::NoSocket)?;
        let payload = 0..packet.length;
        self.send_client(cx, relay, peer, packet, payload)
    }

    /// Sends a payload that came to a relayed address to the client.
    pub(super) fn send_client(
        &mut self,
        cx: &mut Context<'_>,
        relay: RelayId,
        peer: SocketAddr,
        packet: Packet<'_>,
        payload: Range<usize>,
    ) -> Result<(), TurnDrop> {
        let key = self.relays.get(relay).and_then(|relay| relay.allocation).ok_or(TurnDrop::NoSocket)?;
        let Self { allocations, users, live, .. } = self;
        let allocation = allocations.get_mut(key).filter(|allocation| allocation.is_ready());
        let allocation = allocation.ok_or(TurnDrop::NoSocket)?;
        let client = allocation.client;
        self.handling = Some(client);
        if !allocation.permits(peer.ip(), cx.now) {
            return Err(TurnDrop::NoPermission);
        }
        let rate = live.limits.user_bytes_per_second_max;
        if !users.get_mut(allocation.user).to_clients.take(cx.now, rate, payload.len()) {
            return Err(TurnDrop::Bandwidth);
        }
        let bytes = payload.len();
        let length = u16::try_from(bytes).map_err(|_| TurnDrop::NoRoom)?;
        let number = allocation.number_of(peer, cx.now);
        allocation.to_clients.add(bytes);
        let padding = bytes.next_multiple_of(4) - bytes;
        match number {
            Some(number) => {
                // Datagrams end where they end; streams do not (RFC 8656 §12.5).
                let padding = if flow_of(client).is_some() { padding } else { 0 };
                let header = ChannelData::header(number, length);
                self.emit(cx, client, &header, packet, payload, padding)?;
            }
            None => {
                let mut header = [0; DATA_HEADER_BYTES_MAX];
                let transaction = TransactionId(cx.chance.random());
                let written = data_header(&mut header, transaction, peer, length);
                self.emit(cx, client, &header[..written], packet, payload, padding)?;
            }
        }
        cx.counters.to_clients.add(bytes);
        Ok(())
    }

    /// Sends a header, a payload and padding to a client, from the slot that the payload lies in if it lies in one.
    fn emit(
        &self,
        cx: &mut Context<'_>,
        client: Client,
        header: &[u8],
        packet: Packet<'_>,
        payload: Range<usize>,
        padding: usize,
    ) -> Result<(), TurnDrop> {
        if !packet.in_slot || flow_of(client).is_some() {
            return self.send(cx, client, &[header, &packet.bytes[payload]], padding);
        }
        let begin = payload.start.max(header.len());
        let end = begin + payload.len();
        let Some(room) = packet.bytes.get_mut(..end + padding) else { return Err(TurnDrop::NoRoom) };
        if begin != payload.start {
            room.copy_within(payload, begin);
        }
        room[begin - header.len()..begin].copy_from_slice(header);
        room[end..].fill(0);
        let socket = SocketId(u32::try_from(client.way).expect("a socket's number"));
        let range = place(begin - header.len())?..place(end + padding)?;
        cx.outputs.push_back(Output::Transmit { socket, remote: client.address, range });
        Ok(())
    }

    /// Sends a payload as it is.
    fn transmit(
        &self,
        cx: &mut Context<'_>,
        socket: SocketId,
        remote: SocketAddr,
        packet: Packet<'_>,
        payload: Range<usize>,
    ) -> Result<(), TurnDrop> {
        cx.outputs.push_back(if packet.in_slot {
            Output::Transmit { socket, remote, range: place(payload.start)?..place(payload.end)? }
        } else {
            let made = cx.made.put(&packet.bytes[payload]).ok_or(TurnDrop::NoRoom)?;
            Output::TransmitCopy { socket, remote, made }
        });
        Ok(())
    }
}

/// A place in a datagram.
fn place(at: usize) -> Result<u16, TurnDrop> {
    u16::try_from(at).map_err(|_| TurnDrop::NoRoom)
}
