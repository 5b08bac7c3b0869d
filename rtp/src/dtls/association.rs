//! One handshake and what is left of it: datagrams and time in; datagrams, deadlines and events out.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::hello::{Brought, Hello, Hellos};
use super::provider::{Engine, Export, Progress};
use super::record;
use super::{DATAGRAM_BYTES_MAX, Fingerprint, Fingerprints, Provider, Providers, Role, SrtpKeys};
use crate::srtp::Suite;
use crate::units::Instant;

/// Longest handshake, from our first flight or from the hello that we took up.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// How long after its end a handshake can be answered once more, and close_notify be understood; then the library's
/// memory is given back and only the keys, which the caller has, are left.
pub const LINGER: Duration = Duration::from_secs(60);
/// Most datagrams that wait to be polled; the oldest are lost first, as on a wire.
const OUTGOING_MAX: usize = 32;
/// How long a stranger's hello may keep us from another one after we asked its sender to prove its address.
const CHALLENGE_PATIENCE: Duration = Duration::from_secs(1);

/// What one association is to be.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Which library makes the handshake; see [`Provider::choose`].
    pub provider: Provider,
    /// Which end we are.
    pub role: Role,
    /// What the peer's description names; `None` while it has not come. See [`Association::expect`].
    pub expected: Option<&'a Fingerprints>,
    /// The SRTP suites that may be agreed, the preferred one first.
    pub suites: &'a [Suite],
    /// Randomness for cookies, from the caller's generator.
    pub seed: [u8; 32],
}

/// One end of a DTLS association.
///
/// It is [`Send`]: a shard may hand it to a thread that makes the next flight
/// and take it back afterwards.
///
/// | from | event | to |
/// |---|---|---|
/// | handshake | finished, certificate named, suite listed | established |
/// | handshake | finished, no fingerprints yet | handshake, until [`Association::expect`] |
/// | handshake | certificate not named, fatal alert, fault, 30 s | failed |
/// | handshake (server, no hello taken up) | bad hello | handshake, begun anew |
/// | established | close_notify or fatal alert, both protected | closed |
/// | established | anything else | established |
///
/// # Cost
/// A handshake allocates and takes some hundred microseconds of CPU
/// (`benches/micro`, `dtls`). After [`LINGER`] the association is small.
pub struct Association {
    providers: Providers,
    provider: Provider,
    role: Role,
    suites: Vec<Suite>,
    seed: [u8; 32],
    expected: Option<Fingerprints>,
    engine: Option<Box<dyn Engine>>,
    state: State,
    /// A server sent its ServerHello. Always true of a client.
    hello_taken_up: bool,
    challenge: Option<Challenge>,
    last_refusal: Option<FailReason>,
    hellos: Hellos,
    certificate: Option<Vec<u8>>,
    /// Set when the handshake is done: what it exported, if a known suite was agreed.
    finished: Option<Option<Export>>,
    outgoing: VecDeque<Vec<u8>>,
    event: Option<Event>,
    last_event: Option<Event>,
}

/// What the sender of a hello was asked, to prove its address.
struct Challenge {
    random: [u8; 32],
    since: Instant,
    answers: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Handshake,
    Established { until: Instant },
    Closed,
    Failed,
}

impl Association {
    /// A new association. A client's first flight is ready to be polled.
    ///
    /// # Errors
    /// No listed suite is one that the provider can agree to, or the
    /// library has no memory for another one.
    pub fn new(providers: &Providers, terms: Terms<'_>, now: Instant) -> Result<Self, AssociationError> {
        let able = terms.provider.suites();
        let suites: Vec<Suite> = terms.suites.iter().copied().filter(|suite| able.contains(suite)).collect();
        if suites.is_empty() {
            return Err(AssociationError::NoSuite(terms.provider));
        }
        let mut association = Self {
            providers: providers.clone(),
            provider: terms.provider,
            role: terms.role,
            suites,
            seed: terms.seed,
            expected: terms.expected.cloned(),
            engine: None,
            state: State::Handshake,
            hello_taken_up: terms.role == Role::Client,
            challenge: None,
            last_refusal: None,
            hellos: Hellos::default(),
            certificate: None,
            finished: None,
            outgoing: VecDeque::new(),
            event: None,
            last_event: None,
        };
        association.open(now)?;
        Ok(association)
    }

