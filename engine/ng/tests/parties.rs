//! Commands about parties and the wider options of an offer, in every spelling.
//!
//! Where rtpengine 10.5.3.5 has no such command or key (`connect`, `pause recording`, `cli`, `to-label`, the values of
//! `all`), the messages follow its later documentation.

use ng::{
    AliasKey, All, Cli, Command, Connect, DeleteDelay, Encoding, Publish, Recording, RecordingOptions, Reply,
    Request, RequestError, Selector, Signal, Stat, SubscribeRequest, Unsubscribe,
};

fn read(document: &str) -> Result<Request, RequestError> {
    ng::read_document(document.as_bytes()).1
}

fn understood(document: &str) -> Command {
    let request = read(document).expect(document);
    assert_eq!(request.warnings, Vec::<String>::new(), "{document}");
    request.command
}

fn offer(options: &str) -> Signal {
    let document = format!(r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0",{options}}}"#);
    match understood(&document) {
        Command::Offer(signal) => *signal,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_recording_has_its_options_as_keys_and_flags() {
    let expected = Recording {
        call_id: "c".to_owned(),
        selector: Selector { from_tag: text("f"), directional: true, ..Selector::default() },
        options: RecordingOptions {
            metadata: text("k:v|x:y"),
            file: text("a.pcap"),
            directory: text("/rec"),
            pattern: text("%c"),
            destination: text("d"),
            exclude: true,
            discard: true,
            skip_db: true,
        },
    };
    let options = r#""from-tag":"f","metadata":"k:v|x:y","recording-file":"a.pcap","recording-dir":"/rec",
        "recording-pattern":"%c","output-destination":"d""#;
    for flags in [
        r#""flags":["directional","exclude recording","discard_recording","skip-recording-db"]"#,
        r#""rtpp-flags":"directional exclude-recording discard-recording skip-recording-db""#,
    ] {
        for (name, wrap) in [
            ("start recording", Command::StartRecording as fn(Box<Recording>) -> Command),
            ("stop-recording", Command::StopRecording),
            ("pause_recording", Command::PauseRecording),
        ] {
            let document = format!(r#"{{"command":"{name}","call-id":"c",{options},{flags}}}"#);
            assert_eq!(understood(&document), wrap(Box::new(expected.clone())), "{document}");
        }
    }
}

/// As the documentation of later releases has it; 10.5.3.5 stops.
#[test]
fn a_stop_of_a_recording_that_says_so_is_a_pause() {
    for (options, pauses) in [
        (r#""pause":"yes""#, true),
        (r#""flags":["pause"]"#, true),
        (r#""rtpp-flags":"pause""#, true),
        (r#""pause":"no""#, false),
        (r#""flags":["directional"]"#, false),
    ] {
        let stop = understood(&format!(r#"{{"command":"stop recording","call-id":"c",{options}}}"#));
        assert_eq!(matches!(stop, Command::PauseRecording(_)), pauses, "{options}");
        assert_eq!(matches!(stop, Command::StopRecording(_)), !pauses, "{options}");
    }
}

#[test]
fn a_subscription_names_whom_to_hear_by_tag_tags_label_or_all() {
    let request = |options: &str| match understood(&format!(
        r#"{{"command":"subscribe request","call-id":"c",{options}}}"#
    )) {
        Command::SubscribeRequest(request) => *request,
        other => panic!("{other:?}"),
    };
    assert_eq!(request(r#""from-tag":"f""#).selector.from_tag, text("f"));
    for tags in [
        r#""from-tags":["a","b","a"]"#,
        r#""flags":["from-tags-a","from-tags-b"]"#,
        r#""rtpp-flags":"from-tags=[a b]""#,
    ] {
        assert_eq!(request(tags).from_tags, ["a", "b"], "{tags}");
    }
    assert_eq!(request(r#""from-label":"l""#).selector.label, text("l"));
    for all in [r#""all":"all""#, r#""flags":["all"]"#, r#""rtpp-flags":"all""#] {
        assert_eq!(request(all).selector.all, All::Everyone, "{all}");
    }
    for (word, all) in [
        ("offer-answer", All::OfferAnswer),
        ("except-offer-answer", All::ExceptOfferAnswer),
        ("flows", All::Flows),
    ] {
        assert_eq!(request(&format!(r#""all":"{word}""#)).selector.all, all);
        assert_eq!(request(&format!(r#""flags":["all-{word}"]"#)).selector.all, all);
    }
    let wide =
        request(r#""from-tag":"f","set-label":"siprec","interface":"rec","flags":["SIP-source-address"]"#);
    assert_eq!((wide.signal.set_label, wide.signal.interface), (text("siprec"), text("rec")));
    let many: Vec<String> = (0..1000).map(|n| format!("\"{n}\"")).collect();
    let many = request(&format!(r#""from-tags":[{}]"#, many.join(",")));
    assert_eq!(many.from_tags.len(), SubscribeRequest::FROM_TAGS_MAX);
}

#[test]
fn an_answer_a_publication_and_an_end_say_what_they_cannot_do_without() {
    for (document, error) in [
        (r#"{"command":"subscribe answer","call-id":"c","to-tag":"t"}"#, RequestError::NoSdp),
        (r#"{"command":"subscribe answer","to-tag":"t","sdp":"v=0"}"#, RequestError::NoCallId),
        (r#"{"command":"subscribe answer","call-id":"c","sdp":"v=0"}"#, RequestError::NoToTag),
        (r#"{"command":"subscribe request"}"#, RequestError::NoCallId),
        (r#"{"command":"publish","call-id":"c","from-tag":"f"}"#, RequestError::NoSdp),
        (r#"{"command":"publish","call-id":"c","sdp":"v=0"}"#, RequestError::NoFromTag),
        (r#"{"command":"unsubscribe","call-id":"c"}"#, RequestError::NoToTag),
        (r#"{"command":"unsubscribe","to-tag":"t"}"#, RequestError::NoCallId),
        (r#"{"command":"connect","call-id":"c","to-tag":"t"}"#, RequestError::NoFromTag),
        (r#"{"command":"connect","call-id":"c","from-tag":"f"}"#, RequestError::NoToTag),
        (r#"{"command":"start recording"}"#, RequestError::NoCallId),
        (r#"{"command":"cli"}"#, RequestError::Extension("body")),
    ] {
        assert_eq!(read(document), Err(error), "{document}");
    }
    for from_tag in ["", r#","from-tag":"f""#] {
        let document = format!(r#"{{"command":"unsubscribe","call-id":"c","to-tag":"t"{from_tag}}}"#);
        let end = Unsubscribe { call_id: "c".to_owned(), to_tag: "t".to_owned() };
        assert_eq!(understood(&document), Command::Unsubscribe(end));
    }
    for (flags, allowed) in [
        (r#""flags":["allow transcoding"]"#, true),
        (r#""rtpp-flags":"allow-transcoding""#, true),
        (r#""flags":["symmetric"]"#, false),
    ] {
        let document =
            format!(r#"{{"command":"subscribe answer","call-id":"c","to-tag":"t","sdp":"v=0",{flags}}}"#);
        let Command::SubscribeAnswer(answer) = understood(&document) else { panic!("an answer") };
        assert_eq!(answer.allow_transcoding, allowed, "{flags}");
    }
    let document = r#"{"command":"publish","call-id":"c","from-tag":"f","sdp":"v=0","ICE":"remove"}"#;
    let Command::Publish(Publish { signal, .. }) = understood(document) else { panic!("a publication") };
    assert_eq!((signal.from_tag.as_str(), signal.ice), ("f", Some(ng::Ice::Remove)));
}

#[test]
fn a_publication_wishes_for_codecs_and_for_nothing_else_of_codec() {
    let publish = |options: &str| match understood(&format!(
        r#"{{"command":"publish","call-id":"c","from-tag":"f","sdp":"v=0",{options}}}"#
    )) {
        Command::Publish(publish) => publish,
        other => panic!("{other:?}"),
    };
    for options in [
        r#""codec":{"accept":["PCMA","G722/8000"]}"#,
        r#""codec-accept":["PCMA","G722/8000"]"#,
        r#""flags":["codec-accept-PCMA","codec accept=G722/8000"]"#,
        r#""rtpp-flags":"codec-accept-PCMA codec-accept=G722/8000""#,
        r#""rtpp-flags":"codec-accept=[PCMA G722/8000]""#,
    ] {
        let publish = publish(options);
        assert_eq!(publish.accept, ["PCMA", "G722/8000"], "{options}");
        assert_eq!(publish.signal.unsupported, Vec::<String>::new(), "{options}");
    }
    let stripped = publish(r#""codec":{"accept":["PCMA"],"strip":["PCMU"]}"#);
    assert_eq!(stripped.signal.unsupported.len(), 1);
    for options in
        [r#""codec":{"accept":[]}"#, r#""codec":{"accept":["PCMA"]}"#, r#""flags":["codec-accept-PCMA"]"#]
    {
        assert_ne!(
            offer(options).unsupported,
            Vec::<String>::new(),
            "an offer has no such wishes: {options}"
        );
    }
    let many: Vec<String> = (0..1000).map(|n| format!("\"{n}\"")).collect();
    assert_eq!(publish(&format!(r#""codec-accept":[{}]"#, many.join(","))).accept.len(), Publish::ACCEPT_MAX);
}

#[test]
fn two_parties_are_connected_both_ways_unless_one_is_asked() {
    let connect = |options: &str| match understood(&format!(
        r#"{{"command":"connect","call-id":"c","from-tag":"f","to-tag":"t"{options}}}"#
    )) {
        Command::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    };
    let Connect { selector, to_call_id, bidirectional, .. } = connect(r#","to-call-id":"d""#);
    assert_eq!((selector.from_tag, selector.to_tag, to_call_id), (text("f"), text("t"), text("d")));
    assert!(bidirectional);
    assert!(!connect(r#","flags":["directional"]"#).bidirectional);
    assert!(connect(r#","flags":["directional","bidirectional"]"#).bidirectional);
    assert!(!connect(r#","rtpp-flags":"directional""#).bidirectional);
}

#[test]
fn statistics_and_the_command_line_are_asked_without_a_call() {
    assert_eq!(understood(r#"{"command":"statistics"}"#), Command::Statistics);
    for key in ["body", "line"] {
        let document = format!(r#"{{"command":"cli","{key}":"list sessions "}}"#);
        assert_eq!(understood(&document), Command::Cli(Cli { line: "list sessions".to_owned() }));
    }
    let long = format!(r#"{{"command":"cli","body":"{}"}}"#, "x".repeat(Cli::LINE_BYTES_MAX + 1));
    assert_eq!(read(&long), Err(RequestError::Extension("body")));
}

/// The tree that rtpengine 10.5.3.5 sends, shortened: `statistics` holds the sections, fractions are text.
#[test]
fn statistics_stand_where_rtpengine_puts_them() {
    let sent = concat!(
        r#"{"statistics":{"currentstatistics":{"sessionsown":1,"sessionsforeign":0,"sessionstotal":1},"#,
        r#""totalstatistics":{"uptime":"12","avgcallduration":"0.000000"},"#,
        r#""controlstatistics":{"proxies":[{"proxy":"127.0.0.1","pingcount":0}]}},"result":"ok"}"#
    );
    let reply = Reply::parse(sent.as_bytes()).expect("a reply");
    let Reply::Statistics(statistics) = &reply else { panic!("{reply:?}") };
    let current = [("sessionsown", 1), ("sessionsforeign", 0), ("sessionstotal", 1)];
    let current = Stat::section(current.map(|(name, count)| (name, Stat::count(count))));
    assert_eq!(statistics.sections[0], ("currentstatistics".into(), current));
    let mut written = Vec::new();
    reply.encode(Encoding::Json, &mut written);
    assert_eq!(String::from_utf8_lossy(&written), sent);
}

/// Bytes that rtpengine 10.5.3.5 sent, the description shortened.
#[test]
fn a_subscription_is_answered_with_the_tags_behind_the_description() {
    let sent = br#"{"sdp":"v=0","from-tag":"A","from-tags":["A"],"to-tag":"b74f","result":"ok"}"#;
    let reply = Reply::parse(sent).expect("a reply");
    let Reply::Signal(signal) = &reply else { panic!("{reply:?}") };
    assert_eq!(
        (signal.from_tags.as_slice(), signal.to_tag.as_deref()),
        (&["A".to_owned()][..], Some("b74f"))
    );
    let mut written = Vec::new();
    reply.encode(Encoding::Json, &mut written);
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(sent));
}

#[test]
fn an_offer_carries_labels_keys_of_aliases_and_recording_options() {
    for options in [
        r#""alias-key":"SDP","set-label":"s","to-label":"t","delete-delay":5,"record-call":"yes","metadata":"m",
           "flags":["reset","early media","generate_RTCP","unidirectional","static-codecs"]"#,
        r#""rtpp-flags":"alias-key=SDP set-label=s to-label=t delete-delay=5 record-call=on metadata=m reset early-media generate-RTCP unidirectional static-codecs""#,
        r#""flags":["alias-key=SDP","set-label=s","to-label=t","delete delay=5","record call","metadata=m","reset",
           "early_media","generate RTCP","unidirectional","static codecs"]"#,
    ] {
        let signal = offer(options);
        assert_eq!(
            (signal.alias_key, signal.set_label, signal.to_label, signal.delete_delay),
            (Some(AliasKey::Sdp), text("s"), text("t"), DeleteDelay::Seconds(5)),
            "{options}"
        );
        assert_eq!((signal.record_call, signal.recording.metadata), (Some(true), text("m")), "{options}");
        assert!(signal.reset && signal.early_media && signal.generate_rtcp, "{options}");
        assert!(signal.unidirectional && signal.static_codecs, "{options}");
    }
    assert_eq!(offer(r#""record-call":"off""#).record_call, Some(false));
    assert_eq!(offer(r#""alias-key":"endpoint""#).alias_key, Some(AliasKey::Address));
}

#[test]
fn keys_of_our_own_guard_a_call_and_ask_for_reasons() {
    for options in [
        r#""media-networks":["192.0.2.0/24","2001:db8::7"],"learn":"strict","tcp-media":"reject","explain":"yes""#,
        r#""flags":["media-networks-192.0.2.0/24","media-networks=2001:db8::7","learn=strict","tcp-media=reject","explain"]"#,
        r#""rtpp-flags":"media-networks=[192.0.2.0/24 2001:db8::7] learn=strict tcp-media=reject explain""#,
    ] {
        let signal = offer(options);
        assert!(signal.learn_strict && signal.tcp_media_reject && signal.explain, "{options}");
        let shown: Vec<String> = signal.media_networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.0/24", "2001:db8::7/128"], "{options}");
    }
}

#[test]
fn a_network_contains_what_shares_its_prefix() {
    for (network, address, inside) in [
        ("192.0.2.0/24", "192.0.2.255", true),
        ("192.0.2.0/24", "192.0.3.0", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.6", false),
    ] {
        let parsed: ng::Network = network.parse().expect(network);
        assert_eq!(parsed.contains(address.parse().expect(address)), inside, "{network} {address}");
    }
    for odd in ["", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/-1", "here/8"] {
        assert!(odd.parse::<ng::Network>().is_err(), "{odd}");
    }
}

#[test]
fn what_is_not_built_and_harms_nobody_is_a_warning() {
    let document = r#"{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0","xmlrpc-callback":"192.0.2.1",
        "flags":["NAT-wait"]}"#;
    let Ok(Request { command: Command::Offer(signal), warnings }) = read(document) else {
        panic!("an offer")
    };
    assert_eq!(signal.unsupported, Vec::<String>::new());
    assert_eq!(warnings, ["not built, ignored: 'xmlrpc-callback'", "not built, ignored: 'NAT-wait'"]);
}
