//! SRTP with keys from descriptions: what each side is shown, what is encrypted on its way, what is dropped.

use ng::{Osrtp, Sdes, TransportProtocol};
use rtp::{
    sdp::Crypto,
    srtp::{Inbound, MasterKey, Outbound, Policy, Suite},
};

use super::*;

const CM_80: Suite = Suite::AesCm128HmacSha1_80;

/// A description in a profile, with keys of the suites, tagged from 1 on.
pub(super) fn keyed(at: &str, profile: &str, lines: &[&str]) -> Vec<u8> {
    let text = String::from_utf8(sdp(at, "")).unwrap();
    let keys: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    (text.replace("RTP/AVP", profile) + &keys).into_bytes()
}

/// A crypto line of somebody whose key is made of `byte`.
pub(super) fn line(tag: u32, suite: Suite, byte: u8) -> String {
    use rtp::sdp::InlineKey;
    let key = InlineKey { key_and_salt: vec![byte; suite.master_bytes()].into(), lifetime: None, mki: None };
    Crypto { tag, suite: suite.name().into(), keys: vec![key], parameters: Vec::new() }.to_string()
}

fn policy(suite: Suite, key_and_salt: &[u8]) -> Policy {
    Policy::new(suite, MasterKey::from_concatenation(suite, key_and_salt).unwrap())
}

/// Who speaks SRTP with us: with its own key, and with the one of ours that it was shown.
pub(super) struct Keyed {
    sends: Outbound,
    hears: Inbound,
}

impl Keyed {
    /// `byte` is what its key is made of; of what it was shown the line of `suite` counts.
    pub(super) fn new(suite: Suite, byte: u8, shown: &Shown) -> Self {
        let ours =
            crypto(shown).into_iter().find(|line| line.suite == suite.name()).expect("the suite was shown");
        Self {
            sends: Outbound::new(&policy(suite, &vec![byte; suite.master_bytes()])).unwrap(),
            hears: Inbound::new(&policy(suite, &ours.keys[0].key_and_salt)).unwrap(),
        }
    }

    pub(super) fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [packet, &[0; 40]].concat();
        let length = if is_rtcp(packet) {
            self.sends.protect_rtcp(&mut buffer, packet.len())
        } else {
            self.sends.protect_rtp(&mut buffer, packet.len())
        };
        buffer.truncate(length.unwrap());
        buffer
    }

    pub(super) fn unprotect(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let length = if is_rtcp(&packet) {
            self.hears.unprotect_rtcp(&mut packet)
        } else {
            self.hears.unprotect_rtp(&mut packet)
        };
        packet.truncate(length.expect("it is for this peer"));
        packet
    }
}

pub(super) fn is_rtcp(packet: &[u8]) -> bool {
    (192..224).contains(&packet[1])
}

pub(super) fn crypto(shown: &Shown) -> Vec<Crypto> {
    shown.lines("a=crypto:").iter().map(|line| line["a=crypto:".len()..].parse().unwrap()).collect()
}

fn suites(shown: &Shown) -> Vec<String> {
    crypto(shown).iter().map(|line| format!("{} {}", line.tag, line.suite)).collect()
}

pub(super) fn profile(shown: &Shown) -> &str {
    shown.lines("m=audio")[0].split(' ').nth(2).unwrap()
}

pub(super) fn rtp(seq: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 160, 0, 0, 0, 7];
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet.extend([0x5a; 160]);
    packet
}

/// An empty receiver report.
pub(super) const RTCP: &[u8] = &[0x80, 201, 0, 1, 0, 0, 0, 7];

/// A datagram with room behind it; what left because of it, and to where.
pub(super) fn relay(rig: &mut Rig, from: &str, to_port: u16, packet: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let socket = *rig.open.iter().find(|(_, local)| local.port() == to_port).expect("an open port").0;
    let mut buffer = [packet, &[0; 64]].concat();
    let length = u16::try_from(packet.len()).unwrap();
    let input = Input::Datagram { socket, remote: from.parse().unwrap(), packet: &mut buffer, length };
    rig.shard.handle_input(Instant::from_millis(rig.now_ms), EPOCH_MS + rig.now_ms, input);
    let mut sent = None;
    let mut others = Vec::new();
    while let Some(output) = rig.shard.poll_output() {
        match output {
            Output::Transmit { remote, range, .. } => {
                sent = Some((remote, buffer[usize::from(range.start)..usize::from(range.end)].to_vec()));
            }
            Output::TransmitCopy { socket, remote, made } => {
                others.push((rig.open[&socket], remote, rig.shard.made(&made).to_vec()));
            }
            Output::Event(_) | Output::Record { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    rig.copies.extend(others);
    sent
}

pub(super) fn secure(signal: Signal) -> Signal {
    Signal { transport_protocol: Some(TransportProtocol::RtpSavp), ..signal }
}

pub(super) fn plain(signal: Signal) -> Signal {
    Signal { transport_protocol: Some(TransportProtocol::RtpAvp), ..signal }
}

fn wanting(signal: Signal, edit: impl FnOnce(&mut Sdes)) -> Signal {
    let mut sdes = Sdes::default();
    edit(&mut sdes);
    Signal { sdes, ..signal }
}

/// A in clear, B with AES-CM: the rig, B, and the ports that B and A see.
fn trunk(suite: Suite) -> (Rig, Keyed, u16, u16) {
    let mut rig = Rig::new();
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    let tag = crypto(&offer).iter().find(|line| line.suite == suite.name()).unwrap().tag;
    let answer = rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(tag, suite, 0xb)])));
    assert_eq!((profile(&answer), crypto(&answer).len()), ("RTP/AVP", 0));
    let b = Keyed::new(suite, 0xb, &offer);
    (rig, b, offer.port(), answer.port())
}

