//! Header extensions: the block of RFC 3550 §5.3.1 and the elements of RFC 8285 in it.

/// The extension block of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The 16 bits that say what the data is.
    pub profile: u16,
    /// The data, a multiple of four bytes.
    pub data: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Profile of one-byte element headers (RFC 8285 §4.2).
    pub const ONE_BYTE: u16 = 0xbede;
    /// Profile of two-byte element headers, whose low four bits are the application's (RFC 8285 §4.3).
    pub const TWO_BYTE: u16 = 0x1000;

    /// The elements in the data; none if the profile is not one of RFC 8285.
    pub const fn elements(&self) -> Elements<'a> {
        let two_byte = self.profile & 0xfff0 == Self::TWO_BYTE;
        let rest = if two_byte || self.profile == Self::ONE_BYTE { self.data } else { &[] };
        Elements { rest, two_byte }
    }
}

/// One element of a header extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Local identifier, mapped by `a=extmap`.
    pub id: u8,
    /// The value; may be empty in the two-byte form.
    pub data: &'a [u8],
}

/// Iterator over elements; ends at the first one that runs past the data.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let (&first, tail) = self.rest.split_first()?;
            self.rest = tail;
            // Padding: a zero byte in both forms (RFC 8285 §4.2, §4.3).
            if first == 0 {
                continue;
            }
            let (id, data_bytes) = if self.two_byte {
                let (&length, tail) = tail.split_first()?;
                self.rest = tail;
                (first, usize::from(length))
            } else {
                // RFC 8285 §4.2: on identifier 15 "processing of the entire extension MUST terminate".
                if first >> 4 == 15 {
                    self.rest = &[];
                    return None;
                }
                (first >> 4, usize::from(first & 0x0f) + 1)
            };
            let Some((data, tail)) = self.rest.split_at_checked(data_bytes) else {
                self.rest = &[];
                return None;
            };
            self.rest = tail;
            // Identifier 0 with a length is padding that lies about it: skipped with its data.
            if id != 0 {
                return Some(Element { id, data });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(profile: u16, data: &[u8]) -> Vec<(u8, &[u8])> {
        Extension { profile, data }.elements().map(|element| (element.id, element.data)).collect()
    }

    /// The packet drawn in RFC 8285 §4.2: lengths 0, 1 and 3 (one less than the bytes), padding between.
    #[test]
    fn one_byte_elements_of_rfc8285_section_4_2() {
        let data = [0x10, 0xaa, 0x21, 0xbb, 0xbb, 0, 0, 0x33, 1, 2, 3, 4];
        let expected: [(u8, &[u8]); 3] = [(1, &[0xaa]), (2, &[0xbb, 0xbb]), (3, &[1, 2, 3, 4])];
        assert_eq!(elements(Extension::ONE_BYTE, &data), expected);
    }

    /// The packet drawn in RFC 8285 §4.3: lengths 0, 1 and 4.
    #[test]
    fn two_byte_elements_of_rfc8285_section_4_3() {
        let data = [1, 0, 2, 1, 0xbb, 0, 3, 4, 1, 2, 3, 4];
        let expected: [(u8, &[u8]); 3] = [(1, &[]), (2, &[0xbb]), (3, &[1, 2, 3, 4])];
        assert_eq!(elements(0x1005, &data), expected);
    }

    #[test]
    fn identifier_15_ends_the_one_byte_form() {
        let expected: [(u8, &[u8]); 1] = [(1, &[9])];
        assert_eq!(elements(Extension::ONE_BYTE, &[0x10, 9, 0xf0, 7, 0x20, 8]), expected);
    }

    #[test]
    fn element_past_the_end_and_foreign_profile_give_nothing() {
        assert_eq!(elements(Extension::ONE_BYTE, &[0x1f, 1, 2, 3]), []);
        assert_eq!(elements(Extension::TWO_BYTE, &[1, 200, 2, 3]), []);
        assert_eq!(elements(Extension::TWO_BYTE, &[1]), []);
        assert_eq!(elements(0x1234, &[0x10, 9, 0, 0]), []);
    }
}
