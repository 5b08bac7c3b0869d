//! Fingerprints of certificates: how a description names the certificate that its sender will show (RFC 8122).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;

/// Most fingerprints kept of one description. More of them are refused, not forgotten silently.
pub const FINGERPRINTS_MAX: usize = 16;

/// Longest digest, that of SHA-512, in bytes.
const DIGEST_BYTES_MAX: usize = 64;

/// A hash function that may name a certificate (RFC 8122 §5), from the weakest to the strongest.
///
/// MD2 and MD5, which RFC 8122 forbids to use, are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// SHA-1. Read from old peers, never sent.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256, which is what we send.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashFunction {
    /// All of them, from the weakest to the strongest.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The token that stands for it in `a=fingerprint`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The function of this token, in whatever case it is written.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Length of its digest in bytes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => DIGEST_BYTES_MAX,
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The value of `a=fingerprint`: the digest of a certificate in DER (RFC 8122 §5).
///
/// Compared in constant time. Hashing and comparing agree, so it can be the
/// key of a table of what was learned about a peer.
#[derive(Clone, Copy, Eq)]
pub struct Fingerprint {
    hash: HashFunction,
    // What lies behind the digest's length is zero.
    digest: [u8; DIGEST_BYTES_MAX],
}

impl Fingerprint {
    /// The digest of a certificate given in DER.
    pub fn of(hash: HashFunction, certificate: &[u8]) -> Self {
        let mut digest = [0; DIGEST_BYTES_MAX];
        digest[..hash.digest_bytes()].copy_from_slice(digest::digest(hash.algorithm(), certificate).as_ref());
        Self { hash, digest }
    }

    /// The function that made it.
    pub const fn hash(&self) -> HashFunction {
        self.hash
    }

    /// The digest, as long as its function makes it.
    pub fn bytes(&self) -> &[u8] {
        &self.digest[..self.hash.digest_bytes()]
    }

    /// Whether this is the fingerprint of `certificate`, given in DER.
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        *self == Self::of(self.hash, certificate)
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && bool::from(self.digest.ct_eq(&other.digest))
    }
}

impl std::hash::Hash for Fingerprint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
        self.bytes().hash(state);
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads `sha-256 AF:12:…`.
    ///
    /// The grammar wants capital hex digits; small ones are read as well,
    /// because peers send them. One or more spaces may part the two fields.
    fn from_str(value: &str) -> Result<Self, FingerprintError> {
        let (name, digits) = value.trim_matches(' ').split_once(' ').ok_or(FingerprintError::Malformed)?;
        let hash = HashFunction::from_name(name).ok_or(FingerprintError::UnknownHash)?;
        let mut digest = [0; DIGEST_BYTES_MAX];
        let mut pairs = digits.trim_start_matches(' ').split(':');
        for byte in &mut digest[..hash.digest_bytes()] {
            let pair = pairs.next().ok_or(FingerprintError::Length { hash })?;
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError::Malformed);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| FingerprintError::Malformed)?;
        }
        if pairs.next().is_some() {
            return Err(FingerprintError::Length { hash });
        }
        Ok(Self { hash, digest })
    }
}

impl fmt::Display for Fingerprint {
    /// The hash function in small letters, the digits in capital ones, as RFC 8122 §5 has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash)?;
        for (index, byte) in self.bytes().iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a value of `a=fingerprint` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Not a hash function, a space, and pairs of hex digits between colons.
    #[error("malformed fingerprint")]
    Malformed,
    /// A hash function that is not known or not allowed (MD2, MD5).
    #[error("hash function of the fingerprint is not supported")]
    UnknownHash,
    /// The digest is shorter or longer than its function makes it.
    #[error("a {hash} fingerprint has {} bytes", hash.digest_bytes())]
    Length {
        /// The function that was named.
        hash: HashFunction,
    },
    /// More than [`FINGERPRINTS_MAX`] in one description.
    #[error("more than {FINGERPRINTS_MAX} fingerprints")]
    TooMany,
}

