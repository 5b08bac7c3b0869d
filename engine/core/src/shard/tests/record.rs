//! Who is recorded, from when to when, and what the keeper is told.

use ng::{EventKind, Recording, RecordingOptions, Selector};

use super::*;
use crate::{
    io::RecordingId,
    recording::RecordingNote::{self, Begun, Described, Ended, Metadata},
};

fn rig() -> Rig {
    Rig::with(|config| config.limits.recordings_max = 2)
}

fn about(selector: Selector) -> Box<Recording> {
    Box::new(Recording { call_id: "c".into(), selector, ..Recording::default() })
}

fn whole() -> Box<Recording> {
    // What Kamailio sends: a tag, which selects nobody by itself.
    about(Selector { from_tag: Some("A".into()), ..Selector::default() })
}

fn party(tag: &str) -> Box<Recording> {
    about(Selector { from_tag: Some(tag.into()), directional: true, ..Selector::default() })
}

const OK: Reply = Reply::Ok { warning: None };

/// One packet from each side; from whom it was recorded.
fn heard(rig: &mut Rig, (toward_b, toward_a): (u16, u16)) -> Vec<SocketAddr> {
    rig.recorded.clear();
    assert!(rig.rtp(A, toward_a).is_some() && rig.rtp(B, toward_b).is_some());
    rig.recorded.iter().map(|(_, remote, _)| *remote).collect()
}

fn both() -> Vec<SocketAddr> {
    [A, B].map(|at| at.parse().unwrap()).to_vec()
}

fn only(at: &str) -> Vec<SocketAddr> {
    vec![at.parse().unwrap()]
}

fn notes(rig: &mut Rig) -> Vec<RecordingNote> {
    rig.notes.drain(..).map(|(_, note)| note).collect()
}

#[test]
fn nobody_is_recorded_unasked() {
    let mut rig = rig();
    let ports = established(&mut rig);
    assert_eq!(heard(&mut rig, ports), []);
    assert_eq!(rig.notes, []);
}

#[test]
fn a_recording_starts_pauses_goes_on_and_stops() {
    let mut rig = rig();
    let ports = established(&mut rig);
    assert_eq!(rig.command(Command::StartRecording(whole())), OK);
    assert_eq!(heard(&mut rig, ports), both());
    assert_eq!(rig.recorded[0].0.port(), ports.1, "it arrived where A was told to send");
    assert!(matches!(&rig.notes[..], [(RecordingId(1), Begun(begun))] if begun.call_id == "c"));
    assert_eq!(rig.command(Command::PauseRecording(whole())), OK);
    assert_eq!(heard(&mut rig, ports), []);
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    assert!(report.recording, "a pause is no end");
    assert_eq!(rig.command(Command::StartRecording(whole())), OK);
    assert_eq!(heard(&mut rig, ports), both());
    notes(&mut rig);
    assert_eq!(rig.command(Command::StopRecording(whole())), OK);
    assert_eq!(notes(&mut rig), [Ended { discard: false, with_call: false }]);
    assert_eq!(heard(&mut rig, ports), []);
    assert_eq!(rig.command(Command::StopRecording(whole())), OK);
    let pause = rig.command(Command::PauseRecording(whole()));
    assert_eq!(pause, Reply::Ok { warning: Some("The call is not recorded".into()) });
    assert_eq!(rig.command(Command::StartRecording(whole())), OK);
    assert_eq!(rig.notes[0].0, RecordingId(2), "another recording has another number");
    assert_eq!(rig.shard.counters().recordings_live, 1);
    rig.delete(at_once("c"));
    assert_eq!(rig.notes[1].1, Ended { discard: false, with_call: true });
    rig.assert_clean();
}

