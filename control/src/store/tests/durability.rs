//! Restarts, locks, full disks and lost files.

use std::fs;
use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::store::writer::{Job, Writer};
use crate::store::{Shared, load_directory};

fn expires(fixture: &Fixture) -> u64 {
    fixture.now() + 3_600_000
}

#[test]
fn calls_in_progress_are_there_after_a_restart() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    assert!(client.journal.is_empty());
    client.ask(authorize(&call_id(1), 60, expires(&fixture)));
    client.ask(authorize(&call_id(2), 60, expires(&fixture)));
    let answered = journal(&call_id(2), Step::Answered);
    let request = StoreRequest::Journal { call: call_id(2), journal: answered.clone() };
    assert_eq!(client.ask(request), StoreReply::Done);
    client.ask(settle(&call_id(1), "0"));
    // A row that was on its way when its call ended does not bring the call back.
    let late = StoreRequest::Journal { call: call_id(1), journal: journal(&call_id(1), Step::Answered) };
    assert_eq!(client.ask(late), StoreReply::Done);
    drop(client);
    let client = fixture.store();
    assert_eq!(client.journal, [*answered]);
    assert_eq!(client.ask(settle(&call_id(2), "0.25")), StoreReply::Done);
    fixture.assert_sound();
}

#[test]
fn what_was_answered_survives_a_process_that_never_closed_its_file() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    client.ask(authorize(&call_id(1), 60, expires(&fixture)));
    // The first store stays open, as a killed process leaves it: with its log not yet in the file.
    let copy = tempfile::tempdir().unwrap();
    for file in ["tollgate.db", "tollgate.db-wal"] {
        fs::copy(fixture.folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let admin = Admin::open(&copy.path().join("tollgate.db")).unwrap().with_clock(fixture.config().clock);
    assert_eq!(admin.account("alice").unwrap().held, amount("1"));
}

#[test]
fn a_journal_row_that_does_not_read_stays_and_hurts_nobody() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    for number in 1..=2 {
        client.ask(authorize(&call_id(number), 60, expires(&fixture)));
    }
    drop(client);
    let admin = fixture.admin();
    admin.connection().execute("UPDATE journal SET entry = '{}' WHERE call = 'call1'", []).unwrap();
    assert_eq!(fixture.store().journal.len(), 1);
    let rows: u32 =
        admin.connection().query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn a_locked_database_fails_its_requests_and_then_works_again() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let other = Connection::open(fixture.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = client.ask(authorize(&call_id(1), 60, expires(&fixture)));
    let StoreReply::Failed { reason } = reply else { panic!("{reply:?}") };
    assert!(reason.contains("locked"), "{reason}");
    assert!(!client.store.is_healthy());
    other.execute_batch("ROLLBACK").unwrap();
    let reply = client.ask(authorize(&call_id(1), 60, expires(&fixture)));
    assert!(matches!(reply, StoreReply::Authorized { .. }));
    assert!(client.store.is_healthy());
}

#[test]
fn a_database_that_is_gone_fails_its_requests_until_it_is_back() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let away = fixture.folder.path().join("away.db");
    fs::rename(fixture.path(), &away).unwrap();
    for _ in 0..2 {
        let reply = client.ask(authorize(&call_id(1), 60, expires(&fixture)));
        assert!(matches!(reply, StoreReply::Failed { .. }), "{reply:?}");
        assert!(!fixture.path().exists(), "an empty database in its place would know no account");
    }
    fs::rename(&away, fixture.path()).unwrap();
    let reply = client.ask(authorize(&call_id(1), 60, expires(&fixture)));
    assert!(matches!(reply, StoreReply::Authorized { .. }), "{reply:?}");
    fixture.assert_sound();
}

#[test]
fn a_full_disk_fails_the_whole_group_and_keeps_nothing_of_it() {
    let fixture = Fixture::new("10");
    let replies = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&replies);
    let answer = Arc::new(move |id, reply| said.lock().unwrap().push((id, reply)));
    let mut writer = Writer::open(fixture.config(), answer, Arc::new(Shared::default())).unwrap();
    // SQLite answers SQLITE_FULL at this size just as it does when the disk has no room.
    let pages: u32 = writer.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    writer.connection().pragma_update(None, "max_page_count", pages).unwrap();
    let group: Vec<Job> = (0..200)
        .map(|number| Job::Request {
            id: number as u64,
            request: Box::new(authorize(&call_id(number), 1, expires(&fixture))),
        })
        .collect();
    writer.handle_group(&group);
    let first = std::mem::take(&mut *replies.lock().unwrap());
    assert_eq!(first.len(), 200);
    for (_, reply) in &first {
        let StoreReply::Failed { reason } = reply else { panic!("{reply:?}") };
        assert!(reason.contains("full"), "{reason}");
    }
    assert_eq!(fixture.admin().account("alice").unwrap().held, Amount::ZERO);
    // The connection was given up; the next one has no such bound.
    writer.handle_group(&group);
    let second = std::mem::take(&mut *replies.lock().unwrap());
    assert!(second.iter().all(|(_, reply)| matches!(reply, StoreReply::Authorized { .. })));
    fixture.assert_sound();
}

