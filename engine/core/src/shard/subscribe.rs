//! Subscriptions: a party of its own that hears others, and is heard by nobody.
//!
//! `subscribe request` makes the party, its ports and the description that it is offered; `subscribe
//! answer` says where it is; `unsubscribe` ends it. A subscriber keeps nobody alive: it goes with the
//! last party that it hears.

use std::fmt::Write;

use ng::{
    All, Reply, Signal, SignalReply, SubscribeAnswer, SubscribeRequest, TransportProtocol, Unsubscribe,
};
use rand::RngExt;
use rtp::sdp::{Direction, LineError, Sdp};

use super::{
    OTHER_OWNER, Shard,
    exchange::{hold, mismatch, read, reject, show},
    gate, is_foreign, learn,
    opening::PairRequest,
    select::{self, UNKNOWN_CALL},
};
use crate::{
    call::{Call, CallKey},
    leg::{OwnSession, Role},
    media::{Media, Transport},
    negotiate::{
        Kind, codec, dialogue,
        keys::{self, Means},
        own, refuse, rewrite,
    },
    pending::{Pending, Work},
    secure,
    sim::{self, Way},
    socket::PairId,
};

/// A `subscribe request` whose sockets are opening.
#[derive(Debug)]
pub(crate) struct Subscription {
    signal: Box<Signal>,
    /// Index of the party that will hear.
    subscriber: usize,
    /// Indices of those it will hear.
    sources: Vec<usize>,
    /// Their descriptions, in the same order.
    descriptions: Vec<Sdp>,
    /// Their sections, one after the other.
    sections: Vec<Heard>,
}

/// A section of a subscription.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// Whose it is: a position in [`Subscription::sources`].
    source: usize,
    /// Which of that one's.
    media: usize,
    transport: Transport,
    /// Where the subscriber is shown it; `None` if there is nothing to hear.
    pair: Option<PairId>,
}

impl Subscription {
    /// Every pair that was planned.
    pub(crate) fn pairs_mut(&mut self) -> impl Iterator<Item = &mut PairId> {
        self.sections.iter_mut().filter_map(|heard| heard.pair.as_mut())
    }
}

impl Shard {
    pub(super) fn on_subscribe_request(&mut self, id: u64, mut request: SubscribeRequest) {
        let Some(key) = self.calls.by_name(&request.signal.call_id) else {
            return self.refuse(id, UNKNOWN_CALL);
        };
        let refused = refuse::options(&request.signal, self.providers.is_some())
            .or_else(|| refuse::only_talkers(&request.signal));
        if let Some(text) = refused {
            return self.refuse(id, &text);
        }
        if request.signal.record_call.is_some() {
            return self.refuse(
                id,
                "Not supported: record-call in subscribe request (a call is recorded, no hearer)",
            );
        }
        if request.signal.to_tag.is_none() {
            request.signal.to_tag = Some(self.new_tag());
        }
        // What one party wrote of its own candidates is of no use to another.
        request.signal.ice = Some(ng::Ice::Remove);
        let result = self.prepare_subscription(id, key, request);
        self.settle(id, key, result);
    }

