//! What clients forbid: whom nobody hears for now, or hears as silence.

use ng::{Gate as Request, GateAction};

use super::{
    Shard,
    select::{self, UNKNOWN_CALL},
};
use crate::{
    call::Call,
    path::{Gate, Paths},
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
        if request.all {
            call.legs
                .iter_mut()
                .flatten()
                .for_each(|leg| change(&mut leg.gate, request.action.is_lift().then_some(request.action)));
        }
        let gate = match party {
            Some(index) => &mut call.leg_mut(index).gate,
            None => &mut call.gate,
        };
        change(gate, Some(request.action));
        apply(call, &mut self.paths);
        self.reply(id, ng::Reply::Ok { warning: None });
    }
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
            paths[media.rtp].gate = call.gate.or(leg.gate);
        }
    }
}
