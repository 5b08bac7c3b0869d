//! Owners: who drives calls, and which incarnation of each was seen last
//! (`adr/0005-owners-epochs-and-kept-reports.md`).

use std::collections::BTreeMap;

use ng::Reply;

/// The owners that were seen and their epochs; at most as many as were allowed at the start.
#[derive(Debug)]
pub(crate) struct Owners {
    /// By name, so that which idle one is forgotten is no matter of chance.
    epochs: BTreeMap<String, u64>,
    owners_max: usize,
}

impl Owners {
    pub(crate) fn new(owners_max: usize) -> Self {
        Self { epochs: BTreeMap::new(), owners_max }
    }

    /// Whether a command of this owner may be obeyed; remembers its epoch. A missing epoch is 0.
    ///
    /// `in_use` says whether an owner has calls or kept reports: only others are forgotten.
    ///
    /// # Errors
    /// The text of the reply: the epoch is stale, or there are too many owners.
    pub(crate) fn admit(
        &mut self,
        owner: &str,
        epoch: Option<u64>,
        in_use: impl Fn(&str) -> bool,
    ) -> Result<(), &'static str> {
        let epoch = epoch.unwrap_or(0);
        if let Some(last) = self.epochs.get_mut(owner) {
            if epoch < *last {
                return Err(Reply::STALE_EPOCH);
            }
            *last = epoch;
            return Ok(());
        }
        if self.epochs.len() >= self.owners_max {
            let idle = self.epochs.keys().find(|name| !in_use(name)).cloned();
            self.epochs.remove(&idle.ok_or(Self::TOO_MANY)?);
        }
        self.epochs.insert(owner.to_owned(), epoch);
        Ok(())
    }

    /// The epoch of an owner that was seen; else 0.
    pub(crate) fn epoch(&self, owner: &str) -> u64 {
        self.epochs.get(owner).copied().unwrap_or(0)
    }

    /// Takes over what another shard knows of an owner. What is known here and newer stays.
    ///
    /// # Errors
    /// There are too many owners.
    pub(crate) fn learn(
        &mut self,
        owner: &str,
        epoch: u64,
        in_use: impl Fn(&str) -> bool,
    ) -> Result<(), &'static str> {
        let epoch = epoch.max(self.epoch(owner));
        self.admit(owner, Some(epoch), in_use)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.epochs.len()
    }

    const TOO_MANY: &str = "Too many owners";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_epoch_is_stale() {
        let mut owners = Owners::new(4);
        assert_eq!(owners.admit("a", Some(5), |_| true), Ok(()));
        assert_eq!(owners.admit("a", Some(4), |_| true), Err("Stale epoch"));
        assert_eq!(owners.admit("a", None, |_| true), Err("Stale epoch"));
        assert_eq!(owners.admit("a", Some(6), |_| true), Ok(()));
        assert_eq!(owners.admit("b", Some(1), |_| true), Ok(()), "each owner has its own");
    }

    #[test]
    fn memory_is_bounded_and_idle_owners_go_first() {
        let mut owners = Owners::new(2);
        owners.admit("busy", Some(1), |_| true).unwrap();
        owners.admit("idle", Some(1), |_| true).unwrap();
        assert_eq!(owners.admit("new", Some(1), |_| true), Err("Too many owners"));
        assert_eq!(owners.admit("new", Some(1), |name| name == "busy"), Ok(()));
        assert_eq!(owners.admit("busy", Some(0), |_| true), Err("Stale epoch"), "busy is still known");
    }
}
