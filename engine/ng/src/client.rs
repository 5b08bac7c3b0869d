//! The asking side: commands into text, text into replies.

use std::net::IpAddr;

use thiserror::Error;

use crate::{
    bencode,
    envelope::{Encoding, Envelope},
    json,
    party::All,
    party_write,
    reply::{CallList, Explained, Reply, SignalReply},
    report_value,
    request::{Command, Delete, DeleteDelay},
    signal::{AliasKey, Family, Ice, Learning, MessageKind, Signal, Tos, Trust},
    statistics::{StatisticsReply, read_sections},
    value::{Fields, Value},
    webrtc::IceLite,
};

impl Command {
    /// The datagram that asks this.
    ///
    /// `cookie` is chosen by the client, the same for every repetition of one question; it has
    /// no blank and at most [`Envelope::COOKIE_BYTES_MAX`] bytes.
    pub fn datagram(&self, cookie: &str, encoding: Encoding) -> Vec<u8> {
        debug_assert!(!cookie.contains(' ') && (1..=Envelope::COOKIE_BYTES_MAX).contains(&cookie.len()));
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(cookie.as_bytes());
        out.push(b' ');
        self.encode(encoding, &mut out);
        out
    }

    /// Appends the document that asks this. What [`Signal::unsupported`] lists is not written.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        encoding.write(&self.value(), out);
    }

    /// The command's name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Ping(_) => "ping",
            Self::Offer(_) => "offer",
            Self::Answer(_) => "answer",
            Self::Delete(_) => "delete",
            Self::Query(_) => "query",
            Self::List(_) => "list",
            Self::Gate(gate) => gate.action.as_str(),
            Self::Lease(_) => "lease",
            Self::ReportAck(_) => "report ack",
            Self::Events(_) => "events",
            Self::StartRecording(_) => "start recording",
            Self::StopRecording(_) => "stop recording",
            Self::PauseRecording(_) => "pause recording",
            Self::SubscribeRequest(_) => "subscribe request",
            Self::SubscribeAnswer(_) => "subscribe answer",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Publish(_) => "publish",
            Self::Connect(_) => "connect",
            Self::Statistics => "statistics",
            Self::Cli(_) => "cli",
            Self::Unsupported { name, .. } => name,
        }
    }

    /// The call it is about; `None` for commands about the engine.
    pub fn call_id(&self) -> Option<&str> {
        match self {
            Self::Offer(signal) | Self::Answer(signal) => Some(&signal.call_id),
            Self::Delete(delete) => Some(&delete.call_id),
            Self::Query(query) => Some(&query.call_id),
            Self::Gate(gate) => Some(&gate.call_id),
            Self::Lease(lease) => Some(&lease.call_id),
            Self::ReportAck(ack) => Some(&ack.call_id),
            Self::StartRecording(recording)
            | Self::StopRecording(recording)
            | Self::PauseRecording(recording) => Some(&recording.call_id),
            Self::SubscribeRequest(request) => Some(&request.signal.call_id),
            Self::SubscribeAnswer(answer) => Some(&answer.signal.call_id),
            Self::Unsubscribe(unsubscribe) => Some(&unsubscribe.call_id),
            Self::Publish(publish) => Some(&publish.signal.call_id),
            Self::Connect(connect) => Some(&connect.signal.call_id),
            Self::Unsupported { call_id, .. } => call_id.as_deref(),
            Self::Ping(_) | Self::List(_) | Self::Events(_) | Self::Statistics | Self::Cli(_) => None,
        }
    }

    fn value(&self) -> Value<'_> {
        let mut fields = Fields::default();
        fields.put_text("command", self.name()).put_some("call-id", self.call_id());
        match self {
            Self::Ping(ping) => {
                fields.put_some("owner", ping.owner.as_deref());
            }
            Self::Offer(signal) | Self::Answer(signal) => put_signal(signal, &mut fields, &[]),
            Self::Delete(delete) => put_delete(delete, &mut fields),
            Self::Query(query) => {
                fields
                    .put_some("from-tag", query.from_tag.as_deref())
                    .put_some("to-tag", query.to_tag.as_deref());
            }
            Self::List(list) => {
                fields.put_number("limit", list.limit).put_some("owner", list.owner.as_deref());
            }
            Self::Gate(gate) => {
                fields
                    .put_some("from-tag", gate.from_tag.as_deref())
                    .put_some("label", gate.label.as_deref());
                if let Some(address) = gate.address {
                    fields.put("address", Value::owned(address.to_string()));
                }
                if gate.all {
                    fields.put("flags", word_list(["all"]));
                }
                if gate.ways != All::Unsaid {
                    fields.put_text("all", gate.ways.as_str());
                }
                fields
                    .put_some("to-label", gate.to_label.as_deref())
                    .put_some("set-label", gate.set_label.as_deref());
            }
            Self::Lease(lease) => {
                fields
                    .put_text("owner", &lease.owner)
                    .put_number("epoch", lease.epoch)
                    .put_number("lease-ms", lease.lease_ms);
            }
            Self::ReportAck(ack) => {
                fields.put_some("owner", ack.owner.as_deref());
                put_optional(&mut fields, "epoch", ack.epoch);
            }
            Self::Events(events) => {
                fields
                    .put_number("since", events.since)
                    .put_number("wait-ms", events.wait_ms)
                    .put_some("owner", events.owner.as_deref());
            }
            other => party_write::put(other, &mut fields),
        }
        fields.done()
    }
}