    /// Finds the parties, and the pairs on which the subscriber will hear them.
    fn prepare_subscription(
        &mut self,
        id: u64,
        key: CallKey,
        request: SubscribeRequest,
    ) -> Result<(), &'static str> {
        let Self { calls, sockets, paths, outputs, limits, .. } = self;
        let call = calls.get_mut(key).expect("a name leads to a call");
        if is_foreign(call, request.signal.owner.as_deref()) {
            return Err(OTHER_OWNER);
        }
        let sources = sources(call, &request)?;
        let SubscribeRequest { signal, selector, .. } = request;
        let tag = signal.to_tag.as_deref().expect("it was given one");
        let known = call.by_tag(tag);
        if known.is_some_and(|index| call.leg(index).role != Role::Subscriber) {
            return Err(NO_SUBSCRIBER);
        }
        let mut descriptions = Vec::with_capacity(sources.len());
        for &source in &sources {
            let leg = call.leg(source);
            let description = leg.description.as_deref().filter(|_| leg.role != Role::Subscriber);
            let sdp = description.and_then(|bytes| Sdp::parse(bytes).ok());
            descriptions.push(sdp.ok_or("The party to be heard has sent no description")?);
        }
        let mut sections = Vec::new();
        for (source, sdp) in descriptions.iter_mut().enumerate() {
            for (media, section) in sdp.media.iter_mut().enumerate() {
                let transport = match refuse::transport(&section.media().proto) {
                    // Nobody but its two ends can use a connection: rejected, and none of its addresses told.
                    Some(Transport::Foreign) => {
                        section.set_port(0);
                        section.section.retain(|line| line.kind() == Some(b'c'));
                        Transport::Opaque
                    }
                    other => other.unwrap_or(Transport::Opaque),
                };
                sections.push(Heard { source, media, transport, pair: None });
            }
        }
        if sections.len() > limits.medias_max {
            return Err("Too many media sections in one description");
        }
        let to =
            |index: usize| known.and_then(|known| call.leg(known).medias.get(index)).map(|media| media.rtp);
        let room = sections.iter().enumerate().all(|(index, heard)| {
            paths.has_room(call.leg(sources[heard.source]).medias[heard.media].rtp, to(index))
        });
        if !room {
            return Err("Too many subscribers of one party");
        }
        if known.is_none() && call.parties().count() >= limits.legs_max {
            return Err("Too many parties in this call");
        }
        sim::seen(if known.is_some() { Way::SubscriberKnown } else { Way::SubscriberNew });
        if sources.len() > 1 {
            sim::seen(Way::SubscribedToSeveral);
        }
        let subscriber = known.unwrap_or_else(|| dialogue::insert(call, self.wall_ms, Some(tag), None));
        let leg = call.leg_mut(subscriber);
        leg.role = Role::Subscriber;
        let interface = signal.interface.as_ref().or_else(|| signal.direction.last());
        if let Some(name) = interface.filter(|name| !name.is_empty()) {
            leg.interface.get_or_insert_with(|| name.clone());
        }
        if let Some(label) = signal.set_label.as_ref().or(selector.to_label.as_ref()) {
            leg.label = Some(label.clone());
        }
        if let Some(metadata) = &signal.recording.metadata {
            leg.metadata = Some(metadata.as_str().into());
        }
        let tos = call.tos.unwrap_or(self.tos);
        let mut opening = Vec::new();
        let mut result = Ok(());
        for (index, heard) in sections.iter_mut().enumerate() {
            let fields = descriptions[heard.source].media[heard.media].media();
            call.leg_mut(subscriber).begin_media(index, fields, heard.transport, paths);
            if fields.port == 0 {
                continue;
            }
            let at = |leg: usize, media: usize| call.leg(leg).medias[media].endpoint;
            let source_at = at(sources[heard.source], heard.media);
            let family = signal.address_family.map(|family| family == ng::Family::Ip4);
            let ipv4 = family
                .or_else(|| at(subscriber, index).map(|at| at.is_ipv4()))
                .unwrap_or_else(|| source_at.is_none_or(|at| at.is_ipv4()));
            let mut request = PairRequest {
                key,
                tos,
                latching: false,
                pairs_max: limits.pairs_max,
                opening: &mut opening,
                outputs,
            };
            heard.pair = request.pair(sockets, call, subscriber, index, None, ipv4);
            if heard.pair.is_none() {
                result = Err(Reply::OUT_OF_PORTS);
                break;
            }
        }
        let work = Subscription { signal, subscriber, sources, descriptions, sections };
        let work = Work::Subscription(Box::new(work));
        call.pending = Some(Box::new(Pending::new(id, tos, opening, work)));
        result
    }

    /// Every socket is open: the subscriber hears, and is told where from.
    pub(super) fn commit_subscription(
        &mut self,
        key: CallKey,
        subscription: Subscription,
    ) -> Result<Reply, &'static str> {
        let session = self.chance.random::<u64>() >> 1;
        let Self { calls, sockets, paths, marker, chance, .. } = self;
        let call = calls.get_mut(key).expect("the subscription belongs to a call that is there");
        let Subscription { signal, subscriber, sources, descriptions, sections } = subscription;
        call.last_signal = self.now;
        call.last_signal_wall_ms = self.wall_ms;
        for media in &mut call.leg_mut(subscriber).medias {
            paths.hear_nobody(media.rtp);
            paths.hear_nobody(media.rtcp);
            media.direction_told = Direction::Inactive;
            reject(media, paths);
        }
        let providers = call.providers.clone();
        let mut outgoing = Vec::with_capacity(sections.len());
        for (index, heard) in sections.iter().enumerate() {
            let source = &call.leg(sources[heard.source]).medias[heard.media];
            let (kind, protocol) = (source.kind.clone(), source.protocol.clone());
            let (halves, sends) = ([source.rtp, source.rtcp], source.direction_told.sends());
            let mid = source.mid.clone();
            let leg = call.leg_mut(subscriber);
            let interfaces = sockets.interfaces();
            let chosen = interfaces.choose(leg.interface.as_deref(), true);
            let nowhere = std::net::SocketAddr::new(interfaces.get(chosen).advertised, 0);
            let media = &mut leg.medias[index];
            media.kind = kind;
            media.become_transport(heard.transport, paths);
            let asked = signal.transport_protocol.filter(|asked| *asked != TransportProtocol::Accept);
            media.protocol = match asked.filter(|_| heard.transport == Transport::Rtp) {
                Some(asked) => asked.as_str().to_owned(),
                None => protocol,
            };
            if heard.transport == Transport::Rtp && heard.pair.is_some() {
                let mut means = Means { providers: providers.as_ref(), chance, hidden: false };
                keys::offer(media, &signal, &mut means);
            } else {
                (media.keying, media.dtls) = (None, None);
            }
            media.mid = mid.or_else(|| signal.generate_mid.then(|| (index + 1).to_string()));
            let direction = if sends { Direction::SendOnly } else { Direction::Inactive };
            let mux = multiplex(media, &signal);
            if let Some(pair) = heard.pair {
                media.refused = false;
                media.direction = direction.reversed();
                media.direction_told = direction.reversed();
                show(media, Some(pair), sockets, paths);
                share(media, paths);
                for (from, to) in halves.into_iter().zip([media.rtp, media.rtcp]) {
                    let added = paths.add_sink(from, to);
                    assert!(added, "room was seen before the sockets were asked for");
                }
                hold(media, paths);
            }
            secure::install(media, paths);
            let local = heard.pair.and_then(|pair| sockets.advertised(pair)).unwrap_or(nowhere);
            outgoing.push(rewrite::Outgoing::of(media, &signal, local, mux, direction));
        }
        let tags = sources.iter().filter_map(|&source| call.leg(source).tag.clone()).collect();
        call.leg_mut(subscriber).hears = sources;
        gate::apply(call, paths);
        let leg = call.leg_mut(subscriber);
        let written = match <[Sdp; 1]>::try_from(descriptions) {
            Ok([sdp]) => rewrite::description(&sdp, &signal, &outgoing, marker, &mut leg.identity),
            Err(several) => {
                let own = leg.identity.own.unwrap_or(OwnSession { id: session, version: session });
                together(&several, &mut outgoing, own).and_then(|sdp| {
                    let before = leg.description.as_deref().filter(|_| leg.identity.own.is_some());
                    leg.identity.own = Some(own);
                    let written = rewrite::description(&sdp, &signal, &outgoing, marker, &mut leg.identity)?;
                    if before.is_none_or(|before| before == written.as_slice()) {
                        return Ok(written);
                    }
                    // Whoever is told something else is told that it is something else (RFC 3264 §8).
                    let next = OwnSession { version: own.version.wrapping_add(1), ..own };
                    leg.identity.own = Some(next);
                    let sdp = together(&several, &mut outgoing, next)?;
                    rewrite::description(&sdp, &signal, &outgoing, marker, &mut leg.identity)
                })
            }
        };
        let sdp = written.map_err(|_| "Error rewriting SDP")?;
        leg.description = Some(sdp.clone().into_boxed_slice());
        let to_tag = leg.tag.clone();
        self.generate_rtcp(key);
        Ok(Reply::Signal(SignalReply { sdp, from_tags: tags, to_tag, ..SignalReply::default() }))
    }

    pub(super) fn on_subscribe_answer(&mut self, id: u64, answer: &SubscribeAnswer) {
        let signal = &answer.signal;
        let (sdp, plans) = match read(signal, self.limits.medias_max, self.providers.is_some()) {
            Ok(read) => read,
            Err(text) => return self.refuse(id, &text),
        };
        if let Some(text) = refuse::any_ice(&sdp, signal) {
            return self.refuse(id, &text);
        }
        let Some(key) = self.calls.by_name(&signal.call_id) else {
            return self.refuse(id, UNKNOWN_CALL);
        };
        let Self { calls, sockets, paths, media_networks, chance, .. } = self;
        let call = calls.get_mut(key).expect("a name leads to a call");
        let providers = call.providers.clone();
        if is_foreign(call, signal.owner.as_deref()) {
            return self.refuse(id, OTHER_OWNER);
        }
        let found = signal.to_tag.as_deref().and_then(|tag| call.by_tag(tag));
        let Some(subscriber) = found else { return self.refuse(id, "To-tag not found") };
        let guide =
            learn::Guide::new(self.now, Kind::Answer, signal, call, media_networks, self.learn_strict);
        let leg = call.leg_mut(subscriber);
        let Some(offered) = leg.description.as_deref().filter(|_| leg.role == Role::Subscriber) else {
            return self.refuse(id, NO_SUBSCRIBER);
        };
        let offered = Sdp::parse(offered).expect("it was written by us");
        if let Some(text) = refused(&offered, &sdp, answer.allow_transcoding) {
            return self.refuse(id, &text);
        }
        if let Some(text) = mismatch(leg, &sdp, &plans) {
            return self.refuse(id, text);
        }
        sim::seen(Way::SubscriptionAnswered);
        for (index, media) in leg.medias.iter_mut().enumerate() {
            let Some(plan) = plans.get(index).filter(|plan| plan.endpoint.port() != 0) else {
                sim::seen(Way::SubscribedSectionRefused);
                guide.nowhere(media, paths);
                reject(media, paths);
                continue;
            };
            let section = &sdp.media[index];
            media.refused = media.selected.is_none();
            media.endpoint = Some(plan.endpoint);
            media.protocol.clone_from(&section.media().proto);
            media.direction = Direction::from_flags(false, sdp.direction(index).receives());
            let mut means = Means { providers: providers.as_ref(), chance, hidden: false };
            keys::answered(media, plan, signal, &mut means);
            media.mux.active = media.mux.offered && section.section.has_attribute("rtcp-mux");
            media.mux.said = media.mux.active;
            share(media, paths);
            secure::install(media, paths);
            guide.signal(media, plan, sockets, paths);
            guide.open(media, codec::payload_type_set(section), paths);
            hold(media, paths);
        }
        call.last_signal = self.now;
        call.last_signal_wall_ms = self.wall_ms;
        self.shake_hands(key);
        self.reply(id, Reply::Ok { warning: None });
    }

    pub(super) fn on_unsubscribe(&mut self, id: u64, unsubscribe: &Unsubscribe) {
        let Some(key) = self.calls.by_name(&unsubscribe.call_id) else {
            return self.refuse(id, UNKNOWN_CALL);
        };
        let call = self.calls.get(key).expect("a name leads to a call");
        let warning = match call.by_tag(&unsubscribe.to_tag) {
            Some(index) if call.leg(index).role == Role::Subscriber => {
                sim::seen(Way::SubscriberRemoved);
                self.remove_leg(key, index);
                None
            }
            Some(_) => return self.refuse(id, NO_SUBSCRIBER),
            // The end of what is not there is no failure; as in rtpengine 10.5.
            None => {
                sim::seen(Way::SubscriberUnknown);
                Some("To-tag not found".to_owned())
            }
        };
        self.reply(id, Reply::Ok { warning });
    }

    /// A tag nobody has.
    fn new_tag(&mut self) -> String {
        let bytes: [u8; 32] = self.chance.random();
        bytes.iter().fold(String::with_capacity(64), |mut tag, byte| {
            write!(tag, "{byte:02x}").expect("a string takes every write");
            tag
        })
    }
}

