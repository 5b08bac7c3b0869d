//! The epoll driver: for kernels and containers that do not allow io_uring.

mod calls;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use socket2::Socket;

use crate::arena::{Arena, Slot};
use crate::counters::Counters;
use crate::mailbox::Waker;
use crate::seam::{Arrival, Options};
use crate::socket::{self, Opening};
use calls::{Messages, Poll, RUN_MAX};

/// One worker's epoll instance, its sockets and slots.
pub struct Epoll {
    poll: Poll,
    arena: Arena,
    messages: Box<Messages>,
    /// Free slots to receive into, the one used last on top, since its memory is still in the cache.
    free: Vec<Slot>,
    /// The slots of the receive under way.
    filling: Vec<Slot>,
    /// Free slots for copies.
    copies: Vec<Slot>,
    receive_slots: u16,
    sockets: Vec<Option<Socket>>,
    queue: Vec<Queued>,
    ready: Vec<u64>,
    /// Sockets that are looked at no longer, of which the worker hears with the next wait.
    quiet: Vec<u32>,
    waker: Waker,
    batch_max: usize,
    receive_buffer_bytes: usize,
    counters: Counters,
}

/// A packet waiting for the end of the batch.
struct Queued {
    key: u32,
    remote: SocketAddr,
    slot: Slot,
    range: Range<usize>,
}

impl Epoll {
    /// A driver on a new epoll instance.
    ///
    /// # Errors
    /// The kernel's, when there is no descriptor left.
    pub fn new(options: &Options, waker: Waker) -> io::Result<Self> {
        let poll = Poll::new(options.batch_max)?;
        poll.watch(waker.descriptor(), WAKE)?;
        let (arena, mut free) = Arena::new(options.slots.saturating_add(options.copy_slots));
        let copies = free.split_off(usize::from(options.slots));
        let sockets_max = usize::try_from(options.sockets_max).map_err(io::Error::other)?;
        Ok(Self {
            poll,
            arena,
            messages: Box::new(Messages::new()),
            free,
            filling: Vec::with_capacity(RECEIVE_RUN),
            copies,
            receive_slots: options.slots,
            sockets: (0..sockets_max).map(|_| None).collect(),
            queue: Vec::with_capacity(usize::from(options.slots)),
            ready: Vec::with_capacity(options.batch_max),
            quiet: Vec::new(),
            waker,
            batch_max: options.batch_max,
            receive_buffer_bytes: options.receive_buffer_bytes,
            counters: Counters::default(),
        })
    }

    /// Opens a socket as `key`.
    pub(crate) fn open(&mut self, key: u32, opening: &Opening) -> io::Result<()> {
        socket::place(&self.sockets, key)?;
        let socket = socket::open(opening, self.receive_buffer_bytes)?;
        self.adopt(key, socket)
    }

    /// Receives on a socket that is open already, as `key`.
    pub(crate) fn adopt(&mut self, key: u32, socket: Socket) -> io::Result<()> {
        let index = socket::place(&self.sockets, key)?;
        self.poll.watch(socket.as_raw_fd(), u64::from(key))?;
        self.sockets[index] = Some(socket);
        Ok(())
    }

    /// Lets the socket `key` send with another TOS byte.
    pub(crate) fn set_tos(&mut self, key: u32, tos: u8) -> io::Result<()> {
        let index = usize::try_from(key).map_err(io::Error::other)?;
        let open = self.sockets.get(index).and_then(Option::as_ref);
        let socket = open.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        socket::set_tos(socket, socket.domain()?, tos)
    }

    /// Whether `key` can be used.
    pub(crate) fn has_place(&self, key: u32) -> bool {
        socket::place(&self.sockets, key).is_ok()
    }

    /// Closes the socket `key` once what is queued has been sent.
    pub(crate) fn close(&mut self, key: u32) {
        let _closed_when_dropped = self.detach(key);
    }

    /// Looks at the socket `key` no longer.
    pub(crate) fn quiet(&mut self, key: u32) {
        let socket = usize::try_from(key).ok().and_then(|index| self.sockets.get(index)?.as_ref());
        if let Some(socket) = socket
            && !self.quiet.contains(&key)
        {
            self.poll.forget(socket.as_raw_fd());
            self.quiet.push(key);
        }
    }

    /// Takes the socket `key` out once what is queued has been sent.
    pub(crate) fn detach(&mut self, key: u32) -> Option<OwnedFd> {
        let index = usize::try_from(key).ok()?;
        self.sockets.get(index)?.as_ref()?;
        // The batch these errors would go to is not at hand; the counters have them.
        let mut unheard = Vec::new();
        self.flush(&mut unheard);
        let socket = self.sockets[index].take()?;
        self.poll.forget(socket.as_raw_fd());
        self.quiet.retain(|&leaving| leaving != key);
        Some(socket.into())
    }

