//! Opening a UDP socket for media.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

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

/// Binds one socket for each of `count` workers to one address: the kernel gives all that comes from one peer to the same
/// of them, for as long as all are open. Port 0 lets the kernel choose one for all. Says where they are bound.
///
/// # Errors
/// The kernel's: the address is not ours, or somebody has the port.
pub fn listening(local: SocketAddr, count: u16) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let domain = Domain::for_address(local);
    let make = || {
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        io::Result::Ok(socket)
    };
    // A socket that shares its port is not refused where another process shares it too: this one is.
    let alone = make()?;
    alone.bind(&SockAddr::from(local))?;
    let bound = alone.local_addr()?;
    drop(alone);
    let one = |_| {
        let socket = make()?;
        socket.set_reuse_port(true)?;
        // One socket for many clients. The kernel cuts it to net.core.rmem_max without an error.
        socket.set_recv_buffer_size(LISTENING_BUFFER_BYTES)?;
        socket.bind(&bound)?;
        Ok(socket.into())
    };
    let sockets = (0..count).map(one).collect::<io::Result<_>>()?;
    let bound = bound.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok((bound, sockets))
}

/// What one listening socket may hold back.
const LISTENING_BUFFER_BYTES: usize = 4 * 1024 * 1024;

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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn listening_sockets_share_a_port_that_nobody_else_has() {
        let (address, sockets) = listening(SocketAddr::from(([127, 0, 0, 1], 0)), 3).expect("bound");
        let bound = sockets.into_iter().map(UdpSocket::from).collect::<Vec<_>>();
        let addresses: Vec<_> = bound.iter().map(|socket| socket.local_addr().expect("bound")).collect();
        assert!(addresses.iter().all(|bound| *bound == address && address.port() != 0));
        let error = listening(address, 1).expect_err("somebody has it");
        assert_eq!(OpenFailure::of(&error), OpenFailure::InUse);
    }
}