/// Whom a request wants to hear; never nobody.
///
/// # Errors
/// The text of the refusal.
fn sources(call: &Call, request: &SubscribeRequest) -> Result<Vec<usize>, &'static str> {
    let selector = &request.selector;
    match selector.all {
        All::Unsaid => {}
        All::Everyone | All::OfferAnswer => {
            let talks = call.parties().filter(|(_, leg)| leg.role == Role::Talker && leg.described);
            let everybody: Vec<usize> = talks.map(|(index, _)| index).collect();
            return if everybody.is_empty() { Err("No call participant specified") } else { Ok(everybody) };
        }
        All::ExceptOfferAnswer | All::Flows => {
            return Err("Not supported: a subscription to all=flows or all=except-offer-answer");
        }
    }
    let (label, tag) = (selector.label.as_deref(), selector.from_tag.as_deref());
    if let Some(index) = select::party(call, label, selector.address, tag)? {
        return Ok(vec![index]);
    }
    let several: Vec<usize> = request.from_tags.iter().filter_map(|tag| call.by_tag(tag)).collect();
    if several.is_empty() { Err("No monologues matched") } else { Ok(several) }
}

/// Sections of several parties in one description.
fn together(
    descriptions: &[Sdp],
    outgoing: &mut [rewrite::Outgoing],
    session: OwnSession,
) -> Result<Sdp, LineError> {
    let address = outgoing[0].local.ip();
    let mut sdp = own::head(session, address)?;
    let mut named = std::collections::HashSet::new();
    for (section, out) in descriptions.iter().flat_map(|sdp| &sdp.media).zip(outgoing) {
        let formats = &section.media().formats;
        sdp.media.push(own::section(section, out.transport, formats, out.local.ip())?);
        // A name stands for one section of a description (RFC 5888 §4).
        out.mid = out.mid.take().filter(|mid| named.insert(mid.clone()));
    }
    Ok(sdp)
}

