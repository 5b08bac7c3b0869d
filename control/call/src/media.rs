//! What the engine is told about a call, and what its answers mean.

use std::net::IpAddr;

use ng::{CallReport, Command, Delete, DeleteDelay, Lease, LegReport, Replace, Sdes, Signal};

use crate::reader::Reader;
use crate::{CallMedia, ExchangeConfig, LegMedia, LegQuality, Side};

/// The engine's tag for each side of a call: ours, so that they outlive forks and restarts.
pub(crate) fn tag(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee | Side::Exchange => "callee",
    }
}

/// One description on its way from one side to the other.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Whose it is.
    pub(crate) from: Side,
    /// As it came.
    pub(crate) sdp: Vec<u8>,
    /// It answers the other side's offer.
    pub(crate) is_answer: bool,
    /// The other side may be untagged still: the first offer of a call.
    pub(crate) is_first: bool,
    /// Whom it offers something; nobody has to be asked what an answer may be.
    pub(crate) reader: Option<Reader>,
    /// It came with a response before the answer: nobody has to send yet.
    pub(crate) is_early: bool,
}

/// The command that passes `description`, whose message came from `source`, through the engine.
pub(crate) fn signal(
    config: &ExchangeConfig,
    name: &str,
    description: &Description,
    source: Option<IpAddr>,
    lease_ms: u64,
) -> Command {
    let (offerer, answerer) = match (description.is_answer, description.from) {
        (false, from) => (from, other(from)),
        (true, from) => (other(from), from),
    };
    let to_tag = !(description.is_first && offerer == Side::Caller && !description.is_answer);
    let mut signal = Box::new(Signal {
        call_id: name.to_owned(),
        from_tag: tag(offerer).to_owned(),
        to_tag: to_tag.then(|| tag(answerer).to_owned()),
        sdp: description.sdp.clone(),
        replace: Replace { origin: true, ..Replace::default() },
        // A phone behind a NAT describes an address that nobody can reach.
        received_from: source,
        early_media: description.is_early,
        // As RFC 4568 has it; without, a strict reader takes an AEAD key for one of another length.
        sdes: Sdes { pad: true, ..Sdes::default() },
        supports_load_limit: true,
        owner: Some(config.owner.clone()),
        epoch: Some(config.epoch),
        lease_ms: Some(lease_ms),
        keep_report: true,
        ..Signal::default()
    });
    if let Some(reader) = description.reader {
        reader.shape(&mut signal);
    }
    if description.is_answer { Command::Answer(signal) } else { Command::Offer(signal) }
}

/// Ends a call at the engine; its report is kept until it is acknowledged.
pub(crate) fn delete(config: &ExchangeConfig, name: &str) -> Command {
    Command::Delete(Box::new(Delete {
        call_id: name.to_owned(),
        delay: DeleteDelay::Seconds(0),
        owner: Some(config.owner.clone()),
        epoch: Some(config.epoch),
        ..Delete::default()
    }))
}

/// Renews the lease of a live call.
pub(crate) fn lease(config: &ExchangeConfig, name: &str, lease_ms: u64) -> Command {
    Command::Lease(Lease {
        call_id: name.to_owned(),
        owner: config.owner.clone(),
        epoch: config.epoch,
        lease_ms,
    })
}

/// The kept report was read.
pub(crate) fn report_ack(config: &ExchangeConfig, name: &str) -> Command {
    Command::ReportAck(ng::ReportAck {
        call_id: name.to_owned(),
        owner: Some(config.owner.clone()),
        epoch: Some(config.epoch),
    })
}

/// The other end.
pub(crate) fn other(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee | Side::Exchange => Side::Caller,
    }
}

/// The counters of a report, RTP only, and its quality.
pub(crate) fn counters(report: &CallReport) -> CallMedia {
    let mut media = CallMedia::default();
    for party in &report.tags {
        let Some(leg) = leg_mut(&mut media, &party.tag) else { continue };
        let streams = party.medias.iter().flat_map(|m| &m.streams);
        for stream in streams.filter(|s| s.flags.iter().any(|f| f == "RTP")) {
            leg.packets_received += stream.stats.packets;
            leg.bytes_received += stream.stats.bytes;
        }
        let voice = || party.medias.iter().filter(|media| media.kind == "audio");
        leg.quality = voice().filter_map(|media| media.quality.as_ref()).next().map(LegQuality::from);
        let streams = || voice().flat_map(|media| &media.streams);
        leg.crypto_suite = streams().find_map(|stream| stream.crypto_suite.clone());
    }
    media
}

