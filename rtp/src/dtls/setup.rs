//! Who begins a handshake, and when a description asks for a new one (RFC 4145, RFC 5763 §5, RFC 8842).

use std::fmt;
use std::str::FromStr;

use super::Fingerprints;

/// Which end of a handshake we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the ClientHello: `a=setup:active`.
    Client,
    /// Waits for it: `a=setup:passive`.
    Server,
}

impl Role {
    /// The other end's.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The value of `a=setup` (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The sender of the description begins.
    Active,
    /// It waits.
    Passive,
    /// It offers both; the answerer chooses.
    ActPass,
    /// It wants no association for now.
    HoldConn,
}

impl Setup {
    /// What a description without the attribute says in an offer (RFC 4145 §4.1).
    pub const ABSENT_IN_OFFER: Self = Self::Active;
    /// What a description without the attribute says in an answer (RFC 4145 §4.1).
    pub const ABSENT_IN_ANSWER: Self = Self::Passive;

    /// The attribute's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }

    /// What to answer to this offer: the role that is free, else `preferred` (RFC 4145 §4.1).
    ///
    /// RFC 5763 §5 prefers an active answerer, so that the handshake begins
    /// while the answer still travels.
    #[must_use]
    pub const fn answered(self, preferred: Role) -> Self {
        match (self, preferred) {
            (Self::Active, _) | (Self::ActPass, Role::Server) => Self::Passive,
            (Self::Passive, _) | (Self::ActPass, Role::Client) => Self::Active,
            (Self::HoldConn, _) => Self::HoldConn,
        }
    }

    /// The answerer's role after this answer to `offer`, `None` while either side holds the association.
    ///
    /// # Errors
    /// The answer is not among those that RFC 4145 §4.1 allows to the offer.
    pub const fn answerer_role(self, offer: Self) -> Result<Option<Role>, SetupError> {
        match (offer, self) {
            (_, Self::HoldConn) => Ok(None),
            (Self::Passive | Self::ActPass, Self::Active) => Ok(Some(Role::Client)),
            (Self::Active | Self::ActPass, Self::Passive) => Ok(Some(Role::Server)),
            _ => Err(SetupError::Conflict { offer, answer: self }),
        }
    }
}

impl FromStr for Setup {
    type Err = SetupError;

    /// Reads the value in whatever case it is written, as the grammar's literals are.
    fn from_str(value: &str) -> Result<Self, SetupError> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.name().eq_ignore_ascii_case(value.trim_matches(' ')))
            .ok_or(SetupError::Unknown)
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why no role follows from `a=setup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// None of the four values.
    #[error("setup is none of active, passive, actpass, holdconn")]
    Unknown,
    /// An answer that does not fit its offer.
    #[error("setup {answer} does not answer {offer}")]
    Conflict {
        /// What was offered.
        offer: Setup,
        /// What was answered.
        answer: Setup,
    },
}

/// The value of `a=tls-id`: the name of an association (RFC 8842 §4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsId(String);

impl TlsId {
    /// Fewest characters (RFC 8842 §4).
    pub const CHARS_MIN: usize = 20;
    /// Most characters (RFC 8842 §4).
    pub const CHARS_MAX: usize = 255;

    /// A name made of 128 bits of the caller's randomness; RFC 8842 §4 wants at least 120.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TlsId {
    type Err = TlsIdError;

    fn from_str(value: &str) -> Result<Self, TlsIdError> {
        let value = value.trim_matches(' ');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
        if !(Self::CHARS_MIN..=Self::CHARS_MAX).contains(&value.len()) || !value.bytes().all(allowed) {
            return Err(TlsIdError);
        }
        Ok(Self(value.to_owned()))
    }
}

impl fmt::Display for TlsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value is not 20 to 255 letters, digits, `+`, `/`, `-` and `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tls-id is not 20 to 255 letters, digits, +, /, - and _")]
pub struct TlsIdError;

