//! The sheet beside a recording, as rtpengine writes it: where the packets are, each description, times, the client's note.

use std::fmt::Write as _;
use std::path::Path;

use super::date::Date;

/// The first lines.
pub(super) fn beginning(pcap: &Path) -> String {
    format!("{}\n\n\n", pcap.display())
}

/// A description that went out, `packets` after the beginning.
pub(super) fn description(wall_ms: u64, offer: bool, packets: u64, sdp: &[u8]) -> Vec<u8> {
    let mode = if offer { "offer" } else { "answer" };
    let head = format!(
        "Timestamp started ms: {wall_ms}.000\nSDP mode: {mode}\nSDP before RTP packet: {}\n\n",
        packets + 1
    );
    [head.as_bytes(), sdp, b"\n"].concat()
}

/// The last lines. `ended_ms` is when the call ended, 0 if it goes on.
pub(super) fn end(ended_ms: u64, call_created_ms: u64, now_ms: u64, metadata: Option<&str>) -> String {
    let mut out = format!(
        "Timestamp terminated ms(first monologue): {ended_ms}.000\n\ncall start time: {}\ncall end time: {}\n",
        Date::of(call_created_ms),
        Date::of(now_ms),
    );
    if let Some(metadata) = metadata {
        let _infallible = write!(out, "\n\n{metadata}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_rtpengines_line_by_line() {
        // Of rtpengine 10.5.3.5, whose milliseconds have three more digits.
        let theirs = "/rec/pcaps/c2.pcap\n\n\nTimestamp started ms: 1795811369646.000\nSDP mode: answer\n\
            SDP before RTP packet: 2\n\nv=0\r\na=rtcp:41057\r\n\nTimestamp terminated ms(first monologue): 0.000\n\n\
            call start time: 2026-11-27T20:29:29\ncall end time: 2026-11-27T20:29:29\n\n\nm2\n";
        let ours = [
            beginning(Path::new("/rec/pcaps/c2.pcap")).into_bytes(),
            description(1_795_811_369_646, false, 1, b"v=0\r\na=rtcp:41057\r\n"),
            end(0, 1_795_811_369_645, 1_795_811_369_999, Some("m2")).into_bytes(),
        ];
        assert_eq!(String::from_utf8_lossy(&ours.concat()), theirs);
    }
}
