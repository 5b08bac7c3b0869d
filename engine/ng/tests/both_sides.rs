//! What a client writes is what the server reads, and the other way round, in both encodings.

use std::{borrow::Cow, net::SocketAddr};

use ng::{
    AliasKey, All, Bundle, CallList, CallReport, Cli, Command, Connect, DelayFrom, Delete, DeleteDelay, Dtls,
    Encoding, EndReason, Ended, Envelope, Event, EventBatch, EventKind, Events, Explained, Family, Gate,
    GateAction, HandshakeOutcome, Ice, IceLite, Learning, LearningOutcome, Lease, LegReport, List,
    MediaQuality, MediaReport, MediaStatus, MediaTrouble, MessageKind, MosAverage, MosSample, Network,
    Offender, Ping, Publish, Query, Recording, RecordingOptions, Refusal, RelayEnded, Replace, Reply,
    ReportAck, Request, RtcpMux, Selector, Signal, SignalReply, SsrcQuality, SsrcReport, Stat,
    StatisticsReply, StreamCounters, StreamStatus, SubscribeAnswer, SubscribeRequest, Subscription,
    SubscriptionKind, TagStatus, Tos, Totals, TransportProtocol, Trouble, Trust, Unsubscribe, Value,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9@:._é-]{1,12}"
}

fn number() -> impl Strategy<Value = u64> {
    0..=u64::from(u32::MAX) * 1000
}

prop_compose! {
    fn replace()(bits in any::<[bool; 7]>()) -> Replace {
        let [origin, origin_full, session_name, sdp_version, force_increment_sdp_version, username, zero_address] = bits;
        Replace { origin, origin_full, session_name, sdp_version, force_increment_sdp_version, username, zero_address }
    }
}

prop_compose! {
    fn rtcp_mux()(bits in any::<[bool; 5]>()) -> RtcpMux {
        let [offer, require, demux, accept, reject] = bits;
        RtcpMux { offer, require, demux, accept, reject }
    }
}

prop_compose! {
    fn names()(
        call_id in name(),
        from_tag in name(),
        to_tag in name(),
        via_branch in option::of(name()),
        label in option::of(name()),
        owner in option::of(name()),
        epoch in option::of(number()),
        lease_ms in option::of(number()),
        keep_report in any::<bool>(),
        sdp in "[ -~\r\n]{0,40}",
    ) -> Signal {
        Signal {
            call_id, from_tag, to_tag: Some(to_tag), via_branch, label, owner, epoch, lease_ms, keep_report,
            sdp: sdp.into_bytes(),
            ..Signal::default()
        }
    }
}

prop_compose! {
    fn wider()(
        set_label in option::of(name()),
        to_label in option::of(name()),
        interface in option::of(name()),
        alias_key in option::of(select(vec![AliasKey::Sdp, AliasKey::Address])),
        record_call in any::<Option<bool>>(),
        recording in recording_options(),
        delay in option::of(any::<u32>()),
        bits in any::<[bool; 8]>(),
        media_networks in vec((any::<std::net::IpAddr>(), 0_u8..=32), 0..3),
    ) -> Signal {
        let [reset, early_media, generate_rtcp, unidirectional, static_codecs, tcp_media_reject, learn_strict, explain] = bits;
        let media_networks = media_networks.into_iter().filter_map(|(address, prefix)| Network::new(address, prefix));
        Signal {
            set_label, to_label, interface, alias_key, record_call, recording, reset, early_media, generate_rtcp,
            unidirectional, static_codecs, tcp_media_reject, learn_strict, explain,
            delete_delay: delay.map_or(DeleteDelay::Default, DeleteDelay::Seconds),
            media_networks: media_networks.collect(),
            ..Signal::default()
        }
    }
}

