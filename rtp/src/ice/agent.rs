//! One component's checks: STUN datagrams and time in; datagrams, deadlines and the pair to use out.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol, Sha1HmacProvider};

use super::{Candidate, CandidateKind, Credentials};
use crate::units::Instant;

/// Most local candidates of one agent.
pub const LOCALS_MAX: usize = 16;
/// Most remote candidates of one agent; more are refused.
pub const REMOTES_MAX: usize = 32;
/// Most addresses from which authentic checks are answered: a peer could otherwise make a candidate of each port it has.
pub const SOURCES_MAX: usize = 24;
/// Most pairs of candidates under check. Each keeps room for its attempts, about a kilobyte.
const PAIRS_MAX: usize = 32;
/// Longest datagram sent: a check with all its attributes.
pub const STUN_BYTES_MAX: usize = 1200;

/// What an agent is to be.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What our description says.
    pub credentials: &'a Credentials,
    /// Whether we choose the pair: the offerer does, and a full agent toward a lite one (RFC 8445 §6.1.1).
    pub controlling: bool,
    /// Whether we only answer checks (RFC 8445 §2.5).
    pub lite: bool,
    /// 1 for RTP, 2 for RTCP.
    pub component: u16,
    /// The caller's randomness, which settles who controls if both want to.
    pub tie_breaker: u64,
    /// The moment that the caller's clock calls [`Instant::ZERO`]; `is` counts in the standard library's instants.
    pub base: std::time::Instant,
}

/// A local candidate, as the caller learned it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// A socket of ours.
    Host(SocketAddr),
    /// A socket of ours, and where others see it.
    ServerReflexive {
        /// The socket.
        base: SocketAddr,
        /// What a STUN server saw.
        mapped: SocketAddr,
    },
    /// An address that a TURN server lends us.
    Relayed {
        /// The socket toward the TURN server.
        base: SocketAddr,
        /// The address lent.
        relayed: SocketAddr,
    },
}

/// An ICE agent for one component.
///
/// # Cost
/// A check costs two HMAC-SHA1 and an allocation or two.
pub struct Agent {
    inner: IceAgent,
    base: std::time::Instant,
    component: u16,
    locals_count: usize,
    remotes_count: usize,
    sources: Vec<SocketAddr>,
    deadline: Option<Instant>,
    connected: bool,
}

impl Agent {
    /// An agent without candidates.
    pub fn new(terms: Terms<'_>, now: Instant) -> Self {
        let mut inner = IceAgent::with_hmac(creds(terms.credentials), &Hmac);
        inner.set_controlling(terms.controlling);
        inner.set_ice_lite(terms.lite);
        inner.set_control_tie_breaker(terms.tie_breaker);
        inner.set_max_candidate_pairs(PAIRS_MAX);
        // The first of a family has the whole of it, as one that is alone should (RFC 8445 §5.1.2.1).
        inner.set_local_preference(|candidate: &is::Candidate, before: usize| {
            let other = u32::from(candidate.addr().is_ipv6());
            65_535u32.saturating_sub(other + 2 * u32::try_from(before).unwrap_or(u32::MAX / 2))
        });
        let mut agent = Self {
            inner,
            base: terms.base,
            component: terms.component,
            locals_count: 0,
            remotes_count: 0,
            sources: Vec::new(),
            deadline: None,
            connected: false,
        };
        agent.handle_timeout(now);
        agent
    }

    /// Adds a local candidate and returns it as it is to be described.
    ///
    /// # Errors
    /// There are [`LOCALS_MAX`] already; it is no address to be reached at; it
    /// is not a host's while we are lite; or a better one has the same address.
    pub fn add_local(&mut self, local: Local) -> Result<Candidate, CandidateRefused> {
        if self.locals_count == LOCALS_MAX {
            return Err(CandidateRefused::TooMany);
        }
        let (Local::Host(address)
        | Local::ServerReflexive { mapped: address, .. }
        | Local::Relayed { relayed: address, .. }) = local;
        if !is_reachable(address) {
            return Err(CandidateRefused::Address);
        }
        let builder = is::Candidate::builder().udp();
        let built = match local {
            Local::Host(socket) => builder.host(socket).build(),
            Local::ServerReflexive { base, mapped } => builder.server_reflexive(mapped, base).build(),
            Local::Relayed { base, relayed } => builder.relayed(relayed, base).build(),
        };
        let built = built.map_err(|_| CandidateRefused::Address)?;
        let added = self.inner.add_local_candidate(built).ok_or(CandidateRefused::Redundant)?;
        let mut candidate: Candidate =
            added.to_sdp_string().parse().map_err(|_| CandidateRefused::Address)?;
        candidate.extensions.clear();
        // `is` knows one component and calls it 1, here and in `add_remote`: which one this agent is, we know.
        candidate.component = self.component;
        candidate.priority -= u32::from(self.component.saturating_sub(1));
        self.locals_count += 1;
        self.look_ahead();
        Ok(candidate)
    }

