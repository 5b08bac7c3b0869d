//! ClientHellos on their way to a server that waits: put together, and judged on the face of them.
//!
//! A library sees whole hellos only. A fragment of a stranger's that it kept
//! would otherwise lie between those of the genuine client later on.

use super::record::{self, Fragment, HANDSHAKE_HEADER_BYTES, RECORD_HEADER_BYTES};

/// Longest ClientHello taken in. Browsers with post-quantum key shares send about 1.8 KiB.
const HELLO_BYTES_MAX: usize = 8 * 1024;
/// Version, random, and the lengths of session, cookie, cipher suites and compression methods with one of each of the
/// last two.
const HELLO_BYTES_MIN: usize = 2 + 32 + 1 + 1 + 2 + 2 + 2;
const CLIENT_HELLO: u8 = 1;
/// A client's second hello answers a challenge; there is no third.
const NUMBER_MAX: u16 = 1;

/// A whole ClientHello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    /// Its random, which a client keeps when it repeats the hello.
    pub(super) random: [u8; 32],
    /// It brings a cookie of DTLS 1.2 or 1.3.
    pub(super) cookie: bool,
    /// It is a client's second, which answers a challenge.
    pub(super) second: bool,
    /// It as one record in one datagram.
    pub(super) datagram: Vec<u8>,
}

/// The parts of one hello, until it is whole.
#[derive(Debug, Default)]
pub(super) struct Hellos(Option<Partial>);

#[derive(Debug)]
struct Partial {
    number: u16,
    body: Vec<u8>,
    missing: Vec<bool>,
}

/// What a datagram brought to a server that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// A hello, now whole.
    Hello(Hello),
    /// A part of one.
    Part,
    /// Neither, or a hello without all its fields.
    Nothing,
}

impl Hellos {
    /// Takes in a well-formed datagram. Parts of another hello than the last one push that out.
    pub(super) fn take(&mut self, datagram: &[u8]) -> Brought {
        let mut part = false;
        for record in record::records(datagram) {
            let Some(fragment) = record::handshake_of(record).filter(is_possible) else { continue };
            part = true;
            let whole = fragment.body.len() == fragment.total;
            let body = if whole { Some(fragment.body.to_vec()) } else { self.join(&fragment) };
            if let Some(body) = body {
                self.0 = None;
                return judge(&body, record, fragment.number).map_or(Brought::Nothing, Brought::Hello);
            }
        }
        if part { Brought::Part } else { Brought::Nothing }
    }

    /// Gives the memory back.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    fn join(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        let fits =
            |partial: &Partial| partial.number == fragment.number && partial.body.len() == fragment.total;
        if !self.0.as_ref().is_some_and(fits) {
            self.0 = Some(Partial {
                number: fragment.number,
                body: vec![0; fragment.total],
                missing: vec![true; fragment.total],
            });
        }
        let partial = self.0.as_mut()?;
        let place = fragment.offset..fragment.offset + fragment.body.len();
        partial.body.get_mut(place.clone())?.copy_from_slice(fragment.body);
        partial.missing.get_mut(place)?.fill(false);
        if partial.missing.contains(&true) { None } else { self.0.take().map(|partial| partial.body) }
    }
}

fn is_possible(fragment: &Fragment<'_>) -> bool {
    fragment.kind == CLIENT_HELLO
        && fragment.number <= NUMBER_MAX
        && (HELLO_BYTES_MIN..=HELLO_BYTES_MAX).contains(&fragment.total)
        && !fragment.body.is_empty()
}

/// Reads the fields as far as they matter here; `None` if they do not fill the hello.
fn judge(body: &[u8], record: &[u8], number: u16) -> Option<Hello> {
    const COOKIE_EXTENSION: [u8; 2] = [0, 44];
    let mut fields = Fields(body);
    let version = fields.take(2)?;
    let random = fields.take(32)?.try_into().ok()?;
    let session = fields.vector8()?;
    let mut cookie = !fields.vector8()?.is_empty();
    let suites = fields.vector16()?;
    let compressions = fields.vector8()?;
    if version[0] != 0xfe || session.len() > 32 {
        return None;
    }
    if suites.is_empty() || suites.len() % 2 != 0 || compressions.is_empty() {
        return None;
    }
    if !fields.0.is_empty() {
        let mut extensions = Fields(fields.vector16()?);
        while !extensions.0.is_empty() {
            cookie |= extensions.take(2)? == COOKIE_EXTENSION;
            extensions.vector16()?;
        }
    }
    if !fields.0.is_empty() {
        return None;
    }
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    let mut datagram = Vec::with_capacity(RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES + body.len());
    datagram.extend_from_slice(&record[..RECORD_HEADER_BYTES - 2]);
    datagram.extend_from_slice(&u16::try_from(HANDSHAKE_HEADER_BYTES + body.len()).ok()?.to_be_bytes());
    datagram.push(CLIENT_HELLO);
    datagram.extend_from_slice(&length[1..]);
    datagram.extend_from_slice(&number.to_be_bytes());
    datagram.extend_from_slice(&[0; 3]);
    datagram.extend_from_slice(&length[1..]);
    datagram.extend_from_slice(body);
    Some(Hello { random, cookie, second: number == NUMBER_MAX, datagram })
}

