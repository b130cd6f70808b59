//! What can go wrong between a request and etcd.

use std::{error::Error as _, io, sync::Arc};

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
    #[error("{}", in_words(.0))]
    Etcd(#[source] Arc<etcd_client::Error>),
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

/// A failure in the words of etcd's own client for Go: people and programs match on them.
fn in_words(error: &etcd_client::Error) -> String {
    if let Some(cause) = connection(error) {
        let why = match cause.kind() {
            io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            _ => cause.to_string(),
        };
        return format!(
            "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: {why}\""
        );
    }
    match error {
        // What etcd itself refuses with has no code of the call before it.
        etcd_client::Error::GRpcStatus(status) if status.message().starts_with("etcdserver: ") => {
            status.message().to_owned()
        }
        etcd_client::Error::GRpcStatus(status) => {
            format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
        }
        other => format!("rpc error: code = Unavailable desc = {other}"),
    }
}

/// What the connection failed with, below the layers of the transport, each of which says only that it has failed.
fn connection(error: &etcd_client::Error) -> Option<&io::Error> {
    // The client's own error tells nobody what is below it.
    let mut cause = match error {
        etcd_client::Error::IoError(error) => return Some(error),
        etcd_client::Error::GRpcStatus(status) => status.source(),
        etcd_client::Error::TransportError(error) => error.source(),
        _ => None,
    };
    let mut found = None;
    while let Some(layer) = cause {
        found = layer.downcast_ref().or(found);
        cause = layer.source();
    }
    found
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
        let etcd =
            Etcd::connect(&EtcdConfig { servers: vec![server], ..EtcdConfig::default() }).await.unwrap();
        expect![[r#"rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: connect: connection refused""#]]
            .assert_eq(&etcd.ping().await.unwrap_err().to_string());
    }
}
