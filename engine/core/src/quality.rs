//! What was observed of streams, as reports and events tell it.

use std::{borrow::Cow, time::Duration};

use ng::{MediaQuality, MosAverage, MosSample, SsrcQuality, SsrcReport};
use rtp::{
    quality::{BUFFER_MS, Mos, Sample},
    units::Instant,
};

use crate::{
    media::Media,
    path::{PathId, Paths},
    stream::{Delay, Stream},
};

/// The quality of what came from the party whose RTP half is `id`; `None` before its first packet.
pub(crate) fn of_media(paths: &Paths, id: PathId, now: Instant) -> Option<MediaQuality> {
    let observer = paths.get(id)?.observer.as_deref()?;
    let current = observer.current()?;
    let delay = paths.delay(id);
    let (losses, stats) = (observer.losses(), || observer.streams().map(|stream| &stream.stats));
    let never = stats().map(rtp::stats::StreamStats::lost).sum::<u64>();
    let late = stats().map(rtp::stats::StreamStats::late).sum::<u64>();
    let scores = observer.streams().map(|stream| stream.history(now, delay).lowest().mos_hundredths);
    Some(MediaQuality {
        ssrc: current.ssrc(),
        codec: current.codec().unwrap_or(Cow::Borrowed("")),
        expected: losses.expected,
        lost: never,
        late,
        duplicates: stats().map(rtp::stats::StreamStats::duplicates).sum(),
        reordered: stats().map(rtp::stats::StreamStats::reordered).sum(),
        burst_ratio_x100: hundredths(losses.burst_ratio()),
        jitter_us: micros(current.stats.jitter()),
        jitter_max_us: stats().map(|stats| micros(stats.jitter_max())).max().unwrap_or(0),
        mos_x100: current.score(losses, delay).map(score),
        mos_lowest_x100: scores.filter(|score| *score > 0).min().map(u32::from),
        round_trip_us: delay.round_trip.map(micros),
        delay_ms: delay.ms,
        delay_from: delay.from,
        buffer_ms: BUFFER_MS,
    })
}

/// The codec that came last from the party whose RTP half is `id`.
pub(crate) fn codec(paths: &Paths, id: PathId) -> Option<String> {
    paths.get(id)?.observer.as_deref()?.current()?.codec().map(Cow::into_owned)
}

/// Every source of these media, as proxies read quality; of a source that several have the first.
pub(crate) fn ssrcs<'a>(
    medias: impl Iterator<Item = &'a Media>,
    paths: &Paths,
    now: Instant,
) -> Vec<SsrcReport> {
    let mut reports: Vec<SsrcReport> = Vec::new();
    for media in medias {
        let Some(observer) = paths.get(media.rtp).and_then(|half| half.observer.as_deref()) else { continue };
        let delay = paths.delay(media.rtp);
        for stream in observer.streams() {
            if reports.iter().all(|report| report.ssrc != stream.ssrc()) {
                reports.push(ssrc(stream, delay, now));
            }
        }
    }
    reports
}

fn ssrc(stream: &Stream, delay: Delay, now: Instant) -> SsrcReport {
    let history = stream.history(now, delay);
    let at = |sample: &Sample| mos_sample(sample, stream.wall_s(sample.interval));
    let quality = history.average().map(|average| SsrcQuality {
        average: MosAverage { sample: mos_sample(&average, 0), samples: history.samples().into() },
        lowest: at(history.lowest()),
        highest: at(history.highest()),
        interval_s: history.course_interval_s(),
        progression: history.course().iter().map(at).collect(),
    });
    SsrcReport {
        ssrc: stream.ssrc(),
        received: Some((stream.stats.packets(), stream.stats.bytes())),
        lost: stream.stats.lost(),
        quality: quality.map(Box::new),
    }
}

fn mos_sample(sample: &Sample, reported_at_s: u64) -> MosSample {
    MosSample {
        // Rounded to what a proxy is told; 45 at most.
        mos_x10: u8::try_from((sample.mos_hundredths + 5) / 10).unwrap_or(u8::MAX),
        round_trip_us: u32::from(sample.round_trip) * 100,
        round_trip_leg_us: u32::from(sample.round_trip_leg) * 100,
        jitter_ms: sample.jitter_ms.into(),
        loss_percent: sample.loss_percent,
        reported_at_s,
    }
}

fn score(mos: Mos) -> u32 {
    mos.hundredths().into()
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A ratio from 1 to 8.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a burst ratio is from 1 to 8")]
fn hundredths(ratio: f64) -> u32 {
    (ratio * 100.0).round() as u32
}
