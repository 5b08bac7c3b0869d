//! Where we answer otherwise on purpose, recognised by what differs and nothing more.

use super::{generate::Step, hearers, mux};

/// One answer of each peer to the same question.
pub(crate) struct Case<'c> {
    pub(crate) step: &'c Step,
    /// Theirs, line by line; what a deviation explains is written as we do.
    pub(crate) theirs: Vec<String>,
    pub(crate) ours: &'c [String],
}

/// A difference that is meant.
pub(crate) struct Deviation {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    /// What comes later in the call differs too, and is not looked at.
    pub(crate) parts: bool,
    /// Rewrites their answer as ours should be; says whether there was anything to rewrite.
    pub(crate) explain: fn(&mut Case<'_>) -> bool,
}

/// `latching/kept` of the written scenarios shows it.
const LATCHED_NEWEST: &str = "latched-newest";

/// So rare that a run may do without them.
pub(crate) const RARE: &[&str] = &[
    LATCHED_NEWEST,
    "publisher-stays",
    "hearers-mux",
    "delete-unanswered",
    "fork-mux",
    "subscriber-profile",
    "subscriber-family",
];

/// Every difference that is meant.
pub(crate) const DEVIATIONS: &[Deviation] = &[
    // What adds or takes lines comes before what compares them one by one.
    Deviation {
        name: "pause-recording",
        reason: "a recording can be paused, as in later releases",
        parts: false,
        explain: hearers::pause_recording,
    },
    Deviation {
        name: "recording-told",
        reason: "a report says whether the call is recorded; 10.5 names the file in answers, which here the sheet beside it does",
        parts: false,
        explain: hearers::recording_told,
    },
    Deviation {
        name: "tcp-passes",
        reason: "a section over TCP passes as it came, with a warning; 10.5 adds a second mid, and a line that ends in LF alone",
        parts: false,
        explain: hearers::tcp_passes,
    },
    Deviation {
        name: "tcp-streams",
        reason: "a section over TCP has no streams of ours; 10.5 opens ports for it that it never shows",
        parts: false,
        explain: hearers::tcp_streams,
    },
    Deviation {
        name: "unsubscribe-nobody",
        reason: "that there was nobody who could leave is said in a warning",
        parts: false,
        explain: hearers::unsubscribe_nobody,
    },
    Deviation {
        name: "subscriber-profile",
        reason: "a subscriber is shown the profile that whom it hears has written; 10.5's is the one that this one was shown",
        parts: true,
        explain: hearers::subscriber_profile,
    },
    Deviation {
        name: "fork-mux",
        reason: "how an offerer is answered about rtcp-mux is settled by its offer; 10.5 goes by what a further party answers",
        parts: true,
        explain: fork_mux,
    },
    Deviation {
        name: "delete-statistics",
        reason: "statistics stand in every reply to a delete; 10.5 leaves them out where no tag was given",
        parts: false,
        explain: delete_statistics,
    },
    Deviation {
        name: "metadata",
        reason: "metadata of a party is shown with it, as in later releases",
        parts: false,
        explain: metadata,
    },
    Deviation {
        name: "session-address",
        reason: "an address of the session that no section uses is replaced too: it is a private one as often as not",
        parts: false,
        explain: session_address,
    },
    Deviation {
        name: "foreign-ptime",
        reason: "what one side said of its ptime is not put into the other's mouth",
        parts: false,
        explain: foreign_ptime,
    },
    Deviation {
        name: "answer-codecs",
        reason: "payload types that the offer or an earlier answer did not have are not stripped while nothing is transcoded",
        parts: true,
        explain: answer_codecs,
    },
    Deviation {
        name: "mux-fallback",
        reason: "a repeated offer of rtcp-mux names a port of its own for RTCP until it was accepted (RFC 5761 5.1.1)",
        parts: true,
        explain: mux::mux_fallback,
    },
    Deviation {
        name: "mux-spill",
        reason: "a party that multiplexes one section is not offered it in the others too",
        parts: true,
        explain: mux::mux_spill,
    },
    Deviation {
        name: LATCHED_NEWEST,
        reason: "port-latching keeps the port that is shown now; 10.5 takes the newest of those that it ever showed",
        parts: true,
        explain: latched_newest,
    },
    Deviation {
        name: "mux-one-port",
        reason: "RTP always has a port for RTCP beside it; 10.5 opens one port for rtcp-mux, and others when two are needed \
                 later",
        parts: true,
        explain: mux_one_port,
    },
    Deviation {
        name: "mux-rtcp-socket",
        reason: "while RTP carries RTCP, the socket of RTCP's own stays beside the one of RTP",
        parts: false,
        explain: mux_rtcp_socket,
    },
    Deviation {
        name: "mux-unasked",
        reason: "rtcp-mux in an answer to somebody who did not offer it is not passed on (RFC 5761 5.1.1)",
        parts: true,
        explain: mux_unasked,
    },
    Deviation {
        name: "fork-hearers",
        reason: "the offerer is heard by every branch until one is deleted; 10.5 forgets all but the last",
        parts: false,
        explain: fork_hearers,
    },
    Deviation {
        name: "fork-ports",
        reason: "ports of parties that 10.5 has forgotten are counted here, so that later ones have other numbers",
        parts: true,
        explain: fork_ports,
    },
    Deviation {
        name: "rejected-flags",
        reason: "flags of a section without a port mean nothing; 10.5 keeps some of them from before",
        parts: false,
        explain: rejected_flags,
    },
    Deviation {
        name: "endpoint-kept",
        reason: "the endpoint in a report is where packets go; 10.5 goes on naming an earlier one in another family or on hold",
        parts: false,
        explain: endpoint_kept,
    },
    Deviation {
        name: "section-apart",
        reason: "a section at another address than the session's says so; in 10.5 its port is that of somebody else there",
        parts: false,
        explain: section_apart,
    },
    Deviation {
        name: "family-written",
        reason: "a party that writes another family than it was shown has a pair of it; from 10.5's it cannot be reached",
        parts: true,
        explain: family_written,
    },
    Deviation {
        name: "reset-initialized",
        reason: "a party that was described stays initialized after a reset: its section is in use",
        parts: false,
        explain: reset_initialized,
    },
    Deviation {
        name: "hold-by-source",
        reason: "hold by the unspecified address stays hold where another address is put in its place",
        parts: true,
        explain: hold_by_source,
    },
    Deviation { name: "mux-image", reason: "only RTP multiplexes RTCP", parts: false, explain: mux_image },
    Deviation {
        name: "branch-lingers",
        reason: "a party that is deleted at once is gone at once; 10.5 sweeps once a second",
        parts: true,
        explain: branch_lingers,
    },
    Deviation {
        name: "delete-untagged",
        reason: "the report of a delete is of whoever goes, where the tags name nobody; in 10.5 it is empty",
        parts: false,
        explain: delete_untagged,
    },
    Deviation {
        name: "delete-unanswered",
        reason: "who offers and was not answered goes by its own tag, whoever else is named; in 10.5 not after several branches",
        parts: true,
        explain: hearers::delete_unanswered,
    },
    Deviation {
        name: "publisher-stays",
        reason: "who publishes stays until it or the call is deleted; 10.5 ends a call with its last dialogue",
        parts: true,
        explain: hearers::publisher_stays,
    },
    Deviation {
        name: "subscriber-family",
        reason: "a subscriber is shown the family that its client asks for",
        parts: true,
        explain: hearers::subscriber_family,
    },
    Deviation {
        name: "subscriber-lingers",
        reason: "a subscriber that left is gone; 10.5 keeps it, and makes one of a tag that nobody has",
        parts: true,
        explain: hearers::subscriber_lingers,
    },
    Deviation {
        name: "hearers-mux",
        reason: "flags of rtcp-mux are of a party's own offer and answer; 10.5's change when somebody subscribes or publishes",
        parts: true,
        explain: hearers::hearers_mux,
    },
    Deviation {
        name: "ice-spoken",
        reason: "ICE is stripped and not spoken yet, not even with whoever offered it",
        parts: false,
        explain: ice_spoken,
    },
];

/// `metadata` of parties that 10.5 shows without.
fn metadata(case: &mut Case<'_>) -> bool {
    let mut found = false;
    for line in case.ours.iter().filter(|line| line.contains(".metadata = ")) {
        let Some((party, _)) = line.split_once(".metadata = ") else { continue };
        if case.theirs.contains(line) {
            continue;
        }
        let created = case.theirs.iter().position(|line| line.starts_with(&format!("{party}.created")));
        let head = case.ours.iter().find(|line| line.starts_with(&format!("{party} {{")));
        let theirs = case.theirs.iter().position(|line| line.starts_with(&format!("{party} {{")));
        if let (Some(created), Some(head), Some(theirs)) = (created, head, theirs) {
            case.theirs[theirs].clone_from(head);
            case.theirs.insert(created + 1, line.clone());
            found = true;
        }
    }
    found
}

/// Who hears whom, in a call that was forked, and so who belongs to the party that was asked about.
fn fork_hearers(case: &mut Case<'_>) -> bool {
    if !case.step.forked || !case.theirs.iter().any(|line| line.starts_with(".tags {")) {
        return false;
    }
    let hearing = |line: &str| line.contains(".subscriptions") || line.contains(".subscribers");
    let of_tag = |tag: &str| {
        let lines = case.theirs.iter().filter(|line| tag_of(line) == Some(tag) && !hearing(line));
        lines.cloned().collect::<Vec<_>>()
    };
    let mut merged: Vec<String> = Vec::new();
    let mut theirs: Vec<String> = Vec::new();
    let mut seen = "";
    for line in case.ours {
        match tag_of(line) {
            Some(tag) => {
                if tag != seen {
                    merged.append(&mut theirs);
                    theirs = of_tag(tag);
                    theirs.reverse();
                    seen = tag;
                }
                let missing = theirs.is_empty() && of_tag(tag).is_empty();
                if hearing(line) || missing {
                    merged.push(line.clone());
                } else {
                    merged.extend(theirs.pop());
                }
            }
            None => merged.push(line.clone()),
        }
    }
    // Whoever is heard there is heard here; it is forgotten there, and never the other way round.
    let whom = |lines: &[String]| {
        let mut whom = std::collections::BTreeSet::new();
        for line in lines {
            let list = [".subscriptions", ".subscribers"].into_iter().find(|list| line.contains(list));
            if let (Some(tag), Some(list), Some((_, other))) =
                (tag_of(line), list, line.split_once("].tag = "))
            {
                whom.insert((tag.to_owned(), list, other.to_owned()));
            }
        }
        whom
    };
    let named = |(tag, _, other): &(String, &str, String)| !tag.starts_with('<') && other != "\"\"";
    if !whom(case.ours).is_superset(&whom(&case.theirs).into_iter().filter(named).collect()) {
        return false;
    }
    let unknown = case.theirs.iter().filter_map(|line| tag_of(line));
    let unknown = unknown.filter(|tag| !case.ours.iter().any(|line| tag_of(line) == Some(tag))).count();
    let explained = unknown == 0 && merged != case.theirs;
    if explained {
        case.theirs = merged;
    }
    explained
}

/// Numbers of ports in the report of a call that was forked.
fn fork_ports(case: &mut Case<'_>) -> bool {
    let report = case.theirs.iter().any(|line| line.starts_with(".tags {"));
    case.step.forked && report && ports_of_ours(case, |_| true)
}

/// The party that a line of a report is about.
pub(crate) fn tag_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(".tags.")?;
    rest.split(['.', ' ']).next().filter(|tag| !tag.is_empty())
}

