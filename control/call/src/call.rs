//! One call: its state, its legs and what it waits for.

use std::collections::VecDeque;
use std::net::IpAddr;

use ledger::{Amount, Currency, Quote};
use sip::{ClientKey, Method, Request, Response, ServerKey, StatusCode};

use crate::core::{CallKey, Core, LegIndex, MediaWait, Moment, Timer};
use crate::leg::{Leg, sdp_of};
use crate::media::{self, Description};
use crate::setup::NO_ANSWER;
use crate::state::{Event, State};
use crate::{
    AccountId, Attempt, CallId, CallMedia, CdrRoute, EngineId, JournalEntry, MediaRecord, Progress, Side,
    Step, StoreReply, StoreRequest,
};

/// One call from the first INVITE to the settled record.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) key: CallKey,
    pub(crate) id: CallId,
    pub(crate) state: State,
    pub(crate) account: Option<AccountId>,
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) route: CdrRoute,
    pub(crate) quote: Option<Quote>,
    pub(crate) currency: Option<Currency>,
    pub(crate) held: Amount,
    pub(crate) held_seconds: u32,
    pub(crate) grace_seconds: u32,
    /// Who may be dialled still.
    pub(crate) targets: VecDeque<Target>,
    pub(crate) attempts: Vec<Attempt>,
    /// The caller first, then every leg that was dialled; the last one is the callee.
    pub(crate) legs: Vec<Leg>,
    pub(crate) media: Option<MediaRecord>,
    /// The call's name at its engine: another one for each attempt.
    pub(crate) media_name: String,
    pub(crate) engines_tried: Vec<EngineId>,
    pub(crate) counters: CallMedia,
    /// When the engine last told that it lives.
    pub(crate) reported: Option<Moment>,
    /// The caller's description, rewritten for the callee.
    pub(crate) offer: Option<Vec<u8>>,
    /// The callee's last description and what the engine made of it.
    pub(crate) answer: Option<(Vec<u8>, Vec<u8>)>,
    /// What the engine was offered last and has no answer to yet.
    pub(crate) offered: Option<Description>,
    /// The last offer with its answer, for a change that comes to nothing.
    pub(crate) agreed: Option<(Description, Description)>,
    pub(crate) media_jobs: VecDeque<Job>,
    pub(crate) media_wait: Option<(u64, Job)>,
    pub(crate) store_wait: Option<(u64, StoreStep)>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) setup: Moment,
    pub(crate) ring: Option<Moment>,
    pub(crate) answered: Option<Moment>,
    pub(crate) post_dial_ms: Option<u64>,
    pub(crate) wait_ms: Option<u64>,
    /// The caller heard the 200.
    pub(crate) told: bool,
    pub(crate) end: Option<End>,
    /// The response that the last attempt failed with.
    pub(crate) refusal: Option<Response>,
    /// What the caller hears once the record is durable.
    pub(crate) deferred: Option<Response>,
    pub(crate) settle_tries: u32,
    pub(crate) recovered: bool,
    /// The transaction of the INVITE that began it.
    pub(crate) first_server: Option<ServerKey>,
    /// Call-IDs and our tags of every dialog it ever had.
    pub(crate) dialogs: Vec<(String, String)>,
    /// It counts among its account's and trunk's calls.
    pub(crate) counted: bool,
}

/// Somebody to dial.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A carrier.
    Trunk(crate::TrunkId),
    /// A phone's binding.
    Phone {
        /// Its user.
        user: String,
        /// Its Contact.
        uri: Box<sip::Uri>,
        /// Its connection.
        hop: sip::Hop,
    },
}

/// What the engine is asked, and why.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// The caller's offer, before the INVITE.
    Offer(Description),
    /// The callee's SDP in a 18x.
    Early(Description, StatusCode),
    /// The callee's SDP in its 200: an answer, or the offer of a call that had none.
    Answer(Description),
    /// The SDP in the ACK of such an offer.
    LateAnswer(Description),
    /// A description inside the dialog, for the relay with this server transaction.
    Modify(Description, ServerKey),
    /// Its counter-part from the other side.
    Modified(Description, ServerKey),
    /// What both sides had agreed on, once more: a change of it was refused.
    Undo(Description),
    /// The end of the call at the engine, with its counters.
    Delete,
    /// Is a call of an earlier process still there?
    Query,
    /// It is: drive it again.
    Lease,
}

impl Job {
    /// The description that it takes to the engine.
    fn description(&self) -> Option<&Description> {
        match self {
            Self::Offer(description)
            | Self::Early(description, _)
            | Self::Answer(description)
            | Self::LateAnswer(description)
            | Self::Modify(description, _)
            | Self::Modified(description, _)
            | Self::Undo(description) => Some(description),
            Self::Delete | Self::Query | Self::Lease => None,
        }
    }
}

