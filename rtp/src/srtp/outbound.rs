//! What is sent under our keys: numbered so that no keystream covers two packets, encrypted, authenticated.

use std::fmt;

use super::inbound::{INDEX_MAX, SOURCES_RESERVED};
use super::keys::{Key, Keys, WORD_BYTES, rtcp_source, ssrc_at};
use super::transform::{RtcpIndex, RtpIndex};
use super::window::{Place, Window};
use super::{Policy, PolicyError, ProtectError, SOURCES_MAX};
use crate::packet::{RtpError, header_bytes};
use crate::units::{SeqNo, Ssrc};

/// Protects what we send to one party, RTP and RTCP of every source.
///
/// A source is relayed, so its sequence numbers are not ours to choose: they repeat, jump and begin again. An index
/// is used once under a key whatever comes: the second packet with it is refused, within the window behind the last
/// as well as after any jump. Where a source begins again elsewhere, its packets are numbered on from the last one,
/// for the receiver would follow nothing else.
///
/// # Memory
/// As [`Inbound`](super::Inbound).
pub struct Outbound {
    keys: Keys,
    /// The key in use.
    current: usize,
    /// The one sent last comes first.
    sources: Vec<Source>,
}

impl Outbound {
    /// Nothing sent yet.
    ///
    /// # Errors
    /// See [`Policy::check`].
    pub fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let keys = Keys::new(policy)?;
        Ok(Self { keys, current: 0, sources: Vec::with_capacity(SOURCES_RESERVED) })
    }

    /// Goes on under `policy`.
    ///
    /// The same master keys change nothing but the parameters. Under new ones rollover counters and the index of
    /// RTCP go on from where they were ([RFC 3711 §3.3.1]); a party that is to begin at 0 gets a new value instead.
    ///
    /// # Errors
    /// See [`Policy::check`]; then nothing changed.
    ///
    /// [RFC 3711 §3.3.1]: https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1
    pub fn rekey(&mut self, policy: &Policy) -> Result<(), PolicyError> {
        let mut keys = Keys::new(policy)?;
        if keys.same_keys(&self.keys) {
            keys.take_over_use(&self.keys);
        } else {
            self.current = 0;
        }
        self.keys = keys;
        Ok(())
    }

    /// Bytes that protection adds to an RTP packet.
    pub const fn rtp_overhead_bytes(&self) -> usize {
        self.keys.shape.rtp_overhead_bytes()
    }

    /// Bytes that protection adds to an RTCP packet.
    pub const fn rtcp_overhead_bytes(&self) -> usize {
        self.keys.shape.rtcp_overhead_bytes()
    }

    /// Encrypts and authenticates, in place, the RTP packet in the first `length` bytes of `buffer`
    /// ([RFC 3711 §3.3]); returns the length of the protected one.
    ///
    /// The sequence number in the header changes if the source began again. Only `Ok` uses an index.
    ///
    /// # Errors
    /// See [`ProtectError`]; the packet is as it was.
    ///
    /// # Cost
    /// One pass over the packet, no allocation but for a source beyond those remembered so far.
    ///
    /// [RFC 3711 §3.3]: https://www.rfc-editor.org/rfc/rfc3711#section-3.3
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, ProtectError> {
        let packet = buffer.get(..length).ok_or(ProtectError::NoRoom)?;
        let header_bytes = header_bytes(packet)?;
        let protected_bytes = length + self.rtp_overhead_bytes();
        let packet = buffer.get_mut(..protected_bytes).ok_or(ProtectError::NoRoom)?;
        let ssrc = ssrc_at(packet, 8);
        let seq = SeqNo(u16::from_be_bytes([packet[2], packet[3]]));

        let key = usable(&mut self.keys, &mut self.current, Key::rtp_is_exhausted)?;
        let (source, shape) = (found(&mut self.sources, ssrc)?, self.keys.shape);
        let (index, offset) = source.number(seq)?;
        if index > INDEX_MAX {
            return Err(ProtectError::KeyExhausted);
        }
        source.rtp.insert(index);
        source.offset = offset;
        source.awaited = None;
        packet[2..4].copy_from_slice(&seq.wrapping_add(offset).0.to_be_bytes());

        let key = &mut self.keys.list[key];
        key.use_for_rtp();
        let trailer = shape.rtp_trailer(length);
        let tag = key.transform.seal_rtp(&mut packet[..length], header_bytes, RtpIndex { ssrc, index });
        if let Some(mki) = key.mki {
            mki.write(&mut packet[trailer.mki]);
        }
        let tag_bytes = trailer.tag.len();
        packet[trailer.tag].copy_from_slice(&tag[..tag_bytes]);
        Ok(protected_bytes)
    }

    /// Encrypts and authenticates, in place, the RTCP packet in the first `length` bytes of `buffer`
    /// ([RFC 3711 §3.4]); returns the length of the protected one.
    ///
    /// # Errors
    /// See [`ProtectError`]; the packet is as it was.
    ///
    /// [RFC 3711 §3.4]: https://www.rfc-editor.org/rfc/rfc3711#section-3.4
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, ProtectError> {
        let packet = buffer.get(..length).ok_or(ProtectError::NoRoom)?;
        let ssrc = rtcp_source(packet)?;
        let protected_bytes = length + self.rtcp_overhead_bytes();
        let packet = buffer.get_mut(..protected_bytes).ok_or(ProtectError::NoRoom)?;

        let key = usable(&mut self.keys, &mut self.current, Key::rtcp_is_exhausted)?;
        let (source, shape) = (found(&mut self.sources, ssrc)?, self.keys.shape);
        let index = source.rtcp_next;
        if index > RTCP_INDEX_MAX {
            return Err(ProtectError::KeyExhausted);
        }
        source.rtcp_next += 1;

        let key = &mut self.keys.list[key];
        key.use_for_rtcp();
        let at = RtcpIndex { ssrc, index, encrypted: shape.encrypts_rtcp };
        let trailer = shape.rtcp_trailer(length);
        let tag = key.transform.seal_rtcp(&mut packet[..length], at);
        if let Some(mki) = key.mki {
            mki.write(&mut packet[trailer.mki]);
        }
        packet[trailer.word_at..][..WORD_BYTES].copy_from_slice(&at.word());
        let tag_bytes = trailer.tag.len();
        packet[trailer.tag].copy_from_slice(&tag[..tag_bytes]);
        Ok(protected_bytes)
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

/// What was sent of one source.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: Ssrc,
    rtcp_next: u32,
    rtp: Window,
    /// The number that would confirm that the source began again.
    awaited: Option<SeqNo>,
    /// What is added to the source's numbers since it began again.
    offset: u16,
}

