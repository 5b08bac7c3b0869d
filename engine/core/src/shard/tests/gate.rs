//! Whom nobody hears for now, and who is heard as silence.

use ng::{All, Gate as Request, GateAction, Selector, SubscribeAnswer, SubscribeRequest};

use super::*;

const VOICE: [u8; 160] = [0x11; 160];
const SILENCE: [u8; 160] = [0xff; 160];

fn gate(action: GateAction) -> Request {
    Request {
        call_id: "c".into(),
        action,
        from_tag: None,
        label: None,
        address: None,
        all: false,
        to_label: None,
        ways: All::Unsaid,
        set_label: None,
    }
}

fn of_a(action: GateAction) -> Request {
    Request { from_tag: Some("A".into()), ..gate(action) }
}

fn obey(rig: &mut Rig, request: Request) {
    assert_eq!(rig.command(Command::Gate(Box::new(request))), Reply::Ok { warning: None });
}

/// What the other side gets of what is said from here.
fn heard(rig: &mut Rig, from: &str, to_port: u16) -> Option<Vec<u8>> {
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend(VOICE);
    let socket = *rig.open.iter().find(|(_, local)| local.port() == to_port).expect("an open port").0;
    rig.sent.clear();
    rig.input(Input::datagram(socket, from.parse().unwrap(), &mut packet));
    rig.sent.pop().map(|_| packet[12..].to_vec())
}

/// What B gets of A, and A of B.
fn both(rig: &mut Rig, (toward_b, toward_a): (u16, u16)) -> [Option<Vec<u8>>; 2] {
    [heard(rig, A, toward_a), heard(rig, B, toward_b)]
}

fn voice() -> Option<Vec<u8>> {
    Some(VOICE.to_vec())
}

fn silence() -> Option<Vec<u8>> {
    Some(SILENCE.to_vec())
}

#[test]
fn a_call_or_a_party_is_blocked_and_silenced_and_each_is_lifted_alone() {
    let mut rig = Rig::new();
    let ports = established(&mut rig);
    for (request, during, lifted) in [
        (gate(GateAction::Block), [None, None], gate(GateAction::Unblock)),
        (of_a(GateAction::Block), [None, voice()], of_a(GateAction::Unblock)),
        (gate(GateAction::Silence), [silence(), silence()], gate(GateAction::Unsilence)),
        (of_a(GateAction::Silence), [silence(), voice()], of_a(GateAction::Unsilence)),
    ] {
        obey(&mut rig, request.clone());
        assert_eq!(both(&mut rig, ports), during, "{request:?}");
        obey(&mut rig, lifted);
        assert_eq!(both(&mut rig, ports), [voice(), voice()], "{request:?} and its end");
    }
    assert_eq!(rig.drops(DropReason::Blocked), 3);
}

/// Whether a digit of the party is heard by the other one.
fn digit(rig: &mut Rig, from: &str, to_port: u16) -> bool {
    let event = [0x80, 101, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 5, 10, 0, 160];
    rig.packet(from, to_port, &event).is_some()
}

#[test]
fn digits_are_blocked_for_the_call_or_a_party_and_voice_is_not() {
    let mut rig = Rig::new();
    let events = "m=audio 6002 RTP/AVP 97\r\na=rtpmap:97 telephone-event/8000\r\n";
    let toward_b = rig.offer(from_a(sdp(A, events))).port();
    let toward_a = rig.answer(to_b(sdp(B, events))).port();
    let digits = |rig: &mut Rig| [digit(rig, A, toward_a), digit(rig, B, toward_b)];
    assert_eq!(digits(&mut rig), [true, true]);
    for (request, during, lifted) in [
        (gate(GateAction::BlockDtmf), [false, false], gate(GateAction::UnblockDtmf)),
        (of_a(GateAction::BlockDtmf), [false, true], of_a(GateAction::UnblockDtmf)),
    ] {
        obey(&mut rig, request);
        assert_eq!(digits(&mut rig), during);
        assert_eq!(both(&mut rig, (toward_b, toward_a)), [voice(), voice()]);
        obey(&mut rig, lifted);
        assert_eq!(digits(&mut rig), [true, true]);
    }
    // As rtpengine 10.5.3.5 does: the call's end is not the party's, and `all` is everybody's.
    obey(&mut rig, of_a(GateAction::BlockDtmf));
    obey(&mut rig, gate(GateAction::UnblockDtmf));
    assert_eq!(digits(&mut rig), [false, true]);
    obey(&mut rig, Request { all: true, ..gate(GateAction::UnblockDtmf) });
    assert_eq!(digits(&mut rig), [true, true]);
    assert_eq!(rig.drops(DropReason::Blocked), 4);
}

