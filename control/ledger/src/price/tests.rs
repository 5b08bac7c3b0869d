//! Charges and holds: the table of rules, then what must hold for any price.

use proptest::prelude::*;

use super::*;
use crate::{RateTerms, Rounding, RoundingMode, Tax};

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn terms(price: &str, increments: (u32, u32), fee: &str) -> RateTerms {
    RateTerms {
        initial_seconds: increments.0,
        next_seconds: increments.1,
        connection_fee: amount(fee),
        ..RateTerms::per_minute("49".parse().unwrap(), amount(price))
    }
}

fn price_of(terms: RateTerms) -> Price {
    Price::of(Rate::new(terms).unwrap())
}

fn rate(price: &str, increments: (u32, u32), fee: &str) -> Price {
    price_of(terms(price, increments, fee))
}

/// Pairs of duration in milliseconds and charge.
fn assert_charges(price: &Price, cases: &[(u64, &str)]) {
    for (duration_ms, charge) in cases {
        assert_eq!(price.charge(*duration_ms).unwrap().amount, amount(charge), "{duration_ms} ms");
    }
}

/// Increment, then pairs of duration in milliseconds and billed seconds.
type Vector = ((u32, u32), &'static [(u64, u64)]);

#[test]
fn durations_are_billed_in_started_increments() {
    let vectors: [Vector; 6] = [
        ((60, 60), &[(0, 60), (1, 60), (60_000, 60), (60_001, 120), (120_000, 120)]),
        ((1, 1), &[(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)]),
        ((30, 6), &[(12_000, 30), (30_000, 30), (30_001, 36), (37_000, 42)]),
        ((60, 1), &[(59_000, 60), (60_001, 61), (75_500, 76)]),
        // The first increment counts once: 150 and 210, not 120 and 180.
        ((90, 60), &[(90_000, 90), (90_001, 150), (150_001, 210)]),
        // 6.1 s in increments of six has begun the second one.
        ((6, 6), &[(6000, 6), (6100, 12)]),
    ];
    for (increments, cases) in vectors {
        let rate = rate("0.60", increments, "0");
        for (duration_ms, billed) in cases {
            let charge = rate.charge(*duration_ms).unwrap();
            assert_eq!(charge.billed_seconds, *billed, "{increments:?} {duration_ms}");
            let expected = Amount::from_nanos(i64::try_from(*billed).unwrap() * 10_000_000);
            assert_eq!(charge.amount, expected);
        }
    }
}

#[test]
fn the_connection_fee_is_charged_once() {
    let rate = rate("0.12", (1, 1), "0.05");
    assert_eq!(rate.charge(30_000).unwrap().amount, amount("0.11"));
    assert_eq!(rate.charge(60_000).unwrap().amount, amount("0.17"));
}

#[test]
fn the_sum_is_rounded_once_by_the_named_rule() {
    let charge = |mode, decimals, seconds: u64| {
        let mut terms = terms("0.01", (1, 1), "0");
        terms.rounding = Rounding { mode, decimals };
        let rate = price_of(terms);
        rate.charge(seconds * 1000).unwrap().amount.to_string()
    };
    // 0.01 a minute is 0.0001666… a second.
    assert_eq!(charge(RoundingMode::Up, 4, 1), "0.0002");
    assert_eq!(charge(RoundingMode::Down, 4, 1), "0.0001");
    assert_eq!(charge(RoundingMode::HalfEven, 4, 1), "0.0002");
    assert_eq!(charge(RoundingMode::Up, 9, 1), "0.000166667");
    assert_eq!(charge(RoundingMode::Down, 9, 1), "0.000166666");
    // Three seconds are 0.0005 exactly; six seconds are 0.001, not six
    // rounded seconds.
    assert_eq!(charge(RoundingMode::Up, 4, 3), "0.0005");
    assert_eq!(charge(RoundingMode::Up, 4, 6), "0.001");
    // The middle goes to the even neighbour: 0.0005 and 0.0015 at three.
    assert_eq!(charge(RoundingMode::HalfEven, 3, 3), "0");
    assert_eq!(charge(RoundingMode::HalfEven, 3, 9), "0.002");
    assert_eq!(charge(RoundingMode::Up, 0, 1), "1");
}

#[test]
fn a_hold_is_whole_increments_that_the_balance_affords() {
    let minutes = rate("0.60", (60, 60), "0.10");
    let held = |available: &str, seconds_max| {
        minutes
            .hold_for(amount(available), seconds_max)
            .map(|coverage| (coverage.amount.to_string(), coverage.seconds))
    };
    // The first increment must be affordable with the fee.
    assert_eq!(held("0.6999", 3600), None);
    assert_eq!(held("0.70", 3600), Some(("0.7".to_owned(), 60)));
    assert_eq!(held("2.00", 3600), Some(("1.9".to_owned(), 180)));
    assert_eq!(held("100", 3600), Some(("36.1".to_owned(), 3600)));
    assert_eq!(held("100", 100), Some(("0.7".to_owned(), 60)));
    assert_eq!(held("100", 30), Some(("0.7".to_owned(), 30)));
    assert_eq!(held("100", 0), None);
    assert_eq!(held("-1", 3600), None);
    assert_eq!(minutes.seconds_for(amount("1.30")), Some(120));
}

#[test]
fn a_free_rate_is_held_for_the_whole_time_at_no_cost() {
    let free = rate("0", (60, 60), "0");
    let coverage = free.hold_for(Amount::ZERO, u32::MAX).unwrap();
    assert_eq!(coverage.amount, Amount::ZERO);
    assert_eq!(coverage.seconds, u32::MAX - u32::MAX % 60);
}

#[test]
fn a_late_timer_does_not_begin_another_increment() {
    let minutes = rate("0.60", (60, 60), "0");
    assert_eq!(minutes.charge(60_004).unwrap().billed_seconds, 120);
    assert_eq!(minutes.charge_within(60_004, 60).unwrap().billed_seconds, 60);
}

#[test]
fn a_charge_that_does_not_fit_is_refused() {
    let dear = rate("9223372036", (60, 60), "0");
    assert_eq!(dear.charge(60_001), Err(RateError::Overflow));
    assert_eq!(dear.charge(u64::MAX), Err(RateError::Overflow));
    assert_eq!(dear.hold_for(Amount::MAX, u32::MAX).unwrap().seconds, 60);
}

#[test]
fn a_minimum_is_charged_where_the_call_costs_less() {
    let least = price_of(RateTerms {
        minimum_charge: amount("0.10"),
        grace_seconds: 3,
        ..terms("0.60", (1, 1), "0.02")
    });
    assert_charges(
        &least,
        &[(0, "0"), (2999, "0"), (3000, "0.10"), (8000, "0.10"), (8001, "0.11"), (60_000, "0.62")],
    );
    assert_eq!(least.hold_for(amount("0.0999"), 3600), None);
    let coverage = least.hold_for(amount("0.10"), 3600).unwrap();
    assert_eq!((coverage.amount, coverage.seconds), (amount("0.10"), 8));
}

#[test]
fn free_seconds_begin_no_increment_and_fees_are_due_all_the_same() {
    let free = price_of(RateTerms { free_seconds: 10, ..terms("0.60", (60, 60), "0.05") });
    assert_charges(
        &free,
        &[(0, "0.05"), (10_000, "0.05"), (10_001, "0.65"), (70_000, "0.65"), (70_001, "1.25")],
    );
    assert_eq!(free.charge(10_000).unwrap().billed_seconds, 0);
    // The first increment must be affordable, and lasts beyond the free seconds.
    assert_eq!(free.hold_for(amount("0.64"), 3600), None);
    let coverage = free.hold_for(amount("1"), 3600).unwrap();
    assert_eq!((coverage.amount, coverage.seconds), (amount("0.65"), 70));
    assert_eq!(free.hold_for(amount("1"), 7).unwrap().seconds, 7);
}

#[test]
fn a_call_within_its_grace_is_free_and_one_beyond_is_charged_from_its_first_second() {
    let grace = price_of(RateTerms { grace_seconds: 5, ..terms("0.60", (1, 1), "0.05") });
    assert_charges(&grace, &[(0, "0"), (4999, "0"), (5000, "0.10"), (5001, "0.11")]);
    // Nobody without credit talks for free by hanging up within the grace.
    assert_eq!(grace.hold_for(amount("0.05"), 3600), None);
    // The order of the two: the grace counts the whole call, the free seconds only delay the increments.
    let both = price_of(RateTerms { free_seconds: 3, ..grace.rate.terms().clone() });
    assert_charges(&both, &[(4999, "0"), (5000, "0.07"), (6000, "0.08")]);
}

#[test]
fn an_attempt_fee_is_for_calls_that_nobody_answers() {
    let price = price_of(RateTerms { attempt_fee: amount("0.80"), ..terms("0.60", (60, 60), "0") });
    assert_eq!(price.attempt(), Ok(amount("0.80")));
    assert_charges(&price, &[(0, "0.60"), (60_001, "1.20")]);
    // The hold pays for either end of the call.
    assert_eq!(price.hold_for(amount("0.79"), 3600), None);
    let coverage = price.hold_for(amount("1"), 3600).unwrap();
    assert_eq!((coverage.amount, coverage.seconds), (amount("0.80"), 60));
    assert_eq!(price.most(60), Ok(amount("0.80")));
    assert_eq!(price.most(61), Ok(amount("1.20")));
}

#[test]
fn a_zero_rated_prefix_needs_no_credit() {
    let free = price_of(terms("0", (60, 60), "0"));
    assert!(free.rate.is_zero_rated());
    assert_eq!(free.hold_for(Amount::ZERO, 3600).unwrap().amount, Amount::ZERO);
    assert_charges(&free, &[(0, "0"), (3_600_000, "0")]);
    assert_eq!(free.attempt(), Ok(Amount::ZERO));
    for (index, fee) in ["0.01"; 3].into_iter().enumerate() {
        let mut terms = terms("0", (1, 1), "0");
        *[&mut terms.connection_fee, &mut terms.minimum_charge, &mut terms.attempt_fee][index] = amount(fee);
        assert!(!Rate::new(terms).unwrap().is_zero_rated());
    }
}

fn taxed(price: Price, included: bool, taxes: &[&str]) -> Price {
    let list: Vec<Tax> = taxes.iter().map(|tax| tax.parse().unwrap()).collect();
    Price { taxes: Taxes::new(included, list).unwrap(), ..price }
}

#[test]
fn a_tax_is_added_or_included_and_the_sum_is_rounded_once() {
    let cents = |included, taxes: &[&str]| {
        let mut terms = terms("0.10", (1, 1), "0");
        terms.rounding = Rounding { mode: RoundingMode::Up, decimals: 2 };
        taxed(price_of(terms), included, taxes)
    };
    // 0.10 a minute and 19 %: 0.119 are 0.12, and not 0.12 of 0.10 and 0.02; 25 s are 0.0495…
    assert_charges(&cents(false, &["VAT=19"]), &[(60_000, "0.12"), (25_000, "0.05"), (600_000, "1.19")]);
    assert_charges(&cents(true, &["VAT=19"]), &[(60_000, "0.10"), (600_000, "1.00")]);
    // Two taxes are both on the price before tax.
    assert_charges(&cents(false, &["state=20", "city=5"]), &[(600_000, "1.25")]);
    let with = cents(false, &["VAT=19"]);
    assert_eq!(with.taxes.shares(with.charge(600_000).unwrap().amount)[0].amount, amount("0.19"));
    // Fees carry it too.
    let fee = taxed(
        price_of(RateTerms { attempt_fee: amount("1"), ..terms("0", (1, 1), "0") }),
        false,
        &["VAT=19"],
    );
    assert_eq!(fee.attempt(), Ok(amount("1.19")));
}

#[test]
fn a_price_in_another_currency_is_converted_before_it_is_rounded() {
    let mut price = rate("0.10", (60, 60), "0");
    price.exchange = Some(Exchange {
        from: "USD".parse().unwrap(),
        to: "EUR".parse().unwrap(),
        rate: amount("0.925"),
        since_ms: 0,
    });
    assert_charges(&price, &[(1, "0.0925"), (60_001, "0.185")]);
    let all = taxed(price, false, &["VAT=19"]);
    // 0.10 × 1.19 × 0.925 = 0.110075
    assert_charges(&all, &[(1, "0.1101")]);
    assert_eq!(all.hold_for(amount("0.1101"), 3600).unwrap().seconds, 60);
    assert_eq!(all.hold_for(amount("0.11"), 3600), None);
}

fn fee() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 0_i64..2_000_000_000]
}

