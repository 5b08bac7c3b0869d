//! Those who mean no good: garbage, floods, wrong cookies, torn hellos, replays. Nothing panics, nothing is learned, and
//! what is established stays.

use std::time::Duration;

use rtp::dtls::{Association, DatagramDrop, Event, FailReason, Provider, Role};
use rtp::units::Instant;

use crate::net::{CLEAN, Dice, Faults, Net, end};
use crate::pairs::PAIRS;

const RECORD_HEADER: usize = 13;
const HANDSHAKE_HEADER: usize = 12;
/// Where a ClientHello's random begins in its datagram.
const RANDOM: usize = RECORD_HEADER + HANDSHAKE_HEADER + 2;
const START: Instant = Instant::from_millis(5000);

/// Every datagram that is ready to be sent.
fn sent(association: &mut Association) -> Vec<Vec<u8>> {
    let mut room = [0; 1200];
    std::iter::from_fn(|| association.poll_transmit(&mut room).map(|bytes| room[..bytes].to_vec())).collect()
}

/// The first hello of a client.
fn hello_of(provider: Provider) -> Vec<u8> {
    sent(&mut end(0, provider, Role::Client, START)).remove(0)
}

/// Garbage of all kinds: noise, headers with noise behind them, and real datagrams cut, spliced and changed.
fn garbage(dice: &mut Dice, real: &[Vec<u8>]) -> Vec<u8> {
    let noise = |dice: &mut Dice, bytes: u64| -> Vec<u8> {
        (0..bytes).map(|_| dice.roll().to_le_bytes()[0]).collect()
    };
    let length = dice.roll() % 400;
    match dice.roll() % 5 {
        0 => noise(dice, length),
        1 => {
            let kinds = [20, 21, 22, 23, 24, 25, 26, 0x2f, 0x2c];
            let kind = kinds[usize::try_from(dice.roll()).unwrap() % kinds.len()];
            let epoch = u8::from(dice.chance(40));
            let body = noise(dice, length);
            let bytes = u16::try_from(body.len()).unwrap().to_be_bytes();
            let sequence = dice.roll().to_be_bytes();
            let mut record = vec![kind, 0xfe, 0xfd, 0, epoch];
            record.extend_from_slice(&sequence[2..]);
            record.extend_from_slice(&bytes);
            record.extend_from_slice(&body);
            record
        }
        kind => {
            let pick = |dice: &mut Dice| real[usize::try_from(dice.roll()).unwrap() % real.len()].clone();
            let mut datagram = pick(dice);
            match kind {
                2 => {
                    for _ in 0..1 + dice.roll() % 4 {
                        let at = usize::try_from(dice.roll()).unwrap() % datagram.len();
                        datagram[at] ^= 1 << (dice.roll() % 8);
                    }
                }
                3 => datagram.truncate(usize::try_from(dice.roll()).unwrap() % datagram.len()),
                _ => datagram.extend(pick(dice)),
            }
            datagram
        }
    }
}

#[test]
fn garbage_does_not_touch_what_is_established() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        net.run(Duration::from_secs(2));
        net.assert_connected();
        let real: Vec<Vec<u8>> = net.sent.iter().map(|(_, _, datagram)| datagram.clone()).collect();
        let events = net.events.clone();
        let before = net.sent.len();
        let mut dice = Dice(9);
        let mut asked = 0;
        for round in 0..2000 {
            let datagram = garbage(&mut dice, &real);
            asked += datagram.len();
            net.deliver(round % 2, &datagram);
            if round % 50 == 0 {
                net.run(Duration::from_millis(5));
            }
        }
        net.run(Duration::from_secs(1));
        assert_eq!(net.events, events, "{client} to {server}");
        assert!(net.ends.iter().all(Association::is_established));
        // A last flight is sent again and acknowledgements are repeated for real records that come again, no more.
        let answered: usize = net.sent[before..].iter().map(|(_, _, datagram)| datagram.len()).sum();
        assert!(answered < asked / 4, "{client} to {server}: {answered} bytes for {asked}");
        net.ends[0].close();
        net.run(Duration::from_secs(1));
        assert_eq!(net.events[1].last(), Some(&Event::Closed), "{client} to {server}: still understood");
    }
}

