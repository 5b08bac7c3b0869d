//! Packets that leave the shard from elsewhere than the slot they arrived in: copies for further
//! sinks, and packets of our own (`adr/0007-packets-of-our-own-lie-in-one-buffer.md`).

use std::ops::Range;

/// The bytes of all packets made while one input is handled.
///
/// One buffer, reserved at the start and emptied before each input: outputs are drained before
/// the next input, so that nothing in it is needed longer, and no packet costs an allocation.
#[derive(Debug)]
pub(crate) struct Made {
    bytes: Vec<u8>,
}

/// Room for what one input makes: the copies of one datagram for all its sinks, or the reports of one tick.
pub(crate) const MADE_BYTES_MAX: usize = 128 * 1024;

impl Made {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::with_capacity(MADE_BYTES_MAX) }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Keeps a packet until the next input; `None` if there is no room.
    pub(crate) fn put(&mut self, packet: &[u8]) -> Option<Range<u32>> {
        self.put_with_room(packet, 0)
    }

    /// The same, with room for `room` bytes more behind it.
    pub(crate) fn put_with_room(&mut self, packet: &[u8], room: usize) -> Option<Range<u32>> {
        if packet.len() + room > MADE_BYTES_MAX - self.bytes.len() {
            return None;
        }
        let start = u32::try_from(self.bytes.len()).expect("the buffer is far shorter than 2^32");
        self.bytes.extend_from_slice(packet);
        self.bytes.resize(self.bytes.len() + room, 0);
        let end = u32::try_from(self.bytes.len()).expect("the buffer is far shorter than 2^32");
        Some(start..end)
    }

    /// Keeps parts, one behind the other and so many zeroes behind them; `None` if there is no room.
    pub(crate) fn put_parts(&mut self, parts: &[&[u8]], zeroes: usize) -> Option<Range<u32>> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + zeroes;
        let range = self.put_with_room(&[], length)?;
        let mut room = self.bytes_mut(&range);
        for part in parts {
            let (place, rest) = std::mem::take(&mut room).split_at_mut(part.len());
            place.copy_from_slice(part);
            room = rest;
        }
        Some(range)
    }

    /// What was put; nothing if the range is none that [`put`](Self::put) returned since the last input.
    pub(crate) fn bytes(&self, range: &Range<u32>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// The same, to be changed.
    pub(crate) fn bytes_mut(&mut self, range: &Range<u32>) -> &mut [u8] {
        self.bytes.get_mut(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_stay_until_the_next_input_and_the_buffer_never_grows() {
        let mut made = Made::new();
        let [one, two] = [b"one".as_slice(), b"three"].map(|packet| made.put(packet).unwrap());
        made.bytes_mut(&one)[0] = b'O';
        assert_eq!((made.bytes(&one), made.bytes(&two)), (&b"One"[..], &b"three"[..]));
        let parts = made.put_parts(&[b"one", b"", b"two"], 2).unwrap();
        assert_eq!(made.bytes(&parts), b"onetwo\0\0");
        let capacity = made.bytes.capacity();
        let packets = std::iter::from_fn(|| made.put(&[0; 1200])).count();
        assert_eq!(packets, (MADE_BYTES_MAX - 16) / 1200);
        assert_eq!(made.bytes.capacity(), capacity);
        made.clear();
        assert!(made.bytes(&two).is_empty());
    }
}
