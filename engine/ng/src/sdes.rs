//! How keys of SRTP are put into a description: `SDES` (RFC 4568) and best-effort SRTP, `OSRTP` (RFC 8643).

use crate::spelling::{clip, normal};

/// What a client wants of the `a=crypto` lines of a description.
///
/// Suites are named as SDES names them; blank, hyphen and underscore are one character. Of each list at most
/// [`Sdes::SUITES_MAX`] are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sdes {
    /// None are written, and none accepted.
    pub off: bool,
    /// Suites that are not written (`no-SUITE`).
    pub without: Vec<String>,
    /// The only suites that are written (`only-SUITE`), whatever `without` says.
    pub only: Vec<String>,
    /// In which order ours are written (`order:SUITE;SUITE`); others follow.
    pub order: Vec<String>,
    /// In which order those of an offerer are preferred in the answer to it (`offerer_pref:SUITE;SUITE`).
    pub offerer_preference: Vec<String>,
    /// Besides those of the other side none are written, whatever the lists say (`nonew`).
    pub nonew: bool,
    /// Keys are padded.
    pub pad: bool,
    /// The lifetime of a key is written.
    pub lifetime: bool,
    /// Where an offer or answer brings both, they are preferred to a handshake (`prefer`).
    pub prefer: bool,
    /// Ours say that RTP is not encrypted (`unencrypted_srtp`), and such a line is accepted.
    pub unencrypted_srtp: bool,
    /// Ours say that RTCP is not encrypted.
    pub unencrypted_srtcp: bool,
    /// Ours say that RTP is not authenticated, and such a line is accepted.
    pub unauthenticated_srtp: bool,
}

impl Sdes {
    /// Longest list of suites.
    pub const SUITES_MAX: usize = 16;

    /// The place of a suite in one of the lists.
    pub fn place(list: &[String], suite: &str) -> Option<usize> {
        let suite = normal(suite);
        list.iter().position(|listed| listed.eq_ignore_ascii_case(&suite))
    }

    /// Whether a suite of ours may be written.
    pub fn allows(&self, suite: &str) -> bool {
        if self.only.is_empty() {
            Self::place(&self.without, suite).is_none()
        } else {
            Self::place(&self.only, suite).is_some()
        }
    }

    /// Reads one word; false if it is unknown.
    pub(crate) fn read(&mut self, word: &str) -> bool {
        let word = normal(word);
        let (list, suites) = match word.split_once([':', '-']) {
            Some(("no", suites)) => (&mut self.without, suites),
            Some(("only", suites)) => (&mut self.only, suites),
            Some(("order", suites)) => (&mut self.order, suites),
            Some(("offerer", suites)) if suites.starts_with("pref:") => {
                (&mut self.offerer_preference, &suites["pref:".len()..])
            }
            _ => return self.read_word(&word),
        };
        for suite in suites.split(';').map(str::trim).filter(|suite| !suite.is_empty()) {
            if list.len() < Self::SUITES_MAX && Self::place(list, suite).is_none() {
                list.push(clip(suite).to_owned());
            }
        }
        true
    }

    fn read_word(&mut self, word: &str) -> bool {
        match word {
            "off" | "disable" | "no" => self.off = true,
            "nonew" => self.nonew = true,
            "pad" => self.pad = true,
            "lifetime" => self.lifetime = true,
            "unencrypted-srtp" => self.unencrypted_srtp = true,
            "encrypted-srtp" => self.unencrypted_srtp = false,
            "unencrypted-srtcp" => self.unencrypted_srtcp = true,
            "encrypted-srtcp" => self.unencrypted_srtcp = false,
            "unauthenticated-srtp" => self.unauthenticated_srtp = true,
            "authenticated-srtp" => self.unauthenticated_srtp = false,
            // What was agreed stays as long as both sides still offer it, asked for or not.
            "static" => {}
            "prefer" => self.prefer = true,
            _ => return false,
        }
        true
    }

    /// What [`read`](Self::read) reads, for a message.
    pub(crate) fn words(&self) -> Vec<String> {
        let flags = [
            (self.off, "off"),
            (self.nonew, "nonew"),
            (self.pad, "pad"),
            (self.lifetime, "lifetime"),
            (self.prefer, "prefer"),
            (self.unencrypted_srtp, "unencrypted_srtp"),
            (self.unencrypted_srtcp, "unencrypted_srtcp"),
            (self.unauthenticated_srtp, "unauthenticated_srtp"),
        ];
        let mut words: Vec<String> =
            flags.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()).collect();
        let name = |suite: &String| suite.replace('-', "_");
        words.extend(self.without.iter().map(|suite| format!("no-{}", name(suite))));
        words.extend(self.only.iter().map(|suite| format!("only-{}", name(suite))));
        for (word, list) in [("order", &self.order), ("offerer_pref", &self.offerer_preference)] {
            if !list.is_empty() {
                words.push(format!("{word}:{}", list.iter().map(name).collect::<Vec<_>>().join(";")));
            }
        }
        words
    }
}

/// What a client wants of best-effort SRTP: keys beside a profile that needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Osrtp {
    /// It is offered (`offer`, `offer-RFC`).
    pub offer: bool,
    /// Whoever offers it gets it, whatever the other side does (`accept`, `accept-RFC`).
    pub accept: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Sdes {
        let mut sdes = Sdes::default();
        words.iter().for_each(|word| assert!(sdes.read(word), "{word}"));
        sdes
    }

    #[test]
    fn only_beats_no_and_names_are_compared_as_options_are() {
        let sdes = read(&["no-AES_CM_128_HMAC_SHA1_32", "no-AEAD_AES_256_GCM"]);
        assert!(!sdes.allows("AES_CM_128_HMAC_SHA1_32") && sdes.allows("AES_CM_128_HMAC_SHA1_80"));
        let sdes = read(&["no-AES_CM_128_HMAC_SHA1_80", "only-aes-cm-128-hmac-sha1-80"]);
        assert!(sdes.allows("AES_CM_128_HMAC_SHA1_80") && !sdes.allows("AEAD_AES_256_GCM"));
    }

    #[test]
    fn what_was_read_is_written_and_read_alike() {
        let sdes = read(&[
            "off",
            "pad",
            "lifetime",
            "nonew",
            "unencrypted_srtp",
            "unencrypted srtcp",
            "unauthenticated-srtp",
            "no-A_B",
            "only-C_D",
            "order:E_F;G_H;;E_F",
            "offerer_pref:I_J;K",
            "static",
            "prefer",
        ]);
        assert_eq!(sdes.order, ["E-F", "G-H"]);
        assert_eq!(Sdes::place(&sdes.offerer_preference, "k"), Some(1));
        let words = sdes.words();
        assert_eq!(read(&words.iter().map(String::as_str).collect::<Vec<_>>()), sdes);
        assert_eq!(read(&["unencrypted_srtp", "encrypted_srtp"]), Sdes::default());
        assert!(!Sdes::default().read("bogus") && !Sdes::default().read("order"));
    }

    #[test]
    fn lists_are_bounded() {
        let mut sdes = Sdes::default();
        for number in 0..100 {
            assert!(sdes.read(&format!("no-{number}{}", "x".repeat(200))));
        }
        assert_eq!(sdes.without.len(), Sdes::SUITES_MAX);
        assert!(sdes.without.iter().all(|suite| suite.len() <= 64));
    }
}
