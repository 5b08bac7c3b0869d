//! ICE with parties that have agents of their own: what they are told, what is heard and where packets go.

use ng::{Bundle, EventKind, Ice, IceLite, LearningOutcome, RtcpMux};
use rtp::ice::{Agent, Candidate, Credentials, Event, Local, SOURCES_MAX, STUN_BYTES_MAX, Terms};

use super::*;

/// A party: its agents, by component, and what reached it.
pub(super) struct Phone {
    credentials: Credentials,
    pub(super) agents: Vec<(SocketAddr, Agent)>,
    events: Vec<Event>,
    /// Nothing comes or goes.
    silent: bool,
}

/// What the clock calls zero; any moment does.
fn base() -> std::time::Instant {
    static BASE: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *BASE.get_or_init(std::time::Instant::now)
}

impl Phone {
    /// A phone with its components at these addresses. `seed` makes its credentials.
    pub(super) fn new(rig: &Rig, at: &[&str], seed: u8, controlling: bool) -> Self {
        Self::with(rig, at, seed, controlling, false)
    }

    fn with(rig: &Rig, at: &[&str], seed: u8, controlling: bool, lite: bool) -> Self {
        let credentials = Credentials::from_random([seed; 24]);
        let agent = |(component, at): (u16, &&str)| {
            let terms = Terms {
                credentials: &credentials,
                controlling,
                lite,
                component,
                tie_breaker: seed.into(),
                base: base(),
            };
            let at: SocketAddr = at.parse().unwrap();
            let mut agent = Agent::new(terms, Instant::from_millis(rig.now_ms));
            agent.add_local(Local::Host(at)).unwrap();
            (at, agent)
        };
        let agents = (1..).zip(at).map(agent).collect();
        Self { credentials, agents, events: Vec::new(), silent: false }
    }

    /// Its lines of a description.
    pub(super) fn lines(&self) -> String {
        let (ufrag, password) = (self.credentials.ufrag(), self.credentials.password());
        let mut text = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
        for ((at, _), component) in self.agents.iter().zip(1..) {
            let (ip, port) = (at.ip(), at.port());
            text += &format!(
                "a=candidate:1 {component} UDP {} {ip} {port} typ host\r\n",
                2_130_706_432 - component
            );
        }
        text
    }

    fn sdp(&self, extra: &str) -> Vec<u8> {
        sdp(&self.agents[0].0.to_string(), &(self.lines() + extra))
    }

    /// Takes over what we say of ourselves.
    pub(super) fn hear(&mut self, shown: &Shown) {
        let value = |name: &str| shown.lines(name)[0][name.len()..].to_owned();
        let credentials = Credentials::new(&value("a=ice-ufrag:"), &value("a=ice-pwd:")).unwrap();
        for (component, (_, agent)) in (1..).zip(&mut self.agents) {
            agent.set_remote_credentials(&credentials);
            for candidate in candidates(shown).iter().filter(|candidate| candidate.component == component) {
                agent.add_remote(candidate).unwrap();
            }
        }
    }

    fn at(&self) -> SocketAddr {
        self.agents[0].0
    }

    fn nominated(&self) -> Option<SocketAddr> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Nominated { remote, .. } => Some(*remote),
            _ => None,
        })
    }
}

fn candidates(shown: &Shown) -> Vec<Candidate> {
    shown.lines("a=candidate:").iter().map(|line| line["a=candidate:".len()..].parse().unwrap()).collect()
}

