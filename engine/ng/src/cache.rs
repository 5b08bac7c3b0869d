//! The retry cache: a request that comes again is answered again, never done again.
//!
//! Whoever serves puts every datagram before it; it holds neither socket nor clock.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

/// What makes two datagrams the same request: who sent it, its cookie, and its document.
///
/// The reference daemon looks at the cookie alone, so that a stranger who guesses one reads
/// another's reply, and a client that starts its cookies anew gets old ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    from: SocketAddr,
    cookie: Box<[u8]>,
    document_hash: u64,
    document_bytes: usize,
}

/// What the cache knows of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is new, and is running from now on.
    New(RequestKey),
    /// It is running.
    Running(RequestKey),
    /// It was answered so.
    Answered(Arc<[u8]>),
}

/// Requests of the last minute and their replies.
#[derive(Debug)]
pub struct ReplyCache {
    entries: HashMap<RequestKey, Entry>,
    /// In order of arrival, each with its number and when it is forgotten. One whose entry has
    /// another number was forgotten already.
    order: VecDeque<(u64, u64, RequestKey)>,
    last: u64,
    bytes: usize,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// `None` while it is running.
    reply: Option<Arc<[u8]>>,
}

impl ReplyCache {
    /// How long a reply is kept.
    pub const LIFETIME_NS: u64 = 60_000_000_000;

    /// An empty cache. What documents are told apart by is drawn by the caller, so that nobody outside can choose two alike.
    pub fn new(hasher: RandomState) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), last: 0, bytes: 0, hasher }
    }

    /// Looks a request up; a new one is noted as running.
    pub fn ask(&mut self, now_ns: u64, from: SocketAddr, cookie: &[u8], document: &[u8]) -> Known {
        self.forget_old(now_ns);
        let key = RequestKey {
            from,
            cookie: cookie.into(),
            document_hash: self.hasher.hash_one(document),
            document_bytes: document.len(),
        };
        match self.entries.get(&key).map(|entry| &entry.reply) {
            Some(None) => return Known::Running(key),
            Some(Some(reply)) => return Known::Answered(Arc::clone(reply)),
            None => {}
        }
        // There are no more entries than places in the order.
        while self.order.len() >= ENTRIES_MAX {
            self.forget_first();
        }
        self.last += 1;
        self.entries.insert(key.clone(), Entry { number: self.last, reply: None });
        self.order.push_back((self.last, now_ns.saturating_add(Self::LIFETIME_NS), key.clone()));
        Known::New(key)
    }

    /// Notes the reply of a running request.
    pub fn answer(&mut self, key: &RequestKey, reply: &Arc<[u8]>) {
        // Gone already only if it ran for longer than the cache remembers, or was pushed out.
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.bytes += reply.len();
        let before = entry.reply.replace(Arc::clone(reply));
        self.bytes -= before.map_or(0, |before| before.len());
        while self.bytes > BYTES_MAX {
            self.forget_first();
        }
    }

    /// Forgets a request that was not done, so that it may be tried again.
    pub fn forget(&mut self, key: &RequestKey) {
        if let Some(Entry { reply: Some(reply), .. }) = self.entries.remove(key) {
            self.bytes -= reply.len();
        }
    }

    /// Forgets what is older than a minute.
    pub fn forget_old(&mut self, now_ns: u64) {
        while self.order.front().is_some_and(|(_, until, _)| *until <= now_ns) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((number, _, key)) = self.order.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|entry| entry.number == number) {
            self.forget(&key);
        }
    }
}

/// Requests remembered at most; the oldest is pushed out. About 15 MiB of keys.
const ENTRIES_MAX: usize = 65_536;

/// Bytes of replies at most; the oldest is pushed out.
const BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn new(cache: &mut ReplyCache, now_ns: u64, cookie: &str) -> RequestKey {
        match cache.ask(now_ns, source(1), cookie.as_bytes(), b"d") {
            Known::New(key) => key,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repeat_waits_and_then_gets_the_same_bytes() {
        let mut cache = ReplyCache::new(RandomState::new());
        let key = new(&mut cache, 0, "a");
        assert_eq!(cache.ask(1, source(1), b"a", b"d"), Known::Running(key.clone()));
        let reply: Arc<[u8]> = Arc::from(&b"a ok"[..]);
        cache.answer(&key, &reply);
        assert_eq!(cache.ask(2, source(1), b"a", b"d"), Known::Answered(reply));
    }

    #[test]
    fn another_asker_cookie_or_document_is_another_request() {
        let mut cache = ReplyCache::new(RandomState::new());
        new(&mut cache, 0, "a");
        for (port, cookie, document) in [(2, "a", "d"), (1, "b", "d"), (1, "a", "e")] {
            let known = cache.ask(0, source(port), cookie.as_bytes(), document.as_bytes());
            assert!(matches!(known, Known::New(_)), "{known:?}");
        }
    }

    #[test]
    fn a_reply_is_kept_for_a_minute() {
        let mut cache = ReplyCache::new(RandomState::new());
        let key = new(&mut cache, 0, "a");
        cache.answer(&key, &Arc::from(&b"x"[..]));
        assert!(matches!(cache.ask(ReplyCache::LIFETIME_NS - 1, source(1), b"a", b"d"), Known::Answered(_)));
        assert!(matches!(cache.ask(ReplyCache::LIFETIME_NS, source(1), b"a", b"d"), Known::New(_)));
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn a_request_that_was_not_done_may_be_tried_again() {
        let mut cache = ReplyCache::new(RandomState::new());
        let key = new(&mut cache, 0, "a");
        cache.forget(&key);
        new(&mut cache, 1, "a");
    }

    #[test]
    fn one_that_is_tried_again_and_again_takes_one_place_and_lives_a_minute() {
        let mut cache = ReplyCache::new(RandomState::new());
        for _try in 0..ENTRIES_MAX + 10 {
            let key = new(&mut cache, 0, "a");
            cache.forget(&key);
        }
        assert!(cache.order.len() <= ENTRIES_MAX);
        let mut cache = ReplyCache::new(RandomState::new());
        let key = new(&mut cache, 0, "a");
        cache.forget(&key);
        let key = new(&mut cache, ReplyCache::LIFETIME_NS - 1, "a");
        cache.answer(&key, &Arc::from(&b"x"[..]));
        assert!(matches!(cache.ask(ReplyCache::LIFETIME_NS, source(1), b"a", b"d"), Known::Answered(_)));
    }

    #[test]
    fn count_and_bytes_are_bounded() {
        let mut cache = ReplyCache::new(RandomState::new());
        let reply: Arc<[u8]> = vec![0; 1 << 20].into();
        for number in 0..64 {
            let key = new(&mut cache, 0, &number.to_string());
            cache.answer(&key, &reply);
            assert!(cache.bytes <= BYTES_MAX);
        }
        for number in 0..ENTRIES_MAX + 100 {
            new(&mut cache, 0, &format!("n{number}"));
        }
        assert_eq!((cache.entries.len(), cache.bytes), (ENTRIES_MAX, 0));
        assert!(cache.order.len() <= ENTRIES_MAX + 64);
    }
}
