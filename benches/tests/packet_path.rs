//! After a call is set up, its packets cost no allocation.

#[path = "../micro/calls.rs"]
mod calls;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use calls::{Calls, packet};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of this thread so far.
fn count() -> u64 {
    COUNT.get()
}

// SAFETY: every call is handed to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_relayed_packet_allocates_nothing() {
    let before = count();
    let mut call = Calls::new(1);
    assert!(count() > before, "the set-up allocates, and is counted");
    let mut packet = packet();
    let before = count();
    for _ in 0..1000 {
        assert_eq!(call.relay(0, &mut packet), (172, 0));
    }
    assert_eq!(count(), before, "allocations in a thousand packets");
    assert_eq!(call.counters().drops_total(), 0);
}

#[test]
fn a_recorded_packet_allocates_nothing() {
    let mut call = Calls::new(1);
    call.record();
    let mut packet = packet();
    assert_eq!(call.relay(0, &mut packet), (172, 172), "the first one makes room");
    let before = count();
    for _ in 0..1000 {
        assert_eq!(call.relay(0, &mut packet), (172, 172));
    }
    assert_eq!(count(), before, "allocations in a thousand packets");
}

#[test]
fn a_source_that_nobody_announced_allocates_nothing() {
    let mut call = Calls::new(1);
    let mut packet = packet();
    let before = count();
    for source in 0..1000_u32 {
        packet[8..12].copy_from_slice(&source.to_be_bytes());
        assert_eq!(call.relay(0, &mut packet), (172, 0));
    }
    assert_eq!(count(), before, "allocations for a thousand sources");
}
