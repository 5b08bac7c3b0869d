//! HTTP/1.1: NG with and without a cookie, the command line, metrics and health, and the way to WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ng::{Cli, Envelope};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::counters::Count;
use super::listen::Place;
use super::{Right, Shared, browser, websocket};
use crate::door::{Question, Ways};

/// Whom a connection is with.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) from: SocketAddr,
    pub(super) right: Right,
    /// A WebSocket keeps its place beyond the request that began it.
    pub(super) _place: Arc<Place>,
}

/// Serves a connection until either side ends it.
pub(super) async fn serve<S>(shared: Arc<Shared>, caller: Caller, socket: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let edge = Arc::clone(&shared);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (shared, caller) = (Arc::clone(&edge), caller.clone());
        async move { Ok::<_, Infallible>(answer(&shared, &caller, request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // How it ended is the client's business: it has been answered, or is gone.
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = shared.closing() => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

async fn answer(shared: &Arc<Shared>, caller: &Caller, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET | &Method::HEAD, "/ping") => return text(StatusCode::OK, "pong\n"),
        (&Method::GET | &Method::HEAD, "/health") => return text(StatusCode::OK, "alive\n"),
        (&Method::GET | &Method::HEAD, "/metrics") => return metrics(shared),
        (&Method::GET | &Method::HEAD, "/ready") => return ready(shared, caller).await,
        _ => {}
    }
    if browser::is_page(request.headers(), caller.from.ip().to_canonical().is_loopback()) {
        shared.counters.count(Count::Browser);
        return text(StatusCode::FORBIDDEN, "A web page may not ask this.\n");
    }
    if caller.right != Right::Ask {
        shared.counters.count(Count::NoRight);
        return text(StatusCode::FORBIDDEN, "This address or key may see metrics and health alone.\n");
    }
    let (mut parts, body) = request.into_parts();
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        return websocket::upgrade(Arc::clone(shared), caller.clone(), upgrade);
    }
    match (&parts.method, path.as_str()) {
        (&Method::POST, "/ng") => match read(&parts, body).await {
            Ok(body) => with_cookie(shared, caller, &body).await,
            Err(refusal) => refusal,
        },
        (&Method::POST, "/ng-plain") => match read(&parts, body).await {
            Ok(body) => plain(shared, caller, body.into()).await,
            Err(refusal) => refusal,
        },
        (&Method::POST, "/cli") => match read(&parts, body).await {
            Ok(body) => line(shared, caller, &String::from_utf8_lossy(&body)).await,
            Err(refusal) => refusal,
        },
        (&Method::GET, path) if path.starts_with("/cli/") => {
            line(shared, caller, &line_of(&path["/cli/".len()..])).await
        }
        (_, "/ng" | "/ng-plain" | "/cli") => {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "POST a document.\n");
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            refusal
        }
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    }
}

async fn with_cookie(shared: &Shared, caller: &Caller, body: &[u8]) -> Response {
    match ng::split_cookie(body) {
        Ok((cookie, document)) => {
            let question = Question::Ng { cookie: cookie.to_vec(), document: document.to_vec() };
            ask(shared, caller, question, NG).await
        }
        Err(_) => {
            shared.counters.count(Count::NoCookie);
            text(StatusCode::BAD_REQUEST, "A cookie and a blank are missing before the document.\n")
        }
    }
}

async fn plain(shared: &Shared, caller: &Caller, document: Vec<u8>) -> Response {
    let kind = if document.first() == Some(&b'{') { JSON } else { NG };
    ask(shared, caller, Question::Plain(document), kind).await
}

async fn line(shared: &Shared, caller: &Caller, line: &str) -> Response {
    if line.len() > Cli::LINE_BYTES_MAX {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "The line is too long.\n");
    }
    ask(shared, caller, Question::Line(line.to_owned()), "text/plain").await
}

/// The line in a path: words with slashes or `%20` between them. With blanks, a slash belongs to a word.
fn line_of(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match tail {
            [high, low, after @ ..] if *first == b'%' => {
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    bytes.push(high << 4 | low);
                    rest = after;
                    continue;
                }
                bytes.push(b'%');
            }
            _ => bytes.push(*first),
        }
        rest = tail;
    }
    let line = String::from_utf8_lossy(&bytes).into_owned();
    if line.contains(' ') { line } else { line.replace('/', " ") }
}

/// Puts a question before the door and waits for its answer.
async fn ask(shared: &Shared, caller: &Caller, question: Question, kind: &'static str) -> Response {
    let (ways, mut answers) = Ways::new(1, Arc::clone(&shared.answers_bytes));
    let way = ways.open().await;
    drop(ways);
    if !shared.bell.ring(caller.from, question, way) {
        shared.counters.count(Count::DoorFull);
        return text(StatusCode::SERVICE_UNAVAILABLE, "Too much is waiting; try again.\n");
    }
    match answers.recv().await {
        Some(answer) => {
            let body = Body::from(answer.bytes.to_vec());
            ([(header::CONTENT_TYPE, kind)], body).into_response()
        }
        None => text(StatusCode::SERVICE_UNAVAILABLE, "Too much is waiting; try again.\n"),
    }
}

/// Whether new calls may come, and every worker answers.
async fn ready(shared: &Shared, caller: &Caller) -> Response {
    if !shared.readiness.is_ready() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    // A list is gathered from every worker.
    let question = Question::Plain(br#"{"command":"list","limit":1}"#.to_vec());
    let answered = timeout(READY_TIMEOUT, ask(shared, caller, question, JSON)).await;
    if answered.is_ok_and(|answer| answer.status().is_success()) {
        text(StatusCode::OK, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "a worker does not answer\n")
    }
}

fn metrics(shared: &Shared) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (shared.page)()).into_response()
}

/// The whole body, in bounded time and size.
async fn read(parts: &Parts, body: Body) -> Result<Bytes, Response> {
    let length =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let too_long = || text(StatusCode::PAYLOAD_TOO_LARGE, "The document is too long.\n");
    if length.is_some_and(|length: usize| length > BODY_BYTES_MAX) {
        return Err(too_long());
    }
    match timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(too_long()),
        Err(_) => Err(text(StatusCode::REQUEST_TIMEOUT, "The document did not come in time.\n")),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain")], text).into_response()
}

/// What rtpengine calls a message.
const NG: &str = "application/x-rtpengine-ng";

/// A document in JSON.
const JSON: &str = "application/json";

/// How long a request's head may take, and how long a connection may wait for the next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A longer head is refused. The least that hyper takes is 8 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A longer body is refused: the longest document with the longest cookie.
pub(super) const BODY_BYTES_MAX: usize = Envelope::DOCUMENT_BYTES_MAX + Envelope::COOKIE_BYTES_MAX + 1;

/// How long the workers may take to say that they are there.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_line() {
        assert_eq!(line_of("list/numsessions"), "list numsessions");
        assert_eq!(line_of("list%20sessions%20a/b%40c"), "list sessions a/b@c");
        assert_eq!(line_of("list%2"), "list%2");
        assert_eq!(line_of("%zz%"), "%zz%");
    }
}
