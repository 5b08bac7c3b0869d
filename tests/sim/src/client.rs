//! The clients: they take the steps of a script, ask again, and read what is answered.

use std::collections::VecDeque;
use std::net::IpAddr;

use ng::{Command, Delete, Gate, GateAction, Lease, List, Ping, Query, Reply, ReportAck, Signal};

use crate::hearing::{Hearing, Source};
use crate::keys::Style;
use crate::listening::Wanted;
use crate::party::{self, Party, Told};
use crate::rng::Rng;
use crate::script::{Edit, Plan, Recording, Step, Timed, Way};
use crate::secrecy::{Secrecy, Written};
use crate::signal::{self, Exchange};
use crate::world::{Happening, MS, Relays, World, bound};

/// A call as its client knows it, and what the auditors keep of it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) node: usize,
    pub(crate) parties: Vec<Party>,
    steps: VecDeque<Timed>,
    pub(crate) hearing: Hearing,
    pub(crate) secrecy: Secrecy,
    pub(crate) calm: bool,
    wild: bool,
    /// The client does not wait for answers.
    hasty: bool,
    /// The calls of both names are one.
    pub(crate) merged: bool,
    /// Something went wrong that was meant to.
    pub(crate) disturbed: bool,
    owner: Option<usize>,
    /// The owner that the engine knows.
    pub(crate) owned: Option<String>,
    /// The final report is to be kept.
    pub(crate) keep: bool,
    /// A client wants media of it recorded.
    pub(crate) recorded: bool,
    /// The command for whose answer the client waits.
    awaited: Option<u64>,
}

/// A command that is not answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) call: Option<usize>,
    pub(crate) about: About,
}

/// What the auditors have to know of a command.
#[derive(Debug, Clone)]
pub(crate) enum About {
    Signal(Box<Exchange>),
    Delete { parties: Vec<usize>, keep: bool },
    Gate { party: Option<usize>, action: GateAction, all: bool, way: Option<Way> },
    Subscribe { by: usize, wanted: Wanted, chosen: Option<String> },
    SubscribeAnswer(Box<Exchange>),
    Unsubscribe { by: usize },
    Publish(Box<Exchange>),
    Connect { from: usize, to: usize, both: bool },
    Record { what: Recording, party: Option<usize> },
    ReportAck,
    Other,
}

/// The number of a call.
pub(crate) fn index(name: &str) -> usize {
    let number = name.strip_prefix("call-").and_then(|rest| rest.split('.').next());
    number.and_then(|number| number.parse().ok()).expect("calls here are numbered")
}

impl Call {
    pub(crate) fn new(index: usize, node: usize, plan: Plan, rng: &mut Rng) -> Self {
        let number = u16::try_from(index).expect("few calls");
        let [high, low] = number.to_be_bytes();
        let one_nat = rng.percent(10);
        let first = plan.parties - plan.second;
        let make = |party: usize| {
            let host = 10 + u8::try_from(party).expect("few parties");
            let unseen = plan.unseen && party == 1;
            let (ip, nat) = match if unseen { 1 } else { rng.below(10) } {
                0 => (IpAddr::from([0x2001, 0xdb8, number + 1, 0, 0, 0, 0, u16::from(host)]), None),
                1..=4 => {
                    let public = IpAddr::from([204, high, low, if one_nat { 10 } else { host }]);
                    (IpAddr::from([10, 100 + high, low, host]), Some(public))
                }
                _ => (IpAddr::from([203, high, low, host]), None),
            };
            let mut made = Party::new(party, ip, nat, rng);
            if let Some(nat) = made.nat.as_mut().filter(|_| rng.percent(15)) {
                nat.relay = Some(party::relay(high, low, host));
            }
            (made.second, made.unseen) = (party >= first, unseen);
            made
        };
        let parties: Vec<Party> = (0..plan.parties).map(make).collect();
        Self {
            name: format!("call-{index}"),
            node,
            parties,
            steps: plan.steps.into(),
            hearing: Hearing::default(),
            secrecy: Secrecy::default(),
            calm: plan.calm,
            wild: plan.wild,
            hasty: plan.hasty,
            merged: false,
            disturbed: false,
            owner: plan.owned.then(|| rng.index(crate::world::OWNERS)),
            owned: None,
            keep: false,
            recorded: false,
            awaited: None,
        }
    }

