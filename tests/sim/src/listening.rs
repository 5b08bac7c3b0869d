//! What clients ask besides offers and answers: who hears whom by subscription, who only sends, who is connected
//! with whom, and who comes again under another tag.

use ng::{
    AliasKey, All, Command, Connect, Publish, Selector, Signal, SignalReply, SubscribeAnswer,
    SubscribeRequest, Unsubscribe,
};

use crate::client::{About, Call};
use crate::party::{Direction, Kind, Section};
use crate::script::Edit;
use crate::signal::Exchange;
use crate::world::World;

/// Whom a subscriber wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    These(Vec<usize>),
    /// Everybody who offered or answered.
    All,
}

impl World {
    /// A party asks to hear others.
    pub(crate) fn subscribe(&mut self, call: usize, by: usize, wanted: &Wanted) {
        let (owner, epoch) = self.owner(call);
        let of = &self.calls[call];
        let (calm, name) = (of.calm, of.name_of(by));
        let tags = |parties: &[usize]| parties.iter().map(|&party| of.parties[party].tag.clone()).collect();
        let (selector, from_tags) = match wanted {
            Wanted::All => (Selector { all: All::Everyone, ..Selector::default() }, Vec::new()),
            Wanted::These(parties) if parties.len() == 1 => {
                let from_tag = Some(of.parties[parties[0]].tag.clone());
                (Selector { from_tag, ..Selector::default() }, Vec::new())
            }
            Wanted::These(parties) => (Selector::default(), tags(parties)),
        };
        let (tag, ipv4) = (of.parties[by].tag.clone(), of.parties[by].ip.is_ipv4());
        // Of a tag that the engine chooses, a request that comes twice would make two parties.
        let chosen = !calm || !of.parties[by].told.is_empty() || self.rng.percent(50);
        let mut signal = Signal {
            call_id: name,
            to_tag: chosen.then_some(tag),
            address_family: Some(if ipv4 { ng::Family::Ip4 } else { ng::Family::Ip6 }),
            from_tag: selector.from_tag.clone().unwrap_or_default(),
            set_label: Some(crate::signal::label(&of.parties[by])),
            generate_mid: self.rng.percent(20),
            generate_rtcp: !calm && self.rng.percent(10),
            owner,
            epoch,
            ..Signal::default()
        };
        signal.rtcp_mux.offer = self.rng.percent(30);
        if self.temper.srtp {
            let party = &self.calls[call].parties[by];
            crate::signal::keys(&mut signal, true, Some(party), !calm, &mut self.rng);
        }
        let about = About::Subscribe { by, wanted: wanted.clone(), chosen: signal.to_tag.clone() };
        let request = SubscribeRequest { selector, from_tags, signal: Box::new(signal) };
        self.ask(call, about, Command::SubscribeRequest(Box::new(request)));
    }

    /// It does.
    pub(crate) fn subscribed(
        &mut self,
        call: usize,
        by: usize,
        wanted: &Wanted,
        chosen: Option<String>,
        reply: &SignalReply,
    ) {
        let tag = reply.to_tag.clone().expect("a subscriber has a tag");
        assert!(chosen.is_none_or(|chosen| chosen == tag), "{tag} is not what the client chose");
        let of = &mut self.calls[call];
        (of.parties[by].tag, of.parties[by].listens) = (tag, true);
        let named = |tag: &String| of.parties.iter().position(|party| party.is_tagged(tag));
        let heard: Vec<usize> = reply.from_tags.iter().map(|tag| named(tag).expect("one of ours")).collect();
        match wanted {
            // Those that are not there are left out.
            Wanted::These(parties) => {
                let mut wanted = parties.iter();
                let asked_for = heard.iter().all(|party| wanted.any(|one| one == party));
                assert!(asked_for, "{heard:?} are heard, and {parties:?} were asked for");
            }
            Wanted::All => assert!(heard.iter().all(|&party| of.hearing.knows(party))),
        }
        of.hearing.subscribed(by, &heard);
        self.show(call, &[by], &reply.sdp, true, true);
    }

