//! Rate sheets: a price list as a file of comma- or tab-separated values.

use std::fmt::Write as _;
use std::io;

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};
use ledger::{Amount, Rate, RateTerms, Rounding, RoundingMode};
use thiserror::Error;

/// A rate and the band of hours that it is for; none for all hours that no band of its prefix has.
pub type BandRate = (Rate, Option<String>);

/// A rate sheet that was read without a fault.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its rates by prefix.
    pub rates: Vec<BandRate>,
}

impl Sheet {
    /// Reads a sheet for a tariff with bands of these names.
    ///
    /// One rate a line; fields separated by tab, semicolon or comma, whichever the first line has; quoted as in RFC
    /// 4180 where need be. A first line with the word `prefix` names the columns, in any order; without one they are
    /// those of [`COLUMNS`], in that order. Only `prefix` and `price` must be there; what is missing or empty has its
    /// default. Lines that begin with `#` and empty ones are passed over.
    ///
    /// # Errors
    /// Everything that is wrong, by line, up to [`FAULTS_MAX`].
    ///
    /// # Cost
    /// Two to three microseconds a line, and 100 bytes of memory.
    pub fn read(text: &str, band_names: &[String]) -> Result<Self, SheetFaults> {
        let mut faults = SheetFaults::default();
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter(text))
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let mut columns: Vec<Column> = COLUMNS.iter().map(|(column, _)| *column).collect();
        let mut rates: Vec<(BandRate, u64)> = Vec::new();
        let mut record = StringRecord::new();
        let mut first = true;
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    faults.add(line, "it is not text in UTF-8".to_owned());
                    break;
                }
            }
            let line = record.position().map_or(0, |start| line_of(text, start));
            if std::mem::take(&mut first) && record.iter().any(|cell| cell == "prefix") {
                match heading(&record) {
                    Ok(named) => columns = named,
                    Err(reason) => {
                        faults.add(line, reason);
                        break;
                    }
                }
                continue;
            }
            match read_rate(&record, &columns, band_names) {
                Ok(rate) => rates.push((rate, line)),
                Err(reason) => faults.add(line, reason),
            }
        }
        rates.sort_by(|left, right| key(&left.0).cmp(&key(&right.0)));
        check_prefixes(&rates, &mut faults);
        if rates.is_empty() && faults.total == 0 {
            faults.add(0, "there is no rate in it".to_owned());
        }
        if faults.total > 0 {
            faults.list.sort_by_key(|fault| fault.line);
            return Err(faults);
        }
        Ok(Sheet { rates: rates.into_iter().map(|(rate, _)| rate).collect() })
    }

    /// Writes it with every column; [`Sheet::read`] gives the same rates again.
    ///
    /// # Errors
    /// What it is written to cannot be written.
    pub fn write(&self, to: impl io::Write) -> io::Result<()> {
        let mut writer = WriterBuilder::new().from_writer(to);
        writer.write_record(COLUMNS.iter().map(|(_, name)| *name))?;
        for (rate, band) in &self.rates {
            let terms = rate.terms();
            let cells = COLUMNS.iter().map(|(column, _)| match column {
                Column::Prefix => terms.prefix.to_string(),
                Column::Price => terms.price.to_string(),
                Column::PerSeconds => terms.per_seconds.to_string(),
                Column::InitialSeconds => terms.initial_seconds.to_string(),
                Column::NextSeconds => terms.next_seconds.to_string(),
                Column::ConnectionFee => terms.connection_fee.to_string(),
                Column::Rounding => terms.rounding.mode.name().to_owned(),
                Column::Decimals => terms.rounding.decimals.to_string(),
                Column::MinimumCharge => terms.minimum_charge.to_string(),
                Column::AttemptFee => terms.attempt_fee.to_string(),
                Column::FreeSeconds => terms.free_seconds.to_string(),
                Column::GraceSeconds => terms.grace_seconds.to_string(),
                Column::Trial => if terms.trial { "yes" } else { "no" }.to_owned(),
                Column::Band => band.clone().unwrap_or_default(),
                Column::Description => String::new(),
            });
            writer.write_record(cells)?;
        }
        writer.flush()
    }
}

