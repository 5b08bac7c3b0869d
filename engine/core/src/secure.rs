//! What protects the packets of one half: SRTP each way, with the keys that its party and we agreed on.

use rtp::{
    dtls::SrtpKeys,
    srtp::{Inbound, Outbound, Policy},
};

use crate::{
    counters::DropReason,
    media::Media,
    path::{PathId, PathKind, Paths},
    sim::{self, Way},
};

/// SRTP of one half. RTCP uses that of the RTP half of its media, whose keys are the same, unless it has its own by a
/// handshake on a port of its own.
#[derive(Debug, Default)]
pub(crate) struct Secure {
    /// `None` while no keys are agreed: nothing comes in, and nothing goes out.
    keyed: Option<Keyed>,
}

#[derive(Debug)]
struct Keyed {
    inbound: Inbound,
    outbound: Outbound,
    /// With which they were made.
    policies: [Policy; 2],
}

impl Secure {
    /// Takes the keys of a handshake; what was counted under others was counted of another association.
    pub(crate) fn key_anew(&mut self, keys: SrtpKeys) {
        let SrtpKeys { suite, local, remote } = keys;
        self.keyed = None;
        self.key(Policy::new(suite, remote), Policy::new(suite, local));
    }

    /// Forgets what it has: nothing comes in, and nothing goes out.
    pub(crate) fn forget(&mut self) {
        self.keyed = None;
    }

    /// Takes keys, if they are others than before. What was counted of sources and replays stays.
    fn key(&mut self, inbound: Policy, outbound: Policy) {
        let policies = [inbound, outbound];
        match &mut self.keyed {
            Some(keyed) if keyed.policies == policies => {}
            Some(keyed) => {
                sim::seen(Way::KeysChanged);
                // The direction whose keys are the same goes on as it was.
                keyed.inbound.rekey(&policies[0]).expect(CHECKED);
                keyed.outbound.rekey(&policies[1]).expect(CHECKED);
                keyed.policies = policies;
            }
            None => {
                sim::seen(Way::KeysAgreed);
                self.keyed = Some(Keyed {
                    inbound: Inbound::new(&policies[0]).expect(CHECKED),
                    outbound: Outbound::new(&policies[1]).expect(CHECKED),
                    policies,
                });
            }
        }
    }

    /// Authenticates and decrypts a packet in place; its length then.
    ///
    /// # Errors
    /// Why it is dropped. Nothing was learned from it.
    fn unprotect(&mut self, rtcp: bool, packet: &mut [u8]) -> Result<usize, DropReason> {
        let inbound = &mut self.keyed.as_mut().ok_or(DropReason::NoKeys)?.inbound;
        let length = if rtcp { inbound.unprotect_rtcp(packet) } else { inbound.unprotect_rtp(packet) };
        length.map_err(DropReason::from)
    }

    /// Encrypts a packet, the first `length` bytes of the buffer, in place; its length then.
    ///
    /// # Errors
    /// Why it cannot be sent.
    fn protect(&mut self, rtcp: bool, buffer: &mut [u8], length: usize) -> Result<usize, DropReason> {
        let outbound = &mut self.keyed.as_mut().ok_or(DropReason::NoKeys)?.outbound;
        let length =
            if rtcp { outbound.protect_rtcp(buffer, length) } else { outbound.protect_rtp(buffer, length) };
        length.map_err(DropReason::from)
    }
}

/// Gives a media the keys that are agreed, or takes them away. Those of a handshake come when it is done; until then a
/// media has none.
pub(crate) fn install(media: &Media, paths: &mut Paths) {
    paths[media.rtcp].rtp = Some(media.rtp);
    if media.dtls.as_ref().is_some_and(|dtls| dtls.is_agreed()) {
        return by_handshake(media, paths);
    }
    for half in [media.rtp, media.rtcp] {
        if paths[half].handshake.take().is_some() {
            paths[half].secure = None;
        }
    }
    let path = &mut paths[media.rtp];
    let Some(keying) = media.keying.as_ref().filter(|keying| keying.protects()) else {
        path.secure = None;
        return;
    };
    let secure = path.secure.get_or_insert_default();
    if let Some(policies) = keying.policies() {
        secure.key(policies.inbound, policies.outbound);
    }
}

/// Each half with a port of its own has a handshake of its own, and keys (RFC 5764 §4.1).
fn by_handshake(media: &Media, paths: &mut Paths) {
    let apart = !media.mux.active;
    for (half, own) in [(media.rtp, true), (media.rtcp, apart)] {
        let path = &mut paths[half];
        if !own {
            (path.secure, path.handshake) = (None, None);
        } else if path.handshake.is_none() {
            path.secure.get_or_insert_default().forget();
        }
    }
}

impl Paths {
    /// Which half keeps what protects the packets of this one, and whether these are RTCP.
    fn keeper(&self, id: PathId) -> Option<(PathId, bool)> {
        let half = self.get(id)?;
        let rtcp = half.kind == PathKind::Rtcp;
        if rtcp && half.secure.is_none() { half.rtp.map(|rtp| (rtp, true)) } else { Some((id, rtcp)) }
    }

    /// Whether the packets of a half are protected.
    pub(crate) fn is_secure(&self, id: PathId) -> bool {
        let keeper = self.keeper(id).and_then(|(keeper, _)| self.get(keeper));
        keeper.is_some_and(|keeper| keeper.secure.is_some())
    }

    /// What protects the packets of a half, and whether these are RTCP.
    fn secure_mut(&mut self, id: PathId) -> Option<(&mut Secure, bool)> {
        let (keeper, rtcp) = self.keeper(id)?;
        Some((self.get_mut(keeper)?.secure.as_deref_mut()?, rtcp))
    }

    /// Authenticates and decrypts what came in for a half, if it is protected; the length of what is plain then.
    ///
    /// # Errors
    /// Why it is dropped.
    pub(crate) fn unprotect(&mut self, id: PathId, packet: &mut [u8]) -> Result<usize, DropReason> {
        match self.secure_mut(id) {
            Some((secure, rtcp)) => secure.unprotect(rtcp, packet),
            None => Ok(packet.len()),
        }
    }

    /// Encrypts what goes out to a half, if it is protected; its length then.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub(crate) fn protect(
        &mut self,
        id: PathId,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, DropReason> {
        match self.secure_mut(id) {
            Some((secure, rtcp)) => secure.protect(rtcp, buffer, length),
            None => Ok(length),
        }
    }
}

/// Lines that cannot be used are not agreed on.
const CHECKED: &str = "the policy of an agreed line was checked when the line was read";

/// Bytes that a packet may grow by: of RTCP the tag, the index and the longest key identifier.
pub(crate) const GROWTH_BYTES_MAX: usize = rtp::srtp::RTCP_OVERHEAD_BYTES_MAX + 128;
