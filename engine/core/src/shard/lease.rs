//! The lease of a call: how long it lives if its driver does not renew it.

use std::time::Duration;

use ng::Reply;

use super::{OTHER_OWNER, Shard};
use crate::{call::CallKey, timer::Timer};

impl Shard {
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
