//! The SIP messages that a peer sent and received, in their order.

/// One message on one peer's wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// It came in.
    pub received: bool,
    /// The whole message, lines ended by a line feed.
    pub text: String,
}

impl Seen {
    /// The first value of a header, by its full name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().take_while(|line| !line.is_empty());
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    /// The rest of the first `prefix=…` line of its session description, such as that of `m`.
    pub fn sdp(&self, prefix: &str) -> Option<&str> {
        let (_, body) = self.text.split_once("\n\n")?;
        body.lines().find_map(|line| line.strip_prefix(prefix)?.strip_prefix('='))
    }

    /// The method of a request, or the status of a response.
    pub fn what(&self) -> &str {
        let mut words = self.text.split_whitespace();
        match words.next() {
            Some("SIP/2.0") => words.next().unwrap_or_default(),
            first => first.unwrap_or_default(),
        }
    }
}

/// The messages of SIPp's own log, each once: a repeat is the same bytes.
pub(crate) fn of_log(log: &str) -> Vec<Seen> {
    let mut messages: Vec<Seen> = Vec::new();
    for entry in log.split("----------------------------------------------- ").skip(1) {
        let Some((head, text)) = entry.split_once(" bytes").and_then(|(head, rest)| {
            let (_, text) = rest.split_once("\n\n")?;
            Some((head, text))
        }) else {
            continue;
        };
        let text = text.replace('\r', "").trim().to_owned() + "\n\n";
        let seen = Seen { received: head.contains("received"), text };
        if !messages.contains(&seen) {
            messages.push(seen);
        }
    }
    messages
}

/// What was sent and, with a `<` before it, received, without 100s: `INVITE <407 ACK`.
pub(crate) fn summary(messages: &[Seen]) -> String {
    let names = messages.iter().filter(|message| message.what() != "100").map(|message| {
        let direction = if message.received { "<" } else { "" };
        format!("{direction}{}", message.what())
    });
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
----------------------------------------------- 2026-01-02\t10:00:00.1\t1.1
UDP message sent (99 bytes):

OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\n\r\n

----------------------------------------------- 2026-01-02\t10:00:00.2\t1.2
UDP message received [99] bytes :

SIP/2.0 200 OK\r\nCall-ID:  1\r\n\r\nv=0\r\nm=audio 4 RTP/AVP 8\r\n

----------------------------------------------- 2026-01-02\t10:00:00.3\t1.3
UDP message received [99] bytes :

SIP/2.0 200 OK\r\nCall-ID:  1\r\n\r\nv=0\r\nm=audio 4 RTP/AVP 8\r\n

";

    #[test]
    fn a_log_is_read_with_directions_headers_and_bodies_and_without_repeats() {
        let messages = of_log(LOG);
        assert_eq!(summary(&messages), "OPTIONS <200");
        assert_eq!(messages[1].header("call-id"), Some("1"));
        assert_eq!(messages[1].sdp("m"), Some("audio 4 RTP/AVP 8"));
        assert_eq!(messages[0].header("m"), None);
    }
}
