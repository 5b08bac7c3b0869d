//! Holds, charges and what they leave.

use super::*;

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_call_is_held_charged_and_recorded() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let call = call_id(1);
    let expires = fixture.now() + HOUR_MS;
    let held = client.ask(authorize(&call, 120, expires));
    assert_eq!(held, StoreReply::Authorized { held: amount("2"), seconds: 120 });
    let account = fixture.admin().account("alice").unwrap();
    assert_eq!((account.posted, account.held, account.available), (amount("10"), amount("2"), amount("8")));

    assert_eq!(client.ask(settle(&call, "0.5")), StoreReply::Done);
    let account = fixture.admin().account("alice").unwrap();
    assert_eq!((account.posted, account.held), (amount("9.5"), Amount::ZERO));
    let records = fixture.admin().cdrs(Some("alice"), 10).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].cdr, *cdr(&call, amount("0.5")));
    drop(client);
    assert!(fixture.store().journal.is_empty());
    fixture.assert_sound();
}

#[test]
fn a_record_has_the_quality_of_both_voices_in_columns_of_its_own() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let mut record = cdr(&call_id(1), Amount::ZERO);
    record.media.caller.quality = Some(call::LegQuality {
        mos_x100: Some(431),
        delay_from: call::DelaySource::Rtcp,
        buffer_ms: 60,
        ..call::LegQuality::default()
    });
    let request = StoreRequest::Settle { call: call_id(1), charge: Amount::ZERO, cdr: record.clone() };
    assert_eq!(client.ask(request), StoreReply::Done);
    let admin = fixture.admin();
    assert_eq!(admin.cdrs(None, 1).unwrap()[0].cdr.media, record.media);
    let columns: (Option<u32>, Option<u32>, String, u32) = admin
        .connection()
        .query_row(
            "SELECT caller_mos_x100, callee_mos_x100, mos_delay_from, mos_buffer_ms FROM cdr",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(columns, (Some(431), None, "rtcp".to_owned(), 60));
}

#[test]
fn the_same_request_again_moves_nothing_further() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let call = call_id(1);
    let expires = fixture.now() + HOUR_MS;
    let held = client.ask(authorize(&call, 120, expires));
    assert_eq!(client.ask(authorize(&call, 999, expires)), held);
    for _ in 0..3 {
        assert_eq!(client.ask(settle(&call, "1")), StoreReply::Done);
    }
    assert_eq!(fixture.admin().account("alice").unwrap().posted, amount("9"));
    assert_eq!(fixture.admin().cdrs(None, 10).unwrap().len(), 1);
    assert!(matches!(client.ask(authorize(&call, 60, expires)), StoreReply::Failed { .. }));
    fixture.assert_sound();
}

#[test]
fn a_thousand_requests_at_once_hold_what_there_is_and_no_more() {
    let fixture = Fixture::new("7.5");
    let client = fixture.store();
    let expires = fixture.now() + HOUR_MS;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &client.store;
            scope.spawn(move || {
                for number in 0..125 {
                    let call = call_id(thread * 125 + number);
                    // Increments of a second: ask for a minute, take no less.
                    let mut request = authorize(&call, 60, expires);
                    if let StoreRequest::Authorize { quote, .. } = &mut request {
                        let mut terms = rate().terms().clone();
                        (terms.initial_seconds, terms.next_seconds) = (60, 60);
                        **quote = Rate::new(terms).unwrap().into();
                    }
                    store.submit(1, request);
                }
            });
        }
    });
    let replies: Vec<StoreReply> =
        (0..1000).map(|_| client.replies.recv_timeout(PATIENCE).unwrap().1).collect();
    let held = replies.iter().filter(|reply| matches!(reply, StoreReply::Authorized { .. })).count();
    let refused = StoreReply::Refused { available: amount("0.5") };
    assert_eq!(held, 7);
    assert_eq!(replies.iter().filter(|reply| **reply == refused).count(), 993);
    fixture.assert_sound();
}

#[test]
fn a_refusal_writes_nothing() {
    let fixture = Fixture::new("0");
    let client = fixture.store();
    let reply = client.ask(authorize(&call_id(1), 60, fixture.now() + HOUR_MS));
    assert_eq!(reply, StoreReply::Refused { available: Amount::ZERO });
    drop(client);
    assert!(fixture.store().journal.is_empty());
}

