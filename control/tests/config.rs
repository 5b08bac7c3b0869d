//! What an operator hears about a mistake: place, key, remedy.

use std::path::Path;

use call::{Trunk, TrunkId, TrunkMedia, TrunkTransport};
use control::config::{Config, ConfigErrors, ConfigSource, Kind, ListenerKind, Origins, SETTINGS};
use control::store::Admin;

const SMALL: &str = r#"[node]
domain = "sip.example.net"

[[listener]]
transport = "udp"
address = "127.0.0.1:5060"
"#;

fn source(text: &str) -> ConfigSource {
    ConfigSource::new().text(Path::new("control.toml"), text)
}

fn mistakes(text: &str) -> Vec<String> {
    let errors: ConfigErrors = Config::load(&source(text)).expect_err("must be refused");
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_file_has_defaults_for_the_rest() {
    let config = Config::load(&source(SMALL)).expect("valid");
    assert_eq!(config.node_id, "control-1");
    assert_eq!(config.limits.connections_max, 4_096);
    assert_eq!(config.listeners[0].kind, ListenerKind::Udp);
    assert!(config.engines.is_empty());
}

#[test]
fn the_example_file_is_valid_and_shows_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/control.toml");
    let text = std::fs::read_to_string(&path).expect("the example is there");
    Config::load(&source(&text)).expect("the example is valid");
    for setting in SETTINGS {
        let shown = match (setting.kind, setting.key.split_once('.')) {
            (Kind::List, _) => format!("[[{}]]", setting.key),
            (_, Some((_, name))) => format!("{name} = "),
            (_, None) => setting.key.to_owned(),
        };
        assert!(text.contains(&shown), "{} is missing", setting.key);
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let [mistake] = &mistakes(&format!("{SMALL}plian = \"trunk\"\n"))[..] else { panic!("one mistake") };
    assert!(mistake.starts_with("control.toml:7: plian: unknown field"), "{mistake}");
}

#[test]
fn call_records_are_not_written_into_the_database() {
    let text = format!("{SMALL}\n[store]\npath = \"/tmp/one.db\"\n[cdr]\npath = \"/tmp/one.db\"\n");
    let [mistake] = &mistakes(&text)[..] else { panic!("one mistake") };
    assert!(mistake.starts_with("control.toml:11: cdr.path: /tmp/one.db is the database"), "{mistake}");
}

#[test]
fn an_unknown_section_is_refused_with_its_line() {
    let [mistake] = &mistakes(&format!("{SMALL}\n[limit]\nconnections_max = 3\n"))[..] else { panic!() };
    assert!(mistake.starts_with("control.toml:8: "), "{mistake}");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_line() {
    let [mistake] = &mistakes(&format!("{SMALL}[limits]\nconnections_max = \"many\"\n"))[..] else {
        panic!()
    };
    assert!(mistake.starts_with("control.toml:8: "), "{mistake}");
    assert!(mistake.contains("\"many\""), "{mistake}");
}

#[test]
fn every_mistake_is_reported_at_once_with_range_and_default() {
    let text =
        format!("{SMALL}[limits]\nconnections_max = 0\nidle_timeout_s = 1\n[tls]\nhandshakes_max = 5\n");
    let list = mistakes(&text);
    assert_eq!(
        list,
        [
            "control.toml:8: limits.connections_max: 0 is not within 1 to 1000000 connections; the default is 4096",
            "control.toml:9: limits.idle_timeout_s: 1 is not within 30 to 86400 seconds; the default is 3700",
        ]
    );
}

#[test]
fn syntax_errors_name_the_line() {
    let [mistake] = &mistakes("[node]\ndomain = \"a\n")[..] else { panic!("one mistake") };
    assert!(mistake.starts_with("control.toml:2: "), "{mistake}");
}

#[test]
fn plain_sip_outside_loopback_needs_to_be_for_trunks() {
    for transport in ["udp", "tcp"] {
        let text =
            SMALL.replace("127.0.0.1:5060", "192.0.2.1:5060").replace("\"udp\"", &format!("{transport:?}"));
        let [mistake] = &mistakes(&text)[..] else { panic!("one mistake") };
        assert!(mistake.starts_with("control.toml:6: listener.address: "), "{mistake}");
        assert!(mistake.contains("plain = \"trunk\""), "{mistake}");
        let config = Config::load(&source(&format!("{text}plain = \"trunk\"\n"))).expect("marked");
        assert!(config.listeners[0].trunks_only);
    }
}

#[test]
fn an_address_that_cannot_be_named_needs_an_advertised_one() {
    let text = SMALL.replace("127.0.0.1:5060", "0.0.0.0:5060") + "plain = \"trunk\"\n";
    assert!(mistakes(&text)[0].contains("set advertised"));
    assert!(Config::load(&source(&format!("{text}advertised = \"sip.example.net:5060\"\n"))).is_ok());
}

#[test]
fn a_tls_listener_needs_certificate_and_key_and_only_it_has_them() {
    let text = SMALL.replace("\"udp\"", "\"tls\"");
    assert_eq!(
        mistakes(&text),
        [
            "control.toml:5: listener.certificate: a tls listener needs one; name a PEM file",
            "control.toml:5: listener.key: a tls listener needs one; name a PEM file",
        ]
    );
    let [mistake] = &mistakes(&format!("{SMALL}key = \"k.pem\"\n"))[..] else { panic!("one mistake") };
    assert!(mistake.starts_with("control.toml:7: listener.key: only a tls or wss listener"), "{mistake}");
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let variables = [
        ("TOLLGATE_CONTROL_NODE_ID", "from-env"),
        ("TOLLGATE_CONTROL_LIMITS_CONNECTIONS_MAX", "7"),
        ("TOLLGATE_CONTROL_LOG_SHOW_NUMBERS", "true"),
        ("PATH", "/bin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let source = source(
        &format!("{SMALL}[limits]\nconnections_max = 5\nhandshake = 1\n").replace("handshake = 1\n", ""),
    )
    .environment(variables)
    .expect("known variables")
    .set("node.id", "from-flag", "--node-id")
    .set("engine", "[{ name = \"e\", address = \"127.0.0.1:2223\" }]", "--engine");
    let config = Config::load(&source).expect("valid");
    assert_eq!(config.node_id, "from-flag");
    assert_eq!(config.limits.connections_max, 7);
    assert!(config.show_numbers);
    assert_eq!(&*config.engines[0].name, "e");
}

#[test]
fn a_mistake_in_an_override_names_the_override() {
    let wrong = |name: &str, value: &str| {
        let variables = [(name.to_owned(), value.to_owned())];
        let errors = match source(SMALL).environment(variables) {
            Ok(source) => Config::load(&source).expect_err("must be refused"),
            Err(errors) => errors,
        };
        errors.to_string()
    };
    let name = "TOLLGATE_CONTROL_LIMITS_CONNECTIONS_MAX";
    assert!(wrong(name, "0").starts_with(&format!("{name}: limits.connections_max: 0 is not within")));
    assert!(wrong(name, "many").starts_with(&format!("{name}: ")), "{}", wrong(name, "many"));
    assert!(wrong("TOLLGATE_CONTROL_NODE_NAME", "x").contains("no setting has this environment variable"));
    let errors = Config::load(&source(SMALL).set("node.name", "x", "--set node.name")).expect_err("unknown");
    assert!(errors.to_string().starts_with("--set node.name: node.name: there is no such setting"));
}

#[test]
fn an_override_cannot_smuggle_in_another_key() {
    let source = source(SMALL).set("node.id", "x\"\n[limits]\nconnections_max = 1\n#", "--node-id");
    let errors = Config::load(&source).expect_err("no name");
    assert!(errors.to_string().contains("is not a name"), "{errors}");
}

#[test]
fn a_websocket_is_served_to_named_pages_and_in_plain_on_loopback_alone() {
    let listener = |lines: &str| format!("[node]\ndomain = \"sip.example.net\"\n[[listener]]\n{lines}");
    let only = |lines: &str| match &mistakes(&listener(lines))[..] {
        [mistake] => mistake.clone(),
        several => panic!("{several:#?}"),
    };
    let ws = "transport = \"ws\"\naddress = \"127.0.0.1:8080\"\n";
    let wss = "transport = \"wss\"\naddress = \"192.0.2.1:443\"\n";
    let page = "origins = [\"https://phone.example.net\"]\n";
    let files = "certificate = \"c\"\nkey = \"k\"\n";

    let config = Config::load(&source(&listener(&format!("{ws}{page}")))).expect("valid");
    let listed = Origins::Listed(vec!["https://phone.example.net".to_owned()]);
    assert_eq!(config.listeners[0].kind, ListenerKind::Ws { origins: listed });
    let config =
        Config::load(&source(&listener(&format!("{wss}{files}origins = [\"*\"]\n")))).expect("valid");
    assert_eq!(config.listeners[0].kind.origins(), Some(&Origins::Any));
    let public = ws.replace("127.0.0.1", "192.0.2.1");
    Config::load(&source(&listener(&format!("{public}{page}plain = \"proxied\"\n")))).expect("it is said");

    let said = only(&format!("{public}{page}"));
    assert!(
        said.starts_with("control.toml:5: listener.address: 192.0.2.1:8080 would take plain SIP"),
        "{said}"
    );
    assert!(said.contains("transport = \"wss\"") && said.contains("plain = \"proxied\""), "{said}");
    for nobody in ["", "origins = []\n"] {
        let said = only(&format!("{ws}{nobody}"));
        assert!(said.contains("listener.origins: it is not said whose pages may connect"), "{said}");
    }
    for wrong in [
        "phone.example.net",
        "https://phone.example.net/",
        "https://phone.example.net:443",
        "https://",
        "://h",
        "https://a b",
        "*",
    ] {
        let said = only(&format!("{ws}origins = [\"https://a.example\", {wrong:?}]\n"));
        assert!(said.contains(&format!("listener.origins: {wrong:?} is no origin")), "{said}");
    }
    let said = only(&format!("transport = \"udp\"\naddress = \"127.0.0.1:5060\"\n{page}"));
    assert!(said.contains("listener.origins: only a ws or wss listener has them"), "{said}");
    let said = only(&format!("{ws}{page}plain = \"trunk\"\n"));
    assert!(said.contains("listener.plain: \"trunk\" is not allowed here"), "{said}");
    let said = only(&format!("{wss}{page}{files}plain = \"proxied\"\n"));
    assert!(said.contains("listener.plain: \"proxied\" is not allowed here"), "{said}");
    let said = mistakes(&listener(&format!("{wss}{page}")));
    assert!(said.iter().all(|said| said.contains("a wss listener needs one")) && said.len() == 2, "{said:?}");
    let said = mistakes(&listener(&format!("{ws}{page}{files}")));
    assert!(said.iter().all(|said| said.contains("set transport = \"wss\"")) && said.len() == 2, "{said:?}");
}

#[test]
fn check_looks_at_the_files_that_are_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(vec!["sip.example.net".to_owned()]).expect("certificate");
    let other = rcgen::generate_simple_self_signed(vec!["sip.example.net".to_owned()]).expect("certificate");
    std::fs::write(file("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(file("other.pem"), other.signing_key.serialize_pem()).expect("written");
    let load = |key: &str, store: &str| {
        let text = SMALL.replace("\"udp\"", "\"tls\"")
            + &format!(
                "certificate = {:?}\nkey = {:?}\n[store]\npath = {store:?}\n",
                file("cert.pem"),
                file(key)
            )
            + &format!("[cdr]\npath = {:?}\n", file("cdr.jsonl"));
        Config::load(&source(&text)).expect("valid")
    };
    load("key.pem", &file("control.db")).check().expect("all is there");
    let refused = |key: &str, store: &str| load(key, store).check().expect_err("refused").to_string();
    assert!(refused("absent.pem", &file("control.db")).contains("absent.pem: listener.key: cannot be read"));
    assert!(refused("cert.pem", &file("control.db")).contains("no private key"));
    assert!(refused("other.pem", &file("control.db")).contains("cannot be used"));
    assert!(
        refused("key.pem", "/nowhere/control.db").contains("store.path: its folder /nowhere is not there")
    );
}

#[test]
fn check_refuses_a_trunk_that_tells_its_media_keys_or_cannot_be_heard() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let text =
        format!("{SMALL}[store]\npath = {:?}\n[cdr]\npath = {:?}\n", file("control.db"), file("cdr.jsonl"));
    let config = Config::load(&source(&text)).expect("valid");
    let mut admin = Admin::open(Path::new(&file("control.db"))).expect("created");
    let trunk = |transport, media| Trunk {
        id: TrunkId::from("carrier"),
        enabled: true,
        transport,
        address: "127.0.0.1:5070".parse().expect("address"),
        domain: "carrier.example".to_owned(),
        number_prefix: "+".to_owned(),
        credentials: None,
        media,
        buy_tariff: None,
        max_calls: 10,
        setup_timeout_seconds: 5,
    };
    admin.put_trunk(&trunk(TrunkTransport::Udp, TrunkMedia::Plain), 1).expect("stored");
    config.check().expect("plain media over plain signalling is what was asked for");
    admin.put_trunk(&trunk(TrunkTransport::Udp, TrunkMedia::Srtp), 1).expect("stored");
    let errors = config.check().expect_err("refused").to_string();
    assert!(
        errors.contains("trunk carrier: it would send the keys of its encrypted media in clear"),
        "{errors}"
    );
    admin.put_trunk(&trunk(TrunkTransport::Tls, TrunkMedia::Srtp), 1).expect("stored");
    let errors = config.check().err().map(|errors| errors.to_string()).unwrap_or_default();
    assert!(!errors.contains("in clear"), "{errors}");
    admin.put_trunk(&trunk(TrunkTransport::Tcp, TrunkMedia::Plain), 1).expect("stored");
    let errors = config.check().expect_err("refused").to_string();
    assert!(errors.contains("no listener of its transport"), "{errors}");
}