/// As rtpengine 10.5.3.5 does: a recording is of what a party sent, whoever may hear it.
#[test]
fn digits_that_are_kept_from_the_other_side_are_recorded() {
    let mut rig = rig();
    let (_, toward_a) = established(&mut rig);
    assert_eq!(rig.command(Command::StartRecording(whole())), OK);
    let block = ng::Gate {
        call_id: "c".into(),
        action: ng::GateAction::BlockDtmf,
        from_tag: None,
        label: None,
        address: None,
        all: false,
        to_label: None,
        ways: ng::All::Unsaid,
        set_label: None,
    };
    assert_eq!(rig.command(Command::Gate(Box::new(block))), OK);
    let event = [0x80, 101, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 5, 10, 0, 160];
    assert_eq!(rig.packet(A, toward_a, &event), None);
    let [(_, from, packet)] = &rig.recorded[..] else { panic!("{:?}", rig.recorded) };
    assert_eq!((*from, packet.as_slice()), (A.parse().unwrap(), event.as_slice()));
}

#[test]
fn one_party_is_recorded_if_it_is_named_and_left_out_if_it_is_excluded() {
    let mut rig = rig();
    let ports = established(&mut rig);
    assert_eq!(rig.command(Command::StartRecording(party("A"))), OK);
    assert_eq!(heard(&mut rig, ports), only(A));
    assert_eq!(rig.command(Command::StartRecording(party("B"))), OK);
    assert_eq!(heard(&mut rig, ports), both());
    assert_eq!(rig.command(Command::StopRecording(party("A"))), OK);
    assert_eq!(heard(&mut rig, ports), only(B));
    notes(&mut rig);
    assert_eq!(rig.command(Command::StopRecording(party("B"))), OK);
    assert_eq!(notes(&mut rig), [Ended { discard: false, with_call: false }], "nobody is left");
    // Both were left out and stay so until they are named.
    assert_eq!(rig.command(Command::StartRecording(whole())), OK);
    assert_eq!(heard(&mut rig, ports), []);
    assert_eq!(rig.command(Command::StartRecording(party("A"))), OK);
    assert_eq!(heard(&mut rig, ports), only(A));
    let by_address = Selector { address: Some("198.51.100.2".parse().unwrap()), ..Selector::default() };
    assert_eq!(rig.command(Command::StartRecording(about(by_address))), OK);
    assert_eq!(heard(&mut rig, ports), both());
    let excluded = Recording {
        options: RecordingOptions { exclude: true, ..RecordingOptions::default() },
        ..*party("B")
    };
    assert_eq!(rig.command(Command::StartRecording(Box::new(excluded))), OK);
    assert_eq!(heard(&mut rig, ports), only(A));
    assert_eq!(rig.command(Command::PauseRecording(party("A"))), OK);
    assert_eq!(heard(&mut rig, ports), []);
    let unknown = rig.command(Command::StartRecording(party("Z")));
    assert_eq!(unknown, Reply::Error("From-tag given, but no such tag exists".into()));
}

#[test]
fn an_offer_records_early_media_and_every_branch_that_answers() {
    let mut rig = rig();
    let offer = Signal {
        record_call: Some(true),
        recording: RecordingOptions { metadata: Some("m1".into()), ..RecordingOptions::default() },
        ..from_a(sdp(A, ""))
    };
    let toward_b = rig.offer(offer).port();
    let [Begun(begun), Described { offer: true, sdp: written }] = &notes(&mut rig)[..] else {
        panic!("begun")
    };
    assert_eq!(begun.options.metadata.as_deref(), Some("m1"));
    assert!(String::from_utf8_lossy(written).contains(&format!("m=audio {toward_b} ")));
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    rig.answer(Signal { to_tag: Some("C".into()), ..from_a(sdp("198.51.100.3:6000", "")) });
    assert!(matches!(notes(&mut rig)[..], [Described { offer: false, .. }, Described { offer: false, .. }]));
    rig.recorded.clear();
    for (from, port) in [(A, toward_a), (B, toward_b), ("198.51.100.3:6000", toward_b)] {
        rig.rtp(from, port);
    }
    assert_eq!(rig.recorded.len(), 3);
    rig.recorded.clear();
    let [rtcp, stranger] = ["198.51.100.1:4001", "203.0.113.99:4000"];
    rig.packet(rtcp, toward_a + 1, &[0x80, 201, 0, 1, 0, 0, 0, 1]);
    rig.rtp(stranger, toward_a);
    assert_eq!(rig.recorded.len(), 1, "RTCP is recorded, a stranger is not");
    let stop = Signal {
        record_call: Some(false),
        recording: RecordingOptions { metadata: Some("m2".into()), ..RecordingOptions::default() },
        ..to_b(sdp(A, ""))
    };
    rig.offer(stop);
    assert_eq!(notes(&mut rig), [Metadata("m2".into()), Ended { discard: false, with_call: false }]);
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    assert_eq!((report.recording, report.tags[0].metadata.as_deref()), (false, Some("m2")));
}

