//! The provided-buffer ring: the queue of free slots the kernel takes from to receive.

use std::alloc::{self, Layout};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::arena::{Arena, Lent, SLOT_BYTES, Slot};

/// The group id of the only buffer ring.
pub(crate) const BUFFER_GROUP: u16 = 0;

/// Free receive slots, shared with the kernel.
pub(crate) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    /// A power of two less one.
    mask: u16,
    /// How many slots were ever put in, modulo 2^16; the kernel sees it once published.
    tail: u16,
    published: u16,
    /// Slots put in and not yet taken by the kernel.
    available: u16,
}

impl BufferRing {
    /// A ring of `count` entries, a power of two no larger than 32768, registered with the kernel.
    ///
    /// The memory must outlive the kernel's use of it: the owner drops the io_uring first.
    pub(crate) fn register(submitter: &Submitter<'_>, count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "a buffer ring is a power of two");
        let layout = Layout::array::<BufRingEntry>(usize::from(count))
            .and_then(|layout| layout.align_to(PAGE_BYTES))
            .map_err(io::Error::other)?;
        // SAFETY: the layout is not empty, since `count` is at least one.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        let entries = NonNull::new(memory.cast::<BufRingEntry>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let ring = Self { entries, layout, mask: count - 1, tail: 0, published: 0, available: 0 };
        // SAFETY: the memory is page aligned, holds `count` zeroed entries and stays allocated until
        // `ring` is dropped, which its owner does only after the io_uring is closed.
        unsafe {
            submitter.register_buf_ring_with_flags(entries.as_ptr().addr() as u64, count, BUFFER_GROUP, 0)?;
        }
        Ok(ring)
    }

    /// Lends a slot to the kernel to receive into. Seen by the kernel after [`publish`](Self::publish).
    pub(crate) fn put(&mut self, arena: &Arena, slot: Slot) -> Lent {
        assert!(self.available <= self.mask, "there are no more slots than entries");
        let position = usize::from(self.tail & self.mask);
        // SAFETY: the position is masked to the allocation, and the entry at the tail is ours: the
        // kernel reads entries between its own head and the published tail only, and fewer than
        // `count` slots lie there (asserted above). The tail itself lives in the reserved field of
        // entry 0, which the setters below do not touch.
        let entry = unsafe { &mut *self.entries.as_ptr().add(position) };
        entry.set_addr(arena.whole_ptr(&slot).expose_provenance() as u64);
        entry.set_len(u32::try_from(SLOT_BYTES).expect("a slot is small"));
        entry.set_bid(slot.index());
        self.tail = self.tail.wrapping_add(1);
        self.available += 1;
        slot.lend()
    }

    /// Shows the kernel what was put since the last time. One store, for any number of slots.
    pub(crate) fn publish(&mut self) {
        if self.published == self.tail {
            return;
        }
        // SAFETY: the pointer is the base of the ring, aligned for a u16; the tail is written by
        // this thread alone and read by the kernel with acquire semantics.
        let shared = unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail)
        };
        shared.store(self.tail, Ordering::Release);
        self.published = self.tail;
    }

    /// Notes that the kernel took a slot out.
    pub(crate) fn taken(&mut self) {
        self.available -= 1;
    }

    /// Slots the kernel finds to receive into.
    pub(crate) fn available(&self) -> u16 {
        self.available
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with this layout, and the kernel has let go of it.
        unsafe { alloc::dealloc(self.entries.as_ptr().cast(), self.layout) }
    }
}

/// The alignment the kernel asks of a buffer ring.
const PAGE_BYTES: usize = 4096;
