//! `tollgate demo`: one paid call, by the same two processes that a provider runs, and what it came to.

mod agent;
mod audio;
mod carrier;
mod link;
mod phone;
mod provider;
mod secret;

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use control::store::CdrRow;
use ledger::Amount;
use serde_json::{Value, json};

use audio::{Tally, Voice};
use carrier::Carrier;
use link::Link;
use phone::Phone;
use provider::Provider;

#[derive(Args)]
pub(crate) struct Options {
    /// Print one JSON object, on one line, last on standard output; progress goes to standard error
    #[arg(long)]
    json: bool,
}

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// 2.5 s of audio each way.
const PACKETS: u16 = 125;
const NUMBER: &str = "493012345678";
/// How long the whole may take, once built.
const PATIENCE: Duration = Duration::from_secs(12);

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + PATIENCE;
    let say = |line: &str| if options.json { eprintln!("{line}") } else { println!("{line}") };

    let carrier = Carrier::open(IP, 2)?;
    let provider = Provider::start(IP, &carrier, deadline)?;
    say(&format!("engine    {} takes NG, packets of 20 ms pass through it", provider.ng));
    say(&format!(
        "control   {} takes SIP over TLS, its database is {}",
        provider.sip,
        provider.database.display()
    ));
    let before = provider.balance()?;
    say(&format!("account   {} has {} {}", provider::ACCOUNT, provider.money(before), provider::CURRENCY));

    let (caller, callee) = (Voice::new(0x0a11_ce00, 440, PACKETS), Voice::new(0xca22_1e20, 1000, PACKETS));
    let (at_phone, at_carrier) = std::thread::scope(|scope| {
        let far = scope.spawn(|| carrier.take_call(&callee, &caller, deadline));
        let link = Link::connect(provider.sip, provider::DOMAIN, provider.certificate.clone(), deadline)?;
        let mut phone = Phone::new(link, 1)?;
        let near = phone.register(deadline).and_then(|()| {
            say("phone     registered over TLS, its password was never sent");
            phone.call(NUMBER, deadline, &say)?.talk(&caller, &callee, deadline, &say)
        });
        let far = far.join().expect("the carrier does not panic");
        // What the phone says comes first: the carrier only waits for it.
        Ok::<_, anyhow::Error>((near?, far.context("the carrier")?))
    })?;

    let row = provider.record(deadline)?;
    let after = provider.balance()?;
    let books = provider.verify()?;
    let outcome = Outcome { before, after, row, at_phone, at_carrier, books_balance: books.is_empty() };
    for problem in &books {
        say(&format!("ledger    {problem}"));
    }
    if options.json {
        println!("{}", outcome.value(&provider)?);
    } else {
        outcome.print(&provider)?;
    }
    Ok(if outcome.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the call came to.
struct Outcome {
    before: Amount,
    after: Amount,
    row: CdrRow,
    at_phone: Tally,
    at_carrier: Tally,
    books_balance: bool,
}

impl Outcome {
    fn sent(&self) -> u64 {
        self.at_phone.sent + self.at_carrier.sent
    }

    fn lost(&self) -> u64 {
        self.sent() - self.at_phone.intact - self.at_carrier.intact
    }

    fn relayed(&self) -> u64 {
        let media = &self.row.cdr.media;
        media.caller.packets_received + media.callee.packets_received
    }

    fn broken(&self) -> u64 {
        self.at_phone.broken + self.at_carrier.broken
    }

    fn ok(&self) -> bool {
        let charged = self.before.checked_sub(self.row.cdr.charge) == Some(self.after);
        self.lost() == 0
            && self.broken() == 0
            && charged
            && !self.row.cdr.charge.is_zero()
            && self.books_balance
    }

    fn value(&self, provider: &Provider) -> anyhow::Result<Value> {
        Ok(json!({
            "ok": self.ok(),
            "packets": {"sent": self.sent(), "relayed": self.relayed(), "lost": self.lost()},
            "balance": {
                "before": provider.money(self.before), "after": provider.money(self.after),
                "currency": provider::CURRENCY,
            },
            "charge": provider.money(self.row.cdr.charge),
            "cdr": serde_json::to_value(&self.row.cdr)?,
        }))
    }

    fn print(&self, provider: &Provider) -> anyhow::Result<()> {
        let money = |amount| format!("{} {}", provider.money(amount), provider::CURRENCY);
        println!(
            "\nbalance   {} before, {} after: {} charged",
            money(self.before),
            money(self.after),
            money(self.row.cdr.charge)
        );
        println!("packets   {} sent, {} relayed, {} lost", self.sent(), self.relayed(), self.lost());
        println!("ledger    {}", if self.books_balance { "balances" } else { "does not balance" });
        println!("record    {}", serde_json::to_string_pretty(&self.row.cdr)?);
        println!(
            "\n{}",
            if self.ok() {
                "One paid call, nothing lost, the books balance."
            } else {
                "This is not as it should be."
            }
        );
        Ok(())
    }
}
