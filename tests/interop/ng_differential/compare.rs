//! Answers as lines that can be compared: ports numbered in the order of their appearance, clocks stopped.

use std::fmt::Write;
use std::net::IpAddr;

use ng::{Value, bencode, json};

/// Ports that the peers may choose; those in the messages lie below.
const FIRST_PORT: i64 = 20_000;

/// Numbers the ports of one peer in one call, so that "the same port as before" is compared too.
#[derive(Default)]
pub(crate) struct Normaliser {
    /// RTP ports in the order of their appearance, with their address where it was told. rtpengine's are odd now and then
    /// when multiplexed with RTCP.
    rtp: Vec<(Option<IpAddr>, i64)>,
    /// Names and passwords of ICE in the order of their appearance, so that "the same as before" is compared too.
    names: Vec<String>,
}

impl Normaliser {
    /// One line per value, its path in front; the SDP line by line.
    pub(crate) fn lines(&mut self, document: &[u8]) -> Vec<String> {
        let (encoding, tree) = match document.first() {
            Some(b'd') => ("bencode", bencode::parse(document).expect("bencode").0),
            Some(b'{') => ("json", json::parse(document).expect("JSON")),
            _ => panic!("neither bencode nor JSON: {}", String::from_utf8_lossy(document)),
        };
        let mut lines = vec![format!("({encoding})")];
        self.value("", &tree, None, &mut lines);
        lines
    }

    /// `address` is where the ports next to it lie, if that was told.
    fn value(&mut self, path: &str, value: &Value<'_>, address: Option<IpAddr>, lines: &mut Vec<String>) {
        let address = value.get("local address").and_then(Value::as_str).and_then(own).or(address);
        match value {
            Value::Integer(number) => {
                let name = path.rsplit('.').next().unwrap_or(path);
                let text = match name {
                    "created" | "created_us" | "last signal" | "last packet" => "(time)".to_owned(),
                    "local port" => self.port(address, *number),
                    _ => number.to_string(),
                };
                lines.push(format!("{path} = {text}"));
            }
            Value::Text(text) if path == ".sdp" => {
                let text = String::from_utf8_lossy(text);
                let all: Vec<&str> = text.split_inclusive('\n').collect();
                let mut session = None;
                let mut here = None;
                for (index, line) in all.iter().enumerate() {
                    match line.get(..2) {
                        Some("c=") if here.is_none() => session = connection(line),
                        // `c=` of a section stands behind its `m=`.
                        Some("m=") => {
                            let rest = all[index + 1..].iter().take_while(|line| !line.starts_with("m="));
                            here = rest
                                .filter(|line| line.starts_with("c="))
                                .find_map(|line| connection(line))
                                .or(session);
                        }
                        _ => {}
                    }
                    let line = self.sdp_line(here, line).escape_debug().to_string();
                    lines.push(format!("sdp {line}"));
                }
            }
            Value::Text(text) if path == ".to-tag" && is_drawn_tag(text) => {
                lines.push(format!("{path} = (drawn)"));
            }
            Value::Text(text) => lines.push(format!("{path} = {:?}", String::from_utf8_lossy(text))),
            Value::List(items) if path.ends_with(".flags") => {
                // `ICE controlling` is said of every answerer of plain RTP, though there is no ICE.
                let flags: Vec<&str> = items
                    .iter()
                    .filter_map(Value::as_str)
                    .filter(|flag| *flag != "ICE controlling")
                    .collect();
                lines.push(format!("{path} = {}", flags.join(", ")));
            }
            Value::List(items) => {
                let mut items: Vec<&Value<'_>> = items.iter().collect();
                // By tag: who heard whom first is the order of a table inside the daemon.
                items.sort_by_key(|item| item.get("tag").and_then(Value::as_str));
                lines.push(format!("{path} [{}]", items.len()));
                for (index, item) in items.into_iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), item, address, lines);
                }
            }
            Value::Dictionary(entries) => {
                lines.push(format!("{path} {{{}}}", entries.len()));
                let mut entries: Vec<_> = entries.iter().collect();
                // The party that was asked for stands first there; nobody looks at the order.
                if path == ".tags" {
                    entries.sort_by_key(|(key, value)| {
                        let branch = value.get("via-branch").and_then(Value::as_bytes).unwrap_or_default();
                        if key.starts_with(b"<") { [b"<", branch].concat() } else { key.to_vec() }
                    });
                }
                // 10.5 opens ports for a section over TCP and never shows them; they would count as ports that it did.
                let tcp = value.get("type").and_then(Value::as_str) == Some("message");
                for (key, value) in entries {
                    let key = String::from_utf8_lossy(key);
                    if tcp && key == "streams" {
                        continue;
                    }
                    // Parties without a tag are numbered in the order of a table inside the daemon.
                    let branch = value.get("via-branch").and_then(Value::as_str).unwrap_or("");
                    let key = if key.starts_with("<untagged ") {
                        format!("<untagged {branch}>")
                    } else {
                        key.into_owned()
                    };
                    self.value(&format!("{path}.{key}"), value, address, lines);
                }
            }
        }
    }

    fn sdp_line(&mut self, address: Option<IpAddr>, line: &str) -> String {
        if line.starts_with("a=rtpengine:") {
            return "a=rtpengine:(instance)\r\n".to_owned();
        }
        if line.starts_with("s=rtpengine-") {
            // A session that the engine describes itself; ours has no name.
            return "s=-\r\n".to_owned();
        }
        if let Some(line) = drawn_session(line) {
            return line;
        }
        for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
            if let Some(drawn) = line.strip_prefix(name) {
                let known = self.names.iter().position(|known| known == drawn);
                let number = known.unwrap_or(self.names.len());
                if known.is_none() {
                    self.names.push(drawn.to_owned());
                }
                return format!("{name}({number})\r\n");
            }
        }
        if let Some(candidate) = line.strip_prefix("a=candidate:") {
            let mut words: Vec<String> = candidate.split(' ').map(str::to_owned).collect();
            "(drawn)".clone_into(&mut words[0]);
            // A candidate at another address than its section's has a port that only 10.5 opens: it is not counted among those shown.
            if let (Some(at), Some(port)) = (words.get(4), words.get(5).and_then(|port| port.parse().ok())) {
                words[5] =
                    if at.parse().ok() == address { self.port(address, port) } else { "P?".to_owned() };
            }
            return format!("a=candidate:{}", words.join(" "));
        }
        let position = if line.starts_with("m=") {
            1
        } else if line.starts_with("a=rtcp:") {
            0
        } else {
            return line.to_owned();
        };
        let (head, body) = if position == 0 { line.split_at("a=rtcp:".len()) } else { ("", line) };
        let mut words: Vec<String> = body.split(' ').map(str::to_owned).collect();
        if let Some(word) = words.get_mut(position) {
            let end = word.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(word.len());
            if let Ok(port) = word[..end].parse() {
                *word = format!("{}{}", self.port(address, port), &word[end..]);
            }
        }
        format!("{head}{}", words.join(" "))
    }

    /// `P2` is the second RTP port, `P2+1` the RTCP port beside it.
    fn port(&mut self, address: Option<IpAddr>, port: i64) -> String {
        if port < FIRST_PORT {
            return port.to_string();
        }
        let known = |wanted: i64| {
            let there = |(at, rtp): &(Option<IpAddr>, i64)| *rtp == wanted && *at == address;
            self.rtp.iter().position(there)
        };
        if let Some(index) = known(port) {
            return format!("P{}", index + 1);
        }
        if let Some(index) = known(port - 1) {
            return format!("P{}+1", index + 1);
        }
        self.rtp.push((address, port));
        format!("P{}", self.rtp.len())
    }
}