/// The fingerprints of one description, at least one.
///
/// Equal if they are the same set, in whatever order they were written.
#[derive(Clone)]
pub struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    /// A description's only fingerprint.
    pub fn one(fingerprint: Fingerprint) -> Self {
        Self(vec![fingerprint])
    }

    /// Reads the values of all `a=fingerprint` lines that hold for a media section.
    ///
    /// Lines with a hash function that is not known are passed over, as long
    /// as a usable one remains (RFC 8122 §5: the receiver picks among them).
    ///
    /// # Errors
    /// The first line's fault if none is usable, [`FingerprintError::Malformed`]
    /// if there is none at all, any fault other than an unknown function, and
    /// [`FingerprintError::TooMany`].
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, FingerprintError> {
        let mut found: Vec<Fingerprint> = Vec::new();
        let mut fault = None;
        for (index, value) in values.into_iter().enumerate() {
            if index == FINGERPRINTS_MAX {
                return Err(FingerprintError::TooMany);
            }
            match value.parse() {
                Ok(fingerprint) if found.contains(&fingerprint) => {}
                Ok(fingerprint) => found.push(fingerprint),
                Err(FingerprintError::UnknownHash) => fault = Some(FingerprintError::UnknownHash),
                Err(other) => return Err(other),
            }
        }
        if found.is_empty() { Err(fault.unwrap_or(FingerprintError::Malformed)) } else { Ok(Self(found)) }
    }

    /// The fingerprints in the order of the description.
    pub fn iter(&self) -> impl Iterator<Item = &Fingerprint> {
        self.0.iter()
    }

    /// The fingerprint that names `certificate`, given in DER, `None` if none does.
    ///
    /// Only the strongest hash function present is looked at, and one match of
    /// it suffices (RFC 8122 §5.1): several certificates may be named, and a
    /// weak digest beside a strong one proves nothing.
    pub fn name_of(&self, certificate: &[u8]) -> Option<Fingerprint> {
        let strongest = self.0.iter().map(Fingerprint::hash).max()?;
        let shown = Fingerprint::of(strongest, certificate);
        self.0.iter().find(|fingerprint| **fingerprint == shown).copied()
    }
}

impl PartialEq for Fingerprints {
    fn eq(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| a.0.iter().all(|fingerprint| b.0.contains(fingerprint));
        within(self, other) && within(other, self)
    }
}

