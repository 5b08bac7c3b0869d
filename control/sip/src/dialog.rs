//! Dialogs: their state, the requests sent inside them, and the repetition of 2xx and ACK ([RFC 3261 §12, §13]).
//!
//! Supported: creation on both sides, early dialogs by To tag, loose and strict
//! routes, target refresh, sequence checks. Not supported: dialogs of RFC 2543
//! without tags, forking of subscriptions.
//!
//! [RFC 3261 §12, §13]: https://www.rfc-editor.org/rfc/rfc3261#section-12

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hop::Hop;
use crate::message::{
    CSEQ_MAX, CSeq, HeaderName, Headers, Method, NameAddr, RecordRoute, Request, Response, Route, StatusCode,
    TypedHeader, Uri,
};
use crate::transaction::Timers;

/// What names a dialog at one end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog a request from the peer belongs to; `None` outside any dialog.
    #[must_use]
    pub fn of_request(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.call_id().into_owned(),
            local_tag: request.to_tag()?,
            remote_tag: request.from_tag()?,
        })
    }

    /// The dialog a response to our request belongs to; `None` without To tag.
    #[must_use]
    pub fn of_response(response: &Response) -> Option<Self> {
        Some(Self {
            call_id: response.call_id().into_owned(),
            local_tag: response.from_tag()?,
            remote_tag: response.to_tag()?,
        })
    }
}

/// One dialog. It can be stored and read back after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Its name.
    pub id: DialogId,
    /// The last sequence number we sent.
    pub local_cseq: u32,
    /// The last sequence number the peer sent.
    pub remote_cseq: Option<u32>,
    /// Our From (or To) value, tag included, as sent.
    pub local: String,
    /// The peer's value, tag included, as received.
    pub remote: String,
    /// Where requests go: the peer's Contact.
    pub remote_target: Uri,
    /// Values of Route, nearest first.
    pub route_set: Vec<String>,
    /// Whether the dialog came by `sips` over TLS.
    pub secure: bool,
    /// Whether a 2xx confirmed it.
    pub confirmed: bool,
}

/// Why no dialog comes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// No To or From tag where one is needed.
    #[error("missing tag")]
    Tag,
    /// No Contact with a SIP URI.
    #[error("missing or unusable Contact")]
    Contact,
    /// A Record-Route does not parse.
    #[error("bad Record-Route")]
    RecordRoute,
    /// Another required header does not parse.
    #[error("bad header")]
    Header,
}

impl Dialog {
    /// The dialog of our INVITE and a response with To tag, 101 to 299 (§12.1.2).
    ///
    /// # Errors
    /// [`DialogError`]; a provisional response without Contact makes no dialog.
    pub fn uac(request: &Request, response: &Response) -> Result<Self, DialogError> {
        let id = DialogId::of_response(response).ok_or(DialogError::Tag)?;
        let mut route_set = record_routes(&response.headers)?;
        route_set.reverse();
        Ok(Self {
            id,
            local_cseq: request.cseq().map_err(|_| DialogError::Header)?.number,
            remote_cseq: None,
            local: header_text(&request.headers, &HeaderName::From)?,
            remote: header_text(&response.headers, &HeaderName::To)?,
            remote_target: contact(&response.headers)?,
            route_set,
            secure: request.uri().is_secure(),
            confirmed: response.status().is_success(),
        })
    }

    /// The dialog of a peer's INVITE, answered with `local_tag` (§12.1.1).
    ///
    /// It is early until [`Dialog::confirm`].
    ///
    /// # Errors
    /// [`DialogError`].
    pub fn uas(request: &Request, local_tag: &str) -> Result<Self, DialogError> {
        let mut local = header_text(&request.headers, &HeaderName::To)?;
        if request.to_tag().is_none() {
            local.push_str(";tag=");
            local.push_str(local_tag);
        }
        Ok(Self {
            id: DialogId {
                call_id: request.call_id().into_owned(),
                local_tag: local_tag.to_owned(),
                remote_tag: request.from_tag().ok_or(DialogError::Tag)?,
            },
            local_cseq: 0,
            remote_cseq: Some(request.cseq().map_err(|_| DialogError::Header)?.number),
            local,
            remote: header_text(&request.headers, &HeaderName::From)?,
            remote_target: contact(&request.headers)?,
            route_set: record_routes(&request.headers)?,
            secure: request.uri().is_secure(),
            confirmed: false,
        })
    }

