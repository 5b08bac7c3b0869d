//! Named presets of options, kept at the engine and asked for by name (`template`).

use std::collections::BTreeMap;

use crate::{signal_read::SignalReader, spelling::Warnings};

/// Presets by name. Each is a text of options as in `rtpp-flags`.
///
/// A message's `template` is read before its own keys, so that they prevail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Templates(BTreeMap<String, String>);

impl Templates {
    /// Presets from names and texts.
    pub fn new(presets: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(presets.into_iter().collect())
    }

    /// What in the presets is not understood, with the name of the preset.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, text) in &self.0 {
            let mut warnings = Warnings::default();
            if let Err(error) = SignalReader::default().rtpp_flags(text, &mut warnings) {
                found.push(format!("{name}: {error}"));
            }
            found.extend(warnings.done().into_iter().map(|warning| format!("{name}: {warning}")));
        }
        found
    }

    /// The text of a preset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::read_document_with,
        request::{Command, Request},
        signal::{Ice, Signal, TransportProtocol, Trust},
    };

    fn templates() -> Templates {
        Templates::new([
            (
                "carrier".to_owned(),
                "ICE=remove RTP/AVP SIP-source-address replace=[origin] direction=[in out]".to_owned(),
            ),
            ("guarded".to_owned(), "strict-source media-networks=[192.0.2.0/24]".to_owned()),
        ])
    }

    /// What the preset `carrier` says, in keys and flags.
    const EXPLICIT: &str = r#""ICE":"remove","transport-protocol":"RTP/AVP","flags":["SIP-source-address"],
        "replace":["origin"],"direction":["in","out"]"#;

    fn offer(options: &str) -> (Signal, Vec<String>) {
        let document = format!(r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0",{options}}}"#);
        match read_document_with(document.as_bytes(), &templates()).1 {
            Ok(Request { command: Command::Offer(signal), warnings }) => (*signal, warnings),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_preset_is_named_by_key_by_flag_and_in_flag_text() {
        for options in [
            r#""template":"carrier""#,
            r#""template":["carrier"]"#,
            r#""flags":["template=carrier"]"#,
            r#""rtpp-flags":"template=carrier""#,
        ] {
            let (signal, warnings) = offer(options);
            assert_eq!(warnings, Vec::<String>::new(), "{options}");
            // All of it, as if the message had said it in keys and flags of its own.
            assert_eq!((signal, warnings), offer(EXPLICIT), "{options}");
        }
        let (signal, _) = offer(r#""template":["carrier","guarded"]"#);
        assert!(signal.strict_source && signal.replace.origin);
    }

    #[test]
    fn a_messages_own_keys_prevail_over_its_preset() {
        let (signal, warnings) = offer(
            r#""ICE":"force","flags":["trust-address"],"rtpp-flags":"AVPF","direction":["a","b"],"template":"carrier""#,
        );
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(
            (signal.ice, signal.trust, signal.transport_protocol),
            (Some(Ice::Force), Trust::Sdp, Some(TransportProtocol::RtpAvpf))
        );
        assert_eq!(signal.direction, ["a", "b"]);
        let (signal, _) = offer(r#""from-interface":"a","template":"carrier""#);
        assert_eq!(signal.direction, ["a"], "the pair is taken whole");
    }

    #[test]
    fn an_unknown_preset_is_a_warning() {
        assert_eq!(offer(r#""template":"nobody""#).1, ["unknown template 'nobody'"]);
    }

    #[test]
    fn what_a_preset_does_not_mean_is_known_before_a_call_names_it() {
        assert_eq!(templates().warnings(), Vec::<String>::new());
        let odd = Templates::new([("x".to_owned(), "strict-source nonsense lease-ms=soon".to_owned())]);
        assert_eq!(
            odd.warnings(),
            ["x: Invalid or missing lease-ms in message", "x: unknown flag 'nonsense'"]
        );
    }
}
