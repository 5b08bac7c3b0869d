//! `tollgate engine`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use engine::{Config, Import, RawConfig};

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Configuration file (TOML) with the flags' names as keys; flags and environment win over it
    #[arg(long)]
    config: Option<PathBuf>,
    /// Configuration file of rtpengine, instead of our own; what is not taken over is named on standard error
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    config_file: Option<PathBuf>,
    /// Section of that file
    #[arg(long, value_name = "NAME", default_value = "rtpengine", requires = "config_file")]
    config_section: String,
    /// Check the configuration and end
    #[arg(long)]
    check: bool,
    /// Address for media, as [name/]address[!advertised]; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_INTERFACE", value_delimiter = ';')]
    interface: Vec<String>,
    /// Where to answer NG over UDP; repeat it for several [default: 127.0.0.1:2223]
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_NG", value_delimiter = ',')]
    listen_ng: Vec<String>,
    /// Network besides loopback that NG answers, for example 192.0.2.0/24; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_NG_ALLOW", value_delimiter = ',')]
    ng_allow: Vec<String>,
    /// Where to answer NG over TCP; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_TCP_NG", value_delimiter = ',')]
    listen_tcp_ng: Vec<String>,
    /// Where to answer NG inside TLS; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_TLS_NG", value_delimiter = ',')]
    listen_tls_ng: Vec<String>,
    /// Where to answer HTTP and WebSocket; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_HTTP", value_delimiter = ',')]
    listen_http: Vec<String>,
    /// The same inside TLS; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_HTTPS", value_delimiter = ',')]
    listen_https: Vec<String>,
    /// Where to answer lines of the command line, as rtpengine-ctl sends them; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_CLI", value_delimiter = ',')]
    listen_cli: Vec<String>,
    /// Certificate of the listeners inside TLS (PEM)
    #[arg(long, env = "TOLLGATE_ENGINE_HTTPS_CERT", value_name = "FILE")]
    https_cert: Option<String>,
    /// Its key (PEM)
    #[arg(long, env = "TOLLGATE_ENGINE_HTTPS_KEY", value_name = "FILE")]
    https_key: Option<String>,
    /// SHA-256 of a client's public key (hexadecimal, or sha256//BASE64): with any, nobody else may ask over TLS
    #[arg(long, env = "TOLLGATE_ENGINE_NG_PIN", value_delimiter = ',')]
    ng_pin: Vec<String>,
    /// Network besides those of --ng-allow that may see metrics and health; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_METRICS_ALLOW", value_delimiter = ',')]
    metrics_allow: Vec<String>,
    /// Where media may come from besides what descriptions name, as [interface=]network[,network…]; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_MEDIA_NETWORKS", value_delimiter = ';')]
    media_networks: Vec<String>,
    /// A phone of which only a private address is known is taken by a lone, consistent stream (window) or never
    /// (strict) [default: window]
    #[arg(long, env = "TOLLGATE_ENGINE_LEARN")]
    learn: Option<String>,
    /// Lowest port for media [default: 30000]
    #[arg(long, env = "TOLLGATE_ENGINE_PORT_MIN")]
    port_min: Option<u16>,
    /// Highest port for media [default: 40000]
    #[arg(long, env = "TOLLGATE_ENGINE_PORT_MAX")]
    port_max: Option<u16>,
    /// Worker threads, each with a ring, sockets and calls of its own [default: one a core]
    #[arg(long, env = "TOLLGATE_ENGINE_WORKERS")]
    workers: Option<u16>,
    /// Cores to pin the workers to, for example 0-3,6 [default: not pinned]
    #[arg(long, env = "TOLLGATE_ENGINE_CPUS")]
    cpus: Option<String>,
    /// Kernel interface for packets: auto, uring or epoll [default: auto]
    #[arg(long, env = "TOLLGATE_ENGINE_DRIVER")]
    driver: Option<String>,
    /// Seconds without a packet after which a call ends [default: 60]
    #[arg(long, env = "TOLLGATE_ENGINE_TIMEOUT")]
    timeout: Option<u64>,
    /// The same while every party is on hold [default: 3600]
    #[arg(long, env = "TOLLGATE_ENGINE_SILENT_TIMEOUT")]
    silent_timeout: Option<u64>,
    /// The same while nobody has answered [default: 3600]
    #[arg(long, env = "TOLLGATE_ENGINE_OFFER_TIMEOUT")]
    offer_timeout: Option<u64>,
    /// Seconds after which a call ends whatever it does; 0 is never [default: 0]
    #[arg(long, env = "TOLLGATE_ENGINE_FINAL_TIMEOUT")]
    final_timeout: Option<u64>,
    /// Seconds that SIGTERM waits for live calls; a second signal ends the wait [default: 60]
    #[arg(long, env = "TOLLGATE_ENGINE_DRAIN_TIMEOUT")]
    drain_timeout: Option<u64>,
    /// Seconds for which a deleted call can be revived [default: 30]
    #[arg(long, env = "TOLLGATE_ENGINE_DELETE_DELAY")]
    delete_delay: Option<u64>,
    /// TOS byte of media packets [default: 184]
    #[arg(long, env = "TOLLGATE_ENGINE_TOS")]
    tos: Option<u8>,
    /// Calls at once [default: 20000]
    #[arg(long, env = "TOLLGATE_ENGINE_MAX_SESSIONS")]
    max_sessions: Option<usize>,
    /// Directory below which calls are recorded when a client asks [default: nothing is recorded]
    #[arg(long, env = "TOLLGATE_ENGINE_RECORDING_DIR")]
    recording_dir: Option<String>,
    /// How they are recorded: pcap, the only method there is
    #[arg(long, env = "TOLLGATE_ENGINE_RECORDING_METHOD")]
    recording_method: Option<String>,
    /// What a packet looks like in the file: raw (from the IP header on) or eth [default: raw]
    #[arg(long, env = "TOLLGATE_ENGINE_RECORDING_FORMAT")]
    recording_format: Option<String>,
    /// Load average from which on new calls are refused; 0 is no limit [default: 0]
    #[arg(long, env = "TOLLGATE_ENGINE_MAX_LOAD")]
    max_load: Option<f64>,
    /// Percent of all processors' time from which on new calls are refused; 0 is no limit [default: 0]
    #[arg(long, env = "TOLLGATE_ENGINE_MAX_CPU")]
    max_cpu: Option<f64>,
    /// Bytes of media arriving in a second from which on new calls are refused; 0 is no limit [default: 0]
    #[arg(long, env = "TOLLGATE_ENGINE_MAX_BANDWIDTH")]
    max_bandwidth: Option<u64>,
    /// Where TURN clients are heard, over UDP and TCP; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_TURN", value_delimiter = ',')]
    listen_turn: Vec<String>,
    /// Where they are heard inside TLS; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_LISTEN_TURN_TLS", value_delimiter = ',')]
    listen_turn_tls: Vec<String>,
    /// Certificate of those listeners (PEM) [default: that of --https-cert]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_CERT", value_name = "FILE")]
    turn_cert: Option<String>,
    /// Its key (PEM) [default: that of --https-key]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_KEY", value_name = "FILE")]
    turn_key: Option<String>,
    /// Realm of the TURN server, at most 20 bytes [default: tollgate]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_REALM")]
    turn_realm: Option<String>,
    /// File of the secrets with which passwords of TURN users are made, one to four, a line each
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_SECRET_FILE", value_name = "FILE")]
    turn_secret_file: Option<String>,
    /// Name of the interface on which TURN clients are lent addresses [default: that of the first]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_INTERFACE", value_name = "NAME")]
    turn_interface: Option<String>,
    /// Network whose hosts TURN clients reach although it is not public, for example 10.1.0.0/16; repeat it for several
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_ALLOW_PEER", value_delimiter = ',', value_name = "CIDR")]
    turn_allow_peer: Vec<String>,
    /// TURN allocations at once [default: 2000]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_MAX_ALLOCATIONS")]
    turn_max_allocations: Option<usize>,
    /// TURN allocations of one user at each worker [default: 16]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_USER_MAX_ALLOCATIONS")]
    turn_user_max_allocations: Option<usize>,
    /// Bytes a second relayed for one TURN user at each worker, each way; 0 is no limit [default: 0]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_USER_MAX_BANDWIDTH")]
    turn_user_max_bandwidth: Option<u64>,
    /// Seconds for which a TURN allocation is refreshed at most [default: 3600]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_MAX_LIFETIME")]
    turn_max_lifetime: Option<u64>,
    /// Owner whose events the ends of TURN allocations are [default: nobody]
    #[arg(long, env = "TOLLGATE_ENGINE_TURN_OWNER")]
    turn_owner: Option<String>,
    /// What to log: info, debug, or a filter such as engine=debug,info [default: info]
    #[arg(long, env = "TOLLGATE_LOG")]
    log: Option<String>,
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let check = options.check;
    let mut config = config_of(options.clone())?;
    config.set_log = Some(crate::log::change);
    if check {
        println!("the configuration is sound");
        return Ok(ExitCode::SUCCESS);
    }
    let set_filter = crate::log::start(Some(&config.log))?;
    // Flags and environment of the start stay in force over the file.
    let reread = || {
        let read = config_of(options.clone())?;
        crate::log::check(&read.log)?;
        anyhow::Ok(read)
    };
    engine::run(
        config,
        || reread().map_err(|error| format!("{error:#}")),
        |filter| {
            if let Err(error) = set_filter(filter) {
                eprintln!("the log filter stays as it was: {error:#}");
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn config_of(options: Options) -> anyhow::Result<Config> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("the file {}", path.display()))
    };
    let file = match (&options.config, &options.config_file) {
        (Some(path), _) => RawConfig::from_toml(&read(path)?).with_context(|| path.display().to_string())?,
        (None, Some(path)) => {
            let import = Import::from_rtpengine(&read(path)?, &options.config_section)
                .with_context(|| path.display().to_string())?;
            for note in import.notes {
                eprintln!("{}: {note}", path.display());
            }
            import.settings
        }
        (None, None) => RawConfig::default(),
    };
    let flags = RawConfig {
        interface: options.interface,
        listen_ng: options.listen_ng,
        ng_allow: options.ng_allow,
        listen_tcp_ng: options.listen_tcp_ng,
        listen_tls_ng: options.listen_tls_ng,
        listen_http: options.listen_http,
        listen_https: options.listen_https,
        listen_cli: options.listen_cli,
        https_cert: options.https_cert,
        https_key: options.https_key,
        ng_pin: options.ng_pin,
        metrics_allow: options.metrics_allow,
        media_networks: options.media_networks,
        learn: options.learn,
        port_min: options.port_min,
        port_max: options.port_max,
        workers: options.workers,
        cpus: options.cpus,
        driver: options.driver,
        timeout: options.timeout,
        silent_timeout: options.silent_timeout,
        offer_timeout: options.offer_timeout,
        final_timeout: options.final_timeout,
        drain_timeout: options.drain_timeout,
        delete_delay: options.delete_delay,
        tos: options.tos,
        max_sessions: options.max_sessions,
        recording_dir: options.recording_dir,
        recording_method: options.recording_method,
        recording_format: options.recording_format,
        max_load: options.max_load,
        max_cpu: options.max_cpu,
        max_bandwidth: options.max_bandwidth,
        listen_turn: options.listen_turn,
        listen_turn_tls: options.listen_turn_tls,
        turn_cert: options.turn_cert,
        turn_key: options.turn_key,
        turn_realm: options.turn_realm,
        turn_secret_file: options.turn_secret_file,
        turn_interface: options.turn_interface,
        turn_allow_peer: options.turn_allow_peer,
        turn_max_allocations: options.turn_max_allocations,
        turn_user_max_allocations: options.turn_user_max_allocations,
        turn_user_max_bandwidth: options.turn_user_max_bandwidth,
        turn_max_lifetime: options.turn_max_lifetime,
        turn_owner: options.turn_owner,
        log: options.log,
        // A preset is written in the file only.
        ..RawConfig::default()
    };
    Ok(flags.or(file).check()?)
}
