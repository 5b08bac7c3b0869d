//! Where phones come in: REGISTER, and the INVITE that begins a call.

use sip::message::MaxForwards;
use sip::{Dialog, HeaderName, Hop, Request, Response, ServerKey, StatusCode, Uri};

use crate::auth::{Verdict, authenticate};
use crate::call::{Call, Target, millis};
use crate::exchange::Exchange;
use crate::leg::{Leg, SDP};
use crate::route::{Destination, destination};
use crate::{CallId, CdrRoute, Progress, Side};

impl Exchange {
    pub(crate) fn on_register(&mut self, key: ServerKey, hop: &Hop, request: &Request) {
        let account = match authenticate(&mut self.core, &mut self.digest, hop, request) {
            Verdict::Account(account) => account,
            Verdict::Answer(response) => return self.core.respond(key, response),
        };
        let user = request.to_header().ok().and_then(|to| to.uri.user().map(|user| user.into_owned()));
        if user.as_deref() != Some(account.0.as_str()) {
            return self.core.refuse(key, request, StatusCode::FORBIDDEN);
        }
        if self.core.now.saturating_duration_since(self.registrations_swept) > REGISTRATIONS_SWEEP {
            self.registrations_swept = self.core.now;
            self.registrar.expire(self.core.now);
        }
        let registered = self.registrar.register(self.core.now, &account.0, hop, request);
        let tag = self.core.sip.new_tag();
        self.core.respond(key, registered.response.with_to_tag(&tag));
        let contacts = self.registrar.lookup(self.core.now, &account.0).len();
        if registered.changed {
            self.core.progress(Progress::Registered { account: account.clone(), contacts });
        }
        if contacts > 0 {
            let waiting = self.core.orphans.remove(&account.0).unwrap_or_default();
            for call in waiting {
                self.with(call, |call, core| call.on_reconnected(core, &account.0, hop));
            }
        }
    }

    pub(crate) fn on_invite(&mut self, key: ServerKey, hop: &Hop, request: Request) {
        let sender = (request.call_id().into_owned(), request.from_tag().unwrap_or_default());
        if self.core.dialogs.contains_key(&sender) {
            //= RFC 3261 §8.2.2.2: our own INVITE comes back
            self.core.counters.loops += 1;
            return self.core.refuse(key, &request, StatusCode::LOOP_DETECTED);
        }
        let account = match authenticate(&mut self.core, &mut self.digest, hop, &request) {
            Verdict::Account(account) => account,
            Verdict::Answer(response) => return self.core.respond(key, response),
        };
        if let Some(refusal) = self.unacceptable(&request) {
            return self.core.respond(key, refusal);
        }
        let directory = self.core.directory.clone();
        let used = self.core.account_calls.get(&account).copied().unwrap_or(0);
        let full = self.calls.len() >= self.core.config.limits.calls_max;
        let Some(found) = directory.accounts.get(&account) else {
            return self.core.refuse(key, &request, StatusCode::FORBIDDEN);
        };
        if self.draining || full || used >= found.max_calls {
            self.core.counters.overloaded += 1;
            return self.core.refuse(key, &request, StatusCode::SERVICE_UNAVAILABLE);
        }
        let dialled = request.uri().user().map(|user| user.into_owned()).unwrap_or_default();
        let call = self.new_call(key, hop, request, found, &dialled);
        let country = self.core.config.country_code.clone();
        let now_ms = self.core.wall.0;
        let window = now_ms..now_ms.saturating_add(millis(self.core.ringing_max()));
        let goal = destination(&directory, found, &dialled, country.as_deref(), window);
        let max_seconds = found.max_call_seconds;
        *self.core.account_calls.entry(account).or_insert(0) += 1;
        self.route(call, goal, max_seconds);
    }

