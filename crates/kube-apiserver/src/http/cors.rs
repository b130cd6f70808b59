//! `--cors-allowed-origins`: pages of other places that may read answers in a browser.

use anyhow::{Context as _, ensure};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN,
};
use http::{HeaderMap, HeaderValue};
use regex::{Regex, RegexBuilder};

const METHODS: &str = "POST, GET, OPTIONS, PUT, DELETE, PATCH";
const HEADERS: &str = "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since";

/// The origins of such pages.
#[derive(Debug, Clone)]
pub struct Cors {
    allowed: Vec<Regex>,
}

impl Cors {
    /// Reads patterns; none, where there are none.
    pub fn new(patterns: &[String]) -> anyhow::Result<Option<Self>> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let allowed = patterns.iter().map(|pattern| {
            // As upstream: a pattern that matches within an origin would let in those that only contain it.
            ensure!(
                pattern.starts_with('^') || pattern.contains("//"),
                "regular expression does not pin to the start of host in the origin: {pattern:?}"
            );
            RegexBuilder::new(pattern).case_insensitive(true).build().context("--cors-allowed-origins")
        });
        Ok(Some(Self { allowed: allowed.collect::<Result<_, _>>()? }))
    }

    /// The request's origin, if its pages may read.
    pub fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.allowed.iter().any(|pattern| pattern.is_match(text)).then(|| origin.clone())
    }
}

/// Tells the browser that pages of this origin may read the answer.
pub fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        (ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_let_in_by_patterns_that_pin_them() {
        let patterns = ["^https://ui\\.example\\.org$".to_owned(), "//dev\\.".to_owned()];
        let cors = Cors::new(&patterns).unwrap().unwrap();
        let check = |origin: &str| {
            let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
            cors.origin(&headers).is_some()
        };
        assert!(check("https://ui.example.org") && check("HTTPS://UI.example.org") && check("http://dev.x"));
        assert!(!check("https://ui.example.org.evil") && !check("https://evil.org"));
        assert!(cors.origin(&HeaderMap::new()).is_none());
        assert!(Cors::new(&["example.org".to_owned()]).is_err() && Cors::new(&["^(".to_owned()]).is_err());
        assert!(Cors::new(&[]).unwrap().is_none());
    }
}