#[test]
fn a_plain_caller_reaches_a_trunk_that_speaks_srtp_in_every_suite() {
    for suite in Suite::ALL {
        let (mut rig, mut b, toward_b, toward_a) = trunk(suite);
        for seq in 1..5 {
            let (to, protected) = relay(&mut rig, A, toward_a, &rtp(seq)).unwrap();
            assert_eq!((to, protected.len()), (B.parse().unwrap(), 172 + suite.rtp_tag_bytes()));
            assert_eq!(b.unprotect(protected), rtp(seq), "{suite}");
            let (to, heard) = relay(&mut rig, B, toward_b, &b.protect(&rtp(seq))).unwrap();
            assert_eq!((to, heard), (A.parse().unwrap(), rtp(seq)), "{suite}");
            let (_, protected) = relay(&mut rig, "198.51.100.1:4001", toward_a + 1, RTCP).unwrap();
            assert_eq!(b.unprotect(protected), RTCP);
            let (_, heard) = relay(&mut rig, "198.51.100.2:5001", toward_b + 1, &b.protect(RTCP)).unwrap();
            assert_eq!(heard, RTCP);
        }
        assert!(rig.delete(at_once("c")) != Reply::Error(String::new()));
        rig.assert_clean();
    }
}

#[test]
fn eight_suites_are_offered_in_order_and_the_answer_chooses_by_tag() {
    let mut rig = Rig::new();
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    let expected: Vec<String> = (1..).zip(Suite::ALL).map(|(tag, suite)| format!("{tag} {suite}")).collect();
    assert_eq!((profile(&offer), suites(&offer)), ("RTP/SAVP", expected));
    let keys: std::collections::HashSet<_> =
        crypto(&offer).iter().map(|line| line.keys[0].key_and_salt.to_vec()).collect();
    assert_eq!(keys.len(), 8, "each line has a key of its own");
    let again = rig.offer(secure(from_a(sdp(A, ""))));
    assert_eq!(crypto(&again), crypto(&offer), "nobody has answered yet");
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)])));
    let next = rig.offer(secure(from_a(sdp(A, ""))));
    assert_eq!(crypto(&next)[0], crypto(&offer)[6], "what is agreed stays, and stands first");
    assert_eq!(suites(&next)[1], "8 AEAD_AES_256_GCM");
    assert_eq!(crypto(&next).len(), 8);
}

#[test]
fn two_parties_with_srtp_never_see_each_others_keys() {
    let mut rig = Rig::new();
    let a_line = line(5, CM_80, 0xa);
    let offer = rig.offer(from_a(keyed(A, "RTP/SAVP", &[&a_line])));
    assert_eq!(
        suites(&offer)[..2],
        ["1 AES_CM_128_HMAC_SHA1_80", "2 AEAD_AES_256_GCM"],
        "what A has stands first"
    );
    let answer = rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(1, CM_80, 0xb)])));
    assert_eq!(suites(&answer), ["5 AES_CM_128_HMAC_SHA1_80"]);
    let shown: Vec<_> = crypto(&offer)
        .iter()
        .chain(&crypto(&answer))
        .map(|line| line.keys[0].key_and_salt.to_vec())
        .collect();
    assert!(!shown.contains(&vec![0xa; 30]) && !shown.contains(&vec![0xb; 30]));
    let (mut a, mut b) = (Keyed::new(CM_80, 0xa, &answer), Keyed::new(CM_80, 0xb, &offer));
    for seq in 1..4 {
        let (_, protected) = relay(&mut rig, A, answer.port(), &a.protect(&rtp(seq))).unwrap();
        assert_eq!(b.unprotect(protected), rtp(seq));
        let (_, protected) = relay(&mut rig, B, offer.port(), &b.protect(&rtp(seq))).unwrap();
        assert_eq!(a.unprotect(protected), rtp(seq));
    }
}

#[test]
fn the_offerer_is_answered_in_the_suite_of_the_other_side_if_it_has_it() {
    let gcm = Suite::AeadAes128Gcm;
    for (chosen, wanted, answered) in [
        (CM_80, "", "1 AES_CM_128_HMAC_SHA1_80"),
        (gcm, "", "2 AEAD_AES_128_GCM"),
        (Suite::Aes256CmHmacSha1_32, "", "1 AES_CM_128_HMAC_SHA1_80"),
        (CM_80, "AEAD-AES-128-GCM", "2 AEAD_AES_128_GCM"),
    ] {
        let mut rig = Rig::new();
        let lines = [line(1, CM_80, 1), line(2, gcm, 2)];
        let offer = rig.offer(from_a(keyed(A, "RTP/SAVP", &[&lines[0], &lines[1]])));
        let tag = crypto(&offer).iter().find(|line| line.suite == chosen.name()).unwrap().tag;
        let answer = to_b(keyed(B, "RTP/SAVP", &[&line(tag, chosen, 0xb)]));
        let preference = Some(wanted).filter(|wanted| !wanted.is_empty()).map(str::to_owned);
        let answer =
            rig.answer(wanting(answer, |sdes| sdes.offerer_preference = preference.into_iter().collect()));
        assert_eq!(suites(&answer), [answered]);
    }
}

