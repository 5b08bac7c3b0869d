//! Who drives a call, and its lease: how long it lives if its driver does not renew it.

use std::time::Duration;

use ng::{Reply, Signal};

use super::{OTHER_OWNER, REPORT_INTERVAL, Shard, ending::CALL_ENDED};
use crate::{call::CallKey, timer::Timer};

impl Shard {
    /// After a description was taken: whether its call may go on at all, and who drives it from now on.
    ///
    /// # Errors
    /// The text of the refusal: it was as long as a call may be. Then it got neither owner nor report by what is refused.
    pub(super) fn drive(&mut self, key: CallKey, signal: &Signal) -> Result<(), &'static str> {
        // The check reckons the right deadline itself, from what is in force now.
        self.on_activity_check(key);
        let call = self.calls.get_mut(key).ok_or(CALL_ENDED)?;
        call.keep_report |= signal.keep_report;
        if let Some(owner) = &signal.owner {
            call.owner.get_or_insert_with(|| owner.clone());
            if call.deadlines[Timer::Report as usize].is_none() {
                let next = Some(self.now + REPORT_INTERVAL);
                self.timers.set(&mut call.deadlines, key, Timer::Report, next);
            }
        }
        if let Some(lease_ms) = signal.lease_ms {
            self.set_lease(key, lease_ms);
        }
        Ok(())
    }

    pub(super) fn on_lease(&mut self, id: u64, lease: &ng::Lease) {
        let Some(key) = self.calls.by_name(&lease.call_id) else {
            return self.refuse(id, Reply::UNKNOWN_CALL);
        };
        let call = self.calls.get(key).expect("a name leads to a call");
        if call.owner.as_deref() != Some(&lease.owner) {
            return self.refuse(id, OTHER_OWNER);
        }
        self.set_lease(key, lease.lease_ms);
        self.reply(id, Reply::Ok { warning: None });
    }

    pub(super) fn set_lease(&mut self, key: CallKey, lease_ms: u64) {
        let at = self.now + Duration::from_millis(lease_ms).min(self.limits.lease_max);
        if let Some(call) = self.calls.get_mut(key) {
            self.timers.set(&mut call.deadlines, key, Timer::Lease, Some(at));
        }
    }
}
