//! Our SRTP against libsrtp2 in this process: the same bytes, the same verdicts, whatever the network does.

use std::collections::VecDeque;

use libsrtp::{DEBIAN, Direction, Failure, Library, Session, TRAILER_BYTES_MAX};
use rtp::srtp::{Inbound, MasterKey, Outbound, Policy, Suite, UnprotectError};

/// All but those of 192 bits, of which [`libsrtp_derives_keys_of_192_bits_otherwise`] tells.
const SUITES: [Suite; 6] = [
    Suite::AeadAes256Gcm,
    Suite::AeadAes128Gcm,
    Suite::Aes256CmHmacSha1_80,
    Suite::Aes256CmHmacSha1_32,
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(256)).expect("a byte")).collect()
    }
}

/// What both implementations make of one key.
struct Pair {
    ours: (Outbound, Inbound),
    theirs: (Session, Session),
    suite: Suite,
}

impl Pair {
    fn new(library: &Library, suite: Suite, key: &[u8]) -> Pair {
        let policy = policy(suite, key);
        let session = |direction| {
            library.session(direction, suite, key).unwrap_or_else(|error| panic!("{suite}: {error:?}"))
        };
        Pair {
            ours: (Outbound::new(&policy).expect("a policy"), Inbound::new(&policy).expect("a policy")),
            theirs: (session(Direction::Outbound), session(Direction::Inbound)),
            suite,
        }
    }

    fn rekey(&mut self, key: &[u8]) {
        let policy = policy(self.suite, key);
        self.ours.0.rekey(&policy).expect("a policy");
        self.ours.1.rekey(&policy).expect("a policy");
        self.theirs.0.update(Direction::Outbound, self.suite, key).expect("an update");
        self.theirs.1.update(Direction::Inbound, self.suite, key).expect("an update");
    }

    /// Both senders' packet, which is the same.
    fn protect(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut ours = roomy(plain);
        let length = self.ours.0.protect_rtp(&mut ours, plain.len()).expect("a packet in order");
        ours.truncate(length);
        let mut theirs = roomy(plain);
        let length = self.theirs.0.protect(&mut theirs, plain.len()).expect("a packet in order");
        theirs.truncate(length);
        assert_eq!(ours, theirs, "{}", self.suite);
        ours
    }

    /// Both receivers' verdict, which is the same.
    fn unprotect(&mut self, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
        let mut ours = packet.to_vec();
        let verdict = self.ours.1.unprotect_rtp(&mut ours);
        let mut theirs = packet.to_vec();
        agree(self.suite, verdict, self.theirs.1.unprotect(&mut theirs));
        verdict.map(|length| {
            assert_eq!(ours[..length], theirs[..length]);
            ours[..length].to_vec()
        })
    }

    /// Each sender's report; only the index differs, for theirs begins with 1.
    fn protect_rtcp(&mut self, plain: &[u8]) -> [Vec<u8>; 2] {
        let mut ours = roomy(plain);
        let length = self.ours.0.protect_rtcp(&mut ours, plain.len()).expect("a report");
        ours.truncate(length);
        let mut theirs = roomy(plain);
        let length = self.theirs.0.protect_rtcp(&mut theirs, plain.len()).expect("a report");
        theirs.truncate(length);
        [ours, theirs]
    }

    fn unprotect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
        let mut ours = packet.to_vec();
        let verdict = self.ours.1.unprotect_rtcp(&mut ours);
        let mut theirs = packet.to_vec();
        agree(self.suite, verdict, self.theirs.1.unprotect_rtcp(&mut theirs));
        verdict.map(|length| {
            assert_eq!(ours[..length], theirs[..length]);
            ours[..length].to_vec()
        })
    }
}

fn agree(suite: Suite, ours: Result<usize, UnprotectError>, theirs: Result<usize, Failure>) {
    let same = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Err(UnprotectError::Unauthentic), Err(failure)) => failure == Failure::UNAUTHENTIC,
        (Err(UnprotectError::Replayed), Err(failure)) => failure == Failure::REPLAYED,
        (Err(UnprotectError::TooOld), Err(failure)) => failure == Failure::TOO_OLD,
        (Err(_), Err(_)) => true,
        _ => false,
    };
    assert!(same, "{suite}: ours {ours:?}, theirs {theirs:?}");
}

