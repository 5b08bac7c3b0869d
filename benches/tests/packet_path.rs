//! After a call is set up, its packets cost no allocation.

#[path = "../micro/calls.rs"]
mod calls;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use calls::{Calls, packet};
use rtp::srtp::{Inbound, MasterKey, Outbound, Policy, Suite};

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
    let packet = packet();
    let before = count();
    for _ in 0..1000 {
        assert_eq!(call.relay(0, &packet), (172, 0));
    }
    assert_eq!(count(), before, "allocations in a thousand packets");
    assert_eq!(call.counters().drops_total(), 0);
}

#[test]
fn a_recorded_packet_allocates_nothing() {
    let mut call = Calls::new(1);
    call.record();
    let packet = packet();
    assert_eq!(call.relay(0, &packet), (172, 172), "the first one makes room");
    let before = count();
    for _ in 0..1000 {
        assert_eq!(call.relay(0, &packet), (172, 172));
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
        assert_eq!(call.relay(0, &packet), (172, 0));
    }
    assert_eq!(count(), before, "allocations for a thousand sources");
}

#[test]
fn a_packet_that_is_encrypted_on_its_way_allocates_nothing() {
    for suite in Suite::ALL {
        let mut call = Calls::encrypted(suite);
        let mut packet = packet();
        let before = count();
        for sequence in 0..1000_u16 {
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            assert_eq!(call.relay(0, &packet), (172 + suite.rtp_tag_bytes(), 0));
        }
        assert_eq!(count(), before, "allocations in a thousand packets of {suite}");
        assert_eq!(call.counters().drops_total(), 0);
    }
}

#[test]
fn a_protected_packet_allocates_nothing() {
    for suite in Suite::ALL {
        let key = vec![7; suite.master_bytes()];
        let policy =
            Policy::new(suite, MasterKey::from_concatenation(suite, &key).expect("the suite's length"));
        let before = count();
        let mut outbound = Outbound::new(&policy).expect("a policy");
        let mut inbound = Inbound::new(&policy).expect("a policy");
        assert!(count() > before, "the set-up allocates, and is counted");
        let mut buffer = [0x80; 200];
        let before = count();
        for seq in 0..1000_u16 {
            buffer[2..4].copy_from_slice(&seq.to_be_bytes());
            // Two sources, and a report of each.
            buffer[8] = u8::from(seq % 3 == 0);
            let length = outbound.protect_rtp(&mut buffer, 172).expect("a packet");
            assert_eq!(inbound.unprotect_rtp(&mut buffer[..length]), Ok(172));
            let mut report = [0x80; 64];
            report[4] = buffer[8];
            let length = outbound.protect_rtcp(&mut report, 40).expect("a report");
            assert_eq!(inbound.unprotect_rtcp(&mut report[..length]), Ok(40));
        }
        assert_eq!(count(), before, "allocations in a thousand packets of {suite}");
    }
}
