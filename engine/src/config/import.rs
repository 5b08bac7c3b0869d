//! The configuration file of rtpengine, read as our settings: what is taken over, and what is not and why.

use std::net::SocketAddr;

use super::{ConfigError, RawConfig};

/// What a file of rtpengine came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    /// Its settings that are ours too.
    pub settings: RawConfig,
    /// A line for each setting that is not taken over, with the reason.
    pub notes: Vec<String>,
}

impl Import {
    /// Reads one section of a file; rtpengine's own is `rtpengine`.
    ///
    /// # Errors
    /// [`ConfigError::File`], naming the line: neither a section, a comment nor `key = value`, a value that is none of its
    /// kind, or a file without that section.
    pub fn from_rtpengine(text: &str, section: &str) -> Result<Self, ConfigError> {
        let mut import = Self::default();
        let mut here = false;
        let mut found = false;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                here = name == section;
                found |= here;
                continue;
            }
            let refuse = |reason: &str| ConfigError::File(format!("line {number}: {reason}"));
            let (key, value) =
                line.split_once('=').ok_or_else(|| refuse("neither a section nor `key = value`"))?;
            if here {
                import.set(key.trim(), value.trim()).map_err(|reason| refuse(&reason))?;
            }
        }
        if !found {
            return Err(ConfigError::File(format!("has no section [{section}]")));
        }
        import.without_recording_unless_pcap();
        Ok(import)
    }

    /// Without `recording-method = pcap` rtpengine hands packets to a daemon of its own, which we have not.
    fn without_recording_unless_pcap(&mut self) {
        if self.settings.recording_method.is_some() {
            return;
        }
        let RawConfig { recording_dir, recording_format, .. } = &mut self.settings;
        for (key, value) in [("recording-dir", recording_dir), ("recording-format", recording_format)] {
            if let Some(value) = value.take() {
                self.notes
                    .push(format!("{key} is not taken over: {value} serves recording-method = pcap alone"));
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let settings = &mut self.settings;
        match key {
            "interface" if value == "any" => self.notes.push(
                "interface = any is not taken over: name the addresses, so that media is reachable where you mean it"
                    .to_owned(),
            ),
            "interface" => {
                settings.interface.extend(value.split(';').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()));
            }
            "listen-ng" => settings.listen_ng.extend(listeners(key, value)?),
            "listen-tcp-ng" => settings.listen_tcp_ng.extend(listeners(key, value)?),
            "listen-http" => settings.listen_http.extend(listeners(key, value)?),
            "listen-https" => settings.listen_https.extend(listeners(key, value)?),
            "listen-cli" => settings.listen_cli.extend(listeners(key, value)?),
            "https-cert" => settings.https_cert = Some(value.to_owned()),
            "https-key" => settings.https_key = Some(value.to_owned()),
            "port-min" => settings.port_min = Some(number(key, value)?),
            "port-max" => settings.port_max = Some(number(key, value)?),
            "timeout" => settings.timeout = Some(number(key, value)?),
            "silent-timeout" => settings.silent_timeout = Some(number(key, value)?),
            "offer-timeout" => settings.offer_timeout = Some(number(key, value)?),
            "final-timeout" => settings.final_timeout = Some(number(key, value)?),
            // There, a limit below zero is none.
            "max-load" => settings.max_load = Some(number::<f64>(key, value)?.max(0.0)),
            "max-cpu" => settings.max_cpu = Some(number::<f64>(key, value)?.max(0.0)),
            "max-bandwidth" => settings.max_bandwidth = u64::try_from(number::<i64>(key, value)?).ok(),
            "delete-delay" => settings.delete_delay = Some(number(key, value)?),
            "tos" => settings.tos = Some(number(key, value)?),
            "num-threads" => settings.workers = Some(number(key, value)?),
            "max-sessions" => match number::<i64>(key, value)? {
                limit if limit > 0 => settings.max_sessions = usize::try_from(limit).ok(),
                _ => self.notes.push(format!("{key} = {value} is not taken over: there is always a limit")),
            },
            "recording-dir" => settings.recording_dir = Some(value.to_owned()),
            "recording-method" if value != "pcap" => {
                self.notes.push(format!("{key} is not taken over: only pcap is built, not {value}"));
            }
            "recording-method" => settings.recording_method = Some(value.to_owned()),
            "recording-format" => settings.recording_format = Some(value.to_owned()),
            "log-level" => settings.log = Some(log_level(number(key, value)?).to_owned()),
            _ => {
                let reason = NOT_TAKEN.iter().find(|(keys, _)| keys.split(' ').any(|known| known == key));
                let reason = reason.map_or("no setting of rtpengine 10.5 that is known here", |(_, reason)| reason);
                self.notes.push(format!("{key} is not taken over: {reason}"));
            }
        }
        Ok(())
    }
}

/// Listeners of a setting, apart.
fn listeners(key: &str, value: &str) -> Result<Vec<String>, String> {
    value.split(';').map(|one| listener(key, one.trim())).collect()
}

/// A port alone is one of every address of this machine, a name at most this machine's own.
fn listener(key: &str, text: &str) -> Result<String, String> {
    let full = match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some(_) => text.to_owned(),
        None => format!("0.0.0.0:{text}"),
    };
    match full.parse::<SocketAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("{key}: `{text}` is not [address:]port")),
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{key}: `{value}` is out of range or no number"))
}

