//! Forgetting etcd's old revisions every five minutes, agreed between all servers of the cluster.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse};

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
    let mut client = etcd.client().kv_client();
    let txn = Txn::new()
        .when([Compare::version(KEY, CompareOp::Equal, tick)])
        .and_then([TxnOp::put(KEY, revision.to_string(), None)])
        .or_else([TxnOp::get(KEY, Some(GetOptions::new()))]);
    let response = client.txn(txn).await?;
    let now = response.header().map_or(0, |header| header.revision());
    if !response.succeeded() {
        // Another server ticked: take over its clock.
        let version = response.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(got) => got.kvs().first().map(|item| item.version()),
            _ => None,
        });
        return Ok((version.unwrap_or(0), now));
    }
    if revision > 0 {
        match client.compact(revision, None).await.map_err(Error::from) {
            Ok(_) => tracing::info!(revision, "compacted etcd"),
            Err(Error::Compacted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((tick + 1, now))
}
