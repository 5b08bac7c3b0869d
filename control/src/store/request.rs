//! What each request of a call does to the tables, inside the group's transaction.

use call::{AccountId, CallId, Cdr, DelaySource, JournalEntry, StoreReply, StoreRequest};
use ledger::{Amount, Coverage, HoldState, LedgerAccount, Quote, TransferKind};
use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;

/// Does one request; what it wrote counts once the transaction around it has been committed.
///
/// # Errors
/// The database refused, or the request contradicts what is stored.
pub(super) fn execute(
    connection: &Connection,
    now_ms: u64,
    request: &StoreRequest,
) -> Result<StoreReply, StoreError> {
    match request {
        StoreRequest::Authorize { call, account, quote, max_seconds, expires_at_ms, journal } => {
            let asked = Asked {
                call,
                account,
                quote,
                seconds_max: *max_seconds,
                expires_at_ms: *expires_at_ms,
                journal,
            };
            authorize(connection, now_ms, &asked)
        }
        StoreRequest::Journal { call, journal } => {
            write_journal(connection, call, journal)?;
            Ok(StoreReply::Done)
        }
        StoreRequest::Settle { call, charge, cdr } => settle(connection, now_ms, call, *charge, cdr),
    }
}

/// Marks every hold whose time has come and gives their number; decisions do not wait for it.
///
/// # Errors
/// The database refused.
pub(super) fn sweep(connection: &Connection, now_ms: u64) -> Result<usize, StoreError> {
    let swept = connection
        .prepare_cached("UPDATE hold SET state = 'expired' WHERE state = 'open' AND expires_at_ms <= ?1")?
        .execute([stored_ms(now_ms)])?;
    Ok(swept)
}

/// Marks the expired holds of one account in the decision that may give their money away: a wall clock that
/// is set back afterwards must not make them count again.
fn end_expired(connection: &Connection, now_ms: u64, account: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE hold SET state = 'expired' WHERE account = ?1 AND state = 'open' AND expires_at_ms <= ?2",
        )?
        .execute(params![account, stored_ms(now_ms)])?;
    Ok(())
}

/// An instant as the tables keep it.
pub(super) fn stored_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Writes both sides of a movement and the customer's new balance.
///
/// # Errors
/// There is no such account, the database refused, or the sum does not fit an amount.
pub(super) fn post(connection: &Connection, now_ms: u64, movement: &Movement<'_>) -> Result<(), StoreError> {
    let (from, to, customer_change) = match movement.kind {
        TransferKind::TopUp => (movement.system, movement.customer, movement.amount.nanos()),
        TransferKind::Charge => (movement.customer, movement.system, -movement.amount.nanos()),
    };
    let changed = connection
        .prepare_cached("UPDATE ledger_account SET posted = posted + ?2 WHERE name = ?1")?
        .execute(params![movement.customer.to_string(), customer_change])?;
    if changed != 1 {
        return Err(StoreError::refused("no such account"));
    }
    connection
        .prepare_cached(
            "INSERT INTO ledger_account (name, currency)
             SELECT ?1, currency FROM ledger_account WHERE name = ?2
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![movement.system.to_string(), movement.customer.to_string()])?;
    connection
        .prepare_cached("INSERT INTO transfer (kind, call, reference, at_ms) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![movement.kind.name(), movement.call, movement.reference, stored_ms(now_ms)])?;
    let transfer = connection.last_insert_rowid();
    let mut insert = connection
        .prepare_cached("INSERT INTO posting (transfer, ledger_account, amount) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![transfer, from.to_string(), -movement.amount.nanos()])?;
    insert.execute(params![transfer, to.to_string(), movement.amount.nanos()])?;
    Ok(())
}

/// Money going between a customer and one of the system's own places.
pub(super) struct Movement<'a> {
    /// Why, and therefore in which direction.
    pub(super) kind: TransferKind,
    /// The customer's place.
    pub(super) customer: &'a LedgerAccount,
    /// The other place.
    pub(super) system: &'a LedgerAccount,
    /// How much; above zero.
    pub(super) amount: Amount,
    /// The call, of a charge.
    pub(super) call: Option<&'a str>,
    /// What the operator noted, of a top-up.
    pub(super) reference: Option<&'a str>,
}

struct Asked<'a> {
    call: &'a CallId,
    account: &'a AccountId,
    quote: &'a Quote,
    seconds_max: u32,
    expires_at_ms: u64,
    journal: &'a JournalEntry,
}

