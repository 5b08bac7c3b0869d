//! Bytes to messages, with a verdict for those that are no good ([RFC 3261 §7, §18.3]).
//!
//! [RFC 3261 §7, §18.3]: https://www.rfc-editor.org/rfc/rfc3261#section-7

use bytes::Bytes;

use super::header::{Header, HeaderName, Headers};
use super::method::Method;
use super::name_addr::{From, To};
use super::scan::is_token;
use super::status::StatusCode;
use super::typed::{
    CSeq, CallId, ContentLength, ContentType, Expires, HeaderError, MaxForwards, TypedHeader,
};
use super::uri::Uri;
use super::via::Via;
use super::{Message, Request, Response};

/// What a message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Start line and headers together, in bytes (default 16 KiB).
    pub head_bytes_max: usize,
    /// Header lines (default 128).
    pub header_lines_max: usize,
    /// Body in bytes (default 64 KiB).
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes_max: 16 * 1024, header_lines_max: 128, body_bytes_max: 64 * 1024 }
    }
}

/// Why bytes are no message, and the answer they deserve if they were a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub reason: RefusalReason,
    /// A response without To tag that can be sent back; `None` means drop.
    ///
    /// Boxed: most refusals in an attack are drops.
    pub response: Option<Box<Response>>,
}

/// What is wrong with bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// Nothing but line ends or zeros: a keep-alive of RFC 5626 §3.5.1 or like it (dropped).
    KeepAlive,
    /// No empty line ends the headers within the limit.
    HeadUnfinished,
    /// More header lines than the limit.
    TooManyHeaders,
    /// The body is longer than the limit.
    BodyTooLong,
    /// A CR or LF stands alone in the headers.
    BareLineEnd,
    /// The start line is neither a request nor a status line.
    StartLine,
    /// The Request-URI does not parse.
    RequestUri,
    /// The version is not SIP/2.0.
    Version,
    /// The status is outside 100 to 699.
    StatusCode,
    /// A header line has no name.
    HeaderLine,
    /// A header that must be there is missing.
    HeaderMissing(MustHave),
    /// A header that must be there once is there twice.
    HeaderRepeated(MustHave),
    /// A header that is needed does not parse.
    HeaderMalformed(MustHave),
    /// CSeq names another method than the start line.
    MethodMismatch,
    /// Content-Length is negative, no number, or contradicts itself.
    ContentLength,
    /// The body is shorter than Content-Length.
    BodyShort,
    /// More follows the body, where one message was to come alone.
    BodyLong,
}

/// The headers a verdict depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MustHave {
    /// Via.
    Via,
    /// From.
    From,
    /// To.
    To,
    /// Call-ID.
    CallId,
    /// CSeq.
    CSeq,
    /// Max-Forwards (may be missing, RFC 2543 had none).
    MaxForwards,
    /// Contact (may be missing).
    Contact,
    /// Content-Type (may be missing).
    ContentType,
    /// Expires (may be missing).
    Expires,
}

impl Message {
    /// Parses one datagram with the default [`Limits`].
    ///
    /// Bytes after Content-Length are dropped; without Content-Length the body
    /// is the rest ([RFC 3261 §18.3]). Every required header of the message
    /// parses afterwards, so that [`Request::cseq`] and its like cannot fail.
    ///
    /// # Errors
    /// [`Refusal`]: why, and the response to send if the sender can be answered.
    ///
    /// # Cost
    /// One copy of the input, one allocation per header line's list, no recursion.
    ///
    /// [RFC 3261 §18.3]: https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    pub fn parse_datagram(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::parse(Bytes::copy_from_slice(bytes), &Limits::default())
    }

    /// Parses one datagram, or one frame of a [`super::Framer`], without copying it.
    ///
    /// # Errors
    /// As [`Message::parse_datagram`].
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, Refusal> {
        Self::read(bytes, limits, Rest::Dropped)
    }

    /// Parses one message of a WebSocket: there a message comes alone, and a second one behind it is
    /// neither served nor silently lost ([RFC 7118 §5]). Content-Length may be absent.
    ///
    /// # Errors
    /// As [`Message::parse_datagram`].
    ///
    /// [RFC 7118 §5]: https://www.rfc-editor.org/rfc/rfc7118#section-5
    pub fn parse_alone(bytes: Bytes, limits: &Limits) -> Result<Self, Refusal> {
        Self::read(bytes, limits, Rest::Refused)
    }

    fn read(bytes: Bytes, limits: &Limits, rest: Rest) -> Result<Self, Refusal> {
        let skipped = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let bytes = bytes.slice(skipped..);
        if bytes.iter().all(|b| b"\r\n\0".contains(b)) {
            return Err(drop_for(RefusalReason::KeepAlive));
        }
        let window = bytes.len().min(limits.head_bytes_max);
        let Some(head_end) = find_head_end(&bytes[..window]) else {
            return Err(drop_for(RefusalReason::HeadUnfinished));
        };
        let mut lines = Lines { bytes: bytes.slice(..head_end), at: 0 };
        let start = match lines.next() {
            Some(Ok(line)) => line,
            _ => return Err(drop_for(RefusalReason::BareLineEnd)),
        };
        let (headers, line_error) = read_headers(lines, limits);
        let body = bytes.slice(head_end + 2..);
        if start.len() >= 4 && start[..4].eq_ignore_ascii_case(b"SIP/") {
            if let Some(reason) = line_error {
                return Err(drop_for(reason));
            }
            return parse_response(start, headers, body, limits, rest).map_err(drop_for);
        }
        // Refusals of requests come after reading the headers, because
        // answering needs them.
        let refuse =
            |reason, headers: &Headers| Refusal { reason, response: answer(reason, &start, headers) };
        if let Some(reason) = line_error {
            return Err(refuse(reason, &headers));
        }
        match parse_request(&start, &headers, body, limits, rest) {
            Ok((method, uri, body)) => Ok(Self::Request(Request {
                method,
                uri,
                line: Some(start),
                unmeasured: !headers.has(&HeaderName::ContentLength),
                headers,
                body,
            })),
            Err(reason) => Err(refuse(reason, &headers)),
        }
    }
}

