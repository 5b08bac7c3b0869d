//! What clients ask about calls: the state of one, the names of many, and that a kept report can go.

use ng::Reply;

use super::{OTHER_OWNER, Shard};
use crate::{negotiate::dialogue, report};

impl Shard {
    pub(super) fn on_query(&mut self, id: u64, query: &ng::Query) {
        let reply = match self.calls.by_name(&query.call_id).and_then(|key| self.calls.get(key)) {
            Some(call) => {
                let wanted = dialogue::asked_about(call, query.from_tag.as_deref(), query.to_tag.as_deref());
                let report = report::of_call(call, &self.sockets, &self.paths, self.now, |index| {
                    wanted.contains(&index)
                });
                Reply::Report(Box::new(report))
            }
            None => match self.kept.get(&query.call_id) {
                Some(report) => Reply::Report(Box::new(report.clone())),
                None => return self.refuse(id, Reply::UNKNOWN_CALL),
            },
        };
        self.reply(id, reply);
    }

    pub(super) fn on_list(&mut self, id: u64, list: &ng::List) {
        let mut calls: Vec<String> = self
            .calls
            .iter()
            .filter(|(_, call)| list.owner.is_none() || call.owner == list.owner)
            .flat_map(|(_, call)| call.names().cloned())
            .take(list.limit)
            .collect();
        calls.sort_unstable();
        let mut ended = Vec::new();
        if let Some(owner) = &list.owner {
            ended.extend(self.kept.of_owner(owner).take(list.limit).cloned());
            ended.sort_unstable();
        }
        self.reply(id, Reply::List(ng::CallList { calls, ended }));
    }

    pub(super) fn on_report_ack(&mut self, id: u64, ack: &ng::ReportAck) {
        let foreign = self
            .kept
            .get(&ack.call_id)
            .is_some_and(|report| report.owner.is_some() && ack.owner.is_some() && report.owner != ack.owner);
        if foreign {
            return self.refuse(id, OTHER_OWNER);
        }
        let known = self.kept.acknowledge(&ack.call_id);
        let warning = (!known).then(|| "No report is kept for this call".to_owned());
        self.reply(id, Reply::Ok { warning });
    }
}
