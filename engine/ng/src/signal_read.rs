//! The options of an `offer` or `answer`, in every spelling, into one [`Signal`].

use std::net::IpAddr;

use crate::{
    envelope::RequestError,
    options::{Fate, fate},
    party_read,
    request::DeleteDelay,
    request_read::{self, Keys},
    rtpp_flags::{self, Item},
    signal::{AliasKey, Family, Ice, Learning, MessageKind, Signal, Tos, TransportProtocol, Trust},
    spelling::{Warnings, clip, is_yes, normal, words},
    subscription::Publish,
    templates::Templates,
    value::Value,
    webrtc::{self, IceLite},
};

/// Reads options one by one into a signal.
#[derive(Debug, Default)]
pub(crate) struct SignalReader {
    pub(crate) signal: Signal,
    profile: Option<Profile>,
    /// The command chooses parties by keys of its own, which were read before.
    about_parties: bool,
    /// Codecs that are wished for (`codec accept`), for the command that has such wishes.
    pub(crate) accept: Option<Vec<String>>,
}

/// A transport put together from the words of `rtpp-flags`.
#[derive(Debug, Clone, Copy, Default)]
struct Profile {
    secure: bool,
    feedback: bool,
    dtls: bool,
}

/// Keys by which a command chooses parties, and the flags of the same use.
const PARTY_KEYS: &[&str] = &["address", "all", "from-tags", "to-call-id", "to-call-ID"];
const PARTY_FLAGS: &[&str] = &["all", "bidirectional", "directional"];
const PARTY_PREFIXES: &[&str] = &["all-", "from-tags-"];

/// Keys whose values may be written as flags behind their name.
const FLAT_LISTS: &[&str] = &[
    "replace",
    "rtcp-mux",
    "endpoint-learning",
    "OSRTP",
    "DTLS-reverse",
    "DTLS",
    "SDES",
    "ICE-lite",
    "ICE",
    "bundle",
    "address-family",
    "transport-protocol",
    "media-networks",
    "tcp-media",
    "supports",
];

/// More options that are not built than this are not listed.
const UNSUPPORTED_MAX: usize = 32;

impl SignalReader {
    /// A reader for a command that chooses parties.
    pub(crate) fn about_parties() -> Self {
        Self { about_parties: true, ..Self::default() }
    }

    /// A reader for `publish`.
    pub(crate) fn publication() -> Self {
        Self { accept: Some(Vec::new()), ..Self::about_parties() }
    }

    /// Reads what is left of a message, the presets it names before its own keys.
    pub(crate) fn message(&mut self, keys: &mut Keys<'_>, templates: &Templates) -> Result<(), RequestError> {
        for name in party_read::named_templates(keys) {
            match templates.get(&name) {
                Some(text) => {
                    self.rtpp_flags(text, &mut keys.warnings)?;
                    // A list of the message takes the place of the preset's.
                    self.profile = None;
                }
                None => keys.warnings.push("unknown template", &name),
            }
        }
        let preset = std::mem::take(&mut self.signal.direction);
        for (key, value) in std::mem::take(&mut keys.entries) {
            match key.as_str() {
                "via-branch" => self.signal.via_branch = request_read::name("via-branch", value)?,
                _ => self.option(&key, value, &mut keys.warnings)?,
            }
        }
        if self.signal.direction.is_empty() {
            self.signal.direction = preset;
        }
        Ok(())
    }

