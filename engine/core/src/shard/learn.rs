//! Where parties are: what descriptions say of it, what packets teach, and who tried to be taken for one.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ng::{EventKind, Learning, LearningOutcome, Network, Signal};
use rtp::units::Instant;

use super::Shard;
use crate::{
    call::{Call, CallKey},
    event,
    io::{Output, SocketId},
    latch::{Signalled, is_private},
    leg::Leg,
    media::{Media, Transport},
    negotiate::{Kind, SectionPlan},
    networks::MediaNetworks,
    offender::EARLY_MAX,
    path::{PathId, Paths},
    relay::{Lesson, Taught},
    sim::{self, Way},
    socket::Sockets,
    window::Window,
};

/// Events about where the parties of one call are; what comes after is counted only.
const LESSONS_MAX: u8 = 16;

/// What an offer or answer says of its sender's whereabouts, the same for all its sections.
pub(super) struct Guide<'a> {
    now: Instant,
    kind: Kind,
    signal: &'a Signal,
    listed: &'a MediaNetworks,
    strict: bool,
    early: [Option<IpAddr>; EARLY_MAX],
}

impl<'a> Guide<'a> {
    pub(super) fn new(
        now: Instant,
        kind: Kind,
        signal: &'a Signal,
        call: &Call,
        listed: &'a MediaNetworks,
        strict: bool,
    ) -> Self {
        let early = call.offenders.as_ref().map(|offenders| offenders.early(now)).unwrap_or_default();
        Self { now, kind, signal, listed, strict: strict || signal.learn_strict, early }
    }

    /// Tells the guards of the sender's section where it said it is, and those of both sides whether they know now where
    /// to send: an offerer is shown our port by the answer, whoever was offered something by the offer.
    pub(super) fn exchange(
        &self,
        from: &Media,
        to: &Media,
        plan: &SectionPlan,
        sockets: &Sockets,
        paths: &mut Paths,
    ) {
        self.signal(from, plan, sockets, paths);
        let payload_types = from.payload_types | to.payload_types;
        if self.kind == Kind::Answer {
            self.open(to, payload_types, paths);
        }
        if self.kind == Kind::Answer || to.endpoint.is_some() {
            self.open(from, payload_types, paths);
        }
    }

    /// Tells the guards of a section where its party said it is.
    pub(super) fn signal(&self, from: &Media, plan: &SectionPlan, sockets: &Sockets, paths: &mut Paths) {
        let signal = self.signal;
        let reachable = |at: &SocketAddr| at.port() != 0 && !at.ip().is_unspecified();
        let public =
            from.selected.and_then(|pair| sockets.advertised(pair)).is_some_and(|at| !is_private(at.ip()));
        let common = Signalled {
            address: None,
            sip_source: signal.received_from,
            networks: self.networks(from, sockets),
            learn: signal.learning != Some(Learning::Off),
            streams: false,
            handover: signal.media_handover,
            asymmetric: signal.asymmetric,
        };
        let rtp = Some(plan.endpoint).filter(reachable);
        let rtcp = plan.rtcp_endpoint.filter(reachable).filter(|_| rtp.is_some());
        if public && self.strict && plan.transport == Transport::Rtp {
            sim::seen(Way::StrictKept);
        }
        let streams = public && !self.strict && plan.transport == Transport::Rtp;
        paths[from.rtp].latch.signal(self.now, Signalled { address: rtp, streams, ..common.clone() });
        paths[from.rtcp].latch.signal(self.now, Signalled { address: rtcp, ..common });
    }

    /// The party refuses a section: nothing goes there, RTCP neither.
    pub(super) fn nowhere(&self, media: &Media, paths: &mut Paths) {
        for half in [media.rtp, media.rtcp] {
            paths[half].latch.signal(self.now, Signalled { learn: true, ..Signalled::default() });
        }
    }

    /// The party of a section knows where to send.
    pub(super) fn open(&self, media: &Media, payload_types: u128, paths: &mut Paths) {
        paths[media.rtp].latch.open(self.now, payload_types, self.early);
    }

    /// The networks that the client lists for this party, else those of its interface.
    fn networks(&self, from: &Media, sockets: &Sockets) -> Option<Arc<[Network]>> {
        if !self.signal.media_networks.is_empty() {
            sim::seen(Way::NetworksOfCall);
            return Some(self.signal.media_networks.as_slice().into());
        }
        let name = from.selected.and_then(|pair| sockets.interface(pair))?;
        self.listed.of(name).inspect(|_| sim::seen(Way::NetworksOfInterface))
    }
}

