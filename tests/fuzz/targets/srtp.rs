//! Two ends of SRTP under any order of packets, losses, repeats, forgeries, jumps and changes of keys, and any bytes.
//!
//! No keystream covers two packets; a receiver opens what was sent, each packet once, and nothing else.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use rtp::srtp::{
    Inbound, KeyParameters, MasterKey, Mki, Outbound, Policy, SessionParameters, Suite, UnprotectError,
};

/// What was sent: the plain packet, as it was numbered, and the protected one.
struct Sent {
    plain: Vec<u8>,
    protected: Vec<u8>,
    rtcp: bool,
    opened: bool,
}

struct World {
    outbound: Outbound,
    inbound: Inbound,
    sent: Vec<Sent>,
    keystreams: HashSet<[u8; 16]>,
    suite: Suite,
    mki_bytes: usize,
    keys: u8,
    seq: u16,
}

impl World {
    fn new(suite: Suite, mki_bytes: usize) -> World {
        let policy = policy(suite, mki_bytes, 0);
        World {
            outbound: Outbound::new(&policy).expect("a policy"),
            inbound: Inbound::new(&policy).expect("a policy"),
            sent: Vec::new(),
            keystreams: HashSet::new(),
            suite,
            mki_bytes,
            keys: 0,
            seq: 0,
        }
    }

    fn send(&mut self, ssrc: u8) {
        let mut buffer = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ssrc];
        buffer[2..4].copy_from_slice(&self.seq.to_be_bytes());
        buffer.resize(28 + self.outbound.rtp_overhead_bytes(), 0);
        let Ok(length) = self.outbound.protect_rtp(&mut buffer, 28) else { return };
        assert_eq!(length, buffer.len());
        let keystream = buffer[12..28].try_into().expect("sixteen bytes");
        assert!(self.keystreams.insert(keystream), "a keystream was used twice");
        let plain = [&buffer[..12], &[0; 16]].concat();
        self.sent.push(Sent { plain, protected: buffer, rtcp: false, opened: false });
    }

    fn report(&mut self, ssrc: u8) {
        let mut buffer = vec![0x80, 201, 0, 5, 0, 0, 0, ssrc];
        buffer.resize(24 + self.outbound.rtcp_overhead_bytes(), 0);
        let Ok(length) = self.outbound.protect_rtcp(&mut buffer, 24) else { return };
        assert_eq!(length, buffer.len());
        let keystream = buffer[8..24].try_into().expect("sixteen bytes");
        assert!(self.keystreams.insert(keystream), "a keystream was used twice");
        let plain = [&buffer[..8], &[0; 16]].concat();
        self.sent.push(Sent { plain, protected: buffer, rtcp: true, opened: false });
    }

    /// Delivers what was sent `back` packets ago, with a bit turned if `forge` is not 0.
    fn deliver(&mut self, back: u8, forge: u8) {
        let Some(at) = self.sent.len().checked_sub(1 + usize::from(back)) else { return };
        let sent = &mut self.sent[at];
        let mut packet = sent.protected.clone();
        if forge > 0 {
            let at = usize::from(forge) % packet.len();
            packet[at] ^= 1 << (forge % 8);
        }
        let opened = match sent.rtcp {
            true => self.inbound.unprotect_rtcp(&mut packet),
            false => self.inbound.unprotect_rtp(&mut packet),
        };
        let Ok(length) = opened else { return };
        assert_eq!(forge, 0, "a forged packet was opened");
        assert!(!sent.opened, "a packet was opened twice");
        assert_eq!(packet[..length], sent.plain);
        sent.opened = true;
    }

    fn rekey(&mut self, which: u8) {
        let next = policy(self.suite, self.mki_bytes, self.keys.wrapping_add(which / 4 % 2));
        if which % 2 == 0 {
            self.inbound.rekey(&next).expect("a policy");
        }
        if which / 2 % 2 == 0 {
            self.outbound.rekey(&next).expect("a policy");
        }
    }
}

fn policy(suite: Suite, mki_bytes: usize, keys: u8) -> Policy {
    let key = |byte: u8| {
        let bytes = vec![byte; suite.master_bytes()];
        MasterKey::from_concatenation(suite, &bytes).expect("the suite's length")
    };
    let with = |byte: u8, mki: u64, lifetime| KeyParameters {
        key: key(byte),
        mki: Mki::new(mki, mki_bytes),
        lifetime,
    };
    let mut list = vec![with(keys, 1, None)];
    if mki_bytes > 0 {
        list = vec![with(keys, 1, Some(20)), with(keys ^ 0x80, 2, None)];
    }
    Policy { suite, keys: list, parameters: SessionParameters::default() }
}

fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    let suite = Suite::ALL[usize::from(kind % 8)];
    let mut world = World::new(suite, usize::from(kind / 8 % 4));
    let mut bytes = rest.iter().copied();
    while let (Some(operation), Some(value)) = (bytes.next(), bytes.next()) {
        match operation % 8 {
            0 | 1 => {
                world.seq = world.seq.wrapping_add(1);
                world.send(value % 3);
                world.deliver(0, 0);
            }
            2 => {
                for _ in 0..value {
                    world.seq = world.seq.wrapping_add(1);
                    world.send(1);
                }
            }
            3 => world.seq = world.seq.wrapping_add(u16::from(value) << (operation / 8 % 9)),
            4 => world.deliver(value, 0),
            5 => world.deliver(operation / 8, value),
            6 => world.report(value % 3),
            // Only onward: a party that takes up old keys again has no right to expect anything.
            _ if operation & 0x80 == 0 && world.keys < 60 => {
                world.rekey(value);
                if value / 4 % 2 == 1 {
                    world.keys += 1;
                }
            }
            _ => {
                let mut packet: Vec<u8> = bytes.by_ref().take(usize::from(value)).collect();
                let refused =
                    [world.inbound.unprotect_rtp(&mut packet), world.inbound.unprotect_rtcp(&mut packet)];
                assert!(refused.iter().all(Result::is_err));
                assert!(packet.len() > 7 || refused[0] == Err(UnprotectError::TooShort));
            }
        }
    }
});
