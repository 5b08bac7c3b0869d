//! Records and handshake headers as far as they are looked at before a library sees them (RFC 6347 §4.1, RFC 9147 §4).

/// Longest ClientHello taken in, fragments joined. Browsers with post-quantum key shares send about 1.8 KiB.
pub(super) const HELLO_BYTES_MAX: usize = 8 * 1024;

const RECORD_HEADER_BYTES: usize = 13;
const HANDSHAKE_HEADER_BYTES: usize = 12;
const CONTENT_CHANGE_CIPHER_SPEC: u8 = 20;
const CONTENT_HANDSHAKE: u8 = 22;
const CONTENT_HEARTBEAT: u8 = 24;
const CONTENT_ACK: u8 = 26;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Version, random, and the lengths of session, cookie, cipher suites and compression methods with one of each of the
/// last two.
const HELLO_BODY_BYTES_MIN: usize = 2 + 32 + 1 + 1 + 2 + 2 + 2;
/// The random that turns a ServerHello into a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Whether a datagram is a row of whole records and nothing else.
///
/// A protected record of DTLS 1.3 may omit its length; it then is the last.
pub(super) fn is_well_formed(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        match record_bytes(rest) {
            Some(bytes) => rest = &rest[bytes..],
            None => return false,
        }
    }
    true
}

/// Whether every record of a well-formed datagram is an unprotected one that is no handshake message.
///
/// After a handshake such a datagram proves nothing and moves nothing.
pub(super) fn is_plain_noise(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(bytes) = record_bytes(rest).filter(|_| !rest.is_empty()) {
        let plain = rest[0] < 32 && rest[3..5] == [0, 0];
        if !plain || rest[0] == CONTENT_HANDSHAKE {
            return false;
        }
        rest = &rest[bytes..];
    }
    true
}

/// Gives each unprotected record of a datagram of ours the next number of `next`.
///
/// Nothing protects or covers these numbers but the peer's replay window.
pub(super) fn number_plain_records(datagram: &mut [u8], next: &mut u64) {
    let mut rest = datagram;
    while let Some(bytes) = record_bytes(rest).filter(|_| !rest.is_empty()) {
        let (record, behind) = rest.split_at_mut(bytes);
        if record[0] < 32 && record[3..5] == [0, 0] {
            record[5..11].copy_from_slice(&next.to_be_bytes()[2..]);
            *next += 1;
        }
        rest = behind;
    }
}

/// Length of the first record, header included; `None` if it is none.
fn record_bytes(datagram: &[u8]) -> Option<usize> {
    let first = *datagram.first()?;
    if first & 0xe0 == 0x20 {
        // The unified header of RFC 9147 §4: connection ids were not negotiated, so none may be there.
        if first & 0x10 != 0 {
            return None;
        }
        let sequence = if first & 0x08 != 0 { 2 } else { 1 };
        if first & 0x04 == 0 {
            return (datagram.len() > 1 + sequence).then_some(datagram.len());
        }
        let length = datagram.get(1 + sequence..3 + sequence)?;
        let bytes = 3 + sequence + usize::from(u16::from_be_bytes([length[0], length[1]]));
        return (bytes <= datagram.len()).then_some(bytes);
    }
    let header = datagram.get(..RECORD_HEADER_BYTES)?;
    let known = matches!(first, CONTENT_CHANGE_CIPHER_SPEC..=CONTENT_HEARTBEAT | CONTENT_ACK);
    // DTLS 1.0 stands in the header of first flights; 1.2 in all others.
    if !known || header[1] != 0xfe || !matches!(header[2], 0xff | 0xfd) {
        return None;
    }
    let bytes = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([header[11], header[12]]));
    (bytes <= datagram.len()).then_some(bytes)
}

/// What a hello says on the face of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    /// Its random, which a client keeps when it repeats the hello; `None` in a fragment.
    pub(super) random: Option<[u8; 32]>,
    /// It brings a cookie of DTLS 1.2 or 1.3.
    pub(super) cookie: bool,
}

/// The hello at the start of a well-formed datagram, or a fragment of one.
///
/// `None` if it is no hello, of impossible length, or whole and without all
/// its fields.
pub(super) fn hello_of(datagram: &[u8]) -> Option<Hello> {
    const COOKIE_EXTENSION: [u8; 2] = [0, 44];
    let (kind, total, offset, body) = handshake_of(datagram)?;
    let fits = offset.checked_add(body.len())? <= total;
    if kind != CLIENT_HELLO || !fits || !(HELLO_BODY_BYTES_MIN..=HELLO_BYTES_MAX).contains(&total) {
        return None;
    }
    if body.len() < total {
        return (!body.is_empty()).then_some(Hello { random: None, cookie: false });
    }
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
    fields.0.is_empty().then_some(Hello { random: Some(random), cookie })
}

/// Whether a datagram of ours begins with a ServerHello that is no retry request: the peer's hello was taken up.
pub(super) fn takes_up_hello(datagram: &[u8]) -> bool {
    handshake_of(datagram)
        .is_some_and(|(kind, _, _, body)| kind == SERVER_HELLO && body.get(2..34) != Some(&RETRY_RANDOM))
}

/// Message type, whole length, offset and fragment of the first handshake message in an unprotected record.
fn handshake_of(datagram: &[u8]) -> Option<(u8, usize, usize, &[u8])> {
    let record = datagram.get(..record_bytes(datagram)?)?;
    if record[0] != CONTENT_HANDSHAKE || record[3..5] != [0, 0] {
        return None;
    }
    let header = record.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES)?;
    let number = |at: usize| {
        usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2])
    };
    let body = record.get(RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES..)?.get(..number(9))?;
    Some((header[0], number(1), number(6), body))
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
