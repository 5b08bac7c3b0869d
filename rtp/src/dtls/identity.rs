//! Our certificate and its key.

use std::fmt;

use openssl::ec::EcKey;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use zeroize::{Zeroize, Zeroizing};

use super::{Fingerprint, HashFunction};

/// Our certificate for handshakes: ECDSA on P-256, named by its SHA-256 fingerprint.
///
/// Nobody checks the certificate itself, only that its fingerprint is the one
/// of the description (RFC 5763 §5), so that a self-signed one made at start
/// is as good as any.
///
/// The key is wiped from our memory when the identity is dropped. Both
/// libraries copy it: OpenSSL wipes its copies, dimpl does not.
pub struct Identity {
    certificate: Vec<u8>,
    // PKCS #8.
    key: Zeroizing<Vec<u8>>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Makes a new key and a certificate that it signs itself. Key and serial number come from the system's randomness.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut pair =
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Generate)?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "tollgate");
        let certificate = params.self_signed(&pair).map_err(IdentityError::Generate)?.der().to_vec();
        let key = Zeroizing::new(pair.serialize_der());
        pair.zeroize();
        Ok(Self::of(certificate, key))
    }

    /// Reads a certificate and its key, both in PEM; the key may be in PKCS #8 or SEC 1 form.
    ///
    /// # Errors
    /// Either is not PEM of its kind, the key is not ECDSA on P-256 or wants a
    /// passphrase, or the certificate is another key's.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let certificate = X509::from_pem(certificate).map_err(|_| IdentityError::Certificate)?;
        // A passphrase asked for at the terminal would stop the process; an empty one is an answer.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(|_| IdentityError::Key)?;
        if !is_p256(&key) {
            return Err(IdentityError::NotP256);
        }
        let public = certificate.public_key().map_err(|_| IdentityError::Certificate)?;
        if !public.public_eq(&key) {
            return Err(IdentityError::Mismatch);
        }
        let certificate = certificate.to_der().map_err(|_| IdentityError::Certificate)?;
        let key = Zeroizing::new(key.private_key_to_pkcs8().map_err(|_| IdentityError::Key)?);
        Ok(Self::of(certificate, key))
    }

    fn of(certificate: Vec<u8>, key: Zeroizing<Vec<u8>>) -> Self {
        let fingerprint = Fingerprint::of(HashFunction::Sha256, &certificate);
        Self { certificate, key, fingerprint }
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its SHA-256 fingerprint, to be written into our descriptions.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The key in PKCS #8.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Identity {
    /// The fingerprint; never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

fn is_p256(key: &PKey<Private>) -> bool {
    let curve = |key: EcKey<Private>| key.group().curve_name();
    key.ec_key().ok().and_then(curve) == Some(Nid::X9_62_PRIME256V1)
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key or certificate could be made.
    #[error("a certificate for DTLS could not be made")]
    Generate(#[source] rcgen::Error),
    /// The certificate is not one X.509 certificate in PEM.
    #[error("the DTLS certificate is not an X.509 certificate in PEM")]
    Certificate,
    /// The key is not a private key in PEM, or wants a passphrase.
    #[error("the DTLS key is not an unencrypted private key in PEM")]
    Key,
    /// The key is of another kind, such as RSA.
    #[error("the DTLS key is not ECDSA on P-256; make one with `openssl ecparam -name prime256v1 -genkey`")]
    NotP256,
    /// The certificate belongs to another key.
    #[error("the DTLS certificate belongs to another key")]
    Mismatch,
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;

    use super::*;

    fn pem_of(identity: &Identity) -> (Vec<u8>, Vec<u8>) {
        let certificate = X509::from_der(identity.certificate()).unwrap().to_pem().unwrap();
        let key = PKey::private_key_from_der(identity.key()).unwrap().private_key_to_pem_pkcs8().unwrap();
        (certificate, key)
    }

    #[test]
    fn each_identity_made_is_another() {
        let (one, two) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        assert_ne!(one.fingerprint(), two.fingerprint());
        let serial = |identity: &Identity| {
            X509::from_der(identity.certificate()).unwrap().serial_number().to_bn().unwrap()
        };
        assert_ne!(serial(&one), serial(&two), "browsers refuse two certificates of one issuer and number");
        assert!(one.fingerprint().is_of(one.certificate()));
    }

    #[test]
    fn pem_of_either_form_gives_the_same_identity() {
        let made = Identity::generate().unwrap();
        let (certificate, pkcs8) = pem_of(&made);
        let sec1 =
            PKey::private_key_from_pem(&pkcs8).unwrap().ec_key().unwrap().private_key_to_pem().unwrap();
        for key in [pkcs8, sec1] {
            let read = Identity::from_pem(&certificate, &key).unwrap();
            assert_eq!(read.fingerprint(), made.fingerprint());
            assert_eq!(read.key(), made.key());
        }
    }

    #[test]
    fn what_is_no_identity_is_told_apart() {
        let (one, two) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let (certificate, key) = pem_of(&one);
        let fault = |certificate: &[u8], key: &[u8]| Identity::from_pem(certificate, key).unwrap_err();
        assert!(matches!(fault(b"", &key), IdentityError::Certificate));
        assert!(matches!(fault(&certificate, b"-----BEGIN"), IdentityError::Key));
        assert!(matches!(fault(&certificate, &pem_of(&two).1), IdentityError::Mismatch));
        let rsa = Rsa::generate(2048).unwrap();
        assert!(matches!(fault(&certificate, &rsa.private_key_to_pem().unwrap()), IdentityError::NotP256));
        let locked = PKey::private_key_from_pem(&key)
            .unwrap()
            .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"word")
            .unwrap();
        assert!(matches!(fault(&certificate, &locked), IdentityError::Key));
    }
}
