//! RTCP of our own (`generate-RTCP`, RFC 3550 §6): each party gets reports in the name of whom it hears and about
//! what it sends, and what it reports itself goes no further than us.
//!
//! What is more than reports and names, such as feedback and goodbyes, passes as ever.

use std::time::Duration;

use rand::RngExt;
use rtp::{
    rtcp::CompoundWriter,
    units::{Instant, Ssrc, WallTime},
};

use super::Shard;
use crate::{
    call::CallKey,
    media::Transport,
    path::{PathId, Paths, Reporter},
    sim::{self, Way},
    timer::Timer,
};

/// The mean time between the reports of a call (RFC 3550 §6.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// Whoever sent nothing for so long is no sender any more (RFC 3550 §6.3.8: two intervals).
const SENDER_AGE_MAX: Duration = Duration::from_secs(10);

/// Sources of which one party is told at once.
const SOURCES_MAX: usize = 4;

/// What all of that takes.
const REPORT_BYTES_MAX: usize = 512;

impl Shard {
    /// Lets the parties of a call that are there now be reported to, if a client asked for it.
    pub(super) fn generate_rtcp(&mut self, key: CallKey) {
        let Self { calls, paths, timers, chance, now, .. } = self;
        let Some(call) = calls.get_mut(key).filter(|call| call.generates_rtcp) else { return };
        for media in call.legs.iter().flatten().flat_map(|leg| &leg.medias) {
            if media.transport == Transport::Rtp {
                let reporter = &mut paths[media.rtp].reporter;
                reporter.get_or_insert_with(|| {
                    let name: u128 = chance.random();
                    let text = format!("{name:032x}");
                    let mut cname = [0; Reporter::CNAME_BYTES];
                    cname.copy_from_slice(&text.as_bytes()[..Reporter::CNAME_BYTES]);
                    Box::new(Reporter { ssrc: chance.random(), cname })
                });
            }
        }
        if call.deadlines[Timer::Rtcp as usize].is_none() {
            let next = *now + interval(chance.random_range(0..=1000));
            timers.set(&mut call.deadlines, key, Timer::Rtcp, Some(next));
        }
    }

    /// Reports to every party of a call.
    pub(super) fn on_rtcp_due(&mut self, key: CallKey) {
        let next = self.now + interval(self.chance.random_range(0..=1000));
        let Some(call) = self.calls.get_mut(key) else { return };
        self.timers.set(&mut call.deadlines, key, Timer::Rtcp, Some(next));
        let medias = call.legs.iter().flatten().flat_map(|leg| &leg.medias);
        let halves: Vec<[PathId; 2]> = medias
            .filter(|media| media.transport == Transport::Rtp && !media.refused)
            .map(|media| [media.rtp, media.rtcp])
            .collect();
        for [rtp, rtcp] in halves {
            let mut packet = [0; REPORT_BYTES_MAX];
            if let Some(written) = report(&mut self.paths, rtp, self.now, self.wall_ms, &mut packet) {
                let mut road = self.road();
                // Who has not said where it is gets none, which is no loss.
                let reached = road.reaches(rtcp);
                sim::seen(if reached { Way::RtcpReported } else { Way::RtcpUnreached });
                if reached {
                    let _counted = road.originate(rtcp, &packet[..written]);
                }
            }
        }
    }
}

/// Between half the mean and half as much again (RFC 3550 §6.3.1), by a chance of 0 to 1000.
fn interval(chance: u32) -> Duration {
    INTERVAL / 2 + INTERVAL * chance / 1000
}

/// Writes what the party at `rtp` is told; `None` if there is nobody who could tell it.
fn report(paths: &mut Paths, rtp: PathId, now: Instant, wall_ms: u64, out: &mut [u8]) -> Option<usize> {
    let own = *paths.get(rtp)?.reporter.as_deref()?;
    let ntp = WallTime::from_unix_millis(wall_ms).ntp();
    let block = paths.get_mut(rtp)?.observer.as_deref_mut().and_then(|observer| observer.report_block(now));
    let mut blocks = block.as_slice();
    let mut writer = CompoundWriter::new(out);
    let mut named = [None; SOURCES_MAX];
    let sources = paths.get(rtp)?.sources().iter().filter_map(|source| paths.get(*source));
    let senders = sources.filter_map(|half| {
        let fresh = half.last_packet.is_some_and(|at| now.saturating_since(at) < SENDER_AGE_MAX);
        let stream = half.observer.as_deref()?.current().filter(|_| fresh)?;
        Some((stream, half.reporter.as_deref()?))
    });
    for (name, (stream, reporter)) in named.iter_mut().zip(senders) {
        let ssrc = Ssrc(stream.ssrc());
        writer.sender_report(ssrc, ntp, stream.timestamp_at(now), stream.sent(), blocks)?;
        // Of what it sends the party is told once.
        blocks = &[];
        *name = Some((ssrc, reporter.cname));
    }
    if named[0].is_none() {
        writer.receiver_report(Ssrc(own.ssrc), blocks)?;
        named[0] = Some((Ssrc(own.ssrc), own.cname));
    }
    for (ssrc, cname) in named.iter().flatten() {
        writer.sdes_cname(*ssrc, cname)?;
    }
    Some(writer.written())
}
