//! Deviations about recordings, sections over TCP, subscribers and publishers.

use super::deviations::{Case, tag_of};

/// A command that 10.5 does not know.
pub(crate) fn pause_recording(case: &mut Case<'_>) -> bool {
    let unknown = case.theirs.iter().any(|line| line == ".error-reason = \"Unrecognized command\"");
    let obeyed = case.ours.iter().any(|line| line == ".result = \"ok\"" || line.ends_with("call-id\""));
    let explained = case.step.ask.is("command", "pause recording") && unknown && obeyed;
    if explained {
        case.theirs = case.ours.to_vec();
    }
    explained
}

/// `recording` of ours, and `recordings` of theirs with the paths in it.
pub(crate) fn recording_told(case: &mut Case<'_>) -> bool {
    const TOLD: &str = ".recording = 1";
    let report = case.theirs.iter().any(|line| line.starts_with(".created = "));
    let before = case.theirs.len();
    case.theirs.retain(|line| !line.starts_with(".recordings"));
    let mut found = case.theirs.len() != before;
    let told = case.theirs.iter().any(|line| line == TOLD);
    let place = case.ours.iter().position(|line| line == TOLD).filter(|_| report && !told);
    if let Some(place) = place {
        insert_as_ours(case, place);
        found = true;
    }
    found && count_as_ours(case)
}

/// A line of ours, in front of the one that follows it.
fn insert_as_ours(case: &mut Case<'_>, place: usize) {
    let next = case.ours.get(place + 1);
    let before = next.and_then(|next| case.theirs.iter().rposition(|line| line == next));
    case.theirs.insert(before.unwrap_or(case.theirs.len()), case.ours[place].clone());
}

/// The number of keys of the answer, where what was added or taken away is explained.
fn count_as_ours(case: &mut Case<'_>) -> bool {
    if let (Some(theirs), Some(ours)) = (case.theirs.get_mut(1), case.ours.get(1)) {
        theirs.clone_from(ours);
    }
    true
}

