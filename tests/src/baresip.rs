//! baresip as a phone without a screen: registers over TLS, plays a tone, keeps what it hears, obeys over a socket.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{PATIENCE, Process, await_some};
use crate::{Address, DOMAIN};

/// A registered phone.
pub struct Baresip {
    /// The running program.
    pub process: Process,
    /// Where it keeps its files.
    pub folder: tempfile::TempDir,
    name: String,
    account: String,
    control: TcpStream,
    received: Vec<u8>,
    events: VecDeque<Value>,
}

/// A phone to be started.
#[derive(Clone, Debug)]
pub struct Phone {
    name: String,
    tone_hz: u32,
    /// Its account's `mediaenc`.
    encryption: Option<&'static str>,
}

impl Phone {
    /// The phone of account `name`, whose password is `secret`; it answers every call and plays 440 Hz.
    pub fn new(name: &str) -> Phone {
        Phone { name: name.to_owned(), tone_hz: 440, encryption: None }
    }

    /// Plays this tone.
    #[must_use]
    pub fn tone(mut self, hertz: u32) -> Phone {
        self.tone_hz = hertz;
        self
    }

    /// Speaks SRTP with keys from descriptions (SDES), and nothing else.
    #[must_use]
    pub fn encrypted(mut self) -> Phone {
        self.encryption = Some("srtp-mand");
        self
    }

    /// Speaks SRTP with keys from a handshake (DTLS), for which it has an RSA certificate, and nothing else.
    #[must_use]
    pub fn handshaking(mut self) -> Phone {
        self.encryption = Some("dtls_srtp");
        self
    }

    /// Starts it on `at`, and waits until it is registered over TLS with the server at `tls`, whose certificate is in
    /// the file `certificate`.
    pub fn start(&self, at: Address, tls: SocketAddr, certificate: &Path) -> Baresip {
        let name = &self.name;
        let account = format!(
            "<sip:{name}@{DOMAIN};transport=tls>;auth_user={name};auth_pass=secret;\
             outbound=\"sip:{tls};transport=tls\";regint=3600;answermode=auto;audio_codecs=PCMA{}",
            self.encryption.map_or_else(String::new, |encryption| format!(";mediaenc={encryption}"))
        );
        let config = format!("sip_listen {at}:0\nsip_cafile {}\n", certificate.display());
        Baresip::start(name, at, self.tone_hz, account, &config, |process| {
            process.await_line("registration", |line| line.contains("200 OK"));
        })
    }
}

