//! Owners, epochs, leases, reports and events.

use ng::{EndReason, EventKind, Lease, ReportAck};

use super::*;

fn owned(signal: Signal) -> Signal {
    Signal {
        owner: Some("control".into()),
        epoch: Some(5),
        lease_ms: Some(10_000),
        keep_report: true,
        ..signal
    }
}

fn owned_call(rig: &mut Rig) -> (u16, u16) {
    let toward_b = rig.offer(owned(from_a(sdp(A, "")))).port();
    let toward_a = rig.answer(owned(to_b(sdp(B, "")))).port();
    (toward_b, toward_a)
}

fn lease(epoch: u64, lease_ms: u64) -> Command {
    Command::Lease(Lease { call_id: "c".into(), owner: "control".into(), epoch, lease_ms })
}

#[test]
fn a_lease_ends_the_call_to_the_millisecond_whether_or_not_packets_flow() {
    let mut rig = Rig::new();
    let (_, toward_a) = owned_call(&mut rig);
    for _ in 0..9 {
        rig.pass(1_000);
        assert!(rig.rtp(A, toward_a).is_some());
    }
    rig.pass(999);
    assert!(rig.rtp(A, toward_a).is_some());
    assert_eq!(rig.shard.next_deadline(), Some(Instant::from_millis(rig.now_ms + 1)));
    rig.pass(1);
    assert_eq!(rig.rtp(A, toward_a), None);
    assert_eq!(rig.shard.counters().leases_ended, 1);
    let last = rig.events.pop().unwrap();
    let EventKind::Ended { ended, legs } = last.kind else { panic!("{last:?}") };
    assert_eq!((ended.reason, ended.lifetime_ms), (EndReason::LeaseEnded, 10_000));
    assert_eq!(legs[0].medias[0].received.packets, 10);
    assert_eq!(last.owner.as_deref(), Some("control"));
    rig.assert_clean();
}

#[test]
fn a_lease_is_renewed_by_command_and_by_signal() {
    let mut rig = Rig::new();
    owned_call(&mut rig);
    rig.pass(9_000);
    assert_eq!(rig.command(lease(5, 10_000)), Reply::Ok { warning: None });
    rig.pass(9_000);
    rig.offer(owned(to_b(sdp(A, ""))));
    rig.pass(9_999);
    assert_eq!(rig.calls(), ["c"]);
    rig.pass(1);
    rig.assert_clean();
}

#[test]
fn a_stale_epoch_changes_nothing() {
    let mut rig = Rig::new();
    owned_call(&mut rig);
    assert_eq!(rig.command(lease(4, 60_000)), Reply::Error("Stale epoch".into()));
    let stale = Signal { epoch: Some(4), ..owned(to_b(sdp("198.51.100.1:4444", ""))) };
    assert_eq!(rig.offer(stale).error(), "Stale epoch");
    let stale = Delete { owner: Some("control".into()), epoch: Some(4), ..at_once("c") };
    assert_eq!(rig.delete(stale), Reply::Error("Stale epoch".into()));
    assert_eq!(rig.command(lease(6, 60_000)), Reply::Ok { warning: None }, "the next incarnation takes over");
    assert_eq!(rig.command(lease(5, 60_000)), Reply::Error("Stale epoch".into()));
    assert_eq!(rig.shard.counters().stale_epochs, 4);
}

#[test]
fn another_owner_is_refused() {
    let mut rig = Rig::new();
    owned_call(&mut rig);
    let other = Signal { owner: Some("other".into()), ..owned(to_b(sdp(A, ""))) };
    assert_eq!(rig.offer(other).error(), "Call has another owner");
    let other = Delete { owner: Some("other".into()), epoch: Some(9), ..at_once("c") };
    assert_eq!(rig.delete(other), Reply::Error("Call has another owner".into()));
}

#[test]
fn an_owner_s_delete_is_at_once_and_its_report_is_kept_until_acknowledged() {
    let mut rig = Rig::new();
    let (_, toward_a) = owned_call(&mut rig);
    rig.rtp(A, toward_a);
    let delete =
        Delete { call_id: "c".into(), owner: Some("control".into()), epoch: Some(5), ..Delete::default() };
    let Reply::Report(first) = rig.delete(delete.clone()) else { panic!("no report") };
    assert_eq!(first.ended.as_ref().unwrap().reason, EndReason::Deleted);
    rig.assert_clean();
    assert_eq!(rig.delete(delete), Reply::Report(first.clone()), "a repeated delete reads the same");
    assert_eq!(rig.query("c"), Reply::Report(first));
    let list = ng::List { owner: Some("control".into()), ..ng::List::default() };
    let Reply::List(listed) = rig.command(Command::List(list)) else { panic!("no list") };
    assert_eq!((listed.calls.len(), listed.ended), (0, vec!["c".to_owned()]));
    let ack = Command::ReportAck(ReportAck { call_id: "c".into(), ..ReportAck::default() });
    assert_eq!(rig.command(ack), Reply::Ok { warning: None });
    assert_eq!(rig.query("c"), Reply::Error("Unknown call-id".into()));
}

