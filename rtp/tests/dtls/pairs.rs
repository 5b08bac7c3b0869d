//! Our ends against each other: every pair of providers in both roles, on wires good and bad.

use std::time::Duration;

use rtp::dtls::{
    Association, Event, FailReason, Fingerprint, Fingerprints, HashFunction, Provider, Role, Terms,
};
use rtp::srtp::Suite;
use rtp::units::Instant;

use crate::net::{CLEAN, Dice, Faults, Net, described, end, parties};

pub(crate) const PAIRS: [(Provider, Provider); 4] = [
    (Provider::Dimpl, Provider::Dimpl),
    (Provider::Dimpl, Provider::OpenSsl),
    (Provider::OpenSsl, Provider::Dimpl),
    (Provider::OpenSsl, Provider::OpenSsl),
];

#[test]
fn every_pair_of_providers_agrees_on_keys() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        net.run(Duration::from_secs(2));
        net.assert_connected();
        let last = net.sent.iter().map(|(at, ..)| *at).max().unwrap();
        let took = last.saturating_since(Instant::from_millis(5000));
        assert!(took <= Duration::from_millis(60), "{client} to {server} took {took:?} of virtual time");
        assert!(net.sent.iter().all(|(_, _, datagram)| datagram.len() <= 1200));
        assert_eq!(net.drops, [vec![], vec![]]);
    }
}

/// Whatever is lost, doubled, delayed and overtaken, both ends end up with the same keys, or say that they waited in vain.
///
/// The libraries' own randomness is not the seed's, so that a wire this bad may now and then lose every repetition.
#[test]
fn bad_wires_cost_time_and_nothing_else() {
    const SEEDS: u64 = 40;
    for (client, server) in PAIRS {
        let mut clean = Net::pair(client, server, CLEAN, 1);
        clean.run(Duration::from_secs(29));
        let (mut whole, mut retransmitted, mut slowest) = (0, 0, Duration::ZERO);
        for seed in 0..SEEDS {
            let mut dice = Dice(seed);
            let faults = Faults {
                lost: dice.roll() % 26,
                doubled: dice.roll() % 30,
                delay_ms: 1 + dice.roll() % 150,
                jitter_ms: dice.roll() % 120,
            };
            let mut net = Net::pair(client, server, faults, seed);
            net.run(Duration::from_secs(50));
            retransmitted += u64::from(net.sent.len() > clean.sent.len());
            if [0, 1].iter().all(|end| net.connected(*end).is_some()) {
                net.assert_connected();
                whole += 1;
                let last = net.sent.iter().map(|(at, ..)| *at).max().unwrap();
                slowest = slowest.max(last.saturating_since(Instant::from_millis(5000)));
            } else {
                let vain = [0, 1].map(|end| net.failed(end)).into_iter().flatten();
                let reasons: Vec<FailReason> = vain.collect();
                assert!(
                    !reasons.is_empty() && reasons.iter().all(|reason| *reason == FailReason::TimedOut),
                    "{client} to {server}, seed {seed}, {faults:?}: {:?} {:?}",
                    net.ends,
                    net.events
                );
            }
        }
        assert!(whole >= SEEDS - 3, "{client} to {server}: {whole} of {SEEDS}");
        assert!(retransmitted > SEEDS / 4, "{client} to {server}: the wires were too good");
        assert!(slowest > Duration::from_secs(1), "{client} to {server}: nothing was waited for");
    }
}

/// Nobody answers: the client's flight goes out again and again, further and further apart, and then it gives up.
#[test]
fn a_client_that_is_not_answered_backs_off_and_gives_up() {
    for client in [Provider::Dimpl, Provider::OpenSsl] {
        let mut net = Net::pair(client, Provider::Dimpl, Faults { lost: 100, ..CLEAN }, 3);
        net.run(Duration::from_secs(40));
        let times: Vec<Instant> = net.sent.iter().map(|(at, ..)| *at).collect();
        assert!((5..=8).contains(&times.len()), "{client}: {times:?}");
        let gaps: Vec<Duration> = times.windows(2).map(|two| two[1].saturating_since(two[0])).collect();
        let doubles = |two: &[Duration]| two[1] > two[0] && two[1] < 4 * two[0];
        assert!(gaps.windows(2).all(doubles), "{client}: {gaps:?}");
        let first = if client == Provider::Dimpl { 300..=500 } else { 1000..=1020 };
        assert!(first.contains(&gaps[0].as_millis()), "{client}: {gaps:?}");
        assert_eq!(net.failed(0), Some(FailReason::TimedOut), "{client}");
        assert_eq!(net.ends[0].next_deadline(), None);
        assert!(net.events[1].is_empty(), "a server that heard nothing has nothing to say");
    }
}

