//! One half (RTP or RTCP) of one party's media: who may send, who hears it, what passed.

use std::net::SocketAddr;

use ng::StreamCounters;
use rtp::units::Instant;

use crate::{io::SocketId, latch::Latch};

/// A path of a shard: a dense number, as sockets have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PathId(u32);

/// What a path carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    Rtp,
    Rtcp,
    /// Datagrams that are not looked into, such as udptl.
    Opaque,
}

/// One half of one party's media. Everything the relay needs of it is here, so that a packet
/// costs two of these and no search.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) kind: PathKind,
    pub(crate) latch: Latch,
    /// What we send to this party from.
    pub(crate) local: Option<SocketId>,
    /// The half of the other party that hears this one.
    pub(crate) sink: Option<PathId>,
    /// On an RTP half that is multiplexed: where its RTCP belongs.
    pub(crate) rtcp: Option<PathId>,
    /// On an RTCP half that is multiplexed: the RTP half that carries it.
    pub(crate) carrier: Option<PathId>,
    /// The next party that was shown the same port: of several that answer one offer, all send there.
    pub(crate) sibling: Option<PathId>,
    /// The party said that it sends.
    pub(crate) sends: bool,
    /// The party said that it receives.
    pub(crate) receives: bool,
    pub(crate) received: StreamCounters,
    pub(crate) sent: StreamCounters,
    pub(crate) last_packet: Option<Instant>,
    pub(crate) last_packet_wall_ms: u64,
    pub(crate) ssrc: Option<u32>,
}

impl Path {
    fn new(kind: PathKind) -> Self {
        Self {
            kind,
            latch: Latch::default(),
            local: None,
            sink: None,
            rtcp: None,
            carrier: None,
            sibling: None,
            sends: true,
            receives: true,
            received: StreamCounters::default(),
            sent: StreamCounters::default(),
            last_packet: None,
            last_packet_wall_ms: 0,
            ssrc: None,
        }
    }
}

/// All paths of a shard.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    slots: Vec<Option<Path>>,
    free: Vec<u32>,
}

impl Paths {
    pub(crate) fn insert(&mut self, kind: PathKind) -> PathId {
        let path = Some(Path::new(kind));
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = path;
            return PathId(index);
        }
        self.slots.push(path);
        PathId(
            u32::try_from(self.slots.len() - 1).expect("calls, parties and media are bounded far below 2^32"),
        )
    }

    /// Lets `younger` have what comes to the socket of `elder` from its own address.
    pub(crate) fn share(&mut self, elder: PathId, younger: PathId) {
        // Never a ring: who has followers already, or is in the row, stays where it is.
        if self[younger].sibling.is_some() {
            return;
        }
        let mut last = elder;
        while let Some(next) = self[last].sibling.filter(|_| last != younger) {
            last = next;
        }
        if last != younger {
            self[last].sibling = Some(younger);
        }
    }

    /// Of those that share the socket of `path`, the one who is at `remote`; else `path` itself.
    pub(crate) fn sharing(&self, path: PathId, remote: SocketAddr) -> PathId {
        let mut chain = std::iter::successors(Some(path), |id| self.get(*id)?.sibling);
        chain.find(|id| self.get(*id).is_some_and(|half| half.latch.expects(remote))).unwrap_or(path)
    }

    pub(crate) fn remove(&mut self, id: PathId) {
        if self.slots[id.0 as usize].take().is_some() {
            self.free.push(id.0);
        }
    }

    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }
}

/// A path that its media owns is there.
impl std::ops::Index<PathId> for Paths {
    type Output = Path;

    fn index(&self, id: PathId) -> &Path {
        self.get(id).expect("a media's paths live as long as the media")
    }
}

impl std::ops::IndexMut<PathId> for Paths {
    fn index_mut(&mut self, id: PathId) -> &mut Path {
        self.get_mut(id).expect("a media's paths live as long as the media")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_that_share_a_socket_stand_in_a_row_and_never_in_a_ring() {
        let mut paths = Paths::default();
        let [a, b, c] = [(); 3].map(|()| paths.insert(PathKind::Rtp));
        for (elder, younger) in [(a, b), (a, c), (a, b), (b, a), (c, a), (c, b), (a, a)] {
            paths.share(elder, younger);
        }
        assert_eq!([a, b, c].map(|id| paths[id].sibling), [Some(b), Some(c), None]);
        assert_eq!(paths.sharing(a, "192.0.2.1:1".parse().unwrap()), a);
    }
}
