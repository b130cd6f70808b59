//! The file that a backup is: a compressed archive whose first entry says what it holds.

use std::{
    fs,
    io::{BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};
use tempfile::NamedTempFile;

use super::snapshot::Taken;

/// The first entry's name.
const DESCRIPTION: &str = "backup.json";
/// The longest description that is read.
const LONGEST: u64 = 64 * 1024;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Version of the components.
    pub version: String,
    /// Name of the machine's etcd member.
    pub node: String,
    /// When it was made.
    pub created: Timestamp,
    /// The snapshot.
    pub etcd: Taken,
}

/// A backup that is being written, for its owner alone.
pub struct Writer {
    archive: Builder<GzEncoder<NamedTempFile>>,
}

impl Writer {
    /// Begins one beside where it will be.
    pub fn new(directory: &Path, description: &Description) -> anyhow::Result<Self> {
        let file = NamedTempFile::new_in(directory)
            .with_context(|| format!("making a file in {}", directory.display()))?;
        let mut archive = Builder::new(GzEncoder::new(file, Compression::fast()));
        let text = serde_json::to_vec_pretty(description)?;
        archive.append_data(&mut header(text.len() as u64, 0o600), DESCRIPTION, text.as_slice())?;
        Ok(Self { archive })
    }

    /// Adds a file under a name.
    pub fn file(&mut self, name: &str, path: &Path) -> anyhow::Result<()> {
        let shown = || format!("reading {}", path.display());
        let file = fs::File::open(path).with_context(shown)?;
        let metadata = file.metadata().with_context(shown)?;
        let mut header = header(metadata.len(), metadata.permissions().mode() & 0o777);
        // A file that grows meanwhile has its first part in the archive; none of these does.
        let text = file.take(metadata.len());
        self.archive.append_data(&mut header, name, text).with_context(shown)
    }

    /// Adds every file below a directory.
    pub fn tree(&mut self, directory: &Path, name: &str) -> anyhow::Result<()> {
        let mut entries = fs::read_dir(directory)
            .with_context(|| format!("reading {}", directory.display()))?
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.tree(&entry.path(), &below)?;
            } else if entry.path().is_file() {
                self.file(&below, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Puts it in its place, whole or not at all.
    pub fn finish(self, path: &Path) -> anyhow::Result<()> {
        let mut file = self.archive.into_inner()?.finish()?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).with_context(|| format!("writing {}", path.display()))?;
        Ok(())
    }
}

fn header(size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(mode);
    header
}

fn open(path: &Path) -> anyhow::Result<Archive<GzDecoder<BufReader<fs::File>>>> {
    let file = fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Archive::new(GzDecoder::new(BufReader::new(file))))
}

/// Reads what a backup says it holds.
pub fn describe(path: &Path) -> anyhow::Result<Description> {
    let shown = path.display();
    let mut archive = open(path)?;
    let foreign = || format!("{shown} is not a backup that kubeadm wrote");
    let first =
        archive.entries().with_context(foreign)?.next().with_context(foreign)?.with_context(foreign)?;
    if first.path()?.as_os_str() != DESCRIPTION {
        bail!(foreign());
    }
    let mut text = Vec::new();
    first.take(LONGEST).read_to_end(&mut text)?;
    serde_json::from_slice(&text).with_context(foreign)
}

/// Writes all that a backup holds below a directory, under the modes that the files had.
pub fn unpack(path: &Path, directory: &Path) -> anyhow::Result<()> {
    for entry in open(path)?.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if entry.header().entry_type() != EntryType::Regular {
            bail!("{}: {} is no file", path.display(), name.display());
        }
        let target = directory.join(inside(&name).with_context(|| format!("{}", path.display()))?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        let mode = entry.header().mode()? & 0o644;
        let mut file = fs::File::create(&target).with_context(|| format!("writing {}", target.display()))?;
        // Before there is anything in it.
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        std::io::copy(&mut entry, &mut file).with_context(|| format!("writing {}", target.display()))?;
    }
    Ok(())
}

/// A path that stays below where it is put.
fn inside(name: &Path) -> anyhow::Result<PathBuf> {
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.as_os_str().is_empty() {
        bail!("{} leads elsewhere", name.display());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description {
            version: "v1.36.0".into(),
            node: "m-k8s".into(),
            created: "2026-01-01T00:00:00Z".parse().unwrap(),
            etcd: Taken { revision: 7, keys: 3, size: 4128 },
        }
    }

    #[test]
    fn what_was_put_in_comes_out_with_its_modes() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        pki::write_private(&source.join("pki/ca.key"), "secret").unwrap();
        pki::write_public(&source.join("pki/ca.crt"), "public").unwrap();
        let path = folder.path().join("backup.tar.gz");
        let mut writer = Writer::new(folder.path(), &description()).unwrap();
        writer.tree(&source, "etc/kubernetes").unwrap();
        writer.finish(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(describe(&path).unwrap(), description());
        let target = folder.path().join("target");
        unpack(&path, &target).unwrap();
        let key = target.join("etc/kubernetes/pki/ca.key");
        assert_eq!((fs::read_to_string(&key).unwrap().as_str(), mode(&key)), ("secret", 0o600));
        assert_eq!(mode(&target.join("etc/kubernetes/pki/ca.crt")), 0o644);
    }

    #[test]
    fn foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.tar.gz");
        fs::write(&path, "something else").unwrap();
        assert!(describe(&path).unwrap_err().to_string().contains("not a backup"));
        assert!(inside(Path::new("../etc/passwd")).is_err());
        assert!(inside(Path::new("/etc/passwd")).is_err());
        assert!(inside(Path::new("etc/kubernetes/a")).is_ok());
    }
}
