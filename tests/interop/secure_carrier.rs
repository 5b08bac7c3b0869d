//! A carrier that speaks SIP inside TLS and SRTP alone: paid calls of phones of every kind to it, and what control does not
//! send to it.

use serde_json::{Value, json};
use tests::{Address, Body, Engine, Node, Phone, Scenario, SecureCarrier, Setup};

use crate::books::only_record_by_length;
use crate::paid_provider::{self as provider, NUMBER};

/// What a carrier takes first that is offered every suite, and what a phone offers that is a baresip as well.
const FIRST_SUITE: &str = "AEAD_AES_256_GCM";
const PHONE_SUITE: &str = "AES_CM_128_HMAC_SHA1_80";

/// What the carrier plays, and what phones play to it.
const CARRIER_HZ: u32 = 620;
const PHONE_HZ: u32 = 440;

/// A provider of alice whose only trunk is that carrier, added with these further options.
fn provider_of(at: Address, engine: &Engine, carrier: &SecureCarrier, options: &str) -> Setup {
    let trunk = format!("trunk add carrier-0 sip:{};transport=tls {options}", carrier.address);
    provider::setup(at, &[engine], &[], provider::CREDIT).command(&trunk)
}

/// The same with a carrier whose certificate control trusts, and SRTP to it as it is by default.
pub(crate) fn trusting(at: Address, engine: &Engine, carrier: &SecureCarrier) -> Node {
    let trust = format!("[tls]\ntrust_roots = \"{}\"\n", carrier.certificate().display());
    provider_of(at, engine, carrier, "").config(&trust).start()
}

fn refused(status: u16) -> Scenario {
    Scenario::caller("caller").invite(Body::Audio).is_refused(status)
}

fn assert_suites(record: &Value, caller: Option<&str>, callee: Option<&str>) {
    for (side, suite) in [("caller", caller), ("callee", callee)] {
        assert_eq!(record["media"][side]["crypto_suite"].as_str(), suite, "{side} of {record:#}");
        // Half a second of a tone was heard, so 25 packets of 20 ms went each way.
        assert!(record["media"][side]["packets_received"].as_u64() >= Some(25), "{side} of {record:#}");
    }
}

#[test]
fn a_plain_phone_pays_for_a_call_to_a_carrier_that_speaks_srtp_alone() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut carrier = SecureCarrier::start(NUMBER, CARRIER_HZ);
    let node = trusting(at, &engine, &carrier);
    // The caller sends back what it hears: the carrier hears its own tone, decrypted and encrypted again on the way.
    let mut alice = provider::alice(&node, provider::calls().is_hung_up_on()).echoes(true).start(at);
    carrier.phone.await_event("CALL_ESTABLISHED");
    carrier.phone.await_tone(CARRIER_HZ);
    carrier.phone.hang_up();
    alice.await_success();
    let record = only_record_by_length(&node);
    assert_suites(&record, None, Some(FIRST_SUITE));
    let expected = json!({
        "account": "alice", "callee": NUMBER, "route": "trunk", "trunk": "carrier-0", "sip_status": 200, "ended_by": "callee",
    });
    provider::assert_says(&record, &expected);
}

#[test]
fn phones_over_tls_reach_a_carrier_that_speaks_srtp_alone_and_the_record_names_the_suite_of_each_leg() {
    for (encrypted, caller, callee) in [(true, Some(PHONE_SUITE), PHONE_SUITE), (false, None, FIRST_SUITE)] {
        let at = Address::new();
        let engine = Engine::start(at, &[]);
        let mut carrier = SecureCarrier::start(NUMBER, CARRIER_HZ);
        let node = trusting(at, &engine, &carrier);
        let phone = Phone::new("alice").tone(PHONE_HZ);
        let phone = if encrypted { phone.encrypted() } else { phone };
        let mut alice = phone.start(at, node.tls, &node.certificate());
        alice.dial(NUMBER);
        alice.await_event("CALL_ESTABLISHED");
        carrier.phone.await_event("CALL_ESTABLISHED");
        alice.await_tone(CARRIER_HZ);
        carrier.phone.await_tone(PHONE_HZ);
        alice.hang_up();
        carrier.phone.await_event("CALL_CLOSED");
        assert_suites(&only_record_by_length(&node), caller, Some(callee));
    }
}

#[test]
fn a_carrier_that_speaks_srtp_alone_refuses_the_plain_media_of_a_trunk_that_says_so() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let carrier = SecureCarrier::start(NUMBER, CARRIER_HZ);
    let trust = format!("[tls]\ntrust_roots = \"{}\"\n", carrier.certificate().display());
    let node = provider_of(at, &engine, &carrier, "--media plain").config(&trust).start();
    provider::alice(&node, refused(488)).start(at).await_success();
    let record = provider::only_record(&node, provider::CREDIT);
    provider::assert_says(&record, &json!({"sip_status": 488, "charge": "0"}));
}

#[test]
fn a_carrier_whose_certificate_nobody_vouches_for_is_not_called() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let carrier = SecureCarrier::start(NUMBER, CARRIER_HZ);
    // Control trusts its own certificate alone.
    let other = SecureCarrier::start(NUMBER, CARRIER_HZ);
    let trust = format!("[tls]\ntrust_roots = \"{}\"\n", other.certificate().display());
    let mut node = provider_of(at, &engine, &carrier, "").config(&trust).start();
    provider::alice(&node, refused(503)).start(at).await_success();
    let record = provider::only_record(&node, provider::CREDIT);
    provider::assert_says(&record, &json!({"sip_status": 503, "charge": "0"}));
    node.control.await_line("a refusal to trust", |line| line.contains("TLS to a peer failed"));
}
