//! Messages on a stream: each says how long it is (RFC 8489 §6.2.2, RFC 8656 §12.5).

use super::channel::CHANNELS;
use crate::stun::HEADER_BYTES;

/// How long the message is that a stream goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the message.
    pub message_bytes: usize,
    /// The same with the padding behind ChannelData.
    pub stream_bytes: usize,
}

/// Reads the beginning of a stream; `None` while it does not say how long its message is.
///
/// # Errors
/// [`FrameError`]: nothing that follows can be understood.
pub fn frame(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first > 3 && !(0x40..=0x7f).contains(&first) {
        return Err(FrameError);
    }
    let Some(&[k0, k1, l0, l1]) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if CHANNELS.contains(&u16::from_be_bytes([k0, k1])) {
        let message_bytes = 4 + length;
        return Ok(Some(Frame { message_bytes, stream_bytes: message_bytes.next_multiple_of(4) }));
    }
    if length % 4 != 0 {
        return Err(FrameError);
    }
    let message_bytes = HEADER_BYTES + length;
    Ok(Some(Frame { message_bytes, stream_bytes: message_bytes }))
}

/// Neither a STUN message nor ChannelData begins there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("neither a STUN message nor ChannelData begins there")]
pub struct FrameError;
