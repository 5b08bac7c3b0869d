//! What in a message does nothing, or contradicts itself: for whoever reads a saved message, not for the engine.

use crate::{
    bencode,
    envelope::read_document,
    json,
    options::{Fate, fate},
    request::Command,
    rtpp_flags::{self, Item},
    signal::{Learning, Signal, Trust},
    spelling::{clip, normal, words},
    value::Value,
};

/// What an author of the message may want to know: unknown keys, flags and values, options without effect,
/// contradictions. Empty for a message that cannot be read at all.
pub fn lint(document: &[u8]) -> Vec<String> {
    let Ok(request) = read_document(document).1 else { return Vec::new() };
    let mut found = request.warnings;
    let (signal, offer) = match &request.command {
        Command::Offer(signal) => (signal, true),
        Command::Answer(signal) => (signal, false),
        // Commands about parties have uses for options that are idle in an offer, such as `from-tags`.
        _ => return found,
    };
    for option in without_effect(document) {
        found.push(format!("'{}' has no effect here", clip(&option)));
    }
    contradictions(signal, offer, &mut found);
    found
}

/// Options that the protocol knows and that change nothing in this engine, as they were spelt.
fn without_effect(document: &[u8]) -> Vec<String> {
    let tree = match document.first() {
        Some(b'd') => bencode::parse(document).ok().map(|(tree, _)| tree),
        _ => json::parse(document).ok(),
    };
    let mut found: Vec<String> = Vec::new();
    let mut note = |spelt: &str| {
        let idle = fate(&normal(spelt.split('=').next().unwrap_or_default())) == Fate::NoEffect;
        if idle && found.len() < FOUND_MAX && !found.iter().any(|known| known == spelt) {
            found.push(spelt.to_owned());
        }
    };
    let entries = tree.as_ref().and_then(Value::entries).unwrap_or_default();
    for (key, value) in entries {
        let Ok(key) = std::str::from_utf8(key) else { continue };
        match normal(key).as_str() {
            "flags" => words(value).for_each(&mut note),
            "rtpp-flags" => {
                for item in rtpp_flags::parse(value.as_str().unwrap_or_default()) {
                    match item {
                        Item::Word(word) | Item::Keyed(word, _) => note(word),
                        Item::Nested(_) => {}
                    }
                }
            }
            // The flag is for a delete; the key names the other side.
            "to-tag" => {}
            _ => note(key),
        }
    }
    found
}

fn contradictions(signal: &Signal, offer: bool, found: &mut Vec<String>) {
    let Signal { rtcp_mux: mux, replace, .. } = signal;
    let named = signal.recording.file.is_some()
        || signal.recording.destination.is_some()
        || signal.recording.directory.is_some()
        || signal.recording.pattern.is_some();
    let rules = [
        (mux.accept && mux.reject, "rtcp-mux: accept and reject exclude each other, and reject prevails"),
        (mux.demux && mux.reject, "rtcp-mux: demux and reject exclude each other, and reject prevails"),
        (mux.require && mux.demux, "rtcp-mux: require and demux exclude each other, and require prevails"),
        (
            !offer && (mux.offer || mux.require),
            "rtcp-mux: offer and require mean an offer, and do nothing in an answer",
        ),
        (
            !offer && signal.generate_mid,
            "generate-mid does nothing in an answer, which bears what its offer bore",
        ),
        (
            !offer && !signal.direction.is_empty(),
            "direction is chosen by the offer, and does nothing in an answer",
        ),
        (
            replace.sdp_version && replace.force_increment_sdp_version,
            "replace: force-increment-sdp-ver prevails over sdp-version",
        ),
        (replace.username && replace.origin_full, "replace: origin-full comprises username"),
        (
            signal.trust == Trust::SipSource && signal.received_from.is_none(),
            "SIP-source-address without received-from leaves no address",
        ),
        (
            signal.received_from.is_some()
                && signal.trust != Trust::SipSource
                && signal.learning == Some(Learning::Off),
            "received-from without SIP-source-address, and with learning off, does nothing",
        ),
        (
            signal.media_handover && signal.learning == Some(Learning::Off),
            "media-handover learns anew, and endpoint-learning=off learns nothing",
        ),
        (
            signal.media_handover && signal.asymmetric,
            "media-handover moves where media is sent, and asymmetric sends where the description says",
        ),
        (signal.strict_source, "strict-source is always on"),
        (
            signal.set_label.is_some() || signal.to_label.is_some(),
            "set-label and to-label are for commands that find or make a party; an offer or answer names its own by label",
        ),
        (
            !offer && signal.alias_key.is_some(),
            "alias-key is about who offers, and does nothing in an answer",
        ),
        (
            signal.reset,
            "reset forgets what was learned of ICE and SRTP, and does nothing: neither is learned here, but said anew by each description",
        ),
        (signal.static_codecs, "static-codecs does nothing while nothing is transcoded"),
        (signal.unidirectional, "unidirectional is for a kernel module, which this engine has not"),
        (
            signal.record_call != Some(true) && named,
            "names of a recording do nothing without record-call or start recording",
        ),
        (
            signal.record_call == Some(true) && signal.recording.discard,
            "discard-recording does nothing at a beginning",
        ),
        (signal.owner.is_none() && signal.lease_ms.is_some(), "lease-ms without owner: nobody renews it"),
        (signal.owner.is_none() && signal.epoch.is_some(), "epoch does nothing without owner"),
        (
            signal.asymmetric && signal.learning.is_some_and(|learning| learning != Learning::Off),
            "endpoint-learning and asymmetric exclude each other: media is sent where the description says",
        ),
    ];
    found.extend(rules.iter().filter(|(broken, _)| *broken).map(|(_, text)| (*text).to_owned()));
    for option in &signal.unsupported {
        found.push(format!("'{option}' is not built: the message is refused by this name"));
    }
}