prop_compose! {
    fn signal()(
        names in names(),
        replace in replace(),
        rtcp_mux in rtcp_mux(),
        direction in prop_oneof![
            vec("[a-z]{1,6}", 0..=2),
            "[a-z]{1,6}".prop_map(|name| vec![String::new(), name]),
        ],
        address_family in option::of(select(vec![Family::Ip4, Family::Ip6])),
        transport_protocol in option::of(select(TransportProtocol::ALL.to_vec())),
        received_from in option::of(any::<std::net::IpAddr>()),
        media_address in option::of(any::<std::net::IpAddr>()),
        trust in select(vec![Trust::Sdp, Trust::SipSource]),
        ice in option::of(select(vec![Ice::Remove, Ice::Force, Ice::Default, Ice::Optional, Ice::ForceRelay])),
        learning in option::of(select(vec![
            Learning::Delayed, Learning::Immediate, Learning::Heuristic, Learning::Off,
        ])),
        bits in any::<[bool; 7]>(),
        latching in any::<(Option<bool>, Option<bool>)>(),
        tos in prop_oneof![Just(Tos::Default), Just(Tos::Keep), any::<u8>().prop_map(Tos::Byte)],
        sip_message in option::of(select(vec![MessageKind::Request, MessageKind::Response])),
        dtls in select(vec![
            Dtls::default(), Dtls { off: true, ..Dtls::default() }, Dtls { passive: true, ..Dtls::default() },
            Dtls { reverse_passive: true, no_tls_id: true, ..Dtls::default() },
        ]),
        checks in (option::of(select(IceLite::ALL.to_vec())), any::<[bool; 5]>()).boxed(),
        wider in wider(),
    ) -> Signal {
        let (ice_lite, [trickle_ice, fragment, offer, accept, reject]) = checks;
        let [asymmetric, strict_source, media_handover, generate_mid, original_sendrecv, loop_protect, load] = bits;
        let (port_latching, rtcp_attribute) = latching;
        Signal {
            replace, rtcp_mux, direction, address_family, transport_protocol, received_from, media_address, trust,
            ice, learning, asymmetric, strict_source, media_handover, generate_mid, original_sendrecv, loop_protect,
            supports_load_limit: load, port_latching, rtcp_attribute, tos, sip_message, dtls,
            call_id: names.call_id, from_tag: names.from_tag, to_tag: names.to_tag, via_branch: names.via_branch,
            label: names.label, sdp: names.sdp, owner: names.owner, epoch: names.epoch, lease_ms: names.lease_ms,
            keep_report: names.keep_report,
            ice_lite, trickle_ice, fragment, bundle: Bundle { offer, accept, reject },
            ..wider
        }
    }
}

prop_compose! {
    fn delete()(
        call_id in name(),
        from_tag in option::of(name()),
        to_tag in option::of(name()),
        via_branch in option::of(name()),
        bits in any::<[bool; 4]>(),
        delay in option::of(any::<u32>()),
        owner in option::of(name()),
        epoch in option::of(number()),
    ) -> Delete {
        let [fatal, fast, honour_to_tag, keep_report] = bits;
        let delay = delay.map_or(DeleteDelay::Default, DeleteDelay::Seconds);
        Delete { call_id, from_tag, to_tag, via_branch, fatal, fast, honour_to_tag, keep_report, delay, owner, epoch }
    }
}

prop_compose! {
    fn selector()(
        call_id in name(),
        from_tag in option::of(name()),
        to_tag in option::of(name()),
        label in option::of(name()),
        to_label in option::of(name()),
        via_branch in option::of(name()),
        address in option::of(any::<std::net::IpAddr>()),
        directional in any::<bool>(),
        all in select(All::ALL.to_vec()),
    ) -> (String, Selector) {
        (call_id, Selector { from_tag, to_tag, label, to_label, via_branch, address, directional, all })
    }
}

prop_compose! {
    fn recording_options()(texts in any::<[bool; 5]>(), text in name(), bits in any::<[bool; 3]>()) -> RecordingOptions {
        let [metadata, destination, file, directory, pattern] = texts.map(|some| some.then(|| text.clone()));
        let [exclude, discard, skip_db] = bits;
        RecordingOptions { metadata, destination, file, directory, pattern, exclude, discard, skip_db }
    }
}

/// Tags that no generated party has, each once.
fn tags() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::hash_set("[0-9]{20}", 0..3).prop_map(|tags| tags.into_iter().collect())
}