/// What a description says of its sender's end of an association, beside its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The certificates that it may show.
    pub fingerprints: Fingerprints,
    /// Its name for the association; older peers give none.
    pub tls_id: Option<TlsId>,
}

impl Endpoint {
    /// Whether a later description of the same sender asks for a new association (RFC 8842 §3.1, §5.1).
    ///
    /// A changed name does, and so does a changed set of fingerprints: the
    /// peer that holds the old keys is no longer the one that is named.
    pub fn asks_for_new(&self, later: &Self) -> bool {
        self.fingerprints != later.fingerprints || self.tls_id != later.tls_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4145 §4.1's table of offers and what may answer them.
    #[test]
    fn answers_are_those_of_rfc4145() {
        let all = [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn];
        let mut table = String::new();
        for offer in all {
            for answer in all {
                let role = match answer.answerer_role(offer) {
                    Ok(Some(Role::Client)) => "client",
                    Ok(Some(Role::Server)) => "server",
                    Ok(None) => "none",
                    Err(_) => "refused",
                };
                table.push_str(&format!("{offer} {answer} {role}\n"));
            }
        }
        let expected = "\
            active active refused\nactive passive server\nactive actpass refused\nactive holdconn none\n\
            passive active client\npassive passive refused\npassive actpass refused\npassive holdconn none\n\
            actpass active client\nactpass passive server\nactpass actpass refused\nactpass holdconn none\n\
            holdconn active refused\nholdconn passive refused\nholdconn actpass refused\nholdconn holdconn none\n";
        assert_eq!(table, expected);
    }

    #[test]
    fn what_we_answer_is_always_allowed() {
        for offer in [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn] {
            for preferred in [Role::Client, Role::Server] {
                let role = offer.answered(preferred).answerer_role(offer).unwrap();
                assert_eq!(role.is_none(), offer == Setup::HoldConn);
                if offer == Setup::ActPass {
                    assert_eq!(role, Some(preferred));
                }
            }
        }
    }

    #[test]
    fn values_are_read_in_any_case() {
        assert_eq!("ActPass".parse(), Ok(Setup::ActPass));
        assert_eq!(" active".parse(), Ok(Setup::Active));
        assert_eq!("acitve".parse::<Setup>(), Err(SetupError::Unknown));
        for setup in [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn] {
            assert_eq!(setup.to_string().parse(), Ok(setup));
        }
    }

    #[test]
    fn tls_ids_have_their_length_and_characters() {
        let made = TlsId::from_random([0xa5; 16]);
        assert_eq!(made.to_string().parse(), Ok(made));
        assert!("abc3de65cddef001be82".parse::<TlsId>().is_ok());
        assert!("abc3de65cddef001be8".parse::<TlsId>().is_err());
        assert!("abc3de65cddef001be8 ".parse::<TlsId>().is_err());
        assert!("abc3de65cddef001be8\u{e9}".parse::<TlsId>().is_err());
        assert!("a".repeat(255).parse::<TlsId>().is_ok());
        assert!("a".repeat(256).parse::<TlsId>().is_err());
    }

    #[test]
    fn a_new_name_or_another_set_of_fingerprints_asks_for_a_new_association() {
        let fingerprints = |text: &[u8]| {
            Fingerprints::one(crate::dtls::Fingerprint::of(crate::dtls::HashFunction::Sha256, text))
        };
        let first = Endpoint { fingerprints: fingerprints(b"a"), tls_id: None };
        assert!(!first.asks_for_new(&first.clone()));
        assert!(first.asks_for_new(&Endpoint { fingerprints: fingerprints(b"b"), tls_id: None }));
        let named = Endpoint { tls_id: Some(TlsId::from_random([1; 16])), ..first.clone() };
        assert!(first.asks_for_new(&named));
        assert!(!named.asks_for_new(&named.clone()));
        let renamed = Endpoint { tls_id: Some(TlsId::from_random([2; 16])), ..first };
        assert!(named.asks_for_new(&renamed));
    }
}
