//! OCI image archives of one layer, written by hand.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// What a container of an image runs.
pub struct Config {
    /// Entry point.
    pub entrypoint: &'static [&'static str],
    /// Command, or arguments of the entry point.
    pub command: &'static [&'static str],
    /// User and group; empty for root.
    pub user: &'static str,
    /// A port it names, such as `80/tcp`.
    pub port: Option<&'static str>,
}

/// A layer: a file tree in one tar. Parents are made as they are needed; equal input gives equal bytes.
pub struct Layer {
    tar: Builder<Vec<u8>>,
    directories: BTreeSet<String>,
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    /// An empty tree.
    pub fn new() -> Self {
        Self { tar: Builder::new(Vec::new()), directories: BTreeSet::new() }
    }

    fn header(kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    }

    fn parents(&mut self, path: &str) -> anyhow::Result<()> {
        if let Some((parent, _)) = path.trim_end_matches('/').rsplit_once('/') {
            self.directory(parent, 0o755)?;
        }
        Ok(())
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &str, mode: u32) -> anyhow::Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() || !self.directories.insert(path.to_owned()) {
            return Ok(());
        }
        self.parents(path)?;
        let mut header = Self::header(EntryType::Directory, mode, 0);
        self.tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
        Ok(())
    }

    /// Adds a file with this text.
    pub fn text(&mut self, path: &str, mode: u32, text: &str) -> anyhow::Result<()> {
        let path = path.trim_start_matches('/');
        self.parents(path)?;
        let mut header = Self::header(EntryType::Regular, mode, text.len() as u64);
        self.tar.append_data(&mut header, path, text.as_bytes())?;
        Ok(())
    }

    /// Adds a copy of a file of this machine.
    pub fn copy(&mut self, from: &Path, path: &str, mode: u32) -> anyhow::Result<()> {
        let path = path.trim_start_matches('/');
        self.parents(path)?;
        let bytes = std::fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        let mut header = Self::header(EntryType::Regular, mode, bytes.len() as u64);
        self.tar.append_data(&mut header, path, &*bytes)?;
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> anyhow::Result<()> {
        let path = path.trim_start_matches('/');
        self.parents(path)?;
        let mut header = Self::header(EntryType::Symlink, 0o777, 0);
        self.tar.append_link(&mut header, path, target)?;
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an archive that `ctr images import` reads, with one image under this reference.
pub fn write_archive(path: &Path, reference: &str, config: &Config, layer: Layer) -> anyhow::Result<()> {
    let layer = layer.tar.into_inner()?;
    let layer_digest = digest(&layer);
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut run = json!({
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "WorkingDir": "/",
    });
    if !config.entrypoint.is_empty() {
        run["Entrypoint"] = json!(config.entrypoint);
    }
    if !config.command.is_empty() {
        run["Cmd"] = json!(config.command);
    }
    if !config.user.is_empty() {
        run["User"] = json!(config.user);
    }
    if let Some(port) = config.port {
        run["ExposedPorts"] = json!({port: {}});
    }
    let image = serde_json::to_vec(&json!({
        "architecture": architecture,
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        "history": [{"created_by": "magnetite"}],
    }))?;
    let blob = |media_type: &str, bytes: &[u8]| -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", digest(bytes)), "size": bytes.len()})
    };
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", &image),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar", &layer)],
    }))?;
    let mut entry = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] =
        json!({"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference});
    entry["platform"] = json!({"architecture": architecture, "os": "linux"});
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }))?;
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let mut archive = Builder::new(BufWriter::new(file));
    let mut add = |name: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let mut header = Layer::header(EntryType::Regular, 0o644, bytes.len() as u64);
        archive.append_data(&mut header, name, bytes)?;
        Ok(())
    };
    add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    for bytes in [&layer, &image, &manifest] {
        add(&format!("blobs/sha256/{}", digest(bytes)), bytes)?;
    }
    add("index.json", &index)?;
    archive.into_inner()?.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn an_archive_holds_the_blobs_its_index_names() {
        let mut layer = Layer::new();
        layer.text("/etc/motd", 0o644, "hello").unwrap();
        layer.link("/bin/sh", "busybox").unwrap();
        let config = Config { entrypoint: &[], command: &["sh"], user: "", port: None };
        let path = std::env::temp_dir().join(format!("oci-{}.tar", std::process::id()));
        write_archive(&path, "docker.io/library/x:latest", &config, layer).unwrap();
        let mut files = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(File::open(&path).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(entry.path().unwrap().to_string_lossy().into_owned(), bytes);
        }
        std::fs::remove_file(&path).unwrap();
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
            files[&format!("blobs/{digest}")].clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let image: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(image["config"]["Cmd"], json!(["sh"]));
        let layer = blob(&manifest["layers"][0]);
        let names: Vec<String> = tar::Archive::new(&*layer)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["etc/", "etc/motd", "bin/", "bin/sh"]);
    }
}
