//! Nonces a server can recognise without storing them, and the counts used with each.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq;

use super::hash::{hmac_sha256, to_hex};

/// Makes and checks nonces: time, serial number and a MAC over both.
#[derive(Debug)]
pub(super) struct NonceMill {
    secret: [u8; 32],
    serial: u64,
}

/// A nonce of ours. They are in the order they were made, whatever the wall clock does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NonceId {
    serial: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub(super) made_ms: u64,
}

impl NonceMill {
    pub(super) const fn new(secret: [u8; 32]) -> Self {
        Self { secret, serial: 0 }
    }

    pub(super) fn make(&mut self, now_ms: u64, realm: &str) -> String {
        self.serial = self.serial.wrapping_add(1);
        let id = NonceId { made_ms: now_ms, serial: self.serial };
        let mac = self.mac(id, realm);
        format!("{:016x}{:016x}{}", id.made_ms, id.serial, to_hex(&mac))
    }

    /// The parts of `nonce` if we made it for `realm`.
    pub(super) fn check(&self, nonce: &str, realm: &str) -> Option<NonceId> {
        if nonce.len() != 64 || !nonce.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let id = NonceId {
            made_ms: u64::from_str_radix(&nonce[..16], 16).ok()?,
            serial: u64::from_str_radix(&nonce[16..32], 16).ok()?,
        };
        let expected = to_hex(&self.mac(id, realm));
        bool::from(expected.as_bytes().ct_eq(&nonce.as_bytes()[32..])).then_some(id)
    }

    fn mac(&self, id: NonceId, realm: &str) -> [u8; 16] {
        let mut message = Vec::with_capacity(16 + realm.len());
        message.extend_from_slice(&id.made_ms.to_be_bytes());
        message.extend_from_slice(&id.serial.to_be_bytes());
        message.extend_from_slice(realm.as_bytes());
        let mac = hmac_sha256(&self.secret, &message);
        let mut short = [0; 16];
        short.copy_from_slice(&mac[..16]);
        short
    }
}

/// Which nonce counts were used, for at most `nonces_max` nonces.
#[derive(Debug)]
pub(super) struct CountTable {
    windows: BTreeMap<NonceId, Window>,
    nonces_max: usize,
    /// The newest nonce whose window was dropped, for space or for age: it and older
    /// ones that are not in the table may have been used, so they are stale.
    dropped: Option<NonceId>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    /// Bit n: `highest - n` was used.
    used: u64,
}

impl CountTable {
    pub(super) const fn new(nonces_max: usize) -> Self {
        Self { windows: BTreeMap::new(), nonces_max, dropped: None }
    }

    /// Whether `count` would be fresh for this nonce.
    pub(super) fn is_fresh(&self, id: NonceId, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        match self.windows.get(&id) {
            Some(window) => match window.highest.checked_sub(count) {
                Some(back) => back < 64 && window.used & (1 << back) == 0,
                None => true,
            },
            None => self.dropped.is_none_or(|dropped| id > dropped),
        }
    }

    /// Marks `count` used; call only when [`CountTable::is_fresh`] and the response is right.
    pub(super) fn mark(&mut self, id: NonceId, count: u32) {
        let window = self.windows.entry(id).or_insert(Window { highest: 0, used: 0 });
        match window.highest.checked_sub(count) {
            Some(back) if back < 64 => window.used |= 1 << back,
            Some(_) => {}
            None => {
                let ahead = count - window.highest;
                window.used = window.used.checked_shl(ahead).unwrap_or(0) | 1;
                window.highest = count;
            }
        }
        while self.windows.len() > self.nonces_max {
            if let Some((oldest, _)) = self.windows.pop_first() {
                self.dropped = self.dropped.max(Some(oldest));
            }
        }
    }

    /// Forgets nonces made before `oldest_ms`, which are stale anyway.
    pub(super) fn forget_before(&mut self, oldest_ms: u64) {
        while let Some(entry) = self.windows.first_entry() {
            if entry.key().made_ms >= oldest_ms {
                break;
            }
            // Noted, because a wall clock that is set back would make it young again.
            self.dropped = self.dropped.max(Some(entry.remove_entry().0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_nonces_for_the_realm_are_known() {
        let mut mill = NonceMill::new([7; 32]);
        let nonce = mill.make(1234, "r");
        assert_eq!(mill.check(&nonce, "r").map(|id| id.made_ms), Some(1234));
        assert_eq!(mill.check(&nonce, "other"), None);
        assert_eq!(NonceMill::new([8; 32]).check(&nonce, "r"), None);
        assert_ne!(mill.make(1234, "r"), nonce);
        assert_eq!(mill.check(&format!("0{}", &nonce[1..63]), "r"), None);
        assert_eq!(mill.check(&"é".repeat(32), "r"), None);
    }

    #[test]
    fn each_count_is_good_once_within_a_window_of_64() {
        let id = NonceId { made_ms: 1, serial: 1 };
        let mut table = CountTable::new(4);
        for count in [1, 3, 2, 300, 240, 4_294_967_295] {
            assert!(table.is_fresh(id, count), "{count}");
            table.mark(id, count);
            assert!(!table.is_fresh(id, count), "{count} again");
        }
        assert!(!table.is_fresh(id, 0));
        assert!(!table.is_fresh(id, 301), "behind the window");
    }

    #[test]
    fn a_clock_that_is_set_back_neither_revives_a_nonce_nor_kills_new_ones() {
        let mut table = CountTable::new(4);
        let used = NonceId { made_ms: 1_000_000, serial: 1 };
        table.mark(used, 1);
        table.forget_before(1_300_000);
        assert!(!table.is_fresh(used, 1), "recorded earlier, replayed after the clock went back");
        let new = NonceId { made_ms: 500_000, serial: 2 };
        assert!(table.is_fresh(new, 1));
    }

    #[test]
    fn a_nonce_dropped_for_space_is_not_fresh_again() {
        let mut table = CountTable::new(2);
        let ids = [1, 2, 3].map(|serial| NonceId { made_ms: 1, serial });
        for id in ids {
            table.mark(id, 1);
        }
        assert!(!table.is_fresh(ids[0], 1));
        assert!(!table.is_fresh(ids[2], 1));
        assert!(table.is_fresh(NonceId { made_ms: 1, serial: 4 }, 1));
    }
}
