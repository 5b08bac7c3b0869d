//! A small audio description from nothing, for phones that have no other library.

use std::net::SocketAddr;

use super::error::LineError;
use super::{Connection, Direction, Family, Line, Media, MediaSection, Sdp, Section};

/// A payload type and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioFormat<'a> {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding and clock rate, such as `PCMU/8000`.
    pub rtpmap: &'a str,
    /// Parameters of `a=fmtp`, if any.
    pub fmtp: Option<&'a str>,
}

impl AudioFormat<'static> {
    /// G.711 µ-law.
    pub const PCMU: Self = Self { payload_type: 0, rtpmap: "PCMU/8000", fmtp: None };
    /// G.711 A-law.
    pub const PCMA: Self = Self { payload_type: 8, rtpmap: "PCMA/8000", fmtp: None };
    /// Telephone events 0 to 15 (RFC 4733) under payload type 101.
    pub const TELEPHONE_EVENT: Self =
        Self { payload_type: 101, rtpmap: "telephone-event/8000", fmtp: Some("0-15") };
}

/// One audio media over plain RTP at `local`, in packets of 20 ms.
///
/// `session_id` and `version` go to `o=`; an offer or answer that changes
/// keeps the first and raises the second by one (RFC 3264 §8). `formats` are
/// in order of preference.
///
/// # Errors
/// A format's text holds a line end.
pub fn audio(
    session_id: u64,
    version: u64,
    local: SocketAddr,
    formats: &[AudioFormat<'_>],
    direction: Direction,
) -> Result<Sdp, LineError> {
    let ip = local.ip();
    let family = Family::of(ip);
    let session = [
        "v=0".to_owned(),
        format!("o=- {session_id} {version} IN {family} {ip}"),
        "s=-".to_owned(),
        format!("c={}", Connection::new(ip)),
        "t=0 0".to_owned(),
    ];
    let session = session.into_iter().map(Line::new).collect::<Result<Section, _>>()?;
    let mut media = MediaSection::new(&Media {
        kind: "audio".to_owned(),
        port: local.port(),
        port_count: None,
        proto: "RTP/AVP".to_owned(),
        formats: formats.iter().map(|format| format.payload_type.to_string()).collect(),
    })?;
    for format in formats {
        let number = format.payload_type;
        media.section.append_attribute("rtpmap", Some(&format!("{number} {}", format.rtpmap)))?;
        if let Some(fmtp) = format.fmtp {
            media.section.append_attribute("fmtp", Some(&format!("{number} {fmtp}")))?;
        }
    }
    media.section.append_attribute("ptime", Some("20"))?;
    media.section.set_direction(direction);
    Ok(Sdp::new(session, vec![media]))
}