impl Eq for Fingerprints {}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ABC: [(HashFunction, &str); 5] = [
        (HashFunction::Sha1, "sha-1 A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D"),
        (
            HashFunction::Sha224,
            "sha-224 23:09:7D:22:34:05:D8:22:86:42:A4:77:BD:A2:55:B3:2A:AD:BC:E4:BD:A0:B3:F7:E3:6C:9D:A7",
        ),
        (
            HashFunction::Sha256,
            "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD",
        ),
        (
            HashFunction::Sha384,
            "sha-384 CB:00:75:3F:45:A3:5E:8B:B5:A0:3D:69:9A:C6:50:07:27:2C:32:AB:0E:DE:D1:63:1A:8B:60:5A:43:FF:5B:ED:80:86:07:2B:A1:E7:CC:23:58:BA:EC:A1:34:C8:25:A7",
        ),
        (
            HashFunction::Sha512,
            "sha-512 DD:AF:35:A1:93:61:7A:BA:CC:41:73:49:AE:20:41:31:12:E6:FA:4E:89:A9:7E:A2:0A:9E:EE:E6:4B:55:D3:9A:21:92:99:2A:27:4F:C1:A8:36:BA:3C:23:A3:FE:EB:BD:45:4D:44:23:64:3C:E8:0E:2A:9A:C9:4F:A5:4C:A4:9F",
        ),
    ];

    /// The digests of "abc" of FIPS 180.
    #[test]
    fn digests_are_those_of_fips_180() {
        for (hash, text) in ABC {
            let fingerprint: Fingerprint = text.parse().unwrap();
            assert_eq!(fingerprint, Fingerprint::of(hash, b"abc"));
            assert_eq!(fingerprint.to_string(), text);
            assert!(fingerprint.is_of(b"abc"));
            assert!(!fingerprint.is_of(b"abd"));
        }
    }

    #[test]
    fn names_and_digits_are_read_in_either_case_and_written_as_the_grammar_has_them() {
        for (_, text) in ABC {
            for spelling in [text.to_lowercase(), text.to_uppercase(), text.replacen(' ', "  ", 1)] {
                assert_eq!(spelling.parse::<Fingerprint>().unwrap().to_string(), text);
            }
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let cases = [
            ("", FingerprintError::Malformed),
            ("sha-256", FingerprintError::Malformed),
            ("md5 AA:BB", FingerprintError::UnknownHash),
            ("sha-256 ", FingerprintError::UnknownHash),
            ("sha-1 A9:99", FingerprintError::Length { hash: HashFunction::Sha1 }),
            ("sha-1 A9:9", FingerprintError::Malformed),
            ("sha-1 A9:+9", FingerprintError::Malformed),
            ("sha-1 A9999", FingerprintError::Malformed),
        ];
        for (text, fault) in cases {
            // A trailing space is trimmed, so that "sha-256 " has no second field.
            let fault = if text == "sha-256 " { FingerprintError::Malformed } else { fault };
            assert_eq!(text.parse::<Fingerprint>(), Err(fault), "{text:?}");
        }
        let long = format!("{}:00", ABC[0].1);
        assert_eq!(long.parse::<Fingerprint>(), Err(FingerprintError::Length { hash: HashFunction::Sha1 }));
    }

    #[test]
    fn only_the_strongest_function_of_a_description_counts() {
        let sha1_of_other = ABC[0].1.replace("A9", "A8");
        let set = Fingerprints::parse([sha1_of_other.as_str(), ABC[2].1]).unwrap();
        assert_eq!(set.name_of(b"abc").unwrap().hash(), HashFunction::Sha256);

        let sha256_of_other = ABC[2].1.replace("BA:78", "BA:79");
        let set = Fingerprints::parse([ABC[0].1, sha256_of_other.as_str()]).unwrap();
        assert_eq!(set.name_of(b"abc"), None, "a weak match does not outweigh a strong mismatch");

        let set = Fingerprints::parse([sha256_of_other.as_str(), ABC[2].1]).unwrap();
        assert!(set.name_of(b"abc").is_some(), "one match of several certificates suffices");
    }

    #[test]
    fn unknown_functions_are_passed_over_while_a_known_one_remains() {
        let set = Fingerprints::parse(["md5 00:11", ABC[2].1]).unwrap();
        assert!(set.name_of(b"abc").is_some());
        assert_eq!(Fingerprints::parse(["md5 00:11"]), Err(FingerprintError::UnknownHash));
        assert_eq!(Fingerprints::parse([]), Err(FingerprintError::Malformed));
        assert_eq!(Fingerprints::parse(vec![ABC[2].1; FINGERPRINTS_MAX + 1]), Err(FingerprintError::TooMany));
    }

    #[test]
    fn sets_are_equal_in_any_order() {
        let one = Fingerprints::parse([ABC[0].1, ABC[2].1]).unwrap();
        let two = Fingerprints::parse([ABC[2].1, ABC[0].1, ABC[2].1]).unwrap();
        assert_eq!(one, two);
        assert_ne!(one, Fingerprints::parse([ABC[2].1]).unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "\\PC{0,120}") {
            if let Ok(fingerprint) = text.parse::<Fingerprint>() {
                prop_assert_eq!(fingerprint.to_string().parse::<Fingerprint>(), Ok(fingerprint));
            }
        }

        #[test]
        fn written_and_read_again_is_the_same(certificate in proptest::collection::vec(any::<u8>(), 0..64)) {
            for hash in HashFunction::ALL {
                let fingerprint = Fingerprint::of(hash, &certificate);
                prop_assert_eq!(fingerprint.to_string().parse::<Fingerprint>(), Ok(fingerprint));
            }
        }
    }
}
