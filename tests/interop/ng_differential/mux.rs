//! Deviations about what an offer of rtcp-mux says of the port of RTCP.

use super::deviations::{Case, MUX, fallback};

/// `a=rtcp:P2` where we say `a=rtcp:P2+1`, in front of `a=rtcp-mux`.
pub(crate) fn mux_fallback(case: &mut Case<'_>) -> bool {
    if !case.step.ask.is("command", "offer") {
        return false;
    }
    let mut found = false;
    for index in 0..case.theirs.len().saturating_sub(1) {
        let muxed = case.theirs[index + 1] == MUX;
        if muxed && let Some(fallback) = fallback(&case.theirs[index]) {
            let ours = case.ours.iter().position(|line| *line == fallback);
            if ours.is_some_and(|at| case.ours.get(at + 1).is_some_and(|line| line == MUX)) {
                case.theirs[index] = fallback;
                found = true;
            }
        }
    }
    if found {
        unchanged_version(case);
    }
    found
}

/// What has not changed has no new version.
fn unchanged_version(case: &mut Case<'_>) {
    let origin = |lines: &[String]| lines.iter().position(|line| line.starts_with("sdp o="));
    if let (Some(theirs), Some(ours)) = (origin(&case.theirs), origin(case.ours))
        && case.step.ask.lists("replace", "sdp-version")
    {
        case.theirs[theirs].clone_from(&case.ours[ours]);
    }
}

/// `a=rtcp:P2` and `a=rtcp-mux` in a section, where we say `a=rtcp:P2+1` alone, and mux in another.
pub(crate) fn mux_spill(case: &mut Case<'_>) -> bool {
    if !case.step.ask.is("command", "offer") {
        return false;
    }
    let muxed = |number: usize| {
        case.ours
            .split(|line| line.starts_with("sdp m="))
            .nth(number)
            .is_some_and(|section| section.iter().any(|line| line == MUX))
    };
    let mut found = false;
    let (mut index, mut section) = (0, 0);
    while index < case.theirs.len() {
        section += usize::from(case.theirs[index].starts_with("sdp m="));
        if case.theirs[index] == MUX && !muxed(section) {
            case.theirs.remove(index);
            if let Some(fallback) = fallback(&case.theirs[index - 1]) {
                case.theirs[index - 1] = fallback;
            }
            found = true;
        } else {
            index += 1;
        }
    }
    if found {
        unchanged_version(case);
    }
    found
}
