//! NetworkPolicies, enforced on this node for this node's pods.
//!
//! The decision is [`table`]: policies, pods, namespaces and the addresses of this node's sandboxes become one table of
//! nftables. [`enforce`] watches, decides and loads what changed. See `docs/decisions/0016-network-policies.md`.

pub mod enforce;
pub mod objects;
pub mod sandboxes;
mod sync;
pub mod table;

use netrules::Error;
use netrules::nft::Load;

/// Removes the table of this node.
pub async fn remove(load: impl Load) -> Result<(), Error> {
    sync::Syncer::new(load).sync(None).await.map(drop)
}