/// What is said about rtcp-mux to a subscriber: whether it is offered, and whether RTCP shares its port.
fn multiplex(media: &mut Media, signal: &Signal) -> (bool, bool) {
    let asked = signal.rtcp_mux;
    let offered = asked.offer || asked.require || media.mux.active;
    media.mux.offered = offered;
    media.mux.said = offered;
    media.mux.active |= asked.require;
    (offered, media.mux.active)
}

/// Lets RTCP share the port of RTP, or not.
pub(super) fn share(media: &Media, paths: &mut crate::path::Paths) {
    let shared = media.mux.active && media.transport == Transport::Rtp;
    paths[media.rtp].rtcp = shared.then_some(media.rtcp);
    paths[media.rtcp].carrier = shared.then_some(media.rtp);
}

/// Why an answer does not do for what was offered.
fn refused(offered: &Sdp, answered: &Sdp, allow_transcoding: bool) -> Option<String> {
    const FAILED: &str = "Failed to process subscription answer";
    if answered.media.len() > offered.media.len() {
        return Some(FAILED.to_owned());
    }
    for (offer, answer) in offered.media.iter().zip(&answered.media) {
        let (asked, given) = (offer.media(), answer.media());
        if given.port == 0 || asked.port == 0 {
            continue;
        }
        if asked.kind != given.kind || refuse::transport(&asked.proto) != refuse::transport(&given.proto) {
            return Some(FAILED.to_owned());
        }
        if refuse::transport(&asked.proto) != Some(Transport::Rtp) {
            continue;
        }
        let Some(codec) = own::missing_codec(offer, answer) else { continue };
        if !allow_transcoding {
            return Some(FAILED.to_owned());
        }
        return Some(format!("Not supported: transcoding for a subscriber that does not accept {codec}"));
    }
    None
}

/// A tag that stands for somebody who offered or answered.
const NO_SUBSCRIBER: &str = "To-tag belongs to a party that is no subscriber";
