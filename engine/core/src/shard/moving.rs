//! Calls that leave for another shard, or come from one.
//!
//! A call is taken out whole and put in whole: what it has counted, learned and promised goes with it. Its ports go too; the
//! shard that takes them gives as many free ones in exchange, so that no shard runs dry because calls move.

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
};

use ng::{Connect, EndReason};
use rtp::units::Instant;

use super::{OTHER_OWNER, Shard, in_use, is_foreign, select::UNKNOWN_CALL};
use crate::{
    call::{Call, CallKey},
    io::SocketId,
    media::ShownPair,
    moved::{FreePort, MovedCall, NotPut, PutIn},
    path::PathId,
    socket::PairId,
};

impl Shard {
    /// The sockets of the call that a `connect` calls `to-call-id`, if nothing here speaks against its leaving.
    ///
    /// # Errors
    /// The text of the refusal.
    pub fn leaving(&self, connect: &Connect) -> Result<Vec<SocketId>, &'static str> {
        let key = self.calls.by_name(connect.other_call_id());
        let call = key.and_then(|key| self.calls.get(key)).ok_or(UNKNOWN_CALL)?;
        if is_foreign(call, connect.signal.owner.as_deref()) {
            return Err(OTHER_OWNER);
        }
        if connect.signal.to_tag.as_deref().and_then(|tag| call.by_tag(tag)).is_none() {
            return Err("To-tag not found");
        }
        let pairs = self.movable_pairs(call).ok_or(BUSY)?;
        Ok(pairs.into_iter().filter_map(|pair| self.sockets.of_pair(pair)).flatten().collect())
    }

    /// Takes a call out of this shard: nobody finds it here any more, and its sockets are left to the caller.
    ///
    /// # Errors
    /// The text of the refusal; the call is where it was, or has ended because we failed on it.
    pub fn take_out(&mut self, call_id: &str) -> Result<Box<MovedCall>, &'static str> {
        let key = self.calls.by_name(call_id).ok_or(UNKNOWN_CALL)?;
        let mut taken = None;
        self.timed = Some(key);
        self.guarded(None, |shard| taken = shard.take(key));
        self.timed = None;
        self.count_live();
        taken.ok_or(BUSY)
    }

    /// Puts a call into this shard, where it is to be connected to the call `beside`.
    ///
    /// # Errors
    /// The call again, and why there is no room for it.
    pub fn put_in(
        &mut self,
        now: Instant,
        wall_ms: u64,
        moved: Box<MovedCall>,
        beside: &str,
    ) -> Result<PutIn, NotPut> {
        (self.now, self.wall_ms) = (now, wall_ms);
        let room = if self.calls.by_name(beside).is_some() {
            self.room_for(&moved)
                .and_then(|()| self.sockets.swap(&moved.pairs).ok_or_else(|| apart(NO_PORTS)))
        } else {
            Err(UNKNOWN_CALL.to_owned())
        };
        match room {
            Ok(ports) => Ok(PutIn { sockets: self.put(moved), ports }),
            Err(reason) => Err(NotPut { moved, reason }),
        }
    }

    /// Puts a call back into the shard that it was taken out of, which always has room for it. Returns what its sockets
    /// are called from now on; nothing if we failed on it and it has ended.
    pub fn put_back(&mut self, now: Instant, wall_ms: u64, moved: Box<MovedCall>) -> Vec<SocketId> {
        (self.now, self.wall_ms) = (now, wall_ms);
        self.put(moved)
    }

    /// Takes free ports over from another shard.
    pub fn take_ports(&mut self, ports: &[FreePort]) {
        self.sockets.take_ports(ports);
    }

    /// Whether a call, or what is kept of one, is found here by this name.
    pub fn knows(&self, call_id: &str) -> bool {
        self.calls.by_name(call_id).is_some() || self.kept.get(call_id).is_some()
    }

    /// The pairs of a call, unless some are not open yet.
    fn movable_pairs(&self, call: &Call) -> Option<BTreeSet<PairId>> {
        let shown = call.parties().flat_map(|(_, leg)| &leg.medias).flat_map(|media| &media.pairs);
        let pairs: BTreeSet<PairId> = shown.map(|shown| shown.pair).collect();
        let still = call.pending.is_none() && pairs.iter().all(|pair| self.sockets.is_open(*pair));
        still.then_some(pairs)
    }

    fn take(&mut self, key: CallKey) -> Option<Box<MovedCall>> {
        let pairs = self.movable_pairs(self.calls.get(key)?)?;
        let mut call = self.calls.remove(key)?;
        let deadlines = call.deadlines;
        self.timers.clear(&mut call.deadlines, key);
        call.deadlines = deadlines;
        let halves =
            call.parties().flat_map(|(_, leg)| &leg.medias).flat_map(|media| [media.rtp, media.rtcp]);
        let paths = halves.filter_map(|id| Some((id, self.paths.take(id)?))).collect();
        let pairs = pairs.into_iter().filter_map(|pair| self.sockets.take_out(pair)).collect();
        if let Some(recording) = &call.recording {
            self.recordings.end(recording.id);
        }
        let epoch = call.owner.as_deref().map_or(0, |owner| self.owners.epoch(owner));
        let reports = call.names().filter_map(|name| Some((name.clone(), self.kept.take(name)?))).collect();
        Some(Box::new(MovedCall { call, paths, pairs, epoch, reports }))
    }

    /// Whether a call of another shard may come here.
    fn room_for(&mut self, moved: &MovedCall) -> Result<(), String> {
        if self.calls.len() >= self.limits.calls_max {
            return Err(apart("it has as many calls as it may have; raise max-sessions, or try again later"));
        }
        if moved.is_recorded() && self.recordings.len() >= self.limits.recordings_max {
            return Err(apart("it has as many recordings as it may have; stop some, or try again later"));
        }
        if moved.names().any(|name| self.calls.by_name(name).is_some()) {
            return Err(apart("it has a call of the same name"));
        }
        if let Some(gone) = moved.pairs.iter().find(|pair| self.sockets.interface_of(pair).is_none()) {
            let gone = gone.interface();
            return Err(apart(&format!(
                "it has the interface {}/{} no more, which the call is still on",
                gone.name, gone.address
            )));
        }
        let Some(owner) = moved.call.owner.as_deref() else { return Ok(()) };
        let in_use = in_use(&self.calls, &self.kept);
        self.owners.learn(owner, moved.epoch, in_use).map_err(apart)
    }

    /// Gives a call and everything in it numbers of this shard; what its sockets are called.
    fn put(&mut self, moved: Box<MovedCall>) -> Vec<SocketId> {
        let key = self.calls.next_key();
        let halves: Halves =
            moved.paths.iter().map(|(before, path)| (*before, self.paths.insert(path.kind))).collect();
        let recording = moved.call.recording.as_ref().map(|recording| recording.id);
        let entered = catch_unwind(AssertUnwindSafe(|| self.enter(key, *moved, &halves)));
        let sockets = entered.unwrap_or_else(|_| {
            // As if it had come, and ended at once (ADR 4).
            self.counters.faults += 1;
            if self.calls.get(key).is_some() {
                self.timed = Some(key);
                self.guarded(None, |shard| shard.end_call(key, EndReason::Fault));
                self.timed = None;
            } else {
                self.sockets.release_all(key, &mut self.outputs);
                halves.values().for_each(|half| self.paths.remove(*half));
                recording.inspect(|id| self.recordings.end(*id));
            }
            Vec::new()
        });
        self.count_live();
        sockets
    }

    fn enter(&mut self, key: CallKey, moved: MovedCall, halves: &Halves) -> Vec<SocketId> {
        let MovedCall { mut call, paths, pairs, epoch, reports } = moved;
        let mut pair_ids = HashMap::new();
        let mut socket_ids = HashMap::new();
        let mut order = Vec::with_capacity(pairs.len() * 2);
        for pair in pairs {
            let (before, olds) = (pair.id(), pair.sockets());
            let (pair, interface, ids) = self.sockets.put_in(pair, key, |path| halves.get(&path).copied());
            pair_ids.insert(before, (pair, interface));
            socket_ids.extend(olds.into_iter().zip(ids));
            order.extend(ids);
        }
        for (before, mut path) in paths {
            path.renumber(|id| halves.get(&id).copied(), |id| socket_ids.get(&id).copied());
            self.paths[halves[&before]] = path;
        }
        for media in call.legs.iter_mut().flatten().flat_map(|leg| &mut leg.medias) {
            (media.rtp, media.rtcp) = (halves[&media.rtp], halves[&media.rtcp]);
            media.selected = media.selected.and_then(|pair| pair_ids.get(&pair)).map(|&(pair, _)| pair);
            for shown in &mut media.pairs {
                let (pair, interface) = pair_ids[&shown.pair];
                *shown = ShownPair { pair, interface, peer: shown.peer };
            }
        }
        if let Some(recording) = &call.recording {
            self.recordings.adopt(recording.id, key);
        }
        if let Some(owner) = call.owner.as_deref() {
            // Room for it was seen before, or it has never left.
            let _too_many = self.owners.learn(owner, epoch, in_use(&self.calls, &self.kept));
        }
        for (name, report) in reports {
            self.counters.reports_lost += self.kept.keep(self.now, &name, report);
        }
        let deadlines = std::mem::take(&mut call.deadlines);
        self.calls.put(key, call);
        let call = self.calls.get_mut(key).expect("it was put there a line ago");
        self.timers.restore(&mut call.deadlines, key, &deadlines);
        order
    }
}

/// What the halves of a call were called before, and are called now.
type Halves = HashMap<PathId, PathId>;

/// The refusal of a `connect` for which a call could not move, and why.
pub fn apart(why: &str) -> String {
    format!("The calls lie on different workers and cannot come together on one: {why}")
}

const NO_PORTS: &str = "it has not as many free ports as the other call brings along; widen the range of port-min and \
                        port-max, or try again later";

/// The text for a call whose sockets are opening.
const BUSY: &str = "The call is busy with another command; try again";
