//! One end of the demo's audio: sends every 20 ms, and compares what arrives with what the far end said, byte for byte.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use codecs::g711::Law;
use codecs::tone::ToneGenerator;
use rtp::sdp::{AudioFormat, Direction, Sdp};

use super::secret::Srtp;

/// A socket on which one end talks and listens.
pub(super) struct Audio {
    socket: UdpSocket,
}

/// What an end says: a tone in PCMU, packet by packet, which the other end can work out for itself.
pub(super) struct Voice(Vec<Packet>);

type Packet = [u8; HEADER_BYTES + PAYLOAD_BYTES];

/// What one end sent, and what of the other's reached it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) intact: u64,
    pub(super) broken: u64,
}

const PTIME: Duration = Duration::from_millis(20);
const PAYLOAD_BYTES: usize = 160;
const HEADER_BYTES: usize = 12;
/// How long the last packets of the far end may take.
const LINGER: Duration = Duration::from_secs(1);

impl Voice {
    /// `packets` packets of 20 ms as they go over the wire (RFC 3551 §4.5.14).
    pub(super) fn new(ssrc: u32, hertz: u16, packets: u16) -> Voice {
        let mut tone = ToneGenerator::new(8000, f64::from(hertz), 8000);
        let mut samples = [0; PAYLOAD_BYTES];
        let packets = (0..packets).map(|number| {
            let mut packet = [0; HEADER_BYTES + PAYLOAD_BYTES];
            packet[..2].copy_from_slice(&[0x80, 0]);
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            tone.fill(&mut samples);
            Law::Mu.encode_slice(&samples, &mut packet[HEADER_BYTES..]);
            packet
        });
        Voice(packets.collect())
    }
}

impl Audio {
    pub(super) fn open(ip: IpAddr) -> anyhow::Result<Audio> {
        Ok(Audio { socket: UdpSocket::bind((ip, 0)).context("a port for the audio")? })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// The description of this end: PCMU in packets of 20 ms.
    pub(super) fn describe(&self) -> anyhow::Result<Sdp> {
        Ok(rtp::sdp::audio(1, 1, self.address()?, &[AudioFormat::PCMU], Direction::SendRecv)?)
    }

    /// Waits until somebody speaks; what is said stays to be heard.
    pub(super) fn await_voice(&self, deadline: Instant) -> anyhow::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "nobody speaks");
        self.socket.set_read_timeout(Some(left))?;
        self.socket.peek(&mut [0]).map(drop).context("nobody speaks")
    }

    /// Says `own` to `remote`, a packet every 20 ms, while it listens for `theirs`; `srtp` keeps both secret.
    pub(super) fn talk(
        &self,
        remote: SocketAddr,
        srtp: &mut Srtp,
        own: &Voice,
        theirs: &Voice,
    ) -> anyhow::Result<Tally> {
        let mut due = Instant::now();
        let mut tally = Tally::default();
        let mut heard = vec![false; theirs.0.len()];
        let listen_until = |due, heard: &mut Vec<bool>, srtp: &mut Srtp, tally: &mut Tally| {
            let mut wire = [0; 2048];
            while let Some(length) = self.receive(due, &mut wire)? {
                if (20..=63).contains(&wire[0]) {
                    // The last words of the handshake (RFC 7983).
                    continue;
                }
                tally.judge(srtp.unprotect(&mut wire[..length]), theirs, heard);
            }
            Ok::<_, anyhow::Error>(())
        };
        for packet in &own.0 {
            self.send(&srtp.protect(packet)?, remote)?;
            tally.sent += 1;
            due += PTIME;
            listen_until(due, &mut heard, srtp, &mut tally)?;
        }
        let deadline = Instant::now() + LINGER;
        while heard.contains(&false) && Instant::now() < deadline {
            listen_until(Instant::now() + PTIME, &mut heard, srtp, &mut tally)?;
        }
        Ok(tally)
    }

    pub(super) fn send(&self, datagram: &[u8], remote: SocketAddr) -> anyhow::Result<()> {
        self.socket.send_to(datagram, remote).map(drop).with_context(|| format!("audio to {remote}"))
    }

    /// The length of the next datagram, or nothing until `due`.
    pub(super) fn receive(&self, due: Instant, datagram: &mut [u8]) -> anyhow::Result<Option<usize>> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(datagram) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error).context("listening"),
            }
        }
    }
}

/// Where the far end wants its audio.
pub(super) fn far_end(body: &[u8]) -> anyhow::Result<SocketAddr> {
    Sdp::parse(body)?.rtp_address(0).context("the SDP says nowhere to send audio to")
}

impl Tally {
    /// Counts a packet as intact the first time that it is what `theirs` said.
    fn judge(&mut self, packet: Option<&[u8]>, theirs: &Voice, heard: &mut [bool]) {
        let packet = packet.unwrap_or_default();
        let number = packet.get(2..4).map(|bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
        match number.filter(|number| theirs.0.get(*number).is_some_and(|said| said == packet)) {
            Some(number) => {
                if !std::mem::replace(&mut heard[number], true) {
                    self.intact += 1;
                }
            }
            None => self.broken += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_intact_and_only_once() {
        let voice = Voice::new(1, 440, 3);
        let mut tally = Tally::default();
        let mut heard = [false; 3];
        tally.judge(Some(&voice.0[2]), &voice, &mut heard);
        tally.judge(Some(&voice.0[2]), &voice, &mut heard);
        assert_eq!((tally.intact, tally.broken), (1, 0));
        let mut changed = voice.0[1];
        changed[100] ^= 1;
        tally.judge(Some(&changed), &voice, &mut heard);
        tally.judge(Some(&Voice::new(1, 440, 4).0[3]), &voice, &mut heard);
        tally.judge(None, &voice, &mut heard);
        assert_eq!((tally.intact, tally.broken), (1, 3));
    }
}
