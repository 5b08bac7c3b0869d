//! A connection over which NG is asked again and again: TCP, TLS, WebSocket, HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::process::PATIENCE;

/// An open connection; everything on it is JSON.
pub struct Line(Kind);

enum Kind {
    Stream(Box<dyn Duplex>, ng::Framer),
    WebSocket(WebSocket<TcpStream>),
    Http(TcpStream),
}

/// What bytes go to and come from.
trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

impl Line {
    /// NG over TCP.
    pub fn tcp(address: SocketAddr) -> Line {
        Line::stream(connect(address))
    }

    /// NG over a stream that stands already, such as TLS.
    pub fn stream(stream: impl Read + Write + 'static) -> Line {
        Line(Kind::Stream(Box::new(stream), ng::Framer::default()))
    }

    /// WebSocket, by the sub-protocol of NG without cookies.
    pub fn websocket(http: SocketAddr) -> Line {
        let mut request = format!("ws://{http}/").into_client_request().expect("a URL");
        let name = "ng-plain.rtpengine.com".parse().expect("a header's value");
        request.headers_mut().insert("Sec-WebSocket-Protocol", name);
        let (socket, _response) = client(request, connect(http)).expect("a WebSocket");
        Line(Kind::WebSocket(socket))
    }

    /// HTTP, one request after the other.
    pub fn http(http: SocketAddr) -> Line {
        Line(Kind::Http(connect(http)))
    }

    /// Asks and waits for the answer.
    ///
    /// # Panics
    /// If the connection ends first.
    pub fn ask(&mut self, request: &Value) -> Value {
        let answer = match &mut self.0 {
            Kind::Stream(stream, framer) => {
                stream.write_all(format!("c {request}").as_bytes()).expect("sent");
                stream.flush().expect("sent");
                let mut buffer = [0; 4096];
                loop {
                    if let Some(message) = framer.poll().expect("messages") {
                        break message.document;
                    }
                    let length = stream.read(&mut buffer).expect("an answer in time");
                    assert!(length > 0, "the connection ends before {request} is answered");
                    framer.push(&buffer[..length]);
                }
            }
            Kind::WebSocket(socket) => {
                socket.send(Message::text(request.to_string())).expect("sent");
                loop {
                    match socket.read().unwrap_or_else(|error| panic!("{request}: {error}")) {
                        Message::Binary(bytes) => break bytes.to_vec(),
                        Message::Close(_) => panic!("the connection ends before {request} is answered"),
                        _ => {}
                    }
                }
            }
            Kind::Http(stream) => {
                let document = request.to_string();
                let head = format!(
                    "POST /ng-plain HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}",
                    document.len()
                );
                stream.write_all(format!("{head}\r\n\r\n{document}").as_bytes()).expect("sent");
                body(stream)
            }
        };
        serde_json::from_slice(&answer).expect("JSON answers JSON")
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// The body of an answer that says how long it is.
fn body(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer in time");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("an answer says how long it is")];
    stream.read_exact(&mut body).expect("the whole answer");
    body
}
