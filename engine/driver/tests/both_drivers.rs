//! What both drivers must do alike: each body runs once on io_uring and once on epoll.
//!
//! Where the machine refuses io_uring its half says so and passes, as the engine would go on with
//! epoll there.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use driver::{Arrival, Choice, Clock, Driver, Kind, Opening, Options, PAYLOAD_MAX, Slot, Waker, mailbox};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod uring {
            $(#[test] fn $name() { if let Some(rig) = super::Rig::new(driver::Choice::Uring) { super::$name(rig) } })*
        }
        mod epoll {
            $(#[test] fn $name() { super::$name(super::Rig::new(driver::Choice::Epoll).expect("epoll is everywhere")) })*
        }
    };
}

on_both!(
    a_packet_is_sent_on_from_its_own_slot,
    order_is_kept,
    a_tiny_ring_loses_nothing,
    ten_thousand_packets_arrive_when_the_receiver_sets_the_pace,
    a_slot_is_received_into_again_after_its_send,
    a_port_is_free_once_its_socket_is_closed,
    a_key_reused_sees_only_its_new_socket,
    closing_with_sends_queued_sends_them,
    closing_while_packets_arrive_loses_no_slot,
    a_refused_connection_is_told_and_ends_nothing,
    mail_ends_a_wait,
    a_deadline_ends_a_wait,
    ipv6_works_and_is_ipv6_only,
    a_packet_longer_than_a_slot_is_counted,
    a_send_on_a_closed_socket_is_counted,
    a_port_in_use_is_refused,
    a_key_in_use_or_beyond_the_table_is_refused,
    copies_run_out_and_come_back,
    an_empty_datagram_arrives,
    more_sends_than_the_queue_holds_all_go_out,
    a_socket_that_moves_between_drivers_loses_nothing_and_keeps_order,
    a_quiet_socket_sends_and_can_be_closed,
    a_socket_that_finds_no_place_is_closed,
);

/// A driver with sizes a test can see the ends of.
struct Rig {
    driver: Driver,
    waker: Waker,
    batch: Vec<Arrival>,
}

const OPTIONS: Options =
    Options { slots: 64, copy_slots: 8, sockets_max: 16, batch_max: 32, receive_buffer_bytes: 256 * 1024 };

impl Rig {
    fn new(choice: Choice) -> Option<Self> {
        Self::with(choice, &OPTIONS)
    }

