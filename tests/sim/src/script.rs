//! What the client of a call does, step by step, as a seed decides.

mod listening;

use ng::{AliasKey, All, DeleteDelay, GateAction};

use crate::listening::Wanted;
use crate::party::Kind;
use crate::rng::Rng;

/// A step, and how long after the one before.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    pub(crate) after_ms: u64,
    pub(crate) step: Step,
}

/// Something that the client or a party does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Offer {
        from: usize,
        to: Option<usize>,
        branch: Option<u8>,
        /// Who gets the description.
        given: Vec<usize>,
        edit: Edit,
    },
    /// `from` made the offer that `by` answers.
    Answer {
        from: usize,
        by: usize,
        branch: Option<u8>,
        edit: Edit,
    },
    Delete {
        from: Option<usize>,
        to: Option<usize>,
        branch: Option<u8>,
        delay: DeleteDelay,
        keep: bool,
    },
    Gate {
        party: Option<usize>,
        action: GateAction,
        all: bool,
        /// Only on the way to somebody.
        way: Option<Way>,
    },
    Query(Option<usize>),
    /// Recording of a party, or of everybody.
    Record {
        what: Recording,
        party: Option<usize>,
    },
    Lease {
        ms: u64,
    },
    ReportAck,
    List,
    Ping,
    /// A party sends media for so long.
    Talk {
        party: usize,
        ms: u64,
    },
    /// The NAT of a party forgets its ports.
    Rebind(usize),
    /// Ask to hear others; say where; hear nobody any more.
    Subscribe {
        by: usize,
        wanted: Wanted,
    },
    SubscribeAnswer {
        by: usize,
        edit: Edit,
    },
    Unsubscribe(usize),
    Publish {
        by: usize,
        edit: Edit,
    },
    Connect {
        from: usize,
        to: usize,
        both: bool,
    },
    /// The same offer under another tag.
    Again {
        from: usize,
        to: usize,
        key: AliasKey,
    },
    /// In an undisturbed call this party has heard somebody by now.
    Hears(usize),
    /// In an undisturbed call both parties have heard each other by now.
    Check(usize, usize),
    /// Nothing.
    Rest,
}

/// To whom a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    To(usize),
    /// To those it talks to, those who subscribe to it, or both.
    Kind(All),
}

/// What becomes of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    Start,
    Pause,
    Stop,
}

/// What is new in a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The same as before, or one audio section.
    Same,
    /// These sections, at new ports.
    Sections(Vec<Kind>),
    Move,
    Hold,
    HoldNowhere,
    Inactive,
    Resume,
    /// One section more.
    Add(Kind),
    /// Only the first section is left.
    Drop,
    /// The last section is refused.
    Refuse,
    /// Everything becomes T.38.
    Fax,
}

/// What a call is like beside its steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) parties: usize,
    /// So many of them, the last ones, are in a call of another name.
    pub(crate) second: usize,
    pub(crate) steps: Vec<Timed>,
    /// It has an owner, which leases it.
    pub(crate) owned: bool,
    /// In no order that a client would keep.
    pub(crate) wild: bool,
    /// Without waiting for answers.
    pub(crate) hasty: bool,
    /// Nobody says where the second party's messages come from, and it sits behind a NAT.
    pub(crate) unseen: bool,
    /// Nothing is lost, sent again or out of order.
    pub(crate) calm: bool,
}

impl Plan {
    fn then(&mut self, after_ms: u64, step: Step) -> &mut Self {
        self.steps.push(Timed { after_ms, step });
        self
    }

    fn offer(&mut self, from: usize, to: Option<usize>, given: &[usize], edit: Edit) -> &mut Self {
        self.then(20, Step::Offer { from, to, branch: None, given: given.to_vec(), edit })
    }

    fn answer(&mut self, from: usize, by: usize, edit: Edit) -> &mut Self {
        self.then(30, Step::Answer { from, by, branch: None, edit })
    }

    fn talk(&mut self, parties: &[usize], ms: u64) -> &mut Self {
        for &party in parties {
            self.then(1, Step::Talk { party, ms });
        }
        self
    }

    fn delete(&mut self, delay: DeleteDelay, keep: bool) -> &mut Self {
        self.then(50, Step::Delete { from: Some(0), to: None, branch: None, delay, keep })
    }
}

