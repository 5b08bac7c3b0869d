//! SIP over WebSocket ([RFC 7118](https://www.rfc-editor.org/rfc/rfc7118)): one message a frame, text or binary.
//!
//! The peer opens the connection, and everything for it goes back over it. A
//! connection that does not ask for the subprotocol `sip`, or comes from a page of
//! an origin that was not allowed, is refused in HTTP and says why. Life is shown by
//! frames, pongs among them: we ping, and the CRLF pings of RFC 5626 are answered.
//!
//! Not here: compression, paths (any is served), `X-Forwarded-For`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::flow::{FlowEnd, Outgoing};
use super::stream::{GOODBYE, MALFORMED_MAX, PONG, View, enqueue, finish};
use super::{DropReason, Shared, TransportEvent};
use crate::config::Origins;

/// The subprotocol of RFC 7118 §4.
const SUBPROTOCOL: &str = "sip";

/// Read from a connection at once, and gathered before it is written.
const BUFFER_BYTES: usize = 4 * 1024;

/// Pings without any sign of life after which a connection is closed.
const UNHEARD_MAX: u32 = 3;

/// Shakes hands as RFC 6455 §4.2 has it, with the subprotocol `sip`.
///
/// # Errors
/// Why the connection is refused; where it was HTTP at all, the peer was told.
pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    origins: &Origins,
    socket: S,
) -> Result<WebSocketStream<S>, DropReason> {
    let bytes_max = shared.message_limits.head_bytes_max + shared.message_limits.body_bytes_max;
    let limits = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        // Each message is flushed before the next, so one and some pongs are all that waits here.
        .max_write_buffer_size(BUFFER_BYTES + 2 * shared.limits.write_queue_bytes_max)
        .max_message_size(Some(bytes_max))
        .max_frame_size(Some(bytes_max));
    let mut reason = DropReason::HandshakeFailed;
    #[expect(clippy::result_large_err, reason = "the library asks for this signature")]
    let admit = |request: &Request, response: Response| {
        admit(origins, request, response).map_err(|(why, answer)| {
            reason = why;
            answer
        })
    };
    accept_hdr_async_with_config(socket, admit, Some(limits)).await.map_err(|_| reason)
}

/// Whether a request is served: the subprotocol first, then the page that it comes from.
#[expect(clippy::result_large_err, reason = "the answer of the library, made once a connection")]
fn admit(
    origins: &Origins,
    request: &Request,
    mut response: Response,
) -> Result<Response, (DropReason, ErrorResponse)> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered =
        offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if !offered.any(|name| name.trim() == SUBPROTOCOL) {
        let text = "Sec-WebSocket-Protocol does not name sip.\n";
        return Err((DropReason::NotSip, refusal(StatusCode::BAD_REQUEST, text)));
    }
    // No page can leave its origin out; who has none is no browser, and is asked for digest like everybody.
    let mut named = request.headers().get_all(header::ORIGIN).iter();
    if !named.all(|origin| origin.to_str().is_ok_and(|origin| origins.allow(origin))) {
        let text = "Pages of this Origin may not connect here.\n";
        return Err((DropReason::OriginRefused, refusal(StatusCode::FORBIDDEN, text)));
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

fn refusal(status: StatusCode, text: &'static str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(text.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Serves the connection until either side ends it or it breaks a rule.
pub(super) async fn run<S>(shared: Arc<Shared>, mut end: FlowEnd, socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut writer, mut reader) = socket.split();
    let view = View::of(&end);
    let reason = tokio::select! {
        reason = read(&shared, &view, &mut reader) => reason,
        reason = write(&shared, &mut end.queue, &end.queued_bytes, &mut writer) => reason,
        () = end.close.notified() => Some(DropReason::SlowReader),
    };
    if reason != Some(DropReason::SlowReader) {
        let _ = timeout(GOODBYE, async {
            if let Some(why) = goodbye(reason) {
                writer.send(Frame::Close(Some(why))).await?;
            }
            writer.close().await
        })
        .await;
    }
    let heard = view.heard.load(Ordering::Relaxed);
    finish(&shared, end, reason, heard).await;
}

/// What the page reads in its close event; nothing where nobody broke a rule.
fn goodbye(reason: Option<DropReason>) -> Option<CloseFrame> {
    let reason = reason?;
    let code = match reason {
        DropReason::FrameTooLong => CloseCode::Size,
        DropReason::Unframed => CloseCode::Protocol,
        DropReason::Babbling => CloseCode::Policy,
        _ => CloseCode::Away,
    };
    Some(CloseFrame { code, reason: reason.label().into() })
}

/// Reads until the connection ends (`None`) or breaks a rule.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    view: &View,
    reader: &mut SplitStream<WebSocketStream<S>>,
) -> Option<DropReason> {
    let limits = &shared.limits;
    let silence_max = limits.websocket_ping * UNHEARD_MAX;
    let first_by = Instant::now() + limits.first_message_timeout;
    let mut served = false;
    let mut malformed = 0;
    loop {
        let unheard_at = Instant::now() + silence_max;
        let (deadline, late) = if served || unheard_at < first_by {
            (unheard_at, DropReason::Idle)
        } else {
            (first_by, DropReason::MessageTimeout)
        };
        let bytes = match timeout_at(deadline, reader.next()).await {
            Err(_) => return Some(late),
            Ok(None | Some(Ok(Frame::Close(_)))) => return None,
            Ok(Some(Err(error))) => return broken(&error),
            Ok(Some(Ok(Frame::Text(text)))) => Bytes::from(text),
            Ok(Some(Ok(Frame::Binary(bytes)))) => bytes,
            Ok(Some(Ok(frame))) => {
                let admitted = shared.admit(view.hop.remote);
                // No page can send pings, and the library answers each.
                if !admitted && frame.is_ping() {
                    return Some(DropReason::Babbling);
                }
                if !admitted {
                    shared.drops.count(DropReason::RateMax);
                }
                continue;
            }
        };
        if *bytes == *b"\r\n\r\n" {
            if shared.admit(view.hop.remote) {
                enqueue(shared, view.hop.flow, PONG);
            } else {
                shared.drops.count(DropReason::RateMax);
            }
            continue;
        }
        served = true;
        view.heard.store(true, Ordering::Relaxed);
        if !shared.receive(view.hop.clone(), bytes).await {
            malformed += 1;
        }
        if malformed > MALFORMED_MAX {
            return Some(DropReason::Babbling);
        }
    }
}

