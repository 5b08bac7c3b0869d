//! ICE of one half: its checks, and what they tell the guard of who may send.
//!
//! The agent is there from the moment that a party is told our credentials. Until the party's are known it keeps checks for
//! later; from then on what it validates, and nothing else, is heard, and packets go where it nominates
//! (`adr/0011-ice-decides-who-may-send.md`).

use std::net::SocketAddr;

use rtp::{
    ice::{Agent, Candidate, Credentials, Event, Local, STUN_BYTES_MAX, StunDrop, Terms},
    stun::{HEADER_BYTES, MAGIC_COOKIE},
    units::Instant,
};

use crate::{
    counters::{Counters, DropReason},
    io::{Output, SocketId},
    latch::Latch,
    made::Made,
    path::{PathId, Paths},
};

/// The checks of one half.
#[derive(Debug)]
pub(crate) struct Checks {
    agent: Agent,
    /// Ours, as the party was told it.
    candidate: Candidate,
    /// What the party sends to.
    local: SocketAddr,
    ours: Credentials,
    theirs: Option<Credentials>,
    /// Begun anew, and nothing nominated since: the pair of before is used on.
    renewing: bool,
    /// The party offered a candidate, or checked us: no pair would be worth telling.
    tried: bool,
    lost: bool,
}

/// What an agent is to be, and with whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) ours: &'a Credentials,
    pub(crate) theirs: Option<&'a Credentials>,
    /// Of both components; only that of the half counts.
    pub(crate) candidates: &'a [Candidate],
    pub(crate) controlling: bool,
    pub(crate) lite: bool,
    /// 1 for RTP, 2 for RTCP.
    pub(crate) component: u16,
    pub(crate) local: SocketAddr,
    /// Settles who controls if both want to.
    pub(crate) tie_breaker: u64,
    /// What our clock calls zero.
    pub(crate) base: std::time::Instant,
}

/// What changed for a party, for the call to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Packets go there from now on.
    Nominated(SocketAddr),
    /// Nobody answers where they went.
    ConsentLost,
    /// Every pair was tried in vain.
    NoPair,
}

/// Whether a datagram may be STUN, and so neither RTP, RTCP nor DTLS (RFC 7983).
pub(crate) fn is_stun(packet: &[u8]) -> bool {
    packet.len() >= HEADER_BYTES && packet[0] < 4 && packet[4..8] == MAGIC_COOKIE
}

impl Checks {
    /// An agent as wanted; `None` if ours is no address that anybody could reach.
    fn new(wanted: &Wanted<'_>, now: Instant) -> Option<Self> {
        let terms = Terms {
            credentials: wanted.ours,
            controlling: wanted.controlling,
            lite: wanted.lite,
            component: wanted.component,
            tie_breaker: wanted.tie_breaker,
            base: wanted.base,
        };
        let mut agent = Agent::new(terms, now);
        let candidate = agent.add_local(Local::Host(wanted.local)).ok()?;
        let ours = wanted.ours.clone();
        let local = wanted.local;
        Some(Self { agent, candidate, local, ours, theirs: None, renewing: false, tried: false, lost: false })
    }

    /// When it has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.agent.next_deadline()
    }

    /// Our candidate.
    pub(crate) fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// Takes over what the party said, and our credentials if they are others.
    fn update(&mut self, wanted: &Wanted<'_>) {
        let other_peer = self.theirs.is_some() && self.theirs.as_ref() != wanted.theirs;
        if self.ours != *wanted.ours || other_peer {
            self.agent.restart(wanted.ours, wanted.controlling);
            self.ours = wanted.ours.clone();
            self.renewing = self.theirs.take().is_some();
        }
        let Some(theirs) = wanted.theirs else { return };
        if self.theirs.is_none() {
            self.agent.set_remote_credentials(theirs);
            self.theirs = Some(theirs.clone());
        }
        for candidate in wanted.candidates {
            // What cannot be used, or is known, adds nothing: a check from there is answered all the same.
            self.tried |= self.agent.add_remote(candidate).is_ok();
        }
    }

    /// Lets the guard know what has changed.
    fn tell(&mut self, now: Instant, latch: &mut Latch) -> Option<News> {
        let mut news = None;
        while let Some(event) = self.agent.poll_event() {
            match event {
                Event::Nominated { remote, .. } => {
                    (self.renewing, self.lost) = (false, false);
                    latch.nominate(now, remote);
                    news = Some(News::Nominated(remote));
                }
                Event::ConsentLost => self.renewing = false,
                Event::NoPair if self.tried => news = Some(News::NoPair),
                Event::NoPair => {}
            }
        }
        if !self.renewing && latch.keep_validated(|remote| self.agent.is_validated(remote)) && !self.lost {
            self.lost = true;
            news = Some(News::ConsentLost);
        }
        news
    }
}

