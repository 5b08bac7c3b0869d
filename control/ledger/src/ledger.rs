//! The whole ledger as a value: the rules without a database.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{
    Account, AccountId, Amount, Coverage, Currency, Hold, HoldId, HoldState, LedgerAccount, Quote, Transfer,
};

/// Accounts, holds and transfers in memory.
///
/// The durable ledger keeps the same rules in SQL; tests run the same history
/// through both and compare. At every moment, for every account,
/// `posted - held >= limit`, and all postings of a currency sum to zero.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<AccountId, Account>,
    holds: BTreeMap<HoldId, Hold>,
    settlements: BTreeMap<HoldId, Settlement>,
    transfers: Vec<Transfer>,
}

impl Ledger {
    /// A ledger without accounts.
    #[must_use]
    pub fn new() -> Self {
        Ledger::default()
    }

    /// Opens an account without money.
    ///
    /// # Errors
    /// It exists, or its limit is above zero, which no empty account keeps.
    pub fn open(&mut self, id: AccountId, currency: Currency, limit: Amount) -> Result<(), LedgerError> {
        if limit > Amount::ZERO {
            return Err(LedgerError::Amount);
        }
        if self.accounts.contains_key(&id) {
            return Err(LedgerError::AccountExists);
        }
        self.accounts.insert(id, Account::new(currency, limit));
        Ok(())
    }

    /// Adds bought credit and gives what is posted then.
    ///
    /// # Errors
    /// No such account, an amount not above zero, or a balance that does not
    /// fit an amount.
    pub fn top_up(&mut self, id: &AccountId, amount: Amount) -> Result<Amount, LedgerError> {
        let account = self.accounts.get_mut(id).ok_or(LedgerError::UnknownAccount)?;
        let transfer =
            Transfer::top_up(id.clone(), account.currency, amount).map_err(|_| LedgerError::Amount)?;
        account.posted = account.posted.checked_add(amount).ok_or(LedgerError::Amount)?;
        self.transfers.push(transfer);
        Ok(account.posted)
    }

    /// Holds what the account affords of a call of at most `seconds_max`.
    ///
    /// The same `id` again is the same hold: nothing further is taken.
    ///
    /// # Errors
    /// No such account; a hold of that id which belongs to another account,
    /// has ended or has expired.
    pub fn authorize(
        &mut self,
        id: HoldId,
        account_id: &AccountId,
        quote: &Quote,
        seconds_max: u32,
        now_ms: u64,
        expires_at_ms: u64,
    ) -> Result<Authorization, LedgerError> {
        self.expire(now_ms);
        let account = self.accounts.get_mut(account_id).ok_or(LedgerError::UnknownAccount)?;
        if self.settlements.contains_key(&id) {
            return Err(LedgerError::HoldEnded);
        }
        if let Some(hold) = self.holds.get(&id) {
            return if hold.counts_at(now_ms) && hold.account == *account_id {
                Ok(Authorization::Held(hold.coverage))
            } else {
                Err(LedgerError::HoldEnded)
            };
        }
        let available = account.available().ok_or(LedgerError::Amount)?;
        let spendable = account.spendable().ok_or(LedgerError::Amount)?;
        let Some(coverage) = quote.hold_for(spendable, seconds_max) else {
            return Ok(Authorization::Refused { available });
        };
        account.held = account.held.checked_add(coverage.amount).ok_or(LedgerError::Amount)?;
        let hold = Hold::new(account_id.clone(), coverage, expires_at_ms);
        self.holds.insert(id, hold);
        Ok(Authorization::Held(coverage))
    }

    /// Ends a call: posts its charge, frees the rest of its hold.
    ///
    /// The charge is cut to the hold. When the hold had expired, its money
    /// may be spent elsewhere by now, so the charge is also cut to what can
    /// be spent. Without a hold nothing is posted. The same `id` again
    /// answers what was posted the first time.
    ///
    /// # Errors
    /// No such account, a negative charge, or a hold of another account.
    pub fn settle(
        &mut self,
        id: HoldId,
        account_id: &AccountId,
        charge: Amount,
        now_ms: u64,
    ) -> Result<Settlement, LedgerError> {
        self.expire(now_ms);
        if let Some(settlement) = self.settlements.get(&id) {
            return Ok(*settlement);
        }
        let account = self.accounts.get_mut(account_id).ok_or(LedgerError::UnknownAccount)?;
        if charge.is_negative() {
            return Err(LedgerError::Amount);
        }
        let charged = match self.holds.get_mut(&id) {
            None => Amount::ZERO,
            Some(hold) if hold.account != *account_id => return Err(LedgerError::HoldEnded),
            Some(hold) => {
                let held = hold.coverage.amount;
                let charged = if hold.state() == HoldState::Open {
                    account.held = account.held.checked_sub(held).ok_or(LedgerError::Amount)?;
                    charge.min(held)
                } else {
                    let spendable = account.spendable().ok_or(LedgerError::Amount)?;
                    charge.min(held).min(spendable.max(Amount::ZERO))
                };
                let state = if charged.is_zero() { HoldState::Released } else { HoldState::Settled };
                if hold.state() == HoldState::Open {
                    hold.end(state).map_err(|_| LedgerError::HoldEnded)?;
                }
                charged
            }
        };
        if !charged.is_zero() {
            account.posted = account.posted.checked_sub(charged).ok_or(LedgerError::Amount)?;
            self.transfers.push(
                Transfer::charge(account_id.clone(), account.currency, charged)
                    .map_err(|_| LedgerError::Amount)?,
            );
        }
        let settlement =
            Settlement { charged, shortfall: charge.checked_sub(charged).ok_or(LedgerError::Amount)? };
        self.settlements.insert(id, settlement);
        Ok(settlement)
    }

