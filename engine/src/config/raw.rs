//! Settings as they are written, in a file or as flags, before anybody has looked at them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use driver::available_cores;
use engine_core::{Interface, Interfaces, MediaNetworks};
use serde::{Deserialize, Deserializer};

use super::{Config, ConfigError, Peers, cores, edge, turn};
use crate::load::LoadLimits;
use crate::recorder::RecordingConfig;

/// Settings as written. Flags and keys of the file have the same names; an unknown key is refused.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawConfig {
    /// `[name/]address[!advertised]`, one or more.
    #[serde(deserialize_with = "one_or_more")]
    pub interface: Vec<String>,
    /// `address:port` to answer NG on. Default `127.0.0.1:2223`.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_ng: Vec<String>,
    /// Networks (`192.0.2.0/24`, `2001:db8::7`) answered over NG besides loopback.
    #[serde(deserialize_with = "one_or_more")]
    pub ng_allow: Vec<String>,
    /// `address:port` to answer NG on over TCP.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_tcp_ng: Vec<String>,
    /// The same inside TLS.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_tls_ng: Vec<String>,
    /// `address:port` for HTTP and WebSocket.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_http: Vec<String>,
    /// The same inside TLS.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_https: Vec<String>,
    /// `address:port` for lines of the command line.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_cli: Vec<String>,
    /// Certificate of the listeners inside TLS, in PEM.
    pub https_cert: Option<String>,
    /// Its key, in PEM.
    pub https_key: Option<String>,
    /// SHA-256 of the public keys of clients that may ask over TLS.
    #[serde(deserialize_with = "one_or_more")]
    pub ng_pin: Vec<String>,
    /// Networks besides those of `ng_allow` that may see metrics and health.
    #[serde(deserialize_with = "one_or_more")]
    pub metrics_allow: Vec<String>,
    /// Where media may come from besides what descriptions name: `[interface=]network[,network…]`, one or more.
    #[serde(deserialize_with = "one_or_more")]
    pub media_networks: Vec<String>,
    /// `window` or `strict`: whether a party of whom only a private address is known is looked for. Default `window`.
    pub learn: Option<String>,
    /// Lowest media port. Default 30000.
    pub port_min: Option<u16>,
    /// Highest media port. Default 40000.
    pub port_max: Option<u16>,
    /// Worker threads. Default one for each of `cpus`, else for each core.
    pub workers: Option<u16>,
    /// Cores to pin workers to, as `0-3,6`. Default: not pinned.
    pub cpus: Option<String>,
    /// `auto`, `uring` or `epoll`. Default `auto`.
    pub driver: Option<String>,
    /// Seconds without a packet after which a call ends. Default 60.
    pub timeout: Option<u64>,
    /// The same while every party is on hold. Default 3600.
    pub silent_timeout: Option<u64>,
    /// The same while nobody has answered. Default 3600.
    pub offer_timeout: Option<u64>,
    /// Seconds after which a call ends whatever it does; 0 is never. Default 0.
    pub final_timeout: Option<u64>,
    /// Seconds that SIGTERM waits for live calls. Default 60.
    pub drain_timeout: Option<u64>,
    /// Seconds for which a deleted call can be revived. Default 30.
    pub delete_delay: Option<u64>,
    /// TOS or traffic-class byte of media, 0 to 255. Default 184.
    pub tos: Option<u8>,
    /// Live calls at most. Default 20000.
    pub max_sessions: Option<usize>,
    /// Directory below which recordings are kept. Default: nothing is recorded.
    pub recording_dir: Option<String>,
    /// `pcap`, the only method there is.
    pub recording_method: Option<String>,
    /// `raw` (from the IP header on) or `eth`. Default `raw`.
    pub recording_format: Option<String>,
    /// Load average of one minute from which on new calls are refused; 0 is no limit. Default 0.
    pub max_load: Option<f64>,
    /// How busy, in percent, all processors are from which on new calls are refused; 0 is no limit. Default 0.
    pub max_cpu: Option<f64>,
    /// Bytes of media arriving in a second from which on new calls are refused; 0 is no limit. Default 0.
    pub max_bandwidth: Option<u64>,
    /// `address:port` of the TURN server, for datagrams and streams.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_turn: Vec<String>,
    /// The same inside TLS, for streams only.
    #[serde(deserialize_with = "one_or_more")]
    pub listen_turn_tls: Vec<String>,
    /// Certificate of those, in PEM. Default: `https_cert`.
    pub turn_cert: Option<String>,
    /// Its key, in PEM. Default: `https_key`.
    pub turn_key: Option<String>,
    /// Realm of the TURN server, at most 20 bytes. Default `tollgate`.
    pub turn_realm: Option<String>,
    /// File of one to four shared secrets, a line each.
    pub turn_secret_file: Option<String>,
    /// Name of the interface on which relayed addresses are lent. Default: that of the first.
    pub turn_interface: Option<String>,
    /// Networks whose hosts are peers although they are not on the public Internet.
    #[serde(deserialize_with = "one_or_more")]
    pub turn_allow_peer: Vec<String>,
    /// Allocations at most. Default 2000.
    pub turn_max_allocations: Option<usize>,
    /// Allocations of one user at each worker. Default 16.
    pub turn_user_max_allocations: Option<usize>,
    /// Bytes a second relayed for one user at each worker, each way; 0 is no limit. Default 0.
    pub turn_user_max_bandwidth: Option<u64>,
    /// Seconds for which an allocation is refreshed at most. Default 3600.
    pub turn_max_lifetime: Option<u64>,
    /// Whose events the ends of allocations are. Default: nobody's.
    pub turn_owner: Option<String>,
    /// Filter of log lines. Default `info`.
    pub log: Option<String>,
    /// Presets of options by name, each a text as in `rtpp-flags`; a message's `template` names them.
    pub template: BTreeMap<String, String>,
}