/// A warning of ours, and of theirs `mid` again and the end of a `c=`, in a description with a section over TCP.
pub(crate) fn tcp_passes(case: &mut Case<'_>) -> bool {
    const WARNING: &str =
        ".warning = \"TCP/MSRP passes as it came, addresses included (tcp-media=reject refuses it)\"";
    let sdp = case.step.ask.get("sdp").and_then(ng::Value::as_str).unwrap_or_default();
    if !sdp.contains(" TCP/MSRP ") {
        return false;
    }
    let before = case.theirs.clone();
    for line in case.theirs.iter_mut().filter(|line| line.starts_with("sdp c=") && !line.ends_with("\\r\\n"))
    {
        *line = line.replace("\\n", "\\r\\n");
    }
    // A `mid` that ours has not, or not twice: at the end of the section before, or else the last of them.
    let places = |lines: &[String], line: &String| {
        let all = lines.iter().enumerate().filter(|(_, other)| *other == line);
        all.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let written: Vec<String> =
        case.theirs.iter().filter(|line| line.starts_with("sdp a=mid:")).cloned().collect();
    for line in written {
        let theirs = places(&case.theirs, &line);
        if theirs.len() > places(case.ours, &line).len() {
            let before = theirs
                .iter()
                .find(|&&at| case.theirs.get(at + 1).is_some_and(|next| next.contains(" TCP/MSRP ")));
            let surplus = before.or_else(|| theirs.last()).copied();
            surplus.into_iter().for_each(|at| drop(case.theirs.remove(at)));
        }
    }
    let starts = |lines: &[String]| {
        let heads = lines.iter().enumerate().filter(|(_, line)| line.starts_with("sdp m="));
        heads.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let end = |lines: &[String], from: usize| {
        let rest = lines[from + 1..]
            .iter()
            .take_while(|line| line.starts_with("sdp ") && !line.starts_with("sdp m="));
        from + 1 + rest.count()
    };
    let plain = |lines: &[String]| {
        let lines = lines.iter().filter(|line| !line.starts_with("sdp a=mid:"));
        lines.map(|line| line.replace("\\r", "")).collect::<Vec<_>>()
    };
    for (number, ours_at) in starts(case.ours).into_iter().enumerate() {
        let Some(&theirs_at) = starts(&case.theirs).get(number) else { break };
        let ours = &case.ours[ours_at..end(case.ours, ours_at)];
        let theirs = theirs_at..end(&case.theirs, theirs_at);
        if ours[0].contains(" TCP/MSRP ") && plain(ours) == plain(&case.theirs[theirs.clone()]) {
            case.theirs.splice(theirs, ours.iter().cloned());
        }
    }
    if let Some(place) = case.ours.iter().position(|line| line == WARNING) {
        insert_as_ours(case, place);
        return count_as_ours(case);
    }
    case.theirs != before
}

/// A section over TCP in a report: what streams it has, and its flags.
pub(crate) fn tcp_streams(case: &mut Case<'_>) -> bool {
    let medias = case.ours.iter().filter_map(|line| line.strip_suffix(".type = \"message\""));
    let medias: Vec<String> = medias.map(str::to_owned).collect();
    let mut found = false;
    for media in medias {
        let of = |lines: &[String]| {
            let inside =
                |line: &&String| line.strip_prefix(&media).is_some_and(|rest| rest.starts_with([' ', '.']));
            let start = lines.iter().position(|line| inside(&line))?;
            Some(start..start + lines[start..].iter().take_while(inside).count())
        };
        if let (Some(theirs), Some(ours)) = (of(&case.theirs), of(case.ours))
            && case.theirs[theirs.clone()] != case.ours[ours.clone()]
        {
            case.theirs.splice(theirs, case.ours[ours].iter().cloned());
            found = true;
        }
    }
    found
}

/// A call that is gone there, and in which somebody publishes here.
pub(crate) fn publisher_stays(case: &mut Case<'_>) -> bool {
    let gone = [
        ".warning = \"Call-ID not found",
        ".error-reason = \"Call-ID not found",
        ".error-reason = \"Unknown call-id",
    ];
    let gone = case.theirs.iter().any(|line| gone.iter().any(|start| line.starts_with(start)));
    let explained = case.step.heard && gone && case.ours.iter().any(|line| line.starts_with(".tags {"));
    if explained {
        case.theirs = case.ours.to_vec();
    }
    explained
}

/// A party that nobody has answered, deleted with the tag of somebody else.
pub(crate) fn delete_unanswered(case: &mut Case<'_>) -> bool {
    let ask = &case.step.ask;
    let two = ask.is("command", "delete") && ask.get("from-tag").is_some() && ask.get("to-tag").is_some();
    let gone = case.theirs.iter().any(|line| line.ends_with(" = \"Call-ID not found or tags didn't match\""));
    let explained = two && gone && case.ours.iter().any(|line| line.starts_with(".tags.<untagged "));
    if explained {
        case.theirs = case.ours.to_vec();
    }
    explained
}

/// The profile of what a subscriber is shown.
pub(crate) fn subscriber_profile(case: &mut Case<'_>) -> bool {
    if !case.step.ask.is("command", "subscribe request") {
        return false;
    }
    let ours: Vec<&String> = case.ours.iter().filter(|line| line.starts_with("sdp m=")).collect();
    let theirs = case.theirs.iter_mut().filter(|line| line.starts_with("sdp m="));
    let mut found = false;
    for (theirs, ours) in theirs.zip(ours) {
        for (from, to) in [(" RTP/AVP ", " RTP/AVPF "), (" RTP/AVPF ", " RTP/AVP ")] {
            if theirs.contains(from) && ours.contains(to) {
                *theirs = theirs.replace(from, to);
                found = true;
                break;
            }
        }
    }
    found
}

/// Another family than was asked for.
pub(crate) fn subscriber_family(case: &mut Case<'_>) -> bool {
    let asked =
        case.step.ask.is("command", "subscribe request") && case.step.ask.get("address-family").is_some();
    if !asked || case.theirs.len() != case.ours.len() {
        return false;
    }
    let mut found = false;
    for (theirs, ours) in case.theirs.iter_mut().zip(case.ours) {
        let family = |line: &str| line.starts_with("sdp c=IN IP6 ");
        if theirs.starts_with("sdp c=") && ours.starts_with("sdp c=") && family(theirs) != family(ours) {
            theirs.clone_from(ours);
            found = true;
        }
    }
    found
}

/// A warning of ours.
pub(crate) fn unsubscribe_nobody(case: &mut Case<'_>) -> bool {
    let warning = case.ours.iter().position(|line| line.starts_with(".warning = \"To-tag not found"));
    let Some(place) = warning.filter(|_| case.step.ask.is("command", "unsubscribe")) else { return false };
    insert_as_ours(case, place);
    count_as_ours(case)
}

/// Parties of theirs that hear nobody and are heard by nobody, and that ours has not.
pub(crate) fn subscriber_lingers(case: &mut Case<'_>) -> bool {
    let ours: Vec<&str> = case.ours.iter().filter_map(|line| tag_of(line)).collect();
    let left = |tag: &str| {
        let bare = |list: &str| case.theirs.contains(&format!(".tags.{tag}.{list} [0]"));
        !ours.contains(&tag) && bare("subscriptions") && bare("subscribers")
    };
    let gone: Vec<String> =
        ["rec", "rec-2", "nobody"].into_iter().filter(|tag| left(tag)).map(str::to_owned).collect();
    if gone.is_empty() {
        return false;
    }
    case.theirs.retain(|line| tag_of(line).is_none_or(|tag| !gone.iter().any(|gone| gone == tag)));
    let head = |lines: &[String]| lines.iter().position(|line| line.starts_with(".tags {"));
    if let (Some(theirs), Some(ours)) = (head(&case.theirs), head(case.ours)) {
        case.theirs[theirs].clone_from(&case.ours[ours]);
    }
    true
}

/// Flags of rtcp-mux that somebody else's subscription or publication changes.
pub(crate) fn hearers_mux(case: &mut Case<'_>) -> bool {
    let mut found = false;
    for line in case.theirs.iter_mut().filter(|line| case.step.heard && line.starts_with(".tags.")) {
        let Some((key, flags)) = line.split_once(".flags = ") else { continue };
        let kept: Vec<&str> = match flags.split(", ").collect::<Vec<_>>().as_slice() {
            ["RTP", "RTCP", rest @ ..] => [&["RTP"], rest].concat(),
            all => {
                all.iter().copied().filter(|flag| !matches!(*flag, "rtcp-mux" | "fallback RTCP")).collect()
            }
        };
        let ours = format!("{key}.flags = {}", kept.join(", "));
        if *line != ours && case.ours.contains(&ours) {
            *line = ours;
            found = true;
        }
    }
    found
}
