//! The keeper of recordings: each begins once, ends once, and holds packets only between.

use std::collections::{BTreeMap, BTreeSet};

use engine_core::{RecordingId, RecordingNote};

use crate::client::index;

/// The recordings of one shard.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// The call of each that is not over.
    live: BTreeMap<RecordingId, usize>,
    over: BTreeSet<RecordingId>,
}

impl Recorder {
    pub(crate) fn note(&mut self, recording: RecordingId, note: &RecordingNote) {
        match note {
            RecordingNote::Begun(begun) => {
                let before = self.live.insert(recording, index(&begun.call_id));
                assert!(before.is_none() && !self.over.contains(&recording), "{recording:?} begins again");
            }
            RecordingNote::Ended { .. } => {
                assert!(self.live.remove(&recording).is_some(), "{recording:?} ends, and is not under way");
                self.over.insert(recording);
            }
            RecordingNote::Described { .. } | RecordingNote::Metadata(_) => {
                assert!(
                    self.live.contains_key(&recording),
                    "a note about {recording:?}, which is not under way"
                );
            }
        }
    }

    /// Whose recording it is; `None` if it is not under way.
    pub(crate) fn call(&self, recording: RecordingId) -> Option<usize> {
        self.live.get(&recording).copied()
    }

    pub(crate) fn len(&self) -> u64 {
        self.live.len() as u64
    }
}
