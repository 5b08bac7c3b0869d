//! Offers and answers of a shard: from the command to the reply.

use std::net::{IpAddr, SocketAddr};

use ng::{Reply, Signal, SignalReply, Trust};
use rtp::sdp::{Crypto, Direction, Sdp};

use super::{OTHER_OWNER, Shard, check, detect, gate, is_foreign, learn, opening::PairRequest, record, tos};
use crate::{
    call::{Call, CallKey},
    leg::Leg,
    media::{Media, Mux, Transport},
    negotiate::{
        Exchange, Kind, SectionPlan, bundle, codec, describe, dialogue, direction,
        dtls::{self, Dtls},
        ice,
        keys::{self, Means},
        multiplex, name, protocols,
        reason::Reasons,
        refuse, rewrite,
        sdes::{self, Keying},
    },
    path::{PathId, Paths},
    pending::{Pending, Work},
    secure,
    sim::{self, Fault, Way},
    socket::{PairId, Sockets},
    stream,
    timer::Timer,
};

impl Shard {
    pub(super) fn on_signal(&mut self, id: u64, kind: Kind, mut signal: Box<Signal>) {
        if signal.fragment {
            return self.on_fragment(id, kind, &signal);
        }
        let (sdp, sections) = match read(&signal, self.limits.medias_max, self.providers.is_some()) {
            Ok(read) => read,
            Err(text) => return self.refuse(id, &text),
        };
        if signal.record_call == Some(true)
            && let Err(text) = record::possible(self.limits.recordings_max, &signal.recording)
        {
            return self.refuse(id, text);
        }
        if rewrite::comes_back(&sdp, &signal, &self.marker) {
            return self.reply(id, Reply::Signal(SignalReply { sdp: signal.sdp, ..SignalReply::default() }));
        }
        // That is no hold, and the other side is not to take it for one.
        if (0..sdp.media.len()).any(|index| ice::is_elsewhere(&sdp, index)) {
            signal.replace.zero_address = true;
        }
        let known = self.calls.by_name(&signal.call_id);
        if known.is_none() && kind == Kind::Answer {
            return self.refuse(id, Reply::UNKNOWN_CALL);
        }
        let Some(key) = known.or_else(|| self.begin(id, &signal)) else { return };
        self.current = Some((id, Some(key)));
        sim::trip(Fault::Prepare);
        let result = self.prepare(id, key, kind, signal, sdp, sections);
        self.settle(id, key, result);
    }

    /// Begins the call of a message, or refuses the message if no new call is taken.
    pub(super) fn begin(&mut self, id: u64, signal: &Signal) -> Option<CallKey> {
        if let Some(reason) = self.closed_to_calls() {
            self.refuse_call(id, &signal.call_id, reason, signal.supports_load_limit);
            return None;
        }
        self.counters.calls_begun += 1;
        let call = Call::new(&signal.call_id, self.now, self.wall_ms);
        Some(self.calls.insert(Call { providers: self.providers.clone(), ..call }))
    }