/// Gives a half the agent that is wanted.
pub(crate) fn install(paths: &mut Paths, id: PathId, wanted: &Wanted<'_>, now: Instant) {
    let half = &mut paths[id];
    // Another socket, or another role than a restart can give: nothing of before is of use.
    half.checks.take_if(|checks| checks.local != wanted.local || checks.agent.is_lite() != wanted.lite);
    if half.checks.is_none() {
        half.checks = Checks::new(wanted, now).map(Box::new);
    }
    match &mut half.checks {
        Some(checks) => {
            checks.update(wanted);
            half.latch.follow_ice(wanted.theirs.is_some());
        }
        None => half.latch.follow_ice(false),
    }
}

/// Takes the agent of a half away: its description counts.
pub(crate) fn remove(paths: &mut Paths, id: PathId) {
    paths[id].checks = None;
    paths[id].latch.follow_ice(false);
}

/// What checks need of a shard.
pub(crate) struct Checking<'a> {
    pub(crate) paths: &'a mut Paths,
    pub(crate) counters: &'a mut Counters,
    pub(crate) made: &'a mut Made,
    pub(crate) outputs: &'a mut std::collections::VecDeque<Output>,
    pub(crate) now: Instant,
}

impl Checking<'_> {
    /// Takes in a STUN datagram. Returns what changed for the party.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub(crate) fn datagram(
        &mut self,
        id: PathId,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<Option<News>, DropReason> {
        let half = self.paths.get_mut(id).ok_or(DropReason::NoSocket)?;
        let checks = half.checks.as_deref_mut().ok_or(DropReason::NoSocket)?;
        checks.agent.handle_datagram(self.now, checks.local, remote, datagram).map_err(
            |drop| match drop {
                StunDrop::Malformed => DropReason::CheckMalformed,
                StunDrop::Unauthentic => DropReason::CheckUnauthentic,
                StunDrop::TooManySources => DropReason::CheckSources,
            },
        )?;
        checks.tried = true;
        if checks.agent.is_validated(remote) {
            half.latch.validate(remote);
        } else if checks.agent.is_checked_from(remote) {
            half.latch.consider_checked(remote);
        }
        Ok(self.settle(id))
    }

    /// Lets time pass for a half whose agent is due.
    pub(crate) fn timeout(&mut self, id: PathId) -> Option<News> {
        let checks = self.paths.get_mut(id)?.checks.as_deref_mut()?;
        if checks.deadline().is_none_or(|due| due > self.now) {
            return None;
        }
        checks.agent.handle_timeout(self.now);
        self.settle(id)
    }

    /// The same, due or not, for one that has just learned what it may do.
    pub(crate) fn begin(&mut self, id: PathId) -> Option<News> {
        let checks = self.paths.get_mut(id)?.checks.as_deref_mut()?;
        checks.agent.handle_timeout(self.now);
        self.settle(id)
    }

    /// Sends what the agent wants sent and lets the guard know what changed.
    fn settle(&mut self, id: PathId) -> Option<News> {
        let half = self.paths.get_mut(id)?;
        let checks = half.checks.as_deref_mut()?;
        let news = checks.tell(self.now, &mut half.latch);
        let mut room = [0; STUN_BYTES_MAX];
        while let Some(transmit) = checks.agent.poll_transmit(&mut room) {
            let reachable = transmit.remote.is_ipv4() == half.local_is_ipv4;
            let socket: Option<SocketId> = half.local.filter(|_| reachable);
            let made = self.made.put(&room[..transmit.bytes]);
            let Some((socket, made)) = socket.zip(made) else {
                self.counters.copies_dropped += 1;
                continue;
            };
            self.counters.copies_sent += 1;
            self.counters.copies_bytes += transmit.bytes as u64;
            self.outputs.push_back(Output::TransmitCopy { socket, remote: transmit.remote, made });
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stun_is_known_by_its_first_byte_and_its_cookie() {
        let mut packet = [0; 20];
        packet[4..8].copy_from_slice(&MAGIC_COOKIE);
        assert!(is_stun(&packet) && !is_stun(&packet[..19]));
        packet[0] = 4;
        assert!(!is_stun(&packet), "a later protocol (RFC 7983)");
        assert!(!is_stun(&[0; 20]), "no cookie: the STUN of RFC 3489 knew no integrity");
    }

    #[test]
    fn a_half_with_checks_costs_no_more_than_its_box() {
        assert!(size_of::<Checks>() <= 1300, "{}", size_of::<Checks>());
        assert_eq!(size_of::<Option<Box<Checks>>>(), 8);
    }
}
