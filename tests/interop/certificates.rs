//! Certificates that are replaced on disk while connections live, for NG over TLS and for HTTPS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tests::{Address, Certificate, Engine, Tls, udp};

/// A question, and how its answer ends.
type Exchange = (&'static str, &'static str);

const NG: Exchange = ("1 d7:command4:pinge", "d6:result4:ponge");
const HTTPS: Exchange = (
    "POST /ng-plain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18\r\n\r\nd7:command4:pinge\n",
    "d6:result4:ponge",
);

/// Whether somebody who trusts this certificate alone is answered, over a connection of its own.
fn is_shown(address: SocketAddr, trusted: &Path, own: &Certificate, (question, end): Exchange) -> bool {
    Tls::connect(address, trusted, Some(own)).ask(question, end).is_ok()
}

#[test]
fn a_certificate_is_replaced_under_live_connections_and_a_broken_file_changes_nothing() {
    let at = Address::new();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| Certificate::write(folder.path(), name, at);
    let [served, first, second, client] = ["served", "first", "second", "client"].map(write);
    let install = |from: &Certificate| {
        fs::copy(&from.certificate, &served.certificate).expect("copied");
        fs::copy(&from.key, &served.key).expect("copied");
    };
    install(&first);
    let (tls, https) = (at.socket(), at.socket());
    let flags = [
        format!("--listen-tls-ng={tls}"),
        format!("--listen-https={https}"),
        format!("--https-cert={}", served.certificate.display()),
        format!("--https-key={}", served.key.display()),
        format!("--ng-pin={}", client.pin()),
    ];
    let mut engine = Engine::start(at, &flags.each_ref().map(String::as_str));
    let services = [(tls, NG), (https, HTTPS)];
    services.iter().for_each(|(address, _)| udp::await_listening(*address));
    let mut live = services
        .map(|(address, exchange)| (Tls::connect(address, &first.certificate, Some(&client)), exchange));
    let mut goes_on = |when: &str| {
        for (connection, (question, end)) in &mut live {
            connection.ask(question, end).unwrap_or_else(|error| panic!("{when}: {error}"));
        }
    };
    let shown = |trusted: &Certificate| {
        services.map(|(address, exchange)| is_shown(address, &trusted.certificate, &client, exchange))
    };
    goes_on("at first");
    assert_eq!((shown(&first), shown(&second)), ([true; 2], [false; 2]));

    install(&second);
    assert_eq!(shown(&first), [true; 2], "nobody has said so yet");
    engine.process.signal("HUP");
    engine.process.await_line("what changed", |line| line.contains("reloaded"));
    assert_eq!((shown(&first), shown(&second)), ([false; 2], [true; 2]));
    goes_on("after it was replaced");

    // A key that is not the certificate's, a certificate that is cut off, and one that is not there.
    let [pem, other] = [&first.certificate, &first.key].map(|file| fs::read(file).expect("it is there"));
    let broken: [(&str, &dyn Fn()); 3] = [
        ("its key", &|| fs::write(&served.key, &other).expect("written")),
        ("served.crt", &|| fs::write(&served.certificate, &pem[..pem.len() / 2]).expect("written")),
        ("served.crt", &|| fs::remove_file(&served.certificate).expect("removed")),
    ];
    for (said, breaks) in broken {
        install(&second);
        breaks();
        engine.process.signal("HUP");
        let line = engine.process.await_line("a refusal", |line| line.contains("nothing has changed"));
        assert!(line.contains(said) && line.contains("served.crt"), "{line}");
        assert_eq!((shown(&first), shown(&second)), ([false; 2], [true; 2]), "{said}");
        goes_on(said);
    }
    install(&first);
    engine.process.signal("HUP");
    engine.process.await_line("what changed", |line| line.contains("reloaded"));
    assert_eq!((shown(&first), shown(&second)), ([true; 2], [false; 2]));
    goes_on("at last");
}