/// A call as chance has it.
pub(crate) fn plan(rng: &mut Rng) -> Plan {
    let mut plan = Plan { parties: 2, owned: rng.percent(30), calm: rng.percent(40), ..Plan::default() };
    match rng.below(100) {
        0..=17 => simple(&mut plan, rng),
        18..=29 => re_offers(&mut plan, rng),
        30..=39 => branches(&mut plan, rng),
        40..=46 => forks(&mut plan, rng),
        47..=51 => late(&mut plan, rng),
        52..=56 => unanswered(&mut plan, rng),
        57..=63 => gates(&mut plan, rng),
        64..=68 => revived(&mut plan, rng),
        69..=71 => moving(&mut plan, rng),
        72 => shrinking(&mut plan, rng),
        73 => unseen(&mut plan, rng),
        74..=80 => listening::subscribed(&mut plan, rng),
        81..=84 => listening::published(&mut plan, rng),
        85..=89 => listening::connected(&mut plan, rng),
        90..=92 => listening::aliased(&mut plan, rng),
        _ => mess(&mut plan, rng),
    }
    plan
}

fn sections(rng: &mut Rng) -> Edit {
    const KINDS: [&[Kind]; 6] = [
        &[Kind::Audio],
        &[Kind::Audio],
        &[Kind::Audio, Kind::Video],
        &[Kind::Image],
        &[Kind::Audio, Kind::Message],
        &[Kind::Audio, Kind::Video, Kind::Image],
    ];
    Edit::Sections(rng.pick(&KINDS).to_vec())
}

fn seconds(rng: &mut Rng, from: u64, to: u64) -> u64 {
    rng.between(from * 1000, to * 1000)
}

fn delay(rng: &mut Rng) -> DeleteDelay {
    match rng.below(4) {
        0 => DeleteDelay::Default,
        1 => DeleteDelay::Seconds(2),
        _ => DeleteDelay::Seconds(0),
    }
}

/// Offer, answer, media, and one of the ways to end.
fn simple(plan: &mut Plan, rng: &mut Rng) {
    let ms = seconds(rng, 2, 8);
    let edit = sections(rng);
    plan.offer(0, None, &[1], edit);
    if rng.percent(30) {
        plan.talk(&[1], 500);
    }
    plan.answer(0, 1, Edit::Same).talk(&[0, 1], ms).then(ms, Step::Check(0, 1));
    if plan.owned {
        for _ in 0..rng.below(4) {
            let (after, ms) = (seconds(rng, 1, 3), seconds(rng, 2, 8));
            plan.then(after, Step::Lease { ms });
        }
    }
    if rng.percent(40) {
        plan.then(10, Step::Query(rng.percent(50).then_some(0)));
    }
    if rng.percent(75) {
        let (delay, keep) = (delay(rng), plan.owned && rng.percent(50));
        plan.delete(delay, keep);
    }
    if plan.owned && rng.percent(60) {
        let after = seconds(rng, 1, 20);
        plan.then(after, Step::ReportAck).then(10, Step::List);
    }
}

/// Holds, resumes, moves, new and left-out sections, fax.
fn re_offers(plan: &mut Plan, rng: &mut Rng) {
    let edit = sections(rng);
    plan.offer(0, None, &[1], edit).answer(0, 1, Edit::Same).talk(&[0, 1], 20_000);
    for _ in 0..rng.between(1, 6) {
        let (from, to) = if rng.percent(60) { (0, 1) } else { (1, 0) };
        let edit = match rng.below(12) {
            0 => Edit::Hold,
            1 => Edit::HoldNowhere,
            2 => Edit::Inactive,
            3 | 4 => Edit::Resume,
            5 => Edit::Move,
            6 => Edit::Add(Kind::Video),
            7 => Edit::Drop,
            8 => Edit::Refuse,
            9 => Edit::Fax,
            10 => Edit::Sections(vec![Kind::Audio]),
            _ => Edit::Same,
        };
        let after = rng.between(200, 2_500);
        plan.then(after, Step::Rest).offer(from, Some(to), &[to], edit);
        if rng.percent(85) {
            plan.answer(from, to, if rng.percent(90) { Edit::Same } else { Edit::Refuse });
        }
    }
    let after = seconds(rng, 1, 3);
    plan.then(after, Step::Rest);
    let delay = delay(rng);
    plan.delete(delay, false);
}

/// One offer to several branches: each is another offer, one answers, the others are deleted.
fn branches(plan: &mut Plan, rng: &mut Rng) {
    plan.parties = rng.index(2) + 3;
    let callees = plan.parties - 1;
    let branch = |callee: usize| u8::try_from(callee).ok();
    let edit = sections(rng);
    for callee in 1..=callees {
        let edit = if callee == 1 { edit.clone() } else { Edit::Same };
        plan.then(15, Step::Offer { from: 0, to: None, branch: branch(callee), given: vec![callee], edit });
    }
    plan.talk(&[0], 8_000);
    let early = rng.index(callees) + 1;
    let winner = rng.index(callees) + 1;
    for callee in [early, winner] {
        let after = rng.between(50, 1_500);
        plan.then(after, Step::Answer { from: 0, by: callee, branch: branch(callee), edit: Edit::Same });
        plan.talk(&[callee], 5_000);
    }
    for callee in (1..=callees).filter(|&callee| callee != winner) {
        let delay = delay(rng);
        let to = rng.percent(50).then_some(callee);
        let branch = branch(callee);
        plan.then(200, Step::Delete { from: Some(0), to, branch, delay, keep: false });
    }
    let after = seconds(rng, 1, 5);
    plan.then(after, Step::Query(None));
    if rng.percent(50) {
        plan.offer(0, Some(winner), &[winner], Edit::Hold).answer(0, winner, Edit::Same);
    }
    if rng.percent(80) {
        let delay = delay(rng);
        plan.delete(delay, false);
    }
}

