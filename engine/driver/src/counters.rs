//! What a driver counts: plain integers, read by its own thread.

/// Counts of one driver since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received and handed out.
    pub packets_received: u64,
    /// Datagrams the kernel took for sending.
    pub packets_sent: u64,
    /// Datagrams longer than a slot, dropped.
    pub truncated: u64,
    /// Datagrams for a socket that was closed while they were on their way up.
    pub late: u64,
    /// Sends refused because the socket's send buffer was full, dropped.
    pub send_full: u64,
    /// Sends that failed for another reason, dropped.
    pub send_failed: u64,
    /// Sends for a socket that is not open, dropped.
    pub send_unopened: u64,
    /// Copies that found no free slot, dropped.
    pub copy_starved: u64,
    /// Times a receive stopped because no slot was free; nothing is lost while the socket's buffer lasts.
    pub receive_starved: u64,
    /// Errors the kernel reported on a socket, such as a refused connection.
    pub socket_errors: u64,
    /// Times the worker was in the kernel to wait or submit.
    pub waits: u64,
}