#[test]
fn the_offerer_is_answered_in_a_suite_that_the_client_wants_if_it_has_one() {
    let gcm = Suite::AeadAes128Gcm;
    for (without, only, answered) in [
        ("AES-CM-128-HMAC-SHA1-80", "", "2 AEAD_AES_128_GCM"),
        ("", "AEAD-AES-128-GCM", "2 AEAD_AES_128_GCM"),
        // With nothing left, the first stays.
        ("", "AEAD-AES-256-GCM", "1 AES_CM_128_HMAC_SHA1_80"),
    ] {
        let mut rig = Rig::new();
        rig.offer(plain(from_a(keyed(A, "RTP/SAVP", &[&line(1, CM_80, 1), &line(2, gcm, 2)]))));
        let list = |suite: &str| {
            Some(suite).filter(|suite| !suite.is_empty()).map(str::to_owned).into_iter().collect()
        };
        let answer =
            wanting(to_b(sdp(B, "")), |sdes| (sdes.without, sdes.only) = (list(without), list(only)));
        assert_eq!(suites(&rig.answer(answer)), [answered]);
    }
}

#[test]
fn whoever_agreed_on_keys_beside_a_plain_profile_is_offered_them_again_by_a_plain_party() {
    let mut rig = Rig::new();
    rig.offer(from_a(keyed(A, "RTP/AVP", &[&line(1, CM_80, 0xa)])));
    let answer = to_b(keyed(B, "RTP/AVP", &[&line(1, CM_80, 0xb)]));
    let agreed = crypto(&rig.answer(answer));
    let offer = rig.offer(Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..from_a(sdp(B, "")) });
    assert_eq!((profile(&offer), crypto(&offer).first()), ("RTP/AVP", agreed.first()));
}

#[test]
fn srtp_ends_here_for_a_plain_callee() {
    let mut rig = Rig::new();
    let offer = rig.offer(plain(from_a(keyed(A, "RTP/SAVPF", &[&line(1, CM_80, 0xa)]))));
    assert_eq!((profile(&offer), crypto(&offer).len()), ("RTP/AVP", 0));
    let answer = rig.answer(to_b(sdp(B, "")));
    assert_eq!(
        (profile(&answer), suites(&answer)),
        ("RTP/SAVPF", vec!["1 AES_CM_128_HMAC_SHA1_80".to_owned()])
    );
    let mut a = Keyed::new(CM_80, 0xa, &answer);
    assert_eq!(relay(&mut rig, A, answer.port(), &a.protect(&rtp(1))).unwrap().1, rtp(1));
    let (_, protected) = relay(&mut rig, B, offer.port(), &rtp(1)).unwrap();
    assert_eq!(a.unprotect(protected), rtp(1));
}

#[test]
fn what_is_forged_replayed_or_without_keys_teaches_nothing_and_ends_nothing() {
    let mut rig = Rig::new();
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    let mut b = Keyed::new(CM_80, 0xb, &offer);
    let genuine = b.protect(&rtp(1));
    assert_eq!(relay(&mut rig, B, offer.port(), &genuine), None, "nobody has answered");
    let answer = rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)])));
    let mut forged = b.protect(&rtp(2));
    forged[100] ^= 1;
    for (packet, reason) in [
        (forged, DropReason::Unauthentic),
        (rtp(3), DropReason::Unauthentic),
        (genuine[..20].to_vec(), DropReason::NotSrtp),
    ] {
        let before = rig.drops(reason);
        assert_eq!(relay(&mut rig, B, offer.port(), &packet), None);
        assert_eq!(rig.drops(reason), before + 1, "{reason:?}");
    }
    assert!(relay(&mut rig, A, answer.port(), &rtp(1)).is_some());
    assert!(relay(&mut rig, B, offer.port(), &genuine).is_some());
    assert_eq!(relay(&mut rig, B, offer.port(), &genuine), None);
    assert_eq!(rig.drops(DropReason::Replayed), 1);
    assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)), None, "one index, one packet");
    assert_eq!(rig.drops(DropReason::Repeated), 1);
    let stranger = b.protect(&rtp(9));
    let strangers = rig.drops(DropReason::UnknownSource);
    assert_eq!(relay(&mut rig, "203.0.113.66:9", offer.port(), &stranger), None);
    assert_eq!(rig.drops(DropReason::UnknownSource), strangers + 1);
    assert!(
        relay(&mut rig, B, offer.port(), &stranger).is_some(),
        "a stranger costs no cipher, and moves no window"
    );
    for _ in 0..500 {
        relay(&mut rig, B, offer.port(), &rtp(4));
    }
    assert!(relay(&mut rig, B, offer.port(), &b.protect(&rtp(10))).is_some());
}

#[test]
fn keys_serve_as_many_packets_as_they_may() {
    let mut rig = Rig::new();
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    let limited = line(7, CM_80, 0xb) + "|3";
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&limited])));
    let mut b = Keyed::new(CM_80, 0xb, &offer);
    let heard = (1..6).filter(|&seq| relay(&mut rig, B, offer.port(), &b.protect(&rtp(seq))).is_some());
    assert_eq!((heard.count(), rig.drops(DropReason::KeyExhausted)), (3, 2));
}

