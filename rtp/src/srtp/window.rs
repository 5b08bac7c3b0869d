//! Which indexes of a source were seen, and which one a sequence number means.

use super::WINDOW_PACKETS;
use crate::units::SeqNo;

/// The highest index of a source and the [`WINDOW_PACKETS`] up to it (RFC 3711 §3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    highest: u64,
    /// Bit `n` of the 128 is set if `highest - n` was seen; all zero before the first. In halves, the low one
    /// first: a `u128` would round every source up to a multiple of 16 bytes.
    seen: [u64; 2],
}

impl Window {
    /// One that has seen `index` and nothing else.
    pub(super) const fn starting_with(index: u64) -> Self {
        Self { highest: index, seen: [1, 0] }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.seen[0] == 0
    }

    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `index` may be accepted.
    pub(super) const fn place(&self, index: u64) -> Place {
        if self.is_empty() || index > self.highest {
            return Place::New;
        }
        let behind = self.highest - index;
        if behind >= WINDOW_PACKETS {
            Place::TooOld
        } else if self.seen[(behind / 64) as usize] >> (behind % 64) & 1 == 1 {
            Place::Seen
        } else {
            Place::New
        }
    }

    /// Remembers `index`, which [`place`](Self::place) called new.
    pub(super) fn insert(&mut self, index: u64) {
        if self.is_empty() {
            *self = Self::starting_with(index);
        } else if index > self.highest {
            let [low, high] = self.seen;
            self.seen = match index - self.highest {
                ahead @ 0..64 => [low << ahead | 1, high << ahead | low >> 1 >> (63 - ahead)],
                ahead @ 64..WINDOW_PACKETS => [1, low << (ahead - 64)],
                _ => [1, 0],
            };
            self.highest = index;
        } else if self.highest - index < WINDOW_PACKETS {
            let behind = self.highest - index;
            self.seen[(behind / 64) as usize] |= 1 << (behind % 64);
        }
    }

    /// The index that `seq` most probably means ([RFC 3711 §3.3.1]): 48 bits, and past them if the rollover
    /// counter itself would roll over. Before the first packet, and where a step back would leave the first
    /// round, the rollover counter is 0.
    ///
    /// [RFC 3711 §3.3.1]: https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1
    pub(super) fn guess(&self, seq: SeqNo) -> u64 {
        if self.is_empty() {
            return u64::from(seq.0);
        }
        let (rollover, last) = (self.highest >> 16, (self.highest & 0xffff) as i32);
        let seq = i32::from(seq.0);
        let rollover = if last < HALF && seq - last > HALF {
            rollover.saturating_sub(1)
        } else if last >= HALF && last - HALF > seq {
            rollover + 1
        } else {
            rollover
        };
        rollover << 16 | u64::from(seq.unsigned_abs())
    }
}

/// Where an index lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not seen, and within or ahead of the window.
    New,
    /// Seen before.
    Seen,
    /// Behind the window.
    TooOld,
}

const HALF: i32 = 1 << 15;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn guess_of_rfc3711_section_3_3_1() {
        let at = |highest| Window::starting_with(highest);
        assert_eq!(Window::default().guess(SeqNo(40_000)), 40_000);
        // Forward over the end, back before the start, and exactly half way round, where the counter stays.
        assert_eq!(at(0x1_ffff).guess(SeqNo(0)), 0x2_0000);
        assert_eq!(at(0x2_0000).guess(SeqNo(0xffff)), 0x1_ffff);
        assert_eq!(at(0x2_0001).guess(SeqNo(0x8001)), 0x2_8001);
        assert_eq!(at(0x2_0001).guess(SeqNo(0x8002)), 0x1_8002);
        assert_eq!(at(0x2_8001).guess(SeqNo(0x0001)), 0x2_0001);
        assert_eq!(at(0x2_8001).guess(SeqNo(0x0000)), 0x3_0000);
        // Nothing lies before the first round.
        assert_eq!(at(5).guess(SeqNo(0xffff)), 0xffff);
        assert_eq!(at((1 << 48) - 1).guess(SeqNo(0)), 1 << 48);
    }

    #[test]
    fn the_window_is_128_packets() {
        let mut window = Window::starting_with(1000);
        assert_eq!(window.place(1000), Place::Seen);
        assert_eq!(window.place(1000 - 127), Place::New);
        assert_eq!(window.place(1000 - 128), Place::TooOld);
        window.insert(1127);
        assert_eq!(window.place(1000), Place::Seen);
        window.insert(1128);
        assert_eq!(window.place(1000), Place::TooOld);
        window.insert(5000);
        assert_eq!((window.place(4999), window.place(1128)), (Place::New, Place::TooOld));
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(steps in prop::collection::vec(-200i64..200, 1..400)) {
            let mut window = Window::default();
            let mut all = BTreeSet::new();
            let mut index = 10_000i64;
            for step in steps {
                index = (index + step).max(0);
                let at = index.unsigned_abs();
                let highest = all.last().copied();
                let wanted = match highest {
                    Some(highest) if at + WINDOW_PACKETS <= highest => Place::TooOld,
                    _ if all.contains(&at) => Place::Seen,
                    _ => Place::New,
                };
                prop_assert_eq!(window.place(at), wanted);
                if wanted == Place::New {
                    window.insert(at);
                    all.insert(at);
                }
            }
        }

        #[test]
        fn a_guess_has_the_sequence_number_and_is_the_nearest(highest in 0u64..1 << 48, seq in any::<u16>()) {
            let guess = Window::starting_with(highest).guess(SeqNo(seq));
            prop_assert_eq!(guess & 0xffff, u64::from(seq));
            prop_assert!(guess.abs_diff(highest) <= 1 << 15 || highest < 1 << 16 && guess < 1 << 16);
        }
    }
}
