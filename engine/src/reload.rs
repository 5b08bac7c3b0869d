//! SIGHUP: what changed in the configuration, what of it takes effect at once, and what waits for a restart.

use std::net::SocketAddr;
use std::thread;

use engine_core::LiveConfig;

use crate::certificate;
use crate::config::{Config, EdgeConfig, Service, TurnSettings};
use crate::limits::sockets_wanted;
use crate::run::{Engine, RunError, say_unavailable, settings, shard_limits};
use crate::turn::live;
use crate::worker::WorkerMail;

/// What became of a configuration that was read again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Settings that took effect, by name.
    pub(crate) live: Vec<&'static str>,
    /// Settings that are as they were until the engine is started anew.
    pub(crate) at_restart: Vec<&'static str>,
}

impl Changes {
    /// From the one in force to the one that was read.
    pub(crate) fn between(before: &Config, after: &Config) -> Self {
        // Every setting is named here, so that a new one is put into one list or the other.
        let Config {
            interfaces,
            listen_ng,
            media_networks,
            learn_strict,
            port_min,
            port_max,
            workers,
            cpus,
            driver,
            timeout,
            silent_timeout,
            offer_timeout,
            final_timeout,
            drain_timeout,
            delete_delay,
            tos,
            sessions_max,
            load,
            log,
            templates,
            recording,
            // Given by the program, not by a file.
            set_log: _,
            peers,
            edge,
            turn,
        } = before;
        let of = |service| move |listener: &&(Service, SocketAddr)| listener.0 == service;
        let listens = |config: &EdgeConfig, service| -> Vec<_> {
            config.listeners.iter().filter(of(service)).copied().collect()
        };
        let moved = |service| listens(edge, service) != listens(&after.edge, service);
        let identity = |config: &EdgeConfig| {
            config.identity.clone().map(|identity| (identity.certificate, identity.key, identity.pins))
        };
        let (was, is) = (identity(edge), identity(&after.edge));
        let live = [
            ("interface", *interfaces != after.interfaces),
            ("media-networks", *media_networks != after.media_networks),
            ("learn", *learn_strict != after.learn_strict),
            ("timeout", *timeout != after.timeout),
            ("silent-timeout", *silent_timeout != after.silent_timeout),
            ("offer-timeout", *offer_timeout != after.offer_timeout),
            ("final-timeout", *final_timeout != after.final_timeout),
            ("drain-timeout", *drain_timeout != after.drain_timeout),
            ("delete-delay", *delete_delay != after.delete_delay),
            ("tos", *tos != after.tos),
            ("max-sessions", *sessions_max != after.sessions_max),
            ("max-load", load.load_max != after.load.load_max),
            ("max-cpu", load.cpu_percent_max != after.load.cpu_percent_max),
            ("max-bandwidth", load.bytes_per_second_max != after.load.bytes_per_second_max),
            ("log", *log != after.log),
            ("template", *templates != after.templates),
            ("ng-allow", *peers != after.peers),
            ("metrics-allow", edge.lookers != after.edge.lookers),
            ("https-cert", was.as_ref().map(|(file, ..)| file) != is.as_ref().map(|(file, ..)| file)),
            ("https-key", was.as_ref().map(|(_, file, _)| file) != is.as_ref().map(|(_, file, _)| file)),
            ("ng-pin", was.as_ref().map(|(.., pins)| pins) != is.as_ref().map(|(.., pins)| pins)),
        ];
        let at_restart = [
            ("listen-ng", *listen_ng != after.listen_ng),
            ("port-min", *port_min != after.port_min),
            ("port-max", *port_max != after.port_max),
            ("workers", *workers != after.workers),
            ("cpus", *cpus != after.cpus),
            ("driver", *driver != after.driver),
            ("recording-dir", *recording != after.recording),
            ("listen-tcp-ng", moved(Service::Ng)),
            ("listen-tls-ng", moved(Service::NgTls)),
            ("listen-http", moved(Service::Http)),
            ("listen-https", moved(Service::Https)),
            ("listen-cli", moved(Service::Cli)),
        ];
        let (live_of_turn, at_restart_of_turn) = TurnSettings::changes(turn.as_ref(), after.turn.as_ref());
        let names = |settings: &[(&'static str, bool)], more: &[(&'static str, bool)]| {
            let all = settings.iter().chain(more);
            all.filter(|(_, changed)| *changed).map(|(name, _)| *name).collect()
        };
        Self { live: names(&live, &live_of_turn), at_restart: names(&at_restart, &at_restart_of_turn) }
    }
}

