use super::*;
use crate::zone::tests::at;

fn rates(price: &str) -> RateTable {
    let rate = Rate::per_minute("49".parse().unwrap(), price.parse().unwrap()).unwrap();
    RateTable::new([(rate, None)]).unwrap()
}

fn version(from: &str, until: Option<&str>, price: &str) -> Arc<TariffVersion> {
    let validity = Validity { from_ms: at(from), until_ms: until.map(at) };
    Arc::new(TariffVersion::new(validity, Terms::default(), rates(price)).unwrap())
}

fn price_at(tariff: &Tariff, instant: &str) -> Option<String> {
    tariff.rate_at("4930", at(instant)).map(|found| found.rate.terms().price.to_string())
}

#[test]
fn the_version_that_began_last_is_in_force() {
    let tariff = Tariff::new(
        "retail",
        "EUR".parse().unwrap(),
        [
            version("2026-03-01T00:00:00Z", None, "3"),
            version("2026-01-01T00:00:00Z", None, "1"),
            version("2026-02-01T00:00:00Z", Some("2026-02-15T00:00:00Z"), "2"),
        ],
    )
    .unwrap();
    for (instant, price) in [
        ("2025-12-31T23:59:59.999Z", None),
        ("2026-01-01T00:00:00Z", Some("1")),
        ("2026-01-31T23:59:59.999Z", Some("1")),
        ("2026-02-01T00:00:00Z", Some("2")),
        // Its end is a hole: the version before does not come back.
        ("2026-02-15T00:00:00Z", None),
        ("2026-03-01T00:00:00Z", Some("3")),
        ("2030-01-01T00:00:00Z", Some("3")),
    ] {
        assert_eq!(price_at(&tariff, instant).as_deref(), price, "{instant}");
    }
}

#[test]
fn versions_that_cannot_be_are_refused() {
    let currency = "EUR".parse().unwrap();
    let one = version("2026-01-01T00:00:00Z", None, "1");
    assert_eq!(Tariff::new("t", currency, [one.clone(), one]).unwrap_err(), TariffError::Twice);
    let backwards = Validity { from_ms: 5, until_ms: Some(5) };
    let made = TariffVersion::new(backwards, Terms::default(), rates("1"));
    assert_eq!(made.unwrap_err(), TariffError::Validity);
    let rate = Rate::per_minute("49".parse().unwrap(), "1".parse().unwrap()).unwrap();
    let banded = RateTable::new([(rate.clone(), None), (rate, Some(0))]).unwrap();
    let made = TariffVersion::new(Validity::ALWAYS, Terms::default(), banded);
    assert_eq!(made.unwrap_err(), TariffError::Bands);
}

/// 0.10 a minute, 0.30 in the band, in Berlin.
fn banded(band: &str) -> Tariff {
    let rate = |price: &str| Rate::per_minute("49".parse().unwrap(), price.parse().unwrap()).unwrap();
    let terms = Terms {
        zone: "Europe/Berlin".parse().unwrap(),
        bands: vec![band.parse().unwrap()],
        taxes: Taxes::default(),
    };
    let table = RateTable::new([(rate("0.1"), None), (rate("0.3"), Some(0))]).unwrap();
    let version = TariffVersion::new(Validity::ALWAYS, terms, table).unwrap();
    Tariff::new("retail", "EUR".parse().unwrap(), [Arc::new(version)]).unwrap()
}

fn assert_prices(tariff: &Tariff, cases: &[(&str, &str)]) {
    for (instant, price) in cases {
        assert_eq!(price_at(tariff, instant).as_deref(), Some(*price), "{instant}");
    }
}

#[test]
fn peak_hours_follow_the_clock_of_the_time_zone() {
    let tariff = banded("peak=mon-fri/08:00-20:00");
    assert_prices(
        &tariff,
        &[
            // A Monday in winter: 08:00 is 07:00 UTC; in summer it is 06:00 UTC.
            ("2026-01-12T06:59:59.999Z", "0.1"),
            ("2026-01-12T07:00:00Z", "0.3"),
            ("2026-01-12T18:59:59.999Z", "0.3"),
            ("2026-01-12T19:00:00Z", "0.1"),
            ("2026-07-13T05:59:59.999Z", "0.1"),
            ("2026-07-13T06:00:00Z", "0.3"),
            // Saturday.
            ("2026-01-17T12:00:00Z", "0.1"),
            // It is Monday already in Berlin at 23:30 UTC of Sunday, and no peak yet.
            ("2026-01-11T23:30:00Z", "0.1"),
        ],
    );
    let found = tariff.rate_at("4930", at("2026-01-12T12:00:00Z")).unwrap();
    let source = found.price(None).source.unwrap();
    assert_eq!((source.tariff.as_str(), source.version_ms), ("retail", 0));
    assert_eq!(source.band.as_deref(), Some("peak"));
}

#[test]
fn the_night_that_loses_an_hour_loses_it_from_its_band() {
    // Sunday 29 March 2026: at 01:00 UTC the clock goes from 02:00 to 03:00.
    let tariff = banded("night=sun/01:30-03:30");
    assert_prices(
        &tariff,
        &[
            ("2026-03-29T00:29:59.999Z", "0.1"),
            ("2026-03-29T00:30:00Z", "0.3"),
            ("2026-03-29T00:59:59.999Z", "0.3"),
            ("2026-03-29T01:00:00Z", "0.3"),
            ("2026-03-29T01:29:59.999Z", "0.3"),
            ("2026-03-29T01:30:00Z", "0.1"),
        ],
    );
    // A band that lies within the lost hour is not there that night.
    let lost = banded("lost=sun/02:00-03:00");
    assert_prices(&lost, &[("2026-03-29T00:59:59.999Z", "0.1"), ("2026-03-29T01:00:00Z", "0.1")]);
}

#[test]
fn the_night_that_gains_an_hour_has_its_band_twice() {
    // Sunday 25 October 2026: at 01:00 UTC the clock goes from 03:00 back to 02:00.
    let tariff = banded("night=sun/02:15-02:45");
    assert_prices(
        &tariff,
        &[
            ("2026-10-25T00:14:59.999Z", "0.1"),
            ("2026-10-25T00:15:00Z", "0.3"),
            ("2026-10-25T00:44:59.999Z", "0.3"),
            ("2026-10-25T00:45:00Z", "0.1"),
            ("2026-10-25T01:14:59.999Z", "0.1"),
            ("2026-10-25T01:15:00Z", "0.3"),
            ("2026-10-25T01:44:59.999Z", "0.3"),
            ("2026-10-25T01:45:00Z", "0.1"),
        ],
    );
}
