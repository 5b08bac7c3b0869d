//! NG over streams with clients that we did not write: curl, a WebSocket library, and Kamailio.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use tests::process::PATIENCE;
use tests::{Address, Body, Certificate, Engine, Kamailio, Plan, Scenario, Tls, Watch, udp};

/// An engine that also answers HTTP at the address returned.
fn engine(at: Address, flags: &[&str]) -> (Engine, SocketAddr) {
    let http = at.socket();
    let listen = http.to_string();
    let engine = Engine::start(at, &[&["--listen-http", &listen], flags].concat());
    udp::await_listening(http);
    (engine, http)
}

/// Body and status of what curl gets.
fn curl(arguments: &[&str]) -> (String, u16) {
    let output = try_curl(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let (body, status) = text.rsplit_once('\n').expect("a status after the body");
    (body.to_owned(), status.parse().expect("a status"))
}

fn try_curl(arguments: &[&str]) -> Output {
    let limit = PATIENCE.as_secs().to_string();
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", &limit, "--write-out", "\n%{http_code}"]);
    command.args(arguments).output().expect("curl starts; tests/run installs it")
}

#[test]
fn curl_asks_with_a_cookie_and_without() {
    let (_engine, http) = engine(Address::new(), &[]);
    let url = |path: &str| format!("http://{http}{path}");
    assert_eq!(curl(&[&url("/ping")]), ("pong\n".to_owned(), 200));
    assert_eq!(curl(&[&url("/health")]), ("alive\n".to_owned(), 200));
    assert_eq!(curl(&[&url("/ready")]), ("ready\n".to_owned(), 200));
    assert_eq!(curl(&[&url("/elsewhere")]).1, 404);
    let ask = |path: &str, body: &str| curl(&["--data-binary", body, &url(path)]);
    assert_eq!(ask("/ng", "7_1 d7:command4:pinge"), ("7_1 d6:result4:ponge".to_owned(), 200));
    assert_eq!(ask("/ng", "7_2 {\"command\":\"ping\"}"), ("7_2 {\"result\":\"pong\"}".to_owned(), 200));
    assert_eq!(ask("/ng-plain", "{\"command\":\"ping\"}"), ("{\"result\":\"pong\"}".to_owned(), 200));
    assert_eq!(ask("/ng-plain", "d7:command4:pinge"), ("d6:result4:ponge".to_owned(), 200));
    assert_eq!(ask("/ng", "{\"command\":\"ping\"}").1, 400, "there is no cookie");
    assert_eq!(curl(&[&url("/ng")]).1, 405);
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary"];
    let long = "x".repeat(300_000);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &long).expect("written");
    let at_file = format!("@{}", file.path().display());
    assert_eq!(curl(&["--data-binary", &at_file, &url("/ng")]).1, 413);
    assert_eq!(curl(&[&chunked[..], &[&at_file, &url("/ng")]].concat()).1, 413);
}

#[test]
fn a_repeat_over_http_gets_the_first_answer_and_a_poll_waits() {
    let at = Address::new();
    let (_engine, http) = engine(at, &[]);
    let url = format!("http://{http}/ng");
    let sdp =
        format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n");
    let offer = json!({"command": "offer", "call-id": "c", "from-tag": "a", "sdp": sdp});
    let ask = |cookie: &str| curl(&["--data-binary", &format!("{cookie} {offer}"), &url]).0;
    let first = ask("1");
    assert!(first.contains("m=audio "), "{first}");
    assert_eq!(ask("1"), first);
    let poll = json!({"command": "events", "since": 1, "wait-ms": 300});
    let (answer, status) = curl(&["--data-binary", &format!("2 {poll}"), &url]);
    assert!(status == 200 && answer.contains("\"events\":[]"), "{answer}");
}

#[test]
fn web_pages_are_refused() {
    let (_engine, http) = engine(Address::new(), &[]);
    let url = format!("http://{http}/ng-plain");
    let ask = |header: &str| curl(&["--header", header, "--data-binary", "{\"command\":\"ping\"}", &url]).1;
    assert_eq!(ask("Origin: http://evil.example"), 403);
    assert_eq!(ask("Sec-Fetch-Site: cross-site"), 403);
    assert_eq!(ask("Host: rebound.example"), 403);
    assert_eq!(ask(&format!("Origin: http://{http}")), 200);
}

