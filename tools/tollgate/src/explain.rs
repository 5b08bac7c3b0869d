//! `tollgate explain`: what a saved NG message does to its description, line by line, and why.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use engine_core::{
    Identity, Input, Instant, Interface, Interfaces, Output, PortRange, Providers, Shard, ShardConfig,
};
use ng::{Command, Reply, Request, RequestError};

#[derive(Args)]
pub(crate) struct Options {
    /// A saved NG message, an offer as a rule: bencode or JSON, with its cookie or without
    offer: PathBuf,
    /// The message that answers it
    answer: Option<PathBuf>,
    /// Address for media, as [name/]address[!advertised], as the engine has it; repeat it for several
    #[arg(long, value_delimiter = ';', default_values = ["203.0.113.1", "2001:db8::1"])]
    interface: Vec<String>,
}

/// Prints it; fails if a message cannot be read or would be refused.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut engine = Engine::new(&options.interface)?;
    let mut code = ExitCode::SUCCESS;
    for path in std::iter::once(&options.offer).chain(&options.answer) {
        let message = std::fs::read(path).with_context(|| format!("the file {}", path.display()))?;
        let (text, sound) = engine.explain(path, &message)?;
        print!("{text}");
        if !sound {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// An engine without sockets: whatever it asks for is there.
struct Engine {
    shard: Shard,
}

impl Engine {
    fn new(interfaces: &[String]) -> anyhow::Result<Self> {
        let interfaces: Vec<Interface> =
            interfaces.iter().map(|text| text.parse()).collect::<Result<_, _>>().context("--interface")?;
        let interfaces = Interfaces::new(interfaces).context("--interface")?;
        let mut config =
            ShardConfig::new(interfaces, PortRange::whole(30_000, 40_000, 0), std::time::Instant::now());
        config.providers = Some(Providers::new(Identity::generate()?, config.base)?);
        // What is asked about recording is answered as by an engine that records.
        config.limits.recordings_max = 2;
        Ok(Self { shard: Shard::new(config, 0) })
    }

    /// What a message does, as text; and whether the engine takes it.
    fn explain(&mut self, path: &Path, message: &[u8]) -> anyhow::Result<(String, bool)> {
        let (document, request) = read(message);
        let mut request = request.with_context(|| format!("{} is no message", path.display()))?;
        let (kind, call, tag) = match &mut request.command {
            Command::Offer(signal) => {
                signal.explain = true;
                ("offer", &signal.call_id, &signal.from_tag)
            }
            Command::Answer(signal) => {
                signal.explain = true;
                ("answer", &signal.call_id, &signal.from_tag)
            }
            other => bail!("{} is a `{}`: offers and answers are explained", path.display(), other.name()),
        };
        let mut text = format!("{kind} of call {call}, offerer {tag}\n");
        let mut sound = true;
        match self.ask(request.command) {
            Reply::Signal(signal) => {
                for line in signal.explain {
                    text += &format!("  line {}\n", line.line);
                    for (mark, line) in [('-', line.was), ('+', line.now)] {
                        text += &line.map_or_else(String::new, |line| format!("    {mark} {line}\n"));
                    }
                    text += &format!("      {}\n", line.why);
                }
                text += &signal.warning.map_or_else(String::new, |warning| format!("  warning: {warning}\n"));
            }
            Reply::Error(reason) | Reply::LoadLimit(reason) => {
                sound = false;
                text += &format!("  refused: {reason}\n");
            }
            other => bail!("an unexpected reply: {other:?}"),
        }
        for lint in ng::lint(document) {
            text += &format!("  note: {lint}\n");
        }
        Ok((text, sound))
    }

    fn ask(&mut self, command: Command) -> Reply {
        let mut inputs = vec![Input::Command { id: 1, command }];
        let mut answer = Reply::Error("the engine does not answer".to_owned());
        while let Some(input) = inputs.pop() {
            self.shard.handle_input(Instant::ZERO, 0, input);
            while let Some(output) = self.shard.poll_output() {
                match output {
                    Output::OpenSocket { socket, .. } => {
                        inputs.push(Input::SocketOpened { socket, result: Ok(()) });
                    }
                    Output::Reply { reply, .. } => answer = *reply,
                    _ => {}
                }
            }
        }
        answer
    }
}

/// The document of a message and what it asks. A message is tried as it stands, then without a cookie.
fn read(message: &[u8]) -> (&[u8], Result<Request, RequestError>) {
    let message = message.trim_ascii_end();
    match (ng::read_document(message).1, ng::split_cookie(message)) {
        (Ok(request), _) => (message, Ok(request)),
        (Err(_), Ok((_, document))) if matches!(document.first(), Some(b'd' | b'{')) => {
            (document, ng::read_document(document).1)
        }
        (Err(error), _) => (message, Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = r#"{"command":"offer","call-id":"c","from-tag":"a","flags":["strict-source","bogus"],
        "sdp":"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"}"#;

    fn explained(message: &str) -> (String, bool) {
        let mut engine = Engine::new(&["203.0.113.1".to_owned()]).expect("an interface");
        engine.explain(Path::new("message"), message.as_bytes()).expect("an offer")
    }

    #[test]
    fn each_changed_line_is_shown_with_its_reason_and_what_does_nothing_is_noted() {
        let (text, sound) = explained(OFFER);
        assert!(sound, "{text}");
        for part in [
            "offer of call c, offerer a\n  line 4\n    - c=IN IP4 192.0.2.1\n    + c=IN IP4 203.0.113.1\n",
            "    + a=sendrecv\n",
            "  note: unknown flag 'bogus'\n",
            "  note: strict-source is always on\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("o=-"), "what is not changed is not shown: {text}");
    }

    #[test]
    fn a_cookie_is_no_matter_and_a_refusal_is_said() {
        assert_eq!(explained(&format!("d8_1 {OFFER}\n")), explained(OFFER));
        let (text, sound) = explained(&OFFER.replace("strict-source", "ptime=20"));
        assert!(!sound && text.contains("refused: Not supported: ptime=20"), "{text}");
    }

    #[test]
    fn an_answer_is_explained_after_its_offer_and_other_messages_are_not() {
        let mut engine = Engine::new(&["203.0.113.1".to_owned()]).expect("an interface");
        let path = Path::new("message");
        let answer =
            OFFER.replace("\"offer\"", "\"answer\",\"to-tag\":\"b\"").replace("192.0.2.1", "192.0.2.2");
        assert!(!engine.explain(path, answer.as_bytes()).expect("an answer").1, "there is no call");
        assert!(engine.explain(path, OFFER.as_bytes()).expect("an offer").1);
        let (text, sound) = engine.explain(path, answer.as_bytes()).expect("an answer");
        assert!(sound && text.contains("- c=IN IP4 192.0.2.2"), "{text}");
        engine.explain(path, b"d7:command4:pinge").expect_err("a ping");
        engine.explain(path, b"garbage").expect_err("garbage");
    }
}
