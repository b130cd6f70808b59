//! Why a text cannot be read, or a template not be filled in.

/// Result of reading or filling in.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with a text or a template, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
