//! An engine or rtpengine, whichever it is, and a client of it.

use std::net::SocketAddr;

use load::ng::Client;
use serde_json::{Value, json};

use crate::party::sections;
use crate::{Address, Engine, Process, Rtpengine};

/// A daemon that speaks NG.
pub struct Daemon {
    _process: Process,
    ng: Client,
}

impl Daemon {
    /// Ours.
    pub fn tollgate(at: Address) -> Daemon {
        let engine = Engine::start(at, &[]);
        Daemon { _process: engine.process, ng: Client::new(engine.ng).expect("a client") }
    }

    /// Debian's.
    pub fn rtpengine(at: Address) -> Daemon {
        let daemon = Rtpengine::start(at, &[]);
        Daemon { _process: daemon.process, ng: Client::new(daemon.ng).expect("a client") }
    }

    /// Its reply to a command about a call, with further keys.
    ///
    /// # Panics
    /// If it does not say `ok`.
    pub fn ask(&mut self, command: &str, call_id: &str, more: Value) -> Value {
        let mut request = more;
        (request["command"], request["call-id"]) = (json!(command), json!(call_id));
        self.ng.ask(&request).expect("it is taken")
    }

    /// A description of one side of a call of `a` and `b`, on its way to the other, and what becomes of it.
    ///
    /// # Panics
    /// If it is refused.
    pub fn pass(&mut self, command: &str, call_id: &str, sdp: &str, more: Value) -> Value {
        let mut request = more;
        (request["from-tag"], request["sdp"]) = (json!("a"), json!(sdp));
        if command == "answer" {
            request["to-tag"] = json!("b");
        }
        self.ask(command, call_id, request)
    }

    /// A call of two parties; where each of them sends to.
    pub fn call(&mut self, call_id: &str, [from, to]: [&str; 2], sdp: [&str; 2]) -> [SocketAddr; 2] {
        let offer = self.ask("offer", call_id, json!({"from-tag": from, "sdp": sdp[0]}));
        let answer = self.ask("answer", call_id, json!({"from-tag": from, "to-tag": to, "sdp": sdp[1]}));
        [sections(&answer)[0], sections(&offer)[0]]
    }

    /// Lets a listener at these sections hear; where it is shown them.
    pub fn subscribe(&mut self, call_id: &str, tag: &str, whom: Value, sdp: &str) -> Vec<SocketAddr> {
        let mut request = whom;
        request["to-tag"] = json!(tag);
        let shown = sections(&self.ask("subscribe request", call_id, request));
        self.ask("subscribe answer", call_id, json!({"to-tag": tag, "sdp": sdp}));
        shown
    }
}