    /// Some of its parties speak SRTP.
    pub(crate) fn speaks_srtp(&mut self, rng: &mut Rng) {
        if rng.percent(30) {
            return;
        }
        for party in &mut self.parties {
            party.style = match rng.below(10) {
                0..=4 => Style::Demanded,
                5..=6 => Style::BestEffort,
                _ => Style::Plain,
            };
            if rng.percent(40) {
                // So that it rolls over soon.
                party.sequence = u16::MAX - rng.u16(0, 60);
            }
        }
        if self.wild {
            self.secrecy.blur();
        }
    }

    /// The name of a party's call.
    pub(crate) fn name_of(&self, party: usize) -> String {
        let second = self.parties.get(party).is_some_and(|party| party.second);
        if second { format!("{}.2", self.name) } else { self.name.clone() }
    }

    /// Whether two parties are not of one call: its client knows better than to let them offer and answer.
    fn are_apart(&self, one: usize, other: usize) -> bool {
        !self.merged && self.name_of(one) != self.name_of(other)
    }

    /// Whoever drives a call gets its report, if it wants that.
    pub(crate) fn own(&mut self, exchange: &Exchange) {
        if let Some(owner) = &exchange.owner {
            self.owned.get_or_insert_with(|| owner.clone());
            self.keep |= exchange.keep;
        }
    }
}

