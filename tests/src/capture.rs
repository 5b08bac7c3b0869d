//! tshark on loopback: it writes down what passes, and says afterwards what that was.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::await_some;
use crate::{Address, Process};

/// A running capture of UDP.
pub struct Capture {
    tshark: Process,
    folder: tempfile::TempDir,
}

impl Capture {
    /// Of what `filter` lets through; it runs when this returns. Whatever the filter says, it must let UDP through that is
    /// sent to port 31999 of `at`.
    pub fn start(at: Address, filter: &str) -> Capture {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("tshark");
        command.args(["-n", "-i", "lo", "-f", filter, "-F", "pcap", "-w"]).arg(file(&folder));
        let capture = Capture { tshark: Process::start("tshark", &mut command), folder };
        // It says that it captures before it does; what it has written counts.
        let socket = UdpSocket::bind((at.ip(), 0)).expect("a port");
        await_some("a capture that runs", || {
            socket.send_to(SENTINEL, (at.ip(), SENTINEL_PORT)).expect("loopback takes a packet");
            capture.payloads().any(|payload| payload == SENTINEL).then_some(())
        });
        capture
    }

    /// Waits until it has so many packets.
    pub fn await_packets(&self, count: usize) {
        await_some("every packet captured", || {
            (self.payloads().filter(|payload| payload != SENTINEL).count() >= count).then_some(())
        });
    }

    /// Ends it once it has written all that was sent before now; its file.
    pub fn stop(&mut self, at: Address) -> PathBuf {
        let socket = UdpSocket::bind((at.ip(), 0)).expect("a port");
        socket.send_to(END, (at.ip(), SENTINEL_PORT)).expect("loopback takes a packet");
        await_some("the end of the capture", || self.payloads().any(|payload| payload == END).then_some(()));
        self.tshark.kill();
        file(&self.folder)
    }

    /// What the packets so far carry. A record that is not whole yet is none.
    fn payloads(&self) -> impl Iterator<Item = Vec<u8>> {
        let bytes = std::fs::read(file(&self.folder)).unwrap_or_default();
        let mut records = bytes.get(24..).unwrap_or_default();
        let mut payloads = Vec::new();
        while let Some(length) = records.get(8..12) {
            let length = u32::from_ne_bytes(length.try_into().expect("four bytes")) as usize;
            let Some(frame) = records.get(16..16 + length) else { break };
            // Ethernet, IPv4 without options, UDP.
            payloads.extend(frame.get(42..).map(<[u8]>::to_vec));
            records = &records[16 + length..];
        }
        payloads.into_iter()
    }
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("loopback.pcap")
}

/// What tshark reads in a file: these fields of each packet that `wanted` lets through, in their order; several values of
/// one field with commas between them. RTP and RTCP are what goes to or comes from these ports.
///
/// # Panics
/// If tshark cannot read it.
pub fn dissect(
    file: &Path,
    rtp: &[SocketAddr],
    rtcp: &[SocketAddr],
    wanted: &str,
    fields: &[&str],
) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-Y", wanted, "-T", "fields", "-E", "separator=;", "-E", "occurrence=a", "-r"])
        .arg(file);
    for (kind, sockets) in [("rtp", rtp), ("rtcp", rtcp)] {
        for socket in sockets {
            command.args(["-d", &format!("udp.port=={},{kind}", socket.port())]);
        }
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs; tests/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.split(';').map(str::to_owned).collect()).collect()
}

/// What tells that a capture runs, and that it has come to its end. Nobody listens where they are sent.
const SENTINEL: &[u8] = b"running";
const END: &[u8] = b"the end";
const SENTINEL_PORT: u16 = 31_999;