#[test]
fn an_authentic_packet_tells_where_a_party_behind_a_nat_is_at_once_and_a_forged_one_never() {
    let mut rig = Rig::with(|config| {
        config.interfaces = Interfaces::new(vec!["203.0.113.9".parse().unwrap()]).unwrap();
    });
    let hidden = "10.0.0.7:5000";
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(keyed(hidden, "RTP/SAVP", &[&line(7, CM_80, 0xb)])));
    let mut b = Keyed::new(CM_80, 0xb, &offer);
    for seq in 1..30 {
        assert_eq!(relay(&mut rig, "203.0.113.66:9", offer.port(), &rtp(seq)), None);
    }
    assert_eq!(rig.drops(DropReason::Unauthentic), 29);
    let told: Vec<_> = rig.offenders("c").iter().map(|one| (one.address.to_string(), one.packets)).collect();
    assert_eq!(told, [("203.0.113.66:9".to_owned(), 29)]);
    let nat = "203.0.113.77:6000";
    assert!(relay(&mut rig, nat, offer.port(), &b.protect(&rtp(1))).is_some());
    assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)).unwrap().0, nat.parse().unwrap());
    assert_eq!(relay(&mut rig, "203.0.113.66:9", offer.port(), &b.protect(&rtp(2))), None, "it is known now");
}

#[test]
fn a_reinvite_with_the_same_keys_changes_nothing_and_one_with_new_keys_is_followed() {
    let (mut rig, mut b, toward_b, toward_a) = trunk(CM_80);
    let before = b.protect(&rtp(1));
    assert!(relay(&mut rig, B, toward_b, &before).is_some());
    let held = rig.offer(from_a(sdp(A, "a=sendonly\r\n")));
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)])));
    assert_eq!(relay(&mut rig, B, toward_b, &before), None);
    assert_eq!(rig.drops(DropReason::Replayed), 1, "hold forgets no index");
    assert!(b.hears.unprotect_rtp(&mut relay(&mut rig, A, toward_a, &rtp(1)).unwrap().1).is_ok());
    assert_eq!(crypto(&held)[0].tag, 7);
    rig.offer(from_a(sdp(A, "")));
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xc)])));
    let mut renewed = Keyed { sends: Outbound::new(&policy(CM_80, &[0xc; 30])).unwrap(), hears: b.hears };
    assert!(relay(&mut rig, B, toward_b, &renewed.protect(&rtp(2))).is_some());
    let (_, protected) = relay(&mut rig, A, toward_a, &rtp(2)).unwrap();
    assert_eq!(renewed.unprotect(protected), rtp(2), "our key is what it was");
    // The callee changes to another suite by a re-INVITE of its own.
    let gcm = Suite::AeadAes256Gcm;
    let shown = rig.offer(Signal {
        from_tag: "B".into(),
        to_tag: Some("A".into()),
        ..from_a(keyed(B, "RTP/SAVP", &[&line(3, gcm, 0xd)]))
    });
    assert_eq!((profile(&shown), crypto(&shown).len()), ("RTP/AVP", 0), "its other side has what it had");
    let swapped = Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..from_a(sdp(A, "")) };
    let answer = rig.answer(swapped);
    assert_eq!((profile(&answer), suites(&answer)), ("RTP/SAVP", vec!["3 AEAD_AES_256_GCM".to_owned()]));
    let mut b = Keyed::new(gcm, 0xd, &answer);
    let (_, protected) = relay(&mut rig, A, toward_a, &rtp(3)).unwrap();
    assert_eq!(b.unprotect(protected), rtp(3));
    assert_eq!(relay(&mut rig, B, toward_b, &b.protect(&rtp(3))).unwrap().1, rtp(3));
}

#[test]
fn an_offer_in_clear_changes_nothing_for_whoever_has_keys_until_it_is_answered() {
    let (mut rig, mut b, toward_b, toward_a) = trunk(CM_80);
    let offer = rig.offer(plain(from_a(sdp(A, ""))));
    assert_eq!((profile(&offer), crypto(&offer).len()), ("RTP/AVP", 0));
    let (_, protected) = relay(&mut rig, A, toward_a, &rtp(1)).unwrap();
    assert_eq!(b.unprotect(protected), rtp(1));
    assert_eq!(relay(&mut rig, B, toward_b, &b.protect(&rtp(1))).unwrap().1, rtp(1));
    rig.answer(to_b(sdp(B, "")));
    assert_eq!(relay(&mut rig, A, toward_a, &rtp(2)).unwrap().1, rtp(2));
    assert_eq!(relay(&mut rig, B, toward_b, &rtp(2)).unwrap().1, rtp(2));
    // The same for whoever offers it.
    let (mut rig, mut b, toward_b, toward_a) = trunk(CM_80);
    let of_b = |signal: Signal| Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..signal };
    rig.offer(of_b(plain(from_a(sdp(B, "")))));
    let (_, protected) = relay(&mut rig, A, toward_a, &rtp(1)).unwrap();
    assert_eq!(b.unprotect(protected), rtp(1));
    assert!(relay(&mut rig, B, toward_b, &b.protect(&rtp(1))).is_some());
    let answer = rig.answer(of_b(from_a(sdp(A, ""))));
    assert_eq!((profile(&answer), crypto(&answer).len()), ("RTP/AVP", 0));
    assert_eq!(relay(&mut rig, A, toward_a, &rtp(2)).unwrap().1, rtp(2));
}