/// A datagram to one of our addresses, of which two may have the same port; to where it was sent on.
fn send(rig: &mut Rig, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<SocketAddr> {
    let socket = *rig.open.iter().find(|(_, local)| **local == to).expect("an open socket").0;
    rig.sent.clear();
    rig.input(Input::datagram(socket, from, &mut bytes.to_vec()));
    rig.sent.pop().map(|(_, to)| to)
}

/// Lets time pass for a shard and its parties.
fn run(rig: &mut Rig, phones: &mut [&mut Phone], ms: u64) {
    let end = rig.now_ms + ms;
    while rig.now_ms < end {
        rig.pass(10);
        let now = Instant::from_millis(rig.now_ms);
        loop {
            let mut moved = false;
            for (from, to, bytes) in std::mem::take(&mut rig.copies) {
                for phone in phones.iter_mut().filter(|phone| !phone.silent) {
                    for (at, agent) in phone.agents.iter_mut().filter(|(at, _)| *at == to) {
                        moved |= agent.handle_datagram(now, *at, from, &bytes).is_ok();
                    }
                }
            }
            for phone in phones.iter_mut() {
                for (at, agent) in &mut phone.agents {
                    if agent.next_deadline().is_some_and(|due| due <= now) {
                        agent.handle_timeout(now);
                    }
                    phone.events.extend(std::iter::from_fn(|| agent.poll_event()));
                    let mut room = [0; STUN_BYTES_MAX];
                    while let Some(transmit) = agent.poll_transmit(&mut room) {
                        if !phone.silent {
                            send(rig, *at, transmit.remote, &room[..transmit.bytes]);
                            moved = true;
                        }
                    }
                }
            }
            if !moved {
                break;
            }
        }
    }
}

/// What was told of the whereabouts of parties, by tag.
fn outcomes(rig: &Rig) -> Vec<(String, LearningOutcome)> {
    let outcome = |event: &ng::Event| match &event.kind {
        EventKind::Learning { tag, outcome, .. } => Some((tag.clone(), *outcome)),
        _ => None,
    };
    rig.events.iter().filter_map(outcome).collect()
}

fn told(tag: &str, outcome: LearningOutcome) -> (String, LearningOutcome) {
    (tag.to_owned(), outcome)
}

const RTP: [u8; 172] = {
    let mut packet = [0; 172];
    packet[0] = 0x80;
    packet
};
const MUX: &str = "a=rtcp-mux\r\n";
const FOREIGN: &str = "192.0.2.66:7000";

/// Two phones with ICE and one port each in a call, and the ports that B and A are shown.
fn both(rig: &mut Rig) -> (Phone, Phone, u16, u16) {
    let (mut a, mut b) = (Phone::new(rig, &[A], 1, true), Phone::new(rig, &[B], 2, false));
    let toward_b = rig.offer(from_a(a.sdp(MUX)));
    b.hear(&toward_b);
    let toward_a = rig.answer(to_b(b.sdp(MUX)));
    a.hear(&toward_a);
    (a, b, toward_b.port(), toward_a.port())
}

#[test]
fn each_side_is_told_of_us_and_of_nobody_else() {
    let mut rig = Rig::new();
    let a = Phone::new(&rig, &[A, "198.51.100.1:4001"], 1, true);
    let shown = rig.offer(from_a(a.sdp("a=candidate:foo bar\r\na=end-of-candidates\r\n")));
    let port = shown.port();
    let text = shown.sdp();
    assert!(
        !text.contains("198.51.100.1 4000") && !text.contains("foo") && !text.contains(a.credentials.ufrag())
    );
    let ice = &text[text.find("a=ice-ufrag").unwrap()..];
    let names: Vec<_> = ice.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["a=ice-ufrag", "a=ice-pwd", "a=candidate", "a=candidate", "a=end-of-candidates"]);
    let ours = candidates(&shown);
    assert_eq!(
        ours.iter().map(|one| (one.component, one.port)).collect::<Vec<_>>(),
        [(1, port), (2, port + 1)]
    );
    assert!(ours[0].priority > ours[1].priority && ours[0].foundation == ours[1].foundation);

    let b = Phone::new(&rig, &[B], 2, false);
    let back = rig.answer(to_b(b.sdp("")));
    assert!(!back.sdp().contains("198.51.100.2 5000"));
    assert_ne!(back.lines("a=ice-pwd"), shown.lines("a=ice-pwd"), "each side has a password of its own");
    assert_eq!(candidates(&back)[0].port, back.port());
}

