//! From a checked configuration to a running process, and to its end.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use call::{Exchange, ExchangeConfig, Local};
use rand::TryRng;
use rand::rngs::SysRng;
use sip::message::HostPort;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::cdr::{JsonLines, SinkError};
use crate::config::{Config, Listener};
use crate::exchange::{Actor, Wiring, wall_ms};
use crate::media::{EngineSocketError, Engines};
use crate::progress::ProgressLog;
use crate::store::{Store, StoreConfig, StoreError, claim, next_incarnation, watch_directory};
use crate::transport::{BindError, Transports};

/// What is asked of a running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Read certificates and keys again.
    Reload,
    /// Come to an end; a second time, at once.
    Leave,
}

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// The file of call records.
    #[error("call records cannot be written")]
    Records(#[from] SinkError),
    /// A listener.
    #[error(transparent)]
    Listener(#[from] BindError),
    /// An engine's socket.
    #[error(transparent)]
    Engine(#[from] EngineSocketError),
    /// The runtime, the signals or the system's random numbers.
    #[error("the system does not give what a process needs")]
    System(#[source] io::Error),
}

/// Runs until SIGTERM or SIGINT.
///
/// The first signal ends the taking of calls; the process leaves as soon as every
/// step that has begun is durable, at the latest after 2 s. Calls in progress are
/// not ended: their audio goes on, and the next start takes them up from the
/// journal. A second signal leaves at once, which is as safe as a power cut.
/// SIGHUP reads the certificates of the listeners again.
///
/// # Errors
/// The process could not start. Once it serves, it has no reason to end by itself.
pub fn run(config: Config) -> Result<(), RunError> {
    let (signals, orders) = mpsc::channel(2);
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::System)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::System)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(RunError::System)?;
        tokio::spawn(async move {
            loop {
                let order = tokio::select! {
                    _ = terminate.recv() => Order::Leave,
                    _ = interrupt.recv() => Order::Leave,
                    _ = hangup.recv() => Order::Reload,
                };
                if signals.send(order).await.is_err() {
                    return;
                }
            }
        });
        serve(&config, orders).await
    })
}

/// The same under a runtime of the caller's, with `orders` in place of signals.
///
/// # Errors
/// As [`run`].
pub async fn serve(config: &Config, orders: mpsc::Receiver<Order>) -> Result<(), RunError> {
    // Order: the database is ours alone before anything is changed, the journal is read before anybody is asked about a call, the
    // engines are known before calls are taken up, and peers are heard last.
    let (replies, store_replies) = mpsc::unbounded_channel();
    let store_config = StoreConfig::new(&config.store_path);
    // Unbounded in name only: one reply per request, and the store bounds those.
    let _claim = claim(&config.store_path)?;
    let (store, journal) = Store::open(store_config, move |id, reply| {
        let _ = replies.send((id, reply));
    })?;
    let store = Arc::new(store);
    let incarnation = next_incarnation(&config.store_path, wall_ms() / 1_000)?;
    let _records = JsonLines::start(&store, &config.cdr_path)?;
    let (changes, directory) = watch::channel(Arc::default());
    let _watch = watch_directory(&config.store_path, move |directory| {
        changes.send_replace(directory);
    })?;
    let flows = u32::try_from(incarnation).unwrap_or(u32::MAX);
    let (transports, transport_events) = Transports::bind(config, flows)?;
    let mut entropy = [0; 44];
    SysRng.try_fill_bytes(&mut entropy).map_err(|error| RunError::System(io::Error::other(error)))?;
    let (nonce_key, rest) = entropy.split_first_chunk::<32>().expect("44 bytes begin with 32");
    let (seed, cookie) = rest.split_first_chunk::<8>().expect("12 bytes begin with 8");
    let cookie: String = cookie.iter().map(|byte| format!("{byte:02x}")).collect();
    let (engines, media_events) = Engines::start(
        &config.engines,
        &config.media,
        &config.node_id,
        &format!("{}-{incarnation}-{cookie}", config.node_id),
    )?;
    let exchange_config = exchange_config(config, transports.addresses(), incarnation, *nonce_key);
    let exchange = Exchange::new(exchange_config, Instant::now(), u64::from_ne_bytes(*seed));
    tracing::info!(node = config.node_id, incarnation, "control starts");
    let wiring = Wiring {
        transports,
        transport_events,
        engines,
        media_events,
        engine_names: config.engines.clone(),
        store,
        store_replies,
        directory,
        progress: ProgressLog::new(config.show_numbers),
    };
    Actor::new(exchange, wiring).run(journal, orders).await;
    Ok(())
}

/// Two threads for sockets, beside the caller's, which owns the calls: the
/// arithmetic of a handshake must not make a call wait. The store, the records and
/// the directory have threads of their own. `adr/0001-tokio-at-the-edges.md`.
fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(RunError::System)
}

fn exchange_config(
    config: &Config,
    bound: &[std::net::SocketAddr],
    incarnation: u64,
    nonce_key: [u8; 32],
) -> ExchangeConfig {
    let call = &config.call;
    ExchangeConfig {
        owner: config.node_id.clone(),
        epoch: incarnation,
        realm: config.domain.clone(),
        nonce_key,
        locals: config.listeners.iter().zip(bound).map(|(listener, bound)| local(listener, *bound)).collect(),
        engines: u16::try_from(config.engines.len()).unwrap_or(u16::MAX),
        country_code: call.country_code.clone(),
        limits: call::Limits {
            calls_max: call.calls_max,
            requests_per_second: call.requests_per_second,
            requests_burst: call.requests_burst,
            attempts_max: call.attempts_max,
            ..call::Limits::default()
        },
        times: call::Times {
            ringing: call.ringing_timeout,
            setup: call.setup_timeout,
            local_call: call.local_call_max,
            registration_max: call.registration_max,
            retry_after: call.retry_after,
            t1: config.sip.t1,
            ..call::Times::default()
        },
    }
}

/// What Via and Contact say about a listener: the advertised host, and always a port.
fn local(listener: &Listener, bound: std::net::SocketAddr) -> Local {
    let transport = listener.kind.transport();
    let own = HostPort::new(bound.ip().into(), Some(bound.port()));
    let advertised = listener.advertised.as_deref().and_then(|text| text.parse::<HostPort>().ok());
    let address = advertised
        .map_or(own, |address| HostPort { port: address.port.or_else(|| Some(bound.port())), ..address });
    Local { transport, address }
}
