//! The token by which a client asks for the next page of a list; upstream's form.

use apimachinery::Status;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "v")]
    version: String,
    #[serde(rename = "rv")]
    revision: i64,
    start: String,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// The revision of the first page; -1 goes on with whatever there is now.
    pub revision: i64,
    /// The last key of the page before.
    pub after: String,
}

impl Continuation {
    /// Writes the token. Keys in it are relative to the namespace of the list.
    pub fn encode(&self, namespace: &str) -> String {
        let relative = match self.after.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')) {
            Some(relative) if !namespace.is_empty() => relative,
            _ => &self.after,
        };
        let token = Token {
            version: "meta.k8s.io/v1".to_owned(),
            revision: self.revision,
            start: format!("{relative}\0"),
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    /// Reads the token.
    pub fn decode(text: &str, namespace: &str) -> Result<Self, Status> {
        let refuse = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        let trimmed = text.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD
            .decode(trimmed)
            .or_else(|_| STANDARD_NO_PAD.decode(trimmed))
            .map_err(|error| refuse(&error.to_string()))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))?;
        if token.version != "meta.k8s.io/v1" {
            return Err(refuse(&format!(
                "server does not recognize this encoded version \"{}\"",
                token.version
            )));
        }
        if token.revision == 0 {
            return Err(refuse("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
        }
        if token.start.is_empty() {
            return Err(refuse("encoded start key empty (version meta.k8s.io/v1)"));
        }
        if token.start.split('/').any(|part| part == ".." || part == ".") {
            return Err(refuse(&token.start));
        }
        let start = token.start.trim_start_matches('/').trim_end_matches('\0');
        let after = if namespace.is_empty() { start.to_owned() } else { format!("{namespace}/{start}") };
        Ok(Self { revision: token.revision, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_have_upstreams_form() {
        let continuation = Continuation { revision: 7, after: "default/web".into() };
        let token = continuation.encode("default");
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&token).unwrap()).unwrap();
        assert_eq!(text, r#"{"v":"meta.k8s.io/v1","rv":7,"start":"web\u0000"}"#);
        assert_eq!(Continuation::decode(&token, "default").unwrap(), continuation);
        assert_eq!(Continuation::decode(&continuation.encode(""), "").unwrap(), continuation);
    }

    #[test]
    fn refuses_what_is_no_token() {
        for text in ["!", "e30", "eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ"] {
            let status = Continuation::decode(text, "").unwrap_err();
            assert_eq!(status.code, 400, "{text}");
            assert!(status.message.starts_with("continue key is not valid"), "{}", status.message);
        }
    }
}