#[test]
fn whoever_has_no_ice_is_answered_without_and_offered_it_only_where_it_is_wanted() {
    for (wanted, offered) in
        [(None, false), (Some(Ice::Default), false), (Some(Ice::Force), true), (Some(Ice::Optional), true)]
    {
        let mut rig = Rig::new();
        let shown = rig.offer(Signal { ice: wanted, ..from_a(sdp(A, "")) });
        assert_eq!(!shown.lines("a=ice-ufrag").is_empty(), offered, "{wanted:?}");
        let back = rig.answer(to_b(sdp(B, "")));
        assert!(back.lines("a=ice").is_empty() && back.lines("a=candidate").is_empty());
        // Nobody checks: the descriptions count.
        assert_eq!(rig.rtp(A, back.port()).map(|(_, to)| to), B.parse().ok());
        assert_eq!(rig.rtp(B, shown.port()).map(|(_, to)| to), A.parse().ok());
        rig.delete(at_once("c"));
        rig.assert_clean();
    }
}

#[test]
fn removed_toward_one_side_it_is_spoken_with_the_other_and_asked_for_again_as_it_was() {
    let mut rig = Rig::new();
    let a = Phone::new(&rig, &[A], 1, true);
    let shown = rig.offer(Signal { ice: Some(Ice::Remove), ..from_a(a.sdp("")) });
    assert!(shown.lines("a=ice").is_empty() && shown.lines("a=candidate").is_empty());
    let back = rig.answer(to_b(sdp(B, "")));
    assert_eq!(back.lines("a=ice-ufrag").len(), 1, "it offered it");
    // Without a word from the client each is offered what it spoke.
    let swapped = Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..from_a(sdp(B, "")) };
    let toward_a = rig.offer(swapped);
    assert_eq!(toward_a.lines("a=ice"), back.lines("a=ice"));
    let removed = Signal { ice: Some(Ice::Remove), ..to_b(sdp(B, "")) };
    rig.offer(from_a(a.sdp("")));
    assert!(rig.answer(removed).lines("a=ice").is_empty());
}