impl Baresip {
    /// Starts one that is called `name` with this account and these lines of configuration, whose sound is a tone, and
    /// waits until `ready` returns.
    pub(crate) fn start(
        name: &str,
        at: Address,
        tone_hz: u32,
        account: String,
        config: &str,
        ready: impl FnOnce(&mut Process),
    ) -> Baresip {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file in a new folder");
        };
        let control = at.socket();
        write("contacts", "");
        write("accounts", &format!("{account}\n"));
        write(
            "config",
            &format!(
                "poll_method epoll\n{config}net_interface {at}\n\
                 audio_source ausine,{tone_hz}\naudio_player aubridge,nowhere\naudio_alert aubridge,nowhere\n\
                 ausrc_srate 48000\nausrc_channels 2\nrtp_ports 40000-49999\nringback_disabled yes\nsnd_path {}\n\
                 ctrl_tcp_listen {control}\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule ausine.so\n\
                 module aubridge.so\nmodule sndfile.so\nmodule srtp.so\nmodule dtls_srtp.so\nmodule_tmp uuid.so\nmodule_tmp account.so\n\
                 module_app menu.so\nmodule_app ctrl_tcp.so\n",
                folder.path().display(),
            ),
        );
        let mut command = Command::new("baresip");
        command.arg("-f").arg(folder.path());
        let mut process = Process::start(&format!("baresip {name}"), &mut command);
        ready(&mut process);
        let control = await_some("control socket", || TcpStream::connect(control).ok());
        control.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let (name, received, events) = (name.to_owned(), Vec::new(), VecDeque::new());
        Baresip { process, folder, name, account, control, received, events }
    }

    /// Calls a number or an account of its own provider.
    pub fn dial(&mut self, user: &str) {
        self.order("dial", &format!("sip:{user}@{DOMAIN}"));
    }

    /// Ends the call.
    pub fn hang_up(&mut self) {
        self.order("hangup", "");
        self.await_event("CALL_CLOSED");
    }

    /// Registers again, over a new connection if the old one is gone; its calls stay.
    pub fn register_again(&mut self) {
        let account = self.account.clone();
        self.order("uanew", &account);
        self.await_event("REGISTER_OK");
    }

    fn order(&mut self, command: &str, parameters: &str) {
        let text = json!({"command": command, "params": parameters}).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("baresip listens");
    }

    /// The next event of this type (`CALL_ESTABLISHED`, `CALL_CLOSED`); earlier ones of other types are passed over.
    ///
    /// # Panics
    /// If none comes within [`PATIENCE`].
    pub fn await_event(&mut self, kind: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["type"] == kind {
                    return event;
                }
                assert!(event["type"] != "CALL_CLOSED", "baresip {}: no {kind}, but {event}", self.name);
                others.push(event);
            }
            assert!(Instant::now() < deadline, "baresip {}: no {kind}, but {others:?}", self.name);
            let mut chunk = [0; 4096];
            match self.control.read(&mut chunk) {
                Ok(0) => panic!("baresip {} closed its control socket\n{}", self.name, self.process.said()),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(_) => continue,
            }
            while let Some(document) = netstring(&mut self.received) {
                let document: Value = serde_json::from_slice(&document).expect("baresip speaks JSON");
                if document["event"] == true {
                    self.events.push_back(document);
                }
            }
        }
    }

    /// What it heard so far: 8 kHz samples of the last call.
    pub fn heard(&self) -> Vec<i16> {
        let files = std::fs::read_dir(self.folder.path()).expect("its folder is there");
        let mut recordings: Vec<PathBuf> = files
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        recordings.sort();
        let bytes = recordings.last().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let samples = bytes.get(44..).unwrap_or_default().as_chunks::<2>().0;
        samples.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
    }

    /// Waits until it has heard half a second of a pure tone.
    ///
    /// # Panics
    /// If it has not within [`PATIENCE`].
    pub fn await_tone(&self, hertz: u32) {
        await_some(&format!("{hertz} Hz at {}", self.name), || {
            let heard = self.heard();
            heard.chunks_exact(4_000).any(|half| purity(half, hertz) > 0.9).then_some(())
        });
    }
}

/// The share of the energy that lies at one frequency (Goertzel), of 8 kHz samples.
pub fn purity(samples: &[i16], hertz: u32) -> f64 {
    let step = 2.0 * std::f64::consts::PI * f64::from(hertz) / 8_000.0;
    let (mut real, mut imaginary, mut energy) = (0.0, 0.0, 0.0);
    for (index, sample) in (0u32..).zip(samples) {
        let (sample, phase) = (f64::from(*sample), step * f64::from(index));
        real += sample * phase.cos();
        imaginary += sample * phase.sin();
        energy += sample * sample;
    }
    let count = u32::try_from(samples.len()).map_or(f64::INFINITY, f64::from);
    if energy < count { 0.0 } else { 2.0 * (real * real + imaginary * imaginary) / (count * energy) }
}

/// Takes one netstring off the front, once it is whole.
fn netstring(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let colon = received.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&received[..colon]).ok()?.parse().ok()?;
    let whole = colon + 1 + length + 1;
    if received.len() < whole {
        return None;
    }
    let message = received.drain(..whole).collect::<Vec<_>>();
    Some(message[colon + 1..colon + 1 + length].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_told_from_another_and_from_silence() {
        let tone: Vec<i16> = (0..4_000)
            .map(|index| {
                let phase = f64::from(index) * 440.0 * 2.0 * std::f64::consts::PI / 8_000.0;
                #[expect(clippy::cast_possible_truncation, reason = "10 000 fits")]
                let sample = (phase.sin() * 10_000.0) as i16;
                sample
            })
            .collect();
        assert!(purity(&tone, 440) > 0.99);
        assert!(purity(&tone, 620) < 0.01);
        assert!(purity(&[0; 4_000], 440) < 0.01);
    }

    #[test]
    fn netstrings_come_whole() {
        let mut received = b"5:hello,3:a".to_vec();
        assert_eq!(netstring(&mut received), Some(b"hello".to_vec()));
        assert_eq!(netstring(&mut received), None);
        received.extend_from_slice(b"bc,");
        assert_eq!(netstring(&mut received), Some(b"abc".to_vec()));
    }
}
