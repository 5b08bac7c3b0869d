//! Calls in which somebody hears others by subscription, only sends, is connected, or comes again under another tag.

use ng::{AliasKey, DeleteDelay};

use super::{Edit, Plan, Recording, Step, delay, seconds, sections};
use crate::listening::Wanted;
use crate::party::Kind;
use crate::rng::Rng;

/// Whom a subscriber of a call in no order wants to hear.
pub(super) fn anybody(rng: &mut Rng) -> Wanted {
    match rng.below(6) {
        0 => Wanted::All,
        1 => Wanted::These(vec![rng.index(6), rng.index(6)]),
        2 => Wanted::These(vec![8]),
        _ => Wanted::These(vec![rng.index(6)]),
    }
}

/// Two talk, others hear them, for a while or until the end.
pub(super) fn subscribed(plan: &mut Plan, rng: &mut Rng) {
    plan.parties = 4;
    let edit = sections(rng);
    plan.offer(0, None, &[1], edit).answer(0, 1, Edit::Same).talk(&[0, 1], 25_000);
    let wanted = match rng.below(4) {
        0 => Wanted::All,
        1 => Wanted::These(vec![0, 1]),
        _ => Wanted::These(vec![rng.index(2)]),
    };
    // Told where before it said where it is.
    plan.then(300, Step::Subscribe { by: 2, wanted: wanted.clone() }).talk(&[2], 20_000);
    plan.then(40, Step::SubscribeAnswer { by: 2, edit: Edit::Same }).then(3_000, Step::Hears(2));
    for _ in 0..rng.below(4) {
        let after = rng.between(100, 2_000);
        plan.then(after, Step::Rest);
        let (from, to) = if rng.percent(50) { (0, 1) } else { (1, 0) };
        match rng.below(6) {
            0 => {
                plan.offer(from, Some(to), &[to], Edit::Move).answer(from, to, Edit::Same);
            }
            1 => {
                plan.then(10, Step::Subscribe { by: 2, wanted: Wanted::All });
                let edit = if rng.percent(70) { Edit::Same } else { Edit::Move };
                plan.then(30, Step::SubscribeAnswer { by: 2, edit });
            }
            2 => {
                plan.then(10, Step::Subscribe { by: 3, wanted: Wanted::These(vec![from]) })
                    .talk(&[3], 10_000);
                let edit = rng.pick(&[0, 1, 2]);
                let edit = [Edit::Same, Edit::Inactive, Edit::Refuse][edit].clone();
                plan.then(30, Step::SubscribeAnswer { by: 3, edit });
            }
            3 => {
                plan.then(10, Step::Unsubscribe(3));
            }
            4 => {
                let edit = rng.percent(50);
                let edit = if edit { Edit::Hold } else { Edit::Resume };
                plan.offer(from, Some(to), &[to], edit).answer(from, to, Edit::Same);
            }
            _ => {
                plan.then(10, Step::Rebind(2));
            }
        }
    }
    match rng.below(3) {
        0 => {
            plan.then(500, Step::Unsubscribe(2)).then(2_000, Step::Rest);
        }
        1 => {
            // Whom it heard goes, and maybe nobody is left whom it could hear.
            let delay = DeleteDelay::Seconds(0);
            let step = Step::Delete { from: Some(0), to: Some(1), branch: None, delay, keep: false };
            plan.then(500, step).then(1_000, Step::Rest);
        }
        _ => {}
    }
    let delay = delay(rng);
    plan.delete(delay, false);
}