    /// What the peer's description says of who may check.
    pub fn set_remote_credentials(&mut self, credentials: &Credentials) {
        self.inner.set_remote_credentials(creds(credentials));
        self.look_ahead();
    }

    /// Adds a candidate of the peer's, from its description or trickled.
    ///
    /// # Errors
    /// There are [`REMOTES_MAX`] already; it is of another component, not UDP,
    /// a name, or no address to be reached at; it is there already; or it has the name of another session.
    pub fn add_remote(&mut self, candidate: &Candidate) -> Result<(), CandidateRefused> {
        if candidate.component != self.component {
            return Err(CandidateRefused::Component);
        }
        let address = candidate.udp_address().ok_or(CandidateRefused::Transport)?;
        if !is_reachable(address) {
            return Err(CandidateRefused::Address);
        }
        if let (Some(ufrag), Some(known)) = (candidate.extension("ufrag"), self.inner.remote_credentials())
            && ufrag != known.ufrag
        {
            return Err(CandidateRefused::Session);
        }
        let kind = match candidate.kind {
            CandidateKind::Host => is::CandidateKind::Host,
            CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
            CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
            CandidateKind::Relayed => is::CandidateKind::Relayed,
            CandidateKind::Other(_) => return Err(CandidateRefused::Transport),
        };
        // Descriptions repeat what they said before.
        let known = |other: &is::Candidate| other.addr() == address && other.kind() == kind;
        if self.inner.remote_candidates().any(|other| known(&other)) {
            return Err(CandidateRefused::Redundant);
        }
        if self.remotes_count == REMOTES_MAX {
            return Err(CandidateRefused::TooMany);
        }
        const COMPONENT: u16 = 1;
        let (foundation, priority) = (candidate.foundation.clone(), candidate.priority);
        let made = is::Candidate::from_parts(
            foundation,
            COMPONENT,
            Protocol::Udp,
            priority,
            address,
            kind,
            None,
            None,
            None,
        );
        self.inner.add_remote_candidate(made);
        self.remotes_count += 1;
        self.look_ahead();
        Ok(())
    }

    /// Begins anew, with other credentials of ours or toward others of the peer's (RFC 8445 §9). Local candidates stay;
    /// the peer's are forgotten, and packets go on over the last pair until another is nominated.
    pub fn restart(&mut self, credentials: &Credentials, controlling: bool) {
        self.inner.ice_restart(creds(credentials), true);
        self.inner.set_controlling(controlling);
        self.remotes_count = 0;
        self.sources.clear();
        self.look_ahead();
    }