/// One offer that a proxy behind us forks: several answer it.
fn forks(plan: &mut Plan, rng: &mut Rng) {
    plan.parties = rng.index(3) + 3;
    let callees: Vec<usize> = (1..plan.parties).collect();
    let edit = sections(rng);
    plan.offer(0, None, &callees, edit).talk(&[0], 10_000);
    for &callee in &callees {
        let after = rng.between(100, 1_500);
        plan.then(after, Step::Rest).answer(0, callee, Edit::Same).talk(&[callee], 6_000);
    }
    let chosen = rng.pick(&callees);
    let after = rng.between(100, 1_500);
    plan.then(after, Step::Rest).offer(0, Some(chosen), &[chosen], Edit::Same).answer(0, chosen, Edit::Same);
    plan.then(1_000, Step::Rest);
    if rng.percent(50) {
        let other = rng.pick(&callees);
        plan.then(
            10,
            Step::Delete {
                from: Some(0),
                to: Some(other),
                branch: None,
                delay: DeleteDelay::Seconds(0),
                keep: false,
            },
        );
        plan.then(500, Step::Rest);
    }
    let delay = delay(rng);
    plan.delete(delay, false);
}

/// The callee offers in its answer, the caller answers in its acknowledgement.
fn late(plan: &mut Plan, rng: &mut Rng) {
    let ms = seconds(rng, 2, 6);
    let edit = sections(rng);
    plan.offer(1, Some(0), &[0], edit).answer(1, 0, Edit::Same).talk(&[0, 1], ms).then(ms, Step::Check(0, 1));
    plan.offer(0, Some(1), &[1], Edit::Move).answer(0, 1, Edit::Move).talk(&[0, 1], ms);
    plan.then(ms, Step::Check(0, 1));
    let delay = delay(rng);
    plan.delete(delay, plan.owned);
}

/// Nobody answers: cancelled, or forgotten.
fn unanswered(plan: &mut Plan, rng: &mut Rng) {
    let edit = sections(rng);
    plan.offer(0, None, &[1], edit).talk(&[0, 1], 1_000);
    if rng.percent(60) {
        let (after, delay, keep) = (rng.between(5, 4_000), delay(rng), plan.owned);
        plan.then(after, Step::Rest).delete(delay, keep);
    }
}

/// What clients forbid, and lift again.
fn gates(plan: &mut Plan, rng: &mut Rng) {
    plan.parties = 3;
    plan.offer(0, None, &[1], Edit::Sections(vec![Kind::Audio]))
        .answer(0, 1, Edit::Same)
        .talk(&[0, 1], 15_000);
    let heard = rng.percent(50);
    if heard {
        let wanted = Wanted::These(vec![rng.index(2)]);
        plan.then(10, Step::Subscribe { by: 2, wanted }).talk(&[2], 15_000);
        plan.then(30, Step::SubscribeAnswer { by: 2, edit: Edit::Same });
    }
    for _ in 0..rng.between(2, 10) {
        let after = rng.between(100, 2_000);
        let party = rng.percent(80).then(|| rng.index(4));
        let action = rng.pick(&GateAction::ALL);
        let kinds = [All::OfferAnswer, All::ExceptOfferAnswer, All::Flows];
        let way = if rng.percent(50) { Way::To(rng.index(3)) } else { Way::Kind(rng.pick(&kinds)) };
        let way = Some(way).filter(|_| party.is_some() && rng.percent(60));
        plan.then(after, Step::Gate { party, action, all: way.is_none() && rng.percent(15), way });
        if heard && rng.percent(15) {
            plan.then(100, Step::Unsubscribe(2));
        }
        if rng.percent(40) {
            let what = rng.pick(&[Recording::Start, Recording::Start, Recording::Pause, Recording::Stop]);
            plan.then(100, Step::Record { what, party: rng.percent(25).then(|| rng.index(3)) });
        }
    }
    if rng.percent(50) {
        plan.then(300, Step::Rest).offer(1, Some(0), &[0], Edit::Move).answer(1, 0, Edit::Same);
    }
    plan.then(1_000, Step::Rest).delete(DeleteDelay::Seconds(0), false);
}