/// rtpengine 10.5.3.5 lets digits through a block of media, and nothing but digits.
#[test]
fn a_block_of_media_lets_digits_through_and_both_blocks_let_nothing() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    let heard = |rig: &mut Rig| (heard(rig, A, toward_a).is_some(), digit(rig, A, toward_a));
    obey(&mut rig, gate(GateAction::Block));
    assert_eq!(heard(&mut rig), (false, true));
    obey(&mut rig, of_a(GateAction::BlockDtmf));
    assert_eq!(heard(&mut rig), (false, false));
    obey(&mut rig, gate(GateAction::Unblock));
    assert_eq!(heard(&mut rig), (true, false));
    obey(&mut rig, gate(GateAction::Silence));
    obey(&mut rig, of_a(GateAction::UnblockDtmf));
    assert_eq!(heard(&mut rig), (true, true));
}

#[test]
fn each_packet_is_judged_by_itself_though_it_is_not_observed() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    obey(&mut rig, of_a(GateAction::BlockDtmf));
    // More contributing sources are announced than there are bytes, so that no stream is told by it.
    let broken = |payload_type: u8| [0x8f, payload_type, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 5, 10, 0, 160];
    assert!(!digit(&mut rig, A, toward_a));
    assert!(rig.packet(A, toward_a, &broken(0)).is_some(), "after a digit");
    assert!(heard(&mut rig, A, toward_a).is_some());
    assert!(rig.packet(A, toward_a, &broken(101)).is_none(), "after voice");
}

#[test]
fn lifting_the_call_leaves_a_party_and_lifting_all_leaves_nobody() {
    let mut rig = Rig::new();
    let ports = established(&mut rig);
    obey(&mut rig, gate(GateAction::Block));
    obey(&mut rig, of_a(GateAction::Block));
    obey(&mut rig, of_a(GateAction::Unblock));
    assert_eq!(both(&mut rig, ports), [None, None], "the call is still blocked");
    obey(&mut rig, of_a(GateAction::Block));
    obey(&mut rig, gate(GateAction::Unblock));
    assert_eq!(both(&mut rig, ports), [None, voice()], "the party is still blocked");
    obey(&mut rig, Request { all: true, ..gate(GateAction::Unblock) });
    assert_eq!(both(&mut rig, ports), [voice(), voice()]);
    obey(&mut rig, Request { all: true, ..of_a(GateAction::Block) });
    assert_eq!(both(&mut rig, ports), [None, None], "with `all` a tag selects nobody");
}

#[test]
fn a_blocked_party_stays_blocked_through_a_re_offer_and_rtcp_passes() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    obey(&mut rig, of_a(GateAction::Block));
    assert_eq!(established(&mut rig), (toward_b, toward_a));
    assert_eq!(heard(&mut rig, A, toward_a), None);
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    assert!(rig.packet("198.51.100.1:4001", toward_a + 1, &report).is_some());
}

#[test]
fn a_party_is_found_by_label_or_by_address_and_nobody_by_what_nobody_has() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(Signal { label: Some("caller".into()), ..from_a(sdp(A, "")) }).port();
    let ports = (toward_b, rig.answer(to_b(sdp(B, ""))).port());
    let address: SocketAddr = B.parse().unwrap();
    let caller = Request { label: Some("caller".into()), ..gate(GateAction::Block) };
    obey(&mut rig, caller.clone());
    assert_eq!(both(&mut rig, ports), [None, voice()]);
    obey(&mut rig, Request { action: GateAction::Unblock, ..caller });
    obey(&mut rig, Request { address: Some(address.ip()), ..gate(GateAction::Block) });
    assert_eq!(both(&mut rig, ports), [voice(), None]);
    for (request, text) in [
        (Request { call_id: "other".into(), ..gate(GateAction::Block) }, "Unknown call-ID"),
        (
            Request { label: Some("x".into()), ..gate(GateAction::Block) },
            "No monologue matching the given label",
        ),
        (
            Request { address: "192.0.2.99".parse().ok(), ..gate(GateAction::Block) },
            "Failed to match address to any tag",
        ),
        (
            Request { from_tag: Some("x".into()), ..gate(GateAction::Block) },
            "From-tag given, but no such tag exists",
        ),
    ] {
        assert_eq!(rig.command(Command::Gate(Box::new(request))), Reply::Error(text.into()));
    }
}

const REC: &str = "198.51.100.9:7000";