#[test]
fn an_expired_hold_frees_its_money_without_anybody_sweeping() {
    let fixture = Fixture::new("1");
    let client = fixture.store();
    let ask = |number, expires| client.ask(authorize(&call_id(number), 60, expires));
    let held = StoreReply::Authorized { held: amount("1"), seconds: 60 };
    assert_eq!(ask(1, fixture.now() + 1000), held);
    assert_eq!(ask(2, fixture.now() + 1000), StoreReply::Refused { available: Amount::ZERO });
    fixture.pass_ms(1000);
    assert_eq!(ask(2, fixture.now() + 1000), held);
    assert!(matches!(ask(1, fixture.now() + 1000), StoreReply::Failed { .. }));
}

#[test]
fn a_clock_set_back_does_not_bring_an_expired_hold_back() {
    let fixture = Fixture::new("1");
    let client = fixture.store();
    client.ask(authorize(&call_id(1), 60, fixture.now() + 1000));
    fixture.pass_ms(1000);
    let reply = client.ask(authorize(&call_id(2), 60, fixture.now() + HOUR_MS));
    assert!(matches!(reply, StoreReply::Authorized { .. }));
    fixture.now_ms.fetch_sub(500, Ordering::SeqCst);
    for number in 1..=2 {
        client.ask(settle(&call_id(number), "1"));
    }
    assert_eq!(fixture.admin().account("alice").unwrap().posted, Amount::ZERO);
    fixture.assert_sound();
}

#[test]
fn a_charge_never_exceeds_its_hold_and_the_record_says_what_was_posted() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let call = call_id(1);
    client.ask(authorize(&call, 60, fixture.now() + HOUR_MS));
    assert_eq!(client.ask(settle(&call, "3")), StoreReply::Done);
    let record = fixture.admin().cdrs(None, 1).unwrap().remove(0);
    assert_eq!((record.cdr.charge, record.shortfall), (amount("1"), amount("2")));
    assert_eq!(fixture.admin().account("alice").unwrap().posted, amount("9"));
    fixture.assert_sound();
}

#[test]
fn a_charge_after_its_hold_expired_takes_only_what_is_left() {
    let fixture = Fixture::new("1");
    let client = fixture.store();
    client.ask(authorize(&call_id(1), 60, fixture.now() + 1000));
    fixture.pass_ms(2000);
    client.ask(authorize(&call_id(2), 45, fixture.now() + HOUR_MS));
    assert_eq!(client.ask(settle(&call_id(1), "1")), StoreReply::Done);
    let account = fixture.admin().account("alice").unwrap();
    assert_eq!((account.posted, account.available), (amount("0.75"), Amount::ZERO));
    assert_eq!(client.ask(settle(&call_id(2), "0.75")), StoreReply::Done);
    assert_eq!(fixture.admin().account("alice").unwrap().posted, Amount::ZERO);
    fixture.assert_sound();
}

#[test]
fn a_refused_call_has_a_record_and_no_charge() {
    let fixture = Fixture::new("1");
    let client = fixture.store();
    assert_eq!(client.ask(settle(&call_id(1), "0")), StoreReply::Done);
    let mut nobody = cdr(&call_id(2), Amount::ZERO);
    nobody.account = None;
    let request = StoreRequest::Settle { call: call_id(2), charge: Amount::ZERO, cdr: nobody };
    assert_eq!(client.ask(request), StoreReply::Done);
    assert_eq!(fixture.admin().cdrs(None, 10).unwrap().len(), 2);
    assert_eq!(fixture.admin().account("alice").unwrap().posted, amount("1"));
    fixture.assert_sound();
}

#[test]
fn credit_below_zero_goes_to_the_limit() {
    let fixture = Fixture::new("0");
    let mut account = NewAccount::new("bob", "EUR".parse().unwrap());
    account.balance_limit = amount("-2");
    fixture.admin().add_account(&account).unwrap();
    let client = fixture.store();
    let mut request = authorize(&call_id(1), 3600, fixture.now() + HOUR_MS);
    if let StoreRequest::Authorize { account, .. } = &mut request {
        *account = AccountId::from("bob");
    }
    assert_eq!(client.ask(request), StoreReply::Authorized { held: amount("2"), seconds: 120 });
    fixture.assert_sound();
}

