//! What a call costs whoever called, and what it costs us.

use std::sync::Arc;
use std::time::Duration;

use call::{Money, TariffId};
use ledger::{
    Currency, Exchange, Exchanges, Rate, RateTable, RateTerms, Tariff, TariffVersion, Taxes, Terms, Validity,
};
use sip::Method;

use crate::basic::{Pair, dialled, hung_up, talking};
use crate::world::{World, money};

fn currency(code: &str) -> Currency {
    code.parse().expect("a currency")
}

/// A price per minute, by the second, for Germany.
fn terms(price: &str) -> RateTerms {
    RateTerms::per_minute("49".parse().expect("a prefix"), money(price))
}

fn rate(terms: RateTerms) -> Rate {
    Rate::new(terms).expect("a rate")
}

fn version(from_ms: u64, taxes: Taxes, terms: RateTerms) -> Arc<TariffVersion> {
    let validity = Validity { from_ms, until_ms: None };
    let table = RateTable::new([(rate(terms), None)]).expect("a table");
    let common = Terms { taxes, ..Terms::default() };
    Arc::new(TariffVersion::new(validity, common, table).expect("a version"))
}

fn sell(world: &mut World, versions: impl IntoIterator<Item = Arc<TariffVersion>>) {
    let tariff = Tariff::new("retail", currency("EUR"), versions).expect("a tariff");
    world.directory.tariffs.insert(TariffId::from("retail"), tariff);
    world.publish();
}

fn buy(world: &mut World, trunk: usize, tariff: &str, code: &str, terms: RateTerms) {
    let tariff_of = Tariff::flat(tariff, currency(code), [rate(terms)]).expect("a tariff");
    world.directory.tariffs.insert(TariffId::from(tariff), tariff_of);
    world.directory.trunks[trunk].buy_tariff = Some(TariffId::from(tariff));
    world.publish();
}

/// Talks for so long, then hangs up.
fn talked(world: &mut World, talk_ms: u64) {
    let (mut pair, mut at_phone, _) = talking(world);
    world.pass_ms(talk_ms);
    hung_up(world, &mut pair.phone, &mut at_phone, &pair.carrier);
    world.finish();
}

/// Rings at the carrier and is declined by the called side.
fn declined(world: &mut World, status: u16) {
    let pair = dialled(world);
    world.pass_ms(300);
    pair.carrier.send(world, pair.carrier.response(&pair.onward, status, None));
    pair.carrier.expect_request(world, Method::Ack);
    world.finish();
}

#[test]
fn a_call_is_priced_by_the_version_at_its_answer() {
    let mut world = World::new();
    let start = world.wall_ms;
    // The answer comes 2.3 s after the INVITE.
    let versions = |change: u64| {
        [version(0, Taxes::default(), terms("0.6")), version(start + change, Taxes::default(), terms("6"))]
    };
    for (change, price) in [(2301, "0.6"), (2300, "6")] {
        let mut world = World::new();
        sell(&mut world, versions(change));
        talked(&mut world, 10_000);
        let cdr = world.cdr();
        assert_eq!(cdr.rate.as_ref().expect("a rate").terms().price, money(price), "{change}");
        assert_eq!(cdr.charge, if price == "6" { money("1") } else { money("0.1") });
        let source = cdr.tariff.expect("a source");
        assert_eq!(source.version_ms, if price == "6" { start + change } else { 0 });
        // Ten euros at the dearer price: what was held before anybody knew when it would be answered.
        assert_eq!(cdr.held, money("10"));
    }
    // A change during the call does not touch it, and a new list does not either.
    sell(&mut world, versions(5000));
    let (mut pair, mut at_phone, _) = talking(&mut world);
    sell(&mut world, [version(0, Taxes::default(), terms("60"))]);
    world.pass_ms(10_000);
    hung_up(&mut world, &mut pair.phone, &mut at_phone, &pair.carrier);
    world.finish();
    assert_eq!(world.cdr().charge, money("0.1"));
}

#[test]
fn a_restart_keeps_the_price_of_the_answer() {
    let mut world = World::new();
    let change = world.wall_ms + 5000;
    sell(
        &mut world,
        [version(0, Taxes::default(), terms("0.6")), version(change, Taxes::default(), terms("6"))],
    );
    buy(&mut world, 0, "carrier", "EUR", terms("0.3"));
    let (mut pair, mut at_phone, _) = talking(&mut world);
    world.pass_ms(5000);
    world.restart(Duration::from_secs(2));
    world.pass_ms(3000);
    hung_up(&mut world, &mut pair.phone, &mut at_phone, &pair.carrier);
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.charge, cdr.cost, cdr.margin), (money("0.1"), Some(money("0.05")), Some(money("0.05"))));
}

