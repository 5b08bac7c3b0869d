//! The provider of the demo: engine and control as two processes of this program, on free ports, with a database that
//! ends with them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::carrier::{self, Carrier};
use crate::operator::decimal;
use anyhow::{Context, ensure};
use call::{DigestAlgorithm, Trunk, TrunkId, TrunkMedia, TrunkTransport};
use control::store::{Admin, CdrRow, NewAccount};
use ledger::{Amount, Currency, Rate, RateTerms};
use rustls::pki_types::CertificateDer;

pub(super) const ACCOUNT: &str = "alice";
pub(super) const CURRENCY: &str = "EUR";
pub(super) const DOMAIN: &str = "demo.example";
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// A running provider.
pub(super) struct Provider {
    pub(super) ng: SocketAddr,
    pub(super) sip: SocketAddr,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) database: PathBuf,
    currency: Currency,
    // In the order in which they end: control first, the folder last.
    _control: Running,
    _engine: Running,
    _folder: tempfile::TempDir,
}

/// A child that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Provider {
    /// Makes the database with one account, one rate and one encrypted trunk to `carrier`, and starts both processes.
    pub(super) fn start(ip: IpAddr, carrier: &Carrier, deadline: Instant) -> anyhow::Result<Provider> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let database = folder.path().join("tollgate.db");
        let currency: Currency = CURRENCY.parse()?;
        fill(&database, currency, carrier.address())?;
        let certified = rcgen::generate_simple_self_signed(vec![DOMAIN.to_owned()])?;
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::write(&certificate, certified.cert.pem())?;
        std::fs::write(&key, certified.signing_key.serialize_pem())?;
        let (ng, sip) = (free_port(ip)?, free_port(ip)?);
        let trusted = folder.path().join("carriers.crt");
        std::fs::write(&trusted, carrier.certificate_pem())?;
        let config = folder.path().join("control.toml");
        std::fs::write(
            &config,
            format!(
                "node.domain = \"{DOMAIN}\"\ntls.trust_roots = \"{}\"\nstore.path = \"{}\"\ncdr.path = \"{}\"\n\n[[listener]]\ntransport = \"tls\"\n\
                 address = \"{sip}\"\ncertificate = \"{}\"\nkey = \"{}\"\n\n[[engine]]\nname = \"demo\"\naddress = \"{ng}\"\n",
                trusted.display(),
                database.display(),
                folder.path().join("cdr.jsonl").display(),
                certificate.display(),
                key.display(),
            ),
        )?;
        let interface = ip.to_string();
        let listen = ng.to_string();
        let engine =
            start(&["engine", "--interface", &interface, "--listen-ng", &listen, "--workers", "1"], &[])?;
        await_ng(ng, deadline)?;
        let control = start(&["control", "--config"], &[&config])?;
        let certificate = certified.cert.into();
        Ok(Provider {
            ng,
            sip,
            certificate,
            database,
            currency,
            _control: control,
            _engine: engine,
            _folder: folder,
        })
    }

    pub(super) fn money(&self, amount: Amount) -> String {
        decimal(self.currency, amount)
    }

    pub(super) fn balance(&self) -> anyhow::Result<Amount> {
        Ok(Admin::open(&self.database)?.account(ACCOUNT)?.posted)
    }

    /// The record of the call, once it is there.
    pub(super) fn record(&self, deadline: Instant) -> anyhow::Result<CdrRow> {
        let admin = Admin::open(&self.database)?;
        loop {
            if let Some(row) = admin.cdrs(Some(ACCOUNT), 1)?.pop() {
                return Ok(row);
            }
            ensure!(Instant::now() < deadline, "no call record is written");
            // It is another process that writes it.
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }

    /// What is wrong with the books: nothing, one hopes.
    pub(super) fn verify(&self) -> anyhow::Result<Vec<String>> {
        Ok(Admin::open(&self.database)?.verify()?.problems)
    }
}

fn fill(database: &Path, currency: Currency, carrier: SocketAddr) -> anyhow::Result<()> {
    let mut admin = Admin::open(database)?;
    admin.add_tariff("demo", currency)?;
    admin.add_account(&NewAccount { tariff: Some("demo".into()), ..NewAccount::new(ACCOUNT, currency) })?;
    admin.set_password(ACCOUNT, DOMAIN, PASSWORD, &[DigestAlgorithm::Sha256])?;
    admin.top_up(ACCOUNT, "5.00".parse()?, Some("demo"))?;
    admin.put_rate(
        "demo",
        &Rate::new(RateTerms {
            connection_fee: "0.05".parse()?,
            ..RateTerms::per_minute("49".parse()?, "0.60".parse()?)
        })?,
    )?;
    let trunk = Trunk {
        id: TrunkId::from("carrier"),
        enabled: true,
        transport: TrunkTransport::Tls,
        address: carrier,
        domain: carrier::DOMAIN.to_owned(),
        number_prefix: String::new(),
        credentials: None,
        media: TrunkMedia::Srtp,
        buy_tariff: None,
        max_calls: 10,
        setup_timeout_seconds: 10,
    };
    admin.put_trunk(&trunk, 1)?;
    Ok(())
}

fn start(arguments: &[&str], paths: &[&Path]) -> anyhow::Result<Running> {
    let program = std::env::current_exe().context("this program's own path")?;
    let child = Command::new(program)
        .args(arguments)
        .args(paths)
        .env("TOLLGATE_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("starting tollgate {}", arguments[0]))?;
    Ok(Running(child))
}

fn free_port(ip: IpAddr) -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind((ip, 0)).context("a free port")?.local_addr()?)
}

/// Pings the engine until it answers.
fn await_ng(engine: SocketAddr, deadline: Instant) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((engine.ip(), 0))?;
    socket.set_read_timeout(Some(LOOK_AGAIN))?;
    let mut answer = [0; 512];
    while Instant::now() < deadline {
        socket.send_to(b"demo d7:command4:pinge", engine)?;
        if socket.recv(&mut answer).is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("the engine does not answer a ping")
}
