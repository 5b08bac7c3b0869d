//! Both ends of one direction against each other.

mod receiving;
mod rekeying;
mod sending;
mod vectors;

use super::*;

fn policy(suite: Suite) -> Policy {
    let bytes: Vec<u8> = (0..suite.master_bytes()).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    Policy::new(suite, MasterKey::from_concatenation(suite, &bytes).unwrap())
}

fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 160];
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn protect(outbound: &mut Outbound, plain: &[u8]) -> Result<Vec<u8>, ProtectError> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + outbound.rtp_overhead_bytes(), 0);
    let length = outbound.protect_rtp(&mut buffer, plain.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn unprotect(inbound: &mut Inbound, protected: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    let mut packet = protected.to_vec();
    let length = inbound.unprotect_rtp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

fn protect_rtcp(outbound: &mut Outbound, plain: &[u8]) -> Result<Vec<u8>, ProtectError> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + outbound.rtcp_overhead_bytes(), 0);
    let length = outbound.protect_rtcp(&mut buffer, plain.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn unprotect_rtcp(inbound: &mut Inbound, protected: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    let mut packet = protected.to_vec();
    let length = inbound.unprotect_rtcp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// A receiver report without blocks, and a report of `bytes` more behind it.
fn rtcp(ssrc: u32, bytes: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..bytes).map(|at| u8::try_from(at % 256).unwrap()));
    packet
}

fn ends(policy: &Policy) -> (Outbound, Inbound) {
    (Outbound::new(policy).unwrap(), Inbound::new(policy).unwrap())
}

/// The policy with other key bytes.
fn other(mut policy: Policy) -> Policy {
    let key = &policy.keys[0].key;
    let changed: Vec<u8> = key.key().iter().map(|byte| !byte).collect();
    policy.keys[0].key = MasterKey::new(&changed, key.salt()).unwrap();
    policy
}

#[test]
fn every_suite_gives_back_what_was_sent() {
    for suite in Suite::ALL {
        let policy = policy(suite);
        let (mut outbound, mut inbound) = (Outbound::new(&policy).unwrap(), Inbound::new(&policy).unwrap());
        for seq in 0..10 {
            let plain = rtp(0x1234_5678, seq, b"some payload that is longer than two blocks of AES");
            let protected = protect(&mut outbound, &plain).unwrap();
            assert_eq!(protected.len(), plain.len() + suite.rtp_overhead_bytes());
            assert_ne!(protected[12..plain.len()], plain[12..]);
            assert_eq!(unprotect(&mut inbound, &protected).unwrap(), plain, "{suite}");
            assert_eq!(unprotect(&mut inbound, &protected), Err(UnprotectError::Replayed));
        }
    }
}

#[test]
fn an_idle_direction_takes_a_few_hundred_bytes() {
    use super::counter_mode::CounterMode;
    use super::keys::Key;
    let inbound = size_of::<Inbound>() + size_of::<Key>() + 2 * inbound::SOURCE_BYTES;
    let outbound = size_of::<Outbound>() + size_of::<Key>() + 2 * outbound::SOURCE_BYTES;
    let counter_mode = size_of::<CounterMode<aes::Aes128Enc>>();
    assert_eq!((inbound, outbound, counter_mode), (248, 208, 304));
    assert_eq!(size_of::<super::gcm::Gcm<aes::Aes128Enc>>(), 384);
}

#[test]
fn a_call_may_move_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<Inbound>();
    moves::<Outbound>();
}
