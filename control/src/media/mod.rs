//! The seat at the media engines: one task and one connected UDP socket each.
//!
//! Commands are repeated until they are answered, engines are pinged, and their
//! events are polled. Not here: NG over TCP or WebSocket.

mod client;
mod health;
mod seat;

use std::io;
use std::net::SocketAddr;

use call::{EngineId, MediaError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config;

/// What the engines report.
#[derive(Debug)]
pub enum MediaEvent {
    /// The outcome of a command.
    Reply {
        /// The command's id.
        id: u64,
        /// The answer, or why there is none.
        reply: Result<ng::Reply, MediaError>,
    },
    /// An engine answers: for the first time, again, or as another process.
    Up {
        /// Which.
        engine: EngineId,
        /// Its process.
        instance: String,
    },
    /// An engine does not answer any more.
    Down {
        /// Which.
        engine: EngineId,
    },
    /// Something happened to a call of ours.
    Event {
        /// On which engine.
        engine: EngineId,
        /// What.
        event: Box<ng::Event>,
    },
}

/// An engine's socket could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no socket toward the engine at {address}")]
pub struct EngineSocketError {
    /// The engine.
    pub address: SocketAddr,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// A command that was not taken: as many are waiting as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many commands are waiting for the engine")]
pub struct EngineBusy;

/// All engines of the process. Their tasks end when this is dropped.
#[derive(Debug)]
pub struct Engines {
    commands: Vec<mpsc::Sender<(u64, ng::Command)>>,
    tasks: JoinSet<()>,
}

impl Engines {
    /// Begins to ping every engine. `owner` names this process to them and
    /// `cookie_prefix` differs from that of every other process and restart.
    /// Call it inside a tokio runtime.
    ///
    /// # Errors
    /// A socket cannot be made.
    pub fn start(
        engines: &[config::Engine],
        settings: &config::Media,
        owner: &str,
        cookie_prefix: &str,
    ) -> Result<(Self, mpsc::Receiver<MediaEvent>), EngineSocketError> {
        let (events, receiver) = mpsc::channel(settings.requests_max);
        let mut this = Self { commands: Vec::new(), tasks: JoinSet::new() };
        for (index, engine) in engines.iter().enumerate() {
            let socket = seat::connect(engine.address)
                .map_err(|source| EngineSocketError { address: engine.address, source })?;
            let (sender, commands) = mpsc::channel(settings.requests_max);
            let id = EngineId(u16::try_from(index).unwrap_or(u16::MAX));
            let seat = seat::Seat::new(seat::SeatConfig {
                engine: id,
                name: engine.name.clone(),
                owner: owner.to_owned(),
                cookie_prefix: format!("{cookie_prefix}-"),
                settings: settings.clone(),
            });
            this.commands.push(sender);
            this.tasks.spawn(seat.run(socket, commands, events.clone()));
        }
        Ok((this, receiver))
    }

    /// Asks an engine; answered by [`MediaEvent::Reply`] with `id`. Never waits.
    ///
    /// # Errors
    /// Nothing was asked, and no answer will come.
    pub fn ask(&self, engine: EngineId, id: u64, command: ng::Command) -> Result<(), EngineBusy> {
        let sender = self.commands.get(usize::from(engine.0)).ok_or(EngineBusy)?;
        sender.try_send((id, command)).map_err(|_| EngineBusy)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.commands.len()
    }
}