    /// Marks the dialog confirmed by a 2xx, as UAS.
    pub fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Takes in a 2xx of this dialog as UAC: confirms it, refreshes the target,
    /// and computes the route set anew if it was early (§13.2.2.4).
    ///
    /// # Errors
    /// [`DialogError`]; nothing has changed then.
    pub fn confirm_by(&mut self, response: &Response) -> Result<(), DialogError> {
        let mut route_set = record_routes(&response.headers)?;
        let target = contact(&response.headers)?;
        if !self.confirmed {
            route_set.reverse();
            self.route_set = route_set;
        }
        self.remote_target = target;
        self.confirmed = true;
        Ok(())
    }

    /// Checks the order of a request of the peer and remembers its number (§12.2.2).
    ///
    /// ACK and CANCEL carry the number of their INVITE and are not checked.
    ///
    /// # Errors
    /// The status to answer: 500 for a number that is not higher than the last.
    pub fn receive(&mut self, request: &Request) -> Result<(), StatusCode> {
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let number = request.cseq().map_err(|_| StatusCode::BAD_REQUEST)?.number;
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(StatusCode::SERVER_INTERNAL_ERROR);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Takes the Contact of a target refresh request or its 2xx (re-INVITE, UPDATE).
    ///
    /// Does nothing when there is no usable Contact.
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(target) = contact(headers) {
            self.remote_target = target;
        }
    }

    /// A request inside the dialog with the next sequence number (§12.2.1.1).
    ///
    /// Has From, To, Call-ID, CSeq, Max-Forwards and Route; Via comes with the
    /// transaction, Contact and body are the caller's.
    pub fn request(&mut self, method: Method) -> Request {
        // Past 2^31 a dialog could only end; no call makes that many requests.
        self.local_cseq = (self.local_cseq + 1).min(CSEQ_MAX);
        self.build(method, self.local_cseq)
    }

    /// The ACK of a 2xx to our INVITE with sequence number `invite_cseq` (§13.2.2.4).
    #[must_use]
    pub fn ack(&self, invite_cseq: u32) -> Request {
        self.build(Method::Ack, invite_cseq)
    }

    /// The URI a request is sent to: the first route, or the target.
    #[must_use]
    pub fn next_hop(&self) -> Uri {
        self.route_set
            .first()
            .and_then(|route| Route::parse(route).ok())
            .map_or_else(|| self.remote_target.clone(), |route| route.0.uri)
    }

    fn build(&self, method: Method, number: u32) -> Request {
        let mut routes = self.route_set.clone();
        let first = routes.first().and_then(|route| Route::parse(route).ok());
        let strict = first.filter(|route| !route.uri.as_sip().is_some_and(|uri| uri.is_loose()));
        let uri = match strict {
            //= RFC 3261 §12.2.1.1
            // A strict router becomes the Request-URI, and the target the last Route.
            Some(route) => {
                routes.remove(0);
                routes.push(NameAddr::new(self.remote_target.clone()).to_string());
                route.0.uri
            }
            None => self.remote_target.clone(),
        };
        let mut request = Request::new(method.clone(), uri);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        for route in &routes {
            headers.push(HeaderName::Route, route);
        }
        headers.push(HeaderName::From, &self.local);
        headers.push(HeaderName::To, &self.remote);
        headers.push(HeaderName::CallId, &self.id.call_id);
        headers.push_typed(&CSeq { number, method });
        request
    }
}

/// Repeats a 2xx until its ACK comes (§13.3.1.4), over every transport.
#[derive(Clone, Debug)]
pub struct AnswerRepeater {
    next: Instant,
    interval: Duration,
    end: Instant,
    t2: Duration,
}

