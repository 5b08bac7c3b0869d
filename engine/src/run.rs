//! Starting and ending the engine: threads, their mail (`adr/0003-crossbeam-carries-the-mailboxes.md`), and the signals.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, Sender};
use driver::{
    Clock, Driver, Kind, MailReceiver, MailSender, Options, Signals, StartError, Waker, mailbox, pin_to,
};
use engine_core::{Interfaces, Limits, PortRange, Shard, ShardConfig};
use rand::TryRng;
use rand::rngs::{SysError, SysRng};
use thiserror::Error;

use crate::beat::Beat;
use crate::certificate::{self, CertificateError};
use crate::config::{Config, Service};
use crate::door::{Door, DoorThread, Gate, Hatch, Live, Settings, hatch};
use crate::drain::{Ending, Farewell, Leaving, Next, Readiness};
use crate::edge::{
    Bell, Callers, Certificates, Counters as EdgeCounters, EdgeThread, Shared, TlsError, TurnDoor,
};
use crate::limits::sockets_per_worker;
use crate::load::{Gauge, Rate};
use crate::meter::{DoorMeter, EdgeMeter, WorkerMeter};
use crate::page::Page;
use crate::recorder::{RECORDINGS_MAX, Recorder, RecorderThread, Tape};
use crate::turn::{TurnSeat, TurnSeats};
use crate::worker::{TurnDesk, TurnMail, Worker, WorkerMail};

