//! Descriptions that are not somebody's rewritten one, but ours: sections of several parties in one,
//! and answers that we give ourselves.

use std::net::IpAddr;

use rtp::sdp::{Connection, Line, LineError, Media, MediaSection, Origin, Sdp, Section};

use super::codec;
use crate::{leg::OwnSession, media::Transport};

/// A description with nothing but its head.
///
/// # Errors
/// A line cannot be written; does not happen with an address.
pub(crate) fn head(session: OwnSession, address: IpAddr) -> Result<Sdp, LineError> {
    let session_lines = [&b"v=0"[..], b"s=-", b"t=0 0"].into_iter().map(Line::new);
    let mut sdp = Sdp::new(session_lines.collect::<Result<Section, _>>()?, Vec::new());
    let mut origin = Origin {
        username: "-".to_owned(),
        session_id: session.id.to_string(),
        version: session.version.to_string(),
        net_type: String::new(),
        addr_type: String::new(),
        address: String::new(),
    };
    origin.set_ip(address);
    sdp.set_origin(&origin)?;
    Ok(sdp)
}

/// What a section of somebody's description says of the media itself, with these formats of it, in this order.
///
/// Of RTP that is the codecs, `ptime` and `mid`; of anything else every line but the address.
///
/// # Errors
/// A line cannot be written; does not happen with lines that were read.
pub(crate) fn section(
    from: &MediaSection,
    transport: Transport,
    formats: &[String],
    address: IpAddr,
) -> Result<MediaSection, LineError> {
    let mut out = MediaSection::new(&Media { formats: formats.to_vec(), ..from.media().clone() })?;
    out.section.set_connection(&Connection::new(address))?;
    let kept = |line: &&Line| match (transport, line.attribute()) {
        (Transport::Rtp, Some(attribute)) => {
            ["ptime", "mid"].contains(&attribute.name)
                || codec::about(line).is_some_and(|(_, format)| formats.iter().any(|known| known == format))
        }
        (Transport::Rtp, None) => false,
        (Transport::Opaque | Transport::Foreign, _) => line.kind() != Some(b'c'),
    };
    from.section.lines().iter().filter(kept).for_each(|line| out.section.append(line.clone()));
    Ok(out)
}

/// A codec of `offered` that `answered` has not under the same number; `None` if all are there.
pub(crate) fn missing_codec(offered: &MediaSection, answered: &MediaSection) -> Option<String> {
    let answered = codec::encodings(answered);
    let missing = |(number, name): &(u8, String)| answered.get(number) != Some(name);
    let (number, name) = codec::encodings(offered).into_iter().find(missing)?;
    Some(if name.is_empty() { format!("payload type {number}") } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(media: &str) -> MediaSection {
        let text =
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
        Sdp::parse(text.as_bytes()).unwrap().media.remove(0)
    }

    #[test]
    fn a_codec_is_there_if_it_has_the_same_number_and_name() {
        let offered = read("m=audio 1 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
        for (answer, missing) in [
            ("0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", None),
            ("101 8 0 9\r\na=rtpmap:101 Telephone-Event/8000/1\r\na=rtpmap:0 PCMU/8000\r\n", None),
            ("0 101\r\na=rtpmap:101 telephone-event/8000\r\n", Some("pcma/8000")),
            ("0 8 101\r\n", Some("telephone-event/8000")),
            ("0 8 110\r\na=rtpmap:110 telephone-event/8000\r\n", Some("telephone-event/8000")),
            ("0 8 101\r\na=rtpmap:101 opus/48000/2\r\n", Some("telephone-event/8000")),
        ] {
            let answered = read(&format!("m=audio 1 RTP/AVP {answer}"));
            assert_eq!(missing_codec(&offered, &answered).as_deref(), missing, "{answer}");
        }
    }

    #[test]
    fn of_rtp_the_codecs_stay_and_of_anything_else_every_line() {
        let address = "127.0.0.1".parse().unwrap();
        let audio = read(
            "m=audio 1 RTP/AVP 0 101\r\nc=IN IP4 192.0.2.9\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=foo:bar\r\na=ptime:20\r\n",
        );
        let own = section(&audio, Transport::Rtp, &["101".to_owned()], address).unwrap();
        let lines: Vec<_> =
            own.section.lines().iter().map(|line| String::from_utf8_lossy(line.bytes())).collect();
        assert_eq!(own.media().formats, ["101"]);
        assert_eq!(
            lines,
            ["c=IN IP4 127.0.0.1", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20"]
        );
        let fax = read("m=image 1 udptl t38\r\na=T38FaxVersion:0\r\n");
        let own = section(&fax, Transport::Opaque, &["t38".to_owned()], address).unwrap();
        assert!(own.section.has_attribute("T38FaxVersion"));
    }
}
