//! Handshakes with parties: what each side is shown, whose datagrams are heard, what is encrypted afterwards.

use std::sync::OnceLock;

use ng::{EventKind, HandshakeOutcome, TransportProtocol};
use rtp::{
    dtls::{
        Association, DATAGRAM_BYTES_MAX, Event, Fingerprint, Fingerprints, HashFunction, Identity, Provider,
        Providers, Role, Terms,
    },
    ice::STUN_BYTES_MAX,
    srtp::{Inbound, Outbound, Policy, Suite},
};

use super::{
    ice::Phone,
    srtp::{RTCP, crypto, is_rtcp, keyed, line, plain, profile, relay, rtp},
    *,
};

pub(super) const DTLS: &str = "UDP/TLS/RTP/SAVP";
const A_RTCP: &str = "198.51.100.1:4001";
const B_RTCP: &str = "198.51.100.2:5001";
const STRANGER: &str = "203.0.113.66:9";

/// Certificates: ours, those of two parties, and one that nobody names.
pub(super) fn certificate(of: usize) -> &'static Providers {
    static ALL: [OnceLock<Providers>; 4] = [const { OnceLock::new() }; 4];
    ALL[of].get_or_init(|| {
        Providers::new(Identity::generate().unwrap(), std::time::Instant::now()).expect("both libraries")
    })
}

pub(super) fn named(of: usize) -> Fingerprint {
    certificate(of).identity().fingerprint()
}

pub(super) fn rig() -> Rig {
    Rig::with(|config| config.providers = Some(certificate(0).clone()))
}

/// A description of whoever has this certificate.
pub(super) fn described(at: &str, profile: &str, of: usize, setup: &str) -> Vec<u8> {
    let lines = format!("a=setup:{setup}\r\na=fingerprint:{}\r\n", named(of));
    [keyed(at, profile, &[]), lines.into_bytes()].concat()
}

pub(super) fn asking(signal: Signal, protocol: TransportProtocol) -> Signal {
    Signal { transport_protocol: Some(protocol), ..signal }
}

pub(super) fn handshaking(signal: Signal) -> Signal {
    asking(signal, TransportProtocol::UdpTlsRtpSavp)
}

/// One end of a handshake that is not ours.
pub(super) struct Peer {
    at: &'static str,
    association: Association,
    keys: Option<(Suite, Outbound, Inbound)>,
}

impl Peer {
    /// Whoever has the certificate `of`; `shown` is what it was told of ours.
    pub(super) fn new(
        rig: &Rig,
        at: &'static str,
        of: usize,
        role: Role,
        provider: Provider,
        shown: &Shown,
    ) -> Self {
        let values = shown.lines("a=fingerprint:").into_iter().map(|line| &line["a=fingerprint:".len()..]);
        let expected = Fingerprints::parse(values).expect("ours was shown");
        let terms = Terms { provider, role, expected: Some(&expected), suites: &Suite::ALL, seed: [7; 32] };
        let now = Instant::from_millis(rig.now_ms);
        let association = Association::new(certificate(of), terms, now).unwrap();
        Self { at, association, keys: None }
    }

    /// What it wants to send.
    fn flight(&mut self) -> Vec<Vec<u8>> {
        let mut room = [0; DATAGRAM_BYTES_MAX];
        std::iter::from_fn(|| self.association.poll_transmit(&mut room).map(|length| room[..length].to_vec()))
            .collect()
    }

    fn hear(&mut self, rig: &Rig, datagram: &[u8]) {
        let _ = self.association.handle_datagram(Instant::from_millis(rig.now_ms), datagram);
        while let Some(event) = self.association.poll_event() {
            if let Event::Connected(connected) = event {
                let keys = connected.keys;
                let [ours, theirs] = [keys.local, keys.remote].map(|key| Policy::new(keys.suite, key));
                self.keys = Some((keys.suite, Outbound::new(&ours).unwrap(), Inbound::new(&theirs).unwrap()));
            }
        }
    }

    pub(super) fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let (_, sends, _) = self.keys.as_mut().expect("the handshake is done");
        let mut buffer = [packet, &[0; 64]].concat();
        let length = if is_rtcp(packet) {
            sends.protect_rtcp(&mut buffer, packet.len())
        } else {
            sends.protect_rtp(&mut buffer, packet.len())
        };
        buffer.truncate(length.unwrap());
        buffer
    }

    pub(super) fn unprotect(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let (_, _, hears) = self.keys.as_mut().expect("the handshake is done");
        let length = if is_rtcp(&packet) {
            hears.unprotect_rtcp(&mut packet)
        } else {
            hears.unprotect_rtp(&mut packet)
        };
        packet.truncate(length.expect("it is for this peer"));
        packet
    }
}

