//! What an [`Inbound`] accepts, and that nothing else leaves a trace.

use proptest::prelude::*;

use super::*;

#[test]
fn rtcp_of_every_suite_gives_back_what_was_sent() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = ends(&policy(suite));
        for bytes in [0, 20, 300] {
            let plain = rtcp(7, bytes);
            let protected = protect_rtcp(&mut outbound, &plain).unwrap();
            assert_eq!(protected.len(), plain.len() + suite.rtcp_overhead_bytes());
            assert!(bytes == 0 || protected[8..plain.len()] != plain[8..]);
            assert_eq!(unprotect_rtcp(&mut inbound, &protected).unwrap(), plain, "{suite}");
            assert_eq!(unprotect_rtcp(&mut inbound, &protected), Err(UnprotectError::Replayed));
        }
    }
}

#[test]
fn a_change_of_any_bit_is_unauthentic_and_changes_nothing() {
    for suite in [Suite::AesCm128HmacSha1_32, Suite::AeadAes256Gcm] {
        let (mut outbound, mut inbound) = ends(&policy(suite));
        let first = protect(&mut outbound, &rtp(1, 1, b"first")).unwrap();
        let second = protect(&mut outbound, &rtp(1, 2, b"second")).unwrap();
        let report = protect_rtcp(&mut outbound, &rtcp(1, 12)).unwrap();
        assert!(unprotect(&mut inbound, &first).is_ok());
        // The version and, in RTP, what moves the payload are looked at before the tag.
        for bit in 8..8 * second.len() {
            let mut forged = second.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let refused = unprotect(&mut inbound, &forged).unwrap_err();
            let old = matches!(refused, UnprotectError::TooOld | UnprotectError::Replayed);
            assert!(
                refused == UnprotectError::Unauthentic || old && matches!(bit / 8, 2 | 3),
                "{suite} {bit}"
            );
        }
        for bit in 8..8 * report.len() {
            let mut forged = report.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                unprotect_rtcp(&mut inbound, &forged),
                Err(UnprotectError::Unauthentic),
                "{suite} {bit}"
            );
        }
        assert!(unprotect(&mut inbound, &second).is_ok());
        assert!(unprotect_rtcp(&mut inbound, &report).is_ok());
    }
}

#[test]
fn a_packet_cut_anywhere_is_refused() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = ends(&policy(suite));
        let packet = protect(&mut outbound, &rtp(1, 1, b"payload")).unwrap();
        let report = protect_rtcp(&mut outbound, &rtcp(1, 12)).unwrap();
        for length in 0..packet.len() {
            let refused = unprotect(&mut inbound, &packet[..length]).unwrap_err();
            let short = length < 12 + suite.rtp_overhead_bytes();
            assert_eq!(refused, if short { UnprotectError::TooShort } else { UnprotectError::Unauthentic });
        }
        for length in 0..report.len() {
            let refused = unprotect_rtcp(&mut inbound, &report[..length]).unwrap_err();
            let short = length < 8 + suite.rtcp_overhead_bytes();
            assert_eq!(refused, if short { UnprotectError::TooShort } else { UnprotectError::Unauthentic });
        }
        assert_eq!(inbound.unprotect_rtp(&mut [0x40; 60]), Err(UnprotectError::BadVersion));
        assert_eq!(inbound.unprotect_rtcp(&mut [0x40; 60]), Err(UnprotectError::BadVersion));
    }
}

#[test]
fn a_forged_packet_far_ahead_does_not_move_the_window() {
    let (mut outbound, mut inbound) = ends(&policy(Suite::AesCm128HmacSha1_80));
    let packets: Vec<_> = (0..200).map(|seq| protect(&mut outbound, &rtp(1, seq, b"x")).unwrap()).collect();
    assert!(unprotect(&mut inbound, &packets[0]).is_ok());
    let mut ahead = packets[1].clone();
    ahead[2] = 0x70;
    assert_eq!(unprotect(&mut inbound, &ahead), Err(UnprotectError::Unauthentic));
    assert!(packets[1..].iter().all(|packet| unprotect(&mut inbound, packet).is_ok()));
    assert_eq!(unprotect(&mut inbound, &packets[199 - 127]), Err(UnprotectError::Replayed));
    assert_eq!(unprotect(&mut inbound, &packets[199 - 128]), Err(UnprotectError::TooOld));
}

#[test]
fn rollovers_are_followed_through_loss_and_silence() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = ends(&policy(suite));
        let mut seq = 65_000u16;
        // Some two rounds in steps below half of one: what is in between is lost.
        for step in [30_000, 32_767, 3_000, 32_000, 32_767, 20_000] {
            let plain = rtp(1, seq, b"after a silence");
            let protected = protect(&mut outbound, &plain).unwrap();
            assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain, "{suite} {seq}");
            assert_eq!(unprotect(&mut inbound, &protected), Err(UnprotectError::Replayed));
            seq = seq.wrapping_add(step);
        }
    }
}

