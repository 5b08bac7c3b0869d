//! Handshakes for keys of SRTP (DTLS): when they begin, whose datagrams they hear, what comes of them.

use std::{collections::VecDeque, net::SocketAddr};

use ng::{EventKind, HandshakeOutcome};
use rand::RngExt;
use rtp::dtls::{DATAGRAM_BYTES_MAX, DatagramDrop, Event, FailReason, Fingerprint, Fingerprints, Provider};

use super::Shard;
use crate::{
    call::CallKey,
    counters::DropReason,
    event,
    handshake::{Handshake, With},
    io::{Output, SocketId},
    latch::Verdict,
    path::{PathId, PathKind},
    relay::{Lesson, Taught, destination},
    sim::{self, Way},
    timer::Timer,
};

/// Events about handshakes of one call; what comes after is counted only.
const TOLD_MAX: u8 = 32;

/// Which library failed with which certificate, so that the other one is tried next.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<(Fingerprint, Provider)>);

impl Failures {
    /// Certificates that are remembered.
    const MAX: usize = 64;

    fn of(&self, expected: &Fingerprints) -> Option<Provider> {
        expected.iter().find_map(|named| {
            self.0.iter().find(|(fingerprint, _)| fingerprint == named).map(|&(_, provider)| provider)
        })
    }

    fn note(&mut self, expected: &Fingerprints, provider: Provider) {
        let Some(named) = expected.iter().next() else { return };
        self.0.retain(|(fingerprint, _)| fingerprint != named);
        if self.0.len() >= Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back((*named, provider));
    }
}

impl Shard {
    /// Begins the handshakes of a call that are agreed on and not begun, or failed before.
    pub(super) fn shake_hands(&mut self, key: CallKey) {
        let Some(call) = self.calls.get(key) else { return };
        let mut begun = Vec::new();
        for media in call.parties().flat_map(|(_, leg)| &leg.medias) {
            let Some(plan) = media.dtls.as_ref().and_then(|dtls| dtls.plan(&media.protocol)) else {
                continue;
            };
            let apart = Some(media.rtcp).filter(|_| !media.mux.active);
            for half in std::iter::once(media.rtp).chain(apart) {
                let known = self.paths[half].handshake.as_deref();
                if known.is_some_and(|known| known.number == plan.number && !known.has_failed()) {
                    continue;
                }
                sim::seen(Way::HandshakeBegun);
                let failed = self.failures.of(plan.expected);
                let with = With {
                    providers: plan.providers,
                    expected: plan.expected,
                    role: plan.role,
                    provider: Provider::choose(None, failed, plan.ice_and_feedback),
                };
                let handshake = Handshake::open(plan.number, &with, self.chance.random(), self.now);
                let path = &mut self.paths[half];
                path.handshake = Some(Box::new(handshake));
                path.secure.get_or_insert_default().forget();
                begun.push(half);
            }
        }
        for half in begun {
            self.counters.handshakes_begun += 1;
            self.go_on(key, half, None);
        }
        self.set_handshake_deadline(key);
    }

    /// A datagram of DTLS arrived for a half.
    ///
    /// # Errors
    /// Why it was not for us. What was for us is dropped too, as it goes no further.
    pub(super) fn on_dtls(
        &mut self,
        path: PathId,
        socket: SocketId,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        let id = self.paths.sharing(self.now, path, remote);
        let half = self.paths.get_mut(id).ok_or(DropReason::NoSocket)?;
        let known = half.latch.expects(self.now, half.kind, remote);
        let handshake = half.handshake.as_deref_mut();
        // Where nobody knows where the party is, its certificate says who it is.
        let may_prove = handshake.as_ref().is_some_and(|handshake| handshake.is_waiting());
        if !(known || half.latch.is_open() && may_prove) {
            half.received.errors += 1;
            // Whoever asked and has not answered yet says it again.
            let asked = half.latch.is_checked(remote);
            return Err(if asked { DropReason::Undecided } else { DropReason::UnknownSource });
        }
        let Some(handshake) = handshake else {
            half.received.errors += 1;
            return Err(DropReason::NotRtp);
        };
        let result = handshake.hear(self.now, remote, datagram);
        if let Some(key) = self.sockets.call(socket) {
            self.go_on(key, id, Some((socket, remote)));
            self.set_handshake_deadline(key);
        }
        Err(match result {
            Ok(()) => DropReason::Handshake,
            Err(DatagramDrop::Malformed | DatagramDrop::NotAHello) => DropReason::NotDtls,
            Err(DatagramDrop::HelloRefused(_) | DatagramDrop::Challenging) => DropReason::HelloRefused,
            Err(DatagramDrop::Noise | DatagramDrop::Over) => DropReason::HandshakeOver,
        })
    }

    pub(super) fn on_handshake_due(&mut self, key: CallKey) {
        let Some(call) = self.calls.get(key) else { return };
        let halves: Vec<PathId> = call
            .parties()
            .flat_map(|(_, leg)| &leg.medias)
            .flat_map(|media| [media.rtp, media.rtcp])
            .filter(|half| self.paths.get(*half).is_some_and(|half| half.handshake.is_some()))
            .collect();
        for half in halves {
            if let Some(handshake) = self.paths.get_mut(half).and_then(|half| half.handshake.as_deref_mut()) {
                handshake.tick(self.now);
                self.go_on(key, half, None);
            }
        }
        self.set_handshake_deadline(key);
    }

