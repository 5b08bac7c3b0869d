//! Reports and events between their types and the tree of a document.
//!
//! Names, order and types of the report's keys are those of rtpengine 10.5; `owner` and `ended`
//! follow behind for calls that have them.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use crate::{
    event::{
        EndReason, Ended, Event, EventBatch, EventKind, HandshakeOutcome, LearningOutcome, LegReport,
        MediaReport, RelayEnded,
    },
    quality_value,
    refusal::Refusal,
    report::{
        CallReport, MediaStatus, StreamCounters, StreamStatus, Subscription, SubscriptionKind, TagStatus,
        Totals,
    },
    value::{Fields, Value},
};

const MICROSECONDS: u64 = 1_000_000;

/// Writes the keys of a report in front of `result`.
pub(crate) fn put_report<'a>(report: &'a CallReport, fields: &mut Fields<'a>) {
    fields
        .put_number("created", report.created_us / MICROSECONDS)
        .put_number("created_us", report.created_us % MICROSECONDS)
        .put_number("last signal", report.last_signal_s)
        .put("SSRC", quality_value::ssrcs(&report.ssrcs));
    let mut tags = Fields::default();
    let mut untagged = 0;
    for tag in &report.tags {
        let key = if tag.tag.is_empty() {
            untagged += 1;
            Cow::Owned(format!("<untagged {untagged}>"))
        } else {
            Cow::Borrowed(tag.tag.as_str())
        };
        tags.put_key(key, tag_value(tag));
    }
    fields.put("tags", tags.done());
    let mut totals = Fields::default();
    totals.put("RTP", counters_value(report.totals.rtp)).put("RTCP", counters_value(report.totals.rtcp));
    fields.put("totals", totals.done()).put_some("owner", report.owner.as_deref());
    if report.recording {
        fields.put_number("recording", 1);
    }
    if !report.offenders.is_empty() {
        fields.put("offenders", list(&report.offenders, quality_value::offender));
    }
    if let Some(ended) = &report.ended {
        let mut inner = Fields::default();
        put_ended(ended, &mut inner);
        fields.put("ended", inner.done());
    }
}

/// Reads what [`put_report`] wrote, or what rtpengine writes.
pub(crate) fn report(value: &Value<'_>) -> Option<CallReport> {
    let seconds = number(value, "created")?;
    let totals = value.get("totals");
    let tags = value.get("tags")?.entries()?.iter().map(|(_, tag)| read_tag(tag));
    Some(CallReport {
        created_us: seconds
            .saturating_mul(MICROSECONDS)
            .saturating_add(number(value, "created_us").unwrap_or(0)),
        last_signal_s: number(value, "last signal").unwrap_or(0),
        ssrcs: quality_value::read_ssrcs(value.get("SSRC"))?,
        tags: tags.collect::<Option<_>>()?,
        totals: Totals {
            rtp: read_counters(totals.and_then(|totals| totals.get("RTP"))),
            rtcp: read_counters(totals.and_then(|totals| totals.get("RTCP"))),
        },
        owner: text(value, "owner"),
        recording: number(value, "recording") == Some(1),
        offenders: read_list(
            value.get("offenders").or(Some(&Value::List(Vec::new()))),
            quality_value::read_offender,
        )?,
        ended: value.get("ended").and_then(read_ended),
    })
}

fn tag_value(tag: &TagStatus) -> Value<'_> {
    let mut fields = Fields::default();
    fields.put_text("tag", &tag.tag).put_some("via-branch", tag.via_branch.as_deref());
    if !tag.aliases.is_empty() {
        fields.put("tag-aliases", list(&tag.aliases, Value::text));
    }
    fields
        .put_some("label", tag.label.as_deref())
        .put_number("created", tag.created_s)
        .put_some("metadata", tag.metadata.as_deref())
        .put("subscriptions", list(&tag.subscriptions, subscription_value))
        .put("subscribers", list(&tag.subscribers, subscription_value))
        .put("medias", list(&tag.medias, media_value));
    if !tag.flags.is_empty() {
        fields.put("flags", list(&tag.flags, |flag| Value::text(flag.as_ref())));
    }
    fields.done()
}

fn read_tag(value: &Value<'_>) -> Option<TagStatus> {
    Some(TagStatus {
        tag: text(value, "tag")?,
        via_branch: text(value, "via-branch"),
        aliases: read_list(value.get("tag-aliases"), |item| item.as_str().map(str::to_owned))?,
        label: text(value, "label"),
        created_s: number(value, "created").unwrap_or(0),
        subscriptions: read_list(value.get("subscriptions"), read_subscription)?,
        subscribers: read_list(value.get("subscribers"), read_subscription)?,
        medias: read_list(value.get("medias"), read_media)?,
        metadata: text(value, "metadata"),
        flags: read_flags(value),
    })
}