#[test]
fn every_datagram_of_the_handshake_may_come_again_later() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        net.run(Duration::from_secs(2));
        net.assert_connected();
        let events = net.events.clone();
        let before = net.sent.clone();
        for _ in 0..20 {
            for (_, from, datagram) in &before {
                net.deliver(1 - from, datagram);
            }
        }
        net.run(Duration::from_secs(1));
        assert_eq!(net.events, events, "{client} to {server}");
        assert!(net.ends.iter().all(Association::is_established));
        let bytes = |sent: &[(Instant, usize, Vec<u8>)]| {
            sent.iter().map(|(.., datagram)| datagram.len()).sum::<usize>()
        };
        let (asked, answered) = (20 * bytes(&before), bytes(&net.sent[before.len()..]));
        assert!(answered < asked / 4, "{client} to {server}: {answered} bytes for {asked}");
    }
}

/// Garbage on the way to every state. The handshake may fail of it, for its messages are not protected; there are never
/// two ends with different keys, and nothing panics.
#[test]
fn garbage_during_the_handshake_never_leads_to_wrong_keys() {
    for (client, server) in PAIRS {
        let mut model = Net::pair(client, server, CLEAN, 1);
        model.run(Duration::from_secs(2));
        let real: Vec<Vec<u8>> = model.sent.iter().map(|(_, _, datagram)| datagram.clone()).collect();
        let mut whole = 0;
        for seed in 0..60 {
            let mut dice = Dice(seed);
            let mut net = Net::pair(client, server, Faults { lost: 5, jitter_ms: 20, ..CLEAN }, seed);
            for _ in 0..1 + seed % 8 {
                net.run(Duration::from_millis(12));
                let to = usize::from(dice.chance(50));
                let datagram = garbage(&mut dice, &real);
                net.deliver(to, &datagram);
            }
            net.run(Duration::from_secs(40));
            if net.connected(0).is_some() && net.connected(1).is_some() {
                net.assert_connected();
                whole += 1;
            }
        }
        assert!(whole > 0, "{client} to {server}: no handshake of 60 survived");
    }
}

/// A server is told nothing of a hello by its size: the first answer is smaller than what asked for it.
#[test]
fn the_first_answer_is_smaller_than_the_hello() {
    for (client, server) in PAIRS {
        let hello = hello_of(client);
        let mut association = end(1, server, Role::Server, START);
        association.handle_datagram(START, &hello).unwrap();
        let answers = sent(&mut association);
        let bytes: usize = answers.iter().map(Vec::len).sum();
        assert_eq!(answers.len(), 1, "{client} to {server}");
        assert!(bytes < hello.len(), "{client} to {server}: {bytes} bytes for {}", hello.len());
        let expected = if (client, server) == (Provider::Dimpl, Provider::Dimpl) { 109 } else { 60 };
        assert_eq!(bytes, expected, "{client} to {server}: as ADR 3 has it");
    }
}

/// A hello of DTLS 1.3 with next to nothing in it, which dimpl would answer with half as much again.
#[test]
fn a_hello_smaller_than_its_challenge_is_not_answered() {
    let mut body = vec![0xfe, 0xfd];
    body.extend_from_slice(&[7; 32]);
    // No session, no cookie, one suite, no compression; supported_versions with 1.3 alone.
    body.extend_from_slice(&[0, 0, 0, 2, 0x13, 0x01, 1, 0, 0, 7, 0, 43, 0, 3, 2, 0xfe, 0xfc]);
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + length];
    hello.extend_from_slice(&[1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length]);
    hello.extend_from_slice(&body);
    let mut net = Net::pair(Provider::Dimpl, Provider::Dimpl, CLEAN, 1);
    net.deliver(1, &hello);
    assert_eq!(net.drops[1], [DatagramDrop::HelloRefused(FailReason::Protocol)]);
    assert!(sent(&mut net.ends[1]).is_empty());
    net.run(Duration::from_secs(2));
    net.assert_connected();
}

/// Strangers' hellos, each with another random: the answers stay smaller than what asks for them, and the genuine client
/// is served when it comes.
#[test]
fn a_flood_of_hellos_is_answered_with_less_and_does_not_keep_the_genuine_client_out() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        let mut hello = hello_of(client);
        let mut dice = Dice(4);
        let (mut asked, mut answered) = (0, 0);
        for _ in 0..500 {
            hello[RANDOM..RANDOM + 8].copy_from_slice(&dice.roll().to_be_bytes());
            net.deliver(1, &hello);
            let answers = sent(&mut net.ends[1]);
            asked += hello.len();
            answered += answers.iter().map(Vec::len).sum::<usize>();
        }
        assert!(answered < asked, "{client} to {server}: {answered} bytes for {asked}");
        assert!(
            net.drops[1].iter().all(|drop| matches!(drop, DatagramDrop::Challenging)),
            "{:?}",
            net.drops[1]
        );
        net.run(Duration::from_secs(20));
        net.assert_connected();
    }
}