/// The columns of a sheet without a heading, in their order, with their names. `description` is read over.
pub const COLUMNS: [(Column, &str); 15] = [
    (Column::Prefix, "prefix"),
    (Column::Price, "price"),
    (Column::PerSeconds, "per_seconds"),
    (Column::InitialSeconds, "initial_seconds"),
    (Column::NextSeconds, "next_seconds"),
    (Column::ConnectionFee, "connection_fee"),
    (Column::Rounding, "rounding"),
    (Column::Decimals, "decimals"),
    (Column::MinimumCharge, "minimum_charge"),
    (Column::AttemptFee, "attempt_fee"),
    (Column::FreeSeconds, "free_seconds"),
    (Column::GraceSeconds, "grace_seconds"),
    (Column::Trial, "trial"),
    (Column::Band, "band"),
    (Column::Description, "description"),
];

/// One column of a rate sheet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// Leading digits, with or without `+`.
    Prefix,
    /// Price of `per_seconds`.
    Price,
    /// 60 if it is not there.
    PerSeconds,
    /// 1 if it is not there.
    InitialSeconds,
    /// 1 if it is not there.
    NextSeconds,
    /// 0 if it is not there.
    ConnectionFee,
    /// `up`, `half-even` or `down`; up if it is not there.
    Rounding,
    /// 4 if it is not there.
    Decimals,
    /// 0 if it is not there.
    MinimumCharge,
    /// 0 if it is not there.
    AttemptFee,
    /// 0 if it is not there.
    FreeSeconds,
    /// 0 if it is not there.
    GraceSeconds,
    /// `yes` or `no`; no if it is not there.
    Trial,
    /// All hours if it is not there.
    Band,
    /// For people.
    Description,
}

/// What is wrong with a sheet.
#[derive(Clone, PartialEq, Eq, Debug, Default, Error)]
pub struct SheetFaults {
    /// How many lines are wrong.
    pub total: u64,
    /// The first of them, at most [`FAULTS_MAX`].
    pub list: Vec<SheetFault>,
}

/// A line that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SheetFault {
    /// Its number, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl SheetFaults {
    fn add(&mut self, line: u64, reason: String) {
        self.total += 1;
        if self.list.len() < FAULTS_MAX {
            self.list.push(SheetFault { line, reason });
        }
    }
}

impl std::fmt::Display for SheetFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for fault in &self.list {
            let end = if text.is_empty() { "" } else { "\n" };
            match fault.line {
                0 => write!(text, "{end}{}", fault.reason)?,
                line => write!(text, "{end}line {line}: {}", fault.reason)?,
            }
        }
        let more = self.total - u64::try_from(self.list.len()).unwrap_or(self.total);
        if more > 0 {
            write!(text, "\nand {more} more")?;
        }
        f.write_str(&text)
    }
}

/// How many wrong lines are told one by one.
pub const FAULTS_MAX: usize = 100;

fn key((rate, band): &BandRate) -> (ledger::Prefix, Option<&str>) {
    (rate.prefix(), band.as_deref())
}

/// `rates` are sorted, those for all hours first; says what no table can be built of.
fn check_prefixes(rates: &[(BandRate, u64)], faults: &mut SheetFaults) {
    for (index, (rate, line)) in rates.iter().enumerate() {
        let (prefix, band) = key(rate);
        let before = index.checked_sub(1).and_then(|before| rates.get(before));
        let same = before.filter(|(before, _)| before.0.prefix() == prefix);
        match (same, band) {
            (Some((before, at)), _) if before.1.as_deref() == band => {
                faults.add(*line, format!("prefix {prefix} has two rates, the other in line {at}"));
            }
            (None, Some(band)) => {
                faults.add(
                    *line,
                    format!("prefix {prefix} has a rate for {band} and none for the other hours"),
                );
            }
            _ => {}
        }
    }
}