/// A datagram from a party to one of our ports.
fn arrive(rig: &mut Rig, from: &str, to_port: u16, datagram: &[u8]) {
    assert_eq!(rig.packet(from, to_port, datagram), None, "DTLS is relayed to nobody");
}

/// What we sent to somebody since this was asked last.
fn sent_to(rig: &mut Rig, at: &str) -> Vec<Vec<u8>> {
    let at: SocketAddr = at.parse().unwrap();
    let (his, others) = std::mem::take(&mut rig.copies).into_iter().partition(|(_, to, _)| *to == at);
    rig.copies = others;
    let his: Vec<(SocketAddr, SocketAddr, Vec<u8>)> = his;
    his.into_iter().map(|(_, _, datagram)| datagram).collect()
}

/// Datagrams go to and fro until neither side has one left.
pub(super) fn shake(rig: &mut Rig, peer: &mut Peer, port: u16) {
    loop {
        let (to_us, to_peer) = (peer.flight(), sent_to(rig, peer.at));
        if to_us.is_empty() && to_peer.is_empty() {
            return;
        }
        to_us.iter().for_each(|datagram| arrive(rig, peer.at, port, datagram));
        to_peer.iter().for_each(|datagram| peer.hear(rig, datagram));
    }
}

/// What became of handshakes: which party's, of RTCP, and how.
fn outcomes(rig: &mut Rig) -> Vec<(String, bool, HandshakeOutcome, String)> {
    let events = std::mem::take(&mut rig.events).into_iter();
    let told = events.filter_map(|event| match event.kind {
        EventKind::Handshake { tag, rtcp, outcome, detail, .. } => Some((tag, rtcp, outcome, detail)),
        _ => None,
    });
    told.collect()
}

/// Suite and flags of a party's section.
pub(super) fn queried(rig: &mut Rig, tag: &str) -> (Option<String>, Vec<String>) {
    match rig.query("c") {
        Reply::Report(report) => {
            let party = report.tags.iter().find(|party| party.tag == tag).expect("the party");
            let media = &party.medias[0];
            let flags = media.flags.iter().map(ToString::to_string).collect();
            (media.streams[0].crypto_suite.clone(), flags)
        }
        other => panic!("{other:?}"),
    }
}

/// A in clear; B does as it answers. The rig, B with keys, and the ports that B and A see.
fn trunk(setup: &str, provider: Provider) -> (Rig, Peer, u16, u16) {
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(described(B, DTLS, 1, setup)));
    let role = if setup == "active" { Role::Client } else { Role::Server };
    let mut b = Peer::new(&rig, B, 1, role, provider, &offer);
    shake(&mut rig, &mut b, offer.port());
    (rig, b, offer.port(), answer.port())
}

/// One packet each way between a plain party and one with keys.
pub(super) fn talk(rig: &mut Rig, b: &mut Peer, [toward_b, toward_a]: [u16; 2], seq: u16) {
    let (to, protected) = relay(rig, A, toward_a, &rtp(seq)).expect("A is heard");
    assert_eq!(to, b.at.parse().unwrap());
    assert_ne!(protected, rtp(seq));
    assert_eq!(b.unprotect(protected), rtp(seq));
    let packet = b.protect(&rtp(seq));
    assert_eq!(relay(rig, b.at, toward_b, &packet), Some((A.parse().unwrap(), rtp(seq))));
}