/// What the store was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreStep {
    Authorize,
    Dial,
    Answer,
    Settle,
}

/// A request of one leg on its way through the other.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) from: LegIndex,
    pub(crate) to: LegIndex,
    pub(crate) server: ServerKey,
    pub(crate) request: Request,
    pub(crate) client: Option<ClientKey>,
    /// As it was passed on.
    pub(crate) onward: Option<Request>,
    /// The other leg's 2xx, while the engine has its SDP or the ACK is awaited.
    pub(crate) response: Option<Response>,
    /// The INVITE carried no SDP: the 2xx offers, the ACK answers.
    pub(crate) late: bool,
    /// Its number at the other leg.
    pub(crate) cseq: u32,
    /// It carried credentials.
    pub(crate) authenticated: bool,
}

impl Relay {
    pub(crate) fn is_invite(&self) -> bool {
        *self.request.method() == Method::Invite
    }

    /// It changes the session: only those stand in each other's way.
    pub(crate) fn offers(&self) -> bool {
        self.is_invite() || sdp_of(&self.request.headers, self.request.body()).is_some()
    }
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) moment: Moment,
    pub(crate) status: u16,
    pub(crate) q850: u8,
    pub(crate) cause: String,
    pub(crate) by: Side,
}

impl Call {
    pub(crate) fn new(key: CallKey, id: CallId, setup: Moment, leg: Leg) -> Self {
        Self {
            key,
            id,
            state: State::Idle,
            account: None,
            caller: String::new(),
            callee: String::new(),
            route: CdrRoute::Refused,
            quote: None,
            currency: None,
            held: Amount::ZERO,
            held_seconds: 0,
            grace_seconds: 0,
            targets: VecDeque::new(),
            attempts: Vec::new(),
            legs: vec![leg],
            media: None,
            media_name: String::new(),
            engines_tried: Vec::new(),
            counters: CallMedia::default(),
            reported: None,
            offer: None,
            answer: None,
            offered: None,
            agreed: None,
            media_jobs: VecDeque::new(),
            media_wait: None,
            store_wait: None,
            relays: Vec::new(),
            setup,
            ring: None,
            answered: None,
            post_dial_ms: None,
            wait_ms: None,
            told: false,
            end: None,
            refusal: None,
            deferred: None,
            settle_tries: 0,
            recovered: false,
            first_server: None,
            dialogs: Vec::new(),
            counted: false,
        }
    }

    /// Makes requests and responses of this dialog find the call.
    pub(crate) fn register_dialog(&mut self, core: &mut Core, call_id: &str, local_tag: &str) {
        let dialog = (call_id.to_owned(), local_tag.to_owned());
        core.dialogs.insert(dialog.clone(), self.key);
        self.dialogs.push(dialog);
    }

    /// Every deadline it may have.
    pub(crate) fn timers(&self) -> Vec<Timer> {
        let fixed = [
            Timer::Setup,
            Timer::Ringing,
            Timer::Credit,
            Timer::Store,
            Timer::Media,
            Timer::Settle,
            Timer::Engine,
            Timer::Linger,
        ];
        let legs = (0..self.legs.len()).flat_map(|index| [Timer::Repeat(index), Timer::Stray(index)]);
        fixed.into_iter().chain(legs).collect()
    }

    /// Moves along the table; false where it has no such step.
    pub(crate) fn go(&mut self, event: Event) -> bool {
        let next = self.state.after(event);
        debug_assert!(next.is_some(), "{event:?} in {:?}", self.state);
        self.state = next.unwrap_or(self.state);
        next.is_some()
    }

    /// The leg that is dialled or talking, with its index.
    pub(crate) fn callee_index(&self) -> Option<LegIndex> {
        (self.legs.len() > 1).then(|| self.legs.len() - 1)
    }

    pub(crate) fn callee(&mut self) -> Option<&mut Leg> {
        let index = self.callee_index()?;
        self.legs.get_mut(index)
    }

    /// The other leg of a conversation.
    pub(crate) fn opposite(&self, leg: LegIndex) -> Option<LegIndex> {
        if leg == 0 { self.callee_index() } else { (Some(leg) == self.callee_index()).then_some(0) }
    }

    /// Journals the state between two steps; `step` is what waits for it, if anything does.
    pub(crate) fn journal(&mut self, core: &mut Core, written: Step, step: Option<StoreStep>) {
        let journal = Box::new(self.entry(written));
        let id = core.store(self.key, StoreRequest::Journal { call: self.id.clone(), journal });
        if let Some(step) = step {
            self.await_store(core, id, step);
        }
    }

