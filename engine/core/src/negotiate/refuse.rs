//! What is not built is refused by name, never passed through in silence.

use ng::{Ice, Signal, TransportProtocol};
use rtp::sdp::{Crypto, Line, Sdp};

use super::{dtls, ice, sdes};
use crate::{media::Transport, networks};

/// The text of the refusal if an offer or answer asks by its options for something not built. `handshakes` says whether
/// there is a certificate of ours.
pub(crate) fn options(signal: &Signal, handshakes: bool) -> Option<String> {
    let mut refused = signal.unsupported.clone();
    if signal.ice == Some(Ice::ForceRelay) {
        refused.push("ICE=force-relay".to_owned());
    }
    let asked = signal.transport_protocol.map(TransportProtocol::as_str);
    let demanded = asked.filter(|name| dtls::is_demanded(name));
    refused.extend(demanded.filter(|_| !handshakes).map(|name| format!("transport-protocol={name}")));
    // What is left must be a way to agree on keys.
    let without = demanded.filter(|_| handshakes && signal.dtls.off);
    refused.extend(without.map(|name| format!("DTLS=off with transport-protocol={name}")));
    let off = signal.sdes.off && (signal.dtls.off || !handshakes);
    let keyless = asked.filter(|name| off && demanded.is_none() && sdes::is_secure(name));
    refused.extend(keyless.map(|name| format!("SDES=off with transport-protocol={name}")));
    let wide = signal.media_networks.iter().filter(|network| networks::is_too_wide(network));
    refused.extend(wide.map(|network| format!("media-networks={network}, which is half the world")));
    (!refused.is_empty()).then(|| format!("Not supported: {}", refused.join(", ")))
}

/// What a section says of a handshake, or what is wrong with that.
pub(crate) type Handshake = Result<Option<dtls::Said>, String>;

/// The text of the refusal if a description has a property that is not built. `keys` are those of each section that can be
/// used, and `handshakes` what each says of one, if there is a certificate of ours.
pub(crate) fn description(
    sdp: &Sdp,
    signal: &Signal,
    keys: &[Vec<Crypto>],
    handshakes: Option<&[Handshake]>,
) -> Option<String> {
    for (index, media) in sdp.media.iter().enumerate() {
        let fields = media.media();
        if fields.port != 0 && transport(&fields.proto).is_none() {
            return Some(format!("Not supported: SDP profile {}", fields.proto));
        }
        if fields.port != 0 && signal.ice == Some(Ice::Optional) && ice::is_said(sdp, index) {
            return Some(
                "Not supported: ICE=optional where the description has ICE (see ICE=force)".to_owned(),
            );
        }
    }
    for (index, media) in sdp.media.iter().enumerate().filter(|(_, media)| media.media().port != 0) {
        let proto = &media.media().proto;
        if transport(proto) != Some(Transport::Rtp) {
            continue;
        }
        let demanded = dtls::is_demanded(proto);
        let handshake = match handshakes.map(|all| &all[index]) {
            None if demanded => return Some(format!("Not supported: SDP profile {proto}")),
            None => None,
            // Beside keys that can be used it is passed over.
            Some(Err(text)) if demanded || keys[index].is_empty() => {
                return Some(format!("Not supported: {text}"));
            }
            Some(handshake) => handshake.as_ref().ok().and_then(Option::as_ref),
        };
        if handshake.is_some() || !keys[index].is_empty() {
            continue;
        }
        if demanded {
            return Some(format!("Not supported: {proto} without an a=fingerprint"));
        }
        if sdes::is_secure(proto) {
            return Some(format!("Not supported: {proto} without an a=crypto that can be used (see SDES)"));
        }
        if sdp.attribute(index, "fingerprint").is_some() {
            return Some("Not supported: SDP attribute fingerprint".to_owned());
        }
    }
    None
}

/// The text of the refusal of a description with ICE in a command that has no use for it.
pub(crate) fn any_ice(sdp: &Sdp, signal: &Signal) -> Option<String> {
    let removed = signal.ice == Some(Ice::Remove);
    let said =
        (0..sdp.media.len()).any(|index| sdp.media[index].media().port != 0 && ice::is_said(sdp, index));
    let text = "Not supported: SDP attribute ice-ufrag (strip it with ICE=remove)";
    (said && !removed).then(|| text.to_owned()).or_else(|| only_talkers(signal))
}

/// The text of the refusal of a wish for ICE in such a command.
pub(crate) fn only_talkers(signal: &Signal) -> Option<String> {
    let wished = matches!(signal.ice, Some(Ice::Force | Ice::Optional));
    wished.then(|| "Not supported: ICE=force and optional outside of offer and answer".to_owned())
}

/// What the client should know of sections that pass as they came: their media does not come through here.
pub(crate) fn passed(sdp: &Sdp, signal: &Signal) -> Option<String> {
    let passes = |media: &&rtp::sdp::MediaSection| {
        media.media().port != 0 && transport(&media.media().proto) == Some(Transport::Foreign)
    };
    let mut profiles: Vec<&str> =
        sdp.media.iter().filter(passes).map(|media| media.media().proto.as_str()).collect();
    profiles.dedup();
    (!profiles.is_empty() && !signal.tcp_media_reject).then(|| {
        let profiles = profiles.join(", ");
        format!("{profiles} passes as it came, addresses included (tcp-media=reject refuses it)")
    })
}

/// How a profile's datagrams are treated; `None` for one that is not built.
pub(crate) fn transport(proto: &str) -> Option<Transport> {
    match proto {
        "RTP/AVP" | "RTP/AVPF" | "RTP/SAVP" | "RTP/SAVPF" => Some(Transport::Rtp),
        "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => Some(Transport::Rtp),
        _ if proto.starts_with("TCP/") && !proto.contains("RTP") => Some(Transport::Foreign),
        _ if proto == "TCP" => Some(Transport::Foreign),
        _ if ["SAVP", "TLS", "TCP"].iter().any(|part| proto.contains(part)) => None,
        _ => Some(Transport::Opaque),
    }
}

/// Whether a line belongs to ICE (RFC 8839) and goes with `ICE=remove`.
pub(crate) fn is_ice(line: &Line) -> bool {
    const NAMES: [&str; 6] =
        ["ice-lite", "ice-options", "ice-ufrag", "ice-pwd", "candidate", "remote-candidates"];
    line.attribute().is_some_and(|attribute| NAMES.contains(&attribute.name))
}