#[test]
fn a_plain_caller_reaches_a_party_by_a_handshake_in_either_role_and_with_either_library() {
    for (setup, provider) in [
        ("active", Provider::OpenSsl),
        ("active", Provider::Dimpl),
        ("passive", Provider::OpenSsl),
        ("passive", Provider::Dimpl),
    ] {
        let (mut rig, mut b, toward_b, toward_a) = trunk(setup, provider);
        talk(&mut rig, &mut b, [toward_b, toward_a], 1);
        // RTCP has a port of its own, and so a handshake of its own (RFC 5764 §4.1).
        assert_eq!(relay(&mut rig, A_RTCP, toward_a + 1, RTCP), None, "{setup}");
        assert_eq!(rig.drops(DropReason::NoKeys), 1);
        let role = b.association.role();
        let shown = rig.offer(from_a(sdp(A, "")));
        let mut rtcp = Peer::new(&rig, B_RTCP, 1, role, provider, &shown);
        shake(&mut rig, &mut rtcp, toward_b + 1);
        let (to, protected) = relay(&mut rig, A_RTCP, toward_a + 1, RTCP).expect("keys are there");
        assert_eq!((to, rtcp.unprotect(protected)), (B_RTCP.parse().unwrap(), RTCP.to_vec()));
        let packet = rtcp.protect(RTCP);
        assert_eq!(relay(&mut rig, B_RTCP, toward_b + 1, &packet).unwrap().1, RTCP);
        let ours = if setup == "active" { "DTLS role passive" } else { "DTLS role active" };
        let (suite, flags) = queried(&mut rig, "B");
        assert_eq!(suite.as_deref(), Some("AEAD_AES_256_GCM"));
        assert!(flags.contains(&ours.to_owned()) && !flags.contains(&"SDES".to_owned()), "{flags:?}");
        let told: Vec<_> =
            outcomes(&mut rig).into_iter().map(|(tag, rtcp, how, _)| (tag, rtcp, how)).collect();
        let done = |rtcp| ("B".to_owned(), rtcp, HandshakeOutcome::Connected);
        assert_eq!(told, [done(false), done(true)]);
        rig.delete(at_once("c"));
        rig.assert_clean();
    }
}

#[test]
fn between_keys_of_a_description_and_a_handshake_is_translated_both_ways() {
    use super::srtp::Keyed;
    let suite = Suite::AesCm128HmacSha1_80;
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(keyed(A, "RTP/SAVP", &[&line(1, suite, 0xa)]))));
    let answer = rig.answer(to_b(described(B, DTLS, 1, "active")));
    assert_eq!((profile(&answer), crypto(&answer).len()), ("RTP/SAVP", 1));
    let mut a = Keyed::new(suite, 0xa, &answer);
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut b, offer.port());
    for seq in 1..4 {
        let (_, packet) = relay(&mut rig, A, answer.port(), &a.protect(&rtp(seq))).unwrap();
        assert_eq!(b.unprotect(packet), rtp(seq));
        let packet = b.protect(&rtp(seq));
        let (_, packet) = relay(&mut rig, B, offer.port(), &packet).unwrap();
        assert_eq!(a.unprotect(packet), rtp(seq));
    }
}

#[test]
fn two_parties_with_handshakes_have_one_each_with_us_over_one_port_for_rtcp_too() {
    let mut rig = rig();
    let mux = |text: Vec<u8>| [text, b"a=rtcp-mux\r\n".to_vec()].concat();
    let offer = rig.offer(from_a(mux(described(A, DTLS, 1, "actpass"))));
    let answer = rig.answer(to_b(mux(described(B, DTLS, 2, "active"))));
    assert_eq!(answer.lines("a=setup"), ["a=setup:active"]);
    assert_eq!(offer.lines("a=fingerprint"), answer.lines("a=fingerprint"), "one certificate on every leg");
    let mut a = Peer::new(&rig, A, 1, Role::Server, Provider::OpenSsl, &answer);
    let mut b = Peer::new(&rig, B, 2, Role::Client, Provider::Dimpl, &offer);
    shake(&mut rig, &mut a, answer.port());
    shake(&mut rig, &mut b, offer.port());
    for packet in [rtp(1), RTCP.to_vec(), rtp(2)] {
        let protected = a.protect(&packet);
        let (_, protected) = relay(&mut rig, A, answer.port(), &protected).unwrap();
        assert_eq!(b.unprotect(protected), packet);
        let protected = b.protect(&packet);
        let (_, protected) = relay(&mut rig, B, offer.port(), &protected).unwrap();
        assert_eq!(a.unprotect(protected), packet);
    }
    assert_eq!(rig.shard.counters().handshakes_begun, 2);
}