#[test]
fn a_request_that_contradicts_the_store_fails_alone() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    let mut stranger = authorize(&call_id(1), 60, fixture.now() + HOUR_MS);
    if let StoreRequest::Authorize { account, .. } = &mut stranger {
        *account = AccountId::from("nobody");
    }
    client.store.submit(1, stranger);
    client.store.submit(2, authorize(&call_id(2), 60, fixture.now() + HOUR_MS));
    let of_other =
        StoreRequest::Settle { call: call_id(2), charge: Amount::ZERO, cdr: cdr(&call_id(3), Amount::ZERO) };
    client.store.submit(3, of_other);
    let replies: Vec<_> = (0..3).map(|_| client.replies.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(replies[0], (1, StoreReply::Failed { reason: "no such account".to_owned() }));
    assert!(matches!(replies[1], (2, StoreReply::Authorized { .. })));
    assert!(matches!(replies[2], (3, StoreReply::Failed { .. })));
    assert!(client.store.is_healthy());
    fixture.assert_sound();
}

#[test]
fn a_trial_is_granted_once_and_ends_with_the_first_credit() {
    let fixture = Fixture::new("0");
    let mut admin = fixture.admin();
    assert!(admin.grant_trial("alice", Amount::ZERO).is_err());
    assert_eq!(admin.grant_trial("alice", amount("0.5")).unwrap(), amount("0.5"));
    let summary = admin.account("alice").unwrap();
    assert_eq!((summary.posted, summary.account.on_trial), (amount("0.5"), true));
    let again = admin.grant_trial("alice", amount("0.5")).unwrap_err();
    assert_eq!(again.to_string(), "the account has had its trial, or bought credit");
    admin.top_up("alice", amount("1"), None).unwrap();
    let summary = admin.account("alice").unwrap();
    assert_eq!((summary.posted, summary.account.on_trial), (amount("1.5"), false));
    assert!(admin.grant_trial("alice", amount("0.5")).is_err());
    admin.add_account(&NewAccount::new("bob", "EUR".parse().unwrap())).unwrap();
    admin.top_up("bob", amount("1"), None).unwrap();
    assert!(admin.grant_trial("bob", amount("0.5")).is_err());
    fixture.assert_sound();
}

#[test]
fn an_account_may_have_a_tariff_in_a_currency_that_is_known_to_be_worth_something() {
    let fixture = Fixture::new("0");
    let mut admin = fixture.admin();
    let dollar = "USD".parse().unwrap();
    admin.add_tariff("wholesale", dollar).unwrap();
    admin.add_tariff("own", "EUR".parse().unwrap()).unwrap();
    let unknown = admin.set_tariffs("alice", Some("wholesale"), None).unwrap_err();
    let said = "tariff wholesale is in USD, and what that is worth in EUR is not known: set a rate of exchange first";
    assert_eq!(unknown.to_string(), said);
    admin.add_exchange(dollar, "EUR".parse().unwrap(), amount("0.9"), None).unwrap();
    admin.set_tariffs("alice", Some("wholesale"), Some("own")).unwrap();
    let account = admin.account("alice").unwrap().account;
    assert_eq!((account.tariff, account.overrides), (Some("wholesale".into()), Some("own".into())));
}

#[test]
fn verification_names_what_was_tampered_with() {
    let fixture = Fixture::new("10");
    let client = fixture.store();
    client.ask(authorize(&call_id(1), 60, fixture.now() + HOUR_MS));
    client.ask(settle(&call_id(1), "1"));
    let admin = fixture.admin();
    let one = "1000000000";
    for (tamper, undo, complaint) in [
        (
            "UPDATE ledger_account SET posted = posted + 1 WHERE account = 'alice'".to_owned(),
            "UPDATE ledger_account SET posted = posted - 1 WHERE account = 'alice'".to_owned(),
            "customer:alice: the balance 9.000000001 is not the sum of its postings",
        ),
        (
            "UPDATE hold SET amount = 5".to_owned(),
            format!("UPDATE hold SET amount = {one}"),
            "call call1: the charge is above the hold or has none",
        ),
        (
            "UPDATE cdr SET charge = 5".to_owned(),
            format!("UPDATE cdr SET charge = {one}"),
            "call call1: the record does not say what was posted",
        ),
        (
            "UPDATE cdr SET call = 'other', charge = 0".to_owned(),
            format!("UPDATE cdr SET call = 'call1', charge = {one}"),
            "call call1: money was posted for a call without a record",
        ),
    ] {
        admin.connection().execute_batch(&tamper).unwrap();
        assert_eq!(admin.verify().unwrap().problems, [complaint]);
        admin.connection().execute_batch(&undo).unwrap();
        assert!(admin.verify().unwrap().is_sound());
    }
    for statement in
        ["UPDATE posting SET amount = 1", "DELETE FROM posting", "UPDATE hold SET state = 'open'"]
    {
        assert!(admin.connection().execute_batch(statement).is_err(), "{statement}");
    }
}
