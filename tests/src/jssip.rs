//! JsSIP as a phone over WebSocket: in node, with plain RTP in place of a browser's media, or in a page of a real Chromium.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{PATIENCE, await_some};
use crate::{Address, DOMAIN, Process};

/// The origin of the page that the phone says it is.
pub const ORIGIN: &str = "https://phone.provider.example";

/// A phone to be started.
#[derive(Clone, Debug)]
pub struct WebPhone {
    config: Value,
    driver: &'static str,
}

/// A running phone.
pub struct JsSip {
    /// The running node, which the browser is a child of.
    pub process: Process,
    /// What a browser writes down.
    _folder: tempfile::TempDir,
    name: String,
    orders: TcpStream,
    received: Vec<u8>,
    events: VecDeque<Value>,
    wire: Vec<(bool, String)>,
}

impl WebPhone {
    /// The phone of account `name`, whose password is `secret`, which connects to `url`; it sends a packet every 20 ms.
    pub fn new(name: &str, url: &str) -> WebPhone {
        let media = json!({"audio": false, "video": false});
        WebPhone {
            config: json!({
                "user": name, "password": "secret", "domain": DOMAIN, "url": url, "origin": ORIGIN, "media": media,
                "echoes": false, "hertz": 1000, "ice": {"iceServers": []},
            }),
            driver: "node.js",
        }
    }

    /// Trusts this certificate.
    #[must_use]
    pub fn trusting(self, certificate: &Path) -> WebPhone {
        self.with("ca", json!(certificate))
    }

    /// Is a page of another origin.
    #[must_use]
    pub fn of(self, origin: &str) -> WebPhone {
        self.with("origin", json!(origin))
    }

    /// Has another password.
    #[must_use]
    pub fn password(self, password: &str) -> WebPhone {
        self.with("password", json!(password))
    }

    /// Runs in a page of Debian's Chromium, without a screen: its media is a browser's, from a device that beeps.
    #[must_use]
    pub fn in_chromium(mut self) -> WebPhone {
        self.driver = "chromium.js";
        self
    }

    /// Its microphone in Chromium hears a tone of so many hertz.
    #[must_use]
    pub fn tone(self, hertz: u32) -> WebPhone {
        self.with("hertz", json!(hertz))
    }

    /// Its page in Chromium reaches others through a TURN server alone: `turn:` or `turns:` URI, user name and password.
    #[must_use]
    pub fn relayed(self, uri: &str, username: &str, credential: &str) -> WebPhone {
        let server = json!({"urls": [uri], "username": username, "credential": credential});
        self.with("ice", json!({"iceServers": [server], "iceTransportPolicy": "relay"}))
    }

    /// Sends back what it hears, instead of packets of its own.
    #[must_use]
    pub fn echoes(self) -> WebPhone {
        self.with("echoes", json!(true))
    }

    fn with(mut self, key: &str, value: Value) -> WebPhone {
        self.config[key] = value;
        self
    }

    /// Starts it on `at` and lets it connect.
    pub fn start(mut self, at: Address) -> JsSip {
        self.config["address"] = json!(at.to_string());
        self.config["mediaPort"] = json!(at.media_port());
        let name = self.config["user"].as_str().unwrap_or_default().to_owned();
        let listener = TcpListener::bind((at.ip(), 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        listener.set_nonblocking(true).expect("an option");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("node");
        command.env("TMPDIR", folder.path()).env("HOME", folder.path());
        command.current_dir(modules()).args([
            self.driver,
            &port.to_string(),
            &at.to_string(),
            &self.config.to_string(),
        ]);
        let process = Process::start(&format!("JsSIP {name}"), &mut command);
        let (orders, _) = await_some("connection of node", || listener.accept().ok());
        orders.set_nonblocking(false).expect("an option");
        orders.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let mut phone = JsSip {
            process,
            _folder: folder,
            name,
            orders,
            received: Vec::new(),
            events: VecDeque::new(),
            wire: Vec::new(),
        };
        phone.order(json!({"do": "start"}));
        phone
    }

    /// The same, and waits until it is registered.
    pub fn register(self, at: Address) -> JsSip {
        let mut phone = self.start(at);
        phone.await_event("registered");
        phone
    }
}

impl JsSip {
    /// Calls a number or an account of its own provider.
    pub fn dial(&mut self, user: &str) {
        self.order(json!({"do": "call", "to": user}));
    }

    /// Gives it an order that needs no more words: `answer`, `terminate`, `hold`, `unhold`, `cut`, `stop`.
    pub fn does(&mut self, order: &str) {
        self.order(json!({"do": order}));
    }

    /// Gives it an order.
    pub fn order(&mut self, order: Value) {
        writeln!(self.orders, "{order}").expect("the phone listens");
    }

    /// The next event of this name; earlier ones of other names are passed over.
    ///
    /// # Panics
    /// If none comes within [`PATIENCE`], or the call ends meanwhile.
    pub fn await_event(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["event"] == name {
                    return event;
                }
                let over = event["event"] == "failed" || event["event"] == "ended";
                assert!(!over, "JsSIP {}: no {name}, but {event}\n{}", self.name, self.story());
                others.push(event);
            }
            assert!(
                Instant::now() < deadline,
                "JsSIP {}: no {name}, but {others:?}\n{}",
                self.name,
                self.story()
            );
            self.read();
        }
    }

