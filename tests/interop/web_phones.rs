//! JsSIP over WebSocket: what a page does at a provider, against carriers and phones of other kinds. In node its media is plain
//! RTP; in Chromium it is a browser's.

use serde_json::json;
use tests::jssip::{header, url};
use tests::process::await_some;
use tests::{Address, Body, Engine, JsSip, Node, Phone, Plan, Scenario, WebPhone};

use crate::books::only_record_by_length;
use crate::paid_provider::{self as provider, NUMBER, takes};

/// A provider of alice and bob, whose pages have plain RTP in place of a browser's media, without a carrier.
fn two_accounts(at: Address, engine: &Engine) -> Node {
    let setup = provider::setup(at, &[engine], &[], "5.00").account("bob", "0");
    setup.command("account media alice plain").command("account media bob plain").start()
}

fn secure(name: &str, node: &Node) -> WebPhone {
    WebPhone::new(name, &url("wss", node.wss)).trusting(&node.certificate())
}

fn plain(name: &str, node: &Node) -> WebPhone {
    WebPhone::new(name, &url("ws", node.ws))
}

/// Waits until it has heard this many packets.
fn await_heard(phone: &mut JsSip, packets: u64) {
    await_some("audio", || (phone.heard() >= packets).then_some(()));
}

/// The first message that it received of this method, as it came over the connection.
fn received<'a>(phone: &'a JsSip, start: &str) -> &'a str {
    let found = phone.wire().iter().find(|(received, text)| *received && text.starts_with(start));
    found.map(|(_, text)| text.as_str()).unwrap_or_else(|| panic!("no {start} in {:?}", phone.wire()))
}

#[test]
fn a_page_calls_a_carrier_over_wss_holds_is_asked_again_and_pays() {
    let at = Address::new();
    let carrier = takes().is_asked("INVITE", 200, Body::Audio).is_asked("INVITE", 200, Body::Audio);
    let carrier = carrier.pauses_for(200).reinvites(Body::Moved);
    let mut carrier = Plan::new(carrier.is_hung_up_on()).start(at);
    let (_engine, node) = provider::provider(at, &[&carrier]);
    let mut alice = secure("alice", &node).register(at);
    alice.dial(NUMBER);
    alice.await_event("confirmed");
    await_heard(&mut alice, 25);
    alice.does("hold");
    let held = "INVITE <407 ACK INVITE <180 <200 ACK INVITE <200 ACK";
    alice.await_summary(held);
    alice.does("unhold");
    alice.await_event("reinvite");
    let moved = format!("{held} INVITE <200 ACK <INVITE 200 <ACK");
    alice.await_summary(&moved);
    alice.does("terminate");
    alice.await_summary(&format!("{moved} BYE <200"));
    carrier.await_success();

    assert_eq!(
        carrier.summary(),
        "<INVITE 180 200 <ACK <INVITE 200 <ACK <INVITE 200 <ACK INVITE <200 ACK <BYE 200"
    );
    let sent = alice
        .wire()
        .iter()
        .find(|(received, _)| !received)
        .map(|(_, text)| text.clone())
        .expect("a REGISTER");
    assert!(
        header(&sent, "Via").is_some_and(|via| via.contains("SIP/2.0/WSS") && via.contains(".invalid")),
        "{sent}"
    );
    let registered = received(&alice, "SIP/2.0 200");
    assert_eq!(header(registered, "Require"), Some("outbound"), "{registered}");
    let asked = received(&alice, "INVITE");
    let via = header(asked, "Via").expect("Via");
    assert!(via.starts_with(&format!("SIP/2.0/WSS {};", node.wss)), "{via}");
    let contact = header(asked, "Contact").expect("Contact");
    assert_eq!(contact, format!("<sip:tollgate@{};transport=ws>", node.wss));
    assert!(header(asked, "Record-Route").is_none());
    let record = only_record_by_length(&node);
    let expected = json!({"account": "alice", "ended_by": "caller", "sip_status": 200, "route": "trunk"});
    provider::assert_says(&record, &expected);
    for side in ["caller", "callee"] {
        assert!(record["media"][side]["packets_received"].as_u64() >= Some(25), "{side} of {record:#}");
    }
}