    /// Reads one key of the message, spelt with hyphens.
    pub(crate) fn option(
        &mut self,
        key: &str,
        value: &Value<'_>,
        warnings: &mut Warnings,
    ) -> Result<(), RequestError> {
        let signal = &mut self.signal;
        match key {
            "flags" => {
                for word in words(value) {
                    self.flag(word, warnings)?;
                }
            }
            "rtpp-flags" => self.rtpp_flags(value.as_str().unwrap_or_default(), warnings)?,
            "replace" => self.each("replace", value, warnings, Self::replace),
            "rtcp-mux" => self.each("rtcp-mux", value, warnings, Self::rtcp_mux),
            "OSRTP" => self.each("OSRTP", value, warnings, Self::osrtp),
            "DTLS" => self.each("DTLS", value, warnings, |reader, word| reader.signal.dtls.read(word)),
            "DTLS-reverse" => self
                .each("DTLS-reverse", value, warnings, |reader, word| reader.signal.dtls.read_reverse(word)),
            "SDES" => self.each("SDES", value, warnings, |reader, word| reader.signal.sdes.read(word)),
            "supports" => {
                signal.supports_load_limit |= words(value).any(|word| normal(word) == "load-limit");
            }
            "direction" => signal.direction = words(value).take(2).map(str::to_owned).collect(),
            "from-interface" => self.interface(0, value),
            "to-interface" => self.interface(1, value),
            "address-family" => match value.as_str() {
                Some("IP4" | "ip4") => signal.address_family = Some(Family::Ip4),
                Some("IP6" | "ip6") => signal.address_family = Some(Family::Ip6),
                _ => warn(warnings, key, value),
            },
            "transport-protocol" => match value.as_str().and_then(transport_protocol) {
                Some(protocol) => signal.transport_protocol = Some(protocol),
                None => warn(warnings, key, value),
            },
            "received-from" => match address(value) {
                Some(address) => signal.received_from = Some(address),
                None => warn(warnings, key, value),
            },
            "media-address" => match address(value) {
                Some(address) => signal.media_address = Some(address),
                None => warn(warnings, key, value),
            },
            "ICE" => match value.as_str().map(normal).as_deref() {
                Some("remove") => signal.ice = Some(Ice::Remove),
                Some("force") => signal.ice = Some(Ice::Force),
                Some("default") => signal.ice = Some(Ice::Default),
                Some("optional") => signal.ice = Some(Ice::Optional),
                Some("force-relay") => signal.ice = Some(Ice::ForceRelay),
                _ => warn(warnings, key, value),
            },
            "ICE-lite" => match value.as_str().map(normal).as_deref().and_then(IceLite::read) {
                Some(lite) => signal.ice_lite = Some(lite),
                None => warn(warnings, key, value),
            },
            "bundle" => self.each("bundle", value, warnings, Self::bundle),
            "endpoint-learning" => match value.as_str() {
                Some("delayed") => signal.learning = Some(Learning::Delayed),
                Some("immediate") => signal.learning = Some(Learning::Immediate),
                Some("heuristic") => signal.learning = Some(Learning::Heuristic),
                Some("off") => signal.learning = Some(Learning::Off),
                _ => warn(warnings, key, value),
            },
            "TOS" => {
                signal.tos = match value.as_integer() {
                    Some(..0) => Tos::Keep,
                    number => number.and_then(|tos| tos.try_into().ok()).map_or(Tos::Default, Tos::Byte),
                }
            }
            "label" | "from-label" => signal.label = request_read::name("label", value)?,
            "set-label" => signal.set_label = request_read::name("set-label", value)?,
            "to-label" => signal.to_label = request_read::name("to-label", value)?,
            "interface" => signal.interface = request_read::name("interface", value)?,
            "alias-key" => match value.as_str() {
                Some("SDP" | "sdp") => signal.alias_key = Some(AliasKey::Sdp),
                Some("address" | "endpoint") => signal.alias_key = Some(AliasKey::Address),
                _ => warn(warnings, key, value),
            },
            "delete-delay" => match value.as_integer().map(u32::try_from) {
                Some(Ok(seconds)) => signal.delete_delay = DeleteDelay::Seconds(seconds),
                // A negative number asks for the default.
                Some(Err(_)) => {}
                None => warn(warnings, key, value),
            },
            "tcp-media" => match value.as_str() {
                Some("reject") => signal.tcp_media_reject = true,
                Some("pass") => signal.tcp_media_reject = false,
                _ => warn(warnings, key, value),
            },
            "learn" => match value.as_str() {
                Some("strict") => signal.learn_strict = true,
                _ => warn(warnings, key, value),
            },
            "media-networks" => self.media_networks(value, warnings),
            "explain" => signal.explain = is_yes(value),
            "template" => {}
            "sip-message-type" => match value.as_str().map(normal).as_deref() {
                Some("sip-request") => signal.sip_message = Some(MessageKind::Request),
                Some("sip-reply") => signal.sip_message = Some(MessageKind::Response),
                _ => warn(warnings, key, value),
            },
            "owner" => signal.owner = Some(extension_text("owner", value)?),
            "epoch" => signal.epoch = Some(extension_number("epoch", value)?),
            "lease-ms" => signal.lease_ms = Some(extension_number("lease-ms", value)?),
            "keep-report" => signal.keep_report = is_yes(value),
            "record-call" => match value.as_str() {
                Some("no" | "off" | "0") => signal.record_call = Some(false),
                Some("yes" | "on" | "1") => signal.record_call = Some(true),
                _ if value.as_integer().is_some() => signal.record_call = Some(is_yes(value)),
                _ => warn(warnings, key, value),
            },
            _ if party_read::recording_option(&mut signal.recording, key, value) => {}
            _ if self.about_parties && PARTY_KEYS.contains(&key) => {}
            "codec" | "codec-accept" if self.wishes(key, value) => {}
            _ => match fate(key) {
                Fate::NoEffect => {}
                Fate::Ignored => warnings.push("not built, ignored:", key),
                Fate::Refused => self.unsupported(key, value),
                Fate::Unknown => warnings.push("unknown key", key),
            },
        }
        Ok(())
    }

