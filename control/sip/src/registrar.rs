//! Registration rules: which contacts an address of record has, and over which flow ([RFC 3261 §10.3]).
//!
//! Supported: adding, refreshing, removing, `*`, 423, order by Call-ID and CSeq,
//! all-or-nothing updates, a flow per binding so that a phone behind TLS or a
//! browser is called over its own connection, and RFC 5626 §6 over connections:
//! whoever names its instance and the number of its flow replaces what it had
//! registered so, whatever its Contact is now. Not supported: Path, GRUU, keep-alives
//! of RFC 5626 over UDP, where a registration is one of RFC 3261 therefore.
//!
//! [RFC 3261 §10.3]: https://www.rfc-editor.org/rfc/rfc3261#section-10.3

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::hop::{FlowId, Hop};
use crate::message::{
    Contact, Contacts, Expires, HeaderError, HeaderName, Request, Response, StatusCode, Uri,
};

/// Limits of a registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Shortest lifetime accepted, in seconds (default 60); less is 423.
    pub expires_min_s: u32,
    /// Longest lifetime given, in seconds (default 3600); more is shortened.
    pub expires_max_s: u32,
    /// Lifetime when none is asked for, in seconds (default 3600).
    pub expires_default_s: u32,
    /// Bindings of one address of record (default 8).
    pub bindings_per_aor_max: usize,
    /// Addresses of record with bindings (default 100 000; about 1 KiB per binding).
    pub aors_max: usize,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            expires_min_s: 60,
            expires_max_s: 3600,
            expires_default_s: 3600,
            bindings_per_aor_max: 8,
            aors_max: 100_000,
        }
    }
}

/// One way to reach an address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact, without its `expires` parameter.
    pub contact: Contact,
    /// Where the REGISTER came from, and where calls go.
    pub hop: Hop,
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// When it ends.
    pub expires: Instant,
    /// False once the connection it came over ended.
    pub usable: bool,
}

/// What a REGISTER changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The response: 200 with all bindings, or the refusal.
    pub response: Response,
    /// Whether bindings changed.
    pub changed: bool,
}

/// Bindings of all addresses of record.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    aors: BTreeMap<String, Vec<Binding>>,
}

impl Registrar {
    /// No bindings.
    #[must_use]
    pub const fn new(config: RegistrarConfig) -> Self {
        Self { config, aors: BTreeMap::new() }
    }

    /// Serves a REGISTER that is already authenticated for `aor` (§10.3 steps 6 to 8).
    ///
    /// `aor` is whatever the caller keys accounts by. All changes are made, or
    /// none: 400 for malformed contacts, 423 for a short lifetime, 500 for a
    /// request out of order, 503 for more bindings than the limits.
    pub fn register(&mut self, now: Instant, aor: &str, hop: &Hop, request: &Request) -> Registered {
        match self.apply(now, aor, hop, request) {
            Ok(changed) => {
                let mut response = self.listing(now, aor, request);
                if is_outbound(hop, request) && names_a_flow(request) {
                    //= RFC 5626 §6: the phone learns by it that its flow counts
                    response.headers.push(HeaderName::Require, "outbound");
                }
                Registered { response, changed }
            }
            Err(status) => {
                let mut response = Response::to(request, status);
                if status == StatusCode::INTERVAL_TOO_BRIEF {
                    response.headers.push(HeaderName::MinExpires, &self.config.expires_min_s.to_string());
                }
                Registered { response, changed: false }
            }
        }
    }

    /// Bindings of `aor` that can be called now, the preferred (`q`) and newest first.
    #[must_use]
    pub fn lookup(&self, now: Instant, aor: &str) -> Vec<&Binding> {
        let mut found: Vec<_> = self
            .aors
            .get(aor)
            .into_iter()
            .flatten()
            .filter(|binding| binding.usable && binding.expires > now)
            .collect();
        found.sort_by(|a, b| {
            (b.contact.q_thousandths(), b.expires).cmp(&(a.contact.q_thousandths(), a.expires))
        });
        found
    }

    /// A connection ended: its bindings cannot be called until they are refreshed.
    ///
    /// # Cost
    /// Looks at every binding.
    pub fn flow_closed(&mut self, flow: FlowId) {
        for binding in self.aors.values_mut().flatten() {
            if binding.hop.flow == Some(flow) && binding.hop.transport.is_reliable() {
                binding.usable = false;
            }
        }
    }