fn policy(suite: Suite, key: &[u8]) -> Policy {
    Policy::new(suite, MasterKey::from_concatenation(suite, key).expect("the suite's length"))
}

fn roomy(plain: &[u8]) -> Vec<u8> {
    [plain, &[0; TRAILER_BYTES_MAX]].concat()
}

fn rtp(ssrc: u32, index: u64, payload: &[u8]) -> Vec<u8> {
    let seq = u16::try_from(index & 0xffff).expect("16 bits");
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 160];
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn rtcp(ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(body);
    packet
}

fn debian() -> Library {
    Library::load(DEBIAN).expect("libsrtp2 can be loaded; `tools/install libsrtp2-1` brings it")
}

/// From below the end of the first round past the end of the second, in steps that are now single, now wide.
#[test]
fn libsrtp_agrees_through_two_rollovers_with_loss_reordering_duplication_and_forgery() {
    let library = debian();
    for (at, suite) in SUITES.into_iter().enumerate() {
        let mut dice = Dice(0x5eed + at as u64);
        let mut pair = Pair::new(&library, suite, &dice.bytes(suite.master_bytes()));
        let mut index = 60_000;
        let mut delayed: VecDeque<(Vec<u8>, Vec<u8>)> = VecDeque::new();
        let (mut heard, mut refused) = (0, 0);
        while index < 60_000 + 2 * 65_536 {
            let near_the_end = index & 0xffff > 65_400 || index & 0xffff < 100;
            let wide = !near_the_end && dice.below(8) == 0;
            index += if wide { 1 + dice.below(3000) } else { 1 + dice.below(3) };
            let bytes = usize::try_from(dice.below(200)).expect("small");
            let plain = rtp(7, index, &dice.bytes(bytes));
            let packet = pair.protect(&plain);
            match dice.below(10) {
                0 => {}
                1 => {
                    let mut forged = packet.clone();
                    let byte = 12 + usize::try_from(dice.below(packet.len() as u64 - 12)).expect("small");
                    forged[byte] ^= 1 << dice.below(8);
                    assert_eq!(pair.unprotect(&forged), Err(UnprotectError::Unauthentic));
                    assert_eq!(pair.unprotect(&packet), Ok(plain));
                }
                2 => {
                    assert_eq!(pair.unprotect(&packet), Ok(plain));
                    assert_eq!(pair.unprotect(&packet), Err(UnprotectError::Replayed));
                }
                3 | 4 => delayed.push_back((plain, packet)),
                _ => assert_eq!(pair.unprotect(&packet), Ok(plain)),
            }
            if delayed.len() > 3
                && let Some((plain, packet)) = delayed.pop_front()
            {
                match pair.unprotect(&packet) {
                    Ok(opened) => {
                        assert_eq!(opened, plain);
                        heard += 1;
                    }
                    Err(error) => {
                        assert_eq!(error, UnprotectError::TooOld);
                        refused += 1;
                    }
                }
            }
        }
        assert!(heard > 10 && refused > 10, "{suite}: {heard} late packets heard, {refused} too late");
    }
}

