//! SIP messages: parsed without loss, written back byte for byte ([RFC 3261 §7]).
//!
//! Supported: compact forms, folding, several values in a line, extension
//! methods, unknown headers, Content-Length on datagrams and streams, keep-alives
//! of RFC 5626. Not supported: bare CR or LF as line ends, SIP versions other
//! than 2.0, multipart bodies taken apart (a body is bytes).
//!
//! [RFC 3261 §7]: https://www.rfc-editor.org/rfc/rfc3261#section-7

mod framer;
mod header;
mod host;
mod method;
mod name_addr;
mod params;
mod parse;
pub(crate) mod scan;
mod screen;
mod status;
mod typed;
mod uri;
mod via;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

pub use framer::{Frame, FrameError, Framer};
pub use header::{Header, HeaderName, Headers, VALUES_MAX};
pub use host::{Host, HostPort};
pub use method::Method;
pub use name_addr::{
    Contact, Contacts, Diversion, From, NameAddr, PAssertedIdentity, PPreferredIdentity, RecordRoute, Route,
    To,
};
pub use params::{PARAMS_MAX, Params};
pub use parse::{Limits, Refusal, RefusalReason};
pub use screen::Screen;
pub use status::StatusCode;
pub use typed::{
    CSEQ_MAX, CSeq, CallId, ContentLength, ContentType, Date, Expires, HeaderError, MaxForwards, MinExpires,
    MinSe, RSeq, Reason, RetryAfter, SessionExpires, TypedHeader,
};
pub use uri::{SipUri, TelUri, Uri, escape_user};
pub use via::{MAGIC_COOKIE, Via};

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The message as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: Method,
    uri: Uri,
    /// The start line as received, until method or URI change.
    line: Option<Bytes>,
    /// The headers in their order.
    pub headers: Headers,
    body: Bytes,
    /// It came without Content-Length, and is written back so.
    unmeasured: bool,
}

impl Request {
    /// A request with nothing but its start line.
    #[must_use]
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, line: None, headers: Headers::new(), body: Bytes::new(), unmeasured: false }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Replaces the Request-URI.
    pub fn set_uri(&mut self, uri: Uri) {
        self.uri = uri;
        self.line = None;
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sets body and Content-Type; Content-Length is set when written.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        set_body(&mut self.headers, &mut self.body, content_type, body);
        self.unmeasured = false;
    }

    /// The message as bytes; one allocation and one copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.line {
            Some(line) => write(line, &self.headers, &self.body, self.unmeasured),
            None => {
                let line = format!("{} {} SIP/2.0", self.method, self.uri);
                write(line.as_bytes(), &self.headers, &self.body, self.unmeasured)
            }
        }
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: StatusCode,
    line: Bytes,
    /// The headers in their order.
    pub headers: Headers,
    body: Bytes,
    /// It came without Content-Length, and is written back so.
    unmeasured: bool,
}

impl Response {
    /// A response to `request` with the headers §8.2.6.2 asks for: Via, From,
    /// To, Call-ID, CSeq, and Timestamp for a 100; Record-Route too where the
    /// response may make a dialog (§12.1.1). The To tag is the caller's.
    #[must_use]
    pub fn to(request: &Request, status: StatusCode) -> Self {
        let mut response = Self::bare(status, status.reason());
        for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
        {
            response.headers.copy(&request.headers, &name);
        }
        if status == StatusCode::TRYING {
            response.headers.copy(&request.headers, &HeaderName::Timestamp);
        } else if status.code() < 300 {
            response.headers.copy(&request.headers, &HeaderName::RecordRoute);
        }
        response
    }

    /// A response with nothing but its start line.
    #[must_use]
    pub fn bare(status: StatusCode, reason: &str) -> Self {
        Self {
            status,
            line: status_line(status, reason),
            headers: Headers::new(),
            body: Bytes::new(),
            unmeasured: false,
        }
    }

    /// With this reason phrase; line breaks in it become spaces.
    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> Self {
        self.line = status_line(self.status, reason);
        self
    }