/// Formats of `m=` that we leave in, and what describes them.
fn answer_codecs(case: &mut Case<'_>) -> bool {
    if !["answer", "subscribe request"].iter().any(|command| case.step.ask.is("command", command)) {
        return false;
    }
    let mut found = false;
    let sections = |lines: &[String]| -> Vec<usize> {
        lines.iter().enumerate().filter(|(_, line)| line.starts_with("sdp m=")).map(|(at, _)| at).collect()
    };
    for (number, ours_at) in sections(case.ours).into_iter().enumerate() {
        let Some(&theirs_at) = sections(&case.theirs).get(number) else { return found };
        let formats = |line: &str| {
            line.trim_end_matches("\\r\\n").split(' ').skip(3).map(str::to_owned).collect::<Vec<_>>()
        };
        let (all, kept) = (formats(&case.ours[ours_at]), formats(&case.theirs[theirs_at]));
        if kept.iter().any(|format| !all.contains(format)) {
            continue;
        }
        if all != kept {
            let head = case.theirs[theirs_at].split(' ').take(3).collect::<Vec<_>>().join(" ");
            case.theirs[theirs_at] = format!("{head} {}\\r\\n", all.join(" "));
            found = true;
        }
        let describes = |line: &str| {
            ["rtpmap", "fmtp", "rtcp-fb"].iter().any(|name| line.starts_with(&format!("sdp a={name}:")))
        };
        for offset in 1.. {
            let Some(line) = case.ours.get(ours_at + offset).filter(|line| !line.starts_with("sdp m="))
            else {
                break;
            };
            let at = theirs_at + offset;
            if describes(line) && case.theirs.get(at) != Some(line) && at <= case.theirs.len() {
                case.theirs.insert(at, line.clone());
                found = true;
            }
        }
    }
    found
}