impl RawConfig {
    /// Reads settings written as TOML.
    ///
    /// # Errors
    /// [`ConfigError::File`], naming line and column: not TOML, an unknown key, a value of the wrong type.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::File(error.to_string().trim_end().to_owned()))
    }

    /// These settings, and `fallback`'s where these say nothing. A list is taken whole.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        let list = |mine: Vec<String>, other| if mine.is_empty() { other } else { mine };
        Self {
            interface: list(self.interface, fallback.interface),
            listen_ng: list(self.listen_ng, fallback.listen_ng),
            ng_allow: list(self.ng_allow, fallback.ng_allow),
            listen_tcp_ng: list(self.listen_tcp_ng, fallback.listen_tcp_ng),
            listen_tls_ng: list(self.listen_tls_ng, fallback.listen_tls_ng),
            listen_http: list(self.listen_http, fallback.listen_http),
            listen_https: list(self.listen_https, fallback.listen_https),
            listen_cli: list(self.listen_cli, fallback.listen_cli),
            https_cert: self.https_cert.or(fallback.https_cert),
            https_key: self.https_key.or(fallback.https_key),
            ng_pin: list(self.ng_pin, fallback.ng_pin),
            metrics_allow: list(self.metrics_allow, fallback.metrics_allow),
            media_networks: list(self.media_networks, fallback.media_networks),
            learn: self.learn.or(fallback.learn),
            port_min: self.port_min.or(fallback.port_min),
            port_max: self.port_max.or(fallback.port_max),
            workers: self.workers.or(fallback.workers),
            cpus: self.cpus.or(fallback.cpus),
            driver: self.driver.or(fallback.driver),
            timeout: self.timeout.or(fallback.timeout),
            silent_timeout: self.silent_timeout.or(fallback.silent_timeout),
            offer_timeout: self.offer_timeout.or(fallback.offer_timeout),
            final_timeout: self.final_timeout.or(fallback.final_timeout),
            drain_timeout: self.drain_timeout.or(fallback.drain_timeout),
            delete_delay: self.delete_delay.or(fallback.delete_delay),
            tos: self.tos.or(fallback.tos),
            max_sessions: self.max_sessions.or(fallback.max_sessions),
            recording_dir: self.recording_dir.or(fallback.recording_dir),
            recording_method: self.recording_method.or(fallback.recording_method),
            recording_format: self.recording_format.or(fallback.recording_format),
            max_load: self.max_load.or(fallback.max_load),
            max_cpu: self.max_cpu.or(fallback.max_cpu),
            max_bandwidth: self.max_bandwidth.or(fallback.max_bandwidth),
            listen_turn: list(self.listen_turn, fallback.listen_turn),
            listen_turn_tls: list(self.listen_turn_tls, fallback.listen_turn_tls),
            turn_cert: self.turn_cert.or(fallback.turn_cert),
            turn_key: self.turn_key.or(fallback.turn_key),
            turn_realm: self.turn_realm.or(fallback.turn_realm),
            turn_secret_file: self.turn_secret_file.or(fallback.turn_secret_file),
            turn_interface: self.turn_interface.or(fallback.turn_interface),
            turn_allow_peer: list(self.turn_allow_peer, fallback.turn_allow_peer),
            turn_max_allocations: self.turn_max_allocations.or(fallback.turn_max_allocations),
            turn_user_max_allocations: self.turn_user_max_allocations.or(fallback.turn_user_max_allocations),
            turn_user_max_bandwidth: self.turn_user_max_bandwidth.or(fallback.turn_user_max_bandwidth),
            turn_max_lifetime: self.turn_max_lifetime.or(fallback.turn_max_lifetime),
            turn_owner: self.turn_owner.or(fallback.turn_owner),
            log: self.log.or(fallback.log),
            template: if self.template.is_empty() { fallback.template } else { self.template },
        }
    }

    /// Looks at every setting, alone and together.
    ///
    /// # Errors
    /// The first one found that makes no sense.
    pub fn check(self) -> Result<Config, ConfigError> {
        let interfaces = self
            .interface
            .iter()
            .map(|text| text.parse::<Interface>())
            .collect::<Result<Vec<_>, _>>()
            .and_then(Interfaces::new)
            .map_err(|error| ConfigError::value("interface", error))?;
        let listen_ng = listeners(&self.listen_ng)?;
        let turn = turn::check(&self)?;
        let edge = edge::check(&self, turn.as_ref())?;
        let peers = Peers::parse(&self.ng_allow).map_err(|reason| ConfigError::value("ng-allow", reason))?;

        let media_networks = media_networks(&self.media_networks, &interfaces)?;

        let cpus = self.cpus.as_deref().map(cores::parse).transpose();
        let cpus = cpus.map_err(|reason| ConfigError::value("cpus", reason))?;
        let workers = workers(self.workers, cpus.as_deref())?;
        let cpus = cpus.map(|mut cores| {
            cores.truncate(usize::from(workers));
            cores
        });

        let (port_min, port_max) = (self.port_min.unwrap_or(30_000), self.port_max.unwrap_or(40_000));
        let pairs = pairs(port_min, port_max);
        if pairs < u32::from(workers) {
            let reason = format!(
                "{port_min} to {port_max} holds {pairs} even/odd pairs, and each of {workers} workers needs one"
            );
            return Err(ConfigError::value("port-max", reason));
        }
        let templates = ng::Templates::new(self.template);
        if let Some(odd) = templates.warnings().into_iter().next() {
            return Err(ConfigError::value("template", odd));
        }
        let recording = recording(self.recording_dir, self.recording_method, self.recording_format)?;
        let driver = self.driver.as_deref().unwrap_or("auto").parse();
        Ok(Config {
            interfaces,
            listen_ng,
            media_networks,
            learn_strict: learn_strict(self.learn.as_deref())?,
            port_min,
            port_max,
            workers,
            cpus,
            driver: driver.map_err(|reason: String| ConfigError::value("driver", reason))?,
            timeout: seconds("timeout", self.timeout, 60)?,
            silent_timeout: seconds("silent-timeout", self.silent_timeout, 3600)?,
            offer_timeout: seconds("offer-timeout", self.offer_timeout, 3600)?,
            final_timeout: match self.final_timeout {
                None | Some(0) => None,
                given => Some(seconds("final-timeout", given, 0)?),
            },
            drain_timeout: Duration::from_secs(self.drain_timeout.unwrap_or(60).min(SECONDS_MAX)),
            delete_delay: Duration::from_secs(self.delete_delay.unwrap_or(30).min(SECONDS_MAX)),
            tos: self.tos.unwrap_or(184),
            sessions_max: match self.max_sessions {
                Some(0) => return Err(ConfigError::value("max-sessions", "must be at least 1")),
                given => given.unwrap_or(20_000),
            },
            load: LoadLimits {
                load_max: limit("max-load", self.max_load, f64::MAX)?,
                cpu_percent_max: limit("max-cpu", self.max_cpu, 100.0)?,
                bytes_per_second_max: self.max_bandwidth.filter(|bytes| *bytes > 0),
            },
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            templates,
            recording,
            set_log: None,
            peers,
            edge,
            turn,
        })
    }
}