    /// Ends every hold whose time has come and gives their number.
    ///
    /// Every decision does this first, so nothing depends on calling it.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let mut ended = 0;
        for hold in self.holds.values_mut() {
            if hold.state() != HoldState::Open || hold.expires_at_ms > now_ms {
                continue;
            }
            let freed = self.accounts.get_mut(&hold.account).and_then(|account| {
                account.held = account.held.checked_sub(hold.coverage.amount)?;
                hold.end(HoldState::Expired).ok()
            });
            ended += usize::from(freed.is_some());
        }
        ended
    }

    /// An account as it stands, expired holds included until they are swept.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// A hold as it stands.
    #[must_use]
    pub fn hold(&self, id: &HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// Recomputes every balance from postings and holds.
    ///
    /// # Errors
    /// A sentence naming the first rule that does not hold.
    pub fn verify(&self) -> Result<(), String> {
        let mut sums: BTreeMap<LedgerAccount, i128> = BTreeMap::new();
        for transfer in &self.transfers {
            let postings = transfer.postings();
            let sum: i128 = postings.iter().map(|p| i128::from(p.amount.nanos())).sum();
            if sum != 0 {
                return Err(format!("{transfer:?} sums to {sum}"));
            }
            for posting in postings {
                *sums.entry(posting.account.clone()).or_default() += i128::from(posting.amount.nanos());
            }
        }
        for (id, account) in &self.accounts {
            let posted = sums.get(&LedgerAccount::Customer(id.clone()));
            if posted.copied().unwrap_or(0) != i128::from(account.posted.nanos()) {
                return Err(format!("{id}: balance {} is not its postings", account.posted));
            }
            let held: i128 = self
                .holds
                .values()
                .filter(|hold| hold.account == *id && hold.state() == HoldState::Open)
                .map(|hold| i128::from(hold.coverage.amount.nanos()))
                .sum();
            if held != i128::from(account.held.nanos()) {
                return Err(format!("{id}: held {} is not its holds", account.held));
            }
            if account.available().is_none_or(|available| available < account.limit) {
                return Err(format!("{id}: below its limit: {account:?}"));
            }
        }
        Ok(())
    }
}

/// The answer to a request for money.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authorization {
    /// It is held.
    Held(Coverage),
    /// Not even the first increment is affordable.
    Refused {
        /// Posted minus held.
        available: Amount,
    },
}

/// What the end of a call moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// What was posted.
    pub charged: Amount,
    /// What was asked for and not posted; zero unless the hold had expired
    /// or the charge was above it.
    pub shortfall: Amount,
}

