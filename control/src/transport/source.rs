//! What one remote address may do: token buckets in a bounded table.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Whom a limit is counted against: an IPv4 address, or the /64 of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(u128);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Source(u128::from(u32::from(address))),
            // A subscriber usually has a whole /64; counting single addresses
            // would let one host take every slot of the table.
            IpAddr::V6(address) => Source(u128::from(address) >> 64 << 64),
        }
    }
}

/// Sources with a bucket of their own; the rest share one.
pub(super) const SOURCES_MAX: usize = 65_536;

/// Message rates per source. `rate` a second is sustained, twice that in a burst.
///
/// # Cost
/// One lookup; 64 bytes per known source. When the table is full, buckets that
/// have filled up again are forgotten, at most once a second.
#[derive(Debug)]
pub(super) struct Rates {
    rate: u64,
    buckets: HashMap<Source, Bucket>,
    shared: Option<Bucket>,
    swept_at: Option<Instant>,
}

/// Tokens in millionths, filled by elapsed time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    micro_tokens: u64,
    at: Instant,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    fn full(now: Instant, rate: u64) -> Self {
        Self { micro_tokens: 2 * rate * TOKEN, at: now }
    }

    fn refill(&mut self, now: Instant, rate: u64) {
        let elapsed = now.saturating_duration_since(self.at).min(Duration::from_secs(10));
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.micro_tokens = (self.micro_tokens + micros.saturating_mul(rate)).min(2 * rate * TOKEN);
        self.at = now;
    }

    fn take(&mut self, now: Instant, rate: u64) -> bool {
        self.refill(now, rate);
        let enough = self.micro_tokens >= TOKEN;
        if enough {
            self.micro_tokens -= TOKEN;
        }
        enough
    }
}

impl Rates {
    pub(super) fn new(per_second: u32) -> Self {
        Self { rate: u64::from(per_second), buckets: HashMap::new(), shared: None, swept_at: None }
    }

    /// Counts one message of `source` at `now`; false if it is one too many.
    pub(super) fn admit(&mut self, source: Source, now: Instant) -> bool {
        let rate = self.rate;
        let fresh = Bucket::full(now, rate);
        if self.buckets.len() >= SOURCES_MAX && !self.buckets.contains_key(&source) {
            self.sweep(now);
        }
        let bucket = if self.buckets.len() < SOURCES_MAX || self.buckets.contains_key(&source) {
            self.buckets.entry(source).or_insert(fresh)
        } else {
            self.shared.get_or_insert(fresh)
        };
        bucket.take(now, rate)
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept_at.is_some_and(|at| now.saturating_duration_since(at) < Duration::from_secs(1)) {
            return;
        }
        self.swept_at = Some(now);
        let rate = self.rate;
        self.buckets.retain(|_, bucket| {
            bucket.refill(now, rate);
            bucket.micro_tokens < 2 * rate * TOKEN
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::from(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_burst_is_admitted_then_dropped_and_time_heals() {
        let mut rates = Rates::new(4);
        let now = Instant::now();
        assert!((0..8).all(|_| rates.admit(source(1), now)));
        assert!(!rates.admit(source(1), now));
        assert!(rates.admit(source(2), now), "another source is not concerned");
        let later = now + Duration::from_secs(1);
        assert!((0..4).all(|_| rates.admit(source(1), later)));
        assert!(!rates.admit(source(1), later));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_sources_that_went_quiet() {
        let mut rates = Rates::new(1);
        let now = Instant::now();
        for index in 0..SOURCES_MAX as u128 + 10 {
            rates.admit(Source(index), now);
        }
        assert_eq!(rates.buckets.len(), SOURCES_MAX);
        assert!(rates.shared.is_some());
        rates.admit(Source(u128::MAX), now + Duration::from_secs(3));
        assert_eq!(rates.buckets.len(), 1);
    }

    #[test]
    fn ipv6_hosts_of_one_network_are_one_source() {
        let first: IpAddr = "2001:db8::1".parse().expect("address");
        let second: IpAddr = "2001:db8::ffff:2".parse().expect("address");
        let other: IpAddr = "2001:db8:0:1::1".parse().expect("address");
        assert_eq!(Source::from(first), Source::from(second));
        assert_ne!(Source::from(first), Source::from(other));
    }
}