impl World {
    /// The client of a call goes on.
    pub(crate) fn step(&mut self, call: usize) {
        let Some(Timed { step, .. }) = self.calls[call].steps.pop_front() else { return };
        let before = self.calls[call].awaited;
        match step {
            Step::Offer { from, to: Some(to), .. } | Step::Answer { from, by: to, .. }
                if self.calls[call].are_apart(from, to) => {}
            Step::Offer { from, to, branch, given, edit } => self.offer(call, from, to, branch, given, &edit),
            Step::Answer { from, by, branch, edit } => self.answer(call, from, by, branch, &edit),
            Step::Delete { from, to, branch, delay, keep } => {
                let (owner, epoch) = self.owner(call);
                let tag =
                    |party: Option<usize>| party.map(|party| self.calls[call].parties[party].tag.clone());
                let delete = Delete {
                    call_id: self.calls[call].name_of(from.unwrap_or_default()),
                    from_tag: tag(from),
                    to_tag: tag(to),
                    via_branch: branch.map(|branch| format!("branch{branch}")),
                    fatal: self.rng.percent(20),
                    fast: self.rng.percent(20),
                    honour_to_tag: to.is_some(),
                    delay,
                    owner,
                    epoch,
                    keep_report: keep,
                };
                let parties = [from, to, branch.map(usize::from)].into_iter().flatten().collect();
                self.ask(call, About::Delete { parties, keep }, Command::Delete(Box::new(delete)));
            }
            Step::Gate { party, action, all, way } => {
                let tag = party.filter(|_| !all);
                let label = tag.filter(|_| self.rng.percent(20)).map(|party| format!("label{party}"));
                let gate = Gate {
                    call_id: self.calls[call].name_of(party.unwrap_or_default()),
                    action,
                    // Of somebody who is not there, now and then.
                    from_tag: tag.filter(|_| label.is_none()).map(|party| self.tag(call, party)),
                    label,
                    address: None,
                    all,
                    ways: if let Some(Way::Kind(ways)) = way { ways } else { ng::All::default() },
                    set_label: None,
                    to_label: if let Some(Way::To(to)) = way { Some(format!("label{to}")) } else { None },
                };
                self.ask(call, About::Gate { party: tag, action, all, way }, Command::Gate(Box::new(gate)));
            }
            Step::Query(party) => {
                let from_tag = party.map(|party| format!("tag{party}"));
                let query = Query { call_id: self.calls[call].name.clone(), from_tag, to_tag: None };
                self.ask(call, About::Other, Command::Query(query));
            }
            Step::Record { what, party } => {
                let recording = Box::new(ng::Recording {
                    call_id: self.calls[call].name_of(party.unwrap_or_default()),
                    selector: ng::Selector {
                        from_tag: party.map(|party| self.tag(call, party)),
                        directional: party.is_some(),
                        ..ng::Selector::default()
                    },
                    options: ng::RecordingOptions::default(),
                });
                let command = match what {
                    Recording::Start => Command::StartRecording(recording),
                    Recording::Pause => Command::PauseRecording(recording),
                    Recording::Stop => Command::StopRecording(recording),
                };
                self.ask(call, About::Record { what, party }, command);
            }
            Step::Lease { ms } => {
                let (owner, epoch) = self.owner(call);
                let lease = Lease {
                    call_id: self.calls[call].name.clone(),
                    owner: owner.unwrap_or_else(|| "somebody".to_owned()),
                    epoch: epoch.unwrap_or_default(),
                    lease_ms: ms,
                };
                self.ask(call, About::Other, Command::Lease(lease));
            }
            Step::ReportAck => {
                let (owner, epoch) = self.owner(call);
                let ack = ReportAck { call_id: self.calls[call].name.clone(), owner, epoch };
                self.ask(call, About::ReportAck, Command::ReportAck(ack));
            }
            Step::List => {
                let (owner, _) = self.owner(call);
                self.ask(call, About::Other, Command::List(List { limit: 1_000, owner }));
            }
            Step::Ping => self.ask(call, About::Other, Command::Ping(Ping::default())),
            Step::Talk { party, ms } => {
                let until = self.now + ms * MS;
                let talker = &mut self.calls[call].parties[party];
                let silent = talker.talks_until < self.now;
                talker.talks_until = talker.talks_until.max(until);
                if silent {
                    self.after(MS, Happening::Talk { call, party });
                }
            }
            Step::Rebind(party) => self.calls[call].parties[party].rebind(&mut self.rng),
            Step::Subscribe { by, wanted } => self.subscribe(call, by, &wanted),
            Step::SubscribeAnswer { by, edit } => self.subscribe_answer(call, by, &edit),
            Step::Unsubscribe(by) => self.unsubscribe(call, by),
            Step::Publish { by, edit } => self.publish(call, by, &edit),
            Step::Connect { from, to, both } => self.connect(call, from, to, both),
            Step::Again { from, to, key } => self.again(call, from, to, key),
            Step::Check(one, other) => self.look_at_media(call, &[one, other]),
            Step::Hears(party) => self.look_at_media(call, &[party]),
            Step::Rest => {}
        }
        let Call { awaited, calm, hasty, .. } = self.calls[call];
        let waits = awaited != before && !hasty && (calm || self.rng.percent(80));
        if !waits {
            self.calls[call].awaited = None;
            self.next_step(call);
        }
    }

    fn next_step(&mut self, call: usize) {
        if let Some(Timed { after_ms, .. }) = self.calls[call].steps.front() {
            self.after(after_ms * MS, Happening::Step(call));
        }
    }

    /// A tag of a party, which need not be there.
    fn tag(&mut self, call: usize, party: usize) -> String {
        let Some(party) = self.calls[call].parties.get(party) else { return format!("tag{party}") };
        let alias = party.alias.as_ref().filter(|_| self.rng.percent(50));
        alias.unwrap_or(&party.tag).clone()
    }

