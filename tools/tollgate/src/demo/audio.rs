//! One end of the demo's audio: sends every 20 ms, and compares what arrives with what the far end said, byte for byte.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A socket on which one end talks and listens.
pub(super) struct Audio {
    socket: UdpSocket,
}

/// What an end says: packets that the other end can work out for itself.
#[derive(Clone, Copy)]
pub(super) struct Voice {
    pub(super) ssrc: u32,
    pub(super) hertz: u32,
}

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
    /// Packet `number` as it goes over the wire: 20 ms of PCMU (RFC 3551 §4.5.14).
    fn packet(self, number: u32) -> [u8; HEADER_BYTES + PAYLOAD_BYTES] {
        let mut packet = [0; HEADER_BYTES + PAYLOAD_BYTES];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&number.to_be_bytes()[2..]);
        packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        let first = u64::from(number) * 160;
        for (place, byte) in packet[HEADER_BYTES..].iter_mut().enumerate() {
            *byte = self.sample(first + place as u64);
        }
        packet
    }

    /// Sample `index` of a tone at 8 kHz, as µ-law.
    fn sample(self, index: u64) -> u8 {
        codecs::g711::linear_to_ulaw(codecs::tone::sample(self.hertz, 8000, index, 8000))
    }
}

impl Audio {
    pub(super) fn open(ip: IpAddr) -> anyhow::Result<Audio> {
        Ok(Audio { socket: UdpSocket::bind((ip, 0)).context("a port for the audio")? })
    }

    pub(super) fn port(&self) -> anyhow::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Sends `packets` packets of `own` to `remote`, one every 20 ms, while it listens for as many of `theirs`.
    pub(super) fn talk(&self, remote: SocketAddr, own: Voice, theirs: Voice, packets: u32) -> anyhow::Result<Tally> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut heard = vec![false; packets as usize];
        for number in 0..packets {
            self.socket.send_to(&own.packet(number), remote).with_context(|| format!("audio to {remote}"))?;
            tally.sent += 1;
            self.listen_until(started + PTIME * (number + 1), theirs, &mut heard, &mut tally)?;
        }
        let deadline = Instant::now() + LINGER;
        while tally.intact < u64::from(packets) && Instant::now() < deadline {
            self.listen_until(Instant::now() + PTIME, theirs, &mut heard, &mut tally)?;
        }
        Ok(tally)
    }

    fn listen_until(&self, due: Instant, theirs: Voice, heard: &mut [bool], tally: &mut Tally) -> anyhow::Result<()> {
        let mut bytes = [0; 2048];
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(&mut bytes) {
                Ok(length) => tally.judge(&bytes[..length], theirs, heard),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error).context("listening"),
            }
        }
    }
}

impl Tally {
    /// Counts a packet as intact the first time that it is what `theirs` said.
    fn judge(&mut self, packet: &[u8], theirs: Voice, heard: &mut [bool]) {
        let number = packet.get(2..4).map(|low| usize::from(u16::from_be_bytes([low[0], low[1]])));
        let expected = number.filter(|number| *number < heard.len());
        match expected {
            Some(number) if theirs.packet(u32::try_from(number).unwrap_or(0)) == packet => {
                if !std::mem::replace(&mut heard[number], true) {
                    self.intact += 1;
                }
            }
            _ => self.broken += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: Voice = Voice { ssrc: 1, hertz: 440 };

    #[test]
    fn only_what_was_said_is_intact_and_only_once() {
        let mut tally = Tally::default();
        let mut heard = [false; 3];
        tally.judge(&VOICE.packet(2), VOICE, &mut heard);
        tally.judge(&VOICE.packet(2), VOICE, &mut heard);
        assert_eq!((tally.intact, tally.broken), (1, 0));
        let mut changed = VOICE.packet(1);
        changed[100] ^= 1;
        tally.judge(&changed, VOICE, &mut heard);
        tally.judge(&VOICE.packet(3), VOICE, &mut heard);
        tally.judge(b"", VOICE, &mut heard);
        assert_eq!((tally.intact, tally.broken), (1, 3));
    }

    #[test]
    fn two_ends_hear_each_other() {
        let ends = [Audio::open([127, 0, 0, 1].into()), Audio::open([127, 0, 0, 1].into())].map(Result::unwrap);
        let ports = [ends[0].port(), ends[1].port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port.unwrap())));
        let other = Voice { ssrc: 2, hertz: 1000 };
        let tallies = std::thread::scope(|scope| {
            let far = scope.spawn(|| ends[1].talk(ports[0], other, VOICE, 5));
            [ends[0].talk(ports[1], VOICE, other, 5), far.join().unwrap()].map(Result::unwrap)
        });
        for tally in tallies {
            assert_eq!((tally.sent, tally.intact, tally.broken), (5, 5, 0));
        }
    }
}