fn subscription_value(subscription: &Subscription) -> Value<'_> {
    let mut fields = Fields::default();
    fields.put_text("tag", &subscription.tag).put_text("type", subscription.kind.as_str());
    fields.done()
}

fn read_subscription(value: &Value<'_>) -> Option<Subscription> {
    let kind = match text(value, "type")?.as_str() {
        "offer/answer" => SubscriptionKind::OfferAnswer,
        _ => SubscriptionKind::PubSub,
    };
    Some(Subscription { tag: text(value, "tag")?, kind })
}

fn media_value(media: &MediaStatus) -> Value<'_> {
    let mut fields = Fields::default();
    fields
        .put_number("index", media.index)
        .put_text("type", &media.kind)
        .put_text("protocol", &media.protocol)
        .put_some("codec", media.codec.as_deref())
        .put("streams", list(&media.streams, stream_value))
        .put("flags", list(&media.flags, |flag| Value::text(flag.as_ref())));
    for (key, ssrcs) in [("ingress SSRCs", &media.ingress_ssrcs), ("egress SSRCs", &media.egress_ssrcs)] {
        if !ssrcs.is_empty() {
            fields.put(key, list(ssrcs, |ssrc| Value::integer(*ssrc)));
        }
    }
    if let Some(quality) = &media.quality {
        fields.put("quality", quality_value::media(quality));
    }
    fields.done()
}

fn read_media(value: &Value<'_>) -> Option<MediaStatus> {
    Some(MediaStatus {
        index: number(value, "index")?.try_into().ok()?,
        kind: text(value, "type").unwrap_or_default(),
        protocol: text(value, "protocol").unwrap_or_default(),
        codec: text(value, "codec"),
        streams: read_list(value.get("streams"), read_stream)?,
        flags: read_flags(value),
        ingress_ssrcs: read_ssrc_list(value, "ingress SSRCs"),
        egress_ssrcs: read_ssrc_list(value, "egress SSRCs"),
        quality: value.get("quality").and_then(quality_value::read_media),
    })
}

fn read_ssrc_list(value: &Value<'_>, key: &str) -> Vec<u32> {
    let items = value.get(key).and_then(Value::items).unwrap_or_default();
    items.iter().filter_map(|item| item.as_unsigned()?.try_into().ok()).collect()
}

fn stream_value(stream: &StreamStatus) -> Value<'_> {
    let mut fields = Fields::default();
    if let Some(local) = stream.local {
        fields
            .put_number("local port", local.port())
            .put("local address", Value::owned(local.ip().to_string()))
            .put_text("family", family(&local));
    }
    fields
        .put("endpoint", endpoint_value(stream.endpoint))
        .put("advertised endpoint", endpoint_value(stream.advertised_endpoint))
        .put_some("crypto suite", stream.crypto_suite.as_deref())
        .put_number("last packet", stream.last_packet_s)
        .put("flags", list(&stream.flags, |flag| Value::text(flag.as_ref())));
    if let Some(ssrc) = stream.ssrc {
        fields.put_number("SSRC", ssrc);
    }
    fields.put("stats", counters_value(stream.stats));
    if let Some(sent) = stream.stats_out {
        fields.put("stats_out", counters_value(sent));
    }
    fields.done()
}

fn read_stream(value: &Value<'_>) -> Option<StreamStatus> {
    let port = number(value, "local port").and_then(|port| u16::try_from(port).ok());
    let address = text(value, "local address").and_then(|address| address.parse().ok());
    Some(StreamStatus {
        local: address.zip(port).map(|(address, port): (IpAddr, u16)| SocketAddr::new(address, port)),
        endpoint: read_endpoint(value.get("endpoint")?),
        advertised_endpoint: value.get("advertised endpoint").and_then(read_endpoint),
        crypto_suite: text(value, "crypto suite"),
        last_packet_s: number(value, "last packet").unwrap_or(0),
        flags: read_flags(value),
        ssrc: number(value, "SSRC").and_then(|ssrc| ssrc.try_into().ok()),
        stats: read_counters(value.get("stats")),
        stats_out: value.get("stats_out").map(|sent| read_counters(Some(sent))),
    })
}

/// A side that is not known yet is an empty dictionary.
fn endpoint_value(endpoint: Option<SocketAddr>) -> Value<'static> {
    let mut fields = Fields::default();
    if let Some(endpoint) = endpoint {
        fields
            .put_text("family", family(&endpoint))
            .put("address", Value::owned(endpoint.ip().to_string()))
            .put_number("port", endpoint.port());
    }
    fields.done()
}