    /// Who drives a call, and in which incarnation.
    pub(crate) fn owner(&mut self, call: usize) -> (Option<String>, Option<u64>) {
        let Some(owner) = self.calls[call].owner else { return (None, None) };
        let stale = !self.calls[call].calm && self.rng.percent(4);
        // Somebody else tries, now and then.
        let other = !self.calls[call].calm && self.rng.percent(3);
        let named = if other { (owner + 1) % crate::world::OWNERS } else { owner };
        (Some(format!("control-{named}")), Some(self.epochs[named] - u64::from(stale)))
    }

    pub(crate) fn offer(
        &mut self,
        call: usize,
        from: usize,
        to: Option<usize>,
        branch: Option<u8>,
        given: Vec<usize>,
        edit: &Edit,
    ) {
        let Call { parties, calm, .. } = &mut self.calls[call];
        signal::edit(&mut parties[from], edit, &mut self.rng);
        parties[from].offer_keys(*calm, &mut self.rng);
        let surely = to.is_some() || self.calls[call].calm;
        let (signal, mut exchange) = self.signal(call, from, given, true, surely);
        exchange.wild = self.calls[call].wild && to.is_none();
        let parties = &self.calls[call].parties;
        let signal = Signal {
            from_tag: parties[from].tag.clone(),
            to_tag: to.map(|to| parties[to].tag.clone()),
            via_branch: branch.map(|branch| format!("branch{branch}")),
            ..signal
        };
        self.calls[call].parties[from].last = Some((signal.clone(), exchange.clone()));
        self.ask(call, About::Signal(Box::new(exchange)), Command::Offer(Box::new(signal)));
    }

    fn answer(&mut self, call: usize, from: usize, by: usize, branch: Option<u8>, edit: &Edit) {
        let offered = self.calls[call].parties[from].sections.clone();
        let answerer = &mut self.calls[call].parties[by];
        answerer.answer(&offered, &mut self.rng);
        if matches!(edit, Edit::Move | Edit::Refuse) {
            signal::edit(answerer, edit, &mut self.rng);
        }
        if answerer.sections.is_empty() {
            signal::edit(answerer, &Edit::Same, &mut self.rng);
        }
        self.answer_keys(call, by);
        let (signal, exchange) = self.signal(call, by, vec![from], false, true);
        let call_id = self.calls[call].name_of(from);
        let parties = &self.calls[call].parties;
        let signal = Signal {
            call_id,
            from_tag: parties[from].tag.clone(),
            to_tag: Some(parties[by].tag.clone()),
            via_branch: branch.map(|branch| format!("branch{branch}")),
            ..signal
        };
        self.calls[call].parties[by].last = Some((signal.clone(), exchange.clone()));
        self.ask(call, About::Signal(Box::new(exchange)), Command::Answer(Box::new(signal)));
    }

    /// A party chooses among the keys that it was shown, if it speaks SRTP at all.
    pub(crate) fn answer_keys(&mut self, call: usize, by: usize) {
        let Call { parties, calm, .. } = &mut self.calls[call];
        if self.temper.srtp {
            parties[by].answer_keys(*calm, &mut self.rng);
        }
    }

