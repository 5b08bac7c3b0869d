use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use call::{StoreReply, TariffId};
use ledger::{Taxes, Terms};

use super::*;
use crate::store::sheet::Sheet;
use crate::store::tariffs::Versions;
use crate::store::tests::{Fixture, PATIENCE, authorize, call_id};

fn rate(prefix: &str, price: &str) -> Rate {
    Rate::per_minute(prefix.parse().unwrap(), price.parse().unwrap()).unwrap()
}

fn fixture() -> Fixture {
    let fixture = Fixture::new("10");
    fixture.admin().add_tariff("standard", "EUR".parse().unwrap()).unwrap();
    fixture
}

fn new_version(from: Option<u64>) -> NewVersion {
    NewVersion {
        tariff: "standard".to_owned(),
        from: from.map(WallTime),
        until: None,
        terms: Terms::default(),
    }
}

fn import(fixture: &Fixture, from: Option<u64>, text: &str) -> Result<WallTime, StoreError> {
    let sheet = Sheet::read(text, &[]).unwrap();
    fixture.admin().import_sheet(&new_version(from), &sheet, &mut |_| {})
}

/// The price of a number at an instant, as calls find it.
fn price_at(fixture: &Fixture, number: &str, at_ms: u64) -> Option<String> {
    let admin = fixture.admin();
    let tariffs = Versions::default().tariffs(admin.connection(), fixture.now()).unwrap();
    let found = tariffs[&TariffId::from("standard")].rate_at(number, at_ms)?;
    Some(found.rate.terms().price.to_string())
}

#[test]
fn a_new_price_is_a_new_version_and_the_one_before_stays_as_it_was() {
    let fixture = fixture();
    fixture.admin().put_rate("standard", &rate("49", "0.1")).unwrap();
    fixture.pass_ms(1000);
    let changed = fixture.now();
    fixture.admin().put_rate("standard", &rate("49", "0.2")).unwrap();
    fixture.admin().put_rate("standard", &rate("33", "0.3")).unwrap();
    fixture.admin().put_rate("standard", &rate("34", "0.4")).unwrap();
    assert_eq!(price_at(&fixture, "4930", changed - 1).as_deref(), Some("0.1"));
    assert_eq!(price_at(&fixture, "4930", changed).as_deref(), Some("0.2"));
    // Two changes within a millisecond are two versions.
    assert_eq!(price_at(&fixture, "3315", changed), None);
    assert_eq!(price_at(&fixture, "3315", changed + 1).as_deref(), Some("0.3"));
    assert_eq!(price_at(&fixture, "3315", changed + 2).as_deref(), Some("0.3"));
    assert_eq!(price_at(&fixture, "3415", changed + 2).as_deref(), Some("0.4"));
    let versions = fixture.admin().versions("standard").unwrap();
    assert_eq!(versions.iter().map(|version| version.rates).collect::<Vec<_>>(), [1, 1, 2, 3]);
    assert_eq!(versions[0].from, WallTime(0));
    let admin = fixture.admin();
    for statement in [
        "UPDATE version_rate SET price = 1",
        "DELETE FROM version_rate",
        "INSERT INTO version_rate SELECT version, '1', band, price, per_seconds, initial_seconds, next_seconds,
             connection_fee, rounding, rounding_decimals, 0, 0, 0, 0, 0 FROM version_rate",
        "UPDATE tariff_version SET valid_from_ms = 5 WHERE id = 1",
        "DELETE FROM tariff_version",
    ] {
        let error = admin.connection().execute_batch(statement).unwrap_err().to_string();
        assert!(error.contains("a version in force is never"), "{statement}: {error}");
    }
}

