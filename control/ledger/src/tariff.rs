//! A price list and its versions.

use std::sync::Arc;

use thiserror::Error;

use crate::{Band, Currency, Exchange, Price, PriceSource, Rate, RateTable, TableError, Taxes, Zone};

/// A price list in one currency: versions, each in force from an instant on.
///
/// A version is never changed: a new price is a new version. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Tariff {
    name: String,
    currency: Currency,
    /// By the instant they begin at.
    versions: Vec<Arc<TariffVersion>>,
}

impl Tariff {
    /// Puts the versions of a tariff in order.
    ///
    /// # Errors
    /// Two begin at the same instant.
    pub fn new(
        name: impl Into<String>,
        currency: Currency,
        versions: impl IntoIterator<Item = Arc<TariffVersion>>,
    ) -> Result<Self, TariffError> {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_by_key(|version| version.validity.from_ms);
        if versions.windows(2).any(|pair| pair[0].validity.from_ms == pair[1].validity.from_ms) {
            return Err(TariffError::Twice);
        }
        Ok(Tariff { name: name.into(), currency, versions })
    }

    /// A tariff whose only version has always been in force, with a price for each prefix and nothing else.
    ///
    /// # Errors
    /// A prefix that is there twice, or too many rates.
    pub fn flat(
        name: impl Into<String>,
        currency: Currency,
        rates: impl IntoIterator<Item = Rate>,
    ) -> Result<Self, TariffError> {
        let rates = RateTable::new(rates.into_iter().map(|rate| (rate, None)))?;
        let version = TariffVersion::new(Validity::ALWAYS, Terms::default(), rates)?;
        Tariff::new(name, currency, [Arc::new(version)])
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The currency of every rate in it.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Every version, by the instant it begins at.
    #[must_use]
    pub fn versions(&self) -> &[Arc<TariffVersion>] {
        &self.versions
    }

    /// The version in force at an instant: the one that began last. Nothing before the first one, and nothing after the
    /// end of one that ended before the next began.
    #[must_use]
    pub fn in_force(&self, at_ms: u64) -> Option<&Arc<TariffVersion>> {
        let begun = self.versions.partition_point(|version| version.validity.from_ms <= at_ms);
        let latest = self.versions[..begun].last()?;
        latest.validity.contains(at_ms).then_some(latest)
    }

    /// The rate of `number` for a call that is answered at an instant: the longest prefix of the version in force, and of
    /// that prefix the rate of the band of hours that the clock then shows.
    #[must_use]
    pub fn rate_at(&self, number: &str, at_ms: u64) -> Option<Rated<'_>> {
        let version = self.in_force(at_ms)?;
        let (rate, band) = version.rates.find(number, version.band_at(at_ms))?;
        Some(Rated { tariff: self, version, rate, band })
    }

    /// The instants after `from_ms` and up to `until_ms` at which another version, or none, is in force.
    pub(crate) fn changes(&self, from_ms: u64, until_ms: u64) -> impl Iterator<Item = u64> + '_ {
        self.versions
            .iter()
            .flat_map(|version| [Some(version.validity.from_ms), version.validity.until_ms])
            .flatten()
            .filter(move |instant| *instant > from_ms && *instant <= until_ms)
    }

    /// Whether a version has bands of hours that is in force at any time in between.
    pub(crate) fn has_bands(&self, from_ms: u64, until_ms: u64) -> bool {
        let overlaps = |validity: Validity| {
            validity.from_ms <= until_ms && validity.until_ms.is_none_or(|until| until > from_ms)
        };
        self.versions.iter().any(|version| !version.terms.bands.is_empty() && overlaps(version.validity))
    }
}

/// A rate that was found, and where.
#[derive(Clone, Copy, Debug)]
pub struct Rated<'a> {
    /// The rate.
    pub rate: &'a Rate,
    tariff: &'a Tariff,
    version: &'a TariffVersion,
    band: Option<u8>,
}