#[test]
fn an_attempt_fee_is_for_what_the_called_side_did_not_answer() {
    for (status, charge) in [(486, "0.25"), (404, "0.25"), (500, "0"), (503, "0")] {
        let mut world = World::new();
        world.directory.trunks.truncate(1);
        let fee = RateTerms { attempt_fee: money("0.25"), ..terms("0.6") };
        sell(&mut world, [version(0, Taxes::default(), fee)]);
        declined(&mut world, status);
        let cdr = world.cdr();
        assert_eq!((cdr.charge, cdr.billed_seconds), (money(charge), 0), "{status}");
        assert_eq!(world.balance("alice"), money("10").checked_sub(money(charge)).expect("in range"));
    }
    // An answered call pays for its time.
    let mut world = World::new();
    let fee = RateTerms { attempt_fee: money("0.25"), ..terms("0.6") };
    sell(&mut world, [version(0, Taxes::default(), fee)]);
    talked(&mut world, 10_000);
    assert_eq!(world.cdr().charge, money("0.1"));
}

#[test]
fn a_caller_that_gives_up_pays_the_attempt_fee() {
    let mut world = World::new();
    let fee = RateTerms { attempt_fee: money("0.25"), ..terms("0.6") };
    sell(&mut world, [version(0, Taxes::default(), fee)]);
    let Pair { phone, carrier, invite, onward } = dialled(&mut world);
    carrier.send(&mut world, carrier.response(&onward, 180, None));
    phone.expect(&mut world, 180);
    let cancel = phone.cancel(&invite);
    phone.send(&mut world, cancel);
    carrier.expect_request(&mut world, Method::Cancel);
    carrier.send(&mut world, carrier.response(&onward, 487, None));
    world.finish();
    assert_eq!(world.cdr().charge, money("0.25"));
}

#[test]
fn every_record_has_its_taxes_its_cost_and_its_margin() {
    let mut world = World::new();
    let taxes = Taxes::new(false, vec!["VAT=20".parse().expect("a tax")]).expect("taxes");
    sell(&mut world, [version(0, taxes, terms("0.6"))]);
    buy(&mut world, 0, "carrier", "USD", terms("0.3"));
    let dollar = Exchange { from: currency("USD"), to: currency("EUR"), rate: money("0.9"), since_ms: 0 };
    world.directory.exchanges = Exchanges::new([dollar]).expect("an exchange");
    world.publish();
    talked(&mut world, 10_000);
    let cdr = world.cdr();
    assert_eq!(cdr.charge, money("0.12"));
    assert_eq!(cdr.taxes[0].amount, money("0.02"));
    assert_eq!(cdr.attempts[0].cost, Some(Money { amount: money("0.05"), currency: currency("USD") }));
    assert_eq!((cdr.cost, cdr.margin), (Some(money("0.045")), Some(money("0.055"))));
}

#[test]
fn a_try_that_failed_counts_at_its_own_carriers_price() {
    let mut world = World::new();
    buy(&mut world, 0, "first", "EUR", RateTerms { attempt_fee: money("0.01"), ..terms("9") });
    buy(&mut world, 1, "second", "EUR", terms("0.3"));
    let mut pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 503, None));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let second = crate::peer::Peer::udp("second", "198.51.100.2:5080");
    let onward = second.expect_request(&mut world, Method::Invite);
    let mut at_phone = crate::basic::answered(
        &mut world,
        &mut pair.phone,
        &second,
        [&pair.invite, &onward],
        &crate::peer::sdp(6000),
    );
    world.pass_ms(10_000);
    hung_up(&mut world, &mut pair.phone, &mut at_phone, &second);
    world.finish();
    let cdr = world.cdr();
    let costs: Vec<_> = cdr.attempts.iter().map(|attempt| attempt.cost.expect("known").amount).collect();
    assert_eq!(costs, [money("0.01"), money("0.05")]);
    assert_eq!(cdr.cost, Some(money("0.06")));
    assert_eq!(cdr.margin, cdr.charge.checked_sub(money("0.06")));
}

#[test]
fn a_trial_is_for_the_numbers_that_are_marked_for_it_or_free() {
    for (terms, status) in [
        (terms("0.6"), 403),
        (RateTerms { trial: true, ..terms("0.6") }, 180),
        (terms("0"), 180),
        (RateTerms { attempt_fee: money("1"), ..terms("0") }, 403),
    ] {
        let mut world = World::new();
        world.directory.accounts.get_mut(&"alice".into()).expect("an account").on_trial = true;
        sell(&mut world, [version(0, Taxes::default(), terms)]);
        let (mut phone, carrier) = (crate::basic::phone(), crate::basic::carrier());
        let invite = phone.invite("+493055555", Some(&crate::peer::sdp(4000)));
        phone.send(&mut world, invite);
        if status == 180 {
            let onward = carrier.expect_request(&mut world, Method::Invite);
            carrier.send(&mut world, carrier.response(&onward, 180, None));
        }
        phone.expect(&mut world, status);
    }
}

#[test]
fn without_a_carriers_prices_there_is_no_margin_and_a_call_that_reached_none_has_one() {
    let mut world = World::new();
    talked(&mut world, 1000);
    let cdr = world.cdr();
    assert_eq!((cdr.cost, cdr.margin), (None, None));
    let mut world = World::new();
    world.store.balances.insert("alice".into(), money("0"));
    let mut phone = crate::basic::phone();
    let invite = phone.invite("+493055555", Some(&crate::peer::sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 402);
    let cdr = world.cdr();
    assert_eq!((cdr.cost, cdr.margin), (Some(money("0")), Some(money("0"))));
}
