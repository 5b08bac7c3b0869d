//! Who is let in, and what the others hear.

use ng::{EventKind, Refusal};

use super::*;

fn call(name: &str, supports_load_limit: bool) -> Command {
    let signal = Signal { call_id: name.into(), supports_load_limit, ..from_a(sdp(A, "")) };
    Command::Offer(Box::new(signal))
}

/// Reasons and counts of the events about refused calls since the last look.
fn told(rig: &mut Rig) -> Vec<(String, Refusal, u64)> {
    let events = std::mem::take(&mut rig.events).into_iter();
    events
        .filter_map(|event| match event.kind {
            EventKind::Refused { reason, calls } => Some((event.call_id, reason, calls)),
            _ => None,
        })
        .collect()
}

#[test]
fn load_refuses_new_calls_only_and_each_client_in_its_own_words() {
    for reason in [Refusal::Load, Refusal::Cpu, Refusal::Bandwidth, Refusal::Draining] {
        let mut rig = Rig::new();
        rig.offer(from_a(sdp(A, "")));
        rig.input(Input::Admission(Some(reason)));
        assert_eq!(rig.command(call("new", true)), Reply::LoadLimit(reason.text().into()));
        let plain = Reply::Error("Parallel session limit reached".into());
        assert_eq!(rig.command(call("new", false)), plain);
        assert!(rig.offer(from_a(sdp(A, ""))).port() > 0, "a repeated offer is of a known call");
        assert!(rig.answer(to_b(sdp(B, ""))).port() > 0);
        assert_eq!(rig.command(Command::Ping(ng::Ping::default())), Reply::Pong { instance: None });
        assert_eq!(rig.shard.counters().refusals(reason), 2);
        assert_eq!(rig.shard.counters().calls_begun, 1);
        rig.input(Input::Admission(None));
        assert!(rig.offer(Signal { call_id: "new".into(), ..from_a(sdp(A, "")) }).port() > 0);
    }
}

#[test]
fn a_deleted_call_is_known_until_its_delay_is_over() {
    let mut rig = Rig::new();
    established(&mut rig);
    rig.delete(Delete { call_id: "c".into(), ..Delete::default() });
    rig.input(Input::Admission(Some(Refusal::Draining)));
    assert!(rig.offer(from_a(sdp(A, ""))).port() > 0, "it is revived");
    rig.delete(at_once("c"));
    assert_eq!(rig.shard.calls_live(), 0);
    assert!(matches!(rig.command(call("c", true)), Reply::LoadLimit(_)));
}

#[test]
fn draining_is_named_before_a_full_shard_and_that_before_the_load() {
    let mut rig = Rig::with(|config| config.limits.calls_max = 0);
    let text = |rig: &mut Rig| rig.command(call("new", true));
    rig.input(Input::Admission(Some(Refusal::Cpu)));
    assert_eq!(text(&mut rig), Reply::LoadLimit("Parallel session limit reached".into()));
    rig.input(Input::Admission(Some(Refusal::Draining)));
    assert_eq!(text(&mut rig), Reply::LoadLimit("Draining".into()));
}

#[test]
fn refused_calls_are_told_at_once_and_then_once_a_second() {
    let mut rig = Rig::with(|config| config.limits.calls_max = 0);
    for number in 0..5 {
        rig.command(call(&number.to_string(), true));
        rig.pass(100);
    }
    assert_eq!(told(&mut rig), [("0".to_owned(), Refusal::Sessions, 1)]);
    rig.pass(500);
    rig.command(call("last", false));
    assert_eq!(told(&mut rig), [("last".to_owned(), Refusal::Sessions, 5)]);
    assert_eq!(rig.shard.counters().refusals(Refusal::Sessions), 6);
}

#[test]
fn a_call_without_ports_is_told_too() {
    let mut rig = Rig::with(|config| config.ports = PortRange::whole(20_000, 20_001, 5));
    let (Reply::Error(one), Reply::Error(other)) =
        (rig.command(call("c", true)), rig.command(call("c", false)))
    else {
        panic!("two parties need two pairs")
    };
    assert_eq!([one, other], ["Ran out of ports"; 2]);
    assert_eq!(told(&mut rig), [("c".to_owned(), Refusal::Ports, 1)]);
}