#[test]
fn what_comes_before_the_keys_is_dropped_and_the_library_goes_with_the_first_authentic_packet() {
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(described(B, DTLS, 1, "active")));
    assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)), None);
    assert_eq!(relay(&mut rig, B, offer.port(), &rtp(1)), None);
    assert_eq!(rig.drops(DropReason::NoKeys), 2, "nothing goes in clear");
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut b, offer.port());
    let deadline = |rig: &Rig| {
        let call = rig.shard.calls.iter().next().unwrap().1;
        let half = call.parties().nth(1).unwrap().1.medias[0].rtp;
        rig.shard.paths[half].handshake.as_ref().unwrap().next_deadline()
    };
    assert!(deadline(&rig).is_some(), "the last flight may be asked for once more");
    talk(&mut rig, &mut b, [offer.port(), answer.port()], 2);
    assert_eq!(deadline(&rig), None);
    let late = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 7];
    arrive(&mut rig, B, offer.port(), &late);
    assert_eq!(rig.drops(DropReason::HandshakeOver), 1);
}

#[test]
fn a_certificate_that_is_not_the_named_one_gives_no_keys_and_keeps_nobody_out() {
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(described(B, DTLS, 1, "active")));
    for round in 1..4 {
        let mut wrong = Peer::new(&rig, B, 3, Role::Client, Provider::OpenSsl, &offer);
        shake(&mut rig, &mut wrong, offer.port());
        assert_eq!(rig.shard.counters().handshakes_failed, round);
        if let Some((_, sends, _)) = &mut wrong.keys {
            let mut packet = [rtp(1), vec![0; 32]].concat();
            let length = sends.protect_rtp(&mut packet, 172).unwrap();
            assert_eq!(relay(&mut rig, B, offer.port(), &packet[..length]), None);
        }
        assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)), None, "nothing is sent under its keys");
    }
    let told = outcomes(&mut rig);
    assert_eq!(told[0].3, "the peer's certificate is not the one of its description");
    assert!(told.iter().all(|(tag, _, outcome, _)| tag == "B" && *outcome == HandshakeOutcome::Failed));
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut b, offer.port());
    talk(&mut rig, &mut b, [offer.port(), answer.port()], 2);
}

#[test]
fn where_we_begin_a_wrong_certificate_ends_the_handshake_until_the_next_answer() {
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(described(B, DTLS, 1, "passive")));
    let mut wrong = Peer::new(&rig, B, 3, Role::Server, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut wrong, offer.port());
    assert_eq!(outcomes(&mut rig).len(), 1);
    assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)), None);
    rig.answer(to_b(described(B, DTLS, 1, "passive")));
    let mut b = Peer::new(&rig, B, 1, Role::Server, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut b, offer.port());
    talk(&mut rig, &mut b, [offer.port(), answer.port()], 2);
}

#[test]
fn hellos_of_strangers_are_heard_by_nobody_and_bad_ones_of_the_party_disturb_nothing() {
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let toward_a = rig.answer(to_b(described(B, DTLS, 1, "active"))).port();
    let flood = |rig: &mut Rig| {
        let before = rig.drops(DropReason::UnknownSource);
        let provider = [Provider::OpenSsl, Provider::Dimpl];
        for hello in provider.map(|one| Peer::new(rig, B, 3, Role::Client, one, &offer).flight().remove(0)) {
            for port in 1..200_u16 {
                arrive(rig, &format!("203.0.113.66:{port}"), offer.port(), &hello);
            }
        }
        assert_eq!(rig.drops(DropReason::UnknownSource), before + 398);
        assert!(
            rig.copies.iter().all(|(_, to, _)| to.ip().to_string() != "203.0.113.66"),
            "nothing is answered"
        );
    };
    flood(&mut rig);
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    let hello = b.flight().remove(0);
    let torn: Vec<Vec<u8>> = (1..hello.len()).map(|end| hello[..end].to_vec()).collect();
    let mut bent = hello.clone();
    bent[40] ^= 0xff;
    for bad in torn.iter().chain([&bent, &vec![22; 300], &vec![63]]) {
        arrive(&mut rig, B, offer.port(), bad);
    }
    assert!(rig.drops(DropReason::NotDtls) >= 100);
    // Another one's hello may wait for its answer no longer than this.
    rig.now_ms += 1_001;
    arrive(&mut rig, B, offer.port(), &hello);
    shake(&mut rig, &mut b, offer.port());
    talk(&mut rig, &mut b, [offer.port(), toward_a], 1);
    flood(&mut rig);
    arrive(&mut rig, B, offer.port(), &hello);
    assert_eq!(relay(&mut rig, STRANGER, offer.port(), &rtp(3)), None);
    talk(&mut rig, &mut b, [offer.port(), toward_a], 4);
    assert!(rig.offenders("c").iter().any(|one| one.address.ip().to_string() == "203.0.113.66"));
}