#[test]
fn a_fax_that_takes_the_place_of_an_encrypted_voice_passes_unread_and_the_voice_comes_back_encrypted() {
    let (mut rig, _, _, toward_a) = trunk(CM_80);
    let fax = |at: &str| {
        let text = String::from_utf8(sdp(at, "")).unwrap().replace("audio", "image");
        text.replace("RTP/AVP 0 8 101", "udptl t38").into_bytes()
    };
    let toward_b = rig.offer(from_a(fax(A))).port();
    rig.answer(to_b(fax(B)));
    for (from, to_port, to) in [(A, toward_a, B), (B, toward_b, A)] {
        let page = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(relay(&mut rig, from, to_port, &page), Some((to.parse().unwrap(), page.to_vec())));
    }
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)])));
    let mut b = Keyed::new(CM_80, 0xb, &offer);
    let (_, protected) = relay(&mut rig, A, toward_a, &rtp(1)).unwrap();
    assert_eq!(b.unprotect(protected), rtp(1));
}

#[test]
fn rtcp_goes_with_the_keys_of_its_media_on_one_port_and_on_two() {
    let mut rig = Rig::new();
    let mux = ng::RtcpMux { offer: true, ..ng::RtcpMux::default() };
    let offer = rig.offer(Signal { rtcp_mux: mux, ..secure(from_a(sdp(A, ""))) });
    let answer = String::from_utf8(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)])).unwrap() + "a=rtcp-mux\r\n";
    let answer = rig.answer(to_b(answer.into_bytes()));
    let mut b = Keyed::new(CM_80, 0xb, &offer);
    let (to, heard) = relay(&mut rig, B, offer.port(), &b.protect(RTCP)).unwrap();
    assert_eq!((to.port(), heard), (4001, RTCP.to_vec()));
    let (to, protected) = relay(&mut rig, "198.51.100.1:4001", answer.port() + 1, RTCP).unwrap();
    assert_eq!((to, b.unprotect(protected)), (B.parse().unwrap(), RTCP.to_vec()));
    assert_eq!(relay(&mut rig, B, offer.port(), RTCP), None);
    assert_eq!(rig.drops(DropReason::NotSrtp), 1);
}

#[test]
fn lists_of_suites_and_notations_are_as_the_client_wants_them() {
    type Edit = fn(&mut Sdes);
    let cases: [(Edit, &[&str], &str); 6] = [
        (|sdes| sdes.only = vec!["AES-CM-128-HMAC-SHA1-80".into()], &["1 AES_CM_128_HMAC_SHA1_80"], ""),
        (
            |sdes| {
                sdes.without = Suite::ALL[..6].iter().map(|suite| suite.name().replace('_', "-")).collect();
                sdes.pad = true;
            },
            &["1 AES_CM_128_HMAC_SHA1_80", "2 AES_CM_128_HMAC_SHA1_32"],
            "",
        ),
        (
            |sdes| {
                sdes.only = vec!["AES-CM-128-HMAC-SHA1-80".into(), "AES-CM-128-HMAC-SHA1-32".into()];
                sdes.order = vec!["AES-CM-128-HMAC-SHA1-32".into()];
                sdes.lifetime = true;
            },
            &["1 AES_CM_128_HMAC_SHA1_32", "2 AES_CM_128_HMAC_SHA1_80"],
            "|2^31",
        ),
        (
            |sdes| {
                sdes.only = vec!["AES-CM-128-HMAC-SHA1-80".into()];
                (sdes.unencrypted_srtp, sdes.unauthenticated_srtp) = (true, true);
            },
            &["1 AES_CM_128_HMAC_SHA1_80"],
            " UNENCRYPTED_SRTP UNAUTHENTICATED_SRTP",
        ),
        (|sdes| sdes.only = vec!["NULL-HMAC-SHA1-80".into()], &["1 AES_CM_128_HMAC_SHA1_80"], ""),
        (
            |sdes| {
                sdes.only = vec!["AEAD-AES-128-GCM".into()];
                (sdes.pad, sdes.unencrypted_srtcp) = (true, true);
            },
            &["1 AEAD_AES_128_GCM"],
            "==",
        ),
    ];
    for (edit, expected, end) in cases {
        let offer = Rig::new().offer(wanting(secure(from_a(sdp(A, ""))), edit));
        assert_eq!(suites(&offer), expected);
        for shown in offer.lines("a=crypto:") {
            assert!(shown.ends_with(end), "{shown}");
        }
    }
    let with = |edit: Edit| {
        let offer =
            from_a(keyed(A, "RTP/SAVP", &[&line(1, CM_80, 1), &line(2, Suite::AesCm128HmacSha1_32, 2)]));
        suites(&Rig::new().offer(wanting(offer, edit)))
    };
    assert_eq!(with(|sdes| sdes.nonew = true), ["1 AES_CM_128_HMAC_SHA1_80", "2 AES_CM_128_HMAC_SHA1_32"]);
    let without: Edit = |sdes| sdes.without = vec!["AES-CM-128-HMAC-SHA1-80".into()];
    assert_eq!(with(without)[..2], ["1 AES_CM_128_HMAC_SHA1_32", "2 AEAD_AES_256_GCM"]);
}

