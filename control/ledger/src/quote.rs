//! What a number may cost by the time somebody answers.

use serde::{Deserialize, Serialize};

use crate::{Amount, Coverage, Currency, Exchanges, Price, Rate, Tariff};

/// The prices of one call, each from an instant on: a call is priced by what is in force when it is answered, and held
/// for before it is dialled.
///
/// In a store or a journal it is a list; a rate on its own, as older programs wrote it, reads as its only price.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Quote {
    /// What is in force until the first change.
    first: Price,
    /// Each later price with its instant in milliseconds since the Unix epoch, in order.
    later: Vec<(u64, Price)>,
}

impl Quote {
    /// One price, whenever the call is answered.
    #[must_use]
    pub fn of(price: Price) -> Self {
        Quote { first: price, later: Vec::new() }
    }

    /// The prices of `number` for calls answered from `from_ms` until `until_ms`, in `currency`.
    ///
    /// Each instant is priced by the longest prefix that the versions in force of any of `tariffs` have; where two have
    /// it, by the earlier tariff of the list, so that overrides come first. Nothing when there is no price at `from_ms`;
    /// where there is none later, or none that can be converted, the price before stays.
    ///
    /// # Cost
    /// One look-up for each change of a version or a rate of exchange in between, and one for each minute where hours
    /// have prices of their own; a day at most.
    #[must_use]
    pub fn find(
        tariffs: &[&Tariff],
        exchanges: &Exchanges,
        number: &str,
        currency: Currency,
        from_ms: u64,
        until_ms: u64,
    ) -> Option<Self> {
        let until_ms = until_ms.min(from_ms.saturating_add(WINDOW_MS_MAX));
        let at = |at_ms: u64| price_at(tariffs, exchanges, number, currency, at_ms);
        let mut quote = Quote::of(at(from_ms)?);
        let mut instants: Vec<u64> = exchanges.changes(from_ms, until_ms).collect();
        for tariff in tariffs {
            instants.extend(tariff.changes(from_ms, until_ms));
        }
        if tariffs.iter().any(|tariff| tariff.has_bands(from_ms, until_ms)) {
            // Offsets from UTC and edges of bands are whole minutes, so every change is at the beginning of one.
            let first = from_ms / MINUTE_MS + 1;
            instants.extend((first..=until_ms / MINUTE_MS).map(|minute| minute * MINUTE_MS));
        }
        instants.sort_unstable();
        instants.dedup();
        for instant in instants {
            if let Some(price) = at(instant)
                && *quote.last() != price
            {
                quote.later.push((instant, price));
            }
        }
        Some(quote)
    }

    /// The price of a call that is answered at an instant.
    #[must_use]
    pub fn at(&self, at_ms: u64) -> &Price {
        let begun = self.later.iter().rev().find(|(since, _)| *since <= at_ms);
        begun.map_or(&self.first, |(_, price)| price)
    }

    /// Keeps the price in force at an instant and forgets the others: the call was answered then.
    pub fn fix(&mut self, at_ms: u64) {
        *self = Quote::of(self.at(at_ms).clone());
    }

    /// Every price that the call may have.
    pub fn prices(&self) -> impl Iterator<Item = &Price> {
        std::iter::once(&self.first).chain(self.later.iter().map(|(_, price)| price))
    }

    /// What to hold for a call whose price is not known before it is answered: whichever it turns out to be, the charge
    /// does not exceed it. With one price, that price's own [`Price::hold_for`].
    #[must_use]
    pub fn hold_for(&self, available: Amount, seconds_max: u32) -> Option<Coverage> {
        if self.later.is_empty() {
            return self.first.hold_for(available, seconds_max);
        }
        let mut seconds = seconds_max;
        for price in self.prices() {
            seconds = seconds.min(price.hold_for(available, seconds_max)?.seconds);
        }
        let mut amount = Amount::ZERO;
        for price in self.prices() {
            amount = amount.max(price.most(seconds).ok()?);
        }
        Some(Coverage { amount, seconds })
    }

    fn last(&self) -> &Price {
        self.later.last().map_or(&self.first, |(_, price)| price)
    }
}

impl From<Rate> for Quote {
    fn from(rate: Rate) -> Self {
        Quote::of(Price::of(rate))
    }
}

fn price_at(
    tariffs: &[&Tariff],
    exchanges: &Exchanges,
    number: &str,
    currency: Currency,
    at_ms: u64,
) -> Option<Price> {
    let mut best: Option<(&Tariff, crate::Rated<'_>)> = None;
    for tariff in tariffs {
        let Some(found) = tariff.rate_at(number, at_ms) else { continue };
        let length = |rate: &Rate| rate.prefix().as_str().len();
        if best.as_ref().is_none_or(|(_, before)| length(found.rate) > length(before.rate)) {
            best = Some((tariff, found));
        }
    }
    let (tariff, found) = best?;
    let exchange = if tariff.currency() == currency {
        None
    } else {
        Some(*exchanges.at(tariff.currency(), currency, at_ms)?)
    };
    Some(found.price(exchange))
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Prices(Vec<(u64, Price)>),
    Rate(Box<Rate>),
}

impl TryFrom<Stored> for Quote {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, &'static str> {
        match stored {
            Stored::Rate(rate) => Ok(Quote::from(*rate)),
            Stored::Prices(prices) => {
                let mut prices = prices.into_iter();
                let (_, first) = prices.next().ok_or("a quote has at least one price")?;
                Ok(Quote { first, later: prices.collect() })
            }
        }
    }
}

impl From<Quote> for Stored {
    fn from(quote: Quote) -> Self {
        Stored::Prices(std::iter::once((0, quote.first)).chain(quote.later).collect())
    }
}

const MINUTE_MS: u64 = 60_000;
/// No call rings longer than a day.
const WINDOW_MS_MAX: u64 = 24 * 60 * MINUTE_MS;

#[cfg(test)]
mod tests;
