//! The lines that describe payload types, as they are written out.

use std::collections::{BTreeMap, HashMap, HashSet};

use rtp::sdp::{Line, LineError, MediaSection, Rtpmap};

/// The payload types of an `m=` line; `None` if one is not a number from 0 to 127.
pub(crate) fn payload_types(media: &MediaSection) -> Option<Vec<u8>> {
    media
        .media()
        .formats
        .iter()
        .map(|format| format.parse().ok().filter(|&number: &u8| number < 128))
        .collect()
}

/// The same as a set, a bit for each; empty if there is none.
pub(crate) fn payload_type_set(media: &MediaSection) -> u128 {
    payload_types(media).into_iter().flatten().fold(0, |set, number| set | 1 << number)
}

/// `rtpmap`, `fmtp` and `rtcp-fb` of every payload type of the `m=` line, in its order; static
/// ones (RFC 3551 §6) get the `rtpmap` that they may do without. A payload type that is named
/// twice is described once.
///
/// # Errors
/// A line cannot be written; does not happen with lines that were read.
///
/// # Cost
/// One pass over the lines and one over the payload types, whatever a description repeats.
pub(crate) fn lines(media: &MediaSection) -> Result<Vec<Line>, LineError> {
    let mut own: HashMap<&str, [Vec<&Line>; NAMES.len()]> = HashMap::new();
    for line in media.section.lines() {
        if let Some((name, format)) = about(line) {
            own.entry(format).or_default()[name].push(line);
        }
    }
    let mut described = HashSet::new();
    let mut out = Vec::new();
    for format in media.media().formats.iter().map(String::as_str) {
        if !described.insert(format) {
            continue;
        }
        let [maps, parameters, feedback] = own.remove(format).unwrap_or_default();
        match maps.first() {
            Some(line) => out.push(tidied(line)?),
            None => {
                let known = STATIC.iter().find(|(number, _)| number.to_string() == format);
                if let Some((number, encoding)) = known {
                    out.push(Line::attribute_of("rtpmap", Some(&format!("{number} {encoding}")))?);
                }
            }
        }
        out.extend(parameters.into_iter().chain(feedback).cloned());
    }
    Ok(out)
}

/// Whether a line describes one payload type. `rtcp-fb:*` is about all of them and stays where it is.
pub(crate) fn belongs(line: &Line) -> bool {
    about(line).is_some_and(|(_, format)| format != "*")
}

/// Which of [`NAMES`] an attribute is, and the payload type it is about.
pub(super) fn about(line: &Line) -> Option<(usize, &str)> {
    let attribute = line.attribute()?;
    let name = NAMES.iter().position(|name| *name == attribute.name)?;
    let format = attribute.value.and_then(|value| value.trim_start_matches(' ').split(' ').next());
    Some((name, format.unwrap_or("")))
}

/// What the payload types of an `m=` line mean, as `name/rate` or `name/rate/channels`, the name in small
/// letters; empty where nothing says it.
///
/// # Cost
/// One pass over the lines, whatever a description repeats.
pub(crate) fn encodings(media: &MediaSection) -> BTreeMap<u8, String> {
    let numbers = media.media().formats.iter().filter_map(|format| format.parse::<u8>().ok());
    let mut named: BTreeMap<u8, String> = numbers.map(|number| (number, String::new())).collect();
    for rtpmap in media.section.rtpmaps() {
        let Some(name) = named.get_mut(&rtpmap.payload_type.get()).filter(|name| name.is_empty()) else {
            continue;
        };
        *name = format!("{}/{}", rtpmap.encoding.to_ascii_lowercase(), rtpmap.clock_rate.hz());
        if let Some(channels) = rtpmap.channels.filter(|&channels| channels != 1) {
            name.push_str(&format!("/{channels}"));
        }
    }
    for (number, encoding) in STATIC {
        if let Some(name) = named.get_mut(&number).filter(|name| name.is_empty()) {
            *name = encoding.to_ascii_lowercase();
        }
    }
    named
}

/// Attributes about one payload type, in the order in which they are written.
const NAMES: [&str; 3] = ["rtpmap", "fmtp", "rtcp-fb"];

/// The line with one channel left unsaid, as it is for audio.
fn tidied(line: &Line) -> Result<Line, LineError> {
    let value = line.attribute().and_then(|attribute| attribute.value).unwrap_or_default();
    match value.parse::<Rtpmap>() {
        Ok(mut rtpmap) => {
            rtpmap.channels = rtpmap.channels.filter(|&channels| channels != 1);
            Line::attribute_of("rtpmap", Some(&rtpmap.to_string()))
        }
        Err(_) => Ok(line.clone()),
    }
}

/// Static payload types (RFC 3551 §6).
const STATIC: [(u8, &str); 24] = [
    (0, "PCMU/8000"),
    (3, "GSM/8000"),
    (4, "G723/8000"),
    (5, "DVI4/8000"),
    (6, "DVI4/16000"),
    (7, "LPC/8000"),
    (8, "PCMA/8000"),
    (9, "G722/8000"),
    (10, "L16/44100/2"),
    (11, "L16/44100"),
    (12, "QCELP/8000"),
    (13, "CN/8000"),
    (14, "MPA/90000"),
    (15, "G728/8000"),
    (16, "DVI4/11025"),
    (17, "DVI4/22050"),
    (18, "G729/8000"),
    (25, "CelB/90000"),
    (26, "JPEG/90000"),
    (28, "nv/90000"),
    (31, "H261/90000"),
    (32, "MPV/90000"),
    (33, "MP2T/90000"),
    (34, "H263/90000"),
];
