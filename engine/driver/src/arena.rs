//! Packet memory: equal slots, each either held by the worker or lent to the kernel.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::address::ADDRESS_BYTES;

/// Bytes of one slot, head included.
pub(crate) const SLOT_BYTES: usize = 2048;

/// Where a packet begins in its slot.
///
/// The head keeps what the kernel writes before a packet of a multishot
/// receive (16 bytes and the sender's address) and, once the packet is to be
/// sent, the address it goes to. 64 keeps the packet on a cache line of its own.
pub(crate) const PACKET_OFFSET: usize = 64;

/// The longest datagram a slot holds, in bytes. A longer one is dropped and counted, never cut.
pub const PAYLOAD_MAX: usize = SLOT_BYTES - PACKET_OFFSET;

/// Where in the head the destination of a send is written.
const DESTINATION_OFFSET: usize = 16;

/// One packet buffer in the worker's hand.
///
/// There is one value per buffer and it cannot be copied: while the kernel has
/// the buffer, no `Slot` of it exists. Give it back with
/// [`Driver::release`](crate::Driver::release) or
/// [`Driver::send`](crate::Driver::send); a dropped slot is a buffer lost to
/// the driver until it ends.
#[derive(Debug)]
#[must_use = "a slot that is neither sent nor released is lost to the driver"]
pub struct Slot {
    index: u16,
    arena: u16,
    length: u16,
}

impl Slot {
    /// Bytes of the packet in this slot.
    pub fn length(&self) -> u16 {
        self.length
    }

    /// Which slot of the arena this is.
    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Sets how many bytes of the slot are a packet.
    pub(crate) fn set_length(&mut self, length: usize) {
        self.length = u16::try_from(length.min(PAYLOAD_MAX)).expect("a slot is shorter than 64 KiB");
    }

    /// Gives the slot to the kernel.
    pub(crate) fn lend(self) -> Lent {
        Lent { slot: self }
    }
}

/// A slot the kernel may be writing or reading. It cannot be looked into.
#[derive(Debug)]
pub(crate) struct Lent {
    slot: Slot,
}

impl Lent {
    /// The slot again, once a completion has ended the kernel's use of it.
    pub(crate) fn returned(self) -> Slot {
        self.slot
    }
}

/// The memory of all slots of one driver.
pub(crate) struct Arena {
    id: u16,
    slots: Box<[Place]>,
}

/// Where one slot lies. A cache line longer than the slot: slots that began a power of two apart
/// would all claim the same few places of every cache.
#[repr(align(64))]
struct Place {
    bytes: UnsafeCell<[u8; SLOT_BYTES]>,
    _line: [u8; 64],
}

impl Arena {
    /// An arena of `count` slots, and the slots.
    pub(crate) fn new(count: u16) -> (Self, Vec<Slot>) {
        let id = NEXT_ARENA.fetch_add(1, Ordering::Relaxed);
        let slots =
            (0..count).map(|_| Place { bytes: UnsafeCell::new([0; SLOT_BYTES]), _line: [0; 64] }).collect();
        let held = (0..count).map(|index| Slot { index, arena: id, length: 0 }).collect();
        (Self { id, slots }, held)
    }

    /// How many slots there are.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// The packet in `slot`.
    pub(crate) fn packet_mut(&mut self, slot: &mut Slot) -> &mut [u8] {
        let length = usize::from(slot.length());
        &mut self.room_mut(slot)[..length]
    }

    /// Everything in `slot` from where its packet begins.
    pub(crate) fn room_mut(&mut self, slot: &mut Slot) -> &mut [u8] {
        // SAFETY: the slot is of this arena (`cell` checks), and a `Slot` value exists only while the
        // kernel does not use the buffer. The borrow of `self` and `slot` keeps both alone.
        let bytes = unsafe { &mut *self.cell(slot).get() };
        &mut bytes[PACKET_OFFSET..]
    }

    /// Copies `packet` into `slot`; false if it is too long.
    pub(crate) fn fill(&mut self, slot: &mut Slot, packet: &[u8]) -> bool {
        if packet.len() > PAYLOAD_MAX {
            return false;
        }
        slot.set_length(packet.len());
        self.packet_mut(slot).copy_from_slice(packet);
        true
    }