#[test]
fn lines_that_cannot_be_used_are_passed_over() {
    let good = line(9, CM_80, 1);
    let key = &good[good.find("inline").unwrap()..];
    let lines = [
        format!("1 NULL_HMAC_SHA1_80 {key}"),
        format!("2 F8_128_HMAC_SHA1_80 {key}"),
        format!("3 AES_256_CM_HMAC_SHA1_80 {key}"),
        format!("4 AES_CM_128_HMAC_SHA1_80 {key} KDR=3"),
        format!("5 AES_CM_128_HMAC_SHA1_80 {key} UNENCRYPTED_SRTP"),
        format!("6 AES_CM_128_HMAC_SHA1_80 {key} UNAUTHENTICATED_SRTP"),
        format!("7 AES_CM_128_HMAC_SHA1_80 {key} FEC_ORDER=FEC_SRTP"),
        "8 garbage".to_owned(),
    ];
    let mut all: Vec<&str> = lines.iter().map(String::as_str).collect();
    let refused = Rig::new().offer(from_a(keyed(A, "RTP/SAVP", &all)));
    assert_eq!(refused.error(), "Not supported: RTP/SAVP without an a=crypto that can be used (see SDES)");
    let fine = format!("{good}|2^20|1:4 -EXTRA WSH=64 UNENCRYPTED_SRTCP");
    all.push(&fine);
    let mut rig = Rig::new();
    let offer = rig.offer(plain(from_a(keyed(A, "RTP/SAVP", &all))));
    assert_eq!(profile(&offer), "RTP/AVP");
    let answer = rig.answer(to_b(sdp(B, "")));
    assert_eq!(suites(&answer), ["9 AES_CM_128_HMAC_SHA1_80"]);
    assert!(answer.lines("a=crypto")[0].ends_with(" UNENCRYPTED_SRTCP"), "{answer:?}");
    let asked =
        wanting(plain(from_a(keyed(A, "RTP/SAVP", &[&lines[4]]))), |sdes| sdes.unencrypted_srtp = true);
    assert_eq!(profile(&Rig::new().offer(asked)), "RTP/AVP", "asked for, a line without encryption is fine");
}

#[test]
fn answers_that_fit_no_offer_are_refused_and_leave_the_call_as_it_was() {
    let mut rig = Rig::new();
    let offer =
        rig.offer(wanting(secure(from_a(sdp(A, ""))), |sdes| sdes.only = vec!["AEAD-AES-128-GCM".into()]));
    let wrong = rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(1, CM_80, 0xb)])));
    assert_eq!(wrong.error(), "The answer chooses SRTP keys (a=crypto) that were not offered");
    let none = rig.answer(to_b(keyed(B, "RTP/SAVP", &[])));
    assert!(none.error().starts_with("Not supported: RTP/SAVP without"), "{none:?}");
    let gcm = Suite::AeadAes128Gcm;
    let answer = rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(77, gcm, 0xb)])));
    assert_eq!(profile(&answer), "RTP/AVP", "the suite tells, if the tag does not");
    let mut b = Keyed::new(gcm, 0xb, &offer);
    assert!(relay(&mut rig, B, offer.port(), &b.protect(&rtp(1))).is_some());
    let mut rig = Rig::new();
    rig.offer(from_a(sdp(A, "")));
    let asked = rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(1, CM_80, 0xb)])));
    assert_eq!(asked.error(), "The answer has a profile with SRTP, which was not offered");
    let profiles = [(TransportProtocol::RtpSavp, sdp(A, ""), "RTP/AVP")];
    for (wish, from, stays) in profiles {
        let mut rig = Rig::new();
        rig.offer(from_a(from));
        let answer = Signal { transport_protocol: Some(wish), ..to_b(sdp(B, "")) };
        assert_eq!(
            profile(&rig.answer(answer)),
            stays,
            "nobody is answered in clear or in cipher against its offer"
        );
    }
    let mut rig = Rig::new();
    let off = wanting(secure(from_a(sdp(A, ""))), |sdes| sdes.off = true);
    assert_eq!(rig.offer(off).error(), "Not supported: SDES=off with transport-protocol=RTP/SAVP");
}

#[test]
fn a_trunk_that_answers_in_clear_is_spoken_to_in_clear() {
    let mut rig = Rig::new();
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    let answer = rig.answer(to_b(sdp(B, "")));
    assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)).unwrap().1, rtp(1));
    assert_eq!(relay(&mut rig, B, offer.port(), &rtp(1)).unwrap().1, rtp(1));
}

#[test]
fn best_effort_srtp_is_offered_passed_on_accepted_and_left_out() {
    let accept = Osrtp { accept: true, ..Osrtp::default() };
    let offered = || from_a(keyed(A, "RTP/AVP", &[&line(1, CM_80, 0xa)]));
    let answered = |osrtp| Signal { osrtp, ..to_b(sdp(B, "")) };
    // Passed on, and taken up by nobody.
    let mut rig = Rig::new();
    let offer = rig.offer(offered());
    assert_eq!((profile(&offer), crypto(&offer).len()), ("RTP/AVP", 8));
    let answer = rig.answer(answered(Osrtp::default()));
    assert_eq!((profile(&answer), crypto(&answer).len()), ("RTP/AVP", 0));
    assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)).unwrap().1, rtp(1));
    // Taken up by the callee.
    let mut rig = Rig::new();
    let offer = rig.offer(offered());
    let answer = rig.answer(to_b(keyed(B, "RTP/AVP", &[&line(1, CM_80, 0xb)])));
    assert_eq!(suites(&answer), ["1 AES_CM_128_HMAC_SHA1_80"]);
    let (mut a, mut b) = (Keyed::new(CM_80, 0xa, &answer), Keyed::new(CM_80, 0xb, &offer));
    let (_, protected) = relay(&mut rig, A, answer.port(), &a.protect(&rtp(1))).unwrap();
    assert_eq!(b.unprotect(protected), rtp(1));
    // Accepted here for the caller, whatever the callee does, or because the callee was not asked.
    for (offer, osrtp) in [(offered(), accept), (plain(offered()), Osrtp::default())] {
        let mut rig = Rig::new();
        rig.offer(offer);
        let answer = rig.answer(answered(osrtp));
        let mut a = Keyed::new(CM_80, 0xa, &answer);
        assert_eq!(relay(&mut rig, A, answer.port(), &a.protect(&rtp(1))).unwrap().1, rtp(1));
    }
    // Offered by us.
    let mut rig = Rig::new();
    let offer = rig.offer(Signal { osrtp: Osrtp { offer: true, ..Osrtp::default() }, ..from_a(sdp(A, "")) });
    assert_eq!((profile(&offer), crypto(&offer).len()), ("RTP/AVP", 8));
    let answer = rig.answer(to_b(keyed(B, "RTP/AVP", &[&line(7, CM_80, 0xb)])));
    assert_eq!(crypto(&answer).len(), 0);
    let mut b = Keyed::new(CM_80, 0xb, &offer);
    let (_, protected) = relay(&mut rig, A, answer.port(), &rtp(1)).unwrap();
    assert_eq!(b.unprotect(protected), rtp(1));
}

