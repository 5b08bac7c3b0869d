//! The io_uring driver: multishot receives into shared slots, sends submitted with the wait
//! (`adr/0001-io-uring-not-tokio-uring.md`).

mod buffers;
mod token;

use std::collections::VecDeque;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};
use socket2::Socket;

use crate::address;
use crate::arena::{Arena, Lent, PACKET_OFFSET, PAYLOAD_MAX, Slot};
use crate::counters::Counters;
use crate::mailbox::Waker;
use crate::seam::{Arrival, Options};
use crate::socket::{self, Opening};
use buffers::{BUFFER_GROUP, BufferRing};
use token::{GENERATIONS, Token};

/// One worker's ring, its sockets and slots.
///
/// It stays on the thread that made it: the ring has a single issuer, and
/// completions are worked off only while that thread waits.
pub struct Uring {
    /// Dropped by hand, before the memory the kernel may touch.
    ring: ManuallyDrop<IoUring>,
    buffers: ManuallyDrop<BufferRing>,
    arena: ManuallyDrop<Arena>,
    /// How a multishot receive lays out a slot; the kernel reads it whenever one is armed.
    layout: ManuallyDrop<Box<libc::msghdr>>,
    /// By slot: what the kernel has.
    lent: Box<[Option<Loan>]>,
    /// Free slots that are no part of the buffer ring, for copies.
    copies: Vec<Slot>,
    /// Slots up to here are for receiving.
    receive_slots: u16,
    /// Those of them that are neither offered to the kernel nor in use, the one used last on top.
    spare: Vec<Slot>,
    /// How many are offered at once: few, so that their memory stays in the cache, and more after they were not enough.
    offered: u16,
    /// They were not enough since the last wait.
    starved: bool,
    sockets: Vec<Option<OpenSocket>>,
    generations: Vec<u32>,
    /// Sockets whose receive has ended and is to be started again.
    rearm: Vec<(u32, u32)>,
    /// Sockets on which nothing more arrives, of which the worker hears with the next wait.
    quiet: Vec<u32>,
    /// Submissions the kernel had no room for; no more than slots and sockets.
    deferred: VecDeque<squeue::Entry>,
    waker: Waker,
    completions: Vec<(u64, i32, u32)>,
    batch_max: usize,
    receive_buffer_bytes: usize,
    /// Sends queued and not yet seen to complete.
    sends_in_flight: usize,
    /// Submissions whose last completion has not been seen.
    in_flight: usize,
    counters: Counters,
}

/// A slot the kernel has, and what for.
struct Loan {
    lent: Lent,
    /// The socket it is being sent on; `None` while it waits to receive.
    sending: Option<u32>,
}

/// A socket the worker has open.
struct OpenSocket {
    /// Closed when dropped; the ring has its own reference while a receive is armed.
    socket: Socket,
    /// A receive is armed, or queued to be.
    armed: bool,
    /// Once its receive has ended none is armed again.
    quieting: bool,
}

