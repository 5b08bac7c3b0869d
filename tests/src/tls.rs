//! Keys, certificates, and a TLS connection that openssl holds.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Address;

/// A self-signed certificate and its key, as files.
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// A new one of `at`, in files of this name.
    pub fn write(folder: &Path, name: &str, at: Address) -> Certificate {
        let certified = rcgen::generate_simple_self_signed(vec![at.to_string()]).expect("a certificate");
        let file = |suffix: &str| folder.join(format!("{name}.{suffix}"));
        std::fs::write(file("crt"), certified.cert.pem()).expect("a file in the test's folder");
        std::fs::write(file("key"), certified.signing_key.serialize_pem())
            .expect("a file in the test's folder");
        Certificate { certificate: file("crt"), key: file("key") }
    }

    /// The SHA-256 of its public key as curl writes it.
    pub fn pin(&self) -> String {
        let script = format!(
            "openssl x509 -in '{}' -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
            self.certificate.display()
        );
        let output = Command::new("sh").args(["-c", &script]).output().expect("openssl runs");
        format!("sha256//{}", String::from_utf8_lossy(&output.stdout).trim())
    }
}

/// A connection held by `openssl s_client`.
pub struct Tls {
    client: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Tls {
    /// To `address`, if its certificate is this one; with a key of one's own.
    ///
    /// # Panics
    /// If openssl does not start.
    pub fn connect(address: SocketAddr, trusted: &Path, own: Option<&Certificate>) -> Tls {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-connect"])
            .arg(address.to_string())
            .arg("-CAfile")
            .arg(trusted);
        if let Some(own) = own {
            command.arg("-cert").arg(&own.certificate).arg("-key").arg(&own.key);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = command.spawn().expect("openssl starts; tests/run installs it");
        let input = client.stdin.take().expect("stdin is piped");
        let output = client.stdout.take().expect("stdout is piped");
        Tls { client, input, output }
    }

    /// Sends a question and reads until the answer ends so.
    ///
    /// # Errors
    /// The connection was refused or has ended.
    pub fn ask(&mut self, question: &str, end: &str) -> io::Result<String> {
        self.write_all(question.as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(end.as_bytes()) {
            self.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ended_already = self.client.kill();
        let _status = self.client.wait();
    }
}
