//! Changes of keys in a running session, and those that are none.

use super::*;

const SUITES: [Suite; 2] = [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm];

/// Ends whose source has rolled over once, and the last packet.
fn rolled_over(policy: &Policy) -> (Outbound, Inbound, Vec<u8>) {
    let (mut outbound, mut inbound) = ends(policy);
    let mut last = Vec::new();
    for seq in [50_000, 10_000] {
        last = protect(&mut outbound, &rtp(1, seq, b"before")).unwrap();
        unprotect(&mut inbound, &last).unwrap();
    }
    (outbound, inbound, last)
}

#[test]
fn the_same_keys_again_are_no_event() {
    for suite in SUITES {
        let mut policy = policy(suite);
        policy.keys[0].lifetime = Some(4);
        let (mut outbound, mut inbound, last) = rolled_over(&policy);
        outbound.rekey(&policy).unwrap();
        inbound.rekey(&policy).unwrap();
        assert_eq!(unprotect(&mut inbound, &last), Err(UnprotectError::Replayed));
        assert_eq!(protect(&mut outbound, &rtp(1, 10_000, b"again")), Err(ProtectError::Repeated));
        for seq in [10_001, 10_002] {
            let sent = protect(&mut outbound, &rtp(1, seq, b"after")).unwrap();
            assert_eq!(unprotect(&mut inbound, &sent).unwrap(), rtp(1, seq, b"after"));
        }
        // The lifetime went on too.
        assert_eq!(protect(&mut outbound, &rtp(1, 10_003, b"x")), Err(ProtectError::KeyExhausted));
    }
}

#[test]
fn a_policy_that_cannot_be_used_changes_nothing() {
    let (mut outbound, mut inbound) = ends(&policy(SUITES[0]));
    let unusable = Policy { keys: Vec::new(), ..policy(SUITES[0]) };
    assert_eq!(inbound.rekey(&unusable), Err(PolicyError::KeyCount));
    assert_eq!(outbound.rekey(&unusable), Err(PolicyError::KeyCount));
    let sent = protect(&mut outbound, &rtp(1, 1, b"x")).unwrap();
    assert!(unprotect(&mut inbound, &sent).is_ok());
}

#[test]
fn new_keys_keep_the_rollover_counter() {
    for suite in SUITES {
        let (before, after) = (policy(suite), other(policy(suite)));
        let (mut outbound, mut inbound, last) = rolled_over(&before);
        inbound.rekey(&after).unwrap();
        // In flight, or sent before the party changed.
        let late = protect(&mut outbound, &rtp(1, 10_001, b"old keys")).unwrap();
        assert_eq!(unprotect(&mut inbound, &late).unwrap(), rtp(1, 10_001, b"old keys"));
        assert_eq!(unprotect(&mut inbound, &last), Err(UnprotectError::Unauthentic));
        let later = protect(&mut outbound, &rtp(1, 10_002, b"old keys")).unwrap();
        let report = protect_rtcp(&mut outbound, &rtcp(1, 4)).unwrap();

        outbound.rekey(&after).unwrap();
        let sent = protect(&mut outbound, &rtp(1, 10_003, b"new keys")).unwrap();
        assert_eq!(unprotect(&mut inbound, &sent).unwrap(), rtp(1, 10_003, b"new keys"));
        assert_eq!(unprotect(&mut inbound, &sent), Err(UnprotectError::Replayed));
        // The keys before are gone, for RTP and for RTCP.
        assert_eq!(unprotect(&mut inbound, &later), Err(UnprotectError::Unauthentic));
        assert_eq!(unprotect_rtcp(&mut inbound, &report), Err(UnprotectError::Unauthentic));
        let report = protect_rtcp(&mut outbound, &rtcp(1, 4)).unwrap();
        assert_eq!(report[report.len() - if suite.is_aead() { 1 } else { 11 }], 1, "the index goes on");
        assert!(unprotect_rtcp(&mut inbound, &report).is_ok());
        // A further source begins with a rollover counter of 0.
        let sent = protect(&mut outbound, &rtp(2, 60_000, b"new source")).unwrap();
        assert!(unprotect(&mut inbound, &sent).is_ok());
    }
}