/// Deleted with a delay, and taken up again.
fn revived(plan: &mut Plan, rng: &mut Rng) {
    let edit = sections(rng);
    plan.offer(0, None, &[1], edit).answer(0, 1, Edit::Same).talk(&[0, 1], 15_000).then(1_000, Step::Rest);
    plan.delete(DeleteDelay::Seconds(2), false);
    let after = rng.between(0, 2_500);
    plan.then(after, Step::Rest).offer(0, Some(1), &[1], Edit::Same).answer(0, 1, Edit::Same);
    plan.then(3_000, Step::Rest);
    if rng.percent(70) {
        plan.delete(DeleteDelay::Default, false);
    }
}

/// The other side is another endpoint again and again.
fn moving(plan: &mut Plan, rng: &mut Rng) {
    plan.offer(0, None, &[1], Edit::Sections(vec![Kind::Audio]))
        .answer(0, 1, Edit::Same)
        .talk(&[0, 1], 10_000);
    for _ in 0..rng.between(5, 12) {
        let after = rng.between(50, 800);
        plan.then(after, Step::Rest);
        if rng.percent(25) {
            plan.then(1, Step::Rebind(0));
        }
        plan.offer(0, Some(1), &[1], Edit::Move).answer(0, 1, Edit::Same);
    }
    plan.then(500, Step::Rest).delete(DeleteDelay::Default, false);
}

/// One is known by a private address alone, and sends in time or does not.
fn unseen(plan: &mut Plan, rng: &mut Rng) {
    (plan.unseen, plan.calm) = (true, false);
    plan.offer(0, None, &[1], Edit::Sections(vec![Kind::Audio])).answer(0, 1, Edit::Same).talk(&[0], 30_000);
    let after = if rng.percent(70) { seconds(rng, 11, 14) } else { rng.between(10, 3_000) };
    plan.then(after, Step::Rest).talk(&[1], 8_000);
    plan.then(6_000, Step::Rest).delete(DeleteDelay::Seconds(0), false);
}

/// A second callee is offered less than the first one, who goes.
fn shrinking(plan: &mut Plan, rng: &mut Rng) {
    plan.parties = 3;
    plan.offer(0, None, &[1], Edit::Sections(vec![Kind::Audio, Kind::Video])).answer(0, 1, Edit::Same);
    plan.talk(&[0, 1, 2], 12_000).then(1_000, Step::Rest);
    let branch = Some(2);
    plan.then(10, Step::Offer { from: 0, to: None, branch, given: vec![2], edit: Edit::Drop });
    plan.then(50, Step::Answer { from: 0, by: 2, branch, edit: Edit::Same }).then(1_000, Step::Rest);
    let delay = DeleteDelay::Seconds(0);
    plan.then(10, Step::Delete { from: Some(0), to: Some(1), branch: None, delay, keep: false });
    let after = seconds(rng, 1, 8);
    plan.then(after, Step::Rest).delete(delay, false);
}

/// Any command about anybody, in any order, some before the one before is answered.
fn mess(plan: &mut Plan, rng: &mut Rng) {
    (plan.calm, plan.wild) = (false, true);
    // Two of them subscribe, one publishes.
    plan.parties = 9;
    for _ in 0..rng.between(10, 40) {
        let after = rng.below(700);
        let (one, other) = (rng.index(6), rng.index(6));
        let branch = rng.percent(30).then(|| rng.u8() % 4);
        let edit = match rng.below(6) {
            0 => sections(rng),
            1 => Edit::Hold,
            2 => Edit::Move,
            3 => Edit::Drop,
            _ => Edit::Same,
        };
        let step = match rng.below(22) {
            0..=3 => Step::Offer {
                from: one,
                to: rng.percent(60).then_some(other),
                branch,
                given: vec![other],
                edit,
            },
            4..=7 => Step::Answer { from: one, by: other, branch, edit },
            8 | 9 => Step::Delete {
                from: rng.percent(80).then_some(one),
                to: rng.percent(50).then_some(other),
                branch,
                delay: delay(rng),
                keep: plan.owned && rng.percent(30),
            },
            10 => Step::Query(Some(one)),
            11 => Step::Lease { ms: rng.below(6_000) },
            12 => Step::Ping,
            13 | 14 => Step::Subscribe { by: 6 + one % 2, wanted: listening::anybody(rng) },
            15 | 16 => Step::SubscribeAnswer { by: 6 + one % 2, edit: Edit::Same },
            17 => Step::Unsubscribe(rng.pick(&[6, 7, one])),
            18 => Step::Publish { by: 8, edit },
            19 => Step::Connect { from: one, to: other, both: rng.percent(50) },
            _ => Step::Talk { party: rng.index(9), ms: rng.below(3_000) },
        };
        plan.then(after, step);
    }
}
