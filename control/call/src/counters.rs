//! What was refused, by reason.

/// Refusals and losses since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// New requests beyond their source's budget.
    pub flooded: u64,
    /// Requests that got a digest challenge.
    pub challenged: u64,
    /// Credentials that were wrong.
    pub unauthenticated: u64,
    /// INVITEs refused because the exchange is full or draining.
    pub overloaded: u64,
    /// Our own INVITEs that came back.
    pub loops: u64,
    /// Requests for a dialog that is not there.
    pub dialog_unknown: u64,
    /// Requests with a method or extension that is not understood.
    pub not_understood: u64,
    /// Responses to nothing.
    pub stray_responses: u64,
    /// Answers of a store or an engine that came too late.
    pub late_replies: u64,
    /// Calls that ended because their engine was lost.
    pub engine_lost: u64,
    /// Steps the store refused or failed.
    pub store_failed: u64,
    /// Calls that began.
    pub calls: u64,
    /// Calls that were settled.
    pub settled: u64,
}