    /// One word of `flags`, or of `rtpp-flags` without a value.
    fn flag(&mut self, word: &str, warnings: &mut Warnings) -> Result<(), RequestError> {
        if let Some((key, value)) = word.split_once('=') {
            return self.option(&normal(key), &Value::text(value), warnings);
        }
        let flag = normal(word);
        let signal = &mut self.signal;
        match flag.as_str() {
            "trust-address" => signal.trust = Trust::Sdp,
            "SIP-source-address" | "sip-source-address" => signal.trust = Trust::SipSource,
            "asymmetric" => signal.asymmetric = true,
            "symmetric" => signal.asymmetric = false,
            "strict-source" => signal.strict_source = true,
            "media-handover" => signal.media_handover = true,
            "port-latching" => signal.port_latching = Some(true),
            "no-port-latching" => signal.port_latching = Some(false),
            "generate-mid" => signal.generate_mid = true,
            "full-rtcp-attribute" => signal.rtcp_attribute = Some(true),
            "no-rtcp-attribute" => signal.rtcp_attribute = Some(false),
            "original-sendrecv" => signal.original_sendrecv = true,
            "loop-protect" => signal.loop_protect = true,
            "keep-report" => signal.keep_report = true,
            "reset" => signal.reset = true,
            "early-media" => signal.early_media = true,
            "generate-RTCP" => signal.generate_rtcp = true,
            "unidirectional" => signal.unidirectional = true,
            "no-tls-id" => signal.dtls.no_tls_id = true,
            "static-codecs" => signal.static_codecs = true,
            "explain" => signal.explain = true,
            "trickle-ICE" => signal.trickle_ice = true,
            "fragment" => signal.fragment = true,
            "WebRTC" | "webrtc" => webrtc::shorthand(signal),
            "record-call" | "start-recording" => signal.record_call = Some(true),
            "exclude-recording" => signal.recording.exclude = true,
            "discard-recording" => signal.recording.discard = true,
            "skip-recording-db" => signal.recording.skip_db = true,
            _ if self.about_parties && PARTY_FLAGS.contains(&flag.as_str()) => {}
            _ if flag
                .strip_prefix("codec-accept-")
                .is_some_and(|_| self.wish(&word["codec-accept-".len()..])) => {}
            _ => match fate(&flag) {
                Fate::NoEffect => {}
                Fate::Ignored => warnings.push("not built, ignored:", &flag),
                Fate::Refused => self.list_unsupported(flag),
                Fate::Unknown => return self.prefixed_flag(&flag, warnings),
            },
        }
        Ok(())
    }