impl Source {
    /// The index for the packet that the source numbered `seq`, and the offset that goes with it.
    fn number(&mut self, seq: SeqNo) -> Result<(u64, u16), ProtectError> {
        let index = self.rtp.guess(seq.wrapping_add(self.offset));
        if self.rtp.is_empty() {
            return Ok((index, self.offset));
        }
        let far = index > self.rtp.highest() + JUMP_MAX;
        match self.rtp.place(index) {
            Place::New if !far => Ok((index, self.offset)),
            Place::Seen => Err(ProtectError::Repeated),
            Place::New | Place::TooOld => {
                if self.awaited != Some(seq) {
                    self.awaited = Some(seq.wrapping_add(1));
                    return Err(ProtectError::OutOfOrder);
                }
                let index = self.rtp.highest() + 1;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the low 16 bits are the sequence number"
                )]
                let offset = (index as u16).wrapping_sub(seq.0);
                Ok((index, offset))
            }
        }
    }
}

/// The first key that is not used up, from the current one on.
fn usable(
    keys: &mut Keys,
    current: &mut usize,
    is_exhausted: impl Fn(&Key) -> bool,
) -> Result<usize, ProtectError> {
    while let Some(key) = keys.list.get(*current) {
        if !is_exhausted(key) {
            return Ok(*current);
        }
        *current += 1;
    }
    *current = keys.list.len() - 1;
    Err(ProtectError::KeyExhausted)
}

/// The source `ssrc`, now the one sent last.
fn found(sources: &mut Vec<Source>, ssrc: Ssrc) -> Result<&mut Source, ProtectError> {
    match sources.iter().position(|source| source.ssrc == ssrc) {
        Some(0) => {}
        Some(at) => sources[..=at].rotate_right(1),
        None if sources.len() >= SOURCES_MAX => return Err(ProtectError::TooManySources),
        None => {
            sources
                .insert(0, Source { ssrc, rtcp_next: 0, rtp: Window::default(), awaited: None, offset: 0 });
        }
    }
    Ok(&mut sources[0])
}

impl From<RtpError> for ProtectError {
    fn from(error: RtpError) -> Self {
        match error {
            RtpError::BadVersion => Self::BadVersion,
            RtpError::Truncated | RtpError::BadPadding => Self::TooShort,
        }
    }
}

#[cfg(test)]
pub(super) const SOURCE_BYTES: usize = size_of::<Source>();
/// Farthest a sequence number can be ahead so that the receiver guesses the same rollover counter.
const JUMP_MAX: u64 = 1 << 15;
/// The last index of RTCP: 31 bits.
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;
