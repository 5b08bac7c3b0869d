//! Currencies by their ISO 4217 code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::Amount;

/// An active ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The three-letter code, such as `EUR`.
    #[must_use]
    pub fn code(&self) -> &str {
        str::from_utf8(&self.0).expect("a code is three ASCII letters by construction")
    }

    /// How many digits the minor unit has: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn minor_digits(&self) -> u8 {
        let code = self.code();
        EXPONENTS
            .iter()
            .find(|(_, codes)| codes.split(' ').any(|listed| listed == code))
            .map_or(2, |(digits, _)| *digits)
    }

    /// An amount as people read it: `1.50 EUR`; digits below the minor unit
    /// are shown when they are there.
    #[must_use]
    pub fn format(&self, amount: Amount) -> String {
        format!("{} {self}", amount.to_text(self.minor_digits()))
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        if !ACTIVE.split_ascii_whitespace().any(|code| code == text) {
            return Err(CurrencyError);
        }
        text.as_bytes().try_into().map(Currency).map_err(|_| CurrencyError)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The text is not the code of an active currency, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not an ISO 4217 currency code such as EUR")]
pub struct CurrencyError;

/// Currencies whose minor unit does not have two digits.
const EXPONENTS: [(u8, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF"),
];

/// Every currency that an account can be kept in.
const ACTIVE: &str = "
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN
    BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
    GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR
    KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
    MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
    SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
    UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_and_carry_their_minor_digits() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!(currency.to_string(), code);
            assert_eq!(currency.minor_digits(), digits, "{code}");
        }
    }

    #[test]
    fn unknown_codes_are_refused() {
        for text in ["", "eur", "EURO", "XYZ", "EU", "EUR USD", " "] {
            assert_eq!(text.parse::<Currency>(), Err(CurrencyError), "{text:?}");
        }
    }

    #[test]
    fn every_listed_exception_is_an_active_currency() {
        for (_, codes) in EXPONENTS {
            for code in codes.split(' ') {
                assert!(code.parse::<Currency>().is_ok(), "{code}");
            }
        }
    }

    #[test]
    fn amounts_are_shown_with_the_minor_unit() {
        let yen: Currency = "JPY".parse().unwrap();
        let euro: Currency = "EUR".parse().unwrap();
        assert_eq!(yen.format("150".parse().unwrap()), "150 JPY");
        assert_eq!(euro.format("1.5".parse().unwrap()), "1.50 EUR");
        assert_eq!(euro.format("-0.0125".parse().unwrap()), "-0.0125 EUR");
    }
}
