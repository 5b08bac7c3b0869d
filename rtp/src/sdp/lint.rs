//! What is accepted although the RFC does not allow it.

use super::{Direction, Sdp};

/// A deviation from RFC 8866 that senders in the field show and that does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lint {
    /// Lines end in a bare line feed, here or there or throughout.
    BareLineFeed,
    /// The last line has no ending.
    UnendedLine,
    /// Blank lines.
    BlankLine,
    /// No `o=` line.
    NoOrigin,
    /// No `s=` line.
    NoSessionName,
    /// No `t=` line.
    NoTiming,
    /// A second `o=` or `s=` line; the first counts.
    RepeatedLine,
    /// A media section with more than one `c=`; the first counts.
    RepeatedConnection,
    /// A media section that is not refused has no `c=`, nor has the session.
    NoConnection,
    /// An `m=` line without a format.
    NoFormats,
    /// More than one direction attribute in a section; the first counts.
    RepeatedDirection,
}

/// Finds the deviations that show in the lines; those of line endings are the parser's.
pub(super) fn inspect(sdp: &Sdp, lints: &mut Vec<Lint>) {
    let mut note = |lint, found: bool| {
        if found && !lints.contains(&lint) {
            lints.push(lint);
        }
    };
    let count = |kind: u8| sdp.session.lines().iter().filter(|line| line.kind() == Some(kind)).count();
    note(Lint::BlankLine, sdp.lines().any(|line| line.kind().is_none()));
    note(Lint::NoOrigin, count(b'o') == 0);
    note(Lint::NoSessionName, count(b's') == 0);
    note(Lint::NoTiming, count(b't') == 0);
    note(Lint::RepeatedLine, count(b'o') > 1 || count(b's') > 1);
    let sections = std::iter::once(&sdp.session).chain(sdp.media.iter().map(|media| &media.section));
    for section in sections {
        let connections = section.lines().iter().filter(|line| line.kind() == Some(b'c')).count();
        let directions = section.attributes().filter(|a| Direction::from_name(a.name).is_some()).count();
        note(Lint::RepeatedConnection, connections > 1);
        note(Lint::RepeatedDirection, directions > 1);
    }
    for (index, media) in sdp.media.iter().enumerate() {
        note(Lint::NoConnection, media.media().port != 0 && sdp.connection(index).is_none());
        note(Lint::NoFormats, media.media().formats.is_empty());
    }
}
