//! Why a patch cannot be made or applied.

/// Why a patch cannot be made or applied; the variants differ in the HTTP status that they deserve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well formed but does not fit the object: 422.
    #[error("{0}")]
    Unprocessable(String),
    /// The patch asks for too much: 413.
    #[error("{0}")]
    TooLarge(String),
    /// The patch and the object contradict the schema: 500, as upstream answers.
    #[error("{0}")]
    Contradiction(String),
}

impl PatchError {
    pub(crate) fn retain_keys() -> Self {
        PatchError::Malformed("invalid patch format of retainKeys".to_owned())
    }

    pub(crate) fn primitive_list() -> Self {
        PatchError::Malformed("invalid patch format of primitive list".to_owned())
    }

    pub(crate) fn element_order() -> Self {
        PatchError::Malformed("invalid patch format of setElementOrder list".to_owned())
    }

    pub(crate) fn lists_of_lists() -> Self {
        PatchError::Unprocessable("lists of lists are not supported".to_owned())
    }
}