#[test]
fn a_sheet_takes_the_place_of_the_whole_tariff_at_its_instant() {
    let fixture = fixture();
    import(&fixture, None, "49,0.1\n1,0.1\n").unwrap();
    let midnight = fixture.now() + 3_600_000;
    assert_eq!(import(&fixture, Some(midnight), "49,0.2\n").unwrap(), WallTime(midnight));
    assert_eq!(price_at(&fixture, "4930", midnight - 1).as_deref(), Some("0.1"));
    assert_eq!(price_at(&fixture, "1212", midnight - 1).as_deref(), Some("0.1"));
    assert_eq!(price_at(&fixture, "4930", midnight).as_deref(), Some("0.2"));
    assert_eq!(price_at(&fixture, "1212", midnight), None);
    // What is in force now is what is listed and changed.
    assert_eq!(fixture.admin().rates("standard", None).unwrap().rates.len(), 2);
    assert_eq!(fixture.admin().rates("standard", Some(WallTime(midnight))).unwrap().rates.len(), 1);
    let says = |result: Result<WallTime, StoreError>| result.unwrap_err().to_string();
    let same = says(import(&fixture, Some(midnight), "49,0.3\n"));
    assert!(same.starts_with("a version of tariff standard begins at"), "{same}");
    let past = says(import(&fixture, Some(fixture.now() - 1), "49,0.3\n"));
    assert_eq!(past, "a version cannot begin in the past: calls were priced by then");
}

#[test]
fn a_version_is_taken_back_only_before_it_begins() {
    let fixture = fixture();
    import(&fixture, None, "49,0.1\n").unwrap();
    let midnight = fixture.now() + 3_600_000;
    import(&fixture, Some(midnight), "49,0.2\n").unwrap();
    fixture.admin().withdraw_version("standard", WallTime(midnight)).unwrap();
    assert_eq!(price_at(&fixture, "4930", midnight).as_deref(), Some("0.1"));
    let again = fixture.admin().withdraw_version("standard", WallTime(midnight)).unwrap_err();
    assert!(again.to_string().starts_with("no version of tariff standard begins at"));
    assert!(fixture.admin().withdraw_version("standard", WallTime(0)).is_err());
    // The place of a version that was taken back can be taken.
    import(&fixture, Some(midnight), "49,0.3\n").unwrap();
    assert_eq!(price_at(&fixture, "4930", midnight).as_deref(), Some("0.3"));
}

#[test]
fn an_import_that_died_leaves_nothing_that_counts() {
    let fixture = fixture();
    import(&fixture, None, "49,0.1\n").unwrap();
    {
        let mut admin = fixture.admin();
        let now_ms = fixture.now();
        let transaction = admin.begin().unwrap();
        let version = begin_version(&transaction, "standard", None, &Terms::default(), now_ms).unwrap();
        rates::insert(&transaction, version, &(rate("49", "9"), None)).unwrap();
        transaction.commit().unwrap();
    }
    assert_eq!(price_at(&fixture, "4930", fixture.now()).as_deref(), Some("0.1"));
    let rows = || -> i64 {
        fixture
            .admin()
            .connection()
            .query_row("SELECT count(*) FROM version_rate", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(rows(), 2);
    fixture.pass_ms(25 * 3_600_000);
    import(&fixture, None, "49,0.2\n").unwrap();
    assert_eq!(rows(), 2);
    assert_eq!(fixture.admin().versions("standard").unwrap().len(), 2);
}

#[test]
fn bands_and_taxes_come_with_the_version_and_stay_until_they_are_changed() {
    let fixture = fixture();
    let mut admin = fixture.admin();
    let terms = Terms {
        zone: "Europe/Berlin".parse().unwrap(),
        bands: vec!["peak=mon-fri/08:00-20:00".parse().unwrap()],
        taxes: Taxes::new(true, vec!["VAT=19".parse().unwrap()]).unwrap(),
    };
    let early = admin.put_band_rate("standard", &(rate("49", "0.3"), Some("peak".to_owned())));
    assert_eq!(early.unwrap_err().to_string(), "tariff standard has no band \"peak\"");
    admin.set_terms("standard", &terms).unwrap();
    let alone = admin.put_band_rate("standard", &(rate("49", "0.3"), Some("peak".to_owned())));
    assert_eq!(alone.unwrap_err().to_string(), "prefix 49 needs a rate for the other hours first");
    admin.put_rate("standard", &rate("49", "0.1")).unwrap();
    admin.put_band_rate("standard", &(rate("49", "0.3"), Some("peak".to_owned()))).unwrap();
    assert_eq!(admin.terms("standard").unwrap(), terms);
    // Monday, 18 January 2027, 07:00 and 06:59 UTC.
    let peak = 1_800_255_600_000;
    assert_eq!(price_at(&fixture, "4930", peak).as_deref(), Some("0.3"));
    assert_eq!(price_at(&fixture, "4930", peak - 1).as_deref(), Some("0.1"));
    let without = admin.set_terms("standard", &Terms::default()).unwrap_err();
    assert_eq!(without.to_string(), "tariff standard has rates for peak, which must stay");
}

#[test]
fn a_version_is_built_once_and_shared_by_every_directory() {
    let fixture = fixture();
    import(&fixture, None, "49,0.1\n").unwrap();
    let admin = fixture.admin();
    let mut versions = Versions::default();
    let mut load = || versions.tariffs(admin.connection(), fixture.now()).unwrap();
    let (first, second) = (load(), load());
    let of = |tariffs: &std::collections::HashMap<TariffId, ledger::Tariff>| {
        std::sync::Arc::as_ptr(&tariffs[&TariffId::from("standard")].versions()[0])
    };
    assert_eq!(of(&first), of(&second));
}

#[test]
fn calls_go_on_while_a_large_sheet_comes_in() {
    let fixture = fixture();
    let config = crate::store::StoreConfig { busy_timeout: Duration::from_secs(5), ..fixture.config() };
    let (sender, replies) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let (store, _) = crate::store::Store::open(config, move |id, reply| {
        let _ = sender.lock().unwrap().send((id, reply));
    })
    .unwrap();
    let text: String = (0..40_000).map(|number| format!("{},0.01\n", 1_000_000 + number)).collect();
    let done = AtomicBool::new(false);
    let expires = fixture.now() + 3_600_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            import(&fixture, None, &text).unwrap();
            done.store(true, Ordering::SeqCst);
        });
        let mut number = 0;
        while !done.load(Ordering::SeqCst) {
            number += 1;
            store.submit(1, authorize(&call_id(number), 0, expires));
            let (_, reply) = replies.recv_timeout(PATIENCE).unwrap();
            assert!(matches!(reply, StoreReply::Refused { .. }), "{reply:?}");
        }
        assert!(number > 3, "{number} calls came through");
    });
    assert_eq!(fixture.admin().tariffs().unwrap()[0].2, 40_000);
}

