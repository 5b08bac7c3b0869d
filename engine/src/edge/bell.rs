//! How a stream puts a question before the door.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::door::{DoorMail, Gate, Hatch, Question, WayBack};

/// The way from the streams to the door's mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    hatch: Hatch,
    gate: Arc<Gate>,
}

impl Bell {
    /// A bell at the door behind this hatch.
    pub(crate) fn new(hatch: Hatch, gate: Arc<Gate>) -> Self {
        Self { hatch, gate }
    }

    /// Puts a question before the door; false, and it is lost and counted, if too much waits there.
    pub(crate) fn ring(&self, from: SocketAddr, question: Question, way: WayBack) -> bool {
        let bytes = question.bytes();
        if !self.gate.make_room(bytes) {
            return false;
        }
        let put = self.hatch.put(DoorMail::Question { from, question, bytes, way });
        if !put {
            self.gate.lost(bytes);
        }
        put
    }
}