    /// Finds the parties and the pairs each is shown; asks for those that are missing.
    fn prepare(
        &mut self,
        id: u64,
        key: CallKey,
        kind: Kind,
        signal: Box<Signal>,
        sdp: Sdp,
        mut sections: Vec<SectionPlan>,
    ) -> Result<(), &'static str> {
        let Self { calls, sockets, paths, outputs, limits, .. } = self;
        let call = calls.get_mut(key).expect("the call was found or made for this command");
        if is_foreign(call, signal.owner.as_deref()) {
            return Err(OTHER_OWNER);
        }
        if let (Kind::Offer, Some(alias_key)) = (kind, signal.alias_key) {
            dialogue::alias(call, &signal, alias_key, sections.first().map(|plan| plan.endpoint));
        }
        let (sender, receiver) = dialogue::parties(call, kind, &signal, self.wall_ms, limits.legs_max)?;
        if sender == receiver {
            return Err("Invalid dialogue association");
        }
        if kind == Kind::Answer
            && let Some(text) = mismatch(call.leg(offered(call, sender, receiver)), &sdp, &sections)
        {
            return Err(text);
        }
        let mut families = [None; 2];
        for ((index, name), family) in
            [sender, receiver].into_iter().zip(&signal.direction).zip(&mut families)
        {
            if !name.is_empty() {
                call.leg_mut(index).interface = Some(name.clone());
                *family = sockets.interfaces().family_of(name);
            }
        }
        if signal.label.is_some() {
            call.leg_mut(sender).label.clone_from(&signal.label);
        }
        if kind == Kind::Offer {
            tos::offered(call, signal.tos, self.tos, sockets, outputs);
        }
        let tos = call.tos.unwrap_or(self.tos);
        let mut opening = Vec::new();
        let mut result = Ok(());
        for (index, plan) in sections.iter_mut().enumerate() {
            let fields = sdp.media[index].media();
            for leg in [sender, receiver] {
                call.leg_mut(leg).begin_media(index, fields, plan.transport, paths);
            }
            let live = fields.port != 0 && plan.transport != Transport::Foreign;
            // What somebody writes says in which family it is reached; until then it is shown the other side's, or whatever
            // was asked for.
            let written = plan.endpoint.is_ipv4();
            let own = families[0].unwrap_or(written);
            call.leg_mut(sender).medias[index].ipv4 = Some(own);
            let to = &mut call.leg_mut(receiver).medias[index];
            let asked = signal.address_family.filter(|_| live).map(|family| family == ng::Family::Ip4);
            let to_receiver = families[1].or(asked).or(to.ipv4).unwrap_or(written);
            to.ipv4 = Some(to_receiver);
            if !live {
                continue;
            }
            // Checks are of one port: it stays.
            let spoken =
                [sender, receiver].iter().any(|leg| call.leg(*leg).medias[index].ice.session().is_some());
            let mut request = PairRequest {
                key,
                tos,
                latching: signal.port_latching == Some(true) || spoken && signal.port_latching.is_none(),
                pairs_max: limits.pairs_max,
                opening: &mut opening,
                outputs,
            };
            let shown = request
                .pair(sockets, call, receiver, index, Some(plan.endpoint), to_receiver)
                .and_then(|pair| {
                    plan.receiver_pair = Some(pair);
                    // Whoever speaks was told its pair before; a new one shows with the next description that goes there. From
                    // one of another family than it writes it could not be reached.
                    let told = call.leg(sender).medias[index].selected;
                    let reaches =
                        |pair: &PairId| sockets.local(*pair).is_some_and(|at| at.is_ipv4() == written);
                    let receiver_at = call.leg(receiver).medias[index].endpoint;
                    let peer = told.and(receiver_at);
                    let family = if told.is_some() { written } else { own };
                    told.filter(reaches).or_else(|| request.pair(sockets, call, sender, index, peer, family))
                });
            match shown {
                Some(pair) => plan.sender_pair = Some(pair),
                None => {
                    result = Err(Reply::OUT_OF_PORTS);
                    break;
                }
            }
        }
        let exchange = Exchange { kind, signal, sdp, sender, receiver, sections };
        let work = Work::Exchange(Box::new(exchange));
        call.pending = Some(Box::new(Pending::new(id, tos, opening, work)));
        result
    }

    /// Every socket is open: addresses, routes and the description that goes out.
    pub(super) fn commit(&mut self, key: CallKey, exchange: Exchange) -> Result<Reply, &'static str> {
        let Self { calls, sockets, paths, timers, marker, media_networks, chance, .. } = self;
        let (now, wall_ms, base) = (self.now, self.wall_ms, self.base);
        let call = calls.get_mut(key).expect("the exchange belongs to a call that is there");
        let Exchange { kind, ref signal, ref sdp, sender, receiver, .. } = exchange;
        call.last_signal = now;
        call.last_signal_wall_ms = wall_ms;
        call.answered |= kind == Kind::Answer;
        call.generates_rtcp |= signal.generate_rtcp;
        call.talking |= kind == Kind::Answer && !signal.early_media;
        // A further party that answers, and was offered nothing itself, was forked the offer of the
        // first one, and sends to the ports that were shown there.
        let forked = kind == Kind::Answer && !call.leg(sender).partners.contains(&receiver);
        let first = Some(offered(call, sender, receiver)).filter(|&first| forked && first != sender);
        let elders: Vec<Elder> =
            first.map(|first| call.leg(first).medias.iter().map(Elder::of).collect()).unwrap_or_default();
        sim::trip(Fault::Commit);
        let guide = learn::Guide::new(now, kind, signal, call, media_networks, self.learn_strict);
        associate(call, kind, sender, receiver);

        let providers = call.providers.clone();
        let mut outgoing = Vec::with_capacity(exchange.sections.len());
        for (index, plan) in exchange.sections.iter().enumerate() {
            let [from, to] = both(call, sender, receiver);
            let interface = to.interface.clone();
            let talks = from.peer == Some(receiver);
            let (from, to) = (&mut from.medias[index], &mut to.medias[index]);
            if forked {
                // It was offered nothing itself, so that its profile is a change.
                from.protocol.clear();
            }
            protocols(kind, signal, &sdp.media[index].media().proto, plan.transport, from, to);
            describe(from, index, &exchange, paths);
            to.become_transport(plan.transport, paths);
            if kind == Kind::Offer {
                to.kind.clone_from(&from.kind);
            }
            to.direction_told = from.direction_told.reversed();
            if let Some(elder) = elders.get(index) {
                from.keying.clone_from(&elder.keying);
                from.dtls.clone_from(&elder.dtls);
                from.mux = elder.mux;
            }
            if plan.transport == Transport::Rtp {
                let hidden = paths[to.rtp].latch.is_uncertain();
                let mut means = Means { providers: providers.as_ref(), chance, hidden };
                keys::exchange(kind, signal, plan, from, to, &mut means);
            }
            ice::exchange(kind, signal, plan.ice.as_ref(), from, to, chance);
            name(kind, signal, index, &sdp.media[index], from, to);
            let written = sdp.media[index].section.has_attribute("rtcp-mux");
            let live = plan.receiver_pair.is_some();
            let mux = if live && plan.transport == Transport::Rtp {
                multiplex(kind, signal, written, from, to)
            } else {
                from.mux = Mux::default();
                (false, false)
            };
            to.closed = !live;
            from.closed |= !live;
            show(from, plan.sender_pair, sockets, paths);
            if let Some(&Elder { halves: [rtp, rtcp], .. }) = elders.get(index) {
                sim::seen(Way::ForkShares);
                paths.share(rtp, from.rtp);
                paths.share(rtcp, from.rtcp);
            }
            show(to, plan.receiver_pair, sockets, paths);
            route(from, to, talks, paths);
            secure::install(from, paths);
            secure::install(to, paths);
            check::install(from, sockets, paths, (base, now));
            check::install(to, sockets, paths, (base, now));
            stream::described(&sdp.media[index], from, to, paths);
            let advertised = to.selected.and_then(|pair| sockets.advertised(pair));
            guide.exchange(from, to, plan, sockets, paths);
            let interfaces = sockets.interfaces();
            let fallback = || {
                let ipv4 = to.ipv4.unwrap_or_else(|| plan.endpoint.is_ipv4());
                let chosen = interfaces.choose(interface.as_deref(), ipv4);
                SocketAddr::new(interfaces.get(chosen).advertised, 0)
            };
            let local = plan.receiver_pair.and(advertised).unwrap_or_else(fallback);
            let told = kind == Kind::Answer || signal.ice != Some(ng::Ice::Remove);
            outgoing.push(rewrite::Outgoing {
                ice: ice::lines(to, told, paths),
                ice_lite: told && to.ice.is_lite(),
                ..rewrite::Outgoing::of(to, signal, local, mux, direction(sdp, index))
            });
        }
        // Sections that this description leaves out are refused by it (RFC 3264 §8.2 asks for port 0; peers differ).
        if kind == Kind::Offer {
            for media in call.leg_mut(sender).medias.iter_mut().skip(outgoing.len()) {
                sim::seen(Way::SectionsLeftOut);
                reject(media, paths);
            }
        }
        learn::share(call.leg(sender), paths);
        if kind == Kind::Offer {
            call.leg_mut(sender).bundle = bundle::offered(&sdp.session);
        }
        bundle::tell(kind, signal, call.leg(receiver), &mut outgoing);
        call.leg_mut(sender).description = Some(signal.sdp.clone().into_boxed_slice());
        let identity = &mut call.leg_mut(receiver).identity;
        let mut reasons = Reasons::asked(signal.explain);
        let written = rewrite::explained(sdp, signal, &outgoing, marker, identity, &mut reasons)
            .map_err(|_| "Error rewriting SDP");

        if let ng::DeleteDelay::Seconds(seconds) = signal.delete_delay {
            call.delete_delay = Some(std::time::Duration::from_secs(seconds.into()));
        }
        // Whoever offers or answers revives what was deleted.
        for index in [sender, receiver] {
            if call.leg_mut(index).gone_at.take().is_some() {
                sim::seen(Way::Revived);
            }
        }
        let removal = call.parties().filter_map(|(_, leg)| leg.gone_at).min();
        timers.set(&mut call.deadlines, key, Timer::Remove, removal);
        gate::apply(call, paths);
        detect::expect(call, paths, now);
        if call.deadlines[Timer::Watch as usize].is_none() {
            timers.set(&mut call.deadlines, key, Timer::Watch, Some(now + detect::INTERVAL));
        }
        paths.stock();
        self.shake_hands(key);
        self.drive(key, signal)?;
        self.generate_rtcp(key);
        self.begin_checks(key);
        let written = written?;
        let explain = reasons.explain(sdp, &written);
        let passed = refuse::passed(sdp, signal);
        let sdp = written.to_bytes();
        let recording = self.record_signal(key, signal, sender, kind == Kind::Offer, &sdp);
        let nameless =
            (0..exchange.sdp.media.len()).filter_map(|index| ice::said(&exchange.sdp, index).err());
        let warnings: Vec<String> =
            passed.into_iter().chain(nameless).chain(recording.map(str::to_owned)).collect();
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        Ok(Reply::Signal(SignalReply { sdp, warning, explain, ..SignalReply::default() }))
    }
}

