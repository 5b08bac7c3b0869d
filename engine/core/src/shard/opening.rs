//! Sockets that a command asked for: open, refused, or tried again on another port.

use std::collections::VecDeque;

use ng::{Refusal, Reply};

use super::Shard;
use crate::{
    call::{Call, CallKey},
    io::{OpenError, Output, SocketId},
    leg::Leg,
    media::ShownPair,
    pending::Work,
    sim::{self, Way},
    socket::{PairId, Sockets},
};

impl Shard {
    pub(super) fn on_socket_opened(&mut self, socket: SocketId, result: Result<(), OpenError>) {
        let Some((key, pair)) = self.sockets.opened(socket, result.is_ok(), &mut self.outputs) else {
            return;
        };
        let Some(pending) = self.calls.get(key).and_then(|call| call.pending.as_ref()) else { return };
        if !pending.opening.contains(&pair) {
            return;
        }
        let id = pending.id;
        self.current = Some((id, Some(key)));
        let result = match result {
            Ok(()) => Ok(()),
            Err(OpenError::InUse) => self.try_another(key, pair),
            Err(_) => Err(Reply::OUT_OF_PORTS),
        };
        self.settle(id, key, result);
    }

    /// After a step of a command that needs sockets: refused, finished, or still waiting for them.
    pub(super) fn settle(&mut self, id: u64, key: CallKey, result: Result<(), &'static str>) {
        match result {
            Err(text) => {
                if text == Reply::OUT_OF_PORTS {
                    let name = self.calls.get(key).map(|call| call.name.clone()).unwrap_or_default();
                    self.note_refusal(&name, Refusal::Ports);
                }
                self.roll_back(key);
                self.refuse(id, text);
            }
            Ok(()) => {
                let Self { calls, sockets, .. } = self;
                let call = calls.get_mut(key);
                let ready = call.and_then(|call| {
                    call.pending.take_if(|pending| pending.opening.iter().all(|pair| sockets.is_open(*pair)))
                });
                let Some(pending) = ready else {
                    self.current = None;
                    return;
                };
                let done = match pending.work {
                    Work::Exchange(exchange) => self.commit(key, *exchange),
                    Work::Subscription(subscription) => self.commit_subscription(key, *subscription),
                    Work::Publication(publication) => self.commit_publication(key, *publication),
                };
                match done {
                    Ok(reply) => self.reply(id, reply),
                    Err(text) => self.refuse(id, text),
                }
            }
        }
        self.catch_up(key);
    }

    /// Obeys what waited for a command, until the next one waits.
    fn catch_up(&mut self, key: CallKey) {
        while let Some(call) = self.calls.get_mut(key).filter(|call| call.pending.is_none()) {
            let Some((id, command)) = call.waiting.pop_front() else { return };
            self.obey(id, command);
        }
    }

    /// Asks for another pair in place of one whose port somebody else has.
    fn try_another(&mut self, key: CallKey, pair: PairId) -> Result<(), &'static str> {
        let Self { calls, sockets, outputs, .. } = self;
        let call = calls.get_mut(key).expect("the pair belongs to a call that is there");
        let pending = call.pending.as_mut().expect("the pair is one that the call waits for");
        sim::seen(Way::PairRetried);
        pending.attempts_left = pending.attempts_left.checked_sub(1).ok_or(Reply::OUT_OF_PORTS)?;
        let medias = call.legs.iter_mut().flatten().flat_map(|leg| &mut leg.medias);
        let shown = medias.flat_map(|media| &mut media.pairs).find(|shown| shown.pair == pair);
        let shown = shown.expect("a pair that opens is shown to some party");
        let other =
            sockets.open_pair(key, shown.interface, pending.tos, outputs).ok_or(Reply::OUT_OF_PORTS)?;
        shown.pair = other;
        pending.replace_pair(pair, other);
        sockets.release(pair, outputs);
        Ok(())
    }

    /// Undoes a command that found no ports: its pairs go, and the call too if it has never been more.
    fn roll_back(&mut self, key: CallKey) {
        let Self { calls, sockets, outputs, .. } = self;
        let Some(call) = calls.get_mut(key) else { return };
        if let Some(pending) = call.pending.take() {
            for pair in pending.opening {
                for media in call.legs.iter_mut().flatten().flat_map(|leg| &mut leg.medias) {
                    media.pairs.retain(|shown| shown.pair != pair);
                }
                sockets.release(pair, outputs);
            }
        }
        if call.parties().all(|(_, leg)| !leg.described) {
            sim::seen(Way::RolledBackCall);
            // A call that never was leaves neither event nor report.
            call.owner = None;
            call.keep_report = false;
            return self.end_call(key, ng::EndReason::Fault);
        }
        sim::seen(Way::RolledBackExchange);
        // Parties that were only there for this command; nobody could name them later to delete them.
        let stray = |leg: &Leg| !leg.described && leg.partners.is_empty() && leg.hears.is_empty();
        let strays = call.parties().filter(|(_, leg)| stray(leg));
        for index in strays.map(|(index, _)| index).collect::<Vec<_>>() {
            self.remove_leg(key, index);
        }
    }
}

/// What the pairs of one command have in common.
pub(super) struct PairRequest<'a> {
    pub(super) key: CallKey,
    pub(super) tos: u8,
    pub(super) latching: bool,
    pub(super) pairs_max: usize,
    pub(super) opening: &'a mut Vec<PairId>,
    pub(super) outputs: &'a mut VecDeque<Output>,
}

impl PairRequest<'_> {
    /// The pair that `leg` is shown while the other side is at `peer`: one that it has, or a new one.
    pub(super) fn pair(
        &mut self,
        sockets: &mut Sockets,
        call: &mut Call,
        leg: usize,
        index: usize,
        peer: Option<std::net::SocketAddr>,
        ipv4: bool,
    ) -> Option<PairId> {
        let leg = call.leg_mut(leg);
        let interface = sockets.interfaces().choose(leg.interface.as_deref(), ipv4);
        let media = &mut leg.medias[index];
        // What a party was shown on an interface that has gone is good for as long as its call.
        let gone = media.selected_interface().filter(|index| !sockets.interfaces().is_current(*index));
        if gone.is_some() {
            sim::seen(Way::PairOnGoneInterface);
        }
        let latched = if self.latching { media.latched_pair(peer, gone.unwrap_or(interface)) } else { None };
        let known =
            latched.or_else(|| media.pair_for(peer, gone?)).or_else(|| media.pair_for(peer, interface));
        if let Some(pair) = known {
            sim::seen(if latched.is_some() { Way::PairLatched } else { Way::PairReused });
            return Some(pair);
        }
        let opening = &*self.opening;
        if let Some(surplus) = media.oldest_surplus(self.pairs_max, |pair| opening.contains(&pair)) {
            sim::seen(Way::PairSurplus);
            sockets.release(surplus, self.outputs);
        }
        sim::seen(Way::PairNew);
        let pair = sockets.open_pair(self.key, interface, self.tos, self.outputs)?;
        media.pairs.push(ShownPair { pair, interface, peer });
        self.opening.push(pair);
        Some(pair)
    }
}