#[test]
fn hold_keeps_the_keys_and_another_certificate_name_or_role_asks_for_a_new_handshake() {
    let (mut rig, mut b, toward_b, toward_a) = trunk("active", Provider::OpenSsl);
    let ports = [toward_b, toward_a];
    talk(&mut rig, &mut b, ports, 1);
    for more in ["a=sendonly\r\n", ""] {
        rig.offer(from_a(sdp(A, more)));
        rig.answer(to_b(described(B, DTLS, 1, "active")));
    }
    talk(&mut rig, &mut b, ports, 2);
    // The callee offers: it keeps its role.
    let offer =
        Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..from_a(described(B, DTLS, 1, "actpass")) };
    rig.offer(offer.clone());
    let answering = |rig: &mut Rig| rig.answer(Signal { sdp: sdp(A, ""), ..offer.clone() });
    assert_eq!(answering(&mut rig).lines("a=setup"), ["a=setup:passive"]);
    talk(&mut rig, &mut b, ports, 3);
    assert_eq!(rig.shard.counters().handshakes_begun, 2);

    let name =
        |id: &str| [described(B, DTLS, 1, "active"), format!("a=tls-id:{id}\r\n").into_bytes()].concat();
    let mut seq = 10;
    for (answer, of, role) in [
        (described(B, DTLS, 2, "active"), 2, Role::Client),
        (described(B, DTLS, 1, "active"), 1, Role::Client),
        (described(B, DTLS, 1, "passive"), 1, Role::Server),
        (name("0123456789012345678901"), 1, Role::Client),
        (name("1123456789012345678901"), 1, Role::Client),
    ] {
        let offer = rig.offer(from_a(sdp(A, "")));
        talk(&mut rig, &mut b, ports, seq);
        rig.answer(to_b(answer));
        assert_eq!(relay(&mut rig, A, toward_a, &rtp(9)), None, "the keys were for another one");
        b = Peer::new(&rig, B, of, role, Provider::OpenSsl, &offer);
        shake(&mut rig, &mut b, toward_b);
        talk(&mut rig, &mut b, ports, seq + 1);
        seq += 2;
    }
}

#[test]
fn a_party_may_go_back_to_plain_or_to_keys_of_its_description() {
    let (mut rig, mut b, toward_b, toward_a) = trunk("active", Provider::OpenSsl);
    talk(&mut rig, &mut b, [toward_b, toward_a], 1);
    let offer = rig.offer(from_a(sdp(A, "")));
    let tag = crypto(&offer).iter().find(|line| line.suite == "AEAD_AES_128_GCM").unwrap().tag;
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(tag, Suite::AeadAes128Gcm, 0xb)])));
    let mut keyed = super::srtp::Keyed::new(Suite::AeadAes128Gcm, 0xb, &offer);
    let (_, packet) = relay(&mut rig, A, toward_a, &rtp(2)).unwrap();
    assert_eq!(keyed.unprotect(packet), rtp(2));
    rig.offer(plain(from_a(sdp(A, ""))));
    rig.answer(to_b(sdp(B, "")));
    assert_eq!(relay(&mut rig, A, toward_a, &rtp(3)), Some((B.parse().unwrap(), rtp(3))));
}

#[test]
fn the_end_of_an_association_is_told_and_ends_no_call() {
    let (mut rig, mut b, toward_b, toward_a) = trunk("active", Provider::OpenSsl);
    outcomes(&mut rig);
    b.association.close();
    b.flight().iter().for_each(|datagram| arrive(&mut rig, B, toward_b, datagram));
    let told: Vec<_> = outcomes(&mut rig).into_iter().map(|(_, _, outcome, _)| outcome).collect();
    assert_eq!(told, [HandshakeOutcome::Closed]);
    talk(&mut rig, &mut b, [toward_b, toward_a], 1);
}

