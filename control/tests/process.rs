//! The whole process, as far as a stranger on the wire sees it.

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::path::Path;
use std::time::Duration;

use control::config::{Config, ConfigSource};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

struct Node {
    sip: SocketAddr,
    signal: mpsc::Sender<control::Order>,
    task: JoinHandle<Result<(), control::RunError>>,
}

impl Node {
    /// A node without engines on a database in `folder`.
    fn start(folder: &Path) -> Node {
        let free = StdSocket::bind("127.0.0.1:0").expect("socket");
        let sip = free.local_addr().expect("address");
        drop(free);
        let file = |name: &str| folder.join(name).display().to_string();
        let text = format!(
            "[node]\ndomain = \"provider.example\"\n[store]\npath = {:?}\n[cdr]\npath = {:?}\n\
             [[listener]]\ntransport = \"udp\"\naddress = \"{sip}\"\n",
            file("control.db"),
            file("cdr.jsonl"),
        );
        let config =
            Config::load(&ConfigSource::new().text(Path::new("control.toml"), &text)).expect("valid");
        let (signal, orders) = mpsc::channel(2);
        let task = tokio::spawn(async move { control::serve(&config, orders).await });
        Node { sip, signal, task }
    }

    async fn stop(self) {
        self.signal.send(control::Order::Leave).await.expect("it listens to signals");
        timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic").expect("no error");
    }
}

fn register(branch: &str) -> String {
    format!(
        "REGISTER sip:provider.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5999;rport;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@provider.example>;tag=1\r\nTo: <sip:alice@provider.example>\r\n\
         Call-ID: {branch}@test\r\nCSeq: 1 REGISTER\r\nContact: <sip:alice@127.0.0.1:5999>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Sends until something comes back: the node may not be up yet.
async fn ask(node: &Node, request: &str) -> String {
    let phone = UdpSocket::bind("127.0.0.1:0").await.expect("socket");
    let mut buffer = [0; 4096];
    timeout(PATIENCE, async {
        loop {
            phone.send_to(request.as_bytes(), node.sip).await.expect("sent");
            let answer = timeout(Duration::from_millis(100), phone.recv(&mut buffer)).await;
            if let Ok(Ok(length)) = answer {
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
        }
    })
    .await
    .expect("an answer")
}

#[tokio::test]
async fn a_stranger_is_challenged_a_broken_request_refused_and_a_signal_ends_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let node = Node::start(folder.path());
    let answer = ask(&node, &register("one")).await;
    assert!(answer.starts_with("SIP/2.0 401 "), "{answer}");
    assert!(answer.contains("realm=\"provider.example\""), "{answer}");
    let answer = ask(&node, &register("two").replace("CSeq: 1 REGISTER", "CSeq: 1 INVITE")).await;
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
    node.stop().await;
    let again = Node::start(folder.path());
    assert!(
        ask(&again, &register("three")).await.starts_with("SIP/2.0 401 "),
        "it starts on its own database"
    );
    again.stop().await;
}

#[tokio::test]
async fn a_second_process_on_one_database_does_not_start() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let node = Node::start(folder.path());
    assert!(ask(&node, &register("one")).await.starts_with("SIP/2.0 401 "));
    let second = Node::start(folder.path());
    let outcome = timeout(PATIENCE, second.task).await.expect("it ends").expect("no panic");
    assert!(matches!(outcome, Err(control::RunError::Store(_))), "{outcome:?}");
    assert!(ask(&node, &register("two")).await.starts_with("SIP/2.0 401 "), "the first one goes on");
    node.stop().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_an_error_and_no_listener() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let node = Node::start(&folder.path().join("absent"));
    let outcome = timeout(PATIENCE, node.task).await.expect("it ends").expect("no panic");
    assert!(matches!(outcome, Err(control::RunError::Store(_))), "{outcome:?}");
}
