//! Session descriptions kept line by line, so that what nobody changes leaves byte for byte as it came.
//!
//! Supported: parsing and writing (RFC 8866), typed views of `o=`, `c=`, `m=`
//! and `a=` lines, edits of single lines, direction (RFC 8866 §6.7), `a=rtcp`
//! (RFC 3605), `a=rtpmap`, `a=crypto` (RFC 4568), hold as RFC 3264 §8.4 and older phones say it.
//! Not here: offer/answer decisions, capability negotiation (RFC 5939),
//! several descriptions in one body.
//!
//! A description is a session [`Section`] and [`MediaSection`]s; a section is
//! an ordered list of [`Line`]s. Lines of unknown types and lines out of
//! order stay where they were. `o=`, `c=` and `m=` lines are checked when they
//! enter, so that the typed views of them never meet a malformed one.
//!
//! Lines are written with CRLF, except that a description which arrived with
//! bare LF throughout leaves with bare LF: a peer that cannot write CRLF may
//! not read it either.

mod attribute;
mod audio;
mod connection;
mod crypto;
mod error;
mod line;
mod lint;
mod media;
mod origin;
mod parse;
mod section;

use std::fmt;
use std::net::SocketAddr;

pub use attribute::{Attribute, AttributeError, Direction, RtcpAttribute, Rtpmap};
pub use audio::{AudioFormat, audio};
pub(crate) use connection::HOST_NAME_BYTES_MAX;
pub use connection::{Address, Connection, Family};
pub use crypto::{Crypto, InlineKey, Lifetime};
pub use error::{LineError, SdpError, SdpErrorReason};
pub use line::Line;
pub use lint::Lint;
pub use media::{Media, MediaSection};
pub use origin::Origin;
pub use section::Section;

/// Longest description accepted, in bytes.
pub const SDP_BYTES_MAX: usize = 65_536;
/// Most lines accepted.
pub const LINES_MAX: usize = 2_000;
/// Most media sections accepted.
pub const MEDIA_MAX: usize = 64;

/// A whole session description.
///
/// Two of them are equal if they are written as the same bytes.
#[derive(Debug, Clone)]
pub struct Sdp {
    /// The lines before the first `m=`.
    pub session: Section,
    /// The media sections in order; their index is the `m=` line's number of RFC 3264.
    pub media: Vec<MediaSection>,
    ending: LineEnding,
    lints: Vec<Lint>,
}

