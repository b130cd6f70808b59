//! A front proxy that authenticates for us: its own certificate is checked, and headers name the user.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::user::UserInfo;
use crate::x509::ClientAuthority;

/// `--requestheader-*`.
#[derive(Debug, Clone)]
pub struct RequestHeader {
    /// `--requestheader-client-ca-file`.
    pub authority: ClientAuthority,
    /// `--requestheader-allowed-names`; empty means every common name.
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`, usually `X-Remote-User`.
    pub username_headers: Vec<String>,
    /// `--requestheader-uid-headers`, usually `X-Remote-Uid`.
    pub uid_headers: Vec<String>,
    /// `--requestheader-group-headers`, usually `X-Remote-Group`.
    pub group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`, usually `X-Remote-Extra-`.
    pub extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// Whether a proxy's common name is one of the allowed ones.
    pub fn allows(&self, common_name: &str) -> bool {
        self.allowed_names.is_empty() || self.allowed_names.iter().any(|name| name == common_name)
    }

    /// The user that the headers name. Only for requests over a connection whose certificate was checked.
    pub fn user(&self, headers: &HeaderMap) -> Option<UserInfo> {
        let first = |names: &[String]| {
            names
                .iter()
                .filter_map(|name| headers.get(name.as_str())?.to_str().ok())
                .find(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let groups = self
            .group_headers
            .iter()
            .flat_map(|name| headers.get_all(name.as_str()))
            .filter_map(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect();
        let user = UserInfo {
            name: first(&self.username_headers)?,
            uid: first(&self.uid_headers).unwrap_or_default(),
            groups,
            extra: extra(headers, &self.extra_prefixes),
        };
        Some(user.authenticated())
    }

    /// Whether a header speaks of identity, and is to be dropped before a request goes further.
    pub fn owns(&self, header: &str) -> bool {
        let is = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(header));
        let starts = |prefix: &String| after(header, prefix).is_some();
        is(&self.username_headers)
            || is(&self.uid_headers)
            || is(&self.group_headers)
            || self.extra_prefixes.iter().any(starts)
    }
}

/// Gathers `<prefix><key>: value` headers, in the order of the prefixes.
fn extra(headers: &HeaderMap, prefixes: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for prefix in prefixes {
        for (name, value) in headers {
            if let (Some(key), Ok(value)) = (after(name.as_str(), prefix), value.to_str()) {
                extra.entry(decoded(key)).or_default().push(value.to_owned());
            }
        }
    }
    extra
}

/// What follows a prefix whose letters may be of either case.
fn after<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A key of which a header's name could not hold every byte: `%2f` is a slash. One that is not well escaped counts as
/// it is.
fn decoded(key: &str) -> String {
    let is_escape = |after: &str| {
        after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let decoded = key.split('%').skip(1).all(is_escape).then(|| percent_decode_str(key).decode_utf8().ok());
    decoded.flatten().map_or_else(|| key.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_keys_are_read() {
        for (key, expected) in [
            ("a", "a"),
            ("a%2Fb", "a/b"),
            ("a%2", "a%2"),
            ("a%2fb%", "a%2fb%"),
            ("%zz", "%zz"),
            ("%%41", "%%41"),
            ("%ff", "%ff"),
            ("%+1", "%+1"),
            ("", ""),
        ] {
            assert_eq!(decoded(key), expected, "{key}");
        }
        assert_eq!(after("x-remote-extra-a", "X-Remote-Extra-"), Some("a"));
        assert_eq!(after("x-remote", "X-Remote-Extra-"), None);
    }
}