/// Writes the tags and options; `more` flags stand beside those of the signal.
pub(crate) fn put_signal<'a>(signal: &'a Signal, fields: &mut Fields<'a>, more: &[(bool, &'static str)]) {
    if !signal.from_tag.is_empty() {
        fields.put_text("from-tag", &signal.from_tag);
    }
    fields
        .put_some("to-tag", signal.to_tag.as_deref())
        .put_some("via-branch", signal.via_branch.as_deref())
        .put_some("label", signal.label.as_deref())
        .put("sdp", Value::text(&signal.sdp));
    if signal.supports_load_limit {
        fields.put("supports", word_list(["load limit"]));
    }
    let replace = signal.replace;
    put_words(
        fields,
        "replace",
        &[
            (replace.origin, "origin"),
            (replace.origin_full, "origin-full"),
            (replace.session_name, "session-name"),
            (replace.sdp_version, "sdp-version"),
            (replace.force_increment_sdp_version, "force-increment-sdp-ver"),
            (replace.username, "username"),
            (replace.zero_address, "zero-address"),
        ],
    );
    let mux = signal.rtcp_mux;
    put_words(
        fields,
        "rtcp-mux",
        &[
            (mux.offer, "offer"),
            (mux.require, "require"),
            (mux.demux, "demux"),
            (mux.accept, "accept"),
            (mux.reject, "reject"),
        ],
    );
    let bundle = signal.bundle;
    let bundle = [(bundle.offer, "offer"), (bundle.accept, "accept"), (bundle.reject, "reject")];
    put_words(fields, "bundle", &bundle);
    let mut flags = more.to_vec();
    flags.extend([
        (signal.trickle_ice, "trickle-ICE"),
        (signal.fragment, "fragment"),
        (signal.dtls.no_tls_id, "no-tls-id"),
        (signal.trust == Trust::SipSource, "SIP-source-address"),
        (signal.asymmetric, "asymmetric"),
        (signal.strict_source, "strict-source"),
        (signal.media_handover, "media-handover"),
        (signal.port_latching == Some(true), "port-latching"),
        (signal.port_latching == Some(false), "no-port-latching"),
        (signal.generate_mid, "generate-mid"),
        (signal.rtcp_attribute == Some(true), "full-rtcp-attribute"),
        (signal.rtcp_attribute == Some(false), "no-rtcp-attribute"),
        (signal.original_sendrecv, "original-sendrecv"),
        (signal.loop_protect, "loop-protect"),
        (signal.reset, "reset"),
        (signal.early_media, "early-media"),
        (signal.generate_rtcp, "generate-RTCP"),
        (signal.unidirectional, "unidirectional"),
        (signal.static_codecs, "static-codecs"),
        (signal.explain, "explain"),
        (signal.recording.exclude, "exclude-recording"),
        (signal.recording.discard, "discard-recording"),
        (signal.recording.skip_db, "skip-recording-db"),
    ]);
    put_words(fields, "flags", &flags);
    fields
        .put_some("set-label", signal.set_label.as_deref())
        .put_some("to-label", signal.to_label.as_deref())
        .put_some("interface", signal.interface.as_deref())
        .put_some(
            "alias-key",
            signal.alias_key.map(|key| match key {
                AliasKey::Sdp => "SDP",
                AliasKey::Address => "address",
            }),
        )
        .put_some("record-call", signal.record_call.map(|on| if on { "on" } else { "off" }));
    party_write::put_options(&signal.recording, fields);
    if let DeleteDelay::Seconds(seconds) = signal.delete_delay {
        fields.put_number("delete-delay", seconds);
    }
    if signal.tcp_media_reject {
        fields.put_text("tcp-media", "reject");
    }
    if signal.learn_strict {
        fields.put_text("learn", "strict");
    }
    if !signal.media_networks.is_empty() {
        let networks = signal.media_networks.iter().map(|network| Value::owned(network.to_string()));
        fields.put("media-networks", Value::List(networks.collect()));
    }
    match signal.direction.as_slice() {
        [] => {}
        names if names.iter().all(|name| !name.is_empty()) => {
            fields.put("direction", word_list(names.iter().map(String::as_str)));
        }
        names => {
            for (key, name) in ["from-interface", "to-interface"].into_iter().zip(names) {
                fields.put_some(key, Some(name.as_str()).filter(|name| !name.is_empty()));
            }
        }
    }
    let family = signal.address_family.map(|family| match family {
        Family::Ip4 => "IP4",
        Family::Ip6 => "IP6",
    });
    let ice = signal.ice.map(|ice| match ice {
        Ice::Remove => "remove",
        Ice::Force => "force",
        Ice::Default => "default",
        Ice::Optional => "optional",
        Ice::ForceRelay => "force-relay",
    });
    let learning = signal.learning.map(|learning| match learning {
        Learning::Delayed => "delayed",
        Learning::Immediate => "immediate",
        Learning::Heuristic => "heuristic",
        Learning::Off => "off",
    });
    let message = signal.sip_message.map(|kind| match kind {
        MessageKind::Request => "sip_request",
        MessageKind::Response => "sip_reply",
    });
    fields
        .put_some("address-family", family)
        .put_some("transport-protocol", signal.transport_protocol.map(|protocol| protocol.as_str()))
        .put_some("ICE", ice)
        .put_some("ICE-lite", signal.ice_lite.map(IceLite::as_str))
        .put_some("endpoint-learning", learning)
        .put_some("sip-message-type", message);
    fields.put_some("DTLS", signal.dtls.word());
    fields.put_some("DTLS-reverse", signal.dtls.reverse_passive.then_some("passive"));
    let sdes = signal.sdes.words();
    if !sdes.is_empty() {
        fields.put("SDES", Value::List(sdes.into_iter().map(Value::owned).collect()));
    }
    put_words(fields, "OSRTP", &[(signal.osrtp.offer, "offer"), (signal.osrtp.accept, "accept")]);
    if let Some(address) = signal.received_from {
        let family = if matches!(address, IpAddr::V4(_)) { "IP4" } else { "IP6" };
        fields
            .put("received-from", Value::List(vec![Value::text(family), Value::owned(address.to_string())]));
    }
    if let Some(address) = signal.media_address {
        fields.put("media-address", Value::owned(address.to_string()));
    }
    let tos = match signal.tos {
        Tos::Default => None,
        Tos::Keep => Some(Value::Integer(-1)),
        Tos::Byte(tos) => Some(Value::Integer(tos.into())),
    };
    if let Some(tos) = tos {
        fields.put("TOS", tos);
    }
    fields.put_some("owner", signal.owner.as_deref());
    put_optional(fields, "epoch", signal.epoch);
    put_optional(fields, "lease-ms", signal.lease_ms);
    put_optional(fields, "keep-report", signal.keep_report.then_some(1));
}