fn read_endpoint(value: &Value<'_>) -> Option<SocketAddr> {
    let address: IpAddr = value.get("address")?.as_str()?.parse().ok()?;
    Some(SocketAddr::new(address, number(value, "port")?.try_into().ok()?))
}

fn family(address: &SocketAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn counters_value(counters: StreamCounters) -> Value<'static> {
    let mut fields = Fields::default();
    fields
        .put_number("packets", counters.packets)
        .put_number("bytes", counters.bytes)
        .put_number("errors", counters.errors);
    fields.done()
}

fn read_counters(value: Option<&Value<'_>>) -> StreamCounters {
    let count = |key| value.and_then(|value| number(value, key)).unwrap_or(0);
    StreamCounters { packets: count("packets"), bytes: count("bytes"), errors: count("errors") }
}

/// Writes the keys of a batch in front of `result`.
pub(crate) fn put_events<'a>(batch: &'a EventBatch, fields: &mut Fields<'a>) {
    fields
        .put_text("instance", &batch.instance)
        .put_number("next", batch.next)
        .put_number("gap", u8::from(batch.gap))
        .put("events", list(&batch.events, event_value));
}

/// Reads what [`put_events`] wrote. An event of a kind that this version does not know is left
/// out.
pub(crate) fn events(value: &Value<'_>) -> Option<EventBatch> {
    Some(EventBatch {
        instance: text(value, "instance")?,
        next: number(value, "next")?,
        gap: number(value, "gap")? != 0,
        events: value.get("events")?.items()?.iter().filter_map(read_event).collect(),
    })
}

fn event_value(event: &Event) -> Value<'_> {
    let mut fields = Fields::default();
    fields
        .put_number("sequence", event.sequence)
        .put_text("call-id", &event.call_id)
        .put_some("owner", event.owner.as_deref())
        .put_number("wall-ms", event.wall_ms);
    match &event.kind {
        EventKind::CallReport { legs } => {
            fields.put_text("event", "call-report").put("legs", list(legs, leg_value));
        }
        EventKind::MediaTrouble(trouble) => {
            fields.put_text("event", "media-trouble").put("trouble", quality_value::trouble(trouble));
        }
        EventKind::Ended { ended, legs } => {
            let mut inner = Fields::default();
            put_ended(ended, &mut inner);
            fields.put_text("event", "ended").put("ended", inner.done()).put("legs", list(legs, leg_value));
        }
        EventKind::RecordingFailed => {
            fields.put_text("event", "recording-failed");
        }
        EventKind::RelayEnded(ended) => {
            fields
                .put_text("event", "relay-ended")
                .put_text("user", &ended.user)
                .put("client", Value::owned(ended.client.to_string()))
                .put("relayed", Value::owned(ended.relayed.to_string()))
                .put_number("lifetime-ms", ended.lifetime_ms)
                .put("to-peers", counters_value(ended.to_peers))
                .put("to-client", counters_value(ended.to_client))
                .put_text("reason", &ended.reason);
        }
        EventKind::Refused { reason, calls } => {
            fields
                .put_text("event", "refused")
                .put_text("reason", reason.as_str())
                .put_number("calls", *calls);
        }
        EventKind::Strangers { packets, offenders, last } => {
            fields
                .put_text("event", "strangers")
                .put_number("packets", *packets)
                .put("offenders", list(offenders, quality_value::offender))
                .put_number("last", u64::from(*last));
        }
        EventKind::Learning { tag, media, rtcp, outcome, address } => {
            fields
                .put_text("event", "learning")
                .put_text("tag", tag)
                .put_number("media", *media)
                .put_number("rtcp", u64::from(*rtcp))
                .put_text("outcome", outcome.as_str());
            if let Some(address) = address {
                fields.put("address", Value::owned(address.to_string()));
            }
        }
        EventKind::Handshake { tag, media, rtcp, outcome, detail } => {
            fields
                .put_text("event", "handshake")
                .put_text("tag", tag)
                .put_number("media", *media)
                .put_number("rtcp", u64::from(*rtcp))
                .put_text("outcome", outcome.as_str())
                .put_text("detail", detail);
        }
    }
    fields.done()
}

