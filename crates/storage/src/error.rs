//! What can go wrong between a request and etcd.

use std::sync::Arc;

use crate::Object;

/// A failure of the store, each variant a case that a caller answers differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No object has this key.
    #[error("key not found")]
    NotFound,
    /// An object with this key exists already.
    #[error("key exists")]
    Exists,
    /// The object changed since the revision that the write was guarded by; the current one is here.
    #[error("object was modified")]
    Conflict(Option<Arc<Object>>),
    /// The revision asked for has been compacted away.
    #[error("required revision has been compacted")]
    Compacted,
    /// The revision asked for has not been reached.
    #[error("revision {asked} is ahead of {current}")]
    Future {
        /// The revision asked for.
        asked: i64,
        /// The revision that the caches have reached.
        current: i64,
    },
    /// The stored value is not a JSON object with metadata.
    #[error("stored value of {key} is unreadable: {reason}")]
    Corrupt {
        /// The key below the resource's prefix.
        key: String,
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// The caches did not reach the revision of a read in time.
    #[error("timed out waiting for the watch cache")]
    Timeout,
    /// The value is larger than etcd takes.
    #[error("etcdserver: request is too large")]
    TooLarge,
    /// etcd did not answer, or refused.
    #[error("etcd: {}", brief(.0))]
    Etcd(#[source] Box<etcd_client::Error>),
}

impl Error {
    /// Says whether asking again may help: etcd is unreachable, restarting or electing a leader.
    pub fn is_transient(&self) -> bool {
        let Self::Etcd(error) = self else { return false };
        match error.as_ref() {
            etcd_client::Error::TransportError(_) | etcd_client::Error::IoError(_) => true,
            // Unknown carries the transport's own failures ("transport error", "broken pipe").
            etcd_client::Error::GRpcStatus(status) => {
                use tonic_code::*;
                matches!(
                    status.code() as i32,
                    UNAVAILABLE | UNKNOWN | CANCELLED | DEADLINE_EXCEEDED | ABORTED
                ) || status.message().contains("leader changed")
                    || status.message().contains("no leader")
            }
            _ => false,
        }
    }
}

/// The reason alone: the transport repeats it in each of its layers.
fn brief(error: &etcd_client::Error) -> String {
    match error {
        etcd_client::Error::GRpcStatus(status) if !status.message().is_empty() => status.message().to_owned(),
        other => other.to_string(),
    }
}

/// gRPC status codes by number, so that this crate needs no dependency on the transport's types.
mod tonic_code {
    pub const CANCELLED: i32 = 1;
    pub const UNKNOWN: i32 = 2;
    pub const DEADLINE_EXCEEDED: i32 = 4;
    pub const ABORTED: i32 = 10;
    pub const UNAVAILABLE: i32 = 14;
}

impl From<etcd_client::Error> for Error {
    fn from(error: etcd_client::Error) -> Self {
        if let etcd_client::Error::GRpcStatus(status) = &error {
            let message = status.message();
            if message.contains("required revision has been compacted") {
                return Self::Compacted;
            }
            if message.contains("required revision is a future revision") {
                return Self::Future { asked: 0, current: 0 };
            }
            if message.contains("request is too large") || message.contains("larger than max") {
                return Self::TooLarge;
            }
        }
        Self::Etcd(Box::new(error))
    }
}
