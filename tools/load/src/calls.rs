//! Calls set up over NG: for each, where the caller and the callee have to send.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use rtp::sdp::Crypto;
use rtp::srtp::Suite;
use serde_json::{Value, json};

use crate::ng::Client;
use crate::seal::{self, Seals, Secure};

/// The engine's ports of one call, as its SDP named them.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// Where the caller sends.
    pub for_caller: SocketAddr,
    /// Where the callee sends.
    pub for_callee: SocketAddr,
}

/// Live calls of one engine.
pub struct Calls {
    client: Client,
    prefix: String,
    /// In the order of their set-up.
    pub relays: Vec<Relay>,
    /// What protects their packets.
    pub seals: Seals,
}

impl Calls {
    /// Sets up `count` calls between `caller` and `callee`, which every call shares: the engine's ports differ.
    ///
    /// # Errors
    /// The first refusal of the engine.
    pub fn set_up(
        engine: SocketAddr,
        count: usize,
        caller: SocketAddr,
        callee: SocketAddr,
    ) -> anyhow::Result<Calls> {
        Calls::set_up_secure(engine, count, caller, callee, Secure::default())
    }

    /// The same with ends that speak SRTP.
    ///
    /// # Errors
    /// As above, and if the engine shows no key of a suite that is asked for.
    pub fn set_up_secure(
        engine: SocketAddr,
        count: usize,
        caller: SocketAddr,
        callee: SocketAddr,
        secure: Secure,
    ) -> anyhow::Result<Calls> {
        let mut client = Client::new(engine)?;
        client.await_pong()?;
        let mut calls = Calls { client, prefix: prefix(), relays: Vec::new(), seals: Seals::default() };
        let callers = secure.caller.map(|suite| seal::own(suite, 1));
        for index in 0..count {
            let call_id = format!("{}-{index}", calls.prefix);
            let mut offer = json!({"command": "offer", "call-id": call_id, "from-tag": "caller",
                "sdp": sdp(caller, callers.as_ref())});
            let profile = if secure.callee.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
            if secure.caller.is_some() || secure.callee.is_some() {
                offer["transport-protocol"] = json!(profile);
                offer["DTLS"] = json!("off");
            }
            if let Some(suite) = secure.callee {
                offer["SDES"] = json!([format!("only-{suite}")]);
            }
            let offered = calls.client.ask(&offer)?;
            let for_callee = secure.callee.map(|suite| key(&offered, suite)).transpose()?;
            // rtpengine offers every suite whatever it was asked for; the answer's tag says which was chosen.
            let callees = for_callee.as_ref().zip(secure.callee);
            let callees = callees.map(|(shown, suite)| Crypto { tag: shown.tag, ..seal::own(suite, 101) });
            let answer = json!({"command": "answer", "call-id": call_id, "from-tag": "caller", "to-tag": "callee",
                "sdp": sdp(callee, callees.as_ref())});
            let answered = calls.client.ask(&answer)?;
            calls
                .relays
                .push(Relay { for_caller: media_address(&answered)?, for_callee: media_address(&offered)? });
            if let Some((own, suite)) = callers.as_ref().zip(secure.caller) {
                calls.seals.callers.add(own, &key(&answered, suite)?)?;
            }
            if let Some((own, shown)) = callees.as_ref().zip(for_callee.as_ref()) {
                calls.seals.callees.add(own, shown)?;
                let same = callers.as_ref().is_some_and(|callers| callers.keys == shown.keys);
                calls.seals.passed_through += usize::from(same);
            }
        }
        Ok(calls)
    }

    /// Ends them all.
    ///
    /// # Errors
    /// The first refusal of the engine.
    pub fn delete(mut self) -> anyhow::Result<()> {
        for index in 0..self.relays.len() {
            let call_id = format!("{}-{index}", self.prefix);
            self.client.ask(&json!({"command": "delete", "call-id": call_id, "delete-delay": 0}))?;
        }
        Ok(())
    }
}

/// Unlike that of any other calls of ours.
fn prefix() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("load-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn sdp(address: SocketAddr, key: Option<&Crypto>) -> String {
    let (ip, port) = (address.ip(), address.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let profile = if key.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
    let crypto = key.map(|key| format!("a=crypto:{key}\r\n")).unwrap_or_default();
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} {profile} 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n{crypto}"
    )
}

/// The key of a suite in an answer's SDP.
fn key(answer: &Value, suite: Suite) -> anyhow::Result<Crypto> {
    seal::shown(answer["sdp"].as_str().context("the answer has no SDP")?, suite)
}

/// The address in the first audio section of an answer's SDP.
fn media_address(answer: &Value) -> anyhow::Result<SocketAddr> {
    let sdp = answer["sdp"].as_str().context("the answer has no SDP")?;
    let line = |prefix: &str| sdp.lines().rev().find_map(|line| line.strip_prefix(prefix));
    let ip: IpAddr = line("c=IN IP").and_then(|rest| rest.get(2..)).context("no c= line")?.trim().parse()?;
    let port: u16 =
        line("m=audio ").and_then(|rest| rest.split(' ').next()).context("no m= line")?.parse()?;
    ensure!(port != 0, "the engine rejects the audio");
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_audio_section_is_read() {
        let answer = json!({"sdp": sdp("127.0.0.9:4000".parse().expect("an address"), None)});
        assert_eq!(media_address(&answer).expect("an address").to_string(), "127.0.0.9:4000");
        assert!(media_address(&json!({"sdp": "m=audio 0 RTP/AVP 0\r\nc=IN IP4 1.2.3.4\r\n"})).is_err());
    }
}
