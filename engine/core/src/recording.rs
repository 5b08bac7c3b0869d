//! What is recorded: the recordings of a shard by number, and what their keeper is told of them.

use std::collections::HashMap;

use crate::{call::CallKey, io::RecordingId};

/// What the keeper of a recording is told besides its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingNote {
    /// It begins.
    Begun(Box<RecordingBegun>),
    /// A description went out to a party of the call.
    Described {
        /// An offer; else an answer.
        offer: bool,
        /// As it was written.
        sdp: Vec<u8>,
    },
    /// The text noted with the call is another one.
    Metadata(String),
    /// It is over: no packet follows.
    Ended {
        /// The client wants what was recorded thrown away.
        discard: bool,
        /// The call ended with it.
        with_call: bool,
    },
}

/// What is known of a recording when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingBegun {
    /// The call, by its name.
    pub call_id: String,
    /// Wall clock at the beginning of the call, milliseconds since the Unix epoch.
    pub call_created_ms: u64,
    /// Label of the party that was named, if one was.
    pub label: Option<String>,
    /// Names and notes the client wants; the names lead nowhere but below the keeper's directory.
    pub options: ng::RecordingOptions,
}

/// The recording of a call.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) id: RecordingId,
    pub(crate) paused: bool,
    /// All parties are recorded unless left out; else only those that were named.
    pub(crate) everybody: bool,
}

/// What a client wants of one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wish {
    /// As the call.
    #[default]
    AsCall,
    /// It is recorded.
    Recorded,
    /// It is left out.
    LeftOut,
}

/// The recordings of a shard that are not over.
#[derive(Debug)]
pub(crate) struct Recordings {
    live: HashMap<RecordingId, CallKey>,
    last: u64,
}

impl Recordings {
    /// Of this shard of an engine, whose recordings keep their numbers wherever they go.
    pub(crate) fn of_shard(shard: u16) -> Self {
        Self { live: HashMap::new(), last: u64::from(shard) << 48 }
    }

    /// A number no recording had.
    pub(crate) fn begin(&mut self, call: CallKey) -> RecordingId {
        self.last += 1;
        let id = RecordingId(self.last);
        self.live.insert(id, call);
        id
    }

    /// Lets a recording be another call's.
    pub(crate) fn move_to(&mut self, id: RecordingId, call: CallKey) {
        if let Some(owner) = self.live.get_mut(&id) {
            *owner = call;
        }
    }

    /// Takes over a recording that began in another shard.
    pub(crate) fn adopt(&mut self, id: RecordingId, call: CallKey) {
        self.live.insert(id, call);
    }

    pub(crate) fn end(&mut self, id: RecordingId) {
        self.live.remove(&id);
    }

    pub(crate) fn call(&self, id: RecordingId) -> Option<CallKey> {
        self.live.get(&id).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }
}
