//! Discovery on disk, so that most commands need no discovery request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Resource;
use crate::cli::Invocation;
use crate::client::kubeconfig::home;

/// How long what the server said is trusted, as upstream.
const TRUSTED: Duration = Duration::from_secs(6 * 3600);

/// The cache file of one server.
pub struct Cache {
    file: PathBuf,
}

impl Cache {
    /// The cache of the server with this host and port.
    pub fn of(invocation: &Invocation, host: &str) -> Self {
        let root = match invocation.text("cache-dir") {
            "" => match std::env::var_os("KUBECACHEDIR") {
                Some(root) if !root.is_empty() => root.into(),
                _ => home().join(".kube/cache"),
            },
            given => PathBuf::from(given),
        };
        Self { file: root.join("discovery").join(directory(host)).join("resources.json") }
    }

    /// What was learned, if it is still trusted.
    pub fn read(&self) -> Option<Vec<Resource>> {
        let age = self.file.metadata().ok()?.modified().ok()?.elapsed().ok()?;
        if age > TRUSTED {
            return None;
        }
        serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()
    }

    /// Keeps what was learned. A cache that cannot be written is only slower.
    pub fn write(&self, resources: &[Resource]) {
        let _ = store(&self.file, resources);
    }
}

fn store(file: &Path, resources: &[Resource]) -> std::io::Result<()> {
    let parent = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let mut temporary = tempfile::NamedTempFile::new_in(parent)?;
    serde_json::to_writer(std::io::BufWriter::new(&mut temporary), resources)?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn directory(host: &str) -> String {
    host.chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '(' | ')') { c } else { '_' })
        .collect()
}
