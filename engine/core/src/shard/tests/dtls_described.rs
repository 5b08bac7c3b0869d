//! What descriptions say of handshakes: who is shown what of ours, and what cannot be agreed on.

use ng::{Dtls, TransportProtocol};
use rtp::{
    dtls::{Provider, Role},
    srtp::Suite,
};

use super::{
    dtls::{DTLS, Peer, asking, certificate, described, handshaking, named, queried, rig, shake, talk},
    srtp::{crypto, keyed, line, plain, profile, relay, rtp, secure},
    *,
};

#[test]
fn what_is_offered_and_answered_names_our_certificate_and_a_role() {
    let mut rig = rig();
    let offer =
        rig.offer(handshaking(from_a(sdp(A, "a=setup:active\r\na=tls-id:0123456789012345678901\r\n"))));
    let ours = format!("a=fingerprint:{}", named(0));
    assert_eq!(profile(&offer), DTLS);
    assert_eq!(
        (offer.lines("a=setup"), offer.lines("a=fingerprint")),
        (vec!["a=setup:actpass"], vec![&*ours])
    );
    let name = offer.lines("a=tls-id:")[0].to_owned();
    assert_eq!(
        (name.len(), crypto(&offer).len()),
        ("a=tls-id:".len() + 32, 8),
        "beside keys, as in rtpengine"
    );
    let unnamed = Dtls { no_tls_id: true, ..Dtls::default() };
    let again = rig.offer(Signal { dtls: unnamed, ..from_a(sdp(A, "")) });
    assert!(again.lines("a=tls-id").is_empty());
    rig.answer(to_b(described(B, DTLS, 1, "active")));
    let again = rig.offer(from_a(sdp(A, "")));
    assert_eq!((again.lines("a=tls-id"), again.lines("a=setup")), (vec![&*name], vec!["a=setup:actpass"]));
    for (offered, wish, answered) in [
        ("actpass", Dtls::default(), "active"),
        ("actpass", Dtls { reverse_passive: true, ..Dtls::default() }, "passive"),
        ("active", Dtls::default(), "passive"),
        ("passive", Dtls { reverse_passive: true, ..Dtls::default() }, "active"),
    ] {
        let mut rig = self::rig();
        let offer = plain(from_a(described(A, "UDP/TLS/RTP/SAVPF", 1, offered)));
        let offer = rig.offer(Signal { dtls: wish, ..offer });
        assert_eq!(profile(&offer), "RTP/AVP");
        assert!(offer.lines("a=setup").is_empty() && offer.lines("a=fingerprint").is_empty());
        let answer = rig.answer(to_b(sdp(B, "")));
        assert_eq!(profile(&answer), "UDP/TLS/RTP/SAVPF");
        assert_eq!(answer.lines("a=setup"), [format!("a=setup:{answered}")]);
        assert_eq!((answer.lines("a=fingerprint"), answer.lines("a=crypto").len()), (vec![&*ours], 0));
        assert!(answer.lines("a=tls-id").is_empty(), "whoever gives no name gets none");
        let again = rig.answer(to_b(sdp(B, "")));
        assert_eq!(again, answer);
    }
    let mut rig = self::rig();
    rig.offer(plain(from_a(described(A, DTLS, 1, "actpass"))));
    let waits = Signal { dtls: Dtls { passive: true, ..Dtls::default() }, ..to_b(sdp(B, "")) };
    assert_eq!(rig.answer(waits).lines("a=setup"), ["a=setup:passive"]);
}