#[test]
fn a_stream_that_rolled_over_before_it_was_heard_is_found() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let (mut outbound, mut inbound) = ends(&policy(suite));
        protect(&mut outbound, &rtp(1, 65_535, b"lost")).unwrap();
        let heard = protect(&mut outbound, &rtp(1, 2, b"heard first")).unwrap();
        assert_eq!(unprotect(&mut inbound, &heard).unwrap(), rtp(1, 2, b"heard first"));
        assert_eq!(unprotect(&mut inbound, &heard), Err(UnprotectError::Replayed));
    }
}

#[test]
fn the_source_heard_longest_ago_gives_way_to_an_authentic_one_only() {
    let policy = policy(Suite::AesCm128HmacSha1_80);
    let mut inbound = Inbound::new(&policy).unwrap();
    let packet = |ssrc| protect(&mut Outbound::new(&policy).unwrap(), &rtp(ssrc, 9, b"x")).unwrap();
    let sources = u32::try_from(SOURCES_MAX).unwrap();
    for ssrc in 0..sources {
        assert!(unprotect(&mut inbound, &packet(ssrc)).is_ok());
    }
    let mut forged = packet(sources);
    forged[11] ^= 0x80;
    assert_eq!(unprotect(&mut inbound, &forged), Err(UnprotectError::Unauthentic));
    assert_eq!(unprotect(&mut inbound, &packet(0)), Err(UnprotectError::Replayed));
    assert!(unprotect(&mut inbound, &packet(sources)).is_ok());
    assert_eq!(unprotect(&mut inbound, &packet(1)), Err(UnprotectError::Replayed));
    // Only the first was forgotten.
    assert!(unprotect(&mut inbound, &packet(0)).is_ok());
}

#[test]
fn a_key_identifier_chooses_the_key() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let mut both = policy(suite);
        both.keys[0].mki = Mki::new(1, 4);
        let mut second = other(policy(suite)).keys.remove(0);
        second.mki = Mki::new(0x0203, 4);
        both.keys.push(second.clone());
        let mut inbound = Inbound::new(&both).unwrap();
        let mut only_second = Policy { keys: vec![second], ..both.clone() };
        let (mut first, mut next) = (Outbound::new(&both).unwrap(), Outbound::new(&only_second).unwrap());
        let plain = rtp(1, 1, b"one");
        let protected = protect(&mut first, &plain).unwrap();
        assert_eq!(protected.len(), plain.len() + suite.rtp_overhead_bytes() + 4);
        assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain);
        let plain = rtp(1, 2, b"two");
        let protected = protect(&mut next, &plain).unwrap();
        assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain);
        let report = protect_rtcp(&mut next, &rtcp(1, 8)).unwrap();
        assert_eq!(unprotect_rtcp(&mut inbound, &report).unwrap(), rtcp(1, 8));

        only_second.keys[0].mki = Mki::new(9, 4);
        let mut stranger = Outbound::new(&only_second).unwrap();
        let protected = protect(&mut stranger, &rtp(1, 3, b"three")).unwrap();
        assert_eq!(unprotect(&mut inbound, &protected), Err(UnprotectError::UnknownMki));
        let report = protect_rtcp(&mut stranger, &rtcp(1, 8)).unwrap();
        assert_eq!(unprotect_rtcp(&mut inbound, &report), Err(UnprotectError::UnknownMki));
    }
}

#[test]
fn a_key_opens_no_more_packets_than_its_lifetime() {
    let mut short = policy(Suite::AesCm128HmacSha1_80);
    let mut outbound = Outbound::new(&short).unwrap();
    short.keys[0].lifetime = Some(2);
    let mut inbound = Inbound::new(&short).unwrap();
    let packets: Vec<_> = (0..3).map(|seq| protect(&mut outbound, &rtp(1, seq, b"x")).unwrap()).collect();
    let reports: Vec<_> = (0..3).map(|_| protect_rtcp(&mut outbound, &rtcp(1, 4)).unwrap()).collect();
    let mut forged = packets[0].clone();
    forged[13] ^= 1;
    assert_eq!(unprotect(&mut inbound, &forged), Err(UnprotectError::Unauthentic));
    assert!(packets[..2].iter().all(|packet| unprotect(&mut inbound, packet).is_ok()));
    assert!(reports[..2].iter().all(|packet| unprotect_rtcp(&mut inbound, packet).is_ok()));
    assert_eq!(unprotect(&mut inbound, &packets[2]), Err(UnprotectError::KeyExhausted));
    assert_eq!(unprotect_rtcp(&mut inbound, &reports[2]), Err(UnprotectError::KeyExhausted));
}

