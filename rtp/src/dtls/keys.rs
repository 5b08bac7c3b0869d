//! What a handshake is for: the SRTP keys that both ends take from it (RFC 5764 §4.2).

use super::Role;
use crate::srtp::{MasterKey, Suite};

/// The label under which the keys are exported (RFC 5764 §4.2).
pub(super) const EXPORT_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// How much a handshake exports for a suite: two keys and two salts.
pub(super) const fn export_bytes(suite: Suite) -> usize {
    2 * suite.master_bytes()
}

/// What both ends of a handshake share after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What was agreed.
    pub suite: Suite,
    /// For what we send.
    pub local: MasterKey,
    /// For what the peer sends.
    pub remote: MasterKey,
}

impl SrtpKeys {
    /// Parts an export into client key, server key, client salt, server salt (RFC 5764 §4.2).
    ///
    /// `None` if it is not as long as the suite wants.
    pub(super) fn from_export(suite: Suite, role: Role, export: &[u8]) -> Option<Self> {
        if export.len() != export_bytes(suite) {
            return None;
        }
        let (keys, salts) = export.split_at(2 * suite.key_bytes());
        let (client_key, server_key) = keys.split_at(suite.key_bytes());
        let (client_salt, server_salt) = salts.split_at(suite.salt_bytes());
        let client = MasterKey::new(client_key, client_salt)?;
        let server = MasterKey::new(server_key, server_salt)?;
        Some(match role {
            Role::Client => Self { suite, local: client, remote: server },
            Role::Server => Self { suite, local: server, remote: client },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_parted_as_rfc5764_has_it() {
        for suite in Suite::ALL {
            let export: Vec<u8> =
                (0..export_bytes(suite)).map(|index| u8::try_from(index).unwrap()).collect();
            let (k, s) = (suite.key_bytes(), suite.salt_bytes());
            let client = SrtpKeys::from_export(suite, Role::Client, &export).unwrap();
            assert_eq!(client.local.key(), &export[..k]);
            assert_eq!(client.remote.key(), &export[k..2 * k]);
            assert_eq!(client.local.salt(), &export[2 * k..2 * k + s]);
            assert_eq!(client.remote.salt(), &export[2 * k + s..]);
            let server = SrtpKeys::from_export(suite, Role::Server, &export).unwrap();
            assert_eq!((server.local, server.remote), (client.remote, client.local));
            assert!(SrtpKeys::from_export(suite, Role::Client, &export[1..]).is_none());
        }
    }
}
