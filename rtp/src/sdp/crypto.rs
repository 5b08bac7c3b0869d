//! `a=crypto`: the keys of SRTP as signalling carries them (SDES, RFC 4568).

use std::{fmt, str::FromStr};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::AttributeError;

/// The value of an `a=crypto`: one way to secure a section, and the keys of whoever wrote it (RFC 4568 §9.1).
///
/// `Debug` shows no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    /// By what the answer names it: up to nine digits.
    pub tag: u32,
    /// The suite, as written.
    pub suite: String,
    /// One key or more; several differ by their MKI. At most [`Crypto::KEYS_MAX`].
    pub keys: Vec<InlineKey>,
    /// Session parameters, as written. At most [`Crypto::PARAMETERS_MAX`].
    pub parameters: Vec<String>,
}

impl Crypto {
    /// More keys in one line are malformed.
    pub const KEYS_MAX: usize = 8;
    /// More session parameters in one line are malformed.
    pub const PARAMETERS_MAX: usize = 16;
    /// Longer keys and salts are malformed: the longest of a suite that is known are 46 bytes.
    pub const KEY_BYTES_MAX: usize = 128;

    /// The value, its keys padded as base64 is, which RFC 4568 leaves open and some peers want.
    pub fn padded(&self) -> impl fmt::Display + '_ {
        Written { crypto: self, base64: &PADDED }
    }
}

/// A master key and salt with what is said of their use (RFC 4568 §6.1).
#[derive(Clone, PartialEq, Eq)]
pub struct InlineKey {
    /// Key, and behind it the salt. Wiped when dropped.
    pub key_and_salt: Zeroizing<Vec<u8>>,
    /// Packets that may be secured with it, if limited.
    pub lifetime: Option<Lifetime>,
    /// The identifier with which packets name it, if they do: value and length in bytes (RFC 3711 §3.1).
    pub mki: Option<(u128, u8)>,
}

impl fmt::Debug for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_and_salt, lifetime, mki } = self;
        f.debug_struct("InlineKey")
            .field("key_and_salt", &format_args!("{} bytes", key_and_salt.len()))
            .field("lifetime", lifetime)
            .field("mki", mki)
            .finish()
    }
}

/// A number of packets, with the notation it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// `2^n`.
    PowerOfTwo(u8),
    /// In full.
    Packets(u64),
}

impl Lifetime {
    /// The number; what exceeds 64 bits is as good as unlimited.
    pub fn packets(self) -> u64 {
        match self {
            Self::PowerOfTwo(power) => 1_u64.checked_shl(power.into()).unwrap_or(u64::MAX),
            Self::Packets(packets) => packets,
        }
    }
}

impl FromStr for Lifetime {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("2^") {
            Some(power) => power.parse().map(Self::PowerOfTwo),
            None => text.parse().map(Self::Packets),
        }
        .map_err(|_| AttributeError)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOfTwo(power) => write!(f, "2^{power}"),
            Self::Packets(packets) => packets.fmt(f),
        }
    }
}

impl FromStr for Crypto {
    type Err = AttributeError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        let mut next = || words.next().ok_or(AttributeError);
        let tag = next()?;
        let (suite, keys) = (next()?, next()?);
        if tag.len() > TAG_DIGITS_MAX || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AttributeError);
        }
        let keys: Vec<&str> = keys.split(';').take(Self::KEYS_MAX + 1).collect();
        let parameters: Vec<String> = words.take(Self::PARAMETERS_MAX + 1).map(str::to_owned).collect();
        if keys.len() > Self::KEYS_MAX || parameters.len() > Self::PARAMETERS_MAX {
            return Err(AttributeError);
        }
        Ok(Self {
            tag: tag.parse().map_err(|_| AttributeError)?,
            suite: suite.to_owned(),
            keys: keys.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            parameters,
        })
    }
}

impl FromStr for InlineKey {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (method, rest) = text.split_once(':').ok_or(AttributeError)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(AttributeError);
        }
        let mut parts = rest.split('|');
        let key = parts.next().filter(|key| key.len() <= 2 * Crypto::KEY_BYTES_MAX).ok_or(AttributeError)?;
        let key_and_salt = Zeroizing::new(BARE.decode(key).map_err(|_| AttributeError)?);
        if key_and_salt.is_empty() || key_and_salt.len() > Crypto::KEY_BYTES_MAX {
            return Err(AttributeError);
        }
        let (mut lifetime, mut mki) = (None, None);
        for part in parts {
            match part.split_once(':') {
                Some((value, length)) if mki.is_none() => {
                    let length: u8 = length.parse().map_err(|_| AttributeError)?;
                    let value: u128 = value.parse().map_err(|_| AttributeError)?;
                    let fits = length >= 16 || value >> (8 * u32::from(length)) == 0;
                    if !(1..=128).contains(&length) || !fits {
                        return Err(AttributeError);
                    }
                    mki = Some((value, length));
                }
                None if lifetime.is_none() && mki.is_none() => lifetime = Some(part.parse()?),
                _ => return Err(AttributeError),
            }
        }
        Ok(Self { key_and_salt, lifetime, mki })
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { crypto: self, base64: &BARE }.fmt(f)
    }
}

