//! Attributes: name and value of an `a=` line, and the few that have a meaning here.

use std::fmt;
use std::str::FromStr;

use super::Connection;
use crate::units::{ClockRate, PayloadType};

/// Name and value of an `a=` line (RFC 8866 §5.13). Names are compared as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// What stands before the first colon.
    pub name: &'a str,
    /// What follows it, `None` for a property attribute such as `a=sendrecv`.
    pub value: Option<&'a str>,
}

impl<'a> Attribute<'a> {
    /// Reads the value of an `a=` line.
    pub(super) fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((name, value)) => Self { name, value: Some(value) },
            // Devices leave spaces behind property attributes; a name holds none.
            None => Self { name: text.trim_end_matches(' '), value: None },
        }
    }
}

/// Which way media flows, seen from the sender of the description (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// It sends and wants to receive.
    #[default]
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction an attribute name stands for.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }

    /// The attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// From two flags.
    pub const fn from_flags(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the sender of the description sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the sender of the description wants to receive.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other end: what answers `sendonly` at most is `recvonly` (RFC 3264 §6.1).
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::from_flags(self.receives(), self.sends())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of `a=rtcp`: where RTCP is wanted (RFC 3605 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcpAttribute {
    /// The port.
    pub port: u16,
    /// The address, if it differs from RTP's.
    pub connection: Option<Connection>,
}

impl FromStr for RtcpAttribute {
    type Err = AttributeError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let value = value.trim_matches(' ');
        let (port, connection) = match value.split_once(' ') {
            Some((port, rest)) => (port, Some(Connection::parse(rest).ok_or(AttributeError)?)),
            None => (value, None),
        };
        Ok(Self { port: port.parse().map_err(|_| AttributeError)?, connection })
    }
}

impl fmt::Display for RtcpAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.connection {
            Some(connection) => write!(f, "{} {connection}", self.port),
            None => self.port.fmt(f),
        }
    }
}

/// The value of `a=rtpmap`: what a payload type means (RFC 8866 §6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtpmap {
    /// The number that is given a meaning.
    pub payload_type: PayloadType,
    /// Encoding name, as written; compare without case.
    pub encoding: String,
    /// Clock rate of the timestamps.
    pub clock_rate: ClockRate,
    /// Channels, if named.
    pub channels: Option<u16>,
}

impl FromStr for Rtpmap {
    type Err = AttributeError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let (number, encoding) = value.trim_matches(' ').split_once(' ').ok_or(AttributeError)?;
        let payload_type = number.parse().ok().and_then(PayloadType::new).ok_or(AttributeError)?;
        let mut parts = encoding.trim_start_matches(' ').split('/');
        let name = parts.next().filter(|name| !name.is_empty()).ok_or(AttributeError)?;
        let rate = parts.next().and_then(|rate| rate.parse().ok()).ok_or(AttributeError)?;
        let channels = parts.next().map(|text| text.parse().map_err(|_| AttributeError)).transpose()?;
        Ok(Self {
            payload_type,
            encoding: name.to_owned(),
            clock_rate: ClockRate::new(rate).ok_or(AttributeError)?,
            channels,
        })
    }
}

impl fmt::Display for Rtpmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.encoding, self.clock_rate.hz())?;
        match self.channels {
            Some(channels) => write!(f, "/{channels}"),
            None => Ok(()),
        }
    }
}

/// The value does not have the attribute's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed attribute value")]
pub struct AttributeError;