fn authorize(connection: &Connection, now_ms: u64, asked: &Asked<'_>) -> Result<StoreReply, StoreError> {
    if has_ended(connection, asked.call)? {
        return Err(StoreError::refused("the call has ended"));
    }
    if let Some(hold) = Held::of(connection, asked.call)? {
        if hold.account != asked.account.0 || !hold.counts_at(now_ms) {
            return Err(StoreError::refused("the hold of the call has ended or is another account's"));
        }
        return Ok(StoreReply::Authorized { held: hold.coverage.amount, seconds: hold.coverage.seconds });
    }
    end_expired(connection, now_ms, &asked.account.0)?;
    let funds = Funds::of(connection, asked.account, now_ms)?;
    let Some(coverage) = asked.quote.hold_for(funds.spendable()?, asked.seconds_max) else {
        return Ok(StoreReply::Refused { available: funds.available()? });
    };
    // The statement decides, not the figures read above: it is right whoever else writes.
    let placed = connection
        .prepare_cached(
            "INSERT INTO hold (call, account, amount, seconds, placed_at_ms, expires_at_ms, state)
             SELECT ?1, account.id, ?3, ?4, ?5, ?6, 'open'
             FROM account JOIN ledger_account ON ledger_account.account = account.id
             WHERE account.id = ?2 AND account.enabled = 1
               AND ledger_account.posted - account.balance_limit - (
                     SELECT coalesce(sum(amount), 0) FROM hold
                     WHERE hold.account = ?2 AND state = 'open' AND expires_at_ms > ?5
                   ) >= ?3",
        )?
        .execute(params![
            asked.call.as_str(),
            asked.account.0,
            coverage.amount.nanos(),
            coverage.seconds,
            stored_ms(now_ms),
            stored_ms(asked.expires_at_ms),
        ])?;
    if placed == 0 {
        return Ok(StoreReply::Refused { available: funds.available()? });
    }
    write_journal(connection, asked.call, asked.journal)?;
    Ok(StoreReply::Authorized { held: coverage.amount, seconds: coverage.seconds })
}

/// A row that comes after the call's record is dropped: it would bring the call back after a restart.
fn write_journal(connection: &Connection, call: &CallId, journal: &JournalEntry) -> Result<(), StoreError> {
    let entry =
        serde_json::to_string(journal).map_err(|error| StoreError::row("journal", call.as_str(), error))?;
    connection
        .prepare_cached(
            "INSERT INTO journal (call, entry)
             SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM cdr WHERE call = ?1)
             ON CONFLICT (call) DO UPDATE SET entry = excluded.entry",
        )?
        .execute(params![call.as_str(), entry])?;
    Ok(())
}

/// The charge is never above the hold. One that is (a fault of ours) is cut to it, and one whose hold has
/// expired is also cut to what the account can still spend: refusing instead would leave a call without its
/// record for ever. What was cut is kept as the record's shortfall and logged as an error.
fn settle(
    connection: &Connection,
    now_ms: u64,
    call: &CallId,
    charge: Amount,
    cdr: &Cdr,
) -> Result<StoreReply, StoreError> {
    if cdr.call != *call || charge.is_negative() {
        return Err(StoreError::refused("the record is another call's, or the charge is negative"));
    }
    if !has_ended(connection, call)? {
        let charged = match Held::of(connection, call)? {
            None => Amount::ZERO,
            Some(hold) => end_hold(connection, now_ms, call, charge, &hold)?,
        };
        let shortfall = charge.checked_sub(charged).unwrap_or(Amount::ZERO);
        if !shortfall.is_zero() {
            tracing::error!(%call, %charge, %charged, "less was posted than was charged");
        }
        write_cdr(connection, cdr, charged, shortfall)?;
    }
    connection.prepare_cached("DELETE FROM journal WHERE call = ?1")?.execute([call.as_str()])?;
    Ok(StoreReply::Done)
}

fn end_hold(
    connection: &Connection,
    now_ms: u64,
    call: &CallId,
    charge: Amount,
    hold: &Held,
) -> Result<Amount, StoreError> {
    let mut charged = charge.min(hold.coverage.amount);
    if !hold.counts_at(now_ms) {
        end_expired(connection, now_ms, &hold.account)?;
        let account = AccountId(hold.account.clone());
        let spendable = Funds::of(connection, &account, now_ms)?.spendable()?;
        charged = charged.min(spendable.max(Amount::ZERO));
    }
    let state = match (hold.counts_at(now_ms), charged.is_zero()) {
        (false, _) => "expired",
        (true, true) => "released",
        (true, false) => "settled",
    };
    connection
        .prepare_cached("UPDATE hold SET state = ?2 WHERE call = ?1 AND state = 'open'")?
        .execute(params![call.as_str(), state])?;
    if !charged.is_zero() {
        let customer: ledger::AccountId =
            hold.account.parse().map_err(|error| StoreError::row("hold", call.as_str(), error))?;
        let currency = currency_of(connection, &hold.account)?;
        post(
            connection,
            now_ms,
            &Movement {
                kind: TransferKind::Charge,
                customer: &LedgerAccount::Customer(customer),
                system: &LedgerAccount::Revenue(currency),
                amount: charged,
                call: Some(call.as_str()),
                reference: None,
            },
        )?;
    }
    Ok(charged)
}

