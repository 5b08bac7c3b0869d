//! Parties that are connected without an offer and an answer, of one call or of two that become one.
//!
//! Both hear each other in place of whoever they heard before; with `directional` the one named by `to-tag`
//! hears the other, who goes on talking to whom it talked to. Nothing is transcoded: two parties without a
//! codec in common are not connected.

use ng::{All, Connect, Reply};
use rtp::sdp::Sdp;

use super::{
    OTHER_OWNER, Shard, gate, is_foreign, record,
    select::{self, UNKNOWN_CALL},
};
use crate::{
    call::{Call, CallKey},
    leg::Role,
    media::Transport,
    negotiate::codec,
    path::PathId,
    recording::Wish,
    sim::{self, Way},
    timer::Timer,
};

impl Shard {
    pub(super) fn on_connect(&mut self, id: u64, connect: Box<Connect>) {
        let names = [&connect.signal.call_id, connect.other_call_id()];
        let keys = self.calls.by_name(names[0]).zip(self.calls.by_name(names[1]));
        let Some((key, other)) = keys else { return self.refuse(id, UNKNOWN_CALL) };
        // Whichever call waits for sockets: the connection waits behind it.
        for key in [key, other] {
            let call = self.calls.get_mut(key).expect("a name leads to a call");
            if call.pending.is_some() {
                sim::seen(Way::ConnectWaited);
                return self.wait(key, id, ng::Command::Connect(connect));
            }
        }
        match self.connect(key, other, &connect) {
            Ok(()) => self.reply(id, Reply::Ok { warning: None }),
            Err(text) => self.refuse(id, &text),
        }
    }

    fn connect(&mut self, key: CallKey, other: CallKey, connect: &Connect) -> Result<(), String> {
        let owner = connect.signal.owner.as_deref();
        let [one, two] = [key, other].map(|key| self.calls.get(key).expect("a name leads to a call"));
        if is_foreign(one, owner) || is_foreign(two, owner) || is_foreign(two, one.owner.as_deref()) {
            return Err(OTHER_OWNER.to_owned());
        }
        let from = source(one, connect)?;
        let to = connect.signal.to_tag.as_deref().and_then(|tag| two.by_tag(tag));
        let to = to.ok_or("To-tag not found")?;
        if (key, from) == (other, to) {
            return Err("Invalid dialogue association".to_owned());
        }
        for (call, party) in [(one, from), (two, to)] {
            if call.leg(party).role != Role::Talker || !call.leg(party).described {
                return Err("Only parties that have offered or answered can be connected".to_owned());
            }
        }
        let sections = sections(one, from, two, to)?;
        let halves: Vec<[[PathId; 2]; 2]> = sections
            .into_iter()
            .map(|(index, with)| {
                [&one.leg(from).medias[index], &two.leg(to).medias[with]].map(|media| [media.rtp, media.rtcp])
            })
            .collect();
        let ways = halves.into_iter().flat_map(|[from, to]| from.into_iter().zip(to));
        let ways: Vec<(PathId, PathId)> = ways.collect();
        if !ways.iter().all(|&(speaker, listener)| self.paths.has_room(speaker, Some(listener))) {
            return Err("Too many subscribers of one party".to_owned());
        }
        let to = if key == other { to } else { self.merge(key, other, to)? };
        sim::seen(if connect.bidirectional { Way::ConnectedBothWays } else { Way::ConnectedOneWay });
        let paths = &mut self.paths;
        for (speaker, listener) in ways {
            paths.hear_nobody(listener);
            if connect.bidirectional {
                paths.hear_nobody(speaker);
                paths.set_sink(speaker, listener);
                paths.set_sink(listener, speaker);
            } else {
                let added = paths.add_sink(speaker, listener);
                assert!(added, "room was seen before");
            }
        }
        let call = self.calls.get_mut(key).expect("it was there a line ago");
        associate(call, from, to, connect.bidirectional);
        call.last_signal = self.now;
        call.last_signal_wall_ms = self.wall_ms;
        call.answered = true;
        gate::apply(call, &mut self.paths);
        self.on_activity_check(key);
        Ok(())
    }

