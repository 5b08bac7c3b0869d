//! What a TURN server is told at its start, and what of it may change later.

use std::{net::IpAddr, time::Duration};

use ng::Network;
use zeroize::Zeroizing;

use crate::io::SocketId;

/// Everything the TURN server of a shard is told at its start.
#[derive(Debug, Clone)]
pub struct TurnConfig {
    /// Sockets on which clients are heard. Whoever runs the shard has opened them, and closes them when it ends.
    pub listeners: Vec<SocketId>,
    /// The lowest number of a relayed socket. Numbers from this one and from the lowest listener on are no call's.
    pub relayed_from: u32,
    /// Relayed sockets at most.
    pub relayed_max: u32,
    /// What may change.
    pub live: TurnLive,
}

impl TurnConfig {
    /// The lowest number that is not for sockets of calls.
    pub(crate) fn lowest_number(&self) -> u32 {
        self.listeners.iter().map(|listener| listener.0).fold(self.relayed_from, u32::min)
    }
}

/// What may change while clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnLive {
    /// The realm, at most [`REALM_BYTES_MAX`](Self::REALM_BYTES_MAX) bytes.
    pub realm: String,
    /// Secrets that give passwords to user names: any of them is good, at most [`SECRETS_MAX`](Self::SECRETS_MAX).
    pub secrets: Vec<TurnSecret>,
    /// Of which interface relayed addresses are; of the first one's name if there is none.
    pub interface: Option<String>,
    /// Peers that are reached although they lie where nobody else is.
    pub allow_peers: Vec<Network>,
    /// Addresses of this machine besides those of the interfaces.
    pub own: Vec<IpAddr>,
    /// Counts and times.
    pub limits: TurnLimits,
}

impl TurnLive {
    /// A challenge in a longer one would be more than three times what may ask for it.
    pub const REALM_BYTES_MAX: usize = 20;
    /// Each wrong password costs a try of every one.
    pub const SECRETS_MAX: usize = 4;
}

/// A shared secret. It is not shown, and zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnSecret(Zeroizing<Vec<u8>>);

impl TurnSecret {
    /// These bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for TurnSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TurnSecret")
    }
}

/// Counts and times of the TURN server of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnLimits {
    /// Allocations. One more is answered 508.
    pub allocations_max: usize,
    /// Allocations of one user. One more is answered 486.
    pub user_allocations_max: usize,
    /// Bytes a second that are relayed for one user, each way; what is more is dropped.
    pub user_bytes_per_second_max: Option<u64>,
    /// An allocation is refreshed for no longer than this.
    pub lifetime_max: Duration,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self {
            allocations_max: 2000,
            user_allocations_max: 16,
            user_bytes_per_second_max: None,
            lifetime_max: Duration::from_secs(3600),
        }
    }
}
