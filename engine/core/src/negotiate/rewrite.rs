//! The description that goes out: what is ours is rewritten, every other line stays.
//!
//! Of a section with RTP these lines are taken out where they stand and written anew at its
//! end, in this order: `mid`; of each payload type `rtpmap`, `fmtp`, `rtcp-fb`; the direction;
//! `rtcp`; `rtcp-mux`; `ptime`; `end-of-candidates`, which `ICE=remove` leaves. A refused section (port 0) keeps none of them but `mid`.

use std::net::{IpAddr, SocketAddr};

use ng::Signal;
use rtp::sdp::{Connection, Direction, Line, LineError, MediaSection, RtcpAttribute, Sdp, Section};

use super::{codec, refuse};
use crate::{leg::Identity, media::Transport};

/// What a section becomes.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) transport: Transport,
    pub(crate) protocol: String,
    /// Its name towards the reader.
    pub(crate) mid: Option<String>,
    /// Where the reader sends RTP; of a refused section only the address counts.
    pub(crate) local: SocketAddr,
    pub(crate) rtcp_port: u16,
    pub(crate) rtcp_mux: bool,
    pub(crate) direction: Direction,
}

/// The description for the other side.
///
/// # Errors
/// A line cannot be written.
pub(crate) fn description(
    sdp: &Sdp,
    signal: &Signal,
    outgoing: &[Outgoing],
    marker: &str,
    identity: &mut Identity,
) -> Result<Vec<u8>, LineError> {
    let mut out = sdp.clone();
    let strip_ice = signal.ice == Some(ng::Ice::Remove);
    for (index, section) in outgoing.iter().enumerate() {
        media(&mut out.media[index], section, signal)?;
        if strip_ice && section.transport != Transport::Foreign {
            out.media[index].section.retain(|line| !refuse::is_ice(line));
        }
    }
    // The session's own address serves the sections that have none.
    let serving = outgoing
        .iter()
        .zip(&sdp.media)
        .find(|(section, _)| section.transport != Transport::Foreign)
        .map(|(section, _)| section.local.ip());
    let address = match (signal.media_address, serving) {
        (Some(address), _) | (None, Some(address)) => Some(address),
        (None, None) => None,
    };
    if let Some(address) = address {
        if let Some(connection) = sdp.session.connection() {
            keep_foreign(&mut out, outgoing, &connection)?;
        }
        connection(&mut out.session, address, signal)?;
    }
    let original = signal.original_sendrecv;
    out.session.retain(|line| {
        let Some(attribute) = line.attribute() else { return true };
        let bundle =
            attribute.name == "group" && attribute.value.is_some_and(|value| value.starts_with("BUNDLE"));
        let direction = attribute.value.is_none() && Direction::from_name(attribute.name).is_some();
        !(bundle || (direction && !original) || (strip_ice && refuse::is_ice(line)))
    });
    if signal.loop_protect {
        out.session.append_attribute(MARK, Some(marker))?;
    }
    identify(&mut out, signal, address, identity)?;
    Ok(out.to_bytes())
}

/// Whether a description has been through here before, on a client's way in a circle: it bears our mark, and the client
/// wants such a one left alone (`loop-protect`).
pub(crate) fn comes_back(sdp: &Sdp, signal: &Signal, marker: &str) -> bool {
    let ours = |line: &Line| {
        line.attribute().is_some_and(|attribute| attribute.name == MARK && attribute.value == Some(marker))
    };
    signal.loop_protect
        && std::iter::once(&sdp.session)
            .chain(sdp.media.iter().map(|media| &media.section))
            .any(|section| section.lines().iter().any(ours))
}

/// The attribute that says through which engine a description went, by the name that rtpengine gave it.
const MARK: &str = "rtpengine";