#[test]
fn a_full_queue_is_an_answer_not_a_wait() {
    let fixture = Fixture::new("10");
    let config = StoreConfig { queue_max: 1, ..fixture.config() };
    let (sender, replies) = channel();
    let sender = Mutex::new(sender);
    let (store, _) = Store::open(config, move |id, reply| {
        let _ = sender.lock().unwrap().send((id, reply));
    })
    .unwrap();
    let other = Connection::open(fixture.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for id in 0..50 {
        store.submit(id, settle(&call_id(1), "0"));
    }
    other.execute_batch("ROLLBACK").unwrap();
    let replies: Vec<_> = (0..50).map(|_| replies.recv_timeout(PATIENCE).unwrap().1).collect();
    let full = StoreReply::Failed { reason: "the store's queue is full".to_owned() };
    assert!(replies.iter().filter(|reply| **reply == full).count() >= 40, "{replies:?}");
}

#[test]
fn the_directory_is_what_the_operator_entered() {
    let fixture = Fixture::new("10");
    let mut admin = fixture.admin();
    admin.add_tariff("standard", "EUR".parse().unwrap()).unwrap();
    admin.put_rate("standard", &rate()).unwrap();
    let mut bob = NewAccount::new("bob", "EUR".parse().unwrap());
    bob.tariff = Some("standard".to_owned());
    admin.add_account(&bob).unwrap();
    let both = [call::DigestAlgorithm::Sha256, call::DigestAlgorithm::Md5];
    admin.set_password("bob", "example.org", "secret", &both).unwrap();
    admin.trust_address("bob", "2001:db8::1".parse().unwrap()).unwrap();
    assert!(admin.trust_address("alice", "2001:db8::1".parse().unwrap()).is_err());
    let trunk = |name: &str| call::Trunk {
        id: name.into(),
        enabled: true,
        transport: call::TrunkTransport::Tls,
        address: "[2001:db8::2]:5061".parse().unwrap(),
        domain: "carrier.example".to_owned(),
        number_prefix: "+".to_owned(),
        credentials: Some(call::TrunkCredentials { user: "us".to_owned(), password: "hush".to_owned() }),
        media: call::TrunkMedia::Srtp,
        buy_tariff: Some("standard".into()),
        max_calls: 30,
        setup_timeout_seconds: 20,
    };
    admin.put_trunk(&trunk("second"), 2).unwrap();
    admin.put_trunk(&trunk("first"), 1).unwrap();

    let directory = load_directory(&fixture.path()).unwrap();
    let bob = directory.by_user("bob").unwrap();
    assert_eq!(bob.secrets.len(), 2);
    assert_eq!(bob.secrets[0].algorithm, call::DigestAlgorithm::Sha256);
    assert_eq!(bob.secrets[0].ha1, crate::store::ha1(both[0], "bob", "example.org", "secret"));
    assert_eq!(directory.by_address("2001:db8::1".parse().unwrap()).unwrap().id.0, "bob");
    let tariff = &directory.tariffs[bob.tariff.as_ref().unwrap()];
    assert_eq!(*tariff.rate_at("+493012345", fixture.now()).unwrap().rate, rate());
    let names: Vec<&str> = directory.trunks.iter().map(|trunk| trunk.id.0.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(directory.trunks[0].address.port(), 5061);
    assert_eq!(directory.trunks[0].buy_tariff, Some("standard".into()));
    assert_eq!(directory.trunks[0].credentials.as_ref().unwrap().password, "hush");
    let shown = format!("{directory:?} {:?}", admin.trunks().unwrap());
    assert!(!shown.contains("hush") && !shown.contains(&bob.secrets[0].ha1), "{shown}");
}

#[test]
fn an_operator_is_told_what_cannot_be() {
    let fixture = Fixture::new("10");
    let mut admin = fixture.admin();
    let euro = "EUR".parse().unwrap();
    let says = |result: Result<(), crate::store::StoreError>| result.unwrap_err().to_string();
    assert_eq!(says(admin.add_account(&NewAccount::new("alice", euro))), "account alice exists");
    assert!(says(admin.add_account(&NewAccount::new("a b", euro))).starts_with("a name is"));
    let mut other = NewAccount::new("bob", euro);
    other.tariff = Some("none".to_owned());
    assert_eq!(says(admin.add_account(&other)), "there is no tariff none");
    assert_eq!(says(admin.top_up("bob", amount("1"), None).map(|_| ())), "no such account");
    assert_eq!(says(admin.top_up("alice", amount("-1"), None).map(|_| ())), "credit is above zero");
    let most = admin.top_up("alice", amount("9223372036"), None).map(|_| ());
    assert_eq!(says(most), "the balance does not fit an amount");
    assert!(admin.set_password("bob", "r", "p", &[call::DigestAlgorithm::Md5]).is_err());
    assert_eq!(admin.accounts().unwrap().len(), 1);
}
