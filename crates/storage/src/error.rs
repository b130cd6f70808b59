//! What can go wrong between a request and etcd.

use std::{io, sync::Arc};

use tonic::{Code, Status};

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
    #[error(transparent)]
    Etcd(Arc<CallError>),
}

/// Why a call to etcd failed, told in the words of etcd's own client for Go: people and programs match on them.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection, or it broke.
    #[error(
        "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: {}\"",
        dialing(.0)
    )]
    Connection(Arc<io::Error>),
    /// etcd refused, or the stream of the call was ended.
    #[error("{}", in_words(.0))]
    Status(Box<Status>),
}

impl Error {
    /// Says whether asking again may help: etcd is unreachable, restarting or electing a leader.
    pub fn is_transient(&self) -> bool {
        let Self::Etcd(error) = self else { return false };
        match error.as_ref() {
            CallError::Connection(_) => true,
            CallError::Status(status) => {
                use Code::{Aborted, Cancelled, DeadlineExceeded, Unavailable, Unknown};
                matches!(status.code(), Unavailable | Unknown | Cancelled | DeadlineExceeded | Aborted)
                    || status.message().contains("leader changed")
                    || status.message().contains("no leader")
            }
        }
    }
}

fn dialing(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        _ => error.to_string(),
    }
}

fn in_words(status: &Status) -> String {
    // What etcd itself refuses with has no code of the call before it.
    if status.message().starts_with("etcdserver: ") {
        return status.message().to_owned();
    }
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        if let CallError::Status(status) = &error {
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
        Self::Etcd(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::{Etcd, EtcdConfig};

    #[tokio::test]
    async fn an_etcd_that_is_away_is_told_of_as_by_its_client_for_go() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", taken.local_addr().unwrap());
        drop(taken);
        let etcd = Etcd::connect(&EtcdConfig { servers: vec![server], ..EtcdConfig::default() }).unwrap();
        expect![[r#"rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: connect: connection refused""#]]
            .assert_eq(&etcd.ping().await.unwrap_err().to_string());
    }
}