/// What a further party that answers takes over of whom the offer was shown to, by section.
struct Elder {
    halves: [PathId; 2],
    mux: Mux,
    keying: Option<Box<Keying>>,
    dtls: Option<Box<Dtls>>,
}

impl Elder {
    fn of(media: &Media) -> Self {
        let dtls = media.dtls.as_ref().map(|dtls| Box::new(dtls.as_offered()));
        Self { halves: [media.rtp, media.rtcp], mux: media.mux, keying: media.keying.clone(), dtls }
    }
}

/// Nothing is sent or heard in this section any more.
pub(super) fn reject(media: &mut Media, paths: &mut Paths) {
    media.refused = true;
    media.direction = Direction::Inactive;
    hold(media, paths);
}

/// Reads and checks a description. `handshakes` says whether there is a certificate of ours.
///
/// # Errors
/// The text of the refusal.
pub(super) fn read(
    signal: &Signal,
    medias_max: usize,
    handshakes: bool,
) -> Result<(Sdp, Vec<SectionPlan>), String> {
    if let Some(text) = refuse::options(signal, handshakes) {
        return Err(text);
    }
    if signal.sdp.is_empty() {
        return Err("No SDP body in message".to_owned());
    }
    let sdp = Sdp::parse(&signal.sdp).map_err(|_| "Failed to parse SDP")?;
    if sdp.media.is_empty() {
        return Err("Error rewriting SDP".to_owned());
    }
    if sdp.media.len() > medias_max {
        return Err(format!("Not supported: more than {medias_max} media sections"));
    }
    let keys: Vec<Vec<Crypto>> = sdp.media.iter().map(|media| sdes::usable(media, &signal.sdes)).collect();
    let said: Option<Vec<refuse::Handshake>> =
        handshakes.then(|| (0..sdp.media.len()).map(|index| dtls::Said::read(&sdp, index)).collect());
    if let Some(text) = refuse::description(&sdp, signal, &keys, said.as_deref()) {
        return Err(text);
    }
    if signal.trust == Trust::SipSource && signal.received_from.is_none() {
        return Err("Incomplete SDP specification".to_owned());
    }
    let source = signal.received_from.filter(|_| signal.trust == Trust::SipSource);
    let section = |(index, keys): (usize, Vec<Crypto>)| {
        let media = &sdp.media[index];
        let fields = media.media();
        let transport = refuse::transport(&fields.proto).unwrap_or(Transport::Opaque);
        let connection = sdp.connection(index).ok_or("Incomplete SDP specification")?;
        let ip = connection.ip().filter(|_| connection.suffix.is_empty()).ok_or("Failed to parse SDP")?;
        if transport == Transport::Rtp && codec::payload_types(media).is_none() {
            return Err("Incomplete SDP specification".to_owned());
        }
        // An IPv4 address in the clothes of IPv6 is sent to from an IPv4 socket, or not at all.
        let trusted = |ip: IpAddr| if ip.is_unspecified() { ip } else { source.unwrap_or(ip).to_canonical() };
        let rtcp = sdp.rtcp_address(index).filter(|at| at.port() != 0);
        Ok::<_, String>(SectionPlan {
            transport,
            endpoint: SocketAddr::new(trusted(ip), fields.port),
            rtcp_endpoint: rtcp.map(|at| SocketAddr::new(trusted(at.ip()), at.port())),
            keys,
            ice: ice::said(&sdp, index).unwrap_or_default(),
            handshake: said.as_ref().and_then(|said| said[index].clone().ok().flatten()),
            sender_pair: None,
            receiver_pair: None,
        })
    };
    let sections = keys.into_iter().enumerate().map(section).collect::<Result<_, _>>()?;
    Ok((sdp, sections))
}

