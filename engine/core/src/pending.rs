//! A command that waits until its sockets are open.

use crate::{
    negotiate::Exchange,
    shard::{Publication, Subscription},
    socket::PairId,
};

/// A command that waits until its sockets are open. Of each call at most one does; those that come
/// meanwhile wait behind it.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Of the command.
    pub(crate) id: u64,
    /// DSCP byte of what its sockets send.
    pub(crate) tos: u8,
    /// Pairs that were asked for and are not open yet.
    pub(crate) opening: Vec<PairId>,
    /// How often another port may still be tried.
    pub(crate) attempts_left: u8,
    /// What is done when they are open.
    pub(crate) work: Work,
}

/// What is done when every socket is open.
#[derive(Debug)]
pub(crate) enum Work {
    /// An offer or answer.
    Exchange(Box<Exchange>),
    /// A `subscribe request`.
    Subscription(Box<Subscription>),
    /// A `publish`.
    Publication(Box<Publication>),
}

impl Pending {
    /// How many ports are tried in place of ones that somebody else has.
    const ATTEMPTS: u8 = 16;

    pub(crate) fn new(id: u64, tos: u8, opening: Vec<PairId>, work: Work) -> Self {
        Self { id, tos, opening, attempts_left: Self::ATTEMPTS, work }
    }

    /// Puts `new` wherever `old` was planned.
    pub(crate) fn replace_pair(&mut self, old: PairId, new: PairId) {
        let put = |pair: &mut PairId| {
            if *pair == old {
                *pair = new;
            }
        };
        self.opening.iter_mut().for_each(put);
        match &mut self.work {
            Work::Exchange(exchange) => exchange.pairs_mut().for_each(put),
            Work::Subscription(subscription) => subscription.pairs_mut().for_each(put),
            Work::Publication(publication) => publication.pairs_mut().for_each(put),
        }
    }
}