    /// Codecs that are wished for; says whether this was all that the value says.
    fn wishes(&mut self, key: &str, value: &Value<'_>) -> bool {
        if self.accept.is_none() {
            return false;
        }
        let wishes = match value.entries() {
            Some(entries) if key == "codec" => {
                let (accept, others): (Vec<_>, Vec<_>) =
                    entries.iter().cloned().partition(|(name, _)| name.as_ref() == b"accept");
                if !others.is_empty() {
                    self.unsupported(key, &Value::Dictionary(others));
                }
                accept.into_iter().map(|(_, list)| list).collect()
            }
            _ if key == "codec" => return false,
            _ => vec![value.clone()],
        };
        wishes.iter().flat_map(words).all(|codec| self.wish(codec))
    }

    /// One such codec.
    fn wish(&mut self, codec: &str) -> bool {
        let Some(accept) = &mut self.accept else { return false };
        if accept.len() < Publish::ACCEPT_MAX {
            accept.push(clip(codec).to_owned());
        }
        true
    }

    /// A list option flattened into a flag: `replace-origin`.
    fn prefixed_flag(&mut self, flag: &str, warnings: &mut Warnings) -> Result<(), RequestError> {
        let party = self.about_parties && PARTY_PREFIXES.iter().any(|prefix| flag.starts_with(prefix));
        if party {
            return Ok(());
        }
        for key in FLAT_LISTS {
            let word = flag.strip_prefix(key).and_then(|rest| rest.strip_prefix('-'));
            if let Some(word) = word {
                return self.option(key, &Value::text(word), warnings);
            }
        }
        warnings.push("unknown flag", flag);
        Ok(())
    }

    /// All options in one text.
    pub(crate) fn rtpp_flags(&mut self, text: &str, warnings: &mut Warnings) -> Result<(), RequestError> {
        for item in rtpp_flags::parse(text) {
            match item {
                Item::Word(word) => {
                    if !self.transport_word(word) {
                        self.flag(word, warnings)?;
                    }
                }
                Item::Keyed("direction", value @ Value::Text(_)) => self.add_direction(&value),
                // Tags and branch stand beside the text too; a text inside it does not override them.
                Item::Keyed("rtpp-flags" | "rtpp_flags", _) | Item::Nested(_) => {
                    warnings.push("nested flags", "rtpp-flags");
                }
                Item::Keyed(key, value) => self.option(&normal(key), &value, warnings)?,
            }
        }
        Ok(())
    }

    /// Words from which the transport is put together; says whether this was one.
    fn transport_word(&mut self, word: &str) -> bool {
        if matches!(word, "internal" | "external") {
            self.add_direction(&Value::text(word));
            return true;
        }
        let mut profile = self.profile.unwrap_or_default();
        match word {
            "RTP" => profile.secure = false,
            "SRTP" => profile.secure = true,
            "AVP" => profile.feedback = false,
            "AVPF" => profile.feedback = true,
            "DTLS" => profile.dtls = true,
            _ => {
                let Some(protocol) = transport_protocol(word) else { return false };
                if protocol == TransportProtocol::Accept {
                    return false;
                }
                self.profile = None;
                self.signal.transport_protocol = Some(protocol);
                return true;
            }
        }
        self.profile = Some(profile);
        self.signal.transport_protocol = Some(profile.protocol());
        true
    }

    fn add_direction(&mut self, value: &Value<'_>) {
        if self.signal.direction.len() < 2 {
            self.signal.direction.extend(words(value).map(str::to_owned));
        }
    }

    /// One name of the pair, leaving the other as it is.
    fn interface(&mut self, side: usize, value: &Value<'_>) {
        let Some(name) = value.as_str() else { return };
        let direction = &mut self.signal.direction;
        direction.resize_with(direction.len().max(side + 1), String::new);
        direction[side] = name.to_owned();
    }

