//! How keys of SRTP are agreed on by a handshake: `DTLS`, `DTLS-reverse` and `no-tls-id` (RFC 5763, RFC 8842).

/// What a client wants of DTLS-SRTP in a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dtls {
    /// Whoever reads the description is offered none, and offered none itself that is accepted.
    pub off: bool,
    /// Toward whoever reads it, we wait for the handshake where we may choose (`passive`).
    pub passive: bool,
    /// Toward whoever wrote it likewise (`DTLS-reverse`).
    pub reverse_passive: bool,
    /// Associations are not named (`no-tls-id`).
    pub no_tls_id: bool,
}

impl Dtls {
    /// Reads the value of `DTLS`; false if it is unknown.
    pub(crate) fn read(&mut self, word: &str) -> bool {
        match word {
            "off" | "no" | "disable" => self.off = true,
            "passive" => self.passive = true,
            "active" => self.passive = false,
            _ => return false,
        }
        true
    }

    /// Reads the value of `DTLS-reverse`; false if it is unknown.
    pub(crate) fn read_reverse(&mut self, word: &str) -> bool {
        match word {
            "passive" => self.reverse_passive = true,
            "active" => self.reverse_passive = false,
            // As in rtpengine 10.5, which accepts what was offered all the same.
            "off" | "no" | "disable" => {}
            _ => return false,
        }
        true
    }

    /// What [`read`](Self::read) reads, for a message.
    pub(crate) const fn word(self) -> Option<&'static str> {
        match (self.off, self.passive) {
            (true, _) => Some("off"),
            (false, true) => Some("passive"),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_unknown_ones_are_not() {
        let mut dtls = Dtls::default();
        assert!(dtls.read("passive") && dtls.read_reverse("passive"));
        assert_eq!(dtls, Dtls { passive: true, reverse_passive: true, ..Dtls::default() });
        assert_eq!(dtls.word(), Some("passive"));
        assert!(dtls.read("active") && dtls.read_reverse("active") && dtls.read_reverse("off"));
        assert_eq!(dtls, Dtls::default());
        assert!(dtls.read("off") && !dtls.read("bogus") && !dtls.read_reverse("bogus"));
        assert_eq!(dtls.word(), Some("off"));
    }
}