/// Whether the engine drew this tag, as it does where a client names none.
fn is_drawn_tag(tag: &[u8]) -> bool {
    tag.len() == 64 && tag.iter().all(u8::is_ascii_hexdigit)
}

/// The `o=` of a session that the engine describes itself, without the number it drew.
fn drawn_session(line: &str) -> Option<String> {
    let mut words = line.strip_prefix("o=- ")?.splitn(3, ' ');
    let (number, version, rest) = (words.next()?, words.next()?, words.next()?);
    let drawn = number.len() > 15 && number == version;
    drawn.then(|| format!("o=- (session) (session) {rest}"))
}

/// The address of a `c=`, if it is one that a peer of ours has.
fn connection(line: &str) -> Option<IpAddr> {
    own(line.trim_end().rsplit(' ').next()?)
}

/// An address, if it is one that a peer of ours has: all of them are this machine's own.
fn own(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(IpAddr::is_loopback)
}

/// Both answers as one list: lines of the first alone with `-`, of the second alone with `+`.
pub(crate) fn difference(first: &[String], second: &[String]) -> String {
    // Length of the longest common rest from each pair of positions on.
    let mut common = vec![vec![0_usize; second.len() + 1]; first.len() + 1];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            common[i][j] = if first[i] == second[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    while i < first.len() || j < second.len() {
        let (mark, line) = if i < first.len() && j < second.len() && first[i] == second[j] {
            i += 1;
            j += 1;
            (' ', &first[i - 1])
        } else if j == second.len() || (i < first.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', &first[i - 1])
        } else {
            j += 1;
            ('+', &second[j - 1])
        };
        writeln!(text, "  {mark} {line}").expect("a string takes every write");
    }
    text
}

#[test]
fn ports_are_numbered_by_appearance_and_clocks_stopped() {
    let mut normaliser = Normaliser::default();
    let sdp = "m=audio 30002 RTP/AVP 0\r\na=rtcp:30003\r\nx=30002";
    let lines = normaliser.lines(format!("d3:sdp{}:{sdp}e", sdp.len()).as_bytes());
    assert_eq!(lines[2..], ["sdp m=audio P1 RTP/AVP 0\\r\\n", "sdp a=rtcp:P1+1\\r\\n", "sdp x=30002"]);
    let lines = normaliser
        .lines(br#"{"created":5,"medias":[{"local port":30010},{"local port":30002},{"port":4000}]}"#);
    assert_eq!(lines[2], ".created = (time)");
    assert!(lines.contains(&".medias[0].local port = P2".to_owned()));
    assert!(lines.contains(&".medias[1].local port = P1".to_owned()));
    assert!(lines.contains(&".medias[2].port = 4000".to_owned()));
}

#[test]
fn a_difference_shows_what_only_one_side_said() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(difference(&lines("a b c"), &lines("a x c")), "    a\n  - b\n  + x\n    c\n");
}