#[test]
fn over_tls_only_a_pinned_key_may_ask() {
    let at = Address::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [server, known, stranger] =
        ["server", "known", "stranger"].map(|name| Certificate::write(folder.path(), name, at));
    let (https, tls) = (at.socket(), at.socket());
    let (https_text, tls_text) = (https.to_string(), tls.to_string());
    let [cert, key] = [&server.certificate, &server.key].map(|file| file.display().to_string());
    let flags = ["--listen-https", &https_text, "--listen-tls-ng", &tls_text, "--https-cert", &cert];
    let pin = known.pin();
    let _engine = Engine::start(at, &[&flags[..], &["--https-key", &key, "--ng-pin", &pin]].concat());
    udp::await_listening(https);
    let url = |path: &str| format!("https://{https}{path}");
    let server_pin = server.pin();
    let usual = ["--cacert", &cert, "--pinnedpubkey", &server_pin];
    let ask = ["--data-binary", "{\"command\":\"ping\"}"];
    let plain = url("/ng-plain");
    let with = |own: &Certificate| {
        let [cert, key] = [&own.certificate, &own.key].map(|file| file.display().to_string());
        try_curl(&[&usual[..], &["--cert", &cert, "--key", &key], &ask, &[&plain]].concat())
    };

    let said = with(&known);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "{\"result\":\"pong\"}\n200");
    let without = [&usual[..], &ask, &[&plain]].concat();
    assert_eq!(curl(&without).1, 403, "this machine may look, and no more");
    assert_eq!(curl(&[&usual[..], &[&url("/health")]].concat()).1, 200);
    assert!(!with(&stranger).status.success(), "a key that is not pinned");

    let ask = |own| Tls::connect(tls, &server.certificate, own).ask("1 d7:command4:pinge", "ponge");
    assert_eq!(ask(Some(&known)).expect("an answer"), "1 d6:result4:ponge");
    assert!(ask(None).is_err(), "without a key nothing is answered");
}

/// Sends messages with Debian's python3-websockets and prints what comes back.
const WEBSOCKET: &str = r#"
import asyncio, sys, websockets
async def main(url, protocol, messages):
    async with websockets.connect(url, subprotocols=[protocol]) as socket:
        assert socket.subprotocol == protocol, socket.subprotocol
        for message in messages:
            await socket.send(message)
            answer = await asyncio.wait_for(socket.recv(), 20)
            assert isinstance(answer, bytes), answer
            print(answer.decode())
asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
"#;

fn websocket(url: &str, protocol: &str, messages: &[&str]) -> Result<Vec<String>, String> {
    let mut command = Command::new("/usr/bin/python3");
    let output =
        command.args(["-c", WEBSOCKET, url, protocol]).args(messages).output().expect("python3 runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
fn websockets_speak_each_sub_protocol() {
    let (_engine, http) = engine(Address::new(), &[]);
    let url = format!("ws://{http}/");
    let said = |protocol, messages: &[&str]| websocket(&url, protocol, messages).expect("answers");
    assert_eq!(
        said("ng.rtpengine.com", &["1z d7:command4:pinge", "2z {\"command\":\"ping\"}"]),
        ["1z d6:result4:ponge", "2z {\"result\":\"pong\"}"]
    );
    assert_eq!(said("ng-plain.rtpengine.com", &["{\"command\":\"ping\"}"]), ["{\"result\":\"pong\"}"]);
    assert_eq!(said("echo.rtpengine.com", &["hello"]), ["hello"]);
    let poll = "p {\"command\":\"events\",\"since\":1,\"wait-ms\":200}";
    assert!(said("ng.rtpengine.com", &[poll])[0].starts_with("p {\"instance\":"));
    let refusal = websocket(&url, "other.example", &["x"]).expect_err("refused");
    assert!(refusal.contains("400"), "{refusal}");
}

/// Kamailio's own configuration of the interop tests, with the module that opens WebSockets.
fn kamailio_config(folder: &Path) -> String {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/kamailio/kamailio.cfg");
    let text = std::fs::read_to_string(config).expect("the configuration");
    let text = text.replace(
        "loadmodule \"rtpengine.so\"",
        "loadmodule \"lwsc.so\"\nloadmodule \"rtpengine.so\"\nmodparam(\"rtpengine\", \"wsapi\", \"lwsc\")",
    );
    let path = folder.join("kamailio.cfg").display().to_string();
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn kamailio_drives_a_call_over_websocket() {
    let at = Address::new();
    let (engine, http) = engine(at, &["--delete-delay", "0"]);
    let mut callee = Plan::new(
        Scenario::carrier("callee").answers(180, Body::Empty).answers(200, Body::Audio).is_hung_up_on(),
    )
    .start(at);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let callee_uri = format!("\"sip:{}\"", callee.address);
    let engine_uri = format!("\"ws://{http}\"");
    let defines = [("CALLEE", callee_uri.as_str()), ("ENGINE", engine_uri.as_str())];
    let proxy = Kamailio::start_by(&kamailio_config(folder.path()), at, &defines);

    let calls = Scenario::caller("caller").invite_plainly(Body::Audio).is_answered().ack(Body::Empty);
    let mut caller =
        Plan::new(calls.plays().pauses().hangs_up()).to(proxy.sip).number("4930").pause_ms(2000).start(at);
    let mut watch = Watch::new(engine.ng);
    let call_id = watch.await_call();
    watch.await_packets(&call_id, 25);
    caller.await_success();
    callee.await_success();
    watch.await_none();
}
