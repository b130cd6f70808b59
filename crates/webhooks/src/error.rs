//! Why a place cannot be called, or did not answer.

use std::time::Duration;

/// What says whom to call does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

impl ConfigError {
    pub(crate) fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// Why a call came to nothing. Its text is what upstream writes behind `failed to call webhook: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection, or it broke.
    #[error("Post {url:?}: {why}")]
    Transport {
        /// Who was called.
        url: String,
        /// In the words of Go's network errors.
        why: String,
    },
    /// No answer in time.
    #[error("Post {url:?}: context deadline exceeded")]
    Timeout {
        /// Who was called.
        url: String,
        /// How long it was given.
        after: Duration,
    },
    /// An answer that is larger than anybody needs.
    #[error("Post {url:?}: http: response body too large")]
    TooLarge {
        /// Who was called.
        url: String,
    },
    /// An answer whose code is not of success.
    #[error("{}", of_code(*.code, .body))]
    Code {
        /// The code.
        code: u16,
        /// The beginning of what came with it.
        body: String,
    },
}

impl CallError {
    /// Whether the same call may go well a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } => true,
            Self::TooLarge { .. } => false,
            Self::Code { code, .. } => *code == 429 || *code >= 500,
        }
    }
}

/// What upstream's client says of a code that came without a Status.
fn of_code(code: u16, body: &str) -> String {
    let words = match code {
        400 => "the server rejected our request for an unknown reason",
        401 => "the server has asked for the client to provide credentials",
        403 => match body.trim() {
            "" => "forbidden",
            body => body,
        },
        404 => "the server could not find the requested resource",
        405 => "the server does not allow this method on the requested resource",
        406 => "the server was unable to respond with a content type that the client supports",
        409 => "the server reported a conflict",
        415 => {
            "the body of the request was in an unknown format - accepted media types include: application/json"
        }
        422 => "the server rejected our request due to an error in our request",
        429 => "the server has received too many requests and has asked us to try again later",
        503 => "the server is currently unable to handle the request",
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
        }
        500.. => {
            let body = body.trim();
            let body = if body.is_empty() { "unknown" } else { body };
            return format!("an error on the server ({body:?}) has prevented the request from succeeding");
        }
        _ => {
            return format!(
                "the server responded with the status code {code} but did not return more information"
            );
        }
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_worded_as_upstreams_client_words_them() {
        let text = |code, body: &str| CallError::Code { code, body: body.to_owned() }.to_string();
        assert_eq!(text(404, "x"), "the server could not find the requested resource");
        assert_eq!(
            text(500, "boom\n"),
            "an error on the server (\"boom\") has prevented the request from succeeding"
        );
        assert_eq!(
            text(302, ""),
            "the server responded with the status code 302 but did not return more information"
        );
    }
}
