//! A TURN server: clients that are lent addresses, and what goes between them and their peers (RFC 8656).
//!
//! Supported: Binding; Allocate with both families at once, even ports and a port set aside; Refresh, CreatePermission,
//! ChannelBind, Send and Data indications, ChannelData; long-term credentials with timed passwords, MESSAGE-INTEGRITY with
//! SHA-1 and SHA-256; clients that come in datagrams and on streams. Not here: DONT-FRAGMENT (answered 420), TCP toward
//! peers, mobility, password algorithms besides MD5, USERHASH.
//!
//! Decisions: `adr/0013-turn-is-our-own.md`, `adr/0014-nobody-is-relayed-to-who-is-not-public.md`.

mod allocate;
mod allocation;
mod answer;
mod config;
mod counters;
mod own;
mod peers;
mod permit;
mod relays;
mod request;
mod traffic;
mod user;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    ops::Range,
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use rtp::{
    turn::{Client, Nonces},
    units::Instant,
};

use self::{
    allocation::{AllocationKey, Allocations, Token},
    relays::{Relays, Reservation},
    user::Users,
};
pub use self::{
    config::{TurnConfig, TurnLimits, TurnLive, TurnSecret},
    counters::{TurnCounters, TurnDrop, TurnError, TurnTraffic},
};
use crate::{
    io::{OpenError, Output, SocketId},
    made::Made,
    ports::{PortRange, PortShards},
    socket::Sockets,
};

/// A connection on which a client speaks: the same for no two of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// Something that happened to a TURN server besides datagrams on its sockets.
#[derive(Debug)]
pub enum TurnInput<'a> {
    /// One message came on a stream.
    Message {
        /// Which.
        flow: FlowId,
        /// Who is at its other end.
        remote: SocketAddr,
        /// The message, without padding.
        message: &'a mut [u8],
    },
    /// A stream has ended: so does its allocation.
    FlowEnded {
        /// Which.
        flow: FlowId,
        /// Who was at its other end.
        remote: SocketAddr,
    },
    /// What a client of another shard sends to an address whose port is this shard's.
    Handover(Box<Handover>),
}

/// What a client sends to an address of ours, on its way to the shard that has it.
#[derive(Debug)]
pub struct Handover {
    /// The client's relayed address.
    pub from: SocketAddr,
    /// Where it is to go.
    pub to: SocketAddr,
    /// What.
    pub payload: Vec<u8>,
}

/// Something a TURN server wants done besides sending from its sockets.
#[derive(Debug)]
pub enum TurnOutput {
    /// Write a message to a stream: bytes of [`Shard::made`](crate::Shard::made), padded.
    Message {
        /// Which.
        flow: FlowId,
        /// Which of the bytes.
        made: Range<u32>,
    },
    /// Give another shard something.
    Handover {
        /// Which.
        shard: u16,
        /// What.
        handover: Box<Handover>,
    },
    /// An allocation is over.
    Ended(Box<EndedAllocation>),
}

/// An allocation that is over: what a user is to be charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAllocation {
    /// Whose it was, as it stood in the user name.
    pub user: Vec<u8>,
    /// Where the client is.
    pub client: SocketAddr,
    /// What address it was lent: that of IPv4 where it had two.
    pub relayed: SocketAddr,
    /// How long.
    pub lifetime: Duration,
    /// From the client to peers.
    pub to_peers: TurnTraffic,
    /// From peers to the client.
    pub to_clients: TurnTraffic,
    /// Why it is over.
    pub reason: AllocationEnd,
}

/// Why an allocation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllocationEnd {
    /// The client said so.
    Deleted,
    /// The client did not refresh it.
    Expired,
    /// Its stream has ended.
    FlowEnded,
    /// The engine ends.
    Shutdown,
    /// We failed on it.
    Fault,
}

impl AllocationEnd {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::FlowEnded => "flow-ended",
            Self::Shutdown => "shutdown",
            Self::Fault => "fault",
        }
    }
}

/// A TURN server: the part of a shard that has listening and relayed sockets.
#[derive(Debug)]
pub(crate) struct Turn {
    listeners: Vec<SocketId>,
    live: TurnLive,
    /// Every address of ours, and those of them that clients are lent.
    own: Vec<IpAddr>,
    lent: Vec<IpAddr>,
    nonces: Nonces,
    allocations: Allocations,
    clients: HashMap<Client, AllocationKey>,
    relays: Relays,
    users: Users,
    reservations: HashMap<Token, Reservation>,
    due: BTreeSet<(Instant, Due)>,
    shards: PortShards,
    /// No new allocation is made.
    closed: bool,
    /// Whose datagram is being handled.
    handling: Option<Client>,
    /// What it sends to a call.
    for_call: Option<Handover>,
}

