//! The road of one datagram: admitted, measured, tapped, sent to its sinks, or dropped for a reason.

use std::{collections::VecDeque, net::SocketAddr};

use rtp::units::Instant;

use crate::{
    counters::{Counters, DropReason},
    io::{Output, SocketId},
    latch::{Cause, Verdict},
    made::Made,
    path::{Path, PathId, PathKind, Paths, Sink},
    rtcp, secure, silence,
    window::Window,
};

/// What the road needs of a shard.
pub(crate) struct Road<'a> {
    pub(crate) paths: &'a mut Paths,
    pub(crate) counters: &'a mut Counters,
    pub(crate) made: &'a mut Made,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    /// The datagram can be sent from where it lies.
    pub(crate) in_slot: bool,
    /// What the datagram taught about where its party is.
    pub(crate) lesson: Option<Lesson>,
    pub(crate) now: Instant,
    pub(crate) wall_ms: u64,
}

/// What a datagram taught about where a party is, for the call to be told. Rare.
#[derive(Debug)]
pub(crate) struct Lesson {
    /// Whose address it is.
    pub(crate) path: PathId,
    pub(crate) taught: Taught,
}

/// See [`Lesson`].
#[derive(Debug)]
pub(crate) enum Taught {
    /// The party is heard from another known address than before.
    Moved,
    /// A stream from an unknown address was taken for the party's.
    Stream(Box<Window>),
    /// None was in time.
    Nobody(Box<Window>),
    /// Whoever is looked for proves itself, and this one did not.
    Stranger,
}

