//! The TURN server: where, for whom, and how much.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine_core::{TurnLimits, TurnLive, TurnSecret};

use super::{ConfigError, Identity, RawConfig};

/// The TURN server as configured; its counts are those of the whole engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TurnSettings {
    /// Where clients are heard in datagrams and on streams.
    pub(crate) listeners: Vec<SocketAddr>,
    /// Where inside TLS.
    pub(crate) tls_listeners: Vec<SocketAddr>,
    /// Who we are there.
    pub(crate) identity: Option<Identity>,
    /// Whose events the ends of allocations are.
    pub(crate) owner: Option<String>,
    /// What may change; without the addresses of this machine.
    pub(crate) live: TurnLive,
}

/// A setting and whether it differs.
type Change = (&'static str, bool);

impl TurnSettings {
    /// What of it differs: settings that take effect at once, and those that wait for a restart.
    pub(crate) fn changes(before: Option<&Self>, after: Option<&Self>) -> (Vec<Change>, Vec<Change>) {
        let live = |differs: fn(&TurnLive, &TurnLive) -> bool| {
            before.zip(after).is_some_and(|(before, after)| differs(&before.live, &after.live))
        };
        let identity = |of: fn(&Identity) -> &PathBuf| {
            before.zip(after).is_some_and(|(before, after)| {
                before.identity.as_ref().map(of) != after.identity.as_ref().map(of)
            })
        };
        let at_once = vec![
            ("turn-realm", live(|before, after| before.realm != after.realm)),
            ("turn-secret-file", live(|before, after| before.secrets != after.secrets)),
            ("turn-interface", live(|before, after| before.interface != after.interface)),
            ("turn-allow-peer", live(|before, after| before.allow_peers != after.allow_peers)),
            (
                "turn-max-allocations",
                live(|before, after| before.limits.allocations_max != after.limits.allocations_max),
            ),
            (
                "turn-user-max-allocations",
                live(|before, after| before.limits.user_allocations_max != after.limits.user_allocations_max),
            ),
            (
                "turn-user-max-bandwidth",
                live(|before, after| {
                    before.limits.user_bytes_per_second_max != after.limits.user_bytes_per_second_max
                }),
            ),
            (
                "turn-max-lifetime",
                live(|before, after| before.limits.lifetime_max != after.limits.lifetime_max),
            ),
            ("turn-cert", identity(|identity| &identity.certificate) || identity(|identity| &identity.key)),
        ];
        let differ = |of: fn(&Self) -> &Vec<SocketAddr>| {
            let addresses = |settings: Option<&Self>| settings.map(of).cloned().unwrap_or_default();
            addresses(before) != addresses(after)
        };
        let owner = before.zip(after).is_some_and(|(before, after)| before.owner != after.owner);
        let at_restart = vec![
            ("listen-turn", differ(|settings| &settings.listeners)),
            ("listen-turn-tls", differ(|settings| &settings.tls_listeners)),
            ("turn-owner", owner),
        ];
        (at_once, at_restart)
    }

    /// What is in force when other settings were read: what waits for a restart is as it was.
    pub(crate) fn kept(before: Option<Self>, read: Option<Self>) -> Option<Self> {
        match (before, read) {
            (Some(before), Some(read)) => {
                let Self { listeners, tls_listeners, owner, .. } = before;
                Some(Self { listeners, tls_listeners, owner, ..read })
            }
            (before, _) => before,
        }
    }
}

/// Looks at the settings of the TURN server, and reads its secrets.
pub(super) fn check(raw: &RawConfig) -> Result<Option<TurnSettings>, ConfigError> {
    let listeners = addresses("listen-turn", &raw.listen_turn)?;
    let tls_listeners = addresses("listen-turn-tls", &raw.listen_turn_tls)?;
    if listeners.is_empty() && tls_listeners.is_empty() {
        return Ok(None);
    }
    let secret_file = raw.turn_secret_file.as_ref().ok_or_else(|| {
        ConfigError::value("turn-secret-file", "is missing: without a secret nobody can show who it is")
    })?;
    let realm = raw.turn_realm.clone().unwrap_or_else(|| "tollgate".to_owned());
    if realm.is_empty() || realm.len() > TurnLive::REALM_BYTES_MAX || realm.contains(['"', '\\', ':']) {
        let reason = format!(
            "`{realm}` is not 1 to {} bytes without quotes, backslashes and colons: a longer one makes the challenge \
             more than three times as long as what a stranger must send for it",
            TurnLive::REALM_BYTES_MAX
        );
        return Err(ConfigError::value("turn-realm", reason));
    }
    if let Some(name) = &raw.turn_interface
        && !raw
            .interface
            .iter()
            .any(|text| text.parse::<engine_core::Interface>().is_ok_and(|interface| interface.name == *name))
    {
        return Err(ConfigError::value("turn-interface", format!("no interface is called `{name}`")));
    }
    let network = |text: &String| {
        let reason = || ConfigError::value("turn-allow-peer", format!("`{text}` is not a network"));
        text.parse().map_err(|_| reason())
    };
    let lifetime_s = raw.turn_max_lifetime.unwrap_or(3600);
    if !(LIFETIME_MIN_S..=LIFETIME_MAX_S).contains(&lifetime_s) {
        let reason = format!("must be from {LIFETIME_MIN_S} to {LIFETIME_MAX_S} seconds");
        return Err(ConfigError::value("turn-max-lifetime", reason));
    }
    let at_least_one = |key, given: Option<usize>, default| match given.unwrap_or(default) {
        0 => Err(ConfigError::value(key, "must be at least 1")),
        given if given > ALLOCATIONS_MAX => Err(ConfigError::value(
            key,
            format!("must be at most {ALLOCATIONS_MAX}: there are no more ports"),
        )),
        given => Ok(given),
    };
    let live = TurnLive {
        realm,
        secrets: secrets(Path::new(secret_file))?,
        interface: raw.turn_interface.clone(),
        allow_peers: raw.turn_allow_peer.iter().map(network).collect::<Result<_, _>>()?,
        own: Vec::new(),
        limits: TurnLimits {
            allocations_max: at_least_one("turn-max-allocations", raw.turn_max_allocations, 2000)?,
            user_allocations_max: at_least_one(
                "turn-user-max-allocations",
                raw.turn_user_max_allocations,
                16,
            )?,
            user_bytes_per_second_max: raw.turn_user_max_bandwidth.filter(|bytes| *bytes > 0),
            lifetime_max: Duration::from_secs(lifetime_s),
        },
    };
    let identity = identity(raw, !tls_listeners.is_empty())?;
    Ok(Some(TurnSettings { listeners, tls_listeners, identity, owner: raw.turn_owner.clone(), live }))
}

fn addresses(key: &'static str, texts: &[String]) -> Result<Vec<SocketAddr>, ConfigError> {
    let address = |text: &String| {
        let reason = || ConfigError::value(key, format!("`{text}` is not an address and a port"));
        text.parse().map_err(|_| reason())
    };
    texts.iter().map(address).collect()
}

/// Who the listeners inside TLS are.
fn identity(raw: &RawConfig, tls: bool) -> Result<Option<Identity>, ConfigError> {
    if !tls {
        return Ok(None);
    }
    let certificate = raw.turn_cert.as_ref().or(raw.https_cert.as_ref());
    let key = raw.turn_key.as_ref().or(raw.https_key.as_ref());
    match (certificate, key, raw.turn_cert.is_some() == raw.turn_key.is_some()) {
        (Some(certificate), Some(key), true) => {
            Ok(Some(Identity { certificate: certificate.into(), key: key.into(), pins: Vec::new() }))
        }
        (None, ..) | (.., false) if raw.turn_cert.is_none() => Err(ConfigError::value(
            "turn-cert",
            "is missing: listen-turn-tls needs a certificate and its key",
        )),
        _ => {
            Err(ConfigError::value("turn-key", "is missing: listen-turn-tls needs a certificate and its key"))
        }
    }
}

/// The secrets of a file: its lines, without those that are empty or begin with `#`.
fn secrets(file: &Path) -> Result<Vec<TurnSecret>, ConfigError> {
    let refuse = |reason: String| ConfigError::value("turn-secret-file", reason);
    let bytes =
        std::fs::read(file).map_err(|error| refuse(format!("{} cannot be read: {error}", file.display())))?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let secrets: Vec<_> =
        lines.filter(|line| !line.is_empty() && line[0] != b'#').map(TurnSecret::new).collect();
    match secrets.len() {
        0 => Err(refuse(format!("{} holds no secret: one on a line", file.display()))),
        count if count > TurnLive::SECRETS_MAX => {
            let max = TurnLive::SECRETS_MAX;
            Err(refuse(format!("{} holds {count} secrets, and at most {max} are tried", file.display())))
        }
        _ => Ok(secrets),
    }
}

/// A client may ask for no less.
const LIFETIME_MIN_S: u64 = 600;
/// Nobody who has gone holds a port for longer than a day.
const LIFETIME_MAX_S: u64 = 24 * 3600;
/// As many as there are even ports.
const ALLOCATIONS_MAX: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    fn least(secrets: &str) -> (tempfile::TempDir, RawConfig) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("secrets");
        std::fs::write(&file, secrets).expect("written");
        let raw = RawConfig {
            interface: vec!["pub/127.0.0.1".into()],
            listen_turn: vec!["127.0.0.1:3478".into()],
            turn_secret_file: Some(file.display().to_string()),
            ..RawConfig::default()
        };
        (directory, raw)
    }

    #[test]
    fn nothing_listens_unless_it_is_told_where() {
        assert_eq!(check(&RawConfig { turn_realm: Some("x".into()), ..RawConfig::default() }), Ok(None));
        let (_directory, raw) = least("# of this year\nnorth\n\n  south \r\n");
        let turn = check(&raw).expect("sound").expect("a server");
        assert_eq!(turn.live.secrets, [TurnSecret::new(b"north"), TurnSecret::new(b"south")]);
        assert_eq!((turn.live.realm.as_str(), turn.identity), ("tollgate", None));
        assert_eq!(turn.live.limits, TurnLimits::default());
        assert!(!format!("{:?}", turn.live).contains("north"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let (_directory, raw) = least("north\n");
        let (_empty, empty) = least("# none\n");
        let (_many, many) = least("a\nb\nc\nd\ne\n");
        let tls = || vec!["127.0.0.1:5349".to_owned()];
        let text = || Some("x".to_owned());
        let cases = [
            (RawConfig { turn_secret_file: None, ..raw.clone() }, "turn-secret-file: is missing"),
            (RawConfig { turn_secret_file: text(), ..raw.clone() }, "turn-secret-file: x cannot be read"),
            (empty, "turn-secret-file: "),
            (many, "turn-secret-file: "),
            (RawConfig { listen_turn: vec!["3478".into()], ..raw.clone() }, "listen-turn: "),
            (RawConfig { listen_turn_tls: vec!["x".into()], ..raw.clone() }, "listen-turn-tls: "),
            (RawConfig { listen_turn_tls: tls(), ..raw.clone() }, "turn-cert: "),
            (RawConfig { listen_turn_tls: tls(), turn_key: text(), ..raw.clone() }, "turn-cert: "),
            (RawConfig { listen_turn_tls: tls(), turn_cert: text(), ..raw.clone() }, "turn-key: "),
            (RawConfig { turn_realm: Some("a".repeat(21)), ..raw.clone() }, "turn-realm: "),
            (RawConfig { turn_realm: Some("a:b".into()), ..raw.clone() }, "turn-realm: "),
            (RawConfig { turn_interface: text(), ..raw.clone() }, "turn-interface: "),
            (RawConfig { turn_allow_peer: vec!["10.0.0.0/33".into()], ..raw.clone() }, "turn-allow-peer: "),
            (RawConfig { turn_max_allocations: Some(0), ..raw.clone() }, "turn-max-allocations: "),
            (RawConfig { turn_user_max_allocations: Some(0), ..raw.clone() }, "turn-user-max-allocations: "),
            (RawConfig { turn_max_lifetime: Some(599), ..raw.clone() }, "turn-max-lifetime: "),
        ];
        for (raw, beginning) in cases {
            let error = check(&raw).expect_err(beginning).to_string();
            assert!(error.starts_with(beginning), "{error}");
        }
        let both = RawConfig { https_cert: text(), https_key: text(), listen_turn_tls: tls(), ..raw.clone() };
        let identity = check(&both).expect("sound").expect("a server").identity;
        assert_eq!(identity.expect("that of https").certificate, Path::new("x"));
        let (named, interface) = (Some("pub".to_owned()), raw.interface.clone());
        assert!(check(&RawConfig { turn_interface: named, interface, ..raw }).is_ok());
    }
}
