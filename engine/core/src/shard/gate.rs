//! What clients forbid: whom nobody hears for now, or hears as silence.

use ng::{All, Gate as Request, GateAction};

use super::{
    Shard,
    select::{self, UNKNOWN_CALL},
};
use crate::{
    call::Call,
    path::{Gate, Paths},
    sim::{self, Way},
};

impl Shard {
    pub(super) fn on_gate(&mut self, id: u64, request: &Request) {
        let Some(key) = self.calls.by_name(&request.call_id) else {
            return self.refuse(id, UNKNOWN_CALL);
        };
        let call = self.calls.get_mut(key).expect("a name leads to a call");
        let found =
            select::party(call, request.label.as_deref(), request.address, request.from_tag.as_deref());
        let party = match if request.all { Ok(None) } else { found } {
            Ok(party) => party,
            Err(text) => return self.refuse(id, text),
        };
        if let (Some(label), Some(index)) = (&request.set_label, party) {
            call.leg_mut(index).label = Some(label.clone());
        }
        if request.to_label.is_some() || request.ways != All::Unsaid {
            return match ways(call, party, request) {
                Ok(warning) => {
                    sim::seen(if warning.is_some() { Way::GateWayNobody } else { Way::GateWay });
                    apply(call, &mut self.paths);
                    self.reply(id, ng::Reply::Ok { warning });
                }
                Err(text) => self.refuse(id, text),
            };
        }
        if request.all {
            sim::seen(Way::GateLifted);
            let lift = request.action.is_lift().then_some(request.action);
            for leg in call.legs.iter_mut().flatten() {
                change(&mut leg.gate, lift);
                leg.ways.iter_mut().for_each(|(_, gate)| change(gate, lift));
                leg.ways.retain(|(_, gate)| *gate != Gate::default());
            }
        }
        sim::seen(if party.is_some() { Way::GateParty } else { Way::GateCall });
        let gate = match party {
            Some(index) => &mut call.leg_mut(index).gate,
            None => &mut call.gate,
        };
        change(gate, Some(request.action));
        apply(call, &mut self.paths);
        self.reply(id, ng::Reply::Ok { warning: None });
    }
}

/// Changes what is forbidden on some ways from a party alone; returns what the client should know.
///
/// # Errors
/// The text of the refusal.
fn ways(call: &mut Call, party: Option<usize>, request: &Request) -> Result<Option<String>, &'static str> {
    let party = party.ok_or("No call participant specified")?;
    if matches!(request.action, GateAction::BlockDtmf | GateAction::UnblockDtmf) {
        return Err("Not supported: digits are blocked for a call or a party, not on one way");
    }
    let listeners: Vec<usize> = if let Some(label) = request.to_label.as_deref() {
        select::party(call, Some(label), None, None)?.into_iter().collect()
    } else {
        let talks = call.leg(party).peer.filter(|_| request.ways != All::ExceptOfferAnswer);
        let hears = call.parties().filter(|(_, leg)| leg.subscribes_to(party)).map(|(index, _)| index);
        talks.into_iter().chain(hears.filter(|_| request.ways != All::OfferAnswer)).collect()
    };
    let ways = &mut call.leg_mut(party).ways;
    for &listener in &listeners {
        if ways.iter().all(|(known, _)| *known != listener) {
            ways.push((listener, Gate::default()));
        }
        let way = ways.iter_mut().filter(|(known, _)| *known == listener);
        way.for_each(|(_, gate)| change(gate, Some(request.action)));
    }
    ways.retain(|(_, gate)| *gate != Gate::default());
    Ok(listeners.is_empty().then(|| "Nobody hears this party in that way".to_owned()))
}

fn change(gate: &mut Gate, action: Option<GateAction>) {
    match action {
        Some(GateAction::Block) => gate.blocked = true,
        Some(GateAction::Unblock) => gate.blocked = false,
        Some(GateAction::Silence) => gate.silenced = true,
        Some(GateAction::Unsilence) => gate.silenced = false,
        Some(GateAction::BlockDtmf) => gate.dtmf_blocked = true,
        Some(GateAction::UnblockDtmf) => gate.dtmf_blocked = false,
        None => {}
    }
}

/// Lets the paths of a call know what is forbidden; whoever joins later, or gets another section, is no exception.
pub(super) fn apply(call: &Call, paths: &mut Paths) {
    for (_, leg) in call.parties() {
        for media in &leg.medias {
            let path = &mut paths[media.rtp];
            path.gate = call.gate.or(leg.gate);
            for sink in path.sinks_mut() {
                let heard_by = |listener: usize| {
                    let listener = call.legs.get(listener).and_then(Option::as_ref);
                    listener.is_some_and(|leg| leg.medias.iter().any(|media| media.rtp == sink.path))
                };
                let way = leg.ways.iter().find(|(listener, _)| heard_by(*listener));
                let gate = way.map(|(_, gate)| *gate).unwrap_or_default();
                (sink.blocked, sink.silenced) = (gate.blocked, gate.silenced);
            }
        }
    }
}
