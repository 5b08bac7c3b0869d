//! A call on its way from one shard to another.

use std::net::IpAddr;

use ng::CallReport;

use crate::{
    call::Call,
    io::SocketId,
    path::{Path, PathId},
    socket::MovedPair,
};

/// A call that [`Shard::take_out`](crate::Shard::take_out) took out of its shard: its parties, streams, counters, deadlines
/// and pairs, under the numbers that they had there. Its sockets are open, and whoever moves it has them.
#[derive(Debug)]
pub struct MovedCall {
    pub(crate) call: Call,
    pub(crate) paths: Vec<(PathId, Path)>,
    pub(crate) pairs: Vec<MovedPair>,
    /// Of its owner, as far as its shard knew.
    pub(crate) epoch: u64,
    /// What is kept of former calls of its names.
    pub(crate) reports: Vec<(String, CallReport)>,
}

impl MovedCall {
    /// Every name that leads to it, its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.call.names().map(String::as_str)
    }

    /// Its sockets, as the shard that it left knew them.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.pairs.iter().flat_map(MovedPair::sockets)
    }

    /// Whether packets of it are being recorded.
    pub fn is_recorded(&self) -> bool {
        self.call.recording.is_some()
    }
}

/// A port pair that no socket has and that changes the shard it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FreePort {
    /// Of this address.
    pub address: IpAddr,
    /// The even one of the two.
    pub rtp_port: u16,
}

/// A call that found its place.
#[derive(Debug)]
pub struct PutIn {
    /// What its sockets are called from now on, in the order of [`MovedCall::sockets`]; none if we failed on it and it has
    /// ended.
    pub sockets: Vec<SocketId>,
    /// For the shard that it left, in exchange for the ports that came with it.
    pub ports: Vec<FreePort>,
}

/// A call that found none.
#[derive(Debug)]
pub struct NotPut {
    /// As it was.
    pub moved: Box<MovedCall>,
    /// What kept it out, and what to do about it.
    pub reason: String,
}