    /// Drops what expired.
    ///
    /// # Cost
    /// Looks at every binding; once in some seconds is enough, since
    /// [`Registrar::lookup`] does not return expired ones.
    pub fn expire(&mut self, now: Instant) {
        self.aors.retain(|_, bindings| {
            bindings.retain(|binding| binding.expires > now);
            !bindings.is_empty()
        });
    }

    /// Addresses of record that have bindings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.aors.len()
    }

    /// Whether there are no bindings at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.aors.is_empty()
    }

    fn apply(&mut self, now: Instant, aor: &str, hop: &Hop, request: &Request) -> Result<bool, StatusCode> {
        let contacts = request.contacts().map_err(|_| StatusCode::BAD_REQUEST)?;
        let call_id = request.call_id().into_owned();
        let cseq = request.cseq().map_err(|_| StatusCode::BAD_REQUEST)?.number;
        let header_expires = match request.headers.typed::<Expires>() {
            Ok(Expires(seconds)) => Some(seconds),
            Err(HeaderError::Missing) => None,
            Err(_) => return Err(StatusCode::BAD_REQUEST),
        };
        let mut bindings: Vec<Binding> = self
            .aors
            .get(aor)
            .into_iter()
            .flatten()
            .filter(|binding| binding.expires > now)
            .cloned()
            .collect();
        let in_order = |old: &Binding| old.call_id != call_id || cseq > old.cseq;
        let list = match contacts {
            Contacts::All => {
                if header_expires != Some(0) {
                    return Err(StatusCode::BAD_REQUEST);
                }
                if !bindings.iter().all(in_order) {
                    return Err(StatusCode::SERVER_INTERNAL_ERROR);
                }
                let changed = !bindings.is_empty();
                self.aors.remove(aor);
                return Ok(changed);
            }
            Contacts::List(list) => list,
        };
        if list.is_empty() {
            return Ok(false);
        }
        let outbound = is_outbound(hop, request);
        for mut contact in list {
            if !matches!(contact.uri, Uri::Sip(_)) {
                return Err(StatusCode::BAD_REQUEST);
            }
            let asked = contact.expires().map_err(|_| StatusCode::BAD_REQUEST)?;
            let seconds = asked.or(header_expires).unwrap_or(self.config.expires_default_s);
            contact.params.remove("expires");
            let flow = outbound.then(|| flow_of(&contact)).flatten();
            let same = bindings
                .iter()
                .position(|old| flow.is_some() && flow_of(&old.contact) == flow)
                .or_else(|| bindings.iter().position(|old| old.contact.uri == contact.uri));
            if let Some(at) = same
                && !in_order(&bindings[at])
            {
                return Err(StatusCode::SERVER_INTERNAL_ERROR);
            }
            if seconds == 0 {
                if let Some(at) = same {
                    bindings.remove(at);
                }
                continue;
            }
            if seconds < self.config.expires_min_s {
                return Err(StatusCode::INTERVAL_TOO_BRIEF);
            }
            let lifetime = Duration::from_secs(u64::from(seconds.min(self.config.expires_max_s)));
            let binding = Binding {
                contact,
                hop: hop.clone(),
                call_id: call_id.clone(),
                cseq,
                expires: now + lifetime,
                usable: true,
            };
            match same {
                Some(at) => bindings[at] = binding,
                None => bindings.push(binding),
            }
        }
        // A phone that comes back over another connection may come under another contact each
        // time; the ones it had over lost connections lead nowhere and must not keep it out.
        while bindings.len() > self.config.bindings_per_aor_max
            && let Some(dead) =
                (0..bindings.len()).filter(|&at| !bindings[at].usable).min_by_key(|&at| bindings[at].expires)
        {
            bindings.remove(dead);
        }
        let new_aor = !self.aors.contains_key(aor);
        if bindings.len() > self.config.bindings_per_aor_max
            || (new_aor && !bindings.is_empty() && self.aors.len() >= self.config.aors_max)
        {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        if bindings.is_empty() {
            self.aors.remove(aor);
        } else {
            self.aors.insert(aor.to_owned(), bindings);
        }
        Ok(true)
    }

    /// The 200: every binding with the seconds it has left (§10.3 step 8).
    fn listing(&self, now: Instant, aor: &str, request: &Request) -> Response {
        let mut response = Response::to(request, StatusCode::OK);
        let bindings = self.aors.get(aor).into_iter().flatten();
        for binding in bindings.filter(|binding| binding.expires > now) {
            let mut contact = binding.contact.clone();
            let left = binding.expires.saturating_duration_since(now).as_secs();
            contact.params.set("expires", Some(&left.to_string()));
            response.headers.push_typed(&contact);
        }
        response
    }
}

