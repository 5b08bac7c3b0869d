//! Checks of ICE: datagrams and deadlines of its agents, and what the call is told.

use std::net::SocketAddr;

use ng::{LearningOutcome, Reply, Signal};
use rtp::units::Instant;

use super::{OTHER_OWNER, Shard, is_foreign};
use crate::{
    call::{Call, CallKey},
    counters::DropReason,
    ice::{self, Checking, News, Wanted},
    io::SocketId,
    media::{Media, Transport},
    negotiate::{self, Kind},
    path::{PathId, Paths},
    sim::{self, Way},
    socket::Sockets,
    timer::Timer,
};

/// Gives the halves of a section the agents that were agreed on, or takes them away.
pub(super) fn install(
    media: &Media,
    sockets: &Sockets,
    paths: &mut Paths,
    (base, now): (std::time::Instant, Instant),
) {
    let open = !media.refused && !media.closed && media.transport == Transport::Rtp;
    let local = media.selected.and_then(|pair| sockets.advertised(pair)).filter(|_| open);
    let Some((session, local)) = media.ice.session().zip(local) else {
        [media.rtp, media.rtcp].into_iter().for_each(|half| ice::remove(paths, half));
        return;
    };
    let theirs = session.theirs.as_ref();
    let wanted = |component: u16, local: SocketAddr| Wanted {
        ours: &session.ours,
        theirs: theirs.map(|theirs| &theirs.credentials),
        candidates: theirs.map(|theirs| theirs.candidates.as_slice()).unwrap_or_default(),
        controlling: session.controlling && !media.ice.answers_only(),
        lite: media.ice.answers_only(),
        component,
        local,
        tie_breaker: session.tie_breaker,
        base,
    };
    let beside = SocketAddr::new(local.ip(), local.port().saturating_add(1));
    // With one port for both there is one agent for both (RFC 8834 §4.1).
    let rtcp = (!media.mux.active).then(|| wanted(2, beside));
    ice::install(paths, media.rtp, &wanted(1, local), now);
    match rtcp {
        Some(rtcp) => ice::install(paths, media.rtcp, &rtcp, now),
        None => ice::remove(paths, media.rtcp),
    }
}

impl Shard {
    /// Whether somebody speaks ICE on a socket.
    pub(super) fn is_checked(&self, id: PathId) -> bool {
        self.paths.get(id).is_some_and(|half| half.checks.is_some())
    }

    /// A STUN datagram arrived where ICE is spoken.
    ///
    /// # Errors
    /// Why nobody else gets it: none does, and if it was of use it was for us.
    pub(super) fn on_check(
        &mut self,
        id: PathId,
        socket: SocketId,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        let taken = self.checking().datagram(id, remote, datagram);
        let key = self.sockets.call(socket).ok_or(DropReason::NoSocket)?;
        match taken {
            Ok(news) => {
                self.on_news(key, id, news);
                self.schedule_checks(key);
                Err(DropReason::Consumed)
            }
            Err(reason) => {
                let now = self.now;
                let half = self.paths.get(self.paths.sharing(now, id, remote));
                let known = half.is_some_and(|half| {
                    half.latch.expects(now, half.kind, remote) || half.latch.is_checked(remote)
                });
                if !known {
                    self.on_stranger(socket, remote, 1);
                }
                Err(reason)
            }
        }
    }

    /// Agents of a call are due.
    pub(super) fn on_checks_due(&mut self, key: CallKey) {
        for id in self.calls.get(key).map(halves).unwrap_or_default() {
            let news = self.checking().timeout(id);
            self.on_news(key, id, news);
        }
        self.schedule_checks(key);
    }

    /// Candidates of a party that come after its description (RFC 8840 §9): a fragment of one, which names the user that
    /// the description named. What is of another is passed over, and the client told.
    pub(super) fn on_fragment(&mut self, id: u64, kind: Kind, signal: &Signal) {
        let known = self.calls.by_name(&signal.call_id);
        let Some((key, call)) = known.and_then(|key| Some((key, self.calls.get_mut(key)?))) else {
            return self.refuse(id, Reply::UNKNOWN_CALL);
        };
        if is_foreign(call, signal.owner.as_deref()) {
            return self.refuse(id, OTHER_OWNER);
        }
        let Some(fragments) = negotiate::ice::fragments(&signal.sdp) else {
            return self.refuse(id, "Failed to parse SDP");
        };
        let tag = signal.to_tag.as_ref().filter(|_| kind == Kind::Answer).unwrap_or(&signal.from_tag);
        let party = call.by_tag(tag);
        let mut missed = fragments.is_empty();
        for (index, (name, fragment)) in fragments.iter().enumerate() {
            let medias = party.map(|party| call.leg_mut(party).medias.as_mut_slice()).unwrap_or_default();
            let named = medias.iter().position(|media| name.is_some() && media.mid == *name);
            let Some(media) = medias.get_mut(named.unwrap_or(index)) else {
                missed = true;
                continue;
            };
            missed |= !media.ice.trickle(fragment);
            install(media, &self.sockets, &mut self.paths, (self.base, self.now));
        }
        self.begin_checks(key);
        let text = "Candidates of nobody whose description is known were passed over";
        self.reply(id, Reply::Ok { warning: missed.then(|| text.to_owned()) });
    }

    /// Lets new agents, and those that know more now, begin at once.
    pub(super) fn begin_checks(&mut self, key: CallKey) {
        for id in self.calls.get(key).map(halves).unwrap_or_default() {
            let news = self.checking().begin(id);
            self.on_news(key, id, news);
        }
        self.schedule_checks(key);
    }

    /// Looks when the first agent of a call is due.
    pub(super) fn schedule_checks(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let due = call
            .parties()
            .flat_map(|(_, leg)| &leg.medias)
            .flat_map(|media| [media.rtp, media.rtcp])
            .filter_map(|id| self.paths.get(id)?.checks.as_deref()?.deadline())
            .min();
        if call.deadlines[Timer::Ice as usize] != due {
            self.timers.set(&mut call.deadlines, key, Timer::Ice, due);
        }
    }

    fn checking(&mut self) -> Checking<'_> {
        Checking {
            paths: &mut self.paths,
            counters: &mut self.counters,
            made: &mut self.made,
            outputs: &mut self.outputs,
            now: self.now,
        }
    }

    /// Tells the call what its checks came to.
    fn on_news(&mut self, key: CallKey, id: PathId, news: Option<News>) {
        let Some(news) = news else { return };
        let (outcome, address, way) = match news {
            News::Nominated(remote) => (LearningOutcome::Nominated, Some(remote), Way::IceNominated),
            News::ConsentLost => (LearningOutcome::ConsentLost, None, Way::IceLost),
            News::NoPair => (LearningOutcome::NoPair, None, Way::IceFailed),
        };
        sim::seen(way);
        self.send_held(id);
        self.tell_lesson(key, id, outcome, address);
    }
}

/// Every half of a call.
fn halves(call: &Call) -> Vec<PathId> {
    let medias = call.parties().flat_map(|(_, leg)| &leg.medias);
    medias.flat_map(|media| [media.rtp, media.rtcp]).collect()
}