/// Reads fields from the front of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(field)
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([length[0], length[1]])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(cookie: &[u8], extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend_from_slice(&[7; 32]);
        body.push(0);
        body.push(u8::try_from(cookie.len()).unwrap());
        body.extend_from_slice(cookie);
        body.extend_from_slice(&[0, 2, 0xc0, 0x2b, 1, 0]);
        body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend_from_slice(extensions);
        body
    }

    fn fragment(body: &[u8], number: u16, place: std::ops::Range<usize>) -> Vec<u8> {
        let three = |number: usize| u32::try_from(number).unwrap().to_be_bytes()[1..].to_vec();
        let part = &body[place.clone()];
        let message = [
            vec![1],
            three(body.len()),
            number.to_be_bytes().to_vec(),
            three(place.start),
            three(part.len()),
            part.to_vec(),
        ]
        .concat();
        let length = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        [vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 5], length, message].concat()
    }

    #[test]
    fn a_whole_hello_is_handed_on_as_it_came() {
        for (cookie, extensions, brings) in
            [(&b""[..], &b""[..], false), (b"cookie", b"", true), (b"", &[0, 44, 0, 1, 9], true)]
        {
            let body = body(cookie, extensions);
            let datagram = fragment(&body, 0, 0..body.len());
            let Brought::Hello(hello) = Hellos::default().take(&datagram) else { panic!("{datagram:?}") };
            assert_eq!(hello, Hello { random: [7; 32], cookie: brings, second: false, datagram });
        }
    }

    #[test]
    fn parts_in_any_order_and_overlapping_make_the_same_hello() {
        let body = body(&[3; 20], &[0, 10, 0, 2, 0, 0]);
        let whole = fragment(&body, 1, 0..body.len());
        let end = body.len();
        for places in [[0..20, 20..50, 50..end], [50..end, 0..20, 20..50], [0..30, 10..60, 40..end]] {
            let mut hellos = Hellos::default();
            let mut brought = places.map(|place| hellos.take(&fragment(&body, 1, place))).into_iter().rev();
            let Some(Brought::Hello(hello)) = brought.next() else { panic!("not whole") };
            assert_eq!(hello.datagram, whole);
            assert!(brought.all(|brought| brought == Brought::Part));
        }
        let both = [fragment(&body, 1, 0..30), fragment(&body, 1, 30..end)].concat();
        assert!(matches!(Hellos::default().take(&both), Brought::Hello(_)), "two records in one datagram");
    }

    #[test]
    fn parts_of_another_hello_push_out_the_first() {
        let (one, two) = (body(b"", b""), body(b"cookie", b""));
        let mut hellos = Hellos::default();
        assert_eq!(hellos.take(&fragment(&one, 0, 0..20)), Brought::Part);
        assert_eq!(hellos.take(&fragment(&two, 0, 0..20)), Brought::Part);
        assert_eq!(hellos.take(&fragment(&one, 0, 20..one.len())), Brought::Part);
        assert!(matches!(hellos.take(&fragment(&one, 0, 0..20)), Brought::Hello(_)));
    }

    #[test]
    fn what_is_no_hello_brings_nothing() {
        let good = body(b"", b"");
        let mut hellos = Hellos::default();
        assert_eq!(hellos.take(&fragment(&good, 2, 0..good.len())), Brought::Nothing, "a third hello");
        assert_eq!(hellos.take(&fragment(&vec![0; 9000], 0, 0..100)), Brought::Nothing, "too long");
        assert_eq!(hellos.take(&fragment(&good[..30], 0, 0..30)), Brought::Nothing, "too short");
        assert_eq!(hellos.take(&fragment(&good, 0, 5..5)), Brought::Nothing, "an empty part");
        for bytes in HELLO_BYTES_MIN..good.len() {
            let cut = &good[..bytes];
            let read = hellos.take(&fragment(cut, 0, 0..bytes));
            // Without extensions a hello may end after its compression methods.
            assert_eq!(read == Brought::Nothing, bytes != good.len() - 2, "{bytes}");
        }
        let mut outside = fragment(&good, 0, 0..good.len());
        outside[13 + 8] = 1;
        assert_eq!(hellos.take(&outside), Brought::Nothing, "a part that ends behind the whole");
    }
}
