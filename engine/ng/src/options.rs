//! What becomes of options that have no field in a [`Signal`](crate::Signal).

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It changes nothing for plain RTP relayed as it comes: an obsolete option, or one that only
    /// governs what another, refused option would start.
    NoEffect,
    /// It is not built, and nobody gets less for it: a warning.
    Ignored,
    /// It is not built, and would change what a party gets: the message is refused by its name.
    Refused,
    /// The protocol does not know it: a warning.
    Unknown,
}

/// What becomes of an option, spelt with hyphens.
pub(crate) fn fate(option: &str) -> Fate {
    for (exact, prefixes, fate) in [
        (NO_EFFECT, NO_EFFECT_PREFIXES, Fate::NoEffect),
        (IGNORED, &[], Fate::Ignored),
        (REFUSED, REFUSED_PREFIXES, Fate::Refused),
    ] {
        if exact.contains(&option) || prefixes.iter().any(|prefix| option.starts_with(prefix)) {
            return fate;
        }
    }
    Fate::Unknown
}

pub(crate) const NO_EFFECT: &[&str] = &[
    "allow-asymmetric-codecs",
    "allow-no-codec-media",
    "allow-transcoding",
    "asymmetric-codecs",
    "DTLS-fingerprint",
    "debug",
    "directional",
    "drop-traffic-stop",
    "from-tags",
    "new-branch",
    "no-jitter-buffer",
    "no-passthrough",
    "no-redis-update",
    "passthrough",
    // Read by the one command that it is for.
    "pause",
    "provisional",
    "recrypt",
    "reject-ICE",
    "reorder-codecs",
    "reuse-codecs",
    "SIP-code",
    "sip-code",
    "symmetric-codecs",
    "to-tag",
];

pub(crate) const NO_EFFECT_PREFIXES: &[&str] = &["DTLS-fingerprint-"];

pub(crate) const IGNORED: &[&str] = &["DTMF-log-dest", "NAT-wait", "pierce-NAT", "xmlrpc-callback"];

pub(crate) const REFUSED: &[&str] = &[
    "all",
    "always-transcode",
    "audio-player",
    "block-DTMF",
    "block-egress",
    "block-short",
    "codec",
    "DTMF-delay",
    "DTMF-security",
    "DTMF-security-trigger",
    "DTMF-security-trigger-end",
    "delay-buffer",
    "detect-DTMF",
    "drop-traffic",
    "drop-traffic-start",
    "extmap",
    "force-transcoding",
    "frequencies",
    "frequency",
    "inactive",
    "inject-DTMF",
    "media-echo",
    "mix",
    "moh",
    "out-interface",
    "ptime",
    "ptime-reverse",
    "RTCP-mirror",
    "recording-announcement",
    "sdp-attr",
    "single-codec",
    "T.38",
    "T38",
    "transcode",
    "volume",
];

pub(crate) const REFUSED_PREFIXES: &[&str] =
    &["codec-", "DTMF-security-", "extmap-", "media-echo-", "sdp-attr-", "T.38-", "T38-", "transcode-"];