#[test]
fn checks_decide_who_is_heard_and_where_packets_go() {
    let mut rig = Rig::new();
    let (mut a, mut b, toward_b, toward_a) = both(&mut rig);
    // The descriptions name both, and nothing is proved.
    assert_eq!((rig.rtp(A, toward_a), rig.rtp(B, toward_b)), (None, None));
    assert_eq!(rig.drops(DropReason::UnknownSource), 2);
    run(&mut rig, &mut [&mut a, &mut b], 2_000);
    assert_eq!(a.nominated().map(|at| at.port()), Some(toward_a));
    assert_eq!(b.nominated().map(|at| at.port()), Some(toward_b));
    assert_eq!(rig.rtp(A, toward_a).map(|(_, to)| to), Some(b.at()));
    assert_eq!(rig.rtp(B, toward_b).map(|(_, to)| to), Some(a.at()));
    assert_eq!(outcomes(&rig).len(), 2);
    assert!(outcomes(&rig).contains(&told("A", LearningOutcome::Nominated)));
    let before = rig.drops(DropReason::UnknownSource);
    assert_eq!((rig.rtp("198.51.100.1:4002", toward_a), rig.rtp(FOREIGN, toward_a)), (None, None));
    assert_eq!(rig.drops(DropReason::UnknownSource), before + 2, "not even from the party's host");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn rtcp_of_its_own_port_has_checks_of_its_own() {
    let mut rig = Rig::new();
    let mut a = Phone::new(&rig, &[A, "198.51.100.1:4001"], 1, true);
    let shown = rig.offer(Signal { ice: Some(Ice::Remove), ..from_a(a.sdp("")) });
    let toward_a = rig.answer(to_b(sdp(B, "")));
    a.hear(&toward_a);
    run(&mut rig, &mut [&mut a], 2_000);
    let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let sent = rig.packet("198.51.100.2:5001", shown.port() + 1, &rtcp);
    assert_eq!(sent.map(|(_, to)| to), "198.51.100.1:4001".parse().ok());
    let nominated = a.events.iter().filter(|event| matches!(event, Event::Nominated { .. })).count();
    assert_eq!(nominated, 2);
    assert_eq!(rig.packet("198.51.100.1:4000", toward_a.port() + 1, &rtcp), None, "validated for RTP alone");
}

/// The address of the description is not where the party is: a NAT lies between, or a proxy wrote it.
#[test]
fn a_party_is_found_where_its_checks_come_from() {
    let mut rig = Rig::new();
    let mut a = Phone::new(&rig, &[A], 1, true);
    let lines = a.lines().replace("198.51.100.1 4000", "10.0.0.9 4000");
    rig.offer(from_a(sdp("10.0.0.9:4000", &(lines + MUX))));
    let toward_a = rig.answer(to_b(sdp(B, MUX)));
    a.hear(&toward_a);
    run(&mut rig, &mut [&mut a], 2_000);
    assert_eq!(rig.rtp(A, toward_a.port()).map(|(_, to)| to), B.parse().ok());
    assert_eq!(rig.offenders("c"), []);
}

#[test]
fn the_unspecified_address_beside_ice_is_no_hold() {
    let mut rig = Rig::new();
    let mut a = Phone::new(&rig, &[A], 1, true);
    let shown = rig.offer(from_a(sdp("0.0.0.0:9", &(a.lines() + MUX))));
    assert_eq!(shown.lines("c="), ["c=IN IP4 127.0.0.1"]);
    assert_eq!(shown.lines("a=sendrecv").len(), 1);
    let toward_a = rig.answer(Signal { ice: None, ..to_b(sdp(B, MUX)) });
    a.hear(&toward_a);
    run(&mut rig, &mut [&mut a], 2_000);
    assert_eq!(rig.rtp(B, shown.port()).map(|(_, to)| to), Some(a.at()));
}

#[test]
fn who_does_not_know_the_password_teaches_nothing_and_is_a_stranger() {
    let mut rig = Rig::new();
    let (mut a, mut b, _, toward_a) = both(&mut rig);
    let mut thief = Phone::new(&rig, &[FOREIGN], 1, true);
    let wrong = Credentials::from_random([9; 24]);
    let name = {
        let text = rig.shard.calls.iter().next().unwrap().1.legs[0].as_ref().unwrap().medias[0]
            .ice
            .session()
            .unwrap();
        text.ours.ufrag().to_owned()
    };
    let forged = Credentials::new(&name, wrong.password()).unwrap();
    thief.agents[0].1.set_remote_credentials(&forged);
    let at = format!("1 1 UDP 2130706431 127.0.0.1 {toward_a} typ host");
    thief.agents[0].1.add_remote(&at.parse().unwrap()).unwrap();
    run(&mut rig, &mut [&mut a, &mut b, &mut thief], 3_000);
    assert!(rig.drops(DropReason::CheckUnauthentic) > 2);
    assert_eq!(thief.nominated(), None);
    assert_eq!(rig.rtp(FOREIGN, toward_a), None);
    assert_eq!(rig.rtp(A, toward_a).map(|(_, to)| to), Some(b.at()), "the call goes on");
    let offenders = rig.offenders("c");
    assert!(
        offenders.iter().all(|offender| offender.address.ip() == FOREIGN.parse::<SocketAddr>().unwrap().ip())
    );
    assert!(!offenders.is_empty());
    rig.packet(A, toward_a, b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa");
    let malformed = rig.drops(DropReason::CheckMalformed) + rig.drops(DropReason::CheckUnauthentic);
    assert!(malformed > 3, "a check without a name");
}

#[test]
fn a_check_where_nobody_speaks_ice_is_a_strangers_packet() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    let check = b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa";
    assert_eq!(rig.packet(FOREIGN, toward_a, check), None);
    assert_eq!(rig.drops(DropReason::UnknownSource), 1);
    assert_eq!(rig.packet(A, toward_a, check), None);
    assert_eq!(rig.drops(DropReason::NotRtp), 1);
    assert!(rig.copies.is_empty(), "nobody is answered");
}

#[test]
fn a_restart_keeps_packets_flowing_and_goes_to_where_the_party_is_then() {
    let mut rig = Rig::new();
    let (mut a, mut b, toward_b, toward_a) = both(&mut rig);
    run(&mut rig, &mut [&mut a, &mut b], 2_000);
    let mut moved = Phone::new(&rig, &["198.51.100.77:4444"], 3, true);
    let shown = rig.offer(Signal { to_tag: Some("B".into()), ..from_a(moved.sdp(MUX)) });
    assert_eq!(shown.port(), toward_b, "checks are of one port");
    // Until it is answered, and until the new checks are done, packets go on as before.
    assert_eq!(rig.rtp(B, toward_b).map(|(_, to)| to), Some(a.at()));
    let answered = rig.answer(to_b(b.sdp(MUX)));
    assert_eq!(answered.port(), toward_a);
    assert_eq!(rig.rtp(B, toward_b).map(|(_, to)| to), Some(a.at()));
    assert_eq!(rig.rtp(A, toward_a).map(|(_, to)| to), Some(b.at()));
    moved.hear(&answered);
    run(&mut rig, &mut [&mut moved, &mut b], 2_000);
    assert_eq!(rig.rtp(B, toward_b).map(|(_, to)| to), Some(moved.at()));
    assert_eq!(rig.rtp(A, toward_a), None, "where it was it is no longer");
    assert_eq!(rig.rtp("198.51.100.77:4444", toward_a).map(|(_, to)| to), Some(b.at()));
    assert!(!outcomes(&rig).iter().any(|(_, outcome)| *outcome == LearningOutcome::ConsentLost));
}

#[test]
fn the_same_description_again_changes_nothing() {
    let mut rig = Rig::new();
    let (mut a, mut b, toward_b, toward_a) = both(&mut rig);
    run(&mut rig, &mut [&mut a, &mut b], 2_000);
    let told_before = outcomes(&rig).len();
    let shown = rig.offer(Signal { to_tag: Some("B".into()), ..from_a(a.sdp(MUX)) });
    let answered = rig.answer(to_b(b.sdp(MUX)));
    assert_eq!((shown.port(), answered.port()), (toward_b, toward_a));
    run(&mut rig, &mut [&mut a, &mut b], 5_000);
    assert_eq!(outcomes(&rig).len(), told_before);
    assert_eq!(rig.rtp(B, toward_b).map(|(_, to)| to), Some(a.at()));
}

#[test]
fn a_storm_of_restarts_leaves_a_call_that_works() {
    let mut rig = Rig::new();
    let (mut a, mut b, toward_b, _) = both(&mut rig);
    run(&mut rig, &mut [&mut a, &mut b], 1_000);
    for seed in 3..200 {
        a = Phone::new(&rig, &[A], seed, true);
        rig.offer(Signal { to_tag: Some("B".into()), ..from_a(a.sdp(MUX)) });
        let answered = rig.answer(to_b(b.sdp(MUX)));
        a.hear(&answered);
        run(&mut rig, &mut [&mut b], 10);
    }
    run(&mut rig, &mut [&mut a, &mut b], 2_000);
    assert_eq!(rig.rtp(B, toward_b).map(|(_, to)| to), Some(a.at()));
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn whoever_answers_no_more_is_sent_nothing_and_told_of() {
    let mut rig = Rig::new();
    let (mut a, mut b, toward_b, _) = both(&mut rig);
    run(&mut rig, &mut [&mut a, &mut b], 2_000);
    a.silent = true;
    run(&mut rig, &mut [&mut a, &mut b], 31_000);
    assert_eq!(rig.rtp(B, toward_b), None, "consent is gone (RFC 7675)");
    assert!(rig.drops(DropReason::NoDestination) > 0);
    let lost = outcomes(&rig).into_iter().filter(|(_, outcome)| *outcome == LearningOutcome::ConsentLost);
    assert_eq!(lost.collect::<Vec<_>>(), [told("A", LearningOutcome::ConsentLost)]);
    let sent = rig.copies.len();
    assert!(sent < 4, "no checks to it either: {sent}");
}

#[test]
fn a_party_of_which_no_address_answers_is_told_of() {
    let mut rig = Rig::new();
    let a = Phone::new(&rig, &[A], 1, true);
    rig.offer(from_a(a.sdp(MUX)));
    rig.answer(to_b(sdp(B, MUX)));
    run(&mut rig, &mut [], 40_000);
    assert_eq!(outcomes(&rig), [told("A", LearningOutcome::NoPair)]);
}

#[test]
fn a_party_that_only_answers_is_checked_by_us() {
    let mut rig = Rig::new();
    let mut a = Phone::with(&rig, &[A], 1, false, true);
    let offer = String::from_utf8(a.sdp(MUX)).unwrap().replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n");
    let shown = rig.offer(from_a(offer.into_bytes()));
    assert!(!shown.sdp().contains("ice-lite"), "we are not");
    let toward_a = rig.answer(to_b(sdp(B, MUX)));
    a.hear(&toward_a);
    run(&mut rig, &mut [&mut a], 2_000);
    assert_eq!(rig.rtp(B, shown.port()).map(|(_, to)| to), Some(a.at()));
}

#[test]
fn ipv6_is_checked_as_ipv4_is() {
    let mut rig = Rig::new();
    let mut a = Phone::new(&rig, &["[2001:db8::5]:4000"], 1, true);
    let at = "m=audio 4000 RTP/AVP 0 8 101";
    let text = format!(
        "v=0\r\no=- 1 1 IN IP6 2001:db8::5\r\ns=-\r\nc=IN IP6 2001:db8::5\r\nt=0 0\r\n{at}\r\n{}{MUX}",
        a.lines()
    );
    let shown = rig.offer(Signal { address_family: Some(ng::Family::Ip4), ..from_a(text.into_bytes()) });
    let toward_a = rig.answer(to_b(sdp(B, MUX)));
    assert_eq!(candidates(&toward_a)[0].address.to_string(), "::1");
    a.hear(&toward_a);
    run(&mut rig, &mut [&mut a], 2_000);
    let port = SocketAddr::from(([127, 0, 0, 1], shown.port()));
    assert_eq!(send(&mut rig, B.parse().unwrap(), port, &RTP), Some(a.at()));
}

#[test]
fn what_is_advertised_is_the_candidate_and_the_socket_is_the_bound_one() {
    let mut rig = Rig::new();
    let mut a = Phone::new(&rig, &[A], 1, true);
    rig.offer(Signal { direction: vec!["pub".into(), "default".into()], ..from_a(a.sdp(MUX)) });
    let toward_a = rig.answer(to_b(sdp(B, MUX)));
    assert_eq!(candidates(&toward_a)[0].address.to_string(), "203.0.113.9");
    a.hear(&toward_a);
    // Seen from outside our checks come from the advertised address.
    let mapped = |copies: &mut Vec<(SocketAddr, SocketAddr, Vec<u8>)>| {
        copies.iter_mut().for_each(|(from, ..)| from.set_ip("203.0.113.9".parse().unwrap()));
    };
    for _ in 0..200 {
        rig.pass(10);
        mapped(&mut rig.copies);
        let copies = std::mem::take(&mut rig.copies);
        let now = Instant::from_millis(rig.now_ms);
        let (at, agent) = &mut a.agents[0];
        for (from, to, bytes) in copies {
            assert_eq!((from.ip(), to), ("203.0.113.9".parse().unwrap(), *at));
            agent.handle_datagram(now, *at, from, &bytes).unwrap();
        }
        agent.handle_timeout(now);
        let mut room = [0; STUN_BYTES_MAX];
        while let Some(transmit) = agent.poll_transmit(&mut room) {
            assert_eq!(transmit.remote.ip().to_string(), "203.0.113.9");
            let bound = SocketAddr::from(([127, 0, 0, 2], transmit.remote.port()));
            send(&mut rig, *at, bound, &room[..transmit.bytes]);
        }
    }
    let bound = SocketAddr::from(([127, 0, 0, 2], toward_a.port()));
    assert_eq!(send(&mut rig, a.at(), bound, &RTP), B.parse().ok());
}

#[test]
fn authentic_checks_from_ever_more_addresses_are_counted_and_answered_up_to_a_number() {
    let mut rig = Rig::new();
    let (mut a, mut b, _, toward_a) = both(&mut rig);
    run(&mut rig, &mut [&mut a, &mut b], 2_000);
    let (_, agent) = &mut a.agents[0];
    agent.handle_timeout(Instant::from_millis(rig.now_ms + 4_000));
    let mut room = [0; STUN_BYTES_MAX];
    let mut check = None;
    while let Some(transmit) = agent.poll_transmit(&mut room) {
        check = Some(room[..transmit.bytes].to_vec());
    }
    let check = check.expect("consent is asked for");
    for port in 0..200 {
        rig.packet(&format!("192.0.2.66:{}", 7_000 + port), toward_a, &check);
    }
    assert_eq!(rig.drops(DropReason::CheckSources), 200 - (SOURCES_MAX as u64 - 1));
    assert_eq!(rig.rtp("192.0.2.66:7000", toward_a), None, "asked, and not answered yet");
    assert!(rig.drops(DropReason::Undecided) > 0);
}

#[test]
fn malformed_credentials_are_a_warning() {
    let mut rig = Rig::new();
    let bad = sdp(A, "a=ice-ufrag:a-\r\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\r\n");
    let Reply::Signal(reply) = rig.command(Command::Offer(Box::new(from_a(bad)))) else { panic!() };
    assert!(reply.warning.unwrap().contains("section 1: ice-ufrag is not 4 to 256"));
    assert!(!String::from_utf8(reply.sdp).unwrap().contains("a=ice"));
}

#[test]
fn rtcp_that_comes_to_share_the_port_shares_the_checks() {
    let mut rig = Rig::new();
    let require = RtcpMux { offer: true, require: true, ..RtcpMux::default() };
    let shown = rig.offer(Signal { ice: Some(Ice::Force), rtcp_mux: require, ..from_a(sdp(A, "")) });
    assert_eq!(candidates(&shown).len(), 1);
    let mut rig = Rig::new();
    let a = Phone::new(&rig, &[A], 1, true);
    let shown = rig.offer(from_a(a.sdp(MUX)));
    assert_eq!(candidates(&shown).len(), 2, "it may be declined");
    let mut b = Phone::new(&rig, &[B], 2, false);
    b.hear(&shown);
    let back = rig.answer(to_b(b.sdp(MUX)));
    assert_eq!(candidates(&back).len(), 1);
    run(&mut rig, &mut [&mut b], 2_000);
    assert_eq!(b.nominated().map(|at| at.port()), Some(shown.port()));
}

#[test]
fn whoever_is_told_that_we_only_answer_checks_checks_alone() {
    for (lite, toward_a, toward_b) in [
        (IceLite::Forward, false, true),
        (IceLite::Backward, true, false),
        (IceLite::Both, true, true),
        (IceLite::Off, false, false),
    ] {
        let mut rig = Rig::new();
        let (mut a, mut b) = (Phone::new(&rig, &[A], 1, true), Phone::new(&rig, &[B], 2, toward_b));
        let shown = rig.offer(Signal { ice_lite: Some(lite), ..from_a(a.sdp(MUX)) });
        let back = rig.answer(to_b(b.sdp(MUX)));
        let says = |shown: &Shown| shown.lines("a=ice-lite").len() == 1;
        assert_eq!((says(&back), says(&shown)), (toward_a, toward_b), "{lite:?}");
        assert_eq!(says(&rig.offer(Signal { to_tag: Some("B".into()), ..from_a(a.sdp(MUX)) })), toward_b);
        rig.answer(to_b(b.sdp(MUX)));
        a.hear(&back);
        b.hear(&shown);
        run(&mut rig, &mut [&mut a, &mut b], 2_000);
        assert_eq!(rig.rtp(A, back.port()).map(|(_, to)| to), Some(b.at()), "{lite:?}");
        assert_eq!(rig.rtp(B, shown.port()).map(|(_, to)| to), Some(a.at()), "{lite:?}");
        assert_eq!(rig.rtp(FOREIGN, back.port()), None);
    }
}

#[test]
fn candidates_that_come_later_are_taken_under_the_name_of_their_description() {
    let mut rig = Rig::new();
    let mut a = Phone::with(&rig, &[A], 1, false, true);
    // One that only answers: unless it is told of, nobody finds it.
    let lines: String = a
        .lines()
        .lines()
        .filter(|line| !line.starts_with("a=cand"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let offer = sdp("0.0.0.0:9", &format!("{lines}a=ice-options:trickle\r\na=mid:v\r\n{MUX}"));
    let offer = String::from_utf8(offer).unwrap().replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n");
    let shown = rig.offer(Signal { trickle_ice: true, ..from_a(offer.into_bytes()) });
    assert_eq!(shown.lines("a=ice-options"), ["a=ice-options:trickle"]);
    assert_eq!(shown.lines("a=end-of-candidates").len(), 1, "ours are all there");
    let fragment = |ufrag: &str, mid: &str| {
        let (password, at) = (a.credentials.password(), a.at());
        let text = format!(
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\nm=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n\
             a=candidate:7 1 UDP 2130706431 {} {} typ host\r\na=end-of-candidates\r\n",
            at.ip(),
            at.port()
        );
        Signal { fragment: true, ..from_a(text.into_bytes()) }
    };
    let ask = |rig: &mut Rig, signal: Signal| rig.command(Command::Offer(Box::new(signal)));
    let name = a.credentials.ufrag().to_owned();
    let toward_a = rig.answer(to_b(sdp(B, MUX)));
    assert_eq!(toward_a.lines("a=ice-options"), ["a=ice-options:trickle"]);
    let stale = ask(&mut rig, fragment("other", "v"));
    assert!(matches!(stale, Reply::Ok { warning: Some(_) }));
    let taken = fragment(&name, "v");
    a.hear(&toward_a);
    run(&mut rig, &mut [&mut a], 1_000);
    assert_eq!(rig.rtp(B, shown.port()), None);
    assert_eq!(ask(&mut rig, taken.clone()), Reply::Ok { warning: None });
    assert_eq!(ask(&mut rig, taken.clone()), Reply::Ok { warning: None }, "again");
    run(&mut rig, &mut [&mut a], 2_000);
    assert_eq!(rig.rtp(B, shown.port()).map(|(_, to)| to), Some(a.at()));
    let unknown = Signal { call_id: "nowhere".into(), ..taken.clone() };
    assert_eq!(ask(&mut rig, unknown), Reply::Error(Reply::UNKNOWN_CALL.into()));
    let broken = Signal { sdp: b"\x00".to_vec(), ..taken };
    assert_eq!(ask(&mut rig, broken), Reply::Error("Failed to parse SDP".into()));
}

#[test]
fn a_group_of_sections_is_answered_with_its_first_and_the_others_have_ports_of_their_own() {
    let section = |kind: &str, port: u16, mid: &str, more: &str| {
        format!("m={kind} {port} RTP/AVP 0\r\na=mid:{mid}\r\na=rtcp-mux\r\n{more}")
    };
    let head = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n";
    let bundle = |accept, reject| Bundle { accept, reject, offer: false };
    for (ice, wanted, group) in [
        (true, Bundle::default(), vec!["a=group:BUNDLE 0"]),
        (true, bundle(false, true), vec![]),
        (false, Bundle::default(), vec![]),
        (false, bundle(true, false), vec!["a=group:BUNDLE 0"]),
    ] {
        let mut rig = Rig::new();
        let a = Phone::new(&rig, &[A], 1, true);
        let lines = if ice { a.lines() } else { String::new() };
        let offer = [
            head,
            &section("audio", 4000, "0", &lines),
            &section("video", 4000, "1", &lines),
            &section("video", 0, "2", "a=bundle-only\r\n"),
        ];
        let shown = rig.offer(from_a(offer.concat().into_bytes()));
        assert_eq!(shown.lines("a=group"), [""; 0], "the other side has a port for each");
        let answer = head.replace("198.51.100.1", "198.51.100.2").replace("a=group:BUNDLE 0 1 2\r\n", "");
        let sections =
            [section("audio", 5000, "0", ""), section("video", 5002, "1", ""), section("video", 0, "2", "")];
        let back = rig.answer(Signal { bundle: wanted, ..to_b((answer + &sections.concat()).into_bytes()) });
        assert_eq!(back.lines("a=group"), group, "ICE {ice}, {wanted:?}");
        let ports: Vec<_> =
            back.lines("m=").iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        assert!(ports[0] != ports[1] && ports[1] != "0" && ports[2] == "0", "{ports:?}");
    }
    let mut rig = Rig::new();
    let offered = Signal {
        bundle: Bundle { offer: true, ..Bundle::default() },
        generate_mid: true,
        ..from_a(sdp(A, ""))
    };
    assert_eq!(rig.offer(offered).lines("a=group"), ["a=group:BUNDLE 1"]);
}