/// A recorder, labelled so, hears A; whoever gets what A says at this port, and what.
fn recorder(rig: &mut Rig) {
    let signal =
        Signal { to_tag: Some("rec".into()), set_label: Some("recorder".into()), ..from_a(Vec::new()) };
    let selector = Selector { from_tag: Some("A".into()), ..Selector::default() };
    let request = SubscribeRequest { selector, from_tags: Vec::new(), signal: Box::new(signal) };
    assert!(matches!(rig.command(Command::SubscribeRequest(Box::new(request))), Reply::Signal(_)));
    let signal = Signal { to_tag: Some("rec".into()), ..from_a(sdp(REC, "")) };
    let answer = SubscribeAnswer { signal: Box::new(signal), allow_transcoding: false };
    assert_eq!(rig.command(Command::SubscribeAnswer(answer)), Reply::Ok { warning: None });
}

fn hearers(rig: &mut Rig, port: u16) -> Vec<String> {
    rig.copies.clear();
    let first = rig.rtp(A, port).map(|(_, remote)| remote);
    first.into_iter().chain(rig.copies.iter().map(|(_, to, _)| *to)).map(|to| to.to_string()).collect()
}

/// The label of the hearer and the kinds of ways follow the documentation of later releases; 10.5.3.5 knows neither.
#[test]
fn one_way_is_forbidden_alone_by_the_hearers_label_or_its_kind() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    recorder(&mut rig);
    let to_recorder = |action| Request { to_label: Some("recorder".into()), ..of_a(action) };
    let kind = |action, ways| Request { ways, ..of_a(action) };
    for (block, during, unblock) in [
        (to_recorder(GateAction::Block), &[B][..], to_recorder(GateAction::Unblock)),
        (kind(GateAction::Block, All::OfferAnswer), &[REC], kind(GateAction::Unblock, All::OfferAnswer)),
        (kind(GateAction::Block, All::ExceptOfferAnswer), &[B], kind(GateAction::Unblock, All::Flows)),
        (kind(GateAction::Block, All::Flows), &[], Request { all: true, ..gate(GateAction::Unblock) }),
    ] {
        obey(&mut rig, block.clone());
        assert_eq!(hearers(&mut rig, toward_a), during, "{block:?}");
        obey(&mut rig, unblock.clone());
        assert_eq!(hearers(&mut rig, toward_a), [B, REC], "{unblock:?}");
    }
    obey(&mut rig, to_recorder(GateAction::Silence));
    heard(&mut rig, A, toward_a);
    let (_, _, copy) = rig.copies.pop().unwrap();
    assert_eq!(copy[12..], SILENCE);
    assert_eq!(heard(&mut rig, A, toward_a).unwrap(), VOICE);
}

#[test]
fn a_way_stays_forbidden_through_a_re_offer_and_a_repeated_subscription() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    recorder(&mut rig);
    obey(&mut rig, Request { to_label: Some("recorder".into()), ..of_a(GateAction::Block) });
    established(&mut rig);
    assert_eq!(hearers(&mut rig, toward_a), [B]);
    recorder(&mut rig);
    assert_eq!(hearers(&mut rig, toward_a), [B]);
    rig.delete(Delete { from_tag: Some("rec".into()), ..at_once("c") });
    recorder(&mut rig);
    assert_eq!(hearers(&mut rig, toward_a), [B, REC], "another party, though of the same tag");
}

#[test]
fn a_way_needs_a_party_and_a_hearer_and_a_party_can_be_named_anew() {
    let mut rig = Rig::new();
    established(&mut rig);
    let ask = |rig: &mut Rig, request| rig.command(Command::Gate(Box::new(request)));
    let nobody = Request { ways: All::Flows, ..gate(GateAction::Block) };
    assert_eq!(ask(&mut rig, nobody), Reply::Error("No call participant specified".into()));
    let unknown = Request { to_label: Some("x".into()), ..of_a(GateAction::Block) };
    assert_eq!(ask(&mut rig, unknown), Reply::Error("No monologue matching the given label".into()));
    let digits = Request { ways: All::Flows, ..of_a(GateAction::BlockDtmf) };
    let text = "Not supported: digits are blocked for a call or a party, not on one way";
    assert_eq!(ask(&mut rig, digits), Reply::Error(text.into()));
    let unheard = Request { ways: All::ExceptOfferAnswer, ..of_a(GateAction::Block) };
    let warning = Some("Nobody hears this party in that way".into());
    assert_eq!(ask(&mut rig, unheard), Reply::Ok { warning });
    obey(&mut rig, Request { set_label: Some("caller".into()), ..of_a(GateAction::Block) });
    obey(&mut rig, Request { label: Some("caller".into()), ..gate(GateAction::Unblock) });
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    assert_eq!(report.tags[0].label.as_deref(), Some("caller"));
}
