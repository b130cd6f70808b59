//! Who is known by a certificate: the authorities that vouch for users, and those that vouch for front proxies, from
//! files or, as the API server has written them down, from the cluster.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use http::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use parking_lot::Mutex;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::User;
use crate::cause::whole;

/// Where the API server writes down whom it believes.
const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// How long what it has written is taken for what it would write now.
const FRESH: Duration = Duration::from_secs(60);
/// How long nobody asks again after an answer that did not come.
const RETRY: Duration = Duration::from_secs(5);

/// The flags that say who is known by a certificate.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientFlags {
    /// Authorities whose clients are known by their certificates; the cluster's if absent
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// Authorities of front proxies, whose headers name users; the cluster's, with all else about them, if absent
    #[arg(long, value_name = "FILE")]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Common names of front proxies; any if none is given
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub requestheader_allowed_names: Vec<String>,
    /// Headers that name the user
    #[arg(long, value_delimiter = ',', default_value = "x-remote-user", value_name = "HEADER,...")]
    pub requestheader_username_headers: Vec<String>,
    /// Headers that give the user's UID
    #[arg(long, value_delimiter = ',', value_name = "HEADER,...")]
    pub requestheader_uid_headers: Vec<String>,
    /// Headers that name the user's groups
    #[arg(long, value_delimiter = ',', default_value = "x-remote-group", value_name = "HEADER,...")]
    pub requestheader_group_headers: Vec<String>,
    /// What the names of headers begin with that tell more of the user
    #[arg(long, value_delimiter = ',', default_value = "x-remote-extra-", value_name = "PREFIX,...")]
    pub requestheader_extra_headers_prefix: Vec<String>,
    /// Do not take from the cluster what no flag says
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub authentication_skip_lookup: bool,
}

/// Who is known by a certificate, now.
pub struct Clients {
    users: Option<Bundle>,
    proxies: Option<(Bundle, Headers)>,
    cluster: Option<Client>,
    told: tokio::sync::Mutex<Told>,
}

struct Told {
    authorities: Authorities,
    asks_again: Option<Instant>,
}

impl Clients {
    /// Reads the files that the flags name; the rest is asked of the cluster with this client, once somebody shows a
    /// certificate.
    pub fn new(flags: &ClientFlags, client: Client) -> anyhow::Result<Self> {
        let load = |path: &Option<PathBuf>, flag| {
            path.as_deref().map(|path| Bundle::load(path).context(flag)).transpose()
        };
        let users = load(&flags.client_ca_file, "--client-ca-file")?;
        let headers = Headers {
            allowed_names: flags.requestheader_allowed_names.clone(),
            user: flags.requestheader_username_headers.clone(),
            uid: flags.requestheader_uid_headers.clone(),
            group: flags.requestheader_group_headers.clone(),
            extra: flags.requestheader_extra_headers_prefix.clone(),
        };
        let proxies = load(&flags.requestheader_client_ca_file, "--requestheader-client-ca-file")?;
        let proxies = proxies.map(|bundle| (bundle, headers));
        let asks = !flags.authentication_skip_lookup && (users.is_none() || proxies.is_none());
        let told = Told { authorities: Authorities::default(), asks_again: None };
        Ok(Self { users, proxies, cluster: asks.then_some(client), told: tokio::sync::Mutex::new(told) })
    }

    /// The user of a request over a connection on which this chain was shown: what a front proxy says, or who the
    /// certificate's subject is. Nothing where no certificate was shown.
    pub async fn user(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Option<Result<User, Refused>> {
        if chain.is_empty() {
            return None;
        }
        let mut known = match &self.cluster {
            Some(client) => self.of_cluster(client).await,
            None => Authorities::default(),
        };
        if let Some(bundle) = &self.users {
            known.users = Some(bundle.now());
        }
        if let Some((bundle, headers)) = &self.proxies {
            known.proxies = Some((bundle.now(), headers.clone()));
        }
        Some(known.user(chain, headers, UnixTime::now()))
    }

    /// What the API server has written down, as of a minute ago at most.
    async fn of_cluster(&self, client: &Client) -> Authorities {
        let mut told = self.told.lock().await;
        if told.asks_again.is_none_or(|at| at <= Instant::now()) {
            let found = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE).get_opt(CONFIG_MAP).await;
            let read = found.map_err(|error| whole(&error)).and_then(|map| {
                let data = map.and_then(|map| map.data).unwrap_or_default();
                Authorities::read(&data).map_err(|error| format!("{error:#}"))
            });
            let wait = match read {
                Ok(authorities) => {
                    told.authorities = authorities;
                    FRESH
                }
                Err(error) => {
                    tracing::warn!(
                        error,
                        "ConfigMap {NAMESPACE}/{CONFIG_MAP}: whom to believe stays as it was"
                    );
                    RETRY
                }
            };
            told.asks_again = Some(Instant::now() + wait);
        }
        told.authorities.clone()
    }
}

/// Why a certificate makes nobody known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no authority to be vouched for by.
    #[error("no client authority is known")]
    NoAuthority,
    /// Its chain leads to none of them, it is out of date, or it is not for clients.
    #[error("verifying certificate failed: {0}")]
    Untrusted(String),
    /// It has no subject that could be a user.
    #[error("the certificate names no user")]
    Nameless,
}

