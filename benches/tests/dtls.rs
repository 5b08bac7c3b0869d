//! The bench of DTLS handshakes in its small size.

#[path = "../micro/handshakes.rs"]
mod handshakes;

use handshakes::{PAIRS, Parties};
use rtp::dtls::Association;

#[test]
fn each_pair_of_providers_shakes_hands() {
    let parties = Parties::new();
    for (client, server) in PAIRS {
        let shaken = parties.shake(client, server);
        let [one, two] = &shaken.keys;
        assert_eq!((&one.local, &one.remote), (&two.remote, &two.local), "{client} to {server}");
        assert!(shaken.ends.iter().all(Association::is_established));
        assert!(shaken.took.iter().all(|took| !took.is_zero()));
    }
}