fn write_cdr(
    connection: &Connection,
    cdr: &Cdr,
    charged: Amount,
    shortfall: Amount,
) -> Result<(), StoreError> {
    let mut cdr = cdr.clone();
    cdr.set_charge(charged);
    let record =
        serde_json::to_string(&cdr).map_err(|error| StoreError::row("cdr", cdr.call.as_str(), error))?;
    let [caller, callee] = [&cdr.media.caller, &cdr.media.callee].map(|leg| leg.quality.as_ref());
    // Both are of one engine, and of one delay between the two.
    let either = caller.or(callee);
    connection
        .prepare_cached(
            "INSERT INTO cdr (call, account, end_at_ms, charge, shortfall, record,
                              caller_mos_x100, callee_mos_x100, mos_delay_from, mos_buffer_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            cdr.call.as_str(),
            cdr.account.as_ref().map(|account| account.0.as_str()),
            stored_ms(cdr.end_at.0),
            charged.nanos(),
            shortfall.nanos(),
            record,
            caller.and_then(|quality| quality.mos_x100),
            callee.and_then(|quality| quality.mos_x100),
            either.map(|quality| match quality.delay_from {
                DelaySource::Assumed => "assumed",
                DelaySource::Rtcp => "rtcp",
            }),
            either.map(|quality| quality.buffer_ms),
        ])?;
    Ok(())
}

fn has_ended(connection: &Connection, call: &CallId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM cdr WHERE call = ?1")?.exists([call.as_str()])?)
}

/// The currency of an account, which must exist.
///
/// # Errors
/// The database refused, or the account has no currency known here.
pub(super) fn currency_of(connection: &Connection, account: &str) -> Result<ledger::Currency, StoreError> {
    let code: String = connection
        .prepare_cached("SELECT currency FROM account WHERE id = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::refused("no such account"))?;
    code.parse().map_err(|error| StoreError::row("account", account, error))
}

/// What an account has at an instant.
pub(super) struct Funds {
    /// The sum of its postings.
    pub(super) posted: Amount,
    /// The sum of its holds that count.
    pub(super) held: Amount,
    /// The least that may be available.
    pub(super) limit: Amount,
}

impl Funds {
    /// Reads an account's funds; expired holds do not count, swept or not.
    ///
    /// # Errors
    /// The database refused, or there is no such account.
    pub(super) fn of(connection: &Connection, account: &AccountId, now_ms: u64) -> Result<Funds, StoreError> {
        connection
            .prepare_cached(
                "SELECT ledger_account.posted, account.balance_limit, (
                     SELECT coalesce(sum(amount), 0) FROM hold
                     WHERE hold.account = ?1 AND state = 'open' AND expires_at_ms > ?2
                 )
                 FROM account JOIN ledger_account ON ledger_account.account = account.id
                 WHERE account.id = ?1",
            )?
            .query_row(params![account.0, stored_ms(now_ms)], |row| {
                Ok(Funds {
                    posted: Amount::from_nanos(row.get(0)?),
                    limit: Amount::from_nanos(row.get(1)?),
                    held: Amount::from_nanos(row.get(2)?),
                })
            })
            .optional()?
            .ok_or_else(|| StoreError::refused("no such account"))
    }

    /// Posted minus held.
    ///
    /// # Errors
    /// It does not fit an amount.
    pub(super) fn available(&self) -> Result<Amount, StoreError> {
        self.posted
            .checked_sub(self.held)
            .ok_or_else(|| StoreError::refused("the balance does not fit an amount"))
    }

    fn spendable(&self) -> Result<Amount, StoreError> {
        self.available()?
            .checked_sub(self.limit)
            .ok_or_else(|| StoreError::refused("the balance does not fit an amount"))
    }
}

struct Held {
    account: String,
    coverage: Coverage,
    expires_at_ms: i64,
    state: HoldState,
}

impl Held {
    fn of(connection: &Connection, call: &CallId) -> Result<Option<Held>, StoreError> {
        let held = connection
            .prepare_cached(
                "SELECT account, amount, seconds, expires_at_ms, state FROM hold WHERE call = ?1",
            )?
            .query_row([call.as_str()], |row| {
                let state: String = row.get(4)?;
                Ok(Held {
                    account: row.get(0)?,
                    coverage: Coverage { amount: Amount::from_nanos(row.get(1)?), seconds: row.get(2)? },
                    expires_at_ms: row.get(3)?,
                    state: match state.as_str() {
                        "open" => HoldState::Open,
                        "settled" => HoldState::Settled,
                        "released" => HoldState::Released,
                        _ => HoldState::Expired,
                    },
                })
            })
            .optional()?;
        Ok(held)
    }

    fn counts_at(&self, now_ms: u64) -> bool {
        self.state == HoldState::Open && self.expires_at_ms > stored_ms(now_ms)
    }
}