    pub(crate) fn await_store(&mut self, core: &mut Core, id: u64, step: StoreStep) {
        self.store_wait = Some((id, step));
        core.arm(self.key, Timer::Store, core.config.times.store);
    }

    /// The store answered something of this call.
    pub(crate) fn on_store(&mut self, core: &mut Core, id: u64, reply: StoreReply) {
        if let StoreReply::Failed { reason } = &reply {
            core.counters.store_failed += 1;
            core.progress(Progress::StoreFailed { call: self.id.clone(), reason: reason.clone() });
        }
        let Some((waited, step)) = self.store_wait else { return };
        if waited != id {
            return;
        }
        self.store_wait = None;
        core.disarm(self.key, Timer::Store);
        match step {
            StoreStep::Authorize => self.on_authorized(core, reply),
            StoreStep::Dial => self.on_dial_recorded(core, &reply),
            StoreStep::Answer => self.on_answer_recorded(core, &reply),
            StoreStep::Settle => self.on_settled(core, &reply),
        }
        self.check(core);
    }

    /// Asks the engine, one thing at a time.
    pub(crate) fn ask(&mut self, core: &mut Core, job: Job) {
        if self.media_jobs.len() >= core.config.limits.media_queue_max {
            return self.on_media_failed(core, job, "too many descriptions at once");
        }
        self.media_jobs.push_back(job);
        self.ask_next(core);
    }

    fn ask_next(&mut self, core: &mut Core) {
        if self.media_wait.is_some() {
            return;
        }
        let Some(job) = self.media_jobs.pop_front() else { return };
        let Some(record) = self.media.clone() else {
            return self.on_media_failed(core, job, "no engine");
        };
        let lease = self.lease_ms(core, &job);
        if job.description().is_some_and(|description| self.is_downgrade(core, description)) {
            self.on_media_failed(core, job, "the carrier's description has media in clear");
            return self.ask_next(core);
        }
        let command = match (job.description(), &job) {
            (Some(description), _) => {
                let source = self.source(description.from);
                media::signal(&core.config, &self.media_name, description, source, lease)
            }
            (None, Job::Delete) => media::delete(&core.config, &self.media_name),
            (None, Job::Query) => {
                ng::Command::Query(ng::Query { call_id: self.media_name.clone(), ..ng::Query::default() })
            }
            (None, _) => media::lease(&core.config, &self.media_name, lease),
        };
        let id = core.media(MediaWait::Call(self.key), record.engine, command);
        self.media_wait = Some((id, job));
        core.arm(self.key, Timer::Media, core.config.times.media);
    }

    /// Where the messages of a side come from: its media may come from there too, whatever its description says.
    fn source(&self, side: Side) -> Option<IpAddr> {
        let index = if side == Side::Caller { Some(0) } else { self.callee_index() };
        let hop = &self.legs.get(index?)?.hop;
        // Plain WebSocket comes from the proxy where TLS ended: the browser is elsewhere.
        (hop.transport != sip::Transport::Ws).then(|| hop.remote.ip())
    }

    /// How long the engine may go on by itself: the setup, then what is held with its grace.
    fn lease_ms(&self, core: &Core, job: &Job) -> u64 {
        let times = &core.config.times;
        let grace = u64::from(self.grace_seconds) * 1000;
        let talking = match (self.answered, job) {
            (None, _) | (_, Job::Early(..)) => None,
            (Some(answered), _) => Some(core.now.saturating_duration_since(answered.at)),
        };
        match talking {
            None => {
                let slowest = core.directory.trunks.iter().map(|trunk| trunk.setup_timeout_seconds).max();
                let setup = std::time::Duration::from_secs(u64::from(slowest.unwrap_or(0))).max(times.setup);
                millis(times.ringing + setup * 2) + grace
            }
            Some(talked) => {
                let allowed = self.allowed(core);
                millis(allowed.saturating_sub(talked)) + grace
            }
        }
    }

    /// How long the conversation may last.
    pub(crate) fn allowed(&self, core: &Core) -> std::time::Duration {
        if self.quote.is_some() {
            std::time::Duration::from_secs(u64::from(self.held_seconds))
        } else {
            core.config.times.local_call
        }
    }

