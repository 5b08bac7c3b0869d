//! The command line that rtpengine-ctl speaks: what a line asks, and the texts that are answered.

use std::fmt::Write as _;

use engine_core::Session;
use ng::CallReport;

use super::settings::{Setting, Settings};
use crate::statistics::{self, WorkerState};

/// What a line asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing that is not known here: this is the answer.
    Say(String),
    /// How the workers stand, shown so.
    Show(View),
    /// One call in full.
    Call(String),
    /// The end of one call.
    Terminate(String),
    /// The end of all of them, answered so.
    TerminateAll(&'static str),
    /// A setting, as of now.
    Set(Setting, String),
    /// Every setting as it was at the start.
    Revert,
}

/// What is shown of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The tree of `statistics`, as NG has it.
    Tree,
    /// The same as JSON.
    Json,
    /// The same as lines.
    Totals,
    /// How many calls there are.
    Count,
    /// A line for each call.
    Sessions,
    /// The same: every call is our own.
    OwnSessions,
    /// Ports.
    Interfaces,
    /// What each worker does.
    Load,
}

impl Line {
    /// Reads a line.
    pub(crate) fn read(line: &str, settings: &Settings) -> Self {
        let line = line.trim();
        let (word, rest) = first_word(line);
        let (second, rest) = first_word(rest);
        match (word, second, rest) {
            ("", ..) | ("help", "", _) => {
                Self::Say(help(&["list", "get", "terminate", "set", "params", "ping"]))
            }
            ("ping", "", _) => Self::Say("pong\n".to_owned()),
            ("list" | "get", "", _) | ("terminate" | "set" | "params", "", _) => Self::Say(MORE.to_owned()),
            ("list" | "get", "help", "") => Self::Say(help(&LISTS)),
            ("list" | "get", "sessions", "") => Self::Say(MORE.to_owned()),
            ("list" | "get", "sessions", "all") => Self::Show(View::Sessions),
            ("list" | "get", "sessions", "own") => Self::Show(View::OwnSessions),
            ("list" | "get", "sessions", "foreign") => {
                Self::Say("No foreign sessions on this media relay.\n".to_owned())
            }
            ("list" | "get", "sessions", call_id) => Self::Call(call_id.to_owned()),
            ("list" | "get", "numsessions", "") => Self::Show(View::Count),
            ("list" | "get", "totals", "") => Self::Show(View::Totals),
            ("list" | "get", "jsonstats", "") => Self::Show(View::Json),
            ("list" | "get", "interfaces", "") => Self::Show(View::Interfaces),
            ("list" | "get", "load", "") => Self::Show(View::Load),
            ("list" | "get", "transcoders", "") => Self::Say("No stats entries\n".to_owned()),
            ("list" | "get", "loglevels", "") => {
                Self::Say("all - One level for everything; a filter is given at the start (log)\n".to_owned())
            }
            ("list" | "get", name, "") => match settings.list(name) {
                Some(text) => Self::Say(text),
                None => Self::Say(unknown(line)),
            },
            ("terminate", "all", "") => Self::TerminateAll("All calls terminated by operator.\n"),
            ("terminate", "own", "") => Self::TerminateAll("All own calls terminated by operator.\n"),
            ("terminate", "foreign", "") => {
                Self::Say("All foreign calls terminated by operator.\n".to_owned())
            }
            ("terminate", ..) => Self::Terminate(first_word(line).1.to_owned()),
            ("set", "help", "") => Self::Say(help(&Setting::NAMES)),
            ("set", name, value) => match Setting::of(name) {
                None => Self::Say(unknown(line)),
                Some(_) if value.is_empty() => Self::Say(MORE.to_owned()),
                Some(setting) => {
                    // `loglevel all 6` and `loglevel core 6` name a system, of which there is one.
                    let value =
                        if setting == Setting::LogLevel { value.rsplit(' ').next() } else { Some(value) };
                    Self::Set(setting, value.unwrap_or_default().to_owned())
                }
            },
            ("params", "start", "") => Self::Say(settings.at_start()),
            ("params", "current", "") => Self::Say(settings.now()),
            ("params", "diff", "") => Self::Say(settings.difference()),
            ("params", "revert", "") => Self::Revert,
            _ => Self::Say(unknown(line)),
        }
    }
}

