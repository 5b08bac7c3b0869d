//! What is wrong with the media of a call: looked for once a second, said once with its cause, and
//! once more when it is over.
//!
//! | Trouble | When |
//! |---|---|
//! | `no-media-one-way` | a party has sent nothing for 2 s, while the other does |
//! | `no-media` | neither has |
//! | `late-media` | the first packet of a party came more than a second after it was due |
//! | `looped-media` | a party sends what it is sent: same source, numbers and timestamps |
//! | `ssrc-collision` | two parties have one source, or one party's source has two rows of numbers |
//!
//! A party is due to send from the answer on, in audio that neither side holds: with `sendonly`
//! many send nothing, so that nobody is due then. What is answered with `early media` is not the
//! answer yet. A party that said it falls silent (comfort noise, a silence descriptor), or that has come
//! back from silence with a marker before, is given a minute.

use std::time::Duration;

use ng::{MediaTrouble, Trouble};
use rtp::units::Instant;

use super::Shard;
use crate::{
    call::{Call, CallKey},
    event,
    io::Output,
    media::Transport,
    path::{PathId, Paths},
    stream::{Observer, Stream, Watch},
    timer::Timer,
};

/// How often a call is looked at. With [`SILENCE`] every trouble is told within 3 s.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Whoever is due and sends nothing for so long is silent.
const SILENCE: Duration = Duration::from_secs(2);
/// The same for one that falls silent where nobody speaks.
const PAUSE: Duration = Duration::from_secs(60);
/// A first packet that comes later than this after it was due is late.
const LATE: Duration = Duration::from_secs(1);
/// Packets from which on a source counts as one.
const PACKETS_MIN: u64 = 5;
/// How many numbers a loop may be long: 5 s of packets of 20 ms.
const LOOP_SEQ_MAX: u16 = 250;
/// The same in ticks, of the fastest clock.
const LOOP_TICKS_MAX: u32 = 5 * 90_000;
/// Jumps of sequence numbers within a second that are no restart any more.
const JUMPS_MIN: u32 = 8;
/// Checks in a row that have to see them.
const JUMPING_MIN: u8 = 2;

impl Shard {
    pub(super) fn on_watch_due(&mut self, key: CallKey) {
        let Self { calls, paths, counters, timers, outputs, .. } = self;
        let (now, wall_ms) = (self.now, self.wall_ms);
        let Some(call) = calls.get_mut(key) else { return };
        // From now, not from when it was due: after a pause one check is enough.
        timers.set(&mut call.deadlines, key, Timer::Watch, Some(now + INTERVAL));
        for media in call.parties().flat_map(|(_, leg)| &leg.medias) {
            paths.sample(media.rtp, now, false, counters);
        }
        paths.stock();
        expect(call, paths, now);
        let call = &*call;
        let mut tell = |trouble: MediaTrouble| {
            if !trouble.recovered {
                counters.troubled(trouble.trouble);
            }
            outputs.push_back(Output::Event(Box::new(event::media_trouble(call, wall_ms, trouble))));
        };
        look(call, paths, now, &mut tell);
    }
}

/// Notes since when each party is due to send.
pub(super) fn expect(call: &Call, paths: &mut Paths, now: Instant) {
    for (index, leg) in call.parties() {
        for (section, media) in leg.medias.iter().enumerate() {
            let due = is_due(call, paths, index, section);
            if let Some(watch) = watch_mut(paths, media.rtp) {
                watch.due_since = if due { watch.due_since.or(Some(now)) } else { None };
            }
        }
    }
}

/// Whether a party is to send audio to the one it talks to, and that one to it.
fn is_due(call: &Call, paths: &Paths, index: usize, section: usize) -> bool {
    let leg = call.leg(index);
    let Some(peer) = leg.peer.and_then(|peer| call.legs.get(peer)?.as_ref()) else { return false };
    let both = [leg, peer];
    let flows = |leg: &crate::leg::Leg| {
        leg.medias.get(section).is_some_and(|media| {
            let half = &paths[media.rtp];
            media.kind == "audio"
                && media.transport == Transport::Rtp
                && !media.refused
                && half.sends
                && half.receives
        })
    };
    call.talking
        && peer.peer == Some(index)
        && both.into_iter().all(|leg| leg.described && leg.gone_at.is_none() && flows(leg))
}

/// Looks at every section of a call.
fn look(call: &Call, paths: &mut Paths, now: Instant, tell: &mut impl FnMut(MediaTrouble)) {
    for (index, leg) in call.parties() {
        for (section, media) in leg.medias.iter().enumerate() {
            let place = Place { call, index, section };
            if let Some(peer) = leg.peer.filter(|&peer| index < peer)
                && let Some(other) = call.legs.get(peer).and_then(Option::as_ref)
                && let Some(theirs) = other.medias.get(section)
                && other.peer == Some(index)
            {
                let other = Place { index: peer, ..place };
                silence(paths, now, [(place, media.rtp), (other, theirs.rtp)], tell);
            }
            late(paths, place, media.rtp, tell);
            sources(paths, now, place, media.rtp, tell);
        }
    }
}

/// Which party and section something is about.
#[derive(Clone, Copy)]
struct Place<'a> {
    call: &'a Call,
    index: usize,
    section: usize,
}