/// Who was offered what `sender` answers: itself, or of a forked offer the party that was shown it.
fn offered(call: &Call, sender: usize, receiver: usize) -> usize {
    let partners = &call.leg(receiver).partners;
    let first = partners.first().filter(|_| !call.leg(sender).partners.contains(&receiver));
    first.copied().unwrap_or(sender)
}

/// Why an answer is none to what the party was offered.
pub(super) fn mismatch(party: &Leg, sdp: &Sdp, sections: &[SectionPlan]) -> Option<&'static str> {
    let described = party.medias.iter().zip(&sdp.media).zip(sections);
    described
        .filter(|((_, section), plan)| section.media().port != 0 && plan.transport == Transport::Rtp)
        .find_map(|((media, section), plan)| keys::mismatch(media, &section.media().proto, plan))
}

/// Two different parties at once.
fn both(call: &mut Call, one: usize, other: usize) -> [&mut crate::leg::Leg; 2] {
    let [one, other] = call.legs.get_disjoint_mut([one, other]).expect("sender and receiver are two parties");
    let there = "both parties of an exchange are there";
    [one.as_mut().expect(there), other.as_mut().expect(there)]
}

/// Notes that two parties are in an offer and answer.
fn associate(call: &mut Call, kind: Kind, sender: usize, receiver: usize) {
    call.leg_mut(sender).described = true;
    for (one, other) in [(sender, receiver), (receiver, sender)] {
        let other_answers = call.leg(other).described;
        let leg = call.leg_mut(one);
        leg.last = Some(other);
        if !leg.partners.contains(&other) {
            leg.partners.push(other);
        }
        // An offer to a further branch does not take the voice from the one that answered.
        if kind == Kind::Answer || leg.peer.is_none() || other_answers {
            leg.peer = Some(other);
        }
    }
}

