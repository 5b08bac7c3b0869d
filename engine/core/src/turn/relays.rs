//! Relayed sockets: a port of the shard's each, opened, set aside for later, closed, given back.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rand::RngExt;
use rtp::{turn::Family, units::Instant};

use super::{
    Context, Due, Turn, TurnError,
    allocation::{AllocationKey, RelayId, Token},
};
use crate::{
    io::{OpenError, Output, SocketId},
    moved::FreePort,
};

/// All relayed sockets.
#[derive(Debug)]
pub(super) struct Relays {
    from: u32,
    max: u32,
    relays: Vec<Option<Relay>>,
    free: BinaryHeap<Reverse<u32>>,
    by_address: HashMap<SocketAddr, RelayId>,
    /// How many sockets and reservations have a pair of ports.
    holders: HashMap<FreePort, u8>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relay {
    /// Whose it is; nobody's where it was given up while it was opening.
    pub(super) allocation: Option<AllocationKey>,
    pub(super) open: bool,
    pair: FreePort,
    /// What peers see.
    pub(super) address: SocketAddr,
}

/// A port that was set aside for whoever shows its token (RFC 8656 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reservation {
    /// What peers are told of its address.
    advertised: IpAddr,
    pair: FreePort,
    expires: Instant,
}

/// Which port of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// The even one, on the interface of this index.
    Even(usize),
    /// The other one, that was set aside.
    Odd(Reservation),
}

impl Reservation {
    /// Of which family the address is.
    pub(super) fn family(&self) -> Family {
        Family::of(self.pair.address)
    }
}

impl Relays {
    pub(super) fn new(from: u32, max: u32) -> Self {
        Self {
            from,
            max,
            relays: Vec::new(),
            free: BinaryHeap::new(),
            by_address: HashMap::new(),
            holders: HashMap::new(),
        }
    }

    /// The relayed socket of this number.
    pub(super) fn of(&self, socket: SocketId) -> Option<RelayId> {
        let index = socket.0.checked_sub(self.from)?;
        (index < self.max).then_some(RelayId(index))
    }

    pub(super) fn socket(&self, relay: RelayId) -> SocketId {
        SocketId(self.from + relay.0)
    }

    pub(super) fn get(&self, relay: RelayId) -> Option<&Relay> {
        self.relays.get(relay.0 as usize)?.as_ref()
    }

    pub(super) fn address(&self, relay: RelayId) -> Option<SocketAddr> {
        self.get(relay).map(|relay| relay.address)
    }

    /// Who was lent an address.
    pub(super) fn by_address(&self, address: SocketAddr) -> Option<RelayId> {
        self.by_address.get(&address).copied()
    }

    fn insert(&mut self, relay: Relay) -> Option<RelayId> {
        let id = match self.free.pop() {
            Some(Reverse(index)) => RelayId(index),
            None if self.relays.len() < self.max as usize => {
                self.relays.push(None);
                RelayId(u32::try_from(self.relays.len() - 1).expect("there are at most `max`"))
            }
            None => return None,
        };
        self.by_address.insert(relay.address, id);
        self.relays[id.0 as usize] = Some(relay);
        Some(id)
    }

    /// Takes a relayed socket out; whether its pair of ports is free now.
    fn remove(&mut self, id: RelayId) -> Option<(Relay, bool)> {
        let relay = self.relays.get_mut(id.0 as usize)?.take()?;
        self.free.push(Reverse(id.0));
        self.by_address.remove(&relay.address);
        Some((relay, self.release(relay.pair)))
    }

    fn hold(&mut self, pair: FreePort) {
        *self.holders.entry(pair).or_default() += 1;
    }

    /// One holder less of a pair of ports; whether it was the last.
    fn release(&mut self, pair: FreePort) -> bool {
        let Some(holders) = self.holders.get_mut(&pair) else { return false };
        *holders -= 1;
        if *holders > 0 {
            return false;
        }
        self.holders.remove(&pair);
        true
    }

    /// How many sockets there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.relays.len() - self.free.len()
    }
}

impl Turn {
    /// The interface on which addresses of a family are lent.
    pub(super) fn interface(&self, cx: &Context<'_>, family: Family) -> Result<usize, TurnError> {
        let interfaces = cx.sockets.interfaces();
        let index = interfaces.choose(self.live.interface.as_deref(), family == Family::Ipv4);
        let fits = Family::of(interfaces.get(index).address) == family;
        fits.then_some(index).ok_or(TurnError::AddressFamilyNotSupported)
    }

