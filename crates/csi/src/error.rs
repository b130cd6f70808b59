//! What a call to a driver can end in.

use std::fmt;

use tonic::{Code, Status};

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
}

impl Error {
    /// An answer that breaks the contract.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { code: Code::Internal, message: message.into() }
    }

    /// What the driver said, or what happened to the call.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Tells whether there is no such volume.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }
}

impl fmt::Display for Error {
    /// The form in which gRPC errors are read everywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Go's names are those of the codes in one word, but for two.
        let name = match self.code {
            Code::Ok => "OK".to_owned(),
            Code::Cancelled => "Canceled".to_owned(),
            other => format!("{other:?}"),
        };
        write!(f, "rpc error: code = {name} desc = {}", self.message)
    }
}

impl std::error::Error for Error {}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self { code: status.code(), message: status.message().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_everywhere_and_say_that_there_is_no_volume() {
        let error = Error::from(Status::deadline_exceeded("context deadline exceeded"));
        assert_eq!(error.to_string(), "rpc error: code = DeadlineExceeded desc = context deadline exceeded");
        let error = Error::from(Status::not_found("volume v"));
        assert_eq!(error.to_string(), "rpc error: code = NotFound desc = volume v");
        assert!(error.is_not_found());
    }
}