/// A line as it is written with or without padding.
struct Written<'a> {
    crypto: &'a Crypto,
    base64: &'a GeneralPurpose,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crypto { tag, suite, keys, parameters } = self.crypto;
        write!(f, "{tag} {suite} ")?;
        for (place, key) in keys.iter().enumerate() {
            let text = Zeroizing::new(self.base64.encode(&*key.key_and_salt));
            write!(f, "{}inline:{}", if place == 0 { "" } else { ";" }, *text)?;
            if let Some(lifetime) = key.lifetime {
                write!(f, "|{lifetime}")?;
            }
            if let Some((value, length)) = key.mki {
                write!(f, "|{value}:{length}")?;
            }
        }
        parameters.iter().try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

/// Digits of a tag (RFC 4568 §9.1).
const TAG_DIGITS_MAX: usize = 9;

/// Peers pad or do not, and some leave bits behind the last byte set.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BARE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT.with_encode_padding(false));
const PADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    fn read(value: &str) -> Option<Crypto> {
        value.parse().ok()
    }

    #[test]
    fn rfc4568_section_4_examples_are_read_and_written_alike() {
        let value = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:32");
        let crypto = read(&value).unwrap();
        assert_eq!((crypto.tag, crypto.suite.as_str()), (1, "AES_CM_128_HMAC_SHA1_80"));
        let [key] = &crypto.keys[..] else { panic!("{crypto:?}") };
        assert_eq!((key.key_and_salt.len(), key.mki), (30, Some((1, 32))));
        assert_eq!(key.lifetime.map(Lifetime::packets), Some(1 << 20));
        assert_eq!(crypto.to_string(), value);
        let value =
            format!("2 F8_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4;inline:{KEY}|2^20|2:4 FEC_ORDER=FEC_SRTP");
        let crypto = read(&value).unwrap();
        assert_eq!(
            (crypto.keys.len(), crypto.parameters.as_slice()),
            (2, &["FEC_ORDER=FEC_SRTP".to_owned()][..])
        );
        assert_eq!(crypto.to_string(), value);
        let many = "7 AES_CM_128_HMAC_SHA1_80 inline:AAAA|1000 UNENCRYPTED_SRTP  UNENCRYPTED_SRTCP";
        assert_eq!(read(many).unwrap().to_string(), many.replace("  ", " "));
    }

    #[test]
    fn keys_are_read_with_and_without_padding_and_written_either_way() {
        let [bare, padded] = ["1 S inline:AAAAAA", "1 S inline:AAAAAA=="].map(|value| read(value).unwrap());
        assert_eq!(bare, padded);
        assert_eq!(
            (bare.to_string(), bare.padded().to_string()),
            ("1 S inline:AAAAAA".into(), "1 S inline:AAAAAA==".into())
        );
        assert!(read("1 S inline:AAAAAB").is_some(), "bits behind the last byte are left over");
    }

    #[test]
    fn malformed_lines_are_refused() {
        for value in [
            "",
            "1",
            "1 S",
            "1 S inline:",
            "x S inline:AAAA",
            "+1 S inline:AAAA",
            "1234567890 S inline:AAAA",
            "1 S AAAA",
            "1 S outline:AAAA",
            "1 S inline:AA!A",
            "1 S inline:AAAA|",
            "1 S inline:AAAA|2^",
            "1 S inline:AAAA|2^300",
            "1 S inline:AAAA|1:0",
            "1 S inline:AAAA|1:129",
            "1 S inline:AAAA|256:1",
            "1 S inline:AAAA|1:4|2^20",
            "1 S inline:AAAA|1:4|2:4",
            "1 S inline:AAAA;",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
        assert!(read(&format!("1 S inline:{}", "A".repeat(400))).is_none());
        assert!(read(&format!("1 S {}", ["inline:AAAA"; 9].join(";"))).is_none());
        assert!(read(&format!("1 S inline:AAAA{}", " P".repeat(17))).is_none());
    }

    #[test]
    fn no_key_is_shown_by_debug() {
        let shown = format!("{:?}", read(&format!("1 S inline:{KEY}")).unwrap());
        assert!(shown.contains("30 bytes") && !shown.contains("119") && !shown.contains(KEY), "{shown}");
    }
}
