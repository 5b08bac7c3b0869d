//! Lexical rules shared by every header: tokens, quoted strings, escapes, splitting ([RFC 3261 §25.1]).
//!
//! All functions look at bytes, never recurse, and cost one pass over their input.
//!
//! [RFC 3261 §25.1]: https://www.rfc-editor.org/rfc/rfc3261#section-25.1

use std::borrow::Cow;

/// Whether `byte` may stand in a `token`.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether `text` is a non-empty `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether `byte` is `LWS` inside an unfolded value.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Splits at `separator` where it stands outside quotes and angle brackets.
///
/// Parts are trimmed. Returns `None` when a quote or bracket is left open.
pub(crate) fn split_top(text: &str, separator: u8) -> Option<Vec<&str>> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut angle = false;
    while at < bytes.len() {
        match bytes[at] {
            // Quotes mean nothing inside <>: a quote is not a URI character.
            b'"' if !angle => at = quoted_end(bytes, at)?,
            b'<' if !angle => angle = true,
            b'>' if angle => angle = false,
            byte if byte == separator && !angle => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if angle {
        return None;
    }
    parts.push(text[start..].trim());
    Some(parts)
}

/// The index of the quote that closes the one at `open`, or `None`.
pub(crate) fn quoted_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The text a quoted string stands for; other text comes back as it is.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    Cow::Owned(out)
}

/// `text` as a quoted string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        // A line break cannot be quoted; it would end the header.
        out.push(if c == '\r' || c == '\n' { ' ' } else { c });
    }
    out.push('"');
    out
}

/// Replaces `%HH` by the byte it names; a broken escape stays as it is.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%'
            && let Some(hex) = bytes.get(at + 1..at + 3)
            && let (Some(high), Some(low)) = (hex_digit(hex[0]), hex_digit(hex[1]))
        {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(crate) fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|&i| bytes[i] == b'%')
        .all(|i| bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_quotes_and_brackets_do_not_split() {
        assert_eq!(
            split_top(r#""a, \"b" <sip:x,y@h>, <sip:z@h>"#, b','),
            Some(vec![r#""a, \"b" <sip:x,y@h>"#, "<sip:z@h>"])
        );
        assert_eq!(split_top(r#""open, a"#, b','), None);
        assert_eq!(split_top("<sip:a", b','), None);
    }

    #[test]
    fn quote_and_unquote_are_inverse() {
        for text in ["", "plain", r#"a "b" \ c"#, "ünïcode"] {
            assert_eq!(unquote(&quote(text)), text);
        }
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(unescape("%41b%"), b"Ab%");
        assert!(escapes_are_whole("%41b"));
        assert!(!escapes_are_whole("b%4"));
    }
}