#[test]
fn two_who_answer_one_forked_offer_have_keys_of_their_own() {
    let mut rig = Rig::new();
    let offer = rig.offer(secure(from_a(sdp(A, ""))));
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)])));
    let c = "198.51.100.3:6000";
    let gcm = Suite::AeadAes256Gcm;
    let answer = Signal { to_tag: Some("C".into()), ..from_a(keyed(c, "RTP/SAVP", &[&line(1, gcm, 0xc)])) };
    let answer = rig.answer(answer);
    let mut third = Keyed::new(gcm, 0xc, &offer);
    let (to, heard) = relay(&mut rig, c, offer.port(), &third.protect(&rtp(1))).unwrap();
    assert_eq!((to, heard), (A.parse().unwrap(), rtp(1)));
    let (to, protected) = relay(&mut rig, A, answer.port(), &rtp(1)).unwrap();
    assert_eq!((to, third.unprotect(protected)), (c.parse().unwrap(), rtp(1)));
}

#[test]
fn whoever_answers_in_clear_takes_the_keys_from_nobody_else_and_may_still_take_them() {
    for (profile_of_b, offered) in [("RTP/SAVP", secure(from_a(sdp(A, "")))), ("RTP/AVP", best_effort())] {
        let mut rig = Rig::new();
        let offer = rig.offer(offered);
        let answer = rig.answer(to_b(sdp(B, "")));
        assert_eq!(relay(&mut rig, A, answer.port(), &rtp(1)).unwrap().1, rtp(1));
        let c = "198.51.100.3:6000";
        let keys = keyed(c, profile_of_b, &[&line(7, CM_80, 0xc)]);
        let answer = rig.answer(Signal { to_tag: Some("C".into()), ..from_a(keys) });
        let mut third = Keyed::new(CM_80, 0xc, &offer);
        let heard = relay(&mut rig, c, offer.port(), &third.protect(&rtp(1)));
        assert_eq!(heard, Some((A.parse().unwrap(), rtp(1))));
        let (to, protected) = relay(&mut rig, A, answer.port(), &rtp(2)).unwrap();
        assert_eq!((to, third.unprotect(protected)), (c.parse().unwrap(), rtp(2)));
        // The first one thought better of it.
        let answer = rig.answer(to_b(keyed(B, profile_of_b, &[&line(7, CM_80, 0xb)])));
        let mut b = Keyed::new(CM_80, 0xb, &offer);
        let (_, protected) = relay(&mut rig, A, answer.port(), &rtp(3)).unwrap();
        assert_eq!(b.unprotect(protected), rtp(3));
    }
}

/// A offers in clear, and B is shown keys beside that.
fn best_effort() -> Signal {
    Signal { osrtp: Osrtp { offer: true, ..Osrtp::default() }, ..from_a(sdp(A, "")) }
}

#[test]
fn who_subscribes_hears_under_keys_of_its_own() {
    let (mut rig, mut b, toward_b, _) = trunk(CM_80);
    let request = ng::SubscribeRequest {
        signal: Box::new(Signal { call_id: "c".into(), ..Signal::default() }),
        selector: ng::Selector { from_tag: Some("B".into()), ..ng::Selector::default() },
        from_tags: Vec::new(),
    };
    let Reply::Signal(shown) = rig.command(Command::SubscribeRequest(Box::new(request))) else {
        panic!("shown")
    };
    let tag = shown.to_tag.clone().unwrap();
    let shown = Shown::of(Reply::Signal(shown));
    assert_eq!((profile(&shown), crypto(&shown).len()), ("RTP/SAVP", 8));
    let heard: Vec<_> = crypto(&shown).iter().map(|line| line.keys[0].key_and_salt.to_vec()).collect();
    assert!(!heard.contains(&vec![0xb; 30]));
    let at = "198.51.100.9:7000";
    let signal = Signal { to_tag: Some(tag), ..from_a(keyed(at, "RTP/SAVP", &[&line(7, CM_80, 0xe)])) };
    let answer = ng::SubscribeAnswer { signal: Box::new(signal), allow_transcoding: false };
    assert_eq!(rig.command(Command::SubscribeAnswer(answer)), Reply::Ok { warning: None });
    let mut listener = Keyed::new(CM_80, 0xe, &shown);
    let (_, heard) = relay(&mut rig, B, toward_b, &b.protect(&rtp(1))).unwrap();
    assert_eq!(heard, rtp(1));
    let [(_, to, copy)] = &rig.copies[..] else { panic!("{:?}", rig.copies) };
    assert_eq!((*to, listener.unprotect(copy.clone())), (at.parse().unwrap(), rtp(1)));
}

