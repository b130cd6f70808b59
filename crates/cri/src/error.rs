//! What a call to the runtime can end in.

use tonic::Code;

/// A failed call to the runtime.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The runtime knows no such sandbox, container or image.
    #[error("{0}")]
    NotFound(String),
    /// The runtime does not serve this call.
    #[error("{0}")]
    Unimplemented(String),
    /// The runtime cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// The call took longer than it may.
    #[error("{0}")]
    DeadlineExceeded(String),
    /// The runtime refused or failed.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Tells whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}

impl From<tonic::Status> for Error {
    /// Keeps the form in which gRPC errors are read everywhere: `rpc error: code = … desc = …`.
    fn from(status: tonic::Status) -> Self {
        let text = format!("rpc error: code = {} desc = {}", code_name(status.code()), status.message());
        match status.code() {
            Code::NotFound => Self::NotFound(text),
            Code::Unimplemented => Self::Unimplemented(text),
            Code::Unavailable => Self::Unavailable(text),
            Code::DeadlineExceeded | Code::Cancelled => Self::DeadlineExceeded(text),
            // containerd before 2.0 answers some lookups of vanished things with Unknown.
            Code::Unknown if status.message().ends_with(": not found") => Self::NotFound(text),
            _ => Self::Failed(text),
        }
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vanished_container_is_not_found_under_either_code() {
        assert!(Error::from(tonic::Status::not_found("x")).is_not_found());
        assert!(
            Error::from(tonic::Status::unknown("an error occurred when try to find: not found"))
                .is_not_found()
        );
        assert!(!Error::from(tonic::Status::unknown("disk full")).is_not_found());
    }

    #[test]
    fn the_text_is_the_one_grpc_errors_are_matched_by() {
        let error = Error::from(tonic::Status::unknown("failed to pull"));
        assert_eq!(error.to_string(), "rpc error: code = Unknown desc = failed to pull");
    }
}
