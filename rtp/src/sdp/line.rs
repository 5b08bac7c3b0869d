//! One line of a description, kept as it came, with typed views.

use std::fmt;

use super::error::LineError;
use super::{Attribute, Connection, Media, Origin};

/// One line without its ending; blank, or a letter, `=` and a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Line(Box<[u8]>);

impl Line {
    /// A line of these bytes, which are kept as they are.
    ///
    /// # Errors
    /// Not `letter=value`, a line end or NUL inside, or an `o=`, `c=` or `m=` whose fields are malformed.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, LineError> {
        let line = Self(bytes.into().into_boxed_slice());
        match &*line.0 {
            [kind, b'=', ..] if kind.is_ascii_alphabetic() => {}
            _ => return Err(LineError::NotALine),
        }
        if line.0.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(LineError::ControlCharacter);
        }
        match line.kind() {
            Some(b'o') => drop(line.text().and_then(Origin::parse).ok_or(LineError::BadOrigin)?),
            Some(b'c') => drop(line.text().and_then(Connection::parse).ok_or(LineError::BadConnection)?),
            Some(b'm') => drop(line.text().and_then(Media::parse).ok_or(LineError::BadMedia)?),
            _ => {}
        }
        Ok(line)
    }

    /// The line `a=name` or `a=name:value`.
    ///
    /// # Errors
    /// An empty name, a colon in it, or a line end in either.
    pub fn attribute_of(name: &str, value: Option<&str>) -> Result<Self, LineError> {
        if name.is_empty() || name.contains(':') {
            return Err(LineError::NotALine);
        }
        Self::new(match value {
            Some(value) => format!("a={name}:{value}"),
            None => format!("a={name}"),
        })
    }

    /// A line with nothing on it, as some senders leave between or after lines.
    pub(super) fn blank() -> Self {
        Self(Box::default())
    }

    /// The bytes of the line without its ending.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The letter before the equals sign; `None` for a blank line.
    pub fn kind(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The bytes after the equals sign; empty for a blank line.
    pub fn value(&self) -> &[u8] {
        self.0.get(2..).unwrap_or_default()
    }

    /// The value as text; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.value()).ok()
    }

    /// The fields of an `o=` line.
    pub fn origin(&self) -> Option<Origin> {
        self.text_of(b'o').and_then(Origin::parse)
    }

    /// The fields of a `c=` line.
    pub fn connection(&self) -> Option<Connection> {
        self.text_of(b'c').and_then(Connection::parse)
    }

    /// Name and value of an `a=` line; `None` if it is not UTF-8.
    pub fn attribute(&self) -> Option<Attribute<'_>> {
        self.text_of(b'a').map(Attribute::parse)
    }

    fn text_of(&self, kind: u8) -> Option<&str> {
        if self.kind() == Some(kind) { self.text() } else { None }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}
