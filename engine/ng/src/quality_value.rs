//! Quality per synchronisation source and per party, troubles and offenders, to and from the tree of
//! a report.
//!
//! Names, order and types of the first are those from which Kamailio's `mos_*` variables and
//! OpenSIPS' statistics read; the others are ours.

use std::borrow::Cow;

use crate::{
    quality::{DelayFrom, MediaQuality, MediaTrouble, Trouble},
    report::{MosAverage, MosSample, Offender, SsrcQuality, SsrcReport},
    value::{Fields, Value},
};

pub(crate) fn ssrcs(reports: &[SsrcReport]) -> Value<'_> {
    let mut fields = Fields::default();
    for report in reports {
        fields.put_key(Cow::Owned(report.ssrc.to_string()), ssrc(report));
    }
    fields.done()
}

pub(crate) fn read_ssrcs(value: Option<&Value<'_>>) -> Option<Vec<SsrcReport>> {
    let entries = value.and_then(Value::entries).unwrap_or_default();
    entries
        .iter()
        .map(|(key, value)| read_ssrc(std::str::from_utf8(key).ok()?.parse().ok()?, value))
        .collect()
}

fn ssrc(report: &SsrcReport) -> Value<'_> {
    let mut fields = Fields::default();
    if let Some((packets, bytes)) = report.received {
        fields.put_number("bytes", bytes).put_number("packets", packets);
    }
    let Some(quality) = &report.quality else { return fields.done() };
    fields
        .put_number("cumulative loss", report.lost)
        .put("average MOS", sample(&quality.average.sample, "samples", quality.average.samples))
        .put("lowest MOS", reported(&quality.lowest))
        .put("highest MOS", reported(&quality.highest));
    let mut progression = Fields::default();
    progression
        .put_number("interval", quality.interval_s)
        .put("entries", Value::List(quality.progression.iter().map(reported).collect()));
    fields.put("MOS progression", progression.done());
    fields.done()
}

fn read_ssrc(ssrc: u32, value: &Value<'_>) -> Option<SsrcReport> {
    let number = |key| value.get(key).and_then(Value::as_unsigned);
    let quality = match value.get("average MOS") {
        None => None,
        Some(average) => {
            let progression = value.get("MOS progression");
            let entries = progression.and_then(|progression| progression.get("entries")?.items());
            let interval = progression.and_then(|progression| progression.get("interval")?.as_unsigned());
            Some(Box::new(SsrcQuality {
                average: MosAverage {
                    sample: MosSample { reported_at_s: 0, ..read_sample(average)? },
                    samples: average.get("samples").and_then(Value::as_unsigned).unwrap_or(0),
                },
                lowest: read_sample(value.get("lowest MOS")?)?,
                highest: read_sample(value.get("highest MOS")?)?,
                interval_s: interval.unwrap_or(0).try_into().ok()?,
                progression: entries.unwrap_or_default().iter().map(read_sample).collect::<Option<_>>()?,
            }))
        }
    };
    Some(SsrcReport {
        ssrc,
        received: number("packets").zip(number("bytes")),
        lost: number("cumulative loss").unwrap_or(0),
        quality,
    })
}

fn reported(of: &MosSample) -> Value<'static> {
    sample(of, "reported at", of.reported_at_s)
}

fn sample(of: &MosSample, last: &'static str, number: u64) -> Value<'static> {
    let mut fields = Fields::default();
    fields
        .put_number("MOS", of.mos_x10)
        .put_number("round-trip time", of.round_trip_us)
        .put_number("round-trip time leg", of.round_trip_leg_us)
        .put_number("jitter", of.jitter_ms)
        .put_number("packet loss", of.loss_percent)
        .put_number(last, number);
    fields.done()
}

fn read_sample(value: &Value<'_>) -> Option<MosSample> {
    let number = |key| value.get(key).and_then(Value::as_unsigned);
    Some(MosSample {
        mos_x10: number("MOS")?.try_into().ok()?,
        round_trip_us: number("round-trip time").unwrap_or(0).try_into().ok()?,
        round_trip_leg_us: number("round-trip time leg").unwrap_or(0).try_into().ok()?,
        jitter_ms: number("jitter").unwrap_or(0).try_into().ok()?,
        loss_percent: number("packet loss").unwrap_or(0).try_into().ok()?,
        reported_at_s: number("reported at").unwrap_or(0),
    })
}

pub(crate) fn media(of: &MediaQuality) -> Value<'_> {
    let mut fields = Fields::default();
    fields
        .put_number("ssrc", of.ssrc)
        .put_text("codec", &of.codec)
        .put_number("expected", of.expected)
        .put_number("lost", of.lost)
        .put_number("late", of.late)
        .put_number("duplicates", of.duplicates)
        .put_number("reordered", of.reordered)
        .put_number("burst-ratio-x100", of.burst_ratio_x100)
        .put_number("jitter-us", of.jitter_us)
        .put_number("jitter-max-us", of.jitter_max_us);
    for (key, score) in [("mos-x100", of.mos_x100), ("mos-lowest-x100", of.mos_lowest_x100)] {
        if let Some(score) = score {
            fields.put_number(key, score);
        }
    }
    if let Some(round_trip) = of.round_trip_us {
        fields.put_number("round-trip-us", round_trip);
    }
    fields
        .put_number("delay-ms", of.delay_ms)
        .put_text("delay-from", of.delay_from.as_str())
        .put_number("buffer-ms", of.buffer_ms);
    fields.done()
}

