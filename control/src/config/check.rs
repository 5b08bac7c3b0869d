//! From what was written to what is meant.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use call::{TrunkMedia, TrunkTransport};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use toml::Spanned;

use super::error::{ConfigError, ConfigErrors, Origin};
use super::raw::{self, Field, Raw};
use super::settings::{Kind, Setting};
use super::source::{ConfigSource, Places};
use super::{Call, Config, Engine, Limits, Listener, ListenerKind, Media, Origins, Sip, Tls};
use crate::store::load_directory;

impl Config {
    /// Checks everything that can be checked without touching another file.
    ///
    /// # Errors
    /// Every mistake found, each with its place.
    pub fn load(source: &ConfigSource) -> Result<Config, ConfigErrors> {
        let (raw, places) = source.read()?;
        let mut check = Check { places: &places, errors: Vec::new() };
        let config = check.config(&raw);
        if check.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(check.errors)) }
    }

    /// Looks at every file the configuration names: certificates and keys
    /// parse and belong together, trust roots are there, the folders of the
    /// database and of the call records exist; and, where the database exists,
    /// that every trunk in it can be reached and does not tell its media keys in clear.
    ///
    /// # Errors
    /// Every mistake found. The places are file names, since the line was fine.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let mut errors = Vec::new();
        for listener in &self.listeners {
            if let Some((certificate, key)) = listener.kind.certificate() {
                errors.extend(check_certificate(certificate, key));
            }
        }
        if self.tls.trust_roots_named
            && let Err(error) = crate::transport::trust_roots(&self.tls.trust_roots)
        {
            errors.push(in_file(&self.tls.trust_roots, "tls.trust_roots", error.to_string()));
        }
        for (key, path) in [("store.path", &self.store_path), ("cdr.path", &self.cdr_path)] {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            if !folder.is_dir() {
                errors.push(in_file(path, key, format!("its folder {} is not there", folder.display())));
            }
        }
        if self.store_path.is_file() {
            errors.extend(self.check_trunks());
        }
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }

    fn check_trunks(&self) -> Vec<ConfigError> {
        let wrong = |key: &str, reason: String, remedy: &str| ConfigError {
            remedy: remedy.to_owned(),
            ..in_file(&self.store_path, key, reason)
        };
        let directory = match load_directory(&self.store_path) {
            Ok(directory) => directory,
            Err(error) => return vec![wrong("store.path", error.to_string(), "")],
        };
        let mut errors = Vec::new();
        for trunk in directory.trunks.iter().filter(|trunk| trunk.enabled) {
            let key = format!("trunk {}", trunk.id);
            // SDES carries the keys in the SDP: whoever reads the signalling hears the call (ADR 4).
            if trunk.media == TrunkMedia::Srtp && trunk.transport != TrunkTransport::Tls {
                let reason = "it would send the keys of its encrypted media in clear".to_owned();
                errors.push(wrong(&key, reason, "reach it by tls, or mark its media plain"));
            }
            let serves = |listener: &Listener| {
                listener.address.is_ipv4() == trunk.address.is_ipv4()
                    && matches!(
                        (&listener.kind, trunk.transport),
                        (ListenerKind::Udp, TrunkTransport::Udp)
                            | (ListenerKind::Tcp, TrunkTransport::Tcp)
                            | (ListenerKind::Tls { .. }, TrunkTransport::Tls)
                    )
            };
            if !self.listeners.iter().any(serves) {
                let reason =
                    format!("no listener of its transport and address family hears {}", trunk.address);
                errors.push(wrong(&key, reason, "add one: the carrier's own requests must reach us"));
            }
            if trunk.transport == TrunkTransport::Tls
                && let Err(error) = crate::transport::trust_roots(&self.tls.trust_roots)
            {
                let remedy = "name the authorities of its certificate in tls.trust_roots";
                errors.push(wrong(&key, error.to_string(), remedy));
            }
        }
        errors
    }
}

