//! What clients want recorded: whom, from when to when, under what name.
//!
//! Nobody is recorded unless a client asks: for the whole call, or for one party that is named by
//! label, by address, or by tag together with `directional` (a tag alone is on every message of a
//! proxy and selects nobody). Whoever is left out by `exclude-recording` stays so until named
//! again; whoever joins later is recorded with the rest.

use std::path::{Component, Path};

use ng::{RecordingOptions, Reply, Selector, Signal};

use super::{Shard, select};
use crate::{
    call::{Call, CallKey},
    io::{Output, RecordingId},
    negotiate::sdes,
    path::Paths,
    recording::{Recording, RecordingBegun, RecordingNote, Wish},
    sim::{self, Way},
};

impl Shard {
    pub(super) fn on_start_recording(&mut self, id: u64, request: &ng::Recording) {
        let result = self.party_of(request).and_then(|(key, party)| {
            if let Some(index) = party.filter(|_| request.options.exclude) {
                self.exclude(key, index);
                return Ok(None);
            }
            self.record(key, party, &request.options)
        });
        self.answer_recording(id, result);
    }

    pub(super) fn on_stop_recording(&mut self, id: u64, request: &ng::Recording) {
        let result = self.party_of(request).map(|(key, party)| {
            match party {
                Some(index) => self.exclude(key, index),
                None => self.end_recording(key, request.options.discard, false),
            }
            None
        });
        self.answer_recording(id, result);
    }

    pub(super) fn on_pause_recording(&mut self, id: u64, request: &ng::Recording) {
        let result = self.party_of(request).map(|(key, party)| {
            let call = self.calls.get_mut(key).expect("the call was found for this command");
            match (party, &mut call.recording) {
                (Some(index), Some(_)) => call.leg_mut(index).recorded = Wish::LeftOut,
                (None, Some(recording)) => recording.paused = true,
                (_, None) => return Some("The call is not recorded"),
            }
            sim::seen(Way::RecordingPaused);
            apply(call, &mut self.paths);
            None
        });
        self.answer_recording(id, result);
    }

    /// The keeper failed on a recording: it is over, and its call goes on.
    pub(super) fn on_recording_failed(&mut self, recording: RecordingId) {
        let Some(key) = self.recordings.call(recording) else { return };
        self.counters.recordings_failed += 1;
        if let Some(call) = self.calls.get(key).filter(|call| call.owner.is_some()) {
            self.outputs.push_back(Output::Event(Box::new(ng::Event {
                sequence: 0,
                call_id: call.name.clone(),
                owner: call.owner.clone(),
                wall_ms: self.wall_ms,
                kind: ng::EventKind::RecordingFailed,
            })));
        }
        self.end_recording(key, false, false);
    }

