//! How both sides of a section come to keys of SRTP: by their descriptions ([`sdes`]) or by a handshake ([`dtls`]).
//!
//! Whoever offers both is answered with a handshake, unless the client prefers the other (`SDES=prefer`) or wants none
//! (`DTLS=off`); of whoever answers with both the handshake counts likewise. Each side is asked apart.

use ng::Signal;
use rand::rngs::StdRng;
use rtp::dtls::Providers;

use super::{Kind, SectionPlan, dtls, sdes};
use crate::media::Media;

/// What agreeing on keys needs of a shard.
pub(crate) struct Means<'a> {
    /// Our certificate; without one nothing is said of handshakes.
    pub(crate) providers: Option<&'a Providers>,
    pub(crate) chance: &'a mut StdRng,
    /// Whoever is answered may not be where it said.
    pub(crate) hidden: bool,
}

/// Brings together what an offer or answer says of a section's keys, on both sides.
pub(crate) fn exchange(
    kind: Kind,
    signal: &Signal,
    plan: &SectionPlan,
    from: &mut Media,
    to: &mut Media,
    means: &mut Means<'_>,
) {
    match kind {
        Kind::Offer => {
            offered(from, plan, signal, means);
            let beside = is_beside(from) && signal.transport_protocol.is_none();
            dtls::offer(to, beside, signal, means.providers, means.chance);
            let first = from.keying.as_ref().map_or(&[][..], |keying| keying.theirs());
            sdes::offer(to, first, beside, signal, means.chance);
        }
        Kind::Answer => {
            let best_effort = is_beside(from);
            answered(from, plan, signal, means);
            let other = from.keying.as_ref().and_then(|keying| keying.suite()).map(str::to_owned);
            // Best effort ends where the other side has none, unless the client accepts it for that one.
            if best_effort && !has_keys(from) && !signal.osrtp.accept {
                to.keying.take_if(|keying| keying.is_beside());
                to.dtls.take_if(|dtls| dtls.is_beside());
            }
            answer(to, other.as_deref(), signal, means);
        }
    }
}

/// Takes in what a party offers.
pub(crate) fn offered(media: &mut Media, plan: &SectionPlan, signal: &Signal, means: &mut Means<'_>) {
    sdes::offered(media, &plan.keys);
    dtls::offered(media, plan.handshake.as_ref(), signal, means.providers, means.chance);
}

/// Offers a party whatever its profile demands and the client wants, where nobody else is to be considered.
pub(crate) fn offer(media: &mut Media, signal: &Signal, means: &mut Means<'_>) {
    dtls::offer(media, false, signal, means.providers, means.chance);
    sdes::offer(media, &[], false, signal, means.chance);
}

/// Takes in what a party chose of what it was offered.
pub(crate) fn answered(media: &mut Media, plan: &SectionPlan, signal: &Signal, means: &mut Means<'_>) {
    let described = signal.sdes.prefer && !plan.keys.is_empty();
    dtls::answered(media, plan.handshake.as_ref().filter(|_| !described), means.chance);
    let keys = if media.dtls.is_some() { &[][..] } else { &plan.keys };
    sdes::answered(media, keys);
}

/// Answers a party that offered keys; `other` is the suite that the other side's description has.
pub(crate) fn answer(media: &mut Media, other: Option<&str>, signal: &Signal, means: &mut Means<'_>) {
    let described = media.keying.as_ref().is_some_and(|keying| !keying.theirs().is_empty());
    if described && (signal.sdes.prefer || signal.dtls.off) && !dtls::is_demanded(&media.protocol) {
        media.dtls = None;
    }
    dtls::answer(media, means.hidden, signal, means.chance);
    if media.dtls.is_some() {
        media.keying = None;
    }
    sdes::answer(media, other, &signal.sdes, means.chance);
}

/// Why an answer in a profile cannot be one to what a section's party was offered.
pub(crate) fn mismatch(media: &Media, protocol: &str, plan: &SectionPlan) -> Option<&'static str> {
    match &plan.handshake {
        // Beside keys that were offered, whatever was not is passed over.
        Some(said) if media.dtls.is_some() || media.keying.is_none() || plan.keys.is_empty() => {
            dtls::mismatch(media, said)
        }
        // It does without what it was offered.
        None if plan.keys.is_empty() && media.dtls.is_some() => None,
        _ => sdes::mismatch(media, protocol, &plan.keys),
    }
}

/// Keys stand beside a profile that needs none, in what a party said or was told.
fn is_beside(media: &Media) -> bool {
    media.keying.as_ref().is_some_and(|keying| keying.is_beside())
        || media.dtls.as_ref().is_some_and(|dtls| dtls.is_beside())
}

fn has_keys(media: &Media) -> bool {
    media.keying.as_ref().is_some_and(|keying| keying.suite().is_some())
        || media.dtls.as_ref().is_some_and(|dtls| dtls.is_agreed())
}
