//! What is received under one party's keys: told apart by source, authenticated, decrypted.

use std::fmt;

use super::keys::{Keys, RTCP_HEADER_BYTES, WORD_BYTES, rtcp_source, ssrc_at};
use super::transform::{RtcpIndex, RtpIndex};
use super::window::{Place, Window};
use super::{Policy, PolicyError, SOURCES_MAX, UnprotectError};
use crate::packet::{RtpError, header_bytes};
use crate::units::{SeqNo, Ssrc};

/// Unprotects what one party sends, RTP and RTCP of every source.
///
/// # Memory
/// With one key and up to two sources some 550 bytes in counter mode with 128 bits, 640 in AES-GCM (the test
/// `an_idle_direction_takes_a_few_hundred_bytes` holds it there).
pub struct Inbound {
    keys: Keys,
    /// Those before, until a packet comes under the new ones: the party may change later than we hear of it.
    previous: Option<Box<Keys>>,
    /// Counts changes of keys.
    epoch: u32,
    /// The one heard last comes first.
    sources: Vec<Source>,
}

impl Inbound {
    /// Nothing received yet.
    ///
    /// # Errors
    /// See [`Policy::check`].
    pub fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let keys = Keys::new(policy)?;
        Ok(Self { keys, previous: None, epoch: 0, sources: Vec::with_capacity(SOURCES_RESERVED) })
    }

    /// Goes on under `policy`.
    ///
    /// The same master keys change nothing but the parameters: rollover counters, replay windows and lifetimes go
    /// on, so that a repeated answer, a hold and its end are no event. Under new keys every known source is taken
    /// to go on with its rollover counter ([RFC 3711 §3.3.1]) or, where that fails, to have begun again with 0, as
    /// some do; a source that is new begins with 0. Until the first authentic packet under the new keys, those
    /// under the keys before are accepted too, and then no more. A party that takes up keys again which it had
    /// left makes what it sent under them before acceptable once more; keys are to be new (RFC 3711 §9.1).
    ///
    /// # Errors
    /// See [`Policy::check`]; then nothing changed.
    ///
    /// [RFC 3711 §3.3.1]: https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1
    pub fn rekey(&mut self, policy: &Policy) -> Result<(), PolicyError> {
        let mut keys = Keys::new(policy)?;
        if keys.same_keys(&self.keys) {
            keys.take_over_use(&self.keys);
            self.keys = keys;
            return Ok(());
        }
        if self.previous.as_deref().is_some_and(|previous| keys.same_keys(previous)) {
            // Taken back before a packet came under them: the windows are those of before.
            self.epoch = self.epoch.wrapping_sub(1);
            keys.take_over_use(&self.previous.take().expect("looked at just above"));
            self.keys = keys;
            return Ok(());
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.previous = Some(Box::new(std::mem::replace(&mut self.keys, keys)));
        Ok(())
    }

    /// Authenticates and decrypts one SRTP packet in place ([RFC 3711 §3.3]); returns the length of the plain one.
    ///
    /// `packet` is the whole datagram. Only `Ok` changes the packet or any state.
    ///
    /// # Errors
    /// See [`UnprotectError`].
    ///
    /// # Cost
    /// One pass over the packet, no allocation but for a source beyond those remembered so far.
    ///
    /// [RFC 3711 §3.3]: https://www.rfc-editor.org/rfc/rfc3711#section-3.3
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let header_bytes = header_bytes(packet)?;
        let (ssrc, seq) = (ssrc_at(packet, 8), SeqNo(u16::from_be_bytes([packet[2], packet[3]])));
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let Some(at) = known.filter(|at| self.sources[*at].follows(self.epoch)) else {
            return self.unprotect_unsettled(packet, header_bytes, ssrc, seq);
        };
        let window = &mut self.sources[at].rtp;
        let index = window.guess(seq);
        let plain_bytes =
            open_rtp(&mut self.keys, packet, header_bytes, RtpIndex { ssrc, index }, Some(window))?;
        window.insert(index);
        self.touch(at);
        Ok(plain_bytes)
    }

    /// Authenticates and decrypts one SRTCP packet in place ([RFC 3711 §3.4]); returns the length of the plain one.
    ///
    /// `packet` is the whole datagram. Only `Ok` changes the packet or any state. A packet that says it is not encrypted is
    /// authenticated like any other.
    ///
    /// # Errors
    /// See [`UnprotectError`].
    ///
    /// [RFC 3711 §3.4]: https://www.rfc-editor.org/rfc/rfc3711#section-3.4
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let ssrc = rtcp_source(packet)?;
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let window_in = |epoch| known.map(|at| &self.sources[at]).filter(|source| source.epoch == epoch);
        let window = window_in(self.epoch).map(|source| source.rtcp);
        let window_before = window_in(self.epoch.wrapping_sub(1)).map(|source| source.rtcp);
        let opened = open_rtcp(&mut self.keys, packet, ssrc, window.as_ref());
        if let (Err(error), Some(previous)) = (opened, &mut self.previous) {
            let (plain_bytes, index) =
                open_rtcp(previous, packet, ssrc, window_before.as_ref()).map_err(|_| error)?;
            self.source(ssrc, self.epoch.wrapping_sub(1)).rtcp.insert(index);
            return Ok(plain_bytes);
        }
        let (plain_bytes, index) = opened?;
        self.previous = None;
        self.source(ssrc, self.epoch).rtcp.insert(index);
        Ok(plain_bytes)
    }

    /// An RTP packet of a source that sent none under the present keys: which rollover counter it has, and under
    /// which keys it is, is tried.
    #[cold]
    fn unprotect_unsettled(
        &mut self,
        packet: &mut [u8],
        header_bytes: usize,
        ssrc: Ssrc,
        seq: SeqNo,
    ) -> Result<usize, UnprotectError> {
        let known = self.sources.iter().find(|source| source.ssrc == ssrc).copied();
        let before = self.previous.as_deref_mut().map(|keys| (keys, self.epoch.wrapping_sub(1)));
        let generations = [Some((&mut self.keys, self.epoch)), before];
        let found = try_each(generations.into_iter().flatten(), packet, header_bytes, ssrc, seq, known)?;
        if found.epoch == self.epoch {
            self.previous = None;
        }
        self.source(ssrc, found.epoch).rtp.insert(found.index);
        Ok(found.plain_bytes)
    }

    /// The source `ssrc` as it stands under the keys of `epoch`, now the one heard last.
    fn source(&mut self, ssrc: Ssrc, epoch: u32) -> &mut Source {
        match self.sources.iter().position(|source| source.ssrc == ssrc) {
            Some(at) => self.touch(at),
            None => {
                self.sources.truncate(SOURCES_MAX - 1);
                self.sources.insert(0, Source::new(ssrc, epoch));
            }
        }
        let source = &mut self.sources[0];
        if source.epoch != epoch {
            *source = Source::new(ssrc, epoch);
        }
        source
    }

    fn touch(&mut self, at: usize) {
        if at > 0 {
            self.sources[..=at].rotate_right(1);
        }
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

/// What is known of one source.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: Ssrc,
    /// Under which keys the windows are.
    epoch: u32,
    rtp: Window,
    rtcp: Window,
}