    fn set_handshake_deadline(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let halves =
            call.parties().flat_map(|(_, leg)| &leg.medias).flat_map(|media| [media.rtp, media.rtcp]);
        let due = halves.filter_map(|half| self.paths.get(half)?.handshake.as_ref()?.next_deadline()).min();
        self.timers.set(&mut call.deadlines, key, Timer::Handshake, due);
    }

    /// Sends what a handshake wants sent, and does what follows from what happened. `from` is where the datagram came from
    /// that made it happen.
    fn go_on(&mut self, key: CallKey, half: PathId, from: Option<(SocketId, SocketAddr)>) {
        loop {
            self.send_flight(half);
            let handshake = self.paths.get_mut(half).and_then(|half| half.handshake.as_deref_mut());
            match handshake.and_then(|handshake| handshake.poll_event()) {
                None => return,
                Some(Event::Connected(connected)) => {
                    sim::seen(Way::HandshakeDone);
                    self.counters.handshakes_done += 1;
                    let suite = connected.keys.suite;
                    let path = &mut self.paths[half];
                    path.secure.get_or_insert_default().key_anew(connected.keys);
                    if let Some((socket, remote)) = from {
                        self.prove(half, socket, remote);
                    }
                    if let Some(call) = self.calls.get_mut(key) {
                        let medias = call.legs.iter_mut().flatten().flat_map(|leg| &mut leg.medias);
                        let media = medias.into_iter().find(|media| media.rtp == half);
                        if let Some(dtls) = media.and_then(|media| media.dtls.as_mut()) {
                            dtls.settle(suite);
                        }
                    }
                    self.tell(key, half, HandshakeOutcome::Connected, suite.name());
                }
                Some(Event::Failed(reason)) => {
                    sim::seen(Way::HandshakeFailed);
                    self.counters.handshakes_failed += 1;
                    self.tell(key, half, HandshakeOutcome::Failed, &reason.to_string());
                    self.retry(half, reason);
                }
                Some(Event::Closed) => {
                    self.tell(key, half, HandshakeOutcome::Closed, "close_notify, or a fatal alert")
                }
            }
        }
    }

    /// Whoever has the named certificate is the party, and is where it sends from.
    fn prove(&mut self, half: PathId, socket: SocketId, remote: SocketAddr) {
        let path = &mut self.paths[half];
        let before = path.latch.confirmed();
        if let Verdict::Learned(_) = path.latch.admit_proven(self.now, path.kind, remote) {
            self.counters.addresses_learned += 1;
            if before.is_some() {
                self.on_lesson(socket, remote, Lesson { path: half, taught: Taught::Moved });
            }
        }
    }

    fn retry(&mut self, half: PathId, reason: FailReason) {
        let other_may_do = reason.other_provider_may_do();
        let Some(handshake) = self.paths[half].handshake.as_deref_mut() else { return };
        let Some((expected, tried)) = handshake.tried() else { return };
        if other_may_do {
            self.failures.note(expected, tried);
        }
        let provider = self.failures.of(expected).map_or(tried, Provider::other);
        handshake.retry(provider, other_may_do, self.chance.random(), self.now);
    }

    /// Where the party's packets go has become known: what waited for that is sent.
    pub(super) fn send_held(&mut self, half: PathId) {
        if self.paths.get(half).is_some_and(|half| half.handshake.is_some()) {
            self.send_flight(half);
        }
    }

    /// Sends what a handshake wants sent. What would go nowhere waits in its association, which keeps a bounded number.
    fn send_flight(&mut self, half: PathId) {
        let mut room = [0; DATAGRAM_BYTES_MAX];
        loop {
            let there = destination(&self.paths, half).ok().map(|(local, remote)| (local, *remote));
            let Some(path) = self.paths.get_mut(half) else { return };
            let Some(handshake) = path.handshake.as_deref_mut() else { return };
            let asked = path.local.zip(handshake.peer());
            let Some((socket, remote)) = asked.or(there) else { return };
            let Some(length) = handshake.poll_transmit(&mut room) else { return };
            let Some(made) = self.made.put(&room[..length]) else {
                self.counters.copies_dropped += 1;
                continue;
            };
            self.counters.copies_sent += 1;
            self.counters.copies_bytes += made.len() as u64;
            self.outputs.push_back(Output::TransmitCopy { socket, remote, made });
        }
    }

    fn tell(&mut self, key: CallKey, half: PathId, outcome: HandshakeOutcome, detail: &str) {
        let Some(call) = self.calls.get_mut(key) else { return };
        if call.handshakes_told >= TOLD_MAX {
            return;
        }
        let place = call.parties().find_map(|(_, leg)| {
            let media = leg.medias.iter().position(|media| [media.rtp, media.rtcp].contains(&half))?;
            Some((leg.tag.clone().unwrap_or_default(), media))
        });
        let Some((tag, media)) = place else { return };
        let kind = EventKind::Handshake {
            tag,
            media: u32::try_from(media + 1).unwrap_or(u32::MAX),
            rtcp: self.paths[half].kind == PathKind::Rtcp,
            outcome,
            detail: detail.to_owned(),
        };
        call.handshakes_told += 1;
        self.outputs.push_back(Output::Event(Box::new(event::of(call, self.wall_ms, kind))));
    }
}