    fn with(choice: Choice, options: &Options) -> Option<Self> {
        let waker = Waker::new().expect("a descriptor");
        match Driver::new(choice, options, waker.clone()) {
            Ok((driver, _)) => Some(Self { driver, waker, batch: Vec::new() }),
            Err(error) if choice == Choice::Uring => {
                eprintln!("not tested on io_uring: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The same kind of driver with other sizes.
    fn resized(self, options: &Options) -> Self {
        let choice = match self.driver.kind() {
            Kind::Uring => Choice::Uring,
            Kind::Epoll => Choice::Epoll,
        };
        drop(self);
        Self::with(choice, options).expect("it could be made before")
    }

    /// Opens `key` on a free loopback port.
    fn open(&mut self, key: u32) -> SocketAddr {
        let local = free_port("127.0.0.1:0");
        self.driver.open(key, &Opening::at(local, 0xb8)).expect("a free port");
        local
    }

    /// Waits until `done` has seen what it wants; fails after ten seconds.
    fn until(&mut self, mut done: impl FnMut(&mut Driver, Arrival) -> bool) {
        let end = Clock::monotonic_ns() + 10_000_000_000;
        loop {
            let now = self.driver.wait(Some(end), &mut self.batch).expect("waiting works");
            let mut finished = false;
            for arrival in self.batch.drain(..) {
                finished |= done(&mut self.driver, arrival);
            }
            if finished {
                return;
            }
            assert!(now.monotonic_ns < end, "nothing of the kind came in ten seconds");
        }
    }

    /// The next datagram.
    fn datagram(&mut self) -> (u32, SocketAddr, Slot) {
        let mut found = None;
        self.until(|driver, arrival| {
            if let Arrival::Datagram { key, remote, slot } = arrival {
                if found.is_none() {
                    found = Some((key, remote, slot));
                } else {
                    driver.release(slot);
                }
            }
            found.is_some()
        });
        found.expect("found above")
    }

    /// One wait that may bring anything, which is given back.
    fn settle(&mut self) {
        let soon = Clock::monotonic_ns() + 2_000_000;
        self.driver.wait(Some(soon), &mut self.batch).expect("waiting works");
        for arrival in self.batch.drain(..) {
            if let Arrival::Datagram { slot, .. } = arrival {
                self.driver.release(slot);
            }
        }
    }
}

fn free_port(address: &str) -> SocketAddr {
    UdpSocket::bind(address).and_then(|socket| socket.local_addr()).expect("a loopback port")
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket
}

fn a_packet_is_sent_on_from_its_own_slot(mut rig: Rig) {
    let local = rig.open(3);
    let out = rig.open(4);
    let (near, far) = (peer(), peer());
    near.send_to(b"headpayloadtail", local).expect("sent");
    let (key, remote, mut slot) = rig.datagram();
    assert_eq!((key, remote), (3, near.local_addr().expect("bound")));
    assert_eq!(rig.driver.packet_mut(&mut slot), b"headpayloadtail");
    rig.driver.packet_mut(&mut slot)[4] = b'P';
    rig.driver.send(4, far.local_addr().expect("bound"), slot, 4..11);
    rig.settle();
    let mut bytes = [0; 64];
    let (length, from) = far.recv_from(&mut bytes).expect("received");
    assert_eq!((&bytes[..length], from), (&b"Payload"[..], out));
}

fn order_is_kept(mut rig: Rig) {
    let local = rig.open(0);
    let near = peer();
    let far = peer();
    for round in 0..10_u8 {
        for number in 0..50_u8 {
            near.send_to(&[round, number], local).expect("sent");
        }
        let mut expected = 0;
        rig.until(|driver, arrival| {
            if let Arrival::Datagram { key, mut slot, .. } = arrival {
                assert_eq!(driver.packet_mut(&mut slot), [round, expected]);
                expected += 1;
                driver.send(key, far.local_addr().expect("bound"), slot, 0..2);
            }
            expected == 50
        });
        rig.settle();
        for number in 0..50_u8 {
            let mut bytes = [0; 8];
            let (length, _) = far.recv_from(&mut bytes).expect("received");
            assert_eq!(bytes[..length], [round, number]);
        }
    }
}

fn a_tiny_ring_loses_nothing(rig: Rig) {
    let mut rig = rig.resized(&Options { slots: 2, copy_slots: 1, ..OPTIONS });
    let local = rig.open(0);
    let near = peer();
    for number in 0..40_u8 {
        near.send_to(&[number], local).expect("sent");
    }
    let mut expected = 0;
    rig.until(|driver, arrival| {
        if let Arrival::Datagram { mut slot, .. } = arrival {
            assert_eq!(driver.packet_mut(&mut slot), [expected]);
            expected += 1;
            driver.release(slot);
        }
        expected == 40
    });
    if rig.driver.kind() == Kind::Uring {
        assert!(rig.driver.counters().receive_starved > 0, "the ring ran empty and was filled again");
    }
}

fn ten_thousand_packets_arrive_when_the_receiver_sets_the_pace(mut rig: Rig) {
    let local = rig.open(0);
    let sender = thread::spawn(move || {
        let near = peer();
        let mut bytes = [0; 8];
        for number in 0..10_000_u32 {
            near.send_to(&[&number.to_be_bytes()[..], &[0x5a; 168]].concat(), local).expect("sent");
            if number % 40 == 39 {
                near.recv_from(&mut bytes).expect("the receiver asks for more");
            }
        }
    });
    let mut expected = 0_u32;
    rig.until(|driver, arrival| {
        if let Arrival::Datagram { key, remote, mut slot } = arrival {
            assert_eq!(driver.packet_mut(&mut slot)[..4], expected.to_be_bytes());
            expected += 1;
            if expected.is_multiple_of(40) {
                driver.send(key, remote, slot, 0..4);
            } else {
                driver.release(slot);
            }
        }
        expected == 10_000
    });
    rig.settle();
    sender.join().expect("the sender was asked for everything");
    assert_eq!(rig.driver.counters().packets_received, 10_000);
    assert_eq!(rig.driver.counters().packets_sent, 250);
}

fn a_slot_is_received_into_again_after_its_send(rig: Rig) {
    let mut rig = rig.resized(&Options { slots: 4, ..OPTIONS });
    let local = rig.open(0);
    let near = peer();
    for number in 0..200_u8 {
        near.send_to(&[number; 100], local).expect("sent");
        let (key, remote, slot) = rig.datagram();
        rig.driver.send(key, remote, slot, 0..100);
        rig.settle();
        let mut bytes = [0; 128];
        let (length, _) = near.recv_from(&mut bytes).expect("echoed");
        assert_eq!(bytes[..length], [number; 100]);
    }
}

fn a_port_is_free_once_its_socket_is_closed(mut rig: Rig) {
    let local = free_port("127.0.0.1:0");
    let near = peer();
    for _round in 0..100 {
        rig.driver.open(5, &Opening::at(local, 0)).expect("the port is free");
        near.send_to(b"x", local).expect("sent");
        let (_, _, slot) = rig.datagram();
        rig.driver.release(slot);
        rig.driver.close(5);
        drop(UdpSocket::bind(local).expect("the port is free for others too"));
    }
}

fn a_key_reused_sees_only_its_new_socket(mut rig: Rig) {
    let near = peer();
    for _round in 0..20 {
        let old = rig.open(1);
        rig.settle();
        near.send_to(b"old", old).expect("sent");
        rig.driver.close(1);
        let new = rig.open(1);
        near.send_to(b"new", new).expect("sent");
        let (key, _, mut slot) = rig.datagram();
        assert_eq!((key, &*rig.driver.packet_mut(&mut slot)), (1, &b"new"[..]));
        rig.driver.release(slot);
        rig.driver.close(1);
    }
}

fn closing_with_sends_queued_sends_them(mut rig: Rig) {
    rig.open(1);
    let far = peer();
    let remote = far.local_addr().expect("bound");
    assert!(rig.driver.send_copy(1, remote, b"last words"));
    rig.driver.close(1);
    let mut bytes = [0; 64];
    let (length, _) = far.recv_from(&mut bytes).expect("received");
    assert_eq!(&bytes[..length], b"last words");
}

fn closing_while_packets_arrive_loses_no_slot(rig: Rig) {
    let mut rig = rig.resized(&Options { slots: 8, ..OPTIONS });
    let near = peer();
    for _round in 0..50 {
        let local = rig.open(2);
        rig.settle();
        for _packet in 0..6 {
            near.send_to(b"x", local).expect("sent");
        }
        rig.driver.close(2);
        rig.settle();
    }
    let local = rig.open(2);
    let mut held = Vec::new();
    for _packet in 0..8 {
        near.send_to(b"y", local).expect("sent");
        held.push(rig.datagram().2);
    }
    assert_eq!(held.len(), 8, "every slot is still there");
}

fn a_refused_connection_is_told_and_ends_nothing(mut rig: Rig) {
    let local = free_port("127.0.0.1:0");
    let remote = free_port("127.0.0.1:0");
    let opening = Opening { local, tos: 0, connected: Some(remote) };
    rig.driver.open(7, &opening).expect("a free port");
    assert!(rig.driver.send_copy(7, remote, b"anybody there"));
    rig.until(|_, arrival| match arrival {
        Arrival::Failed { key, error } => {
            assert_eq!((key, error.kind()), (7, std::io::ErrorKind::ConnectionRefused));
            true
        }
        _ => false,
    });
    let now_there = UdpSocket::bind(remote).expect("still free");
    now_there.send_to(b"here", local).expect("sent");
    let (key, _, mut slot) = rig.datagram();
    assert_eq!((key, &*rig.driver.packet_mut(&mut slot)), (7, &b"here"[..]));
}

fn mail_ends_a_wait(mut rig: Rig) {
    let (sender, receiver) = mailbox(rig.waker.clone(), 4);
    for round in 0..20 {
        let sender = sender.clone();
        let writer = thread::spawn(move || sender.send(round).expect("there is room"));
        rig.until(|_, arrival| matches!(arrival, Arrival::Woken));
        writer.join().expect("sent");
        assert_eq!(receiver.take(), Some(round));
    }
}

fn a_deadline_ends_a_wait(mut rig: Rig) {
    rig.settle();
    let before = Clock::monotonic_ns();
    let deadline = before + 30_000_000;
    let now = rig.driver.wait(Some(deadline), &mut rig.batch).expect("waiting works");
    assert!(rig.batch.is_empty());
    assert!(now.monotonic_ns >= deadline, "not before the deadline");
    assert!(now.monotonic_ns < before + 1_000_000_000, "and not when nothing else ends the wait");
    let now = rig.driver.wait(Some(0), &mut rig.batch).expect("waiting works");
    assert!(now.monotonic_ns < before + 1_000_000_000, "a deadline that has passed is no wait");
}

fn ipv6_works_and_is_ipv6_only(mut rig: Rig) {
    let local = free_port("[::1]:0");
    rig.driver.open(0, &Opening::at(local, 0xb8)).expect("IPv6 loopback");
    let near = UdpSocket::bind("[::1]:0").expect("IPv6 loopback");
    near.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    near.send_to(b"six", local).expect("sent");
    let (key, remote, slot) = rig.datagram();
    assert_eq!(remote, near.local_addr().expect("bound"));
    rig.driver.send(key, remote, slot, 0..3);
    rig.settle();
    let mut bytes = [0; 8];
    assert_eq!(near.recv_from(&mut bytes).expect("echoed"), (3, local));

    let any = free_port("[::]:0");
    rig.driver.open(1, &Opening::at(any, 0)).expect("a free port");
    let same = SocketAddr::from(([127, 0, 0, 1], any.port()));
    drop(UdpSocket::bind(same).expect("IPv4's port of the same number is not taken"));
}

fn a_packet_longer_than_a_slot_is_counted(mut rig: Rig) {
    let local = rig.open(0);
    let near = peer();
    near.send_to(&vec![1; PAYLOAD_MAX + 1], local).expect("sent");
    near.send_to(&vec![2; PAYLOAD_MAX], local).expect("sent");
    let (_, _, mut slot) = rig.datagram();
    assert_eq!(rig.driver.packet_mut(&mut slot), vec![2; PAYLOAD_MAX]);
    assert_eq!(rig.driver.counters().truncated, 1);
}

fn a_send_on_a_closed_socket_is_counted(mut rig: Rig) {
    let far = peer();
    let remote = far.local_addr().expect("bound");
    rig.driver.send_copy(9, remote, b"x");
    rig.driver.send_copy(900, remote, b"x");
    rig.settle();
    assert_eq!(rig.driver.counters().send_unopened, 2);
}

fn a_port_in_use_is_refused(mut rig: Rig) {
    let taken = peer();
    let local = taken.local_addr().expect("bound");
    let error = rig.driver.open(0, &Opening::at(local, 0)).expect_err("the port is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    rig.open(0);
}

fn a_key_in_use_or_beyond_the_table_is_refused(mut rig: Rig) {
    rig.open(0);
    let local = free_port("127.0.0.1:0");
    assert!(rig.driver.open(0, &Opening::at(local, 0)).is_err());
    assert!(rig.driver.open(16, &Opening::at(local, 0)).is_err());
    rig.driver.close(16);
}

fn copies_run_out_and_come_back(mut rig: Rig) {
    rig.open(0);
    let far = peer();
    let remote = far.local_addr().expect("bound");
    for _round in 0..5 {
        let sent = (0..10).filter(|_| rig.driver.send_copy(0, remote, b"copy")).count();
        assert_eq!(sent, 8);
        rig.settle();
        rig.settle();
    }
    assert_eq!(rig.driver.counters().copy_starved, 10);
    assert_eq!(rig.driver.counters().packets_sent, 40);
    assert!(!rig.driver.send_copy(0, remote, &[0; PAYLOAD_MAX + 1]), "too long for a slot");
}

fn an_empty_datagram_arrives(mut rig: Rig) {
    let local = rig.open(0);
    peer().send_to(b"", local).expect("sent");
    let (_, _, mut slot) = rig.datagram();
    assert!(rig.driver.packet_mut(&mut slot).is_empty());
}

fn more_sends_than_the_queue_holds_all_go_out(rig: Rig) {
    let mut rig = rig.resized(&Options { copy_slots: 2000, ..OPTIONS });
    rig.open(0);
    // Nobody reads there: what matters is that the kernel takes all of it and gives every slot back.
    let far = peer();
    let remote = far.local_addr().expect("bound");
    for round in 1..=2 {
        for number in 0..2000_u32 {
            assert!(rig.driver.send_copy(0, remote, &number.to_be_bytes()));
        }
        assert!(!rig.driver.send_copy(0, remote, b"one more"));
        let end = Clock::monotonic_ns() + 10_000_000_000;
        while rig.driver.counters().packets_sent < round * 2000 {
            assert!(Clock::monotonic_ns() < end, "{:?}", rig.driver.counters());
            rig.settle();
        }
    }
}

fn a_socket_that_moves_between_drivers_loses_nothing_and_keeps_order(rig: Rig) {
    const COUNT: u32 = 4_000;
    let choice = if rig.driver.kind() == Kind::Uring { Choice::Uring } else { Choice::Epoll };
    let other = Rig::with(choice, &Options { slots: 4, ..OPTIONS }).expect("it could be made before");
    let mut rigs = [rig, other];
    let local = rigs[0].open(3);
    let sender = thread::spawn(move || {
        let near = peer();
        let mut bytes = [0; 8];
        for number in 0..COUNT {
            near.send_to(&number.to_be_bytes(), local).expect("sent");
            // The socket moves while packets arrive, as the sender is up to 60 ahead.
            if number % 30 == 29 && number > 30 {
                near.recv_from(&mut bytes).expect("the receiver asks for more");
            }
        }
    });
    let (mut expected, mut moves) = (0_u32, 0);
    let mut keys = [3, 9];
    while expected < COUNT {
        // The one that has the socket receives some, then gives it away.
        let until = (expected + 17 + moves % 40).min(COUNT);
        let key = keys[0];
        let mut asked = false;
        rigs[0].until(|driver, arrival| match arrival {
            Arrival::Datagram { key: at, remote, mut slot } => {
                assert_eq!((at, &*driver.packet_mut(&mut slot)), (key, &expected.to_be_bytes()[..]));
                expected += 1;
                if expected.is_multiple_of(30) {
                    driver.send(key, remote, slot, 0..4);
                } else {
                    driver.release(slot);
                }
                if !asked && expected >= until {
                    asked = true;
                    driver.quiet(key);
                    driver.quiet(key);
                }
                false
            }
            Arrival::Quiet { key: at } => {
                assert_eq!((at, asked), (key, true), "told once, and not before it was asked for");
                true
            }
            _ => false,
        });
        let socket = rigs[0].driver.detach(key).expect("it is open");
        assert!(rigs[0].driver.has_place(key) && rigs[0].driver.detach(key).is_none());
        rigs.swap(0, 1);
        keys.swap(0, 1);
        rigs[0].driver.adopt(keys[0], socket).expect("there is room");
        moves += 1;
    }
    sender.join().expect("the sender was asked for everything");
    assert!(moves > 30, "{moves} moves");
    let received: u64 = rigs.iter().map(|rig| rig.driver.counters().packets_received).sum();
    assert_eq!(received, u64::from(COUNT));
    assert!(rigs.iter().all(|rig| rig.driver.counters().late == 0));
}

fn a_quiet_socket_sends_and_can_be_closed(mut rig: Rig) {
    let local = rig.open(1);
    let near = peer();
    for _round in 0..20 {
        rig.driver.quiet(1);
        rig.until(|_, arrival| matches!(arrival, Arrival::Quiet { key: 1 }));
        near.send_to(b"nobody listens", local).expect("sent");
        assert!(rig.driver.send_copy(1, near.local_addr().expect("bound"), b"out"));
        rig.settle();
        assert_eq!(near.recv_from(&mut [0; 8]).expect("received"), (3, local));
        rig.driver.close(1);
        rig.driver.open(1, &Opening::at(local, 0)).expect("the port is free again");
        near.send_to(b"somebody does", local).expect("sent");
        let (key, _, mut slot) = rig.datagram();
        assert_eq!((key, &*rig.driver.packet_mut(&mut slot)), (1, &b"somebody does"[..]));
        rig.driver.release(slot);
    }
    // Closed before it was told: whoever has the number next is not taken for it.
    rig.driver.quiet(1);
    rig.driver.close(1);
    rig.driver.open(1, &Opening::at(local, 0)).expect("the port is free again");
    near.send_to(b"still", local).expect("sent");
    rig.until(|driver, arrival| match arrival {
        Arrival::Datagram { slot, .. } => {
            driver.release(slot);
            true
        }
        Arrival::Quiet { .. } => panic!("nobody asked this one"),
        _ => false,
    });
}

fn a_socket_that_finds_no_place_is_closed(mut rig: Rig) {
    let local = rig.open(0);
    rig.open(1);
    assert!(rig.driver.has_place(2) && !rig.driver.has_place(1) && !rig.driver.has_place(16));
    for key in [1, 16] {
        let socket = rig.driver.detach(0).expect("it is open");
        assert!(rig.driver.adopt(key, socket).is_err());
        rig.settle();
        rig.driver.open(0, &Opening::at(local, 0)).expect("its port is free again");
    }
    assert!(rig.driver.detach(16).is_none() && rig.driver.detach(7).is_none());
}

#[test]
fn auto_finds_a_driver_and_says_why_it_is_not_io_uring() {
    let waker = Waker::new().expect("a descriptor");
    let (driver, reason) = Driver::new(Choice::Auto, &OPTIONS, waker).expect("epoll is everywhere");
    assert_eq!(reason.is_some(), driver.kind() == Kind::Epoll);
}

#[test]
fn auto_falls_back_when_io_uring_lacks_a_resource() {
    let waker = Waker::new().expect("a descriptor");
    let beyond = Options { sockets_max: 2_000_000, ..OPTIONS };
    let (driver, reason) = Driver::new(Choice::Auto, &beyond, waker).expect("epoll is everywhere");
    assert_eq!(driver.kind(), Kind::Epoll);
    assert!(reason.expect("a reason").contains("fixed files") || Rig::new(Choice::Uring).is_none());
}