#[test]
fn what_was_agreed_to_be_left_out_is_left_out() {
    let mut clear = policy(Suite::AesCm128HmacSha1_80);
    clear.parameters.unencrypted_srtp = true;
    clear.parameters.unencrypted_srtcp = true;
    let (mut outbound, mut inbound) = ends(&clear);
    let (plain, report) = (rtp(1, 1, b"in clear"), rtcp(1, 8));
    let protected = protect(&mut outbound, &plain).unwrap();
    assert_eq!(protected[..plain.len()], plain);
    assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain);
    let protected = protect_rtcp(&mut outbound, &report).unwrap();
    assert_eq!(protected[..report.len() + 4], [report.as_slice(), &[0; 4]].concat());
    assert_eq!(unprotect_rtcp(&mut inbound, &protected).unwrap(), report);

    let mut untagged = policy(Suite::AesCm128HmacSha1_80);
    untagged.parameters.unauthenticated_srtp = true;
    let (mut outbound, mut inbound) = ends(&untagged);
    let protected = protect(&mut outbound, &plain).unwrap();
    assert_eq!(protected.len(), plain.len());
    assert_ne!(protected[12..], plain[12..]);
    assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain);
    let protected = protect_rtcp(&mut outbound, &report).unwrap();
    assert_eq!(protected.len(), report.len() + Suite::AesCm128HmacSha1_80.rtcp_overhead_bytes());
}

#[test]
fn csrcs_and_extensions_stay_readable_and_are_authenticated() {
    let mut plain = rtp(1, 1, &[]);
    plain[0] = 0x92;
    plain.extend_from_slice(&[0, 0, 0, 5, 0, 0, 0, 6, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
    let header_bytes = plain.len();
    plain.extend_from_slice(b"payload");
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let (mut outbound, mut inbound) = ends(&policy(suite));
        let protected = protect(&mut outbound, &plain).unwrap();
        assert_eq!(protected[..header_bytes], plain[..header_bytes]);
        assert_ne!(protected[header_bytes..plain.len()], plain[header_bytes..]);
        let mut forged = protected.clone();
        forged[header_bytes - 3] ^= 1;
        assert_eq!(unprotect(&mut inbound, &forged), Err(UnprotectError::Unauthentic));
        assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A sender of 150 000 packets, of which some arrive, in a wrong order, twice, or forged.
    #[test]
    fn each_packet_is_heard_once_whatever_the_network_does(
        gcm in any::<bool>(),
        start in any::<u16>(),
        fates in prop::collection::vec((1u64..900, 0u8..8), 1..500),
    ) {
        let suite = if gcm { Suite::AeadAes128Gcm } else { Suite::AesCm128HmacSha1_32 };
        let (mut outbound, mut inbound) = ends(&policy(suite));
        let mut index = u64::from(start);
        let mut late: Option<(Vec<u8>, Vec<u8>)> = None;
        for (step, fate) in fates {
            index += step;
            let seq = u16::try_from(index & 0xffff).unwrap();
            let plain = rtp(3, seq, &index.to_be_bytes());
            let protected = protect(&mut outbound, &plain).unwrap();
            match fate {
                0 => {}
                1 => {
                    let mut forged = protected;
                    *forged.last_mut().unwrap() ^= 1;
                    prop_assert_eq!(unprotect(&mut inbound, &forged), Err(UnprotectError::Unauthentic));
                }
                2 => {
                    prop_assert_eq!(unprotect(&mut inbound, &protected), Ok(plain));
                    prop_assert_eq!(unprotect(&mut inbound, &protected), Err(UnprotectError::Replayed));
                }
                3 => {
                    // Overtaken by its successor.
                    index += 1;
                    let next = rtp(3, u16::try_from(index & 0xffff).unwrap(), &index.to_be_bytes());
                    let overtaking = protect(&mut outbound, &next).unwrap();
                    prop_assert_eq!(unprotect(&mut inbound, &overtaking), Ok(next));
                    prop_assert_eq!(unprotect(&mut inbound, &protected), Ok(plain));
                }
                4 => late = Some((plain, protected)),
                _ => prop_assert_eq!(unprotect(&mut inbound, &protected), Ok(plain)),
            }
            if fate > 5 && let Some((plain, protected)) = late.take() {
                match unprotect(&mut inbound, &protected) {
                    Ok(opened) => prop_assert_eq!(opened, plain),
                    Err(error) => prop_assert_eq!(error, UnprotectError::TooOld),
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120), gcm in any::<bool>()) {
        let suite = if gcm { Suite::AeadAes128Gcm } else { Suite::AesCm128HmacSha1_80 };
        let (mut outbound, mut inbound) = ends(&policy(suite));
        prop_assert!(inbound.unprotect_rtp(&mut bytes).is_err());
        prop_assert!(inbound.unprotect_rtcp(&mut bytes).is_err());
        let length = bytes.len();
        let _ = outbound.protect_rtp(&mut bytes, length);
        let _ = outbound.protect_rtcp(&mut bytes, length / 2);
    }
}