    /// With this To tag, unless To has one.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        if let Ok(to) = self.headers.typed::<To>()
            && to.tag().is_none()
        {
            // Appended to the text, so that the rest stays as the peer wrote it.
            let old = self.headers.get(&HeaderName::To).unwrap_or_default().into_owned();
            self.headers.set(HeaderName::To, &format!("{old};tag={tag}"));
        }
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase as received.
    #[must_use]
    pub fn reason(&self) -> std::borrow::Cow<'_, str> {
        // "SIP/2.0 200 " is 12 bytes; a status line without phrase may be shorter.
        String::from_utf8_lossy(self.line.get(12..).unwrap_or_default())
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sets body and Content-Type; Content-Length is set when written.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        set_body(&mut self.headers, &mut self.body, content_type, body);
        self.unmeasured = false;
    }

    /// The message as bytes; one allocation and one copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        write(&self.line, &self.headers, &self.body, self.unmeasured)
    }
}

macro_rules! common_headers {
    ($type:ident) => {
        impl $type {
            /// The Call-ID; empty when the message was built without one.
            #[must_use]
            pub fn call_id(&self) -> std::borrow::Cow<'_, str> {
                self.headers.get(&HeaderName::CallId).unwrap_or_default()
            }

            /// The CSeq.
            ///
            /// # Errors
            /// As [`Headers::typed`]; never for a parsed message.
            pub fn cseq(&self) -> Result<CSeq, HeaderError> {
                self.headers.typed()
            }

            /// The From address.
            ///
            /// # Errors
            /// As [`Headers::typed`]; never for a parsed message.
            pub fn from(&self) -> Result<From, HeaderError> {
                self.headers.typed()
            }

            /// The To address.
            ///
            /// # Errors
            /// As [`Headers::typed`]; never for a parsed message.
            pub fn to_header(&self) -> Result<To, HeaderError> {
                self.headers.typed()
            }

            /// The From tag.
            #[must_use]
            pub fn from_tag(&self) -> Option<String> {
                self.from().ok()?.tag().map(str::to_owned)
            }

            /// The To tag.
            #[must_use]
            pub fn to_tag(&self) -> Option<String> {
                self.to_header().ok()?.tag().map(str::to_owned)
            }

            /// The topmost Via.
            ///
            /// # Errors
            /// As [`Headers::typed`]; never for a parsed message.
            pub fn top_via(&self) -> Result<Via, HeaderError> {
                self.headers.typed()
            }

            /// All Contact values, or `*`.
            ///
            /// # Errors
            /// The error of the first value that does not parse; `*` beside others is [`HeaderError::Value`].
            pub fn contacts(&self) -> Result<Contacts, HeaderError> {
                let values = self.headers.values(&HeaderName::Contact)?;
                if values.iter().any(|v| v == "*") {
                    return if values.len() == 1 { Ok(Contacts::All) } else { Err(HeaderError::Value) };
                }
                let list = values.iter().map(|v| Contact::parse(v)).collect::<Result<_, _>>()?;
                Ok(Contacts::List(list))
            }

            /// The first Contact address.
            #[must_use]
            pub fn contact(&self) -> Option<Contact> {
                self.headers.typed().ok()
            }
        }
    };
}

common_headers!(Request);
common_headers!(Response);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl std::convert::From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl std::convert::From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

fn status_line(status: StatusCode, reason: &str) -> Bytes {
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Bytes::from(format!("SIP/2.0 {status} {reason}"))
}

fn set_body(headers: &mut Headers, body: &mut Bytes, content_type: &str, new: Bytes) {
    if new.is_empty() {
        headers.remove(&HeaderName::ContentType);
    } else {
        headers.set(HeaderName::ContentType, content_type);
    }
    // A length written for the old body would be a lie; `write` adds the right one.
    headers.remove(&HeaderName::ContentLength);
    *body = new;
}

fn write(line: &[u8], headers: &Headers, body: &Bytes, unmeasured: bool) -> Bytes {
    let lines: usize = headers.iter().map(|h| h.line().len() + 2).sum();
    let mut out = BytesMut::with_capacity(line.len() + lines + body.len() + 32);
    out.put_slice(line);
    out.put_slice(b"\r\n");
    for header in headers.iter() {
        out.put_slice(header.line());
        out.put_slice(b"\r\n");
    }
    if !unmeasured && !headers.has(&HeaderName::ContentLength) {
        out.put_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.put_slice(b"\r\n");
    out.put_slice(body);
    out.freeze()
}
