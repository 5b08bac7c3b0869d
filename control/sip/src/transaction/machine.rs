//! What the four state machines share: actions, timer names, and the table printer of their tests.

/// What a step asks the layer to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the request again.
    ResendRequest,
    /// Send the ACK of a non-2xx final response, again if it was sent before.
    SendAck,
    /// Give the response to the user.
    PassResponse,
    /// Give the ACK to the user.
    PassAck,
    /// Send the response the user gave, and remember it.
    SendResponse,
    /// Send the remembered response again.
    ResendResponse,
    /// Send 100 Trying, and remember it.
    SendTrying,
    /// Tell the user that no answer came.
    InformTimeout,
    /// Tell the user that the transport failed.
    InformTransport,
    /// Tell the user that no ACK came.
    InformNoAck,
    /// Start, or start again, a timer for its usual time.
    Start(Timer),
    /// Start a retransmission timer for twice its last interval.
    Backoff(Timer),
    /// Start a retransmission timer for T2.
    SlowDown(Timer),
    /// Stop a timer.
    Stop(Timer),
}

/// The timers, by the letters of RFC 3261 table 4 and RFC 6026.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// INVITE retransmission.
    A,
    /// INVITE timeout.
    B,
    /// Waiting for retransmitted finals after an INVITE.
    D,
    /// Non-INVITE retransmission.
    E,
    /// Non-INVITE timeout, on both ends.
    F,
    /// Final response retransmission.
    G,
    /// Waiting for ACK.
    H,
    /// Waiting for retransmitted ACKs.
    I,
    /// Waiting for retransmitted non-INVITE requests.
    J,
    /// Waiting for retransmitted non-INVITE responses.
    K,
    /// How long 2xx responses of the user are taken (RFC 6026).
    L,
    /// How long further 2xx responses are passed on (RFC 6026).
    M,
    /// The automatic 100.
    Trying,
    /// How long a cancelled INVITE may stay without final response (§9.1).
    Cancel,
}

/// A state after a step, with what to do on the way.
pub(crate) type Step<S> = Option<(S, &'static [Action])>;

#[cfg(test)]
pub(crate) fn print_table<S, E>(states: &[S], events: &[E], step: fn(S, E, bool) -> Step<S>) -> String
where
    S: Copy + std::fmt::Debug + PartialEq,
    E: Copy + std::fmt::Debug,
{
    use std::fmt::Write;

    let mut out = String::new();
    for &state in states {
        for &event in events {
            let rows: Vec<_> = [false, true]
                .iter()
                .map(|&reliable| match step(state, event, reliable) {
                    Some((to, actions)) => {
                        let actions: Vec<_> = actions.iter().map(|a| format!("{a:?}")).collect();
                        format!("{state:?} --{event:?}--> {to:?}: {}", actions.join(" "))
                    }
                    None => String::new(),
                })
                .collect();
            for (row, name) in rows.iter().zip(["unreliable", "reliable"]) {
                if row.is_empty() || (rows[0] == rows[1] && name == "reliable") {
                    continue;
                }
                let tail = if rows[0] == rows[1] { String::new() } else { format!(" [{name}]") };
                let _ = writeln!(out, "{}{tail}", row.trim_end().trim_end_matches(':'));
            }
        }
    }
    out
}
