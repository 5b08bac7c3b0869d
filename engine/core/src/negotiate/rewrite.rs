//! The description that goes out: what is ours is rewritten, every other line stays.
//!
//! Of a section with RTP these lines are taken out where they stand and written anew at its
//! end, in this order: `mid`; of each payload type `rtpmap`, `fmtp`, `rtcp-fb`; the direction;
//! `rtcp`; `rtcp-mux`; `crypto`; `setup`; `fingerprint`; `tls-id`; `ptime`; those of ICE. `end-of-candidates` is left by `ICE=remove`. A refused section (port 0) keeps none of them but `mid`.

use std::net::{IpAddr, SocketAddr};

use ng::Signal;
use rtp::sdp::{Connection, Direction, Line, LineError, MediaSection, RtcpAttribute, Sdp, Section};

use super::{
    bundle, codec, dtls,
    reason::{Reason, Reasons, SESSION},
    refuse, sdes,
};
use crate::{
    leg::Identity,
    media::{Media, Transport},
};

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
    /// Values of its `a=crypto` lines.
    pub(crate) keys: Vec<String>,
    /// Its lines of ICE.
    pub(crate) ice: Vec<(&'static str, Option<String>)>,
    /// What it says of a handshake: names and values of attributes.
    pub(crate) handshake: Vec<(&'static str, String)>,
    /// They are of somebody who only answers checks.
    pub(crate) ice_lite: bool,
    /// It is not refused.
    pub(crate) live: bool,
    /// It is a group of one, which others might join.
    pub(crate) bundled: bool,
}

impl Outgoing {
    /// A section as its reader is shown it: RTP at `local`; `rtcp_mux` is said of it, and RTCP shares its port or has the
    /// one above.
    pub(crate) fn of(
        media: &Media,
        signal: &Signal,
        local: SocketAddr,
        (rtcp_mux, one_port): (bool, bool),
        direction: Direction,
    ) -> Self {
        Self {
            transport: media.transport,
            protocol: media.protocol.clone(),
            mid: media.mid.clone(),
            local,
            rtcp_port: if one_port { local.port() } else { local.port().saturating_add(1) },
            rtcp_mux,
            direction,
            keys: sdes::lines(media, &signal.sdes),
            ice: Vec::new(),
            handshake: dtls::lines(media, signal),
            ice_lite: false,
            live: !media.closed && !media.refused,
            bundled: false,
        }
    }
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
    let mut unasked = Reasons::default();
    explained(sdp, signal, outgoing, marker, identity, &mut unasked).map(|sdp| sdp.to_bytes())
}

/// The same; of each change `reasons` is told why.
///
/// # Errors
/// A line cannot be written.
pub(crate) fn explained(
    sdp: &Sdp,
    signal: &Signal,
    outgoing: &[Outgoing],
    marker: &str,
    identity: &mut Identity,
    reasons: &mut Reasons,
) -> Result<Sdp, LineError> {
    let mut out = sdp.clone();
    let why = if signal.ice == Some(ng::Ice::Remove) { Reason::Ice } else { Reason::IceApart };
    for ((index, section), place) in outgoing.iter().enumerate().zip(SESSION + 1..) {
        if section.transport != Transport::Foreign {
            out.media[index].section.retain(|line| {
                let stays = !refuse::is_ice(line);
                if !stays {
                    reasons.removed(place, line, why);
                }
                stays
            });
        }
        media(&mut out.media[index], section, signal, place, reasons)?;
    }
    // The session's own address serves the sections that have none.
    let serving = outgoing.iter().find(|section| !passes(section, signal)).map(|section| section.local.ip());
    let address = match (signal.media_address, serving) {
        (Some(address), _) | (None, Some(address)) => Some(address),
        (None, None) => None,
    };
    if let Some(address) = address {
        if let Some(connection) = sdp.session.connection() {
            keep_foreign(&mut out, outgoing, signal, &connection, reasons)?;
        }
        connection(&mut out.session, address, signal, SESSION, reasons)?;
        name_apart(&mut out, outgoing, signal, reasons)?;
    }
    let original = signal.original_sendrecv;
    out.session.retain(|line| {
        let Some(attribute) = line.attribute() else { return true };
        let direction = attribute.value.is_none() && Direction::from_name(attribute.name).is_some();
        let why = match () {
            () if bundle::is_group(line) => Reason::Bundle,
            () if direction && !original => Reason::Direction,
            () if refuse::is_ice(line) => why,
            () if ["setup", "fingerprint", "tls-id"].contains(&attribute.name) => Reason::Setup,
            () if attribute.name == "crypto" => Reason::Keys,
            () => return true,
        };
        reasons.removed(SESSION, line, why);
        false
    });
    if signal.loop_protect {
        append(&mut out.session, Line::attribute_of(MARK, Some(marker))?, SESSION, Reason::Mark, reasons);
    }
    for name in outgoing.iter().filter(|section| section.bundled).filter_map(|section| section.mid.as_ref()) {
        let value = format!("BUNDLE {name}");
        let line = Line::attribute_of("group", Some(&value))?;
        append(&mut out.session, line, SESSION, Reason::Bundle, reasons);
    }
    if outgoing.iter().any(|section| section.ice_lite) {
        append(&mut out.session, Line::attribute_of("ice-lite", None)?, SESSION, Reason::IceApart, reasons);
    }
    identify(&mut out, signal, address, identity, reasons)?;
    Ok(out)
}

/// Whether a section passes as it came.
fn passes(section: &Outgoing, signal: &Signal) -> bool {
    section.transport == Transport::Foreign && !signal.tcp_media_reject
}

/// Writes a line at the end of a section.
fn append(section: &mut Section, line: Line, place: usize, why: Reason, reasons: &mut Reasons) {
    reasons.added(place, &line, why);
    section.append(line);
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

fn media(
    media: &mut MediaSection,
    outgoing: &Outgoing,
    signal: &Signal,
    place: usize,
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    let transport = outgoing.transport;
    if passes(outgoing, signal) {
        return Ok(());
    }
    let address = signal.media_address.unwrap_or_else(|| outgoing.local.ip());
    if media.section.connection().is_some() {
        connection(&mut media.section, address, signal, place, reasons)?;
    }
    if transport == Transport::Foreign {
        return reject(media, outgoing, place, reasons);
    }
    let refused = media.media().port == 0;
    let codecs = if transport == Transport::Rtp && !refused { codec::lines(media)? } else { Vec::new() };
    let ptime = media.section.find_attribute("ptime").map(|index| media.section.lines()[index].clone());
    let rtp = transport == Transport::Rtp;
    let removed = signal.ice == Some(ng::Ice::Remove);
    let ends = rtp && removed && media.section.has_attribute("end-of-candidates");
    media.section.retain(|line| {
        let Some(attribute) = line.attribute() else { return true };
        let why = match attribute.name {
            "rtcp" if signal.rtcp_attribute == Some(false) => Reason::NoRtcp,
            "rtcp" => Reason::Rtcp,
            "ptime" => Reason::PacketTime,
            "rtcp-mux" => Reason::Mux,
            "setup" | "fingerprint" | "tls-id" if rtp => Reason::Setup,
            "crypto" => Reason::Keys,
            "end-of-candidates" if rtp => Reason::Candidates,
            "rtpmap" | "fmtp" | "rtcp-fb" if rtp && codec::belongs(line) => Reason::Format,
            "mid" => Reason::Name,
            name if attribute.value.is_none()
                && Direction::from_name(name).is_some()
                && !signal.original_sendrecv =>
            {
                Reason::Direction
            }
            _ => return true,
        };
        reasons.removed(place, line, if refused { Reason::Refused } else { why });
        false
    });
    let section = &mut media.section;
    if let Some(mid) = &outgoing.mid {
        append(section, Line::attribute_of("mid", Some(mid))?, place, Reason::Name, reasons);
    }
    if refused {
        let proto = if rtp { outgoing.protocol.clone() } else { media.media().proto.clone() };
        let fields = rtp::sdp::Media { proto, ..media.media().clone() };
        return set_media(media, fields, place, &[Reason::Profile], reasons);
    }
    for line in codecs {
        append(section, line, place, Reason::StaticFormat, reasons);
    }
    if !signal.original_sendrecv {
        let line = Line::attribute_of(outgoing.direction.name(), None)?;
        append(section, line, place, Reason::Direction, reasons);
    }
    if rtp {
        if signal.rtcp_attribute != Some(false) {
            let rtcp = RtcpAttribute {
                port: outgoing.rtcp_port,
                connection: (signal.rtcp_attribute == Some(true)).then(|| Connection::new(address)),
            };
            let line = Line::attribute_of("rtcp", Some(&rtcp.to_string()))?;
            append(section, line, place, Reason::Rtcp, reasons);
        }
        if outgoing.rtcp_mux {
            append(section, Line::attribute_of("rtcp-mux", None)?, place, Reason::Mux, reasons);
        }
        for key in &outgoing.keys {
            append(section, Line::attribute_of("crypto", Some(key))?, place, Reason::Keys, reasons);
        }
        for (name, value) in &outgoing.handshake {
            append(section, Line::attribute_of(name, Some(value))?, place, Reason::Setup, reasons);
        }
        if let Some(line) = ptime {
            append(section, line, place, Reason::PacketTime, reasons);
        }
        for (name, value) in &outgoing.ice {
            append(section, Line::attribute_of(name, value.as_deref())?, place, Reason::IceApart, reasons);
        }
        if ends {
            let line = Line::attribute_of("end-of-candidates", None)?;
            append(section, line, place, Reason::Candidates, reasons);
        }
    }
    let proto = if rtp { outgoing.protocol.clone() } else { media.media().proto.clone() };
    let why: &[_] =
        if proto == media.media().proto { &[Reason::Port] } else { &[Reason::Port, Reason::Profile] };
    let fields = rtp::sdp::Media { port: outgoing.local.port(), proto, ..media.media().clone() };
    set_media(media, fields, place, why, reasons)
}

/// Writes the `m=` line anew.
fn set_media(
    media: &mut MediaSection,
    fields: rtp::sdp::Media,
    place: usize,
    why: &[Reason],
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    let was = media.line().clone();
    media.set_media(fields)?;
    reasons.replaced(place, &was, media.line(), why);
    Ok(())
}

/// Refuses a section that would pass unrelayed: its attributes, which name addresses, go with its port.
fn reject(
    media: &mut MediaSection,
    outgoing: &Outgoing,
    place: usize,
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    media.section.retain(|line| {
        let stays = line.attribute().is_none();
        if !stays {
            reasons.removed(place, line, Reason::TcpRejected);
        }
        stays
    });
    if let Some(mid) = &outgoing.mid {
        let line = Line::attribute_of("mid", Some(mid))?;
        append(&mut media.section, line, place, Reason::Name, reasons);
    }
    let fields = rtp::sdp::Media { port: 0, ..media.media().clone() };
    set_media(media, fields, place, &[Reason::TcpRejected], reasons)
}

/// Sections that are not ours stay where the session's `c=` sent their packets.
fn keep_foreign(
    out: &mut Sdp,
    outgoing: &[Outgoing],
    signal: &Signal,
    connection: &Connection,
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    for ((section, media), place) in outgoing.iter().zip(&mut out.media).zip(SESSION + 1..) {
        if passes(section, signal) && media.section.connection().is_none() {
            media.section.set_connection(connection)?;
            if let Some(index) = media.section.find(b'c') {
                reasons.added(place, &media.section.lines()[index], Reason::KeptAddress);
            }
        }
    }
    Ok(())
}

/// Sections that are shown at another address than the session's say so: pairs of one description may
/// lie on several, if they were opened when the client named other interfaces.
fn name_apart(
    out: &mut Sdp,
    outgoing: &[Outgoing],
    signal: &Signal,
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    let Some(session) = out.session.connection().and_then(|connection| connection.ip()) else {
        return Ok(());
    };
    if session.is_unspecified() || signal.media_address.is_some() {
        return Ok(());
    }
    for ((section, media), place) in outgoing.iter().zip(&mut out.media).zip(SESSION + 1..) {
        let apart = section.local.ip() != session && media.media().port != 0;
        if apart && !passes(section, signal) && media.section.connection().is_none() {
            media.section.set_connection(&Connection::new(section.local.ip()))?;
            if let Some(index) = media.section.find(b'c') {
                reasons.added(place, &media.section.lines()[index], Reason::Address);
            }
        }
    }
    Ok(())
}

/// Puts our address in place of the section's `c=`, if it has one. Hold by the unspecified
/// address stays, in our family, unless the client wants it replaced.
fn connection(
    section: &mut Section,
    address: IpAddr,
    signal: &Signal,
    place: usize,
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    let Some(before) = section.connection() else { return Ok(()) };
    let held = before.ip().is_some_and(|ip| ip.is_unspecified()) && !signal.replace.zero_address;
    let address = match address {
        IpAddr::V4(_) if held => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) if held => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        address => address,
    };
    if held && before.ip() == Some(address) {
        return Ok(());
    }
    let mut lines = section.lines().iter().filter(|line| line.kind() == Some(b'c'));
    let first = lines.next().cloned();
    for other in lines {
        reasons.removed(place, other, Reason::SecondAddress);
    }
    section.set_connection(&Connection::new(address))?;
    if let (Some(was), Some(index)) = (first, section.find(b'c')) {
        let why = if signal.media_address.is_some() { Reason::MediaAddress } else { Reason::Address };
        reasons.replaced(place, &was, &section.lines()[index], &[why]);
    }
    Ok(())
}

/// `replace`: what the description says of itself.
fn identify(
    out: &mut Sdp,
    signal: &Signal,
    address: Option<IpAddr>,
    identity: &mut Identity,
    reasons: &mut Reasons,
) -> Result<(), LineError> {
    let replace = signal.replace;
    let name = out.session.find(b's');
    let first_name = identity.session_name.get_or_insert_with(|| {
        name.map(|index| out.session.lines()[index].bytes().to_vec()).unwrap_or_default()
    });
    if let (true, Some(index), false) = (replace.session_name, name, first_name.is_empty()) {
        let line = Line::new(first_name.clone())?;
        reasons.replaced(SESSION, &out.session.lines()[index], &line, &[Reason::SessionName]);
        out.session.replace(index, line);
    }
    let Some(mut origin) = out.origin() else { return Ok(()) };
    let mut why = Vec::new();
    let written = origin.clone();
    let note = |why: &mut Vec<_>, changed: bool, reason| why.extend(changed.then_some(reason));
    let first = identity.origin.get_or_insert_with(|| origin.clone());
    if replace.username || replace.origin_full {
        note(&mut why, origin.username != first.username, Reason::OriginUser);
        origin.username.clone_from(&first.username);
    }
    if replace.origin_full {
        let whole = rtp::sdp::Origin { version: origin.version.clone(), ..first.clone() };
        note(&mut why, origin != whole, Reason::OriginWhole);
        origin = whole;
    }
    if let (true, Some(address)) = (replace.origin, address) {
        let before = origin.clone();
        origin.set_ip(address);
        note(&mut why, origin != before, Reason::OriginAddress);
    }
    let line = out.session.find(b'o').map(|index| out.session.lines()[index].clone());
    if replace.sdp_version || replace.force_increment_sdp_version {
        let given = std::mem::take(&mut origin.version);
        origin.version = "0".to_owned();
        out.set_origin(&origin)?;
        let content = out.to_bytes();
        origin.version = match &identity.sent {
            None => given.clone(),
            Some((last, before)) if replace.sdp_version && !replace.force_increment_sdp_version => {
                if *before == content { last.clone() } else { next(last).unwrap_or_else(|| given.clone()) }
            }
            Some((last, _)) if is_higher(&given, last) => given.clone(),
            Some((last, _)) => next(last).unwrap_or_else(|| given.clone()),
        };
        note(&mut why, origin.version != given, Reason::OriginVersion);
        identity.sent = Some((origin.version.clone(), content));
        out.set_origin(&origin)?;
    } else if origin != written {
        out.set_origin(&origin)?;
    }
    if let (Some(was), Some(index)) = (line, out.session.find(b'o')) {
        if why.is_empty() {
            why.push(Reason::OriginVersion);
        }
        reasons.replaced(SESSION, &was, &out.session.lines()[index], &why);
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