impl Engine {
    /// Takes over what can be changed while calls go on, or nothing. Live calls keep what they have: their ports, on
    /// interfaces that went too, and the TOS of their sockets. Certificates are read anew whether or not their names changed.
    ///
    /// # Errors
    /// [`RunError::Tls`] and [`RunError::Dtls`]: a certificate or key cannot be used or made, and nothing has changed.
    pub(crate) fn reload(&mut self, read: Config) -> Result<(), RunError> {
        let providers = certificate::make()?;
        self.reload_streams(&read)?;
        let changes = Changes::between(&self.config, &read);
        let listeners = self.config.edge.listeners.clone();
        let config = Config {
            listen_ng: self.config.listen_ng.clone(),
            port_min: self.config.port_min,
            port_max: self.config.port_max,
            workers: self.config.workers,
            cpus: self.config.cpus.clone(),
            driver: self.config.driver,
            recording: self.config.recording.clone(),
            edge: EdgeConfig { listeners, ..read.edge },
            turn: TurnSettings::kept(self.config.turn.clone(), read.turn),
            ..read
        };
        if sockets_wanted(&config) > sockets_wanted(&self.config) {
            tracing::warn!(
                "more addresses than at the start share the sockets that were planned then: restart to use all their ports"
            );
        }
        let limits = shard_limits(&config);
        let live = LiveConfig {
            interfaces: config.interfaces.clone(),
            tos: config.tos,
            media_networks: config.media_networks.clone(),
            learn_strict: config.learn_strict,
            providers: Some(providers),
            limits,
            turn: live(&config),
        };
        for worker in self.mail() {
            let mut mail = WorkerMail::Live(Box::new(live.clone()));
            // A full mailbox is emptied soon; of a worker that is gone its thread tells.
            while let Err(driver::Undelivered::Full(back)) = worker.send(mail) {
                mail = back;
                thread::yield_now();
            }
        }
        say_unavailable(&config.interfaces);
        self.beat().dial().set_limits(config.load);
        self.door().reload(config.templates.clone(), config.peers.clone(), settings(&config));
        self.config = config;
        tracing::info!(changed = changes.live.join(" "), "reloaded");
        if !changes.at_restart.is_empty() {
            tracing::warn!(settings = changes.at_restart.join(" "), "changed, and need a restart");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::RawConfig;

    use super::*;

    fn config(lines: &str) -> Config {
        let text = format!("interface = \"127.0.0.1\"\nworkers = 1\n{lines}");
        RawConfig::from_toml(&text).expect("TOML").check().expect("sound")
    }

    #[test]
    fn each_setting_is_live_or_waits_for_a_restart() {
        let cases = [
            ("media-networks = \"192.0.2.0/24\"", "media-networks", true),
            ("learn = \"strict\"", "learn", true),
            ("timeout = 7", "timeout", true),
            ("silent-timeout = 7", "silent-timeout", true),
            ("offer-timeout = 7", "offer-timeout", true),
            ("final-timeout = 7", "final-timeout", true),
            ("drain-timeout = 7", "drain-timeout", true),
            ("delete-delay = 7", "delete-delay", true),
            ("tos = 7", "tos", true),
            ("max-sessions = 7", "max-sessions", true),
            ("max-load = 7", "max-load", true),
            ("max-cpu = 7", "max-cpu", true),
            ("max-bandwidth = 7", "max-bandwidth", true),
            ("log = \"debug\"", "log", true),
            ("ng-allow = \"192.0.2.7\"", "ng-allow", true),
            ("[template]\na = \"ICE=remove\"", "template", true),
            ("listen-ng = \"127.0.0.1:7\"", "listen-ng", false),
            ("port-min = 7", "port-min", false),
            ("port-max = 50000", "port-max", false),
            ("driver = \"epoll\"", "driver", false),
            ("cpus = \"0\"", "cpus", false),
            ("metrics-allow = \"192.0.2.7\"", "metrics-allow", true),
            ("recording-dir = \"/rec\"", "recording-dir", false),
            ("listen-tcp-ng = \"127.0.0.1:7\"", "listen-tcp-ng", false),
            ("listen-http = \"127.0.0.1:7\"", "listen-http", false),
            ("listen-cli = \"127.0.0.1:7\"", "listen-cli", false),
        ];
        let before = config("");
        assert_eq!(Changes::between(&before, &config("")), Changes::default());
        for (line, name, live) in cases {
            let changes = Changes::between(&before, &config(line));
            let (one, other) =
                if live { (changes.live, changes.at_restart) } else { (changes.at_restart, changes.live) };
            assert_eq!((one, other), (vec![name], vec![]), "{line}");
        }
        let secrets = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(secrets.path(), "north").expect("written");
        let turn = |lines: &str| {
            let file = secrets.path().display();
            config(&format!("listen-turn = \"127.0.0.1:7\"\nturn-secret-file = \"{file}\"\n{lines}"))
        };
        let (without, with) = (&before, turn(""));
        assert_eq!(Changes::between(without, &with).at_restart, ["listen-turn"]);
        for (line, name, live) in [
            ("turn-realm = \"x\"", "turn-realm", true),
            ("turn-allow-peer = \"10.0.0.0/8\"", "turn-allow-peer", true),
            ("turn-interface = \"default\"", "turn-interface", true),
            ("turn-max-allocations = 7", "turn-max-allocations", true),
            ("turn-user-max-allocations = 7", "turn-user-max-allocations", true),
            ("turn-user-max-bandwidth = 7", "turn-user-max-bandwidth", true),
            ("turn-max-lifetime = 700", "turn-max-lifetime", true),
            ("turn-owner = \"x\"", "turn-owner", false),
        ] {
            let Changes { live: at_once, at_restart } = Changes::between(&with, &turn(line));
            let (one, other) = if live { (at_once, at_restart) } else { (at_restart, at_once) };
            assert_eq!((one, other), (vec![name], vec![]), "{line}");
        }
        std::fs::write(secrets.path(), "south").expect("written");
        assert_eq!(Changes::between(&with, &turn("")).live, ["turn-secret-file"]);
        let two = RawConfig { workers: Some(2), interface: vec!["::1".to_owned()], ..RawConfig::default() };
        let changes = Changes::between(&before, &two.check().expect("sound"));
        assert_eq!((changes.live, changes.at_restart), (vec!["interface"], vec!["workers"]));
    }
}