fn seconds() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 1_u32..40]
}

prop_compose! {
    pub(crate) fn any_price()(
        price in 0_i64..2_000_000_000_000,
        fee in 0_i64..2_000_000_000,
        per_seconds in 1_u32..=3600,
        initial_seconds in 1_u32..=120,
        next_seconds in 1_u32..=120,
        decimals in 0_u8..=9,
        mode in prop::sample::select(vec![
            RoundingMode::Up, RoundingMode::HalfEven, RoundingMode::Down,
        ]),
        fees in (fee(), fee()),
        breaks in (seconds(), seconds()),
        taxes in prop::collection::vec(0_i64..400_000, 0..3),
        included: bool,
        exchange in prop::option::of(1_i64..30_000_000_000_000),
    ) -> Price {
        let rate = Rate::new(RateTerms {
            price: Amount::from_nanos(price),
            per_seconds,
            initial_seconds,
            next_seconds,
            connection_fee: Amount::from_nanos(fee),
            rounding: Rounding { mode, decimals },
            minimum_charge: Amount::from_nanos(fees.0),
            attempt_fee: Amount::from_nanos(fees.1),
            free_seconds: breaks.0,
            grace_seconds: breaks.1,
            ..RateTerms::per_minute("1".parse().unwrap(), Amount::ZERO)
        }).unwrap();
        let taxes = taxes.into_iter().enumerate().map(|(index, ppm)| {
            format!("{index}={}", Amount::from_nanos(ppm * 100_000)).parse().unwrap()
        });
        let exchange = exchange.map(|rate| Exchange {
            from: "USD".parse().unwrap(),
            to: "VND".parse().unwrap(),
            rate: Amount::from_nanos(rate),
            since_ms: 0,
        });
        let taxes = Taxes::new(included, taxes.collect()).unwrap();
        Price { taxes, exchange, ..Price::of(rate) }
    }
}

