//! A look at an engine's calls from outside, over NG.

use std::net::SocketAddr;

use load::ng::Client;
use serde_json::{Value, json};

use crate::process::await_some;

/// Asks one engine about its calls and changes nothing.
pub struct Watch(Client);

impl Watch {
    /// Of the engine whose NG address is `engine`.
    pub fn new(engine: SocketAddr) -> Watch {
        Watch(Client::new(engine).expect("an NG client"))
    }

    /// Its calls.
    pub fn calls(&mut self) -> Vec<String> {
        let answer = self.0.ask(&json!({"command": "list"})).expect("an answer to list");
        let calls = answer["calls"].as_array().cloned().unwrap_or_default();
        calls.iter().filter_map(|call| call.as_str().map(str::to_owned)).collect()
    }

    /// Waits for a call.
    pub fn await_call(&mut self) -> String {
        await_some("a call at the engine", || self.calls().pop())
    }

    /// RTP packets received of each leg so far; none of a call that it does not know.
    pub fn packets(&mut self, call: &str) -> Vec<u64> {
        let answer = self.0.ask(&json!({"command": "query", "call-id": call})).unwrap_or_default();
        let legs = answer["tags"].as_object().into_iter().flat_map(|tags| tags.values());
        legs.filter_map(|leg| leg["medias"][0]["streams"][0]["stats"]["packets"].as_u64()).collect()
    }

    /// Waits until `more` packets have come from each leg, beyond those that have by now.
    pub fn await_packets(&mut self, call: &str, more: u64) {
        let before = self.packets(call);
        let grown = |now: &[u64]| {
            let before = before.iter().copied().chain(std::iter::repeat(0));
            now.len() == 2 && now.iter().zip(before).all(|(now, before)| *now >= before + more)
        };
        await_some("audio both ways", || grown(&self.packets(call)).then_some(()));
    }

    /// Waits until it has no call.
    pub fn await_none(&mut self) {
        await_some("an engine without calls", || self.calls().is_empty().then_some(()));
    }

    /// Waits until the engine has told `count` times how a call goes, as it does once a second.
    pub fn await_reports(&mut self, call: &str, count: usize) {
        await_some("reports", || {
            let told = self.0.ask(&json!({"command": "events", "since": 0, "wait-ms": 0})).ok()?;
            let of_call = |event: &&Value| event["call-id"] == call && event["event"] == "call-report";
            (told["events"].as_array()?.iter().filter(of_call).count() >= count).then_some(())
        });
    }
}
