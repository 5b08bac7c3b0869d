//! How many new requests one source may send.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A token bucket per source address; a bounded number of them.
///
/// An IPv6 source is its /64, since that much is one subscriber's. When the table is full of sources that
/// are not idle, all strangers share one bucket, so that memory and the total rate stay bounded.
#[derive(Debug)]
pub(crate) struct FloodGuard {
    per_second: u32,
    burst: u32,
    sources_max: usize,
    buckets: HashMap<IpAddr, Bucket>,
    strangers: Option<Bucket>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the bucket would be full again: one number holds both level and time.
    full_at: Instant,
}

impl FloodGuard {
    pub(crate) fn new(per_second: u32, burst: u32, sources_max: usize) -> Self {
        let (per_second, burst) = (per_second.max(1), burst.max(1));
        Self { per_second, burst, sources_max, buckets: HashMap::new(), strangers: None, swept: None }
    }

    /// Whether one more new request of `source` is served.
    pub(crate) fn admit(&mut self, now: Instant, source: IpAddr) -> bool {
        let key = subscriber(source);
        let cost = Duration::from_secs(1) / self.per_second;
        let depth = cost * self.burst;
        if self.buckets.len() >= self.sources_max && !self.buckets.contains_key(&key) {
            self.sweep(now);
        }
        let bucket = if self.buckets.len() < self.sources_max || self.buckets.contains_key(&key) {
            self.buckets.entry(key).or_insert(Bucket { full_at: now })
        } else {
            self.strangers.get_or_insert(Bucket { full_at: now })
        };
        let full_at = bucket.full_at.max(now) + cost;
        if full_at > now + depth {
            return false;
        }
        bucket.full_at = full_at;
        true
    }

    /// Forgets sources whose bucket is full; at most once a second, for it walks the table.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|at| now < at + Duration::from_secs(1)) {
            return;
        }
        self.swept = Some(now);
        self.buckets.retain(|_, bucket| bucket.full_at > now);
    }
}

fn subscriber(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> 64 << 64;
            IpAddr::V6(bits.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let now = Instant::now();
        let mut guard = FloodGuard::new(10, 3, 8);
        let admitted = (0..10).filter(|_| guard.admit(now, source("192.0.2.1"))).count();
        assert_eq!(admitted, 3);
        assert!(guard.admit(now, source("192.0.2.2")));
        assert!(guard.admit(now + Duration::from_millis(100), source("192.0.2.1")));
        assert!(!guard.admit(now + Duration::from_millis(101), source("192.0.2.1")));
    }

    #[test]
    fn many_sources_share_one_bucket_beyond_the_table() {
        let now = Instant::now();
        let mut guard = FloodGuard::new(1, 1, 4);
        let admitted = (0..100u8).filter(|n| guard.admit(now, IpAddr::from([192, 0, 2, *n]))).count();
        assert_eq!(admitted, 5);
        assert_eq!(guard.buckets.len(), 4);
        assert!(guard.admit(now + Duration::from_secs(2), source("198.51.100.1")));
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_are_one_source() {
        let now = Instant::now();
        let mut guard = FloodGuard::new(1, 1, 4);
        assert!(guard.admit(now, source("2001:db8::1")));
        assert!(!guard.admit(now, source("2001:db8::2")));
        assert!(guard.admit(now, source("2001:db8:0:1::1")));
    }
}