    /// Makes two calls one; returns the index that the second one's party `to` has now.
    fn merge(&mut self, key: CallKey, other: CallKey, to: usize) -> Result<usize, String> {
        let [one, two] = [key, other].map(|key| self.calls.get(key).expect("a name leads to a call"));
        if one.parties().count() + two.parties().count() > self.limits.legs_max {
            return Err("Too many parties in this call".to_owned());
        }
        if one.aliases.len() + two.aliases.len() >= NAMES_MAX {
            return Err("Too many calls are one already".to_owned());
        }
        let tags = |call: &Call| {
            call.parties()
                .flat_map(|(_, leg)| leg.tag.iter().chain(&leg.aliases))
                .cloned()
                .collect::<Vec<_>>()
        };
        if tags(two).iter().any(|tag| one.by_tag(tag).is_some()) {
            return Err("Both calls have a party of the same tag".to_owned());
        }
        let recorded = [key, other].map(|key| self.calls.get_mut(key).and_then(name_recorded));
        if recorded == [Some(()); 2] {
            sim::seen(Way::RecordingsMerged);
            // One recording for one call: the other one's ends here, and its parties go into this one.
            let wishes = |call: &Call| call.parties().map(|(index, leg)| (index, leg.recorded)).collect();
            let wished: Vec<(usize, Wish)> = self.calls.get(other).map(wishes).unwrap_or_default();
            self.end_recording(other, false, false);
            let call = self.calls.get_mut(other).expect("it is still there");
            wished.into_iter().for_each(|(index, wish)| call.leg_mut(index).recorded = wish);
        }
        sim::seen(Way::CallsMerged);
        let mut gone = self.calls.absorb(key, other);
        let before = gone.deadlines;
        self.timers.clear(&mut gone.deadlines, other);
        let call = self.calls.get_mut(key).expect("it absorbed the other one");
        let places = places(call, &gone);
        let moved = |index: usize| places.get(index).copied().flatten();
        for (leg, place) in gone.legs.into_iter().zip(&places) {
            let (Some(mut leg), Some(place)) = (leg, *place) else { continue };
            leg.peer = leg.peer.and_then(moved);
            leg.last = leg.last.and_then(moved);
            for indices in [&mut leg.partners, &mut leg.hears] {
                *indices = indices.iter().copied().filter_map(moved).collect();
            }
            leg.ways = leg.ways.iter().filter_map(|&(index, gate)| Some((moved(index)?, gate))).collect();
            for shown in leg.medias.iter().flat_map(|media| &media.pairs) {
                self.sockets.move_to(shown.pair, key);
            }
            if call.legs.len() <= place {
                call.legs.resize_with(place + 1, || None);
            }
            call.legs[place] = Some(leg);
        }
        call.created = call.created.min(gone.created);
        call.created_wall_ms = call.created_wall_ms.min(gone.created_wall_ms);
        call.keep_report |= gone.keep_report;
        call.delete_delay = call.delete_delay.max(gone.delete_delay);
        call.talking |= gone.talking;
        call.generates_rtcp |= gone.generates_rtcp;
        call.gate = call.gate.or(gone.gate);
        call.owner = call.owner.take().or(gone.owner);
        call.metadata = call.metadata.take().or(gone.metadata);
        if let Some(offenders) = gone.offenders {
            call.offenders.get_or_insert_default().join(&offenders);
        }
        if let Some(recording) = gone.recording {
            self.recordings.move_to(recording.id, key);
            call.recording = Some(recording);
        }
        record::apply(call, &mut self.paths);
        let removal = call.parties().filter_map(|(_, leg)| leg.gone_at).min();
        self.timers.set(&mut call.deadlines, key, Timer::Remove, removal);
        // Whichever lease ends first ends the call: nobody is heard for whom nobody answers.
        for timer in [Timer::Lease, Timer::Report, Timer::Watch, Timer::Ice, Timer::Handshake] {
            let due = [call.deadlines[timer as usize], before[timer as usize]];
            self.timers.set(&mut call.deadlines, key, timer, due.into_iter().flatten().min());
        }
        self.generate_rtcp(key);
        // They came behind the connection, and mean the call that theirs is a part of now.
        gone.waiting.iter().for_each(|_| sim::seen(Way::OrphansOfMerge));
        self.orphans.extend(gone.waiting);
        moved(to).ok_or_else(|| "To-tag not found".to_owned())
    }
}

