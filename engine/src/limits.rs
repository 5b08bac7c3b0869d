//! How many sockets there may be, and the descriptor limit that allows them.

use std::collections::HashSet;

use driver::raise_descriptor_limit;

use crate::config::Config;

/// Makes room for the sockets the port range can need and returns how many each worker may have.
pub(crate) fn sockets_per_worker(config: &Config) -> u32 {
    let wanted = sockets_wanted(config);
    let workers = u64::from(config.workers);
    let total = wanted * workers + DESCRIPTORS_BESIDES;
    match raise_descriptor_limit(total) {
        Ok(limit) if limit.now >= total => {
            tracing::info!(
                before = limit.before,
                now = limit.now,
                "descriptor limit suffices for the port range"
            );
        }
        Ok(limit) => {
            tracing::warn!(
                now = limit.now,
                hard = limit.hard,
                wanted = total,
                "descriptor limit is too low for the port range and may not be raised: \
                 calls beyond it are refused with `Ran out of ports` (raise LimitNOFILE or narrow the range)"
            );
            let share = limit.now.saturating_sub(DESCRIPTORS_BESIDES) / workers;
            return u32::try_from(share.clamp(2, wanted)).unwrap_or(u32::MAX);
        }
        Err(error) => tracing::warn!(%error, "descriptor limit cannot be read"),
    }
    u32::try_from(wanted).unwrap_or(u32::MAX)
}

/// Sockets of one worker when all its ports are in use on all addresses.
fn sockets_wanted(config: &Config) -> u64 {
    let addresses: HashSet<_> = config.interfaces.iter().map(|interface| interface.address).collect();
    let ports = u64::from(config.port_max - config.port_min) + 1;
    let share = ports.div_ceil(2).div_ceil(u64::from(config.workers)) * 2;
    share * u64::try_from(addresses.len()).unwrap_or(1)
}

/// Descriptors for everything but media: rings, mailboxes, NG sockets, logs, and room to spare.
const DESCRIPTORS_BESIDES: u64 = 128;
