//! Money: what an amount, a price, an account, a hold and a posting are, with
//! no I/O, no clock and no floating point.
//!
//! Everything here is a value or a pure function. The durable ledger of the
//! control process obeys the same rules in SQL; [`Ledger`] is the model it is
//! compared with.

#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod account;
mod amount;
mod band;
mod currency;
mod exchange;
mod hold;
mod ledger;
mod posting;
mod prefix;
mod price;
mod quote;
mod rate;
mod table;
mod tariff;
mod tax;
mod zone;

pub use account::{Account, AccountId, IdError};
pub use amount::{Amount, AmountError};
pub use band::{Band, BandError};
pub use currency::{Currency, CurrencyError};
pub use exchange::{Exchange, ExchangeError, Exchanges};
pub use hold::{Hold, HoldId, HoldState, HoldStateError};
pub use ledger::{Authorization, Ledger, LedgerError, Settlement};
pub use posting::{LedgerAccount, Posting, Transfer, TransferError, TransferKind};
pub use prefix::{Prefix, PrefixError};
pub use price::{Price, PriceSource};
pub use quote::Quote;
pub use rate::{Charge, Coverage, Rate, RateError, RateTerms, Rounding, RoundingMode};
pub use table::{RateTable, TableError};
pub use tariff::{Rated, Tariff, TariffError, TariffVersion, Terms, Validity};
pub use tax::{Tax, TaxError, TaxShare, Taxes};
pub use zone::{LocalTime, Zone, ZoneError};
