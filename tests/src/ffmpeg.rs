//! ffmpeg as the end of a media stream: it plays a tone as RTP, or writes down what it hears.

use std::net::SocketAddr;
use std::process::Command;

use crate::baresip::purity;
use crate::party::describe;
use crate::process::await_some;
use crate::{Address, Process};

/// Plays a tone as PCMA in real time, until it is dropped.
pub struct Player {
    _process: Process,
}

impl Player {
    /// From the RTP port of `from` and the one above it to `to` and the one above that.
    pub fn start(from: SocketAddr, to: SocketAddr, hertz: u32) -> Player {
        Player::start_with(from, to, hertz, "rtp", &[])
    }

    /// The same in SRTP, with a suite and a key as `inline:` has it.
    pub fn start_secure(from: SocketAddr, to: SocketAddr, hertz: u32, suite: &str, key: &str) -> Player {
        let options = ["-srtp_out_suite", suite, "-srtp_out_params", key];
        Player::start_with(from, to, hertz, "srtp", &options)
    }

    fn start_with(from: SocketAddr, to: SocketAddr, hertz: u32, protocol: &str, options: &[&str]) -> Player {
        let url = format!(
            "{protocol}://{to}?localaddr={}&localrtpport={}&localrtcpport={}&pkt_size=172",
            from.ip(),
            from.port(),
            from.port() + 1
        );
        let mut command = Command::new("ffmpeg");
        command
            .args(["-nostdin", "-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i"])
            .arg(format!("sine=frequency={hertz}:sample_rate=8000"))
            .args(["-c:a", "pcm_alaw", "-payload_type", "8"])
            .args(options)
            .args(["-f", "rtp", &url]);
        Player { _process: Process::start(&format!("ffmpeg that plays {hertz} Hz"), &mut command) }
    }
}

/// Hears RTP on some ports, and keeps the sound of each.
pub struct Listener {
    process: Process,
    folder: tempfile::TempDir,
    sections: Vec<SocketAddr>,
}

impl Listener {
    /// On `count` pairs of free ports of `at`.
    pub fn start(at: Address, count: usize) -> Listener {
        let sections: Vec<_> = (0..count).map(|_| SocketAddr::new(at.ip(), at.media_port())).collect();
        Listener::start_on(&sections)
    }

    /// On these ports and those above them.
    pub fn start_on(sections: &[SocketAddr]) -> Listener {
        Listener::start_by(sections, &describe(sections, "8", ""))
    }

    /// On one port, in SRTP by these `a=crypto` lines of whoever sends.
    pub fn start_secure(section: SocketAddr, keys: &str) -> Listener {
        let sdp = describe(&[section], "8", keys).replace("RTP/AVP", "RTP/SAVP");
        Listener::start_by(&[section], &sdp)
    }

    fn start_by(sections: &[SocketAddr], description: &str) -> Listener {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sdp = folder.path().join("here.sdp");
        std::fs::write(&sdp, description).expect("a file in a new folder");
        let mut command = Command::new("ffmpeg");
        command
            .args([
                "-nostdin",
                "-hide_banner",
                "-loglevel",
                "warning",
                "-protocol_whitelist",
                "file,udp,rtp,srtp",
            ])
            .args(["-localaddr", &sections[0].ip().to_string(), "-i"])
            .arg(&sdp);
        for index in 0..sections.len() {
            command
                .args(["-map", &format!("0:{index}"), "-ar", "8000", "-ac", "1", "-f", "s16le"])
                .args(["-flush_packets", "1"])
                .arg(folder.path().join(format!("{index}.raw")));
        }
        let process = Process::start("ffmpeg that listens", &mut command);
        sections.iter().for_each(|section| crate::udp::await_bound(*section));
        Listener { process, folder, sections: sections.to_vec() }
    }

    /// Its description: it only listens.
    pub fn sdp(&self) -> String {
        describe(&self.sections, "8", "a=recvonly\r\n")
    }

    /// Waits until it has heard half a second of a pure tone in a section.
    ///
    /// # Panics
    /// If it has not within [`PATIENCE`](crate::process::PATIENCE).
    pub fn await_tone(&mut self, section: usize, hertz: u32) {
        let file = self.folder.path().join(format!("{section}.raw"));
        await_some(&format!("{hertz} Hz in section {section}: {}", self.process.said()), || {
            let bytes = std::fs::read(&file).ok()?;
            let samples: Vec<i16> =
                bytes.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
            samples.chunks_exact(4_000).any(|half| purity(half, hertz) > 0.9).then_some(())
        });
    }
}
