//! Where we answer calls with keys otherwise on purpose, recognised by what differs and nothing more.

use super::ask::Ask;

/// One answer of each peer to the same question.
pub(crate) struct Case<'c> {
    pub(crate) ask: &'c Ask,
    /// The last offer.
    pub(crate) offered: &'c str,
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

/// So rare that a run may do without them.
pub(crate) const RARE: &[&str] = &["off-beside", "profile-restored", "static-plain", "suite-answered"];

/// Every difference that is meant.
pub(crate) const DEVIATIONS: &[Deviation] = &[
    Deviation {
        name: "off-demanded",
        reason: "a client that wants no keys and a profile that demands some is refused; where the profile passes, so do keys: 10.5 \
                 describes media that nobody can set up",
        parts: true,
        explain: off_demanded,
    },
    Deviation {
        name: "off-beside",
        reason: "`off` writes none beside a plain profile either, whatever OSRTP says",
        parts: false,
        explain: off_beside,
    },
    Deviation {
        name: "profile-restored",
        reason: "an answer has the profile that was offered; where best effort was not taken, 10.5's has the answerer's",
        parts: true,
        explain: profile_restored,
    },
    Deviation {
        name: "line-answered",
        reason: "whoever offers keys is answered with one: the first line that can be used. 10.5 takes F8 and NULL, and leaves out \
                 lines with parameters that need not be understood, and the only line where the answer excludes its suite",
        parts: true,
        explain: line_answered,
    },
    Deviation {
        name: "suite-answered",
        reason: "an answer has the suite that was agreed, else that of the other side, else the first that the answer allows; 10.5 \
                 chooses anew each time, and passes over lines with parameters that need not be understood",
        parts: true,
        explain: suite_answered,
    },
    Deviation {
        name: "refused-suites",
        reason: "F8 and NULL are not spoken, so they are not offered",
        parts: false,
        explain: refused_suites,
    },
    Deviation {
        name: "aead-parameters",
        reason: "what is encrypted and authenticated in one cannot do without either (RFC 7714 14.2)",
        parts: false,
        explain: aead_parameters,
    },
    Deviation {
        name: "only",
        reason: "`only-` names the suites that are written, as in later releases; 10.5 does not know it",
        parts: false,
        explain: only,
    },
    Deviation {
        name: "nonew",
        reason: "`nonew` writes no suite that the other side has not, as in later releases; 10.5 does not know it",
        parts: false,
        explain: nonew,
    },
    Deviation {
        name: "agreed-first",
        reason: "what is agreed with a party is offered to it again, and first, then what the other side has; 10.5 goes by what was \
                 said before, and drops what is agreed where it is to add none",
        parts: false,
        explain: agreed_first,
    },
    Deviation {
        name: "order",
        reason: "`order:` sorts the suites that are written, as in later releases; 10.5 does not know it",
        parts: false,
        explain: order,
    },
    Deviation {
        name: "keys-end-here",
        reason: "no key of one party is shown to another; 10.5 hands them on, with lifetime and MKI",
        parts: false,
        explain: keys_end_here,
    },
    Deviation {
        name: "key-stays",
        reason: "our key, and what was said of it, stays while it is agreed, and is another if it was not for a while; 10.5 goes by \
                 what the other side says",
        parts: false,
        explain: key_stays,
    },
    Deviation {
        name: "suite-over",
        reason: "a report names the suite that is agreed; 10.5's names one that was offered or agreed once, beside plain media",
        parts: false,
        explain: suite_over,
    },
    Deviation {
        name: "own-tags",
        reason: "lines of ours are numbered from 1; 10.5 goes on from the tags of the other side",
        parts: false,
        explain: own_tags,
    },
    Deviation {
        name: "static-plain",
        reason: "whoever did without keys is offered them again; in 10.5 not with `static`",
        parts: false,
        explain: static_plain,
    },
];

