//! Publications: a party that only sends, for others to subscribe to.
//!
//! Nobody answers it but we: with one codec for each section of RTP, the first of the client's wishes that is
//! offered, else the first that carries a voice or a picture. It is relayed as it comes, whatever codec it is.

use ng::{Publish, Reply, Signal, SignalReply};
use rand::RngExt;
use rtp::sdp::{Direction, MediaSection, Sdp};

use super::{
    OTHER_OWNER, Shard,
    exchange::{hold, read, reject, show},
    is_foreign, learn,
    opening::PairRequest,
    record,
    subscribe::share,
};
use crate::{
    call::CallKey,
    leg::{OwnSession, Role},
    media::Transport,
    negotiate::{
        Kind, SectionPlan, codec, dialogue, direction,
        keys::{self, Means},
        own, refuse, rewrite,
    },
    pending::{Pending, Work},
    secure,
    sim::{self, Way},
    socket::PairId,
    stream,
};

/// A `publish` whose sockets are opening.
#[derive(Debug)]
pub(crate) struct Publication {
    signal: Box<Signal>,
    /// Index of the party.
    publisher: usize,
    /// Its description with the chosen codecs alone.
    sdp: Sdp,
    /// By section; the pair is the sender's.
    sections: Vec<SectionPlan>,
}

impl Publication {
    /// Every pair that was planned.
    pub(crate) fn pairs_mut(&mut self) -> impl Iterator<Item = &mut PairId> {
        self.sections.iter_mut().filter_map(|plan| plan.sender_pair.as_mut())
    }
}

impl Shard {
    pub(super) fn on_publish(&mut self, id: u64, publish: Publish) {
        let Publish { signal, accept } = publish;
        if signal.record_call == Some(true)
            && let Err(text) = record::possible(self.limits.recordings_max, &signal.recording)
        {
            return self.refuse(id, text);
        }
        let (mut sdp, sections) = match read(&signal, self.limits.medias_max, self.providers.is_some()) {
            Ok(read) => read,
            Err(text) => return self.refuse(id, &text),
        };
        if let Some(text) = refuse::any_ice(&sdp, &signal) {
            return self.refuse(id, &text);
        }
        if sdp.media.iter().all(|section| section.media().port == 0) {
            // As rtpengine 10.5 says it.
            return self.refuse(id, "Failed to create SDP");
        }
        for (section, plan) in sdp.media.iter_mut().zip(&sections) {
            if plan.transport == Transport::Rtp && section.media().port != 0 {
                keep_one_codec(section, &accept);
            }
        }
        let known = self.calls.by_name(&signal.call_id);
        let Some(key) = known.or_else(|| self.begin(id, &signal)) else { return };
        self.current = Some((id, Some(key)));
        let result = self.prepare_publication(id, key, signal, sdp, sections);
        self.settle(id, key, result);
    }

