//! Certificates and trust that follow their files, so that renewed ones are served without a restart.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, ServerConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    crypto::ring::{default_provider, sign::any_supported_type},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{
    files::{Error, read_certificates, read_key, read_roots},
    trust::Trust,
};

/// How long a loaded pair is used before its files are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A certificate and key, read again when either file has changed where they are files.
///
/// It resolves both server and client certificates. A file that cannot be read leaves the last good pair in use.
#[derive(Debug)]
pub struct Identity {
    current: ArcSwap<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    /// The certificate's and the key's.
    files: Option<Arc<(PathBuf, PathBuf)>>,
    pair: Arc<CertifiedKey>,
    changed: (Option<SystemTime>, Option<SystemTime>),
    looked: Instant,
}

impl Identity {
    /// Reads the pair for the first time.
    pub fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(Loaded::read(certificate, key)?) }))
    }

    /// Reads another pair's files and follows these from now on.
    pub fn follow(&self, certificate: &Path, key: &Path) -> Result<(), Error> {
        self.current.store(Arc::new(Loaded::read(certificate, key)?));
        Ok(())
    }

    /// The certificate that is shown now.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.pair().cert.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new()))
    }

    /// Looks at the files at once, not only when the pair is next due.
    pub fn look(&self) {
        let current = self.current.load_full();
        self.renew(&current);
    }

    /// Takes a pair that stays what it is: a chain and a key in PEM.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Arc<Self>, Error> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>();
        let chain = chain.map_err(|error| Error::make(format!("the certificate: {error}")))?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| Error::make(format!("the key: {error}")))?;
        let pair = matched(chain, &key, "the key does not belong to the certificate")?;
        let loaded = Loaded { files: None, pair, changed: (None, None), looked: Instant::now() };
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(loaded) }))
    }

    fn pair(&self) -> Arc<CertifiedKey> {
        let current = self.current.load();
        if current.files.is_none() || current.looked.elapsed() < LOOK_AGAIN {
            return Arc::clone(&current.pair);
        }
        self.renew(&current)
    }

    fn renew(&self, current: &Loaded) -> Arc<CertifiedKey> {
        let Some(files) = &current.files else { return Arc::clone(&current.pair) };
        let (certificate, key) = &**files;
        let changed = (modified(certificate), modified(key));
        let mut next = Loaded { looked: Instant::now(), ..Loaded::clone(current) };
        if changed != current.changed
            && let Ok(pair) = pair(certificate, key)
        {
            next.pair = pair;
            next.changed = changed;
        }
        let pair = Arc::clone(&next.pair);
        self.current.store(Arc::new(next));
        pair
    }
}

impl Loaded {
    fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let changed = (modified(certificate), modified(key));
        let files = Some(Arc::new((certificate.into(), key.into())));
        Ok(Self { files, pair: pair(certificate, key)?, changed, looked: Instant::now() })
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn pair(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, Error> {
    let mismatch = format!("{} does not belong to {}", key.display(), certificate.display());
    matched(read_certificates(certificate)?, &read_key(key)?, &mismatch)
}

fn matched(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
    mismatch: &str,
) -> Result<Arc<CertifiedKey>, Error> {
    let pair = CertifiedKey::new(chain, any_supported_type(key).map_err(Error::make)?);
    pair.keys_match().map_err(|_| Error::make(mismatch))?;
    Ok(Arc::new(pair))
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

/// A verifier of client certificates against a bundle; clients may also come without one.
pub fn client_verifier(authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    WebPkiClientVerifier::builder_with_provider(read_roots(authorities)?, Arc::new(default_provider()))
        .allow_unauthenticated()
        .build()
        .map_err(Error::make)
}

/// A TLS server (1.2 and 1.3) with this identity, offering HTTP/2 and HTTP/1.1; client certificates are asked for
/// when there is a verifier.
pub fn server_config(
    identity: Arc<Identity>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::make)?;
    let mut config = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(identity);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A TLS client (1.2 and 1.3) that trusts whom it is told to and shows its certificate where it has one.
pub fn client_config(trust: Trust, identity: Option<Arc<Identity>>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::make)?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier());
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let may_change = identity.current.load().files.is_some();
    let mut config = builder.with_client_cert_resolver(identity);
    if may_change {
        // A resumed session proves the certificate of its first connection, which may have expired since.
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}
