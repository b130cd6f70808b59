//! How the server is known to its clients: certificates by name, TLS versions and ciphers; and whose certificates clients may
//! have, read again when the files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use arc_swap::ArcSwap;
use authn::Authenticator;
use pki::Identity;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion, version};
use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::flags::Flags;

/// How often the files of authorities are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The suites that can be chosen, by the names that Go gives them. Those of TLS 1.3 are always on, as in Go.
const SUITES: [(&str, CipherSuite); 7] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];
/// Suites that upstream knows and this server never speaks: without forward secrecy or in CBC mode. Naming them beside
/// others does no harm.
const OLD: [&str; 16] = [
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];
const NEWEST: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// What new connections are secured by.
pub struct Serving {
    current: ArcSwap<ServerConfig>,
    certificates: Arc<Certificates>,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: &'static [&'static [u8]],
    authenticator: Arc<Authenticator>,
    /// Told when the authorities of clients or front proxies are others.
    pub authorities_changed: Arc<Notify>,
}

impl Serving {
    /// Reads what the flags say.
    pub fn new(flags: &Flags, authenticator: Arc<Authenticator>) -> anyhow::Result<Arc<Self>> {
        let certificates = Arc::new(Certificates::load(flags)?);
        let provider = Arc::new(provider(&flags.tls_cipher_suites, &flags.tls_curve_preferences)?);
        let versions = versions(&flags.tls_min_version)?;
        let protocols: &[&[u8]] =
            if flags.disable_http2_serving { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
        let config = config(&certificates, &provider, &versions, protocols, &authenticator)?;
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(config),
            certificates,
            provider,
            versions,
            protocols,
            authenticator,
            authorities_changed: Arc::default(),
        }))
    }

    /// Secures one new connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Tells clients of other authorities from now on.
    fn renew(&self) -> anyhow::Result<()> {
        let Self { certificates, provider, versions, protocols, authenticator, .. } = self;
        let config = config(certificates, provider, versions, protocols, authenticator)?;
        self.current.store(Arc::new(config));
        Ok(())
    }
}

fn config(
    certificates: &Arc<Certificates>,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
    authenticator: &Authenticator,
) -> anyhow::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .context("--tls-min-version and --tls-cipher-suites")?
        .with_client_cert_verifier(Arc::new(authenticator.tls_verifier()))
        .with_cert_resolver(certificates.clone());
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    // Sessions of clients that come again are kept in tickets at their side, not in this process's memory.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}

fn versions(least: &str) -> anyhow::Result<Vec<&'static SupportedProtocolVersion>> {
    match least {
        // Older ones are not spoken, whatever the flag lets in.
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => Ok(vec![&version::TLS13, &version::TLS12]),
        "VersionTLS13" => Ok(vec![&version::TLS13]),
        other => bail!("unknown tls version {other:?}"),
    }
}

fn provider(names: &[String], groups: &[u16]) -> anyhow::Result<CryptoProvider> {
    let mut provider = default_provider();
    if !groups.is_empty() {
        // As in Go, the numbers choose and do not order.
        provider.kx_groups.retain(|group| groups.contains(&u16::from(group.name())));
        ensure!(
            !provider.kx_groups.is_empty(),
            "--tls-curve-preferences: this server speaks X25519 (29), P-256 (23) and P-384 (24), and none of {groups:?}"
        );
    }
    if names.is_empty() {
        return Ok(provider);
    }
    let mut chosen = Vec::new();
    for name in names {
        match SUITES.iter().find(|(known, _)| known == name) {
            Some((_, suite)) => chosen.push(*suite),
            None if OLD.contains(&name.as_str()) => {
                tracing::warn!(name, "this server never speaks this cipher suite");
            }
            None => {
                ensure!(NEWEST.contains(&name.as_str()), "Cipher suite {name} not supported or doesn't exist")
            }
        }
    }
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen.contains(&suite.suite()));
    Ok(provider)
}

/// The server's certificates: one for everybody, others for whoever asks for certain names.
#[derive(Debug)]
struct Certificates {
    default: Arc<Identity>,
    named: Vec<(Vec<String>, Arc<Identity>)>,
}

impl Certificates {
    fn load(flags: &Flags) -> anyhow::Result<Self> {
        let default = Identity::load(&flags.tls_cert_file, &flags.tls_private_key_file)?;
        let mut named = Vec::new();
        for text in &flags.tls_sni_cert_key {
            let (certificate, key, names) = pair(text)?;
            let identity =
                Identity::load(&certificate, &key).with_context(|| format!("--tls-sni-cert-key {text}"))?;
            let names = match names.is_empty() {
                true => names_of(&identity.certificate())?,
                false => names,
            };
            named.push((names, identity));
        }
        Ok(Self { default, named })
    }

    /// The certificate for a name: by the name itself, else by a pattern, else the one for everybody.
    fn of(&self, name: Option<&str>) -> &Arc<Identity> {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.default };
        let by = |is: &dyn Fn(&str) -> bool| {
            self.named.iter().find(|(names, _)| names.iter().any(|own| is(own))).map(|(_, identity)| identity)
        };
        let wild = |own: &str| {
            own.strip_prefix("*.").is_some_and(|domain| {
                name.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == domain)
            })
        };
        by(&|own| own == name).or_else(|| by(&wild)).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = self.of(hello.server_name()).clone();
        identity.resolve(hello)
    }
}