/// Flags of rtcp-mux in sections without RTP.
fn mux_image(case: &mut Case<'_>) -> bool {
    let image = |line: &&String| line.ends_with(".protocol = \"udptl\"");
    let sections: Vec<String> = case
        .ours
        .iter()
        .filter(image)
        .filter_map(|line| line.split_once(".protocol").map(|(section, _)| section.to_owned()))
        .collect();
    let mut found = false;
    for theirs in &mut case.theirs {
        let Some((key, flags)) = theirs.split_once(".flags = ") else { continue };
        if !sections.iter().any(|section| key.starts_with(section.as_str())) {
            continue;
        }
        let first = if flags.starts_with("RTP") { 1 } else { 0 };
        let kept = flags.split(", ").enumerate().filter(|(index, flag)| {
            *flag != "rtcp-mux" && *flag != "fallback RTCP" && !(first == 1 && *index == 1 && *flag == "RTCP")
        });
        let kept = kept.map(|(_, flag)| flag).collect::<Vec<_>>().join(", ");
        if kept != flags {
            *theirs = format!("{key}.flags = {kept}");
            found = true;
        }
    }
    found
}

/// Reports with more parties than ours, after one was deleted at once.
fn branch_lingers(case: &mut Case<'_>) -> bool {
    let tags = |lines: &[String]| {
        lines
            .iter()
            .filter_map(|line| tag_of(line).map(str::to_owned))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (theirs, ours) = (tags(&case.theirs), tags(case.ours));
    let unknown = case.ours.iter().any(|line| line.to_lowercase().ends_with("\"unknown call-id\""));
    let served = unknown && case.theirs.iter().any(|line| line == ".result = \"ok\"");
    let explained = case.step.swept && (served || (theirs != ours && theirs.is_superset(&ours)));
    if explained {
        case.theirs = case.ours.to_vec();
    }
    explained
}

/// Flags of a section that has no port, and of its streams.
fn rejected_flags(case: &mut Case<'_>) -> bool {
    let dead = |line: &&String| line.ends_with(".streams[0] {5}");
    let sections: Vec<String> = case
        .theirs
        .iter()
        .filter(dead)
        .map(|line| line.trim_end_matches(".streams[0] {5}").to_owned())
        .collect();
    let mut found = false;
    for theirs in &mut case.theirs {
        let Some((key, _)) = theirs.split_once(".flags = ") else { continue };
        if !sections.iter().any(|section| key.starts_with(section.as_str())) {
            continue;
        }
        let start = format!("{key}.flags = ");
        if let Some(ours) = case.ours.iter().find(|line| line.starts_with(&start) && *line != theirs) {
            theirs.clone_from(ours);
            found = true;
        }
    }
    found
}

/// Endpoints where ours is what was signalled.
fn endpoint_kept(case: &mut Case<'_>) -> bool {
    let mut found = false;
    for line in case.ours {
        let Some((stream, value)) = line.split_once("endpoint.") else { continue };
        let Some((key, _)) = value.split_once(" = ") else { continue };
        let stream = stream.trim_end_matches("advertised ");
        let told = [format!("{stream}endpoint.{value}"), format!("{stream}advertised endpoint.{value}")];
        if !told.iter().all(|told| case.ours.contains(told)) {
            continue;
        }
        let starts = [format!("{stream}endpoint.{key} = "), format!("{stream}advertised endpoint.{key} = ")];
        for (start, told) in starts.iter().zip(&told) {
            if let Some(theirs) = case.theirs.iter_mut().find(|theirs| theirs.starts_with(start))
                && theirs != told
            {
                theirs.clone_from(told);
                found = true;
            }
        }
    }
    found
}

/// A `c=` of its own that only ours gives a section.
fn section_apart(case: &mut Case<'_>) -> bool {
    let session = case.ours.iter().take_while(|line| !line.starts_with("sdp m="));
    let session: Vec<&String> = session.filter(|line| line.starts_with("sdp c=")).collect();
    let mut found = false;
    for (place, media) in case.ours.iter().enumerate().filter(|(_, line)| line.starts_with("sdp m=")) {
        // A title of the section comes before it.
        let Some(offset) = (1..3).find(|offset| {
            case.ours
                .get(place + offset)
                .is_some_and(|line| line.starts_with("sdp c=") && !session.contains(&line))
        }) else {
            continue;
        };
        let at = case.theirs.iter().position(|theirs| theirs == media).map(|at| at + offset);
        if let Some(at) = at.filter(|&at| case.theirs.get(at).is_some_and(|line| !line.starts_with("sdp c=")))
        {
            case.theirs.insert(at, case.ours[place + offset].clone());
            found = true;
        }
    }
    found
}

/// Local ends of streams where 10.5's is of another family than the party's endpoint, and ours of the same.
fn family_written(case: &mut Case<'_>) -> bool {
    const LOCAL: [&str; 3] = ["local port = ", "local address = ", "family = "];
    let find = |lines: &[String], start: &str| lines.iter().position(|line| line.starts_with(start));
    let mut found = false;
    for line in case.ours {
        let Some((stream, family)) = line.split_once(".endpoint.family = ") else { continue };
        let own = format!("{stream}.family = {family}");
        if !case.ours.contains(&own) || case.theirs.contains(&own) {
            continue;
        }
        for key in LOCAL {
            let start = format!("{stream}.{key}");
            if let (Some(theirs), Some(ours)) = (find(&case.theirs, &start), find(case.ours, &start)) {
                case.theirs[theirs].clone_from(&case.ours[ours]);
                found = true;
            }
        }
    }
    found
}

/// `initialized` of a party that was forgotten.
fn reset_initialized(case: &mut Case<'_>) -> bool {
    let mut found = false;
    for theirs in case.theirs.iter_mut().filter(|_| case.step.reset) {
        if let Some((key, flags)) = theirs.split_once(".flags = ") {
            let comma = if flags.is_empty() { "" } else { ", " };
            let ours = format!("{key}.flags = initialized{comma}{flags}");
            if !flags.starts_with("initialized") && case.ours.contains(&ours) {
                *theirs = ours;
                found = true;
            }
        }
    }
    found
}

/// `c=`, directions and ports of a description with an unspecified address.
fn hold_by_source(case: &mut Case<'_>) -> bool {
    let sdp = case.step.ask.get("sdp").and_then(ng::Value::as_str).unwrap_or_default();
    let held = sdp.contains(" 0.0.0.0\r\n") || sdp.contains(" ::\r\n");
    let ask = &case.step.ask;
    let replaced = ask.lists("flags", "SIP-source-address") || ask.get("media-address").is_some();
    if !held || !replaced || case.theirs.len() != case.ours.len() {
        return false;
    }
    let mut found = false;
    for (theirs, ours) in case.theirs.iter_mut().zip(case.ours) {
        let connection =
            theirs.starts_with("sdp c=") && (ours.contains(" 0.0.0.0") || ours.contains(" ::\\r"));
        let direction = ["sdp a=sendonly", "sdp a=inactive"].iter().any(|name| ours.starts_with(name));
        // The port follows the endpoint, the version what is written.
        let port = ["sdp m=", "sdp a=rtcp:", "sdp o="]
            .iter()
            .any(|start| theirs.starts_with(start) && ours.starts_with(start));
        if theirs != ours && (connection || direction || port) {
            theirs.clone_from(ours);
            found = true;
        }
    }
    found
}

fn delete_untagged(case: &mut Case<'_>) -> bool {
    let nobody = case.step.ask.is("command", "delete") && case.theirs.iter().any(|line| line == ".tags {0}");
    let somebody = case.ours.iter().any(|line| line.starts_with(".tags {") && line != ".tags {0}");
    if nobody && somebody {
        case.theirs = case.ours.to_vec();
    }
    nobody && somebody
}

/// Attributes and flags of ICE (RFC 8839).
fn ice_spoken(case: &mut Case<'_>) -> bool {
    let before = case.theirs.len();
    case.theirs.retain(|line| {
        !["ice-ufrag:", "ice-pwd:", "candidate:"]
            .iter()
            .any(|name| line.starts_with(&format!("sdp a={name}")))
    });
    let mut found = case.theirs.len() != before;
    for line in case.theirs.iter_mut().filter(|line| line.contains(".flags = ")) {
        let cut = line.split_once(", ICE").filter(|(_, after)| after.is_empty() || after.starts_with(','));
        if let Some((before, after)) = cut {
            *line = format!("{before}{after}");
            found = true;
        }
    }
    found
}

fn delete_statistics(case: &mut Case<'_>) -> bool {
    let [_, _, result] = case.theirs.as_slice() else { return false };
    let bare = result == ".result = \"ok\""
        && case.step.ask.is("command", "delete")
        && case.step.ask.get("from-tag").is_none();
    let told = case.ours.iter().any(|line| line == result)
        && case.ours.iter().any(|line| line.starts_with(".tags "));
    if bare && told {
        case.theirs = case.ours.to_vec();
    }
    bare && told
}

fn session_address(case: &mut Case<'_>) -> bool {
    if case.step.ask.lists("replace", "session-connection") {
        return false;
    }
    let first_media = case.theirs.iter().position(|line| line.starts_with("sdp m="));
    let session = first_media.unwrap_or(0);
    let sections = case.theirs.iter().filter(|line| line.starts_with("sdp m=")).count();
    let of = |lines: &[String]| {
        lines.iter().filter(|line| line.starts_with("sdp c=")).cloned().collect::<Vec<_>>()
    };
    let own = of(&case.theirs[session..]);
    let [written] = of(&case.theirs[..session]).try_into().unwrap_or_else(|_| [String::new()]);
    if written.is_empty() || own.len() != sections {
        return false;
    }
    let Some(ours) = of(case.ours).into_iter().next() else { return false };
    if ours == written || !of(case.ours)[1..].contains(&ours) {
        return false;
    }
    let line = case.theirs.iter_mut().find(|line| **line == written).expect("it was found above");
    *line = ours;
    true
}

fn foreign_ptime(case: &mut Case<'_>) -> bool {
    // By section: what the description says itself.
    let sdp = case.step.ask.get("sdp").and_then(ng::Value::as_str).unwrap_or_default();
    let said: Vec<bool> =
        sdp.split("\r\nm=").skip(1).map(|section| section.contains("\r\na=ptime:")).collect();
    let mut section = 0;
    let before = case.theirs.len();
    case.theirs.retain(|line| {
        section += usize::from(line.starts_with("sdp m="));
        !(line.starts_with("sdp a=ptime:") && section > 0 && said.get(section - 1) == Some(&false))
    });
    case.theirs.len() != before
}

/// Whether both lines name a local port of the same kind.
fn of_port(theirs: &str, ours: &str) -> bool {
    let told = theirs.contains(".local port = ") && ours.contains(".local port = ");
    told || ["sdp m=", "sdp a=rtcp:"].iter().any(|start| theirs.starts_with(start) && ours.starts_with(start))
}

/// The port that is kept.
fn latched_newest(case: &mut Case<'_>) -> bool {
    case.step.ask.lists("flags", "port-latching") && ports_of_ours(case, |_| true)
}

/// Ports of sections in which RTCP needed no port.
fn mux_one_port(case: &mut Case<'_>) -> bool {
    let muxed = case.step.muxed;
    muxed != 0 && ports_of_ours(case, |section| muxed & (1 << section) != 0)
}

/// Takes over the ports of these sections, where nothing else differs in number.
fn ports_of_ours(case: &mut Case<'_>, of: impl Fn(usize) -> bool) -> bool {
    if case.theirs.len() != case.ours.len() {
        return false;
    }
    let mut found = false;
    // Of a description the session comes first.
    let mut described = 0;
    for (theirs, ours) in case.theirs.iter_mut().zip(case.ours) {
        described += usize::from(ours.starts_with("sdp m="));
        let reported = ours.split_once(".medias[").and_then(|(_, rest)| rest.split(']').next()?.parse().ok());
        let section = reported.or_else(|| described.checked_sub(1));
        // A port of theirs that ours has not is one more to count, so that all later new ones have other numbers.
        if theirs != ours && of_port(theirs, ours) && (found || section.is_some_and(&of)) {
            theirs.clone_from(ours);
            found = true;
        }
    }
    found
}

/// Where the second stream of a section is, in a call with rtcp-mux.
fn mux_rtcp_socket(case: &mut Case<'_>) -> bool {
    if case.step.muxed == 0 {
        return false;
    }
    let mut found = false;
    for theirs in &mut case.theirs {
        let Some((key, _)) = theirs.split_once(" = ") else { continue };
        let Some((_, what)) = key.split_once("streams[1].") else { continue };
        let start = format!("{key} = ");
        let ours = case.ours.iter().find(|line| line.starts_with(&start));
        if let Some(ours) = ours
            && theirs != ours
            && ["local port", "local address", "family"].contains(&what)
        {
            theirs.clone_from(ours);
            found = true;
        }
    }
    found
}

/// `a=rtcp:P2` and `a=rtcp-mux` of ours, to whoever offered it, where a further party answers.
fn fork_mux(case: &mut Case<'_>) -> bool {
    if !case.step.forked || !case.step.ask.is("command", "answer") {
        return false;
    }
    let mut found = false;
    for at in 1..case.ours.len() {
        let told = fallback(&case.ours[at - 1]).filter(|_| case.ours[at] == MUX);
        let bare = |line: &String| line.starts_with("sdp a=rtcp:P") && line.contains("+1");
        if told.is_some()
            && case.theirs.get(at - 1).is_some_and(bare)
            && case.theirs.get(at) != Some(&MUX.to_owned())
        {
            case.theirs[at - 1].clone_from(&case.ours[at - 1]);
            case.theirs.insert(at, MUX.to_owned());
            found = true;
        }
    }
    if found {
        // RTP is where it was shown before.
        ports_of_ours(case, |_| true);
    }
    found
}

/// `a=rtcp:P2` and `a=rtcp-mux` where we say `a=rtcp:P2+1` alone.
fn mux_unasked(case: &mut Case<'_>) -> bool {
    if !case.step.ask.is("command", "answer") {
        return false;
    }
    let mut found = false;
    while let Some(at) = case.theirs.iter().position(|line| line == MUX) {
        if case.ours.contains(&case.theirs[at.saturating_sub(1)]) && case.ours.iter().any(|line| line == MUX)
        {
            break;
        }
        case.theirs.remove(at);
        if let Some(fallback) = fallback(&case.theirs[at - 1]) {
            case.theirs[at - 1] = fallback;
        }
        found = true;
    }
    found
}

pub(crate) const MUX: &str = "sdp a=rtcp-mux\\r\\n";

/// `a=rtcp` of a port of its own, for one that names the port of RTP.
pub(crate) fn fallback(line: &str) -> Option<String> {
    let rest = line.strip_prefix("sdp a=rtcp:P")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
    (!rest[end..].starts_with('+')).then(|| format!("sdp a=rtcp:P{}+1{}", &rest[..end], &rest[end..]))
}
