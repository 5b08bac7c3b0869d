//! The system calls of the epoll driver, each behind a safe function.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::address::{self, ADDRESS_BYTES};
use crate::arena::{Arena, PAYLOAD_MAX, Slot};
use std::net::SocketAddr;
use std::ops::Range;

/// An epoll instance.
pub(crate) struct Poll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// An instance that reports at most `events_max` descriptors at a time.
    pub(crate) fn new(events_max: usize) -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointer; its result is checked before use.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, is open, and has no other owner.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; events_max] })
    }

    /// Watches a descriptor for something to read; `token` comes back with the report.
    pub(crate) fn watch(&self, descriptor: RawFd, token: u64) -> io::Result<()> {
        let events = libc::EPOLLIN.cast_unsigned();
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: the event lives across the call, which copies it.
        let result = unsafe {
            libc::epoll_ctl(self.descriptor.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Watches a descriptor no longer; one that is not watched is left alone.
    pub(crate) fn forget(&self, descriptor: RawFd) {
        // SAFETY: removing takes no event; a descriptor that is not watched is refused without effect.
        let _not_watched = unsafe {
            libc::epoll_ctl(
                self.descriptor.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                descriptor,
                ptr::null_mut::<libc::epoll_event>(),
            )
        };
    }

    /// Waits up to `timeout_ms` and adds the tokens of what is ready to `ready`.
    pub(crate) fn wait(&mut self, timeout_ms: i32, ready: &mut Vec<u64>) -> io::Result<()> {
        let room = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `room` events into a vector of at least that many.
        let count = unsafe {
            libc::epoll_wait(self.descriptor.as_raw_fd(), self.events.as_mut_ptr(), room, timeout_ms)
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        };
        ready.extend(self.events[..count].iter().map(|event| event.u64));
        Ok(())
    }
}

/// The arrays that one `recvmmsg` or `sendmmsg` reads and writes.
pub(crate) struct Messages {
    headers: [libc::mmsghdr; RUN_MAX],
    vectors: [libc::iovec; RUN_MAX],
    names: [[u8; ADDRESS_BYTES]; RUN_MAX],
}

/// One message received.
pub(crate) struct ReceivedMessage {
    /// The sender; `None` if the kernel named none.
    pub(crate) remote: Option<SocketAddr>,
    /// It was longer than a slot.
    pub(crate) truncated: bool,
}

/// Messages at most in one call.
pub(crate) const RUN_MAX: usize = 16;

impl Messages {
    /// Empty arrays.
    pub(crate) fn new() -> Self {
        // SAFETY: mmsghdr and iovec are plain integers and pointers, for which all zeroes is an
        // empty message.
        let (headers, vectors) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self { headers, vectors, names: [[0; ADDRESS_BYTES]; RUN_MAX] }
    }

    /// Receives into the first of `slots`, at most [`RUN_MAX`], and returns how many were filled.
    ///
    /// The slots filled have their length set; the error is the kernel's, `WouldBlock` included.
    pub(crate) fn receive(
        &mut self,
        descriptor: RawFd,
        arena: &mut Arena,
        slots: &mut [Slot],
    ) -> io::Result<usize> {
        let run = slots.len().min(RUN_MAX);
        for (place, slot) in slots[..run].iter().enumerate() {
            self.describe(place, arena.packet_ptr(slot), PAYLOAD_MAX, ADDRESS_BYTES);
        }
        let room = u32::try_from(run).expect("a run is short");
        // SAFETY: the first `run` headers point at vectors, names and slots that live across the
        // call; the slots are held by the caller, so nothing else reads or writes them meanwhile.
        let count = unsafe {
            libc::recvmmsg(descriptor, self.headers.as_mut_ptr(), room, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        let count = usize::try_from(count).map_err(|_negative| io::Error::last_os_error())?;
        for (place, slot) in slots[..count].iter_mut().enumerate() {
            slot.set_length(usize::try_from(self.headers[place].msg_len).unwrap_or(PAYLOAD_MAX));
        }
        Ok(count)
    }

    /// What is known of the message at `place` of the last [`receive`](Self::receive).
    pub(crate) fn received(&self, place: usize) -> ReceivedMessage {
        let header = &self.headers[place].msg_hdr;
        let name_bytes = usize::try_from(header.msg_namelen).unwrap_or(ADDRESS_BYTES).min(ADDRESS_BYTES);
        ReceivedMessage {
            remote: address::decode(&self.names[place][..name_bytes]),
            truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        }
    }

    /// Sends `packets`, at most [`RUN_MAX`], in order; returns how many the kernel took before the
    /// first it refused, or the refusal of the first.
    pub(crate) fn send<'a>(
        &mut self,
        descriptor: RawFd,
        arena: &Arena,
        packets: impl Iterator<Item = (&'a Slot, SocketAddr, &'a Range<usize>)>,
    ) -> io::Result<usize> {
        let mut run = 0;
        for (slot, remote, range) in packets.take(RUN_MAX) {
            let name_bytes = address::encode(remote, &mut self.names[run]);
            let (packet, length) = arena.range_ptr(slot, range);
            self.describe(run, packet, usize::from(length), name_bytes);
            run += 1;
        }
        let room = u32::try_from(run).expect("a run is short");
        // SAFETY: as in `receive`; the kernel only reads the slots.
        let count = unsafe {
            libc::sendmmsg(
                descriptor,
                self.headers.as_mut_ptr(),
                room,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
    }

    /// Points the header at `place` to its vector, its name and a packet.
    fn describe(&mut self, place: usize, packet: *mut u8, length: usize, name_bytes: usize) {
        self.vectors[place] = libc::iovec { iov_base: packet.cast(), iov_len: length };
        let header = &mut self.headers[place].msg_hdr;
        header.msg_name = self.names[place].as_mut_ptr().cast();
        header.msg_namelen = u32::try_from(name_bytes).expect("an address is small");
        header.msg_iov = &mut self.vectors[place];
        header.msg_iovlen = 1;
        header.msg_control = ptr::null_mut();
        header.msg_controllen = 0;
        header.msg_flags = 0;
        self.headers[place].msg_len = 0;
    }
}