#[test]
fn a_wrong_cookie_gets_no_further_than_none() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        // The second hello, with the cookie that another server gave.
        let mut other = Net::pair(client, server, CLEAN, 2);
        other.run(Duration::from_millis(25));
        let with_cookie = other.sent.iter().filter(|(_, from, _)| *from == 0).nth(1).unwrap().2.clone();
        for seed in 0..50 {
            let mut wrong = with_cookie.clone();
            // Somewhere behind the random: session, cookie, suites and extensions.
            let at = RANDOM + 32 + 2 + usize::try_from(seed).unwrap();
            wrong[at] ^= 0x40;
            net.deliver(1, &wrong);
            let answers = sent(&mut net.ends[1]);
            assert!(
                answers.iter().map(Vec::len).sum::<usize>() < wrong.len(),
                "{client} to {server}, byte {at}: an unproven sender gets more than it sent"
            );
        }
        assert_eq!(net.events[1], []);
        net.run(Duration::from_secs(20));
        net.assert_connected();
    }
}

/// Hellos torn into pieces of any size, in any order, are put together.
#[test]
fn a_hello_in_fragments_is_put_together() {
    for (client, server) in PAIRS {
        for pieces in [2, 3, 7] {
            for backwards in [false, true] {
                let mut ends = [end(0, client, Role::Client, START), end(1, server, Role::Server, START)];
                let mut number = 0;
                for _ in 0..8 {
                    for from in [0, 1] {
                        for datagram in sent(&mut ends[from]) {
                            let mut datagrams = match from {
                                0 => torn(&datagram, pieces, &mut number)
                                    .unwrap_or_else(|| vec![numbered(datagram, &mut number)]),
                                _ => vec![datagram],
                            };
                            if backwards {
                                datagrams.reverse();
                            }
                            for datagram in datagrams {
                                let _ = ends[1 - from].handle_datagram(START, &datagram);
                            }
                        }
                    }
                }
                for association in &mut ends {
                    assert!(
                        matches!(association.poll_event(), Some(Event::Connected(_))),
                        "{client} to {server}, {pieces} pieces, backwards {backwards}: {association:?}"
                    );
                }
            }
        }
    }
}

/// The datagram with its unprotected records numbered anew, as a client that tore its hellos would have.
fn numbered(mut datagram: Vec<u8>, number: &mut u64) -> Vec<u8> {
    let mut at = 0;
    while let Some(&[kind, _, _, e0, e1, ..]) = datagram.get(at..at + RECORD_HEADER) {
        if kind >= 32 || [e0, e1] != [0, 0] {
            break;
        }
        datagram[at + 5..at + 11].copy_from_slice(&number.to_be_bytes()[2..]);
        *number += 1;
        at += RECORD_HEADER + usize::from(u16::from_be_bytes([datagram[at + 11], datagram[at + 12]]));
    }
    datagram
}