/// The last flight is lost as often as it likes: the end that has keys already sends it again when asked.
#[test]
fn a_lost_last_flight_is_sent_again_when_the_peer_repeats_its_own() {
    for (client, server) in PAIRS {
        let now = Instant::from_millis(5000);
        let ends = [end(0, client, Role::Client, now), end(1, server, Role::Server, now)];
        let mut net = Net::new(ends, now, CLEAN, 1);
        // DTLS 1.2 ends with the server's flight, 1.3 with the client's: the end that has its keys first sent it.
        let mut swallowed = 0;
        for _ in 0..8000 {
            net.run(Duration::from_millis(1));
            match (net.connected(0).is_some(), net.connected(1).is_some()) {
                (true, true) => break,
                (false, false) => {}
                (first, _) if swallowed < 2 => swallowed += net.lose_under_way(usize::from(!first)),
                _ => {}
            }
        }
        assert!(swallowed >= 2, "{client} to {server}: the last flight was lost {swallowed} times");
        net.run(Duration::from_secs(1));
        net.assert_connected();
    }
}

#[test]
fn a_fingerprint_of_any_function_names_the_peer() {
    for hash in HashFunction::ALL {
        for (client, server) in PAIRS {
            let now = Instant::from_millis(5000);
            let expected = Fingerprints::one(Fingerprint::of(hash, parties()[1].identity().certificate()));
            let terms = Terms {
                provider: client,
                role: Role::Client,
                expected: Some(&expected),
                suites: &Suite::ALL,
                seed: [1; 32],
            };
            let ends =
                [Association::new(&parties()[0], terms, now).unwrap(), end(1, server, Role::Server, now)];
            let mut net = Net::new(ends, now, CLEAN, 1);
            net.run(Duration::from_secs(1));
            assert_eq!(net.connected(0).unwrap().fingerprint.hash(), hash);
            assert!(net.connected(1).is_some());
        }
    }
}

#[test]
fn a_wrong_fingerprint_gives_no_key() {
    for wrong in [0, 1] {
        for (client, server) in PAIRS {
            let now = Instant::from_millis(5000);
            let providers = [client, server];
            let roles = [Role::Client, Role::Server];
            let ends = [0, 1].map(|index| {
                // The deceived end was told its own certificate instead of the peer's.
                let expected = described(if index == wrong { index } else { 1 - index });
                let terms = Terms {
                    provider: providers[index],
                    role: roles[index],
                    expected: Some(&expected),
                    suites: &Suite::ALL,
                    seed: [1; 32],
                };
                Association::new(&parties()[index], terms, now).unwrap()
            });
            let mut net = Net::new(ends, now, CLEAN, 1);
            net.run(Duration::from_secs(45));
            assert_eq!(net.events[wrong], [Event::Failed(FailReason::Fingerprint)], "{client} to {server}");
            assert!(!FailReason::Fingerprint.other_provider_may_do());
            assert!(net.ends[wrong].is_over());
        }
    }
}

#[test]
fn keys_wait_for_a_description_that_comes_late() {
    for (client, server) in PAIRS {
        for right in [true, false] {
            let now = Instant::from_millis(5000);
            let terms = Terms {
                provider: server,
                role: Role::Server,
                expected: None,
                suites: &Suite::ALL,
                seed: [1; 32],
            };
            let ends =
                [end(0, client, Role::Client, now), Association::new(&parties()[1], terms, now).unwrap()];
            let mut net = Net::new(ends, now, CLEAN, 1);
            net.run(Duration::from_secs(1));
            assert!(net.connected(0).is_some());
            assert!(net.events[1].is_empty(), "no keys before the fingerprint: {:?}", net.events[1]);
            net.ends[1].expect(net.now, &described(if right { 0 } else { 1 }));
            net.run(Duration::from_secs(1));
            if right {
                net.assert_connected();
            } else {
                assert_eq!(net.failed(1), Some(FailReason::Fingerprint));
                assert!(net.connected(1).is_none());
            }
        }
    }
}

