//! A description that is accepted is written back as it came, and stays readable under every edit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp::sdp::{Connection, Direction, Sdp};
use rtp::units::PayloadType;

fuzz_target!(|data: &[u8]| {
    let Ok(mut sdp) = Sdp::parse(data) else { return };
    let written = sdp.to_bytes();
    let again = Sdp::parse(&written).expect("what is written can be read");
    assert_eq!(again, sdp);
    assert_eq!(again.to_bytes(), written);

    let connection = Connection::new("203.0.113.9".parse().expect("an address"));
    if let Some(mut origin) = sdp.origin() {
        origin.version = origin.next_version().unwrap_or(origin.version);
        sdp.set_origin(&origin).expect("a number is a valid version");
    }
    sdp.session.set_connection(&connection).expect("an address is a valid connection");
    for index in 0..sdp.media.len() {
        let _ = (sdp.rtp_address(index), sdp.rtcp_address(index), sdp.is_on_hold(index));
        let media = &mut sdp.media[index];
        let _ = (media.section.rtpmap(PayloadType::PCMU), media.section.fmtp("101").map(str::len));
        media.set_port(40_000);
        media.section.set_connection(&connection).expect("an address is a valid connection");
        media.section.set_direction(Direction::RecvOnly);
        media.section.remove_attributes("rtcp");
        media.section.append_attribute("rtcp", Some("40001")).expect("a number is a valid value");
        assert_eq!(sdp.direction(index), Direction::RecvOnly);
        assert_eq!(sdp.rtp_address(index), Some("203.0.113.9:40000".parse().expect("an address")));
    }
    // Inserted lines may lead past the limits, which hold for what comes in.
    if let Ok(edited) = Sdp::parse(&sdp.to_bytes()) {
        assert_eq!(edited, sdp);
        assert_eq!(edited.media.len(), again.media.len());
    }
});