/// What becomes of bytes after Content-Length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Dropped,
    Refused,
}

const fn drop_for(reason: RefusalReason) -> Refusal {
    Refusal { reason, response: None }
}

fn parse_request(
    start: &[u8],
    headers: &Headers,
    body: Bytes,
    limits: &Limits,
    rest: Rest,
) -> Result<(Method, Uri, Bytes), RefusalReason> {
    let start = std::str::from_utf8(start).map_err(|_| RefusalReason::StartLine)?;
    let mut parts = start.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(RefusalReason::StartLine);
    };
    if !is_token(method) || uri.is_empty() {
        return Err(RefusalReason::StartLine);
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let is_version = version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("SIP/"));
        return Err(if is_version { RefusalReason::Version } else { RefusalReason::StartLine });
    }
    let method = Method::from_token(method);
    let uri = uri.parse::<Uri>().map_err(|_| RefusalReason::RequestUri)?;
    if uri.as_sip().is_some_and(|uri| uri.headers.is_some()) {
        //= RFC 3261 §19.1.1, table 1: no headers in a Request-URI
        return Err(RefusalReason::RequestUri);
    }
    let cseq = check_headers(headers)?;
    if cseq.method != method {
        return Err(RefusalReason::MethodMismatch);
    }
    if headers.has(&HeaderName::Contact) && uses_contact(&method) {
        check_contact(headers)?;
    }
    optional::<MaxForwards>(headers, MustHave::MaxForwards)?;
    optional::<ContentType>(headers, MustHave::ContentType)?;
    if method == Method::Register {
        optional::<Expires>(headers, MustHave::Expires)?;
    }
    let body = take_body(headers, body, limits, rest)?;
    Ok((method, uri, body))
}

fn parse_response(
    start: Bytes,
    headers: Headers,
    body: Bytes,
    limits: &Limits,
    rest: Rest,
) -> Result<Message, RefusalReason> {
    if !start.get(..8).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/2.0 ")) {
        return Err(RefusalReason::Version);
    }
    let code_end = start[8..].iter().position(|&b| b == b' ').map_or(start.len(), |i| 8 + i);
    let code = &start[8..code_end];
    if code.len() != 3 || !code.iter().all(u8::is_ascii_digit) {
        return Err(RefusalReason::StatusCode);
    }
    let code = code.iter().fold(0, |n, b| n * 10 + u16::from(b - b'0'));
    let status = StatusCode::new(code).ok_or(RefusalReason::StatusCode)?;
    check_headers(&headers)?;
    let body = take_body(&headers, body, limits, rest)?;
    Ok(Message::Response(Response {
        status,
        line: start,
        unmeasured: !headers.has(&HeaderName::ContentLength),
        headers,
        body,
    }))
}

/// The headers every message must have (§8.1.1, §8.2.6.2).
fn check_headers(headers: &Headers) -> Result<CSeq, RefusalReason> {
    let vias = headers.all::<Via>().map_err(|_| RefusalReason::HeaderMalformed(MustHave::Via))?;
    if vias.is_empty() {
        return Err(RefusalReason::HeaderMissing(MustHave::Via));
    }
    once::<From>(headers, MustHave::From)?;
    once::<To>(headers, MustHave::To)?;
    once::<CallId>(headers, MustHave::CallId)?;
    once::<CSeq>(headers, MustHave::CSeq)
}

fn once<H: TypedHeader>(headers: &Headers, which: MustHave) -> Result<H, RefusalReason> {
    if headers.count(&H::NAME) > 1 {
        return Err(RefusalReason::HeaderRepeated(which));
    }
    headers.typed::<H>().map_err(|error| match error {
        HeaderError::Missing => RefusalReason::HeaderMissing(which),
        _ => RefusalReason::HeaderMalformed(which),
    })
}

fn optional<H: TypedHeader>(headers: &Headers, which: MustHave) -> Result<(), RefusalReason> {
    match headers.count(&H::NAME) {
        0 => Ok(()),
        1 => headers.typed::<H>().map(|_| ()).map_err(|_| RefusalReason::HeaderMalformed(which)),
        _ => Err(RefusalReason::HeaderRepeated(which)),
    }
}