fn put_delete<'a>(delete: &'a Delete, fields: &mut Fields<'a>) {
    fields
        .put_some("from-tag", delete.from_tag.as_deref())
        .put_some("to-tag", delete.to_tag.as_deref())
        .put_some("via-branch", delete.via_branch.as_deref());
    put_words(
        fields,
        "flags",
        &[(delete.fatal, "fatal"), (delete.fast, "fast"), (delete.honour_to_tag, "to-tag")],
    );
    if let DeleteDelay::Seconds(seconds) = delete.delay {
        fields.put_number("delete-delay", seconds);
    }
    fields.put_some("owner", delete.owner.as_deref());
    put_optional(fields, "epoch", delete.epoch);
    put_optional(fields, "keep-report", delete.keep_report.then_some(1));
}

pub(crate) fn put_words<'a>(fields: &mut Fields<'a>, key: &'a str, words: &[(bool, &'static str)]) {
    let mut chosen = words.iter().filter(|(chosen, _)| *chosen).map(|(_, word)| *word).peekable();
    if chosen.peek().is_some() {
        fields.put(key, word_list(chosen));
    }
}

fn put_optional<'a>(fields: &mut Fields<'a>, key: &'a str, number: Option<impl TryInto<i64>>) {
    if let Some(number) = number {
        fields.put_number(key, number);
    }
}