fn media(media: &mut MediaSection, outgoing: &Outgoing, signal: &Signal) -> Result<(), LineError> {
    let transport = outgoing.transport;
    if transport == Transport::Foreign {
        return Ok(());
    }
    if media.section.connection().is_some() {
        let address = signal.media_address.unwrap_or_else(|| outgoing.local.ip());
        connection(&mut media.section, address, signal)?;
    }
    let refused = media.media().port == 0;
    let codecs = if transport == Transport::Rtp && !refused { codec::lines(media)? } else { Vec::new() };
    let ptime = media.section.find_attribute("ptime").map(|index| media.section.lines()[index].clone());
    let rtp = transport == Transport::Rtp;
    let ends = rtp && media.section.has_attribute("end-of-candidates");
    media.section.retain(|line| {
        let Some(attribute) = line.attribute() else { return true };
        let owned = match attribute.name {
            "rtcp" | "ptime" => true,
            "rtcp-mux" | "setup" | "end-of-candidates" => rtp,
            "rtpmap" | "fmtp" | "rtcp-fb" => rtp && codec::belongs(line),
            "mid" => true,
            name => {
                attribute.value.is_none() && Direction::from_name(name).is_some() && !signal.original_sendrecv
            }
        };
        !owned
    });
    let section = &mut media.section;
    if let Some(mid) = &outgoing.mid {
        section.append_attribute("mid", Some(mid))?;
    }
    if refused {
        return Ok(());
    }
    codecs.into_iter().for_each(|line| section.append(line));
    if !signal.original_sendrecv {
        section.append_attribute(outgoing.direction.name(), None)?;
    }
    if rtp {
        if signal.rtcp_attribute != Some(false) {
            let address = signal.media_address.unwrap_or_else(|| outgoing.local.ip());
            let rtcp = RtcpAttribute {
                port: outgoing.rtcp_port,
                connection: (signal.rtcp_attribute == Some(true)).then(|| Connection::new(address)),
            };
            section.append_attribute("rtcp", Some(&rtcp.to_string()))?;
        }
        if outgoing.rtcp_mux {
            section.append_attribute("rtcp-mux", None)?;
        }
        ptime.into_iter().for_each(|line| section.append(line));
        if ends {
            section.append_attribute("end-of-candidates", None)?;
        }
    }
    let fields = rtp::sdp::Media {
        port: outgoing.local.port(),
        proto: if rtp { outgoing.protocol.clone() } else { media.media().proto.clone() },
        ..media.media().clone()
    };
    media.set_media(fields)
}

/// Sections that are not ours stay where the session's `c=` sent their packets.
fn keep_foreign(out: &mut Sdp, outgoing: &[Outgoing], connection: &Connection) -> Result<(), LineError> {
    for (section, media) in outgoing.iter().zip(&mut out.media) {
        if section.transport == Transport::Foreign && media.section.connection().is_none() {
            media.section.set_connection(connection)?;
        }
    }
    Ok(())
}

/// Puts our address in place of the section's `c=`, if it has one. Hold by the unspecified
/// address stays, unless the client wants it replaced.
fn connection(section: &mut Section, address: IpAddr, signal: &Signal) -> Result<(), LineError> {
    let Some(before) = section.connection() else { return Ok(()) };
    if before.ip().is_some_and(|ip| ip.is_unspecified()) && !signal.replace.zero_address {
        return Ok(());
    }
    section.set_connection(&Connection::new(address))
}

/// `replace`: what the description says of itself.
fn identify(
    out: &mut Sdp,
    signal: &Signal,
    address: Option<IpAddr>,
    identity: &mut Identity,
) -> Result<(), LineError> {
    let replace = signal.replace;
    let name = out.session.find(b's');
    let first_name = identity.session_name.get_or_insert_with(|| {
        name.map(|index| out.session.lines()[index].bytes().to_vec()).unwrap_or_default()
    });
    if let (true, Some(index), false) = (replace.session_name, name, first_name.is_empty()) {
        out.session.replace(index, Line::new(first_name.clone())?);
    }
    let Some(mut origin) = out.origin() else { return Ok(()) };
    let written = origin.clone();
    let first = identity.origin.get_or_insert_with(|| origin.clone());
    if replace.username || replace.origin_full {
        origin.username.clone_from(&first.username);
    }
    if replace.origin_full {
        origin = rtp::sdp::Origin { version: origin.version, ..first.clone() };
    }
    if let (true, Some(address)) = (replace.origin, address) {
        origin.set_ip(address);
    }
    if replace.sdp_version || replace.force_increment_sdp_version {
        let given = std::mem::take(&mut origin.version);
        origin.version = "0".to_owned();
        out.set_origin(&origin)?;
        let content = out.to_bytes();
        origin.version = match &identity.sent {
            None => given,
            Some((last, before)) if replace.sdp_version && !replace.force_increment_sdp_version => {
                if *before == content { last.clone() } else { next(last).unwrap_or(given) }
            }
            Some((last, _)) if is_higher(&given, last) => given,
            Some((last, _)) => next(last).unwrap_or(given),
        };
        identity.sent = Some((origin.version.clone(), content));
        out.set_origin(&origin)?;
    } else if origin != written {
        out.set_origin(&origin)?;
    }
    Ok(())
}

/// One more than a version of any length.
fn next(version: &str) -> Option<String> {
    let number: u128 = version.parse().ok()?;
    Some(number.checked_add(1)?.to_string())
}

/// Compares versions of any length by value.
fn is_higher(version: &str, than: &str) -> bool {
    let digits = |text: &str| text.trim_start_matches('0').to_owned();
    let (version, than) = (digits(version), digits(than));
    (version.len(), &version) > (than.len(), &than)
}