#[test]
fn lost_flights_are_sent_again_by_the_calls_deadline() {
    // As a browser describes itself: the library whose time is ours makes the handshake.
    let browser = [
        described(B, "UDP/TLS/RTP/SAVPF", 1, "passive"),
        b"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n".to_vec(),
    ];
    let mut rig = rig();
    let offer = rig.offer(asking(from_a(sdp(A, "")), TransportProtocol::UdpTlsRtpSavpf));
    let answer = rig.answer(Signal { ice: Some(ng::Ice::Remove), ..to_b(browser.concat()) });
    assert_eq!(sent_to(&mut rig, B).len(), 1);
    rig.pass(500);
    assert_eq!(sent_to(&mut rig, B).len(), 1, "it was lost");
    rig.pass(1_000);
    let mut b = Peer::new(&rig, B, 1, Role::Server, Provider::Dimpl, &offer);
    shake(&mut rig, &mut b, offer.port());
    talk(&mut rig, &mut b, [offer.port(), answer.port()], 1);
    // And where nobody answers, it is given up, and told.
    let mut rig = self::rig();
    rig.offer(asking(from_a(sdp(A, "")), TransportProtocol::UdpTlsRtpSavpf));
    rig.answer(Signal { ice: Some(ng::Ice::Remove), ..to_b(browser.concat()) });
    rig.pass(31_000);
    assert!(outcomes(&mut rig).iter().any(|(_, _, outcome, _)| *outcome == HandshakeOutcome::Failed));
    assert_eq!(rig.calls(), ["c"]);
}

/// Checks and flights go to and fro between us and a party that is like a browser, for so long.
fn meet(rig: &mut Rig, phone: &mut Phone, peer: &mut Peer, port: u16, ms: u64) {
    for _step in 0..ms / 10 {
        rig.pass(10);
        let now = Instant::from_millis(rig.now_ms);
        let (at, agent) = &mut phone.agents[0];
        for (from, to, datagram) in std::mem::take(&mut rig.copies) {
            assert_eq!(to, *at, "nobody else is sent to");
            match datagram[0] {
                0..4 => agent.handle_datagram(now, *at, from, &datagram).expect("our checks are authentic"),
                _ => peer.hear(rig, &datagram),
            }
        }
        agent.handle_timeout(now);
        while agent.poll_event().is_some() {}
        let mut room = [0; STUN_BYTES_MAX];
        while let Some(transmit) = agent.poll_transmit(&mut room) {
            rig.packet(peer.at, port, &room[..transmit.bytes]);
        }
        peer.association.handle_timeout(now);
        peer.flight().iter().for_each(|datagram| arrive(rig, peer.at, port, datagram));
    }
}

#[test]
fn where_ice_is_spoken_a_handshake_waits_for_what_it_validates() {
    for (setup, role) in [("active", Role::Client), ("passive", Role::Server)] {
        let mut rig = rig();
        let browser = asking(from_a(sdp(A, "")), TransportProtocol::UdpTlsRtpSavpf);
        let rtcp_mux = ng::RtcpMux { offer: true, require: true, ..ng::RtcpMux::default() };
        let offer = rig.offer(Signal { ice: Some(ng::Ice::Force), rtcp_mux, ..browser });
        let mut phone = Phone::new(&rig, &[B], 2, false);
        phone.hear(&offer);
        let more = format!("a=rtcp-mux\r\n{}", phone.lines()).into_bytes();
        let answer = rig.answer(to_b([described(B, "UDP/TLS/RTP/SAVPF", 1, setup), more].concat()));
        let mut b = Peer::new(&rig, B, 1, role, Provider::Dimpl, &offer);
        assert!(
            std::mem::take(&mut rig.copies).iter().all(|(_, _, datagram)| datagram[0] < 4),
            "nothing is validated"
        );
        // That its description names the address is not enough.
        let before = rig.drops(DropReason::UnknownSource);
        let early = b.flight();
        early.iter().for_each(|datagram| arrive(&mut rig, B, offer.port(), datagram));
        assert_eq!(rig.drops(DropReason::UnknownSource), before + early.len() as u64);
        meet(&mut rig, &mut phone, &mut b, offer.port(), 300);
        if role == Role::Client {
            // Its first flight was lost above, and comes again.
            meet(&mut rig, &mut phone, &mut b, offer.port(), 1_500);
        }
        talk(&mut rig, &mut b, [offer.port(), answer.port()], 1);
        let strangers = rig.drops(DropReason::UnknownSource);
        let hello = Peer::new(&rig, B, 3, Role::Client, Provider::Dimpl, &offer).flight().remove(0);
        arrive(&mut rig, "198.51.100.2:5004", offer.port(), &hello);
        assert_eq!(rig.drops(DropReason::UnknownSource), strangers + 1, "nor is the host");
    }
}