/// `a=crypto` in an answer of a peer.
#[derive(Clone, PartialEq)]
struct Line {
    tag: String,
    suite: String,
    key: String,
    /// Session parameters and the end of the line.
    rest: String,
}

const CRYPTO: &str = "sdp a=crypto:";
const END: &str = "\\r\\n";

impl Line {
    fn read(line: &str) -> Option<Line> {
        let mut words = line.strip_prefix(CRYPTO)?.strip_suffix(END)?.splitn(4, ' ').map(str::to_owned);
        let (tag, suite, key) = (words.next()?, words.next()?, words.next()?);
        Some(Line { tag, suite, key, rest: words.next().map(|rest| format!(" {rest}")).unwrap_or_default() })
    }

    fn text(&self) -> String {
        let Line { tag, suite, key, rest } = self;
        format!("{CRYPTO}{tag} {suite} {key}{rest}{END}")
    }
}

/// The lines of keys of each section.
fn sections(lines: &[String]) -> Vec<Vec<Line>> {
    let sections = lines.split(|line| line.starts_with("sdp m=")).skip(1);
    sections.map(|section| section.iter().filter_map(|line| Line::read(line)).collect()).collect()
}

/// Rewrites the keys of each section of theirs, beside ours and what the question says of it.
fn rewrite(case: &mut Case<'_>, mut with: impl FnMut(Vec<Line>, &[Line], &str) -> Vec<Line>) -> bool {
    let asked = case.ask.get("sdp").and_then(ng::Value::as_str).unwrap_or_default().to_owned();
    let (theirs, ours) = (sections(&case.theirs), sections(case.ours));
    if theirs.len() != ours.len() {
        return false;
    }
    let mut found = false;
    let mut number = 0;
    let mut rewritten = Vec::new();
    for (index, line) in case.theirs.iter().enumerate() {
        number += usize::from(line.starts_with("sdp m="));
        if Line::read(line).is_none() {
            rewritten.push(line.clone());
            continue;
        }
        // All of a section where its first stands.
        if index > 0 && Line::read(&case.theirs[index - 1]).is_some() {
            continue;
        }
        let said = asked.split("\r\nm=").nth(number).unwrap_or_default();
        let lines = with(theirs[number - 1].clone(), &ours[number - 1], said);
        found |= lines != theirs[number - 1];
        rewritten.extend(lines.iter().map(Line::text));
    }
    case.theirs = rewritten;
    found
}

/// The words of `SDES`.
fn words<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a str> {
    let words = case.ask.get("SDES").and_then(ng::Value::items).unwrap_or_default();
    words.iter().filter_map(ng::Value::as_str)
}

fn off_demanded(case: &mut Case<'_>) -> bool {
    let refused = |line: &String| line.starts_with(".error-reason = \"Not supported: SDES=off with ");
    let explained = words(case).any(|word| word == "off") && case.ours.iter().any(refused);
    // Keys in a section whose profile passed.
    let unasked = words(case).any(|word| word == "off") && case.ask.get("transport-protocol").is_none();
    let bare = sections(&case.theirs).iter().all(Vec::is_empty)
        && sections(case.ours).iter().any(|of| !of.is_empty());
    let plain: Vec<&String> = case.ours.iter().filter(|line| Line::read(line).is_none()).collect();
    let passed = unasked && bare && plain.into_iter().eq(&case.theirs);
    if explained || passed {
        case.theirs = case.ours.to_vec();
    }
    explained || passed
}

/// Keys beside a plain profile.
fn off_beside(case: &mut Case<'_>) -> bool {
    words(case).any(|word| word == "off")
        && rewrite(case, |lines, ours, _| if ours.is_empty() { Vec::new() } else { lines })
}

fn is_refused(line: &Line) -> bool {
    line.suite.starts_with("F8_") || line.suite.starts_with("NULL_")
}

