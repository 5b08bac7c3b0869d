//! An engine that answers SDP with SDP and remembers who drives its calls.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ng::{
    CallList, CallReport, Command, EndReason, Ended, MediaQuality, MediaStatus, Reply, SignalReply,
    StreamCounters, StreamStatus, TagStatus,
};

/// One engine process.
pub(crate) struct ModelEngine {
    pub(crate) instance: String,
    pub(crate) up: bool,
    pub(crate) calls: BTreeMap<String, EngineCall>,
    /// Offers and answers get this error.
    pub(crate) refusing: Option<&'static str>,
    pub(crate) epochs: BTreeMap<String, u64>,
}

/// One call there.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineCall {
    pub(crate) lease_ms: u64,
    pub(crate) ended: Option<Ended>,
    /// Where each description was said to come from, in order.
    pub(crate) sources: Vec<Option<IpAddr>>,
    /// Each description and whether it was an answer, in order.
    pub(crate) heard: Vec<(bool, String)>,
    /// The profile that each was to be passed on in, in order.
    pub(crate) signals: Vec<ng::Signal>,
    /// Whether each was said to come before the answer, in order.
    pub(crate) early: Vec<bool>,
}

impl ModelEngine {
    pub(crate) fn new(instance: &str) -> Self {
        Self {
            instance: instance.into(),
            up: true,
            calls: BTreeMap::new(),
            refusing: None,
            epochs: BTreeMap::new(),
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.calls.values().filter(|call| call.ended.is_none()).count()
    }

    /// The answer to a command; none from a dead engine.
    pub(crate) fn answer(&mut self, wall_ms: u64, command: &Command) -> Option<Reply> {
        if !self.up {
            return None;
        }
        Some(match command {
            Command::Offer(signal) | Command::Answer(signal) => {
                let owner = signal.owner.clone().expect("our calls have an owner");
                let epoch = signal.epoch.expect("our calls have an epoch");
                let seen = self.epochs.entry(owner).or_insert(epoch);
                if epoch < *seen {
                    return Some(Reply::Error(Reply::STALE_EPOCH.into()));
                }
                *seen = epoch;
                if let Some(text) = self.refusing {
                    return Some(Reply::Error(text.into()));
                }
                let is_answer = matches!(command, Command::Answer(_));
                if is_answer && !self.calls.contains_key(&signal.call_id) {
                    return Some(Reply::Error(Reply::UNKNOWN_CALL.into()));
                }
                let call = self.calls.entry(signal.call_id.clone()).or_default();
                call.lease_ms = signal.lease_ms.expect("our calls have a lease");
                call.sources.push(signal.received_from);
                call.early.push(signal.early_media);
                call.signals.push(signal.as_ref().clone());
                call.heard.push((is_answer, String::from_utf8_lossy(&signal.sdp).into_owned()));
                let mut sdp = signal.sdp.clone();
                sdp.extend_from_slice(b"a=engine\r\n");
                Reply::Signal(SignalReply { sdp, ..SignalReply::default() })
            }
            Command::Delete(delete) => match self.calls.get_mut(&delete.call_id) {
                Some(call) => {
                    let ended = Ended { reason: EndReason::Deleted, wall_ms, lifetime_ms: 0 };
                    call.ended.get_or_insert(ended);
                    let savp = Some(ng::TransportProtocol::RtpSavp);
                    let encrypted = call.signals.iter().any(|signal| signal.transport_protocol == savp);
                    Reply::Report(Box::new(report(None, encrypted)))
                }
                None => Reply::Ok { warning: Some(Reply::DELETE_NOT_FOUND.into()) },
            },
            Command::Query(query) => match self.calls.get(&query.call_id) {
                Some(call) => Reply::Report(Box::new(report(call.ended.clone(), false))),
                None => Reply::Error(Reply::UNKNOWN_CALL.into()),
            },
            Command::List(_) => {
                let names = |ended: bool| {
                    let calls = self.calls.iter().filter(|(_, call)| call.ended.is_some() == ended);
                    calls.map(|(name, _)| name.clone()).collect()
                };
                Reply::List(CallList { calls: names(false), ended: names(true) })
            }
            Command::Lease(lease) => match self.calls.get_mut(&lease.call_id) {
                Some(call) if call.ended.is_none() => {
                    call.lease_ms = lease.lease_ms;
                    Reply::Ok { warning: None }
                }
                _ => Reply::Error(Reply::UNKNOWN_CALL.into()),
            },
            Command::ReportAck(ack) => {
                self.calls.retain(|name, call| *name != ack.call_id || call.ended.is_none());
                Reply::Ok { warning: None }
            }
            other => panic!("the exchange does not ask {other:?}"),
        })
    }
}

/// `encrypted`: the callee speaks SRTP.
fn report(ended: Option<Ended>, encrypted: bool) -> CallReport {
    let suite = |tag: &str| (encrypted && tag == "callee").then(|| "AES_CM_128_HMAC_SHA1_80".to_owned());
    let party = |tag: &str, packets: u64| TagStatus {
        tag: tag.into(),
        medias: vec![MediaStatus {
            index: 1,
            kind: "audio".into(),
            protocol: "RTP/AVP".into(),
            codec: None,
            streams: vec![StreamStatus {
                local: Some("192.0.2.9:20000".parse().expect("address")),
                endpoint: None,
                advertised_endpoint: None,
                crypto_suite: suite(tag),
                last_packet_s: 0,
                flags: vec!["RTP".into()],
                stats: StreamCounters { packets, bytes: packets * 172, errors: 0 },
                ..StreamStatus::default()
            }],
            quality: Some(MediaQuality {
                codec: "PCMA/8000".into(),
                expected: packets + 1,
                lost: 1,
                mos_x100: Some(430),
                delay_ms: 100,
                buffer_ms: 60,
                ..MediaQuality::default()
            }),
            ..MediaStatus::default()
        }],
        ..TagStatus::default()
    };
    CallReport { tags: vec![party("caller", 50), party("callee", 49)], ended, ..CallReport::default() }
}
