//! Container logs that have grown too large are put aside, packed, and the oldest removed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;

use crate::{container, kubelet::Kubelet, observed::State, volume::blocking};

/// Rotates the logs of running containers that have outgrown their limit.
pub(super) async fn rotate(kubelet: &Arc<Kubelet>) {
    let (limit, files) = (kubelet.settings.container_log_max_size, kubelet.settings.container_log_max_files);
    for (_, state) in kubelet.pods.list() {
        let folder = kubelet.settings.log_dir(&state.names);
        let running: Vec<(String, PathBuf)> = {
            let observed = state.observed.lock();
            let running = observed.containers.iter().filter(|found| found.state == State::Running);
            running
                .map(|found| {
                    (found.id.clone(), folder.join(container::log_path(&found.name, found.restart_count)))
                })
                .collect()
        };
        for (id, path) in running {
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > limit)
                && let Err(error) = one(kubelet, &id, path.clone(), files).await
            {
                tracing::warn!(path = %path.display(), "cannot rotate a container's log: {error:#}");
            }
        }
    }
}

async fn one(kubelet: &Arc<Kubelet>, id: &str, path: PathBuf, files: u32) -> anyhow::Result<()> {
    let stamp = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let aside = PathBuf::from(format!("{}.{stamp}", path.display()));
    tokio::fs::rename(&path, &aside).await?;
    if let Err(error) = kubelet.runtime.reopen_container_log(id).await {
        // The runtime writes on into the old file: under its old name nothing is lost.
        tokio::fs::rename(&aside, &path).await?;
        return Err(error.into());
    }
    blocking(move || Ok(tidy(&path, &aside, files)?)).await
}

/// Packs the logs put aside before this one and removes those beyond the limit. The newest stays plain: whoever
/// follows it is still reading.
fn tidy(path: &Path, newest: &Path, files: u32) -> io::Result<()> {
    let mut aside = rotated(path)?;
    aside.sort();
    // The log being written counts as one.
    let kept = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(1);
    let surplus = aside.len().saturating_sub(kept);
    for old in aside.drain(..surplus) {
        fs::remove_file(old)?;
    }
    for plain in aside.iter().filter(|old| *old != newest && old.extension().is_none_or(|end| end != "gz")) {
        pack(plain)?;
    }
    Ok(())
}

/// The logs put aside of one container's run.
fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{name}.");
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    Ok(entries
        .filter(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&prefix))
        })
        .collect())
}

fn pack(path: &Path) -> io::Result<()> {
    let target = PathBuf::from(format!("{}.gz", path.display()));
    let mut encoder = GzEncoder::new(File::create(&target)?, Compression::fast());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_all_but_one_are_packed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0.log");
        for name in [
            "0.log",
            "0.log.20260101-1",
            "0.log.20260101-2",
            "0.log.20260101-3",
            "0.log.20260101-4",
            "1.log.9",
        ] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        tidy(&log, &folder.path().join("0.log.20260101-4"), 4).unwrap();
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["0.log", "0.log.20260101-2.gz", "0.log.20260101-3.gz", "0.log.20260101-4", "1.log.9"]
        );
    }
}