/// Why the engine did not start, or ended by itself.
#[derive(Debug, Error)]
pub enum RunError {
    /// NG cannot be answered at an address of the configuration.
    #[error("cannot listen for NG on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Streams cannot be taken at an address of the configuration.
    #[error("{key}: cannot listen on {address}")]
    ListenStream {
        /// The setting.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Certificate and key of the listeners inside TLS cannot be used.
    #[error("https-cert and https-key")]
    Tls {
        /// Why.
        #[from]
        source: TlsError,
    },
    /// There is no certificate for handshakes with parties.
    #[error("DTLS-SRTP cannot be offered")]
    Dtls {
        /// Why.
        #[from]
        source: CertificateError,
    },
    /// The TURN server's certificate and key cannot be used.
    #[error("turn-cert and turn-key")]
    TurnTls {
        /// Why.
        source: TlsError,
    },
    /// A worker cannot be bound to its core.
    #[error("worker {worker} cannot be pinned to core {core}")]
    Pin {
        /// Which worker.
        worker: usize,
        /// Which core.
        core: usize,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A worker has no driver.
    #[error("worker {worker} has no driver")]
    Driver {
        /// Which worker.
        worker: usize,
        /// Why.
        source: StartError,
    },
    /// A thread ended by itself; the process must end too.
    #[error("thread {name} ended: {reason}")]
    Thread {
        /// Which thread.
        name: String,
        /// Its last words.
        reason: String,
    },
    /// There is no place for recordings.
    #[error("recordings cannot be kept in {}", directory.display())]
    Recording {
        /// Where.
        directory: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused something that is always there.
    #[error("the kernel refused {what}")]
    Kernel {
        /// What.
        what: &'static str,
        /// Its reason.
        source: io::Error,
    },
}

/// Runs an engine until it is told to end.
///
/// SIGTERM lets live calls finish: no new one is taken meanwhile, and whatever is left after `drain-timeout`, or at a second
/// signal, is ended with its report and event. SIGINT ends at once. SIGHUP asks `reread` for the configuration, with which
/// calls go on; its error is the reason why nothing changed. `set_log` is given the filter of log lines afterwards.
///
/// # Errors
/// [`RunError`], when it cannot start or a worker ends by itself.
pub fn run(
    config: Config,
    mut reread: impl FnMut() -> Result<Config, String>,
    mut set_log: impl FnMut(&str),
) -> Result<(), RunError> {
    let signals = Signals::block().map_err(kernel("a signal descriptor"))?;
    let mut engine = Engine::start(&config)?;
    let ended = engine.ended.clone();
    let waiting = move || {
        // Nobody listens only when the engine has ended already.
        while let Ok(signal) = signals.wait()
            && ended.send(Ending::Signal(signal)).is_ok()
        {}
    };
    thread::Builder::new().name("signals".to_owned()).spawn(waiting).map_err(kernel("a thread"))?;
    let mut leaving = Leaving::new(config.workers, config.drain_timeout);
    loop {
        let next = match leaving.until_ns() {
            None => engine.endings.recv().ok(),
            Some(until_ns) => {
                let left_ns = until_ns.saturating_sub(Clock::monotonic_ns());
                engine.endings.recv_timeout(Duration::from_nanos(left_ns)).ok()
            }
        };
        let now_ns = Clock::monotonic_ns();
        let next = match next {
            Some(ending) => leaving.on(now_ns, ending),
            None => leaving.on_time(now_ns),
        };
        match next {
            Next::Wait => {}
            Next::Reload => {
                let result = reread().and_then(|config| engine.reload(config).map_err(|error| said(&error)));
                match result {
                    Ok(()) => {
                        set_log(&engine.config.log);
                        leaving.set_limit(engine.config.drain_timeout);
                    }
                    Err(reason) => tracing::error!(reason, "not reloaded: nothing has changed"),
                }
            }
            Next::Drain => {
                engine.drain();
                tracing::info!(
                    limit_s = engine.config.drain_timeout.as_secs(),
                    "draining: no new call is taken"
                );
            }
            Next::End(why) => {
                tracing::info!(why, "ending");
                engine.stop();
                tracing::info!("ended");
                return Ok(());
            }
            Next::Fail { name, reason } => {
                engine.stop();
                return Err(RunError::Thread { name, reason });
            }
        }
    }
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    /// In force.
    pub(crate) config: Config,
    door: DoorThread,
    edge: Option<EdgeThread>,
    workers: Vec<WorkerThread>,
    recorder: Option<RecorderThread>,
    kinds: Vec<Kind>,
    beat: Beat,
    readiness: Readiness,
    endings: Receiver<Ending>,
    ended: Sender<Ending>,
}

/// A running worker.
#[derive(Debug)]
struct WorkerThread {
    mail: MailSender<WorkerMail>,
    turn_mail: Option<MailSender<TurnMail>>,
    rate: Rate,
    thread: JoinHandle<()>,
}

impl Engine {
    /// Starts an engine; it answers NG when this returns.
    ///
    /// # Errors
    /// [`RunError`], when an address cannot be listened on or a worker cannot start.
    pub fn start(config: &Config) -> Result<Self, RunError> {
        let sockets = listen(config)?;
        let mut turn = TurnSeats::bind(config)?;
        let streams = listen_for_streams(config, &turn)?;
        let certificates = config.edge.identity.as_ref().map(Certificates::load).transpose()?;
        let turn_certificates = config.edge.turn_identity.as_ref().map(Certificates::load).transpose();
        let turn_certificates = turn_certificates.map_err(|source| RunError::TurnTls { source })?;
        let page = Page::new();
        say_unavailable(&config.interfaces);
        let sockets_max = sockets_per_worker(config);
        turn.number(sockets_max);
        let instance = instance()?;
        let port_seed = seed()?;
        let providers = certificate::make()?;
        let recorder = config.recording.as_ref().map(|recording| {
            let directory = || recording.directory.clone();
            Recorder::new(recording).map_err(|source| RunError::Recording { directory: directory(), source })
        });
        let recorder = recorder.transpose()?;
        let (hatch, door_mail) = hatch();
        let (ended, endings) = channel::bounded(usize::from(config.workers) * 2 + ENDINGS_BESIDES);

        let mut workers = Vec::new();
        let mut kinds = Vec::new();
        for index in 0..config.workers {
            let plan = Plan {
                index: usize::from(index),
                core: config.cpus.as_ref().map(|cores| cores[usize::from(index)]),
                choice: config.driver,
                options: Options { sockets_max: sockets_max + turn.sockets(), ..Options::default() },
                shard: ShardConfig {
                    providers: Some(providers.clone()),
                    ..turn.shard_config(config, shard_config(config, index, port_seed, &instance))
                },
                turn: turn.seat(),
                secret: secret()?,
                tape: recorder.as_ref().map(Recorder::tape),
                page: page.clone(),
            };
            let (worker, kind) = plan.start(hatch.clone(), ended.clone())?;
            turn.seated(worker.turn_mail.clone());
            workers.push(worker);
            kinds.push(kind);
        }

        let mail: Vec<_> = workers.iter().map(|worker| worker.mail.clone()).collect();
        let recorder = recorder.map(|recorder| page.within(|| recorder.start(mail.clone())));
        let recorder = recorder.transpose().map_err(kernel("a thread"))?;
        let told = workers.iter().map(|worker| (worker.mail.clone(), worker.rate.clone())).collect();
        let beat = Beat::start(config.load, told).map_err(kernel("a thread"))?;
        let door = Door::new(workers.len(), instance.clone())
            .with_templates(config.templates.clone())
            .with_settings(settings(config), (config.port_min, config.port_max));
        let door_ended = ended.clone();
        let panicked = move || {
            let ending = Ending::Thread { name: "ng-door".to_owned(), reason: "a panic".to_owned() };
            // Nobody listens only when the engine is being stopped.
            let _stopping = door_ended.send(ending);
        };
        let gate = Arc::new(Gate::new(config.peers.clone()));
        let bell = Bell::new(hatch.clone(), Arc::clone(&gate));
        let meter = page.within(|| DoorMeter::new(page.histograms()));
        let door = DoorThread::start(
            door,
            gate,
            sockets,
            (hatch, door_mail),
            mail,
            (meter, config.set_log, beat.dial().clone()),
            panicked,
        )
        .map_err(kernel("a thread"))?;
        let readiness = Readiness::default();
        let told = readiness.clone();
        let certificates = [certificates, turn_certificates];
        let edge =
            Self::start_edge(config, bell, streams, certificates, turn.door(), (page, told), ended.clone())?;
        let listening = door.addresses().iter().fold(String::new(), |mut list, address| {
            let _infallible = write!(list, "{}{address}", if list.is_empty() { "" } else { ", " });
            list
        });
        tracing::info!(
            ng = listening,
            workers = config.workers,
            driver = %kinds[0],
            ports = %format!("{}-{}", config.port_min, config.port_max),
            instance,
            "engine is up"
        );
        for (service, address) in edge.iter().flat_map(EdgeThread::addresses) {
            tracing::info!(%address, "{} listens", service.key());
        }
        let config = config.clone();
        Ok(Self { config, door, edge, workers, recorder, kinds, beat, readiness, endings, ended })
    }

    /// Starts the thread of the streams, if there is any listener.
    fn start_edge(
        config: &Config,
        bell: Bell,
        streams: Vec<(Service, TcpListener)>,
        certificates: [Option<Certificates>; 2],
        turn: Option<TurnDoor>,
        (page, readiness): (Page, Readiness),
        ended: Sender<Ending>,
    ) -> Result<Option<EdgeThread>, RunError> {
        if streams.is_empty() {
            return Ok(None);
        }
        let counters = Arc::new(EdgeCounters::default());
        let meter = page.within(|| EdgeMeter::new(Arc::clone(&counters)));
        let page = Box::new(move || {
            meter.flush();
            page.render()
        });
        let callers = Callers::new(&config.edge, &config.peers);
        let shared = Arc::new(Shared::new(bell, counters, callers, certificates, turn, page, readiness));
        let panicked = move || {
            let ending = Ending::Thread { name: "edge".to_owned(), reason: "a panic".to_owned() };
            // Nobody listens only when the engine is being stopped.
            let _stopping = ended.send(ending);
        };
        EdgeThread::start(shared, streams, panicked).map(Some).map_err(kernel("a thread"))
    }

    /// Where NG is answered, in the order of the configuration, with the ports the kernel chose.
    pub fn ng_addresses(&self) -> &[SocketAddr] {
        self.door.addresses()
    }

    /// What is spoken where over streams, with the ports the kernel chose.
    pub fn stream_addresses(&self) -> &[(Service, SocketAddr)] {
        self.edge.as_ref().map_or(&[], EdgeThread::addresses)
    }

    /// Takes over from `config` who may ask over streams, and certificate, key and pins, read anew. Connections that
    /// stand go on as they are.
    ///
    /// # Errors
    /// [`RunError::Tls`], and what was there before stays.
    pub fn reload_streams(&self, config: &Config) -> Result<(), RunError> {
        let edge = self.edge.as_ref();
        edge.map_or(Ok(()), |edge| edge.reload(&config.edge, &config.peers)).map_err(RunError::from)
    }

    /// What each worker runs on.
    pub fn drivers(&self) -> &[Kind] {
        &self.kinds
    }

    /// Where each worker takes mail.
    pub(crate) fn mail(&self) -> impl Iterator<Item = &MailSender<WorkerMail>> {
        self.workers.iter().map(|worker| &worker.mail)
    }

    /// The thread that looks at the load.
    pub(crate) fn beat(&self) -> &Beat {
        &self.beat
    }

    /// Who answers NG.
    pub(crate) fn door(&self) -> &DoorThread {
        &self.door
    }

    /// Whether new calls should be sent here.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Takes no new call from now on. Calls that are known go on.
    pub fn drain(&self) {
        self.readiness.drain();
        self.beat.drain();
    }

    /// Ends all calls and threads.
    pub fn stop(self) {
        self.beat.stop();
        // A call ends where it is, with its report and event.
        self.door.end_moves();
        for worker in &self.workers {
            // A worker with a full mailbox takes mail until it is told to stop; one that is gone needs no telling.
            while let Err(driver::Undelivered::Full(_)) = worker.mail.send(WorkerMail::Stop) {
                thread::yield_now();
            }
        }
        for worker in self.workers {
            // A panic was reported when it happened.
            let _panicked = worker.thread.join();
        }
        if let Some(recorder) = self.recorder {
            recorder.stop();
        }
        // Whoever ended the last call is answered: the door last but one, and then those who write for it.
        self.door.stop();
        if let Some(edge) = self.edge {
            edge.stop();
        }
    }
}

/// What a worker is made from, on its own thread.
struct Plan {
    index: usize,
    core: Option<usize>,
    choice: driver::Choice,
    options: Options,
    shard: ShardConfig,
    secret: [u8; 32],
    turn: Option<TurnSeat>,
    tape: Option<Tape>,
    page: Page,
}

impl Plan {
    /// Starts the worker and waits until it is ready.
    fn start(self, hatch: Hatch, ended: Sender<Ending>) -> Result<(WorkerThread, Kind), RunError> {
        let waker = Waker::new().map_err(kernel("an event descriptor"))?;
        let (mail, receiver) = mailbox(waker.clone(), MAIL_MAX);
        let (turn_mail, desk) = self.turn.as_ref().map(|seat| seat.desk(waker.clone())).unzip();
        let (ready, is_ready) = channel::bounded(1);
        let gauge = Gauge::default();
        let rate = gauge.rate();
        let farewell = Farewell::new(ended.clone());
        let worker = self.index;
        let name = format!("worker-{worker}");
        let thread_name = name.clone();
        let body = move || {
            let made = match self.make(waker, (receiver, desk), hatch, gauge, farewell) {
                Ok((made, kind)) => {
                    // The starter waits for this and is there.
                    let _waits = ready.send(Ok(kind));
                    made
                }
                Err(error) => {
                    let _waits = ready.send(Err(error));
                    return;
                }
            };
            let reason = match catch_unwind(AssertUnwindSafe(|| made.work())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("waiting failed: {error}"),
                Err(_) => "a panic".to_owned(),
            };
            // Room for one ending of each worker; nobody listens only when the engine is being stopped.
            let _stopping = ended.send(Ending::Thread { name, reason });
        };
        let thread = thread::Builder::new().name(thread_name).spawn(body).map_err(kernel("a thread"))?;
        match is_ready.recv() {
            Ok(Ok(kind)) => Ok((WorkerThread { mail, turn_mail, rate, thread }, kind)),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let name = format!("worker-{worker}");
                Err(RunError::Thread { name, reason: "a panic at its start".to_owned() })
            }
        }
    }

    /// The worker, made on the thread it stays on.
    fn make(
        self,
        waker: Waker,
        (mail, desk): (MailReceiver<WorkerMail>, Option<TurnDesk>),
        hatch: Hatch,
        gauge: Gauge,
        farewell: Farewell,
    ) -> Result<(Worker, Kind), RunError> {
        let worker = self.index;
        if let Some(core) = self.core {
            pin_to(core).map_err(|source| RunError::Pin { worker, core, source })?;
        }
        let (mut driver, fallback) = Driver::new(self.choice, &self.options, waker)
            .map_err(|source| RunError::Driver { worker, source })?;
        if let Some(reason) = fallback {
            tracing::warn!(worker, reason, "io_uring cannot be used: epoll takes over");
        }
        let kind = driver.kind();
        let shard = Shard::new(self.shard, self.secret);
        let meter = |has_turn| {
            let meter = WorkerMeter::new(worker, self.page.histograms());
            if has_turn { meter.with_turn() } else { meter }
        };
        let meter = self.page.within(|| meter(desk.is_some()));
        if let Some(seat) = self.turn {
            seat.listen(&mut driver).map_err(kernel("a listening socket to be polled"))?;
        }
        let made = Worker::new(driver, shard, mail, hatch, self.tape, meter).watched_by(gauge, farewell);
        Ok((if let Some(desk) = desk { made.with_turn(desk) } else { made }, kind))
    }
}

/// An error and what it came from, in one line.
fn said(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// Binds the NG sockets.
fn listen(config: &Config) -> Result<Vec<UdpSocket>, RunError> {
    let bind = |address: &SocketAddr| {
        UdpSocket::bind(address).map_err(|source| RunError::Listen { address: *address, source })
    };
    config.listen_ng.iter().map(bind).collect()
}

/// What the command line tells and changes.
pub(crate) fn settings(config: &Config) -> Settings {
    let live = Live {
        sessions_max: config.sessions_max,
        timeout_s: config.timeout.as_secs(),
        silent_timeout_s: config.silent_timeout.as_secs(),
        load: config.load,
        log: config.log.clone(),
    };
    let mut fixed = vec![
        ("final-timeout", config.final_timeout.map_or(0, |timeout| timeout.as_secs()).to_string()),
        ("offer-timeout", config.offer_timeout.as_secs().to_string()),
        ("delete-delay", config.delete_delay.as_secs().to_string()),
        ("tos", config.tos.to_string()),
        ("port-min", config.port_min.to_string()),
        ("port-max", config.port_max.to_string()),
        ("num-threads", config.workers.to_string()),
    ];
    fixed.extend(config.interfaces.iter().map(|interface| {
        ("interface", format!("{}/{}!{}", interface.name, interface.address, interface.advertised))
    }));
    fixed.extend(config.listen_ng.iter().map(|address| ("listen-ng", address.to_string())));
    fixed.extend(config.edge.listeners.iter().map(|(service, address)| (service.key(), address.to_string())));
    Settings::new(live, fixed)
}

/// Binds the sockets of streams.
fn listen_for_streams(config: &Config, turn: &TurnSeats) -> Result<Vec<(Service, TcpListener)>, RunError> {
    let mut datagrams = turn.addresses().iter();
    let bind = |(service, address): &(Service, SocketAddr)| {
        // Clients find both on one port, which the kernel may have chosen.
        let at_datagrams = if *service == Service::Turn { datagrams.next() } else { None };
        let address = at_datagrams.unwrap_or(address);
        match TcpListener::bind(address) {
            Ok(socket) => Ok((*service, socket)),
            Err(source) => Err(RunError::ListenStream { key: service.key(), address: *address, source }),
        }
    };
    config.edge.listeners.iter().map(bind).collect()
}

/// Warns of addresses that calls would be refused on.
pub(crate) fn say_unavailable(interfaces: &Interfaces) {
    for (address, error) in unavailable(interfaces) {
        tracing::warn!(
            %address,
            %error,
            "this interface's address cannot be used: calls on it are refused until it can"
        );
    }
}

/// Addresses of interfaces that no socket can be bound to, and why. Not an error: an address may move here later.
fn unavailable(interfaces: &Interfaces) -> Vec<(IpAddr, io::Error)> {
    let addresses: BTreeSet<IpAddr> = interfaces.iter().map(|interface| interface.address).collect();
    let bound = |address| UdpSocket::bind((address, 0)).err().map(|error| (address, error));
    addresses.into_iter().filter_map(bound).collect()
}

/// What the shard of a worker is told.
fn shard_config(config: &Config, index: u16, port_seed: u64, instance: &str) -> ShardConfig {
    let ports = PortRange {
        min: config.port_min,
        max: config.port_max,
        shard: index,
        shards: config.workers,
        seed: port_seed,
    };
    let mut shard = ShardConfig::new(config.interfaces.clone(), ports, Clock::start());
    shard.marker = instance.to_owned();
    shard.tos = config.tos;
    shard.media_networks = config.media_networks.clone();
    shard.learn_strict = config.learn_strict;
    shard.limits = shard_limits(config);
    shard
}

/// Counts and times of one shard.
pub(crate) fn shard_limits(config: &Config) -> Limits {
    Limits {
        // Calls fall on shards by a hash, so that each may carry its share, rounded up.
        calls_max: config.sessions_max.div_ceil(usize::from(config.workers)),
        media_timeout: config.timeout,
        silent_timeout: config.silent_timeout,
        offer_timeout: config.offer_timeout,
        final_timeout: config.final_timeout,
        delete_delay: config.delete_delay,
        recordings_max: match config.recording {
            Some(_) => RECORDINGS_MAX.div_ceil(usize::from(config.workers)),
            None => 0,
        },
        ..Limits::default()
    }
}

/// The name of this process in pings and event batches: 64 random bits.
fn instance() -> Result<String, RunError> {
    seed().map(|bits| format!("{bits:016x}"))
}

/// A seed nobody can guess.
fn seed() -> Result<u64, RunError> {
    SysRng.try_next_u64().map_err(no_random_bytes)
}

/// A longer one, for keys.
fn secret() -> Result<[u8; 32], RunError> {
    let mut bits = [0; 32];
    SysRng.try_fill_bytes(&mut bits).map_err(no_random_bytes)?;
    Ok(bits)
}

fn no_random_bytes(error: SysError) -> RunError {
    RunError::Kernel { what: "random bytes", source: io::Error::other(error) }
}

/// Names what the kernel refused.
pub(crate) fn kernel(what: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::Kernel { what, source }
}

/// Signals that wait at most, besides what the workers say.
const ENDINGS_BESIDES: usize = 8;

/// Commands waiting for a worker at most; more are refused, and may be asked again.
const MAIL_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_found_at_the_start() {
        let texts = ["127.0.0.1", "far/192.0.2.77", "same/192.0.2.77!198.51.100.1"];
        let interfaces = texts.iter().map(|text| text.parse().expect("an interface")).collect();
        let found = unavailable(&Interfaces::new(interfaces).expect("there are some"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, IpAddr::from([192, 0, 2, 77]));
        assert_eq!(found[0].1.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
