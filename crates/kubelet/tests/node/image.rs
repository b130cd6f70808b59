//! An image archive made by hand: busybox and its names in one layer.

use std::{path::Path, process::Command};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put<W: std::io::Write>(tar: &mut Builder<W>, kind: EntryType, path: &str, mode: u32, data: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(data.len() as u64);
    tar.append_data(&mut header, path, data).unwrap();
}

fn layer(busybox: &Path) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for folder in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        put(&mut tar, EntryType::Directory, folder, 0o755, &[]);
    }
    put(&mut tar, EntryType::Regular, "bin/busybox", 0o755, &std::fs::read(busybox).unwrap());
    let names = Command::new(busybox).arg("--list").output().unwrap().stdout;
    for name in String::from_utf8(names).unwrap().lines().filter(|name| *name != "busybox") {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").unwrap();
    }
    tar.into_inner().unwrap()
}

/// Writes an archive of busybox under a name. The command is what a container runs by itself.
pub fn write(path: &Path, busybox: &Path, name: &str, command: &[&str]) {
    let layer = layer(busybox);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut encoder, &layer).unwrap();
    let packed = encoder.finish().unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))]},
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{}", digest(config.as_bytes())), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": format!("sha256:{}", digest(&packed)), "size": packed.len()}],
    })
    .to_string();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", digest(manifest.as_bytes())), "size": manifest.len(),
            "annotations": {"io.containerd.image.name": name}}],
    });
    let mut tar = Builder::new(std::fs::File::create(path).unwrap());
    put(&mut tar, EntryType::Regular, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    put(&mut tar, EntryType::Regular, "index.json", 0o644, index.to_string().as_bytes());
    for blob in [config.as_bytes(), packed.as_slice(), manifest.as_bytes()] {
        put(&mut tar, EntryType::Regular, &format!("blobs/sha256/{}", digest(blob)), 0o644, blob);
    }
    tar.finish().unwrap();
}
