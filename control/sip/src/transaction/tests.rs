//! The layer as a whole: two ends, lost messages, hostile input.

use std::time::{Duration, Instant};

use super::*;
use crate::message::{CSeq, Uri};

const T1: Duration = Duration::from_millis(500);

fn layer() -> TransactionLayer {
    layer_with(|_| {})
}

fn layer_with(change: impl FnOnce(&mut LayerConfig)) -> TransactionLayer {
    let mut config = LayerConfig::new("198.51.100.1:5060".parse().expect("sent-by"));
    change(&mut config);
    TransactionLayer::new(config, 7)
}

fn hop(transport: Transport) -> Hop {
    Hop::over(transport, "192.0.2.7:5062".parse().expect("address"), FlowId(3))
}

fn request(method: Method, to_tag: &str) -> Request {
    let uri: Uri = "sip:bob@example.com".parse().expect("uri");
    let mut request = Request::new(method.clone(), uri);
    request.headers.push(HeaderName::From, "<sip:alice@example.com>;tag=a1");
    request.headers.push(HeaderName::To, &format!("<sip:bob@example.com>{to_tag}"));
    request.headers.push(HeaderName::CallId, "call-1");
    request.headers.push_typed(&CSeq { number: 1, method });
    request
}

/// As a peer would send it: with a Via of its own.
fn incoming(method: Method, branch: &str) -> Message {
    let mut request = request(method, "");
    request.headers.push_front(HeaderName::Via, &format!("SIP/2.0/UDP 192.0.2.7:5062;rport;branch={branch}"));
    Message::Request(request)
}

fn sent(layer: &mut TransactionLayer) -> Vec<Message> {
    let mut out = Vec::new();
    while let Some((_, bytes)) = layer.poll_transmit() {
        out.push(Message::parse_datagram(&bytes).expect("we send valid messages"));
    }
    out
}

fn statuses(layer: &mut TransactionLayer) -> Vec<u16> {
    sent(layer)
        .iter()
        .map(|message| match message {
            Message::Response(response) => response.status().code(),
            Message::Request(request) => panic!("{request:?}"),
        })
        .collect()
}

fn methods(layer: &mut TransactionLayer) -> Vec<String> {
    sent(layer)
        .iter()
        .map(|message| match message {
            Message::Request(request) => request.method().to_string(),
            Message::Response(response) => panic!("{response:?}"),
        })
        .collect()
}

fn events(layer: &mut TransactionLayer) -> Vec<Event> {
    std::iter::from_fn(|| layer.poll_event()).collect()
}

fn accept(layer: &mut TransactionLayer, now: Instant, message: Message, transport: Transport) -> ServerKey {
    layer.receive(now, &hop(transport), message);
    match events(layer).pop() {
        Some(Event::Request { key, .. }) => key,
        other => panic!("{other:?}"),
    }
}

fn reply(layer: &TransactionLayer, key: ServerKey, status: StatusCode) -> Response {
    Response::to(layer.server_request(key).expect("alive"), status).with_to_tag("b1")
}

/// What the other end answers to the last request sent.
fn answer_to(request: &Message, status: StatusCode) -> Message {
    match request {
        Message::Request(request) => Message::Response(Response::to(request, status).with_to_tag("b1")),
        Message::Response(_) => panic!("no request"),
    }
}

/// Runs timers until `until` after `start`, and says when something was sent.
fn run(layer: &mut TransactionLayer, start: Instant, until: Duration) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(at) = layer.next_deadline() {
        if at > start + until {
            break;
        }
        layer.handle_timeout(at);
        for _ in sent(layer) {
            times.push(u64::try_from((at - start).as_millis()).expect("small"));
        }
    }
    times
}

