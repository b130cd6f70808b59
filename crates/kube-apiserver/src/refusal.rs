//! The store's failures as the API's answers.

use apimachinery::Status;
use storage::Error;

use crate::registry::Entry;

/// Why a change of a stored object did not come about: the rules refuse it, or the store fails.
#[derive(Debug)]
pub enum Refusal {
    /// The answer to give.
    Status(Status),
    /// What the store says.
    Store(Error),
    /// None yet: webhooks must be asked first.
    Unasked,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    /// The answer for the client that asked for the object.
    pub fn into_status(self, entry: &Entry, name: &str) -> Status {
        match self {
            Self::Status(status) => status,
            Self::Store(error) => of_object(error, entry, name),
            Self::Unasked => Status::modified(entry.group(), entry.plural(), name),
        }
    }
}

/// What a failure of the store is to the client that asked for one object.
pub fn of_object(error: Error, entry: &Entry, name: &str) -> Status {
    let (group, plural) = (entry.group(), entry.plural());
    match error {
        Error::NotFound => Status::not_found(group, plural, name),
        Error::Exists => Status::already_exists(group, plural, name),
        Error::Conflict(_) => Status::modified(group, plural, name),
        other => of_collection(other),
    }
}

/// What a failure of the store is to the client that asked for many.
pub fn of_collection(error: Error) -> Status {
    match error {
        Error::Compacted => Status::expired("The resourceVersion for the provided list is too old."),
        Error::Future { asked, current } => too_large(asked, current),
        Error::Timeout => Status::timeout("timed out waiting for the watch cache"),
        Error::TooLarge => {
            Status::too_large("Request is too large: limit is 1572864 bytes for the stored object")
        }
        // In its own words and without a reason, as upstream tells what it does not know itself.
        Error::Etcd(_) => {
            tracing::error!(%error, "the store failed");
            Status::new(500, "", error.to_string())
        }
        other => {
            tracing::error!(error = %other, "the store failed");
            Status::internal(other)
        }
    }
}

/// The refusal of a resourceVersion that has not been reached, as upstream words it.
fn too_large(asked: i64, current: i64) -> Status {
    let mut status = Status::timeout(format!("Too large resource version: {asked}, current: {current}"));
    status.details = Some(Box::new(apimachinery::status::Details {
        retry_after_seconds: 1,
        causes: vec![apimachinery::status::Cause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }],
        ..Default::default()
    }));
    status
}