pub(crate) fn read_media(value: &Value<'_>) -> Option<MediaQuality> {
    let number = |key| value.get(key).and_then(Value::as_unsigned);
    let short = |key| number(key).and_then(|number| u32::try_from(number).ok());
    Some(MediaQuality {
        ssrc: short("ssrc")?,
        codec: Cow::Owned(value.get("codec").and_then(Value::as_str).unwrap_or_default().to_owned()),
        expected: number("expected").unwrap_or(0),
        lost: number("lost").unwrap_or(0),
        late: number("late").unwrap_or(0),
        duplicates: number("duplicates").unwrap_or(0),
        reordered: number("reordered").unwrap_or(0),
        burst_ratio_x100: short("burst-ratio-x100").unwrap_or(0),
        jitter_us: number("jitter-us").unwrap_or(0),
        jitter_max_us: number("jitter-max-us").unwrap_or(0),
        mos_x100: short("mos-x100"),
        mos_lowest_x100: short("mos-lowest-x100"),
        round_trip_us: number("round-trip-us"),
        delay_ms: short("delay-ms").unwrap_or(0),
        delay_from: match value.get("delay-from").and_then(Value::as_str) {
            Some("rtcp") => DelayFrom::Rtcp,
            _ => DelayFrom::Assumed,
        },
        buffer_ms: short("buffer-ms").unwrap_or(0),
    })
}

pub(crate) fn trouble(of: &MediaTrouble) -> Value<'_> {
    let mut fields = Fields::default();
    fields
        .put_text("cause", of.trouble.as_str())
        .put_text("state", if of.recovered { "recovered" } else { "begun" })
        .put_text("tag", &of.tag)
        .put_number("media", of.media);
    if let Some(ssrc) = of.ssrc {
        fields.put_number("ssrc", ssrc);
    }
    fields.put_number("since-ms", of.since_ms);
    fields.done()
}

pub(crate) fn read_trouble(value: &Value<'_>) -> Option<MediaTrouble> {
    let number = |key| value.get(key).and_then(Value::as_unsigned);
    let cause = value.get("cause")?.as_str()?;
    Some(MediaTrouble {
        trouble: Trouble::ALL.into_iter().find(|trouble| trouble.as_str() == cause)?,
        recovered: value.get("state")?.as_str()? == "recovered",
        tag: value.get("tag")?.as_str()?.to_owned(),
        media: number("media")?.try_into().ok()?,
        ssrc: number("ssrc").and_then(|ssrc| ssrc.try_into().ok()),
        since_ms: number("since-ms").unwrap_or(0),
    })
}

pub(crate) fn offender(of: &Offender) -> Value<'_> {
    let mut fields = Fields::default();
    fields
        .put("address", Value::owned(of.address.to_string()))
        .put_number("packets", of.packets)
        .put_number("first-ms", of.first_ms)
        .put_number("last-ms", of.last_ms);
    fields.done()
}

pub(crate) fn read_offender(value: &Value<'_>) -> Option<Offender> {
    let number = |key| value.get(key).and_then(Value::as_unsigned).unwrap_or(0);
    Some(Offender {
        address: value.get("address")?.as_str()?.parse().ok()?,
        packets: number("packets"),
        first_ms: number("first-ms"),
        last_ms: number("last-ms"),
    })
}