/// The tags of a selector are those of the message.
fn of_signal(selector: Selector, signal: &Signal) -> Selector {
    Selector {
        from_tag: Some(signal.from_tag.clone()),
        to_tag: signal.to_tag.clone(),
        via_branch: signal.via_branch.clone(),
        ..selector
    }
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        option::of(name()).prop_map(|owner| Command::Ping(Ping { owner })),
        signal().prop_map(|signal| Command::Offer(Box::new(signal))),
        signal().prop_map(|signal| Command::Answer(Box::new(signal))),
        delete().prop_map(|delete| Command::Delete(Box::new(delete))),
        (name(), option::of(name()), option::of(name()))
            .prop_map(|(call_id, from_tag, to_tag)| Command::Query(Query { call_id, from_tag, to_tag })),
        (0_usize..1_000_000, option::of(name()))
            .prop_map(|(limit, owner)| Command::List(List { limit, owner })),
        (
            name(),
            prop::sample::select(&GateAction::ALL[..]),
            proptest::option::of(name()),
            proptest::option::of(name()),
            any::<Option<std::net::IpAddr>>(),
            any::<bool>(),
            option::of(name()),
            select(vec![All::Unsaid, All::OfferAnswer, All::ExceptOfferAnswer, All::Flows]),
            option::of(name()),
        )
            .prop_map(
                |(call_id, action, from_tag, label, address, all, to_label, ways, set_label)| {
                    Command::Gate(Box::new(Gate {
                        call_id,
                        action,
                        from_tag,
                        label,
                        address,
                        all,
                        to_label,
                        ways,
                        set_label,
                    }))
                }
            ),
        (name(), name(), number(), number()).prop_map(|(call_id, owner, epoch, lease_ms)| Command::Lease(
            Lease { call_id, owner, epoch, lease_ms }
        )),
        (name(), option::of(name()), option::of(number()))
            .prop_map(|(call_id, owner, epoch)| Command::ReportAck(ReportAck { call_id, owner, epoch })),
        (number(), 0..=Events::WAIT_MS_MAX, option::of(name()))
            .prop_map(|(since, wait_ms, owner)| Command::Events(Events { since, wait_ms, owner })),
        (selector(), recording_options(), 0_usize..3).prop_map(|((call_id, selector), options, which)| {
            let recording = Recording { call_id, selector, options };
            [Command::StartRecording, Command::StopRecording, Command::PauseRecording][which](Box::new(
                recording,
            ))
        }),
        (signal(), selector(), tags()).prop_map(|(signal, (_, selector), from_tags)| {
            Command::SubscribeRequest(Box::new(SubscribeRequest {
                selector: of_signal(selector, &signal),
                from_tags,
                signal: Box::new(Signal { sdp: Vec::new(), label: None, to_label: None, ..signal }),
            }))
        }),
        (signal(), any::<bool>()).prop_map(|(signal, allow_transcoding)| Command::SubscribeAnswer(
            SubscribeAnswer { signal: Box::new(signal), allow_transcoding }
        )),
        (signal(), vec("[A-Za-z0-9/]{1,12}", 0..3))
            .prop_map(|(signal, accept)| Command::Publish(Publish { signal: Box::new(signal), accept })),
        (name(), name()).prop_map(|(call_id, to_tag)| Command::Unsubscribe(Unsubscribe { call_id, to_tag })),
        (signal(), selector(), tags(), option::of(name()), any::<bool>()).prop_map(
            |(signal, (_, selector), from_tags, to_call_id, bidirectional)| Command::Connect(Box::new(
                Connect {
                    bidirectional: bidirectional || !selector.directional,
                    selector: of_signal(selector, &signal),
                    from_tags,
                    to_call_id,
                    signal: Box::new(Signal { sdp: Vec::new(), label: None, to_label: None, ..signal }),
                }
            ))
        ),
        Just(Command::Statistics),
        name().prop_map(|line| Command::Cli(Cli { line })),
        Just(Command::Unsupported { name: "play media".to_owned(), call_id: Some("c".to_owned()) }),
    ]
}

