//! The durable ledger against the model of it, on random histories.

use ledger::{Authorization, Ledger};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Move {
    TopUp { account: usize, nanos: i64 },
    Authorize { call: usize, account: usize, per_minute: i64, seconds_max: u32, lasts_ms: u64 },
    Settle { call: usize, account: usize, charge: i64 },
    Wait { ms: u64 },
    Restart,
}

const ACCOUNTS: [&str; 2] = ["alice", "bob"];

fn any_move() -> impl Strategy<Value = Move> {
    let account = 0..ACCOUNTS.len();
    prop_oneof![
        2 => (account.clone(), 1_i64..2_000_000_000)
            .prop_map(|(account, nanos)| Move::TopUp { account, nanos }),
        6 => (0_usize..10, account.clone(), 0_i64..2_000_000_000, 0_u32..200, 0_u64..4000).prop_map(
            |(call, account, per_minute, seconds_max, lasts_ms)| Move::Authorize {
                call, account, per_minute, seconds_max, lasts_ms,
            }
        ),
        6 => (0_usize..10, account, prop_oneof![Just(0_i64), 1_i64..3_000_000_000])
            .prop_map(|(call, account, charge)| Move::Settle { call, account, charge }),
        3 => (0_u64..1500).prop_map(|ms| Move::Wait { ms }),
        1 => Just(Move::Restart),
    ]
}

/// Asks both for the same and compares what they say.
struct Pair {
    fixture: Fixture,
    client: Option<Client>,
    model: Ledger,
}

impl Pair {
    fn new() -> Pair {
        let fixture = Fixture::new("0");
        let euro = "EUR".parse().unwrap();
        let mut bob = NewAccount::new("bob", euro);
        bob.balance_limit = amount("-1");
        fixture.admin().add_account(&bob).unwrap();
        let mut model = Ledger::new();
        model.open("alice".parse().unwrap(), euro, Amount::ZERO).unwrap();
        model.open("bob".parse().unwrap(), euro, amount("-1")).unwrap();
        let client = Some(fixture.store());
        Pair { fixture, client, model }
    }

    fn make(&mut self, step: &Move) {
        let now_ms = self.fixture.now();
        let client = self.client.as_ref().unwrap();
        match *step {
            Move::TopUp { account, nanos } => {
                let nanos = Amount::from_nanos(nanos);
                let posted = self.fixture.admin().top_up(ACCOUNTS[account], nanos, None).unwrap();
                assert_eq!(self.model.top_up(&ACCOUNTS[account].parse().unwrap(), nanos), Ok(posted));
            }
            Move::Authorize { call, account, per_minute, seconds_max, lasts_ms } => {
                let rate = Rate::per_minute("1".parse().unwrap(), Amount::from_nanos(per_minute)).unwrap();
                let quote = ledger::Quote::from(rate);
                let expires_at_ms = now_ms + lasts_ms;
                let expected = self.model.authorize(
                    format!("call{call}").parse().unwrap(),
                    &ACCOUNTS[account].parse().unwrap(),
                    &quote,
                    seconds_max,
                    now_ms,
                    expires_at_ms,
                );
                let call = call_id(call);
                let reply = client.ask(StoreRequest::Authorize {
                    account: AccountId::from(ACCOUNTS[account]),
                    quote: Box::new(quote),
                    max_seconds: seconds_max,
                    expires_at_ms,
                    journal: journal(&call, Step::Authorized),
                    call,
                });
                match (expected, &reply) {
                    (Ok(Authorization::Held(coverage)), StoreReply::Authorized { held, seconds }) => {
                        assert_eq!((coverage.amount, coverage.seconds), (*held, *seconds));
                    }
                    (Ok(Authorization::Refused { available: model }), StoreReply::Refused { available }) => {
                        assert_eq!(model, *available);
                    }
                    (Err(_), StoreReply::Failed { .. }) => {}
                    (expected, reply) => panic!("{expected:?} but {reply:?}"),
                }
            }
            Move::Settle { call, account, charge } => {
                let charge = Amount::from_nanos(charge);
                let hold = self.model.hold(&format!("call{call}").parse().unwrap());
                // The store charges the account that holds, whatever the record says.
                let payer = hold.map_or(ACCOUNTS[account], |hold| hold.account.as_str()).to_owned();
                let expected = self
                    .model
                    .settle(format!("call{call}").parse().unwrap(), &payer.parse().unwrap(), charge, now_ms)
                    .unwrap();
                let call = call_id(call);
                let mut record = cdr(&call, charge);
                record.account = Some(AccountId::from(payer.as_str()));
                let reply = client.ask(StoreRequest::Settle { call: call.clone(), charge, cdr: record });
                assert_eq!(reply, StoreReply::Done);
                let records = self.fixture.admin().cdrs(None, 100).unwrap();
                let stored = records.iter().find(|row| row.cdr.call == call).unwrap();
                assert_eq!((stored.cdr.charge, stored.shortfall), (expected.charged, expected.shortfall));
            }
            Move::Wait { ms } => {
                self.fixture.pass_ms(ms);
                self.model.expire(self.fixture.now());
            }
            Move::Restart => {
                self.client = None;
                self.client = Some(self.fixture.store());
            }
        }
    }

    fn compare(&mut self) {
        self.model.expire(self.fixture.now());
        for summary in self.fixture.admin().accounts().unwrap() {
            let model = self.model.account(&summary.account.id.0.parse().unwrap()).unwrap();
            assert_eq!((summary.posted, summary.held), (model.posted, model.held));
            assert!(summary.available >= summary.balance_limit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(steps in prop::collection::vec(any_move(), 1..40)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.make(step);
            pair.compare();
        }
        prop_assert_eq!(pair.model.verify(), Ok(()));
        pair.fixture.assert_sound();
    }
}