#[test]
fn who_publishes_with_keys_is_answered_with_one() {
    let mut rig = Rig::new();
    let signal = from_a(keyed(A, "RTP/SAVP", &[&line(3, CM_80, 0xa)]));
    let publish = ng::Publish { signal: Box::new(signal), accept: Vec::new() };
    let answer = Shown::of(rig.command(Command::Publish(publish)));
    assert_eq!(
        (profile(&answer), suites(&answer)),
        ("RTP/SAVP", vec!["3 AES_CM_128_HMAC_SHA1_80".to_owned()])
    );
    let mut a = Keyed::new(CM_80, 0xa, &answer);
    relay(&mut rig, A, answer.port(), &a.protect(&rtp(1)));
    assert_eq!(rig.drops(DropReason::NoSink), 1, "it is authentic, and nobody hears it yet");
}

#[test]
fn no_key_is_told_by_explanations_recordings_or_reports() {
    let mut rig = Rig::with(|config| config.limits.recordings_max = 1);
    let offer = Signal {
        explain: true,
        record_call: Some(true),
        ..from_a(keyed(A, "RTP/SAVP", &[&line(1, CM_80, 0xa)]))
    };
    let Reply::Signal(reply) = rig.command(Command::Offer(Box::new(offer))) else { panic!("refused") };
    let key = |line: &str| line.contains("inline:") && !line.ends_with("inline:-");
    let lines = reply.explain.iter().flat_map(|explained| explained.was.iter().chain(&explained.now));
    assert!(lines.clone().any(|line| line == "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:-"));
    assert!(!lines.clone().any(|line| key(line)));
    let told = rig.notes.iter().find_map(|(_, note)| match note {
        crate::recording::RecordingNote::Described { sdp, .. } => {
            Some(String::from_utf8(sdp.clone()).unwrap())
        }
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.contains("a=crypto:") && !told.lines().any(key), "{told}");
    rig.answer(to_b(keyed(B, "RTP/SAVP", &[&line(1, CM_80, 0xb)])));
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    for tag in &report.tags {
        let media = &tag.medias[0];
        assert_eq!(media.streams[0].crypto_suite.as_deref(), Some("AES_CM_128_HMAC_SHA1_80"));
        assert!(media.flags.iter().any(|flag| flag == "SDES"));
    }
    assert!(!format!("{report:?}").contains("inline"));
}

#[test]
fn keys_move_with_their_call_and_whoever_is_connected_hears_under_its_own() {
    let shard = |shard| {
        Rig::with(|config| {
            config.ports = PortRange { min: 20_000, max: 20_399, shard, shards: 2, seed: 7 };
        })
    };
    let [mut one, mut two] = [shard(0), shard(1)];
    // A in clear and B with keys on the one shard, C in clear and D with others on the other.
    let toward_a = {
        one.offer(secure(from_a(sdp(A, ""))));
        one.answer(to_b(keyed(B, "RTP/SAVP", &[&line(7, CM_80, 0xb)]))).port()
    };
    let (c, d) = ("198.51.100.3:6000", "198.51.100.4:7000");
    let of_c = |signal: Signal| Signal { call_id: "d".into(), from_tag: "C".into(), ..signal };
    let offer = two.offer(of_c(secure(from_a(sdp(c, "")))));
    let gcm = line(1, Suite::AeadAes256Gcm, 0xd);
    let answer = Signal { to_tag: Some("D".into()), ..from_a(keyed(d, "RTP/SAVP", &[&gcm])) };
    let toward_c = two.answer(of_c(answer)).port();
    let mut peer = Keyed::new(Suite::AeadAes256Gcm, 0xd, &offer);
    // Both directions, across a rollover, and a packet that is kept for later.
    for seq in [65_534, 65_535, 0] {
        let (_, protected) = relay(&mut two, c, toward_c, &rtp(seq)).unwrap();
        assert_eq!(peer.unprotect(protected), rtp(seq));
    }
    let seen = peer.protect(&rtp(1));
    assert!(relay(&mut two, d, offer.port(), &seen).is_some());
    super::moving::carry(&mut two, &mut one, "d", "c");
    assert_eq!(relay(&mut one, d, offer.port(), &seen), None);
    assert_eq!(one.drops(DropReason::Replayed), 1, "windows moved along");
    let (_, protected) = relay(&mut one, c, toward_c, &rtp(1)).unwrap();
    assert_eq!(peer.unprotect(protected), rtp(1), "and so did the rollover counter");
    assert_eq!(relay(&mut one, d, offer.port(), &peer.protect(&rtp(2))).unwrap().1, rtp(2));
    // A and D are connected: each hears the other under keys of its own, or in clear.
    let connect = ng::Connect {
        selector: ng::Selector { from_tag: Some("A".into()), ..ng::Selector::default() },
        to_call_id: Some("d".into()),
        bidirectional: true,
        signal: Box::new(Signal { to_tag: Some("D".into()), ..from_a(Vec::new()) }),
        ..ng::Connect::default()
    };
    assert_eq!(one.command(Command::Connect(Box::new(connect))), Reply::Ok { warning: None });
    let mut packet = rtp(9);
    packet[11] = 8;
    let (to, protected) = relay(&mut one, A, toward_a, &packet).unwrap();
    assert_eq!((to, peer.unprotect(protected)), (d.parse().unwrap(), packet));
    let heard = relay(&mut one, d, offer.port(), &peer.protect(&rtp(3)));
    assert_eq!(heard, Some((A.parse().unwrap(), rtp(3))));
}