    /// Waits until its page in Chromium hears a tone, and says what the browser knows of the media then: `dtls`, `srtp`, `role`,
    /// `ice`, `candidate` (of its own), `codec`, `sent`, `received` and `lost` packets.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub fn await_tone(&mut self, hertz: u32) -> Value {
        self.order(json!({"do": "listen", "hertz": hertz}));
        self.await_event("tone")
    }

    /// How many packets it has heard.
    pub fn heard(&mut self) -> u64 {
        self.does("heard");
        self.await_event("heard")["packets"].as_u64().expect("a count")
    }

    /// The messages over its connections so far, in order: whether it received it, and the text.
    pub fn wire(&self) -> &[(bool, String)] {
        &self.wire
    }

    /// The first line and CSeq's method of each message, those that it received behind `<`; without what only
    /// registers or challenges.
    pub fn summary(&self) -> String {
        let lines = self.wire.iter().filter_map(|(received, text)| {
            let method = header(text, "CSeq")?.split(' ').nth(1)?;
            let first = text.split("\r\n").next()?;
            let name = match first.strip_prefix("SIP/2.0 ") {
                Some(status) => status.get(..3)?,
                None => method,
            };
            (!matches!(method, "REGISTER") && name != "100")
                .then(|| format!("{}{name}", if *received { "<" } else { "" }))
        });
        lines.collect::<Vec<_>>().join(" ")
    }

    /// Waits until [`JsSip::summary`] is this.
    ///
    /// # Panics
    /// If it is not within [`PATIENCE`].
    pub fn await_summary(&mut self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.summary() != wanted {
            assert!(
                Instant::now() < deadline,
                "JsSIP {}: not {wanted}\nbut {}\n{}",
                self.name,
                self.summary(),
                self.story()
            );
            self.read();
        }
    }

    fn story(&self) -> String {
        let lines = self
            .wire
            .iter()
            .map(|(received, text)| format!("{} {text}", if *received { "<<" } else { ">>" }));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn read(&mut self) {
        let mut chunk = [0; 16_384];
        match self.orders.read(&mut chunk) {
            Ok(0) => panic!("JsSIP {} ended\n{}", self.name, self.process.said()),
            Ok(length) => self.received.extend_from_slice(&chunk[..length]),
            Err(_) => return,
        }
        while let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).expect("the phone speaks JSON");
            if event["event"] == "wire" {
                let text = event["text"].as_str().unwrap_or_default().to_owned();
                self.wire.push((event["received"] == true, text));
            } else {
                self.events.push_back(event);
            }
        }
    }
}

impl Drop for JsSip {
    fn drop(&mut self) {
        // It ends with its orders, and a browser puts its things away first.
        let _ended_already = self.orders.shutdown(Shutdown::Both);
        if !std::thread::panicking() {
            self.process.await_exit();
        }
    }
}

/// The value of a header line that is called so.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A folder with JsSIP and what drives it: npm fills it once a build folder, as the lock file says.
///
/// # Panics
/// If npm is not there, or cannot reach its registry the first time.
pub fn modules() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let folder = profile.join("jssip");
    fs::create_dir_all(&folder).expect("the build folder can be written");
    // One test at a time: the others find what it has installed.
    let lock = File::create(folder.join("lock")).expect("the build folder can be written");
    lock.lock().expect("a file can be locked");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("jssip");
    let wanted = fs::read(sources.join("package-lock.json")).expect("the lock file is there");
    let stamp = folder.join("installed");
    for entry in fs::read_dir(&sources).expect("the sources are there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        // By another name first: a phone of another test may be starting from it.
        let fresh = folder.join("fresh");
        fs::copy(&path, &fresh).expect("a file is copied");
        fs::rename(&fresh, folder.join(name)).expect("a file gets its name");
    }
    if fs::read(&stamp).ok().as_ref() != Some(&wanted) {
        let output = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder)
            .output()
            .expect("npm starts; tests/run installs it");
        assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(&stamp, wanted).expect("the build folder can be written");
    }
    folder
}

/// Where pages connect at a node: `ws://` or `wss://`.
pub fn url(scheme: &str, address: SocketAddr) -> String {
    format!("{scheme}://{address}/")
}