/// Why the ledger refused an operation outright.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LedgerError {
    /// There is no such account.
    #[error("no such account")]
    UnknownAccount,
    /// There is such an account already.
    #[error("the account exists")]
    AccountExists,
    /// The hold has ended, or belongs to another account.
    #[error("the hold has ended or is another account's")]
    HoldEnded,
    /// The amount has the wrong sign or the sum does not fit.
    #[error("the amount cannot be posted")]
    Amount,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Rate;

    fn alice() -> AccountId {
        "alice".parse().unwrap()
    }

    fn hold_id(number: u8) -> HoldId {
        format!("call{number}").parse().unwrap()
    }

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn quote(per_minute: &str) -> Quote {
        Rate::per_minute("1".parse().unwrap(), amount(per_minute)).unwrap().into()
    }

    fn ledger(credit: &str) -> Ledger {
        let mut ledger = Ledger::new();
        ledger.open(alice(), "EUR".parse().unwrap(), Amount::ZERO).unwrap();
        ledger.top_up(&alice(), amount(credit)).unwrap();
        ledger
    }

    #[test]
    fn a_call_is_held_then_charged_and_the_rest_is_free() {
        let mut ledger = ledger("10");
        let held = ledger.authorize(hold_id(1), &alice(), &quote("1"), 120, 0, 1000);
        let coverage = Coverage { amount: amount("2"), seconds: 120 };
        assert_eq!(held, Ok(Authorization::Held(coverage)));
        let again = ledger.authorize(hold_id(1), &alice(), &quote("1"), 120, 500, 1000);
        assert_eq!(again, held);
        assert_eq!(ledger.account(&alice()).unwrap().held, amount("2"));
        for _ in 0..2 {
            let settled = ledger.settle(hold_id(1), &alice(), amount("0.5"), 600).unwrap();
            assert_eq!(settled.charged, amount("0.5"));
        }
        let account = ledger.account(&alice()).unwrap();
        assert_eq!(account.available(), Some(amount("9.5")));
        assert_eq!(ledger.hold(&hold_id(1)).unwrap().state(), HoldState::Settled);
        let ended = ledger.authorize(hold_id(1), &alice(), &quote("1"), 120, 700, 1000);
        assert_eq!(ended, Err(LedgerError::HoldEnded));
    }

    #[test]
    fn a_charge_above_the_hold_is_cut_to_it() {
        let mut ledger = ledger("10");
        ledger.authorize(hold_id(1), &alice(), &quote("1"), 60, 0, 1000).unwrap();
        let settled = ledger.settle(hold_id(1), &alice(), amount("5"), 10).unwrap();
        assert_eq!(settled.charged, amount("1"));
        assert_eq!(settled.shortfall, amount("4"));
    }

    #[test]
    fn a_charge_after_expiry_is_cut_to_what_is_left() {
        let mut ledger = ledger("1");
        for call in [1, 2] {
            // The second call finds the money of the first, which expired.
            let now_ms = u64::from(call) * 1000;
            let held = ledger.authorize(hold_id(call), &alice(), &quote("1"), 45, now_ms, now_ms + 1000);
            assert!(matches!(held, Ok(Authorization::Held(_))));
        }
        let settled = ledger.settle(hold_id(1), &alice(), amount("0.75"), 2500).unwrap();
        assert_eq!(settled.charged, amount("0.25"));
        assert_eq!(ledger.hold(&hold_id(1)).unwrap().state(), HoldState::Expired);
        assert_eq!(ledger.verify(), Ok(()));
    }

    #[test]
    fn a_call_without_a_hold_costs_nothing() {
        let mut ledger = ledger("1");
        let settled = ledger.settle(hold_id(9), &alice(), amount("1"), 0).unwrap();
        assert_eq!(settled.charged, Amount::ZERO);
        assert_eq!(settled.shortfall, amount("1"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        TopUp(i64),
        Authorize { call: u8, per_minute: i64, seconds_max: u32, lasts_ms: u64 },
        Settle { call: u8, charge: i64 },
        Wait(u64),
        Sweep,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (-5_i64..3_000_000_000).prop_map(Step::TopUp),
            (0_u8..12, 0_i64..2_000_000_000, 0_u32..300, 0_u64..5000).prop_map(
                |(call, per_minute, seconds_max, lasts_ms)| Step::Authorize {
                    call,
                    per_minute,
                    seconds_max,
                    lasts_ms,
                }
            ),
            (0_u8..12, 0_i64..4_000_000_000).prop_map(|(call, charge)| Step::Settle { call, charge }),
            (0_u8..12).prop_map(|call| Step::Settle { call, charge: 0 }),
            (0_u64..2000).prop_map(Step::Wait),
            Just(Step::Sweep),
        ]
    }

    proptest! {
        #[test]
        fn no_interleaving_overdraws_or_loses_money(
            steps in prop::collection::vec(any_step(), 0..60),
        ) {
            let mut ledger = ledger("1");
            let mut now_ms = 0;
            for step in steps {
                match step {
                    Step::TopUp(nanos) => {
                        let _ = ledger.top_up(&alice(), Amount::from_nanos(nanos));
                    }
                    Step::Authorize { call, per_minute, seconds_max, lasts_ms } => {
                        let rate = Rate::per_minute(
                            "1".parse().unwrap(), Amount::from_nanos(per_minute),
                        );
                        let quote = Quote::from(rate.unwrap());
                        let _ = ledger.authorize(
                            hold_id(call), &alice(), &quote, seconds_max, now_ms, now_ms + lasts_ms,
                        );
                    }
                    Step::Settle { call, charge } => {
                        let held = ledger.hold(&hold_id(call)).map(|hold| hold.coverage.amount);
                        let settled = ledger
                            .settle(hold_id(call), &alice(), Amount::from_nanos(charge), now_ms)
                            .unwrap();
                        prop_assert!(settled.charged <= held.unwrap_or(Amount::ZERO));
                    }
                    Step::Wait(ms) => now_ms += ms,
                    Step::Sweep => { ledger.expire(now_ms); }
                }
                prop_assert_eq!(ledger.verify(), Ok(()));
                let account = ledger.account(&alice()).unwrap();
                prop_assert!(account.available().unwrap() >= Amount::ZERO);
            }
        }
    }
}
