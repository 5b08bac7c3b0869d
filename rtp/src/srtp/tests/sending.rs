//! What an [`Outbound`] sends: no index twice under a key, whatever a source does.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn seq_of(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

#[test]
fn a_second_packet_with_the_same_number_is_refused() {
    for suite in Suite::ALL {
        let (mut outbound, _) = ends(&policy(suite));
        protect(&mut outbound, &rtp(1, 10, b"first")).unwrap();
        protect(&mut outbound, &rtp(1, 13, b"ahead")).unwrap();
        assert_eq!(protect(&mut outbound, &rtp(1, 10, b"other")), Err(ProtectError::Repeated));
        assert_eq!(protect(&mut outbound, &rtp(1, 10, b"first")), Err(ProtectError::Repeated));
        // What was overtaken is sent, once.
        assert!(protect(&mut outbound, &rtp(1, 12, b"late")).is_ok());
        assert_eq!(protect(&mut outbound, &rtp(1, 12, b"late")), Err(ProtectError::Repeated));
    }
}

#[test]
fn a_source_that_begins_again_elsewhere_is_numbered_on() {
    for (before, after) in [(1000, 40_000), (50_000, 30_000), (5000, 1000), (3, 65_530)] {
        let (mut outbound, mut inbound) = ends(&policy(Suite::AeadAes128Gcm));
        let sent = protect(&mut outbound, &rtp(1, before, b"before")).unwrap();
        assert!(unprotect(&mut inbound, &sent).is_ok());
        // One stray changes nothing.
        assert_eq!(protect(&mut outbound, &rtp(1, after, b"stray")), Err(ProtectError::OutOfOrder));
        let sent = protect(&mut outbound, &rtp(1, before + 1, b"on")).unwrap();
        assert_eq!((seq_of(&sent), unprotect(&mut inbound, &sent).is_ok()), (before + 1, true));
        // A second one in order is believed.
        assert_eq!(protect(&mut outbound, &rtp(1, after, b"lost")), Err(ProtectError::OutOfOrder));
        for step in 1..200 {
            let plain = rtp(1, after.wrapping_add(step), b"again");
            let sent = protect(&mut outbound, &plain).unwrap();
            assert_eq!(seq_of(&sent), before + 1 + step);
            assert_eq!(unprotect(&mut inbound, &sent).unwrap()[12..], plain[12..]);
        }
    }
}

#[test]
fn a_source_that_begins_again_close_behind_is_silent_until_it_is_past_the_window() {
    let (mut outbound, mut inbound) = ends(&policy(Suite::AesCm128HmacSha1_80));
    for seq in 0..100 {
        let sent = protect(&mut outbound, &rtp(1, seq, b"before")).unwrap();
        unprotect(&mut inbound, &sent).unwrap();
    }
    for seq in 0..100 {
        assert_eq!(protect(&mut outbound, &rtp(1, seq, b"again")), Err(ProtectError::Repeated));
    }
    let sent = protect(&mut outbound, &rtp(1, 100, b"again")).unwrap();
    assert!(unprotect(&mut inbound, &sent).is_ok());
}

#[test]
fn a_packet_without_room_or_header_is_refused_and_uses_no_index() {
    let (mut outbound, _) = ends(&policy(Suite::AesCm128HmacSha1_80));
    let mut buffer = rtp(1, 1, b"payload");
    let length = buffer.len();
    buffer.resize(length + 9, 0);
    assert_eq!(outbound.protect_rtp(&mut buffer, length), Err(ProtectError::NoRoom));
    assert_eq!(outbound.protect_rtp(&mut buffer, length + 10), Err(ProtectError::NoRoom));
    assert_eq!(outbound.protect_rtp(&mut buffer, 11), Err(ProtectError::TooShort));
    buffer.resize(length + 10, 0);
    assert_eq!(outbound.protect_rtp(&mut buffer, length), Ok(length + 10));
    let mut report = rtcp(1, 0);
    assert_eq!(outbound.protect_rtcp(&mut report, 8), Err(ProtectError::NoRoom));
    assert_eq!(outbound.protect_rtcp(&mut report, 7), Err(ProtectError::TooShort));
    assert_eq!(outbound.protect_rtcp(&mut [0; 40], 20), Err(ProtectError::BadVersion));
    assert_eq!(outbound.protect_rtp(&mut [0; 40], 20), Err(ProtectError::BadVersion));
    assert!(outbound.protect_rtp(&mut [0x80; 40], usize::MAX).is_err());
}