/// Selects the pair that a party is shown from now on.
pub(super) fn show(media: &mut Media, pair: Option<PairId>, sockets: &mut Sockets, paths: &mut Paths) {
    let Some(pair) = pair else { return };
    media.selected = Some(pair);
    sockets.bind(pair, [media.rtp, media.rtcp]);
    if let Some([rtp, rtcp]) = sockets.of_pair(pair) {
        for (half, socket) in [(media.rtp, rtp), (media.rtcp, rtcp)] {
            paths[half].local = Some(socket);
            paths[half].local_is_ipv4 = sockets.local(pair).is_some_and(|at| at.is_ipv4());
        }
    }
}

/// Lets two parties hear each other; the receiver hears the sender only if that one talks to it.
fn route(from: &Media, to: &Media, talks: bool, paths: &mut Paths) {
    for (one, other, heard) in [(from, to, talks), (to, from, true)] {
        if heard {
            paths.set_sink(one.rtp, other.rtp);
            paths.set_sink(one.rtcp, other.rtcp);
        }
        let shared = one.mux.active && one.transport == Transport::Rtp;
        paths[one.rtp].rtcp = shared.then_some(one.rtcp);
        paths[one.rtcp].carrier = shared.then_some(one.rtp);
        hold(one, paths);
    }
}

/// Which way a party's media flows.
pub(super) fn hold(media: &Media, paths: &mut Paths) {
    for path in [media.rtp, media.rtcp] {
        paths[path].sends = media.direction.sends();
        paths[path].receives = media.direction.receives();
    }
}
