//! Why a description or a line was refused.

use super::{LINES_MAX, MEDIA_MAX, SDP_BYTES_MAX};

/// A refused description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SDP line {line}: {reason}")]
pub struct SdpError {
    /// Number of the line at fault, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: SdpErrorReason,
}

/// What is wrong with a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpErrorReason {
    /// More than [`SDP_BYTES_MAX`] bytes.
    #[error("the description is longer than {SDP_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`LINES_MAX`] lines.
    #[error("the description has more than {LINES_MAX} lines")]
    TooManyLines,
    /// More than [`MEDIA_MAX`] `m=` lines.
    #[error("the description has more than {MEDIA_MAX} media sections")]
    TooManyMedia,
    /// The first line is not `v=0`.
    #[error("a description starts with v=0")]
    NoVersion,
    /// Another `v=` line: several descriptions in one body are not supported.
    #[error("a second v= line")]
    SecondVersion,
    /// The line itself is malformed.
    #[error("{0}")]
    Line(LineError),
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not a letter, an equals sign and a value.
    #[error("not of the form letter=value")]
    NotALine,
    /// A carriage return, line feed or NUL inside the line.
    #[error("a control character that a line must not hold")]
    ControlCharacter,
    /// `o=` without its six fields.
    #[error("o= does not have its six fields")]
    BadOrigin,
    /// `c=` that is not `IN IP4` or `IN IP6` and an address of that family or a host name.
    #[error("c= is not IN IP4 or IN IP6 and an address")]
    BadConnection,
    /// `m=` without a media type, a port from 0 to 65535 and a protocol.
    #[error("m= does not have a type, a port and a protocol")]
    BadMedia,
}