#[test]
fn suites_are_agreed_as_listed() {
    for (client, server) in PAIRS {
        for suite in [Suite::AeadAes256Gcm, Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80] {
            let now = Instant::from_millis(5000);
            let expected = described(0);
            let terms = Terms {
                provider: server,
                role: Role::Server,
                expected: Some(&expected),
                suites: &[suite],
                seed: [1; 32],
            };
            let ends =
                [end(0, client, Role::Client, now), Association::new(&parties()[1], terms, now).unwrap()];
            let mut net = Net::new(ends, now, CLEAN, 1);
            net.run(Duration::from_secs(2));
            match net.connected(1) {
                Some(connected) => assert_eq!(connected.keys.suite, suite),
                // dimpl takes its own favourite, and the association does not go along with it.
                None => {
                    assert_eq!(server, Provider::Dimpl);
                    assert_eq!(net.failed(1), Some(FailReason::Suite));
                }
            }
            if server == Provider::OpenSsl {
                net.assert_connected();
            }
        }
    }
}

#[test]
fn a_suite_without_a_library_is_refused_at_once() {
    let now = Instant::from_millis(5000);
    let terms = |provider| Terms {
        provider,
        role: Role::Server,
        expected: None,
        suites: &[Suite::AesCm128HmacSha1_32],
        seed: [1; 32],
    };
    assert!(Association::new(&parties()[0], terms(Provider::Dimpl), now).is_err());
    assert!(Association::new(&parties()[0], terms(Provider::OpenSsl), now).is_ok());
}

#[test]
fn close_notify_is_told_and_answered() {
    for (client, server) in PAIRS {
        for closer in [0, 1] {
            let mut net = Net::pair(client, server, CLEAN, 1);
            net.run(Duration::from_secs(2));
            net.assert_connected();
            let before = net.sent.len();
            net.ends[closer].close();
            net.run(Duration::from_secs(2));
            let other = 1 - closer;
            assert_eq!(
                net.events[other].last(),
                Some(&Event::Closed),
                "{client} to {server}, {closer} closes"
            );
            let answered = net.sent[before..].iter().filter(|(_, from, _)| *from == other).count();
            assert_eq!(answered, 1, "{client} to {server}: close_notify is answered by close_notify");
            assert!(net.ends[closer].is_over() && net.ends[other].is_over());
        }
    }
}

/// What a helper thread does for a shard: it takes the association, makes the flight, and gives it back.
#[test]
fn an_association_moves_to_a_thread_and_back() {
    for (client, server) in PAIRS {
        let now = Instant::from_millis(5000);
        let mut ends = [end(0, client, Role::Client, now), end(1, server, Role::Server, now)];
        let mut room = [0; 1200];
        let mut connected = [false; 2];
        for _ in 0..8 {
            for from in [0, 1] {
                while let Some(bytes) = ends[from].poll_transmit(&mut room) {
                    let datagram = room[..bytes].to_vec();
                    let to = 1 - from;
                    let [one, two] = ends;
                    let (mut moved, kept) = if to == 0 { (one, two) } else { (two, one) };
                    let moved = std::thread::spawn(move || {
                        crate::clock::set(now);
                        moved.handle_datagram(now, &datagram).unwrap();
                        moved
                    })
                    .join()
                    .unwrap();
                    ends = if to == 0 { [moved, kept] } else { [kept, moved] };
                }
            }
            for index in 0..2 {
                while let Some(event) = ends[index].poll_event() {
                    connected[index] |= matches!(event, Event::Connected(_));
                }
            }
        }
        assert_eq!(connected, [true; 2], "{client} to {server}");
    }
}

#[test]
fn the_library_is_let_go_after_its_time() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        net.run(Duration::from_secs(2));
        net.assert_connected();
        net.run(rtp::dtls::LINGER);
        for association in &net.ends {
            assert_eq!(association.next_deadline(), None);
            assert!(association.is_established(), "the keys stand");
        }
    }
}