proptest! {
    #[test]
    fn the_charge_of_a_held_call_never_exceeds_the_hold(
        price in any_price(),
        available in 0_i64..10_000_000_000_000,
        seconds_max in 1_u32..100_000,
        duration_ms in 0_u64..200_000_000,
    ) {
        let available = Amount::from_nanos(available);
        if let Some(coverage) = price.hold_for(available, seconds_max) {
            prop_assert!(coverage.amount <= available);
            prop_assert!(coverage.seconds <= seconds_max);
            let charge = price.charge_within(duration_ms, coverage.seconds).unwrap();
            prop_assert!(charge.amount <= coverage.amount);
            prop_assert!(price.attempt().unwrap() <= coverage.amount);
            prop_assert!(price.most(coverage.seconds).unwrap() <= coverage.amount);
            let taxes = price.taxes.shares(charge.amount);
            let sum: i64 = taxes.iter().map(|share| share.amount.nanos()).sum();
            prop_assert!(sum <= charge.amount.nanos());
        } else {
            let first = price.most(price.rate.terms().free_seconds + 1);
            prop_assert!(first.is_err() || first.unwrap() > available);
        }
    }

    #[test]
    fn a_hold_is_the_longest_that_is_affordable(
        price in any_price(),
        available in 0_i64..10_000_000_000_000,
    ) {
        let available = Amount::from_nanos(available);
        if let Some(coverage) = price.hold_for(available, 7200) {
            let longer = price.most(coverage.seconds + 1);
            let next = u64::from(coverage.seconds + price.rate.terms().next_seconds);
            prop_assert!(next > 7200 || longer.is_err() || longer.unwrap() > available);
        }
    }

    #[test]
    fn a_longer_call_never_costs_less(
        price in any_price(), short in 0_u64..10_000_000, more in 0_u64..1_000_000,
    ) {
        let (Ok(short), long) = (price.charge(short), price.charge(short + more)) else { return Ok(()) };
        let Ok(long) = long else { return Ok(()) };
        prop_assert!(short.amount <= long.amount);
        prop_assert!(short.billed_seconds <= long.billed_seconds);
    }
}
