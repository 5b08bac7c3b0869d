//! Phones and carriers as scripts that speak whole messages.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::message::{CSeq, Host, HostPort, MAGIC_COOKIE, NameAddr, Via};
use sip::{Dialog, FlowId, HeaderName, Hop, Message, Method, Request, Response, StatusCode, Transport, Uri};

use crate::world::World;

/// One SIP user agent at one address.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) hop: Hop,
    branches: u32,
    cseq: u32,
}

impl Peer {
    pub(crate) fn udp(name: &'static str, address: &str) -> Self {
        let hop = Hop::over(Transport::Udp, address.parse().expect("address"), FlowId(1));
        Self { name, hop, branches: 0, cseq: 0 }
    }

    pub(crate) fn tls(name: &'static str, address: &str, flow: u64) -> Self {
        let hop = Hop::over(Transport::Tls, address.parse().expect("address"), FlowId(flow));
        Self { name, hop, branches: 0, cseq: 0 }
    }

    /// A browser, which does not know its own address.
    pub(crate) fn page(name: &'static str, address: &str, flow: u64) -> Self {
        let hop = Hop::over(Transport::Wss, address.parse().expect("address"), FlowId(flow));
        Self { name, hop, branches: 0, cseq: 0 }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.hop.remote
    }

    fn here(&self) -> HostPort {
        if let (Transport::Wss, Some(flow)) = (self.hop.transport, self.hop.flow) {
            return HostPort::new(Host::Name(format!("page{}.invalid", flow.0)), None);
        }
        HostPort::new(Host::Ip(self.hop.remote.ip()), Some(self.hop.remote.port()))
    }

    pub(crate) fn contact(&self) -> String {
        let mut uri = Uri::sip(Some(self.name), self.here());
        if self.hop.transport == Transport::Wss {
            uri = uri.with_param("transport", Some("ws"));
        }
        NameAddr::new(uri).to_string()
    }

    fn via(&mut self) -> String {
        self.branches += 1;
        let branch = format!("{MAGIC_COOKIE}{}{}", self.name, self.branches);
        Via::new(self.hop.transport.via(), self.here(), &branch).to_string()
    }

    /// A request outside any dialog.
    pub(crate) fn request(&mut self, method: Method, user: &str) -> Request {
        self.cseq += 1;
        let domain = HostPort::new(Host::Name("tollgate.test".into()), None);
        let to = Uri::sip(Some(user), domain.clone());
        let from = Uri::sip(Some(self.name), domain);
        let mut request = Request::new(method.clone(), to.clone());
        let via = self.via();
        let headers = &mut request.headers;
        headers.push(HeaderName::Via, &via);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &NameAddr::new(from).with_tag("from").to_string());
        headers.push(HeaderName::To, &NameAddr::new(to).to_string());
        headers.push(HeaderName::CallId, &format!("{}-{}", self.name, self.cseq));
        headers.push_typed(&CSeq { number: self.cseq, method });
        headers.push(HeaderName::Contact, &self.contact());
        request
    }

    pub(crate) fn invite(&mut self, user: &str, sdp: Option<&str>) -> Request {
        let mut request = self.request(Method::Invite, user);
        if let Some(sdp) = sdp {
            request.set_body("application/sdp", Bytes::copy_from_slice(sdp.as_bytes()));
        }
        request
    }

    /// A request inside a dialog, with a body if there is one.
    pub(crate) fn within(&mut self, dialog: &mut Dialog, method: Method, sdp: Option<&str>) -> Request {
        let request = dialog.request(method);
        self.dress(request, sdp)
    }

    pub(crate) fn ack(&mut self, dialog: &Dialog, number: u32, sdp: Option<&str>) -> Request {
        let request = dialog.ack(number);
        self.dress(request, sdp)
    }

    fn dress(&mut self, mut request: Request, sdp: Option<&str>) -> Request {
        let via = self.via();
        request.headers.push_front(HeaderName::Via, &via);
        request.headers.push(HeaderName::Contact, &self.contact());
        if let Some(sdp) = sdp {
            request.set_body("application/sdp", Bytes::copy_from_slice(sdp.as_bytes()));
        }
        request
    }

    pub(crate) fn cancel(&self, invite: &Request) -> Request {
        let mut cancel = Request::new(Method::Cancel, invite.uri().clone());
        for name in
            [HeaderName::Via, HeaderName::MaxForwards, HeaderName::From, HeaderName::To, HeaderName::CallId]
        {
            cancel.headers.copy(&invite.headers, &name);
        }
        let number = invite.cseq().expect("CSeq").number;
        cancel.headers.push_typed(&CSeq { number, method: Method::Cancel });
        cancel
    }

    /// A response of this peer with its tag and Contact.
    pub(crate) fn response(&self, request: &Request, status: u16, sdp: Option<&str>) -> Response {
        let status = StatusCode::new(status).expect("status");
        let mut response = Response::to(request, status)
            .with_to_tag(&format!("{}-tag", self.name))
            .with_header(HeaderName::Contact, &self.contact());
        if let Some(sdp) = sdp {
            response.set_body("application/sdp", Bytes::copy_from_slice(sdp.as_bytes()));
        }
        response
    }

    pub(crate) fn send(&self, world: &mut World, message: impl Into<Message>) {
        // Through bytes, as on the wire.
        let message: Message = message.into();
        let message = Message::parse_datagram(&message.to_bytes()).expect("a peer's message parses");
        world.input(call::Input::Sip { hop: self.hop.clone(), message });
    }

    /// The next message for this peer, 100s and retransmissions of the last one left out.
    pub(crate) fn next(&self, world: &mut World) -> Option<Message> {
        loop {
            let message = world.inboxes.get_mut(&self.address())?.pop_front()?;
            if let Message::Response(response) = &message
                && response.status() == StatusCode::TRYING
            {
                continue;
            }
            return Some(message);
        }
    }

    pub(crate) fn expect(&self, world: &mut World, status: u16) -> Response {
        match self.next(world) {
            Some(Message::Response(response)) if response.status().code() == status => response,
            other => panic!("{} expects {status}, gets {}\n{}", self.name, show(&other), world.story()),
        }
    }

    pub(crate) fn expect_request(&self, world: &mut World, method: Method) -> Request {
        match self.next(world) {
            Some(Message::Request(request)) if *request.method() == method => request,
            other => panic!("{} expects {method}, gets {}\n{}", self.name, show(&other), world.story()),
        }
    }

    pub(crate) fn expect_nothing(&self, world: &mut World) {
        let next = self.next(world);
        assert!(next.is_none(), "{} gets {}\n{}", self.name, show(&next), world.story());
    }
}

fn show(message: &Option<Message>) -> String {
    message.as_ref().map_or_else(|| "nothing".into(), ToString::to_string)
}

/// A description of one audio stream.
pub(crate) fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

pub(crate) fn body(headers_and_body: &Bytes) -> String {
    String::from_utf8_lossy(headers_and_body).into_owned()
}