/// Where the parties of a call that becomes part of another go: first to the places of parties that went.
fn places(call: &Call, gone: &Call) -> Vec<Option<usize>> {
    let holes = (0..call.legs.len()).filter(|&index| call.legs[index].is_none());
    let mut free = holes.chain(call.legs.len()..);
    gone.legs.iter().map(|leg| leg.as_ref().and_then(|_| free.next())).collect()
}

/// Names of calls that became part of one at most.
const NAMES_MAX: usize = 32;

/// Names those one by one who are recorded because everybody is: whoever joins them from another call is not.
fn name_recorded(call: &mut Call) -> Option<()> {
    let recording = call.recording.as_mut()?;
    if std::mem::take(&mut recording.everybody) {
        for leg in call.legs.iter_mut().flatten().filter(|leg| leg.recorded == Wish::AsCall) {
            leg.recorded = Wish::Recorded;
        }
    }
    Some(())
}

/// The party that is connected to the other one.
///
/// # Errors
/// The text of the refusal.
fn source(call: &Call, connect: &Connect) -> Result<usize, String> {
    let selector = &connect.selector;
    if selector.all != All::Unsaid || !connect.from_tags.is_empty() {
        return Err(
            "Not supported: several parties connected to one, for nothing mixes their voices".to_owned()
        );
    }
    let (label, tag) = (selector.label.as_deref(), selector.from_tag.as_deref());
    let found = select::party(call, label, selector.address, tag)?;
    found.ok_or_else(|| "No call participant specified".to_owned())
}

/// Which sections of two parties go together: the first of a kind with the first, and so on.
///
/// # Errors
/// There are none, or two of them have no codec in common.
fn sections(one: &Call, from: usize, two: &Call, to: usize) -> Result<Vec<(usize, usize)>, String> {
    let (from, to) = (one.leg(from), two.leg(to));
    let read = |bytes: &Option<Box<[u8]>>| bytes.as_deref().and_then(|bytes| Sdp::parse(bytes).ok());
    let described = read(&from.description).zip(read(&to.description));
    let (ours, theirs) = described.ok_or("Only parties that have offered or answered can be connected")?;
    let mut free: Vec<usize> = (0..to.medias.len()).filter(|&index| !to.medias[index].refused).collect();
    let mut pairs = Vec::new();
    for (index, media) in from.medias.iter().enumerate().filter(|(_, media)| !media.refused) {
        let same = |other: &&usize| {
            let other = &to.medias[**other];
            other.kind == media.kind && other.transport == media.transport
        };
        let Some(&other) = free.iter().find(same) else { continue };
        free.retain(|&index| index != other);
        if let (Transport::Rtp, Some(our), Some(their)) =
            (media.transport, ours.media.get(index), theirs.media.get(other))
        {
            let their = codec::encodings(their);
            let is_common = |(number, name): (&u8, &String)| {
                !name.starts_with("telephone-event") && their.get(number) == Some(name)
            };
            if !codec::encodings(our).iter().any(is_common) {
                return Err(format!(
                    "Not supported: transcoding, and the {} of both has no codec in common",
                    media.kind
                ));
            }
        }
        pairs.push((index, other));
    }
    if pairs.is_empty() { Err("The parties have no media of one kind".to_owned()) } else { Ok(pairs) }
}

/// Notes whom two parties talk to now, and whom they hear.
fn associate(call: &mut Call, from: usize, to: usize, bidirectional: bool) {
    let both = [(from, to), (to, from)];
    // Of those who talked to `from` nobody is heard by it any more if it hears `to`, and the other way round.
    for (one, other) in both.into_iter().filter(|&(one, _)| bidirectional || one == to) {
        for leg in
            (0..).zip(&mut call.legs).filter(|&(index, _)| index != other).filter_map(|(_, leg)| leg.as_mut())
        {
            leg.peer = leg.peer.filter(|&peer| peer != one);
        }
        call.leg_mut(one).hears.clear();
    }
    if !bidirectional {
        call.leg_mut(to).hears.push(from);
        return;
    }
    for (one, other) in both {
        let leg = call.leg_mut(one);
        leg.peer = Some(other);
        if !leg.partners.contains(&other) {
            leg.partners.push(other);
        }
    }
}