#[test]
fn libsrtp_agrees_about_rtcp() {
    let library = debian();
    for (at, suite) in SUITES.into_iter().enumerate() {
        let mut dice = Dice(0xcafe + at as u64);
        let mut pair = Pair::new(&library, suite, &dice.bytes(suite.master_bytes()));
        let body = dice.bytes(44);
        let mut before = None;
        for _ in 0..200 {
            let plain = rtcp(7, &body);
            let [ours, theirs] = pair.protect_rtcp(&plain);
            // Ours with the index that theirs had one report earlier, when the bytes were the same.
            if let Some(before) = before.replace(theirs.clone()) {
                assert_eq!(ours, before, "{suite}");
            } else {
                assert_eq!(pair.unprotect_rtcp(&ours), Ok(plain.clone()));
            }
            let mut forged = theirs.clone();
            let byte = 8 + usize::try_from(dice.below(theirs.len() as u64 - 14)).expect("small");
            forged[byte] ^= 1 << dice.below(7);
            // Where it is the index that was forged, it may be one that was seen.
            assert!(pair.unprotect_rtcp(&forged).is_err(), "{suite} {byte}");
            if dice.below(4) > 0 {
                assert_eq!(pair.unprotect_rtcp(&theirs), Ok(plain));
                assert_eq!(pair.unprotect_rtcp(&theirs), Err(UnprotectError::Replayed));
            }
        }
    }
}

#[test]
fn libsrtp_agrees_about_the_edges_of_the_window() {
    let library = debian();
    let suite = Suite::AesCm128HmacSha1_80;
    let mut pair = Pair::new(&library, suite, &[9; 30]);
    let packets: Vec<_> = (1000..1300).map(|index| pair.protect(&rtp(7, index, b"payload"))).collect();
    assert!(pair.unprotect(&packets[200]).is_ok());
    for at in [74, 73, 72, 71, 199, 200] {
        let refused = match at {
            71 | 72 => Some(UnprotectError::TooOld),
            200 => Some(UnprotectError::Replayed),
            _ => None,
        };
        assert_eq!(pair.unprotect(&packets[at]).err(), refused, "{at}");
    }
}

#[test]
fn libsrtp_agrees_that_new_keys_keep_the_rollover_counter() {
    let library = debian();
    for suite in SUITES {
        let mut dice = Dice(0xfeed);
        let mut pair = Pair::new(&library, suite, &dice.bytes(suite.master_bytes()));
        for index in [60_000, 80_000, 110_000, 140_000] {
            let plain = rtp(7, index, b"before");
            let packet = pair.protect(&plain);
            assert_eq!(pair.unprotect(&packet), Ok(plain));
        }
        pair.rekey(&dice.bytes(suite.master_bytes()));
        for index in 140_001..140_020 {
            let plain = rtp(7, index, b"after");
            let packet = pair.protect(&plain);
            assert_eq!(pair.unprotect(&packet), Ok(plain));
            assert_eq!(pair.unprotect(&packet), Err(UnprotectError::Replayed));
        }
    }
}

/// Several sources under one key, and headers with sources and extensions.
#[test]
fn libsrtp_agrees_about_sources_and_headers() {
    let library = debian();
    for suite in SUITES {
        let mut pair = Pair::new(&library, suite, &vec![3; suite.master_bytes()]);
        for index in 65_530..65_550 {
            for ssrc in [1, 2, u32::MAX] {
                let mut plain = rtp(ssrc, index, &[]);
                plain[0] = 0xb2;
                plain.extend_from_slice(&[0, 0, 0, 5, 0, 0, 0, 6, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
                plain.extend_from_slice(b"payload and padding\x00\x00\x03");
                let packet = pair.protect(&plain);
                assert_eq!(packet[..28], plain[..28]);
                assert_eq!(pair.unprotect(&packet), Ok(plain));
            }
        }
    }
}

/// Up to 2.7 it derives them with AES-256 and a key padded with zeros, against RFC 6188 §3, whose vectors ours keeps.
#[test]
fn libsrtp_derives_keys_of_192_bits_otherwise() {
    let library = debian();
    for suite in [Suite::Aes192CmHmacSha1_80, Suite::Aes192CmHmacSha1_32] {
        let key = vec![5; suite.master_bytes()];
        let mut session = library.session(Direction::Inbound, suite, &key).expect("a session");
        let plain = rtp(7, 1, b"payload");
        let mut packet = roomy(&plain);
        let mut outbound = Outbound::new(&policy(suite, &key)).expect("a policy");
        let length = outbound.protect_rtp(&mut packet, plain.len()).expect("a packet");
        assert_eq!(session.unprotect(&mut packet[..length]), Err(Failure::UNAUTHENTIC));
    }
}