type Verifier = Arc<dyn ClientCertVerifier>;

/// Whom to believe.
#[derive(Clone, Default)]
struct Authorities {
    users: Option<Verifier>,
    proxies: Option<(Verifier, Headers)>,
}

/// What a front proxy says of a user, and in which headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Headers {
    /// Common names of the proxies; any where there are none.
    allowed_names: Vec<String>,
    user: Vec<String>,
    uid: Vec<String>,
    group: Vec<String>,
    extra: Vec<String>,
}

impl Authorities {
    /// Reads the content of the cluster's ConfigMap.
    fn read(data: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let text = |key: &str| data.get(key).map(String::as_str).filter(|text| !text.is_empty());
        let authority =
            |key: &'static str| text(key).map(|pem| verifier(pem.as_bytes()).context(key)).transpose();
        let list = |key: &'static str| -> anyhow::Result<Vec<String>> {
            text(key).map_or(Ok(Vec::new()), |text| serde_json::from_str(text).context(key))
        };
        let proxies = match authority("requestheader-client-ca-file")? {
            None => None,
            Some(authority) => {
                let headers = Headers {
                    allowed_names: list("requestheader-allowed-names")?,
                    user: list("requestheader-username-headers")?,
                    uid: list("requestheader-uid-headers")?,
                    group: list("requestheader-group-headers")?,
                    extra: list("requestheader-extra-headers-prefix")?,
                };
                Some((authority, headers))
            }
        };
        Ok(Self { users: authority("client-ca-file")?, proxies })
    }

    fn user(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
        now: UnixTime,
    ) -> Result<User, Refused> {
        let subject = subject(chain);
        if let Some((authority, known)) = &self.proxies
            && verify(authority, chain, now).is_ok()
            && subject.as_ref().is_some_and(|subject| known.allows(&subject.name))
            && let Some(user) = known.user(headers)
        {
            return Ok(user);
        }
        verify(self.users.as_ref().ok_or(Refused::NoAuthority)?, chain, now)?;
        subject.filter(|user| !user.name.is_empty()).ok_or(Refused::Nameless)
    }
}

impl Headers {
    fn allows(&self, common_name: &str) -> bool {
        self.allowed_names.is_empty() || self.allowed_names.iter().any(|name| name == common_name)
    }

    /// The user that a proxy names, if it names one.
    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let all = |name: &String| {
            headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>()
        };
        let first =
            |names: &[String]| names.iter().flat_map(all).find(|value| !value.is_empty()).map(str::to_owned);
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in headers {
            let key = self.extra.iter().find_map(|prefix| after(name.as_str(), prefix));
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                extra.entry(decoded(key)).or_default().push(value.to_owned());
            }
        }
        Some(
            User {
                name: first(&self.user)?,
                uid: first(&self.uid).unwrap_or_default(),
                groups: self.group.iter().flat_map(all).map(str::to_owned).collect(),
                extra,
            }
            .authenticated(),
        )
    }
}

/// What follows a prefix whose letters may be of either case.
fn after<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A key of which a header's name could not hold every byte: `%2f` is a slash.
fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

/// The user that the first certificate of a chain names: the last common name, as upstream has it, and every
/// organisation.
fn subject(chain: &[CertificateDer<'_>]) -> Option<User> {
    let (_, parsed) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().last().and_then(|name| name.as_str().ok()).unwrap_or_default();
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    let groups = groups.map(str::to_owned).collect();
    Some(User { name: name.to_owned(), groups, ..User::default() }.authenticated())
}

fn verify(authority: &Verifier, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Refused> {
    let (certificate, intermediates) = chain.split_first().ok_or(Refused::Nameless)?;
    let verified = authority.verify_client_cert(certificate, intermediates, now);
    verified.map(|_| ()).map_err(|error| Refused::Untrusted(error.to_string()))
}

fn verifier(pem: &[u8]) -> anyhow::Result<Verifier> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build()?)
}

/// Authorities in a file, read again when it has changed; one that cannot be read leaves the last good ones in use.
struct Bundle {
    path: PathBuf,
    loaded: Mutex<(Option<SystemTime>, Verifier)>,
}

impl Bundle {
    fn load(path: &Path) -> anyhow::Result<Self> {
        let changed = modified(path);
        let loaded = (changed, verifier(&fs::read(path)?)?);
        Ok(Self { path: path.to_owned(), loaded: Mutex::new(loaded) })
    }

    fn now(&self) -> Verifier {
        let mut loaded = self.loaded.lock();
        let changed = modified(&self.path);
        if changed.is_some() && changed != loaded.0 {
            match fs::read(&self.path).map_err(anyhow::Error::from).and_then(|pem| verifier(&pem)) {
                Ok(renewed) => loaded.1 = renewed,
                Err(error) => {
                    tracing::warn!("{}: {error:#}; whom to believe stays as it was", self.path.display())
                }
            }
            loaded.0 = changed;
        }
        Arc::clone(&loaded.1)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Asks clients for a certificate and checks that they hold its key. Whom to believe is asked later, so that a
/// certificate of somebody unknown gets an answer and not a broken handshake.
#[derive(Debug)]
pub struct Anybody(WebPkiSupportedAlgorithms);

impl Default for Anybody {
    fn default() -> Self {
        Self(default_provider().signature_verification_algorithms)
    }
}

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
