//! baresip as a carrier that speaks SIP inside TLS and SRTP with keys from descriptions, and nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::{Address, Baresip, Certificate, udp};

/// A carrier that answers every call of one number by itself, and plays a tone.
pub struct SecureCarrier {
    /// What it hears and says, as of any other baresip.
    pub phone: Baresip,
    /// Where it listens for SIP inside TLS.
    pub address: SocketAddr,
    folder: tempfile::TempDir,
}

impl SecureCarrier {
    /// One that is called as `number` and plays a tone of `tone_hz`. It is on 127.0.0.1, from where its packets come
    /// wherever it says that it is: it binds no address, and of a carrier nobody else is heard.
    pub fn start(number: &str, tone_hz: u32) -> SecureCarrier {
        let at = Address::own(Ipv4Addr::LOCALHOST);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificate = Certificate::write(folder.path(), "carrier", at);
        let read = |file: &Path| std::fs::read_to_string(file).expect("a file just written");
        let both = folder.path().join("carrier.pem");
        std::fs::write(&both, read(&certificate.key) + &read(&certificate.certificate))
            .expect("a file in a new folder");
        // baresip listens in clear on the port that it is given, and inside TLS on the next.
        let clear = SocketAddr::new(at.ip(), at.media_port());
        let address = SocketAddr::new(at.ip(), clear.port() + 1);
        let account = format!(
            "<sip:{number}@{address};transport=tls>;regint=0;answermode=auto;audio_codecs=PCMA;mediaenc=srtp-mand"
        );
        let config = format!("sip_listen {clear}\nsip_certificate {}\n", both.display());
        let phone = Baresip::start(number, at, tone_hz, account, &config, |_| udp::await_listening(address));
        SecureCarrier { phone, address, folder }
    }

    /// Its self-signed certificate, for a control to trust (`tls.trust_roots`).
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("carrier.crt")
    }
}
