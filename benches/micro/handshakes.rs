//! Handshakes of two DTLS ends in one process, and the time that each end takes.

use std::time::Duration;

use rtp::dtls::{
    Association, DATAGRAM_BYTES_MAX, Event, Fingerprints, Identity, Provider, Providers, Role, SrtpKeys,
    Terms,
};
use rtp::srtp::Suite;
use rtp::units::Instant;

/// The pairs whose cost is told: client, then server.
pub(crate) const PAIRS: [(Provider, Provider); 4] = [
    (Provider::Dimpl, Provider::Dimpl),
    (Provider::Dimpl, Provider::OpenSsl),
    (Provider::OpenSsl, Provider::Dimpl),
    (Provider::OpenSsl, Provider::OpenSsl),
];

/// Both parties' certificates and libraries, prepared once.
pub(crate) struct Parties {
    providers: [Providers; 2],
    described: [Fingerprints; 2],
}

/// Two ends after their handshake.
pub(crate) struct Shaken {
    /// Client and server, still there.
    pub(crate) ends: [Association; 2],
    /// The keys of both.
    pub(crate) keys: [SrtpKeys; 2],
    /// What each end's calls took.
    pub(crate) took: [Duration; 2],
}

/// When the handshakes happen.
pub(crate) const NOW: Instant = Instant::from_millis(1000);

impl Parties {
    /// Makes the certificates.
    pub(crate) fn new() -> Parties {
        let base = std::time::Instant::now();
        let party =
            || Providers::new(Identity::generate().expect("a certificate"), base).expect("both libraries");
        let providers = [party(), party()];
        let described =
            [0, 1].map(|index: usize| Fingerprints::one(providers[index].identity().fingerprint()));
        Parties { providers, described }
    }

    /// Lets a client and a server of these providers shake hands.
    pub(crate) fn shake(&self, client: Provider, server: Provider) -> Shaken {
        let mut took = [Duration::ZERO; 2];
        let mut open = |index: usize, provider, role| {
            let expected = Some(&self.described[1 - index]);
            let terms = Terms { provider, role, expected, suites: &Suite::ALL, seed: [9; 32] };
            timed(&mut took[index], || {
                Association::new(&self.providers[index], terms, NOW).expect("an association")
            })
        };
        let mut ends = [open(0, client, Role::Client), open(1, server, Role::Server)];
        let mut keys = [None, None];
        while keys.iter().any(Option::is_none) {
            let mut moved = false;
            for from in [0, 1] {
                let mut room = [0; DATAGRAM_BYTES_MAX];
                while let Some(bytes) = timed(&mut took[from], || ends[from].poll_transmit(&mut room)) {
                    moved = true;
                    let to = 1 - from;
                    timed(&mut took[to], || {
                        ends[to].handle_datagram(NOW, &room[..bytes]).expect("it is wanted")
                    });
                }
                if let Some(Event::Connected(connected)) = ends[from].poll_event() {
                    keys[from] = Some(connected.keys);
                    moved = true;
                }
            }
            assert!(moved, "a handshake without loss does not wait: {ends:?}");
        }
        Shaken { ends, keys: keys.map(|keys| keys.expect("both have keys")), took }
    }
}

fn timed<T>(took: &mut Duration, call: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let result = call();
    *took += start.elapsed();
    result
}