    fn each(
        &mut self,
        key: &str,
        value: &Value<'_>,
        warnings: &mut Warnings,
        set: impl Fn(&mut Self, &str) -> bool,
    ) {
        for word in words(value) {
            if !set(self, &normal(word)) {
                warnings.push(&format!("unknown value of '{key}'"), word);
            }
        }
    }

    fn replace(&mut self, word: &str) -> bool {
        let replace = &mut self.signal.replace;
        match word {
            "origin" => replace.origin = true,
            "origin-full" => replace.origin_full = true,
            "session-name" => replace.session_name = true,
            "sdp-version" | "SDP-version" => replace.sdp_version = true,
            "force-increment-sdp-ver" | "force-increment-SDP-version" | "force-increment-sdp-version" => {
                replace.force_increment_sdp_version = true;
            }
            "username" => replace.username = true,
            "zero-address" => replace.zero_address = true,
            // c= is always rewritten.
            "session-connection" => {}
            _ => return false,
        }
        true
    }

    fn media_networks(&mut self, value: &Value<'_>, warnings: &mut Warnings) {
        let networks = &mut self.signal.media_networks;
        for word in words(value) {
            match word.parse() {
                Ok(network) if networks.len() < Signal::MEDIA_NETWORKS_MAX => networks.push(network),
                _ => warnings.push("unknown value of 'media-networks'", word),
            }
        }
    }

    fn rtcp_mux(&mut self, word: &str) -> bool {
        let mux = &mut self.signal.rtcp_mux;
        match word {
            "offer" => mux.offer = true,
            "require" => mux.require = true,
            "demux" => mux.demux = true,
            "accept" => mux.accept = true,
            "reject" => mux.reject = true,
            _ => return false,
        }
        true
    }

    fn osrtp(&mut self, word: &str) -> bool {
        let osrtp = &mut self.signal.osrtp;
        match word {
            "accept" | "accept-RFC" => osrtp.accept = true,
            "offer" | "offer-RFC" => osrtp.offer = true,
            // Each section twice, of which one is to be refused.
            "offer-legacy" | "accept-legacy" => self.list_unsupported(format!("OSRTP-{word}")),
            _ => return false,
        }
        true
    }

    fn bundle(&mut self, word: &str) -> bool {
        if ["require", "strict"].contains(&word) {
            self.list_unsupported(format!("bundle-{word}"));
            return true;
        }
        self.signal.bundle.read(word)
    }

    fn unsupported(&mut self, key: &str, value: &Value<'_>) {
        for (inner, _) in value.entries().unwrap_or_default() {
            self.list_unsupported(format!("{key}-{}", String::from_utf8_lossy(inner)));
        }
        match value.as_str() {
            None if value.entries().is_some() => {}
            Some(text) if !text.is_empty() => self.list_unsupported(format!("{key}={}", clip(text))),
            _ => self.list_unsupported(key.to_owned()),
        }
    }

    fn list_unsupported(&mut self, name: String) {
        let list = &mut self.signal.unsupported;
        if list.len() < UNSUPPORTED_MAX && !list.contains(&name) {
            list.push(clip(&name).to_owned());
        }
    }
}

impl Profile {
    fn protocol(self) -> TransportProtocol {
        match (self.dtls, self.secure, self.feedback) {
            (true, _, false) => TransportProtocol::UdpTlsRtpSavp,
            (true, _, true) => TransportProtocol::UdpTlsRtpSavpf,
            (false, false, false) => TransportProtocol::RtpAvp,
            (false, false, true) => TransportProtocol::RtpAvpf,
            (false, true, false) => TransportProtocol::RtpSavp,
            (false, true, true) => TransportProtocol::RtpSavpf,
        }
    }
}

fn warn(warnings: &mut Warnings, key: &str, value: &Value<'_>) {
    warnings.push(&format!("unknown value of '{key}'"), value.as_str().unwrap_or("(no text)"));
}

fn transport_protocol(word: &str) -> Option<TransportProtocol> {
    TransportProtocol::ALL.into_iter().find(|protocol| protocol.as_str() == word)
}