impl Source {
    fn new(ssrc: Ssrc, epoch: u32) -> Self {
        Self { ssrc, epoch, rtp: Window::default(), rtcp: Window::default() }
    }

    /// Whether RTP was received under the keys of `epoch`, so that an index follows from the last.
    const fn follows(&self, epoch: u32) -> bool {
        self.epoch == epoch && !self.rtp.is_empty()
    }
}

/// The indexes that `seq` may mean under the keys of `epoch`, the likeliest first.
fn candidates(known: Option<Source>, epoch: u32, seq: SeqNo) -> [Option<u64>; 2] {
    let first = u64::from(seq.0);
    match known {
        Some(source) if source.follows(epoch) => [Some(source.rtp.guess(seq)), None],
        // New keys: the rollover counter goes on, or began again.
        Some(source) if !source.rtp.is_empty() => {
            let on = source.rtp.guess(seq);
            [Some(on), (on != first).then_some(first)]
        }
        // A new source begins with 0; if its first packets were lost, it may have rolled over before we heard it.
        _ => [Some(first), (first < 1 << 15).then_some(1 << 16 | first)],
    }
}

/// A packet that was opened by trial.
struct Found {
    plain_bytes: usize,
    index: u64,
    epoch: u32,
}

/// Opens an RTP packet under the first keys, and at the first index, that fit.
fn try_each<'a>(
    generations: impl Iterator<Item = (&'a mut Keys, u32)>,
    packet: &mut [u8],
    header_bytes: usize,
    ssrc: Ssrc,
    seq: SeqNo,
    known: Option<Source>,
) -> Result<Found, UnprotectError> {
    let mut refused = None;
    for (keys, epoch) in generations {
        let window = known.filter(|source| source.follows(epoch)).map(|source| source.rtp);
        for index in candidates(known, epoch, seq).into_iter().flatten() {
            match open_rtp(keys, packet, header_bytes, RtpIndex { ssrc, index }, window.as_ref()) {
                Ok(plain_bytes) => return Ok(Found { plain_bytes, index, epoch }),
                Err(UnprotectError::Unauthentic) => refused = Some(UnprotectError::Unauthentic),
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
    }
    Err(refused.unwrap_or(UnprotectError::Unauthentic))
}

/// Opens an RTP packet at a known index; `window` holds what was seen under these keys.
fn open_rtp(
    keys: &mut Keys,
    packet: &mut [u8],
    header_bytes: usize,
    at: RtpIndex,
    window: Option<&Window>,
) -> Result<usize, UnprotectError> {
    let plain_bytes = packet
        .len()
        .checked_sub(keys.shape.rtp_overhead_bytes())
        .filter(|plain_bytes| *plain_bytes >= header_bytes)
        .ok_or(UnprotectError::TooShort)?;
    let trailer = keys.shape.rtp_trailer(plain_bytes);
    if at.index > INDEX_MAX {
        return Err(UnprotectError::KeyExhausted);
    }
    let key = keys.named(&packet[trailer.mki]).ok_or(UnprotectError::UnknownMki)?;
    if key.rtp_is_exhausted() {
        return Err(UnprotectError::KeyExhausted);
    }
    placed(window, at.index)?;
    let (plain, tail) = packet.split_at_mut(plain_bytes);
    let tag = &tail[trailer.tag.start - plain_bytes..trailer.tag.end - plain_bytes];
    if !key.transform.open_rtp(plain, header_bytes, tag, at) {
        return Err(UnprotectError::Unauthentic);
    }
    key.use_for_rtp();
    Ok(plain_bytes)
}

/// Opens an RTCP packet and returns its index too.
fn open_rtcp(
    keys: &mut Keys,
    packet: &mut [u8],
    ssrc: Ssrc,
    window: Option<&Window>,
) -> Result<(usize, u64), UnprotectError> {
    let plain_bytes = packet
        .len()
        .checked_sub(keys.shape.rtcp_overhead_bytes())
        .filter(|plain_bytes| *plain_bytes >= RTCP_HEADER_BYTES)
        .ok_or(UnprotectError::TooShort)?;
    let trailer = keys.shape.rtcp_trailer(plain_bytes);
    let mut word = [0; WORD_BYTES];
    word.copy_from_slice(&packet[trailer.word_at..][..WORD_BYTES]);
    let at = RtcpIndex::from_word(ssrc, word);
    let key = keys.named(&packet[trailer.mki]).ok_or(UnprotectError::UnknownMki)?;
    if key.rtcp_is_exhausted() {
        return Err(UnprotectError::KeyExhausted);
    }
    placed(window, at.index.into())?;
    let (plain, tail) = packet.split_at_mut(plain_bytes);
    let tag = &tail[trailer.tag.start - plain_bytes..trailer.tag.end - plain_bytes];
    if !key.transform.open_rtcp(plain, tag, at) {
        return Err(UnprotectError::Unauthentic);
    }
    key.use_for_rtcp();
    Ok((plain_bytes, at.index.into()))
}

fn placed(window: Option<&Window>, index: u64) -> Result<(), UnprotectError> {
    match window.map_or(Place::New, |window| window.place(index)) {
        Place::New => Ok(()),
        Place::Seen => Err(UnprotectError::Replayed),
        Place::TooOld => Err(UnprotectError::TooOld),
    }
}

impl From<RtpError> for UnprotectError {
    fn from(error: RtpError) -> Self {
        match error {
            RtpError::BadVersion => Self::BadVersion,
            RtpError::Truncated | RtpError::BadPadding => Self::TooShort,
        }
    }
}

#[cfg(test)]
pub(super) const SOURCE_BYTES: usize = size_of::<Source>();
/// Sources that are remembered without allocating anew.
pub(super) const SOURCES_RESERVED: usize = 2;
/// The last index: a rollover counter of 32 bits and a sequence number of 16.
pub(super) const INDEX_MAX: u64 = (1 << 48) - 1;
