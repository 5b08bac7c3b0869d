//! Price lists from the command line: brought in, looked at, given out again.

use std::process::{Command, Output};

use serde_json::Value;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).expect("a file in a new folder");
        self.file(name)
    }

    fn tollgate(&self, line: &str) -> Output {
        let database = self.file("tollgate.db");
        let words = line.split_whitespace().chain(["--database", &database]);
        Command::new(env!("CARGO_BIN_EXE_tollgate")).args(words).output().expect("tollgate runs")
    }

    fn json(&self, line: &str) -> Value {
        let output = self.tollgate(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    fn refused(&self, line: &str) -> String {
        let output = self.tollgate(line);
        assert!(!output.status.success(), "{line}: {}", text(&output.stdout));
        text(&output.stderr)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_sheet_is_checked_brought_in_and_given_out_as_it_was() {
    let place = Place::new();
    let sheet = place.write(
        "retail.csv",
        "prefix,price,initial_seconds,next_seconds,band,description\n49,0.02,60,1,,Germany\n49,0.05,60,1,peak,Germany\n\
         4915,0.19,30,6,,mobile\n",
    );
    let unknown = place.refused(&format!("rate import {sheet} --tariff retail"));
    assert!(unknown.contains("line 3: band: the tariff has no band \"peak\""), "{unknown}");
    let hours = "--time-zone Europe/Berlin --band peak=mon-fri/08:00-20:00 --tax VAT=19 --tax-included true";
    let checked = place.json(&format!("rate import {sheet} --tariff retail {hours} --check"));
    assert_eq!((&checked["rates"], &checked["imported"]), (&3.into(), &false.into()));
    let none = place.refused("rate versions --tariff retail");
    assert!(none.contains("there is no tariff retail"), "{none}");
    let imported = place.json(&format!("rate import {sheet} --tariff retail {hours}"));
    assert_eq!((&imported["rates"], &imported["imported"]), (&3.into(), &true.into()));
    let list = place.json("rate list --tariff retail");
    assert_eq!(list["rates"].as_array().expect("rates").len(), 3);
    assert_eq!(list["rates"][1]["band"], "peak");

    let written = place.file("out.csv");
    place.json(&format!("rate export {written} --tariff retail"));
    // The terms stay until they are changed.
    place.json(&format!("rate import {written} --tariff retail --from 2100-01-01T00:00:00Z"));
    let versions = place.json("rate versions --tariff retail");
    assert_eq!(versions["versions"][0]["from"], "1970-01-01T00:00:00.000Z");
    assert_eq!(versions["versions"][1]["from"], "2100-01-01T00:00:00.000Z");
    for version in versions["versions"].as_array().expect("versions") {
        assert_eq!(version["time_zone"], "Europe/Berlin");
        assert_eq!(version["bands"][0], "peak=mon,tue,wed,thu,fri/08:00-20:00");
        assert_eq!((&version["taxes"][0], &version["tax_included"]), (&"VAT=19".into(), &true.into()));
        assert_eq!(version["rates"], 3);
    }
    let later = place.json("rate list --tariff retail --at 2100-06-01T00:00:00+02:00");
    assert_eq!(later["rates"], list["rates"]);
    place.json("rate withdraw --tariff retail --from 2100-01-01T00:00:00Z");
    assert_eq!(place.json("rate versions --tariff retail")["versions"].as_array().expect("one").len(), 1);
}

#[test]
fn everything_that_is_wrong_with_a_sheet_is_told_by_its_line_and_nothing_is_changed() {
    let place = Place::new();
    place.json("rate add 49 --price 0.02");
    let sheet = place.write("bad.csv", "49,0.03\n5x,0.1\n\n7,free\n49,0.04\n");
    let output = place.tollgate(&format!("rate import {sheet} --json"));
    assert!(!output.status.success());
    let value: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&value["faults"], &value["imported"]), (&3.into(), &false.into()));
    let lines: Vec<i64> = value["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| line["line"].as_i64().expect("a number"))
        .collect();
    assert_eq!(lines, [2, 4, 5]);
    let said = text(&output.stderr);
    assert!(said.contains("line 5: prefix 49 has two rates, the other in line 1"), "{said}");
    assert!(said.contains("3 of its lines are wrong; nothing was changed"), "{said}");
    assert_eq!(place.json("rate list")["rates"][0]["price"], "0.02");
    let past = place
        .refused(&format!("rate import {} --from 2001-01-01T00:00:00Z", place.write("good.csv", "49,1")));
    assert!(past.contains("a version cannot begin in the past"), "{past}");
}

#[test]
fn an_account_has_prices_of_its_own_a_currency_of_its_own_and_a_trial() {
    let place = Place::new();
    place.json("rate add 49 --price 0.02");
    place.json("account add alice --currency EUR");
    let own = place
        .json("rate add 4930 --price 0.01 --account alice --minimum-charge 0.05 --grace-seconds 3 --trial");
    assert_eq!((&own["tariff"], &own["grace_seconds"]), (&"alice.own".into(), &3.into()));
    let account = place.json("account trial alice 0.50");
    assert_eq!((&account["overrides"], &account["on_trial"]), (&"alice.own".into(), &true.into()));
    assert_eq!(account["balance"], "0.50");
    assert_eq!(place.json("credit add alice 5")["balance"], "5.50");
    assert_eq!(place.json("account show alice")["on_trial"], false);

    place.json("rate add 49 --price 0.01 --tariff wholesale --currency USD");
    let unknown = place.refused("account tariff alice wholesale");
    assert!(unknown.contains("set a rate of exchange first"), "{unknown}");
    assert_eq!(place.json("rate exchange USD EUR 0.92")["rate"], "0.92");
    assert_eq!(place.json("account tariff alice wholesale")["tariff"], "wholesale");
    let trunk = "trunk add carrier sip:127.0.0.1:5062;transport=udp --media plain --buy-tariff wholesale";
    assert_eq!(place.json(trunk)["buy_tariff"], "wholesale");
    assert_eq!(place.json("ledger verify")["ok"], true);
}