    /// Takes in a STUN datagram that came from `source` to our socket, or relayed address, `local`.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), StunDrop> {
        if datagram.len() > STUN_BYTES_MAX {
            return Err(StunDrop::Malformed);
        }
        let message = StunMessage::parse(datagram).map_err(|_| StunDrop::Malformed)?;
        if !self.inner.accepts_message(&message) {
            return Err(StunDrop::Unauthentic);
        }
        if !self.sources.contains(&source) {
            if self.sources.len() == SOURCES_MAX {
                return Err(StunDrop::TooManySources);
            }
            self.sources.push(source);
        }
        let packet = StunPacket { proto: Protocol::Udp, source, destination: local, message };
        let taken = self.inner.handle_packet(self.at(now), packet);
        self.inner.handle_timeout(self.at(now));
        self.look_ahead();
        if taken { Ok(()) } else { Err(StunDrop::Unauthentic) }
    }

    /// Lets time pass: sends checks and notices what is not answered any more.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(self.at(now));
        self.look_ahead();
    }

    /// When [`Agent::handle_timeout`] is due.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Writes the next datagram to be sent into `room`, which [`STUN_BYTES_MAX`] always suffices for; one that does not
    /// fit is lost, as on a wire.
    pub fn poll_transmit(&mut self, room: &mut [u8]) -> Option<Transmit> {
        loop {
            let transmit = self.inner.poll_transmit()?;
            let bytes = transmit.contents.len();
            if let Some(room) = room.get_mut(..bytes) {
                room.copy_from_slice(&transmit.contents);
                self.look_ahead();
                return Some(Transmit { local: transmit.source, remote: transmit.destination, bytes });
            }
        }
    }

    /// What changed.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            return Some(match self.inner.poll_event()? {
                IceAgentEvent::NominatedSend { source, destination, .. } => {
                    self.connected = true;
                    Event::Nominated { local: source, remote: destination }
                }
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    let consent = std::mem::take(&mut self.connected);
                    if consent { Event::ConsentLost } else { Event::NoPair }
                }
                _ => continue,
            });
        }
    }

    /// Whether an authentic check came from `remote`.
    pub fn is_checked_from(&self, remote: SocketAddr) -> bool {
        self.sources.contains(&remote)
    }

    /// Whether checks with `remote` succeeded: packets from it are the peer's, whichever pair is nominated.
    pub fn is_validated(&self, remote: SocketAddr) -> bool {
        self.inner.has_viable_remote_candidate(remote)
    }

    /// Whether we choose the pair, which a conflict of roles may have changed.
    pub fn is_controlling(&self) -> bool {
        self.inner.controlling()
    }

    /// Whether we only answer checks.
    pub fn is_lite(&self) -> bool {
        self.inner.ice_lite()
    }

    fn at(&self, now: Instant) -> std::time::Instant {
        self.base + Duration::from_nanos(now.as_nanos())
    }

    fn look_ahead(&mut self) {
        let due = self.inner.poll_timeout();
        let nanos = due.map(|due| due.saturating_duration_since(self.base).as_nanos());
        self.deadline = nanos.and_then(|nanos| u64::try_from(nanos).ok()).map(Instant::from_nanos);
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("component", &self.component)
            .field("controlling", &self.inner.controlling())
            .field("lite", &self.inner.ice_lite())
            .field("state", &self.inner.state())
            .finish_non_exhaustive()
    }
}

/// A datagram to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Our socket, or the relayed address that it is to come from.
    pub local: SocketAddr,
    /// Where it goes.
    pub remote: SocketAddr,
    /// Its length.
    pub bytes: usize,
}

/// What an agent tells its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Packets go over this pair from now on. It may come again with another pair, without a restart.
    Nominated {
        /// Our socket or relayed address.
        local: SocketAddr,
        /// The peer's address.
        remote: SocketAddr,
    },
    /// No pair is answered any more: packets must no longer be sent (RFC 7675 §5.1).
    ConsentLost,
    /// Every pair was tried and none works. A further candidate may change that.
    NoPair,
}

/// Why a candidate was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CandidateRefused {
    /// The agent has as many as it may.
    #[error("too many candidates")]
    TooMany,
    /// Unspecified, multicast, broadcast, link-local of IPv4, or port 0.
    #[error("the candidate's address cannot be reached")]
    Address,
    /// One as good has the same address, or a lite agent was given another than a host's.
    #[error("the candidate adds nothing")]
    Redundant,
    /// It belongs to the other component.
    #[error("the candidate is of another component")]
    Component,
    /// Not UDP, a host name, or of an unknown type.
    #[error("the candidate is not an address for UDP")]
    Transport,
    /// Its `ufrag` is not the peer's present one.
    #[error("the candidate is of another session")]
    Session,
}

/// Why a STUN datagram changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StunDrop {
    /// No STUN message, or not one that a check may be.
    #[error("not a STUN message of a check")]
    Malformed,
    /// Another's name, a wrong password, or an answer to nothing that was asked.
    #[error("a STUN message that does not authenticate")]
    Unauthentic,
    /// From one address more than [`SOURCES_MAX`].
    #[error("authentic checks from too many addresses")]
    TooManySources,
}

fn creds(credentials: &Credentials) -> IceCreds {
    IceCreds { ufrag: credentials.ufrag().to_owned(), pass: credentials.password().to_owned() }
}

fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let local = match ip {
        std::net::IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        std::net::IpAddr::V6(_) => false,
    };
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !local
}

/// HMAC-SHA1 for STUN's integrity.
#[derive(Debug)]
struct Hmac;

impl Sha1HmacProvider for Hmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
        payloads.iter().for_each(|payload| context.update(payload));
        let mut digest = [0; 20];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}