/// What it means that the library gave up: the peer just went, or it broke the protocol.
fn broken(error: &Error) -> Option<DropReason> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(DropReason::FrameTooLong),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => None,
        _ => Some(DropReason::Unframed),
    }
}

/// Writes until nobody can queue any more (`None`) or the peer does not take it; pings in between.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    queue: &mut mpsc::Receiver<Outgoing>,
    queued_bytes: &AtomicUsize,
    writer: &mut SplitSink<WebSocketStream<S>, Frame>,
) -> Option<DropReason> {
    let period = shared.limits.websocket_ping;
    let mut pings = interval_at(Instant::now() + period, period);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (hop, frame, length) = tokio::select! {
            outgoing = queue.recv() => match outgoing {
                Some(Outgoing { hop, bytes }) => {
                    let length = bytes.len();
                    (hop, frame_of(bytes), length)
                }
                None => return None,
            },
            _ = pings.tick() => (None, Frame::Ping(Bytes::new()), 0),
        };
        let written = timeout(shared.limits.write_timeout, writer.send(frame)).await;
        queued_bytes.fetch_sub(length, Ordering::Relaxed);
        match written {
            Ok(Ok(())) => {}
            failed => {
                if let Some(hop) = hop {
                    let _ = shared.events.send(TransportEvent::SendFailed(hop)).await;
                }
                return failed.is_err().then_some(DropReason::SlowReader);
            }
        }
    }
}

/// Text where it is text, as the libraries of browsers like it; a body in another encoding stays as it is.
fn frame_of(bytes: Bytes) -> Frame {
    match bytes.clone().try_into() {
        Ok(text) => Frame::Text(text),
        Err(_) => Frame::Binary(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[(&str, &str)], origins: &Origins) -> Result<String, (DropReason, u16)> {
        let mut request = Request::new(());
        for (name, value) in lines {
            let name: header::HeaderName = name.parse().expect("a name");
            request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        match admit(origins, &request, Response::new(())) {
            Ok(response) => {
                Ok(response.headers()[header::SEC_WEBSOCKET_PROTOCOL].to_str().expect("text").to_owned())
            }
            Err((reason, response)) => Err((reason, response.status().as_u16())),
        }
    }

    #[test]
    fn only_sip_is_spoken_and_it_is_said_back() {
        let any = Origins::Any;
        for offered in ["sip", "msrp, sip", "msrp,sip"] {
            assert_eq!(
                asked(&[("sec-websocket-protocol", offered)], &any),
                Ok("sip".to_owned()),
                "{offered}"
            );
        }
        let two = [("sec-websocket-protocol", "msrp"), ("sec-websocket-protocol", "sip")];
        assert_eq!(asked(&two, &any), Ok("sip".to_owned()));
        for offered in ["", "SIP", "sips", "xsip", "sip;x"] {
            let refused = asked(&[("sec-websocket-protocol", offered)], &any);
            assert_eq!(refused, Err((DropReason::NotSip, 400)), "{offered}");
        }
        assert_eq!(asked(&[], &any), Err((DropReason::NotSip, 400)));
    }

    #[test]
    fn a_page_connects_from_an_allowed_origin_alone() {
        let listed = Origins::Listed(vec!["https://phone.example.net".to_owned()]);
        let ask = |origin: &[&str], origins: &Origins| {
            let mut lines = vec![("sec-websocket-protocol", "sip")];
            lines.extend(origin.iter().map(|origin| ("origin", *origin)));
            asked(&lines, origins).map(drop)
        };
        assert_eq!(ask(&["https://phone.example.net"], &listed), Ok(()));
        assert_eq!(ask(&["HTTPS://Phone.Example.NET"], &listed), Ok(()));
        assert_eq!(ask(&[], &listed), Ok(()), "no browser");
        assert_eq!(ask(&["https://evil.example"], &Origins::Any), Ok(()));
        for evil in [
            &["https://evil.example"][..],
            &["null"],
            &["http://phone.example.net"],
            &["https://phone.example.net:8443"],
            &["https://phone.example.net.evil.example"],
            &["https://phone.example.net", "https://evil.example"],
            &[""],
            &["\u{e9}"],
        ] {
            assert_eq!(ask(evil, &listed), Err((DropReason::OriginRefused, 403)), "{evil:?}");
        }
    }

    #[test]
    fn what_is_text_leaves_as_text() {
        assert_eq!(frame_of(Bytes::from_static("é".as_bytes())), Frame::text("é"));
        assert_eq!(frame_of(Bytes::from_static(b"\xe9")), Frame::binary(Bytes::from_static(b"\xe9")));
    }
}