impl Rated<'_> {
    /// What it costs a customer, converted where it has to be.
    #[must_use]
    pub fn price(&self, exchange: Option<Exchange>) -> Price {
        let source = PriceSource {
            tariff: self.tariff.name.clone(),
            currency: self.tariff.currency,
            version_ms: self.version.validity.from_ms,
            band: self.band.and_then(|band| self.version.band_name(band)).map(str::to_owned),
        };
        Price {
            rate: self.rate.clone(),
            source: Some(source),
            taxes: self.version.terms.taxes.clone(),
            exchange,
        }
    }
}

/// One immutable edition of a tariff.
#[derive(Clone, Debug)]
pub struct TariffVersion {
    validity: Validity,
    terms: Terms,
    /// Each name of a band once; their places are what the table knows of them.
    band_names: Vec<String>,
    rates: RateTable,
}

impl TariffVersion {
    /// Checks that everything fits together. The bands of `rates` are places in [`Terms::band_names`].
    ///
    /// # Errors
    /// It ends before it begins, has too many bands, or a rate is for a band that it does not have.
    pub fn new(validity: Validity, terms: Terms, rates: RateTable) -> Result<Self, TariffError> {
        if validity.until_ms.is_some_and(|until| until <= validity.from_ms) {
            return Err(TariffError::Validity);
        }
        if terms.bands.len() > Band::COUNT_MAX {
            return Err(TariffError::Bands);
        }
        let band_names = terms.band_names();
        if rates.rates().any(|(_, band)| band.is_some_and(|band| usize::from(band) >= band_names.len())) {
            return Err(TariffError::Bands);
        }
        Ok(TariffVersion { validity, terms, band_names, rates })
    }

    /// When it is in force.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What all of its rates have in common.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Its rates.
    #[must_use]
    pub fn rates(&self) -> &RateTable {
        &self.rates
    }

    /// The name of a band that a rate of the table is for.
    #[must_use]
    pub fn band_name(&self, band: u8) -> Option<&str> {
        self.band_names.get(usize::from(band)).map(String::as_str)
    }

    /// The band of hours at an instant: the first of the list that has it.
    fn band_at(&self, at_ms: u64) -> Option<u8> {
        if self.terms.bands.is_empty() {
            return None;
        }
        let local = self.terms.zone.local(at_ms)?;
        let band = self.terms.bands.iter().find(|band| band.contains(local))?;
        let place = self.band_names.iter().position(|name| name == band.name())?;
        u8::try_from(place).ok()
    }
}

/// When a version is in force, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// From here on, unless a later version has begun.
    pub from_ms: u64,
    /// And no longer than this; none: until a later version begins.
    pub until_ms: Option<u64>,
}

impl Validity {
    /// From the beginning of time until a later version begins.
    pub const ALWAYS: Validity = Validity { from_ms: 0, until_ms: None };

    fn contains(self, at_ms: u64) -> bool {
        at_ms >= self.from_ms && self.until_ms.is_none_or(|until| at_ms < until)
    }
}

/// What all rates of a version have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Whose clock the bands go by.
    pub zone: Zone,
    /// Hours with prices of their own; where two have the same hour, the first counts.
    pub bands: Vec<Band>,
    /// What is due on every charge.
    pub taxes: Taxes,
}

impl Terms {
    /// Each name of a band once, in the order of the bands.
    #[must_use]
    pub fn band_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for band in &self.bands {
            if !names.iter().any(|name| name == band.name()) {
                names.push(band.name().to_owned());
            }
        }
        names
    }
}

impl Default for Terms {
    /// UTC, no bands, no taxes.
    fn default() -> Self {
        Terms { zone: Zone::UTC, bands: Vec::new(), taxes: Taxes::default() }
    }
}

/// Why there is no such tariff.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TariffError {
    /// Two versions begin at the same instant.
    #[error("two versions begin at the same instant")]
    Twice,
    /// A version ends before it begins.
    #[error("a version ends before it begins")]
    Validity,
    /// Too many bands, or a rate for one that is not there.
    #[error("more than sixteen bands of hours, or a rate for one that the version does not have")]
    Bands,
    /// The rates make no table.
    #[error(transparent)]
    Table(#[from] TableError),
}

#[cfg(test)]
mod tests;
