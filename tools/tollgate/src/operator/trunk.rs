//! `tollgate trunk`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use call::{TariffId, Trunk, TrunkCredentials, TrunkId, TrunkMedia, TrunkTransport};
use clap::{Args, Subcommand, ValueEnum};
use control::store::TrunkRow;
use serde_json::{Value, json};
use sip::message::{SipUri, Uri};

use super::{Options, read_secret};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make or change a trunk
    Add(Add),
    /// Every trunk, in the order they are tried
    List,
    /// Send calls to a trunk again
    Enable {
        /// The trunk
        name: String,
    },
    /// Send no new call to a trunk
    Disable {
        /// The trunk
        name: String,
    },
    /// Forget a trunk
    Remove {
        /// The trunk
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// Where it takes calls, for example `sip:192.0.2.10:5060;transport=udp`; a host name is looked up now
    uri: String,
    /// How audio goes to it: encrypted, which wants `transport=tls`, or not
    #[arg(long, default_value = "srtp")]
    media: Media,
    /// User name that it challenges; without one it trusts our address
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// File whose first line is the password; `-` reads standard input
    #[arg(long, requires = "user")]
    password_file: Option<PathBuf>,
    /// Digits to put before every number
    #[arg(long, default_value = "")]
    number_prefix: String,
    /// The lowest is tried first
    #[arg(long, default_value_t = 10)]
    priority: u32,
    /// The price list of what the carrier takes, for cost and margin of every call
    #[arg(long)]
    buy_tariff: Option<String>,
    /// Calls at once
    #[arg(long, default_value_t = 1000)]
    max_calls: u32,
    /// How long it may take to ring, in seconds, before the next trunk is tried
    #[arg(long, default_value_t = 10)]
    setup_timeout_seconds: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Media {
    Srtp,
    Plain,
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let place = &options.place;
    let adds = matches!(options.command, Command::Add(_));
    let mut admin = if adds { place.open_or_make()? } else { place.open()? };
    match options.command {
        Command::Add(add) => {
            let priority = add.priority;
            let trunk = trunk(add)?;
            admin.put_trunk(&trunk, priority)?;
            let row = TrunkRow { priority, trunk };
            place.answer(&value(&row), [line(&row)]);
        }
        Command::List => {
            let trunks = admin.trunks()?;
            let values: Vec<Value> = trunks.iter().map(value).collect();
            place.answer(&json!({ "trunks": values }), trunks.iter().map(line));
        }
        Command::Enable { name } => {
            admin.set_trunk_enabled(&name, true)?;
            place.answer(&json!({"trunk": name, "enabled": true}), [format!("{name}  enabled")]);
        }
        Command::Disable { name } => {
            admin.set_trunk_enabled(&name, false)?;
            place.answer(&json!({"trunk": name, "enabled": false}), [format!("{name}  disabled")]);
        }
        Command::Remove { name } => {
            admin.remove_trunk(&name)?;
            place.answer(&json!({"trunk": name, "removed": true}), [format!("{name}  removed")]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn trunk(add: Add) -> anyhow::Result<Trunk> {
    let uri: Uri = add.uri.parse().with_context(|| format!("`{}` is no SIP address", add.uri))?;
    let Some(sip) = uri.as_sip() else {
        bail!("`{}` is no SIP address; write sip:HOST:PORT;transport=udp", add.uri)
    };
    let transport = transport(sip)?;
    let media = match add.media {
        Media::Plain => TrunkMedia::Plain,
        Media::Srtp if transport == TrunkTransport::Tls => TrunkMedia::Srtp,
        Media::Srtp => bail!(
            "the keys of encrypted audio would go to it in clear: reach it by transport=tls, or say --media plain"
        ),
    };
    let credentials = match (add.user, add.password_file) {
        (Some(user), Some(file)) => Some(TrunkCredentials { user, password: read_secret(&file)? }),
        _ => None,
    };
    Ok(Trunk {
        id: TrunkId(add.name),
        enabled: true,
        transport,
        address: address(sip, transport)?,
        domain: sip.host_port.host.to_string(),
        number_prefix: add.number_prefix,
        credentials,
        media,
        buy_tariff: add.buy_tariff.map(TariffId),
        max_calls: add.max_calls,
        setup_timeout_seconds: add.setup_timeout_seconds,
    })
}

fn transport(uri: &SipUri) -> anyhow::Result<TrunkTransport> {
    Ok(match uri.params.value("transport").as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("udp") => TrunkTransport::Udp,
        Some("tcp") => TrunkTransport::Tcp,
        Some("tls") => TrunkTransport::Tls,
        None if uri.secure => TrunkTransport::Tls,
        None => TrunkTransport::Udp,
        Some(other) => bail!("transport `{other}` is not known; udp, tcp and tls are"),
    })
}

fn address(uri: &SipUri, transport: TrunkTransport) -> anyhow::Result<SocketAddr> {
    let port = uri.host_port.port.unwrap_or(if transport == TrunkTransport::Tls { 5061 } else { 5060 });
    if let Some(ip) = uri.host_port.host.ip() {
        return Ok(SocketAddr::new(ip, port));
    }
    let name = uri.host_port.host.to_string();
    let found = (name.as_str(), port).to_socket_addrs().with_context(|| format!("looking up {name}"))?.next();
    ensure!(found.is_some(), "{name} has no address");
    found.with_context(|| format!("{name} has no address"))
}

fn value(row: &TrunkRow) -> Value {
    let trunk = &row.trunk;
    json!({
        "trunk": trunk.id.0, "address": trunk.address.to_string(), "transport": transport_name(trunk.transport),
        "domain": trunk.domain, "priority": row.priority, "enabled": trunk.enabled,
        "media": match trunk.media { TrunkMedia::Plain => "plain", TrunkMedia::Srtp => "srtp" },
        "user": trunk.credentials.as_ref().map(|credentials| &credentials.user),
        "buy_tariff": trunk.buy_tariff.as_ref().map(|tariff| &tariff.0), "max_calls": trunk.max_calls, "setup_timeout_seconds": trunk.setup_timeout_seconds,
    })
}

fn line(row: &TrunkRow) -> String {
    let trunk = &row.trunk;
    format!(
        "{}  {} over {}, priority {}{}",
        trunk.id.0,
        trunk.address,
        transport_name(trunk.transport),
        row.priority,
        if trunk.enabled { "" } else { "  (disabled)" },
    )
}

fn transport_name(transport: TrunkTransport) -> &'static str {
    match transport {
        TrunkTransport::Udp => "udp",
        TrunkTransport::Tcp => "tcp",
        TrunkTransport::Tls => "tls",
    }
}