    /// What lies in the head of `slot`, before its packet.
    pub(crate) fn head(&self, slot: &Slot) -> &[u8; PACKET_OFFSET] {
        // SAFETY: as in `packet_mut`; shared borrows of `self` and `slot` exclude any writer.
        let bytes = unsafe { &*self.cell(slot).get() };
        bytes.first_chunk().expect("the head is shorter than a slot")
    }

    /// The place in the head of `slot` for the address its packet is sent to.
    pub(crate) fn destination_mut(&mut self, slot: &mut Slot) -> &mut [u8; ADDRESS_BYTES] {
        // SAFETY: as in `packet_mut`.
        let bytes = unsafe { &mut *self.cell(slot).get() };
        bytes[DESTINATION_OFFSET..].first_chunk_mut().expect("an address is shorter than a slot")
    }

    /// Where the kernel finds the whole of `slot`.
    pub(crate) fn whole_ptr(&self, slot: &Slot) -> *mut u8 {
        self.cell(slot).get().cast()
    }

    /// Where the kernel finds the address the packet of `slot` goes to.
    pub(crate) fn destination_ptr(&self, slot: &Slot) -> *const u8 {
        self.whole_ptr(slot).wrapping_add(DESTINATION_OFFSET)
    }

    /// Where the kernel finds the packet of `slot`, from its first byte.
    pub(crate) fn packet_ptr(&self, slot: &Slot) -> *mut u8 {
        self.whole_ptr(slot).wrapping_add(PACKET_OFFSET)
    }

    /// Where the kernel finds `range` of the packet in `slot` and the room behind it, and how many bytes; the range is
    /// clamped to them.
    pub(crate) fn range_ptr(&self, slot: &Slot, range: &Range<usize>) -> (*mut u8, u16) {
        let end = range.end.min(PAYLOAD_MAX);
        let start = range.start.min(end);
        let length = u16::try_from(end - start).expect("a slot is shorter than 64 KiB");
        (self.packet_ptr(slot).wrapping_add(start), length)
    }

    /// The memory of `slot`.
    fn cell(&self, slot: &Slot) -> &UnsafeCell<[u8; SLOT_BYTES]> {
        assert_eq!(slot.arena, self.id, "a slot goes back to the driver it came from");
        &self.slots[usize::from(slot.index)].bytes
    }
}

/// Ids of arenas, so that a slot shown to the wrong driver is noticed.
static NEXT_ARENA: AtomicU16 = AtomicU16::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_back_from_its_slot() {
        let (mut arena, mut slots) = Arena::new(2);
        let mut slot = slots.pop().expect("two slots");
        assert!(arena.fill(&mut slot, b"0123456789"));
        assert_eq!(arena.packet_mut(&mut slot), b"0123456789");
        let (pointer, length) = arena.range_ptr(&slot, &(4..10));
        assert_eq!(length, 6);
        assert_eq!(pointer, arena.packet_ptr(&slot).wrapping_add(4));
    }

    #[test]
    fn a_packet_may_grow_into_the_room_behind_it_and_not_beyond() {
        let (mut arena, mut slots) = Arena::new(1);
        let mut slot = slots.pop().expect("one slot");
        assert!(arena.fill(&mut slot, b"0123456789"));
        let room = arena.room_mut(&mut slot);
        assert_eq!((&room[..10], room.len()), (&b"0123456789"[..], PAYLOAD_MAX));
        assert_eq!(arena.range_ptr(&slot, &(0..20)).1, 20);
        assert_eq!(usize::from(arena.range_ptr(&slot, &(4..PAYLOAD_MAX + 1)).1), PAYLOAD_MAX - 4);
    }

    #[test]
    fn a_packet_longer_than_a_slot_is_refused() {
        let (mut arena, mut slots) = Arena::new(1);
        let mut slot = slots.pop().expect("one slot");
        assert!(arena.fill(&mut slot, &[7; PAYLOAD_MAX]));
        assert!(!arena.fill(&mut slot, &[7; PAYLOAD_MAX + 1]));
        assert_eq!(usize::from(slot.length()), PAYLOAD_MAX, "the refused packet changed nothing");
    }

    #[test]
    #[should_panic(expected = "goes back to the driver it came from")]
    fn a_slot_of_another_arena_is_noticed() {
        let (mut mine, _slots) = Arena::new(1);
        let (_theirs, mut slots) = Arena::new(1);
        let mut slot = slots.pop().expect("one slot");
        mine.packet_mut(&mut slot);
    }
}
