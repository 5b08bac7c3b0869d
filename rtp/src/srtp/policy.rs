//! What was agreed for one direction: the suite, its keys, and what is left out.

use super::{KEYS_MAX, MasterKey, Mki, PolicyError, Suite};

/// How packets of one direction are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Cipher and authentication.
    pub suite: Suite,
    /// The master keys, one to [`KEYS_MAX`]; the first is sent under until its lifetime ends, then the next.
    pub keys: Vec<KeyParameters>,
    /// What is left out.
    pub parameters: SessionParameters,
}

impl Policy {
    /// Packets under one key, encrypted and authenticated.
    pub fn new(suite: Suite, key: MasterKey) -> Self {
        let keys = vec![KeyParameters { key, mki: None, lifetime: None }];
        Self { suite, keys, parameters: SessionParameters::default() }
    }

    /// Bytes of the master key identifier in every packet, 0 without one.
    pub fn mki_bytes(&self) -> usize {
        self.keys.first().and_then(|key| key.mki).map_or(0, Mki::bytes)
    }

    /// Whether keys, lengths, identifiers and parameters can be used together.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.keys.is_empty() || self.keys.len() > KEYS_MAX {
            return Err(PolicyError::KeyCount);
        }
        for (at, parameters) in self.keys.iter().enumerate() {
            let KeyParameters { key, mki, lifetime } = parameters;
            if key.key().len() != self.suite.key_bytes() || key.salt().len() != self.suite.salt_bytes() {
                return Err(PolicyError::KeyLength);
            }
            if lifetime.is_some_and(|packets| !(1..=RTP_PACKETS_MAX).contains(&packets)) {
                return Err(PolicyError::Lifetime);
            }
            let before = &self.keys[..at];
            let ambiguous =
                before.iter().any(|other| other.mki == *mki) || mki.map_or(0, Mki::bytes) != self.mki_bytes();
            if ambiguous {
                return Err(PolicyError::Mki);
            }
        }
        if self.suite.is_aead() && self.parameters != SessionParameters::default() {
            return Err(PolicyError::Parameters);
        }
        Ok(())
    }
}

/// One master key of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyParameters {
    /// The key and its salt.
    pub key: MasterKey,
    /// What names it in every packet; needed if there are several.
    pub mki: Option<Mki>,
    /// Most packets of RTP, and most of RTCP, that it may protect; `None` for the bounds of RFC 3711 §9.2.
    pub lifetime: Option<u64>,
}

/// What an offer of RFC 4568 §6.3 may leave out. All are sent in clear or unauthenticated only if both sides said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionParameters {
    /// `UNENCRYPTED_SRTP`: RTP is authenticated only.
    pub unencrypted_srtp: bool,
    /// `UNENCRYPTED_SRTCP`: RTCP is authenticated only.
    pub unencrypted_srtcp: bool,
    /// `UNAUTHENTICATED_SRTP`: RTP carries no tag, and anybody can forge it.
    pub unauthenticated_srtp: bool,
}

/// Most RTP packets under one master key (RFC 3711 §9.2).
pub(super) const RTP_PACKETS_MAX: u64 = 1 << 48;
/// Most RTCP packets under one master key (RFC 3711 §9.2).
pub(super) const RTCP_PACKETS_MAX: u64 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(suite: Suite) -> Policy {
        let key = MasterKey::new(&vec![1; suite.key_bytes()], &vec![2; suite.salt_bytes()]).unwrap();
        Policy::new(suite, key)
    }

    fn with(change: impl FnOnce(&mut Policy)) -> Result<(), PolicyError> {
        let mut changed = policy(Suite::AesCm128HmacSha1_80);
        change(&mut changed);
        changed.check()
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_reason() {
        let second =
            |mki| KeyParameters { key: MasterKey::new(&[3; 16], &[4; 14]).unwrap(), mki, lifetime: None };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|policy| policy.keys.clear()), Err(PolicyError::KeyCount));
        assert_eq!(with(|policy| policy.suite = Suite::AeadAes128Gcm), Err(PolicyError::KeyLength));
        assert_eq!(with(|policy| policy.suite = Suite::Aes192CmHmacSha1_80), Err(PolicyError::KeyLength));
        assert_eq!(with(|policy| policy.keys[0].lifetime = Some(0)), Err(PolicyError::Lifetime));
        assert_eq!(with(|policy| policy.keys[0].lifetime = Some((1 << 48) + 1)), Err(PolicyError::Lifetime));
        assert_eq!(with(|policy| policy.keys.push(second(None))), Err(PolicyError::Mki));
        assert_eq!(with(|policy| policy.keys.push(second(Mki::new(1, 1)))), Err(PolicyError::Mki));
        let two = |first, next| {
            with(|policy| {
                policy.keys[0].mki = first;
                policy.keys.push(second(next));
            })
        };
        assert_eq!(two(Mki::new(1, 1), Mki::new(2, 1)), Ok(()));
        assert_eq!(two(Mki::new(1, 1), Mki::new(1, 1)), Err(PolicyError::Mki));
        assert_eq!(two(Mki::new(1, 1), Mki::new(2, 2)), Err(PolicyError::Mki));
    }

    #[test]
    fn gcm_leaves_nothing_out() {
        let mut policy = policy(Suite::AeadAes256Gcm);
        policy.parameters.unencrypted_srtcp = true;
        assert_eq!(policy.check(), Err(PolicyError::Parameters));
    }
}
