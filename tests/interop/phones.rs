//! Softphones that register over TLS: they call through to a carrier, and each other.

use serde_json::json;
use tests::{Address, DOMAIN, Engine, Linphone, Phone, Plan, Setup};

use crate::books::only_record_by_length;
use crate::paid_provider::{self as provider, NUMBER};

#[test]
fn a_phone_calls_through_to_the_carrier_over_tls_and_pays() {
    let at = Address::new();
    let mut carrier = Plan::new(provider::takes().is_hung_up_on()).start(at);
    let (_engine, node) = provider::provider(at, &[&carrier]);
    let mut alice = Phone::new("alice").start(at, node.tls, &node.certificate());
    alice.dial(NUMBER);
    alice.await_event("CALL_ESTABLISHED");
    // The carrier echoes: her own tone comes back.
    alice.await_tone(440);
    alice.hang_up();
    carrier.await_success();

    let record = only_record_by_length(&node);
    let expected = json!({
        "account": "alice", "callee": NUMBER, "route": "trunk", "trunk": "carrier-0", "sip_status": 200, "q850": 16,
        "ended_by": "caller", "recovered": false,
    });
    provider::assert_says(&record, &expected);
    for side in ["caller", "callee"] {
        // Half a second of a tone was heard, so 25 packets of 20 ms went each way.
        assert!(record["media"][side]["packets_received"].as_u64() >= Some(25), "{side} of {record:#}");
    }
}

#[test]
fn two_registered_phones_call_each_other_over_their_own_connections_for_free() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    // Neither has any credit, and there is no carrier.
    let node = provider::setup(at, &[&engine], &[], "0").account("bob", "0").start();
    let mut alice = Phone::new("alice").tone(440).start(at, node.tls, &node.certificate());
    let mut bob = Phone::new("bob").tone(620).start(at, node.tls, &node.certificate());
    alice.dial("bob");
    alice.await_event("CALL_ESTABLISHED");
    bob.await_event("CALL_ESTABLISHED");
    alice.await_tone(620);
    bob.await_tone(440);
    bob.hang_up();
    alice.await_event("CALL_CLOSED");

    // The other way round, the same two connections.
    bob.dial("alice");
    bob.await_event("CALL_ESTABLISHED");
    let held = |name: &str| node.json(&format!("account show {name}"))["held"].clone();
    assert_eq!([held("alice"), held("bob")], ["0.00", "0.00"]);
    bob.hang_up();
    let records = provider::records(&node, 2, "0.00");
    for (record, [account, callee, ended_by]) in
        records.iter().zip([["alice", "bob", "callee"], ["bob", "alice", "caller"]])
    {
        let expected = json!({
            "account": account, "callee": callee, "ended_by": ended_by, "route": "local", "trunk": null,
            "charge": "0", "held": "0", "billed_seconds": 0, "sip_status": 200,
        });
        provider::assert_says(record, &expected);
    }
}

#[test]
fn a_phone_that_speaks_srtp_alone_reaches_a_plain_carrier_and_another_such_phone() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut carrier = Plan::new(provider::takes().is_hung_up_on()).start(at);
    let node = provider::setup(at, &[&engine], &[&carrier], "5.00").account("bob", "0").start();
    let phone =
        |name: &str, hertz| Phone::new(name).tone(hertz).encrypted().start(at, node.tls, &node.certificate());
    let mut alice = phone("alice", 440);
    alice.dial(NUMBER);
    alice.await_event("CALL_ESTABLISHED");
    // The carrier echoes in clear what was decrypted for it.
    alice.await_tone(440);
    alice.hang_up();
    carrier.await_success();
    let record = only_record_by_length(&node);
    let suite = |record: &serde_json::Value, side: &str| record["media"][side]["crypto_suite"].clone();
    assert!(suite(&record, "caller").is_string(), "{record:#}");
    assert!(suite(&record, "callee").is_null(), "{record:#}");

    let mut bob = phone("bob", 620);
    alice.dial("bob");
    alice.await_event("CALL_ESTABLISHED");
    bob.await_event("CALL_ESTABLISHED");
    alice.await_tone(620);
    bob.await_tone(440);
    bob.hang_up();
    alice.await_event("CALL_CLOSED");
}

