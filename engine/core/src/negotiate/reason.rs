//! Why a line of a description was changed: noted where the change is made, if the client asks (`explain`).

use std::fmt;

use ng::Explained;
use rtp::sdp::{Line, Sdp};

use super::sdes;

/// Why a line was changed, added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Address,
    MediaAddress,
    SecondAddress,
    KeptAddress,
    Port,
    Profile,
    Name,
    Format,
    StaticFormat,
    Channels,
    Direction,
    Rtcp,
    NoRtcp,
    Mux,
    Setup,
    Keys,
    PacketTime,
    Candidates,
    Ice,
    IceApart,
    Bundle,
    Refused,
    TcpRejected,
    Mark,
    OriginAddress,
    OriginWhole,
    OriginUser,
    OriginVersion,
    SessionName,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "media comes to our address on the reader's side",
            Self::MediaAddress => "media-address names the address that is shown",
            Self::SecondAddress => "one address serves the section",
            Self::KeptAddress => "the section is not relayed and keeps the address that the session gave it",
            Self::Port => "media comes to a port of ours",
            Self::Profile => {
                "the reader is spoken to in this profile (transport-protocol, or what it offered itself)"
            }
            Self::Name => "the section bears the name that the reader knows it by (generate-mid makes one)",
            Self::Format => "each payload type of m= is described once and in its order, and no other",
            Self::StaticFormat => "a static payload type is described too",
            Self::Channels => "one channel of audio is left unsaid",
            Self::Direction => {
                "the direction stands in each section (original-sendrecv leaves it where it was)"
            }
            Self::Rtcp => "RTCP comes to a port of ours (full-rtcp-attribute adds the address)",
            Self::NoRtcp => "no-rtcp-attribute leaves it out",
            Self::Mux => "whether RTCP shares the port is agreed with each side apart (rtcp-mux)",
            Self::Setup => "a handshake (DTLS) is made with each side apart",
            Self::Keys => "keys of SRTP are agreed with each side apart",
            Self::PacketTime => "one packet time serves the section",
            Self::Candidates => "they end where there were any",
            Self::Ice => "ICE=remove takes it out",
            Self::IceApart => "ICE is spoken with each side apart",
            Self::Bundle => "each section has a port of its own here",
            Self::Refused => "of a refused section only the name stays",
            Self::TcpRejected => "tcp-media=reject refuses sections over TCP",
            Self::Mark => "loop-protect marks what went through here",
            Self::OriginAddress => "replace origin",
            Self::OriginWhole => "replace origin-full keeps the first origin",
            Self::OriginUser => "replace username keeps the first user name",
            Self::OriginVersion => "replace sdp-version or force-increment-sdp-ver counts the version",
            Self::SessionName => "replace session-name keeps the first name",
        })
    }
}

/// The lines before the first `m=`.
pub(crate) const SESSION: usize = 0;

/// What was changed and why. Nothing is kept, and nothing copied, unless it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    notes: Option<Vec<Note>>,
}

/// One line that differs.
#[derive(Debug)]
struct Note {
    /// [`SESSION`], or the section's index and one.
    place: usize,
    was: Option<Line>,
    now: Option<Line>,
    why: Vec<Reason>,
}

impl Reasons {
    pub(crate) fn asked(asked: bool) -> Self {
        Self { notes: asked.then(Vec::new) }
    }

    /// A line was taken out, for good or to be written elsewhere.
    pub(crate) fn removed(&mut self, place: usize, line: &Line, why: Reason) {
        let Some(notes) = &mut self.notes else { return };
        match notes.iter().position(|note| note.place == place && note.now.as_ref() == Some(line)) {
            Some(index) if notes[index].was.is_none() => drop(notes.remove(index)),
            Some(index) => {
                notes[index].now = None;
                notes[index].why = vec![why];
            }
            None => notes.push(Note { place, was: Some(line.clone()), now: None, why: vec![why] }),
        }
    }