#[test]
fn without_a_keeper_recording_is_refused_with_a_reason() {
    let mut rig = Rig::new();
    let signal = Signal { record_call: Some(true), ..from_a(sdp(A, "")) };
    let text = "Recording is not possible: the engine was started without recording-dir";
    assert_eq!(rig.offer(signal).error(), text);
    rig.assert_clean();
    established(&mut rig);
    assert_eq!(rig.command(Command::StartRecording(whole())), Reply::Error(text.into()));
    let unknown = Box::new(Recording { call_id: "nobody".into(), ..Recording::default() });
    for command in [Command::StartRecording, Command::StopRecording, Command::PauseRecording] {
        assert_eq!(rig.command(command(unknown.clone())), Reply::Error("Unknown call-id".into()));
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let mut rig = rig();
    established(&mut rig);
    let with = |edit: fn(&mut RecordingOptions)| {
        let mut request = whole();
        edit(&mut request.options);
        request
    };
    let names: [fn(&mut RecordingOptions); 5] = [
        |options| options.file = Some("/etc/passwd".into()),
        |options| options.destination = Some("a/../../b".into()),
        |options| options.directory = Some("..".into()),
        |options| options.pattern = Some("../%c".into()),
        |options| options.pattern = Some("always-the-same".into()),
    ];
    for name in names {
        let reply = rig.command(Command::StartRecording(with(name)));
        assert!(matches!(reply, Reply::Error(_)), "{reply:?}");
    }
    assert_eq!(rig.notes, []);
    let good = with(|options| options.file = Some("day/one.pcap".into()));
    assert_eq!(rig.command(Command::StartRecording(good.clone())), OK);
    let again = rig.command(Command::StartRecording(good));
    assert!(matches!(again, Reply::Ok { warning: Some(_) }), "{again:?}");
}

#[test]
fn recordings_are_bounded_and_the_call_goes_on_without() {
    let mut rig = rig();
    for call in ["c", "d", "e"] {
        let signal = Signal { call_id: call.into(), record_call: Some(true), ..from_a(sdp(A, "")) };
        rig.offer(signal);
    }
    assert_eq!(rig.calls().len(), 3);
    let counters = rig.shard.counters();
    assert_eq!((counters.recordings_begun, counters.recordings_refused), (2, 1));
}

#[test]
fn a_keeper_that_fails_ends_the_recording_and_never_the_call() {
    let mut rig = rig();
    let own = |signal| Signal { owner: Some("o".into()), epoch: Some(1), ..signal };
    let toward_b = rig.offer(own(from_a(sdp(A, "")))).port();
    let toward_a = rig.answer(own(to_b(sdp(B, "")))).port();
    rig.command(Command::StartRecording(whole()));
    for _ in 0..2 {
        rig.input(Input::RecordingFailed { recording: RecordingId(1) });
    }
    let failures = rig.events.iter().filter(|event| event.kind == EventKind::RecordingFailed);
    assert_eq!(failures.count(), 1, "it is said once");
    assert_eq!(rig.notes.last().unwrap().1, Ended { discard: false, with_call: false });
    assert_eq!(heard(&mut rig, (toward_b, toward_a)), []);
    assert_eq!(rig.shard.counters().recordings_failed, 1);
}
