//! One half (RTP or RTCP) of one party's media: who may send, who hears it, what passed.

use std::net::SocketAddr;

use ng::StreamCounters;
use rtp::units::Instant;

use crate::{
    handshake::Handshake,
    ice::Checks,
    io::{RecordingId, SocketId},
    latch::Latch,
    secure::Secure,
    stream::{Observer, Spares},
};

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

/// Somebody who hears a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sink {
    pub(crate) path: PathId,
    /// What a client forbids on this way alone.
    pub(crate) blocked: bool,
    pub(crate) silenced: bool,
}

impl Sink {
    fn new(path: PathId) -> Self {
        Self { path, blocked: false, silenced: false }
    }
}

/// What a client forbids somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Gate {
    /// Media is dropped.
    pub(crate) blocked: bool,
    /// Audio is replaced by silence.
    pub(crate) silenced: bool,
    /// Events (RFC 4733) are dropped.
    pub(crate) dtmf_blocked: bool,
}

impl Gate {
    /// What is forbidden by the one or by the other.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            blocked: self.blocked || other.blocked,
            silenced: self.silenced || other.silenced,
            dtmf_blocked: self.dtmf_blocked || other.dtmf_blocked,
        }
    }
}

/// In whose name we report, and what the party is called where we report in its.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reporter {
    pub(crate) ssrc: u32,
    /// A random name, which says nothing of anybody (RFC 7022).
    pub(crate) cname: [u8; Self::CNAME_BYTES],
}

impl Reporter {
    /// 96 bits as hexadecimal digits.
    pub(crate) const CNAME_BYTES: usize = 24;
}

/// Further sinks of one path at most; one more is refused.
pub(crate) const SINKS_MAX: usize = 32;

/// One half of one party's media. Everything the relay needs of it is here, so that a packet
/// costs two of these and no search.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) kind: PathKind,
    pub(crate) latch: Latch,
    /// What we send to this party from.
    pub(crate) local: Option<SocketId>,
    /// Its family: a client may have us show a party a port of the other one, from which it cannot be reached.
    pub(crate) local_is_ipv4: bool,
    /// The half of the party this one talks to: the other side of its offer and answer.
    sink: Option<Sink>,
    /// Who else hears it, at most [`SINKS_MAX`].
    further: Vec<Sink>,
    /// Whom this half hears: everybody that has it as a sink.
    sources: Vec<PathId>,
    /// What a client forbids this party, alone or with the whole call. RTCP always passes.
    pub(crate) gate: Gate,
    /// What it sends is recorded under this number.
    pub(crate) tap: Option<RecordingId>,
    /// On an RTP half that is multiplexed: where its RTCP belongs.
    pub(crate) rtcp: Option<PathId>,
    /// On an RTCP half that is multiplexed: the RTP half that carries it.
    pub(crate) carrier: Option<PathId>,
    /// On an RTCP half: the RTP half of the same media.
    pub(crate) rtp: Option<PathId>,
    /// On an RTP half: who reports to the party, where we do so ourselves.
    pub(crate) reporter: Option<Box<Reporter>>,
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
    /// On an RTP half that is protected: with what, and its RTCP too. On an RTCP half: if it has keys of its own.
    pub(crate) secure: Option<Box<Secure>>,
    /// What ICE checks, where the party speaks it.
    pub(crate) checks: Option<Box<Checks>>,
    /// The handshake by which what protects it is keyed.
    pub(crate) handshake: Option<Box<Handshake>>,
    /// On an RTP half: its streams as they are observed.
    pub(crate) observer: Option<Box<Observer>>,
}

impl Path {
    fn new(kind: PathKind) -> Self {
        Self {
            kind,
            latch: Latch::default(),
            local: None,
            local_is_ipv4: true,
            sink: None,
            further: Vec::new(),
            sources: Vec::new(),
            gate: Gate::default(),
            tap: None,
            rtcp: None,
            carrier: None,
            rtp: None,
            reporter: None,
            sibling: None,
            sends: true,
            receives: true,
            received: StreamCounters::default(),
            sent: StreamCounters::default(),
            last_packet: None,
            last_packet_wall_ms: 0,
            ssrc: None,
            secure: None,
            checks: None,
            handshake: None,
            observer: None,
        }
    }