/// `[IP4, address]`, or the address alone.
fn address(value: &Value<'_>) -> Option<IpAddr> {
    let text = match value.items() {
        Some([_, address]) | Some([address]) => address.as_str()?,
        Some(_) => return None,
        None => value.as_str()?.rsplit([',', ' ']).next()?,
    };
    text.trim().trim_matches(['[', ']']).parse().ok()
}

/// Text of one of our own keys, where guessing would hand a call to the wrong driver.
pub(crate) fn extension_text(key: &'static str, value: &Value<'_>) -> Result<String, RequestError> {
    match value.as_str() {
        Some(text) if !text.is_empty() && text.len() <= Signal::NAME_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(RequestError::Extension(key)),
    }
}

/// Number of one of our own keys.
pub(crate) fn extension_number(key: &'static str, value: &Value<'_>) -> Result<u64, RequestError> {
    value.as_unsigned().ok_or(RequestError::Extension(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::read_document,
        request::{Command, Request},
        sdes::{Osrtp, Sdes},
        signal::{Replace, RtcpMux},
    };

    /// An offer with these options behind the required keys, written as JSON.
    fn offer(options: &str) -> (Signal, Vec<String>) {
        let document = format!(
            r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0"{}{options}}}"#,
            comma(options)
        );
        match read_document(document.as_bytes()).1 {
            Ok(Request { command: Command::Offer(signal), warnings }) => (*signal, warnings),
            other => panic!("{other:?}"),
        }
    }

    fn comma(options: &str) -> &'static str {
        if options.is_empty() { "" } else { "," }
    }

    fn plain() -> Signal {
        Signal {
            call_id: "c".to_owned(),
            from_tag: "f".to_owned(),
            sdp: b"v=0".to_vec(),
            ..Signal::default()
        }
    }

    /// Bytes of Kamailio 5.6.3, with "trust-address replace-origin replace-session-connection ICE=remove rtcp-mux-demux RTP/AVP
    /// direction=pub direction=priv SDES-off codec-strip-G722 via-branch=1 TOS=184 address-family=IP4".
    #[test]
    fn what_kamailio_5_6_sends_is_understood_without_a_warning() {
        let document = b"d8:supportsl10:load limite3:sdp3:v=03:ICE6:remove3:TOSi184e14:address-family3:IP4\
            9:directionl3:pub4:prive5:flagsl13:trust-addresse7:replacel6:origin18:session-connectione\
            5:codecd5:stripl4:G722ee18:transport-protocol7:RTP/AVP8:rtcp-muxl5:demuxe4:SDESl3:offe\
            7:call-id8:kam-call10:via-branch14:z9hG4bKINVITE113:received-froml3:IP410:127.44.0.1e\
            8:from-tag2:ft7:command5:offere";
        let Ok(Request { command: Command::Offer(signal), warnings }) = read_document(document).1 else {
            panic!("an offer")
        };
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(
            *signal,
            Signal {
                call_id: "kam-call".to_owned(),
                from_tag: "ft".to_owned(),
                via_branch: Some("z9hG4bKINVITE1".to_owned()),
                replace: Replace { origin: true, ..Replace::default() },
                ice: Some(Ice::Remove),
                tos: Tos::Byte(184),
                address_family: Some(Family::Ip4),
                direction: vec!["pub".to_owned(), "priv".to_owned()],
                transport_protocol: Some(TransportProtocol::RtpAvp),
                rtcp_mux: RtcpMux { demux: true, ..RtcpMux::default() },
                sdes: Sdes { off: true, ..Sdes::default() },
                received_from: "127.44.0.1".parse().ok(),
                supports_load_limit: true,
                unsupported: vec!["codec-strip".to_owned()],
                ..plain()
            }
        );
    }

    #[test]
    fn lists_flags_and_flag_text_are_one_language() {
        let expected = Signal {
            replace: Replace { origin: true, session_name: true, ..Replace::default() },
            trust: Trust::SipSource,
            rtcp_mux: RtcpMux { offer: true, ..RtcpMux::default() },
            ice: Some(Ice::Force),
            transport_protocol: Some(TransportProtocol::RtpAvpf),
            direction: vec!["int".to_owned(), "ext".to_owned()],
            sdes: Sdes { only: vec!["AES-CM-128-HMAC-SHA1-80".to_owned()], pad: true, ..Sdes::default() },
            osrtp: Osrtp { accept: true, ..Osrtp::default() },
            learning: Some(Learning::Immediate),
            ..plain()
        };
        for options in [
            r#""replace":["origin","session-name"],"flags":["SIP-source-address"],"rtcp-mux":["offer"],"ICE":"force",
               "transport-protocol":"RTP/AVPF","direction":["int","ext"],"endpoint-learning":"immediate",
               "SDES":["only-AES_CM_128_HMAC_SHA1_80","pad"],"OSRTP":["accept"]"#,
            r#""replace":"origin,session_name","flags":"SIP source address, endpoint-learning-immediate","rtcp_mux":"offer",
               "ICE":"force","transport protocol":"RTP/AVPF","direction":"int,ext","SDES":"pad,only-AES_CM_128_HMAC_SHA1_80","OSRTP":"accept-RFC""#,
            r#""flags":["replace-origin","replace session name","SIP_source_address","rtcp-mux-offer","ICE=force",
               "endpoint-learning=immediate","transport-protocol=RTP/AVPF","SDES-only-AES_CM_128_HMAC_SHA1_80","SDES-pad",
               "OSRTP-accept"],"from-interface":"int","to-interface":"ext""#,
            r#""rtpp-flags":"replace-origin replace=[session-name] SIP-source-address rtcp-mux=[offer] ICE=force RTP AVPF endpoint-learning=immediate direction=int direction=ext SDES-pad SDES=[only-AES_CM_128_HMAC_SHA1_80] OSRTP-accept""#,
            r#""rtpp flags":"replace=[origin session-name] SIP-source-address rtcp-mux-offer ICE=force RTP/AVPF endpoint_learning=immediate direction=[int ext] SDES=[only-AES_CM_128_HMAC_SHA1_80 pad] OSRTP=[accept]""#,
        ] {
            assert_eq!(offer(options), (expected.clone(), Vec::new()), "{options}");
        }
    }

    #[test]
    fn transports_are_put_together_from_words() {
        for (text, protocol) in [
            ("SRTP AVP", TransportProtocol::RtpSavp),
            ("AVPF SRTP", TransportProtocol::RtpSavpf),
            ("DTLS AVPF", TransportProtocol::UdpTlsRtpSavpf),
            ("DTLS SRTP", TransportProtocol::UdpTlsRtpSavp),
            ("SRTP RTP", TransportProtocol::RtpAvp),
            ("UDP/TLS/RTP/SAVP", TransportProtocol::UdpTlsRtpSavp),
        ] {
            let (signal, warnings) = offer(&format!(r#""rtpp-flags":"{text}""#));
            assert_eq!((signal.transport_protocol, warnings), (Some(protocol), Vec::new()), "{text}");
        }
    }

    #[test]
    fn what_browsers_want_is_read_in_each_spelling_and_in_one_word() {
        let expected = Signal {
            ice: Some(Ice::Force),
            ice_lite: Some(IceLite::Backward),
            trickle_ice: true,
            fragment: true,
            bundle: crate::Bundle { accept: true, ..crate::Bundle::default() },
            ..plain()
        };
        for options in [
            r#""ICE":"force","ICE-lite":"backward","bundle":["accept"],"flags":["trickle-ICE","fragment"]"#,
            r#""flags":["ICE-force","ICE-lite-backward","bundle-accept","trickle ICE","fragment"]"#,
            r#""rtpp-flags":"ICE=force ICE-lite=backward bundle=[accept] trickle-ICE fragment""#,
        ] {
            assert_eq!(offer(options), (expected.clone(), Vec::new()), "{options}");
        }
        let (signal, warnings) = offer(r#""flags":["WebRTC"]"#);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(signal.transport_protocol, Some(TransportProtocol::UdpTlsRtpSavpf));
        assert_eq!((signal.ice, signal.rtcp_attribute), (Some(Ice::Force), Some(false)));
        assert!(signal.trickle_ice && signal.generate_mid && signal.sdes.off && signal.bundle.offer);
        assert!(signal.rtcp_mux.offer && signal.rtcp_mux.require);
        let (signal, warnings) = offer(r#""bundle":["require"],"ICE-lite":"sideways""#);
        assert_eq!((signal.unsupported, warnings.len()), (vec!["bundle-require".to_owned()], 1));
    }

    #[test]
    fn options_that_are_not_built_are_carried_by_name() {
        let (signal, warnings) = offer(
            r#""codec":{"strip":["all"],"offer":["PCMA"]},"T.38":["decode"],"ptime":20,"DTLS":"off","SDES":["off"],
               "flags":["codec-transcode-opus","media-echo-blackhole","inactive","OSRTP-offer-legacy","OSRTP-accept"]"#,
        );
        assert_eq!(
            signal.unsupported,
            [
                "codec-strip",
                "codec-offer",
                "T.38",
                "ptime",
                "codec-transcode-opus",
                "media-echo-blackhole",
                "inactive",
                "OSRTP-offer-legacy"
            ]
        );
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_flags_and_values_warn_and_change_nothing() {
        let (signal, warnings) = offer(
            r#""bogus":1,"flags":["nonsense"],"replace":["nothing"],"ICE":"perhaps","transport-protocol":"RTP/FOO",
               "address-family":"IP5","received-from":["IP4","somewhere"],"TOS":4711,"sdp":"v=1""#,
        );
        // Of repeated keys JSON takes the last.
        assert_eq!(signal, Signal { sdp: b"v=1".to_vec(), ..plain() });
        assert_eq!(
            warnings,
            [
                "unknown key 'bogus'",
                "unknown flag 'nonsense'",
                "unknown value of 'replace' 'nothing'",
                "unknown value of 'ICE' 'perhaps'",
                "unknown value of 'transport-protocol' 'RTP/FOO'",
                "unknown value of 'address-family' 'IP5'",
                "unknown value of 'received-from' '(no text)'",
            ]
        );
    }

    #[test]
    fn warnings_and_names_are_bounded() {
        let flags: Vec<String> = (0..1000).map(|n| format!("\"{}{n}\"", "é".repeat(100))).collect();
        let (_, warnings) = offer(&format!(r#""flags":[{}]"#, flags.join(",")));
        assert_eq!(warnings.len(), Request::WARNINGS_MAX);
        assert!(warnings.iter().all(|warning| warning.chars().count() < 100));
        let codecs: Vec<String> = (0..1000).map(|n| format!("\"codec-strip-{n}\"")).collect();
        let (signal, _) = offer(&format!(r#""flags":[{}]"#, codecs.join(",")));
        assert_eq!(signal.unsupported.len(), UNSUPPORTED_MAX);
    }

    #[test]
    fn our_own_keys_are_strict() {
        let (signal, _) = offer(r#""owner":"control-1","epoch":"7","lease-ms":60000,"keep-report":"yes""#);
        assert_eq!(
            (signal.owner.as_deref(), signal.epoch, signal.lease_ms, signal.keep_report),
            (Some("control-1"), Some(7), Some(60_000), true)
        );
        for (options, key) in [
            (r#""owner":"""#, "owner"),
            (r#""owner":7"#, "owner"),
            (r#""epoch":-1"#, "epoch"),
            (r#""lease-ms":"soon""#, "lease-ms"),
        ] {
            let document =
                format!(r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0",{options}}}"#);
            assert_eq!(read_document(document.as_bytes()).1, Err(RequestError::Extension(key)));
        }
    }

    #[test]
    fn addresses_come_in_three_spellings() {
        for options in [
            r#""received-from":["IP6","2001:db8::1"]"#,
            r#""received-from":"2001:db8::1""#,
            r#""received-from":"IP6,2001:db8::1""#,
        ] {
            assert_eq!(offer(options).0.received_from, "2001:db8::1".parse().ok(), "{options}");
        }
    }
}