fn counters() -> impl Strategy<Value = StreamCounters> {
    (number(), number(), number()).prop_map(|(packets, bytes, errors)| StreamCounters {
        packets,
        bytes,
        errors,
    })
}

fn ended() -> impl Strategy<Value = Ended> {
    (select(EndReason::ALL.to_vec()), number(), number()).prop_map(|(reason, wall_ms, lifetime_ms)| Ended {
        reason,
        wall_ms,
        lifetime_ms,
    })
}

prop_compose! {
    fn stream()(
        local in option::of(any::<SocketAddr>().prop_map(plain)),
        endpoint in option::of(any::<SocketAddr>().prop_map(plain)),
        advertised_endpoint in option::of(any::<SocketAddr>().prop_map(plain)),
        last_packet_s in number(),
        flags in vec(select(vec!["RTP", "RTCP", "filled"]).prop_map(Cow::Borrowed), 0..3),
        stats in counters(),
        ssrc in any::<Option<u32>>(),
        crypto_suite in option::of(select(vec!["AES_CM_128_HMAC_SHA1_80".to_owned()])),
    ) -> StreamStatus {
        StreamStatus {
            local, endpoint, advertised_endpoint, crypto_suite, last_packet_s, flags, stats, ssrc,
            stats_out: ssrc.map(|_| stats),
        }
    }
}

/// Without the scope and flow label that no reply carries.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

prop_compose! {
    fn tag()(
        tag in name(),
        via_branch in option::of(name()),
        label in option::of(name()),
        aliases in vec(name(), 0..3),
        created_s in number(),
        others in vec((name(), select(vec![SubscriptionKind::OfferAnswer, SubscriptionKind::PubSub])), 0..2),
        streams in vec(stream(), 0..3),
        codec in option::of(name()),
        quality in option::of(quality()),
    ) -> TagStatus {
        let subscriptions: Vec<_> = others.into_iter().map(|(tag, kind)| Subscription { tag, kind }).collect();
        let media = MediaStatus {
            index: 1, kind: "audio".to_owned(), protocol: "RTP/AVP".to_owned(), codec, streams,
            flags: vec![Cow::Borrowed("send")], ingress_ssrcs: vec![1], egress_ssrcs: vec![2, 3], quality,
        };
        TagStatus {
            tag, via_branch, aliases, label, created_s, metadata: None, flags: vec![Cow::Borrowed("blocked")], subscribers: subscriptions.clone(), subscriptions, medias: vec![media],
        }
    }
}

fn sample() -> impl Strategy<Value = MosSample> {
    (0_u8..=50, any::<[u32; 3]>(), 0_u8..=100, number()).prop_map(
        |(mos_x10, times, loss_percent, reported_at_s)| {
            let [round_trip_us, round_trip_leg_us, jitter_ms] = times;
            MosSample { mos_x10, round_trip_us, round_trip_leg_us, jitter_ms, loss_percent, reported_at_s }
        },
    )
}

prop_compose! {
    fn ssrc()(
        ssrc in any::<u32>(),
        received in option::of((number(), number())),
        lost in number(),
        samples in option::of((number(), vec(sample(), 3..6))),
    ) -> SsrcReport {
        let quality = samples.map(|(samples, entries)| Box::new(SsrcQuality {
            average: MosAverage { sample: MosSample { reported_at_s: 0, ..entries[0] }, samples },
            lowest: entries[1],
            highest: entries[2],
            interval_s: 7,
            progression: entries,
        }));
        // The loss is written with the quality only.
        SsrcReport { ssrc, received, lost: if quality.is_some() { lost } else { 0 }, quality }
    }
}

fn quality() -> impl Strategy<Value = MediaQuality> {
    let whole = (any::<u32>(), name(), any::<bool>(), option::of(number()));
    (whole, any::<[u32; 6]>(), option::of(100_u32..=450)).prop_map(
        |((ssrc, codec, by_rtcp, round_trip_us), counts, mos_x100)| MediaQuality {
            ssrc,
            codec: Cow::Owned(codec),
            expected: counts[0].into(),
            lost: counts[1].into(),
            late: counts[2].into(),
            duplicates: counts[3].into(),
            reordered: counts[4].into(),
            burst_ratio_x100: counts[5],
            jitter_us: 7,
            jitter_max_us: 8,
            mos_x100,
            mos_lowest_x100: mos_x100,
            round_trip_us,
            delay_ms: 100,
            delay_from: if by_rtcp { DelayFrom::Rtcp } else { DelayFrom::Assumed },
            buffer_ms: 60,
        },
    )
}

