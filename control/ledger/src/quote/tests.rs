use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::price::tests::any_price;
use crate::zone::tests::at;
use crate::{Exchange, RateTable, RateTerms, TariffVersion, Terms, Validity};

fn rate(prefix: &str, price: &str) -> Rate {
    Rate::per_minute(prefix.parse().unwrap(), price.parse().unwrap()).unwrap()
}

fn version(validity: Validity, terms: Terms, rates: Vec<(Rate, Option<u8>)>) -> Arc<TariffVersion> {
    Arc::new(TariffVersion::new(validity, terms, RateTable::new(rates).unwrap()).unwrap())
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn find(tariffs: &[&Tariff], exchanges: &Exchanges, from: &str, until: &str) -> Option<Quote> {
    Quote::find(tariffs, exchanges, "493012345", euro(), at(from), at(until))
}

fn prices(quote: &Quote) -> Vec<String> {
    quote.prices().map(|price| price.rate.terms().price.to_string()).collect()
}

#[test]
fn a_call_is_priced_by_the_version_at_its_answer_and_held_for_the_dearest() {
    let from = |text: &str| Validity { from_ms: at(text), until_ms: None };
    let tariff = Tariff::new(
        "retail",
        euro(),
        [
            version(Validity::ALWAYS, Terms::default(), vec![(rate("49", "0.6"), None)]),
            version(from("2026-03-01T00:00:00Z"), Terms::default(), vec![(rate("49", "1.2"), None)]),
            version(from("2026-03-01T00:01:00Z"), Terms::default(), vec![(rate("49", "0.3"), None)]),
        ],
    )
    .unwrap();
    let none = Exchanges::default();
    let quote = find(&[&tariff], &none, "2026-02-28T23:59:30Z", "2026-03-01T00:05:00Z").unwrap();
    assert_eq!(prices(&quote), ["0.6", "1.2", "0.3"]);
    let charge = |answered: &str| quote.at(at(answered)).charge(60_000).unwrap().amount.to_string();
    assert_eq!(charge("2026-02-28T23:59:59.999Z"), "0.6");
    assert_eq!(charge("2026-03-01T00:00:00Z"), "1.2");
    // A change during the call does not touch it: only the answer counts.
    assert_eq!(charge("2026-03-01T00:00:59Z"), "1.2");
    assert_eq!(charge("2026-03-01T00:01:00Z"), "0.3");
    let held = quote.hold_for("2".parse().unwrap(), 60).unwrap();
    assert_eq!((held.amount.to_string(), held.seconds), ("1.2".to_owned(), 60));
    let mut fixed = quote.clone();
    fixed.fix(at("2026-03-01T00:00:30Z"));
    assert_eq!(prices(&fixed), ["1.2"]);
    // Nobody rings so long.
    let before = find(&[&tariff], &none, "2026-02-28T23:50:00Z", "2026-02-28T23:55:00Z").unwrap();
    assert_eq!(prices(&before), ["0.6"]);
    assert_eq!(before.hold_for("2".parse().unwrap(), 60).unwrap().amount.to_string(), "0.6");
}

#[test]
fn peak_hours_that_begin_while_it_rings_are_held_for() {
    let terms = Terms {
        zone: "Europe/Berlin".parse().unwrap(),
        bands: vec!["peak=mon-fri/08:00-20:00".parse().unwrap()],
        ..Terms::default()
    };
    let rates = vec![(rate("49", "0.1"), None), (rate("49", "0.3"), Some(0))];
    let tariff = Tariff::new("retail", euro(), [version(Validity::ALWAYS, terms, rates)]).unwrap();
    let none = Exchanges::default();
    let quote = find(&[&tariff], &none, "2026-01-12T06:58:10Z", "2026-01-12T07:03:10Z").unwrap();
    assert_eq!(prices(&quote), ["0.1", "0.3"]);
    assert_eq!(quote.at(at("2026-01-12T06:59:59.999Z")).rate.terms().price.to_string(), "0.1");
    assert_eq!(quote.at(at("2026-01-12T07:00:00Z")).rate.terms().price.to_string(), "0.3");
    assert_eq!(quote.hold_for("1".parse().unwrap(), 60).unwrap().amount.to_string(), "0.3");
    let outside = find(&[&tariff], &none, "2026-01-12T06:50:00Z", "2026-01-12T06:55:00Z").unwrap();
    assert_eq!(prices(&outside), ["0.1"]);
    // The night the clock goes forward, the band begins at 03:00 by the clock, an hour early by UTC.
    let whole_day = find(&[&tariff], &none, "2026-01-12T00:00:00Z", "2030-01-01T00:00:00Z").unwrap();
    assert_eq!(prices(&whole_day), ["0.1", "0.3", "0.1"]);
}

#[test]
fn an_override_wins_only_over_a_prefix_that_is_no_longer() {
    let tariff = Tariff::flat("retail", euro(), [rate("49", "0.6"), rate("4930", "0.5")]).unwrap();
    let none = Exchanges::default();
    let (from, until) = ("2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z");
    for (prefix, price) in [("49", "0.5"), ("4930", "0.1"), ("493012", "0.1"), ("33", "0.5")] {
        let own = Tariff::flat("alice", euro(), [rate(prefix, "0.1")]).unwrap();
        let quote = find(&[&own, &tariff], &none, from, until).unwrap();
        assert_eq!(prices(&quote), [price], "{prefix}");
    }
    assert!(find(&[], &none, from, until).is_none());
}

#[test]
fn a_price_in_another_currency_needs_a_rate_of_exchange_that_holds() {
    let dollar: Currency = "USD".parse().unwrap();
    let tariff = Tariff::flat("wholesale", dollar, [rate("49", "1")]).unwrap();
    let exchange = |rate: &str, since: &str| Exchange {
        from: dollar,
        to: euro(),
        rate: rate.parse().unwrap(),
        since_ms: at(since),
    };
    let known =
        Exchanges::new([exchange("0.9", "2026-01-01T00:00:00Z"), exchange("0.95", "2026-02-01T00:00:00Z")])
            .unwrap();
    assert!(find(&[&tariff], &known, "2025-12-31T23:59:00Z", "2026-01-01T00:10:00Z").is_none());
    let quote = find(&[&tariff], &known, "2026-01-31T23:59:00Z", "2026-02-01T00:01:00Z").unwrap();
    let charge = |answered: &str| quote.at(at(answered)).charge(60_000).unwrap().amount.to_string();
    assert_eq!(charge("2026-01-31T23:59:59Z"), "0.9");
    assert_eq!(charge("2026-02-01T00:00:00Z"), "0.95");
}

#[test]
fn a_quote_is_written_as_a_list_and_reads_what_older_programs_wrote() {
    let mut quote = Quote::from(rate("49", "0.6"));
    quote.later.push((5000, Price::of(rate("49", "1.2"))));
    let text = serde_json::to_string(&quote).unwrap();
    assert_eq!(serde_json::from_str::<Quote>(&text).unwrap(), quote);
    let old = r#"{"prefix":"49","price":"0.6","per_seconds":60,"initial_seconds":1,"next_seconds":1,
        "connection_fee":"0","rounding":{"mode":"up","decimals":4}}"#;
    assert_eq!(serde_json::from_str::<Quote>(old).unwrap(), Quote::from(rate("49", "0.6")));
    assert!(serde_json::from_str::<Quote>("[]").is_err());
    let terms: RateTerms = serde_json::from_str(old).unwrap();
    assert_eq!(terms, RateTerms::per_minute("49".parse().unwrap(), "0.6".parse().unwrap()));
}

proptest! {
    #[test]
    fn whenever_the_call_is_answered_its_charge_is_within_its_hold(
        first in any_price(),
        later in prop::collection::vec((0_u64..1000, any_price()), 0..3),
        available in 0_i64..10_000_000_000_000,
        seconds_max in 1_u32..100_000,
        answered_ms in 0_u64..1200,
        duration_ms in 0_u64..200_000_000,
    ) {
        let mut later = later;
        later.sort_by_key(|(since, _)| *since);
        let quote = Quote { first, later };
        let available = Amount::from_nanos(available);
        if let Some(coverage) = quote.hold_for(available, seconds_max) {
            prop_assert!(coverage.amount <= available && coverage.seconds <= seconds_max);
            let price = quote.at(answered_ms);
            let charge = price.charge_within(duration_ms, coverage.seconds).unwrap();
            prop_assert!(charge.amount <= coverage.amount);
            prop_assert!(price.attempt().unwrap() <= coverage.amount);
        } else {
            let refused = |price: &Price| price.hold_for(available, seconds_max).is_none();
            prop_assert!(quote.prices().any(refused));
        }
    }
}
