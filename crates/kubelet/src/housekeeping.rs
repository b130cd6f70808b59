//! What the node does to stay usable: log rotation, image removal, eviction.
//!
//! Keeps true: container logs, images and pods leave the node the room its thresholds ask for. Woken by: time. Reads:
//! log sizes, the runtime's images, the machine. Writes: logs, images, verdicts against pods. Gives up: never.

mod images;
mod rotation;

use std::{sync::Arc, time::Duration};

pub use images::Collector as Images;

use crate::{eviction::Eviction, kubelet::Kubelet};

/// How often logs are looked at (upstream's `containerLogMonitorInterval`) and pressure is measured.
const LOOK: Duration = Duration::from_secs(10);
/// How often images are looked at, in looks: every five minutes, as upstream.
const IMAGES_EVERY: u32 = 30;

/// Keeps house; runs until shutdown.
pub async fn keep(kubelet: Arc<Kubelet>) -> anyhow::Result<()> {
    let shutdown = kubelet.process.shutdown();
    let work = async {
        let mut images = Images::default();
        let mut eviction = Eviction::default();
        let mut looks = 0_u32;
        loop {
            // As long as that evicts pods, nothing else frees as much.
            while eviction.look(&kubelet, &mut images).await {}
            rotation::rotate(&kubelet).await;
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(IMAGES_EVERY) {
                images.collect(&kubelet, false).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = work => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    }
}