/// Answers in which theirs has none of the lines that can be used.
fn line_answered(case: &mut Case<'_>) -> bool {
    if !case.ask.is("command", "answer") {
        return false;
    }
    let mut found = rewrite(case, |lines, ours, _| match (lines.as_slice(), ours) {
        ([theirs], [_]) if is_refused(theirs) => ours.to_vec(),
        _ => lines,
    });
    found |= beside_none(case);
    found
}

/// Lines of ours where theirs has none, after all that is alike.
fn beside_none(case: &mut Case<'_>) -> bool {
    let mut found = false;
    for (index, line) in case.ours.iter().enumerate().skip(1) {
        let alike = case.theirs.get(index - 1) == case.ours.get(index - 1);
        let none = case.theirs.get(index).is_some_and(|theirs| Line::read(theirs).is_none());
        if alike && none && Line::read(line).is_some() {
            case.theirs.insert(index, line.clone());
            found = true;
        }
    }
    found
}

/// Keys that were not taken before.
fn static_plain(case: &mut Case<'_>) -> bool {
    let again = case.ask.is("command", "offer") && case.ask.get("to-tag").is_some();
    again && words(case).any(|word| word == "static") && beside_none(case)
}

/// The profile of an answer.
fn profile_restored(case: &mut Case<'_>) -> bool {
    if !case.ask.is("command", "answer") {
        return false;
    }
    let mut found = false;
    for (theirs, ours) in case.theirs.iter_mut().zip(case.ours) {
        let words = |line: &str| {
            line.strip_prefix("sdp m=").map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        if let (Some(mine), Some(own)) = (words(theirs), words(ours))
            && theirs != ours
            && [&mine[..2], &mine[3..]] == [&own[..2], &own[3..]]
            && !own[2].contains("SAVP")
            && case.offered.contains(&format!(" {} ", own[2]))
        {
            theirs.clone_from(ours);
            found = true;
        }
    }
    found
}

/// Another line of what was offered.
fn suite_answered(case: &mut Case<'_>) -> bool {
    let offered = case.offered.to_owned();
    let is_offered = |line: &Line| offered.contains(&format!("a=crypto:{} {} inline:", line.tag, line.suite));
    case.ask.is("command", "answer")
        && rewrite(case, |lines, ours, _| match (lines.as_slice(), ours) {
            ([theirs], [our]) if theirs.suite != our.suite && is_offered(our) => ours.to_vec(),
            _ => lines,
        })
}

/// Lines of suites that are never spoken.
fn refused_suites(case: &mut Case<'_>) -> bool {
    rewrite(case, |mut lines, _, _| {
        lines.retain(|line| !is_refused(line));
        lines
    })
}

fn aead_parameters(case: &mut Case<'_>) -> bool {
    rewrite(case, |mut lines, _, _| {
        for line in lines.iter_mut().filter(|line| line.suite.starts_with("AEAD_")) {
            let kept = line.rest.split(' ').filter(|word| {
                !["UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP"].contains(word)
            });
            line.rest = kept.collect::<Vec<_>>().join(" ");
        }
        lines
    })
}

/// The line that is agreed, in an offer to who has answered.
fn agreed_first(case: &mut Case<'_>) -> bool {
    let again = case.ask.is("command", "offer") && case.ask.get("to-tag").is_some();
    again
        && rewrite(case, |mut lines, ours, _| {
            let place = |suite: &str| ours.iter().position(|our| our.suite == suite);
            if let Some(agreed) =
                ours.first().filter(|agreed| lines.iter().all(|line| line.suite != agreed.suite))
            {
                lines.push(agreed.clone());
            }
            lines.sort_by_key(|line| place(&line.suite));
            lines
        })
}

/// Lines of suites that are not among the only ones.
fn only(case: &mut Case<'_>) -> bool {
    let only: Vec<String> =
        words(case).filter_map(|word| word.strip_prefix("only-")).map(str::to_owned).collect();
    !only.is_empty()
        && case.ask.is("command", "offer")
        && rewrite(case, |mut lines, ours, _| {
            lines.retain(|line| only.contains(&line.suite) || ours.iter().any(|our| our.suite == line.suite));
            lines
        })
}

/// Lines of suites that the other side did not offer.
fn nonew(case: &mut Case<'_>) -> bool {
    words(case).any(|word| word == "nonew")
        && rewrite(case, |mut lines, _, said| {
            let offered = |suite: &str| said.contains(&format!(" {suite} inline:"));
            if lines.iter().any(|line| offered(&line.suite)) {
                lines.retain(|line| offered(&line.suite));
            }
            lines
        })
}

fn order(case: &mut Case<'_>) -> bool {
    words(case).any(|word| word.starts_with("order:"))
        && rewrite(case, |lines, ours, _| {
            let mut sorted = lines.clone();
            sorted.sort_by_key(|line| ours.iter().position(|our| our.suite == line.suite));
            // The tags stay in their order.
            sorted.iter_mut().zip(&lines).for_each(|(line, before)| line.tag.clone_from(&before.tag));
            sorted
        })
}

/// Keys that a party wrote, where ours are drawn.
fn keys_end_here(case: &mut Case<'_>) -> bool {
    rewrite(case, |mut lines, ours, _| {
        for line in &mut lines {
            let our =
                ours.iter().find(|our| our.suite == line.suite && our.key.starts_with("inline:(drawn-"));
            if let Some(our) = our.filter(|_| !line.key.starts_with("inline:(drawn-")) {
                line.key.clone_from(&our.key);
                // What its party said of it is not handed on either.
                line.rest.clone_from(&our.rest);
            }
        }
        lines
    })
}

/// Keys that both drew, at another time.
fn key_stays(case: &mut Case<'_>) -> bool {
    case.ask.get("to-tag").is_some()
        && rewrite(case, |mut lines, ours, _| {
            for line in &mut lines {
                let our = ours.iter().find(|our| our.suite == line.suite);
                let drawn = |key: &str| key.starts_with("inline:(drawn-");
                if let Some(our) = our.filter(|our| drawn(&our.key) && drawn(&line.key)) {
                    (line.key, line.rest) = (our.key.clone(), our.rest.clone());
                }
            }
            lines
        })
}

/// Tags of an offer.
fn own_tags(case: &mut Case<'_>) -> bool {
    case.ask.is("command", "offer")
        && rewrite(case, |mut lines, ours, _| {
            if lines.iter().map(|line| &line.suite).eq(ours.iter().map(|our| &our.suite)) {
                lines.iter_mut().zip(ours).for_each(|(line, our)| line.tag.clone_from(&our.tag));
            }
            lines
        })
}

/// Suites and flags of sections in plain, where a report of ours names none.
fn suite_over(case: &mut Case<'_>) -> bool {
    let mut found = false;
    let mut plain = false;
    let mut kept: Vec<String> = Vec::new();
    for line in std::mem::take(&mut case.theirs) {
        if let Some((_, protocol)) = line.split_once(".protocol = ") {
            plain = !protocol.contains("SAVP");
        }
        let stream = line.split_once(".crypto suite = ").map(|(stream, _)| format!("{stream} {{9}}"));
        let named = |stream: &String| case.ours.contains(&stream.replace("{9}", "{8}"));
        if let Some(stream) = stream.filter(|stream| plain && named(stream)) {
            if let Some(head) = kept.iter_mut().rfind(|line| **line == stream) {
                *head = stream.replace("{9}", "{8}");
            }
            found = true;
            continue;
        }
        let bare =
            line.strip_suffix(", SDES").filter(|bare| plain && case.ours.iter().any(|line| line == bare));
        found |= bare.is_some();
        kept.push(bare.map_or_else(|| line.clone(), str::to_owned));
    }
    case.theirs = kept;
    found
}
