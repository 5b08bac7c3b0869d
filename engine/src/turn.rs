//! The TURN server's places: sockets that all workers listen on, numbers of sockets, mailboxes, limits of each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use driver::{Driver, MailSender, Undelivered, Waker, listening, local_addresses, mailbox};
use engine_core::{ShardConfig, SocketId, TurnConfig, TurnLimits, TurnLive};

use crate::config::{Config, Service};
use crate::edge::TurnDoor;
use crate::run::RunError;
use crate::worker::{TurnDesk, TurnMail};

/// What the TURN server of the engine consists of while it starts; of no places where there is none.
#[derive(Debug)]
pub(crate) struct TurnSeats {
    owner: Option<String>,
    tos: u8,
    /// Where datagrams are heard, with the ports that the kernel chose.
    addresses: Vec<SocketAddr>,
    /// For each worker, one socket for each address; those of the first worker are last.
    sockets: Vec<Vec<OwnedFd>>,
    /// The number of the first socket that is no call's.
    first: u32,
    relayed_max: u32,
    mail: Vec<MailSender<TurnMail>>,
    configured: bool,
}

/// What the TURN server of one worker is made from.
#[derive(Debug)]
pub(crate) struct TurnSeat {
    owner: Option<String>,
    tos: u8,
    first: u32,
    sockets: Vec<OwnedFd>,
}

impl TurnSeats {
    /// Binds the sockets of datagrams, for all workers at once: afterwards none comes and none goes, so that what a client
    /// sends stays with one worker.
    ///
    /// # Errors
    /// [`RunError::ListenStream`].
    pub(crate) fn bind(config: &Config) -> Result<Self, RunError> {
        let mut seats = Self {
            owner: None,
            tos: config.tos,
            addresses: Vec::new(),
            sockets: (0..config.workers).map(|_| Vec::new()).collect(),
            first: 0,
            relayed_max: 0,
            mail: Vec::new(),
            configured: config.turn.is_some(),
        };
        let Some(turn) = &config.turn else { return Ok(seats) };
        seats.owner.clone_from(&turn.owner);
        let relayed = turn.live.limits.allocations_max.div_ceil(usize::from(config.workers));
        seats.relayed_max = u32::try_from(relayed).unwrap_or(u32::MAX);
        for address in &turn.listeners {
            let refused =
                |source| RunError::ListenStream { key: Service::Turn.key(), address: *address, source };
            let (bound, sockets) = listening(*address, config.workers).map_err(refused)?;
            seats.addresses.push(bound);
            for (seat, socket) in seats.sockets.iter_mut().zip(sockets) {
                seat.push(socket);
            }
        }
        Ok(seats)
    }

    /// Where datagrams are heard.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its sockets are numbered from this one on.
    pub(crate) fn number(&mut self, first: u32) {
        self.first = first;
    }

    /// How many numbers each worker needs for it.
    pub(crate) fn sockets(&self) -> u32 {
        u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).saturating_add(self.relayed_max)
    }

    /// What a shard is told, with the TURN server if there is one.
    pub(crate) fn shard_config(&self, config: &Config, shard: ShardConfig) -> ShardConfig {
        let listeners = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let turn = live(config).map(|live| {
            Box::new(TurnConfig {
                listeners: (0..listeners).map(|index| SocketId(self.first + index)).collect(),
                relayed_from: self.first + listeners,
                relayed_max: self.relayed_max,
                live: *live,
            })
        });
        ShardConfig { turn, ..shard }
    }

    /// The place at the next worker.
    pub(crate) fn seat(&mut self) -> Option<TurnSeat> {
        let sockets = self.sockets.pop()?;
        let Self { owner, tos, first, configured, .. } = self;
        configured.then(|| TurnSeat { owner: owner.clone(), tos: *tos, first: *first, sockets })
    }

    /// The next worker takes mail there.
    pub(crate) fn seated(&mut self, mail: Option<MailSender<TurnMail>>) {
        self.mail.extend(mail);
    }

    /// The way to all of them, who are told of each other.
    pub(crate) fn door(self) -> Option<TurnDoor> {
        for worker in &self.mail {
            // It is the first mail of all; a worker that is gone has told why.
            let sent = worker.send(TurnMail::Workers(self.mail.clone()));
            debug_assert!(!matches!(sent, Err(Undelivered::Full(_))));
        }
        self.configured.then(|| TurnDoor::new(self.mail))
    }
}

impl TurnSeat {
    /// The mailbox of a worker and who empties it.
    pub(crate) fn desk(&self, waker: Waker) -> (MailSender<TurnMail>, TurnDesk) {
        let (mail, receiver) = mailbox(waker, MAIL_MAX);
        (mail, TurnDesk::new(receiver, self.owner.clone()))
    }

    /// Listens, on the thread of the worker.
    pub(crate) fn listen(self, driver: &mut Driver) -> io::Result<()> {
        for (number, socket) in (self.first..).zip(self.sockets) {
            driver.adopt(number, socket)?;
            driver.set_tos(number, self.tos)?;
        }
        Ok(())
    }
}

/// What each shard's TURN server is told of a configuration: its share of allocations, and which addresses are ours.
pub(crate) fn live(config: &Config) -> Option<Box<TurnLive>> {
    let turn = config.turn.as_ref()?;
    let limits = &turn.live.limits;
    let allocations_max = limits.allocations_max.div_ceil(usize::from(config.workers));
    let mut own = local_addresses().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine cannot be told: TURN peers are kept off those of interfaces only");
        Vec::new()
    });
    own.extend(listened_on(config));
    own.retain(|address| !address.is_unspecified());
    Some(Box::new(TurnLive {
        own,
        limits: TurnLimits { allocations_max, ..limits.clone() },
        ..turn.live.clone()
    }))
}

/// Addresses that something of ours listens on, which another machine may have now and then.
fn listened_on(config: &Config) -> impl Iterator<Item = IpAddr> {
    let streams = config.edge.listeners.iter().map(|(_, address)| address.ip());
    config.listen_ng.iter().map(SocketAddr::ip).chain(streams)
}

/// Messages of clients on streams and of other workers that wait for a worker at most.
const MAIL_MAX: usize = 4096;