    /// A line was written: the one that was taken out if it is the same, else in place of one of its sort.
    pub(crate) fn added(&mut self, place: usize, line: &Line, why: Reason) {
        let Some(notes) = &mut self.notes else { return };
        let gone = |note: &Note| note.place == place && note.now.is_none();
        if let Some(index) = notes.iter().position(|note| gone(note) && note.was.as_ref() == Some(line)) {
            notes.remove(index);
            return;
        }
        let alike =
            |note: &&mut Note| gone(note) && note.was.as_ref().is_some_and(|was| sort(was) == sort(line));
        match notes.iter_mut().find(alike) {
            Some(note) => {
                note.now = Some(line.clone());
                // Its own description was there, and is written another way.
                note.why = vec![if why == Reason::StaticFormat { Reason::Channels } else { why }];
            }
            None => notes.push(Note { place, was: None, now: Some(line.clone()), why: vec![why] }),
        }
    }

    /// A line took the place of another.
    pub(crate) fn replaced(&mut self, place: usize, was: &Line, now: &Line, why: &[Reason]) {
        let Some(notes) = self.notes.as_mut().filter(|_| was != now) else { return };
        match notes.iter().position(|note| note.place == place && note.now.as_ref() == Some(was)) {
            Some(index) if notes[index].was.as_ref() == Some(now) => drop(notes.remove(index)),
            Some(index) => {
                notes[index].now = Some(now.clone());
                notes[index].why.extend(why);
            }
            None => {
                notes.push(Note { place, was: Some(was.clone()), now: Some(now.clone()), why: why.to_vec() })
            }
        }
    }

    /// What the client is told, in order of the lines.
    pub(crate) fn explain(self, came: &Sdp, goes: &Sdp) -> Vec<Explained> {
        let mut numbers = [Numbers::of(came), Numbers::of(goes)];
        let mut told: Vec<(usize, bool, Explained)> = Vec::new();
        for Note { place, was, now, why } in self.notes.unwrap_or_default() {
            let (numbers, line) = match (&was, &now) {
                (Some(line), _) => (&mut numbers[0], line),
                (None, Some(line)) => (&mut numbers[1], line),
                (None, None) => continue,
            };
            let text = |line: Option<&Line>| {
                line.map(|line| String::from_utf8_lossy(&sdes::without_keys(line.bytes())).into_owned())
            };
            let mut reasons: Vec<String> = Vec::new();
            for reason in why.iter().map(Reason::to_string) {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            let explained = Explained {
                line: numbers.take(place, line),
                was: text(was.as_ref()),
                now: text(now.as_ref()),
                why: reasons.join("; "),
            };
            told.push((place, was.is_none(), explained));
        }
        told.sort_by_key(|(place, added, explained)| (*place, *added, explained.line));
        told.into_iter().map(|(.., explained)| explained).collect()
    }
}

/// What a line is about: its letter, and of an attribute the name and the payload type.
fn sort(line: &Line) -> (Option<u8>, Option<&str>, Option<&str>) {
    let attribute = line.attribute();
    let about =
        attribute.as_ref().filter(|attribute| ["rtpmap", "fmtp", "rtcp-fb"].contains(&attribute.name));
    let format = about.and_then(|attribute| attribute.value?.split(' ').next());
    (line.kind(), attribute.map(|attribute| attribute.name), format)
}

/// The lines of a description with their place and number, each given out once.
struct Numbers<'a> {
    lines: Vec<(usize, Option<&'a Line>)>,
}

impl<'a> Numbers<'a> {
    fn of(sdp: &'a Sdp) -> Self {
        let mut place = SESSION;
        let line = |line: &'a Line| {
            place += usize::from(line.kind() == Some(b'm'));
            (place, Some(line))
        };
        Self { lines: sdp.lines().map(line).collect() }
    }

    /// The number of a line, from 1.
    fn take(&mut self, place: usize, line: &Line) -> u32 {
        let found =
            self.lines.iter_mut().zip(1_u32..).find(|((at, there), _)| *at == place && *there == Some(line));
        found.map_or(0, |(entry, number)| {
            entry.1 = None;
            number
        })
    }
}
