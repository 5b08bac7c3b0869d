//! Two ends of a DTLS association under any order of exchange, loss, foreign and changed datagrams, and time: keys that
//! both have are the same, what is established stays, and nothing that waits to be sent grows without bound.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rtp::dtls::{
    Association, Connected, DATAGRAM_BYTES_MAX, Event, Fingerprint, Fingerprints, Identity, Provider,
    Providers, Role, Setup, Terms, TlsId,
};
use rtp::srtp::Suite;
use rtp::units::Instant;

/// Operations of one input; more would only make it slower.
const OPERATIONS_MAX: usize = 60;
/// Datagrams that wait at an end, at most.
const WAITING_MAX: usize = 32;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        values(text);
    }
    let Some((&choice, operations)) = data.split_first() else { return };
    let mut bench = Bench::new(choice);
    let mut rest = operations;
    for _ in 0..OPERATIONS_MAX {
        let Some((&operation, behind)) = rest.split_first() else { break };
        rest = bench.run(operation, behind);
        bench.collect();
    }
    bench.judge();
});

/// What descriptions say, read and written.
fn values(text: &str) {
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    if let Ok(setup) = text.parse::<Setup>() {
        assert_eq!(setup.to_string().parse(), Ok(setup));
    }
    if let Ok(tls_id) = text.parse::<TlsId>() {
        assert_eq!(tls_id.to_string().parse(), Ok(tls_id));
    }
    let _ = Fingerprints::parse(text.lines());
}

/// Certificates and libraries, made once for all inputs.
fn parties() -> &'static [Providers; 2] {
    static PARTIES: OnceLock<[Providers; 2]> = OnceLock::new();
    PARTIES.get_or_init(|| {
        let base = std::time::Instant::now();
        [(); 2].map(|()| {
            Providers::new(Identity::generate().expect("a certificate"), base).expect("both libraries")
        })
    })
}

struct Bench {
    now: Instant,
    ends: [Association; 2],
    /// Sent and not yet delivered, with the sender.
    under_way: Vec<(usize, Vec<u8>)>,
    /// The last datagrams, to be repeated and changed.
    seen: Vec<(usize, Vec<u8>)>,
    connected: [Option<Connected>; 2],
    closed: bool,
}

impl Bench {
    fn new(choice: u8) -> Self {
        let now = Instant::from_millis(1000);
        let ends = [0, 1].map(|index: usize| {
            let expected = Fingerprints::one(parties()[1 - index].identity().fingerprint());
            let terms = Terms {
                provider: if choice >> index & 1 == 0 { Provider::Dimpl } else { Provider::OpenSsl },
                role: if index == 0 { Role::Client } else { Role::Server },
                expected: Some(&expected),
                suites: &Suite::ALL,
                seed: [5; 32],
            };
            Association::new(&parties()[index], terms, now).expect("an association")
        });
        let mut bench = Self {
            now,
            ends,
            under_way: Vec::new(),
            seen: Vec::new(),
            connected: [None, None],
            closed: false,
        };
        bench.collect();
        // A choice of how far the handshake is before anybody interferes.
        for _ in 0..choice >> 2 & 15 {
            bench.exchange();
        }
        bench
    }

    /// Runs one operation and returns what it left of the input.
    fn run<'a>(&mut self, operation: u8, rest: &'a [u8]) -> &'a [u8] {
        let (argument, rest) =
            rest.split_first().map_or((0, rest), |(argument, rest)| (usize::from(*argument), rest));
        let to = usize::from(operation >> 7);
        match operation % 8 {
            0 => self.exchange(),
            1 if !self.under_way.is_empty() => {
                drop(self.under_way.swap_remove(argument % self.under_way.len()))
            }
            2 if !self.under_way.is_empty() => {
                let (from, datagram) = self.under_way.swap_remove(argument % self.under_way.len());
                self.deliver(1 - from, &datagram);
            }
            3 if !self.seen.is_empty() => {
                let (from, datagram) = self.seen[argument % self.seen.len()].clone();
                self.deliver(1 - from, &datagram);
            }
            4 if !self.seen.is_empty() => {
                let (_, mut datagram) = self.seen[argument % self.seen.len()].clone();
                let (at, behind) = rest.split_at(rest.len().min(4));
                for change in at.chunks_exact(2) {
                    let length = datagram.len();
                    datagram[usize::from(change[0]) * 5 % length] ^= change[1];
                }
                self.deliver(to, &datagram);
                return behind;
            }
            5 => {
                let (datagram, behind) = rest.split_at(rest.len().min(argument));
                self.deliver(to, datagram);
                return behind;
            }
            6 => {
                self.now = self.now + Duration::from_millis(u64::try_from(argument).expect("a byte") * 20);
                for end in &mut self.ends {
                    end.handle_timeout(self.now);
                    let due = end.next_deadline();
                    assert!(due.is_none_or(|due| due > self.now), "{due:?} at {:?}: {end:?}", self.now);
                }
            }
            7 if argument == 255 => {
                self.ends[to].close();
                self.closed = true;
            }
            _ => {}
        }
        rest
    }

    /// Delivers the oldest datagram.
    fn exchange(&mut self) {
        if !self.under_way.is_empty() {
            let (from, datagram) = self.under_way.remove(0);
            self.deliver(1 - from, &datagram);
        }
        self.collect();
    }

    fn deliver(&mut self, to: usize, datagram: &[u8]) {
        let established = self.ends[to].is_established();
        let _ = self.ends[to].handle_datagram(self.now, datagram);
        // A peer whose own handshake failed may say so under the keys.
        let told = self.closed || self.ends[1 - to].is_over();
        assert!(!established || told || self.ends[to].is_established(), "{:?}", self.ends[to]);
    }

    fn collect(&mut self) {
        for (index, end) in self.ends.iter_mut().enumerate() {
            let mut room = [0; DATAGRAM_BYTES_MAX];
            let mut waiting = 0;
            while let Some(bytes) = end.poll_transmit(&mut room) {
                waiting += 1;
                self.under_way.push((index, room[..bytes].to_vec()));
                self.seen.push((index, room[..bytes].to_vec()));
            }
            assert!(waiting <= WAITING_MAX, "{waiting} datagrams waited");
            while let Some(event) = end.poll_event() {
                if let Event::Connected(connected) = event {
                    assert!(self.connected[index].replace(*connected).is_none(), "keys twice");
                }
            }
        }
        let excess = self.seen.len().saturating_sub(64);
        self.seen.drain(..excess);
        self.under_way.truncate(64);
    }

    fn judge(&self) {
        for (index, connected) in self.connected.iter().enumerate() {
            let Some(connected) = connected else { continue };
            assert_eq!(connected.fingerprint, parties()[1 - index].identity().fingerprint());
        }
        if let [Some(one), Some(two)] = &self.connected {
            assert_eq!(one.keys.suite, two.keys.suite);
            assert_eq!((&one.keys.local, &one.keys.remote), (&two.keys.remote, &two.keys.local));
        }
    }
}
