//! Datagram sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip::{FlowId, Hop, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::{DropReason, SendError, Shared};

/// Asked of the kernel for each socket: a burst of some thousand messages.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What an IPv4 datagram holds beside its headers; IPv6 holds 20 bytes more.
const PAYLOAD_BYTES_MAX: usize = 65_507;

/// After a receive error that is not about one datagram.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// The sending half of one listener.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) flow: FlowId,
    pub(super) local: SocketAddr,
    /// A second descriptor of the same socket, because tokio's would first
    /// have to be told by the kernel that it is writable.
    socket: StdSocket,
}

/// The receiving half of one listener.
#[derive(Debug)]
pub(super) struct Receiver {
    flow: FlowId,
    socket: UdpSocket,
    trunks_only: bool,
}

pub(super) fn bind(address: SocketAddr, flow: FlowId, trunks_only: bool) -> io::Result<(Sender, Receiver)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel cuts this to net.core.rmem_max; less only means an earlier loss in a burst.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&address.into())?;
    let socket = StdSocket::from(socket);
    let local = socket.local_addr()?;
    let sender = socket.try_clone()?;
    let receiver = Receiver { flow, socket: UdpSocket::from_std(socket)?, trunks_only };
    Ok((Sender { flow, local, socket: sender }, receiver))
}

/// The socket for a remote that no socket was named for: same family, and
/// loopback to loopback.
pub(super) fn best(senders: &[Sender], remote: SocketAddr) -> Option<&Sender> {
    let fits = |sender: &&Sender| sender.local.is_ipv4() == remote.is_ipv4();
    let near = |sender: &&Sender| sender.local.ip().is_loopback() == remote.ip().is_loopback();
    senders.iter().filter(fits).find(near).or_else(|| senders.iter().find(fits))
}

impl Sender {
    pub(super) fn send(&self, remote: SocketAddr, bytes: &[u8]) -> Result<(), SendError> {
        match self.socket.send_to(bytes, remote) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(SendError(DropReason::SendBufferFull))
            }
            Err(_) if bytes.len() > PAYLOAD_BYTES_MAX => Err(SendError(DropReason::DatagramTooLong)),
            Err(_) => Err(SendError(DropReason::DatagramRefused)),
        }
    }
}

impl Receiver {
    pub(super) async fn run(self, shared: Arc<Shared>) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let (length, remote) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(_) => {
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            if self.trunks_only && !shared.trunks.load().is_trunk_host(remote) {
                shared.drops.count(DropReason::NotATrunk);
                continue;
            }
            let hop = Hop::over(Transport::Udp, remote, self.flow);
            let bytes = Bytes::copy_from_slice(&buffer[..length]);
            shared.receive(hop, bytes).await;
        }
    }
}
