//! Streams over one upgraded HTTP connection, as `exec`, `attach` and `port-forward` use them.
//!
//! Clients speak WebSockets whose messages carry channels, or SPDY/3.1, or SPDY inside a WebSocket; container runtimes
//! and older kubelets speak SPDY. Whoever stands between them makes the one into the other ([`remotecommand`]).

pub mod portforward;
pub mod remotecommand;
pub mod spdy;
pub mod websocket;

use http::header::{CONNECTION, HeaderMap, HeaderName, UPGRADE};

/// In requests the protocols of SPDY's streams that a client offers, in answers the one chosen.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// The values of a header that is a list (RFC 9110, 5.6.1), in its order.
pub fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|value| !value.is_empty())
}

/// Whether a request asks to switch protocols (RFC 9110, 7.8).
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && listed(headers, CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
}

/// Whether a request asks to switch to this protocol.
pub fn asks_for(headers: &HeaderMap, protocol: &str) -> bool {
    let asked = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    is_upgrade(headers) && asked.is_some_and(|asked| asked.eq_ignore_ascii_case(protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_are_named_in_two_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, "keep-alive, Upgrade".parse().unwrap());
        assert!(!is_upgrade(&headers));
        headers.insert(UPGRADE, "WebSocket".parse().unwrap());
        assert!(is_upgrade(&headers));
        assert!(asks_for(&headers, websocket::UPGRADE) && !asks_for(&headers, spdy::UPGRADE));
        headers.insert(CONNECTION, "keep-alive".parse().unwrap());
        assert!(!asks_for(&headers, websocket::UPGRADE));
    }
}