fn first_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn help(names: &[&str]) -> String {
    names
        .iter()
        .fold("Available sub-commands at this level:\n".to_owned(), |text, name| text + "\t" + name + "\n")
}

fn unknown(line: &str) -> String {
    format!("Unknown or incomplete command: {line}\n")
}

/// What the workers are shown as.
pub(crate) fn shown(view: View, workers: &[WorkerState], whole: &statistics::Whole<'_>) -> String {
    match view {
        View::Tree | View::Json => statistics::json(&statistics::tree(workers, whole)),
        View::Totals => statistics::totals_text(&statistics::tree(workers, whole)),
        View::Count => count(workers),
        View::Sessions | View::OwnSessions => {
            let mut sessions: Vec<&Session> = workers.iter().flat_map(|worker| &worker.census.sessions).collect();
            sessions.sort_unstable_by(|a, b| a.call_id.cmp(&b.call_id));
            if sessions.is_empty() {
                let own = if view == View::OwnSessions { "own " } else { "" };
                return format!("No {own}sessions on this media relay.\n");
            }
            sessions.into_iter().map(session).collect()
        }
        View::Interfaces => statistics::interfaces(workers).iter().fold(String::new(), |mut text, port| {
            let all = port.used + port.free;
            let _infallible = write!(
                text,
                "Interface '{}' address '{}' ({})\n Port range: {:5} - {:5}\n Ports used: {:5} / {all:5} ({:5.1}%)\n",
                port.interface,
                port.address,
                if port.address.is_ipv4() { "IPv4" } else { "IPv6" },
                whole.ports.0,
                whole.ports.1,
                port.used,
                statistics::percent(port),
            );
            text
        }),
        View::Load => workers.iter().fold(String::new(), |mut text, state| {
            let _infallible = writeln!(
                text,
                "Worker {}: {} calls, {} packets/s, {} bytes/s, {} drops/s, {}.{} % of a processor",
                state.worker,
                state.census.calls,
                state.rates.packets,
                state.rates.bytes,
                state.rates.drops,
                state.rates.cpu_permille / 10,
                state.rates.cpu_permille % 10,
            );
            text
        }),
    }
}

fn count(workers: &[WorkerState]) -> String {
    let sum = |count: fn(&engine_core::Census) -> u64| {
        workers.iter().map(|worker| count(&worker.census)).sum::<u64>()
    };
    let calls = sum(|census| census.calls);
    format!(
        "Current sessions own: {calls}\nCurrent sessions foreign: 0\nCurrent sessions total: {calls}\n\
         Current transcoded media: 0\nCurrent sessions ipv4 only media: {}\nCurrent sessions ipv6 only media: {}\n\
         Current sessions ip mixed  media: {}\n",
        sum(|census| census.calls_ipv4),
        sum(|census| census.calls_ipv6),
        sum(|census| census.calls_mixed),
    )
}

/// Whoever asked for a call is not remembered, so that there is no proxy to show.
fn session(session: &Session) -> String {
    format!(
        "callid: {:>60} | deletionmark:{:>4} | created:{:>12} | proxy:- | redis_keyspace:0 | foreign:no\n",
        session.call_id,
        if session.deleted { "yes" } else { "no" },
        session.created_s,
    )
}