#[test]
fn an_invite_without_answer_is_sent_seven_times_in_32_seconds() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = layer.send_request(now, request(Method::Invite, ""), hop(Transport::Udp));
    assert_eq!(methods(&mut layer), ["INVITE"]);
    assert_eq!(run(&mut layer, now, T1 * 100), [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(events(&mut layer), [Event::Timeout { key }]);
    assert!(layer.is_empty());
}

#[test]
fn a_non_invite_backs_off_to_t2_and_a_stream_never_retransmits() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    layer.send_request(now, request(Method::Options, ""), hop(Transport::Udp));
    sent(&mut layer);
    assert_eq!(
        run(&mut layer, now, T1 * 100),
        [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
    );
    let key = layer.send_request(now, request(Method::Options, ""), hop(Transport::Tcp));
    sent(&mut layer);
    events(&mut layer);
    assert!(run(&mut layer, now, T1 * 100).is_empty());
    assert_eq!(events(&mut layer), [Event::Timeout { key }]);
}

#[test]
fn a_non_2xx_final_is_acked_in_the_same_transaction_each_time() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let mut invite = request(Method::Invite, "");
    invite.headers.push(HeaderName::Route, "<sip:p.example.com;lr>");
    layer.send_request(now, invite, hop(Transport::Udp));
    let invite = sent(&mut layer).remove(0);
    let busy = answer_to(&invite, StatusCode::BUSY_HERE);
    layer.receive(now, &hop(Transport::Udp), busy.clone());
    layer.receive(now, &hop(Transport::Udp), busy);
    let acks = sent(&mut layer);
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0], acks[1]);
    let (Message::Request(ack), Message::Request(invite)) = (&acks[0], &invite) else {
        panic!("requests");
    };
    assert_eq!(ack.top_via(), invite.top_via());
    assert_eq!(ack.to_tag().as_deref(), Some("b1"));
    assert_eq!(ack.cseq().map(|c| c.to_string()).as_deref(), Ok("1 ACK"));
    assert!(ack.headers.has(&HeaderName::Route));
    assert_eq!(events(&mut layer).len(), 1, "the repeated 486 is absorbed");
}

#[test]
fn every_2xx_to_an_invite_reaches_the_user() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    layer.send_request(now, request(Method::Invite, ""), hop(Transport::Udp));
    let invite = sent(&mut layer).remove(0);
    for _ in 0..3 {
        layer.receive(now, &hop(Transport::Udp), answer_to(&invite, StatusCode::OK));
    }
    assert_eq!(events(&mut layer).len(), 3);
    assert!(sent(&mut layer).is_empty(), "the ACK of a 2xx is the user's");
    run(&mut layer, now, T1 * 65);
    assert!(layer.is_empty());
    layer.receive(now, &hop(Transport::Udp), answer_to(&invite, StatusCode::OK));
    assert!(matches!(events(&mut layer)[..], [Event::StrayResponse { .. }]));
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = layer.send_request(now, request(Method::Invite, ""), hop(Transport::Tls));
    let invite = sent(&mut layer).remove(0);
    let reason = [(HeaderName::Reason, "Q.850;cause=31".to_owned())];
    assert!(layer.cancel(now, key, &reason));
    assert!(!layer.cancel(now, key, &reason), "once");
    assert!(sent(&mut layer).is_empty());
    layer.receive(now, &hop(Transport::Tls), answer_to(&invite, StatusCode::RINGING));
    let cancel = sent(&mut layer).remove(0);
    let (Message::Request(cancel_request), Message::Request(invite_request)) = (&cancel, &invite) else {
        panic!("requests");
    };
    assert_eq!(*cancel_request.method(), Method::Cancel);
    assert_eq!(cancel_request.top_via(), invite_request.top_via());
    assert!(cancel_request.headers.has(&HeaderName::Reason));
    layer.receive(now, &hop(Transport::Tls), answer_to(&cancel, StatusCode::OK));
    layer.receive(now, &hop(Transport::Tls), answer_to(&invite, StatusCode::REQUEST_TERMINATED));
    let seen: Vec<_> = events(&mut layer)
        .into_iter()
        .map(|event| match event {
            Event::Response { response, .. } => response.status().code(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, [180, 487], "the 200 to the CANCEL is not the user's");
    assert_eq!(methods(&mut layer), ["ACK"]);
    assert!(layer.is_empty());
}

#[test]
fn a_cancelled_invite_without_final_response_times_out() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = layer.send_request(now, request(Method::Invite, ""), hop(Transport::Tcp));
    let invite = sent(&mut layer).remove(0);
    layer.receive(now, &hop(Transport::Tcp), answer_to(&invite, StatusCode::RINGING));
    events(&mut layer);
    layer.cancel(now, key, &[]);
    run(&mut layer, now, T1 * 65);
    assert_eq!(events(&mut layer), [Event::Timeout { key }]);
    assert!(layer.is_empty());
}

