//! From what was dialled to where it goes.

use std::ops::Range;

use ledger::{Price, Quote};

use crate::{Account, Directory};

/// The E.164 digits of a dialled number, without `+`; none when it is no telephone number.
///
/// Understood: `+` and `00` for international, one leading `0` for national where a country code is
/// configured, and bare digits as international. Visual separators of RFC 3966 are dropped.
pub(crate) fn e164(dialled: &str, country_code: Option<&str>) -> Option<String> {
    let (international, rest) = match dialled.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, dialled),
    };
    let mut digits = String::new();
    for c in rest.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '-' | '.' | '(' | ')' => {}
            _ => return None,
        }
    }
    if !international {
        if let Some(rest) = digits.strip_prefix("00") {
            digits = rest.to_owned();
        } else if let Some(rest) = digits.strip_prefix('0') {
            digits = format!("{}{rest}", country_code?);
        }
    }
    // ITU-T E.164 §6.1 has at most 15 digits and no country code that begins with 0.
    let fits = (3..=15).contains(&digits.len()) && !digits.starts_with('0');
    fits.then_some(digits)
}

/// Where a dialled user part leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Destination {
    /// Another account's phones.
    User(String),
    /// A number with a price, over the trunks.
    Number {
        /// Its E.164 digits.
        digits: String,
        /// What it costs.
        quote: Box<Quote>,
    },
    /// Nowhere that this account may call.
    Unrated,
    /// A number that is not for an account on its trial allowance.
    NotOnTrial,
}

/// Where `dialled` leads for `account`, answered at some time of `window` (milliseconds since the Unix epoch). An
/// account's name wins over a number.
pub(crate) fn destination(
    directory: &Directory,
    account: &Account,
    dialled: &str,
    country_code: Option<&str>,
    window: Range<u64>,
) -> Destination {
    if directory.by_user(dialled).is_some_and(|callee| callee.enabled) {
        return Destination::User(dialled.to_owned());
    }
    let rated = e164(dialled, country_code).and_then(|digits| {
        // The account's own prices come first.
        let lists = [account.overrides.as_ref(), account.tariff.as_ref()].into_iter().flatten();
        let tariffs: Vec<_> = lists.filter_map(|id| directory.tariffs.get(id)).collect();
        let quote =
            Quote::find(&tariffs, &directory.exchanges, &digits, account.currency, window.start, window.end)?;
        let is_for_trial = |price: &Price| price.rate.terms().trial || price.rate.is_zero_rated();
        if account.on_trial && !quote.prices().all(is_for_trial) {
            return Some(Destination::NotOnTrial);
        }
        Some(Destination::Number { digits, quote: Box::new(quote) })
    });
    rated.unwrap_or(Destination::Unrated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_understood_as_they_are_dialled() {
        for (dialled, country, digits) in [
            ("+4930123456", None, Some("4930123456")),
            ("004930123456", None, Some("4930123456")),
            ("4930123456", None, Some("4930123456")),
            ("030123456", Some("49"), Some("4930123456")),
            ("030123456", None, None),
            ("+49-30.(123)456", None, Some("4930123456")),
            ("+0301", None, None),
            ("12", None, None),
            ("+1234567890123456", None, None),
            ("bob", None, None),
            ("+49 30", None, None),
            ("", None, None),
            ("+", None, None),
        ] {
            assert_eq!(e164(dialled, country).as_deref(), digits, "{dialled}");
        }
    }
}