impl Road<'_> {
    /// Handles one datagram that arrived for `path` on `socket`.
    ///
    /// # Errors
    /// Why nobody got it.
    ///
    /// # Cost
    /// Two paths, no search, no allocation, and of the packet itself only the first bytes are read;
    /// one copy for each sink after the first. A side with SRTP costs its cipher, in place.
    pub(crate) fn datagram(
        &mut self,
        path: PathId,
        socket: SocketId,
        remote: SocketAddr,
        packet: &mut [u8],
        length: u16,
    ) -> Result<(), DropReason> {
        let arrived = packet.get_mut(..length.into()).filter(|arrived| !arrived.is_empty());
        let (id, plain) = self.admit(path, remote, arrived.ok_or(DropReason::Size)?)?;
        self.measure(id, &packet[..plain], length);
        self.tap(id, socket, remote, &packet[..plain]);
        if self.consumes(id, &packet[..plain]) {
            return Err(DropReason::Consumed);
        }
        self.send(id, packet, plain)
    }

    /// Whether the party at `path` can be sent to.
    pub(crate) fn reaches(&self, path: PathId) -> bool {
        destination(self.paths, path).is_ok()
    }

    /// Sends a packet of our own to the party at `path`; false, and counted, if it cannot be sent.
    pub(crate) fn originate(&mut self, path: PathId, packet: &[u8]) -> bool {
        let Ok((socket, &remote)) = destination(self.paths, path) else {
            self.counters.copies_dropped += 1;
            return false;
        };
        self.copy(path, socket, remote, packet, false)
    }

    /// Who sent it: the half it belongs to, and how long it is once it is plain.
    fn admit(
        &mut self,
        path: PathId,
        remote: SocketAddr,
        packet: &mut [u8],
    ) -> Result<(PathId, usize), DropReason> {
        let half = self.paths.get_mut(path).ok_or(DropReason::NoSocket)?;
        let path = if half.sibling.is_some() { self.paths.sharing(self.now, path, remote) } else { path };
        let half = self.paths.get_mut(path).ok_or(DropReason::NoSocket)?;
        // Whoever may not send is a stranger, whatever it sends; what is no RTP teaches nothing.
        if half.kind != PathKind::Opaque && !rtcp::is_version_2(packet) {
            half.received.errors += 1;
            let known = half.latch.expects(self.now, half.kind, remote);
            return Err(if known { DropReason::NotRtp } else { DropReason::UnknownSource });
        }
        // On a multiplexed socket RTCP belongs to the other half.
        let id = half.rtcp.filter(|_| rtcp::is_rtcp(packet)).unwrap_or(path);
        let (verdict, length) = if self.paths.is_secure(id) {
            self.prove(path, id, remote, packet)?
        } else {
            let half = self.paths.get_mut(path).ok_or(DropReason::NoSocket)?;
            (half.latch.admit(self.now, half.kind, remote, packet), packet.len())
        };
        let taught = match verdict {
            Verdict::Known | Verdict::Heard => None,
            Verdict::Learned(cause) => {
                self.counters.addresses_learned += 1;
                match cause {
                    Cause::First => None,
                    Cause::Moved => Some(Taught::Moved),
                    Cause::Stream(window) => Some(Taught::Stream(window)),
                }
            }
            verdict @ (Verdict::Undecided | Verdict::Ended(_) | Verdict::Refused) => {
                self.count_error(path);
                let undecided = matches!(verdict, Verdict::Undecided);
                if let Verdict::Ended(window) = verdict {
                    self.lesson = Some(Lesson { path, taught: Taught::Nobody(window) });
                }
                return Err(if undecided { DropReason::Undecided } else { DropReason::UnknownSource });
            }
        };
        if taught.is_some() {
            self.lesson = taught.map(|taught| Lesson { path, taught });
        }
        Ok((id, length))
    }

    /// Who sent a packet that is to be protected: it is authenticated before anything is learned of it, and whoever
    /// would be refused all the same costs no cipher.
    fn prove(
        &mut self,
        path: PathId,
        id: PathId,
        remote: SocketAddr,
        packet: &mut [u8],
    ) -> Result<(Verdict, usize), DropReason> {
        let half = self.paths.get(path).ok_or(DropReason::NoSocket)?;
        let kind = half.kind;
        if !half.latch.expects(self.now, kind, remote) && !half.latch.is_open() {
            return Ok((half.latch.unexpected(remote), packet.len()));
        }
        match self.paths.unprotect(id, packet) {
            Ok(length) => {
                let half = self.paths.get_mut(path).ok_or(DropReason::NoSocket)?;
                if let Some(handshake) = &mut half.handshake {
                    handshake.prove();
                }
                Ok((half.latch.admit_proven(self.now, kind, remote), length))
            }
            Err(reason) => {
                let half = self.paths.get(path).ok_or(DropReason::NoSocket)?;
                // Without keys nobody can tell.
                let disproved = matches!(reason, DropReason::Unauthentic | DropReason::NotSrtp);
                if disproved && !half.latch.expects(self.now, kind, remote) {
                    self.lesson = Some(Lesson { path, taught: Taught::Stranger });
                }
                self.count_error(path);
                Err(reason)
            }
        }
    }

    fn count_error(&mut self, path: PathId) {
        if let Some(half) = self.paths.get_mut(path) {
            half.received.errors += 1;
        }
    }

    /// What is known of a stream from this packet.
    fn measure(&mut self, id: PathId, packet: &[u8], length: u16) {
        let Some(half) = self.paths.get_mut(id) else { return };
        half.received.packets += 1;
        half.received.bytes += u64::from(length);
        half.last_packet = Some(self.now);
        half.last_packet_wall_ms = self.wall_ms;
        match half.kind {
            PathKind::Rtp => self.paths.observe_rtp(id, packet, self.now, self.wall_ms),
            PathKind::Rtcp => self.paths.observe_rtcp(id, packet, self.now),
            PathKind::Opaque => {}
        }
    }

    /// Whether a packet is RTCP in whose place we report ourselves.
    fn consumes(&self, id: PathId, packet: &[u8]) -> bool {
        let rtp = self.paths.get(id).and_then(|half| self.paths.get(half.rtp?));
        rtp.is_some_and(|rtp| rtp.reporter.is_some()) && rtcp::is_reports_only(packet)
    }

    /// What the party sent goes into its recording, whoever may hear it.
    fn tap(&mut self, id: PathId, socket: SocketId, remote: SocketAddr, packet: &[u8]) {
        let Some(recording) = self.paths.get(id).and_then(|half| half.tap) else { return };
        match self.made.put(packet) {
            Some(made) => self.outputs.push_back(Output::Record { recording, socket, remote, made }),
            None => self.counters.copies_dropped += 1,
        }
    }

    /// To everybody who may hear it: the first from the slot it lies in, the others by a copy.
    fn send(&mut self, id: PathId, buffer: &mut [u8], length: usize) -> Result<(), DropReason> {
        let mut first = None;
        let mut refused = DropReason::NoSink;
        let mut place = 0;
        let (mut missed, mut copied) = (0, false);
        let packet = &buffer[..length];
        while let Some(sink) = self.paths.get(id).and_then(|half| half.sinks().nth(place).copied()) {
            place += 1;
            let half = self.paths.get(id).ok_or(DropReason::NoSink)?;
            let silenced = half.kind == PathKind::Rtp && (half.gate.silenced || sink.silenced);
            match open(self.paths, half, &sink, packet).and_then(|()| destination(self.paths, sink.path)) {
                Err(reason) => {
                    missed += 1;
                    if place == 1 {
                        refused = reason;
                    }
                }
                Ok(_) if self.in_slot && first.is_none() => first = Some((sink.path, silenced)),
                Ok((socket, &remote)) => {
                    copied |= self.copy(sink.path, socket, remote, packet, silenced);
                }
            }
        }
        let Some((path, silenced)) = first else { return if copied { Ok(()) } else { Err(refused) } };
        self.counters.sinks_missed += missed;
        if silenced {
            silence::silence(&mut buffer[..length]);
        }
        let length = self.paths.protect(path, buffer, length)?;
        let length = u16::try_from(length).map_err(|_| DropReason::Size)?;
        let (socket, remote) = destination(self.paths, path)?;
        self.outputs.push_back(Output::Transmit { socket, remote: *remote, range: 0..length });
        let sink = self.paths.get_mut(path).ok_or(DropReason::NoSink)?;
        sink.sent.packets += 1;
        sink.sent.bytes += u64::from(length);
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += u64::from(length);
        Ok(())
    }

    /// Sends a copy to the party at `path`; false, and counted, if it cannot be sent.
    fn copy(
        &mut self,
        path: PathId,
        socket: SocketId,
        remote: SocketAddr,
        packet: &[u8],
        silenced: bool,
    ) -> bool {
        let room = if self.paths.is_secure(path) { secure::GROWTH_BYTES_MAX } else { 0 };
        let made = self.made.put_with_room(packet, room).and_then(|made| {
            let buffer = self.made.bytes_mut(&made);
            if silenced {
                silence::silence(&mut buffer[..packet.len()]);
            }
            let length = self.paths.protect(path, buffer, packet.len()).ok()?;
            Some(made.start..made.start + u32::try_from(length).ok()?)
        });
        let Some(made) = made else {
            self.counters.copies_dropped += 1;
            return false;
        };
        if let Some(sink) = self.paths.get_mut(path) {
            sink.sent.packets += 1;
            sink.sent.bytes += made.len() as u64;
        }
        self.counters.copies_sent += 1;
        self.counters.copies_bytes += made.len() as u64;
        self.outputs.push_back(Output::TransmitCopy { socket, remote, made });
        true
    }
}