    /// A subscriber says where it is.
    pub(crate) fn subscribe_answer(&mut self, call: usize, by: usize, edit: &Edit) {
        let odd = !self.calls[call].calm;
        let Self { rng, calls, .. } = self;
        let party = &mut calls[call].parties[by];
        let ports: Vec<u16> = party.sections.iter().map(|section| section.port).collect();
        let sections = party.told.iter().enumerate().map(|(index, told)| {
            let section = Section::new(told.kind, rng);
            let kept = ports.get(index).copied().filter(|&port| port != 0 && *edit == Edit::Same);
            let refused = told.port == 0 || *edit == Edit::Refuse && index > 0 || odd && rng.percent(5);
            let inactive = *edit == Edit::Inactive;
            Section {
                port: if refused { 0 } else { kept.unwrap_or(section.port) },
                direction: if inactive { Direction::Inactive } else { Direction::RecvOnly },
                mux: told.mux && rng.percent(70),
                rtcp: None,
                ..section
            }
        });
        party.sections = sections.collect();
        if party.sections.is_empty() {
            party.sections.push(Section::new(Kind::Audio, rng));
        }
        self.answer_keys(call, by);
        let (signal, exchange) = self.signal(call, by, Vec::new(), false, true);
        let to_tag = Some(self.calls[call].parties[by].tag.clone());
        let signal = Box::new(Signal { to_tag, owner: exchange.owner.clone(), ..signal });
        let answer = SubscribeAnswer { signal, allow_transcoding: false };
        self.ask(call, About::SubscribeAnswer(Box::new(exchange)), Command::SubscribeAnswer(answer));
    }

    /// A subscriber goes; or whoever is told to.
    pub(crate) fn unsubscribe(&mut self, call: usize, by: usize) {
        let of = &self.calls[call];
        let unsubscribe = Unsubscribe { call_id: of.name_of(by), to_tag: of.parties[by].tag.clone() };
        self.ask(call, About::Unsubscribe { by }, Command::Unsubscribe(unsubscribe));
    }

    /// A party wants to be heard by whoever subscribes to it.
    pub(crate) fn publish(&mut self, call: usize, by: usize, edit: &Edit) {
        crate::signal::edit(&mut self.calls[call].parties[by], edit, &mut self.rng);
        for section in &mut self.calls[call].parties[by].sections {
            section.nowhere = false;
        }
        let Call { parties, calm, .. } = &mut self.calls[call];
        parties[by].offer_keys(*calm, &mut self.rng);
        let (signal, exchange) = self.signal(call, by, vec![by], true, true);
        let from_tag = self.calls[call].parties[by].tag.clone();
        let accept =
            if self.rng.percent(50) { vec!["PCMA".to_owned(), "any".to_owned()] } else { Vec::new() };
        let publish = Publish { signal: Box::new(Signal { from_tag, ..signal }), accept };
        self.ask(call, About::Publish(Box::new(exchange)), Command::Publish(publish));
    }

    /// It is.
    pub(crate) fn published(&mut self, call: usize, exchange: &Exchange, sdp: &[u8]) {
        let source = self.in_force(call, exchange.source);
        let of = &mut self.calls[call];
        of.hearing.publishes(exchange.sender);
        of.hearing.said(exchange.sender, &exchange.said, source, exchange.offer);
        of.own(exchange);
        of.secrecy.wrote(exchange.sender, &exchange.written, true);
        self.show(call, &[exchange.sender], sdp, true, false);
    }

    /// Two parties are to hear each other, or one the other.
    pub(crate) fn connect(&mut self, call: usize, from: usize, to: usize, both: bool) {
        let (owner, epoch) = self.owner(call);
        let of = &self.calls[call];
        let (name, other) = (of.name_of(from), of.name_of(to));
        let tag = |party: usize| of.parties[party].tag.clone();
        let connect = Connect {
            selector: Selector { from_tag: Some(tag(from)), directional: !both, ..Selector::default() },
            from_tags: Vec::new(),
            to_call_id: (name != other).then_some(other),
            bidirectional: both,
            signal: Box::new(Signal {
                call_id: name,
                from_tag: tag(from),
                to_tag: Some(tag(to)),
                owner,
                epoch,
                ..Signal::default()
            }),
        };
        self.ask(call, About::Connect { from, to, both }, Command::Connect(Box::new(connect)));
    }

    /// A party offers the same again under another tag.
    pub(crate) fn again(&mut self, call: usize, from: usize, to: usize, key: AliasKey) {
        let Some((signal, exchange)) = self.calls[call].parties[from].last.clone() else {
            return self.offer(call, from, Some(to), None, vec![to], &Edit::Same);
        };
        let of = &self.calls[call];
        let alias = format!("tag{from}.2");
        let signal = Signal {
            from_tag: alias,
            to_tag: Some(of.parties[to].tag.clone()),
            alias_key: Some(key),
            address_family: Some(if of.parties[to].ip.is_ipv4() { ng::Family::Ip4 } else { ng::Family::Ip6 }),
            direction: Vec::new(),
            ..signal
        };
        let exchange = Exchange { offer: true, given: vec![to], surely: true, again: true, ..exchange };
        self.ask(call, About::Signal(Box::new(exchange)), Command::Offer(Box::new(signal)));
    }
}
