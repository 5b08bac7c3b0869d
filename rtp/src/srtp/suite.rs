//! The crypto suites by their registered names, numbers and lengths.

use std::fmt;

use super::SuiteError;

/// A cipher with its authentication, as SDES names it (RFC 4568 §6.2, RFC 6188, RFC 7714).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// AES-GCM with a key of 256 bits.
    AeadAes256Gcm,
    /// AES-GCM with a key of 128 bits.
    AeadAes128Gcm,
    /// AES counter mode, 256 bits, with tags of 80 bits.
    Aes256CmHmacSha1_80,
    /// AES counter mode, 256 bits, with tags of 32 bits on RTP.
    Aes256CmHmacSha1_32,
    /// AES counter mode, 192 bits, with tags of 80 bits.
    Aes192CmHmacSha1_80,
    /// AES counter mode, 192 bits, with tags of 32 bits on RTP.
    Aes192CmHmacSha1_32,
    /// AES counter mode, 128 bits, with tags of 80 bits: what every implementation has.
    AesCm128HmacSha1_80,
    /// AES counter mode, 128 bits, with tags of 32 bits on RTP.
    AesCm128HmacSha1_32,
}

impl Suite {
    /// Every suite, the strongest first, in the order that an offer lists them.
    pub const ALL: [Self; 8] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::Aes256CmHmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::Aes192CmHmacSha1_80,
        Self::Aes192CmHmacSha1_32,
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    /// The suite that a crypto attribute calls `name`; case does not matter.
    ///
    /// # Errors
    /// [`SuiteError::Refused`] for one that is known and not offered here, [`SuiteError::Unknown`] for any other.
    pub fn from_name(name: &str) -> Result<Self, SuiteError> {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        if let Some(suite) = Self::ALL.into_iter().find(|suite| same(suite.name())) {
            return Ok(suite);
        }
        match REFUSED_NAMES.into_iter().find(|known| same(known)) {
            Some(known) => Err(SuiteError::Refused(known)),
            None => Err(SuiteError::Unknown),
        }
    }

    /// Its name in a crypto attribute.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::Aes192CmHmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Self::Aes192CmHmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Bytes of a master key, and of a session key.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 => 32,
            Self::Aes192CmHmacSha1_80 | Self::Aes192CmHmacSha1_32 => 24,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of a master salt, and of a session salt.
    pub const fn salt_bytes(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of key and salt together, as an `inline:` key carries them.
    pub const fn master_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }

    /// Bytes of the tag on an RTP packet.
    pub const fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 16,
            Self::Aes256CmHmacSha1_80 | Self::Aes192CmHmacSha1_80 | Self::AesCm128HmacSha1_80 => 10,
            Self::Aes256CmHmacSha1_32 | Self::Aes192CmHmacSha1_32 | Self::AesCm128HmacSha1_32 => 4,
        }
    }

    /// Bytes of the tag on an RTCP packet: 80 bits with HMAC-SHA1 whatever RTP has (RFC 4568 §6.2.2).
    pub const fn rtcp_tag_bytes(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Bytes that protection adds to an RTP packet, without a master key identifier.
    pub const fn rtp_overhead_bytes(self) -> usize {
        self.rtp_tag_bytes()
    }

    /// Bytes that protection adds to an RTCP packet, without a master key identifier: the tag and the index.
    pub const fn rtcp_overhead_bytes(self) -> usize {
        self.rtcp_tag_bytes() + 4
    }

    /// Whether encryption and authentication are one (RFC 7714), so that neither can be switched off.
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes256Gcm | Self::AeadAes128Gcm)
    }

    /// The suite's protection profile in DTLS, where it has one.
    pub const fn dtls_profile(self) -> Option<DtlsProfile> {
        match self {
            Self::AesCm128HmacSha1_80 => Some(DtlsProfile(0x0001)),
            Self::AesCm128HmacSha1_32 => Some(DtlsProfile(0x0002)),
            Self::AeadAes128Gcm => Some(DtlsProfile(0x0007)),
            Self::AeadAes256Gcm => Some(DtlsProfile(0x0008)),
            _ => None,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The number of an SRTP protection profile in the `use_srtp` extension of DTLS (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DtlsProfile(pub u16);

impl DtlsProfile {
    /// The suite of the profile; `None` for one that is unknown or has no cipher.
    pub fn suite(self) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.dtls_profile() == Some(self))
    }
}

/// Suites that rtpengine and RFC 4568 know and that are refused: AES-f8, and no cipher at all.
const REFUSED_NAMES: [&str; 4] =
    ["F8_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_32", "NULL_HMAC_SHA1_80", "NULL_HMAC_SHA1_32"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_by_its_name_and_by_its_profile() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_name(suite.name()), Ok(suite));
            assert_eq!(Suite::from_name(&suite.name().to_lowercase()), Ok(suite));
            if let Some(profile) = suite.dtls_profile() {
                assert_eq!(profile.suite(), Some(suite));
            }
        }
        assert_eq!(Suite::ALL.iter().filter_map(|suite| suite.dtls_profile()).count(), 4);
    }

    #[test]
    fn f8_and_null_are_refused_by_name() {
        assert_eq!(Suite::from_name("F8_128_HMAC_SHA1_80"), Err(SuiteError::Refused("F8_128_HMAC_SHA1_80")));
        assert_eq!(Suite::from_name("null_hmac_sha1_32"), Err(SuiteError::Refused("NULL_HMAC_SHA1_32")));
        assert_eq!(Suite::from_name("AES_CM_128_HMAC_SHA1_81"), Err(SuiteError::Unknown));
        // SRTP_NULL_HMAC_SHA1_80 and _32.
        assert_eq!((DtlsProfile(5).suite(), DtlsProfile(6).suite()), (None, None));
    }

    #[test]
    fn lengths_of_an_inline_key() {
        let bytes: Vec<usize> = Suite::ALL.iter().map(|suite| suite.master_bytes()).collect();
        assert_eq!(bytes, [44, 28, 46, 46, 38, 38, 30, 30]);
    }
}
