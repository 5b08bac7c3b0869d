//! `a=ice-ufrag` and `a=ice-pwd`: who may check (RFC 8839 §5.4).

use std::fmt;

use subtle::ConstantTimeEq;

use super::candidate::is_ice_char;

/// A user name fragment and its password.
#[derive(Clone, Eq)]
pub struct Credentials {
    ufrag: String,
    password: String,
}

impl Credentials {
    /// Fewest and most characters of a fragment.
    pub const UFRAG_CHARS: std::ops::RangeInclusive<usize> = 4..=256;
    /// Fewest and most characters of a password.
    pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 22..=256;

    /// Those of a description.
    ///
    /// # Errors
    /// A length is out of bounds, or a character is none of letters, digits, `+` and `/`.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, CredentialsError> {
        let plain = |text: &str| text.bytes().all(is_ice_char);
        if !Self::UFRAG_CHARS.contains(&ufrag.len()) || !plain(ufrag) {
            return Err(CredentialsError::Ufrag);
        }
        if !Self::PASSWORD_CHARS.contains(&password.len()) || !plain(password) {
            return Err(CredentialsError::Password);
        }
        Ok(Self { ufrag: ufrag.to_owned(), password: password.to_owned() })
    }

    /// New ones of the caller's randomness: 48 bits of name, 144 of password; RFC 8445 §5.3 wants 24 and 128.
    pub fn from_random(random: [u8; 24]) -> Self {
        let text = encode(&random);
        Self { ufrag: text[..8].to_owned(), password: text[8..].to_owned() }
    }

    /// The fragment.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Whether a later description of the same sender asks for a restart: both changed (RFC 8839 §4.4.1.1.1).
    pub fn asks_for_restart(&self, later: &Self) -> bool {
        self != later
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.ufrag == other.ufrag && bool::from(self.password.as_bytes().ct_eq(other.password.as_bytes()))
    }
}

impl fmt::Debug for Credentials {
    /// The fragment; never the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Three bytes in four characters that both attributes may hold.
fn encode(bytes: &[u8; 24]) -> String {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let quad = |three: &[u8]| {
        let number = three.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(CHARACTERS[number >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(quad).collect()
}

/// Why credentials are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Not 4 to 256 letters, digits, `+` and `/`.
    #[error("ice-ufrag is not 4 to 256 letters, digits, + and /")]
    Ufrag,
    /// Not 22 to 256 of them.
    #[error("ice-pwd is not 22 to 256 letters, digits, + and /")]
    Password,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_characters_are_those_of_rfc8839() {
        let password = "x9cml/YzichV2+XlhiMu8g";
        assert!(Credentials::new("8hhY", password).is_ok());
        assert_eq!(Credentials::new("8hh", password), Err(CredentialsError::Ufrag));
        assert_eq!(Credentials::new("8h-Y", password), Err(CredentialsError::Ufrag));
        assert_eq!(Credentials::new("8hhY", &password[1..]), Err(CredentialsError::Password));
        assert_eq!(Credentials::new("8hhY", &"a".repeat(257)), Err(CredentialsError::Password));
        assert_eq!(Credentials::new("8hhY", &" ".repeat(30)), Err(CredentialsError::Password));
    }

    #[test]
    fn new_ones_are_valid_and_keep_their_randomness() {
        let made = Credentials::from_random(std::array::from_fn(|index| u8::try_from(index * 11).unwrap()));
        assert_eq!(Credentials::new(made.ufrag(), made.password()), Ok(made.clone()));
        assert_eq!((made.ufrag().len(), made.password().len()), (8, 24));
        assert_ne!(made, Credentials::from_random([7; 24]));
        assert!(made.asks_for_restart(&Credentials::from_random([7; 24])));
        assert!(!format!("{made:?}").contains(made.password()));
    }
}
