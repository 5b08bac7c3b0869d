//! What is deleted: a call or a party of it, at once or after a delay in which it can be revived.

use std::time::Duration;

use ng::{DeleteDelay, EndReason, Reply};

use super::{OTHER_OWNER, Shard, gate, is_foreign};
use crate::{
    call::CallKey,
    negotiate::dialogue,
    report,
    sim::{self, Way},
    timer::Timer,
};

/// How long parties that were due to go wait for an exchange to finish.
const REMOVE_RETRY: Duration = Duration::from_millis(100);

impl Shard {
    pub(super) fn on_delete(&mut self, id: u64, delete: &ng::Delete) {
        let Some(key) = self.calls.by_name(&delete.call_id) else {
            return match self.kept.get(&delete.call_id) {
                Some(report) if report.owner.is_some() && report.owner == delete.owner => {
                    let report = Box::new(report.clone());
                    self.reply(id, Reply::Report(report));
                }
                _ => self.not_found(id, delete),
            };
        };
        let call = self.calls.get(key).expect("a name leads to a call");
        if is_foreign(call, delete.owner.as_deref()) {
            return self.refuse(id, OTHER_OWNER);
        }
        let gone = dialogue::deleted(call, delete);
        sim::seen(match gone.len() {
            0 => Way::DeleteNobody,
            count if count == call.parties().count() => Way::DeleteAll,
            _ => Way::DeleteParty,
        });
        if gone.is_empty() && call.parties().next().is_some() {
            return self.not_found(id, delete);
        }
        let delay = match delete.delay {
            DeleteDelay::Seconds(seconds) => Duration::from_secs(seconds.into()),
            // Whoever drives the call knows that it is over, and wants the ports free and the report final.
            DeleteDelay::Default if call.owner.is_some() => call.delete_delay.unwrap_or(Duration::ZERO),
            DeleteDelay::Default => call.delete_delay.unwrap_or(self.limits.delete_delay),
        };
        if !delay.is_zero() {
            sim::seen(Way::DeleteLater);
        }
        let mut told = dialogue::asked_about(call, delete.from_tag.as_deref(), delete.to_tag.as_deref());
        if told.is_empty() {
            told.clone_from(&gone);
        }
        let mut report =
            report::of_call(call, &self.sockets, &self.paths, self.now, |index| told.contains(&index));
        let gone_at = self.now + delay;
        let call = self.calls.get_mut(key).expect("it was there a line ago");
        call.keep_report |= delete.keep_report;
        for index in gone {
            call.leg_mut(index).gone_at = Some(gone_at);
        }
        let whole = call.parties().all(|(_, leg)| leg.gone_at.is_some());
        if whole && delay.is_zero() && call.owner.is_some() {
            report.ended = Some(self.ended(key, EndReason::Deleted));
        }
        self.remove_due(key);
        let reply = if delete.fast { Reply::Ok { warning: None } } else { Reply::Report(Box::new(report)) };
        self.reply(id, reply);
    }

    pub(super) fn not_found(&mut self, id: u64, delete: &ng::Delete) {
        if delete.fatal {
            return self.refuse(id, Reply::DELETE_NOT_FOUND);
        }
        self.reply(id, Reply::Ok { warning: Some(Reply::DELETE_NOT_FOUND.to_owned()) });
    }

    /// Removes the parties whose time has come, and the call if none is left; sets the timer for the others.
    pub(super) fn remove_due(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        // An exchange that waits for its sockets names parties by index, and may be about to revive them.
        if call.pending.is_some() {
            sim::seen(Way::DeleteWhilePending);
            self.timers.set(&mut call.deadlines, key, Timer::Remove, Some(self.now + REMOVE_RETRY));
            return;
        }
        let mut due: Vec<usize> = call
            .parties()
            .filter(|(_, leg)| leg.gone_at.is_some_and(|at| at <= self.now))
            .map(|(index, _)| index)
            .collect();
        dialogue::add_bereft_subscribers(call, &mut due);
        if due.len() == call.parties().count() {
            self.counters.calls_deleted += 1;
            return self.end_call(key, EndReason::Deleted);
        }
        let next = call.parties().filter_map(|(_, leg)| leg.gone_at).filter(|&at| at > self.now).min();
        self.timers.set(&mut call.deadlines, key, Timer::Remove, next);
        for index in due {
            self.remove_leg(key, index);
        }
    }

    pub(super) fn remove_leg(&mut self, key: CallKey, index: usize) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(leg) = call.legs.get_mut(index).and_then(Option::take) else { return };
        for media in &leg.medias {
            for shown in &media.pairs {
                self.sockets.release(shown.pair, &mut self.outputs);
            }
            self.paths.sample(media.rtp, self.now, true, &mut self.counters);
            for path in [media.rtp, media.rtcp] {
                for other in call.legs.iter().flatten().flat_map(|leg| &leg.medias) {
                    for half in [other.rtp, other.rtcp] {
                        if self.paths[half].sibling == Some(path) {
                            self.paths[half].sibling = self.paths[path].sibling;
                        }
                    }
                }
                self.paths.remove(path);
            }
        }
        let mut bereft = Vec::new();
        for (party, other) in (0..).zip(&mut call.legs) {
            let Some(other) = other else { continue };
            other.partners.retain(|&partner| partner != index);
            other.hears.retain(|&source| source != index);
            other.ways.retain(|&(listener, _)| listener != index);
            other.last = other.last.filter(|&last| last != index);
            if other.peer == Some(index) {
                other.peer = other.partners.last().copied();
                bereft.extend(other.peer.map(|peer| (party, peer)));
            }
        }
        // Whoever talked to the one that went talks to who is left.
        for (party, peer) in bereft {
            sim::seen(Way::PeerBereft);
            for (from, to) in call.leg(party).medias.iter().zip(&call.leg(peer).medias) {
                self.paths.set_sink(from.rtp, to.rtp);
                self.paths.set_sink(from.rtcp, to.rtcp);
            }
        }
        gate::apply(call, &mut self.paths);
    }
}