/// Networks of interfaces that are there.
fn media_networks(texts: &[String], interfaces: &Interfaces) -> Result<MediaNetworks, ConfigError> {
    let refuse = |reason: String| ConfigError::value("media-networks", reason);
    let networks = MediaNetworks::parse(texts).map_err(|error| refuse(error.to_string()))?;
    let nowhere = networks.names().find(|name| interfaces.iter().all(|interface| interface.name != *name));
    match nowhere.map(|name| format!("no interface is called `{name}`")) {
        Some(reason) => Err(refuse(reason)),
        None => Ok(networks),
    }
}

/// Whether a party is never looked for.
fn learn_strict(given: Option<&str>) -> Result<bool, ConfigError> {
    match given.unwrap_or("window") {
        "window" => Ok(false),
        "strict" => Ok(true),
        other => Err(ConfigError::value("learn", format!("`{other}` is neither `window` nor `strict`"))),
    }
}

/// Even/odd pairs in a port range; 0 if it is upside down.
fn pairs(port_min: u16, port_max: u16) -> u32 {
    let first = u32::from(port_min.max(2).div_ceil(2));
    u32::from(port_max).div_ceil(2).saturating_sub(first)
}

/// The addresses NG is answered on.
fn listeners(texts: &[String]) -> Result<Vec<std::net::SocketAddr>, ConfigError> {
    if texts.is_empty() {
        return Ok(vec![std::net::SocketAddr::from(([127, 0, 0, 1], 2223))]);
    }
    let parse = |text: &String| {
        let reason = || ConfigError::value("listen-ng", format!("`{text}` is not an address and a port"));
        text.parse().map_err(|_| reason())
    };
    texts.iter().map(parse).collect()
}

