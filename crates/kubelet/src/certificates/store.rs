//! A certificate with its key on disk, as upstream's kubelet keeps it: one file for each, and a link to the current one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use jiff::Timestamp;
use pki::Described;

/// How many files are kept: the current one and the one before.
const KEPT: usize = 2;

/// Where one of the kubelet's certificates is kept.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    directory: PathBuf,
    /// What its files' names begin with.
    name: &'static str,
}

impl Store {
    /// Of the certificate that the kubelet shows to the API server.
    pub(crate) fn client(directory: &Path) -> Self {
        Self { directory: directory.into(), name: "kubelet-client" }
    }

    /// Of the certificate that the kubelet serves with.
    pub(crate) fn server(directory: &Path) -> Self {
        Self { directory: directory.into(), name: "kubelet-server" }
    }

    /// The link to the current certificate and key.
    pub(crate) fn current(&self) -> PathBuf {
        self.directory.join(format!("{}-current.pem", self.name))
    }

    /// The key of a request that has not been answered yet, kept so that a restart asks for the same.
    pub(crate) fn key_of_request(&self) -> PathBuf {
        self.directory.join(format!("{}.key.tmp", self.name))
    }

    /// What the current certificate says; `None` where there is none that can be read with its key.
    pub(crate) fn load(&self) -> Option<Described> {
        let current = self.current();
        pki::Identity::load(&current, &current).ok()?;
        Described::of_pem(&fs::read_to_string(&current).ok()?).ok()
    }

    /// Makes a pair the current one. The link changes at once, so that no reader sees half of it.
    pub(crate) fn replace(&self, certificate: &str, key: &str, now: Timestamp) -> anyhow::Result<()> {
        let name = format!("{}-{}.pem", self.name, now.strftime("%Y-%m-%d-%H-%M-%S"));
        let (file, current) = (self.directory.join(&name), self.current());
        let end = if certificate.ends_with('\n') { "" } else { "\n" };
        pki::write_private(&file, &format!("{certificate}{end}{key}"))?;
        let link = self.directory.join(format!(".{}-current.pem", self.name));
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", link.display()));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(&file, &link).with_context(|| format!("linking {}", link.display()))?;
        fs::rename(&link, &current).with_context(|| format!("linking {}", current.display()))?;
        self.forget_old();
        Ok(())
    }

    /// Removes what was current long ago. Names hold times, so they sort by age.
    fn forget_old(&self) {
        let begins = format!("{}-2", self.name);
        let mut files: Vec<PathBuf> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&begins))
            .map(|entry| entry.path())
            .collect();
        files.sort();
        let old = files.len().saturating_sub(KEPT);
        for file in files.drain(..old) {
            if let Err(error) = fs::remove_file(&file) {
                tracing::debug!(file = %file.display(), %error, "cannot remove an old certificate");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use pki::{Authority, Leaf};

    use super::*;

    #[test]
    fn the_link_follows_the_newest_pair_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::client(folder.path());
        assert_eq!(store.load(), None);
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        for second in 0..4 {
            let leaf = Leaf::client(&format!("system:node:n{second}"), &["system:nodes"]);
            let issued = authority.issue(&leaf, now).unwrap();
            let at = Timestamp::from_second(now.as_second() + second).unwrap();
            store.replace(&issued.certificate, &issued.key, at).unwrap();
            assert_eq!(store.load().unwrap().common_name, format!("system:node:n{second}"));
        }
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "kubelet-client-2026-01-01-00-00-02.pem",
                "kubelet-client-2026-01-01-00-00-03.pem",
                "kubelet-client-current.pem"
            ]
        );
        assert_eq!(fs::metadata(store.current()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(store.current(), "nothing of the kind").unwrap();
        assert_eq!(store.load(), None);
    }
}
