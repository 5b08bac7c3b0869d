//! The commands about parties, written as a client asks them.

use crate::{
    client::{put_signal, put_words, word_list},
    party::{All, Recording, RecordingOptions, Selector},
    request::Command,
    subscription::{Connect, SubscribeRequest, Unsubscribe},
    value::{Fields, Value},
};

/// Writes the keys of a command about parties; nothing for any other.
pub(crate) fn put<'a>(command: &'a Command, fields: &mut Fields<'a>) {
    match command {
        Command::StartRecording(recording)
        | Command::StopRecording(recording)
        | Command::PauseRecording(recording) => put_recording(recording, fields),
        Command::SubscribeRequest(request) => put_subscribe_request(request, fields),
        Command::SubscribeAnswer(answer) => {
            put_signal(&answer.signal, fields, &[(answer.allow_transcoding, "allow-transcoding")]);
        }
        Command::Unsubscribe(Unsubscribe { to_tag, .. }) => {
            fields.put_text("to-tag", to_tag);
        }
        Command::Publish(publish) => {
            put_signal(&publish.signal, fields, &[]);
            if !publish.accept.is_empty() {
                let mut codec = Fields::default();
                codec.put("accept", word_list(publish.accept.iter().map(String::as_str)));
                fields.put("codec", codec.done());
            }
        }
        Command::Connect(connect) => put_connect(connect, fields),
        Command::Cli(cli) => {
            fields.put_text("body", &cli.line);
        }
        _ => {}
    }
}

fn put_recording<'a>(recording: &'a Recording, fields: &mut Fields<'a>) {
    let Recording { selector, options, .. } = recording;
    put_tags(selector, fields);
    put_selector(selector, fields);
    put_options(options, fields);
    put_words(
        fields,
        "flags",
        &[
            (selector.directional, "directional"),
            (options.exclude, "exclude-recording"),
            (options.discard, "discard-recording"),
            (options.skip_db, "skip-recording-db"),
        ],
    );
}

fn put_subscribe_request<'a>(request: &'a SubscribeRequest, fields: &mut Fields<'a>) {
    put_signal(&request.signal, fields, &[(request.selector.directional, "directional")]);
    put_selector(&request.selector, fields);
    put_from_tags(&request.from_tags, fields);
}

fn put_connect<'a>(connect: &'a Connect, fields: &mut Fields<'a>) {
    let directional = connect.selector.directional;
    let flags = [(directional, "directional"), (directional && connect.bidirectional, "bidirectional")];
    put_signal(&connect.signal, fields, &flags);
    put_selector(&connect.selector, fields);
    put_from_tags(&connect.from_tags, fields);
    fields.put_some("to-call-id", connect.to_call_id.as_deref());
}

fn put_from_tags<'a>(tags: &'a [String], fields: &mut Fields<'a>) {
    if !tags.is_empty() {
        fields.put("from-tags", word_list(tags.iter().map(String::as_str)));
    }
}

fn put_tags<'a>(selector: &'a Selector, fields: &mut Fields<'a>) {
    fields
        .put_some("from-tag", selector.from_tag.as_deref())
        .put_some("to-tag", selector.to_tag.as_deref())
        .put_some("via-branch", selector.via_branch.as_deref());
}

/// What names parties besides their tags.
fn put_selector<'a>(selector: &'a Selector, fields: &mut Fields<'a>) {
    fields.put_some("label", selector.label.as_deref()).put_some("to-label", selector.to_label.as_deref());
    if let Some(address) = selector.address {
        fields.put("address", Value::owned(address.to_string()));
    }
    if selector.all != All::Unsaid {
        fields.put_text("all", selector.all.as_str());
    }
}

/// Where a recording goes, and what is noted with it.
pub(crate) fn put_options<'a>(options: &'a RecordingOptions, fields: &mut Fields<'a>) {
    fields
        .put_some("metadata", options.metadata.as_deref())
        .put_some("output-destination", options.destination.as_deref())
        .put_some("recording-file", options.file.as_deref())
        .put_some("recording-dir", options.directory.as_deref())
        .put_some("recording-pattern", options.pattern.as_deref());
}