/// `certificate,key` or `certificate,key:name,*.name`
fn pair(text: &str) -> anyhow::Result<(PathBuf, PathBuf, Vec<String>)> {
    let (files, names) = text.rsplit_once(':').unwrap_or((text, ""));
    let split: Vec<&str> = files.split(',').map(str::trim).collect();
    let [certificate, key] = split.as_slice() else {
        bail!("--tls-sni-cert-key: expected comma separated certificate and key file paths, got {text:?}");
    };
    ensure!(
        !certificate.is_empty() && !key.is_empty(),
        "--tls-sni-cert-key: expected comma separated certificate and key file paths, got {text:?}"
    );
    let names = names.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
    Ok((certificate.into(), key.into(), names.collect()))
}

fn names_of(certificate: &CertificateDer<'_>) -> anyhow::Result<Vec<String>> {
    let described = pki::Described::of(certificate)?;
    let mut names: Vec<String> = described.dns_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    if names.is_empty() {
        names.push(described.common_name.to_ascii_lowercase());
    }
    Ok(names)
}

/// Follows the files of the authorities that clients and front proxies are of. A wrong file changes nothing.
pub async fn follow(flags: Flags, serving: Arc<Serving>) {
    let authenticator = serving.authenticator.clone();
    let clients = authenticator.clients.as_ref().zip(flags.client_ca_file.as_deref());
    let proxies = authenticator.proxies.as_ref().map(|proxies| &proxies.authority);
    let proxies = proxies.zip(flags.requestheader_client_ca_file.as_deref());
    let read = |path: &Path| std::fs::read(path).unwrap_or_default();
    let mut followed: Vec<_> =
        clients.into_iter().chain(proxies).map(|(authority, path)| (authority, path, read(path))).collect();
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let mut is_new = false;
        for (authority, path, known) in &mut followed {
            let pem = read(path);
            if pem.is_empty() || pem == *known {
                continue;
            }
            match authority.replace(&pem) {
                Ok(()) => {
                    is_new = true;
                    tracing::info!(path = %path.display(), "read the authorities again");
                }
                Err(error) => tracing::error!(path = %path.display(), %error, "kept the old authorities"),
            }
            *known = pem;
        }
        if is_new {
            if let Err(error) = serving.renew() {
                tracing::error!(%error, "clients are told of the old authorities");
            }
            serving.authorities_changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_suites_and_versions_as_go_does() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let only =
            provider(&names(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"]), &[]);
        let suites: Vec<CipherSuite> =
            only.unwrap().cipher_suites.iter().map(|suite| suite.suite()).collect();
        assert!(suites.contains(&CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256));
        assert!(!suites.contains(&CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384));
        assert!(suites.contains(&CipherSuite::TLS13_AES_128_GCM_SHA256), "TLS 1.3 is not chosen");
        let error = provider(&names(&["TLS_FOO"]), &[]).unwrap_err().to_string();
        assert_eq!(error, "Cipher suite TLS_FOO not supported or doesn't exist");
        let groups = |numbers: &[u16]| provider(&[], numbers).map(|provider| provider.kx_groups.len());
        assert_eq!((groups(&[]).unwrap(), groups(&[4588, 29, 24]).unwrap()), (3, 2));
        assert!(groups(&[4588]).unwrap_err().to_string().contains("none of [4588]"));
        assert_eq!(versions("VersionTLS13").unwrap().len(), 1);
        assert_eq!(versions("VersionTLS12").unwrap().len(), 2);
        assert_eq!(versions("1.3").unwrap_err().to_string(), "unknown tls version \"1.3\"");
    }

    #[test]
    fn pairs_name_files_and_domains() {
        let check = |text: &str| {
            pair(text).map(|(certificate, key, names)| {
                format!("{} {} {names:?}", certificate.display(), key.display())
            })
        };
        assert_eq!(check("a.crt,a.key").unwrap(), "a.crt a.key []");
        assert_eq!(check("a.crt,a.key:Foo,*.bar").unwrap(), r#"a.crt a.key ["foo", "*.bar"]"#);
        assert!(check("a.crt").is_err() && check("a.crt,").is_err());
    }

    #[test]
    fn a_name_finds_its_certificate() {
        let now = jiff::Timestamp::now();
        let authority = pki::Authority::new("ca", 1, now).unwrap();
        let identity = |name: &str| {
            let issued = authority.issue(&pki::Leaf::server(name, &[name], &[]), now).unwrap();
            Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap()
        };
        let all = ["default", "exact.example", "wild.example"].map(identity);
        assert_eq!(names_of(&all[1].certificate()).unwrap(), ["exact.example"]);
        let certificates = Certificates {
            default: all[0].clone(),
            named: vec![
                (vec!["*.example".to_owned()], all[2].clone()),
                (vec!["exact.example".to_owned()], all[1].clone()),
            ],
        };
        for (name, expected) in [
            (None, 0),
            (Some("exact.example"), 1),
            (Some("Exact.Example"), 1),
            (Some("other.example"), 2),
            (Some("a.b.example"), 0),
            (Some("example"), 0),
        ] {
            assert!(Arc::ptr_eq(certificates.of(name), &all[expected]), "{name:?}");
        }
    }
}
