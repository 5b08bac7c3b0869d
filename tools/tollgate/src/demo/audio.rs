//! One end of the demo's audio: sends every 20 ms, and compares what arrives with what the far end said, byte for byte.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use codecs::g711::Law;
use codecs::tone::ToneGenerator;
use rtp::sdp::{AudioFormat, Direction, Sdp};

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
    pub(super) fn describe(&self) -> anyhow::Result<Bytes> {
        let sdp = rtp::sdp::audio(1, 1, self.address()?, &[AudioFormat::PCMU], Direction::SendRecv)?;
        Ok(Bytes::from(sdp.to_bytes()))
    }

    /// Says `own` to `remote`, a packet every 20 ms, while it listens for `theirs`.
    pub(super) fn talk(&self, remote: SocketAddr, own: &Voice, theirs: &Voice) -> anyhow::Result<Tally> {
        let mut due = Instant::now();
        let mut tally = Tally::default();
        let mut heard = vec![false; theirs.0.len()];
        for packet in &own.0 {
            self.socket.send_to(packet, remote).with_context(|| format!("audio to {remote}"))?;
            tally.sent += 1;
            due += PTIME;
            self.listen_until(due, theirs, &mut heard, &mut tally)?;
        }
        let deadline = Instant::now() + LINGER;
        while heard.contains(&false) && Instant::now() < deadline {
            self.listen_until(Instant::now() + PTIME, theirs, &mut heard, &mut tally)?;
        }
        Ok(tally)
    }

    fn listen_until(
        &self,
        due: Instant,
        theirs: &Voice,
        heard: &mut [bool],
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let mut bytes = [0; 2048];
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(&mut bytes) {
                Ok(length) => tally.judge(&bytes[..length], theirs, heard),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(());
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
    fn judge(&mut self, packet: &[u8], theirs: &Voice, heard: &mut [bool]) {
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
        tally.judge(&voice.0[2], &voice, &mut heard);
        tally.judge(&voice.0[2], &voice, &mut heard);
        assert_eq!((tally.intact, tally.broken), (1, 0));
        let mut changed = voice.0[1];
        changed[100] ^= 1;
        tally.judge(&changed, &voice, &mut heard);
        tally.judge(&Voice::new(1, 440, 4).0[3], &voice, &mut heard);
        tally.judge(b"", &voice, &mut heard);
        assert_eq!((tally.intact, tally.broken), (1, 3));
    }

    #[test]
    fn two_ends_hear_each_other() {
        let ends =
            [Audio::open([127, 0, 0, 1].into()), Audio::open([127, 0, 0, 1].into())].map(Result::unwrap);
        let at = [ends[0].address(), ends[1].address()].map(Result::unwrap);
        let voices = [Voice::new(1, 440, 5), Voice::new(2, 1000, 5)];
        let tallies = std::thread::scope(|scope| {
            let far = scope.spawn(|| ends[1].talk(at[0], &voices[1], &voices[0]));
            [ends[0].talk(at[1], &voices[0], &voices[1]), far.join().unwrap()].map(Result::unwrap)
        });
        for tally in tallies {
            assert_eq!((tally.sent, tally.intact, tally.broken), (5, 5, 0));
        }
    }
}