#[test]
fn a_forgotten_source_never_starts_over() {
    let (mut outbound, _) = ends(&policy(Suite::AesCm128HmacSha1_80));
    let sources = u32::try_from(SOURCES_MAX).unwrap();
    for ssrc in 0..sources {
        protect(&mut outbound, &rtp(ssrc, 1, b"x")).unwrap();
    }
    assert_eq!(protect(&mut outbound, &rtp(sources, 1, b"x")), Err(ProtectError::TooManySources));
    assert_eq!(protect_rtcp(&mut outbound, &rtcp(sources, 0)), Err(ProtectError::TooManySources));
    assert_eq!(protect(&mut outbound, &rtp(0, 1, b"y")), Err(ProtectError::Repeated));
    assert!(protect(&mut outbound, &rtp(0, 2, b"y")).is_ok());
}

#[test]
fn the_next_key_is_taken_when_the_lifetime_of_the_first_ends() {
    let mut both = policy(Suite::AesCm128HmacSha1_80);
    both.keys[0].mki = Mki::new(1, 1);
    both.keys[0].lifetime = Some(2);
    let mut second = other(policy(Suite::AesCm128HmacSha1_80)).keys.remove(0);
    second.mki = Mki::new(2, 1);
    second.lifetime = Some(3);
    both.keys.push(second);
    let (mut outbound, mut inbound) = ends(&both);
    let mut identifiers = Vec::new();
    for seq in 0..5 {
        let plain = rtp(1, seq, b"payload");
        let sent = protect(&mut outbound, &plain).unwrap();
        identifiers.push(sent[plain.len()]);
        assert_eq!(unprotect(&mut inbound, &sent).unwrap(), plain);
    }
    assert_eq!(identifiers, [1, 1, 2, 2, 2]);
    assert_eq!(protect(&mut outbound, &rtp(1, 5, b"payload")), Err(ProtectError::KeyExhausted));
    // RTCP has a count of its own.
    assert_eq!((0..4).filter(|_| protect_rtcp(&mut outbound, &rtcp(1, 4)).is_ok()).count(), 3);
}

#[test]
fn the_index_of_rtcp_begins_at_0_for_each_source() {
    let (mut outbound, _) = ends(&policy(Suite::AesCm128HmacSha1_80));
    for (ssrc, index) in [(1, 0u8), (1, 1), (2, 0), (1, 2)] {
        let sent = protect_rtcp(&mut outbound, &rtcp(ssrc, 0)).unwrap();
        assert_eq!(sent[8..12], [0x80, 0, 0, index]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Payloads of zeros leave the keystream itself.
    #[test]
    fn no_keystream_is_used_twice(
        gcm in any::<bool>(),
        moves in prop::collection::vec((0u8..10, any::<u16>(), 1u16..300), 1..60),
        rekeys in prop::collection::vec(0usize..60, 0..3),
    ) {
        let suite = if gcm { Suite::AeadAes128Gcm } else { Suite::AesCm128HmacSha1_80 };
        let policy = policy(suite);
        let (mut outbound, mut inbound) = ends(&policy);
        let mut used = HashSet::new();
        let mut seq = 0u16;
        for (at, (kind, to, packets)) in moves.into_iter().enumerate() {
            match kind {
                0..5 => {}
                5 => seq = to,
                6 => seq = seq.wrapping_sub(to % 300),
                7 => seq = seq.wrapping_add(to % 300),
                8 => seq = seq.wrapping_add(0x8000 | to),
                _ => seq = 0,
            }
            if rekeys.contains(&at) {
                outbound.rekey(&other(policy.clone())).unwrap();
                outbound.rekey(&policy).unwrap();
            }
            for _ in 0..packets {
                seq = seq.wrapping_add(1);
                if let Ok(sent) = protect(&mut outbound, &rtp(1, seq, &[0; 16])) {
                    prop_assert!(used.insert(sent[12..28].to_vec()));
                    prop_assert!(unprotect(&mut inbound, &sent).is_ok());
                }
            }
        }
    }
}
