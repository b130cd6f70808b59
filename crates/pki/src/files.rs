//! PEM files: read with errors that name the file, written with the right mode at once.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Why keys or certificates cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no PEM block of the kind looked for.
    #[error("{path}: {why}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A certificate or key cannot be made or used.
    #[error("{0}")]
    Make(String),
}

impl Error {
    pub(crate) fn make(error: impl std::fmt::Display) -> Self {
        Self::Make(error.to_string())
    }
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
    fn pem(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Pem { path: path.into(), why: why.to_string() }
    }
}

/// Writes DER as a PEM block with this label.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut block = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        block.push_str(line);
        block.push('\n');
        rest = more;
    }
    block + &format!("-----END {label}-----\n")
}

/// Reads all certificates of a PEM file; none is an error.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = fs::read(path).map_err(|error| Error::file(path, error))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::pem(path, error))?;
    if certificates.is_empty() {
        return Err(Error::pem(path, "no certificate in this file"));
    }
    Ok(certificates)
}

/// Reads the first private key of a PEM file.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = fs::read(path).map_err(|error| Error::file(path, error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| Error::pem(path, error))
}

/// Reads a bundle of authorities to trust.
pub fn read_roots(path: &Path) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(|error| Error::pem(path, error))?;
    }
    Ok(Arc::new(roots))
}

/// Writes a file that only its owner reads (0600), whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o600)
}

/// Writes a file that everybody may read (0644), whole or not at all.
pub fn write_public(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let refuse = |error| Error::file(path, error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(refuse)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .map_err(refuse)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(refuse)?;
    fs::rename(&temporary, path).map_err(refuse)
}
