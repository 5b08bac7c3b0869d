//! How calls come along, as structured log lines.
//!
//! Numbers are shortened to their last two characters unless the operator wants
//! them whole, and no flood of calls becomes a flood of lines.

use std::time::{Duration, Instant};

use call::Progress;

/// Lines written in one second; the rest is counted and told afterwards.
const LINES_PER_SECOND_MAX: u32 = 200;

/// Turns [`Progress`] into log lines.
#[derive(Debug)]
pub(crate) struct ProgressLog {
    show_numbers: bool,
    budget: LineBudget,
}

impl ProgressLog {
    pub(crate) fn new(show_numbers: bool) -> Self {
        Self { show_numbers, budget: LineBudget::default() }
    }

    pub(crate) fn write(&mut self, now: Instant, engines: &[crate::config::Engine], progress: &Progress) {
        match self.budget.take(now) {
            None => return,
            Some(0) => {}
            Some(suppressed) => tracing::warn!(suppressed, "lines about calls were left out"),
        }
        let engine_name = |id: call::EngineId| {
            engines.get(usize::from(id.0)).map_or("?", |engine| &*engine.name).to_owned()
        };
        match progress {
            Progress::Registered { account, contacts } => {
                tracing::info!(account = self.shown(&account.0), contacts, "registered");
            }
            Progress::Setup { call, account, callee } => {
                let (account, callee) = (self.shown(&account.0), self.shown(callee));
                tracing::info!(%call, account, callee, "call begins");
            }
            Progress::Held { call, held, seconds } => {
                tracing::info!(%call, %held, seconds, "funds held");
            }
            Progress::Dialling { call, trunk: Some(trunk) } => tracing::info!(%call, %trunk, "dialling"),
            Progress::Dialling { call, trunk: None } => tracing::info!(%call, "dialling a phone"),
            Progress::Ringing { call } => tracing::info!(%call, "ringing"),
            Progress::Answered { call } => tracing::info!(%call, "answered"),
            Progress::MediaTrouble { call, trouble } if trouble.recovered => {
                tracing::info!(%call, cause = trouble.trouble.as_str(), side = trouble.tag, "media recovered");
            }
            Progress::MediaTrouble { call, trouble } => {
                let (cause, since_ms) = (trouble.trouble.as_str(), trouble.since_ms);
                tracing::warn!(%call, cause, side = trouble.tag, since_ms, "something is wrong with the media");
            }
            Progress::Ended { call, sip_status, cause, by } => {
                tracing::info!(%call, sip_status, cause, ?by, "call ended");
            }
            Progress::Settled(cdr) => {
                tracing::info!(call = %cdr.call, charge = %cdr.charge, billed_seconds = cdr.billed_seconds, "settled");
            }
            Progress::Recovered { call, answered } => {
                tracing::info!(%call, answered, "call of an earlier process taken up");
            }
            Progress::StoreFailed { call, reason } => tracing::error!(%call, reason, "store failed"),
            Progress::MediaFailed { call, engine, reason } => {
                tracing::error!(%call, engine = engine_name(*engine), reason, "engine failed");
            }
            Progress::EngineLost { engine, calls } => {
                tracing::error!(engine = engine_name(*engine), calls, "engine lost with its calls");
            }
        }
    }

    fn shown(&self, identity: &str) -> String {
        if self.show_numbers { identity.to_owned() } else { shortened(identity) }
    }
}

/// The last two characters behind a mark; nothing of an identity that short.
fn shortened(identity: &str) -> String {
    let length = identity.chars().count();
    let tail: String = identity.chars().skip(length.saturating_sub(2)).collect();
    if length > 4 { format!("..{tail}") } else { "..".to_owned() }
}

/// So many lines a second.
#[derive(Debug, Default)]
struct LineBudget {
    second: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl LineBudget {
    /// `None` if this line is to be left out, otherwise how many were left out before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.second.is_none_or(|begin| now.saturating_duration_since(begin) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.lines = 0;
        }
        if self.lines >= LINES_PER_SECOND_MAX {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_shows_its_last_two_digits_only() {
        assert_eq!(shortened("+4930123456"), "..56");
        assert_eq!(shortened("1234"), "..");
        assert_eq!(shortened("ünïcödé"), "..dé");
        assert_eq!(ProgressLog::new(true).shown("+4930123456"), "+4930123456");
    }

    #[test]
    fn a_flood_of_lines_is_cut_and_told_in_the_next_second() {
        let mut budget = LineBudget::default();
        let now = Instant::now();
        let written = (0..LINES_PER_SECOND_MAX + 5).filter(|_| budget.take(now).is_some()).count();
        assert_eq!(written, 200);
        assert_eq!(budget.take(now + Duration::from_secs(1)), Some(5));
        assert_eq!(budget.take(now + Duration::from_secs(1)), Some(0));
    }
}