/// One pass over the raw configuration, gathering mistakes.
struct Check<'a> {
    places: &'a Places,
    errors: Vec<ConfigError>,
}

impl Check<'_> {
    fn config(&mut self, raw: &Raw) -> Config {
        let node_id = self.text("node.id", &raw.node.id);
        if node_id.len() > 64 || node_id.is_empty() || !node_id.bytes().all(is_name_byte) {
            self.wrong(&raw.node.id, "node.id", format!("{node_id:?} is not a name"), NAME_REMEDY);
        }
        let domain = self.text("node.domain", &raw.node.domain);
        if domain.is_empty() {
            if raw.node.domain.is_some() || self.errors.is_empty() {
                self.wrong(&raw.node.domain, "node.domain", "no domain is set".to_owned(), DOMAIN_REMEDY);
            }
        } else if !is_host(&domain) {
            self.wrong(&raw.node.domain, "node.domain", format!("{domain:?} is not a host"), DOMAIN_REMEDY);
        }
        let trust_roots = PathBuf::from(self.text("tls.trust_roots", &raw.tls.trust_roots));
        let database = self.text("store.path", &raw.store.path);
        if self.text("cdr.path", &raw.cdr.path) == database {
            let reason = format!("{database} is the database");
            self.wrong(&raw.cdr.path, "cdr.path", reason, "give call records a file of their own");
        }
        let limits = &raw.limits;
        Config {
            node_id,
            domain,
            store_path: PathBuf::from(database),
            cdr_path: PathBuf::from(self.text("cdr.path", &raw.cdr.path)),
            show_numbers: raw.log.show_numbers.as_ref().is_some_and(|value| *value.get_ref()),
            listeners: self.listeners(raw),
            engines: self.engines(raw),
            tls: Tls {
                trust_roots,
                trust_roots_named: raw.tls.trust_roots.is_some(),
                handshake_timeout: self.millis("tls.handshake_timeout_ms", &raw.tls.handshake_timeout_ms),
                handshakes_max: self.count("tls.handshakes_max", &raw.tls.handshakes_max),
            },
            limits: Limits {
                connections_max: self.count("limits.connections_max", &limits.connections_max),
                connections_per_source_max: self
                    .count("limits.connections_per_source_max", &limits.connections_per_source_max),
                outbound_connections_max: self
                    .count("limits.outbound_connections_max", &limits.outbound_connections_max),
                body_bytes_max: self.count("limits.body_bytes_max", &limits.body_bytes_max),
                write_queue_bytes_max: self
                    .count("limits.write_queue_bytes_max", &limits.write_queue_bytes_max),
                input_queue_max: self.count("limits.input_queue_max", &limits.input_queue_max),
                connect_timeout: self.millis("limits.connect_timeout_ms", &limits.connect_timeout_ms),
                write_timeout: self.millis("limits.write_timeout_ms", &limits.write_timeout_ms),
                first_message_timeout: self
                    .millis("limits.first_message_timeout_ms", &limits.first_message_timeout_ms),
                idle_timeout: self.seconds("limits.idle_timeout_s", &limits.idle_timeout_s),
                websocket_ping: self.seconds("limits.websocket_ping_s", &limits.websocket_ping_s),
                messages_per_source_per_s: self
                    .small("limits.messages_per_source_per_s", &limits.messages_per_source_per_s),
            },
            call: self.call(&raw.call),
            sip: Sip { t1: self.millis("sip.t1_ms", &raw.sip.t1_ms) },
            media: Media {
                ping_interval: self.millis("media.ping_interval_ms", &raw.media.ping_interval_ms),
                events_wait: self.millis("media.events_wait_ms", &raw.media.events_wait_ms),
                requests_max: self.count("media.requests_max", &raw.media.requests_max),
            },
        }
    }

    fn call(&mut self, raw: &raw::Call) -> Call {
        let country_code = raw.country_code.as_ref().map(|value| value.get_ref().clone());
        if country_code.as_ref().is_some_and(|code| {
            !(1..=3).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            let reason = "that is no country code".to_owned();
            self.wrong(&raw.country_code, "call.country_code", reason, "one to three digits, without +");
        }
        Call {
            country_code,
            calls_max: self.count("call.calls_max", &raw.calls_max),
            requests_per_second: self.small("call.requests_per_second", &raw.requests_per_second),
            requests_burst: self.small("call.requests_burst", &raw.requests_burst),
            attempts_max: self.count("call.attempts_max", &raw.attempts_max),
            setup_timeout: self.seconds("call.setup_timeout_s", &raw.setup_timeout_s),
            ringing_timeout: self.seconds("call.ringing_timeout_s", &raw.ringing_timeout_s),
            local_call_max: self.seconds("call.local_call_max_s", &raw.local_call_max_s),
            registration_max: self.seconds("call.registration_max_s", &raw.registration_max_s),
            retry_after: self.seconds("call.retry_after_s", &raw.retry_after_s),
        }
    }

    fn listeners(&mut self, raw: &Raw) -> Vec<Listener> {
        let Some(list) = raw.listener.as_ref().filter(|list| !list.get_ref().is_empty()) else {
            self.wrong(
                &raw.listener,
                "listener",
                "there is no listener".to_owned(),
                "add [[listener]] with transport and address",
            );
            return Vec::new();
        };
        list.get_ref().iter().filter_map(|entry| self.listener(entry.get_ref())).collect()
    }

    fn listener(&mut self, raw: &raw::Listener) -> Option<Listener> {
        let address = self.address("listener.address", &raw.address);
        let transport = raw.transport.get_ref().as_str();
        let secure = matches!(transport, "tls" | "wss");
        let paged = matches!(transport, "ws" | "wss");
        let kind = match transport {
            "udp" => ListenerKind::Udp,
            "tcp" => ListenerKind::Tcp,
            "tls" | "wss" => {
                let certificate = self.required("listener.certificate", &raw.certificate, &raw.transport);
                let key = self.required("listener.key", &raw.key, &raw.transport);
                let origins = if paged { Some(self.origins(raw)?) } else { None };
                let (certificate, key) = (certificate?, key?);
                match origins {
                    Some(origins) => ListenerKind::Wss { origins, certificate, key },
                    None => ListenerKind::Tls { certificate, key },
                }
            }
            "ws" => ListenerKind::Ws { origins: self.origins(raw)? },
            other => {
                let reason = format!("{other:?} is not a transport");
                self.wrong_at(&raw.transport, "listener.transport", reason, "use udp, tcp, tls, ws or wss");
                return None;
            }
        };
        if !secure {
            for (key, field) in [("listener.certificate", &raw.certificate), ("listener.key", &raw.key)] {
                if field.is_some() {
                    let reason = "only a tls or wss listener has one".to_owned();
                    let remedy = if paged { "wss" } else { "tls" };
                    self.wrong(field, key, reason, &format!("remove it, or set transport = {remedy:?}"));
                }
            }
        }
        if !paged && raw.origins.is_some() {
            let reason = "only a ws or wss listener has them".to_owned();
            self.wrong(&raw.origins, "listener.origins", reason, "remove it: no page connects here");
        }
        let plain = raw.plain.as_ref().map(|value| value.get_ref().as_str());
        let trunks_only = plain == Some("trunk") && !secure && !paged;
        let proxied = plain == Some("proxied") && transport == "ws";
        if let Some(value) = &raw.plain
            && !trunks_only
            && !proxied
        {
            let reason = format!("{:?} is not allowed here", value.get_ref());
            let remedy = "\"trunk\" on a udp or tcp listener, \"proxied\" on a ws listener, or nothing";
            self.wrong_at(value, "listener.plain", reason, remedy);
        }
        if let Some(advertised) = &raw.advertised
            && !is_host_port(advertised.get_ref())
        {
            let reason = format!("{:?} is neither host nor host:port", advertised.get_ref());
            self.wrong_at(advertised, "listener.advertised", reason, "for example sip.example.net:5061");
        }
        let address = address?;
        if !secure && !trunks_only && !proxied && !address.ip().is_loopback() {
            let reason = format!("{address} would take plain SIP from anybody");
            let remedy = if paged {
                "use transport = \"wss\", a loopback address, or plain = \"proxied\" where only a proxy that ended TLS can reach it"
            } else {
                "use transport = \"tls\", a loopback address, or plain = \"trunk\" to serve configured trunks only"
            };
            self.wrong_at(&raw.address, "listener.address", reason, remedy);
        }
        let advertised = raw.advertised.as_ref().map(|value| value.get_ref().clone());
        if address.ip().is_unspecified() && advertised.is_none() {
            let reason = format!("{address} cannot be written into Via and Contact");
            self.wrong_at(&raw.address, "listener.address", reason, "set advertised, or bind one address");
        }
        Some(Listener { address, advertised, kind, trunks_only })
    }

    /// Whose pages may connect: the operator says it, for a browser connects for any page it shows.
    fn origins(&mut self, raw: &raw::Listener) -> Option<Origins> {
        const KEY: &str = "listener.origins";
        const REMEDY: &str = "list them as browsers write them, for example [\"https://phone.example.net\"], or [\"*\"] for any page";
        let Some(list) = raw.origins.as_ref().filter(|list| !list.get_ref().is_empty()) else {
            let reason = "it is not said whose pages may connect".to_owned();
            self.wrong_at(&raw.transport, KEY, reason, REMEDY);
            return None;
        };
        let list = list.get_ref();
        if let [only] = list.as_slice()
            && only.get_ref() == "*"
        {
            return Some(Origins::Any);
        }
        let mut origins = Vec::new();
        for origin in list {
            if is_origin(origin.get_ref()) {
                origins.push(origin.get_ref().clone());
            } else {
                let reason = format!("{:?} is no origin", origin.get_ref());
                self.wrong_at(origin, KEY, reason, REMEDY);
            }
        }
        Some(Origins::Listed(origins))
    }

    fn engines(&mut self, raw: &Raw) -> Vec<Engine> {
        let mut engines: Vec<Engine> = Vec::new();
        for entry in raw.engine.iter().flat_map(|list| list.get_ref()) {
            let entry = entry.get_ref();
            let name = entry.name.get_ref();
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name_byte) {
                self.wrong_at(&entry.name, "engine.name", format!("{name:?} is not a name"), NAME_REMEDY);
            }
            let Some(address) = self.address("engine.address", &entry.address) else { continue };
            if address.ip().is_unspecified() || address.port() == 0 {
                let reason = format!("nothing can be sent to {address}");
                self.wrong_at(
                    &entry.address,
                    "engine.address",
                    reason,
                    "name the engine's own address and port",
                );
            }
            if engines.iter().any(|known| *known.name == **name || known.address == address) {
                let reason = "another engine has this name or address".to_owned();
                self.wrong_at(&entry.name, "engine.name", reason, "give each engine its own");
            }
            engines.push(Engine { name: Arc::from(name.as_str()), address });
        }
        engines
    }

    fn required(&mut self, key: &str, field: &Field<String>, because: &Spanned<String>) -> Option<PathBuf> {
        match field {
            Some(value) => Some(PathBuf::from(value.get_ref())),
            None => {
                let reason = format!("a {} listener needs one", because.get_ref());
                self.wrong_at(because, key, reason, "name a PEM file");
                None
            }
        }
    }

    fn address(&mut self, key: &str, field: &Spanned<String>) -> Option<SocketAddr> {
        match field.get_ref().parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let reason = format!("{:?} is not an address", field.get_ref());
                self.wrong_at(field, key, reason, "write IP:port, for example 127.0.0.1:5060 or [::1]:5060");
                None
            }
        }
    }

    fn text(&mut self, key: &str, field: &Field<String>) -> String {
        match (field, Setting::find(key).map(|setting| setting.kind)) {
            (Some(value), _) => value.get_ref().clone(),
            (None, Some(Kind::Text { default: Some(default) })) => default.to_owned(),
            (None, _) => String::new(),
        }
    }

    fn number(&mut self, key: &str, field: &Field<u64>) -> u64 {
        let Some(Kind::Number { unit, default, min, max }) = Setting::find(key).map(|setting| setting.kind)
        else {
            unreachable!("{key} is in the table of settings as a number")
        };
        let Some(value) = field else { return default };
        if !(min..=max).contains(value.get_ref()) {
            let reason = format!("{} is not within {min} to {max} {unit}", value.get_ref());
            self.wrong(field, key, reason, &format!("the default is {default}"));
        }
        *value.get_ref()
    }

    fn count(&mut self, key: &str, field: &Field<u64>) -> usize {
        usize::try_from(self.number(key, field)).unwrap_or(usize::MAX)
    }

    fn small(&mut self, key: &str, field: &Field<u64>) -> u32 {
        u32::try_from(self.number(key, field)).unwrap_or(u32::MAX)
    }

    fn millis(&mut self, key: &str, field: &Field<u64>) -> Duration {
        Duration::from_millis(self.number(key, field))
    }

    fn seconds(&mut self, key: &str, field: &Field<u64>) -> Duration {
        Duration::from_secs(self.number(key, field))
    }

    fn wrong<T>(&mut self, field: &Field<T>, key: &str, reason: String, remedy: &str) {
        let origin = field.as_ref().map_or(Origin::Absent, |value| self.places.at(value.span().start));
        self.errors.push(ConfigError { origin, key: key.to_owned(), reason, remedy: remedy.to_owned() });
    }

    fn wrong_at<T>(&mut self, field: &Spanned<T>, key: &str, reason: String, remedy: &str) {
        let origin = self.places.at(field.span().start);
        self.errors.push(ConfigError { origin, key: key.to_owned(), reason, remedy: remedy.to_owned() });
    }
}

