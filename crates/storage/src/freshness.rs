//! Etcd's current revision for consistent reads, asked once for all readers that wait at the same time.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{CallError, Error, Etcd};

/// So many readers may wait for one answer; beyond that they wait to be let in.
const READERS: usize = 4096;

/// A revision, or why there is none.
type Answer = Result<i64, Arc<CallError>>;

/// Asks for the current revision on behalf of many readers.
///
/// A reader is only ever given an answer to a question that was put to etcd after the reader asked: that is
/// what makes its read consistent.
#[derive(Debug, Clone)]
pub struct Freshness {
    ask: mpsc::Sender<oneshot::Sender<Answer>>,
}

impl Freshness {
    /// Makes the handle, and the task that must run for it to be answered.
    pub fn new(etcd: Etcd) -> (Self, impl Future<Output = ()> + Send) {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<Answer>>(READERS);
        let task = async move {
            let mut readers = Vec::new();
            while asked.recv_many(&mut readers, READERS).await != 0 {
                // Those who are about to ask, because the last answer has just let them go on, come along.
                tokio::task::yield_now().await;
                while let Ok(reader) = asked.try_recv() {
                    readers.push(reader);
                    if readers.len() >= READERS {
                        break;
                    }
                }
                let answer = match etcd.current_revision().await {
                    Ok(revision) => Ok(revision),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read etcd's revision");
                        // A failure need not be fresh: who asked meanwhile would wait as long for the same.
                        while let Ok(reader) = asked.try_recv() {
                            readers.push(reader);
                        }
                        match error {
                            Error::Etcd(cause) => Err(cause),
                            other => Err(Arc::new(tonic::Status::unavailable(other.to_string()).into())),
                        }
                    }
                };
                for reader in readers.drain(..) {
                    let _ = reader.send(answer.clone());
                }
            }
        };
        (Self { ask }, task)
    }

    /// A revision that is no older than this call.
    pub async fn revision(&self) -> Result<i64, Error> {
        let (sender, answer) = oneshot::channel();
        self.ask.send(sender).await.map_err(|_| Error::Timeout)?;
        answer.await.map_err(|_| Error::Timeout)?.map_err(Error::Etcd)
    }
}
