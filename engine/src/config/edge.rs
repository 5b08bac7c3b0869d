//! Where streams are listened for, and who may ask over them.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ConfigError, Peers, RawConfig, TurnSettings};

/// The listeners of streams, all optional, and who is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EdgeConfig {
    /// Where, and what is spoken there.
    pub(crate) listeners: Vec<(Service, SocketAddr)>,
    /// Of the listeners that speak TLS; there is one if there is such a listener.
    pub(crate) identity: Option<Identity>,
    /// Of the TURN server's listener inside TLS.
    pub(crate) turn_identity: Option<Identity>,
    /// Networks besides those answered over NG that may see metrics and health.
    pub(crate) lookers: Peers,
}

/// What is spoken on a listener of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// NG.
    Ng,
    /// NG inside TLS.
    NgTls,
    /// HTTP and WebSocket.
    Http,
    /// The same inside TLS.
    Https,
    /// Lines of the command line.
    Cli,
    /// TURN.
    Turn,
    /// The same inside TLS.
    TurnTls,
}

impl Service {
    /// Whether it goes inside TLS.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::NgTls | Self::Https | Self::TurnTls)
    }

    /// The setting that names its addresses.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Ng => "listen-tcp-ng",
            Self::NgTls => "listen-tls-ng",
            Self::Http => "listen-http",
            Self::Https => "listen-https",
            Self::Cli => "listen-cli",
            Self::Turn => "listen-turn",
            Self::TurnTls => "listen-turn-tls",
        }
    }
}

/// Who we are on TLS, and whom we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Certificates in PEM, ours first.
    pub(crate) certificate: PathBuf,
    /// Its key in PEM.
    pub(crate) key: PathBuf,
    /// Keys of clients. If there are any, nobody else may ask over TLS.
    pub(crate) pins: Vec<Pin>,
}

/// The SHA-256 of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin(pub(crate) [u8; 32]);

/// Looks at the settings of streams.
pub(super) fn check(raw: &RawConfig, turn: Option<&TurnSettings>) -> Result<EdgeConfig, ConfigError> {
    let mut listeners = Vec::new();
    for (service, texts) in [
        (Service::Ng, &raw.listen_tcp_ng),
        (Service::NgTls, &raw.listen_tls_ng),
        (Service::Http, &raw.listen_http),
        (Service::Https, &raw.listen_https),
        (Service::Cli, &raw.listen_cli),
    ] {
        for text in texts {
            let reason =
                || ConfigError::value(service.key(), format!("`{text}` is not an address and a port"));
            listeners.push((service, text.parse().map_err(|_| reason())?));
        }
    }
    let pins = raw.ng_pin.iter().map(|text| Pin::parse(text)).collect::<Result<Vec<_>, _>>();
    let pins = pins.map_err(|reason| ConfigError::value("ng-pin", reason))?;
    let tls = listeners.iter().find(|(service, _)| service.is_tls()).map(|(service, _)| service.key());
    let identity = match (&raw.https_cert, &raw.https_key, tls) {
        (Some(certificate), Some(key), _) => {
            Some(Identity { certificate: certificate.into(), key: key.into(), pins: pins.clone() })
        }
        (None, None, None) => None,
        (None, ..) => return Err(ConfigError::value("https-cert", "is missing")),
        (_, None, _) => return Err(ConfigError::value("https-key", "is missing")),
    };
    if tls.is_none() && !pins.is_empty() {
        let reason = "needs listen-tls-ng or listen-https: without TLS nobody shows a key";
        return Err(ConfigError::value("ng-pin", reason));
    }
    let lookers =
        Peers::parse(&raw.metrics_allow).map_err(|reason| ConfigError::value("metrics-allow", reason))?;
    if let Some(turn) = turn {
        listeners.extend(turn.listeners.iter().map(|address| (Service::Turn, *address)));
        listeners.extend(turn.tls_listeners.iter().map(|address| (Service::TurnTls, *address)));
    }
    let turn_identity = turn.and_then(|turn| turn.identity.clone());
    Ok(EdgeConfig { listeners, identity, turn_identity, lookers })
}

impl Pin {
    /// Reads 64 hexadecimal digits, with or without colons, or `sha256//` and base64, as curl writes it.
    fn parse(text: &str) -> Result<Self, String> {
        let hash = match text.strip_prefix("sha256//") {
            Some(text) => base64(text),
            None => hexadecimal(text),
        };
        hash.map(Self).ok_or_else(|| {
            format!("`{text}` is no SHA-256 of a public key: 64 hexadecimal digits, or sha256//BASE64")
        })
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then_some(())?;
    bytes.try_into().ok()
}

/// Base64 of 32 bytes ([RFC 4648 §4](https://www.rfc-editor.org/rfc/rfc4648#section-4)).
fn base64(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=')?;
    let mut bytes = [0_u8; 33];
    for (index, digit) in digits.bytes().enumerate() {
        let value = ALPHABET.iter().position(|letter| *letter == digit)?;
        let bits = u16::try_from(value).ok()? << (10 - (index * 6 % 8));
        let at = index * 6 / 8;
        *bytes.get_mut(at)? |= bits.to_be_bytes()[0];
        *bytes.get_mut(at + 1)? |= bits.to_be_bytes()[1];
    }
    (digits.len() == 43 && bytes[32] == 0).then_some(())?;
    bytes[..32].try_into().ok()
}

/// The digits of base64.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    fn least() -> RawConfig {
        RawConfig { listen_https: vec!["127.0.0.1:1".into()], ..RawConfig::default() }
    }

    #[test]
    fn a_pin_is_read_in_both_spellings() {
        // SHA-256 of nothing.
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let colons = hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase());
        let colons = colons.collect::<Vec<_>>().join(":");
        let base64 = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let pin = Pin::parse(hex).expect("a pin");
        assert_eq!(pin.0[..3], [0xe3, 0xb0, 0xc4]);
        assert_eq!(Pin::parse(&colons), Ok(pin));
        assert_eq!(Pin::parse(base64), Ok(pin));
        for text in ["", "sha256//", &hex[1..], &base64[..51], &format!("{hex}00")] {
            assert!(Pin::parse(text).is_err(), "{text}");
        }
        assert!(Pin::parse("sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=").is_err(), "bits are left");
    }

    #[test]
    fn tls_needs_certificate_and_key_and_pins_need_tls() {
        let cert = || Some("a".to_owned());
        let check = |raw: &RawConfig| check(raw, None);
        let refused = |raw: &RawConfig| check(raw).expect_err("refused").to_string();
        assert!(refused(&least()).starts_with("https-cert: "));
        assert!(refused(&RawConfig { https_cert: cert(), ..least() }).starts_with("https-key: "));
        assert!(check(&RawConfig { https_cert: cert(), https_key: cert(), ..least() }).is_ok());
        let pins = vec!["0".repeat(64)];
        assert!(refused(&RawConfig { ng_pin: pins, ..RawConfig::default() }).starts_with("ng-pin: needs"));
        let nowhere = RawConfig { listen_cli: vec!["9900".into()], ..RawConfig::default() };
        assert!(refused(&nowhere).starts_with("listen-cli: "));
        let odd = RawConfig { metrics_allow: vec!["x".into()], ..RawConfig::default() };
        assert!(refused(&odd).starts_with("metrics-allow: "));
    }
}
