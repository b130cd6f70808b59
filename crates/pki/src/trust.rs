//! Whom a client trusts to be the server.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};

use crate::files::{Error, read_roots};

/// How long a bundle is used before its file is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A choice of whom to trust.
#[derive(Debug)]
pub struct Trust(Whom);

#[derive(Debug)]
enum Whom {
    /// Those whom these authorities have signed.
    Signed(Arc<WebPkiServerVerifier>),
    /// Those whom the authorities in a file have signed.
    Bundle(Bundle),
    /// Whoever answers.
    Anybody,
}

impl Trust {
    /// Those whom the authorities of a bundle have signed; the file is read again when it has changed.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let loaded = Loaded {
            verifier: verifier(read_roots(path)?)?,
            changed: modified(path),
            looked: Instant::now(),
        };
        Ok(Self(Whom::Bundle(Bundle { path: path.into(), current: ArcSwap::from_pointee(loaded) })))
    }

    /// Those whom these authorities have signed, given in DER.
    pub fn certificates(authorities: &[Vec<u8>]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(CertificateDer::from(authority.as_slice())).map_err(Error::make)?;
        }
        Ok(Self(Whom::Signed(verifier(Arc::new(roots))?)))
    }

    /// Those whom the authorities of a bundle in memory have signed, given in PEM.
    pub fn pem(bundle: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            roots.add(certificate.map_err(Error::make)?).map_err(Error::make)?;
        }
        Ok(Self(Whom::Signed(verifier(Arc::new(roots))?)))
    }

    /// Whoever answers (`insecure-skip-tls-verify`). The connection is encrypted, and with whom is not known.
    pub fn anybody() -> Self {
        Self(Whom::Anybody)
    }

    pub(crate) fn verifier(self) -> Arc<dyn ServerCertVerifier> {
        let algorithms = default_provider().signature_verification_algorithms;
        Arc::new(Verifier { whom: self.0, algorithms })
    }
}

fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::new(default_provider()))
        .build()
        .map_err(Error::make)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// A bundle on disk. One that cannot be read leaves the last good one in use.
#[derive(Debug)]
struct Bundle {
    path: PathBuf,
    current: ArcSwap<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    verifier: Arc<WebPkiServerVerifier>,
    changed: Option<SystemTime>,
    looked: Instant,
}

impl Bundle {
    fn verifier(&self) -> Arc<WebPkiServerVerifier> {
        let current = self.current.load();
        if current.looked.elapsed() < LOOK_AGAIN {
            return Arc::clone(&current.verifier);
        }
        let mut next = Loaded { looked: Instant::now(), ..Loaded::clone(&current) };
        let changed = modified(&self.path);
        if changed != current.changed
            && let Ok(renewed) = read_roots(&self.path).and_then(verifier)
        {
            next.verifier = renewed;
            next.changed = changed;
        }
        let verifier = Arc::clone(&next.verifier);
        self.current.store(Arc::new(next));
        verifier
    }
}

/// Asks whom a server is signed by, where that matters, and in any case that it holds its key.
#[derive(Debug)]
struct Verifier {
    whom: Whom,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = match &self.whom {
            Whom::Signed(verifier) => Arc::clone(verifier),
            Whom::Bundle(bundle) => bundle.verifier(),
            Whom::Anybody => return Ok(ServerCertVerified::assertion()),
        };
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::Timestamp;
    use rustls::{ClientConnection, ServerConnection};

    use super::*;
    use crate::{Authority, Identity, Issued, Leaf, client_config, client_verifier, server_config};

    struct Ground {
        directory: PathBuf,
        authority: Authority,
    }

    impl Ground {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("trust-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            let authority = Authority::new(name, 1, Timestamp::now()).unwrap();
            crate::write_public(&directory.join("ca.crt"), authority.certificate()).unwrap();
            Self { directory, authority }
        }

        fn bundle(&self) -> PathBuf {
            self.directory.join("ca.crt")
        }

        fn issue(&self, leaf: &Leaf) -> Issued {
            self.authority.issue(leaf, Timestamp::now()).unwrap()
        }
    }

    impl Drop for Ground {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }

    /// A handshake in memory with a server of this ground; how many certificates the client showed.
    fn shake(ground: &Ground, trust: Trust, identity: Option<Arc<Identity>>) -> Result<usize, rustls::Error> {
        let served = ground.issue(&Leaf::server("server", &["server.test"], &[]));
        let served = Identity::from_pem(served.certificate.as_bytes(), served.key.as_bytes()).unwrap();
        let config = server_config(served, Some(client_verifier(&ground.bundle()).unwrap())).unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let config = client_config(trust, identity).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), "server.test".try_into().unwrap()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets()?;
        }
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets()?;
        Ok(server.peer_certificates().map_or(0, <[_]>::len))
    }

    #[test]
    fn servers_of_the_bundle_are_trusted_and_no_others() {
        let (ground, stranger) = (Ground::new("own"), Ground::new("stranger"));
        assert_eq!(shake(&ground, Trust::file(&ground.bundle()).unwrap(), None), Ok(0));
        let refused = shake(&ground, Trust::file(&stranger.bundle()).unwrap(), None).unwrap_err();
        assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused}");
        assert_eq!(shake(&ground, Trust::anybody(), None), Ok(0));
    }

    #[test]
    fn authorities_in_memory_are_trusted_like_those_in_files() {
        let ground = Ground::new("memory");
        let der = crate::read_certificates(&ground.bundle()).unwrap();
        let trust = Trust::certificates(&[der[0].to_vec()]).unwrap();
        assert_eq!(shake(&ground, trust, None), Ok(0));
        assert!(Trust::certificates(&[b"no certificate".to_vec()]).is_err());
    }

    #[test]
    fn a_client_shows_its_certificate() {
        let ground = Ground::new("client");
        let issued = ground.issue(&Leaf::client("jane", &[]));
        let identity = Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap();
        assert_eq!(shake(&ground, Trust::file(&ground.bundle()).unwrap(), Some(identity)), Ok(1));
        let other = ground.issue(&Leaf::client("jim", &[]));
        let mismatch = Identity::from_pem(issued.certificate.as_bytes(), other.key.as_bytes()).unwrap_err();
        assert!(mismatch.to_string().contains("does not belong"), "{mismatch}");
    }
}