    /// Takes in a datagram from the peer's address.
    ///
    /// # Errors
    /// Why it changed nothing. An error never ends an association; when one
    /// ends, [`Association::poll_event`] says so.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DatagramDrop> {
        if !record::is_well_formed(datagram) {
            return Err(DatagramDrop::Malformed);
        }
        match self.state {
            State::Closed | State::Failed => return Err(DatagramDrop::Over),
            State::Established { .. } if record::is_plain_noise(datagram) => return Err(DatagramDrop::Noise),
            State::Established { .. } | State::Handshake => {}
        }
        if !self.hello_taken_up {
            return match self.hellos.take(datagram) {
                Brought::Hello(hello) => self.handle_hello(now, &hello),
                Brought::Part => Ok(()),
                Brought::Nothing => Err(DatagramDrop::NotAHello),
            };
        }
        let engine = self.engine.as_mut().ok_or(DatagramDrop::Over)?;
        let mut progress = Progress::default();
        let result = engine.handle_datagram(now, datagram, &mut progress);
        self.advance(now, progress);
        result.or_else(|reason| self.fault(reason))
    }

    /// Lets time pass. To be called at [`Association::next_deadline`]; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Established { until } = self.state
            && until <= now
        {
            self.engine = None;
        }
        let Some(engine) = self.engine.as_mut() else { return };
        let mut progress = Progress::default();
        let result = engine.handle_timeout(now, &mut progress);
        match result {
            // dimpl repeats a challenge by its timer, to whom it may not concern: here it is repeated when asked for.
            Ok(()) if !self.hello_taken_up => {}
            Err(_) if !self.hello_taken_up => self.reopen(now),
            Ok(()) => self.advance(now, progress),
            Err(reason) => {
                self.advance(now, progress);
                // Nobody sent anything, so there is nothing to be dropped.
                let _ = self.fault(reason);
            }
        }
    }

    /// The fingerprints of the peer's description, when it comes after the association was made.
    ///
    /// A handshake that is done waits for it with its keys (RFC 5763 §5: the
    /// answer may come after the media). Later ones replace earlier ones only
    /// until the keys are out.
    pub fn expect(&mut self, now: Instant, fingerprints: &Fingerprints) {
        if self.state == State::Handshake {
            self.expected = Some(fingerprints.clone());
            self.judge(now);
        }
    }

    /// Ends the association; an established one tells the peer by close_notify.
    pub fn close(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            let mut progress = Progress::default();
            engine.close(&mut progress);
            self.queue(progress.datagrams);
        }
        if !matches!(self.state, State::Failed) {
            self.state = State::Closed;
        }
    }

    /// Writes the next datagram to be sent into `room` and returns its length.
    ///
    /// None is longer than [`DATAGRAM_BYTES_MAX`]. One that does not fit into
    /// `room` is lost, as on a wire.
    pub fn poll_transmit(&mut self, room: &mut [u8]) -> Option<usize> {
        loop {
            let datagram = self.outgoing.pop_front()?;
            if let Some(room) = room.get_mut(..datagram.len()) {
                room.copy_from_slice(&datagram);
                return Some(datagram.len());
            }
        }
    }

    /// What happened. At most two things do: it connects or fails, and what connected may close.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take().or_else(|| self.last_event.take())
    }

    /// When [`Association::handle_timeout`] is due, `None` if time does not matter.
    pub fn next_deadline(&self) -> Option<Instant> {
        let engine = self.engine.as_ref()?;
        let end = match self.state {
            State::Established { until } => Some(until),
            _ => None,
        };
        engine.next_deadline().into_iter().chain(end).min()
    }

    /// Whether it is a server that has taken up nobody's hello: whoever speaks next may be anybody.
    pub const fn is_listening(&self) -> bool {
        !self.hello_taken_up && matches!(self.state, State::Handshake)
    }

    /// Whether keys were handed out and the peer has not closed.
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established { .. })
    }

    /// Whether it closed or failed: nothing more will come of it.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Failed)
    }

    /// Which end we are.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Which library makes the handshake.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// Why a server refused the last hello that it refused, `None` if it refused none.
    ///
    /// A refused hello ends nothing, for a stranger may have sent it; of an
    /// association that never got another one it says what was wrong.
    pub const fn last_refusal(&self) -> Option<FailReason> {
        self.last_refusal
    }

    fn refuse(&mut self, reason: FailReason) -> DatagramDrop {
        self.last_refusal = Some(reason);
        DatagramDrop::HelloRefused(reason)
    }

    fn open(&mut self, now: Instant) -> Result<(), AssociationError> {
        let mut engine = match self.provider {
            Provider::Dimpl => self.providers.dimpl().open(self.role, now),
            Provider::OpenSsl => self
                .providers
                .openssl()
                .open(self.role, &self.suites, self.seed)
                .ok_or(AssociationError::NoMemory)?,
        };
        let mut progress = Progress::default();
        engine.handle_timeout(now, &mut progress).map_err(|_| AssociationError::NoMemory)?;
        self.engine = Some(engine);
        self.queue(progress.datagrams);
        Ok(())
    }

    /// Begins anew after a hello that came to nothing.
    fn reopen(&mut self, now: Instant) {
        self.challenge = None;
        if self.open(now).is_err() {
            self.fail(FailReason::Protocol);
        }
    }

    fn handle_hello(&mut self, now: Instant, hello: &Hello) -> Result<(), DatagramDrop> {
        if let Some(challenge) = self.challenge.as_ref().filter(|challenge| challenge.random != hello.random)
        {
            // Between a challenge and its answer nobody else is heard. Who lets that time pass is a stranger.
            if hello.cookie || now.saturating_since(challenge.since) < CHALLENGE_PATIENCE {
                return Err(DatagramDrop::Challenging);
            }
            self.reopen(now);
        }
        if hello.second && self.challenge.is_none() {
            return Err(self.refuse(FailReason::Cookie));
        }
        let engine = self.engine.as_mut().ok_or(DatagramDrop::Over)?;
        let mut progress = Progress::default();
        match engine.handle_datagram(now, &hello.datagram, &mut progress) {
            Ok(()) => {
                let answers = progress.datagrams.clone();
                let takes_up = answers.iter().any(|datagram| record::takes_up_hello(datagram));
                // Who has not proved its address is sent no more than it sent.
                if !takes_up && answers.iter().map(Vec::len).sum::<usize>() > hello.datagram.len() {
                    self.reopen(now);
                    return Err(self.refuse(FailReason::Protocol));
                }
                self.advance(now, progress);
                if self.hello_taken_up {
                    self.hellos.clear();
                    self.challenge = None;
                } else if !answers.is_empty() {
                    self.challenge = Some(Challenge { random: hello.random, since: now, answers });
                } else if let Some(challenge) = &self.challenge {
                    // A repeated hello says that the challenge was lost.
                    let answers = if hello.cookie { Vec::new() } else { challenge.answers.clone() };
                    self.queue(answers);
                } else {
                    // A library that knows nothing of what a hello offers may pass over it in silence.
                    self.reopen(now);
                    return Err(self.refuse(FailReason::NothingInCommon));
                }
                Ok(())
            }
            // Past the cookie the sender is who it says: nothing in common with it stays so.
            Err(FailReason::NothingInCommon) if hello.cookie && self.challenge.is_some() => {
                self.advance(now, progress);
                self.fault(FailReason::NothingInCommon)
            }
            Err(reason) => {
                self.reopen(now);
                Err(self.refuse(reason))
            }
        }
    }

    fn advance(&mut self, now: Instant, progress: Progress) {
        self.hello_taken_up |= progress.datagrams.iter().any(|datagram| record::takes_up_hello(datagram));
        self.queue(progress.datagrams);
        if progress.certificate.is_some() {
            self.certificate = progress.certificate;
        }
        if progress.connected {
            self.finished = Some(progress.export);
        } else if let (Some(finished @ None), Some(export)) = (&mut self.finished, progress.export) {
            *finished = Some(export);
        }
        self.judge(now);
        if progress.closed && !self.is_over() {
            self.close();
            self.last_event = Some(Event::Closed);
        }
    }

    /// Lets the handshake's outcome count, as far as it is known.
    fn judge(&mut self, now: Instant) {
        if self.state != State::Handshake {
            return;
        }
        let (Some(expected), Some(certificate)) = (&self.expected, &self.certificate) else { return };
        let Some(fingerprint) = expected.name_of(certificate) else {
            return self.fail(FailReason::Fingerprint);
        };
        let Some(export) = self.finished.take() else { return };
        let keys = export
            .filter(|(suite, _)| self.suites.contains(suite))
            .and_then(|(suite, bytes)| SrtpKeys::from_export(suite, self.role, &bytes));
        let Some(keys) = keys else { return self.fail(FailReason::Suite) };
        self.certificate = None;
        self.state = State::Established { until: now + LINGER };
        self.event = Some(Event::Connected(Box::new(Connected { keys, fingerprint })));
    }

    /// What a fault of the library means in this state.
    fn fault(&mut self, reason: FailReason) -> Result<(), DatagramDrop> {
        match (self.state, reason) {
            (State::Handshake, reason) => {
                self.fail(reason);
                Ok(())
            }
            (State::Established { .. }, FailReason::Alert(_)) => {
                self.engine = None;
                self.state = State::Closed;
                self.last_event = Some(Event::Closed);
                Ok(())
            }
            // The library is done for; what was agreed is not.
            (State::Established { .. }, _) => {
                self.engine = None;
                Err(DatagramDrop::Noise)
            }
            (State::Closed | State::Failed, _) => Err(DatagramDrop::Over),
        }
    }

    fn fail(&mut self, reason: FailReason) {
        // Where the handshake is done the peer can be told.
        if let Some(mut engine) = self.engine.take() {
            let mut progress = Progress::default();
            engine.close(&mut progress);
            self.queue(progress.datagrams);
        }
        self.certificate = None;
        self.finished = None;
        self.state = State::Failed;
        self.event = Some(Event::Failed(reason));
    }

    fn queue(&mut self, datagrams: Vec<Vec<u8>>) {
        debug_assert!(datagrams.iter().all(|datagram| datagram.len() <= DATAGRAM_BYTES_MAX));
        self.outgoing.extend(datagrams);
        let excess = self.outgoing.len().saturating_sub(OUTGOING_MAX);
        self.outgoing.drain(..excess);
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("provider", &self.provider)
            .field("role", &self.role)
            .field("state", &self.state)
            .field("hello_taken_up", &self.hello_taken_up)
            .finish_non_exhaustive()
    }
}