#[test]
fn a_page_and_a_softphone_call_each_other() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = two_accounts(at, &engine);
    let mut bob = plain("bob", &node).echoes().register(at);
    let mut alice = Phone::new("alice").start(at, node.tls, &node.certificate());
    alice.dial("bob");
    let incoming = bob.await_event("incoming");
    assert_eq!(incoming["from"], "alice");
    assert_eq!(incoming["contact"], format!("<sip:tollgate@{};transport=ws>", node.ws));
    bob.does("answer");
    alice.await_event("CALL_ESTABLISHED");
    bob.await_event("confirmed");
    // The page echoes: her own tone comes back.
    alice.await_tone(440);
    alice.hang_up();
    assert_eq!(bob.await_event("ended")["originator"], "remote");
    // The other way round, the same two connections.
    bob.dial("alice");
    alice.await_event("CALL_ESTABLISHED");
    bob.await_event("confirmed");
    bob.does("terminate");
    alice.await_event("CALL_CLOSED");
    let records = provider::records(&node, 2, "5.00");
    for (record, [account, ended_by]) in records.iter().zip([["alice", "caller"], ["bob", "caller"]]) {
        let expected = json!({"account": account, "ended_by": ended_by, "route": "local", "charge": "0"});
        provider::assert_says(record, &expected);
    }
}

#[test]
fn two_pages_one_in_plain_and_one_inside_tls_call_each_other() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = two_accounts(at, &engine);
    let mut alice = secure("alice", &node).register(at);
    let mut bob = plain("bob", &node).register(at);
    alice.dial("bob");
    bob.await_event("incoming");
    bob.does("answer");
    alice.await_event("confirmed");
    bob.await_event("confirmed");
    await_heard(&mut alice, 25);
    await_heard(&mut bob, 25);
    bob.does("terminate");
    alice.await_event("ended");
    assert!(received(&bob, "INVITE").contains("Via: SIP/2.0/WS "));
    assert!(received(&alice, "BYE").contains("Via: SIP/2.0/WSS "));
    alice.await_summary("INVITE <407 ACK INVITE <180 <200 ACK <BYE 200");
    bob.await_summary("<INVITE 180 200 <ACK BYE <200");
}

#[test]
fn calls_are_cancelled_and_refused_both_ways() {
    let at = Address::new();
    let ringing = Scenario::carrier("carrier").answers(180, Body::Empty);
    let cancelled = ringing.awaits("CANCEL").answers_last(200, Body::Empty).answers(487, Body::Empty);
    let mut carrier = Plan::new(cancelled).start(at);
    let engine = Engine::start(at, &[]);
    let setup = provider::setup(at, &[&engine], &[&carrier], "5.00");
    let node = setup.command("account media alice plain").start();
    // The page gives up.
    let mut alice = secure("alice", &node).register(at);
    alice.dial(NUMBER);
    alice.await_event("progress");
    alice.does("terminate");
    let failed = alice.await_event("failed");
    assert_eq!((failed["originator"].as_str(), failed["cause"].as_str()), (Some("local"), Some("Canceled")));
    carrier.await_success();
    alice.await_summary("INVITE <407 ACK INVITE <180 CANCEL <200 <487 ACK");
    // The caller of the page gives up, over UDP.
    let caller = Scenario::caller("caller").invite(Body::Audio).hears(180).cancels();
    let mut caller = provider::alice(&node, caller).number("alice").start(at);
    alice.await_event("incoming");
    let failed = alice.await_event("failed");
    assert_eq!((failed["originator"].as_str(), failed["cause"].as_str()), (Some("remote"), Some("Canceled")));
    caller.await_success();
    // The page is busy.
    let caller = Scenario::caller("caller").invite(Body::Audio).hears(180).is_refused(486);
    let mut caller = provider::alice(&node, caller).number("alice").start(at);
    alice.await_event("incoming");
    alice.order(json!({"do": "reject", "status": 486}));
    caller.await_success();
    let records = provider::records(&node, 3, "5.00");
    let statuses: Vec<_> = records.iter().map(|record| record["sip_status"].as_u64()).collect();
    assert_eq!(statuses, [Some(487), Some(487), Some(486)]);
}