    pub(crate) fn signal(
        &mut self,
        call: usize,
        sender: usize,
        given: Vec<usize>,
        offer: bool,
        surely: bool,
    ) -> (Signal, Exchange) {
        let (owner, epoch) = self.owner(call);
        let name = self.calls[call].name_of(sender);
        let Call { parties, calm, .. } = &mut self.calls[call];
        let receiver = given.first().copied().filter(|&receiver| receiver != sender);
        let (mut signal, said, source) = match receiver {
            Some(receiver) => {
                let [sender, receiver] = parties.get_disjoint_mut([sender, receiver]).expect("two parties");
                signal::signal(sender, Some(receiver), !*calm, &mut self.rng)
            }
            None => signal::signal(&mut parties[sender], None, !*calm, &mut self.rng),
        };
        if self.temper.srtp {
            signal::keys(
                &mut signal,
                offer,
                receiver.map(|receiver| &parties[receiver]),
                !*calm,
                &mut self.rng,
            );
        }
        signal.call_id = name;
        if owner.is_some() {
            signal.lease_ms = self.rng.percent(70).then(|| self.rng.between(2_000, 9_000));
            signal.keep_report = self.rng.percent(50);
        }
        (signal.owner, signal.epoch) = (owner.clone(), epoch);
        if parties[sender].nat.is_none() {
            let party = &parties[sender];
            for section in &party.sections {
                for port in [section.port, section.rtcp_port()] {
                    self.reach.insert(party.source(port), (call, sender));
                }
            }
        }
        let keep = signal.keep_report;
        let written = parties[sender].sections.iter().map(|section| Written {
            kind: section.kind,
            port: section.port,
            keys: section.keys.clone(),
        });
        let written = written.collect();
        (
            signal,
            Exchange {
                offer,
                sender,
                given,
                surely,
                wild: false,
                again: false,
                said,
                written,
                source,
                owner,
                keep,
            },
        )
    }

    /// Asks something; now and then a client that heard nothing asks anew, with another cookie.
    pub(crate) fn ask(&mut self, call: usize, about: About, command: Command) {
        if !self.calls[call].calm && self.rng.percent(4) {
            self.send(call, about.clone(), &command);
        }
        self.calls[call].awaited = Some(self.send(call, about, &command));
    }

    /// The client of a call heard the answer to what it asked, and goes on if it waits for that.
    pub(crate) fn goes_on(&mut self, call: usize, cookie: u64) {
        if self.calls[call].awaited == Some(cookie) {
            self.calls[call].awaited = None;
            self.next_step(call);
        }
    }

    /// What holds of a call ends with it.
    pub(crate) fn forget(&mut self, call: usize) {
        let Call { name, node, .. } = &self.calls[call];
        // One that waits for its first sockets may be recorded already.
        let gone =
            [name.clone(), format!("{name}.2")].iter().all(|name| !self.nodes[*node].shard.has_call(name));
        let call = &mut self.calls[call];
        call.hearing = Hearing::default();
        call.secrecy.forget();
        if call.wild {
            call.secrecy.blur();
        }
        call.recorded &= !gone;
        call.parties.iter_mut().for_each(|party| party.alias = None);
        call.merged = false;
    }