    /// The engine answered, or did not.
    pub(crate) fn on_media(&mut self, core: &mut Core, id: u64, reply: Result<ng::Reply, String>) {
        let waited = self.media_wait.take_if(|(waited, _)| *waited == id);
        let Some((_, job)) = waited else {
            core.counters.late_replies += 1;
            return;
        };
        core.disarm(self.key, Timer::Media);
        match (reply, job) {
            (Ok(reply), Job::Delete) => {
                if let ng::Reply::Report(report) = &reply {
                    self.counters = media::counters(report);
                }
            }
            (Err(_), Job::Delete) => {}
            (reply, job @ (Job::Query | Job::Lease)) => self.on_resumed(core, &job, reply),
            (Ok(ng::Reply::Signal(signal)), job) => self.on_described(core, job, signal.sdp),
            (Ok(ng::Reply::Error(text) | ng::Reply::LoadLimit(text)), job) => {
                self.on_media_failed(core, job, &text);
            }
            (Ok(_), job) => self.on_media_failed(core, job, "unexpected answer"),
            (Err(text), job) => self.on_media_failed(core, job, &text),
        }
        self.ask_next(core);
        self.check(core);
    }

    fn on_described(&mut self, core: &mut Core, job: Job, sdp: Vec<u8>) {
        if let Job::Offer(said)
        | Job::Answer(said)
        | Job::LateAnswer(said)
        | Job::Modify(said, _)
        | Job::Modified(said, _) = &job
        {
            self.note(said);
        }
        match job {
            Job::Offer(_) => self.on_offered(core, sdp),
            Job::Early(description, status) => self.on_early(core, description, status, sdp),
            Job::Answer(description) => self.on_answer_described(core, description, sdp),
            Job::LateAnswer(_) => self.on_late_answer(core, sdp),
            Job::Modify(_, server) => {
                self.on_modify_described(core, server, sdp);
                if !self.relays.iter().any(|relay| relay.server == server) {
                    self.undo_offer(core);
                }
            }
            Job::Modified(_, server) => self.on_modified_described(core, server, sdp),
            Job::Undo(_) | Job::Delete | Job::Query | Job::Lease => {}
        }
    }

    /// Remembers what the engine was told.
    fn note(&mut self, said: &Description) {
        let said = Description { is_first: false, ..said.clone() };
        if !said.is_answer {
            self.offered = Some(said);
        } else if let Some(offer) = self.offered.take() {
            self.agreed = Some((offer, said));
        }
    }

    /// A change was refused after the engine had been told of it: the session is as it was (RFC 3261 §14.1).
    pub(crate) fn undo_offer(&mut self, core: &mut Core) {
        if self.offered.take().is_none() || self.state != State::Talking {
            return;
        }
        if let Some((offer, answer)) = self.agreed.clone() {
            self.ask(core, Job::Undo(offer));
            self.ask(core, Job::Undo(answer));
        }
    }

    fn on_media_failed(&mut self, core: &mut Core, job: Job, reason: &str) {
        if let Some(record) = &self.media {
            core.progress(Progress::MediaFailed {
                call: self.id.clone(),
                engine: record.engine,
                reason: reason.to_owned(),
            });
        }
        match job {
            Job::Offer(_) => self.on_offer_failed(core, reason),
            // The 18x still rings, without its media.
            Job::Early(_, status) => self.ring_caller(core, status, None),
            Job::Answer(_) | Job::LateAnswer(_) if reason == NO_ANSWER => {
                self.fail(core, StatusCode::SERVICE_UNAVAILABLE.code(), 41, reason, Side::Exchange);
            }
            Job::Answer(_) | Job::LateAnswer(_) => {
                self.fail(core, StatusCode::NOT_ACCEPTABLE_HERE.code(), 88, "media refused", Side::Exchange);
            }
            Job::Modify(_, server) | Job::Modified(_, server) => self.on_modify_failed(core, server),
            Job::Undo(_) | Job::Delete | Job::Query | Job::Lease => {}
        }
    }

    /// What the journal keeps.
    pub(crate) fn entry(&self, step: Step) -> JournalEntry {
        JournalEntry {
            call: self.id.clone(),
            step,
            account: self.account.clone(),
            caller: self.caller.clone(),
            callee: self.callee.clone(),
            route: self.route,
            trunk: self.legs.last().and_then(|leg| leg.trunk.clone()),
            quote: self.quote.clone(),
            currency: self.currency,
            held: self.held,
            held_seconds: self.held_seconds,
            grace_seconds: self.grace_seconds,
            media: self.media.clone(),
            media_name: self.media_name.clone(),
            counters: self.counters.clone(),
            setup_at: self.setup.wall,
            ring_at: self.ring.map(|moment| moment.wall),
            answer_at: self.answered.map(|moment| moment.wall),
            post_dial_ms: self.post_dial_ms,
            wait_ms: self.wait_ms,
            attempts: self.attempts.clone(),
            caller_leg: self.legs.first().map(Leg::record),
            callee_leg: self.callee_index().and_then(|index| self.legs.get(index)).map(Leg::record),
        }
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