/// What an association tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The handshake is done and the peer is the one that was named.
    Connected(Box<Connected>),
    /// The peer ended it, or a protected fatal alert did. SRTP goes on as signalling has it.
    Closed,
    /// There will be no keys.
    Failed(FailReason),
}

/// The outcome of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Suite and master keys.
    pub keys: SrtpKeys,
    /// The fingerprint that named the peer's certificate.
    pub fingerprint: Fingerprint,
}

/// Why an association failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FailReason {
    /// The peer's certificate is not among the fingerprints.
    #[error("the peer's certificate is not the one of its description")]
    Fingerprint,
    /// The peer knows no `use_srtp`, or no suite that we listed.
    #[error("no SRTP suite in common")]
    Suite,
    /// No cipher suite, version, group or extension in common.
    #[error("nothing in common with the peer's hello")]
    NothingInCommon,
    /// The peer showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The peer's certificate is of a kind that the provider cannot read.
    #[error("the peer's certificate is of an unsupported kind")]
    UnsupportedCertificate,
    /// A hello with a cookie that we did not give.
    #[error("wrong cookie")]
    Cookie,
    /// The peer sent this fatal alert.
    #[error("the peer sent the fatal alert {0}")]
    Alert(u8),
    /// A message that the protocol does not allow here.
    #[error("a message that the protocol does not allow")]
    Protocol,
    /// No end of the handshake in time.
    #[error("the handshake was not done in time")]
    TimedOut,
}