/// Levels of syslog (RFC 5424 §6.2.1), of which we have five.
pub(crate) fn log_level(level: u64) -> &'static str {
    match level {
        0..=3 => "error",
        4 => "warn",
        5 | 6 => "info",
        _ => "debug",
    }
}

/// Settings of rtpengine 10.5 that stay behind, by the reason.
const NOT_TAKEN: &[(&str, &str)] = &[
    ("table no-fallback iptables-chain", "there is no kernel module, and none is needed"),
    (
        "foreground pidfile log-stderr log-facility split-logs no-log-timestamps",
        "the service manager does this",
    ),
    ("listen-tcp listen-udp", "the protocol of RTPProxy is not spoken"),
    ("http-threads", "one thread carries all streams"),
    (
        "endpoint-learning sip-source",
        "only known addresses are learned; list the media networks of trunks in media-networks",
    ),
    (
        "dtls-passive dtls-rsa-key-size dtls-cert-cipher dtls-mtu dtls-ciphers dtls-signature debug-srtp log-srtp-keys",
        "a certificate for DTLS is made at the start, and at each reload; keys are never logged",
    ),
    (
        "redis redis-write redis-num-threads redis-expires no-redis-required redis-allowed-errors redis-disable-time \
         redis-cmd-timeout redis-connect-timeout redis-delete-async redis-delete-async-interval subscribe-keyspace \
         active-switchover",
        "calls are not kept in Redis",
    ),
    (
        "scheduling priority idle-scheduling idle-priority thread-stack poller-per-thread",
        "workers need no tuning",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Import {
        Import::from_rtpengine(text, "rtpengine").expect("a file of rtpengine")
    }

    #[test]
    fn what_both_have_is_taken_over() {
        let import = read(
            "# a comment\n[rtpengine]\ninterface = pub/192.0.2.1!198.51.100.1;priv/10.0.0.1\nlisten-ng = localhost:2223\n\
             port-min=20000\nport-max = 20100\ntimeout = 30\nsilent-timeout = 600\ndelete-delay = 0\ntos = 0\nnum-threads = 2\n\
             max-sessions = 10\nmax-load = 3.5\nmax-cpu = 90\nmax-bandwidth = 1000000\noffer-timeout = 60\n\
             final-timeout = 7200\nrecording-dir = /rec\nrecording-method = pcap\nrecording-format = eth\nlog-level = 7\n\
             listen-tcp-ng = 127.0.0.1:2\nlisten-http = 3\nlisten-cli = 5\nlisten-https = 4\n\
             https-cert = c.pem\nhttps-key = k.pem\n\n[other]\nport-min = 1\n",
        );
        assert_eq!(import.notes, Vec::<String>::new());
        let expected = RawConfig {
            interface: vec!["pub/192.0.2.1!198.51.100.1".into(), "priv/10.0.0.1".into()],
            listen_ng: vec!["127.0.0.1:2223".into()],
            port_min: Some(20_000),
            port_max: Some(20_100),
            timeout: Some(30),
            silent_timeout: Some(600),
            delete_delay: Some(0),
            tos: Some(0),
            workers: Some(2),
            max_sessions: Some(10),
            recording_dir: Some("/rec".into()),
            recording_method: Some("pcap".into()),
            recording_format: Some("eth".into()),
            max_load: Some(3.5),
            max_cpu: Some(90.0),
            max_bandwidth: Some(1_000_000),
            offer_timeout: Some(60),
            final_timeout: Some(7200),
            log: Some("debug".into()),
            listen_tcp_ng: vec!["127.0.0.1:2".into()],
            listen_http: vec!["0.0.0.0:3".into()],
            listen_https: vec!["0.0.0.0:4".into()],
            listen_cli: vec!["0.0.0.0:5".into()],
            https_cert: Some("c.pem".into()),
            https_key: Some("k.pem".into()),
            ..RawConfig::default()
        };
        assert_eq!(import.settings, expected);
        expected.check().expect("sound");
    }

    #[test]
    fn what_stays_behind_is_named_with_its_reason() {
        let import = read(
            "[rtpengine]\ninterface = any\ntable = 0\nmax-sessions = -1\nredis = 127.0.0.1:6379/5\nodd = 1\n",
        );
        assert_eq!(import.settings, RawConfig::default());
        let beginnings = ["interface = any", "table ", "max-sessions = -1", "redis ", "odd "];
        assert_eq!(import.notes.len(), beginnings.len());
        for (note, beginning) in import.notes.iter().zip(beginnings) {
            assert!(note.starts_with(beginning) && note.contains("not taken over: "), "{note}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_its_line() {
        for (text, part) in [
            ("", "no section [rtpengine]"),
            ("[other]\ntos = 1\n", "no section [rtpengine]"),
            ("[rtpengine]\nhello\n", "line 2: "),
            ("[rtpengine]\n\ntos = 300\n", "line 3: tos"),
            ("[rtpengine]\nlisten-ng = somewhere:2223\n", "line 2: listen-ng"),
        ] {
            let error = Import::from_rtpengine(text, "rtpengine").expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_port_alone_is_every_address() {
        assert_eq!(listener("listen-ng", "2223").as_deref(), Ok("0.0.0.0:2223"));
        assert_eq!(listener("listen-ng", "[::1]:2223").as_deref(), Ok("[::1]:2223"));
    }
}