    fn new_call(
        &mut self,
        server: ServerKey,
        hop: &Hop,
        request: Request,
        account: &crate::Account,
        dialled: &str,
    ) -> Call {
        let key = self.next_key;
        self.next_key += 1;
        let tag = self.core.sip.new_tag();
        let mut leg = Leg::new(Side::Caller, hop.clone(), request, tag);
        leg.server = Some(server);
        leg.user = Some(account.id.0.clone());
        self.core.servers.insert(server, key);
        let (call_id, local_tag) = (leg.call_id.clone(), leg.local_tag.clone());
        let id = CallId::new(self.core.wall.0, &mut self.core.rng);
        let mut call = Call::new(key, id, self.core.moment(), leg);
        call.first_server = Some(server);
        call.register_dialog(&mut self.core, &call_id, &local_tag);
        call.account = Some(account.id.clone());
        call.caller = account.caller_number.clone().unwrap_or_else(|| account.id.0.clone());
        call.callee = dialled.to_owned();
        call.grace_seconds = account.grace_seconds;
        call.currency = Some(account.currency);
        call.counted = true;
        call
    }

    fn route(&mut self, mut call: Call, goal: Destination, max_seconds: u32) {
        let core = &mut self.core;
        match goal {
            Destination::NotOnTrial => call.refuse(core, StatusCode::FORBIDDEN, 21, "not on trial"),
            Destination::Unrated => call.refuse(core, StatusCode::NOT_FOUND, 1, "unrated number"),
            Destination::User(user) => {
                call.route = CdrRoute::Local;
                call.caller = call.account.as_ref().map_or_else(String::new, |account| account.0.clone());
                let bindings = self.registrar.lookup(core.now, &user);
                call.targets = bindings
                    .into_iter()
                    .map(|binding| Target::Phone {
                        user: user.clone(),
                        uri: Box::new(binding.contact.uri.clone()),
                        hop: binding.hop.clone(),
                    })
                    .collect();
                call.begin(core, max_seconds);
            }
            Destination::Number { digits, quote } => {
                call.route = CdrRoute::Trunk;
                call.callee = digits;
                call.quote = Some(*quote);
                let directory = core.directory.clone();
                let (served, refused): (Vec<_>, Vec<_>) = directory
                    .trunks
                    .iter()
                    .filter(|trunk| trunk.enabled)
                    .partition(|trunk| call.may_take(trunk));
                call.targets = served.iter().map(|trunk| Target::Trunk(trunk.id.clone())).collect();
                match refused.first() {
                    Some(trunk) if served.is_empty() => {
                        let cause = if trunk.is_served() {
                            "the call is to be encrypted, and no trunk is".to_owned()
                        } else {
                            format!("trunk {} would be told the keys of its media in clear", trunk.id)
                        };
                        call.fail(core, 503, 79, &cause, Side::Exchange);
                    }
                    _ if served.is_empty() || !core.engines.has_other(&[]) => {
                        call.fail(core, 503, 34, "no route", Side::Exchange);
                    }
                    _ => call.begin(core, max_seconds),
                }
            }
        }
        self.keep(call);
    }

    /// What an INVITE is refused for before it costs anything.
    fn unacceptable(&mut self, request: &Request) -> Option<Response> {
        let core = &mut self.core;
        if let Some(response) = core.unknown_extension(request) {
            return Some(response);
        }
        if request.headers.typed::<MaxForwards>().is_ok_and(|left| left.0 == 0) {
            return Some(core.response(request, StatusCode::TOO_MANY_HOPS));
        }
        if matches!(request.uri(), Uri::Other(_)) {
            return Some(core.response(request, StatusCode::UNSUPPORTED_URI_SCHEME));
        }
        // Without a dialog the callee would be rung, answered and hung up.
        if Dialog::uas(request, "").is_err() {
            return Some(core.response(request, StatusCode::BAD_REQUEST));
        }
        let sdp = crate::leg::sdp_of(&request.headers, request.body());
        if sdp.is_none() && !request.body().is_empty() {
            let response = core.response(request, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            return Some(response.with_header(HeaderName::Accept, SDP));
        }
        None
    }
}

/// How often expired registrations are dropped.
const REGISTRATIONS_SWEEP: std::time::Duration = std::time::Duration::from_secs(10);