    /// Asks for a relayed socket of an allocation.
    pub(super) fn open_relay(
        &mut self,
        cx: &mut Context<'_>,
        key: AllocationKey,
        port: Port,
    ) -> Result<RelayId, TurnError> {
        let (pair, advertised, odd) = match port {
            Port::Odd(reservation) => (reservation.pair, reservation.advertised, true),
            Port::Even(interface) => {
                let pair = self.take_port(cx, interface).ok_or(TurnError::InsufficientCapacity)?;
                (pair, cx.sockets.interfaces().get(interface).advertised, false)
            }
        };
        let number = pair.rtp_port + u16::from(odd);
        let address = SocketAddr::new(advertised, number);
        let relay = Relay { allocation: Some(key), open: false, pair, address };
        let Some(id) = self.relays.insert(relay) else {
            if !odd {
                cx.sockets.take_ports(&[pair]);
            }
            return Err(TurnError::InsufficientCapacity);
        };
        // What was set aside is held by its reservation, which gives its place to the socket.
        if !odd {
            self.relays.hold(pair);
        }
        let local = SocketAddr::new(pair.address, number);
        cx.outputs.push_back(Output::OpenSocket { socket: self.relays.socket(id), local, tos: cx.tos });
        Ok(id)
    }

    /// A free pair of ports that other shards know to be this one's.
    fn take_port(&self, cx: &mut Context<'_>, interface: usize) -> Option<FreePort> {
        let mut strange = Vec::new();
        let found = loop {
            match cx.sockets.take_port(interface) {
                // One that came with a call from another shard: whoever looks for it looks there.
                Some(pair) if !self.shards.is_own(pair.rtp_port) && strange.len() < PORTS_LOOKED_AT_MAX => {
                    strange.push(pair);
                }
                found => break found,
            }
        };
        cx.sockets.take_ports(&strange);
        found
    }

    /// Sets the port behind a relayed one aside for a while.
    pub(super) fn reserve(&mut self, cx: &mut Context<'_>, relay: RelayId) -> Option<Token> {
        // Whoever shows the token comes from another port, and may come to another shard.
        if !self.shards.is_alone() || self.reservations.len() >= RESERVATIONS_MAX {
            return None;
        }
        let Relay { pair, address, .. } = *self.relays.get(relay)?;
        let token: Token = cx.chance.random();
        let expires = cx.now + RESERVATION_LIFETIME;
        self.relays.hold(pair);
        self.reservations.insert(token, Reservation { advertised: address.ip(), pair, expires });
        self.due.insert((expires, Due::Reservation(token)));
        Some(token)
    }

    /// Takes what was set aside.
    pub(super) fn redeem(&mut self, token: &[u8]) -> Result<Reservation, TurnError> {
        let token = Token::try_from(token).map_err(|_| TurnError::BadRequest)?;
        let reservation = self.reservations.remove(&token).ok_or(TurnError::InsufficientCapacity)?;
        self.due.remove(&(reservation.expires, Due::Reservation(token)));
        Ok(reservation)
    }

    /// Puts back what was redeemed in vain.
    pub(super) fn unredeem(&mut self, cx: &mut Context<'_>, reservation: Reservation) {
        if self.relays.release(reservation.pair) {
            cx.sockets.take_ports(&[reservation.pair]);
        }
    }

    /// Nobody has shown the token in time.
    pub(super) fn forget_reservation(&mut self, cx: &mut Context<'_>, token: Token) {
        if let Ok(reservation) = self.redeem(&token) {
            self.unredeem(cx, reservation);
        }
    }

    /// Closes a relayed socket, now or once it is open.
    pub(super) fn close_relay(&mut self, cx: &mut Context<'_>, id: RelayId) {
        let Some(relay) = self.relays.relays.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        relay.allocation = None;
        if relay.open {
            cx.outputs.push_back(Output::CloseSocket { socket: self.relays.socket(id) });
            self.forget_relay(cx, id);
        }
    }

    /// Forgets a relayed socket that is closed, and gives its ports back.
    fn forget_relay(&mut self, cx: &mut Context<'_>, id: RelayId) {
        if let Some((Relay { pair, .. }, true)) = self.relays.remove(id) {
            cx.sockets.take_ports(&[pair]);
        }
    }

    /// A relayed socket is open, or is not.
    pub(super) fn relay_opened(
        &mut self,
        cx: &mut Context<'_>,
        socket: SocketId,
        result: Result<(), OpenError>,
    ) {
        let Some(id) = self.relays.of(socket) else { return };
        let Some(relay) = self.relays.relays.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        let allocation = relay.allocation;
        match result {
            Ok(()) if relay.open => return,
            Ok(()) => relay.open = true,
            Err(_) => {}
        }
        let (family, reserved) = (Family::of(relay.pair.address), relay.address.port() % 2 == 1);
        let Some(key) = allocation else {
            if result.is_ok() {
                cx.outputs.push_back(Output::CloseSocket { socket });
            }
            return self.forget_relay(cx, id);
        };
        if result.is_err() {
            self.forget_relay(cx, id);
        }
        let retry = result == Err(OpenError::InUse) && !reserved;
        self.on_relay(cx, key, family, result.is_ok(), retry);
    }
}

/// Ports set aside at once; beyond that a request for one is answered 508.
const RESERVATIONS_MAX: usize = 1024;
/// RFC 8656 §7.2 wants at least 30 seconds.
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);
/// Ports of other shards that are passed over for one that is ours.
const PORTS_LOOKED_AT_MAX: usize = 64;