    /// What an offer or answer says about recording, after its parties are joined. `written` is the
    /// description that goes out. Returns what the client should know.
    pub(super) fn record_signal(
        &mut self,
        key: CallKey,
        signal: &Signal,
        sender: usize,
        offer: bool,
        written: &[u8],
    ) -> Option<&'static str> {
        let options = &signal.recording;
        if let Some(metadata) = &options.metadata {
            let call = self.calls.get_mut(key).expect("the exchange belongs to a call that is there");
            call.leg_mut(sender).metadata = Some(metadata.as_str().into());
            self.note_metadata(key, metadata);
        }
        if options.exclude {
            self.exclude(key, sender);
        }
        let mut warning = None;
        match signal.record_call {
            // What is impossible was refused before the exchange began. A call is not given up because there are too many.
            Some(true) => warning = self.record(key, None, options).unwrap_or_else(Some),
            Some(false) => self.end_recording(key, options.discard, false),
            None => {}
        }
        let call = self.calls.get(key).expect("it was there a line ago");
        if let Some(recording) = &call.recording {
            let note = RecordingNote::Described { offer, sdp: sdes::without_keys(written) };
            self.outputs.push_back(Output::Recording { recording: recording.id, note });
        }
        apply(call, &mut self.paths);
        warning
    }

    /// Begins to record, or goes on; returns what the client should know.
    ///
    /// # Errors
    /// The text of the refusal.
    fn record(
        &mut self,
        key: CallKey,
        party: Option<usize>,
        options: &RecordingOptions,
    ) -> Result<Option<&'static str>, &'static str> {
        possible(self.limits.recordings_max, options)?;
        let full = self.recordings.len() >= self.limits.recordings_max;
        let call = self.calls.get_mut(key).expect("the call was found for this command");
        let runs = call.recording.is_some();
        if !runs && full {
            self.counters.recordings_refused += 1;
            return Err("Too many recordings at once");
        }
        if let Some(metadata) = &options.metadata {
            self.note_metadata(key, metadata);
        }
        let call = self.calls.get_mut(key).expect("it was there a line ago");
        let label = party.and_then(|index| call.leg(index).label.clone());
        let recording = call.recording.get_or_insert_with(|| {
            sim::seen(Way::RecordingBegun);
            self.counters.recordings_begun += 1;
            let id = self.recordings.begin(key);
            let metadata = call.metadata.as_deref().map(str::to_owned);
            let begun = RecordingBegun {
                call_id: call.name.clone(),
                call_created_ms: call.created_wall_ms,
                label,
                options: RecordingOptions { metadata, ..options.clone() },
            };
            let note = RecordingNote::Begun(Box::new(begun));
            self.outputs.push_back(Output::Recording { recording: id, note });
            Box::new(Recording { id, paused: false, everybody: false })
        });
        recording.paused = false;
        match party {
            Some(index) => call.leg_mut(index).recorded = Wish::Recorded,
            None => recording.everybody = true,
        }
        apply(call, &mut self.paths);
        let named = options.file.is_some() || options.destination.is_some() || options.pattern.is_some();
        Ok((runs && named).then_some("The call is recorded already, under the name of its beginning"))
    }

    /// Leaves a party out; a recording in which nobody is left ends.
    fn exclude(&mut self, key: CallKey, index: usize) {
        let call = self.calls.get_mut(key).expect("the call was found for this command");
        call.leg_mut(index).recorded = Wish::LeftOut;
        let everybody = call.recording.as_ref().is_some_and(|recording| recording.everybody);
        if !everybody && call.parties().all(|(_, leg)| leg.recorded != Wish::Recorded) {
            return self.end_recording(key, false, false);
        }
        apply(call, &mut self.paths);
    }

    /// Ends the recording of a call, if there is one. Who was left out stays so.
    pub(super) fn end_recording(&mut self, key: CallKey, discard: bool, with_call: bool) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(recording) = call.recording.take() else { return };
        for leg in call.legs.iter_mut().flatten() {
            if leg.recorded == Wish::Recorded {
                leg.recorded = Wish::AsCall;
            }
        }
        sim::seen(Way::RecordingEnded);
        apply(call, &mut self.paths);
        self.recordings.end(recording.id);
        let note = RecordingNote::Ended { discard, with_call };
        self.outputs.push_back(Output::Recording { recording: recording.id, note });
    }

    fn note_metadata(&mut self, key: CallKey, metadata: &str) {
        let call = self.calls.get_mut(key).expect("the call was found for this command");
        if call.metadata.as_deref() == Some(metadata) {
            return;
        }
        call.metadata = Some(metadata.into());
        if let Some(recording) = &call.recording {
            let note = RecordingNote::Metadata(metadata.to_owned());
            self.outputs.push_back(Output::Recording { recording: recording.id, note });
        }
    }

    /// The call and the party that a command is about; `None` is the whole call.
    fn party_of(&self, request: &ng::Recording) -> Result<(CallKey, Option<usize>), &'static str> {
        let key = self.calls.by_name(&request.call_id).ok_or(Reply::UNKNOWN_CALL)?;
        let call = self.calls.get(key).expect("a name leads to a call");
        let Selector { label, address, from_tag, directional, .. } = &request.selector;
        let tag = from_tag.as_deref().filter(|_| *directional);
        Ok((key, select::party(call, label.as_deref(), *address, tag)?))
    }

    fn answer_recording(&mut self, id: u64, result: Result<Option<&'static str>, &'static str>) {
        match result {
            Ok(warning) => self.reply(id, Reply::Ok { warning: warning.map(str::to_owned) }),
            Err(text) => self.refuse(id, text),
        }
    }
}

/// Whether a recording with these names can be made at all.
///
/// # Errors
/// The text of the refusal.
pub(super) fn possible(recordings_max: usize, options: &RecordingOptions) -> Result<(), &'static str> {
    if recordings_max == 0 {
        return Err("Recording is not possible: the engine was started without recording-dir");
    }
    let below = |name: &Option<String>| name.as_deref().is_none_or(is_below);
    if !below(&options.file) || !below(&options.destination) {
        return Err("recording-file must be a path below the engine's recording-dir, without `..`");
    }
    if !below(&options.directory) {
        return Err("recording-dir must be a path below the engine's own, without `..`");
    }
    if options.pattern.as_deref().is_some_and(|pattern| !is_below(pattern) || !pattern.contains("%c")) {
        return Err("recording-pattern must hold %c and lead below the engine's recording-dir, without `..`");
    }
    Ok(())
}

/// Whether a name leads to some place below where it is put, and nowhere else.
fn is_below(name: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(part) if part.len() <= PART_BYTES_MAX);
    !name.is_empty()
        && !name.ends_with('/')
        && !name.chars().any(char::is_control)
        && Path::new(name).components().all(plain)
        && Path::new(name).components().count() <= PARTS_MAX
}

/// Folders and name of a file at most.
const PARTS_MAX: usize = 8;

/// One of them; what is added to a name to make it unique has room in a file name of 255 bytes.
const PART_BYTES_MAX: usize = 200;

/// Lets the paths of a call know what is recorded of them.
pub(super) fn apply(call: &Call, paths: &mut Paths) {
    let running = call.recording.as_ref().filter(|recording| !recording.paused);
    for (_, leg) in call.parties() {
        let tap = running
            .filter(|recording| match leg.recorded {
                Wish::AsCall => recording.everybody,
                Wish::Recorded => true,
                Wish::LeftOut => false,
            })
            .map(|recording| recording.id);
        for media in &leg.medias {
            paths[media.rtp].tap = tap;
            paths[media.rtcp].tap = tap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_below_and_nowhere_else() {
        for good in ["a.pcap", "2026/a b.pcap", "..a", "a..", "%c", "ü/ö"] {
            assert!(is_below(good), "{good}");
        }
        let long = "x".repeat(PART_BYTES_MAX + 1);
        let deep = "a/".repeat(PARTS_MAX) + "b";
        for bad in
            ["", "/etc/passwd", "..", "../a", "a/../b", "a/..", "./a", "a/", "a\0b", "a\nb", &long, &deep]
        {
            assert!(!is_below(bad), "{bad:?}");
        }
    }
}
