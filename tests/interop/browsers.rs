//! JsSIP in a real Chromium: its encrypted audio to carriers, softphones and other browsers.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tests::jssip::url;
use tests::{Address, Engine, Node, Phone, Plan, SecureCarrier, WebPhone};

use crate::books::only_record_by_length;
use crate::paid_provider::{self as provider, NUMBER, takes};
use crate::secure_carrier;

/// A browser whose microphone hears a tone.
fn browser(name: &str, node: &Node, hertz: u32) -> WebPhone {
    WebPhone::new(name, &url("wss", node.wss)).trusting(&node.certificate()).in_chromium().tone(hertz)
}

/// What the browser says of its own media once it hears something.
fn assert_encrypted(media: &Value) {
    assert_eq!(media["dtls"], "connected", "{media}");
    assert!(["connected", "completed"].map(Value::from).contains(&media["ice"]), "{media}");
    assert!(media["srtp"].as_str().is_some_and(|suite| suite.contains("AES")), "{media}");
    for way in ["sent", "received"] {
        assert!(media[way].as_u64() >= Some(1), "{way} of {media}");
    }
}

fn suite(record: &Value, side: &str) -> Value {
    record["media"][side]["crypto_suite"].clone()
}

#[test]
fn a_browser_calls_a_plain_carrier_and_hears_its_own_tone_come_back() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (_engine, node) = provider::provider(at, &[&carrier]);
    let mut alice = browser("alice", &node, 1000).register(at);
    alice.dial(NUMBER);
    alice.await_event("confirmed");
    let media = alice.await_tone(1000);
    assert_encrypted(&media);
    assert_eq!(media["codec"], "audio/PCMA", "what the carrier speaks, end to end: {media}");
    alice.does("terminate");
    carrier.await_success();
    let record = only_record_by_length(&node);
    let expected = json!({"account": "alice", "sip_status": 200, "route": "trunk", "ended_by": "caller"});
    provider::assert_says(&record, &expected);
    assert!(suite(&record, "caller").is_string(), "{record:#}");
    assert!(suite(&record, "callee").is_null(), "{record:#}");
    for side in ["caller", "callee"] {
        assert!(record["media"][side]["packets_received"].as_u64() >= Some(1), "{side} of {record:#}");
    }
}

#[test]
fn a_browser_and_a_softphone_call_each_other() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = provider::setup(at, &[&engine], &[], "5.00").account("bob", "0").start();
    let mut alice = browser("alice", &node, 1000).register(at);
    let mut bob = Phone::new("bob").tone(620).start(at, node.tls, &node.certificate());
    alice.dial("bob");
    alice.await_event("confirmed");
    assert_encrypted(&alice.await_tone(620));
    bob.await_tone(1000);
    alice.does("terminate");
    alice.await_event("ended");
    bob.await_event("CALL_CLOSED");
    // The other way round: the engine offers what a browser demands.
    bob.dial("alice");
    alice.await_event("incoming");
    alice.does("answer");
    bob.await_event("CALL_ESTABLISHED");
    assert_encrypted(&alice.await_tone(620));
    bob.await_tone(1000);
    // On hold and back, with the same keys.
    alice.does("hold");
    alice.await_event("held");
    alice.does("unhold");
    alice.await_event("resumed");
    assert_encrypted(&alice.await_tone(620));
    bob.hang_up();
    alice.await_event("ended");
    for record in provider::records(&node, 2, "5.00") {
        let sides = ["caller", "callee"].map(|side| suite(&record, side).is_string());
        assert_eq!(sides, [record["account"] == "alice", record["account"] == "bob"], "{record:#}");
    }
}

#[test]
fn a_browser_calls_a_carrier_that_speaks_srtp_alone() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut carrier = SecureCarrier::start(NUMBER, 620);
    let node = secure_carrier::trusting(at, &engine, &carrier);
    let mut alice = browser("alice", &node, 1000).register(at);
    alice.dial(NUMBER);
    alice.await_event("confirmed");
    carrier.phone.await_event("CALL_ESTABLISHED");
    assert_encrypted(&alice.await_tone(620));
    carrier.phone.await_tone(1000);
    alice.does("terminate");
    carrier.phone.await_event("CALL_CLOSED");
    let record = only_record_by_length(&node);
    for side in ["caller", "callee"] {
        assert!(suite(&record, side).is_string(), "{record:#}");
    }
}

/// An engine that is a TURN server too, its URI, and the user name and password of whoever may use it for an hour.
fn turn_server(at: Address, folder: &Path) -> (Engine, String, String, String) {
    let (turn, secrets) = (at.socket(), folder.join("secrets"));
    std::fs::write(&secrets, "north\n").expect("a file in a new folder");
    let flags = [
        "--listen-turn",
        &turn.to_string(),
        "--turn-realm",
        "example.org",
        "--turn-secret-file",
        &secrets.display().to_string(),
    ];
    let engine = Engine::start(at, &flags);
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH).expect("a date after 1970").as_secs() + 3600;
    let user = format!("{expiry}:alice");
    let password = rtp::turn::timed_password(b"north", user.as_bytes()).to_string();
    (engine, format!("turn:{turn}"), user, password)
}

#[test]
fn browsers_that_are_let_out_through_a_relay_alone_call_a_carrier_and_each_other() {
    let at = Address::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (engine, uri, user, password) = turn_server(at, folder.path());
    let node = provider::setup(at, &[&engine], &[&carrier], "5.00").account("bob", "0").start();
    let relayed =
        |name: &str, hertz| browser(name, &node, hertz).relayed(&uri, &user, &password).register(at);
    let mut alice = relayed("alice", 1000);
    alice.dial(NUMBER);
    alice.await_event("confirmed");
    let media = alice.await_tone(1000);
    assert_encrypted(&media);
    assert_eq!(media["candidate"], "relay", "{media}");
    alice.does("terminate");
    alice.await_event("ended");
    carrier.await_success();
    let mut bob = relayed("bob", 700);
    alice.dial("bob");
    bob.await_event("incoming");
    bob.does("answer");
    bob.await_event("confirmed");
    for media in [alice.await_tone(700), bob.await_tone(1000)] {
        assert_encrypted(&media);
        assert_eq!(media["candidate"], "relay", "{media}");
    }
    bob.does("terminate");
    alice.await_event("ended");
}

#[test]
fn two_browsers_call_each_other() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = provider::setup(at, &[&engine], &[], "5.00").account("bob", "0").start();
    let mut alice = browser("alice", &node, 1000).register(at);
    let mut bob = browser("bob", &node, 700).register(at);
    alice.dial("bob");
    bob.await_event("incoming");
    bob.does("answer");
    alice.await_event("confirmed");
    bob.await_event("confirmed");
    assert_encrypted(&alice.await_tone(700));
    assert_encrypted(&bob.await_tone(1000));
    bob.does("terminate");
    alice.await_event("ended");
    let record = provider::only_record(&node, "5.00");
    for side in ["caller", "callee"] {
        assert!(suite(&record, side).is_string(), "{record:#}");
    }
}