/// The counters and the quality of an event.
pub(crate) fn event_counters(legs: &[LegReport]) -> CallMedia {
    let mut media = CallMedia::default();
    for report in legs {
        let Some(leg) = leg_mut(&mut media, &report.tag) else { continue };
        for section in &report.medias {
            leg.packets_received += section.received.packets;
            leg.bytes_received += section.received.bytes;
        }
        // Voice comes first in a description; what is not voice has no score.
        let qualities = || report.medias.iter().filter_map(|section| section.quality.as_ref());
        let voice = qualities().find(|quality| quality.mos_x100.is_some()).or_else(|| qualities().next());
        leg.quality = voice.map(LegQuality::from);
        leg.crypto_suite = report.medias.iter().find_map(|section| section.crypto_suite.clone());
    }
    media
}

/// Whether a description would have media in clear: a live section in a profile without SRTP.
pub(crate) fn is_in_clear(sdp: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sdp);
    let sections = text.lines().filter_map(|line| line.strip_prefix("m="));
    sections.map(|section| section.split(' ').collect::<Vec<_>>()).any(|words| match words[..] {
        [_, port, profile, ..] => {
            port != "0" && !profile.split('/').any(|word| matches!(word, "SAVP" | "SAVPF"))
        }
        _ => false,
    })
}

/// Whether a description has a section whose keys come from DTLS.
pub(crate) fn is_dtls(sdp: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sdp);
    text.lines().any(|line| line.starts_with("m=") && line.contains(" UDP/TLS/RTP/"))
}

/// Whether a description names a user of ICE.
pub(crate) fn speaks_ice(sdp: &[u8]) -> bool {
    String::from_utf8_lossy(sdp).lines().any(|line| line.starts_with("a=ice-ufrag:"))
}

/// Milliseconds since the last packet of either side; none before the first.
pub(crate) fn silence_ms(legs: &[LegReport]) -> Option<u64> {
    legs.iter().flat_map(|leg| &leg.medias).filter_map(|m| m.last_packet_ms).min()
}

/// Whether another engine may take what this one refused.
pub(crate) fn is_engine_full(text: &str) -> bool {
    ng::Refusal::ALL.iter().any(|reason| reason.text() == text)
}

fn leg_mut<'a>(media: &'a mut CallMedia, name: &str) -> Option<&'a mut LegMedia> {
    if name == tag(Side::Caller) {
        Some(&mut media.caller)
    } else if name == tag(Side::Callee) {
        Some(&mut media.callee)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Times};

    fn tags(from: Side, is_answer: bool, is_first: bool) -> (String, Option<String>) {
        let config = ExchangeConfig {
            owner: "o".into(),
            epoch: 3,
            realm: String::new(),
            nonce_key: [0; 32],
            locals: Vec::new(),
            engines: 1,
            country_code: None,
            limits: Limits::default(),
            times: Times::default(),
        };
        let description =
            Description { from, sdp: Vec::new(), is_answer, is_first, reader: None, is_early: false };
        match signal(&config, "c", &description, None, 5) {
            Command::Offer(signal) | Command::Answer(signal) => {
                assert_eq!((signal.epoch, signal.lease_ms, signal.keep_report), (Some(3), Some(5), true));
                (signal.from_tag, signal.to_tag)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whatever_is_not_known_to_be_encrypted_is_in_clear() {
        let clear = |lines: &str| is_in_clear(format!("v=0\r\ns=-\r\n{lines}").as_bytes());
        for profile in ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"] {
            assert!(!clear(&format!("m=audio 4000 {profile} 0\r\n")), "{profile}");
        }
        for profile in ["RTP/AVP", "RTP/AVPF", "rtp/avp", "udptl", "RTP/XSAVP"] {
            assert!(clear(&format!("m=audio 4000 {profile} 0\r\n")), "{profile}");
            assert!(!clear(&format!("m=audio 0 {profile} 0\r\n")), "{profile} is refused");
            assert!(
                clear(&format!("m=audio 4000 RTP/SAVP 0\r\nm=image 4002 {profile} t38\r\n")),
                "{profile}"
            );
        }
    }

    #[test]
    fn the_from_tag_is_always_the_offerers() {
        let pair = |from: &str, to: Option<&str>| (from.to_owned(), to.map(str::to_owned));
        assert_eq!(tags(Side::Caller, false, true), pair("caller", None));
        assert_eq!(tags(Side::Callee, true, true), pair("caller", Some("callee")));
        // A delayed offer, and its answer in the ACK.
        assert_eq!(tags(Side::Callee, false, true), pair("callee", Some("caller")));
        assert_eq!(tags(Side::Caller, true, false), pair("callee", Some("caller")));
        assert_eq!(tags(Side::Caller, false, false), pair("caller", Some("callee")));
    }
}
