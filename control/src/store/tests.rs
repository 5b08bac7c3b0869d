//! The durable ledger on real files.

mod durability;
mod model;
mod money;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use call::{
    AccountId, CallId, CallMedia, Cdr, CdrRoute, JournalEntry, Side, Step, StoreReply, StoreRequest, WallTime,
};
use ledger::{Amount, Rate};

use super::{Admin, NewAccount, Store, StoreConfig};

/// A store in a folder of its own with one account, `alice`, and a clock that is set by hand.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) now_ms: Arc<AtomicU64>,
}

impl Fixture {
    pub(crate) fn new(credit: &str) -> Fixture {
        let fixture = Fixture {
            folder: tempfile::tempdir().unwrap(),
            now_ms: Arc::new(AtomicU64::new(1_800_000_000_000)),
        };
        let mut admin = fixture.admin();
        admin.add_account(&NewAccount::new("alice", "EUR".parse().unwrap())).unwrap();
        if credit != "0" {
            admin.top_up("alice", amount(credit), Some("cash")).unwrap();
        }
        fixture
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tollgate.db")
    }

    pub(crate) fn config(&self) -> StoreConfig {
        let now_ms = Arc::clone(&self.now_ms);
        StoreConfig {
            busy_timeout: Duration::from_millis(30),
            clock: Arc::new(move || now_ms.load(Ordering::SeqCst)),
            ..StoreConfig::new(self.path())
        }
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::open(&self.path()).unwrap().with_clock(self.config().clock)
    }

    pub(crate) fn store(&self) -> Client {
        let (sender, replies) = channel();
        let sender = Mutex::new(sender);
        let (store, journal) = Store::open(self.config(), move |id, reply| {
            let _ = sender.lock().unwrap().send((id, reply));
        })
        .unwrap();
        Client { store, replies, journal }
    }

    pub(crate) fn pass_ms(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.admin().verify().unwrap().problems, Vec::<String>::new());
    }
}

/// A store and its answers.
pub(crate) struct Client {
    pub(crate) store: Store,
    pub(crate) replies: Receiver<(u64, StoreReply)>,
    pub(crate) journal: Vec<JournalEntry>,
}

impl Client {
    pub(crate) fn ask(&self, request: StoreRequest) -> StoreReply {
        self.store.submit(7, request);
        let (id, reply) = self.replies.recv_timeout(PATIENCE).unwrap();
        assert_eq!(id, 7);
        reply
    }
}

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// A euro a minute, by the second.
pub(crate) fn rate() -> Rate {
    Rate::per_minute("49".parse().unwrap(), amount("1")).unwrap()
}

pub(crate) fn call_id(number: usize) -> CallId {
    CallId::from_text(format!("call{number}"))
}

pub(crate) fn journal(call: &CallId, step: Step) -> Box<JournalEntry> {
    Box::new(JournalEntry {
        call: call.clone(),
        step,
        account: Some(AccountId::from("alice")),
        caller: "alice".to_owned(),
        callee: "493012345".to_owned(),
        route: CdrRoute::Trunk,
        trunk: None,
        quote: Some(rate().into()),
        currency: Some("EUR".parse().unwrap()),
        held: Amount::ZERO,
        held_seconds: 0,
        grace_seconds: 30,
        media: None,
        media_name: String::new(),
        counters: CallMedia::default(),
        setup_at: WallTime(1_800_000_000_000),
        ring_at: None,
        answer_at: None,
        post_dial_ms: None,
        wait_ms: None,
        attempts: Vec::new(),
        caller_leg: None,
        callee_leg: None,
    })
}

pub(crate) fn cdr(call: &CallId, charge: Amount) -> Box<Cdr> {
    Box::new(Cdr {
        call: call.clone(),
        account: Some(AccountId::from("alice")),
        caller: "alice".to_owned(),
        callee: "493012345".to_owned(),
        route: CdrRoute::Trunk,
        trunk: None,
        attempts: Vec::new(),
        setup_at: WallTime(1_800_000_000_000),
        ring_at: None,
        answer_at: None,
        end_at: WallTime(1_800_000_001_000),
        post_dial_ms: None,
        wait_ms: 1000,
        talk_ms: 0,
        wall_clock: false,
        recovered: false,
        sip_status: 200,
        q850: 16,
        cause: "normal".to_owned(),
        ended_by: Side::Caller,
        billed_seconds: 0,
        rate: Some(rate()),
        tariff: None,
        exchange: None,
        taxes: Vec::new(),
        currency: Some("EUR".parse().unwrap()),
        held: Amount::ZERO,
        charge,
        cost: None,
        margin: None,
        media: CallMedia::default(),
    })
}

pub(crate) fn authorize(call: &CallId, seconds_max: u32, expires_at_ms: u64) -> StoreRequest {
    StoreRequest::Authorize {
        call: call.clone(),
        account: AccountId::from("alice"),
        quote: Box::new(rate().into()),
        max_seconds: seconds_max,
        expires_at_ms,
        journal: journal(call, Step::Authorized),
    }
}

pub(crate) fn settle(call: &CallId, charge: &str) -> StoreRequest {
    let charge = amount(charge);
    StoreRequest::Settle { call: call.clone(), charge, cdr: cdr(call, charge) }
}

/// Longer than any step of these tests takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