/// One only sends, in a call of its own or in another's, and others hear it.
pub(super) fn published(plan: &mut Plan, rng: &mut Rng) {
    plan.parties = 5;
    if rng.percent(40) {
        plan.offer(0, None, &[1], Edit::Sections(vec![Kind::Audio])).answer(0, 1, Edit::Same);
        plan.talk(&[0, 1], 10_000);
    }
    let edit = sections(rng);
    plan.then(10, Step::Publish { by: 2, edit }).talk(&[2], 20_000);
    for by in [3, 4] {
        plan.then(200, Step::Subscribe { by, wanted: Wanted::These(vec![2]) }).talk(&[by], 15_000);
        plan.then(30, Step::SubscribeAnswer { by, edit: Edit::Same });
    }
    for _ in 0..rng.below(3) {
        let after = rng.between(500, 2_500);
        let step = match rng.below(3) {
            0 => Step::Publish { by: 2, edit: Edit::Move },
            1 => Step::Publish { by: 2, edit: Edit::Drop },
            _ => Step::Unsubscribe(4),
        };
        plan.then(after, step);
    }
    let after = seconds(rng, 4, 8);
    plan.then(after, Step::Rest);
    let delay = delay(rng);
    let from = if rng.percent(50) { 2 } else { 0 };
    plan.then(50, Step::Delete { from: Some(from), to: None, branch: None, delay, keep: plan.owned });
}

/// Two calls become one, or two parties of one call hear each other.
pub(super) fn connected(plan: &mut Plan, rng: &mut Rng) {
    // Two names would have two reports and two ends.
    (plan.parties, plan.second, plan.owned) = (4, 2, false);
    let kinds = if rng.percent(70) { vec![Kind::Audio] } else { vec![Kind::Audio, Kind::Video] };
    for (from, to) in [(0, 1), (2, 3)] {
        plan.offer(from, None, &[to], Edit::Sections(kinds.clone())).answer(from, to, Edit::Same);
        plan.talk(&[from, to], 25_000);
    }
    for party in [0, 2] {
        if rng.percent(50) {
            plan.then(10, Step::Record { what: Recording::Start, party: Some(party) });
        }
    }
    plan.then(3_000, Step::Check(0, 1)).then(1, Step::Check(2, 3));
    let both = rng.percent(70);
    // Behind an offer that waits for its sockets, and before others.
    let crowd = rng.percent(50);
    if crowd {
        (plan.calm, plan.hasty) = (false, true);
        plan.then(1, Step::Offer { from: 2, to: Some(3), branch: None, given: vec![3], edit: Edit::Move });
    }
    plan.then(1, Step::Connect { from: 0, to: 3, both });
    if crowd {
        plan.then(1, Step::Answer { from: 2, by: 3, branch: None, edit: Edit::Same });
        plan.then(1, Step::Offer { from: 3, to: Some(2), branch: None, given: vec![2], edit: Edit::Move });
        plan.answer(3, 2, Edit::Same);
    } else {
        plan.then(500, Step::Check(0, 3)).then(4_000, if both { Step::Check(0, 3) } else { Step::Hears(3) });
    }
    if rng.percent(40) {
        let (from, to) = if both { (0, 3) } else { (0, 1) };
        plan.offer(from, Some(to), &[to], Edit::Move).answer(from, to, Edit::Same);
    }
    if rng.percent(30) {
        plan.then(300, Step::Connect { from: 1, to: 0, both: rng.percent(50) });
    }
    for from in [0, 2] {
        let delay = delay(rng);
        plan.then(500, Step::Delete { from: Some(from), to: None, branch: None, delay, keep: false });
    }
}

/// The same offer comes under another tag, and the party goes on under both.
pub(super) fn aliased(plan: &mut Plan, rng: &mut Rng) {
    plan.calm = true;
    let edit = sections(rng);
    plan.offer(0, None, &[1], edit).answer(0, 1, Edit::Same).talk(&[0, 1], 20_000);
    plan.then(3_000, Step::Check(0, 1));
    let key = if rng.percent(50) { AliasKey::Sdp } else { AliasKey::Address };
    plan.then(100, Step::Again { from: 0, to: 1, key }).answer(0, 1, Edit::Same);
    plan.then(4_000, Step::Check(0, 1));
    let action = rng.pick(&ng::GateAction::ALL);
    plan.then(100, Step::Gate { party: Some(0), action, all: false, way: None }).then(1_000, Step::Rest);
    let delay = delay(rng);
    plan.delete(delay, false);
}
