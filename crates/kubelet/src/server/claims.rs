//! How full the volumes behind claims are, under upstream's names.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::metrics::head;
use crate::{kubelet::Kubelet, volume::blocking};

/// How long volumes may take to be measured: one may be of a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A measured volume, in bytes and files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measured {
    available: u64,
    capacity: u64,
    used: u64,
    inodes: u64,
    inodes_free: u64,
    inodes_used: u64,
}

/// Namespace and name of a claim.
type Claim = (String, String);

/// A metric: its name, its help, and what it tells of a volume.
type Series = (&'static str, &'static str, fn(&Measured) -> u64);

const SERIES: [Series; 6] = [
    ("kubelet_volume_stats_available_bytes", "Number of available bytes in the volume", |volume| {
        volume.available
    }),
    ("kubelet_volume_stats_capacity_bytes", "Capacity in bytes of the volume", |volume| volume.capacity),
    ("kubelet_volume_stats_inodes", "Maximum number of inodes in the volume", |volume| volume.inodes),
    ("kubelet_volume_stats_inodes_free", "Number of free inodes in the volume", |volume| volume.inodes_free),
    ("kubelet_volume_stats_inodes_used", "Number of used inodes in the volume", |volume| volume.inodes_used),
    ("kubelet_volume_stats_used_bytes", "Number of used bytes in the volume", |volume| volume.used),
];

/// Writes what the volumes of all pods' claims hold. While one does not answer, nothing is told.
pub(super) async fn write(text: &mut String, kubelet: &Kubelet) {
    static UNDER_WAY: AtomicBool = AtomicBool::new(false);
    let mut claims: BTreeMap<Claim, PathBuf> = BTreeMap::new();
    for (_, state) in kubelet.pods.list() {
        for (claim, path) in state.claims.lock().iter() {
            // Pods may share one.
            claims.insert((state.names.namespace.clone(), claim.clone()), path.clone());
        }
    }
    if claims.is_empty() || UNDER_WAY.swap(true, Ordering::AcqRel) {
        return;
    }
    let measured = blocking(move || {
        let found = claims.into_iter().filter_map(|(claim, path)| Some((claim, measure(&path)?))).collect();
        UNDER_WAY.store(false, Ordering::Release);
        Ok(found)
    });
    let measured: Vec<(Claim, Measured)> = match tokio::time::timeout(PATIENCE, measured).await {
        Ok(Ok(measured)) => measured,
        _ => return,
    };
    series(text, &measured);
}

/// Measures the filesystem of a volume.
fn measure(path: &std::path::Path) -> Option<Measured> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    let fragment = stat.fragment_size();
    Some(Measured {
        available: stat.blocks_available() * fragment,
        capacity: stat.blocks() * fragment,
        used: stat.blocks().saturating_sub(stat.blocks_free()) * fragment,
        inodes: stat.files(),
        inodes_free: stat.files_free(),
        inodes_used: stat.files().saturating_sub(stat.files_free()),
    })
}

fn series(text: &mut String, measured: &[(Claim, Measured)]) {
    for (name, help, value) in SERIES {
        head(text, name, help, "gauge");
        for ((namespace, claim), volume) in measured {
            let _ = writeln!(
                text,
                "{name}{{namespace=\"{namespace}\",persistentvolumeclaim=\"{claim}\"}} {}",
                value(volume)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Mounted, claims};

    #[test]
    fn claims_are_those_whose_volumes_are_mounted_for_the_pod() {
        let pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web"},
            "spec": {"containers": [], "volumes": [
                {"name": "disk", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "own", "ephemeral": {}},
                {"name": "folder", "persistentVolumeClaim": {"claimName": "host"}},
                {"name": "late", "persistentVolumeClaim": {"claimName": "late"}},
                {"name": "cache", "emptyDir": {}},
            ]},
        }))
        .unwrap();
        let mounted = |name: &str, path: &str| {
            (name.to_owned(), Mounted { path: path.into(), read_only: false, image: None })
        };
        let volumes = [
            mounted("disk", "/pods/u/volumes/disk"),
            mounted("own", "/pods/u/volumes/own"),
            mounted("folder", "/srv/folder"),
            mounted("cache", "/pods/u/volumes/cache"),
        ];
        let found = claims(&pod, &volumes.into(), std::path::Path::new("/pods/u"));
        let expected = [("data", "/pods/u/volumes/disk"), ("web-own", "/pods/u/volumes/own")];
        assert_eq!(found, expected.map(|(claim, path)| (claim.to_owned(), path.into())));
    }

    #[test]
    fn volumes_are_told_by_claim() {
        let folder = tempfile::tempdir().unwrap();
        let found = measure(folder.path()).unwrap();
        assert!(found.capacity > 0 && found.used + found.available <= found.capacity, "{found:?}");
        assert_eq!(measure(&folder.path().join("gone")), None);
        let volume =
            Measured { available: 1, capacity: 6, used: 5, inodes: 9, inodes_free: 7, inodes_used: 2 };
        let mut text = String::new();
        series(&mut text, &[(("shop".into(), "data".into()), volume)]);
        let labels = "{namespace=\"shop\",persistentvolumeclaim=\"data\"}";
        for (name, value) in [
            ("available_bytes", 1),
            ("capacity_bytes", 6),
            ("used_bytes", 5),
            ("inodes", 9),
            ("inodes_free", 7),
            ("inodes_used", 2),
        ] {
            assert!(
                text.contains(&format!("kubelet_volume_stats_{name}{labels} {value}\n")),
                "{name}\n{text}"
            );
        }
    }
}
