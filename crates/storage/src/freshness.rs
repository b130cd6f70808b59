//! Etcd's current revision for consistent reads, asked once for all readers that wait at the same time.

use tokio::sync::{mpsc, oneshot};

use crate::{Error, Etcd};

/// So many readers may wait for one answer; beyond that they wait to be let in.
const READERS: usize = 4096;

/// Asks for the current revision on behalf of many readers.
///
/// A reader is only ever given an answer to a question that was put to etcd after the reader asked: that is
/// what makes its read consistent.
#[derive(Debug, Clone)]
pub struct Freshness {
    ask: mpsc::Sender<oneshot::Sender<Option<i64>>>,
}

impl Freshness {
    /// Makes the handle, and the task that must run for it to be answered.
    pub fn new(etcd: Etcd) -> (Self, impl Future<Output = ()> + Send) {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<Option<i64>>>(READERS);
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
                let revision = match etcd.current_revision().await {
                    Ok(revision) => Some(revision),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read etcd's revision");
                        None
                    }
                };
                for reader in readers.drain(..) {
                    let _ = reader.send(revision);
                }
            }
        };
        (Self { ask }, task)
    }

    /// A revision that is no older than this call.
    pub async fn revision(&self) -> Result<i64, Error> {
        let (sender, answer) = oneshot::channel();
        self.ask.send(sender).await.map_err(|_| Error::Timeout)?;
        answer.await.ok().flatten().ok_or(Error::Timeout)
    }
}