impl Uring {
    /// A driver on a new ring.
    ///
    /// # Errors
    /// A sentence saying which step the kernel refused, with its error: io_uring
    /// absent, forbidden, too old, or out of a resource.
    pub fn new(options: &Options, waker: Waker) -> Result<Self, String> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(u32::from(options.slots.saturating_mul(4)).max(1024))
            .setup_clamp()
            .build(SUBMISSIONS)
            .map_err(|error| refused("io_uring_setup with SINGLE_ISSUER and DEFER_TASKRUN", &error))?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err("the kernel's io_uring lacks EXT_ARG or NODROP".to_owned());
        }
        probe(&ring)?;
        ring.submitter()
            .register_files_sparse(options.sockets_max)
            .map_err(|error| refused("a table of fixed files", &error))?;
        let buffers = BufferRing::register(&ring.submitter(), options.slots)
            .map_err(|error| refused("a provided-buffer ring", &error))?;

        let total = options.slots.saturating_add(options.copy_slots);
        let (arena, mut slots) = Arena::new(total);
        let copies = slots.split_off(usize::from(options.slots));
        let lent = (0..arena.count()).map(|_| None).collect();

        // SAFETY: a msghdr is plain integers and pointers, for which all zeroes is an empty message.
        let mut layout: Box<libc::msghdr> = Box::new(unsafe { mem::zeroed() });
        layout.msg_namelen = u32::try_from(NAME_ROOM).expect("the name's room is small");

        let sockets_max = usize::try_from(options.sockets_max).map_err(|error| error.to_string())?;
        let mut driver = Self {
            ring: ManuallyDrop::new(ring),
            buffers: ManuallyDrop::new(buffers),
            arena: ManuallyDrop::new(arena),
            layout: ManuallyDrop::new(layout),
            lent,
            copies,
            receive_slots: options.slots,
            spare: slots,
            starved: false,
            offered: OFFERED_MIN.min(options.slots),
            sockets: (0..sockets_max).map(|_| None).collect(),
            generations: vec![0; sockets_max],
            rearm: Vec::new(),
            quiet: Vec::new(),
            deferred: VecDeque::new(),
            waker,
            completions: Vec::with_capacity(options.batch_max * 2),
            batch_max: options.batch_max,
            receive_buffer_bytes: options.receive_buffer_bytes,
            sends_in_flight: 0,
            in_flight: 0,
            counters: Counters::default(),
        };
        driver.offer();
        driver.arm_wake();
        driver.submit().map_err(|error| refused("the first submission", &error))?;
        Ok(driver)
    }

    /// Opens a socket as `key`.
    pub(crate) fn open(&mut self, key: u32, opening: &Opening) -> io::Result<()> {
        self.place(key)?;
        let socket = socket::open(opening, self.receive_buffer_bytes)?;
        self.adopt(key, socket)
    }

    /// Receives on a socket that is open already, as `key`.
    pub(crate) fn adopt(&mut self, key: u32, socket: Socket) -> io::Result<()> {
        let index = self.place(key)?;
        self.ring.submitter().register_files_update(key, &[socket.as_raw_fd()])?;
        let generation = (self.generations[index] + 1) % GENERATIONS;
        self.generations[index] = generation;
        self.sockets[index] = Some(OpenSocket { socket, armed: false, quieting: false });
        self.arm_receive(key, generation);
        Ok(())
    }

    /// Lets the socket `key` send with another TOS byte.
    pub(crate) fn set_tos(&mut self, key: u32, tos: u8) -> io::Result<()> {
        let index = usize::try_from(key).map_err(io::Error::other)?;
        let open = self.sockets.get(index).and_then(Option::as_ref);
        let open = open.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        socket::set_tos(&open.socket, open.socket.domain()?, tos)
    }

    /// Whether `key` can be used.
    pub(crate) fn has_place(&self, key: u32) -> bool {
        self.place(key).is_ok()
    }

    /// The place of a key that is not in use.
    fn place(&self, key: u32) -> io::Result<usize> {
        socket::place(&self.sockets, key)
    }

    /// Closes the socket `key` once what is queued on it has been sent; its port is free afterwards.
    pub(crate) fn close(&mut self, key: u32) {
        let _closed_when_dropped = self.detach(key);
    }

    /// Ends the receive of the socket `key`.
    pub(crate) fn quiet(&mut self, key: u32) {
        let Ok(index) = usize::try_from(key) else { return };
        let Some(Some(socket)) = self.sockets.get_mut(index) else { return };
        if mem::replace(&mut socket.quieting, true) {
            return;
        }
        if socket.armed {
            self.cancel_receive(key, index);
        } else {
            self.quiet.push(key);
        }
    }

    /// Takes the socket `key` out of the ring once what is queued on it has been sent.
    pub(crate) fn detach(&mut self, key: u32) -> Option<OwnedFd> {
        let index = usize::try_from(key).ok()?;
        let leaving = self.sockets.get_mut(index)?.take()?;
        self.quiet.retain(|&leaving| leaving != key);
        if leaving.armed && !leaving.quieting {
            self.cancel_receive(key, index);
        }
        // Queued sends name the socket by its place in the file table, so they go out before the
        // place is emptied; the completions are left for the next wait.
        let entered = self.enter(1, Duration::ZERO);
        let emptied = self.ring.submitter().register_files_update(key, &[-1]);
        if entered.is_err() || emptied.is_err() {
            self.counters.socket_errors += 1;
        }
        Some(leaving.socket.into())
    }

    /// Queues the end of a multishot receive.
    fn cancel_receive(&mut self, key: u32, index: usize) {
        let target = Token::Receive { key, generation: self.generations[index] }.encode();
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(target)).build();
        self.push(cancel.user_data(Token::Cancel.encode()));
    }

    /// Submits what is queued, waits up to `timeout` for something to happen, and adds it to `batch`.
    pub(crate) fn wait(&mut self, timeout: Duration, batch: &mut Vec<Arrival>) -> io::Result<()> {
        self.counters.waits += 1;
        self.push_deferred();
        self.offer();
        self.rearm_receives();
        let timeout = if self.quiet.is_empty() { timeout } else { Duration::ZERO };
        batch.extend(self.quiet.drain(..).map(|key| Arrival::Quiet { key }));
        if self.ring.completion().is_empty() {
            // The completions of queued sends come at once and are not worth waking up for; the first
            // packet is: to wait for more cost more (`adr/0002-a-wait-ends-with-the-first-packet.md`).
            self.enter(self.sends_in_flight + 1, timeout)?;
        } else {
            self.submit()?;
        }
        let mut completions = mem::take(&mut self.completions);
        let queue = self.ring.completion();
        completions.extend(
            queue.take(self.batch_max * 2).map(|entry| (entry.user_data(), entry.result(), entry.flags())),
        );
        for (data, result, flags) in completions.drain(..) {
            self.complete(data, result, flags, batch);
        }
        self.completions = completions;
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
    pub(crate) fn send(&mut self, key: u32, remote: SocketAddr, mut slot: Slot, range: Range<usize>) {
        let open = usize::try_from(key).ok().and_then(|index| self.sockets.get(index));
        if !matches!(open, Some(Some(_))) {
            self.counters.send_unopened += 1;
            self.release(slot);
            return;
        }
        let destination_bytes = address::encode(remote, self.arena.destination_mut(&mut slot));
        let (packet, length) = self.arena.range_ptr(&slot, &range);
        let index = slot.index();
        let entry = opcode::Send::new(Fixed(key), packet.cast_const(), u32::from(length))
            .dest_addr(self.arena.destination_ptr(&slot).cast())
            .dest_addr_len(u32::try_from(destination_bytes).expect("an address is small"))
            // A full send buffer drops the packet: one that waits would be late, and would hold its slot.
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .build()
            .user_data(Token::Send { slot: index }.encode());
        self.lent[usize::from(index)] = Some(Loan { lent: slot.lend(), sending: Some(key) });
        self.sends_in_flight += 1;
        self.push(entry);
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
            return;
        }
        self.spare.push(slot);
    }

    /// Offers the kernel as many slots to receive into as it is to have, those used last first.
    fn offer(&mut self) {
        if mem::take(&mut self.starved) {
            self.offered = self.offered.saturating_mul(2).min(self.receive_slots);
        }
        while self.buffers.available() < self.offered {
            let Some(slot) = self.spare.pop() else { break };
            let index = usize::from(slot.index());
            self.lent[index] = Some(Loan { lent: self.buffers.put(&self.arena, slot), sending: None });
        }
        self.buffers.publish();
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Acts on one completion.
    fn complete(&mut self, data: u64, result: i32, flags: u32, batch: &mut Vec<Arrival>) {
        if !cqueue::more(flags) {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        match Token::decode(data) {
            Some(Token::Receive { key, generation }) => self.received(key, generation, result, flags, batch),
            Some(Token::Send { slot }) => self.sent(slot, result, batch),
            Some(Token::Wake) => {
                self.waker.silence();
                if !cqueue::more(flags) {
                    self.arm_wake();
                }
                batch.push(Arrival::Woken);
            }
            Some(Token::Cancel) | None => {}
        }
    }

    /// A receive brought a packet, an error, or its end.
    fn received(&mut self, key: u32, generation: u32, result: i32, flags: u32, batch: &mut Vec<Arrival>) {
        let index = usize::try_from(key).expect("a key of the table");
        let open = self.sockets[index].as_mut().filter(|_| self.generations[index] == generation);
        let current = open.is_some();
        if let Some(socket) = open.filter(|_| !cqueue::more(flags)) {
            socket.armed = false;
            if socket.quieting {
                // Behind the datagram that this completion may have brought: the next wait tells it.
                self.quiet.push(key);
            } else {
                self.rearm.push((key, generation));
            }
        }
        if let Some(slot) = cqueue::buffer_select(flags) {
            let loan = self.lent[usize::from(slot)].take().expect("the kernel fills slots it was lent");
            self.buffers.taken();
            let mut slot = loan.lent.returned();
            match self.datagram(&mut slot, result) {
                Some(remote) if current => {
                    self.counters.packets_received += 1;
                    batch.push(Arrival::Datagram { key, remote, slot });
                }
                found => {
                    if found.is_some() {
                        self.counters.late += 1;
                    }
                    self.release(slot);
                }
            }
            return;
        }
        match -result {
            libc::ENOBUFS => {
                self.counters.receive_starved += 1;
                self.starved = true;
            }
            libc::ECANCELED => {}
            error if error > 0 && current => {
                self.counters.socket_errors += 1;
                batch.push(Arrival::Failed { key, error: io::Error::from_raw_os_error(error) });
            }
            _ => {}
        }
    }

    /// Reads the head of a received slot; the sender, if the datagram is whole and has one.
    fn datagram(&mut self, slot: &mut Slot, result: i32) -> Option<SocketAddr> {
        let total = usize::try_from(result).ok()?;
        let head = self.arena.head(slot);
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name_bytes, message_flags) = (word(0), word(12));
        if message_flags & libc::MSG_TRUNC.cast_unsigned() != 0 {
            self.counters.truncated += 1;
            return None;
        }
        let name_bytes = usize::try_from(name_bytes).ok()?.min(NAME_ROOM);
        let remote = address::decode(&head[HEADER_BYTES..HEADER_BYTES + name_bytes])?;
        let length = total.checked_sub(PACKET_OFFSET)?.min(PAYLOAD_MAX);
        slot.set_length(length);
        Some(remote)
    }

    /// The kernel is done with the packet of a slot.
    fn sent(&mut self, slot: u16, result: i32, batch: &mut Vec<Arrival>) {
        let loan = self.lent[usize::from(slot)].take().expect("only a lent slot is sent");
        self.sends_in_flight -= 1;
        self.release(loan.lent.returned());
        match -result {
            libc::EAGAIN => self.counters.send_full += 1,
            error if error > 0 => {
                self.counters.send_failed += 1;
                if let Some(key) = loan.sending {
                    batch.push(Arrival::Failed { key, error: io::Error::from_raw_os_error(error) });
                }
            }
            _ => self.counters.packets_sent += 1,
        }
    }

    /// Starts the receives that have ended, if there are slots for them.
    fn rearm_receives(&mut self) {
        if self.rearm.is_empty() || self.buffers.available() == 0 {
            return;
        }
        let mut ended = mem::take(&mut self.rearm);
        for (key, generation) in ended.drain(..) {
            let index = usize::try_from(key).expect("a key of the table");
            if self.generations[index] == generation {
                self.arm_receive(key, generation);
            }
        }
        self.rearm = ended;
    }

    /// Queues the multishot receive of an open socket.
    fn arm_receive(&mut self, key: u32, generation: u32) {
        let index = usize::try_from(key).expect("a key of the table");
        let Some(socket) = &mut self.sockets[index] else { return };
        if socket.quieting || mem::replace(&mut socket.armed, true) {
            return;
        }
        let layout: *const libc::msghdr = &**self.layout;
        let entry = opcode::RecvMsgMulti::new(Fixed(key), layout, BUFFER_GROUP)
            .build()
            .user_data(Token::Receive { key, generation }.encode());
        self.push(entry);
    }

    /// Queues the watch on the mailbox.
    fn arm_wake(&mut self) {
        let readable = u32::try_from(libc::POLLIN).expect("poll flags are positive");
        let entry = opcode::PollAdd::new(Fd(self.waker.descriptor()), readable)
            .multi(true)
            .build()
            .user_data(Token::Wake.encode());
        self.push(entry);
    }

    /// Queues a submission. One that finds no room, even after submitting, is kept for the next wait.
    fn push(&mut self, entry: squeue::Entry) {
        self.in_flight += 1;
        if !self.deferred.is_empty() || !self.push_now(&entry) {
            self.deferred.push_back(entry);
        }
    }

    /// Puts an entry into the submission queue, making room first if there is none; false if there still is none.
    fn push_now(&mut self, entry: &squeue::Entry) -> bool {
        if self.ring.submission().is_full() && self.submit().is_err() {
            self.counters.socket_errors += 1;
        }
        // SAFETY: whatever the entry points to stays valid until its completion: slots are lent (out
        // of reach in `lent`), the receive layout and the arena are freed only after `drop` has seen
        // every submission complete, and the eventfd belongs to the waker this driver holds.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Puts what found no room before into the submission queue, in order.
    fn push_deferred(&mut self) {
        while let Some(entry) = self.deferred.pop_front() {
            if !self.push_now(&entry) {
                self.deferred.push_front(entry);
                return;
            }
        }
    }

    /// Submits what is queued without waiting.
    fn submit(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        forgive(self.ring.submit())
    }

    /// Submits what is queued, and waits for `wanted` completions or until `timeout` has passed.
    fn enter(&mut self, wanted: usize, timeout: Duration) -> io::Result<()> {
        let time = Timespec::from(timeout);
        let arguments = SubmitArgs::new().timespec(&time);
        forgive(self.ring.submitter().submit_with_args(wanted, &arguments))
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.sockets.iter_mut().for_each(|socket| drop(socket.take()));
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(cancel.user_data(Token::Cancel.encode()));
        for _round in 0..DROP_ROUNDS {
            self.push_deferred();
            if self.in_flight == 0 || self.enter(1, DROP_ROUND).is_err() {
                break;
            }
            let ended = self.ring.completion().filter(|entry| !cqueue::more(entry.flags())).count();
            self.in_flight = self.in_flight.saturating_sub(ended);
        }
        // SAFETY: dropped once, here, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
        if self.in_flight > 0 {
            // The kernel may still write: the memory is leaked rather than given to someone else.
            return;
        }
        // SAFETY: every submission has completed and the ring is closed, so the kernel uses none of
        // this memory any more; each is dropped once, here.
        unsafe {
            ManuallyDrop::drop(&mut self.buffers);
            ManuallyDrop::drop(&mut self.layout);
            ManuallyDrop::drop(&mut self.arena);
        }
    }
}

/// Asks the kernel whether it knows each operation that is used.
fn probe(ring: &IoUring) -> Result<(), String> {
    let mut known = Probe::new();
    ring.submitter().register_probe(&mut known).map_err(|error| refused("a probe", &error))?;
    let needed = [
        ("SEND", opcode::Send::CODE),
        ("RECVMSG", opcode::RecvMsgMulti::CODE),
        ("POLL_ADD", opcode::PollAdd::CODE),
        ("ASYNC_CANCEL", opcode::AsyncCancel2::CODE),
    ];
    for (name, code) in needed {
        if !known.is_supported(code) {
            return Err(format!("the kernel's io_uring lacks {name}"));
        }
    }
    Ok(())
}

/// A sentence about a step the kernel refused.
fn refused(step: &str, error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(libc::ENOSYS) => " (the kernel has no io_uring)",
        Some(libc::EPERM | libc::EACCES) => " (forbidden by kernel.io_uring_disabled or a seccomp profile)",
        Some(libc::EINVAL) => " (the kernel is older than 6.1)",
        Some(libc::ENOMEM) => " (the memory lock limit is too low)",
        Some(libc::EMFILE) => " (the descriptor limit is too low)",
        _ => "",
    };
    format!("the kernel refused {step}: {error}{hint}")
}

/// Takes the errors that mean "nothing happened yet" as success.
fn forgive(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // Timed out, interrupted, or told to take completions first, which the caller does next.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

/// Bytes the kernel puts at the start of a slot of a multishot receive: the lengths of the sender's
/// address, of control data and of the packet, and the message's flags, 32 bits each.
const HEADER_BYTES: usize = 16;

/// Room for the sender's address, up to where the packet begins.
const NAME_ROOM: usize = PACKET_OFFSET - HEADER_BYTES;

/// Slots offered to the kernel at first: what a busy worker receives between two waits, many times over.
const OFFERED_MIN: u16 = 128;

/// Entries of the submission queue; when it is full it is submitted early.
const SUBMISSIONS: u32 = 512;

/// How often, and each time how long, a driver being dropped waits for the kernel to let go.
const DROP_ROUNDS: usize = 50;
const DROP_ROUND: Duration = Duration::from_millis(20);
