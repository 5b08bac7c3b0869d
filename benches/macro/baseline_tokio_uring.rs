//! A relay as plain as can be on tokio-uring, to bench against: one task a socket, receive one, send one.
//!
//! It knows of NG what the load needs (`ping`, `offer`, `answer`, `delete` in JSON), learns nothing, checks nothing.
//!
//!     baseline-tokio-uring NG-ADDRESS
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio_uring::net::UdpSocket;

/// Where the packets of one side go: filled by the other side's SDP.
type Remote = Rc<Cell<Option<SocketAddr>>>;

/// One call: a socket for each side to send to.
struct Call {
    for_callee: SocketAddr,
    for_caller: SocketAddr,
    caller: Remote,
    callee: Remote,
}

const CALLS_MAX: usize = 10_000;

fn main() -> anyhow::Result<()> {
    let address: SocketAddr = std::env::args().nth(1).context("the NG address is missing")?.parse()?;
    tokio_uring::start(serve(address))
}

async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(address).await?;
    let mut calls = HashMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let (received, whole) = socket.recv_from(buffer).await;
        let (length, from) = received?;
        let message = std::str::from_utf8(&whole[..length])?;
        let (cookie, body) = message.split_once(' ').context("a cookie")?;
        let answer = answer(address, &mut calls, &serde_json::from_str(body)?).await?;
        let reply = format!("{cookie} {answer}").into_bytes();
        socket.send_to(reply, from).await.0?;
        buffer = whole;
    }
}

async fn answer(
    address: SocketAddr,
    calls: &mut HashMap<String, Call>,
    request: &Value,
) -> anyhow::Result<Value> {
    let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
    match request["command"].as_str() {
        Some("ping") => Ok(json!({"result": "pong"})),
        Some("offer") => {
            ensure!(calls.len() < CALLS_MAX, "too many calls for a baseline");
            let call = open(address).await?;
            call.caller.set(Some(media_address(&text("sdp"))?));
            let sdp = sdp(call.for_callee);
            calls.insert(text("call-id"), call);
            Ok(json!({"result": "ok", "sdp": sdp}))
        }
        Some("answer") => {
            let call = calls.get(&text("call-id")).context("a known call")?;
            call.callee.set(Some(media_address(&text("sdp"))?));
            Ok(json!({"result": "ok", "sdp": sdp(call.for_caller)}))
        }
        _ => Ok(json!({"result": "ok"})),
    }
}

async fn open(address: SocketAddr) -> anyhow::Result<Call> {
    let port = SocketAddr::new(address.ip(), 0);
    let for_caller = Rc::new(UdpSocket::bind(port).await?);
    let for_callee = Rc::new(UdpSocket::bind(port).await?);
    let (caller, callee) = (Remote::default(), Remote::default());
    let call = Call {
        for_callee: for_callee.local_addr()?,
        for_caller: for_caller.local_addr()?,
        caller: Rc::clone(&caller),
        callee: Rc::clone(&callee),
    };
    tokio_uring::spawn(relay(Rc::clone(&for_caller), Rc::clone(&for_callee), callee));
    tokio_uring::spawn(relay(for_callee, for_caller, caller));
    Ok(call)
}

/// Takes what arrives at `from` and sends it out of `to`.
async fn relay(from: Rc<UdpSocket>, to: Rc<UdpSocket>, remote: Remote) {
    let mut buffer = vec![0; 2048];
    loop {
        let (received, mut whole) = from.recv_from(buffer).await;
        if let (Ok((length, _)), Some(remote)) = (received, remote.get()) {
            whole.truncate(length);
            let (_sent, back) = to.send_to(whole, remote).await;
            whole = back;
            whole.resize(2048, 0);
        }
        buffer = whole;
    }
}

fn sdp(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
}

fn media_address(sdp: &str) -> anyhow::Result<SocketAddr> {
    let line = |prefix: &str| sdp.lines().find_map(|line| line.strip_prefix(prefix));
    let ip = line("c=IN IP4 ").context("a c= line")?.trim().parse()?;
    let port = line("m=audio ").and_then(|rest| rest.split(' ').next()).context("an m= line")?.parse()?;
    Ok(SocketAddr::new(ip, port))
}
