//! Bytes to lines to sections, within limits.

use super::error::{LineError, SdpError, SdpErrorReason};
use super::line::Line;
use super::lint::{self, Lint};
use super::media::MediaSection;
use super::{LINES_MAX, LineEnding, MEDIA_MAX, SDP_BYTES_MAX, Sdp, Section};

/// See [`Sdp::parse`].
pub(super) fn parse(bytes: &[u8]) -> Result<Sdp, SdpError> {
    if bytes.len() > SDP_BYTES_MAX {
        return Err(SdpError { line: 1, reason: SdpErrorReason::TooLong });
    }
    let mut sdp = Sdp::new(Section::default(), Vec::new());
    let mut lints = Vec::new();
    let mut endings = Endings::default();
    let mut rest = bytes;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let refuse = |reason| SdpError { line: number, reason };
        if number > LINES_MAX {
            return Err(refuse(SdpErrorReason::TooManyLines));
        }
        let content = endings.take_line(&mut rest);
        let line = read_line(content).map_err(|reason| refuse(SdpErrorReason::Line(reason)))?;
        if number == 1 {
            if line.kind() != Some(b'v') || line.value().trim_ascii() != b"0" {
                return Err(refuse(SdpErrorReason::NoVersion));
            }
        } else if line.kind() == Some(b'v') {
            return Err(refuse(SdpErrorReason::SecondVersion));
        }
        if line.kind() == Some(b'm') {
            if sdp.media.len() == MEDIA_MAX {
                return Err(refuse(SdpErrorReason::TooManyMedia));
            }
            let media =
                MediaSection::from_line(line).map_err(|reason| refuse(SdpErrorReason::Line(reason)))?;
            sdp.media.push(media);
            continue;
        }
        match sdp.media.last_mut() {
            Some(media) => media.section.push(line),
            None => sdp.session.push(line),
        }
    }
    if number == 0 {
        return Err(SdpError { line: 1, reason: SdpErrorReason::NoVersion });
    }
    sdp.ending = endings.kept();
    endings.inspect(&mut lints);
    lint::inspect(&sdp, &mut lints);
    sdp.lints = lints;
    Ok(sdp)
}

fn read_line(content: &[u8]) -> Result<Line, LineError> {
    if content.is_empty() { Ok(Line::blank()) } else { Line::new(content) }
}

/// Which line endings were seen.
#[derive(Default)]
struct Endings {
    crlf: usize,
    lf: usize,
    unended: bool,
}

impl Endings {
    /// Cuts the first line off `rest` and returns it without its ending.
    fn take_line<'a>(&mut self, rest: &mut &'a [u8]) -> &'a [u8] {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            self.unended = true;
            // A lone CR at the very end is a CRLF cut short.
            let line = rest.strip_suffix(b"\r").unwrap_or(rest);
            *rest = &[];
            return line;
        };
        let line = &rest[..end];
        *rest = &rest[end + 1..];
        match line.strip_suffix(b"\r") {
            Some(line) => {
                self.crlf += 1;
                line
            }
            None => {
                self.lf += 1;
                line
            }
        }
    }

    /// The ending to write with: bare LF only if nothing else was seen.
    fn kept(&self) -> LineEnding {
        if self.crlf == 0 && self.lf > 0 { LineEnding::Lf } else { LineEnding::CrLf }
    }

    fn inspect(&self, lints: &mut Vec<Lint>) {
        if self.lf > 0 {
            lints.push(Lint::BareLineFeed);
        }
        if self.unended {
            lints.push(Lint::UnendedLine);
        }
    }
}