/// The line of a record that was found from `start` on, where empty lines and comments may come before it.
fn line_of(text: &str, start: &csv::Position) -> u64 {
    let from = usize::try_from(start.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let passed = |line: &&str| line.is_empty() || *line == "\r" || line.starts_with('#');
    let passed = from.split('\n').take_while(passed).count();
    start.line() + u64::try_from(passed).unwrap_or(0)
}

fn delimiter(text: &str) -> u8 {
    let first =
        text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    [b'\t', b';'].into_iter().find(|byte| first.as_bytes().contains(byte)).unwrap_or(b',')
}

fn heading(record: &StringRecord) -> Result<Vec<Column>, String> {
    let mut columns = Vec::with_capacity(record.len());
    for cell in record {
        let known = COLUMNS.iter().find(|(_, name)| *name == cell).map(|(column, _)| *column);
        let column = known.ok_or_else(|| {
            let names: Vec<&str> = COLUMNS.iter().map(|(_, name)| *name).collect();
            format!("there is no column {cell:?}; there are {}", names.join(", "))
        })?;
        if columns.contains(&column) {
            return Err(format!("column {cell} is there twice"));
        }
        columns.push(column);
    }
    for (column, name) in &COLUMNS[..2] {
        if !columns.contains(column) {
            return Err(format!("column {name} is missing"));
        }
    }
    Ok(columns)
}

fn read_rate(record: &StringRecord, columns: &[Column], band_names: &[String]) -> Result<BandRate, String> {
    if record.len() > columns.len() {
        return Err(format!("{} fields, and there are {} columns", record.len(), columns.len()));
    }
    let cell = |column: Column| {
        let place = columns.iter().position(|known| *known == column)?;
        record.get(place).filter(|cell| !cell.is_empty())
    };
    let named = |column: Column, error: &dyn std::fmt::Display| format!("{}: {error}", name(column));
    let needed = |column: Column| cell(column).ok_or_else(|| format!("{} is missing", name(column)));
    let amount = |column: Column| match cell(column) {
        Some(text) => text.parse::<Amount>().map_err(|error| named(column, &error)),
        None => Ok(Amount::ZERO),
    };
    let seconds = |column: Column, default: u32| match cell(column) {
        Some(text) => text.parse::<u32>().map_err(|error| named(column, &error)),
        None => Ok(default),
    };
    let prefix = needed(Column::Prefix)?.parse().map_err(|error| named(Column::Prefix, &error))?;
    needed(Column::Price)?;
    let mode = match cell(Column::Rounding) {
        Some(text) => RoundingMode::from_name(text).ok_or("rounding: neither up, half-even nor down")?,
        None => RoundingMode::Up,
    };
    let decimals = seconds(Column::Decimals, 4)?;
    let trial = match cell(Column::Trial) {
        None | Some("no") => false,
        Some("yes") => true,
        Some(_) => return Err("trial: neither yes nor no".to_owned()),
    };
    let band = cell(Column::Band).map(str::to_owned);
    if let Some(band) = &band
        && !band_names.contains(band)
    {
        return Err(format!("band: the tariff has no band {band:?}"));
    }
    let rate = Rate::new(RateTerms {
        prefix,
        price: amount(Column::Price)?,
        per_seconds: seconds(Column::PerSeconds, 60)?,
        initial_seconds: seconds(Column::InitialSeconds, 1)?,
        next_seconds: seconds(Column::NextSeconds, 1)?,
        connection_fee: amount(Column::ConnectionFee)?,
        rounding: Rounding { mode, decimals: u8::try_from(decimals).unwrap_or(u8::MAX) },
        minimum_charge: amount(Column::MinimumCharge)?,
        attempt_fee: amount(Column::AttemptFee)?,
        free_seconds: seconds(Column::FreeSeconds, 0)?,
        grace_seconds: seconds(Column::GraceSeconds, 0)?,
        trial,
    });
    Ok((rate.map_err(|error| error.to_string())?, band))
}

fn name(column: Column) -> &'static str {
    COLUMNS.iter().find(|(known, _)| *known == column).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(sheet: &str) -> Vec<String> {
        let names = ["peak".to_owned()];
        let faults = Sheet::read(sheet, &names).unwrap_err();
        faults.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_sheet_is_read_by_place_or_by_heading() {
        let by_place = "# Germany\n49,0.02\n\n+4915,0.19,60,60,30,0.05,half-even,2\n";
        let by_name = "prefix;description;decimals;rounding;connection_fee;next_seconds;initial_seconds;price\n\
            4915;\"mobile; all\";2;half-even;0.05;30;60;0.19\n49;;;;;;;0.02\n";
        let tabs = "49\t0.02\n4915\t0.19\t60\t60\t30\t0.05\thalf-even\t2";
        let read = |text| Sheet::read(text, &[]).unwrap().rates;
        assert_eq!(read(by_place), read(by_name));
        assert_eq!(read(by_place), read(tabs));
        let rates = read(by_place);
        assert_eq!(rates[0].0, Rate::per_minute("49".parse().unwrap(), "0.02".parse().unwrap()).unwrap());
        let terms = rates[1].0.terms();
        assert_eq!((terms.initial_seconds, terms.next_seconds), (60, 30));
        assert_eq!(terms.rounding, Rounding { mode: RoundingMode::HalfEven, decimals: 2 });
    }

    #[test]
    fn everything_that_is_wrong_is_told_by_its_line() {
        let sheet = "1,0.01\n2x,0.01\n\n3\n4,-0.01\n5,0.01,0\n6,1e3\n7,1,60,1,1,0,nearest\n8,0.1,,,,,,,,,,,maybe\n\
            9,0.1,,,,,,,,,,,,night\n1,0.02\n33,0.1,,,,,,,,,,,,peak\n44,1,60,1,1,0,up,12\n\
            55,1,2,3,4,5,up,4,0,0,0,0,no,,,,\n";
        assert_eq!(
            faults(sheet),
            [
                "line 2: prefix: not a prefix of one to fifteen digits",
                "line 4: price is missing",
                "line 5: a price or fee is negative",
                "line 6: an interval must be 1 to 86400 seconds",
                "line 7: price: not a decimal number such as 12.50",
                "line 8: rounding: neither up, half-even nor down",
                "line 9: trial: neither yes nor no",
                "line 10: band: the tariff has no band \"night\"",
                "line 11: prefix 1 has two rates, the other in line 1",
                "line 12: prefix 33 has a rate for peak and none for the other hours",
                "line 13: rounding keeps at most 9 decimals",
                "line 14: 17 fields, and there are 15 columns",
            ]
        );
        for (sheet, complaint) in [
            ("", "there is no rate in it"),
            ("prefix,price\n# nothing\n", "there is no rate in it"),
            ("prefix,per_seconds\n49,60", "line 1: column price is missing"),
            ("prefix,price,price\n49,1,1", "line 1: column price is there twice"),
        ] {
            assert_eq!(faults(sheet), [complaint]);
        }
        assert!(
            faults("prefix,prize\n49,1")[0]
                .starts_with("line 1: there is no column \"prize\"; there are prefix, price")
        );
    }

    #[test]
    fn lines_are_counted_whatever_ends_them_and_whatever_is_passed_over() {
        let sheet = "# a\r\nprefix,price,description\r\n\r\n# b\r\n1,1,\"two\nlines\"\r\n2,x\r\n\r\n\r\n3,x";
        let amount = "price: not a decimal number such as 12.50";
        assert_eq!(faults(sheet), [format!("line 7: {amount}"), format!("line 10: {amount}")]);
    }

    #[test]
    fn the_report_is_bounded_and_says_how_much_more_there_is() {
        let sheet = "x,1\n".repeat(1000);
        let lines = faults(&sheet);
        assert_eq!(lines.len(), FAULTS_MAX + 1);
        assert_eq!(lines[FAULTS_MAX], "and 900 more");
    }

    prop_compose! {
        fn any_rate()(
            prefix in "[1-9][0-9]{0,14}",
            amounts in prop::array::uniform4(0_i64..9_000_000_000_000_000),
            intervals in prop::array::uniform3(1_u32..=86_400),
            pauses in prop::array::uniform2(0_u32..=86_400),
            decimals in 0_u8..=9,
            trial: bool,
            band in prop::option::of(Just("peak".to_owned())),
        ) -> BandRate {
            let amount = Amount::from_nanos;
            let rate = Rate::new(RateTerms {
                prefix: prefix.parse().unwrap(),
                price: amount(amounts[0]),
                per_seconds: intervals[0],
                initial_seconds: intervals[1],
                next_seconds: intervals[2],
                connection_fee: amount(amounts[1]),
                rounding: Rounding { mode: RoundingMode::Down, decimals },
                minimum_charge: amount(amounts[2]),
                attempt_fee: amount(amounts[3]),
                free_seconds: pauses[0],
                grace_seconds: pauses[1],
                trial,
            });
            (rate.unwrap(), band)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_reads_as_it_was(rates in prop::collection::vec(any_rate(), 1..20)) {
            let mut rates = rates;
            rates.sort_by(|left, right| key(left).cmp(&key(right)));
            rates.dedup_by(|left, right| left.0.prefix() == right.0.prefix());
            for (_, band) in &mut rates {
                *band = None;
            }
            let peak = (rates[0].0.clone(), Some("peak".to_owned()));
            rates.insert(1, peak);
            let sheet = Sheet { rates };
            let mut text = Vec::new();
            sheet.write(&mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let again = Sheet::read(&text, &["peak".to_owned()]).unwrap();
            prop_assert_eq!(again.rates, sheet.rates);
        }

        #[test]
        fn reading_never_panics(text in "[prefix,;\t\n\"#0-9.-]{0,200}|\\PC{0,100}") {
            let _ = Sheet::read(&text, &[]);
        }
    }
}
