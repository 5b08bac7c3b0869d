//! Sections on one port (RFC 9143): `a=group:BUNDLE`.
//!
//! Each section has a port of its own here, so that a group is of one section: an offer of several is answered with a group of the
//! first that is accepted, and leaves it to its writer to send the others to their ports (§7.3.3). A section that its writer would
//! have on no other port (`bundle-only`) has port 0 and stays refused.

use ng::Signal;
use rtp::sdp::{Line, Section};

use super::{Kind, rewrite::Outgoing};
use crate::leg::Leg;

/// Names of a group that are looked at.
const NAMES_MAX: usize = 16;

/// The value of a line if it says which sections share a port.
fn group(line: &Line) -> Option<&str> {
    let attribute = line.attribute().filter(|attribute| attribute.name == "group")?;
    let value = attribute.value?;
    let (semantics, names) = value.split_once(' ').unwrap_or((value, ""));
    (semantics == "BUNDLE").then_some(names)
}

/// Whether a line says which sections share a port.
pub(crate) fn is_group(line: &Line) -> bool {
    group(line).is_some()
}

/// Which sections their writer would have on one port, the first of a group first.
pub(crate) fn offered(session: &Section) -> Vec<String> {
    let groups = session.lines().iter().filter_map(group);
    groups.flat_map(str::split_ascii_whitespace).take(NAMES_MAX).map(str::to_owned).collect()
}

/// Tells the reader of a section that is a group, if any is.
pub(crate) fn tell(kind: Kind, signal: &Signal, reader: &Leg, outgoing: &mut [Outgoing]) {
    let wanted = signal.bundle;
    let live = |section: &Outgoing| section.live && section.mid.is_some();
    let first = match kind {
        Kind::Offer => outgoing.iter().position(live).filter(|_| wanted.offer),
        Kind::Answer => {
            let named =
                |name: &String| outgoing.iter().position(|one| live(one) && one.mid.as_ref() == Some(name));
            // Without being asked only where the reader is one that needs it.
            let first = reader.bundle.iter().find_map(named);
            first.filter(|first| !wanted.reject && (wanted.accept || !outgoing[*first].ice.is_empty()))
        }
    };
    if let Some(first) = first {
        outgoing[first].bundled = true;
    }
}
