//! Which parties an offer, an answer or a delete is about.

use std::net::SocketAddr;

use ng::{AliasKey, Delete, Signal};

use super::Kind;
use crate::{
    call::Call,
    leg::{Leg, Role},
    sim::{self, Way},
};

/// The two parties of an offer or answer: whose description it is, and for whom.
///
/// Parties that are not there yet are made. The first offer makes the offerer and an untagged
/// other side, indexed by the branch if one is named; the answer gives it its tag.
///
/// # Errors
/// The text of the refusal: too many parties, or a party with itself.
pub(crate) fn parties(
    call: &mut Call,
    kind: Kind,
    signal: &Signal,
    wall_ms: u64,
    legs_max: usize,
) -> Result<(usize, usize), &'static str> {
    if signal.to_tag.as_deref() == Some(&signal.from_tag) {
        return Err("Invalid dialogue association");
    }
    let tags = [Some(&signal.from_tag), signal.to_tag.as_ref()];
    let mut named = tags.into_iter().flatten().filter_map(|tag| call.by_tag(tag));
    if named.any(|index| call.leg(index).role != Role::Talker) {
        return Err("Tag belongs to a party that neither offers nor answers");
    }
    let known = call.by_tag(&signal.from_tag);
    let missing = usize::from(known.is_none()) + 1;
    if call.legs.len() + missing > legs_max && call.parties().count() + missing > legs_max {
        return Err("Too many parties in this call");
    }
    sim::seen(if known.is_some() { Way::OffererKnown } else { Way::OffererNew });
    let offerer = known.unwrap_or_else(|| insert(call, wall_ms, Some(&signal.from_tag), None));
    let other = other_side(call, kind, signal, offerer, wall_ms);
    match kind {
        Kind::Offer => Ok((offerer, other)),
        Kind::Answer => Ok((other, offerer)),
    }
}

/// Lets a tag that nobody has stand for the party that sent this very description, or is at this very address
/// (`alias-key`), if there is one.
pub(crate) fn alias(call: &mut Call, signal: &Signal, key: AliasKey, first: Option<SocketAddr>) {
    if call.by_tag(&signal.from_tag).is_some() {
        return;
    }
    let same = |leg: &Leg| match key {
        AliasKey::Sdp => leg.description.as_deref() == Some(signal.sdp.as_slice()),
        AliasKey::Address => {
            first.is_some() && leg.medias.first().is_some_and(|media| media.endpoint == first)
        }
    };
    let other = signal.to_tag.as_deref().and_then(|tag| call.by_tag(tag));
    let fits = |index: usize, leg: &Leg| {
        Some(index) != other
            && leg.role == Role::Talker
            && leg.described
            && leg.aliases.len() < ALIASES_MAX
            && same(leg)
    };
    let found = call.parties().find(|&(index, leg)| fits(index, leg)).map(|(index, _)| index);
    sim::seen(if found.is_some() { Way::AliasFound } else { Way::AliasNobody });
    if let Some(index) = found {
        call.leg_mut(index).aliases.push(signal.from_tag.clone());
    }
}

/// Further tags of one party at most; one more makes a party of its own.
const ALIASES_MAX: usize = 8;

/// The other side of the offerer: by tag; else by branch; else whom it talks to, if that one is
/// the only candidate; else a new party.
fn other_side(call: &mut Call, kind: Kind, signal: &Signal, offerer: usize, wall_ms: u64) -> usize {
    let to_tag = signal.to_tag.as_deref();
    if let Some(found) = to_tag.and_then(|tag| call.by_tag(tag)) {
        sim::seen(Way::OtherByTag);
        return found;
    }
    let branch = signal.via_branch.as_deref();
    let untagged_peer = |call: &Call| {
        call.leg(offerer)
            .partners
            .iter()
            .copied()
            .find(|&other| call.legs[other].as_ref().is_some_and(|leg| leg.tag.is_none()))
    };
    let found = match branch {
        Some(branch) => {
            // A party without branch and tag belongs to whichever branch comes first.
            call.by_branch(branch).filter(|&other| other != offerer).or_else(|| {
                untagged_peer(call)
                    .filter(|&other| kind == Kind::Answer && call.leg(other).via_branch.is_none())
            })
        }
        None if to_tag.is_some() || kind == Kind::Answer => untagged_peer(call),
        None => call.leg(offerer).peer,
    };
    match found {
        Some(found) => {
            if let Some(tag) = to_tag
                && call.leg(found).tag.is_none()
            {
                sim::seen(Way::OtherUntagged);
                call.leg_mut(found).tag = Some(tag.to_owned());
                return found;
            }
            if to_tag.is_none() || call.leg(found).tag.is_none() {
                sim::seen(if branch.is_some() { Way::OtherByBranch } else { Way::OtherPeer });
                return found;
            }
            sim::seen(Way::OtherForked);
            insert(call, wall_ms, to_tag, branch)
        }
        None => {
            sim::seen(if kind == Kind::Answer { Way::OtherForked } else { Way::OtherNew });
            insert(call, wall_ms, to_tag, branch)
        }
    }
}