/// What [`AnswerRepeater::poll`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing before [`AnswerRepeater::next_deadline`].
    Wait,
    /// Send the 2xx again.
    Send,
    /// 64*T1 passed without ACK: end the session with BYE.
    GiveUp,
}

impl AnswerRepeater {
    /// Begins when the 2xx was first sent.
    #[must_use]
    pub fn new(now: Instant, timers: &Timers) -> Self {
        Self { next: now + timers.t1, interval: timers.t1, end: now + timers.t1_64(), t2: timers.t2 }
    }

    /// What is due at `now`.
    pub fn poll(&mut self, now: Instant) -> Repeat {
        if now >= self.end {
            return Repeat::GiveUp;
        }
        if now < self.next {
            return Repeat::Wait;
        }
        self.interval = (self.interval * 2).min(self.t2);
        self.next = now + self.interval;
        Repeat::Send
    }

    /// When [`AnswerRepeater::poll`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        self.next.min(self.end)
    }
}

/// The ACK of a 2xx, kept to answer the 2xx again when it is repeated (§13.2.2.4).
#[derive(Clone, Debug)]
pub struct SentAck {
    /// Where it went.
    pub hop: Hop,
    /// The ACK as sent.
    pub bytes: Bytes,
    /// The sequence number of the INVITE.
    pub invite_cseq: u32,
    /// After this no repetition is expected any more.
    pub until: Instant,
}

impl SentAck {
    /// Remembers an ACK sent at `now`.
    #[must_use]
    pub fn new(now: Instant, timers: &Timers, hop: Hop, bytes: Bytes, invite_cseq: u32) -> Self {
        Self { hop, bytes, invite_cseq, until: now + timers.t1_64() }
    }

    /// Whether `response` is the 2xx this ACK was for.
    #[must_use]
    pub fn answers(&self, response: &Response) -> bool {
        response.status().is_success()
            && response
                .cseq()
                .is_ok_and(|cseq| cseq.method == Method::Invite && cseq.number == self.invite_cseq)
    }
}

fn header_text(headers: &Headers, name: &HeaderName) -> Result<String, DialogError> {
    Ok(headers.get(name).ok_or(DialogError::Header)?.into_owned())
}

fn record_routes(headers: &Headers) -> Result<Vec<String>, DialogError> {
    let values = headers.values(&HeaderName::RecordRoute).map_err(|_| DialogError::RecordRoute)?;
    for value in &values {
        RecordRoute::parse(value).map_err(|_| DialogError::RecordRoute)?;
    }
    Ok(values)
}