    /// Everybody who hears it, the other side of its offer and answer first.
    pub(crate) fn sinks(&self) -> impl Iterator<Item = &Sink> {
        self.sink.iter().chain(&self.further)
    }

    /// Whom it hears.
    pub(crate) fn sources(&self) -> &[PathId] {
        &self.sources
    }

    /// Takes over what its neighbours and its socket are called now. What is not there any more is forgotten.
    pub(crate) fn renumber(
        &mut self,
        half: impl Fn(PathId) -> Option<PathId>,
        socket: impl Fn(SocketId) -> Option<SocketId>,
    ) {
        self.local = self.local.and_then(socket);
        for neighbour in [&mut self.rtcp, &mut self.carrier, &mut self.rtp, &mut self.sibling] {
            *neighbour = neighbour.and_then(&half);
        }
        let sink = |sink: Sink| Some(Sink { path: half(sink.path)?, ..sink });
        self.sink = self.sink.and_then(sink);
        self.further = std::mem::take(&mut self.further).into_iter().filter_map(sink).collect();
        self.sources = self.sources.iter().copied().filter_map(&half).collect();
    }

    /// Its sinks, to change what is forbidden on the way.
    pub(crate) fn sinks_mut(&mut self) -> impl Iterator<Item = &mut Sink> {
        self.sink.iter_mut().chain(&mut self.further)
    }
}

