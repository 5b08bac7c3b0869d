use std::fs;

use super::*;
use crate::store::tests::{Fixture, PATIENCE, call_id, settle};

fn calls(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["call"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn names(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|number| format!("call{number}")).collect()
}

/// The writer by itself, so that a test can stop it between any two steps.
fn writer(fixture: &Fixture, path: &Path) -> Writer {
    Writer::open(&fixture.path(), path).unwrap()
}

#[test]
fn every_call_is_one_line_in_order() {
    let fixture = Fixture::new("0");
    let path = fixture.folder.path().join("cdr.jsonl");
    for round in 0..3 {
        let client = fixture.store();
        let sink = JsonLines::start(&client.store, &path).unwrap();
        for number in 1..=5 {
            client.ask(settle(&call_id(round * 5 + number), "0"));
        }
        drop(sink);
        assert_eq!(calls(&path), names(1..=(round + 1) * 5));
    }
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.starts_with("{\"sequence\":1,\"call\":\"call1\","), "{first}");
}

#[test]
fn the_database_itself_is_no_file_for_records() {
    let fixture = Fixture::new("0");
    let before = fs::read(fixture.path()).unwrap();
    let other_name = fixture.folder.path().join("cdr.jsonl");
    std::os::unix::fs::symlink(fixture.path(), &other_name).unwrap();
    for path in [fixture.path(), other_name] {
        assert!(matches!(Writer::open(&fixture.path(), &path), Err(SinkError::Database(_))));
    }
    assert_eq!(fs::read(fixture.path()).unwrap(), before);
}

#[test]
fn the_sink_is_woken_by_a_commit() {
    let fixture = Fixture::new("0");
    let path = fixture.folder.path().join("cdr.jsonl");
    let client = fixture.store();
    let _sink = JsonLines::start(&client.store, &path).unwrap();
    client.ask(settle(&call_id(1), "0"));
    let start = Instant::now();
    while calls(&path).is_empty() {
        assert!(start.elapsed() < PATIENCE);
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_crash_after_any_step_neither_loses_nor_repeats_a_record() {
    let fixture = Fixture::new("0");
    let path = fixture.folder.path().join("cdr.jsonl");
    let client = fixture.store();
    for number in 1..=3 {
        client.ask(settle(&call_id(number), "0"));
    }
    // Before anything was written.
    drop(writer(&fixture, &path));
    assert!(calls(&path).is_empty());

    // In the middle of a line.
    fs::write(&path, "{\"sequence\":1,\"call\":\"ca").unwrap();
    let mut first = writer(&fixture, &path);
    assert_eq!(first.write_batch().unwrap(), 3);
    assert_eq!(calls(&path), names(1..=3));

    // After the lines, before the cursor: again and again.
    drop(first);
    for _ in 0..2 {
        assert_eq!(writer(&fixture, &path).write_batch().unwrap(), 0);
    }

    // After some lines of a batch, with the last one torn.
    let whole = fs::read_to_string(&path).unwrap();
    let torn = whole.len() - 10;
    fs::write(&path, &whole[..torn]).unwrap();
    assert_eq!(writer(&fixture, &path).write_batch().unwrap(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);

    // After the cursor.
    let mut last = writer(&fixture, &path);
    client.store.outbox().advance(SINK, last.sequence);
    client.ask(settle(&call_id(4), "0"));
    assert_eq!(last.write_batch().unwrap(), 1);
    drop(last);
    assert_eq!(writer(&fixture, &path).write_batch().unwrap(), 0);
    assert_eq!(calls(&path), names(1..=4));
}

#[test]
fn a_rotated_file_is_continued_in_a_new_one() {
    let fixture = Fixture::new("0");
    let path = fixture.folder.path().join("cdr.jsonl");
    let old = fixture.folder.path().join("cdr.jsonl.1");
    let client = fixture.store();
    let mut writer = writer(&fixture, &path);
    client.ask(settle(&call_id(1), "0"));
    writer.write_batch().unwrap();
    fs::rename(&path, &old).unwrap();
    client.ask(settle(&call_id(2), "0"));
    writer.write_batch().unwrap();
    assert_eq!((calls(&old), calls(&path)), (names(1..=1), names(2..=2)));
}

#[test]
fn the_file_of_another_database_is_no_reason_to_skip_a_record() {
    let fixture = Fixture::new("0");
    let path = fixture.folder.path().join("cdr.jsonl");
    fs::write(&path, "{\"sequence\":99,\"call\":\"other\"}\n").unwrap();
    let client = fixture.store();
    client.ask(settle(&call_id(1), "0"));
    assert_eq!(writer(&fixture, &path).write_batch().unwrap(), 1);
    assert_eq!(calls(&path), ["other", "call1"]);
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_records_in_the_outbox() {
    let fixture = Fixture::new("0");
    let folder = fixture.folder.path().join("records");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("cdr.jsonl");
    let client = fixture.store();
    let mut writer = writer(&fixture, &path);
    client.ask(settle(&call_id(1), "0"));
    fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(writer.write_batch(), Err(SinkError::File { .. })));
    fs::create_dir(&folder).unwrap();
    assert_eq!(writer.write_batch().unwrap(), 1);
    assert_eq!(calls(&path), names(1..=1));
}