    /// A command of a call was answered.
    pub(crate) fn answered(&mut self, node: usize, id: u64, asked: Asked, reply: Reply) {
        let Some(index) = asked.call else { return };
        self.answer_door(index, id, &reply);
        if let Reply::Error(text) | Reply::LoadLimit(text) = &reply {
            self.calls[index].disturbed = true;
            assert!(REFUSALS.contains(&text.as_str()), "an unexpected refusal: {text}");
            if text == "Internal error" {
                assert!(self.nodes[node].books.faults > 0, "an internal error without a fault");
            }
        } else {
            let found = !matches!(reply, Reply::Ok { warning: Some(_) });
            match (asked.about, reply) {
                (About::Signal(exchange), Reply::Signal(signal)) => {
                    self.committed(index, &exchange, &signal.sdp)
                }
                (About::Delete { parties, keep }, Reply::Ok { .. } | Reply::Report(_)) => {
                    let call = &mut self.calls[index];
                    call.secrecy.blur();
                    call.keep |= keep && found && call.owned.is_some();
                    // Whom an engine takes along depends on what came in which order.
                    let all = if call.calm { parties } else { (0..call.parties.len()).collect() };
                    all.into_iter().for_each(|party| call.hearing.deleted(party));
                }
                (About::Gate { party: Some(party), action, way: Some(way), .. }, Reply::Ok { .. }) => {
                    let hearing = &mut self.calls[index].hearing;
                    match way {
                        Way::To(listener) => hearing.forbid_way(party, listener, action),
                        Way::Kind(ways) => hearing.forbid_ways(party, ways, action),
                    }
                }
                (About::Gate { party, action, all, .. }, Reply::Ok { .. }) => {
                    self.forbid(index, party, action, all)
                }
                (About::Record { what: Recording::Start, .. }, Reply::Ok { .. }) => {
                    self.calls[index].recorded = true;
                }
                (About::Record { party, .. }, Reply::Ok { .. }) => {
                    self.calls[index].recorded &= party.is_some();
                }
                (About::Subscribe { by, wanted, chosen }, Reply::Signal(signal)) => {
                    self.subscribed(index, by, &wanted, chosen, &signal);
                }
                (About::SubscribeAnswer(exchange), Reply::Ok { .. }) => {
                    let source = self.in_force(index, exchange.source);
                    let Call { hearing, secrecy, .. } = &mut self.calls[index];
                    hearing.said(exchange.sender, &exchange.said, source, exchange.offer);
                    secrecy.wrote(exchange.sender, &exchange.written, exchange.offer);
                }
                (About::Unsubscribe { by }, Reply::Ok { .. }) => {
                    let call = &mut self.calls[index];
                    // Whoever talks is told that he is no subscriber, or is not there.
                    if call.parties[by].listens {
                        call.hearing.unsubscribed(by);
                        call.secrecy.gone(by);
                    }
                }
                (About::Publish(exchange), Reply::Signal(signal)) => {
                    self.published(index, &exchange, &signal.sdp)
                }
                (About::Connect { from, to, both }, Reply::Ok { .. }) => {
                    let call = &mut self.calls[index];
                    call.merged |= call.name_of(from) != call.name_of(to);
                    call.hearing.connected(from, to, both, call.calm);
                }
                (About::ReportAck | About::Other, _) => {}
                (about, reply) => panic!("{about:?} was answered by {reply:?}"),
            }
        }
    }

    /// An offer or answer is in force.
    fn committed(&mut self, index: usize, exchange: &Exchange, sdp: &[u8]) {
        let source = self.in_force(index, exchange.source);
        let call = &mut self.calls[index];
        if exchange.again {
            // Whoever is not there cannot come again: it is whom it says.
            let (known, party) = (call.hearing.knows(exchange.sender), &mut call.parties[exchange.sender]);
            let alias = format!("tag{}.2", exchange.sender);
            if known {
                party.alias = Some(alias);
            } else {
                party.tag = alias;
            }
        }
        if !exchange.surely && call.hearing.knows_anybody() {
            call.secrecy.blur();
        }
        call.secrecy.wrote(exchange.sender, &exchange.written, exchange.offer);
        call.hearing.said(exchange.sender, &exchange.said, source, exchange.offer);
        call.own(exchange);
        if exchange.wild {
            call.hearing.offers(exchange.sender);
        }
        for &party in &exchange.given {
            call.hearing.partners(exchange.sender, party, exchange.offer, exchange.surely);
        }
        self.show(index, &exchange.given, sdp, exchange.surely, exchange.offer);
    }

    /// Where else a party may be by what the operator lists now.
    pub(crate) fn in_force(&self, call: usize, source: Source) -> Source {
        let node = &self.nodes[self.calls[call].node];
        let listed = node.relays;
        Source {
            relays: source.relays || listed != Relays::Unknown,
            narrow: source.narrow || listed == Relays::Everywhere || node.live.learn_strict,
            ..source
        }
    }

    /// Parties are given a description.
    pub(crate) fn show(&mut self, index: usize, given: &[usize], sdp: &[u8], surely: bool, offer: bool) {
        let shown = party::told(sdp);
        let Call { parties, secrecy, .. } = &mut self.calls[index];
        secrecy.shown(given, &shown, offer);
        for &party in given {
            parties[party].told.clone_from(&shown);
            if !offer {
                parties[party].answered_keys();
            }
        }
        for (section, told) in shown.iter().enumerate().filter(|(_, told)| told.port != 0) {
            for local in self.locals(index, told) {
                for &party in given {
                    self.calls[index].hearing.shown(local, section, party, surely);
                }
            }
        }
    }