/// All paths of a shard.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    slots: Vec<Option<Path>>,
    free: Vec<u32>,
    /// For sources that come unannounced.
    pub(crate) spares: Spares,
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
    pub(crate) fn sharing(&self, now: Instant, path: PathId, remote: SocketAddr) -> PathId {
        let chain = || std::iter::successors(Some(path), |id| self.get(*id)?.sibling);
        let expected =
            |id: &PathId| self.get(*id).is_some_and(|half| half.latch.expects(now, half.kind, remote));
        let looked_for = |id: &PathId| self.get(*id).is_some_and(|half| half.latch.is_open());
        chain().find(expected).or_else(|| chain().find(looked_for)).unwrap_or(path)
    }

    /// Lets `to` hear `from` as the other side of its offer and answer, in place of whom it was before.
    pub(crate) fn set_sink(&mut self, from: PathId, to: PathId) {
        let before = self[from].sink;
        if before.is_some_and(|sink| sink.path == to) {
            return;
        }
        // What is forbidden on the way to somebody stays forbidden when that one becomes the first.
        let known = self[from].sinks().find(|sink| sink.path == to).copied();
        self.remove_sink(from, to);
        if let Some(before) = before {
            self.remove_sink(from, before.path);
        }
        self[from].sink = Some(known.unwrap_or_else(|| Sink::new(to)));
        self[to].sources.push(from);
    }

    /// Lets `to` hear `from` besides whoever hears it already; false if too many do.
    pub(crate) fn add_sink(&mut self, from: PathId, to: PathId) -> bool {
        if self[from].sinks().any(|sink| sink.path == to) {
            return true;
        }
        if self[from].further.len() >= SINKS_MAX {
            return false;
        }
        self[from].further.push(Sink::new(to));
        self[to].sources.push(from);
        true
    }

    /// Whether `to` could hear `from` besides whoever hears it already.
    pub(crate) fn has_room(&self, from: PathId, to: Option<PathId>) -> bool {
        let known = |sink: &Sink| Some(sink.path) == to;
        self[from].further.len() < SINKS_MAX || self[from].sinks().any(known)
    }

    /// `to` hears nobody any more.
    pub(crate) fn hear_nobody(&mut self, to: PathId) {
        for from in std::mem::take(&mut self[to].sources) {
            self.remove_sink(from, to);
        }
    }

    /// `to` hears `from` no longer.
    pub(crate) fn remove_sink(&mut self, from: PathId, to: PathId) {
        if let Some(source) = self.get_mut(from) {
            source.sink.take_if(|sink| sink.path == to);
            source.further.retain(|sink| sink.path != to);
        }
        if let Some(sink) = self.get_mut(to) {
            sink.sources.retain(|source| *source != from);
        }
    }

    /// Takes a path out as it is, with those it names.
    pub(crate) fn take(&mut self, id: PathId) -> Option<Path> {
        let path = self.slots.get_mut(id.0 as usize)?.take()?;
        self.free.push(id.0);
        Some(path)
    }

    /// Removes a path: nobody hears it, and it hears nobody, any more.
    pub(crate) fn remove(&mut self, id: PathId) {
        let Some(gone) = self.slots[id.0 as usize].take() else { return };
        for sink in gone.sinks() {
            self.remove_sink(id, sink.path);
        }
        for &source in &gone.sources {
            self.remove_sink(source, id);
        }
        self.free.push(id.0);
    }

    /// Whether a half carries RTP or RTCP.
    pub(crate) fn is_rtp(&self, id: PathId) -> bool {
        self.get(id).is_some_and(|half| half.kind != PathKind::Opaque)
    }

    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A path, and the streams in reserve for it.
    pub(crate) fn half_and_spares(&mut self, id: PathId) -> (Option<&mut Path>, &mut Spares) {
        (self.slots.get_mut(id.0 as usize).and_then(Option::as_mut), &mut self.spares)
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
        assert_eq!(paths.sharing(Instant::ZERO, a, "192.0.2.1:1".parse().unwrap()), a);
    }

    fn heard_by(paths: &Paths, from: PathId) -> Vec<PathId> {
        paths[from].sinks().map(|sink| sink.path).collect()
    }

    #[test]
    fn further_sinks_come_after_the_one_of_the_answer_and_nobody_hears_twice() {
        let mut paths = Paths::default();
        let [a, b, c, d] = [(); 4].map(|()| paths.insert(PathKind::Rtp));
        assert!(paths.add_sink(a, c));
        paths.set_sink(a, b);
        assert!(paths.add_sink(a, d) && paths.add_sink(a, b) && paths.add_sink(a, c));
        assert_eq!(heard_by(&paths, a), [b, c, d]);
        paths[a].sinks_mut().for_each(|sink| sink.blocked = sink.path == d);
        paths.set_sink(a, d);
        assert_eq!(heard_by(&paths, a), [d, c], "b was the other side, and d is now");
        assert!(paths[a].sinks().next().unwrap().blocked, "what was forbidden stays so");
        paths.remove_sink(a, d);
        assert_eq!((heard_by(&paths, a), paths[a].sink), (vec![c], None));
    }

    #[test]
    fn who_hears_nobody_leaves_the_others_alone() {
        let mut paths = Paths::default();
        let [a, b, c, d] = [(); 4].map(|()| paths.insert(PathKind::Rtp));
        paths.set_sink(a, b);
        assert!(paths.add_sink(a, d) && paths.add_sink(c, d) && paths.add_sink(c, b));
        paths.hear_nobody(d);
        assert!(paths[d].sources.is_empty());
        assert_eq!((heard_by(&paths, a), heard_by(&paths, c)), (vec![b], vec![b]));
    }

    #[test]
    fn a_path_that_goes_is_heard_by_nobody_and_its_number_means_nothing_old() {
        let mut paths = Paths::default();
        let [a, b, c] = [(); 3].map(|()| paths.insert(PathKind::Rtp));
        paths.set_sink(a, b);
        paths.set_sink(c, b);
        assert!(paths.add_sink(b, a) && paths.add_sink(b, c));
        paths.remove(b);
        assert!(heard_by(&paths, a).is_empty() && heard_by(&paths, c).is_empty());
        assert!(paths[a].sources.is_empty() && paths[c].sources.is_empty());
        let reused = paths.insert(PathKind::Rtp);
        assert_eq!(reused, b);
        assert!(heard_by(&paths, reused).is_empty() && paths[reused].sources.is_empty());
    }

    #[test]
    fn sinks_are_bounded() {
        let mut paths = Paths::default();
        let from = paths.insert(PathKind::Rtp);
        let added = (0..100)
            .filter(|_| {
                let to = paths.insert(PathKind::Rtp);
                paths.add_sink(from, to)
            })
            .count();
        assert_eq!(added, SINKS_MAX);
        let heard = paths[from].sinks().next().unwrap().path;
        assert!(!paths.has_room(from, None) && paths.has_room(from, Some(heard)));
    }
}