/// How many workers there are.
fn workers(given: Option<u16>, cpus: Option<&[usize]>) -> Result<u16, ConfigError> {
    let found = || {
        let cores = cpus.map_or_else(|| available_cores().map_or(1, |cores| cores.len()), <[usize]>::len);
        u16::try_from(cores).unwrap_or(WORKERS_MAX).clamp(1, WORKERS_MAX)
    };
    let workers = given.unwrap_or_else(found);
    if workers == 0 || workers > WORKERS_MAX {
        return Err(ConfigError::value("workers", format!("must be from 1 to {WORKERS_MAX}")));
    }
    if let Some(cores) = cpus
        && cores.len() < usize::from(workers)
    {
        let reason = format!("{workers} workers cannot each have one of {} cores", cores.len());
        return Err(ConfigError::value("cpus", reason));
    }
    Ok(workers)
}

/// A time of at least a second.
fn seconds(key: &'static str, given: Option<u64>, default: u64) -> Result<Duration, ConfigError> {
    match given.unwrap_or(default) {
        0 => Err(ConfigError::value(key, "must be at least 1 second")),
        seconds if seconds > SECONDS_MAX => {
            Err(ConfigError::value(key, format!("must be at most {SECONDS_MAX} seconds")))
        }
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

/// Where recordings go.
fn recording(
    directory: Option<String>,
    method: Option<String>,
    format: Option<String>,
) -> Result<Option<RecordingConfig>, ConfigError> {
    if method.as_deref().is_some_and(|method| method != "pcap") {
        return Err(ConfigError::value("recording-method", "only pcap is built"));
    }
    let format = format.as_deref().map(str::parse).transpose();
    let format = format.map_err(|reason: String| ConfigError::value("recording-format", reason))?;
    match directory {
        None if method.is_some() || format.is_some() => {
            Err(ConfigError::value("recording-dir", "is missing: nothing says where recordings go"))
        }
        None => Ok(None),
        Some(directory) if !Path::new(&directory).is_absolute() => {
            Err(ConfigError::value("recording-dir", format!("`{directory}` is not an absolute path")))
        }
        Some(directory) => {
            Ok(Some(RecordingConfig { directory: directory.into(), format: format.unwrap_or_default() }))
        }
    }
}

/// A limit above zero; zero is none.
fn limit(key: &'static str, given: Option<f64>, most: f64) -> Result<Option<f64>, ConfigError> {
    match given {
        None | Some(0.0) => Ok(None),
        Some(value) if value > 0.0 && value <= most => Ok(Some(value)),
        Some(value) => Err(ConfigError::value(key, format!("{value} is no limit from 0 to {most}"))),
    }
}

/// A list that may be written as its only element.
fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts")]
    enum Either {
        One(String),
        More(Vec<String>),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(text) => vec![text],
        Either::More(texts) => texts,
    })
}