#[test]
fn trying_is_sent_after_200_ms_or_at_once_or_not_at_all() {
    let now = crate::test_clock::start();
    let mut slow = layer();
    accept(&mut slow, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    assert!(sent(&mut slow).is_empty());
    assert_eq!(run(&mut slow, now, T1), [200]);

    let mut eager = layer_with(|config| config.timers.trying_delay = Duration::ZERO);
    accept(&mut eager, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    assert_eq!(statuses(&mut eager), [100]);

    let mut answered = layer();
    let key = accept(&mut answered, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    let ringing = reply(&answered, key, StatusCode::RINGING);
    answered.respond(now, key, ringing);
    assert_eq!(statuses(&mut answered), [180]);
    assert!(run(&mut answered, now, T1).is_empty());
}

#[test]
fn a_final_response_is_repeated_until_its_ack_is_absorbed() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    let busy = reply(&layer, key, StatusCode::BUSY_HERE);
    layer.respond(now, key, busy.clone());
    assert_eq!(statuses(&mut layer), [486]);
    assert_eq!(run(&mut layer, now, T1 * 8), [500, 1500, 3500]);
    sent(&mut layer);
    layer.receive(now + T1 * 8, &hop(Transport::Udp), incoming(Method::Ack, "z9hG4bKa"));
    assert!(events(&mut layer).is_empty(), "the ACK of a non-2xx is absorbed");
    assert!(run(&mut layer, now, T1 * 100).is_empty());
    assert!(layer.is_empty());
    layer.respond(now, key, busy);
    assert_eq!(layer.counters().get(DropReason::ResponseLate), 1);
}

#[test]
fn a_final_response_without_ack_is_reported() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Tcp);
    let busy = reply(&layer, key, StatusCode::BUSY_HERE);
    layer.respond(now, key, busy);
    sent(&mut layer);
    assert!(run(&mut layer, now, T1 * 100).is_empty(), "a stream does not repeat it");
    assert_eq!(events(&mut layer), [Event::ServerTimeout { key }]);
}

#[test]
fn a_repeated_invite_gets_the_last_response_and_no_second_event() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Invite, "z9hG4bKa"));
    assert!(sent(&mut layer).is_empty());
    let ringing = reply(&layer, key, StatusCode::RINGING);
    layer.respond(now, key, ringing);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Invite, "z9hG4bKa"));
    assert_eq!(statuses(&mut layer), [180, 180]);
    let ok = reply(&layer, key, StatusCode::OK);
    layer.respond(now, key, ok.clone());
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Invite, "z9hG4bKa"));
    layer.respond(now, key, ok);
    assert_eq!(statuses(&mut layer), [200, 200], "a 2xx is repeated by the user only");
    assert!(events(&mut layer).is_empty());
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Ack, "z9hG4bKnew"));
    assert!(matches!(events(&mut layer)[..], [Event::Ack { .. }]));
}

#[test]
fn a_cancel_is_answered_with_the_tag_of_the_invite_and_reported() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    let ringing = reply(&layer, key, StatusCode::RINGING);
    layer.respond(now, key, ringing);
    sent(&mut layer);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Cancel, "z9hG4bKa"));
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Cancel, "z9hG4bKa"));
    let answers = sent(&mut layer);
    assert_eq!(answers.len(), 2, "the repeated CANCEL gets the same answer");
    let Message::Response(answer) = &answers[0] else {
        panic!("response");
    };
    assert_eq!((answer.status().code(), answer.to_tag().as_deref()), (200, Some("b1")));
    assert!(matches!(events(&mut layer)[..], [Event::Cancel { key: k, .. }] if k == key));
}