    /// Sends what is queued, waits up to `timeout` for something to happen, and adds it to `batch`.
    pub(crate) fn wait(&mut self, timeout: Duration, batch: &mut Vec<Arrival>) -> io::Result<()> {
        self.counters.waits += 1;
        self.flush(batch);
        batch.extend(self.quiet.drain(..).map(|key| Arrival::Quiet { key }));
        // Rounded up, so that a deadline has passed when the wait is over.
        let timeout_ms = if batch.is_empty() { timeout.as_micros().div_ceil(1000) } else { 0 };
        let mut ready = mem::take(&mut self.ready);
        self.poll.wait(i32::try_from(timeout_ms).unwrap_or(i32::MAX), &mut ready)?;
        for token in ready.drain(..) {
            if token == WAKE {
                self.waker.silence();
                batch.push(Arrival::Woken);
            } else if let Ok(key) = u32::try_from(token) {
                self.receive(key, batch);
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// The packet in a slot.
    pub(crate) fn packet_mut(&mut self, slot: &mut Slot) -> &mut [u8] {
        self.arena.packet_mut(slot)
    }

    /// The same and the room behind it.
    pub(crate) fn room_mut(&mut self, slot: &mut Slot) -> &mut [u8] {
        self.arena.room_mut(slot)
    }

    /// Queues a packet from its own slot.
    pub(crate) fn send(&mut self, key: u32, remote: SocketAddr, slot: Slot, range: Range<usize>) {
        let open = usize::try_from(key).ok().and_then(|index| self.sockets.get(index));
        if !matches!(open, Some(Some(_))) {
            self.counters.send_unopened += 1;
            self.release(slot);
            return;
        }
        self.queue.push(Queued { key, remote, slot, range });
    }

    /// Queues a copy of `packet`; false if no slot is free or the packet is too long.
    pub(crate) fn send_copy(&mut self, key: u32, remote: SocketAddr, packet: &[u8]) -> bool {
        let Some(mut slot) = self.copies.pop() else {
            self.counters.copy_starved += 1;
            return false;
        };
        if !self.arena.fill(&mut slot, packet) {
            self.copies.push(slot);
            return false;
        }
        self.send(key, remote, slot, 0..packet.len());
        true
    }

    /// Takes a slot back unsent.
    pub(crate) fn release(&mut self, slot: Slot) {
        if slot.index() >= self.receive_slots {
            self.copies.push(slot);
        } else {
            self.free.push(slot);
        }
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Receives what one socket has, as far as slots and the batch allow; epoll names it again if
    /// there is more.
    fn receive(&mut self, key: u32, batch: &mut Vec<Arrival>) {
        let index = usize::try_from(key).expect("a key of the table");
        let Some(Some(socket)) = self.sockets.get(index) else { return };
        let room = RECEIVE_RUN.min(self.batch_max.saturating_sub(batch.len())).min(self.free.len());
        if room == 0 {
            if self.free.is_empty() {
                self.counters.receive_starved += 1;
            }
            return;
        }
        let from = self.free.len() - room;
        self.filling.extend(self.free.drain(from..).rev());
        let filled = match self.messages.receive(socket.as_raw_fd(), &mut self.arena, &mut self.filling) {
            Ok(count) => count,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.counters.socket_errors += 1;
                    batch.push(Arrival::Failed { key, error });
                }
                0
            }
        };
        self.free.extend(self.filling.drain(filled..).rev());
        for (place, slot) in self.filling.drain(..).enumerate() {
            let message = self.messages.received(place);
            match message.remote {
                Some(remote) if !message.truncated => {
                    self.counters.packets_received += 1;
                    batch.push(Arrival::Datagram { key, remote, slot });
                }
                _ => {
                    self.counters.truncated += u64::from(message.truncated);
                    self.free.push(slot);
                }
            }
        }
    }

    /// Sends what is queued, in order, neighbours on one socket by one call.
    fn flush(&mut self, batch: &mut Vec<Arrival>) {
        let mut queue = mem::take(&mut self.queue);
        let mut rest = queue.as_slice();
        while let Some(first) = rest.first() {
            let run = rest.iter().take(RUN_MAX).take_while(|queued| queued.key == first.key).count();
            let index = usize::try_from(first.key).expect("a key of the table");
            let Some(Some(socket)) = self.sockets.get(index) else {
                self.counters.send_unopened += 1;
                rest = &rest[1..];
                continue;
            };
            let packets = rest[..run].iter().map(|queued| (&queued.slot, queued.remote, &queued.range));
            match self.messages.send(socket.as_raw_fd(), &self.arena, packets) {
                Ok(count) => {
                    self.counters.packets_sent += u64::try_from(count).unwrap_or_default();
                    // A call that takes nothing and complains of nothing would go on for ever.
                    rest = &rest[count.max(1)..];
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.counters.send_full += 1;
                    } else {
                        self.counters.send_failed += 1;
                        batch.push(Arrival::Failed { key: first.key, error });
                    }
                    rest = &rest[1..];
                }
            }
        }
        for queued in queue.drain(..) {
            self.release(queued.slot);
        }
        self.queue = queue;
    }
}

/// The token of the mailbox; keys of sockets are 32 bits.
const WAKE: u64 = u64::MAX;

/// Datagrams taken from a socket at a time. A voice stream rarely has two waiting, and every slot
/// offered costs a header to fill in.
const RECEIVE_RUN: usize = 4;
