//! What a source file may say: no clock in a room without one, no float in the ledger, no unfinished work.

use crate::{Breach, tree::File};

/// A banned text, where it is banned, and what to do instead.
struct Ban {
    text: &'static str,
    applies: fn(&str) -> bool,
    instead: &'static str,
}

const LINES_MAX: usize = 800;

const BANS: [Ban; 10] = [
    Ban { text: "Instant::now", applies: sans_io, instead: "time is an argument here" },
    Ban { text: "SystemTime::now", applies: sans_io, instead: "time is an argument here" },
    Ban { text: "rand::rng()", applies: sans_io, instead: "randomness is a seeded generator passed in" },
    Ban { text: "std::net::UdpSocket", applies: sans_io, instead: "this room has no socket" },
    Ban { text: "std::thread", applies: sans_io, instead: "this room has no thread" },
    Ban { text: "f32", applies: ledger, instead: "money is an integer" },
    Ban { text: "f64", applies: ledger, instead: "money is an integer" },
    Ban { text: concat!("TO", "DO"), applies: rust, instead: "finish it, or give it an ADR" },
    Ban { text: concat!("FIX", "ME"), applies: rust, instead: "finish it, or give it an ADR" },
    Ban { text: concat!("to", "do!("), applies: rust, instead: "finish it" },
];

/// Prefixes of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];

pub(crate) fn check(files: &[File]) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.text.is_some()) {
        let (mut marked, mut testing) = (false, false);
        for (number, line) in file.lines() {
            // A test may start a clock to make its first instant. Tests stand last in a file.
            testing |= marked && line.ends_with('{');
            marked = line == "#[cfg(test)]";
            found.extend(
                judge(&file.path, line, testing)
                    .map(|what| Breach::new(format!("{}:{number}", file.path), what)),
            );
        }
        let lines_count = file.lines().count();
        if rust(&file.path) && lines_count > LINES_MAX {
            found.push(Breach::new(
                file.path.clone(),
                format!("{lines_count} lines; past {LINES_MAX} there is a second noun inside"),
            ));
        }
        if crate_root(&file.path) && !file.path.starts_with("engine/driver/") {
            let forbids = file.lines().any(|(_, line)| line.trim() == "#![forbid(unsafe_code)]");
            if !forbids {
                found.push(Breach::new(file.path.clone(), "a room's root says #![forbid(unsafe_code)]"));
            }
        }
    }
    found
}

fn judge(path: &str, line: &str, testing: bool) -> Option<String> {
    let code = line.trim_start();
    let comment = code.starts_with("//");
    for ban in &BANS {
        let clock = ban.text.ends_with("::now");
        if clock && testing {
            continue;
        }
        if (ban.applies)(path) && word(code, ban.text) && !(comment && (clock || ban.text.starts_with('f'))) {
            return Some(format!("`{}`: {}", ban.text, ban.instead));
        }
    }
    let machine = MACHINE_PATHS.iter().find(|prefix| {
        code.match_indices(*prefix).any(|(at, _)| {
            !code[..at].ends_with(|before: char| before.is_alphanumeric() || ".}-_~*".contains(before))
        })
    })?;
    (path != "Cargo.lock").then(|| format!("`{machine}` is a path of one machine"))
}

/// Whether `text` stands in `code` as a word of its own.
fn word(code: &str, text: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(text).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(joins);
        let after = text.ends_with(joins) && code[at + text.len()..].chars().next().is_some_and(joins);
        !before && !after
    })
}

fn rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn sans_io(path: &str) -> bool {
    const ROOMS: [&str; 7] =
        ["rtp/", "codecs/", "engine/core/", "engine/ng/", "control/sip/", "control/call/", "control/ledger/"];
    rust(path)
        && ROOMS.iter().any(|room| path.starts_with(room))
        && path.contains("/src/")
        && !path.contains("test")
}

fn ledger(path: &str) -> bool {
    path.starts_with("control/ledger/src/")
}

fn crate_root(path: &str) -> bool {
    path.ends_with("src/lib.rs")
        && ["rtp/", "codecs/", "engine/", "control/"].iter().any(|room| path.starts_with(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_a_sans_io_room_is_a_breach() {
        assert!(judge("control/call/src/leg.rs", "let now = Instant::now();", false).is_some());
        assert!(judge("control/src/wiring.rs", "let now = Instant::now();", false).is_none());
        assert!(judge("control/call/src/leg.rs", "// never Instant::now here", false).is_none());
    }

    #[test]
    fn a_float_in_the_ledger_is_a_breach_and_a_name_that_holds_one_is_not() {
        assert!(judge("control/ledger/src/amount.rs", "fn to(self) -> f64 {", false).is_some());
        assert!(judge("control/ledger/src/amount.rs", "let hexf64x = 1;", false).is_none());
    }

    #[test]
    fn a_path_of_one_machine_is_a_breach_and_a_relative_one_is_not() {
        let line = format!("include_str!(\"{}x\")", MACHINE_PATHS[0]);
        assert!(judge("tools/x.rs", &line, false).is_some());
        assert!(judge("tools/x.rs", "include_str!(\"../work/x\")", false).is_none());
    }
}
