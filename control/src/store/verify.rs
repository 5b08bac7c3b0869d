//! Recomputing what must always be true of the money.

use std::collections::BTreeMap;

use ledger::Amount;
use rusqlite::{Connection, ToSql};

use super::{Admin, StoreError, request};

impl Admin {
    /// Checks every balance, posting, hold and record against each other at one instant.
    ///
    /// # Errors
    /// The database cannot be read; what is wrong in it is in [`Verification::problems`].
    ///
    /// # Cost
    /// Reads every posting and record.
    pub fn verify(&self) -> Result<Verification, StoreError> {
        let now_ms = request::stored_ms(self.now_ms());
        // A reader's snapshot: calls go on while this looks.
        let transaction = self.connection().unchecked_transaction()?;
        let mut found = Verification {
            accounts: count(&transaction, "account")?,
            transfers: count(&transaction, "transfer")?,
            cdrs: count(&transaction, "cdr")?,
            problems: Vec::new(),
        };
        check_balances(&transaction, &mut found.problems)?;
        for (what, query) in RULES {
            let mut statement = transaction.prepare(query)?;
            let now: &[&dyn ToSql] = if statement.parameter_count() == 0 { &[] } else { &[&now_ms] };
            let mut rows = statement.query(now)?;
            while let Some(row) = rows.next()? {
                if found.problems.len() >= PROBLEMS_MAX {
                    break;
                }
                found.problems.push(format!("{}: {what}", row.get::<_, String>(0)?));
            }
        }
        transaction.rollback()?;
        Ok(found)
    }
}

/// What a verification looked at and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Accounts looked at.
    pub accounts: u64,
    /// Transfers looked at.
    pub transfers: u64,
    /// Call records looked at.
    pub cdrs: u64,
    /// One sentence for each thing that is wrong, at most a thousand; none when all is well.
    pub problems: Vec<String>,
}

impl Verification {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Sums in 128 bits: a currency's revenue may be more than one balance can be.
fn check_balances(connection: &Connection, problems: &mut Vec<String>) -> Result<(), StoreError> {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT ledger_account, amount FROM posting")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, amount): (String, i64) = (row.get(0)?, row.get(1)?);
        *sums.entry(name).or_default() += i128::from(amount);
    }
    let mut totals: BTreeMap<String, i128> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT name, currency, posted FROM ledger_account")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, currency): (String, String) = (row.get(0)?, row.get(1)?);
        let posted: Option<i64> = row.get(2)?;
        let sum = sums.get(&name).copied().unwrap_or(0);
        if let Some(posted) = posted
            && i128::from(posted) != sum
        {
            let posted = Amount::from_nanos(posted);
            problems.push(format!("{name}: the balance {posted} is not the sum of its postings"));
        }
        *totals.entry(currency).or_default() += sum;
    }
    for (currency, total) in totals {
        if total != 0 {
            problems.push(format!("{currency}: all postings sum to {total} instead of nothing"));
        }
    }
    Ok(())
}

fn count(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

const PROBLEMS_MAX: usize = 1000;

/// What must not be, and the query that names where it is.
const RULES: [(&str, &str); 8] = [
    (
        "the postings of the transfer do not sum to zero",
        "SELECT 'transfer ' || transfer.id FROM transfer LEFT JOIN posting ON posting.transfer = transfer.id
         GROUP BY transfer.id HAVING coalesce(sum(amount), 1) <> 0 OR count(*) < 2",
    ),
    (
        "the transfer mixes currencies",
        "SELECT 'transfer ' || transfer FROM posting JOIN ledger_account ON name = ledger_account
         GROUP BY transfer HAVING count(DISTINCT currency) > 1",
    ),
    (
        "less is available than the limit allows",
        "SELECT 'account ' || account.id FROM account JOIN ledger_account ON account = account.id
         WHERE posted - coalesce((SELECT sum(amount) FROM hold
                                  WHERE hold.account = account.id AND state = 'open'
                                    AND expires_at_ms > ?1), 0) < balance_limit",
    ),
    (
        "the charge is above the hold or has none",
        "SELECT 'call ' || transfer.call FROM transfer JOIN posting ON posting.transfer = transfer.id
         LEFT JOIN hold ON hold.call = transfer.call
         WHERE kind = 'charge' AND posting.amount > 0
           AND (hold.amount IS NULL OR posting.amount > hold.amount OR hold.state IN ('open', 'released'))",
    ),
    (
        "the hold is settled without a charge",
        "SELECT 'call ' || hold.call FROM hold LEFT JOIN transfer ON transfer.call = hold.call
         WHERE state = 'settled' AND transfer.id IS NULL",
    ),
    (
        "the record does not say what was posted",
        "SELECT 'call ' || cdr.call FROM cdr LEFT JOIN transfer ON transfer.call = cdr.call
         LEFT JOIN posting ON posting.transfer = transfer.id AND posting.amount > 0
         WHERE cdr.charge <> coalesce(posting.amount, 0)",
    ),
    (
        "money was posted for a call without a record",
        "SELECT 'call ' || transfer.call FROM transfer LEFT JOIN cdr ON cdr.call = transfer.call
         WHERE kind = 'charge' AND cdr.call IS NULL",
    ),
    (
        "the call has a record and is still journalled or held",
        "SELECT 'call ' || cdr.call FROM cdr LEFT JOIN journal ON journal.call = cdr.call
         LEFT JOIN hold ON hold.call = cdr.call AND hold.state = 'open'
         WHERE journal.call IS NOT NULL OR hold.call IS NOT NULL",
    ),
];