/// Whether flows are registered by it: asked for, and over a connection whose end we see.
fn is_outbound(hop: &Hop, request: &Request) -> bool {
    hop.transport.is_reliable() && request.headers.lists(&HeaderName::Supported, "outbound")
}

/// Whether a contact of `request` names its instance and its flow.
fn names_a_flow(request: &Request) -> bool {
    match request.contacts() {
        Ok(Contacts::List(list)) => list.iter().any(|contact| flow_of(contact).is_some()),
        _ => false,
    }
}

/// The instance and the flow that a contact names ([RFC 5626 §4.1, §4.2]).
///
/// [RFC 5626 §4.1, §4.2]: https://www.rfc-editor.org/rfc/rfc5626#section-4.1
fn flow_of(contact: &Contact) -> Option<(String, u32)> {
    let instance = contact.params.value("+sip.instance")?;
    let number =
        contact.params.value("reg-id")?.parse().ok().filter(|number| (1..1 << 31).contains(number))?;
    Some((instance.into_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hop::Transport;
    use crate::message::Message;

    const AOR: &str = "alice";

    fn register(cseq: u32, lines: &str) -> Request {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKa\r\n\
             From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\n\
             Call-ID: r1\r\nCSeq: {cseq} REGISTER\r\n{lines}\r\n"
        );
        match Message::parse_datagram(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn hop(flow: u64) -> Hop {
        Hop::over(Transport::Tls, "192.0.2.1:40000".parse().expect("address"), FlowId(flow))
    }

    struct Bench {
        registrar: Registrar,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { registrar: Registrar::new(RegistrarConfig::default()), now: crate::test_clock::start() }
        }

        fn send(&mut self, cseq: u32, lines: &str) -> Response {
            let request = register(cseq, lines);
            self.registrar.register(self.now, AOR, &hop(1), &request).response
        }

        fn status(&mut self, cseq: u32, lines: &str) -> u16 {
            self.send(cseq, lines).status().code()
        }

        fn targets(&self) -> Vec<String> {
            self.registrar
                .lookup(self.now, AOR)
                .iter()
                .map(|binding| binding.contact.uri.to_string())
                .collect()
        }
    }

    #[test]
    fn a_binding_lives_as_long_as_the_200_says() {
        let mut bench = Bench::new();
        let ok = bench.send(1, "Contact: <sip:a@1.2.3.4>;expires=9999\r\n");
        assert_eq!(ok.headers.get(&HeaderName::Contact).as_deref(), Some("<sip:a@1.2.3.4>;expires=3600"));
        bench.now += Duration::from_secs(3599);
        assert_eq!(bench.targets(), ["sip:a@1.2.3.4"]);
        bench.now += Duration::from_secs(1);
        assert!(bench.targets().is_empty());
        bench.registrar.expire(bench.now);
        assert!(bench.registrar.is_empty());
    }

    #[test]
    fn too_short_a_lifetime_is_423_and_zero_removes() {
        let mut bench = Bench::new();
        let brief = bench.send(1, "Contact: <sip:a@h>\r\nExpires: 5\r\n");
        assert_eq!(brief.status(), StatusCode::INTERVAL_TOO_BRIEF);
        assert_eq!(brief.headers.get(&HeaderName::MinExpires).as_deref(), Some("60"));
        assert_eq!(bench.status(2, "Contact: <sip:a@h>, <sip:b@h>;q=0.5\r\nExpires: 60\r\n"), 200);
        assert_eq!(bench.targets(), ["sip:a@h", "sip:b@h"]);
        assert_eq!(bench.status(3, "Contact: <sip:a@h>;expires=0\r\n"), 200);
        assert_eq!(bench.targets(), ["sip:b@h"]);
    }

    #[test]
    fn a_request_out_of_order_changes_nothing() {
        let mut bench = Bench::new();
        assert_eq!(bench.status(5, "Contact: <sip:a@h>\r\n"), 200);
        assert_eq!(bench.status(5, "Contact: <sip:b@h>, <sip:a@h>;expires=0\r\n"), 500);
        assert_eq!(bench.status(4, "Contact: *\r\nExpires: 0\r\n"), 500);
        assert_eq!(bench.targets(), ["sip:a@h"]);
    }

    #[test]
    fn a_star_removes_all_and_only_with_expires_zero() {
        let mut bench = Bench::new();
        assert_eq!(bench.status(1, "Contact: <sip:a@h>\r\nContact: <sip:b@h>\r\n"), 200);
        assert_eq!(bench.status(2, "Contact: *\r\n"), 400);
        assert_eq!(bench.status(3, "Contact: *\r\nContact: <sip:c@h>\r\nExpires: 0\r\n"), 400);
        assert_eq!(bench.targets().len(), 2);
        assert_eq!(bench.status(4, "Contact: *\r\nExpires: 0\r\n"), 200);
        assert!(bench.targets().is_empty());
    }

    #[test]
    fn without_contact_the_bindings_are_listed() {
        let mut bench = Bench::new();
        bench.send(1, "Contact: <sip:a@h>\r\n");
        let listing = bench.send(2, "");
        assert_eq!(listing.headers.count(&HeaderName::Contact), 1);
    }

    #[test]
    fn a_closed_connection_makes_its_bindings_unusable_until_refreshed() {
        let mut bench = Bench::new();
        bench.send(1, "Contact: <sip:a@h>\r\n");
        bench.registrar.flow_closed(FlowId(2));
        assert_eq!(bench.targets().len(), 1);
        bench.registrar.flow_closed(FlowId(1));
        assert!(bench.targets().is_empty());
        bench.send(2, "Contact: <sip:a@h>\r\n");
        assert_eq!(bench.targets().len(), 1);
    }

    #[test]
    fn a_browser_that_comes_again_replaces_what_its_instance_had_registered() {
        let mut bench = Bench::new();
        let page = |host: &str, flow: u32| {
            format!(
                "Supported: path, outbound\r\nContact: <sip:x@{host}.invalid;transport=ws>;reg-id={flow};\
                 +sip.instance=\"<urn:uuid:1>\";expires=600\r\n"
            )
        };
        let ok = bench.send(1, &page("one", 1));
        assert_eq!(ok.headers.get(&HeaderName::Require).as_deref(), Some("outbound"));
        assert!(ok.headers.get(&HeaderName::Contact).is_some_and(|said| said.contains("+sip.instance")));
        bench.send(2, &page("two", 1));
        assert_eq!(bench.targets(), ["sip:x@two.invalid;transport=ws"]);
        bench.send(3, &page("three", 2));
        assert_eq!(bench.targets().len(), 2, "another flow of the same browser is kept beside it");
        // Without the option the number means nothing, and neither does it over UDP.
        let ok = bench.send(4, &page("four", 1).replace("outbound", "gruu"));
        assert_eq!(ok.headers.get(&HeaderName::Require), None);
        assert_eq!(bench.targets().len(), 3);
        let udp = Hop { transport: Transport::Udp, ..hop(9) };
        let answer = bench.registrar.register(bench.now, AOR, &udp, &register(5, &page("five", 1)));
        assert_eq!(answer.response.headers.get(&HeaderName::Require), None);
        assert_eq!(bench.targets().len(), 4);
    }

    #[test]
    fn a_flow_cannot_be_taken_over_by_a_request_out_of_order() {
        let mut bench = Bench::new();
        let contact = "Supported: outbound\r\nContact: <sip:a@h>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n";
        assert_eq!(bench.status(5, contact), 200);
        assert_eq!(bench.status(5, &contact.replace("a@h", "b@h")), 500);
        assert_eq!(bench.targets(), ["sip:a@h"]);
    }

    #[test]
    fn a_phone_that_reconnects_under_ever_new_contacts_stays_registered() {
        let mut bench = Bench::new();
        bench.send(1, "Contact: <sip:desk@h>\r\n");
        for number in 2..40 {
            let contact = format!("Contact: <sip:a@h:{number}>\r\n");
            let request = register(number, &contact);
            let flow = u64::from(number);
            let answer = bench.registrar.register(bench.now, AOR, &hop(flow), &request).response;
            assert_eq!(answer.status(), StatusCode::OK, "{number}");
            assert_eq!(bench.targets().len(), 2, "{number}");
            bench.registrar.flow_closed(FlowId(flow));
        }
        assert_eq!(bench.targets(), ["sip:desk@h"], "what still leads somewhere is never dropped");
        assert!(bench.registrar.aors[AOR].len() <= 8);
    }

    #[test]
    fn bindings_are_bounded_and_only_sip() {
        let mut bench = Bench::new();
        let many: String = (0..9).map(|n| format!("Contact: <sip:a@h{n}>\r\n")).collect();
        assert_eq!(bench.status(1, &many), 503);
        assert_eq!(bench.status(2, "Contact: <mailto:a@h>\r\n"), 400);
        assert!(bench.targets().is_empty());
    }
}
