//! Images that no container uses go when the disk fills, the longest unused first.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use component::events::Kind as EventKind;
use cri::v1;
use jiff::Timestamp;

use crate::{event::node_event, kubelet::Kubelet, node::machine};

/// When each image was first seen and last used.
#[derive(Debug, Default)]
pub struct Collector {
    seen: HashMap<String, Record>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    first_seen: Timestamp,
    last_used: Timestamp,
}

impl Collector {
    /// Looks at the disk and removes what must go.
    pub async fn collect(&mut self, kubelet: &Arc<Kubelet>, urgent: bool) {
        let (Ok(images), Ok(containers)) =
            (kubelet.runtime.list_images().await, kubelet.runtime.list_containers(Default::default()).await)
        else {
            return;
        };
        let used: HashSet<&str> = containers
            .iter()
            .flat_map(|container| [container.image_ref.as_str(), container.image_id.as_str()])
            .collect();
        let now = Timestamp::now();
        self.note(&images, &used, now);
        let settings = &kubelet.settings;
        let mountpoint = kubelet.runtime.image_fs_info().await.ok().and_then(|filesystems| {
            filesystems.into_iter().find_map(|filesystem| filesystem.fs_id.map(|id| id.mountpoint))
        });
        let disk = machine::disk(Path::new(mountpoint.as_deref().unwrap_or("/")));
        let wanted = if urgent {
            u64::MAX
        } else {
            excess(disk, settings.image_gc_high_percent, settings.image_gc_low_percent)
        };
        if wanted == 0 {
            return;
        }
        let mut freed = 0;
        for image in self.candidates(&images, &used, now, settings.image_minimum_gc_age) {
            if freed >= wanted {
                break;
            }
            match kubelet.runtime.remove_image(&image.id).await {
                Ok(()) => freed += image.size,
                Err(error) => tracing::warn!(image = image.id, %error, "cannot remove an image"),
            }
        }
        tracing::info!(freed, "removed unused images");
        if !urgent && freed < wanted {
            let message = format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
            );
            node_event(
                &kubelet.recorder,
                &settings.node_name,
                EventKind::Warning,
                "FreeDiskSpaceFailed",
                message,
            );
        }
    }

    fn note(&mut self, images: &[v1::Image], used: &HashSet<&str>, now: Timestamp) {
        self.seen.retain(|id, _| images.iter().any(|image| image.id == *id));
        for image in images {
            let record = self
                .seen
                .entry(image.id.clone())
                .or_insert(Record { first_seen: now, last_used: Timestamp::UNIX_EPOCH });
            if is_used(image, used) {
                record.last_used = now;
            }
        }
    }

    /// The images that may go, the longest unused first.
    fn candidates<'a>(
        &self,
        images: &'a [v1::Image],
        used: &HashSet<&str>,
        now: Timestamp,
        least_age: Duration,
    ) -> Vec<&'a v1::Image> {
        let record = |image: &v1::Image| self.seen.get(&image.id).copied();
        let mut candidates: Vec<&v1::Image> = images
            .iter()
            .filter(|image| !image.pinned && !is_used(image, used))
            .filter(|image| {
                record(image).is_some_and(|record| {
                    Duration::try_from(now.duration_since(record.first_seen)).unwrap_or_default() >= least_age
                })
            })
            .collect();
        candidates.sort_by_key(|image| record(image).map(|record| (record.last_used, record.first_seen)));
        candidates
    }
}

fn is_used(image: &v1::Image, used: &HashSet<&str>) -> bool {
    used.contains(image.id.as_str())
        || image.repo_digests.iter().chain(&image.repo_tags).any(|name| used.contains(name.as_str()))
}

/// How much must go so that a disk above the high mark comes down to the low one.
fn excess(disk: machine::Disk, high: u64, low: u64) -> u64 {
    if disk.capacity == 0 {
        return 0;
    }
    let used = disk.capacity.saturating_sub(disk.available);
    if used.saturating_mul(100) < disk.capacity.saturating_mul(high) {
        return 0;
    }
    used.saturating_sub(disk.capacity / 100 * low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_comes_down_to_the_low_mark() {
        let disk = |available| machine::Disk { capacity: 1000, available, ..machine::Disk::default() };
        assert_eq!(excess(disk(200), 85, 80), 0);
        assert_eq!(excess(disk(100), 85, 80), 100);
        assert_eq!(excess(machine::Disk::default(), 85, 80), 0);
    }

    #[test]
    fn the_longest_unused_go_first_and_used_or_pinned_ones_never() {
        let image = |id: &str| v1::Image { id: id.into(), ..v1::Image::default() };
        let images =
            [image("used"), image("old"), image("older"), v1::Image { pinned: true, ..image("pinned") }];
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut collector = Collector::default();
        collector.note(&images, &HashSet::from(["used", "old", "older"]), at(0));
        collector.note(&images, &HashSet::from(["used", "old"]), at(100));
        let used = HashSet::from(["used"]);
        let candidates = |now, age| {
            let found = collector.candidates(&images, &used, at(now), Duration::from_secs(age));
            found.into_iter().map(|image| image.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(candidates(200, 120), ["older", "old"]);
        assert!(candidates(200, 300).is_empty());
    }
}