#[test]
fn a_cancel_for_nothing_is_481_and_one_after_the_answer_is_no_event() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Cancel, "z9hG4bKx"));
    assert_eq!(statuses(&mut layer), [481]);
    assert!(events(&mut layer).is_empty());
    let key = accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    let ok = reply(&layer, key, StatusCode::OK);
    layer.respond(now, key, ok);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Cancel, "z9hG4bKa"));
    assert_eq!(statuses(&mut layer), [200, 200]);
    assert!(events(&mut layer).is_empty());
}

#[test]
fn a_request_never_answered_does_not_stay_for_ever() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Options, "z9hG4bKa"), Transport::Udp);
    let ok = reply(&layer, key, StatusCode::OK);
    run(&mut layer, now, T1 * 64);
    assert!(layer.is_empty());
    layer.respond(now, key, ok);
    assert_eq!(layer.counters().get(DropReason::ResponseLate), 1);
}

mod rfc4320 {
    use super::*;

    #[test]
    fn a_non_invite_gets_100_late_and_never_another_provisional_or_408() {
        let (mut layer, now) = (layer(), crate::test_clock::start());
        let key = accept(&mut layer, now, incoming(Method::Options, "z9hG4bKa"), Transport::Udp);
        let ringing = reply(&layer, key, StatusCode::RINGING);
        layer.respond(now, key, ringing);
        assert!(sent(&mut layer).is_empty());
        assert_eq!(run(&mut layer, now, T1 * 10), [3500]);
        let timeout = reply(&layer, key, StatusCode::REQUEST_TIMEOUT);
        layer.respond(now, key, timeout);
        assert!(sent(&mut layer).is_empty());
        assert_eq!(layer.counters().get(DropReason::ProvisionalForbidden), 1);
        assert_eq!(layer.counters().get(DropReason::TimeoutForbidden), 1);
        assert!(layer.is_empty());
    }
}

#[test]
fn a_response_over_udp_goes_where_the_request_came_from() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let nat: Hop = Hop::over(Transport::Udp, "203.0.113.9:40000".parse().expect("address"), FlowId(1));
    layer.receive(now, &nat, incoming(Method::Options, "z9hG4bKa"));
    let Some(Event::Request { key, request, .. }) = layer.poll_event() else {
        panic!("request");
    };
    assert_eq!(request.top_via().expect("via").rport(), Some(Some(40000)));
    let ok = reply(&layer, key, StatusCode::OK);
    layer.respond(now, key, ok);
    assert_eq!(layer.poll_transmit().map(|(hop, _)| hop), Some(nat));
}

#[test]
fn the_same_request_over_another_path_is_482() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKa"), Transport::Udp);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Invite, "z9hG4bKb"));
    assert_eq!(statuses(&mut layer), [482]);
    assert_eq!(layer.counters().get(DropReason::Merged), 1);
}

#[test]
fn a_full_table_answers_503_with_retry_after() {
    let (mut layer, now) =
        (layer_with(|config| config.servers_per_source_max = 1), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Options, "z9hG4bKa"), Transport::Tcp);
    layer.receive(now, &hop(Transport::Tcp), incoming(Method::Invite, "z9hG4bKb"));
    let refused = sent(&mut layer).remove(0);
    assert_eq!(refused.headers().get(&HeaderName::RetryAfter).as_deref(), Some("5"));
    assert_eq!(layer.counters().get(DropReason::SourceFull), 1);
    let ok = reply(&layer, key, StatusCode::OK);
    layer.respond(now, key, ok);
    accept(&mut layer, now, incoming(Method::Invite, "z9hG4bKc"), Transport::Tcp);

    let mut full = layer_with(|config| config.clients_max = 0);
    let key = full.send_request(now, request(Method::Bye, ""), hop(Transport::Tcp));
    assert_eq!(events(&mut full), [Event::TransportError { key }]);
}