#[test]
fn whoever_offers_both_is_answered_with_a_handshake_unless_the_client_wants_otherwise() {
    let both = || {
        let keys = format!("a=crypto:{}\r\n", line(1, Suite::AesCm128HmacSha1_80, 0xa));
        [described(A, "RTP/SAVP", 1, "actpass"), keys.into_bytes()].concat()
    };
    let off = Dtls { off: true, ..Dtls::default() };
    let prefer = ng::Sdes { prefer: true, ..ng::Sdes::default() };
    for (offering, answering, by_handshake) in [
        (from_a(both()), to_b(sdp(B, "")), true),
        (Signal { dtls: off, ..from_a(both()) }, to_b(sdp(B, "")), true),
        (from_a(both()), Signal { dtls: off, ..to_b(sdp(B, "")) }, false),
        (from_a(both()), Signal { sdes: prefer, ..to_b(sdp(B, "")) }, false),
    ] {
        let mut rig = rig();
        rig.offer(plain(offering));
        let answer = rig.answer(answering);
        assert_eq!(profile(&answer), "RTP/SAVP");
        assert_eq!(
            (answer.lines("a=setup").len(), crypto(&answer).len()),
            if by_handshake { (1, 0) } else { (0, 1) }
        );
    }
    // The same of whoever answers with both, or with one of them.
    for (with_keys, with_handshake, by_handshake) in
        [(true, true, true), (false, true, true), (true, false, false)]
    {
        let mut rig = rig();
        let offer = rig.offer(secure(from_a(sdp(A, ""))));
        assert_eq!((crypto(&offer).len(), offer.lines("a=setup").len()), (8, 1));
        let keys = line(7, Suite::AesCm128HmacSha1_80, 0xb);
        let lines = if with_keys { vec![keys.as_str()] } else { Vec::new() };
        let mut answer = keyed(B, "RTP/SAVP", &lines);
        if with_handshake {
            answer.extend(format!("a=setup:active\r\na=fingerprint:{}\r\n", named(1)).into_bytes());
        }
        rig.answer(to_b(answer));
        let (suite, flags) = queried(&mut rig, "B");
        assert_eq!(flags.contains(&"DTLS-SRTP".to_owned()), by_handshake);
        assert_eq!(suite.is_some(), !by_handshake, "the handshake is not done");
        let next = rig.offer(from_a(sdp(A, "")));
        assert_eq!(
            next.lines("a=setup").len(),
            usize::from(by_handshake),
            "whoever chose keys is not asked again"
        );
    }
}

#[test]
fn a_certificate_that_is_made_anew_is_for_calls_that_begin() {
    let mut rig = rig();
    let before = rig.offer(handshaking(from_a(sdp(A, ""))));
    let interfaces = Interfaces::new(vec!["127.0.0.1".parse().unwrap()]).unwrap();
    rig.input(Input::Live(Box::new(crate::LiveConfig {
        interfaces,
        tos: 0,
        media_networks: crate::MediaNetworks::default(),
        learn_strict: false,
        providers: Some(certificate(2).clone()),
        limits: Limits::default(),
        turn: None,
    })));
    let again = rig.offer(handshaking(from_a(sdp(A, ""))));
    assert_eq!(again.lines("a=fingerprint"), before.lines("a=fingerprint"));
    let other = rig.offer(Signal { call_id: "d".into(), ..handshaking(from_a(sdp(A, ""))) });
    assert_eq!(other.lines("a=fingerprint"), [format!("a=fingerprint:{}", named(2))]);
}

#[test]
fn what_cannot_be_agreed_is_refused_by_name_and_leaves_the_call_as_it_was() {
    let text = |lines: &str| [keyed(A, DTLS, &[]), lines.as_bytes().to_vec()].concat();
    let good = format!("a=fingerprint:{}\r\n", named(1));
    for (lines, error) in [
        ("a=setup:actpass\r\n".to_owned(), "Not supported: UDP/TLS/RTP/SAVP without an a=fingerprint"),
        (
            "a=fingerprint:sha-256 AB\r\n".to_owned(),
            "Not supported: a=fingerprint: a sha-256 fingerprint has 32 bytes",
        ),
        (
            "a=fingerprint:md5 AB\r\n".to_owned(),
            "Not supported: a=fingerprint: hash function of the fingerprint is not supported",
        ),
        (
            format!("{good}a=setup:both\r\n"),
            "Not supported: a=setup: setup is none of active, passive, actpass, holdconn",
        ),
        (
            format!("{good}a=setup:holdconn\r\n"),
            "Not supported: a=setup:holdconn, which keys of SRTP cannot wait for (RFC 5763 §5)",
        ),
    ] {
        assert_eq!(rig().offer(plain(from_a(text(&lines)))).error(), error);
    }
    let off = Dtls { off: true, ..Dtls::default() };
    let refused = rig().offer(Signal { dtls: off, ..handshaking(from_a(sdp(A, ""))) });
    assert_eq!(refused.error(), "Not supported: DTLS=off with transport-protocol=UDP/TLS/RTP/SAVP");
    let keyless = ng::Sdes { off: true, ..ng::Sdes::default() };
    let alone = rig().offer(Signal { sdes: keyless.clone(), ..secure(from_a(sdp(A, ""))) });
    assert_eq!((crypto(&alone).len(), alone.lines("a=setup").len()), (0, 1), "a handshake does alone");
    let refused = rig().offer(Signal { sdes: keyless, dtls: off, ..secure(from_a(sdp(A, ""))) });
    assert_eq!(refused.error(), "Not supported: SDES=off with transport-protocol=RTP/SAVP");
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    for setup in ["actpass", "holdconn"] {
        assert!(rig.answer(to_b(described(B, DTLS, 1, setup))).error().contains("a=setup"));
    }
    let answer = rig.answer(to_b(described(B, DTLS, 1, "active")));
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut b, offer.port());
    talk(&mut rig, &mut b, [offer.port(), answer.port()], 1);
    let mut rig = self::rig();
    rig.offer(from_a(sdp(A, "")));
    let unasked = rig.answer(to_b(described(B, "RTP/AVP", 1, "active")));
    assert_eq!(unasked.error(), "The answer has a=fingerprint (DTLS), which was not offered");
    // Without a certificate there are none at all.
    let refused = Rig::new().offer(handshaking(from_a(sdp(A, ""))));
    assert_eq!(refused.error(), "Not supported: transport-protocol=UDP/TLS/RTP/SAVP");
    let refused = Rig::new().offer(plain(from_a(described(A, DTLS, 1, "actpass"))));
    assert_eq!(refused.error(), "Not supported: SDP profile UDP/TLS/RTP/SAVP");
}

