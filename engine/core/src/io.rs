//! What goes into a shard and what comes out of it.

use std::{net::SocketAddr, ops::Range, time::Duration};

use crate::{
    config::LiveConfig,
    recording::RecordingNote,
    turn::{TurnInput, TurnOutput},
};

/// A socket of a shard: a dense number, given out again only after [`Output::CloseSocket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// A recording of an engine: never the same for two, whichever of its shards they began in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u64);

/// Something that happened to a shard.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived. It stays in the slot it was received into.
    Datagram {
        /// On which socket.
        socket: SocketId,
        /// From where.
        remote: SocketAddr,
        /// The bytes it lies in: the datagram, and behind it room for what it may grow by, such as the tag of SRTP.
        packet: &'a mut [u8],
        /// How many of them are the datagram.
        length: u16,
    },
    /// A client asks; exactly one [`Output::Reply`] with the same `id` follows, maybe later.
    Command {
        /// Chosen by the caller, echoed in the reply.
        id: u64,
        /// What is asked.
        command: ng::Command,
    },
    /// The answer to [`Output::OpenSocket`].
    SocketOpened {
        /// The socket asked for.
        socket: SocketId,
        /// Whether it is open.
        result: Result<(), OpenError>,
    },
    /// The kernel reported an error on a socket, such as ECONNREFUSED. It is counted and ends nothing.
    SocketError {
        /// The socket.
        socket: SocketId,
    },
    /// What was recorded could not be kept: the recording ends, its call goes on.
    RecordingFailed {
        /// The recording.
        recording: RecordingId,
    },
    /// Something for the TURN server besides datagrams.
    Turn(TurnInput<'a>),
    /// New calls are refused for this reason from now on, or taken again. Calls that are known go on.
    Admission(Option<ng::Refusal>),
    /// Other settings are in force.
    Live(Box<LiveConfig>),
    /// Limits are these from now on, for calls that are known too as soon as their timers run out.
    Limits {
        /// Live calls.
        calls_max: usize,
        /// A call in which no packet arrives for so long ends.
        media_timeout: Duration,
        /// The same while every party is on hold.
        silent_timeout: Duration,
    },
    /// A deadline passed.
    Tick,
    /// The engine stops: every call ends, with its report and its event.
    Shutdown,
}

impl<'a> Input<'a> {
    /// A datagram without room behind it. Of one that is longer than a datagram can be, the end is left out.
    pub fn datagram(socket: SocketId, remote: SocketAddr, packet: &'a mut [u8]) -> Self {
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        Self::Datagram { socket, remote, packet, length }
    }
}

/// Why a socket could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has the port: another one is tried.
    #[error("address in use")]
    InUse,
    /// No descriptor is left.
    #[error("too many open files")]
    NoDescriptor,
    /// The address is not one of this machine.
    #[error("address not available")]
    NotAvailable,
    /// Anything else.
    #[error("socket could not be opened")]
    Other,
}

/// Something a shard wants done.
#[derive(Debug)]
pub enum Output {
    /// Send a packet the shard made: bytes of [`Shard::made`](crate::Shard::made), which are there
    /// until the next input.
    TransmitCopy {
        /// From which socket.
        socket: SocketId,
        /// To where.
        remote: SocketAddr,
        /// Which of the bytes.
        made: Range<u32>,
    },
    /// Put a copy of a datagram that arrived into a recording.
    Record {
        /// Which recording.
        recording: RecordingId,
        /// On which socket it arrived.
        socket: SocketId,
        /// From where.
        remote: SocketAddr,
        /// Its bytes, as in `TransmitCopy`.
        made: Range<u32>,
    },
    /// Something about a recording; in order with its packets.
    Recording {
        /// Which recording.
        recording: RecordingId,
        /// What.
        note: RecordingNote,
    },
    /// Send part of the datagram being handled, from its own slot. At most one per datagram.
    Transmit {
        /// From which socket.
        socket: SocketId,
        /// To where.
        remote: SocketAddr,
        /// Which of the bytes it lies in.
        range: Range<u16>,
    },
    /// Open a UDP socket; answered by [`Input::SocketOpened`].
    OpenSocket {
        /// Its number from now on.
        socket: SocketId,
        /// Where it is bound.
        local: SocketAddr,
        /// DSCP byte of what it sends.
        tos: u8,
    },
    /// Let an open socket send with another DSCP byte from now on.
    SetTos {
        /// The socket.
        socket: SocketId,
        /// The byte.
        tos: u8,
    },
    /// Close a socket that was opened. Its number may be used again at once.
    CloseSocket {
        /// The socket.
        socket: SocketId,
    },
    /// The answer to a command.
    Reply {
        /// Of [`Input::Command`].
        id: u64,
        /// The answer.
        reply: Box<ng::Reply>,
    },
    /// Something that the TURN server wants done.
    Turn(TurnOutput),
    /// Something happened to a call, or to one that was refused. Its sequence number is 0: the engine's log gives it one.
    Event(Box<ng::Event>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_packet_leads_to_is_small() {
        assert!(size_of::<Output>() <= 80, "{} bytes are moved twice for every packet", size_of::<Output>());
        assert!(size_of::<Input<'_>>() <= 80, "{} bytes are moved for every packet", size_of::<Input<'_>>());
    }
}