/// Threads at most: more than any machine has cores for media.
const WORKERS_MAX: u16 = 256;

/// No time set by an operator is longer than a week.
const SECONDS_MAX: u64 = 7 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::RecordingFormat;

    fn least() -> RawConfig {
        RawConfig { interface: vec!["127.0.0.1".to_owned()], workers: Some(1), ..RawConfig::default() }
    }

    fn refusal(raw: RawConfig) -> String {
        raw.check().expect_err("refused").to_string()
    }

    #[test]
    fn one_interface_is_enough() {
        let config = least().check().expect("enough");
        assert_eq!(config.listen_ng, ["127.0.0.1:2223".parse().expect("an address")]);
        assert_eq!((config.port_min, config.port_max, config.workers), (30_000, 40_000, 1));
        assert_eq!((config.timeout, config.tos), (Duration::from_secs(60), 184));
    }

    #[test]
    fn all_keys_are_read_from_toml() {
        let text = r#"
            interface = ["pub/192.0.2.1!198.51.100.1", "priv/10.0.0.1"]
            listen-ng = "127.0.0.1:22222"
            ng-allow = ["10.0.0.0/8"]
            media-networks = ["pub=198.51.100.0/24,203.0.113.7", "10.0.0.0/8"]
            learn = "strict"
            port-min = 20000
            port-max = 20100
            workers = 2
            cpus = "0-1"
            driver = "epoll"
            timeout = 30
            silent-timeout = 600
            delete-delay = 0
            tos = 0
            max-sessions = 10
            recording-dir = "/var/spool/tollgate"
            recording-method = "pcap"
            recording-format = "eth"
            log = "debug"
            [template]
            carrier = "ICE=remove replace=[origin]"
        "#;
        let config = RawConfig::from_toml(text).expect("TOML").check().expect("sound");
        assert_eq!(config.cpus, Some(vec![0, 1]));
        assert_eq!(config.driver, driver::Choice::Epoll);
        assert_eq!((config.delete_delay, config.sessions_max), (Duration::ZERO, 10));
        assert_eq!(config.log, "debug");
        let format = RecordingFormat::Eth;
        let directory = "/var/spool/tollgate".into();
        assert_eq!(config.recording, Some(RecordingConfig { directory, format }));
        assert!(config.learn_strict);
        assert_eq!(config.media_networks.names().collect::<Vec<_>>(), ["pub"]);
        assert_eq!(config.templates.get("carrier"), Some("ICE=remove replace=[origin]"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = RawConfig::from_toml("workers = 1\nworker = 2\n").expect_err("unknown").to_string();
        assert!(error.contains("line 2") && error.contains("worker"), "{error}");
        let error = RawConfig::from_toml("tos = 300\n").expect_err("too large").to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_preset_that_nobody_understands_is_refused_at_the_start() {
        let text = "interface = \"192.0.2.1\"\n[template]\ncarrier = \"strict-sauce\"\n";
        let error = RawConfig::from_toml(text).expect("TOML").check().expect_err("odd").to_string();
        assert_eq!(error, "template: carrier: unknown flag 'strict-sauce'");
    }

    #[test]
    fn flags_come_before_the_file() {
        let flags = RawConfig { port_min: Some(1), ..least() };
        let file = RawConfig {
            port_min: Some(2),
            tos: Some(3),
            interface: vec!["::1".into()],
            ..RawConfig::default()
        };
        let both = flags.or(file);
        assert_eq!((both.port_min, both.tos), (Some(1), Some(3)));
        assert_eq!(both.interface, ["127.0.0.1"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let cases = [
            (RawConfig { interface: vec![], ..least() }, "interface: "),
            (RawConfig { interface: vec!["nowhere".into()], ..least() }, "interface: "),
            (RawConfig { listen_ng: vec!["127.0.0.1".into()], ..least() }, "listen-ng: "),
            (RawConfig { ng_allow: vec!["10.0.0.0/33".into()], ..least() }, "ng-allow: "),
            (
                RawConfig { media_networks: vec!["0.0.0.0/0".into()], ..least() },
                "media-networks: 0.0.0.0/0 is too wide",
            ),
            (
                RawConfig { media_networks: vec!["pub=10.0.0.0/8".into()], ..least() },
                "media-networks: no interface is called `pub`",
            ),
            (RawConfig { learn: Some("lax".into()), ..least() }, "learn: "),
            (RawConfig { port_min: Some(5), port_max: Some(4), ..least() }, "port-max: "),
            (RawConfig { port_min: Some(5), port_max: Some(6), ..least() }, "port-max: "),
            (RawConfig { port_min: Some(6), port_max: Some(7), workers: Some(2), ..least() }, "port-max: "),
            (RawConfig { workers: Some(0), ..least() }, "workers: "),
            (RawConfig { cpus: Some("0".into()), workers: Some(2), ..least() }, "cpus: "),
            (RawConfig { cpus: Some("3-1".into()), ..least() }, "cpus: "),
            (RawConfig { driver: Some("tokio".into()), ..least() }, "driver: "),
            (RawConfig { timeout: Some(0), ..least() }, "timeout: "),
            (RawConfig { max_sessions: Some(0), ..least() }, "max-sessions: "),
            (RawConfig { recording_method: Some("proc".into()), ..least() }, "recording-method: "),
            (RawConfig { recording_format: Some("wav".into()), ..least() }, "recording-format: "),
            (RawConfig { recording_format: Some("eth".into()), ..least() }, "recording-dir: "),
            (RawConfig { recording_dir: Some("here".into()), ..least() }, "recording-dir: "),
            (RawConfig { max_load: Some(-1.0), ..least() }, "max-load: "),
            (RawConfig { max_load: Some(f64::NAN), ..least() }, "max-load: "),
            (RawConfig { max_cpu: Some(100.5), ..least() }, "max-cpu: "),
            (RawConfig { offer_timeout: Some(0), ..least() }, "offer-timeout: "),
            (RawConfig { final_timeout: Some(10_000_000), ..least() }, "final-timeout: "),
        ];
        for (raw, beginning) in cases {
            let text = refusal(raw);
            assert!(text.starts_with(beginning), "{text}");
        }
    }

    #[test]
    fn pairs_are_even_and_odd() {
        assert_eq!(pairs(20_000, 20_001), 1);
        assert_eq!(pairs(20_001, 20_002), 0);
        assert_eq!(pairs(20_001, 20_003), 1);
        assert_eq!(pairs(0, 65_535), 32_767);
        assert_eq!(pairs(9, 3), 0);
    }
}
