//! Allocations: whose they are, what addresses they have, and who may use them.

use std::{net::IpAddr, net::SocketAddr, time::Duration};

use rtp::{
    stun::TransactionId,
    turn::{Client, Family, LongTermKey},
    units::Instant,
};

use super::{counters::TurnTraffic, user::UserKey};

/// One allocation: a client, and the addresses that it was lent (RFC 8656 §5).
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) client: Client,
    pub(super) username: Box<[u8]>,
    pub(super) key: LongTermKey,
    pub(super) user: UserKey,
    /// Of the request that made it, so that the same one again is answered as it was.
    pub(super) transaction: TransactionId,
    /// That request was authenticated with SHA-256.
    pub(super) sha256: bool,
    /// What it was granted at first.
    pub(super) lifetime_s: u32,
    pub(super) token: Option<Token>,
    /// IPv6 was asked for besides, and is not there.
    pub(super) without_additional: Option<super::TurnError>,
    /// Sockets that are not open yet; it is answered at none.
    pub(super) opening: u8,
    /// Ports that may still be tried.
    pub(super) attempts_left: u8,
    /// Relayed sockets, of IPv4 and of IPv6.
    pub(super) relays: [Option<RelayId>; 2],
    pub(super) begun: Instant,
    pub(super) expires: Instant,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
    pub(super) to_peers: TurnTraffic,
    pub(super) to_clients: TurnTraffic,
}

/// Names a port that was set aside (RFC 8656 §18.10).
pub(super) type Token = [u8; 8];

/// A relayed socket: its number less that of the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RelayId(pub(super) u32);

/// Peers of this address may reach the client (RFC 8656 §9).
#[derive(Debug)]
struct Permission {
    peer: IpAddr,
    expires: Instant,
}

/// A peer's number (RFC 8656 §12).
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    number: u16,
    pub(super) peer: SocketAddr,
    /// The peer's address is ours.
    pub(super) own: bool,
    expires: Instant,
}

/// What an allocation is made of.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) client: Client,
    pub(super) username: Box<[u8]>,
    pub(super) key: LongTermKey,
    pub(super) user: UserKey,
    pub(super) transaction: TransactionId,
    pub(super) sha256: bool,
    pub(super) lifetime_s: u32,
    pub(super) now: Instant,
}

/// The peer has another number, or the number is another peer's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotBound {
    Taken,
    Full,
}

impl Allocation {
    pub(super) fn new(beginning: Beginning) -> Self {
        let Beginning { client, username, key, user, transaction, sha256, lifetime_s, now } = beginning;
        Self {
            client,
            username,
            key,
            user,
            transaction,
            sha256,
            lifetime_s,
            token: None,
            without_additional: None,
            opening: 0,
            attempts_left: PORTS_TRIED_MAX,
            relays: [None; 2],
            begun: now,
            expires: now + Duration::from_secs(lifetime_s.into()),
            permissions: Vec::new(),
            channels: Vec::new(),
            to_peers: TurnTraffic::default(),
            to_clients: TurnTraffic::default(),
        }
    }

    /// The relayed socket of a family.
    pub(super) fn relay(&self, family: Family) -> Option<RelayId> {
        self.relays[place(family)]
    }

    pub(super) fn relay_mut(&mut self, family: Family) -> &mut Option<RelayId> {
        &mut self.relays[place(family)]
    }

    /// Whether it is there for its client.
    pub(super) fn is_ready(&self) -> bool {
        self.opening == 0
    }

