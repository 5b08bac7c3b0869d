//! The `m=` line and the section under it.

use std::fmt;

use super::Section;
use super::error::LineError;
use super::line::Line;

/// The fields of an `m=` line (RFC 8866 §5.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`, …
    pub kind: String,
    /// Port where RTP is wanted; 0 refuses the media (RFC 3264 §6).
    pub port: u16,
    /// How many port pairs, if written after a slash.
    pub port_count: Option<u16>,
    /// `RTP/AVP`, `RTP/SAVPF`, `udptl`, …
    pub proto: String,
    /// Payload types, or what the protocol has in their place, in order of preference.
    pub formats: Vec<String>,
}

impl Media {
    /// Reads the value of an `m=` line. A line without formats is accepted, as some answers that refuse have none.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let (kind, port, proto) = (fields.next()?, fields.next()?, fields.next()?);
        let (port, port_count) = match port.split_once('/') {
            Some((port, count)) => (port, Some(count.parse().ok().filter(|&count| count > 0)?)),
            None => (port, None),
        };
        Some(Self {
            kind: kind.to_owned(),
            port: port.parse().ok()?,
            port_count,
            proto: proto.to_owned(),
            formats: fields.map(str::to_owned).collect(),
        })
    }

    /// Whether formats are RTP payload types: the protocol is `RTP/…` or ends in `/RTP/…`.
    pub fn is_rtp(&self) -> bool {
        self.proto.split('/').any(|part| part == "RTP")
    }
}

impl fmt::Display for Media {
    /// The whole line, `m=` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {}", self.proto)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))
    }
}

/// An `m=` line and the lines under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSection {
    line: Line,
    media: Media,
    /// The lines after `m=`.
    pub section: Section,
}

impl MediaSection {
    /// A section of this `m=` line and nothing under it.
    ///
    /// # Errors
    /// A field of `media` is empty or holds a space or a line end.
    pub fn new(media: &Media) -> Result<Self, LineError> {
        Self::from_line(line_of(media)?)
    }

    /// A section that begins with this line, which is kept as it is.
    pub(super) fn from_line(line: Line) -> Result<Self, LineError> {
        if line.kind() != Some(b'm') {
            return Err(LineError::BadMedia);
        }
        let media = line.text().and_then(Media::parse).ok_or(LineError::BadMedia)?;
        Ok(Self { line, media, section: Section::default() })
    }

    /// The `m=` line as it stands.
    pub const fn line(&self) -> &Line {
        &self.line
    }

    /// The fields of the `m=` line.
    pub const fn media(&self) -> &Media {
        &self.media
    }

    /// Rewrites the `m=` line; nothing happens to its bytes if no field differs.
    ///
    /// # Errors
    /// A field of `media` is empty or holds a space or a line end. Nothing has changed then.
    pub fn set_media(&mut self, media: Media) -> Result<(), LineError> {
        if media == self.media {
            return Ok(());
        }
        self.line = line_of(&media)?;
        self.media = media;
        Ok(())
    }

    /// Rewrites the port alone.
    pub fn set_port(&mut self, port: u16) {
        let media = Media { port, ..self.media.clone() };
        self.set_media(media).expect("the other fields came out of a valid line");
    }
}

/// The line of these fields, if it is read back as the same: a space inside one would shift the rest.
fn line_of(media: &Media) -> Result<Line, LineError> {
    let line = Line::new(media.to_string())?;
    if line.text().and_then(Media::parse).as_ref() == Some(media) {
        Ok(line)
    } else {
        Err(LineError::BadMedia)
    }
}
