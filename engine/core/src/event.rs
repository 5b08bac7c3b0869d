//! What clients are told unasked.

use ng::{Ended, Event, EventKind, LegReport, MediaReport, MediaTrouble};
use rtp::units::Instant;

use crate::{call::Call, offender::Offenders, path::Paths, quality};

/// The counters of a live call.
pub(crate) fn call_report(call: &Call, paths: &Paths, now: Instant, wall_ms: u64) -> Event {
    of(call, wall_ms, EventKind::CallReport { legs: legs(call, paths, now) })
}

/// The call is over.
pub(crate) fn ended(call: &Call, paths: &Paths, now: Instant, wall_ms: u64, ended: Ended) -> Event {
    of(call, wall_ms, EventKind::Ended { ended, legs: legs(call, paths, now) })
}

/// Something is wrong with the media of a call, or no longer.
pub(crate) fn media_trouble(call: &Call, wall_ms: u64, trouble: MediaTrouble) -> Event {
    of(call, wall_ms, EventKind::MediaTrouble(trouble))
}

/// Who sends to the call without leave: told at the first packet, and at the end.
pub(crate) fn strangers(call: &Call, wall_ms: u64, last: bool) -> Event {
    let offenders = call.offenders.as_deref();
    let kind = EventKind::Strangers {
        packets: offenders.map_or(0, Offenders::packets),
        offenders: offenders.map(Offenders::list).unwrap_or_default(),
        last,
    };
    of(call, wall_ms, kind)
}

/// Something that happened to the call.
pub(crate) fn of(call: &Call, wall_ms: u64, kind: EventKind) -> Event {
    Event { sequence: 0, call_id: call.name.clone(), owner: call.owner.clone(), wall_ms, kind }
}

fn legs(call: &Call, paths: &Paths, now: Instant) -> Vec<LegReport> {
    let media = |media: &crate::media::Media| {
        let path = &paths[media.rtp];
        MediaReport {
            received: path.received,
            sent: path.sent,
            last_packet_ms: path
                .last_packet
                .map(|at| u64::try_from(now.saturating_since(at).as_millis()).unwrap_or(u64::MAX)),
            crypto_suite: media.suite().map(str::to_owned),
            quality: quality::of_media(paths, media.rtp, now),
        }
    };
    call.parties()
        .map(|(_, leg)| LegReport {
            tag: leg.tag.clone().unwrap_or_default(),
            medias: leg.medias.iter().map(media).collect(),
        })
        .collect()
}