    /// Whether a peer may reach the client, and be reached by a Send indication.
    pub(super) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|permission| permission.peer == peer && permission.expires > now)
    }

    /// Whether there is room for permissions of all of these peers.
    pub(super) fn has_room_for(&mut self, peers: &[SocketAddr], now: Instant) -> bool {
        self.permissions.retain(|permission| permission.expires > now);
        let known = |peer: &&SocketAddr| !self.permissions.iter().any(|known| known.peer == peer.ip());
        self.permissions.len() + peers.iter().filter(known).count() <= PERMISSIONS_MAX
    }

    /// Permits a peer from now on for a while. It was asked whether there is room.
    pub(super) fn permit(&mut self, peer: IpAddr, now: Instant) {
        let expires = now + PERMISSION_LIFETIME;
        match self.permissions.iter_mut().find(|permission| permission.peer == peer) {
            Some(permission) => permission.expires = expires,
            None => self.permissions.push(Permission { peer, expires }),
        }
    }

    /// The channel of this number.
    pub(super) fn channel(&self, number: u16, now: Instant) -> Option<Channel> {
        self.channels.iter().find(|channel| channel.number == number && channel.expires > now).copied()
    }

    /// The number of a peer.
    pub(super) fn number_of(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let of_peer = |channel: &&Channel| channel.peer == peer && channel.expires > now;
        self.channels.iter().find(of_peer).map(|channel| channel.number)
    }

    /// Gives a peer a number, or more time for it.
    pub(super) fn bind(
        &mut self,
        number: u16,
        peer: SocketAddr,
        own: bool,
        now: Instant,
    ) -> Result<(), NotBound> {
        self.channels.retain(|channel| channel.expires > now);
        let expires = now + CHANNEL_LIFETIME;
        let full = self.channels.len() == CHANNELS_MAX;
        let same = |channel: &&mut Channel| channel.number == number || channel.peer == peer;
        match self.channels.iter_mut().find(same) {
            Some(channel) if channel.number == number && channel.peer == peer => channel.expires = expires,
            Some(_) => return Err(NotBound::Taken),
            None if full => return Err(NotBound::Full),
            None => self.channels.push(Channel { number, peer, own, expires }),
        }
        Ok(())
    }

    /// Looks again at which peers are ours.
    pub(super) fn look_again(
        &mut self,
        is_allowed: impl Fn(IpAddr) -> bool,
        is_own: impl Fn(IpAddr) -> bool,
    ) {
        self.permissions.retain(|permission| is_allowed(permission.peer));
        self.channels.retain(|channel| is_allowed(channel.peer.ip()));
        for channel in &mut self.channels {
            channel.own = is_own(channel.peer.ip());
        }
    }
}

const fn place(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

/// A number of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AllocationKey(u32);

/// All allocations.
#[derive(Debug, Default)]
pub(super) struct Allocations {
    all: Vec<Option<Box<Allocation>>>,
    free: Vec<u32>,
}

impl Allocations {
    pub(super) fn insert(&mut self, allocation: Allocation) -> AllocationKey {
        let allocation = Some(Box::new(allocation));
        if let Some(index) = self.free.pop() {
            self.all[index as usize] = allocation;
            return AllocationKey(index);
        }
        self.all.push(allocation);
        AllocationKey(u32::try_from(self.all.len() - 1).expect("there are fewer allocations than sockets"))
    }

    pub(super) fn remove(&mut self, key: AllocationKey) -> Option<Box<Allocation>> {
        let removed = self.all.get_mut(key.0 as usize)?.take()?;
        self.free.push(key.0);
        Some(removed)
    }

    pub(super) fn get(&self, key: AllocationKey) -> Option<&Allocation> {
        self.all.get(key.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, key: AllocationKey) -> Option<&mut Allocation> {
        self.all.get_mut(key.0 as usize)?.as_deref_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Allocation> {
        self.all.iter_mut().filter_map(Option::as_deref_mut)
    }

    pub(super) fn keys(&self) -> Vec<AllocationKey> {
        (0..).zip(&self.all).filter(|(_, one)| one.is_some()).map(|(index, _)| AllocationKey(index)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }
}

/// Permissions of one allocation; one more is answered 508.
pub(super) const PERMISSIONS_MAX: usize = 64;
/// Channels of one allocation; one more is answered 508.
pub(super) const CHANNELS_MAX: usize = 64;
/// RFC 8656 §9.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Ports that are tried for one allocation, where somebody else has those that came first.
const PORTS_TRIED_MAX: u8 = 8;
