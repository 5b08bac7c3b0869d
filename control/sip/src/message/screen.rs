//! What a server refuses before looking further ([RFC 3261 §8.2]): method, scheme, extensions, hops.
//!
//! [RFC 3261 §8.2]: https://www.rfc-editor.org/rfc/rfc3261#section-8.2

use super::header::HeaderName;
use super::method::Method;
use super::status::StatusCode;
use super::typed::MaxForwards;
use super::uri::Uri;
use super::{Request, Response};

/// What a server understands.
#[derive(Clone, Debug)]
pub struct Screen {
    /// Methods it serves, for 405 and Allow.
    pub allow: Vec<Method>,
    /// Option tags it supports, for 420.
    pub supported: Vec<String>,
}

impl Screen {
    /// Checks `request` in the order of §8.2.
    ///
    /// # Errors
    /// The response to send: 405 (with Allow) for a known method not served, 501
    /// for an unknown one, 416 for a scheme that is not sip, sips or tel, 420
    /// (with Unsupported) for a required option. ACK and CANCEL are never
    /// refused for their options (§8.2.2.3).
    pub fn check(&self, request: &Request) -> Result<(), Box<Response>> {
        let method = request.method();
        if !self.allow.contains(method) {
            let status = match method {
                Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
                _ => StatusCode::METHOD_NOT_ALLOWED,
            };
            let mut response = Response::to(request, status);
            response.headers.push(HeaderName::Allow, &self.allow_value());
            return Err(Box::new(response));
        }
        if matches!(request.uri(), Uri::Other(_)) {
            return Err(Box::new(Response::to(request, StatusCode::UNSUPPORTED_URI_SCHEME)));
        }
        if matches!(method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let mut unsupported = Vec::new();
        for name in [HeaderName::Require, HeaderName::ProxyRequire] {
            let Ok(required) = request.headers.values(&name) else {
                return Err(Box::new(Response::to(request, StatusCode::BAD_REQUEST)));
            };
            unsupported.extend(required.into_iter().filter(|option| {
                !option.is_empty() && !self.supported.iter().any(|s| s.eq_ignore_ascii_case(option))
            }));
        }
        if !unsupported.is_empty() {
            let response = Response::to(request, StatusCode::BAD_EXTENSION)
                .with_header(HeaderName::Unsupported, &unsupported.join(", "));
            return Err(Box::new(response));
        }
        Ok(())
    }

    /// The value of an Allow header.
    #[must_use]
    pub fn allow_value(&self) -> String {
        let methods: Vec<_> = self.allow.iter().map(Method::as_str).collect();
        methods.join(", ")
    }

    /// Hops left for a request that is passed on, or the 483 to send.
    ///
    /// # Errors
    /// The 483 when Max-Forwards is 0.
    pub fn forwards_left(request: &Request) -> Result<u32, Box<Response>> {
        match request.headers.typed::<MaxForwards>() {
            Ok(MaxForwards(0)) => Err(Box::new(Response::to(request, StatusCode::TOO_MANY_HOPS))),
            Ok(MaxForwards(left)) => Ok(left - 1),
            Err(_) => Ok(69),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn request(method: &str, uri: &str, extra: &str) -> Request {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n{extra}\r\n"
        );
        match Message::parse_datagram(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn status(request: &Request) -> Option<u16> {
        let screen = Screen {
            allow: vec![Method::Invite, Method::Ack, Method::Cancel],
            supported: vec!["timer".to_owned()],
        };
        screen.check(request).err().map(|r| r.status().code())
    }

    #[test]
    fn each_reason_has_its_status() {
        assert_eq!(status(&request("INVITE", "sip:a@b", "")), None);
        assert_eq!(status(&request("MESSAGE", "sip:a@b", "")), Some(405));
        assert_eq!(status(&request("NEWMETHOD", "sip:a@b", "")), Some(501));
        assert_eq!(status(&request("INVITE", "soap.beep://192.0.2.103:3002", "")), Some(416));
        assert_eq!(status(&request("INVITE", "sip:a@b", "Require: timer\r\n")), None);
        assert_eq!(status(&request("INVITE", "sip:a@b", "Require: timer, 100rel\r\n")), Some(420));
        assert_eq!(status(&request("INVITE", "sip:a@b", "Proxy-Require: x\r\n")), Some(420));
        assert_eq!(status(&request("CANCEL", "sip:a@b", "Require: x\r\n")), None);
    }

    #[test]
    fn zero_forwards_left_is_483_and_none_said_is_70() {
        let zero = request("INVITE", "sip:a@b", "Max-Forwards: 0\r\n");
        assert_eq!(Screen::forwards_left(&zero).map_err(|r| r.status().code()), Err(483));
        assert_eq!(Screen::forwards_left(&request("INVITE", "sip:a@b", "")).ok(), Some(69));
    }
}