impl Sdp {
    /// Reads a description.
    ///
    /// Accepts CRLF, LF and a mixture, a last line without its ending, blank
    /// lines, and descriptions without `o=`, `s=` or `t=`; see [`Sdp::lints`]
    /// for what was accepted against the letter.
    ///
    /// # Errors
    /// The first fault with its line number: a limit ([`SDP_BYTES_MAX`],
    /// [`LINES_MAX`], [`MEDIA_MAX`]), a line that is not `letter=value`, a
    /// carriage return or NUL inside a line, no `v=0` at the start, or a
    /// malformed `o=`, `c=` or `m=`.
    ///
    /// # Cost
    /// One pass; one allocation a line.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        parse::parse(bytes)
    }

    /// A description of these parts, to be written with CRLF.
    pub fn new(session: Section, media: Vec<MediaSection>) -> Self {
        Self { session, media, ending: LineEnding::CrLf, lints: Vec::new() }
    }

    /// The description as sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ending = self.ending.bytes();
        let mut out = Vec::with_capacity(self.lines().map(|line| line.bytes().len() + ending.len()).sum());
        for line in self.lines() {
            out.extend_from_slice(line.bytes());
            out.extend_from_slice(ending);
        }
        out
    }

    /// All lines in order, `m=` lines included.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        let media =
            self.media.iter().flat_map(|media| std::iter::once(media.line()).chain(media.section.lines()));
        self.session.lines().iter().chain(media)
    }

    /// What the parser accepted although RFC 8866 does not, in order of the lines. Empty for a built description.
    pub fn lints(&self) -> &[Lint] {
        &self.lints
    }

    /// The `o=` line, `None` if there is none.
    pub fn origin(&self) -> Option<Origin> {
        self.session.lines().iter().find_map(Line::origin)
    }

    /// Replaces the `o=` line in place, or inserts it after `v=`.
    ///
    /// # Errors
    /// A field of `origin` holds a space or a line end.
    pub fn set_origin(&mut self, origin: &Origin) -> Result<(), LineError> {
        let line = Line::new(origin.to_string())?;
        // What is written must be read back as the same fields: a space inside one would shift the rest.
        if line.origin().as_ref() != Some(origin) {
            return Err(LineError::BadOrigin);
        }
        match self.session.find(b'o') {
            Some(index) => drop(self.session.replace(index, line)),
            None => self.session.insert(1, line),
        }
        Ok(())
    }

    /// Where media `index` wants its packets: its own `c=`, else the session's.
    pub fn connection(&self, index: usize) -> Option<Connection> {
        self.media.get(index)?.section.connection().or_else(|| self.session.connection())
    }

    /// Address and port where media `index` wants RTP; the port may be 0 (refused) and the address 0.0.0.0 (old hold).
    ///
    /// `None` if there is no such media, no `c=` for it, or `c=` holds a host name.
    pub fn rtp_address(&self, index: usize) -> Option<SocketAddr> {
        let ip = self.connection(index)?.ip()?;
        Some(SocketAddr::new(ip, self.media.get(index)?.media().port))
    }

    /// Address and port where media `index` wants RTCP when it is not multiplexed with RTP:
    /// what `a=rtcp` says (RFC 3605), else the port after RTP's (RFC 3550 §11).
    ///
    /// `None` where [`Sdp::rtp_address`] is, for port 0, and where there is no port after RTP's.
    pub fn rtcp_address(&self, index: usize) -> Option<SocketAddr> {
        let rtp = self.rtp_address(index).filter(|address| address.port() != 0)?;
        match self.media.get(index)?.section.rtcp() {
            Some(rtcp) => {
                let ip = match &rtcp.connection {
                    Some(connection) => connection.ip()?,
                    None => rtp.ip(),
                };
                Some(SocketAddr::new(ip, rtcp.port))
            }
            None => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
        }
    }

    /// The direction of media `index`: its own attribute, else the session's, else `sendrecv` (RFC 8866 §6.7).
    pub fn direction(&self, index: usize) -> Direction {
        let own = self.media.get(index).and_then(|media| media.section.direction());
        own.or_else(|| self.session.direction()).unwrap_or_default()
    }

    /// The first attribute of this name that holds for media `index`: its own, else the session's.
    pub fn attribute(&self, index: usize, name: &str) -> Option<Attribute<'_>> {
        let own = self.media.get(index).and_then(|media| media.section.attribute(name));
        own.or_else(|| self.session.attribute(name))
    }

    /// Whether the sender of this description puts media `index` on hold: it
    /// does not want to receive (`sendonly`, `inactive`, RFC 3264 §8.4) or
    /// gives the unspecified address, as RFC 2543 phones do.
    ///
    /// A refused media (port 0) is not on hold.
    pub fn is_on_hold(&self, index: usize) -> bool {
        let Some(media) = self.media.get(index) else { return false };
        if media.media().port == 0 {
            return false;
        }
        let nowhere = self
            .connection(index)
            .and_then(|connection| connection.ip())
            .is_some_and(|ip| ip.is_unspecified());
        nowhere || !self.direction(index).receives()
    }

    /// Whether every media that is not refused is on hold, and there is one.
    pub fn is_all_on_hold(&self) -> bool {
        let mut accepted =
            (0..self.media.len()).filter(|&index| self.media[index].media().port != 0).peekable();
        accepted.peek().is_some() && accepted.all(|index| self.is_on_hold(index))
    }
}

impl PartialEq for Sdp {
    fn eq(&self, other: &Self) -> bool {
        self.ending == other.ending && self.lines().eq(other.lines())
    }
}

impl Eq for Sdp {}

impl fmt::Display for Sdp {
    /// As [`Sdp::to_bytes`]; bytes that are not UTF-8 are shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnding {
    CrLf,
    Lf,
}

impl LineEnding {
    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

#[cfg(test)]
mod tests;
