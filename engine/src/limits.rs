//! How many sockets there may be, and the descriptor limit that allows them.

use std::collections::HashSet;

use driver::raise_descriptor_limit;

use crate::config::Config;
use crate::edge::TURN_CONNECTIONS_MAX;
use crate::recorder::RECORDINGS_MAX;

/// How many files the process may have open, in the words of rtpengine.
pub(crate) fn open_files() -> String {
    let now = raise_descriptor_limit(0).map_or(0, |limit| limit.now);
    format!("Maximum open-files configured on rtpengine: {now}; cat /proc/{}/limits\n", std::process::id())
}

/// Lets the process have so many files open; the answer, in the words of rtpengine. Ports for media have theirs from the start.
pub(crate) fn set_open_files(wanted: u64) -> String {
    if wanted < OPEN_FILES_MIN {
        return format!("Fail setting open_files to {wanted}; can't set it under {OPEN_FILES_MIN}\n");
    }
    match raise_descriptor_limit(wanted) {
        Ok(limit) if limit.now >= wanted => format!("Success setting open_files to {wanted}\n"),
        // Not permitted (EPERM) is the only reason that the kernel has.
        Ok(_) | Err(_) => format!("Fail setting open_files to {wanted}; errno = 1\n"),
    }
}

/// What rtpengine thinks is the least.
const OPEN_FILES_MIN: u64 = 65_536;

/// Makes room for the sockets the port range can need and returns how many each worker may have.
pub(crate) fn sockets_per_worker(config: &Config) -> u32 {
    let wanted = sockets_wanted(config);
    let workers = u64::from(config.workers);
    let recordings = config.recording.as_ref().map_or(0, |_| DESCRIPTORS_OF_RECORDINGS);
    let besides = DESCRIPTORS_BESIDES + recordings + turn_descriptors(config);
    let total = wanted * workers + besides;
    match raise_descriptor_limit(total) {
        Ok(limit) if limit.now >= total => {
            tracing::info!(
                before = limit.before,
                now = limit.now,
                "descriptor limit suffices for the port range"
            );
        }
        Ok(limit) => {
            let room = limit.now.saturating_sub(besides);
            let calls = room / SOCKETS_PER_CALL;
            if covers_sessions(room, config.sessions_max) {
                tracing::info!(
                    now = limit.now,
                    calls,
                    "descriptor limit is below the port range and suffices for max-sessions"
                );
            } else {
                tracing::warn!(
                    now = limit.now,
                    hard = limit.hard,
                    wanted = total,
                    calls,
                    "descriptor limit may not be raised for the whole port range: there is room for so many \
                     calls of one audio stream, and further ones are refused with `Ran out of ports` \
                     (raise LimitNOFILE, or lower max-sessions)"
                );
            }
            let share = room / workers;
            return u32::try_from(share.clamp(2, wanted)).unwrap_or(u32::MAX);
        }
        Err(error) => tracing::warn!(%error, "descriptor limit cannot be read"),
    }
    u32::try_from(wanted).unwrap_or(u32::MAX)
}

/// Listening sockets of the TURN server, and connections of its clients. Relayed sockets have ports of the range.
fn turn_descriptors(config: &Config) -> u64 {
    let Some(turn) = &config.turn else { return 0 };
    let count = |addresses: &[_]| u64::try_from(addresses.len()).unwrap_or(u64::MAX);
    let streams = count(&turn.listeners) + count(&turn.tls_listeners);
    let clients = TURN_CONNECTIONS_MAX.min(turn.live.limits.allocations_max);
    count(&turn.listeners) * u64::from(config.workers) + streams * u64::try_from(clients).unwrap_or(u64::MAX)
}

/// Whether calls of one audio stream, as many as there may be, find room for their sockets.
fn covers_sessions(room: u64, sessions_max: usize) -> bool {
    u64::try_from(sessions_max).unwrap_or(u64::MAX).saturating_mul(SOCKETS_PER_CALL) <= room
}

/// Sockets of one worker when all its ports are in use on all addresses.
pub(crate) fn sockets_wanted(config: &Config) -> u64 {
    let addresses: HashSet<_> = config.interfaces.iter().map(|interface| interface.address).collect();
    let ports = u64::from(config.port_max - config.port_min) + 1;
    let share = ports.div_ceil(2).div_ceil(u64::from(config.workers)) * 2;
    share * u64::try_from(addresses.len()).unwrap_or(1)
}

/// Descriptors for everything but media: rings, mailboxes, NG sockets, logs, and room to spare.
const DESCRIPTORS_BESIDES: u64 = 128;

/// The packets and the sheet of every recording there may be.
const DESCRIPTORS_OF_RECORDINGS: u64 = 2 * RECORDINGS_MAX as u64;

/// RTP and RTCP, toward each side.
const SOCKETS_PER_CALL: u64 = 4;

#[cfg(test)]
mod tests {
    use crate::RawConfig;

    use super::*;

    #[test]
    fn a_socket_is_wanted_for_each_port_of_each_address() {
        let config = |interfaces: &[&str], workers| {
            RawConfig {
                interface: interfaces.iter().map(ToString::to_string).collect(),
                port_min: Some(20_000),
                port_max: Some(20_099),
                workers: Some(workers),
                ..RawConfig::default()
            }
            .check()
            .expect("sound")
        };
        assert_eq!(sockets_wanted(&config(&["127.0.0.1"], 1)), 100);
        assert_eq!(sockets_wanted(&config(&["a/127.0.0.1", "b/127.0.0.1!192.0.2.1", "::1"], 1)), 200);
        assert_eq!(sockets_wanted(&config(&["127.0.0.1"], 3)), 34);
    }

    #[test]
    fn a_limit_below_the_ports_may_be_enough_for_the_calls() {
        assert!(covers_sessions(19_872, 4_968));
        assert!(!covers_sessions(19_872, 4_969));
        assert!(!covers_sessions(1 << 40, usize::MAX));
    }
}