/// A new party.
pub(crate) fn insert(call: &mut Call, wall_ms: u64, tag: Option<&str>, branch: Option<&str>) -> usize {
    let leg = Leg {
        tag: tag.map(str::to_owned),
        via_branch: branch.map(str::to_owned),
        ..Leg::new(wall_ms / 1000)
    };
    match call.legs.iter().position(Option::is_none) {
        Some(index) => {
            call.legs[index] = Some(leg);
            index
        }
        None => {
            call.legs.push(Some(leg));
            call.legs.len() - 1
        }
    }
}

/// Which parties a delete is about: all of them without a tag; else the one found, and its
/// partners that have no other. Empty if the tags match nobody.
pub(crate) fn deleted(call: &Call, delete: &Delete) -> Vec<usize> {
    let (from_tag, to_tag) = (delete.from_tag.as_deref(), delete.to_tag.as_deref());
    let branch = delete.via_branch.as_deref();
    let everybody = || call.parties().map(|(index, _)| index).collect();
    let Some(from_tag) = from_tag else { return everybody() };
    let by_branch = || branch.and_then(|branch| call.by_branch(branch));
    let untagged = || {
        let from = call.by_tag(from_tag)?;
        call.leg(from).last.is_some_and(|other| call.leg(other).tag.is_none()).then_some(from)
    };
    let found = match to_tag {
        None => by_branch().or_else(|| call.by_tag(from_tag)),
        Some(to_tag) => call.by_tag(to_tag).or_else(by_branch).or_else(untagged),
    };
    let Some(found) = found else { return Vec::new() };
    let alone = |other: usize| call.leg(other).partners.iter().all(|&partner| partner == found);
    let mut gone = vec![found];
    gone.extend(call.leg(found).partners.iter().copied().filter(|&other| other != found && alone(other)));
    add_bereft_subscribers(call, &mut gone);
    gone
}

/// Adds the subscribers that would hear nobody without the parties that go.
pub(crate) fn add_bereft_subscribers(call: &Call, gone: &mut Vec<usize>) {
    let bereft =
        |leg: &Leg| leg.role == Role::Subscriber && leg.hears.iter().all(|source| gone.contains(source));
    let subscribers = call.parties().filter(|(index, leg)| !gone.contains(index) && bereft(leg));
    let subscribers: Vec<usize> = subscribers.map(|(index, _)| index).collect();
    subscribers.iter().for_each(|_| sim::seen(Way::SubscriberBereft));
    gone.extend(subscribers);
}

/// Whom a question or a delete with these tags is told about: everybody without a tag; else the party of the second tag, or
/// of the first where there is no second, whomever it was ever in an offer and answer with, and whom it hears. Empty if there
/// is none.
pub(crate) fn asked_about(call: &Call, from_tag: Option<&str>, to_tag: Option<&str>) -> Vec<usize> {
    let Some(tag) = to_tag.or(from_tag) else { return call.parties().map(|(index, _)| index).collect() };
    let Some(found) = call.by_tag(tag) else { return Vec::new() };
    let leg = call.leg(found);
    std::iter::once(found).chain(leg.partners.iter().copied()).chain(leg.hears.iter().copied()).collect()
}
