//! The part of a URL that a call needs.

use crate::error::ConfigError;

/// `scheme://host:port/path?query`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As it was written: `host`, `host:port`.
    pub(crate) authority: String,
    /// Path and query; empty where there is none.
    pub(crate) path: String,
}

impl Url {
    /// Reads an URL; plain HTTP only where it is allowed.
    pub(crate) fn parse(text: &str, plain: bool) -> Result<Self, ConfigError> {
        let refuse = |why: &str| ConfigError::new(format!("invalid URL {text:?}: {why}"));
        let uri: http::Uri = text.parse().map_err(|error| refuse(&format!("{error}")))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if plain => false,
            _ => return Err(refuse("'https' is the only allowed URL scheme")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("host must be specified"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        // A URI of the crate `http` has `/` where nothing was written.
        let bare = path == "/" && !text.ends_with('/');
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().rsplit('@').next().unwrap_or_default().to_owned(),
            path: if bare { String::new() } else { path.to_owned() },
        })
    }

    /// The path to ask for, with more in its query.
    pub(crate) fn path_with(&self, query: &str) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        join(path, query)
    }

    /// As messages name it.
    pub(crate) fn text_with(&self, query: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        join(&format!("{scheme}://{}{}", self.authority, self.path), query)
    }
}

fn join(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        query if path.contains('?') => format!("{path}&{query}"),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_named_as_they_were_written() {
        let url = Url::parse("https://127.0.0.1:8443/validate?a=b", false).unwrap();
        assert_eq!((url.host.as_str(), url.port), ("127.0.0.1", 8443));
        assert_eq!(url.path_with("timeout=5s"), "/validate?a=b&timeout=5s");
        let url = Url::parse("https://[::1]", false).unwrap();
        assert_eq!((url.host.as_str(), url.port), ("::1", 443));
        assert_eq!(url.path_with(""), "/");
        assert_eq!(url.text_with("timeout=5s"), "https://[::1]?timeout=5s");
        assert!(Url::parse("http://x", false).is_err() && Url::parse("nothing", true).is_err());
        assert_eq!(Url::parse("http://x", true).unwrap().port, 80);
    }
}