const NAME_REMEDY: &str = "use letters, digits, '-', '_' and '.', at most 64";
const DOMAIN_REMEDY: &str = "set the domain of the subscribers' addresses, for example sip.example.net";

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    }
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

fn is_host_port(text: &str) -> bool {
    is_host(text)
        || text
            .rsplit_once(':')
            .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// What a browser puts into Origin: a scheme, a host, a port if it is not the scheme's, and no path.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host_port)) = text.split_once("://") else { return false };
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let is_scheme = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme && is_host_port(host_port) && (usual.is_empty() || !host_port.ends_with(usual))
}

fn in_file(path: &Path, key: &str, reason: String) -> ConfigError {
    ConfigError {
        origin: Origin::Override(path.display().to_string()),
        key: key.to_owned(),
        reason,
        remedy: String::new(),
    }
}

fn check_certificate(certificate: &Path, key: &Path) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (name, path) in [("listener.certificate", certificate), ("listener.key", key)] {
        if let Err(error) = fs::File::open(path) {
            errors.push(in_file(path, name, format!("cannot be read: {error}")));
        }
    }
    if !errors.is_empty() {
        return errors;
    }
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .map(|list| list.filter_map(Result::ok).collect())
        .unwrap_or_default();
    if chain.is_empty() {
        errors.push(in_file(certificate, "listener.certificate", "no certificate in it".to_owned()));
    }
    if PrivateKeyDer::from_pem_file(key).is_err() {
        errors.push(in_file(key, "listener.key", "no private key in it".to_owned()));
    }
    if errors.is_empty()
        && let Err(error) = crate::transport::server_config(certificate, key)
    {
        errors.push(in_file(certificate, "listener.certificate", error.to_string()));
    }
    errors
}