    /// The sockets of a call that a section shows.
    fn locals(&self, call: usize, told: &Told) -> Vec<std::net::SocketAddr> {
        let kernel = &self.nodes[self.calls[call].node].kernel;
        // Held by the unspecified address, nobody is told where to send, and a port says too little.
        let Some(ip) = told.rtp.map(|at| bound(at).ip()) else { return Vec::new() };
        let halves = [told.port, told.port + 1].map(|port| std::net::SocketAddr::new(ip, port));
        let here = |at: &std::net::SocketAddr| {
            kernel.at(*at).and_then(|socket| kernel.get(socket)).is_some_and(|bound| bound.call == call)
        };
        halves.into_iter().filter(here).collect()
    }

    fn forbid(&mut self, index: usize, party: Option<usize>, action: GateAction, all: bool) {
        let hearing = &mut self.calls[index].hearing;
        hearing.gate(party).change(action);
        if all && action.is_lift() {
            hearing.lift(action);
        }
    }

    /// In an undisturbed call of an undisturbed world two parties that talk hear each other.
    fn look_at_media(&mut self, call: usize, parties: &[usize]) {
        let Call { calm, disturbed, node, .. } = self.calls[call];
        // The first of two calls may have ended of silence before the second one began.
        let at = &self.nodes[node];
        let alive = at.kernel.serves(call) && at.shard.has_call(&self.calls[call].name);
        let troubled =
            self.temper.loss + self.temper.jumps + self.temper.faults + self.temper.openings_fail > 0;
        for &party in parties {
            let Call { parties, name, .. } = &mut self.calls[call];
            let heard = std::mem::take(&mut parties[party].heard);
            let due = calm && alive && !disturbed && !troubled;
            assert!(heard > 0 || !due, "{} of {name} hears nothing", parties[party].tag);
        }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

/// Every refusal that this world may provoke.
const REFUSALS: [&str; 39] = [
    Reply::UNKNOWN_CALL,
    Reply::DELETE_NOT_FOUND,
    Reply::STALE_EPOCH,
    Reply::OUT_OF_PORTS,
    Reply::PARALLEL_SESSION_LIMIT,
    Reply::LOAD_LIMIT,
    Reply::CPU_LIMIT,
    Reply::BANDWIDTH_LIMIT,
    Reply::DRAINING,
    "Unknown call-ID",
    "Call has another owner",
    "Not supported: transcoding, and the audio of both has no codec in common",
    "Too many parties in this call",
    "Invalid dialogue association",
    "The call ended meanwhile",
    "Internal error",
    "Too many owners",
    "Too many recordings at once",
    "Too many commands for this call at once",
    "From-tag given, but no such tag exists",
    "No monologue matching the given label",
    "Not supported: digits are blocked for a call or a party, not on one way",
    "To-tag not found",
    "To-tag belongs to a party that is no subscriber",
    "No monologues matched",
    "No call participant specified",
    "The party to be heard has sent no description",
    "Failed to process subscription answer",
    "From-tag belongs to a party that does not publish",
    "Tag belongs to a party that neither offers nor answers",
    "Only parties that have offered or answered can be connected",
    "The parties have no media of one kind",
    "Both calls have a party of the same tag",
    "Not supported: SDES=off with transport-protocol=RTP/SAVP",
    "Not supported: SDES=off with transport-protocol=RTP/SAVPF",
    "Not supported: RTP/SAVP without an a=crypto that can be used (see SDES)",
    "Not supported: RTP/SAVPF without an a=crypto that can be used (see SDES)",
    "The answer chooses SRTP keys (a=crypto) that were not offered",
    "The answer has a profile with SRTP, which was not offered",
];