#[test]
fn a_client_of_rfc_2543_is_served() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let key = accept(&mut layer, now, incoming(Method::Invite, "1"), Transport::Udp);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Invite, "1"));
    let busy = reply(&layer, key, StatusCode::BUSY_HERE);
    layer.respond(now, key, busy);
    layer.receive(now, &hop(Transport::Udp), incoming(Method::Ack, "1"));
    assert!(events(&mut layer).is_empty());
}

#[test]
fn a_failed_connection_ends_what_waits_for_it() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    let first = layer.send_request(now, request(Method::Bye, ""), hop(Transport::Tls));
    let mut other = hop(Transport::Tls);
    other.flow = Some(FlowId(4));
    layer.send_request(now, request(Method::Bye, ""), other);
    layer.flow_closed(now, FlowId(3));
    assert_eq!(events(&mut layer), [Event::TransportError { key: first }]);
    assert_eq!(layer.len(), (1, 0));
}

#[test]
fn a_response_with_a_second_via_is_dropped() {
    let (mut layer, now) = (layer(), crate::test_clock::start());
    layer.send_request(now, request(Method::Options, ""), hop(Transport::Udp));
    let options = sent(&mut layer).remove(0);
    let Message::Response(mut response) = answer_to(&options, StatusCode::OK) else {
        panic!("response");
    };
    response.headers.push(HeaderName::Via, "SIP/2.0/UDP h;branch=z9hG4bKother");
    layer.receive(now, &hop(Transport::Udp), Message::Response(response));
    assert!(events(&mut layer).is_empty());
    assert_eq!(layer.counters().get(DropReason::ResponseMisrouted), 1);
}

#[test]
fn a_refused_request_is_answered_where_it_came_from() {
    let mut layer = layer();
    let refusal = Message::parse_datagram(
        b"OPTIONS sip:a@b SIP/7.0\r\nVia: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa\r\n\
          From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n",
    )
    .expect_err("version 7");
    layer.receive_refusal(&hop(Transport::Udp), refusal);
    let (to, bytes) = layer.poll_transmit().expect("an answer");
    assert_eq!(to, hop(Transport::Udp));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.starts_with("SIP/2.0 505 "), "{text}");
    assert!(text.contains("To: <sip:c@d>;tag="), "{text}");
    let keep_alive = Message::parse_datagram(b"\r\n\r\n").expect_err("keep-alive");
    layer.receive_refusal(&hop(Transport::Udp), keep_alive);
    assert_eq!(layer.counters().get(DropReason::KeepAlive), 1);
    let garbage = Message::parse_datagram(b"\x00\x01").expect_err("garbage");
    layer.receive_refusal(&hop(Transport::Udp), garbage);
    assert!(layer.poll_transmit().is_none());
    assert_eq!(layer.counters().get(DropReason::Malformed), 1);
}

#[test]
fn an_answer_without_transaction_goes_to_the_sender_and_not_to_whom_its_via_names() {
    let mut layer = layer();
    let mut request = request(Method::Options, "");
    for via in [
        "SIP/2.0/UDP 203.0.113.9:53;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.7:5062;received=203.0.113.9;rport=53;branch=z9hG4bKb",
        "SIP/2.0/UDP 192.0.2.7:5062;received=203.0.113.9;branch=z9hG4bKc",
    ] {
        request.headers.remove(&HeaderName::Via);
        request.headers.push_front(HeaderName::Via, via);
        layer.send_stateless(&hop(Transport::Udp), &Response::to(&request, StatusCode::SERVICE_UNAVAILABLE));
        let (to, _) = layer.poll_transmit().expect("answered");
        assert_eq!(to.remote.ip(), hop(Transport::Udp).remote.ip(), "{via}");
    }
}
