//! Socket pairs: asked for, opened, bound to a media's paths, closed, their ports given back
//! (`adr/0003-a-socket-outlives-its-remotes.md`).

use std::{
    collections::{HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
};

use crate::{
    call::CallKey,
    interface::Interfaces,
    io::{Output, SocketId},
    path::PathId,
    ports::{PortRange, Ports},
    shard::PortUse,
    sim::{self, Way},
};

/// An RTP socket and the RTCP socket on the port after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PairId(u32);

/// All sockets of a shard and the ports they have.
#[derive(Debug)]
pub(crate) struct Sockets {
    interfaces: Interfaces,
    range: PortRange,
    /// One per address.
    ports: Vec<(IpAddr, Ports)>,
    /// Which of them each interface has, by its index.
    shared: Vec<usize>,
    sockets: Vec<Socket>,
    free_sockets: Vec<u32>,
    /// Sockets that are open or opening.
    live: usize,
    pairs: Vec<Option<Pair>>,
    free_pairs: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Socket {
    state: State,
    pair: PairId,
    path: Option<PathId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Opening,
    /// Released while it was opening: closed as soon as it is open.
    Abandoned,
    Open,
}

#[derive(Debug)]
struct Pair {
    call: CallKey,
    interface: usize,
    port: u16,
    /// DSCP byte of what its sockets send.
    tos: u8,
    sockets: [SocketId; 2],
    /// Sockets of the two that are not closed yet; the port is given back at none.
    live: u8,
    released: bool,
}

impl Sockets {
    pub(crate) fn new(interfaces: Interfaces, range: &PortRange) -> Self {
        let mut sockets = Self {
            interfaces,
            range: *range,
            ports: Vec::new(),
            shared: Vec::new(),
            sockets: Vec::new(),
            free_sockets: Vec::new(),
            live: 0,
            pairs: Vec::new(),
            free_pairs: Vec::new(),
        };
        sockets.share_ports();
        sockets
    }

    /// Takes over other interfaces. Pairs that are there stay where they are.
    pub(crate) fn replace_interfaces(&mut self, wanted: &Interfaces) {
        let used: HashSet<usize> = self.pairs.iter().flatten().map(|pair| pair.interface).collect();
        self.interfaces.replace(wanted, |index| used.contains(&index));
        self.share_ports();
    }

    /// Gives every interface the ports of its address: those that it had, or all.
    fn share_ports(&mut self) {
        let mut before = std::mem::take(&mut self.ports);
        self.shared.clear();
        for index in 0..self.interfaces.len() {
            let address = self.interfaces.get(index).address;
            let of_address = |(known, _): &(IpAddr, Ports)| *known == address;
            let shared = self.ports.iter().position(of_address).unwrap_or_else(|| {
                let known = before.iter().position(of_address).map(|known| before.swap_remove(known));
                self.ports.push(known.unwrap_or_else(|| (address, Ports::new(&self.range))));
                self.ports.len() - 1
            });
            self.shared.push(shared);
        }
    }

    /// Asks for a pair on an interface; `None` if its ports are used up.
    pub(crate) fn open_pair(
        &mut self,
        call: CallKey,
        interface: usize,
        tos: u8,
        outputs: &mut VecDeque<Output>,
    ) -> Option<PairId> {
        let port = self.ports[self.shared[interface]].1.take()?;
        let pair = match self.free_pairs.pop() {
            Some(index) => PairId(index),
            None => {
                self.pairs.push(None);
                PairId(u32::try_from(self.pairs.len() - 1).expect("there are fewer ports than 2^32"))
            }
        };
        let sockets = [port, port + 1].map(|port| {
            let id = self.insert(pair);
            let local = SocketAddr::new(self.interfaces.get(interface).address, port);
            outputs.push_back(Output::OpenSocket { socket: id, local, tos });
            id
        });
        self.pairs[pair.0 as usize] =
            Some(Pair { call, interface, port, tos, sockets, live: 2, released: false });
        Some(pair)
    }

    /// A socket is open, or is not. Returns the call and pair it belongs to, if still wanted.
    pub(crate) fn opened(
        &mut self,
        id: SocketId,
        open: bool,
        outputs: &mut VecDeque<Output>,
    ) -> Option<(CallKey, PairId)> {
        let socket = self.sockets.get_mut(id.0 as usize)?;
        let pair = socket.pair;
        match (socket.state, open) {
            (State::Opening, true) => socket.state = State::Open,
            (State::Opening, false) => self.freed(id),
            (State::Abandoned, open) => {
                if open {
                    sim::seen(Way::PairAbandoned);
                    outputs.push_back(Output::CloseSocket { socket: id });
                }
                self.freed(id);
                return None;
            }
            (State::Free | State::Open, _) => return None,
        }
        self.pairs[pair.0 as usize].as_ref().map(|owner| (owner.call, pair))
    }

    /// Whether both sockets of a pair are open.
    pub(crate) fn is_open(&self, pair: PairId) -> bool {
        self.pair(pair).is_some_and(|pair| pair.sockets.iter().all(|id| self.state(*id) == State::Open))
    }

    /// Lets what leaves an open pair bear this byte.
    pub(crate) fn set_tos(&mut self, pair: PairId, tos: u8, outputs: &mut VecDeque<Output>) {
        let open = self.is_open(pair);
        let Some(owner) = self.pairs.get_mut(pair.0 as usize).and_then(Option::as_mut) else { return };
        if open && std::mem::replace(&mut owner.tos, tos) != tos {
            outputs.extend(owner.sockets.map(|socket| Output::SetTos { socket, tos }));
        }
    }

    /// Lets a pair belong to another call.
    pub(crate) fn move_to(&mut self, pair: PairId, call: CallKey) {
        if let Some(owner) = self.pairs.get_mut(pair.0 as usize).and_then(Option::as_mut) {
            owner.call = call;
        }
    }

    /// Lets the sockets of a pair belong to a media's halves.
    pub(crate) fn bind(&mut self, pair: PairId, halves: [PathId; 2]) {
        let Some(sockets) = self.pair(pair).map(|pair| pair.sockets) else { return };
        for (id, path) in sockets.into_iter().zip(halves) {
            self.sockets[id.0 as usize].path = Some(path);
        }
    }

    /// Closes a pair. Its port is free when both sockets are.
    pub(crate) fn release(&mut self, pair: PairId, outputs: &mut VecDeque<Output>) {
        let Some(owner) = self.pairs.get_mut(pair.0 as usize).and_then(Option::as_mut) else { return };
        owner.released = true;
        let ids = owner.sockets;
        for id in ids {
            let socket = &mut self.sockets[id.0 as usize];
            socket.path = None;
            match socket.state {
                State::Open => {
                    outputs.push_back(Output::CloseSocket { socket: id });
                    self.freed(id);
                }
                State::Opening => socket.state = State::Abandoned,
                State::Abandoned | State::Free => {}
            }
        }
        self.forget_if_done(pair);
    }

    /// Whose datagrams arrive on a socket.
    pub(crate) fn path(&self, id: SocketId) -> Option<PathId> {
        self.sockets.get(id.0 as usize).filter(|socket| socket.state == State::Open)?.path
    }

    /// Whose call a socket serves.
    pub(crate) fn call(&self, id: SocketId) -> Option<CallKey> {
        let socket = self.sockets.get(id.0 as usize).filter(|socket| socket.state != State::Free)?;
        self.pair(socket.pair).map(|pair| pair.call)
    }

    /// The RTP and the RTCP socket of a pair.
    pub(crate) fn of_pair(&self, pair: PairId) -> Option<[SocketId; 2]> {
        self.pair(pair).map(|pair| pair.sockets)
    }

    /// Where the RTP socket of a pair is bound; RTCP's port is the next one.
    pub(crate) fn local(&self, pair: PairId) -> Option<SocketAddr> {
        self.pair(pair).map(|pair| SocketAddr::new(self.interfaces.get(pair.interface).address, pair.port))
    }

    /// Where a socket is bound.
    pub(crate) fn local_of(&self, id: SocketId) -> Option<SocketAddr> {
        let socket = self.sockets.get(id.0 as usize).filter(|socket| socket.state == State::Open)?;
        let rtp = self.local(socket.pair)?;
        let is_rtp = self.of_pair(socket.pair)?[0] == id;
        Some(SocketAddr::new(rtp.ip(), rtp.port() + u16::from(!is_rtp)))
    }

    /// What peers are told of a pair.
    pub(crate) fn advertised(&self, pair: PairId) -> Option<SocketAddr> {
        self.pair(pair).map(|pair| SocketAddr::new(self.interfaces.get(pair.interface).advertised, pair.port))
    }

    /// The name of the interface that a pair is on.
    pub(crate) fn interface(&self, pair: PairId) -> Option<&str> {
        self.pair(pair).map(|pair| self.interfaces.get(pair.interface).name.as_str())
    }

    /// Sockets that are open or opening.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Pairs whose port is not free.
    #[cfg(feature = "sim")]
    pub(crate) fn live_pairs(&self) -> usize {
        self.pairs.len() - self.free_pairs.len()
    }

    /// Free pairs, over all addresses that calls are given.
    pub(crate) fn free_pairs(&self) -> usize {
        let current = |address: IpAddr| self.interfaces.iter().any(|interface| interface.address == address);
        self.ports.iter().filter(|(address, _)| current(*address)).map(|(_, ports)| ports.free_count()).sum()
    }

    /// Ports in use and free, of each address.
    pub(crate) fn port_use(&self) -> Vec<PortUse> {
        let each = self.ports.iter().enumerate().map(|(index, (address, ports))| {
            let name = self.interfaces.iter().find(|interface| interface.address == *address);
            let here = |pair: &&Pair| self.shared[pair.interface] == index;
            PortUse {
                // An interface that went, and whose calls have not.
                interface: name.map_or_else(String::new, |interface| interface.name.clone()),
                address: *address,
                used: self.pairs.iter().flatten().filter(here).count() as u64 * 2,
                free: ports.free_count() as u64 * 2,
            }
        });
        each.collect()
    }

    pub(crate) fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    fn pair(&self, pair: PairId) -> Option<&Pair> {
        self.pairs.get(pair.0 as usize)?.as_ref()
    }

    fn state(&self, id: SocketId) -> State {
        self.sockets[id.0 as usize].state
    }

    fn insert(&mut self, pair: PairId) -> SocketId {
        let socket = Socket { state: State::Opening, pair, path: None };
        self.live += 1;
        if let Some(index) = self.free_sockets.pop() {
            self.sockets[index as usize] = socket;
            return SocketId(index);
        }
        self.sockets.push(socket);
        SocketId(u32::try_from(self.sockets.len() - 1).expect("there are fewer ports than 2^32"))
    }

    fn freed(&mut self, id: SocketId) {
        let socket = &mut self.sockets[id.0 as usize];
        socket.state = State::Free;
        socket.path = None;
        self.live -= 1;
        let pair = socket.pair;
        // The number is held back until its pair is forgotten, so that the pair never names a stranger's socket.
        if let Some(owner) = self.pairs[pair.0 as usize].as_mut() {
            owner.live -= 1;
        }
        self.forget_if_done(pair);
    }

    fn forget_if_done(&mut self, pair: PairId) {
        let slot = &mut self.pairs[pair.0 as usize];
        if slot.as_ref().is_some_and(|owner| owner.released && owner.live == 0) {
            let owner = slot.take().expect("it was there a line ago");
            self.ports[self.shared[owner.interface]].1.give_back(owner.port);
            self.free_sockets.extend(owner.sockets.map(|id| id.0));
            self.free_pairs.push(pair.0);
        }
    }
}
