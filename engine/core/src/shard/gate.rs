//! What clients forbid: whom nobody hears for now, or hears as silence.

use ng::{Gate as Request, GateAction};

use super::Shard;
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
        let party = match party(call, request) {
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

/// The party that is meant; `None` is the whole call.
///
/// # Errors
/// The text of the refusal: whoever is named is not there.
fn party(call: &Call, request: &Request) -> Result<Option<usize>, &'static str> {
    if request.all {
        return Ok(None);
    }
    let found = |wanted: &dyn Fn(&crate::leg::Leg) -> bool, text| {
        let index = call.parties().find(|(_, leg)| wanted(leg)).map(|(index, _)| index);
        index.map(Some).ok_or(text)
    };
    if let Some(label) = &request.label {
        return found(&|leg| leg.label.as_ref() == Some(label), "No monologue matching the given label");
    }
    if let Some(address) = request.address {
        let there = |media: &crate::media::Media| media.endpoint.is_some_and(|at| at.ip() == address);
        return found(&|leg| leg.medias.iter().any(there), "Failed to match address to any tag");
    }
    match &request.from_tag {
        Some(tag) => found(&|leg| leg.tag.as_ref() == Some(tag), "From-tag given, but no such tag exists"),
        None => Ok(None),
    }
}

fn change(gate: &mut Gate, action: Option<GateAction>) {
    match action {
        Some(GateAction::Block) => gate.blocked = true,
        Some(GateAction::Unblock) => gate.blocked = false,
        Some(GateAction::Silence) => gate.silenced = true,
        Some(GateAction::Unsilence) => gate.silenced = false,
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

/// The text of commands about parties; `query` and `answer` write it otherwise.
const UNKNOWN_CALL: &str = "Unknown call-ID";
