//! The road of one datagram: admitted, counted, sent to its sink, or dropped for a reason.

use std::net::SocketAddr;

use rtp::units::Instant;

use crate::{
    counters::{Counters, DropReason},
    io::{Output, SocketId},
    latch::Verdict,
    path::{PathId, PathKind, Paths},
    rtcp,
};

/// Handles one datagram that arrived for `path`.
///
/// # Errors
/// Why it was dropped.
///
/// # Cost
/// Two paths, no search, no allocation, and of the packet itself only the first bytes are read.
pub(crate) fn datagram(
    paths: &mut Paths,
    counters: &mut Counters,
    (now, wall_ms): (Instant, u64),
    path: PathId,
    remote: SocketAddr,
    packet: &[u8],
) -> Result<Output, DropReason> {
    let length = u16::try_from(packet.len()).ok().filter(|&length| length > 0).ok_or(DropReason::Size)?;
    let bytes = u64::from(length);
    let socket_half = paths.get_mut(path).ok_or(DropReason::NoSocket)?;
    if socket_half.kind != PathKind::Opaque && !rtcp::is_version_2(packet) {
        socket_half.received.errors += 1;
        return Err(DropReason::NotRtp);
    }
    let socket_half = match socket_half.sibling {
        None => socket_half,
        Some(_) => {
            let path = paths.sharing(path, remote);
            paths.get_mut(path).ok_or(DropReason::NoSocket)?
        }
    };
    match socket_half.latch.admit(remote) {
        Verdict::Known => {}
        Verdict::Learned => counters.addresses_learned += 1,
        Verdict::Refused => {
            socket_half.received.errors += 1;
            return Err(DropReason::UnknownSource);
        }
    }
    // On a multiplexed socket RTCP belongs to the other half.
    let half = match socket_half.rtcp {
        Some(rtcp) if rtcp::is_rtcp(packet) => paths.get_mut(rtcp).ok_or(DropReason::NoSink)?,
        _ => socket_half,
    };
    half.received.packets += 1;
    half.received.bytes += bytes;
    half.last_packet = Some(now);
    half.last_packet_wall_ms = wall_ms;
    if half.kind == PathKind::Rtp {
        half.ssrc = rtcp::rtp_ssrc(packet).or(half.ssrc);
    }
    let (kind, sends) = (half.kind, half.sends);
    let sink_id = half.sink.ok_or(DropReason::NoSink)?;
    let sink = paths.get_mut(sink_id).ok_or(DropReason::NoSink)?;
    // RTCP flows whichever way the media does (RFC 3264 §5.1).
    if kind != PathKind::Rtcp && !(sends && sink.receives) {
        return Err(DropReason::Held);
    }
    let carrier = match sink.carrier {
        None => &*sink,
        Some(carrier) => paths.get(carrier).ok_or(DropReason::NoSink)?,
    };
    let (socket, remote) = match (carrier.local, carrier.latch.destination()) {
        (Some(socket), Some(remote)) => (socket, remote),
        _ => return Err(DropReason::NoDestination),
    };
    let sink = paths.get_mut(sink_id).ok_or(DropReason::NoSink)?;
    sink.sent.packets += 1;
    sink.sent.bytes += bytes;
    counters.packets_sent += 1;
    counters.bytes_sent += bytes;
    Ok(transmit(socket, remote, length))
}

fn transmit(socket: SocketId, remote: SocketAddr, length: u16) -> Output {
    Output::Transmit { socket, remote, range: 0..length }
}
