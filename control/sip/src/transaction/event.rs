//! What the transaction layer tells its user.

use super::{ClientKey, ServerKey};
use crate::hop::Hop;
use crate::message::{Request, Response};

/// What the user of the layer has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new request; answer it with [`TransactionLayer::respond`](super::TransactionLayer::respond).
    Request {
        /// Its server transaction.
        key: ServerKey,
        /// Where it came from.
        hop: Hop,
        /// The request, `received` and `rport` filled in.
        request: Request,
    },
    /// The INVITE of `key` was cancelled before a final response; the CANCEL is already answered.
    Cancel {
        /// The server transaction of the INVITE.
        key: ServerKey,
        /// The CANCEL.
        request: Request,
    },
    /// The ACK of a 2xx; its dialog says which.
    Ack {
        /// Where it came from.
        hop: Hop,
        /// The ACK.
        request: Request,
    },
    /// A response; provisional ones, one final one, and each 2xx to an INVITE.
    Response {
        /// The client transaction.
        key: ClientKey,
        /// The response.
        response: Response,
    },
    /// A response to no client transaction, such as a 2xx after a restart.
    StrayResponse {
        /// Where it came from.
        hop: Hop,
        /// The response.
        response: Response,
    },
    /// No final response came; the transaction is gone.
    Timeout {
        /// The client transaction.
        key: ClientKey,
    },
    /// The request could not be sent; the transaction is gone.
    TransportError {
        /// The client transaction.
        key: ClientKey,
    },
    /// No ACK came for a non-2xx final response; the transaction is gone.
    ServerTimeout {
        /// The server transaction.
        key: ServerKey,
    },
    /// A response could not be sent.
    ServerTransportError {
        /// The server transaction.
        key: ServerKey,
    },
}
