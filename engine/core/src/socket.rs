//! Socket pairs: asked for, opened, bound to a media's paths, closed, their ports given back
//! (`adr/0003-a-socket-outlives-its-remotes.md`).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
};

use crate::{
    call::CallKey,
    interface::{Interface, Interfaces},
    io::{Output, SocketId},
    moved::FreePort,
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
    /// Sockets have numbers below this one.
    numbers_max: u32,
    /// The lowest is used first: whoever has a table of so many sockets finds a place in it for so many.
    free_sockets: BinaryHeap<Reverse<u32>>,
    /// Sockets that are open or opening.
    live: usize,
    pairs: Vec<Option<Pair>>,
    free_pairs: Vec<u32>,
    /// Which pair has an address, by its even port.
    places: HashMap<(IpAddr, u16), PairId>,
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

/// A pair that was taken out, under the numbers that it had.
#[derive(Debug)]
pub(crate) struct MovedPair {
    id: PairId,
    interface: Interface,
    port: u16,
    /// What leaves them bears this.
    tos: u8,
    /// With whose datagrams arrive there.
    sockets: [(SocketId, Option<PathId>); 2],
}

impl MovedPair {
    pub(crate) fn id(&self) -> PairId {
        self.id
    }

    pub(crate) fn interface(&self) -> &Interface {
        &self.interface
    }

    pub(crate) fn sockets(&self) -> [SocketId; 2] {
        self.sockets.map(|(id, _)| id)
    }
}

impl Sockets {
    pub(crate) fn new(interfaces: Interfaces, range: &PortRange) -> Self {
        let mut sockets = Self {
            interfaces,
            range: *range,
            ports: Vec::new(),
            shared: Vec::new(),
            sockets: Vec::new(),
            numbers_max: u32::MAX,
            free_sockets: BinaryHeap::new(),
            live: 0,
            pairs: Vec::new(),
            free_pairs: Vec::new(),
            places: HashMap::new(),
        };
        sockets.share_ports();
        sockets
    }

    /// Leaves numbers from this one on to others: pairs that would have them are refused as if no port were left.
    pub(crate) fn number_below(&mut self, numbers_max: u32) {
        self.numbers_max = numbers_max;
    }

    /// Whether a socket may have this number.
    pub(crate) fn is_number(&self, socket: SocketId) -> bool {
        socket.0 < self.numbers_max
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
        let unused = (self.numbers_max as usize).saturating_sub(self.sockets.len());
        if self.free_sockets.len() + unused < 2 {
            return None;
        }
        let port = self.ports[self.shared[interface]].1.take()?;
        let pair = self.free_pair();
        let sockets = [port, port + 1].map(|port| {
            let id = self.insert(pair);
            let local = SocketAddr::new(self.interfaces.get(interface).address, port);
            outputs.push_back(Output::OpenSocket { socket: id, local, tos });
            id
        });
        self.settle(pair, Pair { call, interface, port, tos, sockets, live: 2, released: false });
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

    /// Takes an open pair out without closing it. Its port goes with it.
    pub(crate) fn take_out(&mut self, pair: PairId) -> Option<MovedPair> {
        if !self.is_open(pair) {
            return None;
        }
        let Pair { interface, port, tos, sockets, .. } = self.pairs[pair.0 as usize].take()?;
        let sockets = sockets.map(|id| {
            let socket = &mut self.sockets[id.0 as usize];
            socket.state = State::Free;
            self.free_sockets.push(Reverse(id.0));
            (id, socket.path.take())
        });
        self.live -= 2;
        self.free_pairs.push(pair.0);
        let interface = self.interfaces.get(interface).clone();
        self.places.remove(&(interface.address, port));
        Some(MovedPair { id: pair, interface, port, tos, sockets })
    }

    /// Takes in an open pair of a call; what it, its interface and its sockets are called from now on.
    pub(crate) fn put_in(
        &mut self,
        moved: MovedPair,
        call: CallKey,
        path: impl Fn(PathId) -> Option<PathId>,
    ) -> (PairId, usize, [SocketId; 2]) {
        let interface = self.interface_of(&moved).expect("it was looked for before");
        let pair = self.free_pair();
        let sockets = moved.sockets.map(|(_, bound)| {
            let id = self.insert(pair);
            let socket = &mut self.sockets[id.0 as usize];
            (socket.state, socket.path) = (State::Open, bound.and_then(&path));
            id
        });
        let MovedPair { port, tos, .. } = moved;
        self.settle(pair, Pair { call, interface, port, tos, sockets, live: 2, released: false });
        (pair, interface, sockets)
    }

    /// The interface here that is the one of a pair from elsewhere.
    pub(crate) fn interface_of(&self, moved: &MovedPair) -> Option<usize> {
        self.interfaces.index_of(&moved.interface)
    }

    /// As many free ports as these pairs have, of the same addresses; `None` if there are not so many.
    pub(crate) fn swap(&mut self, moved: &[MovedPair]) -> Option<Vec<FreePort>> {
        let mut given = Vec::with_capacity(moved.len());
        for pair in moved {
            let port = self.interface_of(pair).and_then(|index| self.ports[self.shared[index]].1.take());
            match port {
                Some(rtp_port) => given.push(FreePort { address: pair.interface.address, rtp_port }),
                None => {
                    self.take_ports(&given);
                    return None;
                }
            }
        }
        Some(given)
    }

    /// Takes a free port of an interface out, for a socket of no call.
    pub(crate) fn take_port(&mut self, interface: usize) -> Option<FreePort> {
        let rtp_port = self.ports[self.shared[interface]].1.take()?;
        Some(FreePort { address: self.interfaces.get(interface).address, rtp_port })
    }

    /// Takes over free ports. Those of an address that went go with it.
    pub(crate) fn take_ports(&mut self, ports: &[FreePort]) {
        for FreePort { address, rtp_port } in ports {
            if let Some((_, free)) = self.ports.iter_mut().find(|(known, _)| known == address) {
                free.give_back(*rtp_port);
            }
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

    /// Closes every pair of a call.
    pub(crate) fn release_all(&mut self, call: CallKey, outputs: &mut VecDeque<Output>) {
        let of_call = |(_, pair): &(u32, &Option<Pair>)| pair.as_ref().is_some_and(|pair| pair.call == call);
        let pairs: Vec<PairId> = (0..).zip(&self.pairs).filter(of_call).map(|(id, _)| PairId(id)).collect();
        pairs.into_iter().for_each(|pair| self.release(pair, outputs));
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

    /// Which socket of a call others reach at an address of ours; one search in a table.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<SocketId> {
        let (ip, port) = (address.ip(), address.port());
        let interfaces = self.interfaces.iter().filter(|known| known.advertised == ip || known.address == ip);
        let mut pairs = interfaces.filter_map(|known| self.places.get(&(known.address, port & !1)));
        let [rtp, rtcp] = self.of_pair(*pairs.next()?)?;
        Some(if port % 2 == 0 { rtp } else { rtcp })
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

    /// Takes any free port.
    #[cfg(test)]
    pub(crate) fn any_port(&mut self) -> Option<FreePort> {
        let taken = |(address, ports): &mut (IpAddr, Ports)| {
            Some(FreePort { address: *address, rtp_port: ports.take()? })
        };
        self.ports.iter_mut().find_map(taken)
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

    /// Gives a pair its place.
    fn settle(&mut self, id: PairId, pair: Pair) {
        self.places.insert((self.interfaces.get(pair.interface).address, pair.port), id);
        self.pairs[id.0 as usize] = Some(pair);
    }

    /// A number for a pair.
    fn free_pair(&mut self) -> PairId {
        if let Some(index) = self.free_pairs.pop() {
            return PairId(index);
        }
        self.pairs.push(None);
        PairId(u32::try_from(self.pairs.len() - 1).expect("there are fewer ports than 2^32"))
    }

    fn insert(&mut self, pair: PairId) -> SocketId {
        let socket = Socket { state: State::Opening, pair, path: None };
        self.live += 1;
        if let Some(Reverse(index)) = self.free_sockets.pop() {
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
            self.places.remove(&(self.interfaces.get(owner.interface).address, owner.port));
            self.ports[self.shared[owner.interface]].1.give_back(owner.port);
            self.free_sockets.extend(owner.sockets.map(|id| Reverse(id.0)));
            self.free_pairs.push(pair.0);
        }
    }
}