    /// Finds the party and the pairs that it is shown.
    fn prepare_publication(
        &mut self,
        id: u64,
        key: CallKey,
        signal: Box<Signal>,
        sdp: Sdp,
        mut sections: Vec<SectionPlan>,
    ) -> Result<(), &'static str> {
        let Self { calls, sockets, paths, outputs, limits, .. } = self;
        let call = calls.get_mut(key).expect("the call was found or made for this command");
        if is_foreign(call, signal.owner.as_deref()) {
            return Err(OTHER_OWNER);
        }
        let known = call.by_tag(&signal.from_tag);
        if known.is_some_and(|index| call.leg(index).role != Role::Publisher) {
            return Err("From-tag belongs to a party that does not publish");
        }
        if known.is_none() && call.parties().count() >= limits.legs_max {
            return Err("Too many parties in this call");
        }
        sim::seen(if known.is_some() { Way::PublisherKnown } else { Way::PublisherNew });
        let publisher =
            known.unwrap_or_else(|| dialogue::insert(call, self.wall_ms, Some(&signal.from_tag), None));
        let leg = call.leg_mut(publisher);
        leg.role = Role::Publisher;
        let interface = signal.interface.as_ref().or_else(|| signal.direction.first());
        if let Some(name) = interface.filter(|name| !name.is_empty()) {
            leg.interface.get_or_insert_with(|| name.clone());
        }
        if signal.label.is_some() {
            leg.label.clone_from(&signal.label);
        }
        let tos = call.tos.unwrap_or(self.tos);
        let mut opening = Vec::new();
        let mut result = Ok(());
        for (index, plan) in sections.iter_mut().enumerate() {
            let fields = sdp.media[index].media();
            call.leg_mut(publisher).begin_media(index, fields, plan.transport, paths);
            if fields.port == 0 || plan.transport == Transport::Foreign {
                continue;
            }
            let family = signal.address_family.map(|family| family == ng::Family::Ip4);
            let ipv4 = family.unwrap_or_else(|| plan.endpoint.is_ipv4());
            let mut request = PairRequest {
                key,
                tos,
                latching: false,
                pairs_max: limits.pairs_max,
                opening: &mut opening,
                outputs,
            };
            plan.sender_pair = request.pair(sockets, call, publisher, index, None, ipv4);
            if plan.sender_pair.is_none() {
                result = Err(Reply::OUT_OF_PORTS);
                break;
            }
        }
        let work = Work::Publication(Box::new(Publication { signal, publisher, sdp, sections }));
        call.pending = Some(Box::new(Pending::new(id, tos, opening, work)));
        result
    }

    /// Every socket is open: the party is heard, and is answered.
    pub(super) fn commit_publication(
        &mut self,
        key: CallKey,
        publication: Publication,
    ) -> Result<Reply, &'static str> {
        let session = self.chance.random::<u64>() >> 1;
        let Self { calls, sockets, paths, marker, media_networks, chance, .. } = self;
        let call = calls.get_mut(key).expect("the publication belongs to a call that is there");
        let Publication { signal, publisher, sdp, sections } = publication;
        call.last_signal = self.now;
        call.last_signal_wall_ms = self.wall_ms;
        // Nobody else will answer: whoever publishes and then sends nothing is gone after the media timeout.
        call.answered = true;
        let strict = self.learn_strict;
        let guide = learn::Guide::new(self.now, Kind::Answer, &signal, call, media_networks, strict);
        let providers = call.providers.clone();
        let leg = call.leg_mut(publisher);
        leg.described = true;
        leg.gone_at = None;
        let mut outgoing = Vec::with_capacity(sections.len());
        for (index, plan) in sections.iter().enumerate() {
            let section = &sdp.media[index];
            let interfaces = sockets.interfaces();
            let chosen = interfaces.choose(leg.interface.as_deref(), plan.endpoint.is_ipv4());
            let nowhere = std::net::SocketAddr::new(interfaces.get(chosen).advertised, 0);
            let media = &mut leg.medias[index];
            media.kind.clone_from(&section.media().kind);
            media.protocol.clone_from(&section.media().proto);
            media.become_transport(plan.transport, paths);
            media.endpoint = Some(plan.endpoint);
            media.refused = plan.sender_pair.is_none();
            media.direction = Direction::from_flags(direction(&sdp, index).sends() && !media.refused, false);
            media.direction_told = media.direction;
            let mid = section.section.attribute("mid").and_then(|attribute| attribute.value);
            media.mid = mid.map(str::to_owned);
            let asked = signal.rtcp_mux;
            media.mux.active = section.section.has_attribute("rtcp-mux") && !asked.reject;
            stream::published(section, media, paths);
            show(media, plan.sender_pair, sockets, paths);
            share(media, paths);
            guide.signal(media, plan, sockets, paths);
            guide.open(media, codec::payload_type_set(section), paths);
            if plan.transport == Transport::Rtp {
                let hidden = paths[media.rtp].latch.is_uncertain();
                let mut means = Means { providers: providers.as_ref(), chance, hidden };
                keys::offered(media, plan, &signal, &mut means);
                keys::answer(media, None, &signal, &mut means);
            }
            secure::install(media, paths);
            hold(media, paths);
            let local = plan.sender_pair.and_then(|pair| sockets.advertised(pair)).unwrap_or(nowhere);
            let mux = (media.mux.active, media.mux.active);
            outgoing.push(rewrite::Outgoing::of(media, &signal, local, mux, media.direction.reversed()));
        }
        for media in leg.medias.iter_mut().skip(sections.len()) {
            reject(media, paths);
        }
        let own = leg.identity.own.unwrap_or(OwnSession { id: session, version: session });
        leg.identity.own = Some(own);
        leg.description = Some(sdp.to_bytes().into_boxed_slice());
        let answer = own::head(own, outgoing[0].local.ip()).and_then(|mut answer| {
            for (section, out) in sdp.media.iter().zip(&outgoing) {
                let formats = &section.media().formats;
                answer.media.push(own::section(section, out.transport, formats, out.local.ip())?);
            }
            rewrite::description(&answer, &signal, &outgoing, marker, &mut leg.identity)
        });
        let removal = call.parties().filter_map(|(_, leg)| leg.gone_at).min();
        self.timers.set(&mut call.deadlines, key, crate::timer::Timer::Remove, removal);
        super::gate::apply(call, paths);
        self.shake_hands(key);
        self.drive(key, &signal)?;
        let sdp = answer.map_err(|_| "Error rewriting SDP")?;
        let warning = self.record_signal(key, &signal, publisher, true, &sdp).map(str::to_owned);
        Ok(Reply::Signal(SignalReply { sdp, warning, ..SignalReply::default() }))
    }
}

/// Takes every codec but one out of the `m=` line.
fn keep_one_codec(section: &mut MediaSection, accept: &[String]) {
    let encodings = codec::encodings(section);
    let formats = &section.media().formats;
    let name = |format: &String| {
        let number: u8 = format.parse().ok()?;
        encodings.get(&number).map(String::as_str)
    };
    let is = |format: &&String, wish: &str| {
        let name = name(format).unwrap_or_default();
        let bare = name.split('/').next().unwrap_or_default();
        wish == "any" || name.eq_ignore_ascii_case(wish) || bare.eq_ignore_ascii_case(wish)
    };
    let wished = accept.iter().find_map(|wish| formats.iter().find(|format| is(format, wish)));
    let aside = |format: &&String| ["telephone-event", "cn"].iter().any(|other| is(format, other));
    let chosen = wished.or_else(|| formats.iter().find(|format| !aside(format))).or_else(|| formats.first());
    let Some(chosen) = chosen.cloned() else { return };
    let fields = rtp::sdp::Media { formats: vec![chosen], ..section.media().clone() };
    section.set_media(fields).expect("the other fields came out of a valid line");
}
