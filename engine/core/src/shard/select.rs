//! Which party of a call a command means.

use std::net::IpAddr;

use crate::{call::Call, leg::Leg, media::Media};

/// The party that is meant, by label, else by address, else by tag; `None` if none of them is named.
///
/// # Errors
/// The text of the refusal: whoever is named is not there.
pub(super) fn party(
    call: &Call,
    label: Option<&str>,
    address: Option<IpAddr>,
    tag: Option<&str>,
) -> Result<Option<usize>, &'static str> {
    let found = |wanted: &dyn Fn(&Leg) -> bool, text| {
        let index = call.parties().find(|(_, leg)| wanted(leg)).map(|(index, _)| index);
        index.map(Some).ok_or(text)
    };
    if let Some(label) = label {
        return found(&|leg| leg.label.as_deref() == Some(label), "No monologue matching the given label");
    }
    if let Some(address) = address {
        let there = |media: &Media| media.endpoint.is_some_and(|at| at.ip() == address);
        return found(&|leg| leg.medias.iter().any(there), "Failed to match address to any tag");
    }
    match tag {
        Some(tag) => found(&|leg| leg.is_tagged(tag), "From-tag given, but no such tag exists"),
        None => Ok(None),
    }
}

/// The text of commands about parties for a call that is not there; `query` and `answer` write it otherwise.
pub(super) const UNKNOWN_CALL: &str = "Unknown call-ID";