fn offender() -> impl Strategy<Value = Offender> {
    (any::<SocketAddr>().prop_map(plain), number(), number(), number())
        .prop_map(|(address, packets, first_ms, last_ms)| Offender { address, packets, first_ms, last_ms })
}

prop_compose! {
    fn report()(
        created_us in number(),
        last_signal_s in number(),
        mut tags in vec(tag(), 0..3),
        rtp in counters(),
        rtcp in counters(),
        owner in option::of(name()),
        ended in option::of(ended()),
        ssrcs in vec(ssrc(), 0..3),
        recording in any::<bool>(),
        offenders in vec(offender(), 0..3),
    ) -> CallReport {
        for (index, tag) in tags.iter_mut().enumerate() {
            tag.tag.push_str(&index.to_string());
        }
        CallReport {
            created_us, last_signal_s, tags, totals: Totals { rtp, rtcp }, owner, ended, ssrcs, recording, offenders,
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let suite = option::of(select(vec!["AEAD_AES_128_GCM".to_owned()]));
    let media = (counters(), counters(), option::of(number()), suite, option::of(quality())).prop_map(
        |(received, sent, last_packet_ms, crypto_suite, quality)| MediaReport {
            received,
            sent,
            last_packet_ms,
            crypto_suite,
            quality,
        },
    );
    let trouble = (select(Trouble::ALL.to_vec()), any::<bool>(), name(), any::<Option<u32>>(), number());
    let trouble = trouble.prop_map(|(trouble, recovered, tag, ssrc, since_ms)| MediaTrouble {
        trouble,
        recovered,
        tag,
        media: 1,
        ssrc,
        since_ms,
    });
    let legs =
        vec((name(), vec(media, 0..3)).prop_map(|(tag, medias)| LegReport { tag, medias }), 0..3).boxed();
    let refused = (select(Refusal::ALL.to_vec()), number())
        .prop_map(|(reason, calls)| EventKind::Refused { reason, calls });
    let kind = prop_oneof![
        (ended(), legs.clone()).prop_map(|(ended, legs)| EventKind::Ended { ended, legs }),
        legs.prop_map(|legs| EventKind::CallReport { legs }),
        refused,
        Just(EventKind::RecordingFailed),
        (name(), any::<SocketAddr>().prop_map(plain), any::<[u32; 5]>()).prop_map(
            |(user, client, numbers)| {
                let [lifetime_ms, packets, bytes, more, most] = numbers.map(u64::from);
                EventKind::RelayEnded(Box::new(RelayEnded {
                    user,
                    client,
                    relayed: SocketAddr::from(([192, 0, 2, 9], 20_000)),
                    lifetime_ms,
                    to_peers: StreamCounters { packets, bytes, errors: 0 },
                    to_client: StreamCounters { packets: more, bytes: most, errors: 0 },
                    reason: "expired".to_owned(),
                }))
            }
        ),
        trouble.prop_map(EventKind::MediaTrouble),
        (number(), vec(offender(), 0..3), any::<bool>())
            .prop_map(|(packets, offenders, last)| EventKind::Strangers { packets, offenders, last }),
        (
            name(),
            any::<u32>(),
            any::<bool>(),
            select(LearningOutcome::ALL.to_vec()),
            option::of(any::<SocketAddr>().prop_map(plain))
        )
            .prop_map(|(tag, media, rtcp, outcome, address)| EventKind::Learning {
                tag,
                media,
                rtcp,
                outcome,
                address
            }),
        (name(), any::<u32>(), any::<bool>(), select(HandshakeOutcome::ALL.to_vec()), name()).prop_map(
            |(tag, media, rtcp, outcome, detail)| EventKind::Handshake { tag, media, rtcp, outcome, detail }
        ),
    ];
    (number(), name(), option::of(name()), number(), kind).prop_map(
        |(sequence, call_id, owner, wall_ms, kind)| Event { sequence, call_id, owner, wall_ms, kind },
    )
}

fn explained() -> impl Strategy<Value = Explained> {
    (any::<u32>(), option::of(name()), option::of(name()), name())
        .prop_map(|(line, was, now, why)| Explained { line, was, now, why })
}

/// Each name once, since of repeated ones JSON keeps the last.
fn sections(stat: impl Strategy<Value = Stat>) -> impl Strategy<Value = Vec<(Cow<'static, str>, Stat)>> {
    let sections = proptest::collection::btree_map(name(), stat, 0..4);
    sections.prop_map(|sections| sections.into_iter().map(|(name, stat)| (name.into(), stat)).collect())
}

fn stat() -> impl Strategy<Value = Stat> {
    let leaf = prop_oneof![any::<i64>().prop_map(Stat::Number), name().prop_map(Stat::Text)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(Stat::List), sections(inner).prop_map(Stat::Section),]
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        option::of(name()).prop_map(|instance| Reply::Pong { instance }),
        (
            "[ -~\r\n]{0,40}",
            option::of(name()),
            vec(name(), 0..3),
            option::of(name()),
            vec(explained(), 0..3)
        )
            .prop_map(|(sdp, warning, from_tags, to_tag, explain)| Reply::Signal(SignalReply {
                sdp: sdp.into_bytes(),
                warning,
                from_tags,
                to_tag,
                explain,
            })),
        sections(stat()).prop_map(|sections| Reply::Statistics(StatisticsReply { sections })),
        name().prop_map(Reply::Cli),
        option::of(name()).prop_map(|warning| Reply::Ok { warning }),
        report().prop_map(|report| Reply::Report(Box::new(report))),
        (vec(name(), 0..4), vec(name(), 0..4))
            .prop_map(|(calls, ended)| Reply::List(CallList { calls, ended })),
        (name(), number(), any::<bool>(), vec(event(), 0..4)).prop_map(|(instance, next, gap, events)| {
            Reply::Events(EventBatch { instance, next, gap, events })
        }),
        name().prop_map(Reply::Error),
        name().prop_map(Reply::LoadLimit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_command_arrives_as_it_was_meant(command in command()) {
        for encoding in [Encoding::Bencode, Encoding::Json] {
            let envelope = Envelope::parse(&command.datagram("77_1", encoding)).expect("a cookie");
            prop_assert_eq!(&envelope.cookie, b"77_1");
            prop_assert_eq!(envelope.encoding, encoding);
            prop_assert_eq!(envelope.request, Ok(Request { command: command.clone(), warnings: Vec::new() }));
        }
    }

    #[test]
    fn a_reply_arrives_as_it_was_meant(reply in reply()) {
        for encoding in [Encoding::Bencode, Encoding::Json] {
            let datagram = reply.datagram(b"77_1", encoding);
            let (cookie, document) = ng::split_cookie(&datagram).expect("a cookie");
            prop_assert_eq!(cookie, b"77_1");
            prop_assert_eq!(Reply::parse(document), Ok(reply.clone()));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Envelope::parse(&bytes);
        let _ = Reply::parse(&bytes);
        for opening in [b"1 d".as_slice(), b"1 {"] {
            let _ = Envelope::parse(&[opening, &bytes].concat());
        }
    }

    /// Any tree as the value of any key: whatever a client makes of a message, both encodings
    /// of it are the same question.
    #[test]
    fn both_encodings_of_a_message_are_one_question(
        command in select(vec!["offer", "answer", "delete", "query", "list", "events", "lease", "report ack"]),
        complete in any::<bool>(),
        entries in vec((key(), tree()), 0..8),
    ) {
        let mut fields: Vec<(Cow<'_, [u8]>, Value<'_>)> = vec![(Cow::Borrowed(b"command"), Value::text(command))];
        if complete {
            let required = ["call-id", "from-tag", "to-tag", "sdp"];
            fields.extend(required.map(|key| (Cow::Borrowed(key.as_bytes()), Value::text("x"))));
        }
        for (key, value) in entries {
            if fields.iter().all(|(known, _)| known.as_ref() != key.as_bytes()) {
                fields.push((Cow::Borrowed(key.as_bytes()), value));
            }
        }
        let message = Value::Dictionary(fields);
        let [bencode, json] = [Encoding::Bencode, Encoding::Json].map(|encoding| {
            let mut out = b"1 ".to_vec();
            encoding.write(&message, &mut out);
            Envelope::parse(&out).expect("a cookie").request
        });
        prop_assert_eq!(bencode, json);
    }
}

fn key() -> impl Strategy<Value = &'static str> {
    select(vec![
        "call-id",
        "call_id",
        "from-tag",
        "to-tag",
        "via-branch",
        "sdp",
        "flags",
        "rtpp-flags",
        "replace",
        "ICE",
        "direction",
        "received-from",
        "media address",
        "rtcp-mux",
        "transport protocol",
        "supports",
        "codec",
        "owner",
        "epoch",
        "lease-ms",
        "keep-report",
        "limit",
        "since",
        "wait-ms",
        "delete delay",
        "OSRTP",
        "bogus",
        "TOS",
    ])
}

fn tree() -> impl Strategy<Value = Value<'static>> {
    let text = prop_oneof![
        select(vec![
            "IP4",
            "192.0.2.1",
            "origin",
            "trust-address",
            "RTP/SAVP",
            "remove",
            "load limit",
            "fatal",
            "ICE=force",
            "replace-origin,asymmetric",
            "codec=[strip=[all]] SRTP AVPF",
            "7",
            "-1",
            "codec-strip-PCMU",
        ])
        .prop_map(Value::text),
        "[ -~]{0,8}".prop_map(Value::owned),
        any::<i32>().prop_map(|number| Value::Integer(i64::from(number))),
    ];
    text.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            inner.prop_map(|value| Value::Dictionary(vec![(Cow::Borrowed(b"k"), value)])),
        ]
    })
}