impl Place<'_> {
    fn trouble(self, trouble: Trouble, recovered: bool, ssrc: Option<u32>, since: Duration) -> MediaTrouble {
        MediaTrouble {
            trouble,
            recovered,
            tag: self.call.leg(self.index).tag.clone().unwrap_or_default(),
            media: u32::try_from(self.section + 1).unwrap_or(u32::MAX),
            ssrc,
            since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Who of two that talk to each other sends nothing.
fn silence(
    paths: &mut Paths,
    now: Instant,
    parties: [(Place<'_>, PathId); 2],
    tell: &mut impl FnMut(MediaTrouble),
) {
    let quiet = parties.map(|(place, id)| quiet_for(paths, now, place.call, id));
    let all = quiet.iter().all(Option::is_some);
    let [(first, _), _] = parties;
    let was_all = parties.iter().any(|&(_, id)| watch(paths, id).is_some_and(|watch| watch.all_silent));
    if all != was_all {
        let since = quiet.into_iter().flatten().min().unwrap_or_default();
        tell(MediaTrouble { tag: String::new(), ..first.trouble(Trouble::NoMedia, !all, None, since) });
    }
    for ((place, id), quiet) in parties.into_iter().zip(quiet) {
        let Some(watch) = watch_mut(paths, id) else { continue };
        watch.all_silent = all;
        let silent = quiet.is_some() && (!all || watch.silent);
        if silent != watch.silent {
            watch.silent = silent;
            let since = quiet.unwrap_or_default();
            tell(place.trouble(Trouble::NoMediaOneWay, !silent, None, since));
        }
    }
}

/// For how long a party that is due has sent nothing, if that is too long.
fn quiet_for(paths: &Paths, now: Instant, call: &Call, id: PathId) -> Option<Duration> {
    let half = paths.get(id)?;
    let observer = half.observer.as_deref()?;
    // An offer and answer may move it elsewhere, which takes a moment.
    let since = observer.watch.due_since?.max(call.last_signal);
    let quiet = now.saturating_since(half.last_packet.map_or(since, |last| last.max(since)));
    let patience = if observer.is_pausing() { PAUSE } else { SILENCE };
    (quiet >= patience).then_some(quiet)
}

/// Whether the first packet of a party came late.
fn late(paths: &mut Paths, place: Place<'_>, id: PathId, tell: &mut impl FnMut(MediaTrouble)) {
    let Some(observer) = observer_mut(paths, id) else { return };
    let (Some(first), Some(due)) = (observer.first_packet(), observer.watch.due_since) else { return };
    if observer.watch.began {
        return;
    }
    observer.watch.began = true;
    let delay = first.saturating_since(due);
    let ssrc = observer.current().map(Stream::ssrc);
    if delay > LATE {
        tell(place.trouble(Trouble::LateMedia, false, ssrc, delay));
    }
}

/// Whether the source of a party is somebody else's too.
fn sources(
    paths: &mut Paths,
    now: Instant,
    place: Place<'_>,
    id: PathId,
    tell: &mut impl FnMut(MediaTrouble),
) {
    let (mut looped, mut collided) = (None, None);
    if let Some(own) = live(paths, now, id) {
        for (index, leg) in place.call.parties() {
            let Some(theirs) = leg.medias.get(place.section).filter(|_| index != place.index) else {
                continue;
            };
            let Some(other) = live(paths, now, theirs.rtp).filter(|other| other.ssrc() == own.ssrc()) else {
                continue;
            };
            if !comes_back(own, other) {
                // Told of the one that was there last.
                collided = collided.or_else(|| (own.began() >= other.began()).then(|| own.ssrc()));
            } else if own.began() >= other.began() && paths[theirs.rtp].sinks().any(|sink| sink.path == id) {
                looped = Some(own.ssrc());
            }
        }
    }
    let jumps = paths.get(id).and_then(|half| half.observer.as_deref()?.current()).map(|own| {
        (own.ssrc(), u32::try_from(own.stats.strays() + own.stats.restarts()).unwrap_or(u32::MAX))
    });
    let Some(watch) = watch_mut(paths, id) else { return };
    if let Some((ssrc, jumps)) = jumps {
        let many = jumps.saturating_sub(watch.jumps) >= JUMPS_MIN;
        watch.jumping = if many { watch.jumping.saturating_add(1) } else { 0 };
        watch.jumps = jumps;
        if watch.jumping >= JUMPING_MIN {
            collided = collided.or(Some(ssrc));
        }
    }
    let before = [
        (Trouble::Looped, std::mem::replace(&mut watch.looped, looped), looped),
        (Trouble::SsrcCollision, std::mem::replace(&mut watch.collided, collided), collided),
    ];
    for (trouble, before, after) in before {
        if before == after {
            continue;
        }
        for (ssrc, recovered) in [(before, true), (after, false)] {
            if ssrc.is_some() {
                tell(place.trouble(trouble, recovered, ssrc, Duration::ZERO));
            }
        }
    }
}

/// The present source of a party, if packets of it arrive.
fn live(paths: &Paths, now: Instant, id: PathId) -> Option<&Stream> {
    let stream = paths.get(id)?.observer.as_deref()?.current()?;
    let last = stream.stats.last_arrival()?;
    (now.saturating_since(last) < SILENCE && stream.stats.packets() >= PACKETS_MIN).then_some(stream)
}

/// Whether two streams of one source are the same packets.
fn comes_back(one: &Stream, other: &Stream) -> bool {
    let seqs = one.stats.highest_seq().zip(other.stats.highest_seq());
    seqs.is_some_and(|(one, other)| one.seq().distance_from(other.seq()).unsigned_abs() <= LOOP_SEQ_MAX)
        && one.timestamp.distance_from(other.timestamp).unsigned_abs() <= LOOP_TICKS_MAX
}

fn observer_mut(paths: &mut Paths, id: PathId) -> Option<&mut Observer> {
    paths.get_mut(id)?.observer.as_deref_mut()
}

fn watch(paths: &Paths, id: PathId) -> Option<Watch> {
    Some(paths.get(id)?.observer.as_deref()?.watch)
}

fn watch_mut(paths: &mut Paths, id: PathId) -> Option<&mut Watch> {
    observer_mut(paths, id).map(|observer| &mut observer.watch)
}