#[test]
fn a_page_whose_connection_was_cut_is_not_called_and_hears_its_bye_when_it_is_back() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = two_accounts(at, &engine);
    let mut alice = Phone::new("alice").start(at, node.tls, &node.certificate());
    let mut bob = secure("bob", &node).register(at);
    alice.dial("bob");
    bob.await_event("incoming");
    bob.does("answer");
    alice.await_event("CALL_ESTABLISHED");
    bob.await_event("confirmed");
    // The call goes on over the page's next connection, which it opens and registers on by itself.
    bob.does("cut");
    bob.await_event("disconnected");
    bob.await_event("registered");
    alice.hang_up();
    assert_eq!(bob.await_event("ended")["originator"], "remote");
    // And gone for good, without a word.
    bob.process.kill();
    drop(bob);
    alice.dial("bob");
    let closed = alice.await_event("CALL_CLOSED");
    assert!(closed["param"].as_str().is_some_and(|said| said.starts_with("480")), "{closed}");
    // Loaded again, it is called once, under its new name.
    let mut bob = secure("bob", &node).register(at);
    alice.dial("bob");
    bob.await_event("incoming");
    bob.does("answer");
    alice.await_event("CALL_ESTABLISHED");
    alice.hang_up();
    bob.await_event("ended");
    let records = provider::records(&node, 3, "5.00");
    let statuses: Vec<_> = records.iter().map(|record| record["sip_status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(480), Some(200)]);
}

#[test]
fn a_page_of_another_origin_or_with_a_wrong_password_is_refused_by_name() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = two_accounts(at, &engine);
    let mut other = secure("alice", &node).of("https://evil.example").start(at);
    assert_eq!(other.await_event("refused")["status"], 403);
    let mut wrong = secure("alice", &node).password("guessed").start(at);
    let failed = wrong.await_event("registrationFailed");
    assert_eq!(
        (failed["status"].as_u64(), failed["cause"].as_str()),
        (Some(401), Some("Authentication Error"))
    );
    let mut bob = plain("bob", &node).register(at);
    bob.order(json!({"do": "options", "to": "bob"}));
    let options = bob.await_event("options");
    assert_eq!(options["status"], 200);
    assert!(options["allow"].as_str().is_some_and(|allow| allow.contains("INVITE")), "{options}");
    bob.order(json!({"do": "message", "to": "alice", "text": "hello"}));
    assert_eq!(bob.await_event("message")["status"], 405);
    // Who is gone on purpose is not called.
    bob.does("stop");
    bob.await_event("unregistered");
    let last = bob.wire().iter().rev().find(|(_, text)| text.starts_with("SIP/2.0 200"));
    assert!(last.is_some_and(|(_, text)| header(text, "Contact").is_none()), "{last:?}");
}

#[test]
fn a_new_certificate_is_shown_at_a_hangup_and_the_pages_that_are_there_stay() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut node = two_accounts(at, &engine);
    let mut alice = secure("alice", &node).register(at);
    let made = rcgen::generate_simple_self_signed(vec![at.to_string()]).expect("a certificate");
    std::fs::write(node.certificate(), made.cert.pem()).expect("its files can be replaced");
    let key = node.certificate().with_extension("key");
    std::fs::write(key, made.signing_key.serialize_pem()).expect("its files can be replaced");
    node.control.signal("HUP");
    let shown = format!("certificate read again address={}", node.wss);
    node.control.await_line("certificate", |line| line.contains(&shown));
    // He trusts the new one alone.
    let mut bob = secure("bob", &node).register(at);
    bob.dial("alice");
    alice.await_event("incoming");
    alice.does("answer");
    bob.await_event("confirmed");
    bob.does("terminate");
    alice.await_event("ended");
}

#[test]
fn a_real_browser_registers_over_wss_from_an_allowed_page_alone() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = two_accounts(at, &engine);
    let mut alice = secure("alice", &node).in_chromium().register(at);
    let registered = received(&alice, "SIP/2.0 200");
    assert_eq!(header(registered, "Require"), Some("outbound"), "{registered}");
    let contact = header(registered, "Contact").unwrap_or_default();
    assert!(contact.contains(".invalid;transport=ws>") && contact.contains("+sip.instance="), "{registered}");
    alice.order(json!({"do": "options", "to": "alice"}));
    assert_eq!(alice.await_event("options")["status"], 200);
    alice.order(json!({"do": "message", "to": "bob", "text": "h\u{e9}llo"}));
    assert_eq!(alice.await_event("message")["status"], 405);
    // Its offer is some 2 KiB of ICE and DTLS; nobody has this number.
    alice.dial("33123456789");
    assert_eq!(alice.await_event("failed")["status"], 404);
    let invite = alice.wire().iter().find(|(received, text)| !received && text.starts_with("INVITE"));
    let invite = invite.map(|(_, text)| text.as_str()).unwrap_or_default();
    for line in
        ["UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 ", "a=ice-ufrag:", "a=rtcp-mux", "transport=ws;ob>"]
    {
        assert!(invite.contains(line), "{line} in {invite}");
    }
    let mut other = secure("alice", &node).of("https://evil.example").in_chromium().start(at);
    let refused = other.await_event("refused");
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("403")), "{refused}");
}