/// More options without effect than this are not listed.
const FOUND_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(options: &str) -> Vec<String> {
        lint(
            format!(r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0",{options}}}"#).as_bytes(),
        )
    }

    #[test]
    fn a_message_that_means_what_it_says_is_left_alone() {
        assert_eq!(offer(r#""replace":["origin"],"rtcp-mux":["demux"],"flags":["trust-address"]"#), [""; 0]);
        assert_eq!(lint(b"d7:command4:pinge"), [""; 0]);
        assert_eq!(lint(b"nothing at all"), [""; 0]);
        let request = br#"{"command":"subscribe request","call-id":"c","from-tags":["a"],"set-label":"l"}"#;
        assert_eq!(lint(request), [""; 0]);
        let answer = br#"{"command":"answer","call-id":"c","from-tag":"f","to-tag":"t","sdp":"v=0","alias-key":"SDP"}"#;
        assert_eq!(lint(answer).len(), 1);
    }

    #[test]
    fn what_is_unknown_idle_or_not_built_is_named_as_it_was_spelt() {
        assert_eq!(
            offer(
                r#""recrypt":1,"flags":["bogus","reuse codecs","SIP-code=200"],"rtpp-flags":"DTLS-fingerprint=sha-1 ptime=20""#
            ),
            [
                "unknown flag 'bogus'",
                "'recrypt' has no effect here",
                "'reuse codecs' has no effect here",
                "'SIP-code=200' has no effect here",
                "'DTLS-fingerprint' has no effect here",
                "'ptime=20' is not built: the message is refused by this name",
            ]
        );
        let bencode = lint(b"d7:call-id1:c7:command5:offer5:debugi1e8:from-tag1:f3:sdp3:v=0e");
        assert_eq!(bencode, ["'debug' has no effect here"]);
    }

    #[test]
    fn contradictions_are_said() {
        for (options, part) in [
            (r#""rtcp-mux":["accept","reject"]"#, "reject prevails"),
            (r#""replace":["sdp-version","force-increment-sdp-ver"]"#, "prevails over sdp-version"),
            (r#""flags":["SIP-source-address"]"#, "leaves no address"),
            (r#""flags":["media-handover","endpoint-learning-off"]"#, "learns nothing"),
            (r#""flags":["strict-source"]"#, "always on"),
            (r#""recording-file":"x""#, "without record-call"),
            (r#""lease-ms":5"#, "nobody renews"),
            (r#""set-label":"x""#, "names its own by label"),
            (r#""to-label":"x""#, "names its own by label"),
            (r#""flags":["reset"]"#, "ICE and SRTP"),
            (r#""flags":["static codecs"]"#, "transcoded"),
            (r#""flags":["unidirectional"]"#, "kernel"),
        ] {
            let found = offer(options);
            assert!(found.len() == 1 && found[0].contains(part), "{options}: {found:?}");
        }
    }
}