#[test]
fn what_is_forged_or_replayed_under_keys_of_a_handshake_teaches_nothing() {
    let (mut rig, mut b, toward_b, toward_a) = trunk("active", Provider::OpenSsl);
    let genuine = b.protect(&rtp(1));
    assert!(relay(&mut rig, B, toward_b, &genuine).is_some());
    let mut forged = b.protect(&rtp(2));
    forged[60] ^= 1;
    for (packet, reason) in [
        (genuine, DropReason::Replayed),
        (forged, DropReason::Unauthentic),
        (rtp(3), DropReason::Unauthentic),
    ] {
        let before = rig.drops(reason);
        assert_eq!(relay(&mut rig, B, toward_b, &packet), None);
        assert_eq!(rig.drops(reason), before + 1, "{reason:?}");
    }
    talk(&mut rig, &mut b, [toward_b, toward_a], 4);
}

#[test]
fn a_call_moves_to_another_shard_in_the_middle_of_a_handshake() {
    let shard = |number| {
        Rig::with(|config| {
            config.ports = PortRange { min: 20_000, max: 20_399, shard: number, shards: 2, seed: 7 };
            config.providers = Some(certificate(0).clone());
        })
    };
    let [mut rig, mut other] = [0, 1].map(shard);
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(described(B, DTLS, 1, "active")));
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    // A hello, a challenge, and the hello that answers it: ours is the next flight.
    for _round in 0..2 {
        b.flight().iter().for_each(|datagram| arrive(&mut rig, B, offer.port(), datagram));
        sent_to(&mut rig, B).iter().for_each(|datagram| b.hear(&rig, datagram));
    }
    assert!(b.keys.is_none());
    other.offer(Signal { call_id: "d".into(), from_tag: "C".into(), ..from_a(sdp("198.51.100.3:6000", "")) });
    super::moving::carry(&mut rig, &mut other, "c", "d");
    shake(&mut other, &mut b, offer.port());
    talk(&mut other, &mut b, [offer.port(), answer.port()], 1);
}

#[test]
fn a_fork_that_answers_has_a_handshake_of_its_own() {
    const B2: &str = "198.51.100.3:6000";
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let toward_a = rig.answer(to_b(described(B, DTLS, 1, "active"))).port();
    rig.answer(Signal { to_tag: Some("B2".into()), ..from_a(described(B2, DTLS, 2, "active")) });
    let mut first = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    let mut second = Peer::new(&rig, B2, 2, Role::Client, Provider::Dimpl, &offer);
    shake(&mut rig, &mut first, offer.port());
    shake(&mut rig, &mut second, offer.port());
    for peer in [&mut first, &mut second] {
        let packet = peer.protect(&rtp(1));
        assert_eq!(relay(&mut rig, peer.at, offer.port(), &packet).unwrap().1, rtp(1));
    }
    assert!(relay(&mut rig, A, toward_a, &rtp(1)).is_some());
}

#[test]
fn a_party_behind_a_nat_begins_and_its_certificate_says_where_it_is() {
    const NAT: &str = "203.0.113.77:6000";
    let hidden = "10.0.0.7:4000";
    for source in [None, Some("203.0.113.77".parse().unwrap())] {
        let mut rig = Rig::with(|config| {
            config.interfaces = Interfaces::new(vec!["203.0.113.9".parse().unwrap()]).unwrap();
            config.providers = Some(certificate(0).clone());
        });
        let offer = plain(from_a(described(hidden, DTLS, 1, "actpass")));
        let toward_b = rig.offer(Signal { received_from: source, ..offer }).port();
        let answer = rig.answer(to_b(sdp(B, "")));
        assert_eq!(answer.lines("a=setup"), ["a=setup:passive"], "nobody knows where to begin");
        // A stranger whose certificate nobody names fails, and is forgotten.
        let mut stranger = Peer::new(&rig, STRANGER, 3, Role::Client, Provider::OpenSsl, &answer);
        shake(&mut rig, &mut stranger, answer.port());
        assert_eq!(rig.shard.counters().handshakes_failed, u64::from(source.is_none()));
        let mut a = Peer::new(&rig, NAT, 1, Role::Client, Provider::OpenSsl, &answer);
        shake(&mut rig, &mut a, answer.port());
        let (to, packet) = relay(&mut rig, B, toward_b, &rtp(1)).expect("it is known where it is");
        assert_eq!((to, a.unprotect(packet)), (NAT.parse().unwrap(), rtp(1)));
        let packet = a.protect(&rtp(1));
        assert_eq!(relay(&mut rig, NAT, answer.port(), &packet).unwrap().1, rtp(1));
        let mut late = Peer::new(&rig, STRANGER, 3, Role::Client, Provider::OpenSsl, &answer);
        shake(&mut rig, &mut late, answer.port());
        assert_eq!(rig.shard.counters().handshakes_failed, u64::from(source.is_none()), "it is known now");
    }
}