/// What is known of a host by one section of a party is known by all of them.
pub(super) fn share(leg: &Leg, paths: &mut Paths) {
    let halves = || leg.medias.iter().flat_map(|media| [media.rtp, media.rtcp]);
    for proof in halves() {
        let Some((host, source)) = paths[proof].latch.proof() else { continue };
        for half in halves() {
            paths[half].latch.prove(host, source);
        }
    }
}

impl Shard {
    /// A packet was refused for where it came from.
    pub(super) fn on_stranger(&mut self, socket: SocketId, remote: SocketAddr, packets: u64) {
        let Some(key) = self.sockets.call(socket) else { return };
        self.note(key, remote, packets);
    }

    /// A packet taught something about where its party is.
    pub(super) fn on_lesson(&mut self, socket: SocketId, remote: SocketAddr, lesson: Lesson) {
        let Some(key) = self.sockets.call(socket) else { return };
        let Lesson { path, taught } = lesson;
        let (outcome, window) = match taught {
            Taught::Stranger => return self.note(key, remote, 1),
            Taught::Moved => {
                sim::seen(Way::LearnedMoved);
                (LearningOutcome::Moved, None)
            }
            Taught::Stream(window) => {
                sim::seen(Way::LearnedStream);
                self.counters.streams_taken += 1;
                (LearningOutcome::Stream, Some(window))
            }
            Taught::Nobody(window) => {
                sim::seen(Way::LearnedNobody);
                self.counters.streams_missed += 1;
                (LearningOutcome::Nobody, Some(window))
            }
        };
        let taken = (outcome != LearningOutcome::Nobody).then_some(remote);
        if let Some(window) = window {
            self.note_losers(key, &window, taken);
        }
        self.tell_lesson(key, path, outcome, taken);
    }

    /// Tells the call where a party is, or is no longer; what one section of it knows of a host, all do.
    pub(super) fn tell_lesson(
        &mut self,
        key: CallKey,
        path: PathId,
        outcome: LearningOutcome,
        address: Option<SocketAddr>,
    ) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let owner = call.parties().find_map(|(_, leg)| {
            let media = leg.medias.iter().position(|media| [media.rtp, media.rtcp].contains(&path))?;
            Some((leg, media))
        });
        let Some((leg, media)) = owner else { return };
        share(leg, &mut self.paths);
        let kind = EventKind::Learning {
            tag: leg.tag.clone().unwrap_or_default(),
            media: u32::try_from(media + 1).unwrap_or(u32::MAX),
            rtcp: leg.medias[media].rtcp == path,
            outcome,
            address,
        };
        if call.lessons_told < LESSONS_MAX {
            call.lessons_told += 1;
            self.outputs.push_back(Output::Event(Box::new(event::of(call, self.wall_ms, kind))));
        }
    }

    /// The last word on who sent to a call without leave; nothing if nobody did.
    pub(super) fn tell_offenders(&mut self, key: CallKey) {
        let Some(call) = self.calls.get(key) else { return };
        // Not by index: after a fault a half may be gone.
        let windows: Vec<Box<Window>> = call
            .parties()
            .flat_map(|(_, leg)| &leg.medias)
            .flat_map(|media| [media.rtp, media.rtcp])
            .filter_map(|half| self.paths.get_mut(half)?.latch.close())
            .collect();
        for window in windows {
            self.note_losers(key, &window, None);
        }
        let Some(call) = self.calls.get(key) else { return };
        if call.offenders.is_some() {
            self.outputs.push_back(Output::Event(Box::new(event::strangers(call, self.wall_ms, true))));
        }
    }

    /// Whoever was considered for a party and not taken is a stranger after all.
    fn note_losers(&mut self, key: CallKey, window: &Window, taken: Option<SocketAddr>) {
        for loser in window.candidates().filter(|one| Some(one.address) != taken) {
            self.note(key, loser.address, loser.packets);
        }
    }

    fn note(&mut self, key: CallKey, remote: SocketAddr, packets: u64) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let first = call.offenders.is_none();
        call.offenders.get_or_insert_default().note(self.now, self.wall_ms, remote, packets);
        if first {
            self.counters.calls_intruded += 1;
            self.outputs.push_back(Output::Event(Box::new(event::strangers(call, self.wall_ms, false))));
        }
    }
}