fn read_event(value: &Value<'_>) -> Option<Event> {
    let legs = read_list(value.get("legs"), read_leg)?;
    let kind = match value.get("event")?.as_str()? {
        "call-report" => EventKind::CallReport { legs },
        "media-trouble" => EventKind::MediaTrouble(quality_value::read_trouble(value.get("trouble")?)?),
        "ended" => EventKind::Ended { ended: read_ended(value.get("ended")?)?, legs },
        "recording-failed" => EventKind::RecordingFailed,
        "relay-ended" => EventKind::RelayEnded(Box::new(RelayEnded {
            user: text(value, "user")?,
            client: text(value, "client")?.parse().ok()?,
            relayed: text(value, "relayed")?.parse().ok()?,
            lifetime_ms: number(value, "lifetime-ms")?,
            to_peers: read_counters(value.get("to-peers")),
            to_client: read_counters(value.get("to-client")),
            reason: text(value, "reason")?,
        })),
        "refused" => {
            let word = value.get("reason")?.as_str()?;
            let reason = Refusal::ALL.into_iter().find(|reason| reason.as_str() == word)?;
            EventKind::Refused { reason, calls: number(value, "calls")? }
        }
        "strangers" => EventKind::Strangers {
            packets: number(value, "packets")?,
            offenders: read_list(value.get("offenders"), quality_value::read_offender)?,
            last: number(value, "last") == Some(1),
        },
        "learning" => {
            let word = value.get("outcome")?.as_str()?;
            EventKind::Learning {
                tag: text(value, "tag")?,
                media: number(value, "media")?.try_into().ok()?,
                rtcp: number(value, "rtcp") == Some(1),
                outcome: LearningOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word)?,
                address: match value.get("address") {
                    Some(address) => Some(address.as_str()?.parse().ok()?),
                    None => None,
                },
            }
        }
        "handshake" => {
            let word = value.get("outcome")?.as_str()?;
            EventKind::Handshake {
                tag: text(value, "tag")?,
                media: number(value, "media")?.try_into().ok()?,
                rtcp: number(value, "rtcp") == Some(1),
                outcome: HandshakeOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word)?,
                detail: text(value, "detail")?,
            }
        }
        _ => return None,
    };
    Some(Event {
        sequence: number(value, "sequence")?,
        call_id: text(value, "call-id")?,
        owner: text(value, "owner"),
        wall_ms: number(value, "wall-ms")?,
        kind,
    })
}

fn put_ended<'a>(ended: &Ended, fields: &mut Fields<'a>) {
    fields
        .put_text("reason", ended.reason.as_str())
        .put_number("wall-ms", ended.wall_ms)
        .put_number("lifetime-ms", ended.lifetime_ms);
}

fn read_ended(value: &Value<'_>) -> Option<Ended> {
    let word = value.get("reason")?.as_str()?;
    Some(Ended {
        reason: EndReason::ALL.into_iter().find(|reason| reason.as_str() == word)?,
        wall_ms: number(value, "wall-ms")?,
        lifetime_ms: number(value, "lifetime-ms")?,
    })
}

fn leg_value(leg: &LegReport) -> Value<'_> {
    let mut fields = Fields::default();
    fields.put_text("tag", &leg.tag).put("medias", list(&leg.medias, leg_media_value));
    fields.done()
}

fn read_leg(value: &Value<'_>) -> Option<LegReport> {
    Some(LegReport { tag: text(value, "tag")?, medias: read_list(value.get("medias"), read_leg_media)? })
}

fn leg_media_value(media: &MediaReport) -> Value<'_> {
    let mut fields = Fields::default();
    fields.put("received", counters_value(media.received)).put("sent", counters_value(media.sent));
    if let Some(age) = media.last_packet_ms {
        fields.put_number("last-packet-ms", age);
    }
    fields.put_some("crypto suite", media.crypto_suite.as_deref());
    if let Some(quality) = &media.quality {
        fields.put("quality", quality_value::media(quality));
    }
    fields.done()
}

fn read_leg_media(value: &Value<'_>) -> Option<MediaReport> {
    Some(MediaReport {
        received: read_counters(value.get("received")),
        sent: read_counters(value.get("sent")),
        last_packet_ms: number(value, "last-packet-ms"),
        crypto_suite: text(value, "crypto suite"),
        quality: value.get("quality").and_then(quality_value::read_media),
    })
}

fn list<'a, T>(items: &'a [T], value: impl Fn(&'a T) -> Value<'a>) -> Value<'a> {
    Value::List(items.iter().map(value).collect())
}

/// An absent list is an empty one; a list with an item of another shape is none at all.
fn read_list<T>(value: Option<&Value<'_>>, read: impl Fn(&Value<'_>) -> Option<T>) -> Option<Vec<T>> {
    value.map_or(Some(Vec::new()), |value| value.items()?.iter().map(read).collect())
}

fn read_flags(value: &Value<'_>) -> Vec<Cow<'static, str>> {
    let items = value.get("flags").and_then(Value::items).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(|flag| Cow::Owned(flag.to_owned())).collect()
}

fn text(value: &Value<'_>, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn number(value: &Value<'_>, key: &str) -> Option<u64> {
    value.get(key)?.as_unsigned()
}
