//! Keys of SRTP for a load: what its ends describe, what the engine shows them, and packets under both.

use anyhow::{Context, ensure};
use rtp::sdp::{Crypto, InlineKey};
use rtp::srtp::{Inbound, MasterKey, Outbound, Policy, RTP_OVERHEAD_BYTES_MAX, Suite};

use crate::packet::PACKET_BYTES;

/// Which ends of every call speak SRTP, with keys from descriptions (SDES), and in which suite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secure {
    /// The suite of the caller, if it does.
    pub caller: Option<Suite>,
    /// The suite of the callee.
    pub callee: Option<Suite>,
}

/// What protects the packets of all calls; an end without keys is plain.
#[derive(Default)]
pub struct Seals {
    /// From which number the streams go on: a number is used once under a key.
    pub(crate) rounds: u32,
    pub(crate) callers: End,
    pub(crate) callees: End,
    /// Calls in which the engine showed the callee the caller's own key, so that nothing need be encrypted anew.
    pub passed_through: usize,
}

/// One end of all calls, in the order of their set-up.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) outbound: Vec<Outbound>,
    pub(crate) inbound: Vec<Inbound>,
}

impl End {
    /// One call more: packets go out under `own` and come in under `shown`.
    pub(crate) fn add(&mut self, own: &Crypto, shown: &Crypto) -> anyhow::Result<()> {
        self.outbound.push(Outbound::new(&policy(own)?)?);
        self.inbound.push(Inbound::new(&policy(shown)?)?);
        Ok(())
    }
}

/// Protects the packet at the front of `buffer` for call `index`; returns its length.
pub(crate) fn protect(
    outbound: &mut [Outbound],
    index: usize,
    buffer: &mut [u8; SEALED_BYTES_MAX],
) -> anyhow::Result<usize> {
    match outbound.get_mut(index) {
        Some(outbound) => outbound.protect_rtp(buffer, PACKET_BYTES).context("protecting"),
        None => Ok(PACKET_BYTES),
    }
}

/// The plain packet, if it is authentic; `streams` of ours are two a call.
pub(crate) fn unprotect<'a>(inbound: &mut [Inbound], packet: &'a mut [u8]) -> Option<&'a [u8]> {
    if inbound.is_empty() {
        return Some(packet);
    }
    let ssrc = u32::from_be_bytes(*packet.get(8..12)?.first_chunk()?);
    let length = inbound.get_mut(usize::try_from(ssrc / 2).ok()?)?.unprotect_rtp(packet).ok()?;
    packet.get(..length)
}

/// The line of an end in its description: the same key in every call, for nobody but the engine hears it.
pub(crate) fn own(suite: Suite, first: u8) -> Crypto {
    let key_and_salt = (first..).take(suite.master_bytes()).collect::<Vec<u8>>().into();
    let keys = vec![InlineKey { key_and_salt, lifetime: None, mki: None }];
    Crypto { tag: 1, suite: suite.name().to_owned(), keys, parameters: Vec::new() }
}

/// The line of a suite in the engine's description.
pub(crate) fn shown(sdp: &str, suite: Suite) -> anyhow::Result<Crypto> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:")?.parse::<Crypto>().ok());
    let mut lines = lines.filter(|line| line.suite == suite.name());
    lines.next().with_context(|| format!("the engine shows no key of {suite}: {sdp}"))
}

fn policy(line: &Crypto) -> anyhow::Result<Policy> {
    let suite = Suite::from_name(&line.suite)?;
    ensure!(
        line.keys.len() == 1 && line.parameters.is_empty(),
        "a line with one key and nothing else: {line}"
    );
    let key = MasterKey::from_concatenation(suite, &line.keys[0].key_and_salt);
    Ok(Policy::new(suite, key.with_context(|| format!("a key of the length of {suite}"))?))
}

/// The longest packet of a load.
pub(crate) const SEALED_BYTES_MAX: usize = PACKET_BYTES + RTP_OVERHEAD_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet;

    #[test]
    fn a_sealed_packet_is_read_by_the_call_it_belongs_to_and_no_other() {
        let suite = Suite::AeadAes128Gcm;
        let (mut sender, mut receiver) = (End::default(), End::default());
        for first in [1, 101, 51] {
            let (one, other) = (own(suite, first), own(suite, first + 50));
            sender.add(&one, &other).expect("keys");
            receiver.add(&other, &one).expect("keys");
        }
        let mut buffer = [0; SEALED_BYTES_MAX];
        for (ssrc, authentic) in [(2, true), (3, true), (4, false), (99, false)] {
            packet::write(buffer.first_chunk_mut().expect("room"), ssrc, 7, 9);
            let length = protect(&mut sender.outbound, 1, &mut buffer).expect("protected");
            let read = unprotect(&mut receiver.inbound, &mut buffer[..length]).and_then(packet::read);
            assert_eq!(read, authentic.then_some((ssrc, 9)), "stream {ssrc}");
        }
    }
}
