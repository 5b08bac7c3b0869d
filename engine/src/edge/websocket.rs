//! WebSocket with rtpengine's sub-protocols: one message, one answer, always as binary.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Shared;
use super::counters::Count;
use super::http::{BODY_BYTES_MAX, Caller};
use super::ng_stream::{UNANSWERED_MAX, WRITE_TIMEOUT};
use crate::door::{Answer, Question, Ways};

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tongue {
    Ng,
    Plain,
    Line,
    Echo,
}

const TONGUES: [(&str, Tongue); 4] = [
    ("ng.rtpengine.com", Tongue::Ng),
    ("ng-plain.rtpengine.com", Tongue::Plain),
    ("cli.rtpengine.com", Tongue::Line),
    ("echo.rtpengine.com", Tongue::Echo),
];

/// Answers the request that would become a WebSocket.
pub(super) fn upgrade(shared: Arc<Shared>, caller: Caller, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade
        .protocols(TONGUES.map(|(name, _)| name))
        .max_message_size(BODY_BYTES_MAX)
        .max_frame_size(BODY_BYTES_MAX);
    let chosen = upgrade.selected_protocol().and_then(|chosen| chosen.to_str().ok());
    let Some((_, tongue)) = TONGUES.into_iter().find(|(name, _)| chosen == Some(*name)) else {
        let names = TONGUES.map(|(name, _)| name).join(", ");
        return (StatusCode::BAD_REQUEST, format!("Sec-WebSocket-Protocol names none of {names}.\n"))
            .into_response();
    };
    upgrade.on_upgrade(move |socket| async move {
        if let Some(reason) = serve(&shared, &caller, tongue, socket).await {
            shared.counters.count(reason);
        }
    })
}

/// Serves a connection until either side ends it (`None`) or the peer breaks a rule.
async fn serve(shared: &Shared, caller: &Caller, tongue: Tongue, mut socket: WebSocket) -> Option<Count> {
    let (ways, mut answers): (_, mpsc::Receiver<Answer>) =
        Ways::new(UNANSWERED_MAX, Arc::clone(&shared.answers_bytes));
    let mut pings = interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unheard = 0;
    let mut way = None;
    loop {
        // An answer keeps its place until it was written.
        let (send, _answer) = tokio::select! {
            opened = ways.open(), if way.is_none() => {
                way = Some(opened);
                continue;
            }
            received = socket.recv(), if way.is_some() => {
                unheard = 0;
                let bytes = match received? {
                    Ok(Message::Text(text)) => text.as_bytes().to_vec(),
                    Ok(Message::Binary(bytes)) => bytes.to_vec(),
                    Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                    Ok(Message::Close(_)) => return None,
                    Err(_) => return Some(Count::Unframed),
                };
                let question = match tongue {
                    Tongue::Echo => Err(bytes),
                    Tongue::Line => Ok(Question::Line(String::from_utf8_lossy(&bytes).into_owned())),
                    Tongue::Plain => Ok(Question::Plain(bytes)),
                    Tongue::Ng => match ng::split_cookie(&bytes) {
                        Ok((cookie, document)) => {
                            Ok(Question::Ng { cookie: cookie.to_vec(), document: document.to_vec() })
                        }
                        Err(_) => return Some(Count::NoCookie),
                    },
                };
                match question {
                    Err(echo) => (Message::Binary(echo.into()), None),
                    Ok(question) => {
                        let way = way.take().expect("there is one while this branch is on");
                        if !shared.bell.ring(caller.from, question, way) {
                            return Some(Count::DoorFull);
                        }
                        continue;
                    }
                }
            }
            answer = answers.recv() => {
                // The connection itself can open ways, so there is always a sender.
                let answer = answer?;
                (Message::Binary(answer.bytes.to_vec().into()), Some(answer))
            }
            () = shared.closing() => return last_words(answers, socket).await,
            _ = pings.tick() => {
                unheard += 1;
                if unheard > UNHEARD_MAX {
                    return Some(Count::Idle);
                }
                (Message::Ping(Vec::new().into()), None)
            }
        };
        match timeout(WRITE_TIMEOUT, socket.send(send)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(Count::SlowReader),
        }
    }
}

/// Writes what has been answered, and that this is the end.
async fn last_words(mut answers: mpsc::Receiver<Answer>, mut socket: WebSocket) -> Option<Count> {
    while let Ok(answer) = answers.try_recv() {
        socket.send(Message::Binary(answer.bytes.to_vec().into())).await.ok()?;
    }
    socket.send(Message::Close(None)).await.ok()?;
    None
}

/// How often a connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Pings without any sign of life after which a connection is closed.
const UNHEARD_MAX: u32 = 3;
