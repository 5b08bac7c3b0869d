//! Accounts and their credit, as an operator handles them.

use std::net::IpAddr;

use call::{Account, AccountId, DigestAlgorithm, PhoneMedia};
use ledger::{Amount, Currency, LedgerAccount, TransferKind};
use rusqlite::{Connection, ToSql, params};

use super::request::{Funds, Movement, currency_of, post};
use super::{Admin, StoreError, directory, rates, secret};

impl Admin {
    /// Adds an account without money and without a way to prove itself.
    ///
    /// # Errors
    /// The name or the number is none, the name exists already, or the tariff does not exist or is in a currency that is
    /// not known to be worth anything in that of the account.
    pub fn add_account(&mut self, account: &NewAccount) -> Result<(), StoreError> {
        let id: ledger::AccountId =
            account.id.parse().map_err(|error| StoreError::refused(format!("{error}")))?;
        if let Some(number) = &account.caller_number
            && !is_number(number)
        {
            return Err(StoreError::refused(format!("{number:?} is no number: digits, with or without +")));
        }
        if account.balance_limit > Amount::ZERO {
            return Err(StoreError::refused("the limit of a balance is zero or below"));
        }
        if account.max_call_seconds == 0 {
            return Err(StoreError::refused("a call must be allowed at least one second"));
        }
        let transaction = self.begin()?;
        if transaction.prepare("SELECT 1 FROM account WHERE id = ?1")?.exists([&account.id])? {
            return Err(StoreError::refused(format!("account {id} exists")));
        }
        if let Some(tariff) = &account.tariff {
            check_tariff(&transaction, tariff, account.currency)?;
        }
        transaction.execute(
            "INSERT INTO account (id, display_name, currency, enabled, balance_limit, tariff, caller_number,
                                  max_call_seconds, max_calls, grace_seconds, md5_in_clear, media)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                account.id,
                account.display_name,
                account.currency.code(),
                account.balance_limit.nanos(),
                account.tariff,
                account.caller_number,
                account.max_call_seconds,
                account.max_calls,
                account.grace_seconds,
                account.md5_in_clear,
                account.media.name(),
            ],
        )?;
        transaction.execute(
            "INSERT INTO ledger_account (name, currency, account, posted) VALUES (?1, ?2, ?3, 0)",
            params![LedgerAccount::Customer(id).to_string(), account.currency.code(), account.id],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Replaces the digest secrets of an account: one for each algorithm, offered in that order.
    ///
    /// Only H(user:realm:password) is kept, so `realm` must be the one that challenges name.
    ///
    /// # Errors
    /// There is no such account, the password is empty, or no algorithm is given.
    pub fn set_password(
        &mut self,
        id: &str,
        realm: &str,
        password: &str,
        algorithms: &[DigestAlgorithm],
    ) -> Result<(), StoreError> {
        if password.is_empty() || algorithms.is_empty() {
            return Err(StoreError::refused("a password and at least one algorithm are needed"));
        }
        let transaction = self.begin()?;
        currency_of(&transaction, id)?;
        transaction.execute("DELETE FROM digest_secret WHERE account = ?1", [id])?;
        for (position, algorithm) in (0_u32..).zip(algorithms) {
            transaction.execute(
                "INSERT INTO digest_secret (account, algorithm, position, ha1) VALUES (?1, ?2, ?3, ?4)",
                params![id, secret::name(*algorithm), position, secret::ha1(*algorithm, id, realm, password)],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Takes calls from `address` as the account's without a digest.
    ///
    /// # Errors
    /// There is no such account, or the address is trusted as another one.
    pub fn trust_address(&mut self, id: &str, address: IpAddr) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        currency_of(&transaction, id)?;
        transaction.execute(
            "INSERT INTO trusted_address (address, account) VALUES (?1, ?2)
             ON CONFLICT (address) DO NOTHING",
            params![address.to_string(), id],
        )?;
        let owner: String = transaction.query_row(
            "SELECT account FROM trusted_address WHERE address = ?1",
            [address.to_string()],
            |row| row.get(0),
        )?;
        if owner != id {
            return Err(StoreError::refused(format!("{address} is trusted as account {owner}")));
        }
        transaction.commit()?;
        Ok(())
    }

    /// Allows or forbids an account to register and call.
    ///
    /// # Errors
    /// There is no such account.
    pub fn set_account_enabled(&mut self, id: &str, enabled: bool) -> Result<(), StoreError> {
        self.change(id, "UPDATE account SET enabled = ?2 WHERE id = ?1", &enabled)
    }

    /// What an account's phone is offered when it is called.
    ///
    /// # Errors
    /// There is no such account.
    pub fn set_phone_media(&mut self, id: &str, media: PhoneMedia) -> Result<(), StoreError> {
        self.change(id, "UPDATE account SET media = ?2 WHERE id = ?1", &media.name())
    }

    /// Changes one thing of one account.
    fn change(&mut self, id: &str, sql: &str, value: &dyn ToSql) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        if transaction.execute(sql, params![id, value])? == 0 {
            return Err(StoreError::refused("no such account"));
        }
        transaction.commit()?;
        Ok(())
    }

    /// Sets the price list of an account, and the one with prices of its own, which win where their prefix is not shorter.
    ///
    /// # Errors
    /// There is no such account or tariff, or one is in a currency that is not known to be worth anything in that of the
    /// account.
    pub fn set_tariffs(
        &mut self,
        id: &str,
        tariff: Option<&str>,
        overrides: Option<&str>,
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let currency = currency_of(&transaction, id)?;
        for name in [tariff, overrides].into_iter().flatten() {
            check_tariff(&transaction, name, currency)?;
        }
        transaction.execute(
            "UPDATE account SET tariff = ?2, overrides = ?3 WHERE id = ?1",
            params![id, tariff, overrides],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Posts an allowance to try the service with, once. Until the account buys credit it may only call numbers whose rate
    /// is marked for trials, or costs nothing.
    ///
    /// # Errors
    /// There is no such account, the amount is not above zero, or the account has had an allowance or bought credit.
    pub fn grant_trial(&mut self, id: &str, amount: Amount) -> Result<Amount, StoreError> {
        if amount <= Amount::ZERO {
            return Err(StoreError::refused("an allowance is above zero"));
        }
        let now_ms = self.now_ms();
        let transaction = self.begin()?;
        let currency = currency_of(&transaction, id)?;
        let customer: ledger::AccountId =
            id.parse().map_err(|error| StoreError::row("account", id, error))?;
        let customer = LedgerAccount::Customer(customer);
        let granted = transaction.execute(
            "UPDATE account SET trial = 'on' WHERE id = ?1 AND trial = 'none'
               AND NOT EXISTS (SELECT 1 FROM posting WHERE ledger_account = ?2)",
            params![id, customer.to_string()],
        )?;
        if granted == 0 {
            return Err(StoreError::refused("the account has had its trial, or bought credit"));
        }
        let movement = Movement {
            kind: TransferKind::TopUp,
            customer: &customer,
            system: &LedgerAccount::Promotion(currency),
            amount,
            call: None,
            reference: Some("trial"),
        };
        post(&transaction, now_ms, &movement)?;
        transaction.commit()?;
        Ok(amount)
    }

    /// Posts bought credit, which ends a trial, with the operator's note of where it came from, and gives the new balance.
    ///
    /// # Errors
    /// There is no such account, the amount is not above zero, or the balance does not fit an amount.
    pub fn top_up(
        &mut self,
        id: &str,
        amount: Amount,
        reference: Option<&str>,
    ) -> Result<Amount, StoreError> {
        if amount <= Amount::ZERO {
            return Err(StoreError::refused("credit is above zero"));
        }
        let now_ms = self.now_ms();
        let transaction = self.begin()?;
        let currency = currency_of(&transaction, id)?;
        let customer = id.parse().map_err(|error| StoreError::row("account", id, error))?;
        let before = Funds::of(&transaction, &AccountId(id.to_owned()), now_ms)?.posted;
        let after = before
            .checked_add(amount)
            .ok_or_else(|| StoreError::refused("the balance does not fit an amount"))?;
        let movement = Movement {
            kind: TransferKind::TopUp,
            customer: &LedgerAccount::Customer(customer),
            system: &LedgerAccount::Funding(currency),
            amount,
            call: None,
            reference,
        };
        post(&transaction, now_ms, &movement)?;
        transaction.execute("UPDATE account SET trial = 'over' WHERE id = ?1 AND trial = 'on'", [id])?;
        transaction.commit()?;
        Ok(after)
    }

    /// One account with its money.
    ///
    /// # Errors
    /// There is no such account, or the database refused.
    pub fn account(&self, id: &str) -> Result<AccountSummary, StoreError> {
        self.accounts()?
            .into_iter()
            .find(|summary| summary.account.id.0 == id)
            .ok_or_else(|| StoreError::refused("no such account"))
    }

    /// Every account with its money, by name.
    ///
    /// # Errors
    /// The database refused or a row does not read.
    pub fn accounts(&self) -> Result<Vec<AccountSummary>, StoreError> {
        let now_ms = self.now_ms();
        let connection = self.connection();
        let mut summaries = Vec::new();
        for (id, account) in directory::accounts(connection)? {
            let display_name = connection
                .prepare_cached("SELECT display_name FROM account WHERE id = ?1")?
                .query_row([&id.0], |row| row.get(0))?;
            let funds = Funds::of(connection, &id, now_ms)?;
            summaries.push(AccountSummary {
                account,
                display_name,
                posted: funds.posted,
                held: funds.held,
                available: funds.available()?,
                balance_limit: funds.limit,
            });
        }
        summaries.sort_by(|left, right| left.account.id.cmp(&right.account.id));
        Ok(summaries)
    }
}

/// Whether a balance can be charged by a tariff: in its own currency, or converted.
fn check_tariff(connection: &Connection, tariff: &str, to: Currency) -> Result<(), StoreError> {
    let from = rates::currency(connection, tariff)?;
    let known = connection
        .prepare_cached("SELECT 1 FROM exchange_rate WHERE from_currency = ?1 AND to_currency = ?2")?
        .exists([from.code(), to.code()])?;
    if from != to && !known {
        return Err(StoreError::refused(format!(
            "tariff {tariff} is in {from}, and what that is worth in {to} is not known: set a rate of exchange first"
        )));
    }
    Ok(())
}

/// What a carrier can be shown as the caller: at most as long as ITU-T E.164 has it.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name: also its SIP user part and digest username.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// The currency of its balance.
    pub currency: Currency,
    /// The least its available money may be: zero for prepaid, negative for credit.
    pub balance_limit: Amount,
    /// The price list of its calls; none: it may call registered phones only.
    pub tariff: Option<String>,
    /// The number shown to carriers; none: its name.
    pub caller_number: Option<String>,
    /// Upper bound of one call, in seconds.
    pub max_call_seconds: u32,
    /// Upper bound of its simultaneous calls.
    pub max_calls: u32,
    /// How long media may go on beyond the held time when nobody drives the call, in seconds.
    pub grace_seconds: u32,
    /// MD5 may be used outside TLS.
    pub md5_in_clear: bool,
    /// What its phone is offered when it is called.
    pub media: PhoneMedia,
}

impl NewAccount {
    /// A prepaid account: calls of up to four hours, ten at once, 30 s of grace, MD5 within TLS only.
    #[must_use]
    pub fn new(id: impl Into<String>, currency: Currency) -> Self {
        let id = id.into();
        NewAccount {
            display_name: id.clone(),
            id,
            currency,
            balance_limit: Amount::ZERO,
            tariff: None,
            caller_number: None,
            max_call_seconds: 4 * 3600,
            max_calls: 10,
            grace_seconds: 30,
            md5_in_clear: false,
            media: PhoneMedia::Auto,
        }
    }
}

/// An account and its money at one instant.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    /// The account as calls see it.
    pub account: Account,
    /// For people.
    pub display_name: String,
    /// The sum of its postings.
    pub posted: Amount,
    /// The sum of its holds that count.
    pub held: Amount,
    /// Posted minus held.
    pub available: Amount,
    /// The least that may be available.
    pub balance_limit: Amount,
}