fn contact(headers: &Headers) -> Result<Uri, DialogError> {
    let contact = headers.typed::<crate::message::Contact>().map_err(|_| DialogError::Contact)?;
    match contact.0.uri {
        Uri::Sip(uri) => Ok(Uri::Sip(uri)),
        _ => Err(DialogError::Contact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn request(text: &str) -> Request {
        match Message::parse_datagram(text.replace('\n', "\r\n").as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn response(text: &str) -> Response {
        match Message::parse_datagram(text.replace('\n', "\r\n").as_bytes()) {
            Ok(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    fn invite(extra: &str) -> Request {
        request(&format!(
            "INVITE sip:callee@u2.domain.com SIP/2.0\nVia: SIP/2.0/UDP c;branch=z9hG4bKa\n\
             From: \"A\" <sip:caller@u1.example.com>;tag=a1\nTo: <sip:callee@u2.domain.com>\n\
             Call-ID: c1\nCSeq: 7 INVITE\nContact: <sip:caller@u1.example.com>\n{extra}\n"
        ))
    }

    fn ok(routes: &str) -> Response {
        response(&format!(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP c;branch=z9hG4bKa\n\
             From: \"A\" <sip:caller@u1.example.com>;tag=a1\nTo: <sip:callee@u2.domain.com>;tag=b1\n\
             Call-ID: c1\nCSeq: 7 INVITE\nContact: <sip:callee@u2.domain.com>\n{routes}\n"
        ))
    }

    #[test]
    fn the_route_set_is_reversed_for_the_caller_only() {
        let routes = "Record-Route: <sip:p2.domain.com;lr>, <sip:p1.example.com;lr>\n";
        let uac = Dialog::uac(&invite(""), &ok(routes)).expect("dialog");
        assert_eq!(uac.route_set, ["<sip:p1.example.com;lr>", "<sip:p2.domain.com;lr>"]);
        assert_eq!(uac.next_hop().to_string(), "sip:p1.example.com;lr");
        let uas = Dialog::uas(&invite(routes), "b1").expect("dialog");
        assert_eq!(uas.route_set, ["<sip:p2.domain.com;lr>", "<sip:p1.example.com;lr>"]);
    }

    #[test]
    fn both_ends_name_the_same_dialog_the_other_way_round() {
        let mut uac = Dialog::uac(&invite(""), &ok("")).expect("dialog");
        let mut uas = Dialog::uas(&invite(""), "b1").expect("dialog");
        uas.confirm();
        assert!(uac.confirmed && uas.confirmed);
        let bye = uac.request(Method::Bye);
        assert_eq!(DialogId::of_request(&bye), Some(uas.id.clone()));
        assert_eq!(bye.cseq().map(|c| c.number), Ok(8));
        assert_eq!(bye.uri().to_string(), "sip:callee@u2.domain.com");
        let back = uas.request(Method::Bye);
        assert_eq!(DialogId::of_request(&back), Some(uac.id.clone()));
        assert_eq!(back.from().map(|f| f.tag().map(str::to_owned)), Ok(Some("b1".to_owned())));
        assert_eq!(uac.ack(7).cseq().map(|c| c.to_string()).as_deref(), Ok("7 ACK"));
    }

    #[test]
    fn a_strict_router_takes_the_request_uri() {
        let routes = "Record-Route: <sip:p2.domain.com;lr>\nRecord-Route: <sip:p1.example.com>\n";
        let mut dialog = Dialog::uac(&invite(""), &ok(routes)).expect("dialog");
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri().to_string(), "sip:p1.example.com");
        assert_eq!(
            bye.headers.values(&HeaderName::Route).expect("routes"),
            ["<sip:p2.domain.com;lr>", "<sip:callee@u2.domain.com>"]
        );
    }

    #[test]
    fn a_number_that_does_not_rise_is_500() {
        let mut dialog = Dialog::uas(&invite(""), "b1").expect("dialog");
        assert_eq!(dialog.receive(&invite("")), Err(StatusCode::SERVER_INTERNAL_ERROR));
        let mut peer = Dialog::uac(&invite(""), &ok("")).expect("dialog");
        assert_eq!(dialog.receive(&peer.ack(7)), Ok(()));
        assert_eq!(dialog.receive(&peer.request(Method::Bye)), Ok(()));
    }

    #[test]
    fn a_dialog_needs_tags_and_a_sip_contact() {
        let mut bare = ok("");
        bare.headers.set(HeaderName::To, "<sip:callee@u2.domain.com>");
        assert_eq!(Dialog::uac(&invite(""), &bare).err(), Some(DialogError::Tag));
        let mut tel = ok("");
        tel.headers.set(HeaderName::Contact, "<tel:+123>");
        assert_eq!(Dialog::uac(&invite(""), &tel).err(), Some(DialogError::Contact));
    }

    #[test]
    fn a_2xx_is_repeated_with_growing_pauses_and_given_up_after_64_t1() {
        let start = crate::test_clock::start();
        let mut repeater = AnswerRepeater::new(start, &Timers::default());
        let mut times = Vec::new();
        let end = loop {
            let now = repeater.next_deadline();
            match repeater.poll(now) {
                Repeat::Send => times.push((now - start).as_millis()),
                Repeat::GiveUp => break now - start,
                Repeat::Wait => panic!("a deadline with nothing to do"),
            }
        };
        assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
        assert_eq!(end, Duration::from_secs(32));
        assert_eq!(repeater.poll(start), Repeat::Wait);
    }
}