#[test]
fn a_phone_with_handshakes_reaches_a_plain_carrier_and_a_phone_of_either_kind() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut carrier = Plan::new(provider::takes().is_hung_up_on()).start(at);
    let node = provider::setup(at, &[&engine], &[&carrier], "5.00")
        .command("account media alice dtls")
        .account_with("bob", "0", "--media dtls")
        .account_with("carol", "0", "--media srtp")
        .start();
    let phone = |name: &str, hertz| Phone::new(name).tone(hertz);
    let mut alice = phone("alice", 440).handshaking().start(at, node.tls, &node.certificate());
    alice.dial(NUMBER);
    alice.await_event("CALL_ESTABLISHED");
    alice.await_tone(440);
    alice.hang_up();
    carrier.await_success();
    let record = only_record_by_length(&node);
    assert!(record["media"]["caller"]["crypto_suite"].is_string(), "{record:#}");
    assert!(record["media"]["callee"]["crypto_suite"].is_null(), "{record:#}");

    let mut bob = phone("bob", 620).handshaking().start(at, node.tls, &node.certificate());
    let mut carol = phone("carol", 860).encrypted().start(at, node.tls, &node.certificate());
    for (other, name, hertz) in [(&mut bob, "bob", 620), (&mut carol, "carol", 860)] {
        alice.dial(name);
        alice.await_event("CALL_ESTABLISHED");
        other.await_event("CALL_ESTABLISHED");
        alice.await_tone(hertz);
        other.await_tone(440);
        other.hang_up();
        alice.await_event("CALL_CLOSED");
        other.dial("alice");
        other.await_event("CALL_ESTABLISHED");
        alice.await_event("CALL_ESTABLISHED");
        alice.await_tone(hertz);
        other.await_tone(440);
        other.hang_up();
        alice.await_event("CALL_CLOSED");
    }
}

#[test]
fn a_phone_that_is_not_there_and_a_number_without_a_price_cost_nothing() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let node = provider::setup(at, &[&engine], &[], "5.00").account("bob", "0").start();
    let mut alice = Phone::new("alice").start(at, node.tls, &node.certificate());
    for (called, status) in [("bob", 480), ("33123456789", 404)] {
        alice.dial(called);
        let closed = alice.await_event("CALL_CLOSED");
        let said = closed["param"].as_str().unwrap_or_default();
        assert!(said.starts_with(&status.to_string()), "{called}: {closed}");
    }
    let records = provider::records(&node, 2, "5.00");
    let statuses: Vec<_> = records.iter().map(|record| record["sip_status"].as_u64()).collect();
    assert_eq!(statuses, [Some(480), Some(404)]);
}

#[test]
fn a_phone_proves_itself_with_sha_256_to_an_account_that_asks_for_nothing_else_in_clear() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut carrier = Plan::new(provider::takes().is_hung_up_on()).start(at);
    // The defaults of an account: SHA-256, and MD5 inside TLS alone.
    let account =
        format!("account add alice --currency EUR --credit 5.00 --domain {DOMAIN} --password-file password");
    let setup = Setup::new(at, &[engine.ng]).account("bob", "0").command(&account).command(provider::RATE);
    let node = provider::with_carriers(setup, &[&carrier]).start();
    let mut alice = Linphone::start("alice", at, node.sip);
    alice.dial(NUMBER);
    alice.hang_up();
    carrier.await_success();
    let record = only_record_by_length(&node);
    let expected = json!({"account": "alice", "ended_by": "caller", "sip_status": 200, "route": "trunk"});
    provider::assert_says(&record, &expected);
    let log = alice.log();
    for header in ["Authorization: ", "Proxy-Authorization: "] {
        let mut proofs = log.lines().filter_map(|line| line.strip_prefix(header));
        assert!(proofs.any(|proof| proof.contains("algorithm=SHA-256")), "{header}");
    }
    assert!(!log.contains("algorithm=MD5"));
}
