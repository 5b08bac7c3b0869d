//! What clients forbid in one call: everybody, a party, or one way from a party to another.

use std::collections::BTreeMap;

use ng::GateAction;

/// What a client forbids.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Gate {
    pub(crate) blocked: bool,
    pub(crate) silenced: bool,
    /// Digits are dropped.
    pub(crate) dtmf: bool,
}

impl Gate {
    pub(crate) fn change(&mut self, action: GateAction) {
        match action {
            GateAction::Block => self.blocked = true,
            GateAction::Unblock => self.blocked = false,
            GateAction::Silence => self.silenced = true,
            GateAction::Unsilence => self.silenced = false,
            GateAction::BlockDtmf => self.dtmf = true,
            GateAction::UnblockDtmf => self.dtmf = false,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            blocked: self.blocked || other.blocked,
            silenced: self.silenced || other.silenced,
            dtmf: self.dtmf || other.dtmf,
        }
    }
}

/// What is forbidden on ways from one party to another.
#[derive(Debug, Default)]
pub(crate) struct WayGates {
    /// By speaker and listener: what is without any doubt, and what may be.
    gates: BTreeMap<(usize, usize), [Gate; 2]>,
}

impl WayGates {
    /// Something changes on the way from a party to some, who are meant `surely` or only maybe.
    pub(crate) fn change(&mut self, speaker: usize, listeners: &[usize], surely: bool, action: GateAction) {
        for &listener in listeners {
            let [sure, maybe] = self.gates.entry((speaker, listener)).or_default();
            if surely || action.is_lift() {
                sure.change(action);
            }
            if surely || !action.is_lift() {
                maybe.change(action);
            }
        }
    }

    /// What is forbidden on any way is not any more.
    pub(crate) fn lift(&mut self, action: GateAction) {
        self.gates.values_mut().flatten().for_each(|gate| gate.change(action));
    }

    /// Whoever hears is not whom he was: nothing is sure of the ways to him, or to anybody.
    pub(crate) fn doubt(&mut self, listener: Option<usize>) {
        let of = |to: usize| listener.is_none_or(|listener| listener == to);
        self.gates
            .iter_mut()
            .filter(|((_, to), _)| of(*to))
            .for_each(|(_, [sure, _])| *sure = Gate::default());
    }

    /// What is forbidden whoever of these sent and whoever of those heard it, and what may be on any way.
    pub(crate) fn forbidden(&self, senders: &[usize], hearers: &[usize]) -> [Gate; 2] {
        let ways = || senders.iter().flat_map(|&from| hearers.iter().map(move |&to| (from, to)));
        let sure = |way: (usize, usize)| self.gates.get(&way).map(|[sure, _]| *sure).unwrap_or_default();
        let sure = Gate {
            blocked: ways().all(|way| sure(way).blocked),
            silenced: ways().all(|way| sure(way).silenced),
            dtmf: false,
        };
        [sure, self.maybe(senders, |listener| hearers.contains(&listener))]
    }

    /// What may be forbidden on any way from these.
    pub(crate) fn maybe(&self, senders: &[usize], to: impl Fn(usize) -> bool) -> Gate {
        let gates = self.gates.iter().filter(|((from, listener), _)| senders.contains(from) && to(*listener));
        gates.fold(Gate::default(), |gate, (_, [_, maybe])| gate.or(*maybe))
    }
}
