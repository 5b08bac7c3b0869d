//! The options of an `offer` or `answer`, in every spelling, into one [`Signal`].

use std::net::IpAddr;

use crate::{
    envelope::RequestError,
    rtpp_flags::{self, Item},
    signal::{Family, Ice, Learning, MessageKind, Signal, TransportProtocol, Trust},
    spelling::{Warnings, clip, is_yes, normal, words},
    value::Value,
};

/// Reads options one by one into a signal.
#[derive(Debug, Default)]
pub(crate) struct SignalReader {
    pub(crate) signal: Signal,
    profile: Option<Profile>,
}

/// A transport put together from the words of `rtpp-flags`.
#[derive(Debug, Clone, Copy, Default)]
struct Profile {
    secure: bool,
    feedback: bool,
    dtls: bool,
}

/// More options that are not built than this are not listed.
const UNSUPPORTED_MAX: usize = 32;

impl SignalReader {
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
            "endpoint-learning" => match value.as_str() {
                Some("delayed") => signal.learning = Some(Learning::Delayed),
                Some("immediate") => signal.learning = Some(Learning::Immediate),
                Some("heuristic") => signal.learning = Some(Learning::Heuristic),
                Some("off") => signal.learning = Some(Learning::Off),
                _ => warn(warnings, key, value),
            },
            // A number outside a byte asks for the default.
            "TOS" => signal.tos = value.as_integer().and_then(|tos| u8::try_from(tos).ok()),
            "label" | "from-label" => signal.label = value.as_str().map(str::to_owned),
            "sip-message-type" => match value.as_str().map(normal).as_deref() {
                Some("sip-request") => signal.sip_message = Some(MessageKind::Request),
                Some("sip-reply") => signal.sip_message = Some(MessageKind::Response),
                _ => warn(warnings, key, value),
            },
            "owner" => signal.owner = Some(extension_text("owner", value)?),
            "epoch" => signal.epoch = Some(extension_number("epoch", value)?),
            "lease-ms" => signal.lease_ms = Some(extension_number("lease-ms", value)?),
            "keep-report" => signal.keep_report = is_yes(value),
            "record-call" if matches!(value.as_str(), Some("no" | "off")) => {}
            _ if is_without_effect(key) => {}
            _ if is_not_built(key) => self.unsupported(key, value),
            _ => warnings.push("unknown key", key),
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
            _ if is_without_effect(&flag) => {}
            _ if is_not_built(&flag) => self.list_unsupported(flag),
            _ => return self.prefixed_flag(&flag, warnings),
        }
        Ok(())
    }

    /// A list option flattened into a flag: `replace-origin`.
    fn prefixed_flag(&mut self, flag: &str, warnings: &mut Warnings) -> Result<(), RequestError> {
        for key in ["replace", "rtcp-mux", "endpoint-learning", "OSRTP", "ICE", "address-family"] {
            let word = flag.strip_prefix(key).and_then(|rest| rest.strip_prefix('-'));
            if let Some(word) = word {
                return self.option(key, &Value::text(word), warnings);
            }
        }
        warnings.push("unknown flag", flag);
        Ok(())
    }

    fn rtpp_flags(&mut self, text: &str, warnings: &mut Warnings) -> Result<(), RequestError> {
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

    /// Best-effort SRTP: accepting it says nothing to a plain offer, offering it adds keys.
    fn osrtp(&mut self, word: &str) -> bool {
        match word {
            "accept" | "accept-RFC" | "accept-legacy" => true,
            "offer" | "offer-RFC" | "offer-legacy" => {
                self.list_unsupported(format!("OSRTP-{word}"));
                true
            }
            _ => false,
        }
    }

    fn unsupported(&mut self, key: &str, value: &Value<'_>) {
        match value.as_str() {
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

/// Options that change nothing for plain RTP relayed as it comes: obsolete ones, and those that
/// only govern what other, refused options would start.
fn is_without_effect(option: &str) -> bool {
    const EXACT: &[&str] = &[
        "allow-asymmetric-codecs",
        "allow-no-codec-media",
        "allow-transcoding",
        "asymmetric-codecs",
        "DTLS",
        "DTLS-fingerprint",
        "DTLS-reverse",
        "debug",
        "directional",
        "discard-recording",
        "drop-traffic-stop",
        "early-media",
        "exclude-recording",
        "from-tags",
        "ICE-lite",
        "metadata",
        "no-jitter-buffer",
        "no-passthrough",
        "no-redis-update",
        "no-tls-id",
        "passthrough",
        "provisional",
        "recording-dir",
        "recording-file",
        "recording-pattern",
        "recrypt",
        "reject-ICE",
        "reorder-codecs",
        "reset",
        "reuse-codecs",
        "SDES",
        "SIP-code",
        "sip-code",
        "skip-recording-db",
        "static-codecs",
        "symmetric-codecs",
        "to-tag",
        "trickle-ICE",
        "unidirectional",
    ];
    const PREFIXES: &[&str] = &["DTLS-", "ICE-lite-", "SDES-"];
    EXACT.contains(&option) || PREFIXES.iter().any(|prefix| option.starts_with(prefix))
}

/// Options that the protocol knows, that change what a party gets, and that are not built here.
fn is_not_built(option: &str) -> bool {
    const EXACT: &[&str] = &[
        "all",
        "always-transcode",
        "audio-player",
        "block-DTMF",
        "block-egress",
        "block-short",
        "bundle",
        "codec",
        "DTMF-delay",
        "DTMF-log-dest",
        "DTMF-security",
        "DTMF-security-trigger",
        "DTMF-security-trigger-end",
        "delay-buffer",
        "delete-delay",
        "detect-DTMF",
        "drop-traffic",
        "drop-traffic-start",
        "extmap",
        "force-transcoding",
        "fragment",
        "frequencies",
        "frequency",
        "generate-RTCP",
        "inactive",
        "inject-DTMF",
        "interface",
        "media-echo",
        "mix",
        "moh",
        "NAT-wait",
        "new-branch",
        "out-interface",
        "pierce-NAT",
        "ptime",
        "ptime-reverse",
        "RTCP-mirror",
        "record-call",
        "recording-announcement",
        "sdp-attr",
        "set-label",
        "single-codec",
        "start-recording",
        "T.38",
        "T38",
        "template",
        "to-label",
        "transcode",
        "volume",
        "WebRTC",
        "webrtc",
        "xmlrpc-callback",
    ];
    const PREFIXES: &[&str] = &[
        "bundle-",
        "codec-",
        "DTMF-security-",
        "extmap-",
        "media-echo-",
        "sdp-attr-",
        "T.38-",
        "T38-",
        "transcode-",
    ];
    EXACT.contains(&option) || PREFIXES.iter().any(|prefix| option.starts_with(prefix))
}
