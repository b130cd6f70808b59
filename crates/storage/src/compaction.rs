//! Forgetting etcd's old revisions every five minutes, agreed between all servers of the cluster.

use std::time::Duration;

use crate::{Error, Etcd};

/// The key upstream's servers agree by: its version is the logical clock, its value the revision at the tick.
pub(crate) const KEY: &str = "compact_rev_key";

/// Compacts every `interval` (upstream: 5 minutes) up to the revision that was current one interval ago.
/// Zero turns it off, and the task ends only with the process.
pub async fn compact_every(etcd: Etcd, interval: Duration) {
    if interval.is_zero() {
        return std::future::pending().await;
    }
    let (mut tick, mut revision) = (0, 0);
    loop {
        tokio::time::sleep(interval).await;
        match step(&etcd, tick, revision).await {
            Ok(next) => (tick, revision) = next,
            Err(error) => {
                tracing::warn!(%error, "compaction of etcd failed, trying again at the next interval")
            }
        }
    }
}

/// One tick: whoever advances the clock compacts to the revision remembered from the tick before.
async fn step(etcd: &Etcd, tick: i64, revision: i64) -> Result<(i64, i64), Error> {
    let (now, ahead) = etcd.put_if_version(KEY, tick, revision.to_string()).await?;
    if let Some(version) = ahead {
        // Another server ticked: take over its clock.
        return Ok((version, now));
    }
    if revision > 0 {
        match etcd.compact(revision).await {
            Ok(()) => tracing::info!(revision, "compacted etcd"),
            Err(Error::Compacted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((tick + 1, now))
}
