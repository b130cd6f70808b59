//! A snapshot of etcd, taken over its maintenance API and checked against the sum that etcd sends at its end.

use std::{
    fs::File,
    io::{BufWriter, Read as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use etcd_client::{Client, GetOptions};
use ring::digest::{Context as Digest, SHA256, SHA256_OUTPUT_LEN};
use serde::{Deserialize, Serialize};

/// Pages of the database; what is over at a snapshot's end is its sum.
const PAGE: u64 = 512;

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The revision that etcd was at just before.
    pub revision: i64,
    /// How many keys there were.
    pub keys: i64,
    /// Octets of the snapshot.
    pub size: u64,
}

/// Takes a snapshot into a file.
pub async fn take(mut client: Client, path: &Path) -> anyhow::Result<Taken> {
    let all = GetOptions::new().with_all_keys().with_count_only();
    let counted = client.get("", Some(all)).await.context("asking etcd what it holds")?;
    let revision = counted.header().map_or(0, |header| header.revision());
    let mut stream = client.snapshot().await.context("asking etcd for a snapshot")?;
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("writing {}", path.display()))?);
    while let Some(part) = stream.message().await.context("reading etcd's snapshot")? {
        file.write_all(part.blob()).with_context(|| format!("writing {}", path.display()))?;
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let size = check(path)?;
    Ok(Taken { revision, keys: counted.count(), size })
}

/// Checks a snapshot against its own sum, and gives its size.
pub fn check(path: &Path) -> anyhow::Result<u64> {
    let mut file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let size = file.metadata()?.len();
    let sum = SHA256_OUTPUT_LEN as u64;
    if size <= sum || size % PAGE != sum {
        bail!("{} is not a whole snapshot of etcd: {size} octets", path.display());
    }
    let (mut digest, mut left) = (Digest::new(&SHA256), size - sum);
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let part = usize::try_from(left.min(buffer.len() as u64))?;
        file.read_exact(&mut buffer[..part])?;
        digest.update(&buffer[..part]);
        left -= part as u64;
    }
    let mut said = [0; SHA256_OUTPUT_LEN];
    file.read_exact(&mut said)?;
    if digest.finish().as_ref() != said {
        bail!("{} is damaged: its sum is another one", path.display());
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_or_changed_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot.db");
        let mut bytes = vec![7; 1024];
        bytes.extend_from_slice(ring::digest::digest(&SHA256, &bytes).as_ref());
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(check(&path).unwrap(), 1056);
        bytes[3] = 8;
        std::fs::write(&path, &bytes).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("damaged"));
        std::fs::write(&path, &bytes[..1000]).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("not a whole snapshot"));
    }
}
