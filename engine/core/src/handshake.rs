//! The handshake (DTLS) of one half with its party: who is heard, what goes out, what is left of it.
//!
//! Its library costs some 20 KiB. It goes when it can be missed: with the first packet that is authentic under the new
//! keys, for whoever sends it has finished too, else when the association's time to answer again is over.

use std::net::SocketAddr;

use rtp::{
    dtls::{
        Association, DATAGRAM_BYTES_MAX, DatagramDrop, Event, Fingerprints, Provider, Providers, Role, Terms,
    },
    srtp::Suite,
    units::Instant,
};

/// Times that a handshake is begun anew after it failed, where the party begins it: a stranger at a known address may have
/// been who failed.
const WAITS_MAX: u8 = 16;
/// The same where we begin: once more, with the other library.
const BEGINS_MAX: u8 = 2;

/// The handshake of one half.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// Which of its media's it is.
    pub(crate) number: u32,
    /// `None` once nothing more will come of it.
    at_work: Option<Box<AtWork>>,
    /// It came to nothing.
    failed: bool,
}

#[derive(Debug)]
struct AtWork {
    association: Association,
    providers: Providers,
    expected: Fingerprints,
    /// Where the party that has begun is; of one that waits, where its description says.
    peer: Option<SocketAddr>,
    tries: u8,
}

/// Whom a handshake is to be made with.
pub(crate) struct With<'a> {
    pub(crate) providers: &'a Providers,
    pub(crate) expected: &'a Fingerprints,
    pub(crate) role: Role,
    pub(crate) provider: Provider,
}

impl Handshake {
    /// Begins, or waits for the party to begin.
    pub(crate) fn open(number: u32, with: &With<'_>, seed: [u8; 32], now: Instant) -> Self {
        let association = associate(with, seed, now);
        let at_work = association.map(|association| {
            Box::new(AtWork {
                association,
                providers: with.providers.clone(),
                expected: with.expected.clone(),
                peer: None,
                tries: 1,
            })
        });
        Self { number, failed: at_work.is_none(), at_work }
    }

    /// Whether a party is heard that is not where it is known to be: it may begin, and prove by its certificate who it is.
    pub(crate) fn is_waiting(&self) -> bool {
        self.at_work.as_ref().is_some_and(|work| work.association.role() == Role::Server)
    }

    /// It came to nothing, and a new offer or answer may try again.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Takes a datagram in.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), DatagramDrop> {
        let work = self.at_work.as_deref_mut().ok_or(DatagramDrop::Over)?;
        if work.association.role() == Role::Server {
            if work.association.is_listening() {
                // Whoever is answered is the one who asks.
                work.peer = Some(remote);
            } else if work.peer != Some(remote) {
                return Err(DatagramDrop::Challenging);
            }
        }
        work.association.handle_datagram(now, datagram)
    }

    /// Lets time pass.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(work) = &mut self.at_work else { return };
        if work.association.next_deadline().is_some_and(|at| at <= now) {
            work.association.handle_timeout(now);
        }
        if work.association.is_established() && work.association.next_deadline().is_none() {
            self.at_work = None;
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.at_work.as_ref()?.association.next_deadline()
    }

    /// A packet came that is authentic under its keys.
    pub(crate) fn prove(&mut self) {
        self.at_work.take_if(|work| work.association.is_established());
    }

    /// Where the party is that has begun; `None` where its packets go.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.at_work.as_ref()?.peer
    }

    /// Writes the next datagram to be sent into `room`; its length.
    pub(crate) fn poll_transmit(&mut self, room: &mut [u8; DATAGRAM_BYTES_MAX]) -> Option<usize> {
        self.at_work.as_mut()?.association.poll_transmit(room)
    }

    /// What happened. After a failure [`retry`](Self::retry) is to be asked; what the party closed is over.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let event = self.at_work.as_mut()?.association.poll_event()?;
        if event == Event::Closed {
            self.at_work = None;
        }
        Some(event)
    }

    /// Whom the party's description names, and by which library it was tried.
    pub(crate) fn tried(&self) -> Option<(&Fingerprints, Provider)> {
        self.at_work.as_ref().map(|work| (&work.expected, work.association.provider()))
    }

    /// After a failure: tries once more, if that may do and was not done too often. Whether it does.
    pub(crate) fn retry(
        &mut self,
        provider: Provider,
        other_may_do: bool,
        seed: [u8; 32],
        now: Instant,
    ) -> bool {
        let Some(mut work) = self.at_work.take() else { return false };
        let role = work.association.role();
        let again = match role {
            Role::Server => work.tries < WAITS_MAX,
            Role::Client => other_may_do && work.tries < BEGINS_MAX,
        };
        let with = With { providers: &work.providers, expected: &work.expected, role, provider };
        let Some(association) = again.then(|| associate(&with, seed, now)).flatten() else {
            self.failed = true;
            return false;
        };
        (work.association, work.peer, work.tries) = (association, None, work.tries + 1);
        self.at_work = Some(work);
        true
    }
}

fn associate(with: &With<'_>, seed: [u8; 32], now: Instant) -> Option<Association> {
    let terms = Terms {
        provider: with.provider,
        role: with.role,
        expected: Some(with.expected),
        suites: &Suite::ALL,
        seed,
    };
    Association::new(with.providers, terms, now).ok()
}
