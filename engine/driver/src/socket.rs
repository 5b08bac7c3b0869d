//! Opening a UDP socket for media.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// What to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The address and port to bind. Port 0 lets the kernel choose.
    pub local: SocketAddr,
    /// The whole TOS or traffic-class byte of what is sent.
    pub tos: u8,
    /// The only peer, if the socket is to be connected to one.
    pub connected: Option<SocketAddr>,
}

impl Opening {
    /// An unconnected socket at `local`.
    pub fn at(local: SocketAddr, tos: u8) -> Self {
        Self { local, tos, connected: None }
    }
}

/// What kept a socket from being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFailure {
    /// Somebody has the port.
    InUse,
    /// No descriptor, or no place in the socket table, is left.
    NoDescriptor,
    /// The address is not one of this machine, or its family is not there.
    NotAvailable,
    /// Anything else.
    Other,
}

impl OpenFailure {
    /// The kind of an error of [`Driver::open`](crate::Driver::open).
    pub fn of(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::AddrInUse, _) => Self::InUse,
            (io::ErrorKind::AddrNotAvailable, _) | (_, Some(libc::EAFNOSUPPORT)) => Self::NotAvailable,
            (io::ErrorKind::QuotaExceeded, _) | (_, Some(libc::EMFILE | libc::ENFILE)) => Self::NoDescriptor,
            _ => Self::Other,
        }
    }
}

/// The place of a key in a table of sockets, if it has one and nobody is there.
pub(crate) fn place<T>(sockets: &[Option<T>], key: u32) -> io::Result<usize> {
    let index = usize::try_from(key).map_err(io::Error::other)?;
    match sockets.get(index) {
        None => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the socket table is full")),
        Some(Some(_)) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
        Some(None) => Ok(index),
    }
}

/// Opens, sets up and binds a socket.
///
/// No address or port is shared with another socket, and an IPv6 socket is
/// IPv6 only: a port is either ours alone or refused.
pub(crate) fn open(opening: &Opening, receive_buffer_bytes: usize) -> io::Result<Socket> {
    let domain = Domain::for_address(opening.local);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel cuts this to net.core.rmem_max without an error.
    socket.set_recv_buffer_size(receive_buffer_bytes)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    set_tos(&socket, domain, opening.tos)?;
    socket.bind(&SockAddr::from(opening.local))?;
    if let Some(remote) = opening.connected {
        socket.connect(&SockAddr::from(remote))?;
    }
    Ok(socket)
}

/// Sets the byte that marks what a socket sends.
pub(crate) fn set_tos(socket: &Socket, domain: Domain, tos: u8) -> io::Result<()> {
    if domain == Domain::IPV6 {
        socket.set_tclass_v6(u32::from(tos))
    } else {
        socket.set_tos_v4(u32::from(tos))
    }
}