#[test]
fn kept_reports_are_bounded() {
    let mut rig = Rig::with(|config| config.limits.reports_max = 3);
    for call in 0..5 {
        rig.offer(Signal { call_id: call.to_string(), ..owned(from_a(sdp(A, ""))) });
        rig.delete(at_once(&call.to_string()));
    }
    assert_eq!(rig.shard.counters().reports_lost, 2);
    assert_eq!(rig.shard.counters().reports_live, 3);
    assert!(matches!(rig.query("1"), Reply::Error(_)));
    assert!(matches!(rig.query("2"), Reply::Report(_)));
}

#[test]
fn owners_hear_the_counters_once_a_second_and_nobody_else_does() {
    let mut rig = Rig::new();
    let (_, toward_a) = owned_call(&mut rig);
    rig.offer(Signal { call_id: "foreign".into(), ..from_a(sdp(A, "")) });
    rig.pass(500);
    rig.rtp(A, toward_a);
    rig.pass(2_600);
    rig.events.retain(|event| !matches!(event.kind, EventKind::MediaTrouble(_)));
    assert_eq!(rig.events.len(), 3);
    let EventKind::CallReport { legs } = &rig.events[2].kind else { panic!("{:?}", rig.events[2]) };
    let [a, b] = &legs[..] else { panic!("{legs:?}") };
    assert_eq!((a.tag.as_str(), a.medias[0].received.packets, a.medias[0].received.bytes), ("A", 1, 172));
    assert_eq!((b.tag.as_str(), b.medias[0].sent.packets), ("B", 1));
    assert_eq!((a.medias[0].last_packet_ms, b.medias[0].last_packet_ms), (Some(2_500), None));
    assert!(rig.events.iter().all(|event| event.call_id == "c"));
}

#[test]
fn shutdown_ends_every_call_and_says_so() {
    let mut rig = Rig::new();
    owned_call(&mut rig);
    rig.input(Input::Shutdown);
    assert!(
        matches!(&rig.events.last().unwrap().kind, EventKind::Ended { ended, .. } if ended.reason == EndReason::Shutdown)
    );
    rig.assert_clean();
}

#[test]
fn a_fault_ends_its_call_alone_and_is_answered() {
    let mut rig = Rig::new();
    owned_call(&mut rig);
    rig.offer(Signal { call_id: "other".into(), ..from_a(sdp(A, "")) });
    let key = rig.shard.calls.by_name("c").unwrap();
    // A party that is not there: whoever reads it fails, the report of the fault included.
    rig.shard.calls.get_mut(key).unwrap().leg_mut(0).peer = Some(99);
    assert_eq!(rig.query("c"), Reply::Error("Internal error".into()));
    assert_eq!(rig.shard.counters().faults, 1);
    assert_eq!(rig.calls(), ["other"]);
    rig.delete(at_once("other"));
    rig.assert_clean();
}

#[test]
fn a_fault_at_a_deadline_ends_its_call_and_does_not_come_again() {
    let mut rig = Rig::new();
    owned_call(&mut rig);
    rig.offer(Signal { call_id: "other".into(), ..from_a(sdp(A, "")) });
    let key = rig.shard.calls.by_name("c").unwrap();
    let path = rig.shard.calls.get(key).unwrap().leg(0).medias[0].rtp;
    // The report that is due every second reads it.
    rig.shard.paths.remove(path);
    rig.now_ms += 2_000;
    rig.input(Input::Tick);
    assert_eq!(rig.shard.counters().faults, 1);
    rig.input(Input::Tick);
    assert_eq!(rig.shard.counters().faults, 1);
    assert_eq!(rig.calls(), ["other"]);
    rig.delete(at_once("other"));
    rig.assert_clean();
}

#[test]
fn many_leases_that_end_at_once_leave_turns_for_media() {
    let mut rig = Rig::new();
    for call in 0..200 {
        let signal = Signal {
            call_id: call.to_string(),
            owner: Some("o".into()),
            lease_ms: Some(500),
            ..from_a(sdp(A, ""))
        };
        assert!(rig.offer(signal).port() > 0);
    }
    rig.now_ms += 500;
    let mut ticks = 0;
    while rig.shard.next_deadline().is_some_and(|at| at <= Instant::from_millis(rig.now_ms)) {
        let before = rig.shard.calls.len();
        rig.input(Input::Tick);
        assert!(before - rig.shard.calls.len() <= crate::shard::timers::DUE_AT_ONCE);
        ticks += 1;
    }
    assert_eq!((ticks, rig.shard.counters().leases_ended), (4, 200));
    rig.assert_clean();
}