pub(crate) fn word_list<'a>(words: impl IntoIterator<Item = &'a str>) -> Value<'a> {
    Value::List(words.into_iter().map(Value::text).collect())
}

/// A reply that was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ReplyError {
    /// Neither bencode nor JSON.
    #[error("malformed document")]
    Malformed,
    /// No `result`, or keys that fit no reply.
    #[error("unexpected shape")]
    Shape,
}

impl Reply {
    /// Reads the document of a reply; its keys say what it is.
    ///
    /// # Errors
    /// See [`ReplyError`].
    pub fn parse(document: &[u8]) -> Result<Self, ReplyError> {
        if document.len() > Envelope::DOCUMENT_BYTES_MAX {
            return Err(ReplyError::Malformed);
        }
        let tree = match document.first() {
            Some(b'd') => bencode::parse(document).map_err(|_| ReplyError::Malformed)?.0,
            Some(b'{') => json::parse(document).map_err(|_| ReplyError::Malformed)?,
            _ => return Err(ReplyError::Malformed),
        };
        Self::from_value(&tree).ok_or(ReplyError::Shape)
    }

    fn from_value(tree: &Value<'_>) -> Option<Self> {
        let text = |key| tree.get(key).and_then(Value::as_bytes).map(lossy);
        match tree.get("result")?.as_str()? {
            "pong" => Some(Self::Pong { instance: text("instance") }),
            "error" => Some(Self::Error(text("error-reason").unwrap_or_default())),
            "load limit" => Some(Self::LoadLimit(text("message").unwrap_or_default())),
            "ok" if tree.get("sdp").is_some() => Some(Self::Signal(SignalReply {
                sdp: tree.get("sdp")?.as_bytes()?.to_vec(),
                warning: text("warning"),
                from_tags: names(tree.get("from-tags"))?,
                to_tag: text("to-tag"),
                explain: match tree.get("explain") {
                    Some(lines) => lines.items()?.iter().map(Explained::read).collect::<Option<_>>()?,
                    None => Vec::new(),
                },
            })),
            "ok" if tree.get("calls").is_some() => Some(Self::List(CallList {
                calls: names(tree.get("calls"))?,
                ended: names(tree.get("ended"))?,
            })),
            "ok" if tree.get("events").is_some() => report_value::events(tree).map(Self::Events),
            "ok" if tree.get("tags").is_some() => {
                report_value::report(tree).map(|report| Self::Report(Box::new(report)))
            }
            "ok" if let Some(sections) = tree.get("statistics") => {
                Some(Self::Statistics(StatisticsReply { sections: read_sections(sections) }))
            }
            "ok" if tree.get("response").is_some() => Some(Self::Cli(text("response")?)),
            "ok" => Some(Self::Ok { warning: text("warning") }),
            _ => None,
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(list: Option<&Value<'_>>) -> Option<Vec<String>> {
    let Some(list) = list else { return Some(Vec::new()) };
    list.items()?.iter().map(|name| name.as_bytes().map(lossy)).collect()
}