#[test]
fn a_rate_of_exchange_is_dated_and_final() {
    let fixture = fixture();
    let mut admin = fixture.admin();
    let (dollar, euro) = ("USD".parse().unwrap(), "EUR".parse().unwrap());
    let amount = |text: &str| text.parse().unwrap();
    let first = admin.add_exchange(dollar, euro, amount("0.9"), None).unwrap();
    assert_eq!(first.since_ms, fixture.now());
    let twice = admin.add_exchange(dollar, euro, amount("0.8"), None).unwrap_err();
    assert_eq!(twice.to_string(), "a rate of USD in EUR begins at that instant");
    assert!(admin.add_exchange(dollar, euro, amount("0.8"), Some(WallTime(5))).is_err());
    assert!(admin.add_exchange(dollar, euro, amount("0"), None).is_err());
    assert!(admin.add_exchange(euro, euro, amount("1"), None).is_err());
    admin.add_exchange(dollar, euro, amount("0.95"), Some(WallTime(fixture.now() + 5))).unwrap();
    let known = crate::store::tariffs::exchanges(admin.connection()).unwrap();
    let at = |ms| known.at(dollar, euro, fixture.now() + ms).map(|found| found.rate.to_string());
    assert_eq!(at(4).as_deref(), Some("0.9"));
    assert_eq!(at(5).as_deref(), Some("0.95"));
    assert!(admin.connection().execute_batch("UPDATE exchange_rate SET rate = 1").is_err());
}

#[test]
fn rates_from_before_there_were_versions_have_always_been_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.db");
    let before = crate::store::schema::tests::open_as_of(&path, 3);
    before
        .execute_batch(
            "INSERT INTO tariff VALUES ('standard', 'EUR'), ('empty', 'EUR');
             INSERT INTO rate VALUES ('standard', '49', 20000000, 60, 60, 1, 5, 'half-even', 2);",
        )
        .unwrap();
    drop(before);
    let admin = Admin::open(&path).unwrap();
    let rates = admin.rates("standard", Some(WallTime(1))).unwrap().rates;
    let terms = rates[0].0.terms();
    assert_eq!((rates.len(), terms.price.to_string().as_str(), terms.initial_seconds), (1, "0.02", 60));
    assert_eq!(terms.rounding.decimals, 2);
    assert!(admin.rates("empty", None).unwrap().rates.is_empty());
}
