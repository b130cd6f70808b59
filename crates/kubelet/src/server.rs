//! The kubelet's own API.

pub mod logs;

use std::sync::Arc;

use crate::{Config, kubelet::Kubelet};

/// Starts serving.
pub async fn start(_kubelet: &Arc<Kubelet>, _config: &Config) -> anyhow::Result<()> {
    Ok(())
}
