//! Engines that fail, end calls, or are full.

use call::*;
use ng::EndReason;
use sip::{HeaderName, Method};

use crate::basic::{dialled, phone, talking};
use crate::peer::sdp;
use crate::world::{World, money};

fn byes(world: &mut World, pair: &crate::basic::Pair) {
    for peer in [&pair.phone, &pair.carrier] {
        let bye = peer.expect_request(world, Method::Bye);
        peer.send(world, peer.response(&bye, 200, None));
    }
}

#[test]
fn a_lost_engine_ends_its_calls_billed_to_its_last_report() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    for _ in 0..9 {
        world.pass_ms(1000);
        world.report(0);
    }
    world.pass_ms(1700);
    world.engines[0].up = false;
    world.input(Input::EngineDown { engine: EngineId(0) });
    byes(&mut world, &pair);
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.talk_ms, cdr.billed_seconds), (9000, 9));
    assert_eq!(cdr.charge, money("0.14"));
    assert_eq!(cdr.media.caller.packets_received, 7);
    assert_eq!(cdr.ended_by, Side::Exchange);
    assert_eq!(world.exchange.counters().engine_lost, 1);

    let mut phone = pair.phone;
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);
}

#[test]
fn an_engine_that_is_another_process_lost_its_calls() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    world.pass_ms(7000);
    world.report(0);
    world.engines[0] = crate::engine::ModelEngine::new("reborn");
    world.input(Input::EngineUp { engine: EngineId(0), instance: "reborn".into() });
    byes(&mut world, &pair);
    world.finish();
    assert_eq!(world.cdr().billed_seconds, 7);
}

#[test]
fn the_next_engine_takes_what_a_lost_one_did_not() {
    let mut world = World::new();
    world.engines[1].up = true;
    world.input(Input::EngineUp { engine: EngineId(1), instance: "two".into() });
    world.input(Input::EngineDown { engine: EngineId(0) });
    dialled(&mut world);
    assert_eq!((world.engines[0].live(), world.engines[1].live()), (0, 1));
}

#[test]
fn the_next_engine_takes_what_a_full_or_silent_one_refuses() {
    for silent in [true, false] {
        let mut world = World::new();
        world.engines[1].up = true;
        world.input(Input::EngineUp { engine: EngineId(1), instance: "two".into() });
        world.engines[0].up = !silent;
        world.engines[0].refusing = Some(ng::Reply::OUT_OF_PORTS);
        let mut phone = phone();
        let invite = phone.invite("+493055555", Some(&sdp(4000)));
        phone.send(&mut world, invite);
        world.pass_ms(2_100);
        crate::basic::carrier().expect_request(&mut world, Method::Invite);
        assert_eq!(world.engines[1].live(), 1);
        let deletes = world.trace.iter().filter(|line| *line == "media delete").count();
        assert_eq!(deletes, 1, "the first engine may have opened ports");
    }
}

#[test]
fn ports_that_ran_out_everywhere_are_503() {
    let mut world = World::new();
    world.engines[0].refusing = Some(ng::Reply::OUT_OF_PORTS);
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn silence_is_not_billed() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    world.pass_ms(70_000);
    world.engine_ends(EndReason::MediaTimeout, 60_000);
    byes(&mut world, &pair);
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.talk_ms, cdr.q850), (10_000, 102));
    assert_eq!(cdr.cause, "media timeout");
}

#[test]
fn a_call_that_the_engine_ended_is_ended() {
    for reason in [EndReason::LeaseEnded, EndReason::Shutdown, EndReason::Fault, EndReason::Deleted] {
        let mut world = World::new();
        let (pair, ..) = talking(&mut world);
        world.pass_ms(10_000);
        world.engine_ends(reason, 20);
        byes(&mut world, &pair);
        world.finish();
        assert_eq!(world.cdr().talk_ms, 10_000);
    }
}

#[test]
fn an_engine_that_does_not_answer_the_delete_leaves_the_last_report() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    world.pass_ms(1000);
    world.report(0);
    world.engines[0].up = false;
    let mut phone = pair.phone.clone();
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    world.finish();
    assert_eq!(world.cdr().media.callee.packets_received, 7);
}

#[test]
fn calls_that_nobody_knows_are_swept_from_an_engine() {
    let mut world = World::new();
    talking(&mut world);
    world.engines[0].calls.insert("01STRANGER.1".into(), crate::engine::EngineCall::default());
    world.input(Input::EngineUp { engine: EngineId(0), instance: "one".into() });
    assert_eq!(world.engines[0].calls.len(), 1, "the stranger is gone, ours is there");
    assert!(!world.engines[0].calls.contains_key("01STRANGER.1"));
}

#[test]
fn the_engine_learns_where_the_message_of_each_description_came_from() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    let sources = &world.engines[0].calls.values().next().expect("a call").sources;
    let [phone, carrier] = [&pair.phone, &pair.carrier].map(|peer| Some(peer.address().ip()));
    assert_eq!(*sources, [phone, carrier]);
}

#[test]
fn an_engine_that_does_not_answer_the_answer_is_503() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.engines[0].up = false;
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    world.pass_ms(2_000);
    assert!(pair.phone.expect(&mut world, 503).headers.has(&HeaderName::RetryAfter));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}