fn uses_contact(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Update
            | Method::Refer
    )
}

fn check_contact(headers: &Headers) -> Result<(), RefusalReason> {
    let values = headers
        .values(&HeaderName::Contact)
        .map_err(|_| RefusalReason::HeaderMalformed(MustHave::Contact))?;
    for value in values {
        if value != "*" && super::name_addr::NameAddr::parse(&value).is_err() {
            return Err(RefusalReason::HeaderMalformed(MustHave::Contact));
        }
    }
    Ok(())
}

fn take_body(headers: &Headers, body: Bytes, limits: &Limits, rest: Rest) -> Result<Bytes, RefusalReason> {
    let mut length = None;
    for header in headers.iter().filter(|h| *h.name() == HeaderName::ContentLength) {
        let ContentLength(value) =
            ContentLength::parse(&header.value()).map_err(|_| RefusalReason::ContentLength)?;
        let value = usize::try_from(value).map_err(|_| RefusalReason::ContentLength)?;
        if length.is_some_and(|earlier| earlier != value) {
            return Err(RefusalReason::ContentLength);
        }
        length = Some(value);
    }
    let length = length.unwrap_or(body.len());
    if length > limits.body_bytes_max {
        return Err(RefusalReason::BodyTooLong);
    }
    if length > body.len() {
        return Err(RefusalReason::BodyShort);
    }
    // Line ends behind a body are the habit of some, and hide nothing.
    if rest == Rest::Refused && body[length..].iter().any(|byte| !b"\r\n".contains(byte)) {
        return Err(RefusalReason::BodyLong);
    }
    Ok(body.slice(..length))
}

/// The response a refused request gets, if its sender can be found by it.
fn answer(reason: RefusalReason, start: &[u8], headers: &Headers) -> Option<Box<Response>> {
    //= RFC 3261 §17: an ACK is never answered
    if start.len() >= 4 && start[..4].eq_ignore_ascii_case(b"ACK ") {
        return None;
    }
    headers.typed::<Via>().ok()?;
    if !headers.has(&HeaderName::From) || !headers.has(&HeaderName::To) || !headers.has(&HeaderName::CSeq) {
        // RFC 4475 §3.3.1 wants an answer even then, but without these nobody could match it.
        return None;
    }
    let status = match reason {
        RefusalReason::Version => StatusCode::VERSION_NOT_SUPPORTED,
        RefusalReason::BodyTooLong | RefusalReason::TooManyHeaders => StatusCode::MESSAGE_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::bare(status, reason.phrase(status));
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        response.headers.copy(headers, &name);
    }
    Some(Box::new(response))
}

impl RefusalReason {
    fn phrase(self, status: StatusCode) -> &'static str {
        match self {
            Self::RequestUri => "Bad Request-URI",
            Self::HeaderMissing(_) => "Missing Header",
            Self::HeaderRepeated(_) => "Repeated Header",
            Self::HeaderMalformed(_) => "Malformed Header",
            Self::MethodMismatch => "CSeq Method Mismatch",
            Self::ContentLength => "Bad Content-Length",
            Self::BodyShort => "Body Shorter Than Content-Length",
            Self::BodyLong => "Body Longer Than Content-Length",
            _ => status.reason(),
        }
    }
}

/// The index of the CRLF that ends the last header line, so that four bytes
/// later the body begins minus two.
fn find_head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|i| i + 2)
}

fn read_headers(lines: Lines, limits: &Limits) -> (Headers, Option<RefusalReason>) {
    let mut headers = Headers::new();
    let mut error = None;
    for line in lines {
        if headers.len() >= limits.header_lines_max {
            return (headers, Some(RefusalReason::TooManyHeaders));
        }
        // Reading goes on after an error: the answer to it needs the rest.
        match line.map(Header::from_line) {
            Ok(Ok(header)) => headers.push_header(header),
            Ok(Err(_)) => error = error.or(Some(RefusalReason::HeaderLine)),
            Err(reason) => error = error.or(Some(reason)),
        }
    }
    (headers, error)
}

/// Logical lines: folded lines stay in one piece.
struct Lines {
    bytes: Bytes,
    at: usize,
}

impl Iterator for Lines {
    type Item = Result<Bytes, RefusalReason>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        if start >= self.bytes.len() {
            return None;
        }
        let mut at = start;
        let mut bare = false;
        loop {
            match self.bytes.get(at) {
                Some(b'\r') if self.bytes.get(at + 1) == Some(&b'\n') => {
                    // The start line cannot fold, and nothing else may begin with space.
                    let folds = start > 0 && matches!(self.bytes.get(at + 2), Some(b' ' | b'\t'));
                    if !folds {
                        break;
                    }
                    at += 2;
                }
                Some(b'\r' | b'\n') => {
                    bare = true;
                    at += 1;
                }
                Some(_) => at += 1,
                None => break,
            }
        }
        self.at = at + 2;
        Some(if bare { Err(RefusalReason::BareLineEnd) } else { Ok(self.bytes.slice(start..at)) })
    }
}
