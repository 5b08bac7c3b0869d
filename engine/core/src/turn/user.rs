//! Whose allocations they are: how many, and how much is relayed for them.

use std::collections::HashMap;

use rtp::units::Instant;

/// A user who has allocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UserKey(u32);

/// Those who have allocations now; never more than there are of these.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_name: HashMap<Box<[u8]>, UserKey>,
    users: Vec<User>,
    free: Vec<u32>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct User {
    name: Box<[u8]>,
    allocations: usize,
    /// What may be relayed to peers, and what to the user's clients.
    pub(super) to_peers: Bucket,
    pub(super) to_clients: Bucket,
}

impl Users {
    /// Allocations that a user has.
    pub(super) fn allocations_of(&self, name: &[u8]) -> usize {
        self.by_name.get(name).map_or(0, |key| self.users[key.0 as usize].allocations)
    }

    /// One more allocation of this user.
    pub(super) fn enter(&mut self, name: &[u8], now: Instant) -> UserKey {
        if let Some(key) = self.by_name.get(name) {
            self.users[key.0 as usize].allocations += 1;
            return *key;
        }
        let (name, key) = (Box::<[u8]>::from(name), self.free.pop());
        let bucket = Bucket { level: 0, since: now };
        let user = User { name: name.clone(), allocations: 1, to_peers: bucket, to_clients: bucket };
        let key = match key {
            Some(index) => {
                self.users[index as usize] = user;
                UserKey(index)
            }
            None => {
                self.users.push(user);
                UserKey(u32::try_from(self.users.len() - 1).expect("there are fewer users than sockets"))
            }
        };
        self.by_name.insert(name, key);
        key
    }

    /// One allocation less; who has none is forgotten.
    pub(super) fn leave(&mut self, key: UserKey) {
        let user = &mut self.users[key.0 as usize];
        user.allocations -= 1;
        if user.allocations == 0 {
            self.by_name.remove(&std::mem::take(&mut user.name));
            self.free.push(key.0);
        }
    }

    /// How a user is called.
    pub(super) fn name(&self, key: UserKey) -> &[u8] {
        &self.users[key.0 as usize].name
    }

    /// A user's accounts.
    pub(super) fn get_mut(&mut self, key: UserKey) -> &mut User {
        &mut self.users[key.0 as usize]
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}

/// A second's worth of bytes that runs out at a rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// Bytes in it.
    level: u64,
    since: Instant,
}

impl Bucket {
    /// Whether so many bytes may go, and if so they went.
    pub(super) fn take(&mut self, now: Instant, bytes_per_second: Option<u64>, bytes: usize) -> bool {
        let Some(rate) = bytes_per_second else { return true };
        let elapsed_ns = now.saturating_since(self.since).as_nanos();
        let gone = u64::try_from(elapsed_ns * u128::from(rate) / NANOS_PER_SECOND).unwrap_or(u64::MAX);
        if gone > 0 {
            self.level = self.level.saturating_sub(gone);
            self.since = now;
        }
        let level = self.level.saturating_add(bytes as u64);
        if level > rate {
            return false;
        }
        self.level = level;
        true
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_lets_a_second_through_and_then_the_rate() {
        let now = Instant::ZERO + Duration::from_secs(9);
        let mut bucket = Bucket { level: 0, since: now };
        assert!((0..10).all(|_| bucket.take(now, Some(1000), 100)));
        assert!(!bucket.take(now, Some(1000), 1));
        let later = now + Duration::from_millis(250);
        assert!(bucket.take(later, Some(1000), 250) && !bucket.take(later, Some(1000), 1));
        assert!(bucket.take(later, None, 1_000_000));
        // What comes often gains nothing by it.
        let sent =
            (0..10_000_u64).filter(|ms| bucket.take(later + Duration::from_micros(ms * 100), Some(1000), 10));
        assert!((90..=101).contains(&sent.count()));
    }

    #[test]
    fn users_are_counted_and_forgotten() {
        let mut users = Users::default();
        let (alice, bob) = (users.enter(b"alice", Instant::ZERO), users.enter(b"bob", Instant::ZERO));
        assert_eq!(users.enter(b"alice", Instant::ZERO), alice);
        assert_eq!((users.allocations_of(b"alice"), users.name(bob), users.len()), (2, &b"bob"[..], 2));
        users.leave(alice);
        users.leave(alice);
        assert_eq!((users.allocations_of(b"alice"), users.len()), (0, 1));
        assert_eq!(users.enter(b"carol", Instant::ZERO), alice);
        assert_eq!((users.name(alice), users.len()), (&b"carol"[..], 2));
    }
}