impl FailReason {
    /// Whether the other provider may succeed with this peer.
    ///
    /// To be remembered with the peer's fingerprint, for
    /// [`Provider::choose`] at the next attempt. A wrong certificate stays
    /// wrong; silence is included, because some peers refuse a certificate or
    /// an offer by saying nothing.
    pub const fn other_provider_may_do(self) -> bool {
        !matches!(self, Self::Fingerprint | Self::Cookie)
    }
}

/// Why a datagram changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DatagramDrop {
    /// Not a row of whole records.
    #[error("not a row of DTLS records")]
    Malformed,
    /// A server that waits for a hello got something else, or one that is no hello on the face of it.
    #[error("not a ClientHello")]
    NotAHello,
    /// The hello was read and refused; the server waits for another.
    #[error("ClientHello refused: {0}")]
    HelloRefused(FailReason),
    /// Another's hello while the sender of the first has yet to prove its address.
    #[error("another hello is being challenged")]
    Challenging,
    /// Unprotected or unreadable records after the handshake.
    #[error("records that prove nothing after the handshake")]
    Noise,
    /// The association closed or failed, or its time to answer is over.
    #[error("the association is over")]
    Over,
}

/// Why there is no association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssociationError {
    /// None of the suites is one of the provider's.
    #[error("none of the SRTP suites can be agreed by {0}")]
    NoSuite(Provider),
    /// The library could not make one.
    #[error("the DTLS library has no memory for another association")]
    NoMemory,
}