#[test]
fn subscribers_and_publishers_may_have_handshakes() {
    let mut rig = rig();
    let publish = ng::Publish {
        signal: Box::new(Signal { from_tag: "P".into(), ..from_a(described(A, DTLS, 1, "actpass")) }),
        accept: Vec::new(),
    };
    let answer = Shown::of(rig.command(Command::Publish(publish)));
    assert_eq!((profile(&answer), answer.lines("a=setup")), (DTLS, vec!["a=setup:active"]));
    let mut p = Peer::new(&rig, A, 1, Role::Server, Provider::OpenSsl, &answer);
    shake(&mut rig, &mut p, answer.port());
    let signal = Signal { from_tag: "P".into(), to_tag: Some("S".into()), ..handshaking(from_a(Vec::new())) };
    let selector = ng::Selector { from_tag: Some("P".into()), ..ng::Selector::default() };
    let request = ng::SubscribeRequest { signal: Box::new(signal), selector, from_tags: Vec::new() };
    let offer = Shown::of(rig.command(Command::SubscribeRequest(Box::new(request))));
    assert_eq!((profile(&offer), offer.lines("a=setup")), (DTLS, vec!["a=setup:actpass"]));
    let signal = Signal { to_tag: Some("S".into()), ..from_a(described(B, DTLS, 2, "active")) };
    let answer_of_s = ng::SubscribeAnswer { signal: Box::new(signal), allow_transcoding: false };
    assert_eq!(rig.command(Command::SubscribeAnswer(answer_of_s)), Reply::Ok { warning: None });
    let mut s = Peer::new(&rig, B, 2, Role::Client, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut s, offer.port());
    let packet = p.protect(&rtp(1));
    let (_, heard) = relay(&mut rig, A, answer.port(), &packet).unwrap();
    assert_eq!(s.unprotect(heard), rtp(1));
}

#[test]
fn fingerprints_of_every_hash_are_read_at_both_levels_and_the_strongest_counts() {
    let der = certificate(1).identity().certificate();
    let weak = Fingerprint::of(HashFunction::Sha1, der);
    let foreign = "a=fingerprint:md5 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n";
    let other = Fingerprint::of(HashFunction::Sha512, certificate(3).identity().certificate());
    for hash in HashFunction::ALL {
        let fingerprint = Fingerprint::of(hash, der);
        for session in [false, true] {
            let lines =
                format!("{foreign}a=fingerprint:{fingerprint}\r\na=fingerprint:{weak}\r\na=setup:active\r\n");
            let text = String::from_utf8(keyed(B, DTLS, &[])).unwrap();
            let text =
                if session { text.replace("t=0 0\r\n", &format!("t=0 0\r\n{lines}")) } else { text + &lines };
            let mut rig = rig();
            let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
            let answer = rig.answer(to_b(text.into_bytes()));
            let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
            shake(&mut rig, &mut b, offer.port());
            talk(&mut rig, &mut b, [offer.port(), answer.port()], 1);
        }
    }
    let mut rig = rig();
    let offer = rig.offer(handshaking(from_a(sdp(A, ""))));
    let mixed = [described(B, DTLS, 1, "active"), format!("a=fingerprint:{other}\r\n").into_bytes()].concat();
    rig.answer(to_b(mixed));
    let mut b = Peer::new(&rig, B, 1, Role::Client, Provider::OpenSsl, &offer);
    shake(&mut rig, &mut b, offer.port());
    assert_eq!(rig.shard.counters().handshakes_done, 0, "a weak digest beside a strong one proves nothing");
}