#[test]
fn bombs_of_64_kb_are_refused_on_a_small_stack() {
    let run = || {
        for (opening, text) in [
            ("d1:a", "Could not decode bencode dictionary"),
            ("{\"a\":", "Could not decode bencode dictionary"),
        ] {
            let bomb = format!("1 {}", opening.repeat(65_536 / opening.len()));
            let error = Envelope::parse(bomb.as_bytes()).expect("a cookie").request.expect_err("a bomb");
            assert_eq!(error.to_string(), text);
        }
        let lists = format!("1 d1:a{}", "l".repeat(65_536));
        assert!(Envelope::parse(lists.as_bytes()).expect("a cookie").request.is_err());
    };
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no overflow");
}

#[test]
fn an_overlong_document_is_refused_unread() {
    let document = format!(
        "1 d7:command4:ping1:a{0}:{1}e",
        Envelope::DOCUMENT_BYTES_MAX,
        "x".repeat(Envelope::DOCUMENT_BYTES_MAX)
    );
    assert_eq!(
        Envelope::parse(document.as_bytes()).expect("a cookie").request,
        Err(ng::RequestError::Format)
    );
}

#[test]
fn a_datagram_without_cookie_gets_no_reply() {
    use ng::FrameError::{CookieTooLong, NoCookie};
    assert_eq!(Envelope::parse(b"d7:command4:pinge"), Err(NoCookie));
    assert_eq!(Envelope::parse(b" d7:command4:pinge"), Err(NoCookie));
    assert_eq!(Envelope::parse(b""), Err(NoCookie));
    let long = format!("{} d7:command4:pinge", "c".repeat(Envelope::COOKIE_BYTES_MAX + 1));
    assert_eq!(Envelope::parse(long.as_bytes()), Err(CookieTooLong));
    let longest = format!("{} d7:command4:pinge", "c".repeat(Envelope::COOKIE_BYTES_MAX));
    assert!(Envelope::parse(longest.as_bytes()).is_ok());
}