/// The datagram of a whole ClientHello as one datagram a fragment; `None` for any other datagram.
fn torn(datagram: &[u8], pieces: usize, number: &mut u64) -> Option<Vec<Vec<u8>>> {
    if datagram.len() <= RECORD_HEADER + HANDSHAKE_HEADER || datagram[0] != 22 || datagram[RECORD_HEADER] != 1
    {
        return None;
    }
    let header = &datagram[RECORD_HEADER..RECORD_HEADER + HANDSHAKE_HEADER];
    let body = &datagram[RECORD_HEADER + HANDSHAKE_HEADER..];
    let size = body.len().div_ceil(pieces);
    let three =
        |number: usize| -> [u8; 3] { u32::try_from(number).unwrap().to_be_bytes()[1..].try_into().unwrap() };
    let fragments = body.chunks(size).enumerate().map(|(index, fragment)| {
        let mut out = datagram[..5].to_vec();
        out.extend_from_slice(&number.to_be_bytes()[2..]);
        *number += 1;
        out.extend_from_slice(&u16::try_from(HANDSHAKE_HEADER + fragment.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&header[..6]);
        out.extend_from_slice(&three(index * size));
        out.extend_from_slice(&three(fragment.len()));
        out.extend_from_slice(fragment);
        out
    });
    Some(fragments.collect())
}

/// Fragments that contradict each other, or never end.
#[test]
fn fragments_that_lead_nowhere_are_bounded_and_forgotten() {
    for (client, server) in PAIRS {
        let mut net = Net::pair(client, server, CLEAN, 1);
        let hello = hello_of(client);
        let mut number = 1000;
        let mut dice = Dice(11);
        for _ in 0..400 {
            let mut fragments = torn(&hello, 9, &mut number).unwrap();
            let index = usize::try_from(dice.roll()).unwrap() % fragments.len();
            let mut fragment = fragments.swap_remove(index);
            // Another length of the whole, another message number, another offset.
            let at = RECORD_HEADER + [2, 3, 4, 5, 7, 8][usize::try_from(dice.roll()).unwrap() % 6];
            fragment[at] ^= dice.roll().to_le_bytes()[0];
            net.deliver(1, &fragment);
        }
        assert_eq!(net.events[1], []);
        net.run(Duration::from_secs(29));
        net.assert_connected();
    }
}

/// What is refused of a waiting server before any library sees it, and what after.
#[test]
fn a_server_that_waits_takes_only_hellos() {
    for server in [Provider::Dimpl, Provider::OpenSsl] {
        let mut association = end(1, server, Role::Server, START);
        let mut offer = |datagram: &[u8]| association.handle_datagram(START, datagram);
        assert_eq!(offer(&[]), Err(DatagramDrop::Malformed));
        assert_eq!(offer(&[22; 12]), Err(DatagramDrop::Malformed));
        let hello = hello_of(Provider::OpenSsl);
        assert_eq!(offer(&hello[..hello.len() - 1]), Err(DatagramDrop::Malformed));
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
        assert_eq!(offer(&alert), Err(DatagramDrop::NotAHello), "a stranger's alert ends nothing");
        let mut changed = hello.clone();
        changed[RECORD_HEADER] = 2;
        assert_eq!(offer(&changed), Err(DatagramDrop::NotAHello));
        let mut changed = hello.clone();
        changed[RANDOM + 32] = 33;
        assert_eq!(offer(&changed), Err(DatagramDrop::NotAHello), "a session of 33 bytes");
        assert_eq!(offer(&hello), Ok(()));
        assert!(association.poll_event().is_none());
    }
}

/// A genuine client that shares no cipher suite is told apart from a stranger: its cookie says that it is there.
#[test]
fn nothing_in_common_is_said_at_once_of_a_client_that_proved_its_address() {
    for server in [Provider::Dimpl, Provider::OpenSsl] {
        let mut association = end(1, server, Role::Server, START);
        let hello = hello_of(Provider::OpenSsl);
        // All cipher suites become one that nobody has.
        let suites_at = RANDOM + 32 + 1 + usize::from(hello[RANDOM + 32]) + 1;
        let suites = usize::from(u16::from_be_bytes([hello[suites_at], hello[suites_at + 1]]));
        let mut foreign = hello;
        foreign[suites_at + 2..suites_at + 2 + suites].fill(0xfa);
        let refused = association.handle_datagram(START, &foreign);
        if server == Provider::Dimpl {
            // dimpl passes over a hello in which it knows nothing, before any cookie: a stranger's may be such.
            assert_eq!(refused, Err(DatagramDrop::HelloRefused(FailReason::NothingInCommon)));
            assert_eq!(association.last_refusal(), Some(FailReason::NothingInCommon));
            assert_eq!(association.poll_event(), None);
            continue;
        }
        assert_eq!(refused, Ok(()));
        let challenge = sent(&mut association).remove(0);
        let cookie = &challenge[RECORD_HEADER + HANDSHAKE_HEADER + 3..];

        let mut answer = foreign[..suites_at - 1].to_vec();
        answer.push(u8::try_from(cookie.len()).unwrap());
        answer.extend_from_slice(cookie);
        answer.extend_from_slice(&foreign[suites_at..]);
        let body = u32::try_from(answer.len() - RECORD_HEADER - HANDSHAKE_HEADER).unwrap().to_be_bytes();
        answer[10] = 1;
        let record = u16::try_from(answer.len() - RECORD_HEADER).unwrap().to_be_bytes();
        answer[11..13].copy_from_slice(&record);
        answer[RECORD_HEADER + 1..RECORD_HEADER + 4].copy_from_slice(&body[1..]);
        answer[RECORD_HEADER + 5] = 1;
        answer[RECORD_HEADER + 9..RECORD_HEADER + 12].copy_from_slice(&body[1..]);
        association.handle_datagram(START, &answer).unwrap();
        assert_eq!(association.poll_event(), Some(Event::Failed(FailReason::NothingInCommon)), "{server}");
        assert!(FailReason::NothingInCommon.other_provider_may_do());
    }
}