/// Whether a packet of `half` is, by its negotiated payload type, an event such as a digit (RFC 4733).
fn is_event(half: &Path, packet: &[u8]) -> bool {
    let payload_type = packet.get(1).map(|second| second & 0x7f);
    half.observer.as_deref().zip(payload_type).is_some_and(|(observer, number)| observer.is_event(number))
}

/// Whether a packet of `half` may reach a sink. Digits are blocked apart from everything else, as in rtpengine.
fn open(paths: &Paths, half: &Path, sink: &Sink, packet: &[u8]) -> Result<(), DropReason> {
    // RTCP flows whichever way the media does (RFC 3264 §5.1).
    if half.kind == PathKind::Rtcp {
        return Ok(());
    }
    let (blocked, no_events) = (half.gate.blocked || sink.blocked, half.gate.dtmf_blocked);
    if blocked != no_events {
        // One of the two is blocked, and which of them this is matters.
        if is_event(half, packet) == no_events {
            return Err(DropReason::Blocked);
        }
    } else if blocked {
        return Err(DropReason::Blocked);
    }
    let receives = paths.get(sink.path).ok_or(DropReason::NoSink)?.receives;
    if half.sends && receives { Ok(()) } else { Err(DropReason::Held) }
}

/// From which socket, and to where, the party at `path` is sent to. The address stays where it lies: moved about
/// by value it cost more than all counting together.
pub(crate) fn destination(paths: &Paths, path: PathId) -> Result<(SocketId, &SocketAddr), DropReason> {
    let sink = paths.get(path).ok_or(DropReason::NoSink)?;
    let carrier = match sink.carrier {
        None => sink,
        Some(carrier) => paths.get(carrier).ok_or(DropReason::NoSink)?,
    };
    match (carrier.local, carrier.latch.destination()) {
        (Some(local), Some(remote)) if remote.is_ipv4() == carrier.local_is_ipv4 => Ok((local, remote)),
        _ => Err(DropReason::NoDestination),
    }
}
