//! SRTP against peers that are not ours. With keys from descriptions: rtpengine as the far end in every suite, ffmpeg as a
//! sender and as a receiver. With keys from handshakes: rtpengine as the far end in either role.

use std::net::SocketAddr;

use serde_json::json;
use tests::party::{receive, rtcp, sections, text, voice, waiting};
use tests::process::await_some;
use tests::{Address, Daemon, Listener, Party, Player};

const SUITES: [&str; 8] = [
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
];

/// What a description says of keys: tag, suite and key of each line.
fn keys(sdp: &str) -> Vec<[&str; 3]> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    lines
        .map(|line| line.split(' ').collect::<Vec<_>>().first_chunk().copied().expect("three words"))
        .collect()
}

/// Packets around a rollover of the sequence number, and a report, arrive as they were sent.
fn arrives(from: &Party, to: SocketAddr, at: &Party) {
    let ssrc = u32::from(from.address().port());
    for number in (65_530..=u16::MAX).chain(0..6) {
        let packet = voice(ssrc, number);
        from.rtp.send_to(&packet, to).expect("sent");
        assert_eq!(receive(&at.rtp).0, packet, "number {number}");
    }
    let report = [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat();
    from.rtcp.send_to(&report, rtcp(to)).expect("sent");
    assert_eq!(receive(&at.rtcp).0, report);
}

/// A call of two plain parties over two daemons that speak SRTP with each other; the first offers.
fn over(first: &mut Daemon, second: &mut Daemon, suite: &str, name: &str, at: Address) {
    let [a, b] = [(); 2].map(|()| Party::new(at));
    let srtp = json!({"transport-protocol": "RTP/SAVP", "DTLS": "off", "SDES": [format!("only-{suite}")]});
    let offer = first.pass("offer", name, &a.sdp(), srtp);
    // rtpengine offers all of its suites: the answerer takes the first that stands there.
    let lines = text(&offer).lines();
    let one: String = lines
        .filter(|line| !line.starts_with("a=crypto") || line.contains(suite))
        .fold(String::new(), |text, line| text + line + "\r\n");
    assert_eq!(keys(&one).len(), 1, "{one}");
    let plain = json!({"transport-protocol": "RTP/AVP", "DTLS": "off"});
    let onward = second.pass("offer", name, &one, plain);
    assert!(text(&onward).contains("RTP/AVP ") && keys(text(&onward)).is_empty());
    let answer = second.pass("answer", name, &b.sdp(), json!({}));
    assert_eq!(keys(text(&answer)).iter().map(|line| line[1]).collect::<Vec<_>>(), [suite]);
    let back = first.pass("answer", name, text(&answer), json!({}));
    assert!(text(&back).contains("RTP/AVP ") && keys(text(&back)).is_empty());
    let [for_a, for_b] = [&back, &onward].map(|reply| sections(reply)[0]);
    arrives(&a, for_a, &b);
    arrives(&b, for_b, &a);
}

#[test]
fn rtpengine_is_the_far_end_in_every_suite_whoever_offers() {
    let (ours, theirs, parties) = (Address::new(), Address::new(), Address::new());
    let mut tollgate = Daemon::tollgate(ours);
    let mut rtpengine = Daemon::rtpengine(theirs);
    for suite in SUITES {
        over(&mut tollgate, &mut rtpengine, suite, &format!("ours-{suite}"), parties);
        over(&mut rtpengine, &mut tollgate, suite, &format!("theirs-{suite}"), parties);
    }
}

/// The suite in which a daemon speaks with a party, once there is one.
fn suite(daemon: &mut Daemon, call_id: &str, tag: &str) -> Option<String> {
    let media = &daemon.ask("query", call_id, json!({}))["tags"][tag]["medias"][0];
    media["streams"][0]["crypto suite"].as_str().map(str::to_owned)
}

/// A call of two plain parties over two daemons that agree on keys by a handshake; the first offers, and the one that answers
/// begins, or waits.
fn shaking(first: &mut Daemon, second: &mut Daemon, begins: bool, name: &str, at: Address) {
    let [a, b] = [(); 2].map(|()| Party::new(at));
    let dtls = json!({"transport-protocol": "UDP/TLS/RTP/SAVP", "SDES": ["off"]});
    let offer = first.pass("offer", name, &a.sdp(), dtls);
    assert!(text(&offer).contains("a=setup:actpass\r\n") && keys(text(&offer)).is_empty(), "{offer}");
    let role = if begins { json!({}) } else { json!({"DTLS-reverse": "passive"}) };
    let mut plain = role;
    plain["transport-protocol"] = json!("RTP/AVP");
    let onward = second.pass("offer", name, text(&offer), plain);
    assert!(text(&onward).contains("RTP/AVP ") && !text(&onward).contains("fingerprint"), "{onward}");
    let answer = second.pass("answer", name, &b.sdp(), json!({}));
    let setup = if begins { "a=setup:active\r\n" } else { "a=setup:passive\r\n" };
    assert!(text(&answer).contains(setup) && text(&answer).contains("UDP/TLS/RTP/SAVP "), "{answer}");
    let back = first.pass("answer", name, text(&answer), json!({}));
    assert!(text(&back).contains("RTP/AVP ") && !text(&back).contains("fingerprint"), "{back}");
    let [for_a, for_b] = [&back, &onward].map(|reply| sections(reply)[0]);
    // RTCP has a handshake of its own: reports that arrive say that it is done.
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    for (from, to, at) in [(&a, for_a, &b), (&b, for_b, &a)] {
        await_some("keys of RTCP", || {
            from.rtcp.send_to(&report, rtcp(to)).expect("sent");
            waiting(&at.rtcp)
        });
    }
    let suites = await_some("keys of RTP", || suite(first, name, "b").zip(suite(second, name, "a")));
    assert_eq!(suites.0, suites.1);
    while waiting(&a.rtcp).or_else(|| waiting(&b.rtcp)).is_some() {}
    arrives(&a, for_a, &b);
    arrives(&b, for_b, &a);
}

#[test]
fn rtpengine_is_the_far_end_of_handshakes_in_either_role_whoever_offers() {
    let (ours, theirs, parties) = (Address::new(), Address::new(), Address::new());
    let mut tollgate = Daemon::tollgate(ours);
    let mut rtpengine = Daemon::rtpengine(theirs);
    for begins in [true, false] {
        shaking(&mut tollgate, &mut rtpengine, begins, &format!("ours-{begins}"), parties);
        shaking(&mut rtpengine, &mut tollgate, begins, &format!("theirs-{begins}"), parties);
    }
}

#[test]
fn ffmpeg_is_heard_by_ffmpeg_under_keys_of_either_side() {
    let key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    for suite in ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"] {
        let at = Address::new();
        let mut tollgate = Daemon::tollgate(at);
        let [sender, hearer] = [(); 2].map(|()| SocketAddr::new(at.ip(), at.media_port()));
        let secure = |party: SocketAddr, tag: &str, lines: &str| {
            let keyed = format!("a=crypto:{tag} {suite} inline:{key}\r\n{lines}");
            tests::party::describe(&[party], "8", &keyed).replace("RTP/AVP", "RTP/SAVP")
        };
        let offer = tollgate.pass("offer", "c", &secure(sender, "1", "a=sendonly\r\n"), json!({}));
        let shown = keys(text(&offer)).into_iter().find(|line| line[1] == suite).expect("its suite");
        assert_ne!(shown[2], format!("inline:{key}"), "a key of ours");
        let mut listener = Listener::start_secure(hearer, &format!("a=crypto:{}\r\n", shown.join(" ")));
        let answer = tollgate.pass("answer", "c", &secure(hearer, shown[0], "a=recvonly\r\n"), json!({}));
        let _playing = Player::start_secure(sender, sections(&answer)[0], 440, suite, key);
        listener.await_tone(0, 440);
    }
}
