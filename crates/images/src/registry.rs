//! A read-only image registry of a node: what Kubernetes pulls by default (`imagePullPolicy: Always`) comes from here.
//!
//! It serves a directory's archives by the pull half of the OCI distribution API, on the node's loopback.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;

const REQUEST_MAX: u64 = 16 * 1024;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Where a blob's bytes lie in an archive.
#[derive(Debug, Clone)]
struct Blob {
    archive: PathBuf,
    offset: u64,
    size: u64,
}

/// What the registry holds.
#[derive(Debug, Default)]
pub struct Contents {
    blobs: BTreeMap<String, Blob>,
    /// Digest of the manifest by repository and tag, such as `library/nginx:latest`.
    tags: BTreeMap<String, String>,
}

impl Contents {
    /// Reads which blobs and tags the archives of a directory hold.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut contents = Self::default();
        for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "tar") {
                contents.add(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(contents)
    }

    fn add(&mut self, archive: &Path) -> anyhow::Result<()> {
        let mut index = None;
        for entry in tar::Archive::new(File::open(archive)?).entries_with_seek()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            if let Some(digest) = name.strip_prefix("blobs/sha256/") {
                let blob =
                    Blob { archive: archive.into(), offset: entry.raw_file_position(), size: entry.size() };
                self.blobs.insert(format!("sha256:{digest}"), blob);
            } else if name == "index.json" {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                index = Some(serde_json::from_str::<Value>(&text)?);
            }
        }
        for manifest in index.iter().flat_map(|index| index["manifests"].as_array()).flatten() {
            let reference = manifest["annotations"]["io.containerd.image.name"].as_str().unwrap_or_default();
            // The host's name is not part of what a client asks a mirror for.
            if let (Some((_, repository)), Some(digest)) =
                (reference.split_once('/'), manifest["digest"].as_str())
            {
                self.tags.insert(repository.to_owned(), digest.to_owned());
            }
        }
        Ok(())
    }

    /// The blob that a path asks for, with its media type and digest.
    fn find(&self, path: &str) -> Option<(&Blob, &'static str, &str)> {
        let path = path.split('?').next()?.strip_prefix("/v2/")?;
        let (digest, kind) = if let Some((_, digest)) = path.split_once("/blobs/") {
            (digest, "application/octet-stream")
        } else {
            let (repository, reference) = path.split_once("/manifests/")?;
            match self.tags.get(&format!("{repository}:{reference}")) {
                Some(digest) => (digest.as_str(), MANIFEST),
                None => (reference, MANIFEST),
            }
        };
        let (digest, blob) = self.blobs.get_key_value(digest)?;
        Some((blob, kind, digest))
    }
}

/// Serves until the process ends.
pub fn run(directory: &Path, address: &str) -> anyhow::Result<()> {
    let contents = Arc::new(Contents::read(directory)?);
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    for stream in listener.incoming().flatten() {
        let contents = Arc::clone(&contents);
        std::thread::spawn(move || {
            if let Err(error) = answer(&contents, &stream) {
                eprintln!("registry: {error:#}");
            }
        });
    }
    Ok(())
}

fn answer(contents: &Contents, stream: &TcpStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.take(REQUEST_MAX));
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut out = stream;
    if path == "/v2/" {
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}")?;
        return Ok(());
    }
    let Some((blob, kind, digest)) = contents.find(path) else {
        let body =
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not one of this registry's images"}]}"#;
        let length = body.len();
        write!(
            out,
            "HTTP/1.1 404 Not Found\r\nContent-Length: {length}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}"
        )?;
        return Ok(());
    };
    let size = blob.size;
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nContent-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n"
    )?;
    if method == "GET" {
        let mut file = File::open(&blob.archive)?;
        file.seek(SeekFrom::Start(blob.offset))?;
        std::io::copy(&mut file.take(size), &mut out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Config, Layer, write_archive};

    #[test]
    fn serves_manifests_by_tag_and_blobs_by_digest() {
        let directory = std::env::temp_dir().join(format!("registry-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut layer = Layer::new();
        layer.text("/hello", 0o644, "hello").unwrap();
        let config = Config { entrypoint: &[], command: &["sh"], user: "", port: None };
        write_archive(&directory.join("x.tar"), "docker.io/library/x:1", &config, layer).unwrap();
        let contents = Arc::new(Contents::read(&directory).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&contents);
        let server = std::thread::spawn(move || {
            for _ in 0..3 {
                answer(&served, &listener.accept().unwrap().0).unwrap();
            }
        });
        let get = |path: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        };
        let manifest = get("/v2/library/x/manifests/1?ns=docker.io");
        assert!(manifest.contains("Docker-Content-Digest: sha256:") && manifest.contains("\"layers\""));
        let body: Value = serde_json::from_str(manifest.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let blob = get(&format!("/v2/library/x/blobs/{}", body["config"]["digest"].as_str().unwrap()));
        assert!(blob.contains("\"Cmd\":[\"sh\"]"), "{blob}");
        assert!(get("/v2/library/y/manifests/1").starts_with("HTTP/1.1 404"));
        server.join().unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
