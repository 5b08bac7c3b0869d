//! Engines as a whole: their events, their coming and going, and what they carry for us.

use std::collections::HashSet;

use crate::call::{Call, Job};
use crate::core::{CallKey, MediaWait};
use crate::exchange::Exchange;
use crate::state::State;
use crate::{EngineId, Progress};

impl Exchange {
    pub(crate) fn on_engine_event(&mut self, engine: EngineId, event: ng::Event) {
        let found = self.call_of_media(engine, &event.call_id);
        let Some(key) = found else { return };
        self.with(key, |call, core| match &event.kind {
            ng::EventKind::CallReport { legs } => {
                if !call.state.is_over() {
                    call.on_report(core, crate::media::event_counters(legs));
                }
            }
            ng::EventKind::MediaTrouble(trouble) => {
                let (call, trouble) = (call.id.clone(), trouble.clone());
                core.progress(Progress::MediaTrouble { call, trouble });
            }
            // The engine keeps strangers out by itself, and tells its own operator.
            ng::EventKind::Strangers { .. }
            | ng::EventKind::Learning { .. }
            | ng::EventKind::Handshake { .. } => {}
            ng::EventKind::Ended { ended, legs } => {
                if !call.state.is_over() {
                    call.on_report(core, crate::media::event_counters(legs));
                    call.on_media_ended(core, ended, crate::media::silence_ms(legs));
                }
            }
            // Nothing that is charged hangs on it.
            ng::EventKind::RecordingFailed => {}
            // No call's.
            ng::EventKind::RelayEnded(_) => {}
            // Whoever asked was answered so, and asked elsewhere.
            ng::EventKind::Refused { .. } => {}
        });
    }

    /// The call that an engine calls `name`: the call id with the number of the attempt.
    fn call_of_media(&self, engine: EngineId, name: &str) -> Option<CallKey> {
        let (id, _) = name.rsplit_once('.')?;
        let key = *self.core.ids.get(id)?;
        let call = self.calls.get(&key)?;
        let here = call.media.as_ref().is_some_and(|record| record.engine == engine);
        (here && call.media_name == name).then_some(key)
    }

    pub(crate) fn on_engine_up(&mut self, engine: EngineId, instance: String) {
        let replaced = self.core.engines.up(engine, instance);
        if replaced {
            self.lose_engine(engine);
        }
        for key in self.calls_at(engine) {
            self.with(key, |call, core| {
                if call.state == State::Resuming {
                    call.query_engine(core);
                }
            });
        }
        self.ask_for_calls(engine);
    }

    /// Asks an engine what it carries for us, once we know ourselves.
    pub(crate) fn ask_for_calls(&mut self, engine: EngineId) {
        if self.restored && self.core.engines.instance(engine).is_some() {
            let list = ng::List { limit: SWEEP_MAX, owner: Some(self.core.config.owner.clone()) };
            self.core.media(MediaWait::Sweep(engine), engine, ng::Command::List(list));
        }
    }

    pub(crate) fn on_engine_down(&mut self, engine: EngineId) {
        if self.core.engines.instance(engine).is_none() {
            return;
        }
        self.core.engines.down(engine);
        self.lose_engine(engine);
    }

    fn lose_engine(&mut self, engine: EngineId) {
        let calls = self.calls_at(engine);
        self.core.progress(Progress::EngineLost { engine, calls: calls.len() });
        for key in calls {
            self.with(key, |call, core| {
                if call.media_is_gone(core) {
                    call.on_engine_lost(core);
                }
            });
        }
    }

    fn calls_at(&self, engine: EngineId) -> Vec<CallKey> {
        let here = |call: &Call| call.media.as_ref().is_some_and(|record| record.engine == engine);
        self.calls.iter().filter(|(_, call)| here(call)).map(|(key, _)| *key).collect()
    }

    /// Compares what an engine carries for us with what we know.
    pub(crate) fn sweep(&mut self, engine: EngineId, list: ng::CallList) {
        let known: HashSet<String> = self
            .calls
            .values()
            .filter(|call| !call.state.is_over() || call.media_wait.is_some())
            .map(|call| call.media_name.clone())
            .collect();
        let config = &self.core.config;
        let mut commands = Vec::new();
        for name in list.calls.iter().filter(|name| !known.contains(*name)) {
            commands.push(crate::media::delete(config, name));
            commands.push(crate::media::report_ack(config, name));
        }
        for name in list.ended.iter().filter(|name| !known.contains(*name)) {
            commands.push(crate::media::report_ack(config, name));
        }
        for command in commands {
            self.core.media(MediaWait::Nobody, engine, command);
        }
        for name in list.ended {
            if let Some(key) = self.call_of_media(engine, &name) {
                self.with(key, |call, core| {
                    if call.state == State::Talking {
                        call.ask(core, Job::Query);
                    }
                });
            }
        }
    }
}

/// Names asked of an engine at once.
const SWEEP_MAX: usize = 100_000;