/// One call in full. `now_ms` is the time of day.
pub(crate) fn call(call_id: &str, report: &CallReport, now_ms: u64) -> String {
    let created_ms = report.created_us / 1000;
    let mut text = format!(
        "\ncallid: {call_id}\ndeletionmark: {}\ncreated: {}\nproxy: -\nlast_signal: {}\nredis_keyspace: 0\nforeign: no\n\n",
        if report.ended.is_some() { "yes" } else { "no" },
        created_ms / 1000,
        report.last_signal_s,
    );
    let lived_ms = now_ms.saturating_sub(created_ms);
    for (index, party) in report.tags.iter().enumerate() {
        let kind = match (party.tag.as_str(), index) {
            ("", _) => "UNKNOWN",
            (_, 0) => "FROM_TAG",
            _ => "TO_TAG",
        };
        let _infallible = writeln!(
            text,
            "--- Tag '{}', type: {kind}, label '{}', branch '{}', callduration {}.{:03}000",
            party.tag,
            party.label.as_deref().unwrap_or_default(),
            party.via_branch.as_deref().unwrap_or_default(),
            lived_ms / 1000,
            lived_ms % 1000,
        );
        for other in &party.subscriptions {
            let _infallible = writeln!(text, "---     subscribed to '{}'", other.tag);
        }
        for other in &party.subscribers {
            let _infallible = writeln!(text, "---     subscription of '{}'", other.tag);
        }
        for media in &party.medias {
            let _infallible = writeln!(
                text,
                "------ Media #{} ({} over {}) using {} codec",
                media.index,
                media.kind,
                media.protocol,
                media.codec.as_deref().unwrap_or("unknown"),
            );
            for stream in &media.streams {
                let half = |address: Option<std::net::SocketAddr>| match address {
                    Some(address) => (address.ip().to_string(), address.port()),
                    None => (String::new(), 0),
                };
                let ((local, local_port), (remote, remote_port)) =
                    (half(stream.local), half(stream.endpoint));
                let rtcp = if stream.flags.iter().any(|flag| flag == "RTCP") { " (RTCP)" } else { "" };
                let _infallible = writeln!(
                    text,
                    "-------- Port {local:>15}:{local_port:<5} <> {remote:>15}:{remote_port:<5}{rtcp}, SSRC {:x}, \
                     {} p, {} b, {} e, {} ts",
                    stream.ssrc.unwrap_or_default(),
                    stream.stats.packets,
                    stream.stats.bytes,
                    stream.stats.errors,
                    stream.last_packet_s,
                );
            }
        }
    }
    text.push('\n');
    text
}

/// What follows is missing.
const MORE: &str = "More parameters required.\n";

/// What may follow `list`.
const LISTS: [&str; 18] = [
    "numsessions",
    "sessions",
    "totals",
    "jsonstats",
    "maxopenfiles",
    "maxsessions",
    "maxcpu",
    "maxload",
    "maxbw",
    "timeout",
    "silenttimeout",
    "offertimeout",
    "finaltimeout",
    "deletedelay",
    "loglevels",
    "loglevel",
    "interfaces",
    "load",
];

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    fn read(line: &str) -> Line {
        Line::read(line, &settings())
    }

    #[test]
    fn lines_are_read_as_rtpengine_ctl_sends_them() {
        assert_eq!(read("list numsessions\n"), Line::Show(View::Count));
        assert_eq!(read("  get   totals "), Line::Show(View::Totals));
        assert_eq!(read("list sessions all"), Line::Show(View::Sessions));
        assert_eq!(read("list sessions a b@c"), Line::Call("a b@c".to_owned()));
        assert_eq!(read("terminate a@b"), Line::Terminate("a@b".to_owned()));
        assert_eq!(read("terminate a b"), Line::Terminate("a b".to_owned()));
        assert_eq!(read("terminate own"), Line::TerminateAll("All own calls terminated by operator.\n"));
        assert_eq!(read("set maxsessions 5"), Line::Set(Setting::MaxSessions, "5".to_owned()));
        assert_eq!(read("set loglevel core 6"), Line::Set(Setting::LogLevel, "6".to_owned()));
        assert_eq!(read("params revert"), Line::Revert);
    }

    #[test]
    fn what_is_not_known_or_not_whole_is_answered_with_a_text() {
        let says = |line: &str| match read(line) {
            Line::Say(text) => text,
            other => panic!("{other:?}"),
        };
        for line in ["list", "terminate", "set", "set timeout", "params", "list sessions"] {
            assert_eq!(says(line), MORE, "{line}");
        }
        for line in ["blah", "list blah", "set blah 2", "list timeout now", "ksadd 3"] {
            assert_eq!(says(line), format!("Unknown or incomplete command: {line}\n"));
        }
        assert!(says("").starts_with("Available sub-commands"));
        assert!(says("list help").contains("\tnumsessions\n"));
        assert_eq!(says("list timeout"), "TIMEOUT=60\n");
    }
}