/// A profile from and to which is translated, and what of keys belongs to it.
#[test]
fn every_pair_of_profiles_is_translated() {
    use TransportProtocol as To;
    let suite = Suite::AesCm128HmacSha1_80;
    let profiles =
        [To::RtpAvp, To::RtpAvpf, To::RtpSavp, To::RtpSavpf, To::UdpTlsRtpSavp, To::UdpTlsRtpSavpf];
    let describe = |at: &str, of: usize, setup: &str, wanted: To, tag: u32| match wanted {
        To::UdpTlsRtpSavp | To::UdpTlsRtpSavpf => described(at, wanted.as_str(), of, setup),
        To::RtpSavp | To::RtpSavpf => keyed(at, wanted.as_str(), &[&line(tag, suite, 0xb)]),
        _ => keyed(at, wanted.as_str(), &[]),
    };
    for from in profiles {
        for to in profiles {
            let mut rig = rig();
            let offer = rig.offer(asking(from_a(describe(A, 1, "actpass", from, 1)), to));
            assert_eq!(profile(&offer), to.as_str());
            let keys = crypto(&offer);
            let tag = keys.iter().find(|line| line.suite == suite.name()).map_or(1, |line| line.tag);
            let answer = rig.answer(to_b(describe(B, 2, "active", to, tag)));
            assert_eq!(profile(&answer), from.as_str());
            let by_handshake = |profile: To| profile.as_str().starts_with("UDP/TLS");
            assert_eq!(answer.lines("a=setup").len(), usize::from(by_handshake(from)), "{from:?} to {to:?}");
            let mut parties = [(A, answer.port(), from), (B, offer.port(), to)].map(|(at, port, profile)| {
                let (of, role, shown) =
                    if at == A { (1, Role::Server, &answer) } else { (2, Role::Client, &offer) };
                let mut peer =
                    by_handshake(profile).then(|| Peer::new(&rig, at, of, role, Provider::OpenSsl, shown));
                if let Some(peer) = &mut peer {
                    shake(&mut rig, peer, port);
                }
                let is_keyed = matches!(profile, To::RtpSavp | To::RtpSavpf);
                let keyed = is_keyed.then(|| super::srtp::Keyed::new(suite, 0xb, shown));
                (at, port, peer, keyed)
            });
            for (sender, hearer) in [(0, 1), (1, 0)] {
                let (at, port, peer, keyed) = &mut parties[sender];
                let packet = match (peer, keyed) {
                    (Some(peer), _) => peer.protect(&rtp(7)),
                    (_, Some(keyed)) => keyed.protect(&rtp(7)),
                    _ => rtp(7),
                };
                let (_, packet) = relay(&mut rig, at, *port, &packet).unwrap();
                let (.., peer, keyed) = &mut parties[hearer];
                let heard = match (peer, keyed) {
                    (Some(peer), _) => peer.unprotect(packet),
                    (_, Some(keyed)) => keyed.unprotect(packet),
                    _ => packet,
                };
                assert_eq!(heard, rtp(7), "{from:?} to {to:?}");
            }
        }
    }
}
