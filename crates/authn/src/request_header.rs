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
    pub(crate) fn allows(&self, common_name: &str) -> bool {
        self.allowed_names.is_empty() || self.allowed_names.iter().any(|name| name == common_name)
    }

    /// The user that the headers name. Only for requests over a connection whose certificate was checked.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<UserInfo> {
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
        let starts = |prefix: &String| {
            header.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        is(&self.username_headers)
            || is(&self.uid_headers)
            || is(&self.group_headers)
            || self.extra_prefixes.iter().any(starts)
    }
}

/// Gathers `<prefix><key>: value` headers; keys are lower case and percent-decoded.
fn extra(headers: &HeaderMap, prefixes: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        let Some(key) = prefixes.iter().find_map(|prefix| {
            name.get(..prefix.len())
                .filter(|head| head.eq_ignore_ascii_case(prefix))
                .and_then(|_| name.get(prefix.len()..))
        }) else {
            continue;
        };
        if let (Ok(key), Ok(value)) = (percent_decode_str(key).decode_utf8(), value.to_str()) {
            extra.entry(key.into_owned()).or_default().push(value.to_owned());
        }
    }
    extra
}
