//! What an operator asks about a shard as a whole: how many calls and parties of which kind, ports, names.

use std::net::IpAddr;

use super::Shard;
use crate::{
    call::{Call, CallKey},
    path::PathKind,
};

/// How a shard stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Calls.
    pub calls: u64,
    /// Their parties.
    pub legs: u64,
    /// Media sections of those.
    pub medias: u64,
    /// Calls all of whose sockets are of IPv4.
    pub calls_ipv4: u64,
    /// The same of IPv6.
    pub calls_ipv6: u64,
    /// Calls with sockets of both.
    pub calls_mixed: u64,
    /// Of each address, in order of its first interface.
    pub ports: Vec<PortUse>,
    /// Calls by name, no more than were asked for.
    pub sessions: Vec<Session>,
}

/// What is counted of calls that ended, but for those that a fault of ours ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndedCalls {
    /// How many.
    pub calls: u64,
    /// How long they were, milliseconds.
    pub lifetime_ms: u64,
    /// The sum of the squares of that.
    pub lifetime_ms2: u64,
    /// Calls in which no RTP came from anybody.
    pub unheard: u64,
    /// Calls in which it came from some and not from others.
    pub one_way: u64,
}

/// Port pairs of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortUse {
    /// The first interface with this address.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Ports in use.
    pub used: u64,
    /// Ports that are free.
    pub free: u64,
}

/// A call in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub call_id: String,
    /// Wall clock at its creation, seconds since the Unix epoch.
    pub created_s: u64,
    /// Everybody in it was deleted, and it goes unless a new offer revives it.
    pub deleted: bool,
    /// Its parties.
    pub legs: u64,
    /// Datagrams received in it.
    pub packets: u64,
    /// Who drives it.
    pub owner: Option<String>,
}

impl Shard {
    /// How this shard stands, with up to `sessions_max` calls by name.
    ///
    /// # Cost
    /// A look at every party of every call: about a millisecond for ten thousand calls.
    pub fn census(&self, sessions_max: usize) -> Census {
        let mut census = Census { ports: self.sockets.port_use(), ..Census::default() };
        for (_, call) in self.calls.iter() {
            census.calls += 1;
            let (mut ipv4, mut ipv6) = (false, false);
            for (_, leg) in call.parties() {
                census.legs += 1;
                census.medias += leg.medias.len() as u64;
                for local in leg.medias.iter().filter_map(|media| self.sockets.local(media.selected?)) {
                    ipv4 |= local.is_ipv4();
                    ipv6 |= local.is_ipv6();
                }
            }
            census.calls_ipv4 += u64::from(ipv4 && !ipv6);
            census.calls_ipv6 += u64::from(ipv6 && !ipv4);
            census.calls_mixed += u64::from(ipv4 && ipv6);
            if census.sessions.len() < sessions_max {
                census.sessions.push(self.session(call));
            }
        }
        census
    }

    fn session(&self, call: &Call) -> Session {
        let halves =
            call.parties().flat_map(|(_, leg)| &leg.medias).flat_map(|media| [media.rtp, media.rtcp]);
        Session {
            call_id: call.name.clone(),
            created_s: call.created_wall_ms / 1000,
            deleted: call.parties().all(|(_, leg)| leg.gone_at.is_some()),
            legs: call.parties().count() as u64,
            packets: halves.map(|half| self.paths[half].received.packets).sum(),
            owner: call.owner.clone(),
        }
    }

    /// Counts a call that ends: how long it was, and whether everybody in it was heard.
    pub(super) fn count_ended(&mut self, key: CallKey, lifetime_ms: u64) {
        let Some(call) = self.calls.get(key) else { return };
        let (mut heard, mut silent) = (false, false);
        for media in call.parties().flat_map(|(_, leg)| &leg.medias) {
            let path = &self.paths[media.rtp];
            if path.kind == PathKind::Rtp {
                heard |= path.received.packets > 0;
                silent |= path.received.packets == 0;
            }
        }
        let ended = &mut self.counters.ended;
        ended.calls += 1;
        ended.lifetime_ms += lifetime_ms;
        ended.lifetime_ms2 = ended.lifetime_ms2.saturating_add(lifetime_ms.saturating_mul(lifetime_ms));
        ended.unheard += u64::from(silent && !heard);
        ended.one_way += u64::from(silent && heard);
    }
}
