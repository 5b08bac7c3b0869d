//! Web pages are no clients: a page that somebody on this machine looks at must not end calls.
//!
//! A browser sends a page's requests to our loopback address as readily as to the page's own host. Three marks tell them:
//! what the browser says of the request's site, the page's origin, and the name by which the page reached us.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Whether a request comes from a web page of another site. `loopback` tells that it came from this machine.
pub(super) fn is_page(headers: &HeaderMap, loopback: bool) -> bool {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "none" | "same-origin")) {
        return true;
    }
    let host = text("host").unwrap_or_default();
    let host = host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host);
    if let Some(origin) = text(header::ORIGIN.as_str()) {
        let origin = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        if origin != host && origin != bare(host) {
            return true;
        }
    }
    // A name that an attacker can let point to this machine.
    let name = bare(host);
    loopback
        && !name.is_empty()
        && name != "localhost"
        && name.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
}

/// A host without its port.
fn bare(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&'static str, &str)], loopback: bool) -> bool {
        let headers = pairs.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().expect("a header's value"))
        });
        is_page(&headers.collect(), loopback)
    }

    #[test]
    fn clients_are_no_pages() {
        for host in ["127.0.0.1:9900", "localhost:9900", "[::1]:9900", "[::1]", "10.0.0.1", ""] {
            assert!(!page(&[("host", host)], true), "{host}");
        }
        assert!(!page(&[("host", "engine.internal:9900")], false), "listed machines may use names");
        assert!(!page(&[("host", "127.0.0.1:9900"), ("origin", "http://127.0.0.1:9900")], true));
        assert!(!page(&[("host", "127.0.0.1:9900"), ("origin", "127.0.0.1")], true));
        assert!(!page(&[("host", "localhost:80"), ("origin", "http://localhost")], true));
        assert!(!page(&[("host", "127.0.0.1"), ("sec-fetch-site", "none")], true));
    }

    #[test]
    fn pages_of_other_sites_are_told_by_any_mark() {
        let host = ("host", "127.0.0.1:9900");
        assert!(page(&[host, ("origin", "https://evil.example")], true));
        assert!(page(&[host, ("origin", "null")], true));
        assert!(page(&[host, ("sec-fetch-site", "cross-site")], true));
        assert!(page(&[host, ("sec-fetch-site", "same-site")], true));
        assert!(page(&[("host", "rebound.example:9900")], true));
        assert!(page(&[("host", "rebound.example"), ("origin", "http://rebound.example")], true));
    }
}
