//! SIPp as caller or as carrier: one scenario, one process, every message it saw.

use std::net::SocketAddr;
use std::process::Command;

use crate::trace::{self, Seen};
use crate::{Address, DOMAIN, Process, Scenario, udp};

/// A SIPp that runs a scenario.
pub struct Sipp {
    process: Process,
    folder: tempfile::TempDir,
    /// Where it listens for SIP.
    pub address: SocketAddr,
}

/// What a SIPp is told beside its scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    scenario: Scenario,
    arguments: Vec<String>,
    remote: Option<SocketAddr>,
    tcp: bool,
    echo: Option<bool>,
}

impl Plan {
    /// One call by `scenario`.
    pub fn new(scenario: Scenario) -> Plan {
        let plan = Plan { scenario, arguments: Vec::new(), remote: None, tcp: false, echo: None };
        plan.calls(1).key("account", "nobody").key("domain", DOMAIN)
    }

    /// Where a caller sends its requests.
    #[must_use]
    pub fn to(mut self, remote: SocketAddr) -> Plan {
        self.remote = Some(remote);
        self
    }

    /// How many calls it places, or takes, before it ends.
    #[must_use]
    pub fn calls(self, count: u32) -> Plan {
        self.with("-m", &count.to_string())
    }

    /// The number that is called.
    #[must_use]
    pub fn number(self, number: &str) -> Plan {
        self.with("-s", number)
    }

    /// The account that calls; every account's password is `secret`.
    #[must_use]
    pub fn account(self, name: &str) -> Plan {
        self.key("account", name).with("-au", name).with("-ap", "secret")
    }

    /// How long the scenario's `<pause/>` lasts.
    #[must_use]
    pub fn pause_ms(self, milliseconds: u32) -> Plan {
        self.with("-d", &milliseconds.to_string())
    }

    /// A value for `[name]` in the scenario, instead of one given before: SIPp would take the first.
    #[must_use]
    pub fn key(mut self, name: &str, value: &str) -> Plan {
        if let Some(at) = self.arguments.windows(2).position(|pair| pair[0] == "-key" && pair[1] == name) {
            self.arguments.drain(at..at + 3);
        }
        self.arguments.extend(["-key".to_owned(), name.to_owned(), value.to_owned()]);
        self
    }

    /// Whether RTP that comes is sent back, instead of only by who is called: between two echoes a packet would never
    /// come to rest.
    #[must_use]
    pub fn echoes(mut self, echo: bool) -> Plan {
        self.echo = Some(echo);
        self
    }

    /// SIP over TCP, all of it over one connection.
    #[must_use]
    pub fn over_tcp(mut self) -> Plan {
        self.tcp = true;
        self.with("-t", "t1")
    }

    /// Any other option of SIPp's.
    #[must_use]
    pub fn with(mut self, option: &str, value: &str) -> Plan {
        self.arguments.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// Starts it on a free port of `at`. Who is to be called listens when this returns; who calls may be through with it.
    pub fn start(&self, at: Address) -> Sipp {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = at.socket();
        std::fs::write(folder.path().join("scenario.xml"), self.scenario.xml())
            .expect("a file in a new folder");
        let mut command = Command::new("sipp");
        if let Some(remote) = self.remote {
            command.arg(remote.to_string());
        }
        if self.echo.unwrap_or_else(|| self.remote.is_none()) {
            command.arg("-rtp_echo");
        }
        command
            .current_dir(folder.path())
            .args(["-sf", "scenario.xml"])
            .args(["-i", &at.to_string(), "-p", &address.port().to_string()])
            .args(["-mi", &at.to_string(), "-mp", &at.media_port().to_string()])
            .args([
                "-nostdin",
                "-trace_msg",
                "-message_file",
                "messages.log",
                "-trace_err",
                "-error_file",
                "errors.log",
            ])
            .args(["-timeout", "60", "-timeout_error"])
            .args(&self.arguments);
        let process = Process::start(&format!("sipp {}", self.scenario.name()), &mut command);
        if self.remote.is_none() {
            if self.tcp { udp::await_listening(address) } else { udp::await_bound(address) }
        }
        Sipp { process, folder, address }
    }
}

impl Sipp {
    /// Waits until every call went as the scenario says.
    ///
    /// # Panics
    /// With SIPp's own words and messages if one did not.
    pub fn await_success(&mut self) {
        let status = self.process.await_exit();
        assert!(status.success(), "sipp ended with {status}\n{}\n{}", self.errors(), self.messages());
    }

    /// Every SIP message sent and received so far.
    pub fn messages(&self) -> String {
        self.read("messages.log")
    }

    /// The same one by one, without repeats.
    pub fn seen(&self) -> Vec<Seen> {
        trace::of_log(&self.messages())
    }

    /// What it sent and, with a `<` before it, received, without repeats and 100s: `INVITE <407 ACK`.
    pub fn summary(&self) -> String {
        trace::summary(&self.seen())
    }

    /// The first message that it received and that is called so: a method or a status.
    ///
    /// # Panics
    /// If there is none.
    pub fn heard(&self, what: &str) -> Seen {
        let found = self.seen().into_iter().find(|seen| seen.received && seen.what() == what);
        found.unwrap_or_else(|| panic!("no {what} came\n{}", self.messages()))
    }

    /// What SIPp complained of.
    pub fn errors(&self) -> String {
        self.read("errors.log")
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read(self.folder.path().join(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}