#[test]
fn a_party_that_begins_again_with_new_keys_is_followed() {
    for suite in SUITES {
        let after = other(policy(suite));
        let (_, mut inbound, _) = rolled_over(&policy(suite));
        inbound.rekey(&after).unwrap();
        let mut anew = Outbound::new(&after).unwrap();
        for seq in [10_001, 10_002] {
            let sent = protect(&mut anew, &rtp(1, seq, b"anew")).unwrap();
            assert_eq!(unprotect(&mut inbound, &sent).unwrap(), rtp(1, seq, b"anew"));
            assert_eq!(unprotect(&mut inbound, &sent), Err(UnprotectError::Replayed));
        }
    }
}

#[test]
fn rtcp_is_heard_under_both_keys_until_the_new_ones_are_used() {
    for suite in SUITES {
        let (before, after) = (policy(suite), other(policy(suite)));
        let (mut outbound, mut inbound) = ends(&before);
        let reports: Vec<_> = (0..3).map(|_| protect_rtcp(&mut outbound, &rtcp(1, 4)).unwrap()).collect();
        assert!(unprotect_rtcp(&mut inbound, &reports[0]).is_ok());
        inbound.rekey(&after).unwrap();
        assert!(unprotect_rtcp(&mut inbound, &reports[1]).is_ok());
        assert!(unprotect_rtcp(&mut inbound, &reports[1]).is_err());
        // Begins again with index 0.
        let mut anew = Outbound::new(&after).unwrap();
        let report = protect_rtcp(&mut anew, &rtcp(1, 4)).unwrap();
        assert!(unprotect_rtcp(&mut inbound, &report).is_ok());
        assert_eq!(unprotect_rtcp(&mut inbound, &report), Err(UnprotectError::Replayed));
        assert_eq!(unprotect_rtcp(&mut inbound, &reports[2]), Err(UnprotectError::Unauthentic));
    }
}

#[test]
fn keys_taken_back_before_they_were_used_leave_the_window() {
    for suite in SUITES {
        let before = policy(suite);
        let (mut outbound, mut inbound, last) = rolled_over(&before);
        inbound.rekey(&other(before.clone())).unwrap();
        inbound.rekey(&before).unwrap();
        assert_eq!(unprotect(&mut inbound, &last), Err(UnprotectError::Replayed));
        let sent = protect(&mut outbound, &rtp(1, 10_001, b"on")).unwrap();
        assert!(unprotect(&mut inbound, &sent).is_ok());
    }
}

#[test]
fn another_suite_is_a_change_of_keys_like_any_other() {
    let (before, after) = (policy(Suite::AesCm128HmacSha1_80), policy(Suite::AeadAes256Gcm));
    let (mut outbound, mut inbound, _) = rolled_over(&before);
    inbound.rekey(&after).unwrap();
    let late = protect(&mut outbound, &rtp(1, 10_001, b"old suite")).unwrap();
    assert_eq!(unprotect(&mut inbound, &late).unwrap(), rtp(1, 10_001, b"old suite"));
    outbound.rekey(&after).unwrap();
    let sent = protect(&mut outbound, &rtp(1, 10_002, b"new suite")).unwrap();
    assert_eq!(unprotect(&mut inbound, &sent).unwrap(), rtp(1, 10_002, b"new suite"));
}

#[test]
fn forged_packets_after_a_change_leave_both_keys() {
    for suite in SUITES {
        let (before, after) = (policy(suite), other(policy(suite)));
        let (mut outbound, mut inbound, _) = rolled_over(&before);
        inbound.rekey(&after).unwrap();
        let late = protect(&mut outbound, &rtp(1, 10_001, b"old keys")).unwrap();
        for ssrc in 0..200 {
            let forged = [rtp(ssrc, 10_001, &[0; 40]), vec![0; 3000]].concat();
            assert_eq!(unprotect(&mut inbound, &forged), Err(UnprotectError::Unauthentic));
            assert_eq!(unprotect(&mut inbound, &forged[..60]), Err(UnprotectError::Unauthentic));
        }
        assert!(unprotect(&mut inbound, &late).is_ok());
        let sent = protect(&mut Outbound::new(&after).unwrap(), &rtp(1, 9, b"new")).unwrap();
        assert!(unprotect(&mut inbound, &sent).is_ok());
    }
}
