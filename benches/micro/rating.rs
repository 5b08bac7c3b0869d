//! A number rated among half a million prefixes, as every call asks for it, and the list built.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ledger::{
    Amount, Currency, Exchanges, Prefix, Quote, Rate, RateTable, Tariff, TariffVersion, Terms, Validity,
};

const RATES: usize = 500_000;
/// More than fit a cache of the first level, so that a look-up does not find its own way again.
const NUMBERS: usize = 65_536;
/// Where most calls of a provider go.
const POPULAR: usize = 5000;
const NUMBER_DIGITS: usize = 13;

/// A generator of numbers that are all different from run to run of its state and the same from run to run of the bench.
struct Random(u64);

impl Random {
    /// Below `end` (SplitMix64).
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Prefixes as carriers list them: every block of North America, which is 7 digits, and 4 to 9 digits elsewhere.
fn prefixes(random: &mut Random) -> Vec<String> {
    let blocks = (200..1000).flat_map(|area| (0..400).map(move |block| format!("1{area}{block:03}")));
    let mut prefixes: std::collections::BTreeSet<String> = blocks.collect();
    prefixes.insert("1".to_owned());
    while prefixes.len() < RATES {
        let country = 20 + random.below(80);
        let digits = u32::try_from(2 + random.below(6)).expect("few digits");
        prefixes.insert(format!(
            "{country}{:0width$}",
            random.below(10_u64.pow(digits)),
            width = digits as usize
        ));
    }
    prefixes.into_iter().collect()
}

fn rates(prefixes: &[String]) -> Vec<Rate> {
    let rate = |(index, prefix): (usize, &String)| {
        let prefix: Prefix = prefix.parse().expect("digits");
        let price = i64::try_from(index % 1000).expect("small") * 100_000;
        Rate::per_minute(prefix, Amount::from_nanos(price)).expect("a price")
    };
    prefixes.iter().enumerate().map(rate).collect()
}

fn tariff(terms: Terms, rates: &[Rate]) -> Tariff {
    let table =
        RateTable::new(rates.iter().map(|rate| (rate.clone(), None))).expect("no prefix is there twice");
    let version = TariffVersion::new(Validity::ALWAYS, terms, table).expect("a version");
    let currency: Currency = "EUR".parse().expect("a currency");
    Tariff::new("bench", currency, [Arc::new(version)]).expect("a tariff")
}

fn rating(criterion: &mut Criterion) {
    let mut random = Random(7);
    let prefixes = prefixes(&mut random);
    let rates = rates(&prefixes);
    // One after the other in memory: a call's number is at hand when it is rated, the list is not.
    let numbers: String = (0..NUMBERS)
        .map(|_| {
            let prefix = &prefixes[usize::try_from(random.below(prefixes.len() as u64)).expect("an index")];
            let rest = NUMBER_DIGITS - prefix.len();
            format!("{prefix}{:0rest$}", random.below(10_u64.pow(u32::try_from(rest).expect("few digits"))))
        })
        .collect();
    let flat = tariff(Terms::default(), &rates);
    let hours = Terms {
        zone: "Europe/Berlin".parse().expect("a zone"),
        bands: vec!["peak=mon-fri/08:00-20:00".parse().expect("a band")],
        ..Terms::default()
    };
    let banded = tariff(hours, &rates);
    let table = flat.versions()[0].rates();

    let mut group = criterion.benchmark_group("rating");
    let mut next = (0..NUMBERS).cycle();
    let mut number = || {
        let at = next.next().expect("endless") * NUMBER_DIGITS;
        &numbers[at..at + NUMBER_DIGITS]
    };
    group.bench_function("find a rate among 500000", |bencher| {
        bencher.iter(|| table.find(black_box(number()), None).is_some());
    });
    let mut again = (0..NUMBERS).cycle();
    let mut popular = || {
        let at = again.next().expect("endless") % POPULAR * NUMBER_DIGITS;
        &numbers[at..at + NUMBER_DIGITS]
    };
    group.bench_function("find one of 5000 popular rates among 500000", |bencher| {
        bencher.iter(|| table.find(black_box(popular()), None).is_some());
    });
    let at_ms = 1_800_000_000_000;
    group.bench_function("find the rate of an hour among 500000", |bencher| {
        bencher.iter(|| banded.rate_at(black_box(number()), at_ms).is_some());
    });
    let (none, euro) = (Exchanges::default(), flat.currency());
    group.bench_function("quote a call over ten minutes", |bencher| {
        bencher.iter(|| Quote::find(&[&flat], &none, black_box(number()), euro, at_ms, at_ms + 600_000));
    });
    group.bench_function("quote a call over ten minutes with hours", |bencher| {
        bencher.iter(|| Quote::find(&[&banded], &none, black_box(number()), euro, at_ms, at_ms + 600_000));
    });
    group.sample_size(10);
    group.throughput(Throughput::Elements(RATES as u64));
    group.bench_function("build a table of 500000", |bencher| {
        let listed = || rates.iter().map(|rate| (rate.clone(), None)).collect::<Vec<_>>();
        bencher.iter_batched(listed, RateTable::new, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, rating);
criterion_main!(benches);
