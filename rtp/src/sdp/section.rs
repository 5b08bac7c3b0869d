//! The lines of one section, in order, and the edits of them.

use super::Connection;
use super::attribute::{Attribute, Direction, RtcpAttribute, Rtpmap};
use super::error::LineError;
use super::line::Line;
use crate::units::PayloadType;

/// An ordered list of lines: a session's, or those under an `m=`.
///
/// Indices are positions in [`Section::lines`] and move when a line before
/// them is inserted or removed. A `v=` or `m=` line does not belong here: it
/// would be read as the start of something else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    lines: Vec<Line>,
}

impl Section {
    /// Puts `line` in the place of line `index` and returns the old one; `None`, and no change, past the end.
    pub fn replace(&mut self, index: usize, line: Line) -> Option<Line> {
        Some(std::mem::replace(self.lines.get_mut(index)?, line))
    }

    /// Inserts `line` before line `index`; past the end, as the last line.
    pub fn insert(&mut self, index: usize, line: Line) {
        self.lines.insert(index.min(self.lines.len()), line);
    }

    /// Inserts `line` after line `index`; past the end, as the last line.
    pub fn insert_after(&mut self, index: usize, line: Line) {
        self.insert(index.saturating_add(1), line);
    }

    /// Adds `line` at the end, before blank lines that end the section.
    pub fn append(&mut self, line: Line) {
        let blanks = self.lines.iter().rev().take_while(|line| line.kind().is_none()).count();
        self.lines.insert(self.lines.len() - blanks, line);
    }

    /// Adds `line` as the very last one, blank or not: the parser's order.
    pub(super) fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Adds `a=name` or `a=name:value` at the end.
    ///
    /// # Errors
    /// As [`Line::attribute_of`].
    pub fn append_attribute(&mut self, name: &str, value: Option<&str>) -> Result<(), LineError> {
        self.append(Line::attribute_of(name, value)?);
        Ok(())
    }

    /// Takes line `index` out; `None` past the end.
    pub fn remove(&mut self, index: usize) -> Option<Line> {
        (index < self.lines.len()).then(|| self.lines.remove(index))
    }

    /// Keeps the lines for which `keep` says so, and returns how many went.
    pub fn retain(&mut self, keep: impl FnMut(&Line) -> bool) -> usize {
        let before = self.lines.len();
        self.lines.retain(keep);
        before - self.lines.len()
    }

    /// Takes out every attribute of this name and returns how many there were.
    pub fn remove_attributes(&mut self, name: &str) -> usize {
        self.retain(|line| line.attribute().is_none_or(|attribute| attribute.name != name))
    }

    /// Makes `direction` the only direction attribute: in the place of the first, else at the end.
    pub fn set_direction(&mut self, direction: Direction) {
        let line =
            Line::attribute_of(direction.name(), None).expect("a direction's name is a valid attribute");
        let is_direction = |line: &Line| line.attribute().is_some_and(|a| direction_of(a).is_some());
        match self.lines.iter().position(is_direction) {
            Some(first) => self.replace_all(first, line, is_direction),
            None => self.append(line),
        }
    }

    /// Puts `connection` in the place of the first `c=`, dropping others, or
    /// where RFC 8866 §5 wants it: before the first `b=`, `t=`, `r=`, `z=`, `k=` or `a=`.
    ///
    /// # Errors
    /// A name or suffix in `connection` is malformed. Nothing has changed then.
    pub fn set_connection(&mut self, connection: &Connection) -> Result<(), LineError> {
        let line = Line::new(format!("c={connection}"))?;
        match self.find(b'c') {
            Some(first) => self.replace_all(first, line, |line| line.kind() == Some(b'c')),
            None => {
                let later =
                    |line: &Line| matches!(line.kind(), None | Some(b'b' | b't' | b'r' | b'z' | b'k' | b'a'));
                let index = self.lines.iter().position(later).unwrap_or(self.lines.len());
                self.insert(index, line);
            }
        }
        Ok(())
    }

    /// Puts `line` in the place of line `first` and drops the later ones that are of its sort.
    fn replace_all(&mut self, first: usize, line: Line, same_sort: impl Fn(&Line) -> bool) {
        let mut later = self.lines.split_off(first + 1);
        later.retain(|line| !same_sort(line));
        self.lines[first] = line;
        self.lines.append(&mut later);
    }

    /// The lines in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Index of the first line of this letter.
    pub fn find(&self, kind: u8) -> Option<usize> {
        self.lines.iter().position(|line| line.kind() == Some(kind))
    }

    /// Index of the first attribute of this name.
    pub fn find_attribute(&self, name: &str) -> Option<usize> {
        self.lines.iter().position(|line| line.attribute().is_some_and(|attribute| attribute.name == name))
    }

    /// All attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.lines.iter().filter_map(Line::attribute)
    }

    /// The first attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// Whether an attribute of this name is there.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// The first `c=` of this section.
    pub fn connection(&self) -> Option<Connection> {
        self.lines.iter().find_map(Line::connection)
    }

    /// The first direction attribute of this section.
    pub fn direction(&self) -> Option<Direction> {
        self.attributes().find_map(direction_of)
    }

    /// `a=rtcp`, if there and well formed.
    pub fn rtcp(&self) -> Option<RtcpAttribute> {
        self.attribute("rtcp")?.value?.parse().ok()
    }

    /// The `a=rtpmap` lines that are well formed, in order.
    pub fn rtpmaps(&self) -> impl Iterator<Item = Rtpmap> {
        self.attributes().filter(|attribute| attribute.name == "rtpmap").filter_map(|a| a.value?.parse().ok())
    }

    /// The meaning given to a payload type here; static ones (RFC 3551 §6) may have none.
    pub fn rtpmap(&self, payload_type: PayloadType) -> Option<Rtpmap> {
        self.rtpmaps().find(|rtpmap| rtpmap.payload_type == payload_type)
    }

    /// The parameters given to a format by `a=fmtp` (RFC 8866 §6.15).
    pub fn fmtp(&self, format: &str) -> Option<&str> {
        self.attributes().filter(|attribute| attribute.name == "fmtp").find_map(|attribute| {
            let (for_format, parameters) = attribute.value?.split_once(' ')?;
            (for_format == format).then_some(parameters)
        })
    }
}

impl FromIterator<Line> for Section {
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        Self { lines: lines.into_iter().collect() }
    }
}

/// The direction an attribute stands for, if it has no value.
fn direction_of(attribute: Attribute<'_>) -> Option<Direction> {
    if attribute.value.is_some() {
        return None;
    }
    Direction::from_name(attribute.name)
}