/// What is over at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Allocation(AllocationKey),
    Reservation(Token),
}

/// What a TURN server has of its shard while it handles something.
pub(crate) struct Context<'a> {
    pub(crate) sockets: &'a mut Sockets,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) made: &'a mut Made,
    pub(crate) counters: &'a mut TurnCounters,
    pub(crate) chance: &'a mut StdRng,
    pub(crate) tos: u8,
    pub(crate) now: Instant,
    pub(crate) wall_ms: u64,
}

/// A datagram, or a message of a stream, and where it lies.
struct Packet<'a> {
    /// The datagram, and behind it room.
    bytes: &'a mut [u8],
    length: usize,
    /// It can be sent from where it lies.
    in_slot: bool,
}

impl Packet<'_> {
    fn whole(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Turn {
    pub(crate) fn new(config: TurnConfig, ports: &PortRange, sockets: &Sockets, chance: &mut StdRng) -> Self {
        let TurnConfig { listeners, relayed_from, relayed_max, live } = config;
        Self {
            listeners,
            lent: lent_addresses(sockets),
            own: own_addresses(&live, sockets),
            live,
            nonces: Nonces::new(chance.random()),
            allocations: Allocations::default(),
            clients: HashMap::new(),
            relays: Relays::new(relayed_from, relayed_max),
            users: Users::default(),
            reservations: HashMap::new(),
            due: BTreeSet::new(),
            shards: PortShards::of(ports),
            closed: false,
            handling: None,
            for_call: None,
        }
    }

    /// A datagram on one of its sockets.
    pub(crate) fn on_datagram(
        &mut self,
        cx: &mut Context<'_>,
        socket: SocketId,
        remote: SocketAddr,
        bytes: &mut [u8],
        length: u16,
    ) {
        // Flow labels and scopes of IPv6 are no part of who somebody is.
        let remote = SocketAddr::new(remote.ip(), remote.port());
        let length = usize::from(length).min(bytes.len());
        cx.counters.received.add(length);
        let packet = Packet { bytes, length, in_slot: true };
        let result = if self.listeners.contains(&socket) {
            self.on_client(cx, Client { address: remote, way: socket.0.into() }, packet)
        } else {
            self.on_peer(cx, socket, remote, packet)
        };
        self.handling = None;
        if let Err(reason) = result {
            cx.counters.dropped(reason);
        }
    }

    /// What the last input sends to a call of this shard.
    pub(crate) fn take_for_call(&mut self) -> Option<Handover> {
        self.for_call.take()
    }

    /// Anything else.
    pub(crate) fn on_input(&mut self, cx: &mut Context<'_>, input: TurnInput<'_>) {
        let result = match input {
            TurnInput::Message { flow, remote, message } => {
                let length = message.len();
                cx.counters.received.add(length);
                let packet = Packet { bytes: message, length, in_slot: false };
                self.on_client(cx, client_of(flow, remote), packet)
            }
            TurnInput::FlowEnded { flow, remote } => {
                if let Some(key) = self.clients.get(&client_of(flow, remote)) {
                    self.end(cx, *key, AllocationEnd::FlowEnded);
                }
                Ok(())
            }
            TurnInput::Handover(handover) => self.on_handover(cx, *handover),
        };
        self.handling = None;
        if let Err(reason) = result {
            cx.counters.dropped(reason);
        }
    }

    /// A relayed socket is open, or is not.
    pub(crate) fn on_opened(
        &mut self,
        cx: &mut Context<'_>,
        socket: SocketId,
        result: Result<(), OpenError>,
    ) {
        self.relay_opened(cx, socket, result);
    }

    /// Whether a socket is one of its own.
    pub(crate) fn has(&self, socket: SocketId) -> bool {
        self.relays.of(socket).is_some() || self.listeners.contains(&socket)
    }

    /// When something is over at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Ends what is over, some at a time.
    pub(crate) fn on_tick(&mut self, cx: &mut Context<'_>) {
        for _due in 0..DUE_AT_ONCE {
            match self.due.first() {
                Some((at, Due::Allocation(key))) if *at <= cx.now => {
                    let key = *key;
                    self.end(cx, key, AllocationEnd::Expired);
                }
                Some((at, Due::Reservation(token))) if *at <= cx.now => {
                    let token = *token;
                    self.forget_reservation(cx, token);
                }
                _ => return,
            }
        }
    }

    /// Other settings are in force. Allocations go on, and what they may no longer reach they reach no longer.
    pub(crate) fn on_live(&mut self, live: TurnLive, sockets: &Sockets) {
        (self.lent, self.own) = (lent_addresses(sockets), own_addresses(&live, sockets));
        self.live = live;
        let Self { allocations, lent, own, live, .. } = self;
        let allowed = |peer| peers::verdict(peer, lent, own, &live.allow_peers) != peers::Verdict::Refused;
        for allocation in allocations.iter_mut() {
            allocation.look_again(allowed, |peer| lent.contains(&peer));
        }
    }

    /// No new allocation is made from now on, or again.
    pub(crate) fn close(&mut self, closed: bool) {
        self.closed = closed;
    }

    /// Ends every allocation.
    pub(crate) fn on_shutdown(&mut self, cx: &mut Context<'_>) {
        for key in self.allocations.keys() {
            self.end(cx, key, AllocationEnd::Shutdown);
        }
        for token in self.reservations.keys().copied().collect::<Vec<_>>() {
            self.forget_reservation(cx, token);
        }
    }

    /// Whether it was amid something.
    pub(crate) fn is_handling(&self) -> bool {
        self.handling.is_some()
    }

    /// Ends the allocation on whose datagram we failed.
    pub(crate) fn on_fault(&mut self, cx: &mut Context<'_>) {
        cx.counters.dropped(TurnDrop::Fault);
        if let Some(key) = self.handling.take().and_then(|client| self.clients.get(&client)) {
            self.end(cx, *key, AllocationEnd::Fault);
        }
    }

    /// Ends an allocation: its sockets are closed and its user told of what went through them.
    fn end(&mut self, cx: &mut Context<'_>, key: AllocationKey, reason: AllocationEnd) {
        let Some(allocation) = self.allocations.remove(key) else { return };
        self.clients.remove(&allocation.client);
        self.due.remove(&(allocation.expires, Due::Allocation(key)));
        if let Some(relayed) =
            allocation.relays.iter().flatten().find_map(|relay| self.relays.address(*relay))
            && allocation.is_ready()
        {
            cx.counters.allocations_ended += 1;
            cx.outputs.push_back(Output::Turn(TurnOutput::Ended(Box::new(EndedAllocation {
                user: self.users.name(allocation.user).to_vec(),
                client: allocation.client.address,
                relayed,
                lifetime: cx.now.saturating_since(allocation.begun),
                to_peers: allocation.to_peers,
                to_clients: allocation.to_clients,
                reason,
            }))));
        }
        self.users.leave(allocation.user);
        for relay in allocation.relays.into_iter().flatten() {
            self.close_relay(cx, relay);
        }
        cx.counters.allocations_live = self.allocations.len() as u64;
    }
}

/// A client on a stream.
fn client_of(flow: FlowId, remote: SocketAddr) -> Client {
    Client { address: SocketAddr::new(remote.ip(), remote.port()), way: flow.0 | STREAM }
}

/// The stream on which a client speaks, if it does.
fn flow_of(client: Client) -> Option<FlowId> {
    (client.way & STREAM != 0).then_some(FlowId(client.way & !STREAM))
}

/// What tells streams and sockets apart.
const STREAM: u64 = 1 << 63;

/// Addresses as clients and peers are told them.
fn lent_addresses(sockets: &Sockets) -> Vec<IpAddr> {
    let mut lent: Vec<IpAddr> = sockets.interfaces().iter().map(|interface| interface.advertised).collect();
    lent.sort_unstable();
    lent.dedup();
    lent
}

/// Every address of ours.
fn own_addresses(live: &TurnLive, sockets: &Sockets) -> Vec<IpAddr> {
    let interfaces = sockets.interfaces().iter();
    let mut own: Vec<IpAddr> =
        interfaces.flat_map(|interface| [interface.address, interface.advertised]).collect();
    own.extend(&live.own);
    own.sort_unstable();
    own.dedup();
    own
}

/// What is ended at once; the rest comes with the next tick, after media had its turn.
const DUE_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests;
