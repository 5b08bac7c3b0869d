//! The sockets of a shard as a kernel would have them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use engine_core::{OpenError, SocketId};

/// The sockets of one shard.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    sockets: BTreeMap<SocketId, Bound>,
    bound: BTreeMap<SocketAddr, SocketId>,
    /// Open sockets of each call.
    serving: BTreeMap<usize, usize>,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
}

/// A socket that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) local: SocketAddr,
    /// For which call it was asked.
    pub(crate) call: usize,
    pub(crate) open: bool,
}

impl Kernel {
    /// A shard asks for a socket.
    pub(crate) fn ask(&mut self, socket: SocketId, local: SocketAddr, call: usize) {
        let before = self.sockets.insert(socket, Bound { local, call, open: false });
        assert!(before.is_none(), "{socket:?} is asked for while it is in use: {before:?}");
        let before = self.bound.insert(local, socket);
        assert!(before.is_none(), "two live sockets at {local}: {socket:?} and {before:?}");
    }

    /// The shard is about to be told.
    pub(crate) fn answer(&mut self, socket: SocketId, result: Result<(), OpenError>) {
        let bound = self.sockets.get_mut(&socket).expect("only what was asked for is answered");
        if result.is_ok() {
            bound.open = true;
            self.opened += 1;
            *self.serving.entry(bound.call).or_default() += 1;
        } else {
            let local = bound.local;
            self.sockets.remove(&socket);
            self.bound.remove(&local);
        }
    }

    /// A shard closes a socket.
    pub(crate) fn close(&mut self, socket: SocketId) -> Bound {
        let bound = *self.sockets.get(&socket).expect("only what is there is closed");
        assert!(bound.open, "{socket:?} is closed before it opened");
        self.sockets.remove(&socket);
        self.bound.remove(&bound.local);
        self.closed += 1;
        let left = self.serving.get_mut(&bound.call).expect("it was counted when it opened");
        *left -= 1;
        if *left == 0 {
            self.serving.remove(&bound.call);
        }
        bound
    }

    /// The open socket at an address.
    pub(crate) fn at(&self, local: SocketAddr) -> Option<SocketId> {
        self.bound.get(&local).copied().filter(|socket| self.sockets[socket].open)
    }

    pub(crate) fn get(&self, socket: SocketId) -> Option<Bound> {
        self.sockets.get(&socket).copied()
    }

    /// Whether any socket is open for this call.
    pub(crate) fn serves(&self, call: usize) -> bool {
        self.serving.contains_key(&call)
    }

    /// Sockets that are open or opening.
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// The open sockets.
    pub(crate) fn open(&self) -> impl Iterator<Item = (SocketId, Bound)> {
        self.sockets.iter().filter(|(_, bound)| bound.open).map(|(&socket, &bound)| (socket, bound))
    }
}
